"""Whose each name is, who goes by it now, and who was here last when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from zchat import errors, names
from zchat.broker.turn import Turn
from zchat.messages import Value
from zchat.store.base import KnownName

K = TypeVar("K")

DAY_MS = 86_400_000

RESERVED_DAYS = 30
"""For so long a name that was given up for another is kept for who had it."""

LAZY = 5.0
"""Seconds that the store need not know that somebody left."""


class Seen(Value, frozen=True):
    """A name, and when its person was here last: milliseconds since 1970 UTC, 0 for now."""

    name: str
    ms: int


class _Several(Generic[K]):
    """Some names for each of very many, of which nearly all have one: tuples take a third of the memory of sets."""

    def __init__(self) -> None:
        self._some: dict[K, tuple[str, ...]] = {}

    def of(self, whom: K) -> tuple[str, ...]:
        return self._some.get(whom, ())

    def add(self, whom: K, name: str) -> None:
        before = self._some.get(whom, ())
        if name not in before:
            self._some[whom] = (*before, name)

    def remove(self, whom: K, name: str) -> None:
        left = tuple(one for one in self._some[whom] if one != name)
        if left:
            self._some[whom] = left
        else:
            del self._some[whom]


class Names:
    """Whose each name is. A name belongs to the person who took it first, as does everything that looks like it, also
    while that person is away.

    Args:
        turn: the turn under way.
        known: whose the names are, the one noted longest ago first.
        stays: says whose names are not forgotten to make room for others.
        forgotten: days after which the name of who does not come any more is free again; None for never.
    """

    def __init__(
        self,
        turn: Turn,
        known: Iterable[KnownName] = (),
        forgotten: int | None = None,
        stays: Callable[[bytes], bool] = lambda _person: False,
    ) -> None:
        self._turn = turn
        self._stays = stays
        self._known = {one.key: one for one in known}
        self._forgotten = forgotten
        self._here: dict[str, int] = {}  # sessions that go by it now, by key
        self._of: _Several[bytes] = _Several()  # keys of a person's names
        for one in self._known.values():
            self._of.add(one.person, one.key)
        self._by_look: _Several[str] | None = None  # look: keys of names with it; made when it is needed
        self._unsaved: dict[str, KnownName | None] = {}  # None for what is nobody's any more
        self._due = float("inf")
        self._sorted: list[KnownName] | None = None

    # Taking and leaving ---------------------------------------------------------------------------------------------

    def take(self, wanted: str, person: bytes, *, bot: bool = False) -> str:
        """One more session of a person goes by a name.

        Args:
            wanted: as the user gave it.
            person: who asks.
            bot: whether that is a bot: its name shows it.

        Returns:
            The name as it is shown.

        Raises:
            errors.NameInvalid: it cannot be a name.
            errors.NameTaken: it is another person's, or looks like one that is.
            errors.LimitReached: the person has as many names as one may have.
        """
        name = names.bot(wanted) if bot else names.person(wanted)
        key = names.same(name)
        shown = self._claim(name, key, person)
        self._here[key] = self._here.get(key, 0) + 1
        return shown

    def keep_for(self, name: str, person: bytes) -> str:
        """A person who is not here yet has a name, as it is shown; see `take`."""
        return self._claim(name, names.same(name), person)

    def _claim(self, name: str, key: str, person: bytes) -> str:
        owned = self._owned(key)
        if owned is not None and owned.person != person:
            raise errors.NameTaken(f"the name {owned.name} is taken by another person: choose another")
        if owned is None:
            for other in self._alike(name):
                alike = self._owned(other)
                if alike is not None and alike.person != person:
                    raise errors.NameTaken(f"the name {name} looks like one that is taken: choose another")
            if len(self._of.of(person)) >= self._turn.settings.max_names_person:
                raise errors.LimitReached("as many names as the broker keeps for one person: go by one of yours")
            self._make_room()
        shown = owned.name if owned is not None else name
        self._note(KnownName(key, shown, person, 0, self._turn.now.ms), at_once=owned is None or owned.until != 0)
        return shown

    def release(self, name: str, *, given_up: bool = False) -> None:
        """One session fewer goes by that name.

        Args:
            given_up: for another.
        """
        key = names.same(name)
        self._here[key] -= 1
        if self._here[key]:
            return
        del self._here[key]
        known = self._known[key]
        ms = self._turn.now.ms
        until = ms + RESERVED_DAYS * DAY_MS if given_up else known.until
        self._note(KnownName(key, known.name, known.person, until, ms), at_once=given_up)

    def keep(self, person: bytes) -> None:
        """A person may come back: the names are kept for as long as that one has them."""
        for key in self._of.of(person):
            known = self._known[key]
            self._note(KnownName(key, known.name, person, 0, known.seen))

    def give_up(self, person: bytes) -> None:
        """A person does not come back: the names get free in a while."""
        until = self._turn.now.ms + RESERVED_DAYS * DAY_MS
        for key in self._of.of(person):
            known = self._known[key]
            self._note(KnownName(key, known.name, person, known.until or until, known.seen))

    # Looking up -----------------------------------------------------------------------------------------------------

    def owner(self, name: str) -> tuple[str, bytes]:
        """The name as it is shown, and the person whose it is, or was last.

        Raises:
            errors.NoSuchPerson: nobody had it, or it cannot be a name.
        """
        try:
            known = self._known[names.same(name)]
        except (errors.NameInvalid, KeyError):
            # Cut short, since the answer is kept for a while.
            raise errors.NoSuchPerson(f"nobody was ever called {name[: names.PERSON_MAX]} here") from None
        return known.name, known.person

    def called(self, person: bytes) -> str:
        """What a person is called, here or not; empty if nobody knows."""
        mine = [self._known[key] for key in self._of.of(person)]
        return max(mine, key=lambda one: (one.until == 0, one.seen)).name if mine else ""

    def everybody(self) -> list[KnownName]:
        """Who is or was here, and goes by that name still."""
        return [one for one in self._known.values() if not one.until]

    def seen(self, after: str, limit: int) -> tuple[list[Seen], bool]:
        """Who is or was here, in order of the names, beyond a name; and whether there are more."""
        if self._sorted is None:
            self._sorted = sorted(self.everybody(), key=lambda one: one.name)
        start = bisect_right(self._sorted, after, key=lambda one: one.name)
        found = [Seen(one.name, 0 if one.key in self._here else one.seen) for one in self._sorted[start:][:limit]]
        return found, start + limit < len(self._sorted)

    def __len__(self) -> int:
        return len(self._known)

    def _owned(self, key: str) -> KnownName | None:
        """Whose a name is; None if it is free."""
        known = self._known.get(key)
        if known is None or key in self._here:
            return known
        ms = self._turn.now.ms
        if 0 < known.until <= ms:
            return None
        if self._forgotten is not None and known.seen + self._forgotten * DAY_MS <= ms:
            return None
        return known

    def _alike(self, name: str) -> set[str]:
        """The names that look like one."""
        if self._by_look is None:
            self._by_look = _Several()
            for known in self._known.values():
                self._index(known)
        return {key for look in names.looks(name) for key in self._by_look.of(look)}

    def _index(self, known: KnownName) -> None:
        if self._by_look is not None:
            for look in names.looks(known.name):
                self._by_look.add(look, known.key)

    # Keeping --------------------------------------------------------------------------------------------------------

    def _note(self, known: KnownName, *, at_once: bool = False) -> None:
        before = self._known.pop(known.key, None)
        if before is not None and before.person != known.person:
            self._of.remove(before.person, known.key)
        self._known[known.key] = self._unsaved[known.key] = known
        self._of.add(known.person, known.key)
        if before is None or before.until != known.until or before.name != known.name:
            self._sorted = None
        elif self._sorted is not None:  # only when it was seen has changed
            at = bisect_right(self._sorted, known.name, key=lambda one: one.name) - 1
            if at >= 0 and self._sorted[at].key == known.key:
                self._sorted[at] = known
            else:
                self._sorted = None
        if before is None or before.name != known.name:
            self._index(known)
        self._due = min(self._due, self._turn.clock + (0.0 if at_once else LAZY))

    def _make_room(self) -> None:
        """There are as many names as are kept: of those whom nobody let in the one that was noted longest ago is
        forgotten.
        """
        while len(self._known) >= self._turn.settings.max_names:
            free = (key for key, one in self._known.items() if key not in self._here and not self._stays(one.person))
            oldest = next(free, None)
            if oldest is None:
                raise errors.LimitReached("as many names as the broker keeps: ask who runs it for more")
            known = self._known.pop(oldest)
            self._of.remove(known.person, oldest)
            if self._by_look is not None:
                for look in names.looks(known.name):
                    self._by_look.remove(look, oldest)
            self._unsaved[oldest] = None
            self._sorted = None

    def save(self, *, at_once: bool) -> None:
        """Has the store keep what it does not know yet, if it has other work anyway or it is time."""
        work = self._turn.work
        if self._unsaved and (at_once or work.writes or self._due <= self._turn.clock):
            work.names += [known for known in self._unsaved.values() if known is not None]
            work.freed += [key for key, known in self._unsaved.items() if known is None]

    def saved(self) -> None:
        """The turn's work was committed."""
        for known in self._turn.work.names:
            if self._unsaved.get(known.key) == known:
                del self._unsaved[known.key]
        for key in self._turn.work.freed:
            if self._unsaved.get(key, 0) is None:
                del self._unsaved[key]
        if not self._unsaved:
            self._due = float("inf")

    def failed(self) -> None:
        """The turn's work could not be committed: later, then."""
        if self._unsaved:
            self._due = self._turn.clock + LAZY

    def due(self) -> float:
        """When they must be saved, by the hub's clock; infinite if nothing is unsaved."""
        return self._due
