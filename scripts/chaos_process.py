"""The processes of a chaos run: the broker's, and those of the clients. What was started is ended, by its pid."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import SystemRandom

from scripts.chaos_client import Spec
from scripts.chaos_raw import NoAnswer, Raw

ROOT = Path(__file__).resolve().parent.parent

STARTING = 20.0
"""Seconds that a process may take to start."""


class Failed(Exception):
    """The run cannot go on; the message says why."""


def free_port() -> int:
    """A port that is free, and the next one too.

    It lies below those that a system gives to whoever connects: else a client that looks for a dead broker could take
    its port, or even connect to itself.
    """
    for _ in range(1000):
        port = SystemRandom().randrange(10_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
                return port
        except OSError:
            continue
    raise Failed("no two ports next to each other are free on 127.0.0.1")


def _last_line(path: Path) -> str:
    said = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return said[-1] if said else "it said nothing"


class Process:
    """A process in a group of its own.

    Args:
        command: to be run.
        errors: the file for what it says on standard error.
        env: added to the environment.
    """

    def __init__(self, command: Sequence[str], errors: Path, env: Mapping[str, str] | None = None) -> None:
        with errors.open("ab") as file:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
                process_group=0,
            )
        self._out = b""

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        """Sends it and whatever it started a signal; harmless if it has ended."""
        if self.alive:
            os.killpg(self.pid, number)

    def say(self, line: str) -> None:
        """Gives it a line of input; harmless if it has ended."""
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(line.encode() + b"\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            pass

    def hear(self, timeout: float) -> str | None:
        """The next line of its output; None if none came in time, or it has ended."""
        assert self.popen.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._out:
            left = deadline - time.monotonic()
            if not select.select([self.popen.stdout], [], [], max(left, 0.0))[0]:
                return None
            data = os.read(self.popen.stdout.fileno(), 4096)
            if not data:
                return None
            self._out += data
        line, _, self._out = self._out.partition(b"\n")
        return line.decode(errors="replace")

    def ends(self, timeout: float) -> int | None:
        """Waits until it has ended; gives its exit code, or None if it did not end in time."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Ends it at once, however it is."""
        self.signal(signal.SIGKILL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Broker:
    """The broker that is put to the test, over all its lives.

    Args:
        folder: of the run.
        script: a Python script to be run in place of zchat, with the same arguments; None for zchat itself.
        arguments: more of them for `zchat broker`.
        host: where it listens.
        data: its data folder; by default one in the folder of the run.
        within: a command that runs it, as `ip netns exec` does.
        env: added to its environment.

    Attributes:
        started: of each start, the seconds until it was announced that it listens, and until a client was welcomed.
    """

    def __init__(
        self,
        folder: Path,
        script: Path | None = None,
        arguments: Sequence[str] = (),
        host: str = "127.0.0.1",
        data: Path | None = None,
        within: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"tcp://{host}:{self.port}"
        self.joined = self.url if host == "127.0.0.1" else f"plain://{host}:{self.port}"
        self.data = data or folder / "data"
        self.errors = folder / "broker.err"
        self.started: list[tuple[float, float]] = []
        self.process: Process | None = None
        self._env = dict(env or {})
        program = ["-m", "zchat"] if script is None else [str(script)]
        given = ["--bind", self.url, "--bind-wait", "5", "--data", str(self.data), "--no-console", "--no-show-chat"]
        self._command = [*within, sys.executable, *program, "broker", *given, *arguments]

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.alive

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def slowest(self) -> float:
        """The longest that a start took until a client was welcomed, in seconds."""
        return max(welcomed for _, welcomed in self.started)

    def start(self) -> None:
        """Starts it, and waits until a client is welcomed.

        Raises:
            Failed: it does not start.
        """
        begin = time.monotonic()
        self.process = Process(self._command, self.errors, self._env)
        line = self.process.hear(STARTING)
        while line is not None and "listening on" not in line:
            line = self.process.hear(STARTING)
        if line is None:
            raise Failed(f"the broker did not start: {self.last_words()}")
        listening = time.monotonic() - begin
        try:
            Raw(self.url).close()
        except NoAnswer as error:
            raise Failed(f"the broker does not serve: {error}") from None
        self.started.append((listening, time.monotonic() - begin))

    def last_words(self) -> str:
        """The last line of what it said on standard error."""
        return _last_line(self.errors)

    def kill(self) -> None:
        """Ends it at once."""
        if self.process is not None:
            self.process.kill()

    def stop(self) -> None:
        """Has it shut down.

        Raises:
            Failed: it does not.
        """
        if self.process is not None:
            self.process.signal(signal.SIGTERM)
            code = self.process.ends(STARTING)
            self.process.kill()
            if code != 0:
                raise Failed(f"told to stop, the broker ended with {code}: {self.last_words()}")

    def memory(self) -> int:
        """Bytes that it holds in memory now."""
        return self._status("VmRSS:")

    def peak(self) -> int:
        """Bytes that it held in memory at most, since `forget_peak`."""
        return self._status("VmHWM:")

    def forget_peak(self) -> None:
        """From now on, `peak` tells of what comes."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, what: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) * 1024
        raise Failed("the broker's memory is not told")

    def descriptors(self) -> int:
        """How many it has open now."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208  # only counted


class Worker:
    """A process of clients, over all its lives.

    Args:
        number: what it is called by in its files.
        spec: what it does; log, life and what came before are filled in.
        folder: of the run.
        within: a command that runs it.
    """

    def __init__(self, number: int, spec: Spec, folder: Path, within: Sequence[str] = ()) -> None:
        self.number = number
        self.lives = 0
        self.process: Process | None = None
        self.stopped = False
        self._spec = spec
        self._folder = folder
        self._within = within
        self._errors = folder / f"worker{number:02}.err"
        self._logs: list[Path] = []

    @property
    def names(self) -> set[str]:
        """Its clients."""
        return {person.name for person in self._spec.people}

    @property
    def alive(self) -> bool:
        """Whether it runs, be it stopped."""
        return self.process is not None and self.process.alive

    def start(self) -> None:
        """Starts it, once more after it was killed."""
        log = self._folder / f"worker{self.number:02}-life{self.lives:02}.jsonl"
        spec = replace(self._spec, log=str(log), before=[str(one) for one in self._logs], life=self.lives)
        command = [*self._within, sys.executable, "-m", "scripts.chaos_client", spec.dump()]
        self.process = Process(command, self._errors)
        self._logs.append(log)
        self.lives += 1

    def kill(self) -> None:
        """Ends it at once."""
        if self.process is not None:
            self.process.kill()
        self.stopped = False

    def pause(self) -> None:
        """Stops it amid whatever it does."""
        if self.process is not None:
            self.process.signal(signal.SIGSTOP)
            self.stopped = True

    def resume(self) -> None:
        """Lets it go on."""
        if self.process is not None:
            self.process.signal(signal.SIGCONT)
            self.stopped = False

    def quiet(self) -> None:
        """Tells it to send nothing more."""
        if self.process is not None:
            self.process.say("quiet")

    def finish(self, ends: dict[str, dict[str, int]]) -> None:
        """Tells it to hear all rooms up to these numbers, by client and room, and to end."""
        if self.process is not None:
            self.process.say(f"finish {json.dumps(ends)}")

    def last_words(self) -> str:
        """The last line of what it said on standard error."""
        return _last_line(self._errors)
