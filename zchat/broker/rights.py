"""Who may do what where: what somebody is in a room or with the broker, and whether that is enough. Keeps nothing.

Everything that a request may see or do goes through `Rights`. What a verb takes stands in `verbs`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from zchat import errors
from zchat.broker.admission import MODERATOR, OWNER, Admission
from zchat.broker.doors import BAN, EVERYWHERE, MUTE, Doors
from zchat.broker.rooms import Room, Rooms
from zchat.messages import LATEST_MS
from zchat.store.base import Sanction
from zchat.verbs import AUDIT, Rank, Verb

_ROLES = {OWNER: Rank.OWNER, MODERATOR: Rank.STAFF}


class Rights:
    """What persons may do.

    Args:
        doors: who belongs where, and who is kept out or silent.
        rooms: all of them.
        admission: what people are to the broker, under CURVE; None on plaintext, where nobody is anything.
    """

    def __init__(self, doors: Doors, rooms: Rooms, admission: Admission | None) -> None:
        self._doors = doors
        self._rooms = rooms
        self._admission = admission

    # Ranks ----------------------------------------------------------------------------------------------------------

    def staff(self, person: bytes) -> Rank:
        """What somebody is to the broker."""
        role = self._admission.role(person) if self._admission is not None else ""
        return _ROLES.get(role, Rank.MEMBER)

    def rank(self, person: bytes, room: Room) -> Rank:
        """What somebody is in a room."""
        if room.name == AUDIT:
            return self.staff(person)
        if room.private and not self._rooms.belongs(person, room):
            return Rank.OUTSIDER
        rank = self.staff(person)
        if rank >= Rank.STAFF and not room.private:
            return rank
        if self.sanctioned(room.name, person, BAN) is not None:
            return Rank.OUTSIDER
        if room.founder == person:
            return Rank.FOUNDER
        return Rank.MODERATOR if self._doors.role(room.name, person) == MODERATOR else Rank.MEMBER

    def sanctioned(self, room: str, person: bytes, verb: str) -> Sanction | None:
        """How somebody is banned, or muted, in a room; a bot is no freer than who answers for it."""
        found = self._doors.sanctioned(room, person, verb)
        answers = self._admission.answers(person) if found is None and self._admission is not None else b""
        return self._doors.sanctioned(room, answers, verb) if answers else found

    def is_blocked(self, person: bytes, by: bytes) -> bool:
        """Whether somebody takes nothing private from a person, nor from the bots for which that one answers."""
        answers = self._admission.answers(person) if self._admission is not None else b""
        return self._doors.is_blocked(person, by) or (bool(answers) and self._doors.is_blocked(answers, by))

    def check(self, verb: Verb, mine: Rank, theirs: Rank | None = None) -> None:
        """Whether somebody may do something, maybe to somebody else.

        Raises:
            errors.NotAllowed: not, or not to that one.
        """
        if mine < verb.rank:
            raise errors.NotAllowed(f"{verb.name} takes {_CALLED[verb.rank]}: ask one of them")
        if verb.over and theirs is not None and mine <= theirs:
            raise errors.NotAllowed(f"{verb.name} cannot be done to {_CALLED[theirs]} by you")

    # Rooms ----------------------------------------------------------------------------------------------------------

    def readable(self, person: bytes, wanted: str) -> Room:
        """A room that somebody may read, by its name, label or id.

        Raises:
            errors.NoSuchRoom: it is not there, or not this person's.
            errors.Banned: the person is banned from it.
            errors.NameInvalid: it cannot be a room's name.
        """
        if wanted == AUDIT and self.staff(person) >= Rank.STAFF:
            return self._rooms.make(AUDIT, said=False)
        room = self._rooms.find(person, wanted)
        if self.rank(person, room) == Rank.OUTSIDER:
            self.check_ban(room.name, person)
            raise errors.NoSuchRoom
        return room

    def may_read(self, person: bytes, room: str) -> bool:
        """Whether somebody may read a room that is called so."""
        try:
            self.readable(person, room)
        except errors.Refusal:
            return False
        return True

    def check_ban(self, room: str, person: bytes) -> None:
        """Whether somebody may enter a room at all.

        Raises:
            errors.Banned: not for now.
        """
        ban = self.sanctioned(room, person, BAN)
        if ban is not None:
            raise errors.Banned(_told("banned from this room", ban))

    def check_admission(self, person: bytes) -> None:
        """Whether somebody may come in at all.

        Raises:
            errors.NotAdmitted: the broker's staff banned that one, or who answers for it.
        """
        ban = self.sanctioned(EVERYWHERE, person, BAN)
        if ban is not None and self.staff(person) < Rank.OWNER:
            raise errors.NotAdmitted(_told("banned here", ban))

    def check_mute(self, person: bytes, room: str) -> None:
        """Whether somebody may do more than read, in a room, or with `EVERYWHERE` at all.

        Raises:
            errors.Muted: not for now.
        """
        for where in dict.fromkeys((room, EVERYWHERE)):
            mute = self.sanctioned(where, person, MUTE)
            if mute is not None and self.staff(person) < Rank.STAFF:
                raise errors.Muted(_told("muted", mute))

    def check_speech(self, person: bytes, room: Room) -> None:
        """Whether somebody may say something in a room now. In a slow room it counts as said.

        Raises:
            errors.Banned, errors.Muted, errors.ReadOnly, errors.SlowMode: not now, and why.
            errors.NoSuchRoom: it is not this person's.
        """
        doors = self._doors
        if not doors.guarded(room.name) and not room.private:
            return
        rank = self.rank(person, room)
        if rank == Rank.OUTSIDER:
            self.check_ban(room.name, person)
            raise errors.NoSuchRoom
        self.check_mute(person, room.name)
        if rank >= Rank.MODERATOR:
            return
        if doors.terms(room.name).readonly:
            raise errors.ReadOnly
        wait = doors.wait(room.name, person)
        if wait:
            raise errors.SlowMode(f"this room is slow: say it again in {wait:.0f} s")


_CALLED = {
    Rank.OUTSIDER: "anybody",
    Rank.MEMBER: "a member",
    Rank.MODERATOR: "a moderator of the room",
    Rank.FOUNDER: "the founder of the room",
    Rank.STAFF: "a moderator of the broker",
    Rank.OWNER: "an owner of the broker",
    Rank.OPERATOR: "the operator",
}


def moment(ms: int) -> str:
    """A time in milliseconds since 1970 UTC, as people read it."""
    return f"{datetime.fromtimestamp(min(ms, LATEST_MS) / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _told(what: str, sanction: Sanction) -> str:
    """A sentence about a sanction for whom it holds."""
    end = f" until {moment(sanction.until)}" if sanction.until else ""
    return f"you are {what}{end} by {sanction.by}" + (f": {sanction.reason}" if sanction.reason else "")
