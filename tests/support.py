"""What tests share that run real processes: a broker, clients in pipes, and clients in a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyte

ZCHAT = [sys.executable, "-m", "zchat"]

DEADLINE = 45.0
"""Seconds that a test waits for a condition: generous, for it is met at once unless something is broken."""


def eventually(condition: Callable[[], bool], what: str, pump: Callable[[float], None] | None = None) -> None:
    """Waits for a condition.

    Args:
        condition: what must become true.
        what: to be said if it does not.
        pump: waits for so many seconds at most, taking in what happens.
    """
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {DEADLINE:g} s"
        if pump is None:
            select.select([], [], [], 0.02)
        else:
            pump(0.1)


def _heed_signals() -> None:
    # Whoever runs the tests in the background has them ignored.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _own_terminal() -> None:
    _heed_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Process:
    """A zchat process in pipes, its output read as it comes.

    Args:
        arguments: after `zchat`.
        env: its environment.
        stdin: whether it gets a pipe that stays open; else an input that is at its end.
        within: a command that runs it, as `ip netns exec` does.
        program: what is run instead of zchat.
    """

    def __init__(
        self,
        arguments: list[str],
        env: dict[str, str],
        *,
        stdin: bool = False,
        within: Sequence[str] = (),
        program: Sequence[str] = ZCHAT,
    ) -> None:
        self.popen = subprocess.Popen(
            [*within, *program, *arguments],
            env=env,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_heed_signals,
        )
        self.out = ""
        self.err = ""

    @property
    def pid(self) -> int:
        return self.popen.pid

    def type(self, text: str) -> None:
        """Gives it input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(text.encode())
        self.popen.stdin.flush()

    def end_input(self) -> None:
        """Closes its input."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def pump(self, timeout: float) -> None:
        """Takes in what it prints, waiting for so many seconds at most."""
        pipes = {pipe: name for pipe, name in ((self.popen.stdout, "out"), (self.popen.stderr, "err")) if pipe}
        open_pipes = [pipe for pipe in pipes if not pipe.closed]
        ready: list[IO[bytes]] = select.select(open_pipes, [], [], timeout)[0]
        for pipe in ready:
            data = os.read(pipe.fileno(), 1 << 16)
            if not data:
                pipe.close()
            setattr(self, pipes[pipe], getattr(self, pipes[pipe]) + data.decode(errors="replace"))

    def wait_out(self, pattern: str) -> re.Match[str]:
        """Waits until its stdout shows a pattern."""
        return self._wait(lambda: re.search(pattern, self.out), f"stdout shows {pattern!r}")

    def wait_err(self, pattern: str) -> re.Match[str]:
        """Waits until its stderr shows a pattern."""
        return self._wait(lambda: re.search(pattern, self.err), f"stderr shows {pattern!r}")

    def _wait(self, find: Callable[[], re.Match[str] | None], what: str) -> re.Match[str]:
        try:
            eventually(lambda: find() is not None, what, self.pump)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- out\n{self.out}\n--- err\n{self.err}") from None
        found = find()
        assert found is not None
        return found

    def ends(self) -> int:
        """Waits until it has ended; gives its exit code."""
        eventually(lambda: self.popen.poll() is not None, f"{self.popen.args!r} ends\n{self.err}", self.pump)
        while any(pipe is not None and not pipe.closed for pipe in (self.popen.stdout, self.popen.stderr)):
            self.pump(1)
        return self.popen.returncode

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.popen.send_signal(number)

    def close(self) -> None:
        """Ends it, however it is."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
            self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


