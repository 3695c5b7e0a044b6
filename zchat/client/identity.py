"""Who owns a name on plaintext loopback: a random secret kept per name in the user's state folder."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

SIZE = 16


def state_folder() -> Path:
    """Where zchat keeps what belongs to this user: `$XDG_STATE_HOME/zchat`, or `~/.local/state/zchat`.

    Raises:
        OSError: there is no home folder.
    """
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        # The specification has relative ones ignored.
        return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "zchat"
    except RuntimeError as error:
        raise OSError(str(error)) from None


def person(name: str) -> bytes:
    """The secret that owns a name for this user. Where nothing can be kept it is a fresh one: it lives as long as the
    process, which then cannot share its name with another. See `kept_person`.
    """
    try:
        return kept_person(name)
    except OSError:
        return os.urandom(SIZE)


def kept_person(name: str) -> bytes:
    """The secret that owns a name for this user, made at its first use. Several programs of one user are one person by
    it.

    Args:
        name: as the user gave it.

    Returns:
        16 random bytes.

    Raises:
        OSError: it cannot be read or kept.
    """
    path = _path(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _kept(path)


def known_person(name: str) -> bytes | None:
    """The same, but none is made."""
    try:
        found = _path(name).read_bytes()
    except OSError:
        return None
    return found if len(found) == SIZE else None


def _path(name: str) -> Path:
    # The name itself never becomes part of a path.
    folded = unicodedata.normalize("NFKC", name).casefold().encode("utf-8", "surrogatepass")
    return state_folder() / "persons" / hashlib.blake2b(folded, digest_size=16).hexdigest()


def _kept(path: Path) -> bytes:
    try:
        found = path.read_bytes()
        if len(found) == SIZE:
            return found
        path.unlink()  # half a secret is none; it was written by something else than this
    except FileNotFoundError:
        pass
    # Filled under another name, then linked: nobody ever reads half of it, and of two at once one wins.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(SIZE))
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)
    return path.read_bytes()
