"""`zchat tail` with a real broker."""

from __future__ import annotations

import json
import re
import subprocess

from support import ZCHAT, World


def test_json_line_is_as_documented(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "--json", "--count", "1")
    follower.wait_err("following")
    world.run("send", "lobby", "hi", "--name", "alice")
    assert follower.ends() == 0
    form = (
        r'\{"v":1,"kind":"message","room":"lobby","seq":1,"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",'
        r'"from":"alice","text":"hi"\}\n'
    )
    assert re.fullmatch(form, follower.out)


def test_messages_only_unless_presence_and_only_they_count(world: World) -> None:
    world.broker()
    plain = world.start("tail", "lobby", "--count", "1")
    full = world.start("tail", "lobby", "--count", "1", "--presence", "--json")
    for follower in (plain, full):
        follower.wait_err("following")
    world.run("join", "--name", "alice", stdin="hello\n")
    assert (plain.ends(), full.ends()) == (0, 0)
    assert re.fullmatch(r"\d\d:\d\d:\d\d alice: hello\n", plain.out)
    kinds = [json.loads(line)["kind"] for line in full.out.splitlines()]
    assert kinds == ["presence", "message"]


def test_several_rooms_are_named(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "dev", "--count", "2")
    follower.wait_err("following")
    world.run("send", "lobby", "one", "--name", "alice")
    world.run("send", "dev", "two", "--name", "alice")
    assert follower.ends() == 0
    assert re.fullmatch(r"[\d:]+ \[lobby\] alice: one\n[\d:]+ \[dev\] alice: two\n", follower.out)


def test_timeout_exits_0_if_no_count_was_asked_else_5(world: World) -> None:
    world.broker()
    assert world.run("tail", "lobby", "--timeout", "0.1").returncode == 0
    assert world.run("tail", "lobby", "--timeout", "0.1", "--count", "1").returncode == 5


def test_ends_quietly_when_its_reader_is_gone(world: World) -> None:
    world.broker()
    follower = subprocess.Popen(
        [*ZCHAT, "tail", "lobby"], env=world.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert follower.stdout is not None
        assert follower.stderr is not None
        assert "following" in follower.stderr.readline()
        world.run("send", "lobby", stdin="1\n2\n3\n")
        assert "1" in follower.stdout.readline()
        follower.stdout.close()
        world.run("send", "lobby", stdin="4\n5\n")
        assert follower.wait(timeout=30) == 0
        assert follower.stderr.read() == ""
    finally:
        follower.kill()
        follower.wait()
        if follower.stderr is not None:
            follower.stderr.close()


def test_room_that_cannot_be_is_refused(world: World) -> None:
    world.broker()
    done = world.run("tail", "no/slash")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_ctrl_c_is_130(world: World) -> None:
    import signal

    world.broker()
    follower = world.start("tail", "lobby")
    follower.wait_err("following")
    follower.signal(signal.SIGINT)
    assert follower.ends() == 130
    assert "Traceback" not in follower.err


def test_no_escape_sequence_reaches_a_terminal_or_a_pipe(world: World) -> None:
    world.broker()
    followers = [world.start("tail", "lobby", "--count", "1", *extra) for extra in ([], ["--json"])]
    for follower in followers:
        follower.wait_err("following")
    world.run("send", "lobby", "\u202ebidi \u200b zero")
    for follower in followers:
        assert follower.ends() == 0
        assert not any(mark in follower.out for mark in "\u202e\u200b\x1b")
    assert json.loads(followers[1].out)["text"] == "\u202ebidi \u200b zero"
