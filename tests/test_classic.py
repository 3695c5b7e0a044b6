"""What the classic socket chat servers did, and zchat must: a test for every row of that table."""

from __future__ import annotations

import re
import signal
import socket
import threading
from pathlib import Path

import pytest
from support import World

import zchat


def test_many_clients_at_once_are_served_by_one_thread(world: World) -> None:
    broker = world.broker()
    clients = [zchat.connect(world.url, name=f"n{number:02}x", person=bytes([number]) * 16) for number in range(40)]
    try:
        rooms = [client.join("lobby") for client in clients]
        rooms[0].send("to all")
        for room in rooms:
            assert next(room.messages(timeout=30)).text == "to all"
        assert clients[0].who("lobby") == [f"n{number:02}x" for number in range(40)]
        threads = Path(f"/proc/{broker.pid}/task")
        if threads.exists():  # the interpreter's own, and libzmq's reaper and I/O thread; none per client
            assert len(list(threads.iterdir())) <= 4
    finally:
        for client in clients:
            client.close()


def test_welcome_is_a_banner_of_several_lines(world: World, tmp_path: Path) -> None:
    world.broker()
    default = world.run("join", "--name", "alice")
    assert r"/___\___|_| |_|\__,_|\__|" in default.stderr
    (tmp_path / "banner.txt").write_text("line one\n  line two\n")
    other = World(tmp_path / "other")
    try:
        other.broker("--banner", f"@{tmp_path / 'banner.txt'}")
        assert "line one\n  line two\n" in other.run("join", "--name", "alice").stderr
    finally:
        other.close()


def test_name_is_asked_for_sent_and_shown_with_every_line(world: World) -> None:
    world.broker()
    terminal = world.terminal("join")
    terminal.wait("Your name:")
    terminal.type("alice\r")
    terminal.wait("you are in lobby")
    terminal.type("hi there\r")
    terminal.wait(r"\d\d:\d\d:\d\d alice: hi there")
    taken = world.run("join", "--name", "Alice", env=world.other_person())
    assert (taken.returncode, "taken by another person" in taken.stderr) == (4, True)
    for name in ("admin", "has space", "a/b", "x" * 33, "аlice", "tab\t"):
        refused = world.run("join", "--name", name, env=world.other_person())
        assert refused.returncode in (2, 4), name
        assert refused.stderr.count("\n") == 1, refused.stderr


def test_taken_name_is_asked_again_on_a_terminal(world: World) -> None:
    world.broker()
    with zchat.connect(world.url, name="alice", person=b"somebody else..."):
        terminal = world.terminal("join", "--name", "alice")
        terminal.wait("taken by another person")
        terminal.wait("Your name:")
        terminal.type("alicia\r")
        terminal.wait("you are in lobby")


def test_message_goes_to_every_member_once_and_the_sender_sees_it_once(world: World) -> None:
    world.broker()
    alice, bob = world.terminal("join", "--name", "alice"), world.terminal("join", "--name", "bob")
    alice.wait("bob joined|with bob")
    bob.wait("you are in lobby with alice|alice joined")
    alice.type("only once\r")
    for terminal in (alice, bob):
        terminal.wait("alice: only once")
    bob.type("and back\r")
    for terminal in (alice, bob):
        terminal.wait("bob: and back")
        assert terminal.shown.count("only once") == 1
    with zchat.connect(world.url, name="carol") as client:
        lobby = client.join("lobby")
        sent = lobby.send("numbered")
        own = next(lobby.messages(timeout=30))
        assert (own.seq, own.text) == (sent.seq, "numbered")


def test_join_is_noticed_with_the_address_in_the_brokers_log_only(world: World) -> None:
    broker = world.broker()
    alice = world.terminal("join", "--name", "alice")
    alice.wait("you are in lobby")
    world.start("join", "--name", "bob", stdin=True)
    alice.wait("-- bob joined")
    broker.wait_err(r"INFO bob joined lobby from 127\.0\.0\.1:\d+")
    assert "127.0.0.1" not in alice.shown.split("you are in lobby")[1]


def test_leaving_is_noticed_whether_they_left_or_were_lost(world: World) -> None:
    world.broker()
    alice = world.terminal("join", "--name", "alice")
    alice.wait("you are in lobby")
    bob, carol = (world.start("join", "--name", name, stdin=True) for name in ("bob", "carol"))
    alice.wait("-- bob joined")
    alice.wait("-- carol joined")
    carol.signal(signal.SIGKILL)
    bob.type("quit\n")
    assert bob.ends() == 0
    alice.wait("-- bob left")
    alice.wait("-- carol was lost")  # after the grace of 10 seconds


def test_operators_console_is_read_by_all_and_exit_stops_the_broker(world: World) -> None:
    broker = world.broker(stdin=True)
    alice = world.terminal("join", "--name", "alice")
    alice.wait("you are in lobby")
    broker.type("maintenance at noon\n")
    alice.wait(r"-- operator: maintenance at noon")
    broker.type("exit\n")
    alice.wait("the broker is shutting down")
    assert broker.ends() == 0


