"""Which names are in use, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from zchat import errors, names


@dataclass(slots=True)
class _Holder:
    name: str
    person: bytes
    looks: frozenset[str]
    sessions: int = 0


@dataclass(slots=True)
class Names:
    """Which names are in use, by whom. A name belongs to one person, as does everything that looks like it."""

    _held: dict[str, _Holder] = field(default_factory=dict)  # by names.same
    _by_look: dict[str, set[str]] = field(default_factory=dict)  # look: keys of names with it

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
        return holder.name

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
        """The name as it is shown, and the person who has it.

        Raises:
            errors.NoSuchPerson: nobody has it, or it cannot be a name.
        """
        try:
            return (holder := self._held[names.same(name)]).name, holder.person
        except (errors.NameInvalid, KeyError):
            # Cut short, since the answer is kept for a while.
            raise errors.NoSuchPerson(f"nobody here is called {name[: names.PERSON_MAX]}") from None
