"""Who is here, and under which name."""

from __future__ import annotations

import pytest
from dialogue import Dialogue, presences

from zchat.messages import Failed, Named, Nick, People, Presence, Send, Who


def test_who_is_in_a_room(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    talk.person("bob", "den")
    assert ann.asks(Who(1, "#LOBBY")) == [People(1, "lobby", 1, 1, ("ann",), more=False)]
    assert ann.asks(Who(2, "den")) == [People(2, "den", 1, 1, ("bob",), more=False)]


def test_who_asks_on_after_a_name() -> None:
    talk = Dialogue(page=2)
    ann, *_ = (talk.person(name, "lobby") for name in ("c", "a", "b"))
    assert ann.asks(Who(1, "lobby")) == [People(1, "lobby", 3, 3, ("a", "b"), more=True)]
    assert ann.asks(Who(2, "lobby", "b")) == [People(2, "lobby", 3, 3, ("c",), more=False)]
    assert ann.asks(Who(3, "lobby", "zzz")) == [People(3, "lobby", 3, 3, (), more=False)]


def test_a_room_that_is_not_there_has_nobody(talk: Dialogue) -> None:
    ann = talk.person("ann")
    (failed,) = ann.asks(Who(1, "Nowhere"))
    assert isinstance(failed, Failed)
    assert failed.code == "no-such-room"
    assert "nowhere" not in talk.hub.rooms.by_name
    assert ann.refused(Who(2, "two words")) == "name-invalid"


def test_taking_another_name(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby", "den")
    assert ann.asks(Nick(1, " Anna ")) == [Named(1, "Anna")]
    for room in ("lobby", "den"):
        assert presences(talk.published(room)) == [Presence(2, 1, renamed=(("ann", "Anna"),))]
    assert ann.asks(Who(2)) == [People(2, "", talk.hub.rooms.everybody.version, 1, ("Anna",), more=False)]
    talk.month_passes()
    talk.person("ann")  # another person, since the name is free by now
    ann.says("as Anna")
    assert "name='Anna'" in str(talk.published().events)


def test_taking_the_name_one_has_is_no_change(talk: Dialogue) -> None:
    ann = talk.person("Ann", "lobby")
    assert ann.asks(Nick(1, "ANN")) == [Named(1, "Ann")]
    assert talk.effects.published == {}
    ann.asks(Nick(2, "Bob"))
    ann.asks(Nick(3, "ann"))
    assert ann.asks(Nick(4, "BOB")) == [Named(4, "Bob")]
    assert talk.stranger().hello_fails(name="Ann") == "name-taken"  # it is kept for her


@pytest.mark.parametrize(
    ("wanted", "code"), [("bob", "name-taken"), ("B0b", "name-taken"), ("admin", "name-invalid"), ("", "name-invalid")]
)
def test_a_name_that_cannot_be_had_changes_nothing(talk: Dialogue, wanted: str, code: str) -> None:
    ann = talk.person("ann", "lobby")
    talk.person("bob")
    assert ann.refused(Nick(1, wanted)) == code
    assert talk.effects.published == {}
    ann.says("still ann")
    assert "name='ann'" in str(talk.published().events)


def test_one_session_of_two_takes_another_name(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    other = talk.person("ann", "lobby", person=ann.person)
    ann.asks(Nick(1, "anna"))
    assert presences(talk.published()) == [Presence(2, 2, joined=("anna",))]
    assert other.refused(Nick(1, "operator")) == "name-invalid"
    other.asks(Nick(2, "Anna"))
    assert presences(talk.published()) == [Presence(3, 1, left=("ann",))]


def test_a_name_that_is_taken_is_refused_at_hello(talk: Dialogue) -> None:
    ann = talk.person("ann")
    for wanted, code in (
        ("ann", "name-taken"),
        ("Ann", "name-taken"),
        ("аnn", "name-taken"),
        ("broker", "name-invalid"),
    ):
        assert talk.stranger().hello_fails(name=wanted) == code
    assert len(talk.hub.sessions) == 1
    assert talk.person("ann", person=ann.person).name == "ann"


def test_a_visitor_has_no_name_to_change(talk: Dialogue) -> None:
    visitor = talk.visitor()
    assert visitor.refused(Nick(1, "ann")) == "name-needed"
    assert visitor.refused(Send(1, "lobby", "x")) == "name-needed"
