"""How a line that was typed is read by the table of verbs, and what is said of one that is wrong. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from zchat import errors
from zchat.verbs import LONGEST, REACTION_MAX, SLOWEST, Arg, Kind, Rank, Verb


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
    if places and places[0].kind is Kind.USES and not behind:  # as `/link 3`
        return not word.isdigit()
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
