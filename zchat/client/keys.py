"""The keys of this user, and the brokers that are known by theirs: in `$XDG_CONFIG_HOME/zchat`, for nobody else."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zchat import address, keyfiles, links
from zchat.address import Address, BadAddress
from zchat.errors import BrokerChanged, KeyUnusable
from zchat.keyfiles import Keypair
from zchat.text import printable

DEFAULT = "default"
"""The identity where none is named."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_HEAD = "who has this file is you"
_BOT = "of the bot "


def config_folder() -> Path:
    """Where zchat keeps what this user is known by: `$XDG_CONFIG_HOME/zchat`, or `~/.config/zchat`.

    Raises:
        errors.KeyUnusable: there is no home folder.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        # The specification has relative ones ignored.
        return (Path(base) if base.startswith("/") else Path.home() / ".config") / "zchat"
    except RuntimeError:
        raise KeyUnusable("there is no home folder to keep a key in: set XDG_CONFIG_HOME") from None


# Identities -----------------------------------------------------------------------------------------------------------


def identity_name(given: str | None = None) -> str:
    """The identity to use: the one that was given, else that of `ZCHAT_IDENTITY`, else `default`.

    Raises:
        errors.KeyUnusable: that cannot be the name of one.
    """
    name = given or os.environ.get("ZCHAT_IDENTITY") or DEFAULT
    if not _NAME.fullmatch(name):
        raise KeyUnusable(
            f"{name!r} cannot be an identity: its name has 1 to 32 of a to z, 0 to 9, dot, - and _, and begins with a "
            "letter or digit"
        )
    return name


def own_keys(identity: str | None = None) -> Keypair:
    """The keys of an identity, made at its first use.

    Args:
        identity: see `identity_name`.

    Raises:
        errors.KeyUnusable: others may read its file, it is not ours or holds no keys, or it cannot be made.
    """
    path = _path(identity_name(identity))
    return keyfiles.read_keys(path) or _made(path)


def new_keys(identity: str | None = None, *, bot: str = "") -> Keypair:
    """Makes an identity.

    Args:
        bot: the name of the bot whose keys these are; empty if they are the user's own.

    Raises:
        errors.KeyUnusable: there is one of that name, or it cannot be made.
    """
    name = identity_name(identity)
    fresh = keyfiles.fresh()
    head = f"{_BOT}{printable(bot)}: who has this file is that bot" if bot else _HEAD
    if keyfiles.read_keys(_path(name)) is not None or _made(_path(name), fresh, head) != fresh:
        raise KeyUnusable(f"there is an identity {name} already: choose another name")
    return fresh


def drop_keys(identity: str, keys: Keypair) -> None:
    """Removes an identity that was just made, if it is still the same: nobody knows its keys.

    Raises:
        errors.KeyUnusable: it cannot be removed.
    """
    path = _path(identity_name(identity))
    if keyfiles.read_keys(path) == keys:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise KeyUnusable(f"cannot remove {path}: {error.strerror or error}") from None


def bot_of(identity: str) -> str:
    """The bot for which an identity was made; empty if it is the user's own.

    Raises:
        errors.KeyUnusable: see `own_keys`.
    """
    first = (keyfiles.read(_path(identity_name(identity))) or "").partition("\n")[0]
    name, colon, _ = first.removeprefix("# zchat: ").removeprefix(_BOT).rpartition(": ")
    return name if colon and first.startswith(f"# zchat: {_BOT}") else ""


def list_keys() -> dict[str, bytes | KeyUnusable]:
    """The public key of each identity by its name, in order; or why it cannot be used."""
    found: dict[str, bytes | KeyUnusable] = {}
    folder = config_folder() / "identities"
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return found
    except OSError as error:
        raise KeyUnusable(f"cannot read {folder}: {error.strerror or error}") from None
    for path in paths:
        if path.suffix != ".key" or not _NAME.fullmatch(path.stem):
            continue  # one that is being made, or another's
        try:
            keys = keyfiles.read_keys(path)
        except KeyUnusable as error:
            found[path.stem] = error
        else:
            if keys is not None:
                found[path.stem] = keys.public
    return found


def _path(name: str) -> Path:
    return config_folder() / "identities" / f"{name}.key"


def _made(path: Path, fresh: Keypair | None = None, head: str = _HEAD) -> Keypair:
    try:
        _make_folder(path.parent)
    except OSError as error:
        raise KeyUnusable(f"cannot make {path}: {error.strerror or error}") from None
    return keyfiles.made(path, head, fresh)


# Known brokers --------------------------------------------------------------------------------------------------------


def remembered(where: Address) -> bytes | None:
    """The key of the broker at an address, if it was joined before.

    Raises:
        errors.KeyUnusable: what is remembered cannot be trusted, or not be read.
    """
    try:
        path = _brokers()
    except KeyUnusable:
        return None  # where nothing can be kept nothing was
    return _load(path).get(_at(where))


def known(where: Address) -> tuple[str, bytes] | None:
    """What the broker at an address is remembered as, and its key, however the address is written: two are one if they
    have the port and a number in common.

    Returns:
        HOST:PORT as it was joined, and the key; None if no such broker was joined.

    Raises:
        errors.KeyUnusable: what is remembered cannot be trusted, or not be read; or it is two brokers.
    """
    try:
        path = _brokers()
    except KeyUnusable:
        return None
    brokers = _load(path)
    if (exactly := brokers.get(_at(where))) is not None:
        return _at(where), exactly
    others = {at: key for at, key in brokers.items() if address.parse(at).port == where.port}
    numbers = _numbers(where) if others else frozenset()
    found = {at: key for at, key in others.items() if numbers and numbers & _numbers(address.parse(at))}
    if len(set(found.values())) > 1:
        raise KeyUnusable(
            f"{_at(where)} was joined as {' and as '.join(found)}, with two keys: write one of these, or `zchat keys "
            "forget` the one that is no more"
        )
    return next(iter(found.items()), None)


def check(where: Address, key: bytes) -> None:
    """Stops who is about to talk to another broker than the one that was joined at this address.

    Raises:
        errors.BrokerChanged: it has another key than the one of before.
    """
    before = remembered(where)
    if before is not None and before != key:
        raise _changed(where, before, key)


def remember(where: Address, key: bytes) -> None:
    """Keeps that the broker at an address has this key.

    Raises:
        errors.BrokerChanged: it had another.
        errors.KeyUnusable: it cannot be kept.
    """
    with _brokers_to_change() as (path, brokers):
        before = brokers.setdefault(_at(where), key)
        if before != key:
            raise _changed(where, before, key)
        _save(path, brokers)


def forget(where: Address) -> bool:
    """Forgets which key the broker at an address has; says whether it was known.

    Raises:
        errors.KeyUnusable: it cannot be kept.
    """
    with _brokers_to_change() as (path, brokers):
        known = brokers.pop(_at(where), None) is not None
        if known:
            _save(path, brokers)
        return known


def _changed(where: Address, before: bytes, now: bytes) -> BrokerChanged:
    return BrokerChanged(
        f"the broker at {_at(where)} is not the one of before: that had the key {links.fingerprint(before)}, this has "
        f"{links.fingerprint(now)}; if who runs it confirms the new one, `zchat keys forget {_at(where)}` and try again"
    )


def _at(where: Address) -> str:
    return str(where).removeprefix("tcp://").lower()


def _numbers(where: Address) -> frozenset[str]:
    """The numbers that an address stands for; all those that lead to this machine alone count as one."""
    try:
        found = [one.number for one in where.resolve()]
    except BadAddress:
        return frozenset()
    # 0.0.0.0 is this machine to whoever connects to it.
    return frozenset("here" if one.is_loopback or one.is_unspecified else str(one) for one in found if one is not None)


def _brokers() -> Path:
    return config_folder() / "brokers"


def _load(path: Path) -> dict[str, bytes]:
    brokers: dict[str, bytes] = {}
    for number, line in enumerate((keyfiles.read(path) or "").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            where, key = line.split()
            brokers[_at(address.parse(where))] = links.parse_key(key)
        except (ValueError, BadAddress):
            raise KeyUnusable(
                f"{path} says nothing in line {number}: write HOST:PORT KEY there, or remove it"
            ) from None
    return brokers


@contextmanager
def _brokers_to_change() -> Iterator[tuple[Path, dict[str, bytes]]]:
    path = _brokers()
    try:
        _make_folder(path.parent)
        # Not the file itself: that is replaced.
        lock = os.open(path.with_name("brokers.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # for as long as it takes to write a small file
            yield path, _load(path)
        finally:
            os.close(lock)
    except OSError as error:
        raise KeyUnusable(f"cannot write {path}: {error.strerror or error}") from None


def _save(path: Path, brokers: dict[str, bytes]) -> None:
    new = keyfiles.written(path, "".join(f"{where} {links.key_text(key)}\n" for where, key in brokers.items()))
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _make_folder(folder: Path) -> None:
    config_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
