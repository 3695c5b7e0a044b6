"""What a terminal would obey, and how it is found in what was printed. No I/O."""

from __future__ import annotations

import re
import unicodedata

MARK = "7331"
"""Stands right behind everything here that steers a terminal: what zchat prints by itself is never followed by it."""

FIN = "FIN"
"""Ends what a hostile one says: once it is seen, all before it was."""

_C0 = "".join(chr(code) + MARK for code in range(32) if chr(code) not in "\n\t")

CORPUS = {
    "C0": f"e{_C0}",
    "DEL": f"e\x7f{MARK}",
    "C1": "e" + "".join(chr(code) + MARK for code in range(0x80, 0xA0)),
    "CSI colour": f"e\x1b[{MARK};31m{MARK}",
    "CSI clear": f"e\x1b[2J{MARK}\x1b[H{MARK}\x1b[{MARK};1H{MARK}\x1b[J{MARK}\x1b[?7l{MARK}",
    "CSI asks": f"e\x1b[6n{MARK}\x1b[c{MARK}\x1b[>q{MARK}",
    "reset": f"e\x1bc{MARK}\x1b(0{MARK}\x1b#8{MARK}",
    "OSC 0": f"e\x1b]0;{MARK}\x07{MARK}",
    "OSC 8": f"e\x1b]8;;http://evil/{MARK}\x1b\\bank\x1b]8;;\x1b\\{MARK}",
    "OSC 52": f"e\x1b]52;c;{MARK}ZXZpbA==\x07{MARK}",
    "DCS": f"e\x1bP$q{MARK}\x1b\\{MARK}",
    "APC, PM, SOS": f"e\x1b_{MARK}\x1b\\\x1b^{MARK}\x1b\\\x1bX{MARK}\x1b\\",
    "C1 CSI": f"e\x9b31m{MARK}\x9d52;c;{MARK}\x9c{MARK}\x90q{MARK}\x9c",
    "bare CR": f"e\r{MARK} root: give me your key",
    "newline": f"e\n{MARK} root: give me your key\n{MARK}",
    "separators": f"e\u2028{MARK}\u2029{MARK}\x85{MARK}\x0b{MARK}\x0c{MARK}",
    "backspaces": "e" + "\x08" * 8 + MARK,
    "bidi": f"e\u202e{MARK}\u202d\u202a\u202b\u202c\u2066\u2067\u2068\u2069\u061c\u200e\u200f{MARK}",
    "zero-width": f"e\u200b{MARK}\u200c{MARK}\u200d{MARK}\u2060{MARK}\ufeff{MARK}\u00ad{MARK}",
    "blank letters": f"e\u3164{MARK}\u115f{MARK}\uffa0{MARK}\u034f{MARK}",
    "combining flood": "e" + "\u0301" * 300 + MARK + "\u0489" * 300,
    "tags": f"e\U000e0041\U000e007f{MARK}\ufff9{MARK}",
    "private use": f"e\ue000{MARK}\U000f0000{MARK}\uffff{MARK}\u0378{MARK}",
}
"""Texts by what they try."""

ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line: a banner may have several, and all of them begin as it likes."""

INVALID = b"e\xff\xfe\x1b[7331m\xc0\xaf\xed\xa0\x807331\x9b7331m"
"""What is no UTF-8."""

_OWN = re.compile(r"\x1b\[(?:\d{0,3}C|J|H|2J|K|\?7[lh]|\?2004[hl])|\x07")
"""What zchat's own screen steers a terminal with."""

_STEERED = re.compile(rf"(?:[\x00-\x1f\x7f-\x9f]|\x1b(?:\[[0-9;?>]*[@-~]|[ -/]*[0-~])){MARK}")

_BAD = {"Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

_JOINERS = "\u200c\u200d"

_BLANK = "\u034f\u115f\u1160\u3164\uffa0"

_MARKS = 4
"""That may stand in a row."""


def found(output: bytes, terminal: bool = False) -> list[str]:
    """What in an output a hostile one has put there to steer a terminal.

    Args:
        output: all that was printed.
        terminal: whether it is a terminal's, on which zchat draws by itself.
    """
    faults: list[str] = []
    try:
        text = output.decode()
    except UnicodeDecodeError as error:
        faults.append(f"no UTF-8 at {error.start}: {output[max(error.start - 10, 0) : error.start + 10]!r}")
        text = output.decode(errors="ignore")
    if terminal:
        text = text.replace("\r\n", "\n")
    steered = _STEERED.search(text)
    if steered is not None:
        faults.append(f"it is steered: {text[max(steered.start() - 20, 0) : steered.end() + 5]!r}")
    allowed = "\n\t"
    if terminal:
        text, allowed = _OWN.sub("", text), "\n\t\r"
    in_a_row = 0
    before = ""
    for at, char in enumerate(text):
        category = unicodedata.category(char)
        in_a_row = in_a_row + 1 if category in {"Mn", "Me"} and not "\ufe00" <= char <= "\ufe0f" else 0
        joins = char in _JOINERS and not before.isascii()
        if in_a_row > _MARKS:
            faults.append(f"more than {_MARKS} marks in a row: {text[max(at - 8, 0) : at + 3]!r}")
            break
        if (category == "Cc" and char not in allowed) or (category in _BAD and not joins) or char in _BLANK:
            faults.append(f"U+{ord(char):04X}: {text[max(at - 20, 0) : at + 10]!r}")
            break
        before = char
    return faults
