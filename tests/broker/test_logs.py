"""The broker's log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from zchat.broker import logs


@pytest.fixture(name="log")
def _log() -> Iterator[logging.Logger]:
    """The broker's logger, as it was afterwards."""
    log = logging.getLogger("zchat")
    before = log.handlers[:], log.level, log.propagate
    yield logging.getLogger("zchat.broker")
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
