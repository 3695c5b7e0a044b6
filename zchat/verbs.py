"""Everything that a person may tell zchat to do: one table, a row a verb. Pure.

What is typed in `zchat join` after a slash, what `zchat admin` and the operator's console take, their help, their usage
errors and what shells complete come from here, and so does who may do it: the broker asks this table.
"""

from __future__ import annotations

import difflib
import enum
import re
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
    USES = "USES"
    COMMAND = "COMMAND"
    UTC = "utc"
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
_UTC = Arg(Kind.UTC, needed=False)


def _table(*rows: Verb) -> dict[str, Verb]:
    return {row.name: row for row in rows}


ACTS = _table(
    Verb(
        "create",
        (_ROOM, Arg(Kind.SWITCH, needed=False, option="--private"), Arg(Kind.TEXT, needed=False, option="--topic")),
        "makes a room; --private: +ROOM, for those who are invited",
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

WORDS = (
    _table(
        Verb("help", (Arg(Kind.COMMAND, needed=False),), "shows this, or how one command is written"),
        Verb("who", (_MAYBE_ROOM,), "who is here"),
        Verb("rooms", (), "which rooms there are"),
        Verb("join", (_ROOM,), "enters a room and makes it the current one"),
        Verb("leave", (), "leaves the current room, back to the previous"),
        Verb("msg", (_PERSON, _TEXT), "says something to one person alone"),
        Verb("me", (_TEXT,), "says what you do"),
        Verb("reply", (_NUMBER, _TEXT), "answers a message"),
        Verb("edit", (_MAYBE_NUMBER, _TEXT), "says your last message, or that one, anew"),
        Verb("delete", (_MAYBE_NUMBER,), "takes your last message, or that one, back"),
        Verb("history", (_MAYBE_NUMBER,), "the last messages, or those around one, with their numbers"),
        Verb("search", (Arg(Kind.WORDS),), "looks for messages with all these words"),
        Verb("pins", (), "shows the pinned messages of the room"),
        Verb("nick", (_PERSON,), "goes by another name"),
        Verb("link", (_MAYBE_ROOM, Arg(Kind.USES, needed=False)), "makes a link that lets others in"),
        Verb("ping", (), "the round trip to the broker"),
        Verb("day", (_UTC,), "the day of the week"),
        Verb("date", (_UTC,), "the date"),
        Verb("time", (_UTC,), "the time of day"),
        Verb("quit", (), "leaves, as do the words quit and exit"),
    )
    | ACTS
    | _table(ADMIN["block"], ADMIN["unblock"], LISTS["bans"], LISTS["blocks"])
)
"""What is typed in the chat after a slash; the acts are done in the current room."""

CONSOLE = (
    {name: row for name, row in ADMIN.items() if row.rank > Rank.MEMBER}
    | {name: row for name, row in LISTS.items() if row.rank > Rank.MEMBER}
    | _table(
        Verb("audit", (), "the last of what was done, by whom and to whom", Rank.STAFF),
        Verb("help", (Arg(Kind.COMMAND, needed=False),), "shows this, or how one command is written"),
    )
)
"""What is typed on the broker's own terminal after a slash, by who may do everything."""

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


def parse(verb: Verb, rest: str, *, before: str = "/") -> Given:
    """What was typed after a verb, by its arguments.

    Args:
        rest: of the line. Options may stand anywhere, but within a text: what follows `--topic` is the topic.
        before: what stands before the verb where it is written: said in errors.

    Raises:
        errors.UnknownWord: something is missing, too much or of another type: says how it is written.
    """
    found, rest = _options(verb, rest.strip(), before)
    places = [arg for arg in verb.args if not arg.option]
    while places:
        arg = places.pop(0)
        if arg.kind in _REST:
            return _usual(found._replace(text=rest), missing=arg.needed and not rest, verb=verb, before=before)
        word, _, behind = rest.partition(_space(rest))
        if not arg.needed and not _meant(arg, word, behind.strip(), places):
            continue
        taken = _take(arg, word, found) if word else None
        if taken is None:
            raise _usage(verb, before)
        found, rest = taken, behind.lstrip()
    return _usual(found, missing=bool(rest), verb=verb, before=before)


_REST = (Kind.TEXT, Kind.REASON, Kind.WORDS)
"""What is the rest of the line."""


def _usual(found: Given, *, missing: bool, verb: Verb, before: str) -> Given:
    if missing:
        raise _usage(verb, before)
    return found


def _space(text: str) -> str:
    """The white space at which its first word ends."""
    space = re.search(r"\s", text)
    return space[0] if space else " "


def _meant(arg: Arg, word: str, behind: str, places: list[Arg]) -> bool:
    """Whether a word is that argument, which need not be there, and none of those after it."""
    if not word:
        return False
    if any(place.needed for place in places):  # as `/edit 12`: says that anew
        return bool(behind) and _take(arg, word, Given()) is not None
    if places and not behind:  # as `/link 3`
        return _take(places[0], word, Given()) is None
    return True


def _options(verb: Verb, rest: str, before: str) -> tuple[Given, str]:
    """Takes the options out of a line, and gives what is left."""
    options = {arg.option: arg for arg in verb.args if arg.option}
    found = Given()
    if not options:
        return found, rest
    left: list[str] = []
    pieces = re.split(r"(\s+)", rest)  # words, and the spaces between them
    while pieces:
        name, equals, value = pieces[0].partition("=")
        if not name.startswith("--"):
            left.append(pieces.pop(0))
            continue
        pieces.pop(0)
        arg = options.pop(name, None)
        if arg is None:  # not to be taken for a part of a reason: who is banned for an hour must not be for good
            raise _usage(verb, before)
        if arg.kind is Kind.SWITCH and not equals:
            found = found._replace(private=True)
        elif arg.kind is Kind.TEXT:
            found, pieces = found._replace(topic="".join([value, *pieces]).strip()), []
        else:
            if not equals:
                value = "".join(pieces[1:2])
                pieces = pieces[2:]
            taken = _take(arg, value, found) if value else None
            if taken is None:
                raise _usage(verb, before)
            found = taken
    return found, "".join(left).strip()


def _take(arg: Arg, word: str, found: Given) -> Given | None:
    """What was found, with that word; None if it cannot be that argument.

    Raises:
        errors.UnknownWord: it is a time or a reaction that cannot be.
    """
    match arg.kind:
        case Kind.PERSON:
            return found._replace(name=word.removeprefix("@"))
        case Kind.ROOM:
            return found._replace(room=word.removeprefix("#"))
        case Kind.NUMBER | Kind.USES:
            digits = word.removeprefix("#") if arg.kind is Kind.NUMBER else word
            if digits.isascii() and digits.isdigit() and len(digits) < 19 and int(digits):
                return found._replace(target=int(digits))
        case Kind.TIME:
            return found._replace(seconds=_seconds(word, LONGEST))
        case Kind.SECONDS:
            return found._replace(seconds=0 if word.lower() == "off" else _seconds(word, SLOWEST, least=0))
        case Kind.SWITCH:
            if word.lower() in ("on", "off"):
                return found._replace(on=word.lower() == "on")
        case Kind.UTC:
            if word.lower() == "utc":
                return found._replace(text="utc")
        case Kind.REACTION:
            if not is_reaction(word):
                raise errors.UnknownWord("a reaction is one emoji, or the short name of one, as :thumbsup:")
            return found._replace(text=word)
        case Kind.COMMAND:
            return found._replace(text=word.removeprefix("/").lower())
    return None


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def duration(word: str) -> int | None:
    """Seconds of `90`, `90s`, `15m`, `1h`, `7d` or `2w`; None for anything else."""
    unit = _UNITS.get(word[-1:].lower())
    digits = word[:-1] if unit else word
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    return int(digits) * (unit or 1)


def span(seconds: int) -> str:
    """A time as people say it, by the unit in which it is a whole number: `1 h`, `90 s`, `2 d`."""
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]:,} {'min' if unit == 'm' else unit}"


