"""`zchat history` with a real broker."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
from support import ZCHAT, World, world

import zchat
from zchat.cli import run


@pytest.fixture(name="told", scope="module")
def _told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker that was told something; nobody tells it more."""
    with world(tmp_path_factory.mktemp("told")) as made, patch.dict(os.environ, made.env, clear=True):
        made.broker("--memory", "--keep-messages", "700")
        with zchat.connect(made.url, name="alice") as alice:
            for text in ("first", "secnod", "gone", "two\nlines", "\u202ebidi \u200b zero"):
                alice.send("lobby", text)
            alice.edit("lobby", "second", 2)
            alice.delete("lobby", 3)
            alice.send("lobby", "waves", action=True)
            for number in range(1, 801):
                alice.post("long", str(number))
            alice.send("long", "801")
        yield made


def here(told: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in this process: far quicker than in one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, told.env, clear=True), redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def numbers(told: World, *arguments: str) -> list[int]:
    """The numbers of the messages that are printed."""
    done = here(told, "history", *arguments)
    assert done.returncode == 0, done.stderr
    return [int(number) for number in re.findall(r"^#(\d+) ", done.stdout, re.MULTILINE)]


def test_lines_for_people(told: World) -> None:
    shown = told.run("history", "lobby").stdout
    lines = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-21 10:00:00", shown).splitlines()
    assert lines == [
        "#1 2026-11-21 10:00:00 alice: first",
        "#2 2026-11-21 10:00:00 alice: second (edited)",
        "#3 2026-11-21 10:00:00 alice: (deleted)",
        "#4 2026-11-21 10:00:00 alice: two",
        "         lines",
        "#5 2026-11-21 10:00:00 alice: \ufffdbidi \ufffd zero",
        "#8 2026-11-21 10:00:00 * alice waves",
    ]


def test_lines_for_programs_are_as_tail_has_them(told: World) -> None:
    done = told.run("history", "#Lobby", "--json")
    assert not any(mark in done.stdout for mark in "\u202e\u200b\x1b")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time")) for line in found)
    head = {"v": 1, "kind": "message", "room": "lobby"}
    assert found == [
        {**head, "seq": 1, "from": "alice", "text": "first"},
        {**head, "seq": 2, "from": "alice", "text": "second", "edited": True},
        {**head, "kind": "deleted", "seq": 3, "from": "alice"},
        {**head, "seq": 4, "from": "alice", "text": "two\nlines"},
        {**head, "seq": 5, "from": "alice", "text": "\u202ebidi \u200b zero"},
        {**head, "seq": 8, "from": "alice", "text": "waves", "action": True},
    ]


@pytest.mark.parametrize(
    ("arguments", "first", "last", "count"),
    [
        ([], 752, 801, 50),
        (["--limit", "600"], 202, 801, 600),  # two pages
        (["--limit", "all"], 102, 801, 700),
        (["--before", "300", "--limit", "2"], 298, 299, 2),
        (["--after", "300", "--limit", "2"], 301, 302, 2),
        (["--after", "0"], 102, 151, 50),
        (["--after", "790", "--before", "795"], 791, 794, 4),
        (["--after", "9" * 30], 0, 0, 0),
        (["--around", "300", "--limit", "5"], 298, 302, 5),
        (["--around", "300", "--limit", "1"], 300, 300, 1),
        (["--around", "801", "--limit", "5"], 797, 801, 5),
        (["--around", "102", "--limit", "5"], 102, 106, 5),
        (["--around", "9" * 30, "--limit", "2"], 800, 801, 2),
        (["--since", "1h"], 102, 801, 700),  # all of them, unless --limit is given
        (["--since", "1h", "--limit", "3"], 799, 801, 3),
        (["--since", "9999-01-01"], 0, 0, 0),
    ],
)
def test_which_are_shown(told: World, arguments: list[str], first: int, last: int, count: int) -> None:
    found = numbers(told, "long", *arguments)
    assert found == list(range(first, last + 1))[:count]
    assert len(found) == count


def test_what_can_no_longer_be_had_is_said(told: World) -> None:
    for arguments, gap in (
        (["--after", "99"], "messages 100 to 101"),
        (["--limit", "all"], "messages 1 to 101"),
        (["--before", "110"], "messages 1 to 101"),
        (["--before", "50"], "messages 1 to 49"),
        (["--around", "103", "--limit", "6"], "messages 100 to 101"),
    ):
        said = here(told, "history", "long", *arguments).stderr
        assert said == f"zchat: long: {gap} can no longer be had\n", arguments
    for arguments in ([], ["--after", "101"], ["--since", "1h"], ["--before", "200", "--limit", "98"]):
        assert here(told, "history", "long", *arguments).stderr == "", arguments
    line, *_ = here(told, "history", "long", "--after", "0", "--json", "--limit", "1").stdout.splitlines()
    assert json.loads(line) == {"v": 1, "kind": "gap", "room": "long", "first": 1, "last": 101}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--limit", "0"],
        ["--limit", "10001"],
        ["--limit", "-1"],
        ["--limit", "some"],
        ["--before", "0"],
        ["--after", "-1"],
        ["--after", "7", "--before", "8"],
        ["--around", "7", "--before", "8"],
        ["--around", "7", "--after", "8"],
        ["--around", "7", "--since", "1h"],
        ["--around", "7", "--limit", "all"],
        ["--since", "yesterday"],
        ["--since", ""],
    ],
)
def test_what_cannot_be_is_a_usage_error(world: World, arguments: list[str]) -> None:
    done = here(world, "history", "lobby", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"zchat: .+ \(see: .* history --help\)\n", done.stderr)


def test_rooms_that_are_not_there_or_not_yours(told: World) -> None:
    for room in ("nowhere", "@nobody", "@alice"):
        done = here(told, "history", room)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.count("\n") == 1
    assert here(told, "history", "two words").returncode == 2
    assert numbers(told, "lobby", "--name", "alice", "--limit", "1") == [8]


def test_private_messages_are_those_of_the_two(world: World) -> None:
    world.broker("--memory")
    with zchat.connect(world.url, name="bob"):
        for text in ("psst", "hey"):
            assert world.run("send", "@bob", text, "--name", "alice").returncode == 0
    done = world.run("history", "@bob", "--name", "alice", "--json")
    assert [(line["room"], line["text"]) for line in map(json.loads, done.stdout.splitlines())] == [
        ("@bob", "psst"),
        ("@bob", "hey"),
    ]
    env = {**world.env, "ZCHAT_NAME": "alice"}
    assert world.run("history", "@Bob", "--limit", "1", env=env).stdout.endswith(" alice: hey\n")
    assert world.run("history", "@bob", "--name", "alice", env=world.other_person()).returncode == 4


def test_it_ends_quietly_when_its_reader_is_gone_and_with_an_error_when_the_disk_is_full(told: World) -> None:
    command = " ".join([*ZCHAT, "history long --limit all"])
    done = subprocess.run(
        ["sh", "-c", f"{command} | head -1"], env=told.env, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "zchat: long" in done.stderr
    assert done.stderr.count("\n") == 1
    if Path("/dev/full").exists():
        done = subprocess.run(
            ["sh", "-c", f"{command} --after 200 > /dev/full"],
            env=told.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (1, "zchat: No space left on device\n")


def test_no_broker_is_one_line_and_exit_3(world: World) -> None:
    done = world.run("history", "lobby", "--url", "tcp://127.0.0.1:9", "--connect-timeout", "0.2")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
