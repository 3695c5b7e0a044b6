"""The Python API with an event loop, against a real broker."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support import World

import zchat
from zchat import errors
from zchat.address import BadAddress
from zchat.client import aio
from zchat.client.aio import AsyncClient, AsyncRoom
from zchat.client.events import Connected, Disconnected, Event, NotSent, Presence, Said, Sent
from zchat.client.link import Link

T = TypeVar("T")

ALICE, BOB = b"a" * 16, b"b" * 16


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a program; what it leaves behind, tasks or descriptors that are watched, is an error."""
    faults: list[dict[str, Any]] = []

    async def guarded() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        found = await asyncio.wait_for(main, 45)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return found

    with asyncio.Runner() as runner:
        found = runner.run(guarded())
        gc.collect()
    assert faults == []
    return found


def with_two(world: World, main: Callable[[AsyncClient, AsyncClient], Awaitable[T]]) -> T:
    """Runs a program with two people."""

    async def connected() -> T:
        async with (
            zchat.aconnect(world.url, name="alice", person=ALICE) as alice,
            zchat.aconnect(world.url, name="bob", person=BOB) as bob,
        ):
            return await main(alice, bob)

    return run(connected())


@pytest.fixture(autouse=True)
def _broker(world: World) -> None:
    world.broker()


async def texts(room: AsyncRoom, count: int) -> list[str]:
    found = []
    async for message in room.messages(timeout=30):
        found.append(message.text)
        if len(found) == count:
            break
    return found


async def first(events: aio.Following[Event], *kinds: type) -> Any:
    return await anext(event async for event in events if isinstance(event, kinds))


