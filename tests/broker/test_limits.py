"""The bounds by name, and which of them a broker that runs takes over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialogue import Dialogue

from zchat import errors
from zchat.broker import limits
from zchat.broker.inputs import Gone
from zchat.broker.rates import Limits, Rate
from zchat.broker.settings import Settings
from zchat.messages import Ack, Refused, Send


def test_a_limit_is_a_number_of_its_kind_within_its_range() -> None:
    assert limits.checked("max-rooms", "7") == limits.checked("max-rooms", 7) == 7
    assert limits.checked("grace", 2) == limits.checked("grace", "2.0") == 2.0
    assert limits.apply(Settings(), {"max-rooms": 7, "grace": 2.0}) == Settings(max_rooms=7, grace=2.0)
    for name, value in (
        ("max-rooms", 7.0),
        ("max-rooms", ""),
        ("grace", None),
        ("grace", "x"),
        ("pub-port", 5),
        ("", 1),
    ):
        with pytest.raises(errors.BadConfig):
            limits.checked(name, value)


def test_what_clients_hold_on_to_stays() -> None:
    running = Settings(pub_port=7001, credit=64)
    wanted = Settings(credit=128, grace=3.0, banner="new")
    assert limits.kept(running, wanted) == (
        Settings(pub_port=7001, credit=64, grace=3.0, banner="new"),
        ["credit"],
    )


def test_a_rate_is_written_and_read() -> None:
    assert limits.rate_checked("creations", limits.rate_defaults()["creations"]) == Limits().creations
    assert limits.rate_checked("messages", limits.rate_text(None)) is None
    assert limits.rate_checked("bytes", limits.rate_text(Rate(123456789, 0.125))) == Rate(123456789, 0.125)


def test_a_hub_goes_by_other_bounds_at_once(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    talk.hub.reload(replace(talk.settings, text_limit=3))
    (refused,) = ann.asks(Send(1, "lobby", "four"))
    assert isinstance(refused, Refused)
    assert refused.code == "too-long"
    talk.hub.reload(replace(talk.settings, rates=Limits(messages=Rate(1, 0.001))))
    answers = ann.asks(Send(2, "lobby", "four"), Send(3, "lobby", "five"))
    assert {getattr(one, "code", "acknowledged") for one in answers} == {"acknowledged", "rate-limited"}
    talk.hub.reload(talk.settings)
    assert isinstance(ann.asks(Send(3, "lobby", "five"))[-1], Ack)


def test_a_grace_that_is_shorter_now_holds_for_who_is_away_already(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    talk.turn(Gone(ann.id))
    talk.turn(after=0.9)
    assert len(talk.hub.sessions) == 2
    talk.hub.reload(replace(talk.settings, grace=0.5))
    talk.turn(Gone(bob.id))
    assert len(talk.hub.sessions) == 1
    talk.turn(after=0.6)
    assert len(talk.hub.sessions) == 0
