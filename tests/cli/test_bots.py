"""`zchat keys new --bot` and a real broker under CURVE: a bot from its key to its end."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from support import World, eventually

CURVE = ("--curve", "--advertise", "127.0.0.1")

PROGRAM = """
import os, zchat
bot = zchat.Bot(name=os.environ["ZCHAT_NAME"])
@bot.command("roll")
async def roll(ctx):
    await ctx.reply(f"{bot.client.name} rolls 4 for {ctx.name}")
bot.run()
"""


@pytest.fixture(name="ann")
def _ann(world: World) -> dict[str, str]:
    """A broker under CURVE with an owner, and the environment of a member."""
    link = world.broker(*CURVE).wait_out(r"zchat join '(\S+)'").group(1)
    assert world.run("join", link, "--name", "olga", stdin="hello\n").returncode == 0
    invite = world.run("link").stdout.strip()
    ann = world.other_person()
    assert world.run("join", invite, "--name", "ann", stdin="hi\n", env=ann).returncode == 0
    return ann


def keys(world: World, env: dict[str, str]) -> list[str]:
    return [line.split("\t")[0] for line in world.run("keys", "list", env=env).stdout.splitlines()]


def test_a_bot_from_its_key_to_its_end(world: World, ann: dict[str, str]) -> None:
    done = world.run("keys", "new", "--bot", "Dice", env=ann)
    assert done.stdout == f"ZCHAT_URL={world.url} ZCHAT_IDENTITY=dice ZCHAT_NAME=Dice\n"
    assert done.stderr.startswith("zchat: Dice[bot] is a bot for which you answer: `zchat tail lobby --identity dice`")
    bot = {**ann, **dict(word.split("=", 1) for word in shlex.split(done.stdout))}
    _, listed = (line.split("\t") for line in world.run("keys", "list", env=ann).stdout.splitlines())
    assert (listed[0], listed[2:]) == ("dice", ["Dice[bot]"])
    assert json.loads(world.run("keys", "list", "--json", env=ann).stdout.splitlines()[1])["bot"] == "Dice[bot]"
    assert world.run("keys", "bots", env=ann).stdout == "Dice[bot]\n"
    assert world.run("keys", "bots").stdout == ""

    dice = world.start(program=[sys.executable, "-c", PROGRAM], env=bot)
    eventually(lambda: "Dice[bot]" in world.run("who", "lobby").stdout, "it comes")
    done = world.run("send", "lobby", "!roll", "--name", "ann", env=ann)
    assert done.returncode == 0
    eventually(lambda: "Dice[bot] rolls 4 for ann" in world.run("history", "lobby").stdout, "it answers")
    assert "Dice[bot]: Dice[bot] rolls 4" in world.run("history", "lobby").stdout
    for command in (("history", "lobby", "--json"), ("export", "lobby", "--format", "jsonl")):
        lines = map(json.loads, world.run(*command).stdout.splitlines())
        said = {line["from"]: line.get("bot", False) for line in lines if "from" in line}
        assert said == {"olga": False, "ann": False, "Dice[bot]": True}
    for refused in (("link",), ("keys", "link"), ("keys", "new", "--bot", "more")):
        done = world.run(*refused, env=bot)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), refused
    assert keys(world, ann) == ["default", "dice"]

    assert world.run("revoke", "ann").returncode == 0
    assert dice.ends() == 1
    assert dice.err == "Dice: you are not let in here any more\n"
    assert world.run("revoke", "ann", "--undo").returncode == 0
    assert world.run("send", "lobby", "back", "--name", "Dice", env=bot).returncode == 0
    assert world.run("revoke", "Dice[bot]", env=ann).returncode == 0
    assert world.run("send", "lobby", "back", "--name", "Dice", env=bot).returncode == 4
    assert world.run("keys", "bots", env=ann).stdout == ""


def test_a_bot_on_a_terminal_is_told_nothing_of_before(world: World, ann: dict[str, str]) -> None:
    world.run("keys", "new", "--bot", "dice", env=ann)
    bot = {**ann, "ZCHAT_IDENTITY": "dice", "ZCHAT_NAME": "dice"}
    assert world.run("send", "lobby", "early", "--name", "dice", env=bot).returncode == 0
    world.run("send", "lobby", "before")
    assert world.run("send", "@dice[bot]", "psst", "--name", "olga").returncode == 0
    shown = world.terminal("join", env=bot)
    shown.wait("you are in lobby")
    assert world.run("send", "lobby", "now", "--name", "olga").returncode == 0
    shown.wait("olga: now")
    assert not [word for word in ("before", "psst", "early", "missed") if word in shown.shown]


def test_if_the_broker_refuses_there_is_no_key(world: World, ann: dict[str, str], tmp_path: Path) -> None:
    assert world.run("keys", "new", "--bot", "dice").returncode == 0
    for name, code in (("DICE", 4), ("no/slash", 2), ("x" * 28, 2)):
        done = world.run("keys", "new", "key", "--bot", name, env=ann)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), name
    done = world.run("keys", "new", "--bot", "Würfel", env=ann)
    assert done.stderr.startswith("zchat: a key cannot be called Würfel: name it before --bot")
    assert keys(world, ann) == ["default"]
    assert world.run("keys", "bots", env=ann).stdout == ""
    done = world.run("keys", "new", "cube", "--bot", "Würfel", env=ann)
    assert done.stdout.endswith("ZCHAT_IDENTITY=cube ZCHAT_NAME='Würfel'\n")
    done = world.run("keys", "new", "cube", "--bot", "more", env=ann)
    assert (done.returncode, done.stderr) == (1, "zchat: there is an identity cube already: choose another name\n")
    assert world.run("keys", "bots", env=ann).stdout == "Würfel[bot]\n"


def test_without_keys_there_are_no_keys_for_bots(world: World) -> None:
    world.broker()
    done = world.run("keys", "new", "--bot", "dice")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "zchat: this broker has no keys: a bot comes in under a name of its own, as anybody does\n"
    assert world.run("keys", "list").stdout == ""
    for wrong in (("new",), ("new", "work", "--url", world.url), ("new", "work", "--identity", "x")):
        assert world.run("keys", *wrong).returncode == 2
