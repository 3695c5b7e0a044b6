"""Where a broker is, and what is needed to talk to it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from zchat.address import Address, BadAddress, parse
from zchat.client import keys
from zchat.client.places import Place, place
from zchat.errors import BrokerChanged, BrokerUnknown, KeyUnusable, Unreachable
from zchat.links import Link

HERE = Address("chat.example.org", 7777)
LOOPBACK = ["127.0.0.1", "127.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "localhost", "LocalHost"]
KEY, OTHER, INVITE = bytes(range(32)), bytes(32), bytes(16)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ZCHAT_URL", raising=False)


@pytest.fixture(name="names")
def _names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names stand for, in place of what a resolver says of them."""
    table: dict[str, list[str]] = {}
    ask = socket.getaddrinfo

    def asked(host: str, port: int, **given: Any) -> list[Any]:
        if not host.endswith(".example.org"):
            return list(ask(host, port, **given))
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [entry for number in table[host] for entry in ask(number, port, **given)]

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    return table


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_is_spoken_to_in_plaintext_until_its_broker_was_joined(host: str) -> None:
    where = parse(f"tcp://{host}:7777")
    assert place(str(where)) == Place(where)
    keys.remember(where, KEY)
    assert place(str(where)) == Place(where, KEY)


@pytest.mark.parametrize("host", ["192.0.2.7", "[2001:db8::7]", "[::ffff:192.0.2.7]", "0.0.0.0", "[::]", "1"])
def test_another_machine_is_spoken_to_in_plaintext_only_if_that_is_said(host: str) -> None:
    with pytest.raises(BrokerUnknown, match=rf"`zchat join LINK`.* write plain://{host.replace('[', '.')[:3]}"):
        place(f"tcp://{host}:7777")
    for url in (f"plain://{host}:7777", f" PLAIN://{host}:7777\n"):
        assert place(url) == Place(parse(f"{host}:7777"), plain=True)


def test_a_name_is_this_machine_if_it_stands_for_nothing_else(names: dict[str, list[str]]) -> None:
    names[HERE.host] = ["127.0.0.1", "::1"]
    assert place(str(HERE)) == Place(HERE)
    for others in (["192.0.2.7"], ["127.0.0.1", "192.0.2.7"], ["::1", "2001:db8::7"]):
        names[HERE.host] = others
        with pytest.raises(BrokerUnknown, match=r"nothing is known of the broker at tcp://chat\.example\.org:7777"):
            place(str(HERE))
    assert place("plain://chat.example.org:7777") == Place(HERE, plain=True)


def test_a_name_that_stands_for_nothing_is_told_at_once(names: dict[str, list[str]]) -> None:
    with pytest.raises(Unreachable, match=r"cannot resolve chat\.example\.org"):
        place(str(HERE))
    assert place("plain://chat.example.org:7777").plain  # that may become known
    keys.remember(HERE, KEY)
    assert place(str(HERE)) == Place(HERE, KEY)


@pytest.mark.parametrize("joined", ["localhost", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("host", [*LOOPBACK, "0.0.0.0", "[::]"])
def test_a_broker_that_was_joined_is_known_however_its_address_is_written(joined: str, host: str) -> None:
    keys.remember(parse(f"{joined}:7777"), KEY)
    where = parse(f"tcp://{host}:7777")
    assert place(str(where)) == Place(where, KEY)
    with pytest.raises(BrokerChanged, match=r"nothing is said to it in plaintext.*zchat keys forget") as raised:
        place(f"plain://{host}:7777")
    named = str(raised.value).split("zchat keys forget ")[1].partition("`")[0]
    assert place(f"plain://{host}:7778").key is None  # that is another broker
    assert keys.forget(parse(named))
    assert place(f"plain://{host}:7777") == Place(where, plain=True)


def test_a_broker_that_was_joined_by_name_is_known_by_its_numbers(names: dict[str, list[str]]) -> None:
    names[HERE.host] = names["other.example.org"] = ["192.0.2.7", "2001:db8::7"]
    keys.remember(HERE, KEY)
    keys.remember(Address("gone.example.org", 7777), OTHER)  # stands for nothing any more
    for host in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7", "2001:db8:0::7", "other.example.org"):
        assert place(str(Address(host, 7777))).key == KEY, host
        with pytest.raises(BrokerChanged, match=r"forget chat\.example\.org:7777`"):
            place(f"plain://{str(Address(host, 7777)).removeprefix('tcp://')}")
    with pytest.raises(BrokerUnknown):
        place("tcp://192.0.2.8:7777")


def test_two_brokers_at_one_address_are_not_chosen_from(names: dict[str, list[str]]) -> None:
    names[HERE.host] = names["other.example.org"] = ["192.0.2.7"]
    keys.remember(HERE, KEY)
    keys.remember(Address("other.example.org", 7777), OTHER)
    for scheme in ("tcp", "plain"):
        with pytest.raises(KeyUnusable, match=r"as chat\.\S+ and as other\.\S+, with two keys"):
            place(f"{scheme}://192.0.2.7:7777")
    assert place(str(HERE)).key == KEY


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


@pytest.mark.parametrize(
    "url",
    [
        "tcp://h:0",
        "no url",
        "zchat://h/lobby",
        "zchat:h?key=x",
        "plain://",
        "plain://h:0",
        "plain://tcp://h:1",
    ],
)
def test_what_is_neither_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        place(url)
