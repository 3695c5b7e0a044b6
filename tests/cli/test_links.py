"""`zchat link`, `links`, `revoke`, `keys link`, `who --all` and `join LINK`, with what a broker says, and may say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from client.gate import Gate, keypair
from support import World

from zchat import errors
from zchat.address import Address
from zchat.links import Link as Written
from zchat.links import id_text, invite_id
from zchat.messages import (
    Device,
    Done,
    Failed,
    Link,
    Linked,
    LinkInfo,
    LinkList,
    Links,
    People,
    Reply,
    Request,
    Revoke,
    Who,
)

PUBLIC, SECRET = keypair()
INVITE = bytes(range(16))
NEW = str(Written(Address("chat.example.org", 5555), "dev", PUBLIC, INVITE))
ID, OTHER_ID = "a" * 16, id_text(invite_id(INVITE))
EVIL = "\x1b]52;c;x\x07\u202e"


class Broker:
    """What it is asked, and what it answers.

    Attributes:
        asked: all but what every broker answers alike.
        made: the link that it makes.
        refuses: what it says no with, if it does.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.asked: list[Request] = []
        self.made = NEW
        self.refuses = ""
        self.names: dict[str, int] = {"ann": 0, "bob": 1_790_000_000_123}
        gate.answers = self._answers

    def _answers(self, asked: Request) -> list[Reply]:
        self.asked.append(asked)
        q = getattr(asked, "q", 0)
        if self.refuses:
            return [Failed(q, self.refuses, "")]
        match asked:
            case Link() | Device():
                return [Linked(q, self.made)]
            case Links(after=after):
                ids = [one for one in sorted((ID, OTHER_ID)) if one > after][:1]
                infos = tuple(LinkInfo(one, "dev", "member", 3, 1_790_000_000_123, "", one == ID) for one in ids)
                return [LinkList(q, infos, bool(ids))]
            case Who(after=after, away=True):
                names = [name for name in self.names if name > after][:1]
                seen = tuple(self.names[name] for name in names)
                return [People(q, "", 1, len(names), tuple(names), bool(names), seen)]
        return [Done(q)]


@pytest.fixture(name="broker")
def _broker(world: World) -> Iterator[Broker]:
    gate = Gate(SECRET)
    world.env["ZCHAT_URL"] = gate.link(PUBLIC)
    try:
        found = Broker(gate)
        with gate.serving():
            yield found
    finally:
        gate.close()


# Links ----------------------------------------------------------------------------------------------------------------


def test_link_prints_what_the_broker_made(world: World, broker: Broker) -> None:
    assert world.run("link").stdout == f"{NEW}\n"
    args = ("--room", "dev", "--uses", "5", "--expires", "2h", "--role", "moderator")
    assert world.run("link", *args).stdout == f"{NEW}\n"
    plain, full = (one for one in broker.asked if isinstance(one, Link))
    assert (plain.room, plain.uses, plain.seconds, plain.role) == ("lobby", 1, 604_800, "member")
    assert (full.room, full.uses, full.seconds, full.role) == ("dev", 5, 7200, "moderator")


def test_keys_link_prints_a_link_for_another_device(world: World, broker: Broker) -> None:
    assert world.run("keys", "link").stdout == f"{NEW}\n"
    assert any(isinstance(one, Device) for one in broker.asked)


