"""Rooms as the hub knows them: their heads, who follows them, and what is still to be told of them."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.doors import Doors
from zchat.broker.effects import Level
from zchat.broker.people import Names
from zchat.broker.roster import Roster
from zchat.broker.turn import Turn
from zchat.messages import LOBBY, Head, Presence
from zchat.store.base import Kept, Member, NewRoom, RoomRecord, is_private
from zchat.verbs import AUDIT

if TYPE_CHECKING:
    from zchat.broker.sessions import Session


HEADS_EVERY = 0.25
"""Seconds between two times at which rooms that went quiet say their heads."""


@dataclass(slots=True)
class Room:
    """A room.

    Attributes:
        name: canonical; for a private room its id.
        head: the number of its last event. A cache: the store numbers.
        ms: when it last spoke, in milliseconds since 1970 UTC.
        kept: whether the store has it yet.
        planned: the turn in which the store was last asked to keep it.
        pair: the two persons of a room of two, in order.
        members: who belongs to a private room, and what each calls it; of a room of two empty: that changes.
        title: what a private room that is not one of two is called, with its `+`.
        founder: the person who made it; empty if nobody did.
        waiting: of a room of two: how much was said to each who was not here since, in this life of the broker.
        called: what they were called last, by person.
        moved: the turn in which its head or roster last changed.
        said: the hub's clock when it last spoke.
        quieting: whether it is waiting to say its head once more.
        followers: sessions that follow it.
        told: the hub's clock at its last presence.
    """

    name: str
    head: int = 0
    ms: int = 0
    kept: bool = False
    planned: int = -1
    pair: tuple[bytes, ...] = ()
    members: dict[bytes, str] = field(default_factory=dict)
    title: str = ""
    founder: bytes = b""
    waiting: dict[bytes, int] = field(default_factory=dict)
    called: dict[bytes, str] = field(default_factory=dict)
    roster: Roster = field(default_factory=Roster)
    moved: int = 0
    said: float = 0.0
    quieting: bool = False
    followers: int = 0
    told: float = float("-inf")

    @property
    def private(self) -> bool:
        """Whether only some may read it."""
        return is_private(self.name)


def _room(record: RoomRecord, doors: Doors) -> Room:
    pair = tuple(member.person for member in record.members)
    return Room(
        record.room,
        record.head,
        record.ms,
        kept=True,
        pair=pair,
        members=dict.fromkeys(pair, ""),
        title=doors.terms(record.room).title,
        founder=record.founder,
        called={member.person: member.name for member in record.members},
    )


def other_of(room: Room, person: bytes) -> bytes:
    """The other one of a room of two; oneself where one talks to oneself."""
    return room.pair[0] if room.pair[1] == person else room.pair[1]


def _precise(room: Room) -> str:
    """What a private room is called by whom its title alone would not tell which."""
    return f"{room.title}~{room.name[1:7]}" if room.title else ""


def _together(due: float) -> float:
    """The next of the times at which heads are said: libzmq sends what goes to one subscriber then in one piece."""
    return ceil(due / HEADS_EVERY) * HEADS_EVERY


def _private_id(one: bytes, other: bytes) -> str:
    """The id of the room of two persons."""
    # It says nothing of whose it is to those who do not know both secrets, and every broker makes the same one.
    pair = sorted((one, other))
    return "@" + hashlib.blake2b(b"\0".join(part.hex().encode() for part in pair), digest_size=12).hexdigest()


class Rooms:
    """All rooms of a broker.

    Args:
        turn: the turn under way.
        people: whose name is which.
        doors: who belongs to which.
        kept: what the store keeps.

    Attributes:
        by_name: every room; a private one under its id.
        public: the names of the public ones, in order.
        everybody: who is in any room.
        presences: what is to be told of private rooms to those who follow them; the hub takes it out.
    """

    def __init__(self, turn: Turn, people: Names, doors: Doors, kept: Iterable[RoomRecord]) -> None:
        self._turn = turn
        self._people = people
        self._doors = doors
        self.by_name: dict[str, Room] = {record.room: _room(record, doors) for record in kept}
        self.public = sorted(room.name for room in self.by_name.values() if not room.private)
        self.everybody = Roster()
        self.presences: list[tuple[Room, Presence]] = []
        self._private: dict[bytes, dict[str, Room]] = {}
        self._expected: dict[bytes, dict[str, Room]] = {}  # what is a person's once the turn is kept
        for room in self.by_name.values():
            self._note_members(room)
        belongs = [one for room in self.by_name.values() if room.title for one in doors.members(room.name).values()]
        for member in sorted(belongs, key=lambda one: one.ms):
            self.admit(self.by_name[member.room], member.person)
        self._quieting: deque[tuple[float, Room]] = deque()
        self._changed: dict[str, Room] = {}  # whose roster has something to tell
        self._founded = Counter(room.founder for room in self.by_name.values() if room.founder)
        self.make(LOBBY, said=False)

    def make(
        self,
        name: str,
        members: tuple[Member, ...] = (),
        *,
        said: bool = True,
        founder: bytes = b"",
        title: str = "",
    ) -> Room:
        """A room by its canonical name, made if it is not there; of one of two the names of both are noted.

        Args:
            title: of a private room that is not one of two.
            said: whether something is said in it: only then it is kept.
            founder: the person who makes it, if it is not there; empty for nobody.

        Raises:
            errors.LimitReached: there are too many rooms, or too many that this person made.
        """
        room = self.by_name.get(name)
        if room is None:
            # There is always a place for what is logged.
            if len(self.by_name) >= self._turn.settings.max_rooms and name != AUDIT:
                raise errors.LimitReached("there are as many rooms as the broker allows: use one that is there")
            if founder:
                if self._founded[founder] >= self._turn.settings.max_rooms_person:
                    raise errors.LimitReached("you made as many rooms as one person may: use one that is there")
                self._founded[founder] += 1
            pair = tuple(member.person for member in members)
            room = Room(name, pair=pair, members=dict.fromkeys(pair, ""), founder=founder, title=title)
            self.by_name[name] = room
            if not room.private:
                insort(self.public, name)
            self._note_members(room)
            self._turn.if_lost(lambda: self._unmake(room))
        for member in members:
            if room.called.get(member.person) != member.name:
                room.called[member.person] = member.name
                room.kept, room.planned = False, -1
        if said and not room.kept and room.planned != self._turn.number:
            room.planned = self._turn.number
            told = tuple(Member(person, room.called[person]) for person in room.pair)
            self._turn.work.rooms.append(NewRoom(name, told, room.founder))
        return room

    def make_private(self, one: Member, other: Member) -> Room:
        """The room of two persons, made if it is not there.

        Raises:
            errors.LimitReached: one of them has too many.
        """
        name = _private_id(one.person, other.person)
        if name not in self.by_name:
            for person in (one.person, other.person):
                self.check_private(person)
        return self.make(name, tuple(sorted((one, other), key=lambda member: member.person)))

    def check_private(self, person: bytes) -> None:
        """Whether a person may have one more private room.

        Raises:
            errors.LimitReached: there are too many.
        """
        coming = len(self._expected.get(person, ()))
        if len(self._private.get(person, ())) + coming >= self._turn.settings.max_private_rooms:
            raise errors.LimitReached("too many private conversations")

    def of_two(self, one: bytes, other: bytes) -> Room | None:
        """The room of two persons, if it is there."""
        return self.by_name.get(_private_id(one, other))

    def canonical(self, wanted: str) -> str:
        """The canonical name of a public room.

        Raises:
            errors.NameInvalid: it cannot be a room's name.
        """
        # What PRECIS makes of a name takes 50 µs, but a canonical one is its own.
        return wanted if wanted in self.by_name and not is_private(wanted) else names.room(wanted)

    def private(self, person: bytes) -> list[Room]:
        """A person's private rooms."""
        return [*self._private.get(person, {}).values()]

    def find(self, person: bytes, wanted: str) -> Room:
        """The public room of that name, or the private one of that id, of that label, or with who is or was last called
        so after an `@`. Whether the person may read it is asked elsewhere, but that a private one is its own.

        Raises:
            errors.NoSuchRoom: it is not there, or not this person's.
            errors.NameInvalid: it cannot be a room's name.
        """
        room: Room | None
        if wanted.startswith(names.PRIVATE):
            mine = self._private.get(person, {}).values()
            # What it is called precisely may be longer than what one can give a room as its name.
            precisely = "~" in wanted and any(_precise(one) == wanted for one in mine)
            label = wanted if precisely else names.private_room(wanted)
            room = next((one for one in mine if one.members[person] == label), None)
            room = room or next((one for one in mine if _precise(one) == label), None)
        elif is_private(wanted):
            room = self._private.get(person, {}).get(wanted) or self._private_with(person, wanted[1:])
        else:
            room = self.by_name.get(self.canonical(wanted))
        if room is None or (room.title and not self.belongs(person, room)):
            raise errors.NoSuchRoom
        return room

    def belongs(self, person: bytes, room: Room) -> bool:
        """Whether a private room is a person's, also by what is planned in this turn."""
        return person in room.members and (bool(room.pair) or bool(self._doors.role(room.name, person)))

    def _private_with(self, person: bytes, name: str) -> Room | None:
        try:
            key = names.same(name)
        except errors.NameInvalid:
            return None
        mine = {room.name: room for room in self.private(person) if room.pair}
        try:
            _, other = self._people.owner(name)
        except errors.NoSuchPerson:  # forgotten
            pass
        else:
            there = mine.get(_private_id(person, other))  # where a message to that name would go
            if there is not None:
                return there
        return next((room for room in mine.values() if names.same(room.called[other_of(room, person)]) == key), None)

    # What waits for who is away --------------------------------------------------------------------------------------

    def check_waiting(self, room: Room, person: bytes) -> None:
        """Whether a person may say more in a private room.

        Raises:
            errors.LimitReached: too much waits for the other already, who is not here.
        """
        if room.waiting.get(other_of(room, person), 0) >= self._turn.settings.max_waiting:
            raise errors.LimitReached("as many messages wait for that person as may: wait until they are here")

    def came(self, person: bytes) -> None:
        """Somebody is here: what waited does not any more."""
        for room in self.private(person):
            room.waiting.pop(person, None)

    def expect(self, room: Room, person: bytes) -> None:
        """A private room is to be a person's once the turn is kept: it is not refused then."""
        self._expected.setdefault(person, {})[room.name] = room
        self._turn.if_lost(lambda: self._not_expected(room, person))

    def _not_expected(self, room: Room, person: bytes) -> None:
        coming = self._expected.get(person, {})
        coming.pop(room.name, None)
        if not coming:
            self._expected.pop(person, None)

    def titled(self, person: bytes, title: str) -> bool:
        """Whether a person has a private room of that name, or is about to."""
        rooms = (*self._private.get(person, {}).values(), *self._expected.get(person, {}).values())
        return any(room.title == title for room in rooms)

    def _note_members(self, room: Room) -> None:
        for person in room.members:
            self._private.setdefault(person, {})[room.name] = room

    def admit(self, room: Room, person: bytes) -> None:
        """A private room is a person's from now on. Of two with the same name the newer is called more precisely."""
        self._not_expected(room, person)
        mine = self._private.setdefault(person, {})
        taken = any(one.members[person] == room.title for one in mine.values() if one is not room)
        room.members[person] = _precise(room) if taken else room.title
        mine[room.name] = room

    def dismiss(self, room: Room, person: bytes) -> None:
        """A private room is a person's no longer."""
        room.members.pop(person, None)
        mine = self._private.get(person, {})
        mine.pop(room.name, None)
        if not mine:
            self._private.pop(person, None)

    # Who follows them -----------------------------------------------------------------------------------------------

    def enter(self, session: Session, room: Room, *, quiet: bool) -> None:
        """A session follows a room, and unless quiet is in its roster.

        Raises:
            errors.LimitReached: as many as may be follow it already.
        """
        if room.name not in session.rooms:
            if room.followers >= self._turn.settings.max_members:
                raise errors.LimitReached("as many as one room may have are in it: try again later")
            session.rooms[room.name] = False
            room.followers += 1
        if not session.rooms[room.name] and not quiet and session.name is not None:
            room.roster.add(session.name)
            self.everybody.add(session.name)
            session.rooms[room.name] = True
            self._changed[room.name] = room
            self._turn.log(Level.INFO, f"{session.name} joined {room.name}", session.peer)

    def leave(self, session: Session, name: str, *, lost: bool = False) -> None:
        """A session follows a room no longer."""
        if name not in session.rooms:
            return
        room = self.by_name[name]
        room.followers -= 1
        if session.rooms.pop(name) and session.name is not None:
            room.roster.remove(session.name, lost=lost)
            self.everybody.remove(session.name)
            self._changed[name] = room
        if not (room.followers or room.head or room.kept or room.planned == self._turn.number or name == LOBBY):
            self._forget(room)

    def _forget(self, room: Room) -> None:
        """Nobody is in a room, and nothing was ever said there: as if it had never been."""
        del self.by_name[room.name]
        if not room.private:
            del self.public[bisect_left(self.public, room.name)]
        self._changed.pop(room.name, None)
        if room.founder:
            self._founded[room.founder] -= 1
            if not self._founded[room.founder]:
                del self._founded[room.founder]

    def _unmake(self, room: Room) -> None:
        """What made a room could not be kept: it is not there, unless somebody is in it by now."""
        if not (room.followers or room.kept or room.name == LOBBY) and self.by_name.get(room.name) is room:
            for person in list(room.members):
                self.dismiss(room, person)
            self._forget(room)

    def rename(self, session: Session, name: str) -> None:
        """A session that has a name goes by another one, which is its own already."""
        for joined, present in session.rooms.items():
            if present and session.name is not None:
                room = self.by_name[joined]
                room.roster.rename(session.name, name)
                self.everybody.rename(session.name, name)
                self._changed[joined] = room
        session.name = name

    # What is told of them -------------------------------------------------------------------------------------------

    def spoke(self, room: Room, kept: Kept) -> None:
        """Events were appended; if the room is public they are published."""
        turn = self._turn
        room.head = kept.seq + len(kept.events) - 1
        room.moved, room.said, room.ms = turn.number, turn.clock, turn.now.ms
        if not room.private:
            turn.effects.publication(room.name, room.followers).events.extend(kept.events)
            if not room.quieting:
                room.quieting = True
                self._quieting.append((_together(turn.clock + turn.settings.quiet), room))

    def publish_presence(self) -> None:
        """Tells who came and went; of a crowd not too often."""
        turn = self._turn
        for name, room in list(self._changed.items()):
            crowded = len(room.roster) > turn.settings.named_members
            if crowded and room.told + turn.settings.crowd_pause > turn.clock:
                continue
            del self._changed[name]
            presence = room.roster.presence(turn.settings.named_members)
            if presence is not None:
                room.told, room.moved = turn.clock, turn.number
                if room.private:
                    self.presences.append((room, presence))
                else:
                    turn.effects.publication(name, room.followers).states.append(presence)
        self.everybody.presence(0)  # nobody is told: only forgets what changed

    def publish_heads(self) -> None:
        """Says the heads of rooms that went quiet once more, so that a lost tail is noticed."""
        turn = self._turn
        while self._quieting and self._quieting[0][0] <= turn.clock:
            _, room = self._quieting.popleft()
            if room.said + turn.settings.quiet > turn.clock:
                self._quieting.append((_together(room.said + turn.settings.quiet), room))
            else:
                room.quieting = False
                turn.effects.publication(room.name, room.followers).states.append(Head(room.head))

    def due(self) -> float:
        """When there is something to tell next, by the hub's clock; infinite if there is not."""
        quiet = self._quieting[0][0] if self._quieting else float("inf")
        pause = self._turn.settings.crowd_pause
        return min(quiet, min((room.told + pause for room in self._changed.values()), default=float("inf")))
