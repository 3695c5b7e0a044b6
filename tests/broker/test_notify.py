"""What a supervisor is told, on a socket of its own."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import DEADLINE, Process, World

from zchat.broker.notify import Notifier


class Supervisor:
    """Takes the datagrams of a process.

    Attributes:
        heard: all so far, without beats, each as its lines.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.heard: list[list[str]] = []
        self.beats = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{where[1:]}" if where.startswith("@") else where)

    def take(self, timeout: float) -> bool:
        """Takes one in, if there is any in so many seconds; says whether."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return False
        lines = self.socket.recv(4096).decode().split("\n")
        if lines == ["WATCHDOG=1"]:
            self.beats += 1
        else:
            self.heard.append(lines)
        return True

    def wait(self, count: int) -> list[list[str]]:
        """Waits until it was told so often; gives all of it."""
        deadline = time.monotonic() + DEADLINE
        while len(self.heard) < count:
            assert time.monotonic() < deadline, self.heard
            self.take(0.1)
        return self.heard

    def wait_for_beats(self, count: int) -> None:
        """Waits for so many more beats."""
        deadline, count = time.monotonic() + DEADLINE, self.beats + count
        while self.beats < count:
            assert time.monotonic() < deadline, self.heard
            self.take(0.1)


@pytest.fixture(name="supervisor", params=["path", "abstract"])
def _supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervisor]:
    if request.param == "abstract" and not Path("/proc/net/unix").exists():
        pytest.skip("this system has no abstract sockets")
    made = Supervisor(f"@zchat-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify"))
    yield made
    made.socket.close()


def start(world: World, supervisor: Supervisor, *arguments: str, **more: str) -> Process:
    env = {**world.env, "NOTIFY_SOCKET": supervisor.where, **more}
    return world.start("broker", "--bind", "tcp://127.0.0.1:0", "--memory", *arguments, env=env)


def test_a_broker_says_when_it_serves_reloads_and_stops(world: World, supervisor: Supervisor, tmp_path: Path) -> None:
    file = tmp_path / "zchat.toml"
    file.write_text("keep-messages = 9\n")
    broker = start(world, supervisor, "--config", str(file), WATCHDOG_USEC="60000000")
    ready, status = supervisor.wait(1)[0]
    assert ready == "READY=1"
    url = status.removeprefix("STATUS=listening on ")
    assert world.run("send", "lobby", "hi", "--url", url, "--name", "ann").returncode == 0
    supervisor.wait_for_beats(1)
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    broker.signal(signal.SIGHUP)
    reloading, again = supervisor.wait(3)[1:]
    assert reloading[0] == "RELOADING=1"
    key, _, when = reloading[1].partition("=")
    assert key == "MONOTONIC_USEC"
    assert began <= int(when) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert again == [ready, status]
    broker.signal(signal.SIGTERM)
    assert supervisor.wait(4)[3][0] == "STOPPING=1"
    assert broker.ends() == 0


def test_a_turn_that_hangs_is_missed(world: World, tmp_path: Path) -> None:
    supervisor = Supervisor(str(tmp_path / "notify"))
    broker = start(world, supervisor, "--show-chat", WATCHDOG_USEC="400000")
    url = supervisor.wait(1)[0][1].removeprefix("STATUS=listening on ")
    supervisor.wait_for_beats(3)
    # What it shows is not read: the turn hangs as soon as the pipe is full.
    sender = world.start("send", "lobby", "--name", "ann", "--url", url, stdin=True)
    sender.type("".join(f"{'x' * 1000}\n" for _ in range(200)))
    deadline = time.monotonic() + DEADLINE
    while supervisor.take(1.0):
        assert time.monotonic() < deadline, "it beats although it hangs"
    broker.wait_out("x{1000}\n")
    broker.pump(0.1)
    beats = supervisor.beats
    while supervisor.beats == beats:
        assert time.monotonic() < deadline, "it does not beat although it goes on"
        broker.pump(0.1)
        supervisor.take(0)
    supervisor.socket.close()


def test_who_is_named_in_the_environment_is_told_and_children_are_not(supervisor: Supervisor) -> None:
    environ = {"NOTIFY_SOCKET": supervisor.where, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid()), "X": ""}
    notifier = Notifier(environ)
    assert environ == {"X": ""}
    assert notifier.pause == 2
    notifier.beat()
    notifier.beat()
    notifier.ready("well")
    assert supervisor.wait(1) == [["READY=1", "STATUS=well"]]
    assert supervisor.beats == 1
    supervisor.socket.close()
    notifier.stopping("nobody hears it")
    notifier.close()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "1000"},
        {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000"},
    ],
)
def test_without_anybody_to_tell_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    notifier.ready("well")
    notifier.beat()
    notifier.close()
    assert (notifier.pause, environ) == (float("inf"), {})
