"""How far something is: one line on a terminal's stderr that is drawn over, and nothing in a pipe."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self

PAUSE = 0.1
"""Seconds between two drawings at least."""


class Progress:
    """Tells how far something is, in a `with` statement; the line is gone at its end.

    Args:
        shown: false where it would come between lines of data on the same terminal.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._what = ""
        self._due = 0.0
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            self._draw("")

    def tell(self, what: str, done: int, total: int) -> None:
        """How far it is; cheap enough to be called at every step.

        Args:
            what: what is being done, as `exporting`.
            done, total: so much of so much; a total of 0 is not known.
        """
        if self._shown and (what != self._what or time.monotonic() >= self._due):
            share = f": {done:,} of {total:,} ({100 * done // total} %)" if total else ""
            self._draw(f"{what}{share}")
            self._what, self._due = what, time.monotonic() + PAUSE

    def _draw(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]
        try:
            sys.stderr.write(f"\r{line:{self._width}}" + ("" if line else "\r"))
            sys.stderr.flush()
        except OSError:
            self._shown = False  # the terminal is gone; what is being done goes on
        self._width = len(line)
