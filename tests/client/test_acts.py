"""What is done in rooms, through both Python APIs against a real broker."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import World

import zchat
from zchat import errors
from zchat.client.events import Acted, Added, Event, Removed, Said
from zchat.messages import NameRow
from zchat.verbs import Rank


@pytest.fixture(name="ann")
def _ann(world: World) -> Iterator[zchat.Client]:
    world.broker()
    with zchat.connect(world.url, name="ann", person=b"a" * 16) as client:
        yield client


@pytest.fixture(name="bob")
def _bob(world: World, ann: zchat.Client) -> Iterator[zchat.Client]:
    with zchat.connect(world.url, name="bob", person=b"b" * 16) as client:
        yield client


def until(client: zchat.Client, wanted: type[Event]) -> list[Event]:
    """What a client hears until there is something of a kind."""
    found: list[Event] = []
    for event in client.events(30):
        found.append(event)
        if isinstance(event, wanted):
            return found
    raise AssertionError(f"no {wanted.__name__} came")


def test_who_is_invited_is_in_and_who_is_kicked_is_out(ann: zchat.Client, bob: zchat.Client) -> None:
    ann.act("+plans", "create")
    ann.send("+plans", "to myself")
    ann.act("+plans", "topic", text="what we do")
    with pytest.raises(errors.NoSuchRoom):
        bob.join("+plans")
    ann.act("+plans", "invite", "bob")
    ann.send("+plans", "welcome")
    *_, added, invited, said = until(bob, Said)
    assert added == Added("+plans")
    assert isinstance(invited, Acted)
    assert isinstance(said, Said)
    assert (invited.act.verb, invited.act.whom, said.message.text) == ("invite", "bob", "welcome")
    room = bob.join("+plans")
    state = room.about()
    assert (state.topic, state.topic_by, state.founder, state.members) == ("what we do", "ann", "ann", ("ann", "bob"))
    assert state.rank == Rank.MEMBER
    assert [message.text for message in bob.history("+plans")] == ["to myself", "welcome"]  # also what was before
    answer = room.send("what is this?", reply=said.message.seq)
    assert bob.history("+plans")[-1].reply == said.message.seq
    ann.act("+plans", "react", target=answer.seq, text=":tada:")
    ann.act("+plans", "kick", "bob", text="spam")
    *_, reacted, removed = until(bob, Removed)
    assert isinstance(reacted, Acted)
    assert (reacted.act.target, reacted.act.text) == (answer.seq, ":tada:")
    assert removed == Removed("+plans", "kick", "ann", 0, "spam")
    ann.send("+plans", "he is gone")
    for what in (lambda: bob.send("+plans", "x"), lambda: bob.history("+plans"), lambda: bob.join("+plans")):
        with pytest.raises(errors.NoSuchRoom):
            what()
    assert [event for event in bob.events(0.05) if isinstance(event, Said | Acted)] == []
    assert "+plans" not in [info.room for info in bob.rooms()]


def test_a_private_room_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    broker = world.broker("--data", data)
    with zchat.connect(world.url, name="ann", person=b"a" * 16) as ann:
        ann.act("+plans", "create")
        ann.send("+plans", "one")
        broker.signal(signal.SIGKILL)
        broker.ends()
        world.broker("--data", data, bind=world.url)
        ann.send("+plans", "two")
        assert [message.text for message in ann.history("+plans")] == ["one", "two"]


def test_orders_take_a_rank(ann: zchat.Client, bob: zchat.Client) -> None:
    with pytest.raises(errors.NotAllowed, match="moderator of the broker"):
        bob.admin("ban", "ann")
    with pytest.raises(errors.NotAllowed):
        bob.listing("people")
    with pytest.raises(errors.NoSuchRoom):
        bob.audit()


def test_who_is_blocked_says_nothing_in_private(ann: zchat.Client, bob: zchat.Client) -> None:
    bob.admin("block", "ann")
    assert bob.listing("blocks") == [NameRow("ann")]
    with pytest.raises(errors.Blocked):
        ann.send("@bob", "hello?")
    bob.admin("unblock", "ann")
    assert bob.listing("blocks") == []
    ann.send("@bob", "hello!")


def test_the_same_with_an_event_loop(world: World) -> None:
    world.broker()

    async def main() -> None:
        async with (
            zchat.aconnect(world.url, name="ann", person=b"a" * 16) as ann,
            zchat.aconnect(world.url, name="bob", person=b"b" * 16) as bob,
        ):
            await ann.act("den", "create")
            room, there = await ann.join("den"), await bob.join("den")
            await room.act("readonly", on=True)
            with pytest.raises(errors.ReadOnly):
                await there.send("may I?")
            await room.act("ban", "bob", seconds=3600, text="no")
            async for event in there.events(30):
                if isinstance(event, Removed):
                    assert (event.verb, event.name, event.seconds, event.text) == ("ban", "ann", 3600, "no")
                    break
            with pytest.raises(errors.Banned, match="by ann: no"):
                await bob.join("den")
            assert [row.key for row in await ann.listing("bans", "den")] == ["bob ban"]
            assert (await room.about()).readonly

    asyncio.run(asyncio.wait_for(main(), 60))
