"""What `zchat doctor` looks at of a broker: whether it answers, by which key, and what its clock says."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zchat import links
from zchat.address import BadAddress
from zchat.cli.findings import Findings, fail, ok, warn
from zchat.errors import KeyUnusable, ZchatError

if TYPE_CHECKING:
    from zchat.address import Address
    from zchat.client.places import Place
    from zchat.client.sync import Client

SLOW = 1.0
"""Seconds for a round trip that are too many."""

APART = 2.0
"""Seconds by which two clocks may differ."""


def broker(url: str | None, identity: str | None, patience: float) -> Findings:
    """The broker that is spoken to.

    Args:
        url: None for where it is by default; then it need not be there.
    """
    from zchat.client.places import default_url, place

    wanted = bool(url or os.environ.get("ZCHAT_URL"))
    given = (url or default_url()).strip()
    try:
        where = place(given)
        numbers = where.address.resolve()
    except (BadAddress, ZchatError) as error:
        yield fail("address", str(error))
        return
    at = str(where.address).removeprefix("tcp://")
    reached, why = _dialled(numbers, patience)
    if not reached:
        text, todo = f"nothing answers at {at} ({why})", "start zchat broker there, or name another with --url"
        yield fail("address", text, f"{todo}; look at its firewall, too") if wanted else warn("address", text, todo)
        return
    yield ok("address", f"{at} takes connections")
    yield from _key(where, given)
    if not _may_talk(where, identity):
        yield warn("session", "not tried, since you were not let in there yet", "say zchat join LINK first")
        return
    # Not as the link is: it would be used up.
    yield from _session(str(where.address) if links.is_link(given) else given, identity, patience)


def _dialled(numbers: list[Address], patience: float) -> tuple[bool, str]:
    """Whether any of these takes connections; if none does, why."""
    why = "no address"
    for one in numbers:
        try:
            socket.create_connection((one.host, one.port), timeout=max(patience, 0.1)).close()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
        else:
            return True, ""
    return False, why


def _key(where: Place, given: str) -> Findings:
    if where.key is not None:
        yield ok(
            "its key", f"{links.fingerprint(where.key)}, {'by the link' if links.is_link(given) else 'remembered'}"
        )
    elif where.plain and not all(one.loopback for one in where.address.resolve()):
        text = "none: all that is said can be read on the way"
        yield warn("its key", text, "have the broker encrypt, and come in by a link")
    else:
        yield ok("its key", "none, in plaintext")


def _may_talk(where: Place, identity: str | None) -> bool:
    """Whether it can be talked to without a key being made, or something being remembered."""
    from zchat.client import keys

    if where.key is None:
        return True
    try:
        own = keys.list_keys().get(keys.identity_name(identity))
        return isinstance(own, bytes) and keys.known(where.address) is not None
    except KeyUnusable:
        return False


def _session(url: str, identity: str | None, patience: float) -> Findings:
    from zchat.client.sync import connect
    from zchat.messages import LOBBY

    try:
        with connect(url, identity=identity, timeout=patience) as client:
            seconds = client.ping()
            text = f"it answers in {seconds * 1000:.1f} ms" + (f"; you are {client.role} there" if client.role else "")
            yield (
                ok("session", text)
                if seconds < SLOW
                else warn("session", text, "look at the broker's load, or the way")
            )
            yield from _clock(client)
            client.join(LOBBY, quiet=True, timeout=max(patience, 1.0))
            yield ok("rooms", "what is said there arrives")
    except ZchatError as error:
        yield fail("session", str(error))


def _clock(client: Client) -> Findings:
    for _ in range(2):
        date = client.day("date", utc=True)
        asked = client.day("time", utc=True)
        now = time.time()
        if client.day("date", utc=True) == date:  # else it was midnight in between
            break
    try:
        told = datetime.strptime(f"{date} {asked}", "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).timestamp()
    except ValueError:
        yield warn("clock", "the broker tells no time that can be read", "see which version it is")
        return
    apart = now - told - 0.5  # it tells whole seconds
    if abs(apart) <= APART:
        yield ok("clock", f"within {APART:g} s of the broker's")
        return
    text = f"the broker's is {abs(apart):,.0f} s {'behind' if apart > 0 else 'ahead'}"
    yield warn("clock", text, "times of messages are the broker's; have both machines set theirs by NTP")
