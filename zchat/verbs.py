"""Everything that a person may tell zchat to do: one table, a row a verb. How a line is read by it: `grammar`. Pure.

What is typed in `zchat join` after a slash, what `zchat admin` and the operator's console take, their help, their usage
errors and what shells complete come from here, and so does who may do it: the broker asks this table.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


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
        Verb("leave", (), "leaves the current room, a private one for good"),
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
