"""The line that is being typed. Pure: keys in, what to do and what to show out.

What a person takes for one character may be many code points (UAX #29), so the cursor moves and deletes from
edge to edge of grapheme clusters, as the library wcwidth finds them.
"""

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate, pairwise

from wcwidth import iter_graphemes

from zchat.cli.terminal.keys import Event, Key, Paste
from zchat.text import printable, width

LINE_LIMIT = 64 * 1024
"""Bytes of UTF-8 that a line may have."""

HISTORY_LIMIT = 1000
"""Lines that can be called back."""

_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")  # all that zchat.text takes for one
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Submit:
    """The line was entered; it may be empty and may contain newlines."""

    line: str


class Outcome(Enum):
    """What else a key may ask of whoever owns the terminal."""

    BELL = auto()
    CLEAR_SCREEN = auto()
    END_OF_INPUT = auto()


@dataclass(frozen=True, slots=True)
class View:
    """One row: its text and the column, from 0, at which the cursor stands."""

    text: str
    cursor_column: int


class Editor:
    """A line, a cursor and the lines entered before."""

    def __init__(self) -> None:
        self._text = ""
        # In code points. While text is inserted it may lie inside a cluster (the base of a mark that follows):
        # what is typed next then goes where it would have gone in one piece. The next key puts it on an edge.
        self._cursor = 0
        self._edges_known: list[int] | None = None
        self._history: deque[str] = deque(maxlen=HISTORY_LIMIT)
        self._back = 0  # how many lines up in the history; 0 is the line that is typed
        self._draft = ""

    @property
    def text(self) -> str:
        """The line as typed so far."""
        return self._text

    def handle(self, event: Event) -> Submit | Outcome | None:
        """Do what a key asks for.

        Args:
            event: a key, a paste or typed text. All line ends in it become newlines; other control characters,
                but tabs, are left out. So is what would make the line longer than LINE_LIMIT, which a BELL tells.

        Returns:
            What is to be done about it outside the line, if anything.
        """
        if not isinstance(event, Key):
            return self._insert(event.text if isinstance(event, Paste) else event)
        self._snap()
        outcome = _HANDLERS[event](self)
        self._snap()
        return outcome

    def view(self, columns: int, prompt: str) -> View:
        """What can be seen of prompt and line in one row.

        A line too long for the row is scrolled so that the cursor is in sight, with up to a third of the row
        for what follows it. No character is shown in part. The last column stays free for the cursor.

        Args:
            columns: the terminal's width, 1 or more.
            prompt: what stands before the line; a long one is cut to half the row.

        Returns:
            A harmless text of at most columns - 1 columns and the cursor's place in it.
        """
        room = columns - 1
        head, used = _fit(iter_graphemes(prompt), room // 2)
        room -= used
        edges = self._edges
        at = bisect_left(edges, self._cursor)
        start = max(at - room, 0)
        seen = [self._text[a:b] for a, b in pairwise(edges[start : at + room + 1])]
        behind, ahead = seen[: at - start][::-1], seen[at - start :]
        # What is under the cursor is in sight whatever its width.
        _, after = _fit(ahead, max(room // 3, _fit(ahead[:1], room)[1]))
        left, before = _fit(behind, room - after)
        right, _ = _fit(ahead, room - before)
        return View("".join((*head, *reversed(left), *right)), used + before)

    @property
    def _edges(self) -> list[int]:
        """Every place where the cursor may stand, in code points."""
        if self._edges_known is None:
            self._edges_known = [0, *accumulate(map(len, iter_graphemes(self._text)))]
        return self._edges_known

    def _snap(self) -> None:
        self._cursor = self._edges[bisect_left(self._edges, self._cursor)]

    def _edge(self, step: int) -> int:
        """The next edge to the left (-1) or right (1), the same one where there is none."""
        at = bisect_left(self._edges, self._cursor) + step
        return self._edges[min(max(at, 0), len(self._edges) - 1)]

    def _word_edge(self, step: int) -> int:
        """The edge beyond the next word to the left (-1) or right (1); a word is what has no space in it."""
        edges, at = self._edges, bisect_left(self._edges, self._cursor)
        in_word = False
        for i in range(at - 1, -1, -1) if step < 0 else range(at, len(edges) - 1):
            space = self._text[edges[i]].isspace()
            if space and in_word:
                break
            in_word = not space
            at = i if step < 0 else i + 1
        return edges[at]

    def _insert(self, text: str) -> Outcome | None:
        text = _CONTROL.sub("", _LINE_END.sub("\n", text))
        room = LINE_LIMIT - len(self._text.encode())
        # One by one, so that it does not matter in how many pieces the text came.
        kept = []
        for char in text:
            if (size := len(char.encode())) <= room:
                kept.append(char)
                room -= size
        self._replace(self._text[: self._cursor] + "".join(kept) + self._text[self._cursor :], self._cursor + len(kept))
        return None if len(kept) == len(text) else Outcome.BELL

    def _replace(self, text: str, cursor: int) -> None:
        self._text, self._cursor, self._edges_known = text, cursor, None

    def _move(self, to: int) -> None:
        self._cursor = to

    def _delete(self, to: int) -> None:
        """Delete what lies between the cursor and another edge."""
        start, end = sorted((self._cursor, to))
        self._replace(self._text[:start] + self._text[end:], start)

    def _delete_or_end(self) -> Outcome | None:
        if not self._text:
            return Outcome.END_OF_INPUT
        self._delete(self._edge(1))
        return None

    def _newline(self) -> Outcome | None:
        return self._insert("\n")

    def _enter(self) -> Submit:
        line = self._text
        if line.strip() and (not self._history or self._history[-1] != line):
            self._history.append(line)
        self._back = 0
        self._replace("", 0)
        return Submit(line)

    def _recall(self, step: int) -> None:
        """Go up (1) or down (-1) in the history, whose lines stay as they were whatever is made of them."""
        back = self._back + step
        if not 0 <= back <= len(self._history):
            return
        if self._back == 0:
            self._draft = self._text
        self._back = back
        line = self._history[-back] if back else self._draft
        self._replace(line, len(line))


def _fit(clusters: Iterable[str], room: int) -> tuple[list[str], int]:
    """As many of the clusters as have room, as they are shown, and the columns that they take."""
    shown, used = [], 0
    for cluster in clusters:
        visible = printable(cluster.replace("\n", "⏎"))
        if width(visible) == 0:  # a mark without a base would change what is before it in the row
            visible = f"◌{visible}"
        # A stand-in for part of a cluster makes clusters of it, and after a joiner wcwidth would not count it.
        columns = sum(map(width, iter_graphemes(visible)))
        if used + columns > room:
            break
        shown.append(visible)
        used += columns
    return shown, used


_HANDLERS: dict[Key, Callable[[Editor], Submit | Outcome | None]] = {
    Key.ENTER: lambda line: line._enter(),
    Key.NEWLINE: lambda line: line._newline(),
    Key.BACKSPACE: lambda line: line._delete(line._edge(-1)),
    Key.DELETE: lambda line: line._delete(line._edge(1)),
    Key.DELETE_OR_END: lambda line: line._delete_or_end(),
    Key.LEFT: lambda line: line._move(line._edge(-1)),
    Key.RIGHT: lambda line: line._move(line._edge(1)),
    Key.WORD_LEFT: lambda line: line._move(line._word_edge(-1)),
    Key.WORD_RIGHT: lambda line: line._move(line._word_edge(1)),
    Key.HOME: lambda line: line._move(0),
    Key.END: lambda line: line._move(len(line._text)),
    Key.UP: lambda line: line._recall(1),
    Key.DOWN: lambda line: line._recall(-1),
    Key.KILL_WORD: lambda line: line._delete(line._word_edge(-1)),
    Key.KILL_TO_START: lambda line: line._delete(0),
    Key.KILL_TO_END: lambda line: line._delete(len(line._text)),
    Key.CLEAR_SCREEN: lambda line: Outcome.CLEAR_SCREEN,
}
