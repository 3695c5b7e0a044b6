"""Where a reader is, kept in a file."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from zchat import errors
from zchat.client.resume import ResumeFile
from zchat.messages import Stamp

STAMP = Stamp(b"one life", 7)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "place"


def test_what_is_kept_is_there_again(path: Path) -> None:
    with ResumeFile(path) as kept:
        assert (kept.stamp, kept.positions) == (None, {})
        kept.save(STAMP, {"lobby": 5, "@room": 3, "日本": 1})
        assert (kept.stamp, kept.positions) == (STAMP, {"lobby": 5, "@room": 3, "日本": 1})
    with ResumeFile(path) as kept:
        assert (kept.stamp, kept.positions) == (STAMP, {"lobby": 5, "@room": 3, "日本": 1})
        kept.save(Stamp(b"the next", 1), {"lobby": 1})
    with ResumeFile(path) as kept:
        assert (kept.stamp, kept.positions) == (Stamp(b"the next", 1), {"lobby": 1})


def test_nothing_is_there_before_something_is_kept(path: Path) -> None:
    with ResumeFile(path):
        assert not path.exists()


def test_it_is_for_this_user_alone(path: Path) -> None:
    with ResumeFile(path) as kept:
        kept.save(STAMP, {"lobby": 1})
    assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()] == [0o600, 0o600]


def test_one_program_at_a_time_has_it(path: Path) -> None:
    with ResumeFile(path) as kept:
        kept.save(STAMP, {"lobby": 1})
        with pytest.raises(errors.DataUnusable, match="place is in use by another zchat"):
            ResumeFile(path)
        kept.save(STAMP, {"lobby": 2})  # replacing it does not let another in
        with pytest.raises(errors.DataUnusable, match="in use"):
            ResumeFile(path)
    with ResumeFile(path) as again:
        assert again.positions == {"lobby": 2}


def test_what_did_not_change_is_not_written_again(path: Path) -> None:
    with ResumeFile(path) as kept:
        kept.save(STAMP, {"lobby": 1})
        before = path.stat().st_ino
        kept.save(Stamp(STAMP.run, 9), {"lobby": 1})
        assert path.stat().st_ino == before
        kept.save(Stamp(b"the next", 1), {"lobby": 1})
        assert path.stat().st_ino != before


def test_whoever_reads_it_finds_one_state_or_the_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    really = os.fsync

    def look(fd: int) -> None:
        really(fd)
        found.append(json.loads(path.read_text()))

    with ResumeFile(path) as kept:
        kept.save(STAMP, {"lobby": 1})
        before = json.loads(path.read_text())
        monkeypatch.setattr(os, "fsync", look)
        kept.save(STAMP, {"lobby": 2})
    assert found == [before]
    assert json.loads(path.read_text()) != before
    assert sorted(file.name for file in path.parent.iterdir()) == ["place", "place.lock"]


def test_where_it_cannot_be_written_what_was_kept_is_there_still(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with ResumeFile(path) as kept:
        kept.save(STAMP, {"lobby": 1})
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(errors.DataUnusable, match=r"cannot write the resume file .*place: No space left"):
            kept.save(STAMP, {"lobby": 2})
        monkeypatch.undo()
        assert kept.positions == {"lobby": 1}
        assert sorted(file.name for file in path.parent.iterdir()) == ["place", "place.lock"]
        kept.save(STAMP, {"lobby": 2})
    with ResumeFile(path) as again:
        assert again.positions == {"lobby": 2}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"7",
        b"{}",
        b'{"v": 1}',
        b'{"v": 1, "run": "zz", "turn": 1, "positions": {}}',
        b'{"v": 1, "run": 5, "turn": 1, "positions": {}}',
        b'{"v": 1, "run": "00", "turn": null, "positions": {}}',
        b'{"v": 1, "run": "00", "turn": 1, "positions": []}',
        b'{"v": 1, "run": "00", "turn": 1, "positions": {"lobby": "x"}}',
        b'{"v": 1, "run": "0011223344556677", "turn": 1, "positions": {"lobby": -5}}',
        b'{"v": 1, "run": "0011223344556677", "turn": -1, "positions": {"lobby": 5}}',
        b'{"v": 1, "run": "0011223344556677", "turn": 1, "positions": {"lobby": 9999999999999999999}}',
        b'{"v": 1, "run": "00", "turn": 1, "positions": {"lobby": 5}}',
        b'{"v": 1, "run": "0011223344556677", "turn": 1e400, "positions": {"lobby": 5}}',
        b'{"v": 1, "run": "0011223344556677", "turn": true, "positions": {"lobby": 5}}',
        b'{"v": 1, "run": "0011223344556677", "turn": 1, "positions": {"lobby": true}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_resume_file_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for _ in range(2):  # the lock was let go of
        with pytest.raises(errors.DataUnusable, match="place is no resume file"):
            ResumeFile(path)
    assert path.read_bytes() == content


def test_a_file_of_another_version_is_left_as_it_is(path: Path) -> None:
    path.write_text('{"v": 2}')
    with pytest.raises(errors.DataUnusable, match="made by another version"):
        ResumeFile(path)
    assert path.read_text() == '{"v": 2}'


def test_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.DataUnusable, match="cannot use the resume file"):
        ResumeFile(tmp_path / "nowhere" / "place")
    with pytest.raises(errors.DataUnusable, match="cannot use the resume file"):
        ResumeFile(tmp_path / "file" / "place")
    (tmp_path / "folder").mkdir()
    with pytest.raises(errors.DataUnusable, match="cannot read the resume file"):
        ResumeFile(tmp_path / "folder")
