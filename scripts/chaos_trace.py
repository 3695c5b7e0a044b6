"""What a program did to the files of a folder and what it sent, in order, out of a recording by strace. Pure.

    operations(lines, Path("/data"))

A recording is made with `ARGUMENTS`; strings in it are in hexadecimal. Directories inside the folder are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ARGUMENTS = (
    "-f",
    "-yy",
    "-xx",
    "-s",
    "1000000",
    "-e",
    "signal=none",
    "-e",
    "trace=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "sync_file_range,copy_file_range,sendfile,unlink,unlinkat,rename,renameat,renameat2,link,linkat,lseek,dup,dup2,dup3,"
    "sendto,sendmsg",
)
"""How strace is to record."""


class Unclear(Exception):
    """The recording holds something that this cannot judge; the message says what."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes are put into a file."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file gets another length."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Create:
    """A file is made, empty."""

    name: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """A name is taken away."""

    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A file takes another name, and the place of what had it."""

    name: str
    to: str


@dataclass(frozen=True, slots=True)
class Sync:
    """What was done to a file before `since` is on the disk; with an empty name, to the folder's names.

    Attributes:
        since: how many operations came before it began.
    """

    name: str
    since: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes leave over a connection.

    Attributes:
        socket: which: both ends of it.
    """

    socket: str
    data: bytes


Operation = Write | Truncate | Create | Unlink | Rename | Sync | Sent

_LINE = re.compile(r"(\d+) +(.*)")
_UNFINISHED = re.compile(r"(\w+)\((.*?),? *<unfinished \.\.\.>$")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>,? *(.*)$")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(.*)$")
_FD = re.compile(r"(-?\d+|AT_FDCWD)(?:<(.*?)>(?=$|,| \())?")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(slots=True)
class _Call:
    """A system call.

    Attributes:
        begun: how many operations came before it.
    """

    name: str
    arguments: str
    result: int
    shown: str
    begun: int


