"""Where a broker is, and what is needed to talk to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from zchat.address import Address, BadAddress
from zchat.client import keys
from zchat.client.places import Place, place
from zchat.errors import BrokerChanged
from zchat.links import Link

HERE = Address("chat.example.org", 7777)
KEY, OTHER, INVITE = bytes(range(32)), bytes(32), bytes(16)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ZCHAT_URL", raising=False)


def test_an_address_is_plaintext_until_its_broker_was_joined() -> None:
    assert place(str(HERE)) == Place(HERE)
    keys.remember(HERE, KEY)
    assert place(str(HERE)) == Place(HERE, KEY)


def test_a_link_says_it_all_and_the_invitation_is_not_shown() -> None:
    found = place(str(Link(HERE, "dev", KEY, INVITE)))
    assert found == Place(HERE, KEY, "dev", INVITE)
    assert "invite" not in repr(found)
    assert keys.remembered(HERE) is None  # it has not proved anything yet


def test_what_the_environment_names_comes_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place().address == Address("127.0.0.1", 5555)
    monkeypatch.setenv("ZCHAT_URL", str(Link(HERE, "dev", KEY)))
    assert place() == Place(HERE, KEY, "dev")


def test_a_link_to_a_broker_that_changed_stops() -> None:
    keys.remember(HERE, KEY)
    assert place(str(Link(HERE, "dev", KEY))).key == KEY
    with pytest.raises(BrokerChanged):
        place(str(Link(HERE, "dev", OTHER)))


@pytest.mark.parametrize("url", ["tcp://h:0", "no url", "zchat://h/lobby", "zchat:h?key=x"])
def test_what_is_neither_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        place(url)
