"""Bytes from a terminal -> keys. Pure: knows neither the line that is edited nor the terminal.

The tables are those of xterm's control sequences (ctlseqs), with the spellings that rxvt and the Linux console
use for the same keys. What a read returns may end anywhere, so the parser gives the same keys however the bytes are
cut. The price: nothing tells the Escape key from the start of a sequence but what comes next.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

PASTE_LIMIT = 64 * 1024
"""Characters kept of one paste: more than a line may hold, so that the editor sees that it was too long."""

_PARAMETER_LIMIT = 32
_PASTE_END = "\x1b[201~"


class Key(Enum):
    """What a key asks for; several keys may ask for the same."""

    ENTER = auto()
    NEWLINE = auto()
    BACKSPACE = auto()
    DELETE = auto()
    DELETE_OR_END = auto()
    LEFT = auto()
    RIGHT = auto()
    WORD_LEFT = auto()
    WORD_RIGHT = auto()
    HOME = auto()
    END = auto()
    UP = auto()
    DOWN = auto()
    KILL_WORD = auto()
    KILL_TO_START = auto()
    KILL_TO_END = auto()
    CLEAR_SCREEN = auto()


@dataclass(frozen=True, slots=True)
class Paste:
    """Text that was pasted as one piece: its line ends are text, not the Enter key."""

    text: str


Event = Key | Paste | str
"""A key, a paste, or typed text without control characters."""

_CONTROL = {
    "\r": Key.ENTER,
    "\n": Key.ENTER,  # a terminal that was left in canonical mode, or a script that types
    "\x7f": Key.BACKSPACE,
    "\x08": Key.BACKSPACE,
    "\x01": Key.HOME,
    "\x02": Key.LEFT,
    "\x04": Key.DELETE_OR_END,
    "\x05": Key.END,
    "\x06": Key.RIGHT,
    "\x0b": Key.KILL_TO_END,
    "\x0c": Key.CLEAR_SCREEN,
    "\x0e": Key.DOWN,
    "\x10": Key.UP,
    "\x15": Key.KILL_TO_START,
    "\x17": Key.KILL_WORD,
}

_ALT = {
    "b": Key.WORD_LEFT,
    "f": Key.WORD_RIGHT,
    "\x7f": Key.KILL_WORD,
    "\x08": Key.KILL_WORD,
    "\r": Key.NEWLINE,
    "\n": Key.NEWLINE,
}

_SEQUENCE = {
    "A": Key.UP,
    "B": Key.DOWN,
    "C": Key.RIGHT,
    "D": Key.LEFT,
    "F": Key.END,
    "H": Key.HOME,
    "1~": Key.HOME,
    "3~": Key.DELETE,
    "4~": Key.END,
    "7~": Key.HOME,
    "8~": Key.END,
}

# Only after ESC O: as CSI these end what a mouse or a terminal's answer says.
_SS3 = _SEQUENCE | {
    "M": Key.ENTER,  # of the keypad
    "c": Key.WORD_RIGHT,  # rxvt's ctrl-right
    "d": Key.WORD_LEFT,
}

_BY_WORD = {Key.LEFT: Key.WORD_LEFT, Key.RIGHT: Key.WORD_RIGHT}
_ALT_OR_CTRL = 2 | 4

_TYPED = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")


class Keys:
    """An incremental parser of what a terminal sends; what it holds back is bounded."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._state: Callable[[str], None] = self._ground
        self._events: list[Event] = []
        self._parameters = ""
        self._paste: list[str] = []
        self._paste_length = 0
        self._paste_tail = ""

    def feed(self, data: bytes) -> list[Event]:
        """Take in what was read.

        Args:
            data: any bytes; invalid UTF-8 becomes U+FFFD, unknown sequences are swallowed whole.

        Returns:
            The keys, pastes and runs of typed text that are complete by now, in order. However a stream is
            cut, the events are the same but for where runs of text are split.
        """
        text = self._decoder.decode(data)
        at = 0
        while at < len(text):
            if self._state == self._ground and (run := _TYPED.match(text, at)):
                self._type(run[0])
                at = run.end()
            else:
                self._state(text[at])
                at += 1
        events, self._events = self._events, []
        return events

    def _type(self, text: str) -> None:
        if self._events and isinstance(before := self._events[-1], str):
            self._events[-1] = before + text
        else:
            self._events.append(text)

    def _ground(self, char: str) -> None:
        if char == "\x1b":
            self._state = self._escape
        elif key := _CONTROL.get(char):
            self._events.append(key)
        elif _TYPED.match(char):
            self._type(char)

    def _again(self, char: str) -> None:
        """Leave the sequence: the character is none of it."""
        self._state = self._ground
        self._ground(char)

    def _escape(self, char: str) -> None:
        if char in "[O":
            self._parameters = ""
            self._state = self._csi if char == "[" else self._ss3
        elif char in "]P":
            self._parameters = char
            self._state = self._string_start
        elif key := _ALT.get(char):
            self._state = self._ground
            self._events.append(key)
        else:  # the Escape key, then another: as with an unknown Alt-x, the x is not lost
            self._again(char)

    def _csi(self, char: str) -> None:
        if not self._parameters and char == "[":  # the Linux console's F1 is ESC [ [ A
            self._state = self._swallow_one
        elif " " <= char <= "?":
            self._parameters += char if len(self._parameters) < _PARAMETER_LIMIT else ""
        elif char == "~" and self._parameters == "200":
            self._paste, self._paste_length, self._paste_tail = [], 0, ""
            self._state = self._in_paste
        else:
            self._final(char, _SEQUENCE)

    def _ss3(self, char: str) -> None:
        if "0" <= char <= ";":
            self._parameters += char if len(self._parameters) < _PARAMETER_LIMIT else ""
        else:
            self._final(char, _SS3)

    def _final(self, char: str, table: Mapping[str, Key]) -> None:
        if not "@" <= char <= "~":
            self._again(char)
            return
        self._state = self._ground
        number, _, rest = self._parameters.partition(";")
        key = table.get(number + char if char == "~" else char)
        if key is None or not re.fullmatch("[0-9;]*", self._parameters):
            return
        modifiers = rest or number  # CSI 1;5D, of old CSI 5D
        if modifiers.isdecimal() and (int(modifiers) - 1) & _ALT_OR_CTRL:
            key = _BY_WORD.get(key, key)
        self._events.append(key)

    def _swallow_one(self, char: str) -> None:
        self._state = self._ground
        if not _TYPED.match(char):
            self._ground(char)

    def _in_paste(self, char: str) -> None:
        self._paste_length += 1
        if len(self._paste) < PASTE_LIMIT:
            self._paste.append(char)
        self._paste_tail = (self._paste_tail + char)[-len(_PASTE_END) :]
        if self._paste_tail == _PASTE_END:
            text = "".join(self._paste[: self._paste_length - len(_PASTE_END)])
            self._paste = []
            self._state = self._ground
            self._events.append(Paste(text))

    def _string_start(self, char: str) -> None:
        """An answer of the terminal to a program that is gone (ESC ] 11;rgb:... or ESC P ...): not for us.

        Nobody types what such a string begins with right after Escape, but one may well type Escape and a P.
        """
        if char in "0123456789>!$":
            self._state = self._string
        else:
            self._type(self._parameters)
            self._again(char)

    def _string(self, char: str) -> None:
        if char == "\x1b":
            self._state = self._string_escape
        elif char == "\x07":
            self._state = self._ground
        elif char < " ":  # never in a string: the rest of it was lost
            self._again(char)

    def _string_escape(self, char: str) -> None:
        if char == "\\":
            self._state = self._ground
        else:
            self._escape(char)
