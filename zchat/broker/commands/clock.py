"""The classic questions: which day, date and time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zchat import errors
from zchat.broker.sessions import Session
from zchat.messages import Ask, Told

if TYPE_CHECKING:
    from zchat.broker.hub import Hub

WORDS = {"day": "%A", "date": "%Y-%m-%d", "time": "%H:%M:%S %Z"}


def ask(hub: Hub, session: Session, request: Ask) -> None:
    """Tells the asker alone, in the broker's zone or UTC."""
    form = WORDS.get(request.word.lower())
    if form is None:
        raise errors.UnknownWord(f"unknown command {request.word[:32]!r}: try {', '.join(WORDS)}")
    moment = datetime.fromtimestamp(hub.turn.now.ms / 1000, UTC)
    hub.sessions.reply(session, Told(request.q, (moment if request.utc else moment.astimezone()).strftime(form)))
