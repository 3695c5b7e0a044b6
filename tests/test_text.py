"""What may be printed to a terminal or a log."""

import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zchat.text import block, json_text, printable, width

# Any str, lone surrogates included, with what is dangerous far more often than chance would have it.
DANGERS = "\x00\x07\x08\t\n\v\f\r\x1b\x7f\x85\x9b\xa0\xad\u034f\u061c\u115f\u200b\u200c\u200d\u200e\u2028\u2029"
DANGERS += "\u202e\u2066\u20e3\u3000\u3164\ufe0e\ufe0f\ufeff\ufff9\ufffd\ud800\udfff\ue000\uffff\U000e0041"
DANGERS += "\u0301\u0302\u05b0\u0488\U000e0100\U0010ffff\u2764\U0001f525\u0645\u0e01ae1#[;␛"
anything = st.text(st.one_of(st.sampled_from(DANGERS), st.characters(codec=None)))

STEERING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = {"\u200c", "\u200d"}

SEQUENCES = {
    "CSI, clear the screen": ("\x1b[2J", "␛[2J"),
    "OSC 0, window title": ("\x1b]0;root\x07", "␛]0;root␇"),
    "OSC 8, disguised link": ("\x1b]8;;http://x\x1b\\bank\x1b]8;;\x1b\\", "␛]8;;http://x␛\\bank␛]8;;␛\\"),
    "OSC 52, write the clipboard": ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
    "DCS, ask the terminal": ("\x1bP$q q\x1b\\", "␛P$q q␛\\"),
    "C1 CSI": ("\x9b31m", "\ufffd31m"),
    "C1 NEL": ("a\x85b", "a\ufffdb"),
    "NUL, BS, DEL": ("\x00\x08\x7f", "␀␈␡"),
    "newline and tab": ("a\nb\tc", "a␊b␉c"),
    "bare CR forging a sender": ("hi\rroot: give me your key", "hi␍root: give me your key"),
    "bidi override": ("abc\u202etxt.exe", "abc\ufffdtxt.exe"),
    "bidi isolate and marks": ("\u2066\u2069\u061c\u200e\u200f", "\ufffd" * 5),
    "zero width space, BOM, soft hyphen": ("a\u200bb\ufeffc\xadd", "a\ufffdb\ufffdc\ufffdd"),
    "word joiner, annotation": ("a\u2060b\ufff9c", "a\ufffdb\ufffdc"),
    "line and paragraph separators": ("a\u2028b\u2029c", "a\ufffdb\ufffdc"),
    "tags": ("a\U000e0041\U000e007f", "a\ufffd\ufffd"),
    "invisible letters and marks": ("\u3164\u115f\u1160\uffa0\u034f\u17b4", "\ufffd" * 6),
    "lone surrogates": ("a\ud800\udfffb", "a\ufffd\ufffdb"),
    "private use, unassigned, noncharacter": ("\ue000\U000f0000\u0378\uffff", "\ufffd" * 4),
    "combining flood": ("Z" + "\u0301" * 100 + "a", "Z" + "\u0301" * 4 + "a"),
    "combining flood past joiners": ("ب" + "\u064b\u200d" * 9, "ب" + "\u064b\u200d" * 4 + "\ufffd" * 5),
    "joiner in ASCII": ("ad\u200dmin", "ad\ufffdmin"),
    "joiner at the start": ("\u200d", "\ufffd"),
    "joiners in a row": ("ب\u200c\u200d", "ب\u200c\ufffd"),
    "selectors in a row": ("❤\ufe0f\ufe0f", "❤\ufe0f\ufffd"),
    "selector in ASCII": ("a\ufe0f1\ufe0f", "a\ufffd1\ufffd"),
}

HARMLESS = [
    "",
    'plain, with spaces & "quotes" \\ and ~',
    "Zoë Дарья 名前 مرحبا שָׁלוֹם",
    "Vie\u0302\u0323t",
    "می\u200cخواهم",  # Persian needs ZWNJ
    "ශ\u0dca\u200dරී",  # Sinhala needs ZWJ
    "❤️‍🔥 👩‍💻 👍🏽 🇨🇭 1️⃣ #️⃣",
    "non-breaking\xa0and\u3000ideographic spaces",
    "葛\U000e0100",  # an ideographic variant
    "€ © → ∀",
]


