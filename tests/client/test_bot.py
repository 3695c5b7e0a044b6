"""Bots that live in this process, against a real broker."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from client.test_aio import run
from support import World

import zchat
from zchat import errors, names
from zchat.client.aio import AsyncClient
from zchat.client.events import Edited, Said

BOT, ANN = b"b" * 16, b"a" * 16


@pytest.fixture(autouse=True)
def _broker(world: World) -> None:
    world.broker()


@pytest.fixture(name="bot")
def _bot(world: World) -> zchat.Bot:
    return zchat.Bot(world.url, name="robot", person=BOT, rooms=["lobby", "den"])


def beside(world: World, bot: zchat.Bot, main: Callable[[AsyncClient], Awaitable[None]], name: str = "ann") -> None:
    """Runs a program with somebody in the lobby beside a bot."""

    async def both() -> None:
        async with zchat.aconnect(world.url, name=name, person=ANN) as ann:
            await ann.join("lobby")
            async with bot:
                await main(ann)

    run(both())


async def told(client: AsyncClient, count: int = 1) -> list[tuple[str, str]]:
    """Where the next things are said by others, and what."""
    found: list[tuple[str, str]] = []
    async for event in client.events(30):
        if isinstance(event, Said) and not event.mine:
            found.append((event.room, event.message.text))
            if len(found) == count:
                return found
    raise AssertionError(found)


def test_what_is_said_calls_the_first_handler_that_is_for_it(world: World, bot: zchat.Bot) -> None:
    @bot.command("add")
    async def add(ctx: zchat.Context) -> None:
        await ctx.reply(str(sum(map(int, ctx.rest.split()))))

    @bot.on(r"(?P<what>\w+)\?", room="lobby")
    async def lobby(ctx: zchat.Context) -> None:
        await ctx.reply(f"{ctx.name} asks in {ctx.room} #{ctx.message.seq}: {ctx.match['what']} ({ctx.text})")

    @bot.on(r"\?", room="@")
    async def private(ctx: zchat.Context) -> None:
        await ctx.reply(f"asked in private: {ctx.private}", action=True)

    @bot.on("!add")
    async def never(ctx: zchat.Context) -> None:
        await ctx.reply(f"after {add.__name__}: {ctx.text}")

    async def main(ann: AsyncClient) -> None:
        for room, text in (("lobby", "!ADD 1 2"), ("lobby", "what?"), ("@robot", "who?"), ("lobby", "!adding")):
            await ann.send(room, text)
            (heard,) = await told(ann)
            found.append(heard)
        await ann.send("den", "why?")  # no handler is for it
        await ann.send("lobby", "!add 3")
        assert await told(ann) == [("lobby", "3")]

    found: list[tuple[str, str]] = []
    beside(world, bot, main)
    assert found == [
        ("lobby", "3"),
        ("lobby", "ann asks in lobby #3: what (what?)"),
        ("@robot", "asked in private: True"),
        ("lobby", "after add: !adding"),
    ]


def test_neither_itself_nor_other_bots_are_heeded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "BOT", "-bot")  # people's names have no bracket in them
    for heed, wanted in ((False, ["hi"]), (True, ["hello", "hi"])):
        bot = zchat.Bot(world.url, name="robot", person=BOT, heed_bots=heed)
        heard: list[str] = []

        @bot.on("")
        async def answer(ctx: zchat.Context, heard: list[str] = heard) -> None:
            heard.append(ctx.text)
            await ctx.reply(ctx.text)

        async def main(other: AsyncClient, bot: zchat.Bot = bot) -> None:
            await other.send("lobby", "hello")
            await other.nick(f"ann{bot._heed_bots}")
            await other.send("lobby", "hi")
            while (await told(other))[0] != ("lobby", "hi"):
                pass

        beside(world, bot, main, name="other-bot")
        assert heard == wanted


def test_what_was_said_before_it_came_is_not_heeded(world: World, bot: zchat.Bot) -> None:
    @bot.on("")
    async def answer(ctx: zchat.Context) -> None:
        await ctx.reply(f"re {ctx.text}")

    async def main() -> None:
        async with zchat.aconnect(world.url, name="ann", person=ANN) as ann:
            await ann.join("lobby")
            for number in range(2):
                await ann.send("lobby", f"before {number}")
                if number:
                    await ann.send("@robot", "psst")
                async with bot:
                    await ann.send("lobby", f"now {number}")
                    assert await told(ann) == [("lobby", f"re now {number}")]

    run(main())


def test_a_handler_that_fails_is_named_and_the_bot_goes_on(
    world: World, bot: zchat.Bot, caplog: pytest.LogCaptureFixture
) -> None:
    @bot.on("(.*)")
    def careless(ctx: zchat.Context) -> None:
        raise ValueError(f"cannot do {ctx.text}")

    @bot.on_event(Said)
    async def other(said: Said) -> None:
        if not said.mine:
            await bot.client.send("lobby", "fine")

    async def main(ann: AsyncClient) -> None:
        for _ in range(2):
            await ann.send("lobby", "\u202ethis")
            assert await told(ann) == [("lobby", "fine")]

    beside(world, bot, main)
    failed = [record for record in caplog.records if record.name == "zchat.bot"]
    assert [record.levelno for record in failed] == [logging.ERROR] * 2
    for record in failed:
        assert "careless failed:\nTraceback" in record.getMessage()
        assert record.getMessage().endswith("ValueError: cannot do \ufffdthis")  # nothing in it steers a terminal


def test_timers_ring_again_and_again_but_not_while_they_run(world: World, bot: zchat.Bot) -> None:
    rung: list[str] = []

    @bot.every(0.01)
    def often() -> None:
        rung.append("often")

    @bot.every(0.001)
    async def long() -> None:
        rung.append("long")
        await asyncio.Event().wait()

    async def main(ann: AsyncClient) -> None:
        while rung.count("often") < 5:
            await asyncio.sleep(0.01)
        assert rung.count("long") == 1
        await bot.stop(grace=0)
        assert not bot._running

    beside(world, bot, main)
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cannot ring"):
            bot.every(seconds)


def test_who_comes_and_whatever_happens_can_be_heard(world: World, bot: zchat.Bot) -> None:
    @bot.on_join
    async def welcome(arrival: zchat.Arrival) -> None:
        await arrival.reply(f"welcome to {arrival.room}, {arrival.name}")

    @bot.on_event(Edited)
    def edited(event: Edited) -> None:
        found.append(event.edit.text)

    async def main(ann: AsyncClient) -> None:
        await ann.join("den")
        assert await told(ann) == [("den", "welcome to den, ann")]
        await ann.send("den", "frist")
        await ann.edit("den", "first")
        await ann.join("lobby")
        while not found:
            await asyncio.sleep(0.01)

    found: list[str] = []
    beside(world, bot, main)
    assert found == ["first"]


def test_only_so_many_handlers_run_at_a_time(world: World) -> None:
    bot = zchat.Bot(world.url, name="robot", person=BOT, at_once=3)
    running = most = done = 0

    @bot.on("")
    async def slow(ctx: zchat.Context) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await bot.client.ping()
        running -= 1
        done += 1

    async def main(ann: AsyncClient) -> None:
        for number in range(50):
            ann.post("lobby", str(number))
        while done < 50:
            await asyncio.sleep(0.01)

    beside(world, bot, main)
    assert most == 3


def test_handlers_may_end_when_it_is_stopped_within_a_grace(world: World, bot: zchat.Bot) -> None:
    going, ended = asyncio.Event(), []

    @bot.on("^end$")
    async def ends(ctx: zchat.Context) -> None:
        going.set()
        await bot.client.ping()
        await ctx.reply("done")
        ended.append(ctx.text)

    @bot.on("^hang$")
    async def hangs(ctx: zchat.Context) -> None:
        going.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(ctx.text)

    @bot.on("^stop$")
    async def stops(ctx: zchat.Context) -> None:
        await bot.stop(grace=0)

    async def main(ann: AsyncClient) -> None:
        for text, grace in (("end", 30.0), ("hang", 0.0)):
            await ann.send("lobby", text)
            await going.wait()
            going.clear()
            await bot.stop(grace)
            with pytest.raises(errors.Closed):
                bot.client.post("lobby", "hi")
            await bot.start()
        assert await told(ann) == [("lobby", "done")]
        with pytest.raises(RuntimeError, match="runs already"):
            await bot.start()
        await ann.send("lobby", "stop")
        await bot.wait()
        assert await ann.who() == ["ann"]

    beside(world, bot, main)
    assert ended == ["end", "hang"]


def test_it_comes_back_with_the_broker(world: World, bot: zchat.Bot) -> None:
    @bot.on(r"\?")
    async def answer(ctx: zchat.Context) -> None:
        await ctx.reply(ctx.text.replace("?", "!"))

    (broker,) = world.brokers

    async def main(ann: AsyncClient) -> None:
        await ann.send("lobby", "1?")
        assert await told(ann) == [("lobby", "1!")]
        broker.signal(signal.SIGKILL)
        broker.ends()
        sent = asyncio.create_task(ann.send("lobby", "2?"))
        await asyncio.to_thread(world.broker, "--bind-wait", "30", bind=world.url)
        await sent
        assert await told(ann) == [("lobby", "2!")]

    beside(world, bot, main)


def test_the_end_of_its_session_ends_it(world: World, bot: zchat.Bot) -> None:
    @bot.every(0.01)
    def tick() -> None:
        pass

    async def main(ann: AsyncClient) -> None:
        bot.client.session.end(errors.Superseded())
        bot.client._urge(at_once=True)
        with pytest.raises(errors.Superseded):
            await bot.wait()
        await bot.stop()
        await bot.start()  # it may be begun again

    beside(world, bot, main)


def test_what_no_handler_had_done_with_is_heard_again(world: World, tmp_path: Path) -> None:
    heard: list[str] = []
    hang = asyncio.Event()

    def life() -> zchat.Bot:
        bot = zchat.Bot(world.url, name="robot", person=BOT, resume=tmp_path / "place")

        @bot.on("")
        async def take(ctx: zchat.Context) -> None:
            heard.append(ctx.text)
            if ctx.text == "2" and heard.count("2") == 1:
                await hang.wait()

        return bot

    async def main() -> None:
        async with zchat.aconnect(world.url, name="ann", person=ANN) as ann:
            bot = life()
            await bot.start()
            for text in ("1", "2", "3"):
                await ann.send("lobby", text)
            while len(heard) < 3:
                await asyncio.sleep(0.01)
            await bot.stop(grace=0)
            await ann.send("lobby", "4")
            async with life():
                while len(heard) < 6:
                    await asyncio.sleep(0.01)

    run(main())
    assert heard == ["1", "2", "3", "2", "3", "4"]


def test_a_bot_that_does_not_run_says_so(world: World, bot: zchat.Bot) -> None:
    with pytest.raises(errors.Closed):
        _ = bot.client
    run(bot.stop())
    run(bot.wait())
    for url, why in (
        ("tcp://127.0.0.1:9", r"robot: cannot reach a broker at .* 0\.1 s"),
        ("http://x", "robot: .*address"),
    ):
        with pytest.raises(SystemExit, match=why):
            zchat.Bot(url, name="robot", person=BOT).run(timeout=0.1)
    with pytest.raises(SystemExit, match="robot: "):
        zchat.Bot(world.url, name="robot", person=BOT, rooms=["no/slash"]).run()
