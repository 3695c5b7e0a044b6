"""`zchat backup` beside a real broker."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from support import ZCHAT, World


def test_while_the_broker_runs_and_back_into_another_folder(world: World, tmp_path: Path) -> None:
    broker = world.broker()  # the default folder
    assert world.run("send", "lobby", stdin="one\ntwo\n").returncode == 0
    copy = tmp_path / "copy"
    done = world.run("backup", str(copy))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"zchat: saved 1 room with 2 messages in {copy}\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    again = world.run("backup", str(copy))
    assert again.returncode == 1
    assert again.stderr == f"zchat: {copy} is there already: name another file, or replace it with --force\n"
    assert world.run("backup", str(copy), "--force").returncode == 0
    world.run("send", "lobby", "three")
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
    assert world.run("restore", str(copy), "--data", str(tmp_path / "other")).returncode == 0
    world.broker("--data", str(tmp_path / "other"))
    assert [line.split(": ")[1] for line in world.run("history", "lobby").stdout.splitlines()] == ["one", "two"]
    assert "WARNING" not in world.brokers[-1].err


def test_progress_on_a_terminal(world: World, tmp_path: Path) -> None:
    world.run("import", "/dev/null", "--data", str(tmp_path / "data"))
    terminal = world.terminal("backup", str(tmp_path / "copy"), "--data", str(tmp_path / "data"))
    assert terminal.ends() == 0
    terminal.wait("0 rooms with 0 messages")
    assert b"copying pages: " in terminal.raw


def test_what_cannot_be_is_one_line(world: World, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    world.run("import", "/dev/null", "--data", str(tmp_path / "data"))
    for arguments, why in (
        ([str(copy)], "there is no database in"),
        ([str(copy), "--data", str(tmp_path / "nowhere")], "there is no database in"),
        ([str(tmp_path / "no" / "copy"), "--data", str(tmp_path / "data")], "cannot write"),
        ([str(tmp_path), "--data", str(tmp_path / "data"), "--force"], "no ordinary file"),
    ):
        done = world.run("backup", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert why in done.stderr
    command = " ".join([*ZCHAT, "backup", str(copy), "--data", str(tmp_path / "data")])
    full = subprocess.run(
        ["sh", "-c", f"ulimit -f 70; {command}"], env=world.env, capture_output=True, text=True, check=False
    )
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert f"cannot write {copy}" in full.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("copy")) == []
