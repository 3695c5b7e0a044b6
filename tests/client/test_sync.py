"""The Python API against a real broker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support import World

import zchat
from zchat import errors
from zchat.address import BadAddress
from zchat.client import sync
from zchat.client.events import Connected, Disconnected, Gap, Presence, Said


@pytest.fixture(name="alice")
def _alice(world: World) -> Iterator[zchat.Client]:
    world.broker()
    with zchat.connect(world.url, name="alice", person=b"a" * 16) as client:
        yield client


@pytest.fixture(name="bob")
def _bob(world: World, alice: zchat.Client) -> Iterator[zchat.Client]:
    with zchat.connect(world.url, name="bob", person=b"b" * 16) as client:
        yield client


def test_what_one_sends_all_members_get_once(alice: zchat.Client, bob: zchat.Client) -> None:
    here, there = alice.join("lobby"), bob.join("lobby")
    acks = [here.send(f"{number}") for number in range(5)]
    assert [ack.seq for ack in acks] == [1, 2, 3, 4, 5]
    for room in (here, there):
        found = [message.text for _, message in zip(range(5), room.messages(timeout=30), strict=False)]
        assert found == ["0", "1", "2", "3", "4"]
        assert list(room.messages(timeout=0.05)) == []


def test_rooms_events_are_given_to_who_asks_for_that_room(alice: zchat.Client, bob: zchat.Client) -> None:
    one, two = alice.join("one"), alice.join("two")
    bob.send("one", "1")
    bob.send("two", "2")
    assert next(two.messages(timeout=30)).text == "2"
    assert next(one.messages(timeout=30)).text == "1"


def test_all_events_come_in_order(alice: zchat.Client, bob: zchat.Client) -> None:
    alice.join("lobby")
    bob.join("lobby")
    bob.send("lobby", "hi")
    bob.leave("lobby")
    found = []
    for event in alice.events(timeout=30):
        if isinstance(event, Said | Presence):
            found.append(event.message.text if isinstance(event, Said) else (event.joined, event.left))
        if found[-1:] == [((), ("bob",))]:
            break
    assert found[-3:] == [(("bob",), ()), "hi", ((), ("bob",))]


def test_refusals_are_raised_as_what_they_are(alice: zchat.Client, bob: zchat.Client) -> None:
    with pytest.raises(errors.NoSuchRoom):
        alice.who("nowhere")
    with pytest.raises(errors.NameTaken):
        alice.nick("bob")
    with pytest.raises(errors.NameInvalid):
        alice.join("no/slash")
    with pytest.raises(errors.TooLong):
        alice.send("lobby", "x" * 16385)
    with pytest.raises(errors.UnknownWord):
        alice.day("weather")
    with pytest.raises(errors.NoSuchPerson):
        alice.send("@nobody", "hi")
    assert alice.send("lobby", "still fine").seq == 1


def test_who_rooms_and_nick(alice: zchat.Client, bob: zchat.Client) -> None:
    alice.join("lobby")
    bob.join("lobby")
    assert bob.nick("robert") == "robert"
    assert alice.who("lobby") == alice.who() == ["alice", "robert"]
    assert [(info.room, info.people) for info in bob.rooms()] == [("lobby", 2)]
    assert 0 < alice.ping() < 30


def test_private_messages_reach_both_and_nobody_else(world: World, alice: zchat.Client, bob: zchat.Client) -> None:
    with zchat.connect(world.url, name="carol", person=b"c" * 16) as carol:
        carol.join("lobby")
        alice.send("@bob", "psst")
        said = next(event for event in bob.events(timeout=30) if isinstance(event, Said))
        assert (said.room, said.message.text, said.private) == ("@alice", "psst", True)
        own = next(event for event in alice.events(timeout=30) if isinstance(event, Said))
        assert (own.room, own.mine) == ("@bob", True)
        assert not [event for event in carol.events(timeout=0.1) if isinstance(event, Said)]


def test_broker_restart_shows_a_gap_and_goes_on(world: World, alice: zchat.Client) -> None:
    lobby = alice.join("lobby")
    lobby.send("before")
    assert next(lobby.messages(timeout=30)).text == "before"
    (broker,) = world.brokers
    broker.signal(signal.SIGKILL)
    broker.ends()
    found = []
    for event in alice.events(timeout=30):
        found.append(event)
        if isinstance(event, Disconnected):
            world.broker("--bind-wait", "30", bind=world.url)
            assert lobby.send("after").seq == 1
        if isinstance(event, Said):
            break
    kinds = [type(event) for event in found if not isinstance(event, Connected) or event.again]
    assert kinds[-4:] == [Disconnected, Gap, Connected, Said]
    assert found[-1].message.text == "after"  # type: ignore[union-attr]


def test_stopped_broker_is_waited_for_and_nothing_is_lost(world: World, alice: zchat.Client) -> None:
    lobby = alice.join("lobby")
    (broker,) = world.brokers
    broker.signal(signal.SIGSTOP)
    ticket = lobby._client.post("lobby", "patience")
    assert alice.outcome(ticket) is None
    broker.signal(signal.SIGCONT)
    assert next(lobby.messages(timeout=30)).text == "patience"


def test_no_broker_is_unreachable() -> None:
    with pytest.raises(errors.Unreachable, match=r"tcp://127\.0\.0\.1:9 within 0\.1 s"):
        zchat.connect("tcp://127.0.0.1:9", timeout=0.1)
    with pytest.raises(BadAddress):
        zchat.connect("not an address")


def test_closed_client_says_so(world: World, alice: zchat.Client) -> None:
    alice.close()
    alice.close()
    with pytest.raises(errors.Closed):
        alice.who()


def test_what_a_program_does_not_take_is_bounded_and_comes_later(
    world: World, alice: zchat.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "QUEUED", 50)
    lobby = alice.join("lobby")
    count, padding = 2000, "x" * 10_000
    done = subprocess.run(
        [sys.executable, "-m", "zchat", "send", "lobby", "--name", "pipe"],
        env=world.env,
        input="".join(f"{number} {padding}\n" for number in range(count)),
        text=True,
        timeout=45,
        check=False,
    )
    assert done.returncode == 0
    for _ in range(100):
        alice.ping()
    assert 50 <= alice._queued < count
    found = [int(message.text.split()[0]) for _, message in zip(range(count), lobby.messages(timeout=45), strict=False)]
    assert found == list(range(count))


def test_a_text_that_no_frame_could_hold_is_refused_and_the_connection_stays(alice: zchat.Client) -> None:
    lobby = alice.join("lobby")
    with pytest.raises(errors.TooLong, match="70000 bytes"):
        lobby.send("x" * 70_000)
    assert lobby.send("short").seq == 1
    assert not [event for event in alice.drain() if isinstance(event, Disconnected)]


def test_a_flood_elsewhere_neither_deafens_nor_grows(
    world: World, alice: zchat.Client, bob: zchat.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "QUEUED", 50)
    lobby = alice.join("lobby")
    for number in range(300):
        bob.post("@alice", str(number))
    bob.send("@alice", "last")
    bob.send("lobby", "heard")
    assert next(lobby.messages(timeout=30)).text == "heard"
    private = [event for event in alice.drain() if isinstance(event, Gap | Said)]
    assert len(private) <= 101
    assert isinstance(private[0], Gap)
    assert private[0].first == 1
    assert private[0].last is not None
    said = [event.message.seq for event in private[1:] if isinstance(event, Said)]
    assert said == list(range(private[0].last + 1, 302))
