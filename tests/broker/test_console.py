"""The operator's prompt."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from zchat.broker.console import LINE, Console
from zchat.broker.inputs import GOODBYE, Announce, Input, Ordered, Shutdown
from zchat.verbs import CONSOLE


def console_of(fd: int) -> Console:
    """A console that keeps what the operator is told."""
    console = Console(fd, lambda lines: TOLD.extend(lines), lambda: ["#1 alice banned bob"])
    TOLD.clear()
    return console


TOLD: list[str] = []


@pytest.fixture(name="pipe")
def _pipe() -> Iterator[tuple[Console, int]]:
    """A console that reads a pipe, and the end that types."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield console_of(read), write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            pass


def typed(pipe: tuple[Console, int], data: bytes) -> list[Input]:
    console, write = pipe
    os.write(write, data)
    return console.read()


def test_lines_are_told_to_everybody(pipe: tuple[Console, int]) -> None:
    assert typed(pipe, b"hello\r\n  tea?  \n\n \nhalf") == [Announce("hello"), Announce("tea?")]
    assert typed(pipe, b" a line\n") == [Announce("half a line")]


def test_a_slash_begins_an_order_and_two_a_line_with_one(pipe: tuple[Console, int]) -> None:
    given = typed(pipe, b"/ban bob --for 1h spam and eggs\n/people\n//shrug\n/announce tea --for all\n")
    people, tea = Ordered("people"), Ordered("announce", text="tea --for all")
    assert given == [Ordered("ban", "bob", 3600, "spam and eggs"), people, Announce("/shrug"), tea]
    assert TOLD == []


def test_what_is_wrong_with_an_order_is_told_at_once(pipe: tuple[Console, int]) -> None:
    assert typed(pipe, b"/ban\n/bna bob\n/ban bob --for ever\n/block bob\n") == []
    assert [line.split(":")[0] for line in TOLD] == [
        "write it as /ban NAME [--for TIME] [REASON]",
        "unknown command /bna",
        "ever is no time",
        "unknown command /block",
    ]


def test_help_and_the_audit_log_are_shown_at_once(pipe: tuple[Console, int]) -> None:
    assert typed(pipe, b"/audit\n/help kick\n") == []
    assert TOLD[0] == "#1 alice banned bob"
    assert TOLD[1].startswith("/kick NAME [REASON] ")
    TOLD.clear()
    assert typed(pipe, b"/help\n") == []
    assert {line.split()[0] for line in TOLD[:-1]} == {f"/{name}" for name in CONSOLE}


@pytest.mark.parametrize("word", [b"exit\n", b"QUIT\n", b"  Exit \n", b"/quit\n"])
def test_exit_stops_the_broker(pipe: tuple[Console, int], word: bytes) -> None:
    assert typed(pipe, word) == [Shutdown(GOODBYE)]


def test_nothing_typed_is_nothing(pipe: tuple[Console, int]) -> None:
    console, _ = pipe
    assert console.usable()
    assert console.read() == []
    assert not console.closed


def test_its_end_closes_the_console_not_the_broker(pipe: tuple[Console, int]) -> None:
    console, write = pipe
    os.write(write, b"last words")
    assert console.read() == []
    os.close(write)
    assert console.read() == [Announce("last words")]
    assert console.closed
    assert not console.usable()
    assert console.read() == []


def test_a_line_without_end_is_cut_up(pipe: tuple[Console, int]) -> None:
    said: list[Input] = []
    for _ in range(12):
        said += typed(pipe, b"x" * 4096)
    assert all(isinstance(item, Announce) and 0 < len(item.text) <= LINE for item in said)
    assert sum(len(item.text) for item in said if isinstance(item, Announce)) >= 2 * LINE


def test_what_is_no_text_is_still_a_line(pipe: tuple[Console, int]) -> None:
    assert typed(pipe, b"\xff\xfe\n") == [Announce("\ufffd\ufffd")]


def test_a_descriptor_that_is_gone() -> None:
    read, write = os.pipe()
    os.close(write)
    os.close(read)
    console = console_of(read)
    assert console.read() == []
    assert console.closed


def test_a_terminal_of_another_session_is_not_read() -> None:
    master, slave = os.openpty()
    try:
        console = console_of(slave)
        os.write(master, b"exit\n")
        assert not console.usable()
        assert console.read() == []
        assert not console.closed
    finally:
        os.close(master)
        os.close(slave)
