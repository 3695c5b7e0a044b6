"""What a client does not even say, since the broker would cut who does, or nothing could be made of it. Pure."""

from __future__ import annotations

from zchat import errors
from zchat.messages import Request

NAME_LIMIT = 1024
"""Characters of anything but a text at most: the broker takes far less, and cuts who sends a frame that is too long."""


def unsayable(text: str, limit: int) -> errors.Refusal | None:
    """Why something cannot be said: the broker would cut us for a frame that is too long, and none could be made of
    half a surrogate pair.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return errors.BadRequest("that is no text: UTF-8 cannot hold it")
    if size > limit:
        return errors.TooLong(f"the text has {size} bytes and {limit} are allowed: say it in parts")
    return None


def unaskable(request: Request, limit: int) -> errors.Refusal | None:
    """Why something cannot be asked; see `unsayable`."""
    for field in ("room", "name", "word", "words", "role", "link", "verb", "what", "after"):
        value = getattr(request, field, "")
        if isinstance(value, str) and no_name(value):
            long = errors.TooLong(f"search for {NAME_LIMIT} characters at most") if field == "words" else None
            return long or errors.NameInvalid()
    return unsayable(getattr(request, "text", ""), limit)


def no_name(name: str) -> bool:
    """Whether the broker need not be asked; see `unsayable`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return len(name) > NAME_LIMIT
