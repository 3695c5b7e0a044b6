"""What a request over HTTP asks for, and how an answer looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zchat.broker import web
from zchat.broker.web import Answer, Asked, rendered, understood

HERE = "Host: 127.0.0.1:8080\r\n"


def status(data: bytes) -> int | None:
    """With what a request is refused; None if more has to come, and 200 if it is not."""
    found = understood(data)
    return None if found is None else found.status if isinstance(found, Answer) else 200


def get(fields: str = HERE, first: str = "GET /metrics HTTP/1.1") -> bytes:
    return f"{first}\r\n{fields}\r\n".encode("latin-1")


def test_a_request_is_understood() -> None:
    assert understood(get()) == Asked("/metrics", bare=False)
    assert understood(get(first="HEAD /healthz?a=b HTTP/1.1")) == Asked("/healthz", bare=True)
    assert understood(b"\r\n" + get()) == Asked("/metrics", bare=False)
    assert understood(get().replace(b"\r\n", b"\n")) == Asked("/metrics", bare=False)
    assert understood(get("", "GET / HTTP/1.0")) == Asked("/", bare=False)
    assert understood(get(f"{HERE}User-Agent: Prometheus/2\r\nAccept:\ttext/plain \r\nContent-Length: 0\r\n")) == Asked(
        "/metrics", bare=False
    )


def test_what_is_not_whole_is_waited_for() -> None:
    whole = get()
    assert all(understood(whole[:length]) is None for length in range(len(whole)))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8080"]
)
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert status(get(f"Host: {host}\r\n")) == 200


@pytest.mark.parametrize(
    "host",
    [*("evil.example", "10.0.0.1", "[::2]:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "::1", "a b")],
)
def test_other_hosts_are_not_served(host: str) -> None:
    assert status(get(f"Host: {host}\r\n")) == 403


def test_web_pages_are_not_served() -> None:
    assert status(get(f"{HERE}Origin: http://localhost:8080\r\n")) == 403


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        get(first="GET /metrics"),
        get(first="GET  /metrics HTTP/1.1"),
        get(first="GET /metrics HTTP/2.0"),
        get(first="GET /metr\x01ics HTTP/1.1"),
        get(first="GET http://127.0.0.1/metrics HTTP/1.1"),
        get(first="GET * HTTP/1.1"),
        get(""),
        get(HERE + HERE),
        get(f"{HERE}no colon\r\n"),
        get(f"{HERE}Space : before\r\n"),
        get(f"{HERE}X: a\r\n folded\r\n"),
        get(f"{HERE}X: \x00\r\n"),
        get(f"{HERE}X: a\rb\r\n"),
        get(f"{HERE}Content-Length: 5\r\n"),
        get(f"{HERE}Transfer-Encoding: chunked\r\n"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    assert status(data) == 400


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE", "get"])
def test_other_methods_are_refused(method: str) -> None:
    found = understood(get(first=f"{method} /metrics HTTP/1.1"))
    assert isinstance(found, Answer)
    assert found.status == 405
    assert b"\r\nAllow: GET, HEAD\r\n" in rendered(found)


def test_a_head_is_bounded() -> None:
    fits = get(f"{HERE}X: {'x' * (web.HEAD - len(get(HERE)) - 5)}\r\n")
    assert len(fits) == web.HEAD
    assert status(fits) == 200
    assert status(fits[:-1]) is None
    assert status(fits.replace(b"X:", b"X: ")) == 431
    assert status(b"\r\n" * web.HEAD) == 431
    assert status(b"x" * (web.HEAD - 1)) is None


def test_an_answer_says_how_long_it_is_and_that_it_is_the_last() -> None:
    text = "späte\n"
    whole = rendered(Answer(200, text))
    head, _, body = whole.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert {b"Content-Length: 7", b"Connection: close", b"Cache-Control: no-store"} <= set(head.split(b"\r\n"))
    assert body.decode() == text
    assert rendered(Answer(200, text), bare=True) == head + b"\r\n\r\n"
    assert b"Access-Control" not in whole


@given(st.binary(max_size=300))
def test_whatever_comes_is_answered_or_waited_for(data: bytes) -> None:
    for asked in (data, get() + data, b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n"):
        found = understood(asked)
        assert found is None or isinstance(found, Asked) or rendered(found)
