"""The data folder: made so that only its owner can look into it, and held by one program at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from zchat.errors import DataUnusable

DATABASE = "zchat.db"
LOCK = "lock"


class Lock:
    """Holds a data folder, which is made if it is not there, until it is released or the process ends.

    Args:
        folder: made with rights 0700, whatever the umask, and so are its parents. One that is there and holds no
            database yet gets these rights.

    Raises:
        errors.DataUnusable: another program holds it, or it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        try:
            _make(folder)
            if not (folder / DATABASE).exists():
                folder.chmod(0o700)
            self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(folder, error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise DataUnusable(
                f"the data folder {folder} is in use by process {holder or '?'}: stop that one, or use another folder"
            ) from None
        except OSError as error:
            os.close(self._file)
            raise _unusable(folder, error) from None

    def release(self) -> None:
        """Lets go of the folder. Doing so twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to be filled, with rights 0600, that takes the place of `path` when it is complete and on the disk.

    Args:
        path: of the file to be made or replaced. It is left as it is if filling fails.
    """
    made = path.with_name(f"{path.name}.new")
    made.unlink(missing_ok=True)
    try:
        private(made)
        yield made
        _sync(made)
        made.replace(path)
        _sync(path.parent)
    finally:
        for leaving in (made, *(made.with_name(made.name + end) for end in ("-wal", "-shm", "-journal"))):
            leaving.unlink(missing_ok=True)


def private(path: Path) -> None:
    """Makes an empty file that only its owner may read, whatever the umask."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(file, 0o600)
    finally:
        os.close(file)


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    folder.mkdir(0o700)
    folder.chmod(0o700)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _unusable(folder: Path, error: OSError) -> DataUnusable:
    return DataUnusable(
        f"the data folder {folder} cannot be used ({error.strerror}): see to its rights, or use another"
    )
