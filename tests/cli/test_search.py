"""`zchat search` with a real broker."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import pytest
from support import World, world

import zchat
from zchat.cli import run


@pytest.fixture(name="told", scope="module")
def _told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker that was told something; nobody tells it more."""
    with world(tmp_path_factory.mktemp("told")) as made, patch.dict(os.environ, made.env, clear=True):
        made.broker()
        with zchat.connect(made.url, name="alice") as alice, zchat.connect(made.url, name="bob") as bob:
            alice.send("lobby", "The deploy failed: timeout")
            bob.send("ops", "deploy again")
            alice.send("ops", "deploy \u202ewent\u200b through\nat last")
            alice.send("ops", "deploy this")
            alice.edit("ops", "never mind")
            alice.send("ops", "deploy that")
            alice.delete("ops")
        assert made.run("send", "@bob", "deploy in private", "--name", "carol").returncode == 0
        yield made


def here(told: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in this process: far quicker than in one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, told.env, clear=True), redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def places(told: World, *arguments: str) -> list[str]:
    """Where something was found, in order."""
    found = here(told, "search", *arguments, "--json")
    assert found.returncode == 0, found.stderr
    return [f"{hit['room']} {hit['seq']}" for hit in map(json.loads, found.stdout.splitlines())]


def test_the_newest_first_with_what_it_takes_to_jump_there(told: World) -> None:
    lines = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", told.run("search", "deploy").stdout).splitlines()
    assert lines == [
        "ops #2 DATE alice: deploy \ufffdwent\ufffd through",
        "         at last",
        "ops #1 DATE bob: deploy again",
        "lobby #1 DATE alice: The deploy failed: timeout",
    ]
    assert here(told, "history", "ops", "--around", "1", "--limit", "1").stdout.endswith("bob: deploy again\n")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["deploy"], ["ops 2", "ops 1", "lobby 1"]),
        (["DEPLOY", "Timeout"], ["lobby 1"]),
        (["deploy timeout"], ["lobby 1"]),
        (["never", "mind"], ["ops 3"]),
        (["deploy", "--room", "#Ops"], ["ops 2", "ops 1"]),
        (["deploy", "--from", "BOB"], ["ops 1"]),
        (["deploy", "--limit", "1"], ["ops 2"]),
        (["deploy", "--since", "1h"], ["ops 2", "ops 1", "lobby 1"]),
        (["deploy", "--name", "carol"], ["@bob 1", "ops 2", "ops 1", "lobby 1"]),
        (["deploy", "--name", "carol", "--room", "@bob"], ["@bob 1"]),
        (["deploy", "--name", "bob", "--room", "@carol"], ["@carol 1"]),
    ],
)
def test_what_is_found(told: World, arguments: list[str], found: list[str]) -> None:
    assert places(told, *arguments) == found


def test_lines_for_programs_are_as_tail_has_them(told: World) -> None:
    (line,) = told.run("search", "through", "--json").stdout.splitlines()
    assert not any(mark in line for mark in "\u202e\u200b\x1b")
    found = json.loads(line)
    del found["time"]
    text = "deploy \u202ewent\u200b through\nat last"
    assert found == {"v": 1, "kind": "message", "room": "ops", "seq": 2, "from": "alice", "text": text}


@pytest.mark.parametrize(
    "words",
    ["nowhere", "this", "that", '"', "* OR deploy)", "text:", "!!", "deploy NOT again", "'; DROP TABLE words", "\\"],
)
def test_nothing_found_is_exit_1_and_no_input_is_an_error(told: World, words: str) -> None:
    done = here(told, "search", "--", words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "zchat: nothing was found\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["x", "--limit", "0"], 2),
        (["x", "--limit", "101"], 2),
        (["x", "--since", "never"], 2),
        (["x", "--room", "nowhere"], 4),
        (["x", "--room", "@carol"], 4),
        (["x" * 300], 1),
    ],
)
def test_what_cannot_be_searched_for(told: World, arguments: list[str], code: int) -> None:
    done = here(told, "search", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