def operations(lines: Iterable[str], folder: Path) -> list[Operation]:
    """What was done, in order: writes when they began, syncs when they were over.

    Args:
        lines: of the recording.
        folder: whose files matter.

    Raises:
        Unclear: something was done to these files that this does not know.
    """
    return _Reader(folder).read(lines)


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._done: list[Operation] = []
        self._places: dict[int, int] = {}  # of descriptors, where the next write goes
        self._sizes: dict[str, int] = {}

    def read(self, lines: Iterable[str]) -> list[Operation]:
        pending: dict[str, tuple[str, str, int, int | None]] = {}
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            pid, rest = found.groups()
            if unfinished := _UNFINISHED.match(rest):
                name, arguments = unfinished.groups()
                begun = len(self._done)
                # What a call may do counts from its begin; how it ends is known later.
                at = self._effect(_Call(name, arguments, -2, "", begun)) if name in _EARLY else None
                pending[pid] = (name, arguments, begun, at)
                continue
            if resumed := _RESUMED.match(rest):
                name, arguments, begun, at = pending.pop(pid)
                call = _CALL.match(f"{name}({arguments}{', ' if resumed[2][:1] not in ')' else ''}{resumed[2]}")
                if call is None:
                    raise Unclear(line[:200])
                if at is None:
                    self._effect(_Call(name, call[2], _number(call[3]), call[4], begun))
                else:
                    self._amend(at, _number(call[3]))
                continue
            if call := _CALL.match(rest):
                self._effect(_Call(call[1], call[2], _number(call[3]), call[4], len(self._done)))
        return self._done

    def _amend(self, at: int, result: int) -> None:
        """A call that counted from its begin has ended: so many bytes it was."""
        one = self._done[at]
        if isinstance(one, Write | Sent):
            self._done[at] = replace(one, data=one.data[: max(result, 0)])

    def _effect(self, call: _Call) -> int | None:
        """Notes what a call did; gives where, if anywhere."""
        if call.result == -1:
            return None
        before = len(self._done)
        handler = _HANDLERS.get(call.name)
        if handler is None:
            if self._inside(call.arguments):
                raise Unclear(f"{call.name} on a file of {self._folder}")
        else:
            getattr(self, handler)(call)
        return before if len(self._done) > before else None

    def _inside(self, text: str) -> bool:
        return _hex(self._folder + "/") in text

    def _name(self, path: bytes | str | None) -> str | None:
        """A file's name in the folder; empty for the folder itself, None for what lies elsewhere."""
        if path is None:
            return None
        text = path.decode(errors="surrogateescape") if isinstance(path, bytes) else path
        if text == self._folder:
            return ""
        parent, _, name = text.rpartition("/")
        return name if parent == self._folder else None

    def _file(self, call: _Call) -> tuple[int, str | None]:
        """The descriptor that is the first argument, and its file's name."""
        found = _FD.match(call.arguments)
        if found is None or not found[1].lstrip("-").isdigit():
            return -1, None
        return int(found[1]), self._name(_bytes(found[2])) if found[2] and found[2].startswith("\\x") else None

    def _path(self, call: _Call) -> list[str | None]:
        """The names in its arguments, which are absolute or relative to a folder that is given."""
        base = _FD.match(call.arguments)
        folder = _bytes(base[2]).decode() if base and base[2] and base[2].startswith("\\x") else ""
        found: list[str | None] = []
        for text, _ in _STRING.findall(call.arguments):
            path = _bytes(text).decode(errors="surrogateescape")
            found.append(self._name(path if path.startswith("/") else f"{folder}/{path}"))
        return found

    # Calls ------------------------------------------------------------------------------------------------------------

    def _opened(self, call: _Call) -> None:
        names = self._path(call)
        self._places[call.result] = 0
        if not names or not names[0]:
            return
        name = names[0]
        if "O_CREAT" in call.arguments and name not in self._sizes:
            self._sizes[name] = 0
            self._done.append(Create(name))
        if "O_TRUNC" in call.arguments:
            self._sizes[name] = 0
            self._done.append(Truncate(name, 0))
        if "O_APPEND" in call.arguments:
            self._places[call.result] = self._sizes.get(name, 0)

    def _wrote(self, call: _Call) -> None:
        fd, name = self._file(call)
        if not name:
            if "<TCP" in call.arguments[:40]:
                self._sent(call)
            return
        data = self._data(call)
        offset = self._places.get(fd, 0)
        if call.name == "pwrite64":
            offset = int(call.arguments.rpartition(",")[2])
        else:
            self._places[fd] = offset + len(data)
        self._sizes[name] = max(self._sizes.get(name, 0), offset + len(data))
        self._done.append(Write(name, offset, data))

    def _sent(self, call: _Call) -> None:
        found = _FD.match(call.arguments)
        if found is not None and found[2] and found[2].startswith("TCP"):
            self._done.append(Sent(found[2], self._data(call)))

    def _data(self, call: _Call) -> bytes:
        found = _STRING.search(call.arguments)
        if found is None or found[2]:
            raise Unclear(f"{call.name}: not all of its bytes were recorded")
        data = _bytes(found[1])
        return data[: call.result] if call.result >= 0 else data

    def _truncated(self, call: _Call) -> None:
        _, name = self._file(call)
        if name:
            size = int(call.arguments.rpartition(",")[2])
            self._sizes[name] = size
            self._done.append(Truncate(name, size))

    def _synced(self, call: _Call) -> None:
        _, name = self._file(call)
        if name is not None:
            self._done.append(Sync(name, call.begun))

    def _unlinked(self, call: _Call) -> None:
        for name in self._path(call)[:1]:
            if name:
                self._sizes.pop(name, None)
                self._done.append(Unlink(name))

    def _renamed(self, call: _Call) -> None:
        old, new = self._path(call)[:2]
        if bool(old) != bool(new):
            raise Unclear("a file is moved into or out of the folder")
        if old and new:
            self._sizes[new] = self._sizes.pop(old, 0)
            self._done.append(Rename(old, new))

    def _sought(self, call: _Call) -> None:
        fd, name = self._file(call)
        if name:
            self._places[fd] = call.result


_EARLY = {"write", "pwrite64", "sendto"}

_HANDLERS = {
    "open": "_opened",
    "openat": "_opened",
    "creat": "_opened",
    "write": "_wrote",
    "pwrite64": "_wrote",
    "sendto": "_sent",
    "ftruncate": "_truncated",
    "fsync": "_synced",
    "fdatasync": "_synced",
    "unlink": "_unlinked",
    "unlinkat": "_unlinked",
    "rename": "_renamed",
    "renameat": "_renamed",
    "renameat2": "_renamed",
    "lseek": "_sought",
}


def _hex(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _number(text: str) -> int:
    return -1 if text == "?" else int(text)


# What was said --------------------------------------------------------------------------------------------------------


def frames(sent: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The ZMTP messages of one connection, without those of one part that are commands.

    Args:
        sent: the bytes as they left, each with where in the recording.

    Yields:
        Where the last byte of each part left, and the part.
    """
    data = b""
    greeted = False
    for at, more in sent:
        data += more
        if not greeted:
            if len(data) < 64:
                continue
            data, greeted = data[64:], True
        while len(data) >= 2:
            flags = data[0]
            head = 9 if flags & 2 else 2
            if len(data) < head:
                break
            size = int.from_bytes(data[1:head], "big")
            if len(data) < head + size:
                break
            if not flags & 4:
                yield at, data[head : head + size]
            data = data[head + size :]