class Terminal:
    """A process in a pseudo-terminal, and what that terminal shows.

    Args:
        arguments: the command.
        env: its environment.
        columns, lines: of the terminal.
    """

    def __init__(self, arguments: list[str], env: dict[str, str], *, columns: int = 100, lines: int = 30) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.master, slave = pty.openpty()
        self.slave = slave
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.raw = b""
        self.popen = subprocess.Popen(
            arguments,
            env={**env, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_own_terminal,
        )

    @property
    def shown(self) -> str:
        """What is on the screen, row by row."""
        return "\n".join(row.rstrip() for row in self._screen.display).rstrip()

    @property
    def row(self) -> str:
        """The row that the cursor is in."""
        return self._screen.display[self._screen.cursor.y].rstrip()

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self.master, keys.encode())

    def pump(self, timeout: float) -> None:
        """Takes in what it prints, waiting for so many seconds at most."""
        if not select.select([self.master], [], [], timeout)[0]:
            return
        data = os.read(self.master, 1 << 16)
        self.raw += data
        self._stream.feed(data)

    def wait(self, pattern: str) -> None:
        """Waits until the screen shows a pattern."""
        self.wait_for(lambda: re.search(pattern, self.shown) is not None, f"the screen shows {pattern!r}")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for a condition while its output is taken in."""
        try:
            eventually(condition, what, self.pump)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- screen\n{self.shown}") from None

    def ends(self) -> int:
        """Waits until it has ended; gives its exit code."""
        self.wait_for(lambda: self.popen.poll() is not None, "it ends")
        self.pump(0)
        return self.popen.returncode

    def restored(self) -> bool:
        """Whether the terminal is as it was before."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        """Ends it, however it is."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
            self.popen.wait()
        os.close(self.slave)
        os.close(self.master)


def lasting_port() -> int:
    """A port that is free, as is the next, and that the system gives to nobody who connects: a broker that ends finds
    it free again.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    while True:
        port = 20_000 + worker * 1000 + 2 * random.randrange(500)
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 1))
                return port
        except OSError:
            continue


class World:
    """Everything that a test starts, ended with it.

    Args:
        folder: for what the processes keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process | Terminal] = []
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ZCHAT_")},
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "PYTHONUNBUFFERED": "1",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }
        self.url = ""
        self.brokers: list[Process] = []

    def other_person(self) -> dict[str, str]:
        """The environment of somebody else on the same machine."""
        other = str(self._folder / "other")
        return {**self.env, "XDG_STATE_HOME": other, "XDG_CONFIG_HOME": other}

    def person(self, home: Path) -> dict[str, str]:
        """The environment of somebody on another machine.

        Args:
            home: that one's folder, made if it is not there.
        """
        home.mkdir(parents=True, exist_ok=True)
        folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("STATE", "CONFIG", "DATA")}
        return {**self.env, "HOME": str(home), **folders}

    def broker(
        self, *arguments: str, stdin: bool = False, bind: str | None = None, within: Sequence[str] = ()
    ) -> Process:
        """Starts a broker and waits until it listens; the clients of this world use it. One that was started without
        `bind` may be started anew with its address.
        """
        bind = bind or f"tcp://127.0.0.1:{lasting_port()}"
        found = self.start("broker", "--bind", bind, *arguments, stdin=stdin, within=within)
        self.brokers.append(found)
        self.url = found.wait_out(r"listening on (tcp://\S+)\n").group(1)
        self.env["ZCHAT_URL"] = self.url
        return found

    def start(
        self,
        *arguments: str,
        stdin: bool = False,
        env: dict[str, str] | None = None,
        within: Sequence[str] = (),
        program: Sequence[str] = ZCHAT,
    ) -> Process:
        """Starts a process in pipes."""
        found = Process(list(arguments), env or self.env, stdin=stdin, within=within, program=program)
        self._started.append(found)
        return found

    def terminal(self, *arguments: str, env: dict[str, str] | None = None, columns: int = 100) -> Terminal:
        """Starts zchat in a pseudo-terminal."""
        found = Terminal([*ZCHAT, *arguments], env or self.env, columns=columns)
        self._started.append(found)
        return found

    def shell(self, script: str) -> Terminal:
        """Starts a shell in a pseudo-terminal, whose `python` is ours; what it starts ends with it."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{self.env['PATH']}"
        found = Terminal(["sh", "-c", script], {**self.env, "PATH": path})
        self._started.append(found)
        return found

    def run(
        self, *arguments: str, stdin: str | bytes = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a process to its end."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*ZCHAT, *arguments], env=env or self.env, input=data, capture_output=True, timeout=DEADLINE, check=False
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )

    def close(self) -> None:
        """Ends everything that was started."""
        for started in reversed(self._started):
            started.close()


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world that ends with its block."""
    made = World(folder)
    try:
        yield made
    finally:
        made.close()
