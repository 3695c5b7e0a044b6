"""What a client is told by its user, and what goes before what. Pure: what is said where comes in as values.

A setting is said by an option, by an environment variable, by a context, by the client's configuration, or by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from zchat import address, links
from zchat.address import BadAddress
from zchat.messages import LOBBY

Value = str | float
Said = Mapping[str, Value | None]
"""Values by setting, as they are said in one place."""


class Origin(StrEnum):
    """Where a setting is said."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    CONTEXT = "context"
    CONFIG = "config"
    DEFAULT = "default"


class Setting(NamedTuple):
    """Something that the user may set for all commands.

    Attributes:
        parameter: of the commands that have it.
        variable: of the environment.
        default: None if there is none that holds everywhere.
        help: what it is.
    """

    parameter: str
    variable: str
    default: Value | None
    help: str


SETTINGS: dict[str, Setting] = {
    "url": Setting("url", "ZCHAT_URL", address.DEFAULT_URL, "the broker"),
    "name": Setting("name", "ZCHAT_NAME", None, "whom to speak as"),
    "identity": Setting("identity", "ZCHAT_IDENTITY", "default", "which of your keys"),
    "room": Setting("room_option", "ZCHAT_ROOM", LOBBY, "the room that zchat join enters"),
    "connect-timeout": Setting("connect_timeout", "ZCHAT_CONNECT_TIMEOUT", 5.0, "seconds to wait for the broker"),
}


class Found(NamedTuple):
    """A setting as it holds, and where that is said."""

    value: Value | None
    origin: Origin


def decide(
    *,
    flag: Said | None = None,
    environment: Said | None = None,
    context: Said | None = None,
    config: Said | None = None,
    named: bool = False,
) -> dict[str, Found]:
    """Each setting as it holds: what is said first in this order, the empty text being nothing.

    A link says a room as well, which holds as if it were said where the link is, if no other is said there.

    Args:
        flag: what options say.
        environment: what variables say.
        context: what the context says that is used.
        config: what the client's configuration says.
        named: whether an option names the context: then it goes before the environment.
    """
    layers: Sequence[tuple[Origin, Said]] = (
        (Origin.FLAG, flag or {}),
        (Origin.CONTEXT, context if named and context else {}),
        (Origin.ENVIRONMENT, environment or {}),
        (Origin.CONTEXT, context or {}),
        (Origin.CONFIG, config or {}),
        (Origin.DEFAULT, {key: setting.default for key, setting in SETTINGS.items()}),
    )
    found = {key: Found(None, Origin.DEFAULT) for key in SETTINGS}
    for origin, said in reversed(layers):
        with_room = {**said, "room": said.get("room") or _room(said.get("url"))}
        found |= {key: Found(value, origin) for key in SETTINGS if (value := with_room.get(key)) not in (None, "")}
    return found


def _room(url: Value | None) -> str | None:
    """Where a link leads; None if it is none."""
    if not isinstance(url, str) or not links.is_link(url):
        return None
    try:
        return links.parse_link(url).room
    except BadAddress:
        return None  # who connects says what is wrong with it


def shown(value: Value | None) -> str:
    """A value for eyes other than the user's: a link's secret is left out."""
    if isinstance(value, str) and links.is_link(value):
        try:
            return str(without_invite(value))
        except BadAddress:
            return links.SCHEME + "…"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else value


def without_invite(link: str) -> links.Link:
    """A link as it may be kept.

    Raises:
        BadAddress: it is none.
    """
    found = links.parse_link(link)
    return links.Link(found.address, found.room, found.key)
