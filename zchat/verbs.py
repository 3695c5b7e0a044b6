"""Everything that a person may tell zchat to do: one table, a row a verb. Pure.

What is typed in `zchat join` after a slash, what `zchat admin` and the operator's console take, their help, their usage
errors and what shells complete come from here, and so does who may do it: the broker asks this table.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from zchat import errors


class Rank(enum.IntEnum):
    """What somebody is in a room, or with the broker; each may do what those before it may.

    Who does something to a person must be above that one.
    """

    OUTSIDER = 0
    MEMBER = 1
    MODERATOR = 2
    FOUNDER = 3
    STAFF = 4
    """A moderator of the broker."""
    OWNER = 5
    OPERATOR = 6
    """Who sits at the broker's console."""


class Kind(enum.Enum):
    """What an argument is; the value is how a usage line calls it."""

    PERSON = "NAME"
    ROOM = "ROOM"
    NUMBER = "NUMBER"
    TIME = "TIME"
    SECONDS = "SECONDS"
    SWITCH = "on|off"
    REACTION = ":NAME:"
    WORD = "WORD"
    WORDS = "WORDS"
    TEXT = "TEXT"
    REASON = "REASON"


class Arg(NamedTuple):
    """An argument.

    Attributes:
        kind: of what type.
        needed: whether it must be given.
        option: the option that it follows, as `--for`; empty where its place says which it is. One of kind
            `SWITCH` is there or not.
    """

    kind: Kind
    needed: bool = True
    option: str = ""

    def __str__(self) -> str:
        if self.option:
            return f"[{self.option}]" if self.kind is Kind.SWITCH else f"[{self.option} {self.kind.value}]"
        return self.kind.value if self.needed else f"[{self.kind.value}]"


class Verb(NamedTuple):
    """A row.

    Attributes:
        name: the verb.
        args: in order; a text or a reason is the rest of the line.
        does: what it does, for the help.
        rank: who may, at least.
        over: whether it is done to a person, who must be of lower rank.
        logged: whether the audit log has it.
    """

    name: str
    args: tuple[Arg, ...]
    does: str
    rank: Rank = Rank.MEMBER
    over: bool = False
    logged: bool = False

    @property
    def usage(self) -> str:
        """Its arguments, as the help shows them: in brackets those that may be left out."""
        return " ".join(map(str, self.args))


_ROOM, _MAYBE_ROOM = Arg(Kind.ROOM), Arg(Kind.ROOM, needed=False)
_PERSON, _NUMBER = Arg(Kind.PERSON), Arg(Kind.NUMBER)
_MAYBE_NUMBER = Arg(Kind.NUMBER, needed=False)
_TEXT, _MAYBE_TEXT = Arg(Kind.TEXT), Arg(Kind.TEXT, needed=False)
_FOR = Arg(Kind.TIME, needed=False, option="--for")
_REASON = Arg(Kind.REASON, needed=False)
_UTC = Arg(Kind.WORD, needed=False)


def _table(*rows: Verb) -> dict[str, Verb]:
    return {row.name: row for row in rows}


ACTS = _table(
    Verb(
        "create",
        (_ROOM, Arg(Kind.SWITCH, needed=False, option="--private"), Arg(Kind.TEXT, needed=False, option="--topic")),
        "makes a room; a private one, whose name begins with +, is for those who are invited",
        Rank.OUTSIDER,
        logged=True,
    ),
    Verb("topic", (_MAYBE_TEXT,), "shows what the room is about, or says it anew", Rank.MODERATOR, logged=True),
    Verb("invite", (_PERSON,), "lets somebody into a private room", Rank.MODERATOR, logged=True),
    Verb("kick", (_PERSON, _REASON), "sends somebody out of the room", Rank.MODERATOR, over=True, logged=True),
    Verb("ban", (_PERSON, _FOR, _REASON), "keeps somebody out of the room", Rank.MODERATOR, over=True, logged=True),
    Verb("unban", (_PERSON,), "lets somebody in again who was banned", Rank.MODERATOR, logged=True),
    Verb("mute", (_PERSON, _FOR, _REASON), "lets somebody only read", Rank.MODERATOR, over=True, logged=True),
    Verb("unmute", (_PERSON,), "lets somebody speak again", Rank.MODERATOR, logged=True),
    Verb("op", (_PERSON,), "makes somebody a moderator of the room", Rank.FOUNDER, logged=True),
    Verb("deop", (_PERSON,), "undoes op", Rank.FOUNDER, over=True, logged=True),
    Verb("readonly", (Arg(Kind.SWITCH),), "lets only moderators speak in the room", Rank.MODERATOR, logged=True),
    Verb("slow", (Arg(Kind.SECONDS),), "sets how long each waits between two messages", Rank.MODERATOR, logged=True),
    Verb("pin", (_NUMBER,), "pins a message", Rank.MODERATOR, logged=True),
    Verb("unpin", (_NUMBER,), "pins it no longer", Rank.MODERATOR, logged=True),
    Verb("react", (_NUMBER, Arg(Kind.REACTION)), "reacts to a message"),
    Verb("unreact", (_NUMBER, Arg(Kind.REACTION)), "takes a reaction back"),
)
"""What is done in a room, and told to its members: the verbs of `messages.Act`."""

