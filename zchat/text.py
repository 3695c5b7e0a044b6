"""What may be printed to a terminal or written to a log. Pure: text in, text out.

Everything that came over the network passes `printable`, `block` or `json_text` before a terminal or a log
sees it: an escape sequence in a message can write the clipboard (OSC 52) or disguise a link (OSC 8), a bare
CR can forge a sender's line, bidi controls reorder what is read (CVE-2021-42574), invisible characters make
two names look like one, and a flood of combining marks paints over the lines around it.
"""

import json
import re
import unicodedata
from collections.abc import Callable

# Letters and digits of any script (\w) and printable ASCII stand as they are; only runs of the rest are
# looked at one by one, so that a page of Greek costs one scan. Hangul fillers are letters, yet invisible.
_ODD = re.compile(r"(?:[^\w\x20-\x7e]|[\u115f\u1160\u3164\uffa0])+")

_NEWLINE = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")

# Default_Ignorable_Code_Point (UAX #44) that is neither Cf nor a variation selector: shows nothing at all.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")

# Invisible, but emoji, Persian and the Indic scripts cannot be spelled without them.
_JOINERS = frozenset("\u200c\u200d")
_SELECTORS = frozenset(
    chr(c)
    for block in (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), (0x180B, 0x180C, 0x180D, 0x180F))
    for c in block
)
_KEYCAPS = frozenset("0123456789#*")  # a digit, U+FE0F and U+20E3 are one emoji

_MARKS = frozenset({"Mn", "Me"})  # categories of what is drawn over the character before it
_MARKS_IN_A_ROW = 4  # Vietnamese and Hebrew need two or three; UAX #15 "stream-safe" would allow 30

_quote = json.JSONEncoder(ensure_ascii=False).encode


def printable(text: str) -> str:
    """Text for one line: a name, a log field, an error's detail.

    - Visible characters and spaces stay.
    - C0 controls and DEL become their control pictures (ESC: ␛, newline: ␊).
    - Whatever else steers the display or shows nothing becomes U+FFFD: C1, bidi and other format characters,
      line and paragraph separators, surrogates, private use, and what this Python's Unicode does not know.
    - A joiner (U+200C, U+200D) or variation selector stays where it has something visible outside ASCII to
      act on, or makes a keycap emoji; ASCII needs none, so none can hide in an ASCII word.
    - Of combining marks in a row the first 4 stay and the rest are dropped.

    Args:
        text: any str, lone surrogates included.

    Returns:
        The harmless text, `text` itself if nothing had to change; `printable(printable(x)) == printable(x)`.
    """
    if text.isascii() and text.isprintable():
        return text
    return _ODD.sub(lambda run: _tamed(run, _stand_in), text)


def block(text: str, indent: str) -> str:
    """Text that may have several lines: a message's body.

    Each line is made `printable`. CR LF, CR, VT, FF, NEL, U+2028 and U+2029 end a line as LF does: none
    reaches the terminal, and none hides the text after it. A tab becomes spaces up to the next multiple of 8
    characters.

    Args:
        text: any str, lone surrogates included.
        indent: what every line but the first begins with, so that none can pass for a sender's line; printed
            as it is.

    Returns:
        The harmless text; its only control character is LF, and `indent` follows each.
    """
    if text.isascii() and text.isprintable():
        return text
    return f"\n{indent}".join(printable(line.expandtabs(8)) for line in _NEWLINE.split(text))


def json_text(text: str) -> str:
    r"""A JSON string literal (RFC 8259), quotes included, that is harmless on a terminal.

    Non-ASCII stays readable; each character that `printable` would change is written as \uXXXX instead.

    Args:
        text: any str.

    Returns:
        The literal: one line, itself `printable`, and `json.loads` gives back exactly `text`. (The exception
        is JSON's own: a high and a low surrogate side by side, which no UTF-8 decodes to, come back as the
        one character they stand for.)
    """
    quoted = _quote(text)
    if quoted.isascii() and quoted.isprintable():
        return quoted
    return _ODD.sub(lambda run: _tamed(run, _escape), quoted)


def width(text: str) -> int:
    """Columns that a text takes on a terminal (UAX #11, as the library wcwidth reads it).

    Args:
        text: a text that `printable` returned.

    Returns:
        Columns, 0 or more.
    """
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # tables that a client which prints no columns need not load

    columns = wcswidth(text)
    return columns if columns >= 0 else len(text)  # -1: wcwidth found a control where printable() found none


def _tamed(run: re.Match[str], refused: Callable[[str], str]) -> str:
    """A run of odd characters with `refused(c)` in place of each that must not be printed."""
    text, start, end = run.string, run.start(), run.end()
    kept: list[str] = []
    # What a joiner or selector would act on. A refused character is nothing to act on: a second pass, which
    # sees its stand-in instead, must find nothing left to change.
    before = text[start - 1] if start else ""
    marks = 0
    for i in range(start, end):
        c = text[i]
        if c in _JOINERS:
            good = _joins(before) and before not in _JOINERS
        elif c in _SELECTORS:
            keycap = before in _KEYCAPS and text.startswith("\u20e3", i + 1)
            good = keycap or (_joins(before) and before not in _JOINERS and before not in _SELECTORS)
        elif c in _BLANKS:
            good = False
        elif (category := unicodedata.category(c)) in _MARKS:
            marks += 1  # joiners and selectors between marks do not begin a new row
            good = marks <= _MARKS_IN_A_ROW
        else:
            marks = 0
            good = category == "Zs" or c.isprintable()
        kept.append(c if good else refused(c))
        before = c if good else ""
    return "".join(kept)


def _joins(before: str) -> bool:
    return not (before.isascii() or before.isspace())


def _stand_in(c: str) -> str:
    if c < " ":
        return chr(0x2400 + ord(c))
    if c == "\x7f":
        return "␡"
    if unicodedata.category(c) in _MARKS and c not in _BLANKS and c not in _SELECTORS:
        return ""  # one mark too many; a stand-in for each would be a flood as well
    return "\ufffd"


def _escape(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
