"""`zchat restore` around a real broker."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from support import World


def test_a_day_is_undone_and_what_was_there_is_kept(world: World, tmp_path: Path) -> None:
    folder, copy = tmp_path / "data" / "zchat", tmp_path / "copy"
    broker = world.broker()  # the default folder
    world.run("send", "lobby", "one")
    world.run("backup", str(copy))
    world.run("send", "lobby", "two")
    refused = world.run("restore", str(copy))
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert f"in use by process {broker.pid}" in refused.stderr
    broker.signal(signal.SIGKILL)
    broker.ends()
    done = world.run("restore", str(copy))
    assert (done.returncode, done.stdout) == (0, "")
    kept = re.fullmatch(
        rf"zchat: what was there is kept as ({folder}/zchat\.db\.\d{{8}}T\d{{6}}Z\.old)\n"
        rf"zchat: restored 1 room with 1 message to {folder}\n",
        done.stderr,
    )
    assert kept is not None, done.stderr
    again = world.broker()
    assert "WARNING" not in again.err
    assert world.run("history", "lobby").stdout.endswith(": one\n")
    again.signal(signal.SIGTERM)
    again.ends()
    assert world.run("restore", kept[1]).returncode == 0
    world.broker()
    assert world.run("history", "lobby").stdout.endswith(": two\n")


def test_what_cannot_be_is_one_line_and_changes_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_text("rubbish" * 1000)
    for name, why in (("nowhere", "there is no backup"), ("rubbish", "is no database")):
        done = world.run("restore", str(tmp_path / name), "--data", str(tmp_path / "data"))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert why in done.stderr
    assert not (tmp_path / "data").exists()
