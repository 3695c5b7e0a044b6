"""What was done in rooms and who is in lists, as lines for people and for programs."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path

import pytest

from zchat import verbs
from zchat.cli import acted, output, rows
from zchat.client import events as heard
from zchat.messages import Acted, BanRow, Message, NameRow, PersonRow, RoomRow, RoomState, Row, SessionRow

sys.path.append(str(Path(__file__).resolve().parents[2]))

escapes = importlib.import_module("scripts.chaos_hostile_escapes")

MS = 1795255200123  # 2026-11-21T10:00:00.123Z

EVIL = "".join(escapes.CORPUS.values())


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    return None


def done(verb: str, whom: str = "", *, target: int = 0, seconds: int = 0, text: str = "", on: bool = True) -> Acted:
    return Acted(12, MS, "alice", bytes(8), 1, verb, whom, target, seconds, text, on)


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (done("create"), "alice made the room"),
        (done("topic", text="ships"), "alice set the topic: ships"),
        (done("topic"), "alice took the topic away"),
        (done("invite", "bob"), "alice invited bob"),
        (done("kick", "bob", text="spam"), "alice kicked bob: spam"),
        (done("ban", "bob", seconds=3600, text="spam"), "alice banned bob for 1 h: spam"),
        (done("ban", "bob"), "alice banned bob"),
        (done("unban", "bob"), "alice lifted the ban of bob"),
        (done("mute", "bob", seconds=90), "alice muted bob for 90 s"),
        (done("unmute", "bob"), "alice unmuted bob"),
        (done("op", "bob"), "alice made bob a moderator"),
        (done("deop", "bob"), "alice made bob a moderator no longer"),
        (done("readonly"), "alice lets only moderators speak"),
        (done("readonly", on=False), "alice lets everybody speak"),
        (done("slow", seconds=30), "alice set 30 s between two messages"),
        (done("slow"), "alice ended the slow mode"),
        (done("pin", target=7), "alice pinned #7"),
        (done("unpin", target=7), "alice unpinned #7"),
        (done("react", target=7, text=":+1:"), "alice reacted :+1: to #7"),
        (done("unreact", target=7, text=":+1:"), "alice took :+1: back from #7"),
        (done("leave"), "alice left the room for good"),
        (done("announce", text="tea"), "alice announced: tea"),
        (done("drain"), "alice stopped the broker"),
        (done("bot", "helper[bot]"), "alice answers for the bot helper[bot]"),
        (done("frobnicate", "bob", text="why not"), "alice did frobnicate to bob: why not"),
    ],
)
def test_phrases(act: Acted, line: str) -> None:
    assert acted.phrase(act) == line


def test_every_verb_has_a_phrase_of_its_own() -> None:
    logged = [*verbs.ACTS.values(), *verbs.ADMIN.values()]
    assert not [verb.name for verb in logged if f"did {verb.name}" in acted.phrase(done(verb.name, "bob", text="x"))]


def test_where_it_is_done_goes_without_saying_in_the_current_room() -> None:
    event = heard.Acted("lobby", done("pin", target=7), mine=False)
    assert acted.acted_line(event) == "10:00:00 alice pinned #7"
    assert acted.acted_line(event, "lobby") == "10:00:00 [lobby] alice pinned #7"
    private = heard.Acted("@bob", done("pin", target=7), mine=True, private=True)
    assert acted.acted_line(private, "@bob") == "10:00:00 [to bob] alice pinned #7"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (heard.Removed("lobby", "kick", "alice", 0, "spam"), "you were kicked from lobby by alice: spam"),
        (heard.Removed("lobby", "ban", "alice", 3600), "you were banned from lobby by alice for 1 h"),
        (heard.Removed("lobby", "ban", ""), "you were banned from lobby"),
        (heard.Removed("+plans", "leave", "bob"), "you left +plans"),
    ],
)
def test_removed_is_told(event: heard.Removed, line: str) -> None:
    assert acted.removed_line(event) == line
    assert json.loads(acted.removed_json(event))["verb"] == event.verb


def test_acts_for_programs_have_the_fields_of_their_verbs() -> None:
    time = '"time":"2026-11-21T10:00:00.123Z"'
    assert acted.acted_json("lobby", done("ban", "bob", text="spam")) == (
        f'{{"v":1,"kind":"acted","room":"lobby","seq":12,{time},"from":"alice",'
        '"verb":"ban","whom":"bob","seconds":0,"text":"spam"}'
    )
    fields = {verb: set(json.loads(acted.acted_json("lobby", done(verb)))) for verb in verbs.ACTS}
    common = {"v", "kind", "room", "seq", "time", "from", "verb"}
    assert fields["create"] == common
    assert fields["react"] == common | {"target", "text"}
    assert fields["readonly"] == common | {"on"}
    assert fields["slow"] == common | {"seconds"}


def test_replies_and_bots_are_marked() -> None:
    message = Message(7, MS, "helper[bot]", bytes(8), 1, "yes", reply=3)
    assert output.history_line(message) == "#7 2026-11-21 10:00:00 helper[bot]: (answers #3) yes"
    fields = json.loads(output.message_json("lobby", message))
    assert (fields["reply"], fields["bot"]) == (3, True)
    other = json.loads(output.message_json("lobby", Message(7, MS, "ann", bytes(8), 1, "yes")))
    assert not {"reply", "bot"} & set(other)


def test_how_things_are_in_a_room() -> None:
    state = RoomState(1, "+plans", "what", "ann", MS, "ann", ("bob",), ("ann", "bob"), True, 30, (3, 7))
    assert acted.about_lines(state) == [
        "the topic: what (set by ann, 2026-11-21 10:00:00)",
        "made by ann",
        "moderators: bob",
        "members: ann, bob",
        "only moderators speak here",
        "30 s between two messages of one person",
        "pinned: #3, #7",
    ]
    assert acted.about_lines(RoomState(1, "lobby")) == ["there is no topic"]
    assert json.loads(acted.about_json(state))["pins"] == [3, 7]


ROWS: list[tuple[Row, list[str], str]] = [
    (
        BanRow("bob ban", "bob", "ban", MS, "ann", MS, "spam"),
        ["bob", "ban", "2026-11-21 10:00:00", "ann", "2026-11-21 10:00:00", "spam"],
        "bob banned until 2026-11-21 10:00:00 by ann: spam",
    ),
    (
        BanRow("bob mute", "bob", "mute", 0, "ann", MS, ""),
        ["bob", "mute", "-", "ann", "2026-11-21 10:00:00", "-"],
        "bob muted for good by ann",
    ),
    (RoomRow("lobby", "lobby", 2, 0, 9, 0, ""), ["lobby", "2", "-", "9", "-", "-"], "lobby 2 - 9 - -"),
    (
        PersonRow("ann", "owner", 1, MS),
        ["ann", "owner", "1", "2026-11-21 10:00:00", "-"],
        "ann owner 1 2026-11-21 10:00:00 -",
    ),
    (
        SessionRow("aa", "", 2, False, MS, "abcd"),
        ["-", "2", "-", "2026-11-21 10:00:00", "abcd"],
        "- 2 - 2026-11-21 10:00:00 abcd",
    ),
    (NameRow("bob"), ["bob"], "bob"),
]


@pytest.mark.parametrize(("row", "cells", "line"), ROWS)
def test_rows(row: Row, cells: list[str], line: str) -> None:
    assert rows.cells(row) == cells
    assert rows.line(row) == line
    assert json.loads(rows.json_line(row))["v"] == 1


def _evil() -> list[str]:
    """Everything that is shown of what a hostile one fills with what steers terminals."""
    acts = [Acted(1, 0, EVIL, bytes(8), 1, verb, EVIL, 1, 1, EVIL, room=EVIL) for verb in (*verbs.ACTS, EVIL)]
    shown = [
        line for act in acts for line in (acted.history_line(act), acted.audit_line(act), acted.acted_json(EVIL, act))
    ]
    shown += [acted.acted_line(heard.Acted(f"+{EVIL}", act, mine=False), EVIL) for act in acts]
    for verb in ("kick", "ban", "leave", EVIL):
        removed = heard.Removed(EVIL, verb, EVIL, 1, EVIL)
        shown += [acted.removed_line(removed), acted.removed_json(removed)]
    state = RoomState(1, EVIL, EVIL, EVIL, 1, EVIL, (EVIL,), (EVIL,), True, 1, (1,))
    shown += [*acted.about_lines(state), acted.about_json(state), acted.topic_line(EVIL, EVIL, 0)]
    made: list[Row] = [BanRow(EVIL, EVIL, EVIL, 1, EVIL, 1, EVIL), PersonRow(EVIL, EVIL, 1, 1, EVIL)]
    made += [SessionRow(EVIL, EVIL, 1, True, 1, EVIL), RoomRow(EVIL, EVIL, 1, 1, 1, 1, EVIL), NameRow(EVIL)]
    for row in made:
        shown += [rows.line(row), rows.json_line(row), *rows.cells(row)]
    return shown


def test_nothing_that_is_shown_steers_a_terminal() -> None:
    for line in _evil():
        assert "\n" not in line
        assert escapes.found(f"{line}\n".encode()) == [], line
