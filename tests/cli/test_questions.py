"""`zchat who`, `rooms`, `ask` and `ping` with a real broker."""

from __future__ import annotations

import json
import re

from support import World


def test_who_and_rooms(world: World) -> None:
    world.broker()
    alice = world.start("join", "dev", "--name", "alice", stdin=True)
    alice.wait_err("you are in dev")
    assert world.run("who").stdout == "alice\n"
    assert world.run("who", "dev").stdout == "alice\n"
    assert world.run("who", "lobby").stdout == ""
    assert world.run("rooms").stdout == "dev\t1\t0\t-\t-\nlobby\t0\t0\t-\t-\n"
    assert [json.loads(line) for line in world.run("rooms", "--json").stdout.splitlines()] == [
        {"v": 1, "kind": "room", "room": "dev", "people": 1, "seq": 0, "last": None, "unread": None},
        {"v": 1, "kind": "room", "room": "lobby", "people": 0, "seq": 0, "last": None, "unread": None},
    ]
    assert json.loads(world.run("who", "--json").stdout) == {"v": 1, "kind": "person", "name": "alice"}


def test_who_of_an_unknown_room_is_exit_4(world: World) -> None:
    world.broker()
    done = world.run("who", "nowhere")
    assert done.returncode == 4
    assert done.stderr == "zchat: no such room, or not yours\n"


def test_ask_prompts_after_the_banner_until_quit_or_exit(world: World) -> None:
    world.broker("--banner", "welcome here")
    for word in ("quit", "EXIT"):
        done = world.run("ask", stdin=f"day\nnonsense\n{word}\ndate\n")
        assert done.returncode == 2  # in a pipe an unknown word counts
        assert re.fullmatch(r"\w+day\n", done.stdout)
        assert done.stderr.startswith("welcome here\n")
        assert "day, date, time, quit" in done.stderr


def test_ping_counts(world: World) -> None:
    world.broker()
    done = world.run("ping", "--count", "3", "--interval", "0")
    assert len(re.findall(r"^tcp://127\.0\.0\.1:\d+: \d \d+\.\d{3} ms$", done.stdout, re.MULTILINE)) == 3
    assert json.loads(world.run("ping", "--count", "1", "--json").stdout)["ms"] > 0
