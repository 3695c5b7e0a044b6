"""Which names are in use, and by whom; and whose they were last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zchat import errors, names
from zchat.store.base import KnownName


@dataclass(slots=True)
class _Holder:
    name: str
    person: bytes
    looks: frozenset[str]
    sessions: int = 0


class Names:
    """Which names are in use, by whom. A name belongs to one person, as does everything that looks like it.

    Args:
        known: who went by which name last, the oldest first.
        keep: how many of these are kept.

    Attributes:
        unsaved: what the store does not know of them yet.
    """

    def __init__(self, known: Iterable[KnownName] = (), keep: int = 100_000) -> None:
        self._held: dict[str, _Holder] = {}  # by names.same
        self._by_look: dict[str, set[str]] = {}  # look: keys of names with it
        self._known = {one.key: one for one in known}
        self._keep = keep
        self.unsaved: dict[str, KnownName] = {}

    def take(self, wanted: str, person: bytes) -> str:
        """One more session of a person goes by a name.

        Args:
            wanted: as the user gave it.
            person: who asks.

        Returns:
            The name as it is shown.

        Raises:
            errors.NameInvalid: it cannot be a name.
            errors.NameTaken: it is another person's, or looks like one that is.
        """
        name = names.person(wanted)
        key = names.same(name)
        holder = self._held.get(key)
        if holder is None:
            looks = names.looks(name)
            for look in looks:
                for other in self._by_look.get(look, ()):
                    if self._held[other].person != person:
                        raise errors.NameTaken(f"the name {name} looks like one that is in use: choose another")
            holder = self._held[key] = _Holder(name, person, looks)
            for look in looks:
                self._by_look.setdefault(look, set()).add(key)
        elif holder.person != person:
            raise errors.NameTaken(f"the name {holder.name} is taken by another person: choose another")
        holder.sessions += 1
        self._know(KnownName(key, holder.name, person))
        return holder.name

    def _know(self, known: KnownName) -> None:
        if self._known.get(known.key) != known:
            self._known.pop(known.key, None)
            self._known[known.key] = self.unsaved[known.key] = known
            if len(self._known) > self._keep:
                del self._known[next(iter(self._known))]

    def release(self, name: str) -> None:
        """One session fewer goes by that name."""
        key = names.same(name)
        holder = self._held[key]
        holder.sessions -= 1
        if holder.sessions:
            return
        del self._held[key]
        for look in holder.looks:
            self._by_look[look].discard(key)
            if not self._by_look[look]:
                del self._by_look[look]

    def owner(self, name: str) -> tuple[str, bytes]:
        """The name as it is shown, and the person who has it, or who had it last.

        Raises:
            errors.NoSuchPerson: nobody had it, or it cannot be a name.
        """
        try:
            key = names.same(name)
            holder = self._held.get(key) or self._known[key]
        except (errors.NameInvalid, KeyError):
            # Cut short, since the answer is kept for a while.
            raise errors.NoSuchPerson(f"nobody was ever called {name[: names.PERSON_MAX]} here") from None
        return holder.name, holder.person
