"""The data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zchat.errors import DataUnusable
from zchat.store.sqlite.folder import Lock, replacing

HOLDS = """
import sys
from pathlib import Path
from zchat.store.sqlite.folder import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_it_is_made_with_its_parents_for_the_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        lock = Lock(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]
    lock.release()


def test_one_that_is_there_is_made_private_before_it_is_filled_and_then_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Lock(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700
        (tmp_path / "zchat.db").touch()
    tmp_path.chmod(0o750)
    with Lock(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o750


def test_another_process_that_holds_it_is_named_until_it_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataUnusable, match=f"{tmp_path} is in use by process {other.pid}: "):
            Lock(tmp_path)
        other.kill()
    with Lock(tmp_path) as lock:
        lock.release()
        with Lock(tmp_path):
            lock.release()
            with pytest.raises(DataUnusable, match=str(os.getpid())):
                Lock(tmp_path)


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataUnusable):
        Lock(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_replaced_by_a_complete_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / "file.new").write_text("left by a crash")
    with pytest.raises(ZeroDivisionError), replacing(path) as made:  # noqa: PT012
        made.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with replacing(path) as made:
        assert made.stat().st_mode & 0o777 == 0o600
        made.write_text("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
