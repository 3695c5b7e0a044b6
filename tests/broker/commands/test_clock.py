"""The classic questions."""

from __future__ import annotations

import time

import pytest
from dialogue import Dialogue

from zchat.messages import Ask, Failed, Told


@pytest.mark.parametrize(
    ("word", "answer"), [("day", "Tuesday"), ("date", "2023-11-14"), ("time", "22:13:20 UTC"), ("DAY", "Tuesday")]
)
def test_in_utc(talk: Dialogue, word: str, answer: str) -> None:
    assert talk.visitor().asks(Ask(1, word, utc=True)) == [Told(1, answer)]


def test_in_the_brokers_zone(talk: Dialogue, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "AAA-09:30")
        time.tzset()
        answers = ann.asks(*(Ask(q, word) for q, word in enumerate(("day", "date", "time"))))
    time.tzset()
    assert answers == [Told(0, "Wednesday"), Told(1, "2023-11-15"), Told(2, "07:43:20 AAA")]
    assert bob.heard == []


def test_no_other_word(talk: Dialogue) -> None:
    (failed,) = talk.visitor().asks(Ask(7, "x" * 60_000))
    assert isinstance(failed, Failed)
    assert (failed.q, failed.code) == (7, "unknown-word")
    assert "day, date, time" in failed.detail
    assert len(failed.detail) < 100