def _seconds(word: str, most: int, *, least: int = 1) -> int:
    found = duration(word)
    if found is None:
        raise errors.UnknownWord(f"{word} is no time: write 90s, 15m, 1h, 7d or 2w")
    if not least <= found <= most:
        raise errors.UnknownWord(f"{word} is too {'short' if found < least else f'long: {span(most)} at most'}")
    return found


_BASE = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_ONE = f"{_BASE}\ufe0f?[\U0001f3fb-\U0001f3ff]?"
_REACTION = re.compile(
    rf":[a-z0-9_+-]{{1,30}}:|[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_ONE}(?:\u200d{_ONE}){{0,6}}"
)  # of emojis those of UTS #51 but for flags of regions, which take invisible characters


def is_reaction(text: str) -> bool:
    """Whether that is one emoji, or looks like the short name of one: which there are, nobody looks at."""
    return len(text) <= REACTION_MAX and _REACTION.fullmatch(text) is not None


def typed(line: str, table: Mapping[str, Verb]) -> tuple[Verb, Given]:
    """What a line says that begins with a slash.

    Raises:
        errors.UnknownWord: it is wrong: says how it is written, or what may have been meant.
    """
    word, _, rest = line[1:].partition(_space(line[1:]))
    row = find(word, table)
    return row, parse(row, rest)


def _usage(verb: Verb, before: str) -> errors.UnknownWord:
    return errors.UnknownWord(f"write it as {before}{verb.name} {verb.usage}".rstrip())


def find(word: str, table: Mapping[str, Verb], *, before: str = "/") -> Verb:
    """The row of a table that a word names.

    Raises:
        errors.UnknownWord: none: says which may have been meant.
    """
    row = table.get(word.lower())
    if row is None:
        near = meant(word.lower(), table)
        rest = f"did you mean {before}{near}?" if near else f"{before}help shows what there is"
        also = " (// says a line with a slash)" if before == "/" else ""
        raise errors.UnknownWord(f"unknown command {before}{word}: {rest}{also}")
    return row


def meant(word: str, table: Iterable[str]) -> str:
    """The word of a table that somebody may have meant; empty if none is near."""
    return next(iter(difflib.get_close_matches(word[:40], table, 1)), "")


def guide(table: Mapping[str, Verb], word: str = "", *, moderating: bool | None = None) -> list[str]:
    """The lines of the help.

    Args:
        word: the command that it is about; empty for all.
        moderating: of all only what moderators do, or only what everybody does; None for both.
    """
    rows = [find(word, table)] if word else table.values()
    if not word and moderating is not None:
        rows = [row for row in rows if (row.rank > Rank.MEMBER) is moderating]
    return [f"{f'/{row.name} {row.usage}':<30} {row.does}" for row in rows]
