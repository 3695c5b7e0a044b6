"""`zchat send` with a real broker."""

from __future__ import annotations

import json

from support import World

import zchat


def test_words_become_one_message(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "--json", "--count", "1")
    follower.wait_err("following")
    assert world.run("send", "lobby", "hello", "there", "--name", "alice").returncode == 0
    assert follower.ends() == 0
    said = json.loads(follower.out)
    assert (said["from"], said["text"]) == ("alice", "hello there")


def test_every_line_of_stdin_verbatim(world: World) -> None:
    world.broker()
    lines = ["  leading", "/not a command", "quit", "", "ünïcode ☃", "trailing  ", "last without newline"]
    follower = world.start("tail", "lobby", "--json", "--count", str(len(lines)))
    follower.wait_err("following")
    assert world.run("send", "lobby", stdin="\n".join(lines)).returncode == 0
    assert follower.ends() == 0
    assert [json.loads(line)["text"] for line in follower.out.splitlines()] == lines


def test_many_lines_are_pipelined_in_order(world: World) -> None:
    world.broker()
    count = 5000
    follower = world.start("tail", "lobby", "--json", "--count", str(count))
    follower.wait_err("following")
    assert world.run("send", "lobby", stdin="".join(f"{number}\n" for number in range(count))).returncode == 0
    assert follower.ends() == 0
    assert [json.loads(line)["text"] for line in follower.out.splitlines()] == [str(n) for n in range(count)]


def test_a_refused_line_is_named_and_the_others_are_stored(world: World) -> None:
    world.broker()
    done = world.run("send", "lobby", stdin=f"a\n{'x' * 20000}\nb\n")
    assert done.returncode == 1
    assert "line 2: the text has 20000 bytes and 16384 are allowed" in done.stderr
    assert "2 of 3 lines were stored" in done.stderr
    assert done.stdout == ""


def test_no_broker_is_one_line_and_exit_3(world: World) -> None:
    done = world.run("send", "lobby", "hi", "--url", "tcp://127.0.0.1:9", "--connect-timeout", "0.2")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "tcp://127.0.0.1:9" in done.stderr


def test_to_a_person_is_private(world: World) -> None:
    world.broker()
    with zchat.connect(world.url, name="bob") as bob:
        bob.join("lobby")
        assert world.run("send", "@bob", "psst", "--name", "alice").returncode == 0
        private = next(event for event in bob.events(timeout=30) if getattr(event, "private", False))
        assert private.room == "@alice"  # type: ignore[union-attr]
    nobody = world.run("send", "@nobody", "psst", "--name", "alice")
    assert nobody.returncode == 4


def test_speaks_as_name_then_environment_then_login(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "--json", "--count", "3")
    follower.wait_err("following")
    env = {**world.env, "ZCHAT_NAME": "fromenv"}
    world.run("send", "lobby", "1", "--name", "given", env=env)
    world.run("send", "lobby", "2", env=env)
    world.run("send", "lobby", "3", env={**world.env, "LOGNAME": "loginname"})
    follower.ends()
    assert [json.loads(line)["from"] for line in follower.out.splitlines()] == ["given", "fromenv", "loginname"]


def test_visitors_make_no_notice_and_are_not_in_who(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "--presence", "--count", "1")
    follower.wait_err("following")
    world.run("send", "lobby", "hi", "--name", "alice")
    assert world.run("who").stdout == ""
    follower.ends()
    assert "joined" not in follower.out
