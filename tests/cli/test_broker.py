"""`zchat broker`: what it takes, and what it refuses in one line."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from support import World, eventually


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


def test_what_is_said_is_there_after_a_restart(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "here"
    broker = world.broker("--data", str(folder))
    broker.wait_err(f"0 rooms with 0 messages in {folder}")
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE((folder / "zchat.db").stat().st_mode)) == (0o700, 0o600)
    world.run("send", "lobby", "kept", "--name", "alice")
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
    world.broker("--data", str(folder)).wait_err(f"1 room with 1 message in {folder}")
    assert "kept" in world.run("history", "lobby").stdout


def test_second_broker_on_a_folder_is_told_whose_it_is(world: World, tmp_path: Path) -> None:
    broker = world.broker()
    refused = world.run("broker", "--bind", "tcp://127.0.0.1:0")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert str(tmp_path / "data" / "zchat") in refused.stderr
    assert f"process {broker.pid}" in refused.stderr


def test_folder_that_cannot_be_used_is_one_line(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = world.run("broker", "--bind", "tcp://127.0.0.1:0", "--data", str(tmp_path / "file"))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert world.run("broker", "--memory", "--data", str(tmp_path)).returncode == 2


def test_damaged_log_is_refused_with_what_to_do(world: World, tmp_path: Path) -> None:
    broker = world.broker()
    world.run("send", "lobby", "kept", "--name", "alice")
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
    database = tmp_path / "data" / "zchat" / "zchat.db"
    database.write_bytes(database.read_bytes()[:5000])
    refused = world.run("broker", "--bind", "tcp://127.0.0.1:0")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "restore a backup" in refused.stderr


def test_only_the_last_messages_are_kept(world: World) -> None:
    world.broker("--keep-messages", "2")
    world.run("send", "lobby", "--name", "alice", stdin="one\ntwo\nthree\n")
    follower = world.start("tail", "lobby", "--since", "1h", "--until-end")
    follower.ends()
    eventually(lambda: world.run("history", "lobby").stdout.count("\n") == 2, "what is older is dropped")


def test_nothing_is_kept_with_memory(world: World, tmp_path: Path) -> None:
    world.broker("--memory").wait_err("nothing is kept")
    world.run("send", "lobby", "hi", "--name", "alice")
    assert not (tmp_path / "data").exists()
