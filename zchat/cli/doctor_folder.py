"""What `zchat doctor` looks at in a broker's folder: rights, disk, database, and who has it."""

from __future__ import annotations

import fcntl
import os
import pwd
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

from zchat import links
from zchat.cli.findings import Findings, fail, ok, warn
from zchat.errors import KeyUnusable, ZchatError

LITTLE = 1 << 30
"""Bytes free on the disk below which it is worth a look."""

TOO_LITTLE = 64 << 20
"""Bytes free below which a broker will not go on for long."""

CLIENTS = 1000
"""Clients for which every system should have descriptors."""

NAMED = 3
"""Files that are named; more are counted."""


def folder(path: Path) -> Findings:
    """A broker's folder."""
    try:
        found = path.stat()
        if not stat.S_ISDIR(found.st_mode):
            yield fail("folder", f"{path} is no folder", "name the broker's with --data DIR")
            return
        empty = not any(path.iterdir())
    except OSError as error:
        yield fail(
            "folder", f"cannot look into {path}: {error.strerror}", "name the broker's with --data DIR, as its owner"
        )
        return
    yield from _rights(path, found)
    yield from _disk(path)
    if empty:
        yield ok("database", "none yet: the broker makes it")
    else:
        taken, holder = _taken(path)
        yield ok("broker", f"process {holder} has the folder" if taken else "none has the folder")
        yield from _database(path, taken=taken)
        yield from _broker_key(path)
    yield from _descriptors()


def _rights(path: Path, found: os.stat_result) -> Findings:
    if found.st_uid != os.geteuid():
        yield warn("rights", f"{path} is {_user(found.st_uid)}'s", "say this as that user, to see more")
        return
    if stat.S_IMODE(found.st_mode) & 0o077:
        yield fail("rights", f"others may look into {path}", f"chmod 700 {path}")
        return
    wide, foreign = [], []
    for file, one in _files(path):
        if one.st_uid != found.st_uid:
            foreign.append(file)
        elif stat.S_IMODE(one.st_mode) & 0o077:
            wide.append(file)
    if foreign:
        yield fail("rights", f"not the broker's own: {_few(foreign)}", f"chown -R {_user(found.st_uid)} {path}")
    elif wide:
        yield warn("rights", f"others may read {_few(wide)}, if they get there", f"chmod -R go= {path}")
    else:
        yield ok("rights", f"{path} is for {_user(found.st_uid)} alone")


def _files(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What is in a folder, and in the one for keys."""
    for place in (path, path / "keys"):
        try:
            for file in sorted(place.iterdir()):
                yield file, file.lstat()
        except OSError:
            pass  # none, or gone meanwhile


def _few(files: list[Path]) -> str:
    names = ", ".join(str(file) for file in files[:NAMED])
    return names if len(files) <= NAMED else f"{names} and {len(files) - NAMED} more"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _disk(path: Path) -> Findings:
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    text = f"{free / (1 << 30):,.1f} GiB free"
    if found.f_files and not found.f_favail:
        yield fail("disk", "it takes no more files", "remove some there")
    elif free < TOO_LITTLE:
        yield fail("disk", f"only {free / (1 << 20):,.1f} MiB free", "make room: what cannot be kept is refused")
    elif free < LITTLE:
        yield warn("disk", text, "make room, or keep less: --keep-days, --keep-messages")
    else:
        yield ok("disk", text)


def _taken(path: Path) -> tuple[bool, str]:
    """Whether somebody has a data folder, and which process."""
    from zchat.store.sqlite.folder import LOCK

    try:
        opened = os.open(path / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False, ""
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True, os.pread(opened, 32, 0).decode("ascii", "replace").strip() or "?"
    else:
        return False, ""
    finally:
        os.close(opened)


def _database(path: Path, *, taken: bool) -> Findings:
    """A quick look: what is at its beginning, and whether SQLite opens it."""
    from zchat.cli.output import counted
    from zchat.store.sqlite import schema
    from zchat.store.sqlite.check import database, explained, snapshot
    from zchat.store.sqlite.folder import DATABASE
    from zchat.verbs import AUDIT

    if not (path / DATABASE).exists() and not (path / f"{DATABASE}-wal").exists():
        yield ok("database", "none yet: the broker makes it")
        return
    try:
        file = database(path)
        with explained(file):
            schema.verify_file(file)
            with snapshot(file, apart=not taken) as db:
                (rooms,) = db.execute("SELECT count(*) FROM rooms WHERE name != ?", (AUDIT,)).fetchone()
    except ZchatError as error:
        yield fail("database", str(error))
        return
    size = sum(one.st_size for file, one in _files(path) if file.name.startswith(DATABASE))
    yield ok("database", f"{counted(rooms, 'room')}, {size / (1 << 20):,.1f} MiB; zchat check reads all of it")


def _broker_key(path: Path) -> Findings:
    from zchat.keyfiles import read_keys

    file = path / "keys" / "broker.key"
    try:
        keys = read_keys(file)
    except KeyUnusable as error:
        yield fail("key", str(error))
        return
    if keys is not None:
        yield ok("key", f"{links.fingerprint(keys.public)}, in {file}: keep a copy")


def _descriptors() -> Findings:
    from zchat.broker.limits import SPARE

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * CLIENTS + SPARE:
        yield warn(
            "files", f"a broker started here may open {hard:,}: fewer than {CLIENTS:,} clients take", "raise ulimit -n"
        )
    else:
        yield ok(
            "files", f"a broker started here may open {'any number' if hard == resource.RLIM_INFINITY else f'{hard:,}'}"
        )
