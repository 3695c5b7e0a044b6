"""What lines mean that are typed, and what is said of those that are wrong."""

from __future__ import annotations

import pytest

from zchat import errors, grammar, verbs
from zchat.grammar import Given


def parsed(line: str) -> Given:
    return grammar.typed(line, verbs.WORDS)[1]


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("/ban bob", Given(name="bob")),
        ("/ban @bob --for 1h spam", Given(name="bob", seconds=3600, text="spam")),
        ("/ban --for 2d bob  two  spaces", Given(name="bob", seconds=172800, text="two  spaces")),
        ("/ban bob spam --for=90", Given(name="bob", seconds=90, text="spam")),
        ("/BAN bob", Given(name="bob")),
        ("/create plans", Given(room="plans")),
        ("/create #plans --private --topic what --for", Given(room="plans", private=True, topic="what --for")),
        ("/topic", Given()),
        ("/topic  ships on Friday ", Given(text="ships on Friday")),
        ("/edit 12", Given(text="12")),
        ("/edit 12 anew", Given(target=12, text="anew")),
        ("/edit all anew", Given(text="all anew")),
        ("/delete", Given()),
        ("/delete #3", Given(target=3)),
        ("/reply 12 one\ntwo", Given(target=12, text="one\ntwo")),
        ("/me\tnods", Given(text="nods")),
        ("/link", Given()),
        ("/link 3", Given(target=3)),
        ("/link den", Given(room="den")),
        ("/link den 3", Given(room="den", target=3)),
        ("/day utc", Given(text="utc")),
        ("/readonly OFF", Given(on=False)),
        ("/slow off", Given()),
        ("/slow 30", Given(seconds=30)),
        ("/slow 2m", Given(seconds=120)),
        ("/react 7 :+1:", Given(target=7, text=":+1:")),
        ("/react 7 👍🏽", Given(target=7, text="👍🏽")),
        ("/help /ban", Given(text="ban")),
    ],
)
def test_what_lines_mean(line: str, given: Given) -> None:
    assert parsed(line) == given


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/ban", "write it as /ban NAME [--for TIME] [REASON]"),
        ("/ban --for 1h", "write it as /ban NAME [--for TIME] [REASON]"),
        ("/ban bob --for", "write it as /ban NAME [--for TIME] [REASON]"),
        ("/ban bob --for 1h --for 2h", "write it as /ban NAME [--for TIME] [REASON]"),
        ("/ban bob --fro 1h spam", "write it as /ban NAME [--for TIME] [REASON]"),
        ("/ban bob --for ever", "ever is no time: write 90s, 15m, 1h, 7d or 2w"),
        ("/ban bob --for 0", "0 is too short"),
        ("/ban bob --for 9999w", "9999w is too long: 3,660 d at most"),
        ("/create --topic den", "write it as /create ROOM [--private] [--topic TEXT]"),
        ("/slow 1d", "1d is too long: 6 h at most"),
        ("/slow", "write it as /slow SECONDS"),
        ("/delete that", "write it as /delete [NUMBER]"),
        ("/delete 0", "write it as /delete [NUMBER]"),
        ("/delete 99999999999999999999", "write it as /delete [NUMBER]"),
        ("/link den 3 4", "write it as /link [ROOM] [USES]"),
        ("/link 0", "write it as /link [ROOM] [USES]"),
        ("/who lobby den", "write it as /who [ROOM]"),
        ("/readonly maybe", "write it as /readonly on|off"),
        ("/react 7 thumbs", "a reaction is one emoji, or the short name of one, as :thumbsup:"),
        ("/kik bob", "unknown command /kik: did you mean /kick? (// says a line with a slash)"),
        ("/frobnicate", "unknown command /frobnicate: /help shows what there is (// says a line with a slash)"),
        ("/", "unknown command /: /help shows what there is (// says a line with a slash)"),
    ],
)
def test_what_is_said_of_wrong_lines(line: str, said: str) -> None:
    with pytest.raises(errors.UnknownWord) as caught:
        parsed(line)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604800), ("2W", 1209600), ("0", 0)],
)
def test_durations(word: str, seconds: int) -> None:
    assert grammar.duration(word) == seconds


@pytest.mark.parametrize("word", ["", "h", "1.5h", "-1", "1y", "½h", "٣h", "1h30m", "9999999999"])
def test_what_is_no_duration(word: str) -> None:
    assert grammar.duration(word) is None


@pytest.mark.parametrize(
    ("seconds", "said"), [(1, "1 s"), (90, "90 s"), (120, "2 min"), (3600, "1 h"), (90000, "25 h"), (604800, "7 d")]
)
def test_spans_are_said_by_the_largest_whole_unit(seconds: int, said: str) -> None:
    assert grammar.span(seconds) == said


@pytest.mark.parametrize("text", [":thumbsup:", ":+1:", ":-1:", "👍", "❤️", "👍🏽", "👩‍👩‍👧‍👦", "🇨🇭", "1️⃣", "☃"])
def test_reactions(text: str) -> None:
    assert grammar.is_reaction(text)


@pytest.mark.parametrize(
    "text", ["", ":", "::", ":Up:", "x", "👍👍", "a👍", ":" + "x" * 31 + ":", "\x1b[2J", "‍👍", "👍‍"]
)
def test_what_is_no_reaction(text: str) -> None:
    assert not grammar.is_reaction(text)


def test_help_has_every_verb_once() -> None:
    everybody, moderators = (grammar.guide(verbs.WORDS, moderating=one) for one in (False, True))
    assert sorted(line.split()[0][1:] for line in everybody + moderators) == sorted(verbs.WORDS)
    assert any(line.startswith("/me TEXT ") for line in everybody)
    assert any(line.startswith("/op NAME ") for line in moderators)
    assert grammar.guide(verbs.WORDS, "leave") == [f"/leave{'':<24} {verbs.WORDS['leave'].does}"]
