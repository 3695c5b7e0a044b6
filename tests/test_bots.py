"""The bots under docs/bots do what docs/BOTS.md says of them, and stop when they are told to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shown import ROOT, blocks
from support import Process, World, eventually

import zchat
from zchat.client.events import Said

PAGE = (ROOT / "docs" / "BOTS.md").read_text()

FOLDER = ROOT / "docs" / "bots"


@pytest.fixture(name="ann")
def _ann(world: World) -> Iterator[zchat.Client]:
    world.broker()
    with zchat.connect(world.url, name="ann", person=b"a" * 16) as client:
        client.join("lobby")
        yield client


def started(world: World, ann: zchat.Client, name: str, *arguments: str) -> Process:
    """Starts a bot, and waits until it is in the lobby."""
    bot = world.start(*arguments, program=[sys.executable, str(FOLDER / f"{name}.py")])
    eventually(lambda: bot.popen.poll() is not None or name in ann.who("lobby"), f"{name} comes")
    return bot


def stop(bot: Process, number: int = signal.SIGTERM) -> None:
    """Tells a bot to stop, and sees that it does so well."""
    bot.signal(number)
    assert (bot.ends(), bot.out, bot.err) == (0, "", "")


def answer(ann: zchat.Client, room: str, text: str) -> str:
    """What is answered to what she says."""
    ann.send(room, text)
    for event in ann.events(30, room=room):
        if isinstance(event, Said) and not event.mine:
            return event.message.text
    raise AssertionError(f"no answer to {text}")


def test_echo_says_again_what_it_is_told(world: World, ann: zchat.Client) -> None:
    bot = started(world, ann, "echo")
    assert answer(ann, "lobby", "!echo  so be it ") == "so be it"
    assert answer(ann, "lobby", "!echo") == "usage: !echo TEXT"
    assert answer(ann, "lobby", "oh Hello echo, there you are") == "hello, ann"
    assert answer(ann, "@echo", "!echo psst") == "psst"
    assert answer(ann, "@echo", "what now") == "I say again what I am told: !echo TEXT"
    with zchat.connect(world.url, name="bob", person=b"b" * 16) as bob:
        bob.join("lobby")
        assert next(ann.room("lobby").messages(30)).text == "welcome, bob"
    stop(bot)
    assert ann.who("lobby") == ["ann"]


def test_remind_reminds_where_it_was_asked(world: World, ann: zchat.Client) -> None:
    bot = started(world, ann, "remind")
    assert answer(ann, "lobby", "!remind tea") == "usage: !remind 10m TEXT, with s, m, h or d"
    assert answer(ann, "lobby", "!remind 0s tea is ready") == "I remind you in 0s"
    assert answer(ann, "@remind", "!remind 1d later") == "I remind you in 1d"
    assert answer(ann, "@remind", "!remind 0S psst") == "I remind you in 0S"
    for room, text in (("lobby", "ann: tea is ready"), ("@remind", "ann: psst")):
        event = next(event for event in ann.events(30, room=room) if isinstance(event, Said) and not event.mine)
        assert event.message.text == text
    stop(bot, signal.SIGINT)


def test_archive_misses_nothing_while_it_is_stopped(world: World, ann: zchat.Client, tmp_path: Path) -> None:
    path = tmp_path / "archive.jsonl"

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    bot = started(world, ann, "archive", str(path))
    ann.send("lobby", "frist")
    ann.send("@archive", "psst")
    eventually(lambda: len(lines()) == 1, "one line is written")
    stop(bot)
    ann.edit("lobby", "first")
    ann.send("lobby", "regret")
    ann.delete("lobby")
    bot = started(world, ann, "archive", str(path))
    eventually(lambda: len(lines()) == 4, "what was missed is written")
    stop(bot)
    said, edited, regret, deleted = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(said.pop("time")))
    assert said == {"room": "lobby", "seq": 1, "from": "ann", "text": "frist"}
    assert edited == {"room": "lobby", "seq": 2, "edited": 1, "text": "first"}
    assert (regret["seq"], regret["text"]) == (3, "")  # it was gone when it was read
    assert deleted == {"room": "lobby", "seq": 4, "deleted": 3}


def test_a_bot_without_a_broker_says_so_in_a_line(world: World) -> None:
    world.env["ZCHAT_URL"] = "tcp://127.0.0.1:9"
    bot = world.start(program=[sys.executable, "-c", "import zchat; zchat.Bot(name='lost').run(timeout=0.1)"])
    assert bot.ends() == 1
    assert re.fullmatch(r"lost: cannot reach a broker at tcp://127\.0\.0\.1:9 .*\n", bot.err)


def test_a_signal_ends_a_bot_that_waits_for_its_broker(world: World) -> None:
    world.env["ZCHAT_URL"] = "tcp://127.0.0.1:9"
    bot = world.start(program=[sys.executable, "-c", "import zchat; zchat.Bot(name='lost').run(timeout=60)"])
    eventually(lambda: _heeds(bot, signal.SIGTERM), "it heeds SIGTERM")
    bot.signal(signal.SIGTERM)
    assert (bot.ends(), bot.err) == (0, "")


def test_a_second_signal_ends_what_handlers_do(world: World, ann: zchat.Client) -> None:
    code = """
import asyncio, zchat
bot = zchat.Bot(name="slow")
@bot.on("")
async def slow(ctx):
    print("begins")
    while not bot._loops[0].done():
        await asyncio.sleep(0.01)
    print("may end")
    try:
        await asyncio.Event().wait()
    finally:
        print("cut")
bot.run(grace=600)
"""
    bot = world.start(program=[sys.executable, "-c", code])
    eventually(lambda: "slow" in ann.who("lobby"), "it comes")
    ann.send("lobby", "hi")
    bot.wait_out("begins")
    bot.signal(signal.SIGTERM)
    bot.wait_out("may end")
    bot.signal(signal.SIGTERM)
    assert (bot.ends(), bot.out, bot.err) == (0, "begins\nmay end\ncut\n", "")
    assert ann.who("lobby") == ["ann"]


def _heeds(bot: Process, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    caught = re.search(r"^SigCgt:\s+(\w+)$", Path(f"/proc/{bot.pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


# The page -------------------------------------------------------------------------------------------------------------


def test_bots_and_files_that_are_named_exist() -> None:
    assert {f"bots/{path.name}" for path in FOLDER.glob("*.py")} == set(re.findall(r"\]\((bots/[^)]+)\)", PAGE))
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


def test_the_first_bot_of_the_page_answers(world: World, ann: zchat.Client) -> None:
    first, *_ = blocks(PAGE, "python")
    bot = world.start(program=[sys.executable, "-c", first])
    eventually(lambda: "dice" in ann.who("lobby"), "it comes")
    assert re.fullmatch(r"ann rolls [1-6]", answer(ann, "lobby", "!roll"))
    assert re.fullmatch(r"ann rolls ([1-9]|1\d|20)", answer(ann, "lobby", "!roll 20"))
    assert answer(ann, "lobby", "good night all") == "good night, ann"
    stop(bot)


def test_the_other_snippets_of_the_page_run(world: World, ann: zchat.Client) -> None:
    _, *others = blocks(PAGE, "python")
    assert others
    for code in others:
        done = subprocess.run(
            [sys.executable, "-c", code], env=world.env, capture_output=True, text=True, timeout=45, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
