"""The Python API against a real broker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from support import World

import zchat
from zchat import codec, errors
from zchat.address import BadAddress
from zchat.client import connection
from zchat.client.events import Connected, Deleted, Disconnected, Edited, Gap, Missed, Presence, Said, Sent, UpToDate
from zchat.client.link import Link
from zchat.client.session import BATCH
from zchat.messages import Send


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


def restarted(world: World, room: zchat.Room, *arguments: str) -> list[object]:
    """Kills the broker, starts it again, says something, and gives what is heard from the loss until that is."""
    (broker,) = world.brokers
    broker.signal(signal.SIGKILL)
    broker.ends()
    found: list[object] = []
    for event in room._client.events(timeout=30):
        found.append(event)
        if isinstance(event, Disconnected):
            world.broker("--bind-wait", "30", *arguments, bind=world.url)
            room.send("after")
        if isinstance(event, Said) and event.message.text == "after":
            break
    # What was said as soon as the broker was there again may be there before the room is entered again.
    return [event for event in found if not isinstance(event, Missed | UpToDate | Presence)]


def test_broker_restart_is_survived_by_what_was_said(alice: zchat.Client, world: World) -> None:
    lobby = alice.join("lobby")
    assert lobby.send("before").seq == 1
    assert next(lobby.messages(timeout=30)).text == "before"
    alice.drain()
    *heard, said = restarted(world, lobby)
    assert [type(event) for event in heard] == [Disconnected, Connected]
    assert isinstance(said, Said)
    assert said.message.seq == 2
    assert [message.text for message in alice.history("lobby")] == ["before", "after"]


def test_restart_of_a_broker_that_keeps_nothing_shows_a_gap_and_goes_on(world: World) -> None:
    world.broker("--memory")
    with zchat.connect(world.url, name="alice", person=b"a" * 16) as alice:
        lobby = alice.join("lobby")
        lobby.send("before")
        assert next(lobby.messages(timeout=30)).text == "before"
        alice.drain()
        *heard, said = restarted(world, lobby, "--memory")
        assert [type(event) for event in heard] == [Disconnected, Gap, Connected]
        assert isinstance(said, Said)
        assert said.message.seq == 1


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
    monkeypatch.setattr(connection, "QUEUED", 50)
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
    assert 50 <= len(alice._queues) < count
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
    monkeypatch.setattr(connection, "QUEUED", 50)
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


# Messages change, and are found --------------------------------------------------------------------------------------


def test_what_was_said_is_changed_and_taken_back(alice: zchat.Client, bob: zchat.Client) -> None:
    lobby = bob.join("lobby")
    alice.send("lobby", "frist")
    alice.send("lobby", "regret")
    assert alice.edit("lobby", "first", 1).seq == 3
    assert alice.delete("lobby").seq == 4
    with pytest.raises(errors.NoSuchMessage):
        bob.edit("lobby", "forged", 1)
    with pytest.raises(errors.NoSuchMessage):
        alice.delete("lobby", 2)
    kinds = (Said, Edited, Deleted)
    one, two, edited, deleted = islice((event for event in lobby.events(30) if isinstance(event, kinds)), 4)
    assert isinstance(one, Said)
    assert isinstance(two, Said)
    assert isinstance(edited, Edited)
    assert isinstance(deleted, Deleted)
    assert (one.message.text, two.message.text) == ("frist", "regret")
    assert (edited.edit.target, edited.edit.text, edited.mine, edited.private) == (1, "first", False, False)
    assert (deleted.deletion.seq, deleted.deletion.target) == (4, 2)
    told = [(message.seq, message.text, message.edited, message.deleted) for message in bob.history("lobby")]
    assert told == [(1, "first", 3, 0), (2, "", 0, 4)]


def test_history_page_by_page(alice: zchat.Client, bob: zchat.Client) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(1, 1201):
        alice.post("lobby", str(number))
    alice.send("lobby", "last")
    assert [message.seq for message in bob.history("lobby")] == list(range(1152, 1202))
    assert [message.seq for message in bob.history("lobby", None)] == list(range(1, 1202))
    assert [message.seq for message in bob.history("lobby", 600, before=1000)] == list(range(400, 1000))
    assert [message.seq for message in bob.history("lobby", 600, after=100)] == list(range(101, 701))
    assert [message.seq for message in bob.history("lobby", None, after=1199)] == [1200, 1201]
    assert bob.history("lobby", 0) == bob.history("lobby", after=1201) == []
    assert len(bob.history("lobby", None, since=before)) == 1201
    assert bob.history("lobby", since=before + timedelta(days=1)) == []
    assert bob.before("lobby", before) == 0
    assert bob.before("lobby", before + timedelta(days=1)) == 1201
    assert bob.before("nowhere", before) == 0
    with pytest.raises(errors.NoSuchRoom):
        bob.history("nowhere")


def test_what_was_said_is_found(alice: zchat.Client, bob: zchat.Client) -> None:
    alice.send("lobby", "the quick brown fox")
    alice.send("den", "the quick sly fox")
    room = alice.send("@bob", "the quick secret fox").room
    found = bob.search("QUICK fox")
    assert {(hit.room, hit.label, hit.message.text) for hit in found} == {
        ("lobby", "", "the quick brown fox"),
        ("den", "", "the quick sly fox"),
        (room, "@alice", "the quick secret fox"),
    }
    assert [hit.room for hit in bob.search("fox", room="den")] == ["den"]
    assert bob.search("fox", name="bob") == bob.search("wolf") == []
    assert len(bob.search("fox", limit=1)) == 1
    with pytest.raises(errors.NoSuchRoom):
        bob.search("fox", room="@carol")


def test_a_room_begins_with_its_last_messages(alice: zchat.Client, bob: zchat.Client) -> None:
    for number in range(5):
        alice.send("lobby", str(number))
    lobby = bob.join("lobby", tail=3)
    assert [message.text for message in islice(lobby.messages(30), 3)] == ["2", "3", "4"]
    alice.send("lobby", "5")
    assert next(lobby.messages(30)).text == "5"


# Over the end of a program -------------------------------------------------------------------------------------------


def crash(client: zchat.Client) -> None:
    """Ends a client as if its process had been killed."""
    client._shut()


def texts(room: zchat.Room, last: str) -> list[str]:
    """What is said, up to a text."""
    found = []
    for message in room.messages(timeout=30):
        found.append(message.text)
        if message.text == last:
            break
    return found


def test_a_program_comes_back_to_where_it_was(world: World, alice: zchat.Client, tmp_path: Path) -> None:
    place = tmp_path / "place"
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        lobby = bob.join("lobby")
        alice.send("lobby", "1")
        alice.send("@bob", "psst 1")
        assert texts(lobby, "1") == ["1"]
        for event in bob.events(timeout=30):
            if isinstance(event, Said) and event.private:
                break
        bob.handled()
    alice.send("lobby", "2")
    alice.send("@bob", "psst 2")
    alice.send("lobby", "3")
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        bob.join("lobby", tail=50)
        found = []
        for event in bob.events(timeout=30):
            found.append(event)
            if len([one for one in found if isinstance(one, UpToDate)]) == 2:
                break
        told = [(event.room, event.message.text) for event in found if isinstance(event, Said)]
        assert [text for room, text in told if room == "lobby"] == ["2", "3"]
        assert [text for room, text in told if room == "@alice"] == ["psst 2"]
        missed = {event.room: event.count for event in found if isinstance(event, Missed)}
        assert missed == {"lobby": 2, "@alice": 1}
        bob.handled()
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        lobby = bob.join("lobby")
        alice.send("lobby", "4")
        assert texts(lobby, "4") == ["4"]


def test_a_crash_repeats_what_was_not_handled_and_skips_nothing(
    world: World, alice: zchat.Client, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    bob = zchat.connect(world.url, resume=place)
    lobby = bob.join("lobby")
    for number in range(5):
        alice.send("lobby", str(number))
    handled = []
    for message in lobby.messages(timeout=30):
        if message.text == "3":
            crash(bob)  # it was given, and what the program did with it is not known
            break
        handled.append(message.text)
    bob = zchat.connect(world.url, resume=place)
    again = texts(bob.join("lobby"), "4")
    assert again[-2:] == ["3", "4"]
    assert again == ["0", "1", "2", "3", "4"][5 - len(again) :]
    assert handled == ["0", "1", "2"]
    crash(bob)
    with zchat.connect(world.url, resume=place) as bob:
        assert texts(bob.join("lobby"), "4")[-1] == "4"


def test_a_crash_before_what_was_drained_is_handled_repeats_it(
    world: World, alice: zchat.Client, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    bob = zchat.connect(world.url, resume=place)
    bob.join("lobby")
    bob.drain()
    bob.handled()
    alice.send("lobby", "1")
    while not any(isinstance(event, Said) for event in bob.waiting()):
        bob.poll(30)
    bob.drain()
    bob.close()  # it says goodbye, but it did not say that it had handled it
    with zchat.connect(world.url, resume=place) as bob:
        assert texts(bob.join("lobby"), "1") == ["1"]


def test_who_ends_well_keeps_what_was_handled_however_much_waits(
    world: World, alice: zchat.Client, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    with zchat.connect(world.url, resume=place) as bob:
        lobby = bob.join("lobby")
        for number in range(10):
            alice.send("lobby", str(number))
        assert [message.text for message in islice(lobby.messages(30), 4)] == ["0", "1", "2", "3"]
    with zchat.connect(world.url, resume=place) as bob:
        assert texts(bob.join("lobby"), "9") == [str(number) for number in range(3, 10)]  # the last was not handled


def test_a_broker_that_forgot_shows_a_gap_to_who_comes_back_until_it_was_seen(world: World, tmp_path: Path) -> None:
    place = tmp_path / "place"
    broker = world.broker("--memory")
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        lobby = bob.join("lobby")
        bob.send("lobby", "before")
        assert texts(lobby, "before") == ["before"]
        bob.handled()
    broker.signal(signal.SIGTERM)
    broker.ends()
    world.broker("--memory", "--bind-wait", "30", bind=world.url)
    for _ in range(2):  # each time it crashes before it is handled
        bob = zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place)
        lobby = bob.join("lobby")
        bob.send("lobby", "after")
        bob.handled()  # nothing was given yet
        events = lobby.events(timeout=30)
        gap = next(event for event in events if isinstance(event, Gap))
        assert (gap.room, gap.first, gap.last) == ("lobby", 2, None)
        crash(bob)
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        lobby = bob.join("lobby")
        bob.send("lobby", "the end")
        found = []
        for event in lobby.events(timeout=30):
            found.append(event)
            if isinstance(event, Said):
                break
        assert [type(event) for event in found if isinstance(event, Gap | Said)] == [Gap, Said]
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        lobby = bob.join("lobby")
        assert texts(lobby, "the end") == ["the end"]
        bob.handled()
    with zchat.connect(world.url, name="bob", person=b"b" * 16, resume=place) as bob:
        lobby = bob.join("lobby")
        bob.send("lobby", "well")
        assert texts(lobby, "well") == ["well"]


def test_one_resume_file_is_for_one_program(world: World, alice: zchat.Client, tmp_path: Path) -> None:
    with (
        zchat.connect(world.url, resume=tmp_path / "place"),
        pytest.raises(errors.DataUnusable, match="in use by another zchat"),
    ):
        zchat.connect(world.url, resume=tmp_path / "place")
    zchat.connect(world.url, resume=tmp_path / "place").close()
    with pytest.raises(errors.Unreachable):
        zchat.connect("tcp://127.0.0.1:9", resume=tmp_path / "place", timeout=0.1)
    zchat.connect(world.url, resume=tmp_path / "place").close()


def test_who_wants_what_was_missed_hears_what_the_person_has_not_read(world: World, alice: zchat.Client) -> None:
    with zchat.connect(world.url, name="bob", person=b"b" * 16, missed=True) as bob:
        lobby = bob.join("lobby", tail=50)
        alice.send("lobby", "1")
        alice.send("lobby", "2")
        assert texts(lobby, "2") == ["1", "2"]
        bob.handled()
    alice.send("lobby", "3")
    alice.send("@bob", "psst")
    with zchat.connect(world.url, name="bob", person=b"b" * 16) as bob:
        assert [(info.room, info.unread) for info in bob.rooms()] == [("lobby", 1), ("@alice", 1)]
    with zchat.connect(world.url, name="bob", person=b"b" * 16, missed=True) as bob:
        lobby = bob.join("lobby", tail=50)
        assert texts(lobby, "3") == ["3"]
        said = next(event for event in bob.events(30, room="@alice") if isinstance(event, Said))
        assert said.message.text == "psst"
        bob.drain()
        bob.handled()
    with zchat.connect(world.url, name="bob", person=b"b" * 16) as bob:
        assert [(info.room, info.unread) for info in bob.rooms()] == [("lobby", 0), ("@alice", 0)]


# What is posted leaves in frames of many -----------------------------------------------------------------------------


@pytest.fixture(name="frames")
def _frames(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts of each frame of sends that leaves."""
    found: list[list[str]] = []
    transmit = Link._transmit

    def noted(link: Link, frames: list[bytes]) -> None:
        requests = [codec.decode_requests(frame) for frame in frames]
        found.extend(texts for some in requests if (texts := [one.text for one in some if isinstance(one, Send)]))
        transmit(link, frames)

    monkeypatch.setattr(Link, "_transmit", noted)
    return found


