"""`zchat tail` with a real broker."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

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


def test_since_and_until_end(world: World) -> None:
    world.broker()
    world.run("send", "lobby", "--name", "alice", stdin="one\ntwo\n")
    told = world.run("tail", "lobby", "--since", "1h", "--until-end")
    assert told.returncode == 0
    assert [line.split()[-1] for line in told.stdout.splitlines()] == ["one", "two"]
    assert world.run("tail", "lobby", "new", "--until-end").stdout == ""
    assert world.run("tail", "lobby", "--since", "2001-01-01", "--until-end", "--count", "1").stdout.count("\n") == 1
    refused = world.run("tail", "lobby", "--since", "yesterdayish")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_resume_goes_on_where_it_was_also_over_a_crash_of_both(world: World, tmp_path: Path) -> None:
    world.broker()
    place = ["--resume", str(tmp_path / "place")]
    assert world.run("tail", "lobby", "den", *place, "--until-end").returncode == 0
    world.run("send", "lobby", "--name", "alice", stdin="one\ntwo\n")
    told = world.run("tail", "lobby", "den", *place, "--until-end").stdout
    assert [line.split()[-1] for line in told.splitlines()] == ["one", "two"]
    follower = world.start("tail", "lobby", "den", *place)
    follower.wait_err("following")
    locked = world.run("tail", "lobby", *place)
    assert (locked.returncode, locked.stderr.count("\n")) == (1, 1)
    assert "in use" in locked.stderr
    world.run("send", "den", "--name", "alice", "three")
    follower.wait_out("three")
    follower.signal(signal.SIGKILL)
    follower.ends()
    world.brokers[0].signal(signal.SIGKILL)
    world.brokers[0].ends()
    world.broker()
    world.run("send", "den", "--name", "alice", "four")
    told = world.run("tail", "lobby", "den", *place, "--until-end").stdout
    assert [line.split()[-1] for line in told.splitlines()][-1] == "four"
    assert set(re.findall(r"\w+$", told, re.MULTILINE)) <= {"three", "four"}


def test_resume_says_if_the_log_is_another(world: World, tmp_path: Path) -> None:
    world.broker("--memory")
    place = ["--resume", str(tmp_path / "place"), "--json"]
    world.run("send", "lobby", "--name", "alice", "one")
    assert world.run("tail", "lobby", *place, "--until-end").returncode == 0
    world.brokers[0].signal(signal.SIGTERM)
    world.brokers[0].ends()
    world.broker("--memory")
    told = world.run("tail", "lobby", *place, "--timeout", "0.2")
    assert json.loads(told.stdout) == {"v": 1, "kind": "gap", "room": "lobby", "first": 2, "last": None}


def test_edits_and_deletions_are_told(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "--json")
    follower.wait_err("following")
    world.run("join", "--name", "alice", stdin="hi\n/edit ho\n/delete\n")
    follower.wait_out('"kind":"delete"')
    told = [json.loads(line) for line in follower.out.splitlines()]
    assert [(line["kind"], line.get("target"), line.get("text")) for line in told] == [
        ("message", None, "hi"),
        ("edit", 1, "ho"),
        ("delete", 1, None),
    ]


def test_stopped_followers_get_all_of_it_when_they_go_on(world: World) -> None:
    world.broker()
    followers = [world.start("tail", "lobby", "--count", "2000") for _ in range(3)]
    for follower in followers:
        follower.wait_err("following")
    for follower in followers[1:]:
        follower.signal(signal.SIGSTOP)
    lines = [f"{number} {'x' * 500}" for number in range(2000)]
    assert world.run("send", "lobby", "--name", "alice", stdin="\n".join(lines)).returncode == 0
    assert followers[0].ends() == 0
    for follower in followers[1:]:
        follower.signal(signal.SIGCONT)
        assert follower.ends() == 0
    for follower in followers:
        assert [line.split()[2] for line in follower.out.splitlines()] == [str(number) for number in range(2000)]


def test_private_rooms_are_to_be_read_otherwise(world: World) -> None:
    done = world.run("tail", "lobby", "@bob")
    assert done.returncode == 1
    assert done.stderr == (
        "zchat: tail follows rooms: `zchat history @bob` shows what is between two, `zchat join` both\n"
    )
