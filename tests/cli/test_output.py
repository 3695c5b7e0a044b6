"""Lines for people and for programs."""

from __future__ import annotations

import json
import os
import time

import pytest

from zchat.cli import output
from zchat.client.events import Gap, Notice, Presence, Said
from zchat.messages import Message

MS = 1795255200123  # 2026-11-21T10:00:00.123Z


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    return None


def _said(text: str, *, name: str = "alice", action: bool = False, private: bool = False, mine: bool = False) -> Said:
    room = "@bob" if private else "lobby"
    return Said(room, Message(7, MS, name, b"12345678", 1, text, action), mine, private)


@pytest.mark.parametrize(
    ("said", "room", "line"),
    [
        (_said("hi"), "", "10:00:00 alice: hi"),
        (_said("hi"), "lobby", "10:00:00 [lobby] alice: hi"),
        (_said("waves", action=True), "", "10:00:00 * alice waves"),
        (_said("psst", private=True), "@bob", "10:00:00 [private] alice: psst"),
        (_said("psst", private=True, mine=True), "@bob", "10:00:00 [to bob] alice: psst"),
        (_said("one\nbob: two"), "", "10:00:00 alice: one\n         bob: two"),
        (_said("\x1b]52;c;x\x07", name="e\u202evil"), "", "10:00:00 e\ufffdvil: ␛]52;c;x␇"),
    ],
)
def test_said_for_people(said: Said, room: str, line: str) -> None:
    assert output.said_line(said, room) == line


def test_said_for_programs_has_its_fields_in_order() -> None:
    assert output.said_json(_said('"\n')) == (
        '{"v":1,"kind":"message","room":"lobby","seq":7,"time":"2026-11-21T10:00:00.123Z","from":"alice","text":"\\"\\n"}'
    )
    assert json.loads(output.said_json(_said("x", action=True)))["action"] is True


def test_presence() -> None:
    event = Presence("lobby", 3, ("a",), ("b",), ("c\x1b",), (("d", "e"),))
    assert output.presence_lines(event) == ["a joined", "b left", "c␛ was lost", "d is now known as e"]
    assert json.loads(output.presence_json(event)) == {
        "v": 1,
        "kind": "presence",
        "room": "lobby",
        "count": 3,
        "joined": ["a"],
        "left": ["b"],
        "lost": ["c\x1b"],
        "renamed": [["d", "e"]],
    }


@pytest.mark.parametrize(
    ("gap", "line"),
    [
        (Gap("lobby", 5, 9), "lobby: messages 5 to 9 can no longer be had"),
        (Gap("lobby", 5, 5), "lobby: message 5 can no longer be had"),
        (Gap("lobby", 5, None), "lobby: the broker's log began anew; what came after message 4 can no longer be had"),
    ],
)
def test_gaps(gap: Gap, line: str) -> None:
    assert output.gap_line(gap) == line
    assert json.loads(output.gap_json(gap))["last"] == gap.last


def test_notice() -> None:
    assert output.notice_line(Notice(MS, "operator", "a\nb")) == "10:00:00 -- operator: a\n         b"
