"""Who belongs to which room, who is kept out or silent, and on which terms one speaks: the records of it, and a cache.

Changes are part of the turn's work; if its commit fails they are undone, so nothing is true that a crash would undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from zchat import errors
from zchat.broker.turn import Turn
from zchat.store.base import Block, Membership, Record, Sanction, Terms

BAN, MUTE = "ban", "mute"

EVERYWHERE = ""
"""The room of a sanction that holds everywhere."""

Kept = Membership | Sanction | Terms | Block

K = TypeVar("K")
L = TypeVar("L")
V = TypeVar("V")


class Doors:
    """The doors of all rooms.

    Args:
        turn: the turn under way: changes are part of its work.
        records: what the store keeps.
    """

    def __init__(self, turn: Turn, records: Iterable[Record]) -> None:
        self._turn = turn
        self._members: dict[str, dict[bytes, Membership]] = {}
        self._sanctions: dict[str, dict[tuple[bytes, str], Sanction]] = {}
        self._terms: dict[str, Terms] = {}
        self._blocks: dict[bytes, dict[bytes, Block]] = {}
        self._spoke: dict[tuple[str, bytes], float] = {}  # in slow rooms: when each spoke last
        for record in records:
            if isinstance(record, Kept):
                self._put(record)

    # Members --------------------------------------------------------------------------------------------------------

    def members(self, room: str) -> dict[bytes, Membership]:
        """Who belongs to a private room, or moderates another, longest first; not to be changed."""
        return self._members.get(room, {})

    def role(self, room: str, person: bytes) -> str:
        """`member` or `moderator` of a room; empty for who is neither."""
        found = self._members.get(room, {}).get(person)
        return found.role if found is not None else ""

    def admit(self, room: str, person: bytes, role: str) -> None:
        """Somebody belongs to a room, in a role, from now on."""
        before = self._members.get(room, {}).get(person)
        self._keep(Membership(room, person, role, before.ms if before is not None else self._turn.now.ms))

    def dismiss(self, room: str, person: bytes) -> None:
        """Somebody does not belong to a room any more."""
        found = self._members.get(room, {}).get(person)
        if found is not None:
            self._drop(found)

    # Sanctions ------------------------------------------------------------------------------------------------------

    def sanction(self, room: str, person: bytes, verb: str, name: str, seconds: int, by: str, reason: str) -> None:
        """Somebody is banned or muted.

        Args:
            room: where; see `EVERYWHERE`.
            verb: `BAN` or `MUTE`.
            seconds: for how long; 0 for good.

        Raises:
            errors.LimitReached: as many are, as one room may have.
        """
        now = self._turn.now.ms
        there = self._sanctions.get(room, {})
        if (person, verb) not in there and len(there) >= self._turn.settings.max_sanctions:
            for old in [one for one in there.values() if _over(one, now)]:
                self._drop(old)
            if len(self._sanctions.get(room, {})) >= self._turn.settings.max_sanctions:
                raise errors.LimitReached("as many are banned or muted as may be: undo one that matters no more")
        self._keep(Sanction(room, person, verb, name, now + seconds * 1000 if seconds else 0, by, now, reason))

    def lift(self, room: str, person: bytes, verb: str) -> None:
        """Somebody is not banned, or muted, any more.

        Raises:
            errors.NoSuchPerson: that one was not.
        """
        found = self._sanctions.get(room, {}).get((person, verb))
        if found is None:
            raise errors.NoSuchPerson("nobody of that name is banned here" if verb == BAN else "nobody is muted so")
        self._drop(found)

    def sanctioned(self, room: str, person: bytes, verb: str) -> Sanction | None:
        """How somebody is banned, or muted, in a room; None if that one is not."""
        found = self._sanctions.get(room, {}).get((person, verb))
        return found if found is not None and not _over(found, self._turn.now.ms) else None

    def sanctions(self, room: str) -> Iterator[Sanction]:
        """Who is banned or muted in a room."""
        now = self._turn.now.ms
        return (one for one in self._sanctions.get(room, {}).values() if not _over(one, now))

    # Terms ----------------------------------------------------------------------------------------------------------

    def guarded(self, room: str) -> bool:
        """Whether somebody may not be free to speak in a room."""
        if room in self._sanctions or EVERYWHERE in self._sanctions:
            return True
        terms = self._terms.get(room)
        return terms is not None and (terms.readonly or terms.slow > 0)

    def terms(self, room: str) -> Terms:
        """How things are in a room."""
        return self._terms.get(room) or Terms(room)

    def change(self, room: str, **changes: object) -> None:
        """Things are otherwise in a room from now on; see `Terms`."""
        self._keep(self.terms(room).changed(**changes))

    def wait(self, room: str, person: bytes) -> float:
        """Notes that somebody speaks in a room; or says how many seconds to wait before, if it is slow."""
        slow = self.terms(room).slow
        if not slow:
            return 0.0
        clock = self._turn.clock
        left = self._spoke.get((room, person), -float(slow)) + slow - clock
        if left > 0:
            return left
        before = self._spoke.pop((room, person), None)
        if len(self._spoke) >= self._turn.settings.max_names:
            del self._spoke[next(iter(self._spoke))]  # who spoke longest ago
        self._spoke[room, person] = clock
        self._turn.if_lost(lambda: self._unspoken(room, person, before))
        return 0.0

    def _unspoken(self, room: str, person: bytes, before: float | None) -> None:
        if before is None:
            self._spoke.pop((room, person), None)
        else:
            self._spoke[room, person] = before

    # Blocks ---------------------------------------------------------------------------------------------------------

    def blocks(self, person: bytes) -> list[bytes]:
        """From whom a person takes nothing private."""
        return list(self._blocks.get(person, ()))

    def is_blocked(self, person: bytes, by: bytes) -> bool:
        """Whether somebody takes nothing private from a person."""
        return person in self._blocks.get(by, ())

    def block(self, person: bytes, other: bytes) -> None:
        """A person takes nothing private from another any more.

        Raises:
            errors.LimitReached: as many are blocked as one may block.
        """
        mine = self._blocks.get(person, {})
        if other not in mine and len(mine) >= self._turn.settings.max_blocks_person:
            raise errors.LimitReached("you block as many as one may: unblock one")
        self._keep(Block(person, other))

    def unblock(self, person: bytes, other: bytes) -> None:
        """A person takes what is private from another again.

        Raises:
            errors.NoSuchPerson: the other was not blocked.
        """
        found = self._blocks.get(person, {}).get(other)
        if found is None:
            raise errors.NoSuchPerson("you do not block anybody of that name")
        self._drop(found)

    # What is kept ---------------------------------------------------------------------------------------------------

    def _keep(self, record: Kept) -> None:
        before = self._put(record)
        self._turn.keep(record, lambda: self._take(record) if before is None else self._put(before))

    def _drop(self, record: Kept) -> None:
        self._take(record)
        self._turn.drop(record, lambda: self._put(record))

    def _put(self, record: Kept) -> Kept | None:
        before: Kept | None
        match record:
            case Membership(room, person):
                before = self._members.setdefault(room, {}).get(person)
                self._members[room][person] = record
            case Sanction(room, person, verb):
                before = self._sanctions.setdefault(room, {}).get((person, verb))
                self._sanctions[room][person, verb] = record
            case Terms(room):
                before = self._terms.get(room)
                self._terms[room] = record
            case Block(person, other):
                before = self._blocks.setdefault(person, {}).get(other)
                self._blocks[person][other] = record
        return before

    def _take(self, record: Kept) -> None:
        match record:
            case Membership(room, person):
                _without(self._members, room, person)
            case Sanction(room, person, verb):
                _without(self._sanctions, room, (person, verb))
            case Terms(room):
                self._terms.pop(room, None)
            case Block(person, other):
                _without(self._blocks, person, other)


def _without(table: dict[K, dict[L, V]], key: K, inner: L) -> None:
    table[key].pop(inner, None)
    if not table[key]:
        del table[key]


def _over(sanction: Sanction, ms: int) -> bool:
    return 0 < sanction.until <= ms