def test_what_is_posted_leaves_in_order_once_there_is_enough_or_the_program_waits(
    alice: zchat.Client, frames: list[list[str]]
) -> None:
    texts = [str(number) for number in range(2 * BATCH + 10)]
    tickets = [alice.post("lobby", text) for text in texts]
    assert frames == [texts[:1], texts[1 : 1 + BATCH], texts[1 + BATCH : 1 + 2 * BATCH]]
    alice.poll(0)
    assert frames[3:] == [texts[1 + 2 * BATCH :]]
    alice.wait(lambda: alice.session.waiting == 0 or None, 30, errors.TimedOut("they are not answered"))
    found = [alice.outcome(ticket) for ticket in tickets]
    assert [sent.seq for sent in found if isinstance(sent, Sent)] == list(range(1, len(texts) + 1))


def test_what_is_said_alone_leaves_at_once(alice: zchat.Client, frames: list[list[str]]) -> None:
    alice.send("lobby", "1")
    alice.post("lobby", "2")
    assert frames == [["1"], ["2"]]
    alice.post("lobby", "3")
    assert frames == [["1"], ["2"]]
    alice.send("lobby", "4")  # with what waits, in order
    assert frames == [["1"], ["2"], ["3", "4"]]
    assert [message.text for message in alice.history("lobby")] == ["1", "2", "3", "4"]


def test_what_was_posted_is_said_before_the_goodbye(world: World, alice: zchat.Client, bob: zchat.Client) -> None:
    for number in range(10):
        alice.post("lobby", str(number))
    alice.close()
    assert [message.text for message in bob.history("lobby")] == [str(number) for number in range(10)]


def test_a_flood_is_heard_in_order_while_it_is_said(alice: zchat.Client, bob: zchat.Client) -> None:
    lobby = bob.join("lobby")
    count, said = 20_000, 0
    found: list[int] = []
    while len(found) < count:
        while said < count and alice.session.sendable:
            said += 1
            alice.post("lobby", str(said))
        alice.poll(0.0)
        found += [int(message.text) for message in lobby.messages(timeout=0.001)]
    assert found == list(range(1, count + 1))
