"""The bounds of `Settings` by name, as an operator sets them: what each is, and between what it must lie. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import NamedTuple

from zchat import errors
from zchat.broker.rates import BOTS, Limits, Rate
from zchat.broker.settings import Settings


class Limit(NamedTuple):
    """What may be set.

    Attributes:
        help: what it bounds, and its unit.
        least, most: the range, both inclusive.
        live: whether a broker that runs can take over another value.
    """

    help: str
    least: float = 1
    most: float = 1_000_000_000
    live: bool = True


LIMITS = {
    # Clients are told at their hello, and count on it.
    "credit": Limit("Unanswered requests on one connection.", 16, 1024, live=False),
    "text_limit": Limit("Bytes of a message.", 1, 32 * 1024),
    "grace": Limit("Seconds from a lost connection until its person is said to be lost.", 0.1, 3600),
    "silence": Limit("Seconds after which a session is over that was never heard of on the PUB port.", 1, 86400),
    "heartbeat": Limit("Seconds between a client's heartbeats.", 1, 3600),
    "heartbeats": Limit("Heartbeats a second of all clients together; above that they come less often.", 0.1),
    "quiet": Limit("Seconds after which a room that went quiet says its last number once more.", 0.1, 3600),
    "named_members": Limit("Members of a room up to which who comes and goes is told by name.", 1, 400),
    "crowd_pause": Limit("Seconds between two presences of a room with more members.", 0.1, 3600),
    "page": Limit("Events or names in one answer.", 1, 500),
    "page_size": Limit("Bytes of events in one answer.", 1024, 60 * 1024),
    "work_budget": Limit("Events read and names listed in one turn for all clients together."),
    "amends": Limit("Edits and deletions in one turn for all clients together."),
    "search_cost": Limit("What a search counts for in work-budget."),
    "hits": Limit("Messages in one answer to a search.", 1, 1000),
    "words": Limit("Characters of what is searched for.", 1, 4096),
    "max_sessions": Limit("Sessions."),
    "max_rooms": Limit("Rooms."),
    "max_rooms_joined": Limit("Rooms that one session may follow.", 1, 100_000),
    "max_private_rooms": Limit("Private rooms of one person."),
    "max_marks": Limit("Rooms of which it is kept how far one person has read them."),
    "hello_wait": Limit("Seconds that a connection may last without a session.", 0.1, 60),
    "max_connections": Limit("Connections to one port.", 2),
    "max_strangers": Limit("Connections to one port that have no session.", 1),
    "max_waiting": Limit("Private messages of one conversation that wait for who is away."),
    "max_rooms_person": Limit("Rooms that one person made."),
    "max_members": Limit("Members of a room."),
    "max_members_private": Limit("Members of a private room."),
    "max_moderators": Limit("Moderators of a room."),
    "max_sanctions": Limit("People who are banned or muted in a room."),
    "max_blocks_person": Limit("People whom one person blocks."),
    "max_bots_person": Limit("Bots for which one person answers."),
    "max_names": Limit("Names whose owner is remembered."),
    "max_names_person": Limit("Names of one person."),
    "max_sessions_person": Limit("Sessions of one person."),
    "max_accounts": Limit("People who may come in, if it is encrypted."),
    "max_keys_person": Limit("Keys of one person."),
    "max_links_person": Limit("Links that one person made and that may still be used."),
    "max_uses": Limit("Uses of one link."),
    "max_link_life": Limit("Seconds that a link may hold."),
    "max_bytes_person": Limit("Bytes kept of what one person said.", 1024, 1 << 60),
    "max_bytes_room": Limit("Bytes kept of one room.", 1024, 1 << 60),
}
"""By the name of the field. What is missing here has the widest range."""

RATES = {
    "messages": "Messages, edits and deletions.",
    "bytes": "Bytes of their texts.",
    "joins": "Rooms entered. At once: as many as one may come back to.",
    "creations": "Rooms made, also private ones.",
    "hellos": "Sessions begun or resumed.",
    "reads": "Pages of what was said.",
    "questions": "Everything else that is asked for.",
}
_BOT = "bot-"
RATES |= {_BOT + name: f"The same of one bot: {told[0].lower()}{told[1:]}" for name, told in RATES.items()}
"""What may be asked for in a time."""

SPARE = 64
"""Descriptors that a broker needs for other things than connections."""


def within(settings: Settings, descriptors: int) -> Settings:
    """The same with no more connections than there can be.

    Args:
        descriptors: that the system allows.
    """
    # Some are accepted before the first of those that are too many can be cut.
    both = max(descriptors - SPARE - min(descriptors // 8, 512), 2)
    return replace(settings, max_connections=min(settings.max_connections, both // 2))


_NOT_LIMITS = {"pub_port"}


def defaults() -> dict[str, float]:
    """Every limit as it is named on the command line and in the configuration, with its default."""
    settings = Settings()
    found = ((field.name, getattr(settings, field.name)) for field in fields(Settings))
    return {
        name.replace("_", "-"): value
        for name, value in found
        if type(value) in (int, float) and name not in _NOT_LIMITS
    }


def limit(name: str) -> Limit:
    """What a limit is, by its name on the command line."""
    return LIMITS.get(name.replace("-", "_"), Limit(""))


def checked(name: str, value: object) -> float:
    """The value of a limit.

    Args:
        name: with dashes.
        value: a number, or a text that is one.

    Raises:
        errors.BadConfig: there is no such limit, or it cannot be that.
    """
    default = defaults().get(name)
    if default is None:
        raise errors.BadConfig(f"{name}: there is no such limit")
    found = _whole(value) if isinstance(default, int) else _number(value)
    if found is None:
        raise errors.BadConfig(f"{name}: write {'a whole number' if isinstance(default, int) else 'a number'}")
    known = limit(name)
    if not known.least <= found <= known.most:
        raise errors.BadConfig(f"{name}: it must be from {known.least} to {known.most}")
    return found


def _whole(value: object) -> int | None:
    try:
        return int(value) if type(value) is int or isinstance(value, str) else None
    except ValueError:
        return None


def _number(value: object) -> float | None:
    try:
        found = float(value) if type(value) in (int, float) or isinstance(value, str) else None  # type: ignore[arg-type]
    except (ValueError, OverflowError):  # a whole number that no other can hold
        return None
    return found if found is not None and math.isfinite(found) else None


def apply(settings: Settings, limits: Mapping[str, float]) -> Settings:
    """Settings with other limits, by their names with dashes."""
    return replace(settings, **{name.replace("-", "_"): value for name, value in limits.items()})  # type: ignore[arg-type]


def rate_defaults() -> dict[str, str]:
    """What a person may ask for in a time, by its name, as an operator writes it."""
    usual, bots = Limits(), BOTS
    return {
        **{field.name: rate_text(getattr(usual, field.name)) for field in fields(Limits)},
        **{_BOT + field.name: rate_text(getattr(bots, field.name)) for field in fields(Limits)},
    }


def rate_text(rate: Rate | None) -> str:
    """A rate as an operator writes it."""
    return "off" if rate is None else f"{rate.burst:.15g}/{rate.per_second:.15g}"


def rate_checked(name: str, value: object) -> Rate | None:
    """A rate; None for as much as they like.

    Args:
        value: as `rate_text` writes it.

    Raises:
        errors.BadConfig: there is no such rate, or it cannot be that.
    """
    if name not in rate_defaults():
        raise errors.BadConfig(f"{name}: there is no such rate")
    if value == "off":
        return None
    burst, _, per_second = value.partition("/") if isinstance(value, str) else ("", "", "")
    try:
        return Rate(float(burst), float(per_second))
    except ValueError:
        raise errors.BadConfig(f"{name}: write AT-ONCE/PER-SECOND, as in 200/50, or off") from None
    except errors.BadOption as error:
        raise errors.BadConfig(f"{name}: {error}") from None


def with_rates(settings: Settings, rates: Mapping[str, Rate | None], *, usual: bool) -> Settings:
    """Settings with other rates.

    Args:
        rates: by name.
        usual: whether the others are as they are by default; else there are no others.
    """
    if not (usual or rates):
        return settings
    none = Limits(**dict.fromkeys(field.name for field in fields(Limits)))
    of_people = {name: rate for name, rate in rates.items() if not name.startswith(_BOT)}
    of_bots = {name.removeprefix(_BOT): rate for name, rate in rates.items() if name.startswith(_BOT)}
    return replace(
        settings,
        rates=replace(Limits() if usual else none, **of_people),
        bot_rates=replace(BOTS if usual else none, **of_bots),
    )


def kept(running: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """What a broker that runs may take over.

    Returns:
        The wanted settings, but for those that clients or sockets hold on to; and the names of the limits among these
        that were to be changed.
    """
    fixed = ["pub_port", *(name for name, known in LIMITS.items() if not known.live)]
    same = {name: getattr(running, name) for name in fixed}
    changed = [name.replace("_", "-") for name in fixed[1:] if getattr(wanted, name) != same[name]]
    return replace(wanted, **same), changed
