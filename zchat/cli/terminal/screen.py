"""A terminal whose bottom row is a line that is being typed, while other lines are printed above it.

For a program that polls: nothing here waits for input, and there is neither a thread nor a loop of its own. While the
program is a background job, lines are still printed, but the terminal's mode and input are left alone.
"""

import atexit
import select
from collections.abc import Iterable
from enum import Enum
from signal import SIGCONT, SIGHUP, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH, Signals
from types import TracebackType
from typing import Final, Self

from zchat.cli.terminal.editor import Editor, Outcome, Submit
from zchat.cli.terminal.keys import Keys
from zchat.cli.terminal.signals import Handlers, stop_this_process
from zchat.cli.terminal.tty import Tty

# ECMA-48 and, for the wrapping, DEC's private modes.
_ERASE_ROW = "\r\x1b[J"  # to the screen's end: where the terminal became narrower, the row may have become two
_ERASE_SCREEN = "\x1b[H\x1b[2J"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"

_NAP = 0.05


class End(Enum):
    """The type of END, so that a type checker can tell it from a line."""

    END = "end"


END: Final = End.END
"""What `Screen.read` returns last: ^D, or the terminal is gone."""


class Screen:
    """A context manager that has the terminal between entering and leaving, in the main thread only.

    However the block is left, the terminal's mode is as before and the cursor at the start of an empty row. To that
    end SIGTERM, SIGHUP and SIGQUIT raise SystemExit(128 + signal) while in the block, if nobody else handles them.
    ^Z stops the process; when it is continued, the row is drawn again.
    """

    def __init__(self, stdin_fd: int, stdout_fd: int, prompt: str) -> None:
        """Leave the terminal alone as yet.

        Args:
            stdin_fd: a terminal's file descriptor, to read keys from.
            stdout_fd: where to print, usually the same terminal.
            prompt: what stands before the line that is typed.

        Raises:
            termios.error: stdin_fd is not a terminal.
        """
        self._fd = stdin_fd
        self._prompt = prompt
        self._tty = Tty(stdin_fd, stdout_fd)
        self._keys = Keys()
        self._editor = Editor()
        self._entered = False
        self._writing = False
        self._stale = False  # a signal asked for a redrawing while something was written
        self._handlers = Handlers(
            {
                SIGTSTP: self._suspend,
                SIGCONT: self._resume,
                SIGWINCH: self._redraw,
                SIGTERM: _die,
                SIGHUP: _die,
                SIGQUIT: _die,
            }
        )

    def __enter__(self) -> Self:
        """Take the terminal and draw the prompt.

        Raises:
            ValueError: this is not the main thread.
        """
        atexit.register(self._leave)
        self._entered = True
        try:
            self._handlers.install()
            self._resume()
        except BaseException:  # say ^C in between
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @property
    def prompt(self) -> str:
        """What stands before the line that is typed; setting it redraws the row."""
        return self._prompt

    @prompt.setter
    def prompt(self, prompt: str) -> None:
        self._prompt = prompt
        self._redraw()

    @property
    def fds(self) -> tuple[int, int]:
        """The file descriptors to poll, within the block: when one is readable, call `read`.

        They are the terminal and a pipe through which a signal ends the poll that it came a moment too early for.
        """
        return self._fd, self._handlers.wake_fd

    def read(self) -> list[str | End]:
        """Take in what was typed, if anything, and redraw the row.

        Returns:
            The lines entered, which may be empty or contain newlines, and END after the last. A line that was
            entered is gone from the screen: show what is to be seen of it.
        """
        self._handlers.woken()
        if not self._tty.readable():
            return []
        if not self._have_terminal():
            # What makes it readable is typed for another program. Unless that reads it the poller comes back at
            # once: it must not do so all the time. (Bash tells no running job that it is in the foreground again.)
            select.select([], [], [], _NAP)
            return []
        data = self._tty.read()
        if data is None:
            return []
        if not data:
            return [END]
        lines: list[str | End] = []
        before = ""
        for event in self._keys.feed(data):
            match self._editor.handle(event):
                case Submit(line):
                    lines.append(line)
                case Outcome.BELL:
                    before += "" if before.endswith("\a") else "\a"
                case Outcome.CLEAR_SCREEN:
                    before += _ERASE_SCREEN
                case Outcome.END_OF_INPUT:
                    lines.append(END)
                    break
        self._write(before)
        return lines

    def show(self, line: str) -> None:
        """Print one line above the row; see `show_many`."""
        self.show_many([line])

    def show_many(self, lines: Iterable[str]) -> None:
        """Print lines above the row, all in one write and with one redrawing.

        Args:
            lines: harmless texts (see `zchat.text`), each of which may have several lines. They are printed too
                where the terminal is not taken: in the background, and after the block was left.
        """
        self._have_terminal()
        self._write("".join(f"{line}\n" for line in lines).replace("\n", "\r\n"))

    def _write(self, text: str) -> None:
        """Write a text where the row was, and the row after it."""
        self._writing = True
        try:
            self._put(text)
            while self._stale:
                self._put("")
        finally:
            self._writing = False

    def _put(self, text: str) -> None:
        self._stale = False
        if self._tty.taken:
            text = f"{_ERASE_ROW}{text}{self._row()}"
        self._tty.write(text.encode(errors="replace"))

    def _row(self) -> str:
        view = self._editor.view(self._tty.columns(), self._prompt)
        # Not to wrap matters only to a terminal that takes a character for wider than we do.
        right = f"\x1b[{view.cursor_column}C" if view.cursor_column else ""
        return f"{_NO_WRAP}{view.text}{_WRAP}\r{right}"

    def _redraw(self, _: Signals | None = None) -> None:
        if self._writing:
            self._stale = True
        elif self._tty.taken:
            self._write("")

    def _have_terminal(self) -> bool:
        if not self._tty.taken:
            self._resume()
        return self._tty.taken

    def _suspend(self, _: Signals) -> None:
        stop_this_process(self._give_back)
        self._resume()

    def _resume(self, _: Signals | None = None) -> None:
        if self._entered and self._tty.take():
            self._redraw()

    def _give_back(self) -> None:
        self._tty.give_back(_ERASE_ROW.encode())

    def _leave(self) -> None:
        self._entered = False
        self._give_back()
        self._handlers.remove()
        atexit.unregister(self._leave)


def _die(number: Signals) -> None:
    """End as the shell expects of who died of a signal, but in good order."""
    raise SystemExit(128 + number)
