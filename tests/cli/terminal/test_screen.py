import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from zchat.cli.terminal.screen import Screen

HERE = Path(__file__).parent
DEADLINE = 20
PASTES_MARKED = 2004 << 5  # pyte's way to note DEC's private modes


class Terminal:
    """A terminal emulator around a pty, in which a shell runs chatter.py."""

    def __init__(self, columns: int = 40, rows: int = 10) -> None:
        self.display = pyte.Screen(columns, rows)
        self.received = b""
        self._hung_up = False
        self._stream = pyte.ByteStream(self.display)
        self.master, self.slave = pty.openpty()
        self.resize(columns)
        self.mode_before = termios.tcgetattr(self.slave)
        lines, self._lines = os.pipe()
        shell = [sys.executable, str(HERE / "one_job_shell.py"), os.ttyname(self.slave), str(lines)]
        self._shell = subprocess.Popen(
            [*shell, sys.executable, str(HERE / "chatter.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[lines],
            start_new_session=True,
            text=True,
        )
        os.close(lines)
        self.pid = int(self.report().removeprefix("pid "))

    def close(self) -> None:
        for pid in (self.pid, self._shell.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with self._shell:  # waits for it
            pass
        if not self._hung_up:
            self.hang_up()
        os.close(self._lines)

    def hang_up(self) -> None:
        self._hung_up = True
        os.close(self.slave)
        os.close(self.master)

    def resize(self, columns: int) -> None:
        """What a window's border does that is moved; an emulator that neither wraps again nor cuts."""
        termios.tcsetwinsize(self.slave, (self.display.lines, columns))
        self.display.resize(columns=columns)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def order(self, order: str | list[str]) -> None:
        os.write(self._lines, json.dumps(order).encode() + b"\n")

    def arrive(self, *lines: str) -> None:
        self.order([*lines])

    def job(self, command: str) -> None:
        assert self._shell.stdin is not None
        print(command, file=self._shell.stdin, flush=True)

    def report(self) -> str:
        """What the shell says next; the terminal goes on meanwhile."""
        assert self._shell.stdout is not None
        out = self._shell.stdout
        self.until(lambda: bool(select.select([out], [], [], 0)[0]))
        return out.readline().strip()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.rows)
            # Some conditions come true without a byte from there.
            if select.select([] if self._hung_up else [self.master], [], [], 0.02)[0]:
                data = os.read(self.master, 65536)
                self.received += data
                self._stream.feed(data)

    @property
    def rows(self) -> list[str]:
        """What is on the display, to the last row with something in it; a | stands for the cursor."""
        rows = []
        for number in range(self.display.lines):
            cells = self.display.buffer[number]
            texts = [cells[x].data for x in range(self.display.columns)]
            if number == self.display.cursor.y:
                texts.insert(self.display.cursor.x, "|")
            rows.append("".join(texts).rstrip())
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def shows(self, *rows: str) -> None:
        """Wait until the last rows are these."""
        self.until(lambda: self.rows[-len(rows) :] == [*rows])

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.mode_before and PASTES_MARKED not in self.display.mode

    def is_taken(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & (termios.ECHO | termios.ICANON)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    try:
        terminal.shows("> |")
        yield terminal
    finally:
        terminal.close()


def test_what_is_typed_is_entered(terminal: Terminal) -> None:
    terminal.type("helo")
    terminal.shows("> helo|")
    terminal.type("\x1b[Dl\r")
    terminal.shows("me: hello", "> |")
    assert terminal.is_taken()
    assert PASTES_MARKED in terminal.display.mode


def test_a_line_that_arrives_does_not_tear_the_one_that_is_typed(terminal: Terminal) -> None:
    terminal.type("half a sen\x1b[D\x1b[D")
    terminal.shows("> half a s|en")
    terminal.arrive("ada: hello")
    terminal.shows("ada: hello", "> half a s|en")
    terminal.arrive("bob: one\n     two")
    terminal.shows("ada: hello", "bob: one", "     two", "> half a s|en")
    terminal.type("\x05tence\r")
    terminal.shows("     two", "me: half a sentence", "> |")


def test_a_line_may_be_wider_than_the_terminal(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.arrive("x" * 40, "y" * 45)
    terminal.shows("x" * 40, "y" * 40, "y" * 5, "> typed|")


def test_a_burst_is_drawn_once(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    terminal.received = b""
    terminal.arrive(*(f"line {n}" for n in range(1000)))
    terminal.shows("line 998", "line 999", "> typed|")
    assert terminal.received.count(b"typed") == 1


def test_a_terminal_that_is_slow_misses_nothing(terminal: Terminal) -> None:
    terminal.order("non-blocking")
    terminal.arrive(*(f"line {n} {'.' * 20}" for n in range(2000)))
    terminal.shows(f"line 1999 {'.' * 20}", "> |")
    assert terminal.received.count(b"line ") == 2000


def test_wide_characters(terminal: Terminal) -> None:
    terminal.type("日本語\x1b[D")
    terminal.shows("> 日本|語")
    terminal.arrive("ada: 你好")
    terminal.shows("ada: 你好", "> 日本|語")
    terminal.type("\x7f\r")
    terminal.shows("ada: 你好", "me: 日語", "> |")


def test_a_paste_is_one_message(terminal: Terminal) -> None:
    terminal.type("see: \x1b[200~one\rtwo\x1b[201~")
    terminal.shows("> see: one⏎two|")
    terminal.type("\r")
    terminal.shows("me: see: one", "two", "> |")


def test_a_lone_surrogate_is_no_crash(terminal: Terminal) -> None:
    terminal.arrive("a\ud800b")
    terminal.shows("a?b", "> |")


def test_the_prompt_changes(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.order("#room> ")
    terminal.shows("#room> typed|")


def test_a_long_line_and_a_narrow_terminal(terminal: Terminal) -> None:
    terminal.type("the quick brown fox jumps over the lazy dog")
    terminal.shows("> ick brown fox jumps over the lazy dog|")
    terminal.resize(20)
    terminal.shows("> over the lazy dog|")
    terminal.arrive("ada: hi")
    terminal.shows("ada: hi", "> over the lazy dog|")
    terminal.type("\x01")
    terminal.shows("ada: hi", "> |the quick brown f")
    assert len(terminal.rows) == 2


def test_ctrl_l_clears_the_screen(terminal: Terminal) -> None:
    terminal.arrive("one", "two")
    terminal.type("typed\x0c")
    terminal.until(lambda: terminal.rows == ["> typed|"])


def test_the_end_of_input(terminal: Terminal) -> None:
    terminal.arrive("ada: bye")
    terminal.type("x\x7f\x04")
    assert terminal.report() == "exit 0"
    terminal.until(lambda: terminal.rows == ["ada: bye", "bye", "|"])
    assert terminal.is_as_before()


def test_a_terminal_that_hangs_up_is_the_end_of_input(terminal: Terminal) -> None:
    terminal.hang_up()
    assert terminal.report() == "exit 0"


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 128 + 15), (signal.SIGHUP, 128 + 1), (signal.SIGQUIT, 128 + 3), (signal.SIGINT, -2)],
)
def test_a_signal_gives_the_terminal_back(terminal: Terminal, number: int, status: int) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    os.kill(terminal.pid, number)
    assert terminal.report() == f"exit {status}"
    terminal.until(terminal.is_as_before)


def test_ctrl_c_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    terminal.type("\x03")
    assert terminal.report() == "exit -2"
    terminal.until(lambda: b"\r\x1b[JTraceback (most recent call last):" in terminal.received)
    assert terminal.is_as_before()


def test_an_exception_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    terminal.order("raise")
    assert terminal.report() == "exit 1"
    terminal.until(lambda: "RuntimeError: as ordered" in terminal.rows)
    assert terminal.is_as_before()


def test_a_block_that_is_never_left_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.order("leave it to atexit")
    assert terminal.report() == "exit 0"
    terminal.until(terminal.is_as_before)


def test_ctrl_z_and_fg(terminal: Terminal) -> None:
    for row in ("> typed|", "> typedtyped|"):
        terminal.type("typed")
        terminal.shows(row)
        terminal.type("\x1a")
        assert terminal.report() == "stopped"
        terminal.until(terminal.is_as_before)
        terminal.until(lambda: terminal.rows == ["|"])
        terminal.job("fg")
        terminal.shows(row)
        assert terminal.is_taken()
        assert PASTES_MARKED in terminal.display.mode


def test_in_the_background_the_terminal_is_left_alone(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    terminal.type("\x1a")
    assert terminal.report() == "stopped"
    terminal.job("bg")
    terminal.arrive("one")
    terminal.shows("one", "|")
    terminal.type("for another\r")  # is readable, and is not to be read
    terminal.shows("one", "for another", "|")
    terminal.arrive("two")
    terminal.shows("two", "|")
    assert terminal.is_as_before()

    terminal.job("fg")  # nobody has read it
    terminal.shows("two", "me: typedfor another", "> |")
    assert terminal.is_taken()


def test_a_line_that_arrives_after_fg_takes_the_terminal_again(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    terminal.type("\x1a")
    assert terminal.report() == "stopped"
    terminal.job("bg")
    terminal.arrive("one")
    terminal.shows("one", "|")
    terminal.job("fg")
    terminal.until(lambda: os.tcgetpgrp(terminal.master) == terminal.pid)
    terminal.arrive("two")
    terminal.shows("one", "two", "> typed|")
    assert terminal.is_taken()


def test_in_the_background_a_signal_still_ends_it(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    terminal.type("\x1a")
    assert terminal.report() == "stopped"
    terminal.job("bg")
    terminal.arrive("one")
    terminal.shows("one", "|")
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.job("fg")
    assert terminal.report() == "exit 143"
    assert terminal.is_as_before()


def test_a_stop_without_warning(terminal: Terminal) -> None:
    terminal.type("typed")
    terminal.shows("> typed|")
    os.kill(terminal.pid, signal.SIGSTOP)
    assert terminal.report() == "stopped"
    termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.mode_before)  # as shells do
    terminal.job("fg")
    terminal.until(terminal.is_taken)
    terminal.type("\x7f")
    terminal.shows("> type|")


def test_what_is_no_terminal_is_refused() -> None:
    with Path(os.devnull).open() as null, pytest.raises(termios.error):
        Screen(null.fileno(), null.fileno(), "> ")


def test_only_the_main_thread_can_handle_signals() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    errors: list[Exception] = []

    def enter() -> None:
        try:
            with Screen(slave, slave, "> "):
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
