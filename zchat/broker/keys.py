"""What a broker under CURVE has in files: its own keys, and those of others that it lets in in any case."""

from __future__ import annotations

import socket
from pathlib import Path

from zchat import address, keyfiles
from zchat.address import Address, BadAddress
from zchat.broker.access import Access
from zchat.broker.admission import MEMBER, ROLES, Door, Mode
from zchat.errors import DataUnusable
from zchat.keyfiles import Keypair
from zchat.links import parse_key


def broker_keys(folder: Path) -> Keypair:
    """The broker's own keys, made at its first start.

    Args:
        folder: of the keys, for its owner alone.

    Raises:
        errors.KeyUnusable: others may read them, or they cannot be made.
    """
    path = folder / "broker.key"
    return keyfiles.read_keys(path) or keyfiles.made(path, "who has this file is the broker")


def authorized(path: Path) -> dict[bytes, str]:
    """The keys that may come in in any case, and as what: a line each, `KEY [ROLE]`; # begins a remark.

    Raises:
        errors.DataUnusable: it cannot be read, names no key, or a line of it is none.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataUnusable(f"cannot read {path}: {error.strerror}; nobody would be let in") from None
    found: dict[bytes, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            key, role = parse_key(words[0]), words[1] if len(words) > 1 else MEMBER
        except BadAddress as error:
            raise DataUnusable(f"{path}, line {number}: {error}") from None
        if role not in ROLES or len(words) > 2:
            raise DataUnusable(f"{path}, line {number}: write KEY, and after it {', '.join(ROLES)} or nothing")
        found[key] = role
    if not found:
        raise DataUnusable(f"{path} names no key, so nobody would be let in: write one a line")
    return found


def door(access: Access, bound: Address, key: bytes) -> Door:
    """To whom a broker is open.

    Args:
        access: who may come in; its file is read now.
        bound: where the broker listens.
        key: its public key.

    Raises:
        errors.DataUnusable: whom to let in cannot be read.
    """
    known = {} if access.authorized is None else authorized(access.authorized)
    return Door(Address(access.advertise or _this_host(bound), bound.port), key, Mode(access.admission or ""), known)


def _this_host(bound: Address) -> str:
    """What others call this machine, if they reach it there."""
    if bound.loopback:
        return bound.host
    name = socket.gethostname()
    try:
        return address.parse(name).host
    except BadAddress:
        return bound.host
