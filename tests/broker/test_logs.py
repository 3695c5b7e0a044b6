"""The broker's log."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from zchat.broker import logs
from zchat.errors import BadOption


@pytest.fixture(name="log")
def _log() -> Iterator[logging.Logger]:
    """The broker's logger, as it was afterwards."""
    log = logging.getLogger("zchat")
    before = log.handlers[:], log.level, log.propagate
    yield logging.getLogger("zchat.broker")
    for handler in log.handlers:
        handler.close()
    log.handlers[:], log.level, log.propagate = before


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A monotonic clock that is moved by hand."""
    now = [100.0]
    monkeypatch.setattr("zchat.broker.logs.time.monotonic", lambda: now[0])
    return now


def test_a_line_has_time_and_level_and_goes_to_stderr(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start("info")
    logs.start("info")
    log.debug("hidden")
    log.info("ann %s", "joined")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO ann joined\n", err)


@pytest.mark.parametrize(("level", "burst"), [(logging.WARNING, 20), (logging.INFO, 100)])
def test_a_flood_is_held_back_and_counted(
    log: logging.Logger, clock: list[float], capsys: pytest.CaptureFixture[str], level: int, burst: int
) -> None:
    logs.start("debug")
    for n in range(1000):
        log.log(level, "flood %d", n)
    log.error("heard")
    assert len(capsys.readouterr().err.splitlines()) == burst + 1
    clock[0] += 9.9
    log.log(level, "still")
    assert capsys.readouterr().err == ""
    clock[0] += 0.2
    log.log(level, "after %d%%", 5)
    log.log(level, "again")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(f"after 5% (and {1001 - burst} more of its level before it)")
    assert second.endswith(" again")


def test_one_level_does_not_hold_back_another(
    log: logging.Logger, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    logs.start("info")
    for _ in range(1000):
        log.info("joined")
    log.warning("cut")
    assert capsys.readouterr().err.splitlines()[-1].endswith("WARNING cut")
    assert clock


@pytest.mark.parametrize("level", logs.LEVELS)
def test_every_level_is_one(log: logging.Logger, level: str) -> None:
    logs.start(level)
    assert log.isEnabledFor(logging.ERROR)
    assert log.isEnabledFor(logging.DEBUG) is (level == "debug")


# In a file ------------------------------------------------------------------------------------------------------------


def lines(path: Path) -> list[str]:
    """The texts of a log in a file."""
    return [line.split(" ", 2)[2] for line in path.read_text().splitlines()]


def test_a_file_is_made_for_its_owner_alone_and_appended_to(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "zchat.log"
    for text in ("one", "two"):
        logs.start("info", path=path)
        log.info(text)
    assert lines(path) == ["one", "two"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_moved_away_is_begun_anew(
    log: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, old = tmp_path / "zchat.log", tmp_path / "zchat.log.1"
    logs.start("info", path=path)
    log.info("one")
    path.rename(old)
    log.info("two")
    path.rename(tmp_path / "zchat.log.2")
    path.write_text("")  # as logrotate does with `create`
    log.info("three")
    path.unlink()
    log.info("four")
    assert (lines(old), lines(tmp_path / "zchat.log.2"), lines(path)) == (["one"], ["two"], ["four"])
    assert capsys.readouterr().err == ""


def test_a_file_that_was_cut_short_goes_on_at_its_end(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "zchat.log"
    logs.start("info", path=path)
    log.info("one")
    os.truncate(path, 0)  # as logrotate does with `copytruncate`
    log.info("two")
    assert lines(path) == ["two"]


@pytest.mark.parametrize("name", ["gone/zchat.log", ".", "pipe"])
def test_a_file_that_cannot_be_written_is_refused(log: logging.Logger, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadOption, match=rf"cannot write the log {tmp_path}.*; name a file that can be written$"):
        logs.start("info", path=tmp_path / name)
    assert not list(tmp_path.glob("*.log"))


def test_what_cannot_be_written_goes_to_stderr_until_it_can(
    log: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, away = tmp_path / "log", tmp_path / "away"
    folder.mkdir()
    path = folder / "zchat.log"
    logs.start("info", path=path)
    log.info("one")
    folder.rename(away)
    log.info("two")
    log.info("three")
    said, two, three = capsys.readouterr().err.splitlines()
    assert said == f"zchat: cannot write the log {path} (No such file or directory), so it goes on here"
    assert two.endswith(" INFO two")
    assert three.endswith(" INFO three")
    away.rename(folder)
    log.info("four")
    log.info("five")
    assert lines(path) == ["one", "lines before this one that went to stderr: 2", "four", "five"]
    assert capsys.readouterr().err == ""


def test_on_a_full_disk_no_line_is_lost_and_none_is_torn_for_good(
    log: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "zchat.log"
    logs.start("info", path=path)
    log.info("one")
    write, room = os.write, [10]
    monkeypatch.setattr("zchat.broker.logs.os.write", lambda fd, data: write(fd, data[: room[0]]))
    log.info("two")
    assert capsys.readouterr().err.splitlines()[1].endswith(" INFO two")
    room[0] = 1 << 20
    log.info("three")
    first, torn, told, last = path.read_text().splitlines()
    assert len(torn) == 10
    assert first.endswith("one")
    assert told.endswith("lines before this one that went to stderr: 1")
    assert last.endswith("three")


# As JSON --------------------------------------------------------------------------------------------------------------


def test_a_line_may_be_an_object(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start("info", "json")
    log.warning("cut %s", "é\x1b[2J\n{", extra={"address": "127.0.0.1:5"})
    log.info("plain")
    logs.note("error", "100%")
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.isprintable()
    found = json.loads(first)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {"level": "warning", "text": "cut é\x1b[2J\n{", "address": "127.0.0.1:5"}
    assert list(json.loads(second)) == ["time", "level", "text"]
    assert json.loads(third)["text"] == "100%"


def test_nothing_in_a_line_is_obeyed(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.start("info")
    log.info("%s", "a\x1b[2J\n2026-01-01T00:00:00.000Z INFO forged")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
