"""What goes before what, for all that the user may set."""

from __future__ import annotations

import itertools

import pytest

from zchat.address import DEFAULT_URL, Address
from zchat.cli.settings import SETTINGS, Origin, decide, shown
from zchat.links import Link, parse_link
from zchat.messages import LOBBY

LINK = str(Link(Address("chat.example.org", 5555), "dev", b"k" * 32, b"i" * 16))
WITHOUT = str(Link(Address("chat.example.org", 5555), "dev", b"k" * 32))

ORDER = ("flag", "environment", "context", "config")
NAMED = ("flag", "context", "environment", "config")


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("key", SETTINGS)
def test_what_is_said_first_in_order_holds(key: str, named: bool) -> None:
    for said in itertools.product([False, True], repeat=len(ORDER)):
        where = [place for place, so in zip(ORDER, said, strict=True) if so]
        layers = {place: {key: place} for place in where}
        found = decide(**layers, named=named)[key]
        first = next((place for place in (NAMED if named else ORDER) if place in where), None)
        if first is None:
            assert found == (SETTINGS[key].default, Origin.DEFAULT)
        else:
            assert found == (first, Origin(first))


def test_each_setting_is_decided_by_itself() -> None:
    found = decide(flag={"name": "a"}, environment={"name": "b", "url": "u"}, config={"identity": "c", "url": "v"})
    assert {key: tuple(one) for key, one in found.items()} == {
        "url": ("u", "environment"),
        "name": ("a", "flag"),
        "identity": ("c", "config"),
        "room": (LOBBY, "default"),
        "connect-timeout": (5.0, "default"),
    }


def test_the_empty_text_says_nothing_and_no_time_something() -> None:
    found = decide(flag={"url": "", "connect-timeout": 0.0}, environment={"url": None}, context={"url": "u"})
    assert found["url"] == ("u", Origin.CONTEXT)
    assert found["connect-timeout"] == (0.0, Origin.FLAG)


def test_a_link_says_a_room_where_it_is_said() -> None:
    assert decide(flag={"url": LINK}, environment={"room": "ops"})["room"] == ("dev", Origin.FLAG)
    assert decide(environment={"url": LINK}, context={"room": "ops"})["room"] == ("dev", Origin.ENVIRONMENT)
    assert decide(context={"url": LINK, "room": "ops"})["room"] == ("ops", Origin.CONTEXT)
    assert decide(flag={"room": "ops"}, context={"url": LINK})["room"] == ("ops", Origin.FLAG)
    assert decide(flag={"url": "zchat://none"}, config={"room": "ops"})["room"] == ("ops", Origin.CONFIG)


def test_no_invite_is_shown() -> None:
    assert shown(LINK) == WITHOUT
    assert parse_link(shown(LINK)).invite is None
    assert shown("zchat://half?invite=abc") == "zchat://…"
    assert [shown(value) for value in (None, 5.0, 2.5, DEFAULT_URL)] == ["-", "5", "2.5", DEFAULT_URL]


def test_every_setting_has_a_variable_of_its_own() -> None:
    assert all(one.variable == f"ZCHAT_{key.upper().replace('-', '_')}" for key, one in SETTINGS.items())
    assert not {one.variable for one in SETTINGS.values()} & {"ZCHAT_CONTEXT"}
    assert all(one.help for one in SETTINGS.values())
