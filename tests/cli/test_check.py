"""`zchat check` beside a real broker."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from support import World

WHOLE = {"v": 1, "kind": "check", "rooms": 1, "messages": 2, "edits": 0, "deletions": 0, "damage": 0}


def test_while_a_broker_runs_and_after_it_was_killed(world: World) -> None:
    broker = world.broker()  # the default folder
    world.run("send", "lobby", stdin="one\ntwo\n")
    for _ in range(2):
        done = world.run("check")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "1 room, 2 messages, 0 edits, 0 deletions: no damage\n"
        assert json.loads(world.run("check", "--json").stdout) == WHOLE
        broker.signal(signal.SIGKILL)
        broker.ends()
    assert "WARNING" not in world.broker().err


def test_damage_is_exit_1_and_nothing_that_a_terminal_would_obey(world: World, tmp_path: Path) -> None:
    (tmp_path / "export").write_text(
        '{"v":1,"kind":"message","room":"lobby","time":"2026-11-21T10:00:00Z","from":"alice","text":"abcdefgh"}\n'
    )
    folder = tmp_path / "here"
    world.run("import", str(tmp_path / "export"), "--data", str(folder))
    file = folder / "zchat.db"
    file.write_bytes(file.read_bytes().replace(b"abcdefgh", b"abcde\x1bgh"))
    done = world.run("check", "--data", str(folder))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "damaged: lobby: 1 does not match its checksum\n1 room, 0 messages, 0 edits, 0 deletions: 1 finding\n"
    )
    damage, summary = map(json.loads, world.run("check", "--json", "--data", str(folder)).stdout.splitlines())
    assert damage == {"v": 1, "kind": "damage", "what": "lobby: 1 does not match its checksum"}
    assert summary == {**WHOLE, "messages": 0, "damage": 1}
    file.write_bytes(b"\x1b[2J" * 1000)
    done = world.run("check", "--data", str(folder))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_folder_that_is_none(world: World, tmp_path: Path) -> None:
    done = world.run("check", "--data", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (1, "")
    expected = f"zchat: there is no database in {tmp_path}/nowhere: name the broker's folder with --data DIR\n"
    assert done.stderr == expected