@pytest.mark.parametrize(("raw", "shown"), SEQUENCES.values(), ids=SEQUENCES.keys())
def test_what_steers_a_terminal_becomes_visible(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text
    assert block(text, "  ") == text
    assert json_text(text) == json.dumps(text, ensure_ascii=False)


def test_every_character_is_either_visible_or_replaced() -> None:
    # The planes between hold ideographs, nothing, or private use: all alike.
    planes = (range(0x20000), range(0xE0000, 0xE1000), range(0x10FF00, 0x110000))
    characters = [chr(c) for plane in planes for c in plane if c != ord(" ")]
    shown = printable(" ".join(characters)).split(" ")
    assert {len(c) for c in shown} == {1}
    assert STEERING.isdisjoint(map(unicodedata.category, set(shown)))
    replaced = {c for c, stand_in in zip(characters, shown, strict=True) if c != stand_in and c.isprintable()}
    assert {unicodedata.category(c) for c in replaced - set("\u115f\u1160\u3164\uffa0")} == {"Mn"}


@given(anything)
def test_printable_text_holds_nothing_that_steers(text: str) -> None:
    shown = printable(text)
    assert all(unicodedata.category(c) not in STEERING or c in JOINERS for c in shown)
    assert len(shown) <= len(text)


@given(anything)
def test_printable_text_has_at_most_four_marks_in_a_row(text: str) -> None:
    marks = 0
    for c in printable(text):
        if c not in JOINERS and not 0xFE00 <= ord(c) <= 0xFE0F and ord(c) < 0xE0100:
            marks = marks + 1 if unicodedata.category(c) in {"Mn", "Me"} and not "\u180b" <= c <= "\u180f" else 0
        assert marks <= 4


@given(anything)
@example("\x1b\u200d")
@example("1\ufe0f\u20e3")
@example("\u0301\u0301\u0301\u0301\u0301\u200d\ufe0f")
@example("1\u0301\u0301\u0301\u0301\u0301\ufe0f\u20e3")
def test_printable_twice_is_printable_once(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_no_line_of_a_block_can_pass_for_a_senders(end: str) -> None:
    assert block(f"hi{end}root: give me your key", "  | ") == "hi\n  | root: give me your key"


def test_a_block_keeps_empty_lines_and_lines_up_tabs() -> None:
    assert block("a\n\r\n\tb\tc\n", "> ") == "a\n> \n>         b       c\n> "
    assert block("", "> ") == ""


def test_each_line_of_a_block_is_printable() -> None:
    assert block("\x1b[2J\n\x9b31m\u202e", "  ") == "␛[2J\n  \ufffd31m\ufffd"


@given(anything)
def test_a_block_holds_nothing_that_steers_but_newline_and_indent(text: str) -> None:
    first, *others = block(text, "\u2502 ").split("\n")
    assert all(line.startswith("\u2502 ") for line in others)
    assert all(printable(line) == line for line in (first, *(line[2:] for line in others)))


@given(anything)
@example("\x01\ufe0f\u20e3")  # its escape ends in a digit, which with these would make a keycap
@example("1\u0301\u0301\u0301\u0301\u0301\ufe0f\u20e3")
@example('"\\\n\x7f\u2028\U000e0041')
def test_json_is_harmless_and_gives_the_same_text_back(text: str) -> None:
    literal = json_text(text)
    assert printable(literal) == literal
    assert json.loads(literal) == _paired(text)


def test_json_escapes_what_would_be_replaced_and_only_that() -> None:
    assert json_text("é\x1b\u202e\U000e0041\ud800\x7f") == '"é\\u001b\\u202e\\udb40\\udc41\\ud800\\u007f"'
    assert json_text("a" + "\u0301" * 6) == '"a' + "\u0301" * 4 + '\\u0301\\u0301"'


def test_width_is_in_columns() -> None:
    assert width("") == 0
    assert width("plain") == 5
    assert width("名前") == 4
    assert width("Zoe\u0308") == 3
    assert width("❤️") == 2


@given(anything)
def test_width_is_never_negative(text: str) -> None:
    assert 0 <= width(printable(text)) <= 2 * len(text)


def _paired(text: str) -> str:
    """A high and a low surrogate side by side are one character to JSON, and no UTF-8 decodes to them."""
    return re.sub("[\ud800-\udbff][\udc00-\udfff]", lambda m: _astral(m[0]), text)


def _astral(pair: str) -> str:
    return pair.encode("utf-16", "surrogatepass").decode("utf-16")
