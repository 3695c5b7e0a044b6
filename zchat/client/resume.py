"""Where a reader is, kept in a file over restarts of its program."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from zchat.errors import DataUnusable
from zchat.messages import Stamp

VERSION = 1

MOST = 10_000
"""Rooms in a file at most: more than anybody can follow."""


class ResumeFile:
    """Positions in a file that one program at a time has.

    It is replaced whole: whoever reads it finds one state or the one before, never half of one.

    Args:
        path: of the file; it need not be there. Beside it lies a lock, of the same name with `.lock` behind it.

    Attributes:
        stamp: the newest that was seen; None for a new file.
        positions: the last number handled in each room, by its name or id.

    Raises:
        errors.DataUnusable: another program has it, it cannot be read or written, or it is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp: Stamp | None = None
        self.positions: dict[str, int] = {}
        self._lock = self._locked()
        try:
            self._load()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save(self, stamp: Stamp, positions: dict[str, int]) -> None:
        """Keeps where the reader is now.

        Raises:
            errors.DataUnusable: it cannot be written; what was saved before is still there.
        """
        if (stamp.run, positions) == (self.stamp and self.stamp.run, self.positions):
            return
        content = {"v": VERSION, "run": stamp.run.hex(), "turn": stamp.turn, "positions": positions}
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            fresh.unlink(missing_ok=True)  # a crash left it
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise DataUnusable(f"cannot write the resume file {self.path}: {error.strerror or error}") from None
        self.stamp, self.positions = stamp, positions

    def close(self) -> None:
        """Lets another program have it."""
        self._lock.close()

    def _locked(self) -> IO[bytes]:
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb")
        except OSError as error:
            raise DataUnusable(f"cannot use the resume file {self.path}: {error.strerror or error}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            message = f"the resume file {self.path} is in use by another zchat: give each its own"
            raise DataUnusable(message) from None
        return lock

    def _load(self) -> None:
        try:
            if self.path.exists() and not self.path.is_file():
                raise DataUnusable(f"cannot read the resume file {self.path}: it is no file")
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["v"] != VERSION:
                raise DataUnusable(f"the resume file {self.path} was made by another version of zchat: name a new one")
            run = bytes.fromhex(content["run"])
            if not 8 <= len(run) <= 16:
                raise ValueError
            self.stamp = Stamp(run, _number(content["turn"]))
            self.positions = {room: _number(seq) for room, seq in content["positions"].items()}
            if len(self.positions) > MOST:
                raise ValueError
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DataUnusable(f"cannot read the resume file {self.path}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DataUnusable(f"{self.path} is no resume file: name another, or remove it to begin anew") from None


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:  # the broker would not read it
        raise ValueError
    return value