def test_what_one_sends_all_members_get_once(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        here, there = await alice.join("lobby"), await bob.join("lobby")
        assert [(await here.send(f"{number}")).seq for number in range(5)] == [1, 2, 3, 4, 5]
        for room in (here, there):
            assert await texts(room, 5) == ["0", "1", "2", "3", "4"]
            assert [message async for message in room.messages(timeout=0.05)] == []

    with_two(world, main)


def test_everything_can_be_asked(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        lobby = await alice.join("#lobby")
        await bob.join("lobby")
        assert (alice.name, lobby.name, alice.role) == ("alice", "lobby", "")
        for text in ("the frist fox", "regret", "stays"):
            await lobby.send(text)
        assert (await alice.edit("lobby", "the first fox", 1)).seq == 4
        assert (await alice.delete("lobby", 2)).seq == 5
        assert [message.text for message in await bob.history("lobby")] == ["the first fox", "", "stays"]
        assert [message.seq async for page in bob.pages("lobby", 2) for message in page] == [2, 3]
        assert [hit.message.seq for hit in await bob.search("FOX")] == [1]
        assert await bob.nick("robert") == bob.name == "robert"
        assert await lobby.who() == await bob.who() == ["alice", "robert"]
        assert [(info.room, info.people) for info in await bob.rooms()] == [("lobby", 2)]
        assert (await bob.last_seen())["alice"] is None
        assert 0 < await alice.ping() < 30
        assert await alice.day("day")
        lobby.leave()
        left = await first(bob.events(30), Presence)
        while not left.left:
            left = await first(bob.events(30), Presence)
        assert left.left == ("alice",)

    with_two(world, main)


def test_refusals_are_raised_as_what_they_are(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        refused: list[tuple[type[errors.ZchatError], Awaitable[object]]] = [
            (errors.NoSuchRoom, alice.who("nowhere")),
            (errors.NameTaken, alice.nick("bob")),
            (errors.NameInvalid, alice.join("no/slash")),
            (errors.NameInvalid, alice.join("\ud800")),
            (errors.TooLong, alice.send("lobby", "x" * 70_000)),
            (errors.NoSuchPerson, alice.send("@nobody", "hi")),
            (errors.NoSuchMessage, bob.edit("lobby", "forged", 1)),
            (errors.TimedOut, alice.wait(lambda: None, 0.01, errors.TimedOut("late"))),
        ]
        for error, asked in refused:
            with pytest.raises(error):
                await asked
        with pytest.raises(ZeroDivisionError):
            await alice.wait(Later(), 30, errors.TimedOut("late"))
        assert (await alice.send("lobby", "still fine")).seq == 1

    with_two(world, main)


class Later:
    """Fails when it is looked at again."""

    looks = 0

    def __call__(self) -> None:
        self.looks += 1
        assert self.looks < 2 or 1 // 0


def test_no_broker_is_unreachable() -> None:
    async def main() -> None:
        with pytest.raises(errors.Unreachable, match=r"tcp://127\.0\.0\.1:9 within 0\.1 s"):
            await zchat.aconnect("tcp://127.0.0.1:9", timeout=0.1)
        with pytest.raises(BadAddress):
            await zchat.aconnect("not an address")

    run(main())


def test_many_tasks_wait_at_once(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        rooms = [await bob.join(f"room{number}") for number in range(10)]
        followers = [asyncio.create_task(texts(room, 20)) for room in rooms]

        async def speak(room: str) -> None:
            for number in range(20):
                await alice.send(room, f"{room} {number}")

        await asyncio.gather(*(speak(room.name) for room in rooms), *(bob.ping() for _ in range(20)))
        for room, follower in zip(rooms, followers, strict=True):
            assert await follower == [f"{room.name} {number}" for number in range(20)]

    with_two(world, main)


def test_two_who_follow_one_room_share_what_is_said(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        room = await bob.join("lobby")
        found: list[str] = []

        async def follow() -> None:
            async for message in room.messages():
                found.append(message.text)
                await asyncio.sleep(0)

        followers = [asyncio.create_task(follow()) for _ in range(2)]
        for number in range(100):
            alice.post("lobby", str(number))
        await alice.send("lobby", "100")
        await bob.wait(lambda: len(found) == 101 or None, 30, errors.TimedOut(str(found)))
        for follower in followers:
            follower.cancel()
        await asyncio.wait(followers)
        assert sorted(found, key=int) == [str(number) for number in range(101)]

    with_two(world, main)


def test_a_flood_is_heard_in_order_while_it_is_said(world: World) -> None:
    count = 20_000

    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        room = await bob.join("lobby")
        follower = asyncio.create_task(texts(room, count))
        for number in range(count):
            if not alice.session.sendable:
                await alice.wait(lambda: alice.session.sendable or None, 30, errors.TimedOut("no credit"))
            alice.post("lobby", str(number))
        assert await follower == [str(number) for number in range(count)]

    with_two(world, main)


def test_what_a_program_does_not_take_is_bounded_and_comes_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "QUEUED", 50)
    count, padding = 2000, "x" * 10_000
    said = "".join(f"{number} {padding}\n" for number in range(count))

    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        lobby = await alice.join("lobby")
        send = [sys.executable, "-m", "zchat", "send", "lobby", "--name", "pipe"]
        speaker = asyncio.to_thread(subprocess.run, send, env=world.env, input=said, text=True, timeout=45, check=True)
        await speaker
        for _ in range(100):
            await alice.ping()
        assert 50 <= len(alice._queues) < count
        assert [int(text.split()[0]) for text in await texts(lobby, count)] == list(range(count))

    with_two(world, main)


def test_a_wait_that_is_cancelled_loses_nothing(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        room = await bob.join("lobby")
        messages = room.messages()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(messages)
        waiting = asyncio.ensure_future(anext(messages))
        await bob.ping()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await alice.send("lobby", "1")
        assert (await anext(messages)).text == "1"  # it can be asked again
        asked = asyncio.create_task(bob.history("lobby"))
        sent = asyncio.create_task(bob.send("lobby", "2"))
        await asyncio.sleep(0)
        asked.cancel()
        sent.cancel()
        await asyncio.wait([asked, sent])
        assert asked.cancelled()
        assert sent.cancelled()
        await alice.send("lobby", "3")
        assert {(await anext(messages)).text for _ in range(2)} == {"2", "3"}  # it was on its way
        assert not bob._waiters
        assert not bob.session.answers

    with_two(world, main)


def test_who_waits_when_it_is_closed_is_told(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        room = await bob.join("lobby")
        follower = asyncio.create_task(texts(room, 1))
        waiter: asyncio.Task[object] = asyncio.create_task(bob.wait(lambda: None, None, errors.TimedOut("never")))
        await bob.ping()
        await asyncio.gather(bob.close(), bob.close())
        for task in (follower, waiter):
            with pytest.raises(errors.Closed):
                await task
        with pytest.raises(errors.Closed):
            await bob.who()
        with pytest.raises(errors.Closed):
            await anext(room.messages())
        await bob.close()

    with_two(world, main)


def test_what_was_posted_is_said_before_the_goodbye(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        for number in range(10):
            bob.post("lobby", str(number))
        await bob.close()
        assert [message.text for message in await alice.history("lobby")] == [str(number) for number in range(10)]

    with_two(world, main)


def test_what_became_of_what_was_posted_can_be_asked(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        good, bad = alice.post("lobby", "1"), alice.post("@nobody", "2")
        await alice.wait(lambda: alice.session.waiting == 0 or None, 30, errors.TimedOut("not answered"))
        sent, refused = alice.outcome(good), alice.outcome(bad)
        assert isinstance(sent, Sent)
        assert isinstance(refused, NotSent)
        assert alice.outcome(good) is None

    with_two(world, main)


def test_a_broker_that_comes_back_is_found_again_and_nothing_is_lost(world: World) -> None:
    (broker,) = world.brokers

    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        room = await bob.join("lobby")
        follower = asyncio.create_task(texts(room, 100))
        for number in range(50):
            await alice.send("lobby", str(number))
        broker.signal(signal.SIGKILL)
        broker.ends()
        assert (await first(alice.events(30), Disconnected)).why
        speaker = asyncio.gather(*(alice.send("lobby", str(number)) for number in range(50, 100)))
        await asyncio.to_thread(world.broker, "--bind-wait", "30", bind=world.url)
        assert (await first(alice.events(30), Connected)).again
        assert [sent.seq for sent in await speaker] == list(range(51, 101))
        assert await follower == [str(number) for number in range(100)]

    with_two(world, main)


def test_the_end_of_a_session_is_told_to_all_who_wait(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        waiting = [
            asyncio.create_task(first(bob.events(), Disconnected)),
            asyncio.create_task(bob.wait(lambda: None, None, errors.TimedOut("never"))),
        ]
        await bob.ping()
        bob.session.end(errors.Superseded())
        bob._urge(at_once=True)
        for one in waiting:
            with pytest.raises(errors.Superseded):
                await one

    with_two(world, main)


def test_a_fault_beneath_is_told_to_who_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("too many open files")

    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        waiting = asyncio.create_task(anext(bob.events()))
        await bob.ping()
        while waiting.done():  # it was welcomed
            waiting = asyncio.create_task(anext(bob.events()))
            await bob.ping()
        with monkeypatch.context() as patch:
            patch.setattr(Link, "tick", fails)
            bob._turn()
        assert not bob._descriptors  # else they would be found readable for ever
        for asked in (waiting, bob.ping()):
            with pytest.raises(OSError, match="too many open files"):
                await asked

    with_two(world, main)


# Over the end of a program -------------------------------------------------------------------------------------------


def test_a_program_comes_back_to_what_it_had_not_handled(world: World, tmp_path: Path) -> None:
    place = tmp_path / "place"

    async def main() -> None:
        async with zchat.aconnect(world.url, name="alice", person=ALICE) as alice:
            async with zchat.aconnect(world.url, name="bob", person=BOB, resume=place) as bob:
                lobby, den = await bob.join("lobby"), await bob.join("den")
                for number in range(5):
                    await alice.send("lobby", str(number))
                    await alice.send("den", str(number))
                other = den.messages()
                assert (await anext(other)).text == "0"  # it is never handled
                assert await texts(lobby, 3) == ["0", "1", "2"]  # nor is the last of these
            async with zchat.aconnect(world.url, name="bob", person=BOB, resume=place) as bob:
                lobby, den = await bob.join("lobby"), await bob.join("den")
                assert await texts(lobby, 3) == ["2", "3", "4"]
                assert await texts(den, 5) == ["0", "1", "2", "3", "4"]
                bob.handled()
            async with zchat.aconnect(world.url, name="bob", person=BOB, resume=place) as bob:
                lobby = await bob.join("lobby")
                await alice.send("lobby", "5")
                assert await texts(lobby, 1) == ["5"]
                with pytest.raises(errors.DataUnusable, match="in use"):
                    await zchat.aconnect(world.url, resume=place)

    run(main())


def test_who_left_the_loop_has_handled_it_when_the_next_is_asked_for(world: World, tmp_path: Path) -> None:
    place = tmp_path / "place"

    async def main() -> None:
        async with zchat.aconnect(world.url, name="alice", person=ALICE) as alice:
            async with zchat.aconnect(world.url, resume=place) as bob:
                lobby = await bob.join("lobby")
                for number in range(3):
                    await alice.send("lobby", str(number))
                assert [await texts(lobby, 1) for _ in range(3)] == [["0"], ["1"], ["2"]]
                assert [message async for message in lobby.messages(timeout=0)] == []
            async with zchat.aconnect(world.url, resume=place) as bob:
                lobby = await bob.join("lobby")
                await alice.send("lobby", "3")
                assert await texts(lobby, 1) == ["3"]

    run(main())


def test_what_is_handled_after_the_end_is_not_kept(world: World, tmp_path: Path) -> None:
    place = tmp_path / "place"

    async def main() -> None:
        async with zchat.aconnect(world.url, name="bob", person=BOB, resume=place) as bob:
            messages = (await bob.join("lobby")).messages()
            await bob.send("lobby", "hi")
            assert (await anext(messages)).text == "hi"
            bob._queues.clear()  # so that whatever is handled is kept at once
        kept = place.read_bytes()
        with pytest.raises(errors.Closed):
            await anext(messages)
        assert place.read_bytes() == kept

    run(main())


def test_a_program_that_never_waits_lets_others_have_their_turn(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        lobby = await bob.join("lobby")
        for number in range(aio.IN_A_ROW + 1):
            await bob.send("lobby", str(number))
        turns: list[None] = []
        asyncio.get_running_loop().call_soon(turns.append, None)
        seen = [len(turns) async for _ in lobby.messages(timeout=0)]
        assert (seen[0], seen[-1]) == (0, 1)

    with_two(world, main)


def test_what_is_handled_is_read(world: World) -> None:
    async def main() -> None:
        async with zchat.aconnect(world.url, name="alice", person=ALICE) as alice:
            async with zchat.aconnect(world.url, name="bob", person=BOB, missed=True) as bob:
                lobby = await bob.join("lobby")
                await alice.send("lobby", "1")
                await texts(lobby, 1)
                bob.drain()
                bob.handled()
                await alice.send("lobby", "2")
                bob.leave("lobby")
            async with zchat.aconnect(world.url, name="bob", person=BOB) as bob:
                assert [(info.room, info.unread) for info in await bob.rooms()] == [("lobby", 1)]

    run(main())


def test_both_apis_are_explained_alike() -> None:
    for name in ("open", "join", "send", "edit", "delete", "who", "links", "history", "pages", "search", "revoke"):
        one, two = getattr(zchat.Client, name), getattr(AsyncClient, name)
        assert one.__doc__ == two.__doc__
        assert one.__doc__


def test_said_events_of_others_pass_through(world: World) -> None:
    async def main(alice: AsyncClient, bob: AsyncClient) -> None:
        await bob.join("lobby")
        await alice.send("lobby", "hi")
        await alice.send("@bob", "psst")
        found = [(await first(bob.events(30), Said)) for _ in range(2)]
        assert {(said.room, said.message.text, said.private) for said in found} == {
            ("lobby", "hi", False),
            ("@alice", "psst", True),
        }

    with_two(world, main)
