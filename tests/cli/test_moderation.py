"""Rooms with doors, in real terminals, from scripts and from the operator's console."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import Process, Terminal, World


@dataclass
class Place:
    """A broker that encrypts, with its owner and a member.

    Attributes:
        alice, bob: their environments; alice owns the broker.
    """

    world: World
    broker: Process
    alice: dict[str, str]
    bob: dict[str, str]

    def terminal(self, name: str) -> Terminal:
        """Somebody in the lobby, in a terminal."""
        found = self.world.terminal("join", "--name", name, env=getattr(self, name))
        found.wait("you are in lobby")
        return found


@pytest.fixture(name="place")
def _place(world: World, tmp_path: Path) -> Place:
    broker = world.broker("--curve", "--no-show-chat", stdin=True)
    owner = broker.wait_out(r"zchat join '(\S+)'").group(1)
    alice, bob = (world.person(tmp_path / name) for name in ("alice", "bob"))
    made = world.run("join", owner, "--name", "alice", env=alice, stdin="/link\n").stderr
    link = next(word for word in made.split() if word.startswith("zchat://"))
    assert world.run("join", link, "--name", "bob", env=bob).returncode == 0
    return Place(world, broker, alice, bob)


def test_people_in_terminals(place: Place) -> None:
    alice, bob = place.terminal("alice"), place.terminal("bob")
    alice.type("/create plans --private --topic what next\rfirst\r")
    alice.wait(r"you are in \+plans, alone so far\n-- the topic: what next \(set by alice, .*\)")
    alice.wait_for(lambda: alice.row == "+plans>", "the prompt names the room")
    alice.wait("alice: first")
    alice.type("/invite bob\r")
    bob.wait(r"you were let into \+plans: /join \+plans to speak there")
    bob.wait(r"\[\+plans\] alice invited bob")
    bob.type("/join +plans\r")
    bob.wait(r"you are in \+plans with alice")
    bob.wait("the topic: what next")
    bob.type("/reply 3 fine\r/react 3 :+1:\r/who\r")
    alice.wait(r"\d\d bob: \(answers #3\) fine")
    alice.wait(r"\d\d bob reacted :\+1: to #3")
    bob.wait(r"in \+plans: alice, bob")
    bob.type("/kick alice\r")
    bob.wait("not done: .*: /kick")
    alice.type("/pin 3\r/pins\r")
    alice.wait("alice pinned #3")
    alice.wait(r"-- #3 \S+ \S+ alice: first")
    alice.type("/kick bob enough\r")
    bob.wait(r"you were kicked from \+plans by alice: enough; back in lobby")
    bob.wait_for(lambda: bob.row == "lobby>", "the prompt names the room")
    alice.type("after that\r")
    alice.wait("alice: after that")
    bob.type("/history\rin the lobby\r")
    bob.wait("bob: in the lobby")
    assert "after that" not in bob.shown
    alice.type("/join lobby\r")
    alice.type("/topic all and nothing\r/topic\r/mute bob --for 1h loud\r/bans\r")
    bob.wait("alice set the topic: all and nothing")
    alice.wait(r"-- the topic: all and nothing \(set by alice, ")
    alice.wait(r"-- bob muted until \S+ \S+ by alice: loud")
    bob.wait("alice muted bob for 1 h: loud")
    bob.type("may I?\r")
    bob.wait(r"-- not said: you are muted .*: may I\?")
    bob.type("/block alice\r")
    bob.wait("you take nothing private from alice any more")
    bob.type("/blocks\r")
    bob.wait("-- alice\n")
    bob.type("/unblock alice\r")
    bob.wait("you take again what alice sends you")
    bob.type("/blocks\r")
    bob.wait("you take what anybody sends you")
    alice.type("/ban bob --for 2h really\r")
    bob.wait("you were banned from lobby by alice for 2 h: really")
    bob.type("hello?\r/topic\r")
    bob.wait("you are in no room: /join one\n-- you are in no room: /join one")
    bob.type("/join lobby\r")
    bob.wait("you are banned from this room until .* by alice: really")


def test_scripts_moderate_as_people_do(place: Place) -> None:
    world = place.world
    run = world.run
    follower = world.start("tail", "lobby", "--json", env=place.bob)
    follower.wait_err("following")
    assert run("do", "den", "create", "--topic", "a den", "--name", "alice", env=place.alice).returncode == 0
    state = run("do", "den", "topic", "--json", "--name", "alice", env=place.alice).stdout
    assert json.loads(state)["topic"] == "a den"
    assert run("send", "den", "hello", "--name", "alice", env=place.alice).returncode == 0
    refused = run("do", "den", "ban", "alice", "--name", "bob", env=place.bob)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1)
    wrong = run("do", "den", "ban", "--for", "1h", env=place.bob)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "zchat: write it as zchat do den ban NAME [--for TIME] [REASON]\n",
    )
    past = run("do", "lobby", "ban", "bob", "--for", "-1h", "--name", "alice", env=place.alice)
    assert (past.returncode, past.stdout) == (2, "")  # nor is that a call for help
    done = run("do", "lobby", "mute", "bob", "--for", "1h", "loud", "--name", "alice", env=place.alice)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    follower.wait_out("loud")
    acted = json.loads(follower.out.splitlines()[0])
    wanted = {"kind": "acted", "verb": "mute", "whom": "bob", "seconds": 3600, "text": "loud"}
    assert {key: acted[key] for key in wanted} == wanted
    assert run("do", "lobby", "ban", "bob", "--for", "1h", "spam", "--name", "alice", env=place.alice).returncode == 0
    assert follower.ends() == 4
    # What is published may come after what is told to bob alone, and is for others then.
    removed = json.loads(follower.out.splitlines()[-1])
    acted = json.loads(run("export", "lobby", env=place.alice).stdout.splitlines()[-1])
    assert {key: acted[key] for key in ("kind", "verb", "whom", "seconds", "text")} == {
        "kind": "acted",
        "verb": "ban",
        "whom": "bob",
        "seconds": 3600,
        "text": "spam",
    }
    assert (removed["kind"], removed["verb"], removed["seconds"]) == ("removed", "ban", 3600)
    assert run("do", "lobby", "bans", "--name", "alice", env=place.alice).stdout.startswith("bob\tban\t")
    exported = run("export", "den", env=place.alice).stdout.splitlines()
    assert [json.loads(line).get("verb") for line in exported] == ["create", "topic", None]
    kept = Path(place.alice["HOME"]) / "den.jsonl"
    kept.write_text("\n".join(exported) + "\n")
    assert "imported 1 message" in run("import", str(kept), "--data", f"{kept}.d", env=place.alice).stderr
    assert run("admin", "audit", env=place.bob).returncode == 4
    assert run("admin", "mute", "bob", "--for", "soon", env=place.alice).returncode == 2
    assert run("admin", "mute", "bob", "--for", "1h", "shouting", env=place.alice).returncode == 0
    (line,) = run("admin", "audit", "--json", "--limit", "1", env=place.alice).stdout.splitlines()
    act = json.loads(line)
    assert (act["kind"], act["room"], act["from"], act["verb"], act["whom"]) == ("acted", "", "alice", "mute", "bob")
    assert run("send", "lobby", "hello", "--name", "bob", env=place.bob).returncode == 4


def test_the_operators_console_gives_the_same_orders(place: Place) -> None:
    broker, bob = place.broker, place.terminal("bob")
    broker.type("/people\n/sessions\n/bna\n/mute bob --for 1h loud\nhello all\n")
    broker.wait_out("-- bob: member, here")
    broker.wait_out(r"-- unknown command /bna: did you mean /ban\?")
    broker.wait_out("-- done: mute bob")
    bob.wait("operator: hello all")
    broker.type("/audit\n/ban bob spam\n")
    broker.wait_out("- operator muted bob for 1 h: loud")
    assert bob.ends() == 4
    assert b"you were banned by operator: spam" in bob.raw
    broker.type("/drain enough\n")
    assert broker.ends() == 0
