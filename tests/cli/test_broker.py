"""`zchat broker`: what it takes, and what it refuses in one line."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from support import Process, World, eventually
from wires import Raw, frame

from zchat import address
from zchat.messages import VERSION, Hello, Welcome


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--bind", "tcp://127.0.0.1:99999"], 1, "port 99999 is out of range"),
        (["--bind", "tcp://127.0.0.1:0", "--pub-port", "70000"], 1, "port 70000 is out of range"),
        (["--bind", "tcp://127.0.0.1:65535"], 1, "--pub-port"),
        (["--bind", "tcp://192.0.2.1:5555", "--insecure"], 1, "192.0.2.1 is no address of this machine"),
        (["--bind", "tcp://0.0.0.0:0", "--memory"], 2, "--keys DIR"),
        (["--bind", "tcp://[::]:0", "--memory"], 2, "--keys DIR"),
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


# SIGHUP ---------------------------------------------------------------------------------------------------------------


def configured(world: World, folder: Path, text: str, *arguments: str) -> tuple[Process, Path]:
    """A broker with a configuration, and the file."""
    file = folder / "zchat.toml"
    file.write_text(text)
    return world.broker("--config", str(file), *arguments), file


def test_a_hang_up_has_it_read_its_configuration_anew(world: World, tmp_path: Path) -> None:
    usual = "keep-messages = 100\n"
    broker, file = configured(world, tmp_path, f"{usual}[limits]\ntext-limit = 5\n")
    alice = world.start("join", "--name", "alice", stdin=True)
    alice.wait_err("you are in lobby")
    assert "5 are allowed" in world.run("send", "lobby", "longer than that", "--name", "bob").stderr
    file.write_text(f"{usual}[limits]\ntext-limit = 50\nmax-rooms-joined = 50\n")
    broker.signal(signal.SIGHUP)
    broker.wait_err("INFO the configuration was read anew")
    assert world.run("send", "lobby", "--name", "bob", stdin="longer than that\nand more\n").returncode == 0
    alice.wait_out("and more")  # who was there is there still
    file.write_text('keep-messages = 1\nlog-level = "warning"\n')
    broker.signal(signal.SIGHUP)
    eventually(lambda: world.run("history", "lobby").stdout.count("\n") == 1, "what is too much by now is dropped")
    seen = len(broker.err)
    assert world.run("send", "lobby", "quiet now", "--name", "carol").returncode == 0
    broker.pump(0)
    assert "carol" not in broker.err[seen:]


def test_a_configuration_that_cannot_be_used_leaves_all_as_it_was(world: World, tmp_path: Path) -> None:
    broker, file = configured(world, tmp_path, "[limits]\ntext-limit = 5\n")
    absurd = [f"drain-timeout = 1{'0' * 400}\n", f"keep-messages = 1{'0' * 5000}\n", 'banner = "@a\\u0000b"\n']
    for count, text in enumerate(["", "keep-messages = 'many'\n", "limits = 1\n", *absurd, None], 1):
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        broker.signal(signal.SIGHUP)
        broker.wait_err(rf"(WARNING all stays as it was: [^\n]*{file}[^\n]*\n[^\n]*){{{count}}}$")
        assert broker.err.count("WARNING") == count
    assert "5 are allowed" in world.run("send", "lobby", "longer than that", "--name", "bob").stderr


def test_it_says_what_only_a_restart_takes_over(world: World, tmp_path: Path) -> None:
    broker, file = configured(world, tmp_path, "keep-messages = 9\n", "--log-level", "info")
    file.write_text('bind-wait = 1\nmemory = true\nlog-level = "error"\n[limits]\ncredit = 100\n')
    broker.signal(signal.SIGHUP)
    broker.wait_err("WARNING changed, but only a restart takes it over: memory, bind-wait, credit\n")
    file.write_text("keep-messages = 9\n")
    broker.signal(signal.SIGHUP)
    eventually(lambda: broker.err.count("read anew") == 2, "it is as it was", broker.pump)
    assert broker.err.count("WARNING") == 1
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0


def test_without_anything_to_read_a_hang_up_changes_nothing(world: World) -> None:
    broker = world.broker("--memory")
    broker.signal(signal.SIGHUP)
    broker.wait_err("there is nothing to re-read")
    assert world.run("ping", "--count", "1").returncode == 0


def test_it_ends_with_its_terminal(world: World) -> None:
    broker = world.terminal("broker", "--bind", "tcp://127.0.0.1:0", "--memory")
    broker.wait("zchat broker listening on tcp://")
    url = broker.shown.split("listening on ")[1].split()[0]
    broker.popen.send_signal(signal.SIGHUP)
    broker.wait("there is nothing to re-read")
    alice = world.start("join", "--name", "alice", "--url", url, stdin=True)
    alice.wait_err("you are in lobby")
    os.close(broker.slave)
    os.close(broker.master)
    alice.wait_err("the broker is shutting down")
    eventually(lambda: broker.popen.poll() == 0, "it ends")
    broker.slave, broker.master = os.open(os.devnull, os.O_RDWR), os.open(os.devnull, os.O_RDWR)


# The end --------------------------------------------------------------------------------------------------------------


def never_reading(url: str) -> tuple[Raw, Raw]:
    """A client in the lobby that takes nothing in: its two connections."""
    where = address.parse(url)
    router = Raw(where)
    router.handshake("DEALER")
    router.requests(Hello(1, VERSION, None, b"p" * 16, b"c" * 16, b"f" * 16))
    (welcome,) = router.replies()
    assert isinstance(welcome, Welcome)
    published = Raw(where.at(welcome.pub_port), receive=4096)
    published.handshake("SUB")
    published.sends(frame(b"\1r.lobby"))
    return router, published


def stuck(world: World, *arguments: str) -> tuple[Process, tuple[Raw, Raw]]:
    """A broker that cannot get rid of what it has for a client."""
    broker = world.broker("--memory", *arguments)
    deaf = never_reading(world.url)
    text = "".join(f"{'x' * 16000}\n" for _ in range(500))  # more than the system takes for a connection
    assert world.run("send", "lobby", "--name", "ann", stdin=text).returncode == 0
    return broker, deaf


def test_who_takes_nothing_in_does_not_keep_it_from_ending(world: World) -> None:
    broker, deaf = stuck(world, "--drain-timeout", "1")
    alice = world.start("join", "--name", "alice", stdin=True)
    alice.wait_err("you are in lobby")
    broker.signal(signal.SIGTERM)
    alice.wait_err("the broker is shutting down")
    assert broker.ends() == 0
    for one in deaf:
        one.close()


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_told_twice_it_ends_at_once(world: World, first: signal.Signals, second: signal.Signals) -> None:
    broker, deaf = stuck(world, "--drain-timeout", "1000")
    alice = world.start("join", "--name", "alice", stdin=True)
    alice.wait_err("you are in lobby")
    broker.signal(first)
    alice.wait_err("the broker is shutting down")
    assert broker.popen.poll() is None
    broker.signal(second)
    assert broker.ends() == 128 + second
    for one in deaf:
        one.close()
