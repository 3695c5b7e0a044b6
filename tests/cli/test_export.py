"""`zchat export` with a real broker."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
from support import ZCHAT, World, world

import zchat
from zchat.cli import run
from zchat.messages import Send
from zchat.store.base import Append, NewRoom, Work
from zchat.store.sqlite import open_store

ESCAPES = "\x1b]52;c;Zm9v\x07\x1b[2J\rbob: no\x9b31m\u202e\u200b"


@pytest.fixture(name="told", scope="module")
def _told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker that was told something; nobody tells it more."""
    folder = tmp_path_factory.mktemp("told")
    store = open_store(folder / "data")  # a broker would refuse the first of these
    store.commit(
        Work(
            [NewRoom("zoo")],
            [Append("zoo", b"x" * 16, 1_795_255_200_123, "eve", b"x" * 8, b"x" * 16, [Send(1, "zoo", ESCAPES)])],
        )
    )
    store.close()
    with world(folder) as made, patch.dict(os.environ, made.env, clear=True):
        made.broker("--data", str(folder / "data"))
        with zchat.connect(made.url, name="alice") as alice:
            for text in ("first", "secnod", "gone"):
                alice.send("lobby", text)
            alice.edit("lobby", "second", 2)
            alice.delete("lobby", 3)
            alice.send("lobby", "waves\nat all", action=True)
            alice.send("@alice", "note to self")
            for number in range(1200):  # several pages
                alice.post("many", str(number))
            alice.send("many", "1200")
        yield made


def here(told: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in this process: far quicker than in one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, told.env, clear=True), redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def test_all_public_rooms_in_order_as_import_reads_them(told: World) -> None:
    done = told.run("export")
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["room"] for line in found] == ["lobby"] * 4 + ["many"] * 1201 + ["zoo"]
    assert [line["text"] for line in found if line["room"] == "many"] == [str(number) for number in range(1201)]
    lobby = [{key: value for key, value in line.items() if key != "time"} for line in found[:4]]
    head = {"v": 1, "kind": "message", "room": "lobby"}
    assert lobby == [
        {**head, "seq": 1, "from": "alice", "text": "first"},
        {**head, "seq": 2, "from": "alice", "text": "second", "edited": True},
        {**head, "kind": "deleted", "seq": 3, "from": "alice"},
        {**head, "seq": 6, "from": "alice", "text": "waves\nat all", "action": True},
    ]
    assert found[-1]["text"] == ESCAPES
    assert found[-1]["time"] == "2026-11-21T10:00:00.123Z"


@pytest.mark.parametrize("kind", ["jsonl", "text"])
def test_nothing_that_a_terminal_would_obey(told: World, kind: str) -> None:
    text = told.run("export", "--format", kind).stdout
    assert not any(mark in text for mark in "\x1b\x07\r\x9b\u202e\u200b\x7f\0")
    assert all(line.isprintable() for line in text.split("\n"))


def test_text_is_for_people(told: World) -> None:
    shown = told.run("export", "zoo", "#Lobby", "lobby", "--format", "text").stdout
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", shown).splitlines() == [
        "zoo #1 DATE eve: ␛]52;c;Zm9v␇␛[2J",
        "         bob: no\ufffd31m\ufffd\ufffd",
        "lobby #1 DATE alice: first",
        "lobby #2 DATE alice: second (edited)",
        "lobby #3 DATE alice: (deleted)",
        "lobby #6 DATE * alice waves",
        "         at all",
    ]


def test_private_messages_only_if_asked_for(told: World) -> None:
    (line,) = here(told, "export", "@alice", "--name", "alice").stdout.splitlines()
    assert (json.loads(line)["room"], json.loads(line)["text"]) == ("@alice", "note to self")
    assert here(told, "export", "@alice", "--name", "bob").returncode == 4
    assert here(told, "export", "--name", "alice").stdout.count('"@') == 0


def test_into_a_file_that_only_its_owner_may_read(told: World, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    done = told.run("export", "lobby", "--output", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"zchat: exported 4 messages in 1 room to {file}\n"
    assert file.read_text() == here(told, "export", "lobby").stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_what_fails_leaves_the_file_as_it_was(told: World, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    command = " ".join([*ZCHAT, "export --output", str(file)])
    for options, code, why in (
        ("lobby nowhere", 4, "no such room"),
        ("--url tcp://127.0.0.1:9 --connect-timeout 0.2", 3, "cannot reach"),
    ):
        done = here(told, "export", "--output", str(file), *options.split())
        assert (done.returncode, done.stderr.count("\n")) == (code, 1)
        assert why in done.stderr
    full = subprocess.run(
        ["sh", "-c", f"ulimit -f 8; {command}"], env=told.env, capture_output=True, text=True, check=False
    )
    assert full.returncode == 1
    assert re.fullmatch(rf"zchat: cannot write {file} \(File too large\): .*\n", full.stderr)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
    for bad, why in (("/dev/null", "no ordinary file"), (str(tmp_path / "no" / "where"), "cannot write")):
        done = here(told, "export", "--output", bad)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert why in done.stderr


def test_killed_or_interrupted_amid_it_the_file_is_as_it_was(told: World, tmp_path: Path) -> None:
    file, fresh = tmp_path / "out", tmp_path / "out.new"
    file.write_text("old")
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        assert _stopped_amid(told, file, fresh, number) == code
        assert file.read_text() == "old"
    assert here(told, "export", "lobby", "--output", str(file)).returncode == 0
    assert list(tmp_path.iterdir()) == [file]


def _stopped_amid(told: World, file: Path, fresh: Path, number: int) -> int:
    """Ends an export once it has begun to write."""
    script = (
        "import os, sys; from zchat.cli import export, main; real = export._json\n"
        "def slow(room, message):\n"
        "    if message.seq == 600: print('amid', file=sys.stderr, flush=True); sys.stdin.read()\n"
        "    return real(room, message)\n"
        "export._json = slow; sys.argv[0] = 'zchat'; main()"
    )
    arguments = ["export", "many", "--output", str(file)]
    with subprocess.Popen(
        [ZCHAT[0], "-c", script, *arguments], env=told.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "amid\n"
        assert fresh.exists()
        process.send_signal(number)
        code = process.wait(timeout=30)
        assert "Traceback" not in process.stderr.read()
        return code


def test_progress_on_a_terminal_alone(told: World, tmp_path: Path) -> None:
    terminal = told.terminal("export", "--output", str(tmp_path / "out"))
    assert terminal.ends() == 0
    terminal.wait("exported 1,206 messages in 3 rooms")
    assert b"exporting: " in terminal.raw
    shown = told.terminal("export", "lobby")
    assert shown.ends() == 0
    assert b"exporting" not in shown.raw


def test_what_can_no_longer_be_had_is_said_there(world: World) -> None:
    world.broker("--memory", "--keep-messages", "2")
    world.run("send", "lobby", stdin="1\n2\n3\n4\n")
    first, *rest = here(world, "export").stdout.splitlines()
    assert json.loads(first) == {"v": 1, "kind": "gap", "room": "lobby", "first": 1, "last": 2}
    assert [json.loads(line)["seq"] for line in rest] == [3, 4]
    assert here(world, "export", "--format", "text").stdout.startswith(
        "-- lobby: messages 1 to 2 can no longer be had\n"
    )
