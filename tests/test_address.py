"""Addresses as users write them."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from zchat.address import Address, BadAddress, check_port, parse


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("tcp://127.0.0.1:5555", "127.0.0.1", 5555),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("tcp://chat.example.org", "chat.example.org", 5555),
        ("localhost", "localhost", 5555),
        (" tcp://localhost:65535/ ", "localhost", 65535),
        ("tcp://[::1]:0", "::1", 0),
        ("[fe80::1%eth0]", "fe80::1%eth0", 5555),
        ("tcp://0.0.0.0:00080", "0.0.0.0", 80),
    ],
)
def test_what_is_an_address(url: str, host: str, port: int) -> None:
    assert parse(url) == Address(host, port)
    assert parse(str(parse(url))) == parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tcp://",
        ":5555",
        "::1",
        "tcp://::1:5555",
        "tcp://a b:1",
        "http://localhost:1",
        "tcp://localhost:",
        "tcp://localhost:x",
        "tcp://localhost:-1",
        "tcp://localhost:5555/path",
        "tcp://user@host:1",
        "tcp://a:1,b:2",
        "ipc:///tmp/x",
        "tcp://*:5555",
        "tcp://[::1",
        "tcp://localhost:1234567890",
        "a\nb",
    ],
)
def test_what_is_none_says_what_to_write(url: str) -> None:
    with pytest.raises(BadAddress, match="write tcp://HOST:PORT"):
        parse(url)


@pytest.mark.parametrize("port", [65536, 99999, 999_999_999])
def test_a_port_has_bounds(port: int) -> None:
    with pytest.raises(BadAddress, match=f"port {port} is out of range"):
        parse(f"localhost:{port}")
    with pytest.raises(BadAddress, match="out of range"):
        check_port(-1)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost", False),
        ("fe80::1%lo", False),
    ],
)
def test_loopback_is_told_by_number(host: str, loopback: bool) -> None:
    assert Address(host, 1).loopback is loopback


def test_version_six_is_written_in_brackets() -> None:
    assert str(Address("::1", 1)) == "tcp://[::1]:1"
    assert Address("::1", 1).six
    assert not Address("127.0.0.1", 1).six
    assert Address("::1", 1).at(2) == Address("::1", 2)


def test_version_four_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_args: Any, **_kw: Any) -> list[Any]:
        return [
            (socket.AF_INET6, 0, 0, "", ("::1", 7, 0, 0)),
            (socket.AF_INET, 0, 0, "", ("127.0.0.1", 7)),
            (socket.AF_INET, 0, 0, "", ("127.0.0.1", 7)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert Address("localhost", 7).resolve() == [Address("127.0.0.1", 7), Address("::1", 7)]


def test_numbers_resolve_to_themselves() -> None:
    assert Address("127.0.0.1", 7).resolve() == [Address("127.0.0.1", 7)]
    assert Address("::1", 0).resolve() == [Address("::1", 0)]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".example"])
def test_a_name_that_stands_for_nothing(host: str) -> None:
    with pytest.raises(BadAddress, match="cannot resolve"):
        Address(host, 1).resolve()
