"""What may be asked, where nothing can be asked of a real broker: one that is older, or lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest

from zchat import errors
from zchat.address import Address, BadAddress
from zchat.client.questions import MOST, Questions
from zchat.links import Link
from zchat.messages import LinkInfo, LinkList, People, Reply, Request, RoomInfo, RoomList

T = TypeVar("T")


class Asked(Questions):
    """Answers with what it was given."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        make(1)
        return cast(T, self._answer)


class Endless(Questions):
    """Always has one more page.

    Args:
        page: gives it, by how many there were before.
    """

    def __init__(self, page: Callable[[int], Reply]) -> None:
        self._page = page
        self.asked: list[Request] = []

    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        self.asked.append(make(1))
        assert len(self.asked) <= 2000
        return cast(T, self._page(len(self.asked)))


LISTS: dict[str, tuple[Callable[[Questions], Any], Callable[..., Reply]]] = {
    "who": (lambda some: some.who(), lambda *all_: People(1, "", 1, 9, all_, True)),
    "who --all": (lambda some: some.last_seen(), lambda *all_: People(1, "", 1, 9, all_, True, (0,) * len(all_))),
    "links": (
        lambda some: some.links(),
        lambda *all_: LinkList(1, tuple(LinkInfo(one, "member", "lobby", 1, 0, "ann", False) for one in all_), True),
    ),
    "rooms": (
        lambda some: some.rooms(),
        lambda *all_: RoomList(1, tuple(RoomInfo(one, 1, 1, 0, None) for one in all_), True),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_without_end_ends(name: str) -> None:
    question, page = LISTS[name]
    endless = Endless(lambda number: page(f"{number:04}"))
    with pytest.raises(errors.Refusal, match="has no end"):
        question(endless)
    assert [getattr(asked, "after", None) for asked in endless.asked[:3]] == ["", "0001", "0002"]
    assert len(endless.asked) == MOST


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("page", [(), ("b", "a"), ("a", "b"), ("b", "b")], ids=["empty", "back", "again", "one"])
def test_a_list_that_does_not_go_on_ends(name: str, page: tuple[str, ...]) -> None:
    question, made = LISTS[name]
    endless = Endless(lambda _: made(*page))
    question(endless)
    assert len(endless.asked) <= 2


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
