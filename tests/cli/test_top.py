"""`zchat top`: what goes on, in a pipe and on a terminal."""

from __future__ import annotations

import fcntl
import json
import signal
import struct
import termios

import pytest
from support import World

from zchat.cli.top import Look, compared, table
from zchat.messages import RoomInfo
from zchat.text import width


def look(*rooms: RoomInfo, people: int = 0, at: float = 0.0, before: Look | None = None) -> Look:
    return compared(rooms, people, at, before)


def names(found: Look) -> list[str]:
    return [one.info.room for one in found.live]


# What is seen ---------------------------------------------------------------------------------------------------------


def test_a_rate_is_what_was_said_between_two_looks() -> None:
    first = look(RoomInfo("dev", 2, 10), RoomInfo("lobby", 1, 5), at=100.0)
    assert (first.rate, [one.rate for one in first.live]) == (None, [None, None])
    second = look(RoomInfo("dev", 2, 10), RoomInfo("lobby", 1, 25), RoomInfo("new", 0, 4), at=102.0, before=first)
    assert second.rate == 12
    assert [(one.info.room, one.rate) for one in second.live] == [("lobby", 10), ("new", 2), ("dev", 0)]


def test_a_room_is_live_while_somebody_is_in_it_or_speaks() -> None:
    first = look(RoomInfo("empty", 0, 9), RoomInfo("full", 3, 0), RoomInfo("half", 1, 0))
    assert names(first) == ["full", "half"]
    assert len(first.heads) == 3
    assert names(look(RoomInfo("empty", 0, 10), at=1.0, before=first)) == ["empty"]


def test_numbers_that_began_anew_are_no_rate() -> None:
    first = look(RoomInfo("dev", 1, 1000))
    assert look(RoomInfo("dev", 1, 3), at=1.0, before=first).rate == 0


def test_a_table_is_cut_to_the_terminal() -> None:
    rooms = [
        RoomInfo("x" * 60, 1, 123_456),
        RoomInfo("日本語" * 10, 2, 7),
        *(RoomInfo(f"r{n}", 1, n) for n in range(50)),
    ]
    found = look(*rooms, people=1)
    whole = table(found)
    assert whole[0] == "1 person, 52 rooms, 52 live, - messages/s"
    assert len(whole) == 2 + 1 + 52
    assert any("x" * 60 in line for line in whole)
    narrow = table(found, 40, 10)
    assert len(narrow) == 10
    assert all(width(line) <= 40 for line in narrow)
    assert narrow[3].startswith("日")
    assert "…" in narrow[3]
    assert all(width(line) <= 20 for line in table(found, 20, 4))


def test_nothing_in_a_name_is_obeyed() -> None:
    assert all(line.isprintable() for line in table(look(RoomInfo("a\x1b[2J\n\u202eb", 1, 1))))


# With a broker --------------------------------------------------------------------------------------------------------


def test_in_a_pipe_there_is_a_table_or_a_line(world: World) -> None:
    world.broker()
    world.start("join", "dev", "--name", "alice", stdin=True).wait_err("you are in dev")
    done = world.run("top", "--once", "--interval", "0.1")
    first, _, heading, room = done.stdout.splitlines()
    assert first == "1 person, 2 rooms, 1 live, 0 messages/s"
    assert heading.split() == ["ROOM", "PEOPLE", "LAST", "PER", "S", "SPOKE"]
    assert room.split() == ["dev", "1", "0", "0", "-"]
    found = json.loads(world.run("top", "--once", "--json", "--interval", "0.1").stdout)
    assert list(found) == ["v", "kind", "time", "people", "rooms", "rate", "live"]
    assert (found["people"], found["rooms"], found["rate"]) == (1, 2, 0)
    assert found["live"] == [{"room": "dev", "people": 1, "seq": 0, "rate": 0, "last": None}]


def test_it_goes_on_until_nobody_reads_it(world: World) -> None:
    world.broker()
    top = world.start("top", "--json", "--interval", "0.1")
    top.wait_out(r"(?s)\n.*\n.*\n")
    assert world.run("send", "lobby", "hello", "--name", "bob").returncode == 0
    top.wait_out(r'"room":"lobby","people":0,"seq":1,"rate":[\d.]*[1-9]')
    assert top.popen.stdout is not None
    top.popen.stdout.close()
    assert top.ends() == 0


def test_on_a_terminal_it_is_kept_up_to_date_and_leaves_it_as_it_was(world: World) -> None:
    world.broker()
    terminal = world.terminal("top", "--interval", "0.2", columns=60)
    terminal.wait(r"^0 people, 1 room, 0 live, 0 messages/s")
    alice = world.start("join", "a-room-with-a-longer-name", "--name", "alice", stdin=True)
    alice.wait_err("you are in")
    terminal.wait(r"^1 person, 2 rooms, 1 live(?s:.*)\na-room-with-a-longer-name +1 +0 +0 +-")
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 36, 0, 0))
    terminal.popen.send_signal(signal.SIGWINCH)
    terminal.wait(r"\na-[a-z-]*…")
    terminal.type("\x03")
    assert terminal.ends() == 130
    assert terminal.raw.endswith(b"\x1b[?25h\x1b[?1049l")
    assert terminal.raw.count(b"\x1b[?1049h") == 1
    assert terminal.restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_it_the_terminal_is_given_back(world: World, number: signal.Signals) -> None:
    world.broker()
    terminal = world.terminal("top")
    terminal.wait("0 people")
    terminal.popen.send_signal(number)
    assert terminal.ends() == 128 + number
    assert terminal.raw.endswith(b"\x1b[?25h\x1b[?1049l")


def test_stopped_and_continued_it_shows_the_table_again(world: World) -> None:
    world.broker()
    shell = world.shell("set -m; python -m zchat top --interval 0.2; fg >/dev/null; printf 'over\\n'")
    shell.wait("0 people")
    shell.type("\x1a")
    shell.wait_for(lambda: shell.raw.count(b"\x1b[?1049h") == 2, "it is continued")
    assert shell.raw.count(b"\x1b[?25h\x1b[?1049l") == 1
    shell.wait("0 people")
    shell.type("\x03")
    shell.wait("over")
    assert shell.raw.count(b"\x1b[?25h\x1b[?1049l") == 2


def test_without_a_broker_it_says_so(world: World) -> None:
    done = world.run("top", "--url", "tcp://127.0.0.1:1", "--connect-timeout", "0.2")
    assert (done.returncode, done.stdout) == (3, "")