def test_end_of_input_closes_the_console_only(world: World) -> None:
    broker = world.broker(stdin=True)
    broker.end_input()
    assert world.run("send", "lobby", "still there").returncode == 0
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_signals_tell_everyone_and_end_the_broker(world: World, number: int, code: int) -> None:
    broker = world.broker()
    follower = world.start("join", "--name", "alice", stdin=True)
    follower.wait_err("you are in lobby")
    broker.signal(number)
    follower.wait_err("the broker is shutting down")
    assert broker.ends() == code


def test_log_has_level_time_name_and_address_and_the_chat_if_shown(world: World) -> None:
    broker = world.broker("--show-chat", "--log-level", "info")
    world.run("send", "lobby", "said aloud", "--name", "alice")
    broker.wait_err(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO alice connected from 127\.0\.0\.1:\d+\n")
    broker.wait_err(r"INFO alice left from 127\.0\.0\.1:\d+\n")
    broker.wait_out(r"\d\d:\d\d:\d\d \[lobby\] alice: said aloud\n")


def test_client_says_connected_disconnected_and_unreachable(world: World) -> None:
    broker = world.broker()
    port = world.url.rpartition(":")[2]
    alice = world.start("join", "--name", "alice", stdin=True)
    alice.wait_err(rf"connected to {re.escape(world.url)} as alice")
    alice.wait_err("you are in lobby")
    broker.signal(signal.SIGKILL)
    alice.wait_err("the connection to the broker is lost; trying to get it back")
    nobody = world.run("who", "--connect-timeout", "0.3")
    assert nobody.returncode == 3
    assert nobody.stderr.count("\n") == 1
    assert world.url in nobody.stderr
    broker.ends()
    world.broker("--bind-wait", "30", bind=f"tcp://127.0.0.1:{port}")
    alice.wait_err("connected again")
    alice.type("here I am\n")
    alice.wait_out("alice: here I am")
    alice.end_input()
    assert alice.ends() == 0
    assert "disconnected" in alice.err


def test_taken_port_is_an_error_and_bind_wait_retries(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bind = f"tcp://127.0.0.1:{port}"
        refused = world.run("broker", "--bind", bind, "--pub-port", "0")
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert str(port) in refused.stderr
        waiting = world.start("broker", "--bind", bind, "--pub-port", "0", "--bind-wait", "40")
        waiting.pump(0.5)
        assert waiting.popen.poll() is None
    waiting.wait_out(f"zchat broker listening on {bind}\n")


def test_day_date_time_go_to_the_asker_only_and_an_unknown_word_is_an_error(world: World) -> None:
    world.broker()
    assert re.fullmatch(r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\n", world.run("ask", "day").stdout)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\n", world.run("ask", "date").stdout)
    assert re.fullmatch(r"\d\d:\d\d:\d\d UTC\n", world.run("ask", "time", "--utc").stdout)
    unknown = world.run("ask", "weather")
    assert unknown.returncode == 2
    assert "day, date, time" in unknown.stderr
    follower = world.start("join", "--name", "bob", stdin=True)
    follower.wait_err("you are in lobby")
    asker = world.run("join", "--name", "alice", stdin="/day\n/weather\n")
    assert "day" in asker.stderr
    assert "unknown command /weather" in asker.stderr
    follower.end_input()
    follower.ends()
    assert follower.out == ""


def test_whole_messages_always_up_to_16_kib_and_continuation_lines_are_indented(world: World) -> None:
    world.broker()
    with zchat.connect(world.url, name="alice") as client:
        lobby = client.join("lobby")
        texts = ["x" * 16384, "ü" * 8192, "one\nbob: forged\n\ttwo", *(f"burst {number}" for number in range(300))]
        sender = threading.Thread(target=_say_all, args=(world.url, texts))
        sender.start()
        found = [message.text for _, message in zip(texts, lobby.messages(timeout=40), strict=False)]
        sender.join()
        assert found == texts
        with pytest.raises(zchat.ZchatError, match="16385 bytes and 16384 are allowed"):
            lobby.send("x" * 16385)
    follower = world.start("tail", "lobby", "--count", "1")
    follower.wait_err("following lobby")
    world.run("send", "lobby", "one\nbob: forged", "--name", "eve")
    follower.ends()
    assert re.fullmatch(r"\d\d:\d\d:\d\d eve: one\n {9}bob: forged\n", follower.out)


def _say_all(url: str, texts: list[str]) -> None:
    with zchat.connect(url, name="bob") as client:
        for text in texts:
            client.send("lobby", text)


def test_rooms_keep_conversations_apart(world: World) -> None:
    world.broker()
    with zchat.connect(world.url, name="alice") as alice, zchat.connect(world.url, name="bob") as bob:
        lobby, dev = alice.join("lobby"), alice.join("#Dev")
        bob.join("lobby")
        assert dev.name == "dev"
        bob.send("lobby", "for the lobby")
        bob.send("DEV", "for dev")
        bob.send("dev1", "for another whose name begins alike")
        assert next(lobby.messages(timeout=30)).text == "for the lobby"
        assert next(dev.messages(timeout=30)).text == "for dev"
        assert [info.room for info in alice.rooms()] == ["dev", "dev1", "lobby"]
        assert alice.who("dev") == ["alice"]
        assert list(dev.messages(timeout=0.1)) == []
