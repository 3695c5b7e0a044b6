"""A folder on a disk that loses its power: what was synced is there, of the rest anything may be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from scripts.chaos_trace import Create, Operation, Rename, Sent, Sync, Truncate, Unlink, Write

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""

WAYS = ("dropped", "some", "shuffled", "torn", "kept")
"""What may become of what was not synced: nothing of it is there; some of the writes; some, and not in order; some
sectors; or all of it, as when only the program dies.
"""


@dataclass(slots=True)
class _File:
    """A file's bytes on the disk, and what may be there too: each with where in the recording."""

    data: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Write | Truncate]] = field(default_factory=list)


class Disk:
    """A folder, empty at first, to which operations are applied one after the other."""

    def __init__(self) -> None:
        self._names: dict[str, _File] = {}  # as the program sees them
        self._kept: dict[str, _File] = {}  # as the disk has them
        self._pending: list[tuple[int, Create | Unlink | Rename, _File]] = []
        self._at = 0

    @property
    def unsynced(self) -> bool:
        """Whether there is anything that may be lost."""
        return bool(self._pending) or any(one.pending for one in self._names.values())

    def apply(self, operation: Operation) -> None:
        """The next operation is done."""
        at, self._at = self._at, self._at + 1
        match operation:
            case Create(name):
                made = self._names[name] = _File()
                self._pending.append((at, operation, made))
            case Unlink(name):
                gone = self._names.pop(name)
                self._pending.append((at, operation, gone))
            case Rename(name, to):
                moved = self._names[to] = self._names.pop(name)
                self._pending.append((at, operation, moved))
            case Write(name) | Truncate(name):
                self._names[name].pending.append((at, operation))
            case Sync("", since):
                self._kept = _named(self._kept, [one for one in self._pending if one[0] < since])
                self._pending = [one for one in self._pending if one[0] >= since]
            case Sync(name, since) if name in self._names:
                file = self._names[name]
                for _, one in (entry for entry in file.pending if entry[0] < since):
                    _do(file.data, one)
                file.pending = [one for one in file.pending if one[0] >= since]
            case Sync() | Sent():
                pass

    def crash(self, way: str, random: Random) -> dict[str, bytes]:
        """What is in the folder if the power fails now.

        Args:
            way: one of `WAYS`.
            random: decides what is not decided by that.

        Returns:
            The bytes of each file.
        """
        # Names are kept in their order by every file system that has a journal; how far is anybody's guess.
        count = {"dropped": 0, "kept": len(self._pending)}.get(way, random.randint(0, len(self._pending)))
        names = _named(self._kept, self._pending[:count])
        return {name: bytes(_crashed(file, way, random)) for name, file in names.items()}


def _named(names: dict[str, _File], pending: Sequence[tuple[int, Create | Unlink | Rename, _File]]) -> dict[str, _File]:
    found = dict(names)
    for _, operation, file in pending:
        match operation:
            case Create(name):
                found[name] = file
            case Unlink(name):
                found.pop(name, None)
            case Rename(name, to):
                found.pop(name, None)
                found[to] = file
    return found


def _crashed(file: _File, way: str, random: Random) -> bytearray:
    data = bytearray(file.data)
    pending = [one for _, one in file.pending]
    if way == "torn":
        pending = [part for one in pending for part in _sectors(one)]
    if way in ("some", "shuffled", "torn"):
        share = random.random()
        pending = [one for one in pending if random.random() < share]
    if way == "shuffled":
        random.shuffle(pending)
    if way != "dropped":
        for one in pending:
            _do(data, one)
    return data


def _sectors(operation: Write | Truncate) -> list[Write | Truncate]:
    if isinstance(operation, Truncate):
        return [operation]
    parts: list[Write | Truncate] = []
    begin, end = operation.offset, operation.offset + len(operation.data)
    while begin < end:
        edge = min((begin // SECTOR + 1) * SECTOR, end)
        parts.append(Write(operation.name, begin, operation.data[begin - operation.offset : edge - operation.offset]))
        begin = edge
    return parts


def _do(data: bytearray, operation: Write | Truncate) -> None:
    if isinstance(operation, Truncate):
        del data[operation.size :]
        data.extend(bytes(operation.size - len(data)))
        return
    if len(data) < operation.offset:
        data.extend(bytes(operation.offset - len(data)))
    data[operation.offset : operation.offset + len(operation.data)] = operation.data
