"""Files that hold keys: for their owner alone, and whole or not there."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from zchat import links
from zchat.errors import KeyUnusable

BIGGEST = 1 << 20
"""Bytes of a file that is read at most: more than ten thousand lines with a key."""


@dataclass(frozen=True, slots=True)
class Keypair:
    """Two keys of CURVE that belong together, 32 bytes each. What `repr` shows may be seen."""

    public: bytes
    secret: bytes = field(repr=False)


def fresh() -> Keypair:
    """New keys."""
    try:
        public, secret = zmq.curve_keypair()
    except zmq.ZMQError:
        raise KeyUnusable("this ZeroMQ cannot encrypt: install pyzmq from a wheel, which can") from None
    return Keypair(z85.decode(public), z85.decode(secret))


def made(path: Path, head: str, keys: Keypair | None = None) -> Keypair:
    """The keys of a file that was not there; those of another program if it was quicker.

    Args:
        path: its folder is made as well.
        head: a line that tells what it is.
        keys: to be put there; new ones if None.

    Raises:
        errors.KeyUnusable: it cannot be made.
    """
    keys = keys or fresh()
    text = f"# zchat: {head}\npublic {links.key_text(keys.public)}\nsecret {links.key_text(keys.secret)}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Filled under another name, then linked: nobody ever reads half of it, and of two at once one wins.
        new = written(path, text)
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise KeyUnusable(f"cannot make {path}: {error.strerror or error}") from None
    found = read_keys(path)
    if found is None:
        raise KeyUnusable(f"{path} is gone again: something else removes it")
    return found


def read_keys(path: Path) -> Keypair | None:
    """The keys of a file; None if it is not there.

    Raises:
        errors.KeyUnusable: others may read it, it is not ours, or it holds no keys.
    """
    text = read(path)
    if text is None:
        return None
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        (public, public_text), (secret, secret_text) = lines
        if (public, secret) != ("public", "secret"):
            raise ValueError
        keys = Keypair(links.parse_key(public_text), links.parse_key(secret_text))
        if z85.decode(zmq.curve_public(z85.encode(keys.secret))) != keys.public:
            raise ValueError
    except ValueError:  # BadAddress is one
        raise KeyUnusable(f"{path} holds no keys: put it back from a copy, or move it away for new ones") from None
    return keys


def written(path: Path, text: str) -> Path:
    """A new file beside that one, for this user alone before anything is in it."""
    new = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            new.unlink(missing_ok=True)
            raise
    return new


def read(path: Path, owner: int | None = None, *, forbidden: int = 0o077) -> str | None:
    """What a file holds; None if it is not there.

    Args:
        owner: who else than ourselves may own it.
        forbidden: the rights that nobody else may have.

    Raises:
        errors.KeyUnusable: it is none, others may read or write it, it is not ours, or it cannot be read.
    """
    try:
        # Without waiting for a writer, should it be a pipe.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KeyUnusable(f"cannot read {path}: {error.strerror or error}") from None
    try:
        found = os.fstat(opened)  # of what was opened, whatever is at that path by now
        if not stat.S_ISREG(found.st_mode):
            raise KeyUnusable(f"{path} is no file: move it away")
        if found.st_uid not in (os.geteuid(), owner):
            raise KeyUnusable(f"{path} belongs to somebody else: do this as that user, or move it away")
        if stat.S_IMODE(found.st_mode) & forbidden:
            raise KeyUnusable(f"{path} is open to others on this machine, so it is not used: chmod 600 {path}")
        with os.fdopen(os.dup(opened), "rb") as file:
            raw = file.read(BIGGEST + 1)
        if len(raw) > BIGGEST:
            raise KeyUnusable(f"{path} is far too big to be what it should be: move it away")
        return raw.decode(errors="replace")
    except OSError as error:
        raise KeyUnusable(f"cannot read {path}: {error.strerror or error}") from None
    finally:
        os.close(opened)
