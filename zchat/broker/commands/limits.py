"""Whether a person asks for too much in too short a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zchat import errors
from zchat.broker.rates import CREATIONS, HELLOS, retry_ms
from zchat.broker.sessions import Session

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def count(hub: Hub, peer: bytes, person: bytes, kind: int, amount: float = 1.0, requests: int = 1) -> None:
    """Counts what a person asks for.

    Args:
        kind, amount: see `zchat.broker.rates`.
        requests: that are refused with it.

    Raises:
        errors.RateLimited: it is too much.
    """
    wait = hub.rates.take(person, kind, hub.turn.clock, amount)
    if wait:
        hub.too_much(peer, person, requests)
        raise errors.RateLimited(retry_ms=retry_ms(wait))


def hello(hub: Hub, peer: bytes, person: bytes) -> None:
    """A person says hello.

    Raises:
        errors.RateLimited: too often, or while it is held off.
    """
    held = hub.rates.held(person, hub.turn.clock)
    if held:
        hub.too_much(peer, person, 1)
        raise errors.RateLimited("held off, for it went on although refused: wait", retry_ms=retry_ms(held))
    count(hub, peer, person, HELLOS)


def creation(hub: Hub, session: Session) -> None:
    """A person has a room made.

    Raises:
        errors.RateLimited: that was too many.
    """
    wait = hub.rates.take(session.person, CREATIONS, hub.turn.clock)
    if wait:
        if session.peer is not None:
            hub.too_much(session.peer, session.person, 1)
        raise errors.RateLimited("too many new rooms in too short a time: wait a moment", retry_ms=retry_ms(wait))
