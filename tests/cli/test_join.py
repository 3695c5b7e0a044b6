"""`zchat join` in a real terminal and in a pipe."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from support import Terminal, World

import zchat


@pytest.fixture(name="alice")
def _alice(world: World) -> Terminal:
    """Alice, in the lobby, in a terminal."""
    world.broker()
    terminal = world.terminal("join", "--name", "alice")
    terminal.wait("you are in lobby, alone so far")
    return terminal


def test_arriving_line_does_not_tear_the_line_being_typed(world: World, alice: Terminal) -> None:
    alice.type("half a sen")
    alice.wait_for(lambda: alice.row == "lobby> half a sen", "the row shows what is typed")
    world.run("send", "lobby", "interruption", "--name", "bob")
    alice.wait("bob: interruption")
    alice.wait_for(lambda: alice.row == "lobby> half a sen", "the row is whole")
    alice.type("tence\r")
    alice.wait("alice: half a sentence")
    assert alice.shown.count("half a sen") == 1


def test_rooms_are_entered_left_and_named_where_they_are_not_current(world: World, alice: Terminal) -> None:
    alice.type("/join Dev\r")
    alice.wait("you are in dev")
    alice.wait_for(lambda: alice.row == "dev>", "the prompt names the room")
    world.run("send", "lobby", "over here", "--name", "bob")
    alice.wait(r"\[lobby\] bob: over here")
    alice.type("in dev\r")
    alice.wait(r"\d\d alice: in dev")
    alice.type("/leave\r")
    alice.wait("you left .*; back in lobby")
    world.run("send", "dev", "unheard", "--name", "bob")
    world.run("send", "lobby", "heard", "--name", "bob")
    alice.wait(r"\d\d bob: heard")
    assert "unheard" not in alice.shown


def test_private_messages_actions_and_names(world: World, alice: Terminal) -> None:
    bob = world.terminal("join", "--name", "bob")
    bob.wait("with alice")
    alice.wait("bob joined")
    carol = world.terminal("join", "--name", "carol")
    carol.wait("with alice, bob")
    alice.type("/msg bob for your eyes\r")
    bob.wait(r"\[private\] alice: for your eyes")
    alice.wait(r"\[to bob\] alice: for your eyes")
    alice.type("/me waves\r")
    carol.wait(r"\* alice waves")
    assert "for your eyes" not in carol.shown
    bob.type("/nick robert\r")
    bob.wait("you are now robert")
    alice.wait("-- bob is now known as robert")
    alice.type("/who\r")
    alice.wait("in lobby: alice, carol, robert")


def test_unknown_command_is_an_error_and_nothing_is_said(world: World, alice: Terminal) -> None:
    with zchat.connect(world.url, name="watcher") as client:
        lobby = client.join("lobby", quiet=True)
        alice.type("/frobnicate now\r")
        alice.wait(r"unknown command /frobnicate: /help shows what there is \(// says a line with a slash\)")
        alice.type("/serach now\r")
        alice.wait(r"unknown command /serach: did you mean /search\?")
        alice.type("//frobnicate\r")
        assert next(lobby.messages(timeout=30)).text == "/frobnicate"
        alice.type("/msg bob\r")
        alice.wait("write it as /msg NAME TEXT")


def test_questions(alice: Terminal) -> None:
    for typed, shown in (
        ("/help", "/nick NAME +goes by another name"),
        ("/rooms", "-- lobby: 1 person, 0 messages"),
        ("/ping", r"-- \d+\.\d ms to the broker"),
        ("/day", "-- (Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"),
        ("/date", r"-- \d{4}-\d\d-\d\d"),
        ("/time utc", r"-- \d\d:\d\d:\d\d UTC"),
    ):
        alice.type(f"{typed}\r")
        alice.wait(shown)


@pytest.mark.parametrize("leave", ["quit\r", "EXIT\r", "/quit\r", "\x04"])
def test_leaving_restores_the_terminal(alice: Terminal, leave: str) -> None:
    alice.type(leave)
    assert alice.ends() == 0
    assert alice.restored()
    assert alice.raw.rstrip().endswith(b"zchat: disconnected")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_restore_the_terminal(alice: Terminal, number: int, code: int) -> None:
    os.kill(alice.popen.pid, number)
    assert alice.ends() == code
    assert alice.restored()
    assert b"Traceback" not in alice.raw


def test_paste_of_several_lines_is_one_message_that_looks_like_no_other_sender(alice: Terminal) -> None:
    alice.type("\x1b[200~first\nbob: second\x1b[201~")
    alice.wait("first⏎bob: second")
    alice.type("\r")
    alice.wait(r"alice: first\n {9}bob: second")


def test_broker_restart_loses_nothing(world: World, alice: Terminal) -> None:
    world.run("send", "lobby", "before", "--name", "bob")
    alice.wait("bob: before")
    _restart(world, alice)
    alice.wait(r"\d\d alice: typed while away")
    assert "no longer be had" not in alice.shown
    assert alice.shown.count("bob: before") == 1


def test_broker_that_keeps_nothing_begins_anew_and_that_is_told(world: World) -> None:
    world.broker("--memory")
    alice = world.terminal("join", "--name", "alice")
    alice.wait("you are in lobby")
    world.run("send", "lobby", "before", "--name", "bob")
    alice.wait("bob: before")
    _restart(world, alice, "--memory")
    alice.wait("what came after message 1 can no longer be had")
    alice.wait(r"\d\d alice: typed while away")


def _restart(world: World, alice: Terminal, *options: str) -> None:
    port = world.url.rpartition(":")[2]
    broker = world.brokers[-1]
    broker.signal(signal.SIGKILL)
    broker.ends()
    alice.wait("the connection to the broker is lost; trying to get it back")
    alice.type("typed while away\r")
    alice.wait("not connected; to be said when we are: typed while away")
    world.broker("--bind-wait", "30", *options, bind=f"tcp://127.0.0.1:{port}")
    alice.wait("connected again")


def test_first_time_shows_the_last_messages_and_coming_back_what_was_missed(world: World) -> None:
    world.broker()
    world.run("send", "lobby", "--name", "bob", stdin="".join(f"line {number}\n" for number in range(1, 61)))
    alice = world.terminal("join", "--name", "alice")
    alice.wait("bob: line 60")
    assert "missed" not in alice.shown
    alice.type("seen\r")
    alice.wait("alice: seen")
    alice.type("quit\r")
    assert alice.ends() == 0
    told = re.findall(r"bob: (line \d+)", alice.raw.decode())
    assert told == [f"line {number}" for number in range(11, 61)]
    world.run("send", "lobby", "--name", "bob", stdin="one\ntwo\n")
    world.run("send", "@alice", "for you alone", "--name", "bob")
    alice = world.terminal("join", "--name", "alice")
    alice.wait(r"-- 2 missed while you were away\n[\d:]+ bob: one\n[\d:]+ bob: two\n-- you are up to date")
    alice.wait(r"-- \[@bob\] 1 missed while you were away\n[\d:]+ \[private\] bob: for you alone\n")
    alice.wait(r"-- \[@bob\] you are up to date")
    assert "line 60" not in alice.shown


def test_unread_is_what_came_since(world: World) -> None:
    world.broker()
    alice = world.terminal("join", "--name", "alice")
    alice.wait("you are in lobby")
    alice.type("quit\r")
    assert alice.ends() == 0
    world.run("send", "lobby", "--name", "bob", stdin="one\ntwo\n")
    (row,) = world.run("rooms", "--name", "alice").stdout.splitlines()
    assert row.split("\t")[::4] == ["lobby", "2"]
    assert json.loads(world.run("rooms", "--name", "alice", "--json").stdout)["unread"] == 2
    assert json.loads(world.run("rooms", "--name", "bob", "--json").stdout)["unread"] is None
    alice = world.terminal("join", "other", "--name", "alice")
    alice.wait("you are in other")
    alice.type("/rooms\r")
    alice.wait("lobby: 0 people, 2 messages, last at 20.*, 2 unread")


def test_pipes_get_no_replay_unless_asked(world: World) -> None:
    world.broker()
    world.run("send", "lobby", "--name", "bob", stdin="one\ntwo\nthree\n")
    assert world.run("join", "--name", "alice", stdin="hi\n").stdout.count("\n") == 1
    told = world.run("join", "--name", "alice", "--tail", "2", stdin="hi\n").stdout
    assert re.findall(r"(\w+): (\w+)", told)[:2] == [("bob", "three"), ("alice", "hi")]


def test_edit_delete_history_and_search(alice: Terminal) -> None:
    for line in (
        "first thing",
        "second thing",
        "third thing",
        "/edit 1 a better thing",
        "/edit the very last",
        "/delete #2",
    ):
        alice.type(f"{line}\r")
    alice.wait(r"alice \(edited #1\): a better thing")
    alice.wait(r"alice \(edited #3\): the very last")
    alice.wait("alice deleted #2")
    alice.type("/history\r")
    alice.wait(r"-- #1 \S+ \S+ alice: a better thing \(edited\)\n-- #2 \S+ \S+ alice: \(deleted\)\n")
    alice.wait(r"-- #3 \S+ \S+ alice: the very last \(edited\)")
    alice.type("/search BETTER\r")
    alice.wait(r"-- lobby #1 \S+ \S+ alice: a better thing \(edited\)")
    alice.type("/search second\r")
    alice.wait("nothing was found")
    alice.type("/delete 9\r")
    alice.wait("there is no such message of yours")
    alice.type("/delete that\r")
    alice.wait(r"write it as /delete \[NUMBER\]")


def test_piped_lines_mean_the_same(world: World, alice: Terminal) -> None:
    done = world.run("join", "--name", "bob", stdin="hello\n/me nods\n//slash\n/nope\n")
    assert done.returncode == 2
    assert re.fullmatch(r"\S+ bob: hello\n\S+ \* bob nods\n\S+ bob: /slash\n", done.stdout)
    assert "unknown command /nope" in done.stderr
    alice.wait("bob joined")
    alice.wait("bob: /slash")
    alice.wait("bob left")


def test_pipe_without_a_name_is_a_usage_error(world: World) -> None:
    world.broker()
    done = world.run("join")
    assert done.returncode == 2
    assert done.stderr == "zchat: whom to speak as? give --name or set ZCHAT_NAME\n"


def test_pipe_leaves_only_once_all_is_acknowledged(world: World) -> None:
    world.broker()
    follower = world.start("tail", "lobby", "--count", "3000")
    follower.wait_err("following")
    done = world.run("join", "--name", "bob", stdin="".join(f"{number}\n" for number in range(3000)))
    assert done.returncode == 0
    assert follower.ends() == 0
    assert [line.split()[2] for line in follower.out.splitlines()] == [str(number) for number in range(3000)]
    assert done.stdout.count("\n") == 3000
