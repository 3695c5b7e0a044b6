"""What may be asked, where nothing can be asked of a real broker: one that is older, or lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest

from zchat import errors
from zchat.address import Address, BadAddress
from zchat.client.questions import Questions
from zchat.links import Link
from zchat.messages import People

T = TypeVar("T")


class Asked(Questions):
    """Answers with what it was given."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        make(1)
        return cast(T, self._answer)


def test_a_broker_that_does_not_tell_who_is_away_is_not_believed() -> None:
    with pytest.raises(errors.Refusal, match="does not tell who is away"):
        Asked(People(1, "", 1, 1, ("ann",), False)).last_seen()


def test_a_time_that_cannot_be_is_the_latest_that_can() -> None:
    people = People(1, "", 1, 2, ("ann", "bob"), False, (0, 2**63 - 1))
    ann, bob = Asked(people).last_seen().values()
    assert ann is None
    assert bob is not None
    assert bob.year == 9999


@pytest.mark.parametrize(
    "given", [{}, {"name": "ann", "link": "x"}, {"link": "x", "undo": True}], ids=["neither", "both", "undo"]
)
def test_what_is_to_be_revoked_is_one_thing(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give a name, or a link"):
        Asked(None).revoke(**given)


def test_a_link_without_an_invitation_cannot_be_revoked() -> None:
    link = str(Link(Address("h", 1), "lobby", bytes(32)))
    with pytest.raises(BadAddress, match="nothing to revoke"):
        Asked(None).revoke(link=link)
