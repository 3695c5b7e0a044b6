"""Who is in a room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from zchat.messages import Presence


@dataclass(slots=True)
class Roster:
    """Who is in a room, by name and number of sessions; changes are told once a turn.

    Attributes:
        version: rises with every presence told; by two where the names that changed are left out, so that whoever
            knew the others asks.
    """

    version: int = 0
    _names: Counter[str] = field(default_factory=Counter)
    _sorted: list[str] | None = None
    _before: dict[str, bool] = field(default_factory=dict)  # names touched since the last presence: were they in?
    _lost: set[str] = field(default_factory=set)
    _renamed: dict[str, str] = field(default_factory=dict)  # new name: old name

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        """One more session of that name is in."""
        self._touch(name)
        self._names[name] += 1

    def remove(self, name: str, *, lost: bool = False) -> None:
        """One session of that name is out: it left, or it was lost."""
        self._touch(name)
        self._names[name] -= 1
        if not self._names[name]:
            del self._names[name]
            if lost:
                self._lost.add(name)

    def rename(self, old: str, new: str) -> None:
        """A session that is in goes by another name."""
        self.remove(old)
        self.add(new)
        self._renamed[new] = self._renamed.pop(old, old)

    def names(self) -> list[str]:
        """Everybody in it, in order; not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self._names)
        return self._sorted

    def presence(self, named: int) -> Presence | None:
        """What changed since the last call, or None if nothing did.

        Args:
            named: people up to which names are told, and changes.
        """
        joined = {name for name, was in self._before.items() if not was and name in self._names}
        gone = {name for name, was in self._before.items() if was and name not in self._names}
        renamed = [(old, new) for new, old in self._renamed.items() if new in joined and old in gone]
        lost = self._lost & gone
        self._before, self._lost, self._renamed = {}, set(), {}
        if not joined and not gone:
            return None
        self.version += 1
        if len(self._names) > named:
            return Presence(self.version, len(self._names))
        if len(joined) + len(gone) > named:
            self.version += 1
            return Presence(self.version, len(self._names))
        for old, new in renamed:
            gone.discard(old)
            joined.discard(new)
        return Presence(
            self.version,
            len(self._names),
            _ordered(joined),
            _ordered(gone - lost),
            _ordered(lost & gone),
            tuple(sorted(renamed)),
        )

    def _touch(self, name: str) -> None:
        self._before.setdefault(name, name in self._names)
        self._lost.discard(name)
        self._sorted = None


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