def test_what_the_broker_makes_is_a_link_or_not_printed(world: World, broker: Broker) -> None:
    for command, made in ((("link",), f"{NEW}&x={EVIL}"), (("keys", "link"), "")):
        broker.made = made
        done = world.run(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "zchat: the broker made a link that is none: nobody can use it\n"


def test_a_broker_that_refuses_is_exit_4(world: World, broker: Broker) -> None:
    broker.refuses = errors.NotAllowed.code
    for arguments in (["link"], ["links"], ["revoke", "bob"], ["keys", "link"]):
        done = world.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (4, "", "zchat: not allowed\n")


def test_links_are_listed_page_by_page(world: World, broker: Broker) -> None:
    until = "2026-09-21T14:13:20.123Z"
    rows = [f"{ID}\tdevice\tdev\t3\t{until}\t-", f"{OTHER_ID}\tmember\tdev\t3\t{until}\t-"]
    assert world.run("links").stdout.splitlines() == rows
    first, _ = map(json.loads, world.run("links", "--json").stdout.splitlines())
    assert first == {
        "v": 1,
        "kind": "link",
        "id": ID,
        "role": "member",
        "room": "dev",
        "uses": 3,
        "until": until,
        "by": None,
        "device": True,
    }


@pytest.mark.parametrize(
    ("arguments", "link", "name", "undo"),
    [
        ([NEW], OTHER_ID, "", False),
        ([ID], ID, "", False),
        (["bob"], "", "bob", False),
        (["@" + ID], "", ID, False),
        (["b" * 16], "", "b" * 16, False),  # looks like an id, and is none
        (["--undo", "bob"], "", "bob", True),
    ],
)
def test_revoke_takes_a_link_its_id_or_a_person(
    world: World, broker: Broker, arguments: list[str], link: str, name: str, undo: bool
) -> None:
    done = world.run("revoke", *arguments)
    assert done.returncode == 0
    (asked,) = (one for one in broker.asked if isinstance(one, Revoke))
    assert (asked.link, asked.name, asked.undo) == (link, name, undo)
    assert "invite" not in done.stderr  # what was secret is not told again


def test_what_cannot_be_revoked_is_a_usage_error(world: World, broker: Broker) -> None:
    for arguments in ([NEW, "--undo"], [NEW.partition("&")[0]], ["zchat://nonsense"]):
        done = world.run("revoke", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not broker.asked


def test_options_of_a_link_that_cannot_be_are_usage_errors(world: World, tmp_path: Path) -> None:
    for arguments in (
        ["--expires", "soon"],
        ["--uses", "0"],
        ["--role", "king"],
        ["--data", str(tmp_path), "--room", "dev"],
        ["--data", str(tmp_path), "--uses", "2"],
        ["--data", str(tmp_path), "--url", "h"],
    ):
        done = world.run("link", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


# Who ------------------------------------------------------------------------------------------------------------------


def test_who_shows_when_everybody_was_here_last(world: World, broker: Broker) -> None:
    broker.names["eve\u202e"] = 1
    assert world.run("who", "--all").stdout == (
        "ann\tnow\nbob\t2026-09-21T14:13:20.123Z\neve\ufffd\t1970-01-01T00:00:00.001Z\n"
    )
    first, second, _ = map(json.loads, world.run("who", "--all", "--json").stdout.splitlines())
    assert first == {"v": 1, "kind": "person", "name": "ann", "seen": None}
    assert second == {"v": 1, "kind": "person", "name": "bob", "seen": "2026-09-21T14:13:20.123Z"}
    assert world.run("who", "lobby", "--all").returncode == 2


# Join -----------------------------------------------------------------------------------------------------------------


def test_a_link_leads_into_its_room_and_is_needed_once(world: World, broker: Broker) -> None:
    where = broker.gate.address
    link = str(Written(where, "dev", PUBLIC, INVITE))
    del world.env["ZCHAT_URL"]
    done = world.run("join", link, "--name", "ann", stdin="quit\n")
    assert done.returncode == 0
    assert "you are in dev" in done.stderr
    assert "invite" not in done.stderr
    assert broker.gate.hellos[-1].invite == INVITE
    for given in (link, f"  {link}\r"):
        done = world.run("join", "-", "--name", "ann", "--room", "den", stdin=f"{given}\n/link 5\nquit\n")
        assert "you are in den" in done.stderr
        assert f"-- who has this link gets in: {NEW}\n" in done.stderr
    done = world.run("join", "--url", str(where), "--name", "ann", stdin="quit\n")
    assert "you are in lobby" in done.stderr
    assert broker.gate.hellos[-1].invite is None
    assert len(set(broker.gate.keys)) == 1


def test_a_link_is_asked_for_on_a_terminal(world: World, broker: Broker) -> None:
    alice = world.terminal("join", "-", "--name", "alice")
    alice.wait("Link:")
    alice.type(f"{broker.gate.link(PUBLIC, INVITE)}\r")
    alice.wait("you are in lobby")
    alice.type("/link\r")
    alice.wait("who has this link gets in: zchat://")
    alice.type("/quit\r")
    assert alice.ends() == 0


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["zchat://h/lobby"], ""),
        (["-"], "lobby\n"),
        (["-"], ""),
        (["-"], "zchat://" + "x" * 100_000),
        ([NEW, "--url", "tcp://127.0.0.1:9"], ""),
    ],
)
def test_what_is_no_link_is_a_usage_error(world: World, arguments: list[str], stdin: str) -> None:
    done = world.run("join", *arguments, "--name", "ann", stdin=stdin)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "invite=a" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "room", "uses"),
    [("/link", "lobby", 1), ("/link dev", "dev", 1), ("/link 7", "lobby", 7), ("/link dev 7", "dev", 7)],
)
def test_link_in_the_chat(world: World, broker: Broker, typed: str, room: str, uses: int) -> None:
    done = world.run("join", "--name", "ann", stdin=f"{typed}\n")
    assert re.search(r"^-- who has this link gets in: zchat://chat\.example\.org\S+$", done.stderr, re.MULTILINE)
    (asked,) = (one for one in broker.asked if isinstance(one, Link))
    assert (asked.room, asked.uses) == (room, uses)


def test_link_in_the_chat_that_cannot_be(world: World, broker: Broker) -> None:
    broker.made = EVIL
    done = world.run("join", "--name", "ann", stdin="/link dev den\n/link 0\n/link\n")
    assert done.returncode == 1
    assert done.stderr.count("write it as /link [ROOM] [USES]") == 2
    assert "made a link that is none" in done.stderr
    assert "\x1b" not in done.stderr


def test_another_broker_at_a_known_address_is_a_hard_stop(world: World, broker: Broker) -> None:
    assert world.run("link").returncode == 0
    link = str(Written(broker.gate.address, "lobby", bytes(32), INVITE))
    hellos = len(broker.gate.hellos)
    done = world.run("send", "--url", link, "--name", "ann", "lobby", "hello")
    assert done.returncode == 1
    assert "is not the one of before" in done.stderr
    assert len(broker.gate.hellos) == hellos
