"""How far something is."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from zchat.cli import progress
from zchat.cli.progress import Progress


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(name="screen")
def _screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    made = _Screen()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=made))
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    return made


def test_a_terminal_shows_one_line_that_is_gone_at_the_end(screen: io.StringIO) -> None:
    with Progress() as shown:
        shown.tell("copying", 1000, 4000)
        shown.tell("checking", 0, 0)
    drawn = screen.getvalue().split("\r")
    assert drawn == ["", "copying: 1,000 of 4,000 (25 %)", f"{'checking':30}", " " * 8, ""]


def test_a_line_is_no_wider_than_the_terminal(screen: io.StringIO) -> None:
    with Progress() as shown:
        shown.tell("x" * 200, 1, 2)
    assert max(map(len, screen.getvalue().split("\r"))) == 39


def test_it_is_not_drawn_at_every_step(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE", 3600.0)
    with Progress() as shown:
        for done in range(100):
            shown.tell("copying", done, 100)
    assert "copying: 0 of 100" in screen.getvalue()
    assert "copying: 1 of" not in screen.getvalue()


def test_nothing_is_drawn_in_a_pipe_or_where_data_is(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with Progress(shown=False) as hidden:
        hidden.tell("copying", 1, 2)
    assert screen.getvalue() == ""
    pipe = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=pipe))
    with Progress() as shown:
        shown.tell("copying", 1, 2)
    assert pipe.getvalue() == ""


def test_a_terminal_that_is_gone_stops_nothing(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_text: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(screen, "write", gone)
    with Progress() as shown:
        shown.tell("copying", 1, 2)
        shown.tell("copying", 2, 2)