ADMIN = _table(
    Verb("ban", (_PERSON, _FOR, _REASON), "lets somebody come in no more", Rank.STAFF, over=True, logged=True),
    Verb("unban", (_PERSON,), "lets somebody come in again", Rank.STAFF, logged=True),
    Verb("kick", (_PERSON, _REASON), "ends all connections of somebody", Rank.STAFF, over=True, logged=True),
    Verb("mute", (_PERSON, _FOR, _REASON), "lets somebody only read, everywhere", Rank.STAFF, over=True, logged=True),
    Verb("unmute", (_PERSON,), "lets somebody speak again", Rank.STAFF, logged=True),
    Verb("announce", (_TEXT,), "says something to everybody", Rank.STAFF, logged=True),
    Verb("drain", (_REASON,), "tells everybody, and stops the broker", Rank.OWNER, logged=True),
    Verb("block", (_PERSON,), "takes nothing private from somebody", Rank.MEMBER),
    Verb("unblock", (_PERSON,), "takes it again", Rank.MEMBER),
)
"""What is done to the whole broker, or for oneself: the verbs of `messages.Admin`."""

LISTS = _table(
    Verb("bans", (), "who is banned or muted", Rank.MODERATOR),
    Verb("rooms", (), "all rooms", Rank.STAFF),
    Verb("people", (), "everybody whom the broker knows", Rank.STAFF),
    Verb("sessions", (), "every program that is connected", Rank.STAFF),
    Verb("blocks", (), "from whom you take nothing private", Rank.MEMBER),
    Verb("bots", (), "for which bots you answer", Rank.MEMBER),
)
"""What may be listed: the words of `messages.List`. `bans` without a room takes `Rank.STAFF`."""

AUDIT = "@:audit"
"""The room in which the broker logs what was done: `Rank.STAFF` may read it, nobody else learns that it is there."""

OPERATOR = "operator"
"""Whom the console speaks as: a reserved name."""

LONGEST = 10 * 366 * 86400
"""Seconds for which somebody may be banned or muted at most, but for ever."""

SLOWEST = 6 * 3600
"""Seconds between two messages of one person at most."""

REACTION_MAX = 32
"""Characters of a reaction at most."""

TOPIC_MAX = 500
"""Characters of a topic, and of a reason."""


class Given(NamedTuple):
    """What was typed after a verb; see `messages.Act` and `messages.Admin`.

    Attributes:
        room: where, if it was said.
        private: whether a private room is to be made.
        topic: of a room that is to be made.
    """

    room: str = ""
    name: str = ""
    target: int = 0
    seconds: int = 0
    text: str = ""
    on: bool = True
    private: bool = False
    topic: str = ""


def parse(verb: Verb, rest: str) -> Given:
    """What was typed after a verb, by its arguments.

    Args:
        rest: of the line. Options may stand anywhere before a text or a reason.

    Raises:
        errors.UnknownWord: something is missing, too much or of another type: says how it is written.
    """
    words = rest.split(" ")
    found = Given()
    places = [arg for arg in verb.args if not arg.option]
    options = {arg.option: arg for arg in verb.args if arg.option}
    while True:
        while words and not words[0]:
            words.pop(0)
        if words and words[0] in options:
            arg = options.pop(words.pop(0))
            if arg.kind is Kind.SWITCH:
                found = found._replace(private=True)
                continue
            if arg.kind is Kind.TEXT:
                return _whole(verb, places, found._replace(topic=" ".join(words).strip()))
        elif places and words:
            arg = places.pop(0)
            if arg.kind in (Kind.TEXT, Kind.REASON, Kind.WORDS):
                return found._replace(text=" ".join(words).strip())
        else:
            break
        if not words:
            raise _usage(verb)
        found = _take(verb, arg, words.pop(0), found)
    if words:
        raise _usage(verb)
    return _whole(verb, places, found)


def _whole(verb: Verb, left: Iterable[Arg], found: Given) -> Given:
    if any(arg.needed for arg in left):
        raise _usage(verb)
    return found


def _take(verb: Verb, arg: Arg, word: str, found: Given) -> Given:
    match arg.kind:
        case Kind.PERSON:
            return found._replace(name=word.removeprefix("@"))
        case Kind.ROOM:
            return found._replace(room=word.removeprefix("#"))
        case Kind.NUMBER:
            number = word.removeprefix("#")
            if number.isascii() and number.isdigit() and 0 < int(number[:19]) < 2**40:
                return found._replace(target=int(number[:19]))
        case Kind.TIME | Kind.SECONDS:
            seconds = duration(word)
            if seconds is not None:
                return found._replace(seconds=seconds)
        case Kind.SWITCH:
            if word.lower() in ("on", "off"):
                return found._replace(on=word.lower() == "on")
        case Kind.REACTION:
            return found._replace(text=word)
        case _:
            return found._replace(text=word)
    raise _usage(verb)


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def duration(word: str) -> int | None:
    """Seconds of `90`, `90s`, `15m`, `1h`, `7d` or `2w`; `off` is 0; None for anything else."""
    if word.lower() == "off":
        return 0
    unit = _UNITS.get(word[-1:].lower())
    digits = word[:-1] if unit else word
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    return int(digits) * (unit or 1)


def _usage(verb: Verb) -> errors.UnknownWord:
    return errors.UnknownWord(f"write it as {verb.name} {verb.usage}".rstrip())


def meant(word: str, table: Mapping[str, object]) -> str:
    """The word of a table that somebody may have meant; empty if none is near."""
    return next(iter(difflib.get_close_matches(word, table, 1)), "")
