"""`zchat broker`: what it takes, and what it refuses in one line."""

from __future__ import annotations

import os
import signal

import pytest
from support import World


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--bind", "tcp://127.0.0.1:99999"], 1, "port 99999 is out of range"),
        (["--bind", "tcp://127.0.0.1:0", "--pub-port", "70000"], 1, "port 70000 is out of range"),
        (["--bind", "tcp://127.0.0.1:65535"], 1, "--pub-port"),
        (["--bind", "tcp://192.0.2.1:5555", "--insecure"], 1, "192.0.2.1 is no address of this machine"),
        (["--bind", "tcp://0.0.0.0:0"], 1, "--insecure"),
        (["--bind", "tcp://[::]:0"], 1, "--insecure"),
        (["--bind", "tcp://no.such.host.invalid:5555"], 1, "cannot resolve no.such.host.invalid"),
        (["--bind", "what is this"], 1, "write tcp://HOST:PORT"),
        (["--banner", "@/no/such/file"], 1, "cannot read the banner /no/such/file"),
        (["--banner", "x" * 20000], 1, "the banner is longer"),
        (["--log-level", "loud"], 2, "--log-level"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_refusals_are_one_line_with_what_to_do(world: World, arguments: list[str], code: int, says: str) -> None:
    done = world.run("broker", *arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("bind", ["tcp://localhost:0", "tcp://[::1]:0"])
def test_names_and_ipv6_work(world: World, bind: str) -> None:
    world.broker(bind=bind)
    assert world.url.startswith(bind.removesuffix("0"))
    assert world.run("send", "lobby", "hi").returncode == 0
    follower = world.start("tail", "lobby", "--count", "1")
    follower.wait_err("following")
    world.run("send", "lobby", "heard", "--name", "alice")
    assert follower.ends() == 0
    assert "heard" in follower.out


def test_publishing_port_can_be_chosen(world: World) -> None:
    first = world.broker()
    taken = int(world.url.rpartition(":")[2])
    refused = world.run("broker", "--bind", "tcp://127.0.0.1:0", "--pub-port", str(taken))
    assert refused.returncode == 1
    assert f"port {taken} on 127.0.0.1 is taken" in refused.stderr
    assert first.popen.poll() is None


def test_console_on_a_terminal(world: World) -> None:
    broker = world.terminal("broker", "--bind", "tcp://127.0.0.1:0")
    broker.wait("zchat broker listening on tcp://")
    url = broker.shown.split("listening on ")[1].split()[0]
    alice = world.start("join", "--name", "alice", "--url", url, stdin=True)
    alice.wait_err("you are in lobby")
    alice.type("hello operator\n")
    broker.wait(r"\[lobby\] alice: hello operator")  # on a terminal the chat is shown
    broker.type("hello everybody\n")
    alice.wait_err("-- operator: hello everybody")
    broker.type("exit\n")
    assert broker.ends() == 0
    alice.wait_err("the broker is shutting down")


def test_in_the_background_it_is_not_stopped_for_its_terminal(world: World) -> None:
    shell = world.shell("set -m; python -m zchat broker --bind tcp://127.0.0.1:0 & trap 'kill $!' TERM; wait; wait")
    shell.wait("zchat broker listening on tcp://")
    url = shell.shown.split("listening on ")[1].split()[0]
    shell.type("not for the broker\n")
    alice = world.start("join", "--name", "alice", "--url", url, stdin=True)
    alice.wait_err("you are in lobby")
    alice.type("still served?\n")
    shell.wait(r"alice: still served\?")
    assert "operator" not in alice.err
    os.kill(shell.popen.pid, signal.SIGTERM)  # which ends the broker
    alice.wait_err("the broker is shutting down")
    shell.ends()


def test_escape_sequences_reach_neither_the_log_nor_the_shown_chat(world: World) -> None:
    broker = world.broker("--show-chat")
    world.run("send", "lobby", "\u202ehidden", "--name", "alice")
    broker.wait_out("hidden")
    assert "\u202e" not in broker.out + broker.err
