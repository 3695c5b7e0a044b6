"""The broker's door, and the links that lie in its folder: who may write there may let anybody in, as whatever."""

from __future__ import annotations

import logging
import os
import secrets
import time
from pathlib import Path

from zchat import keyfiles
from zchat.address import BadAddress
from zchat.broker.admission import OWNER, ROLES, Admission, Door, Mode
from zchat.errors import DataUnusable, KeyUnusable
from zchat.links import INVITE_SIZE, Link, id_text, invite_id, parse_link
from zchat.messages import LATEST_MS, LOBBY
from zchat.store.base import Invite

log = logging.getLogger("zchat.broker")

OWNER_LIFE = 366 * 86400
"""Seconds that the first owner's link holds."""


def put_link(keys: Path, role: str = OWNER, seconds: int = 3600) -> str:
    """Puts a link into a broker's folder. The broker looks there when somebody comes whom it does not know.

    Args:
        keys: the folder of the broker's keys.
        role: of who comes in by it, once.
        seconds: how long it holds.

    Returns:
        The link.

    Raises:
        errors.DataUnusable: no broker ever ran there with keys.
        errors.KeyUnusable: it cannot be put there.
    """
    root = os.geteuid() == 0  # who runs a broker that has a user of its own
    try:
        owner = keys.stat()
    except OSError:
        raise DataUnusable(
            f"no broker with keys ever ran in {keys.parent}: start one there with --curve first"
        ) from None
    known = keyfiles.read(keys / "link", owner.st_uid if root else None)
    if known is None:
        raise DataUnusable(f"no broker with keys ever ran in {keys.parent}: start one there with --curve first")
    try:
        broker = parse_link(known)
    except BadAddress as error:
        raise KeyUnusable(f"{keys / 'link'} is not as the broker wrote it ({error}): start the broker again") from None
    secret = secrets.token_bytes(INVITE_SIZE)
    ends = _ms() + seconds * 1000
    path = keys / "links" / id_text(invite_id(secret))
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = keyfiles.written(path, f"{invite_id(secret).hex()} {role} {ends}\n")
        if root:  # what root puts there is the broker's
            for one in (path.parent, new):
                os.chown(one, owner.st_uid, owner.st_gid)
        new.replace(path)
    except OSError as error:
        raise KeyUnusable(f"cannot write {path}: {error.strerror or error}") from None
    return str(Link(broker.address, broker.room, broker.key, secret))


class Entrance:
    """See the module.

    Args:
        door: to whom the broker is open, at the address where it listens.
        keys: the folder of its keys.
        folder: where the first owner's link is kept while it is not used.

    Raises:
        errors.KeyUnusable: that cannot be written.
    """

    def __init__(self, door: Door, keys: Path, folder: Path) -> None:
        self.door = door
        self._keys = keys
        self._links = keys / "links"
        self._owner_link = folder / "owner-link"
        self._changed = 0
        self._write(keys / "link", str(Link(door.address, LOBBY, door.key, None)))

    def owner_link(self, admission: Admission) -> str | None:
        """The link by which the first owner comes in: made if there is none that holds; None once there is an owner."""
        if admission.has_owner or admission.door.mode is Mode.KNOWN:
            _remove(self._owner_link)
            return None
        text = (keyfiles.read(self._owner_link) or "").strip()
        try:
            before = parse_link(text)
        except BadAddress:
            before = None
        link = invite_id(before.invite) if before is not None and before.invite is not None else b""
        if before is not None and (admission.holds(link, _ms()) or (link and (self._links / id_text(link)).exists())):
            return str(Link(self.door.address, before.room, self.door.key, before.invite))
        made = put_link(self._keys, OWNER, OWNER_LIFE)
        self._write(self._owner_link, made)
        return made

    def used(self, link: bytes) -> None:
        """Somebody came in by the link of that id."""
        try:
            text = keyfiles.read(self._owner_link)
            secret = parse_link(text.strip()).invite if text is not None else None
        except (KeyUnusable, BadAddress):
            return
        if secret is not None and invite_id(secret) == link:
            _remove(self._owner_link)

    def take(self) -> list[Invite]:
        """The links that lie there, if anything has changed since they were looked for last."""
        try:
            changed = os.stat(self._links).st_mtime_ns  # noqa: PTH116  # often
        except OSError:
            return []
        if changed == self._changed:
            return []
        self._changed = changed
        found = []
        try:
            paths = list(self._links.iterdir())
        except OSError:
            return []
        for path in paths:
            if path.name.startswith("."):
                continue  # it is being written
            try:
                link, role, ends = (keyfiles.read(path) or "").split()
                invite = Invite(bytes.fromhex(link), LOBBY, role, 1, int(ends))
            except (KeyUnusable, ValueError):
                continue
            if role in ROLES and id_text(invite.id) == path.name and 0 < invite.ms < LATEST_MS:
                found.append(invite)
        return found

    def again(self) -> None:
        """What was taken could not be kept: it is to be taken again."""
        self._changed = 0

    def kept(self, invite: Invite) -> None:
        """A link is kept elsewhere by now."""
        _remove(self._links / id_text(invite.id))

    @staticmethod
    def _write(path: Path, line: str) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            keyfiles.written(path, f"{line}\n").replace(path)
        except OSError as error:
            raise KeyUnusable(f"cannot write {path}: {error.strerror or error}") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot remove %s, which is of no use any more: %s", path, error.strerror)


def _ms() -> int:
    return time.time_ns() // 1_000_000
