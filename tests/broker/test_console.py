"""The operator's prompt."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from zchat.broker.console import GOODBYE, LINE, Console
from zchat.broker.inputs import Announce, Input, Shutdown


@pytest.fixture(name="pipe")
def _pipe() -> Iterator[tuple[Console, int]]:
    """A console that reads a pipe, and the end that types."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield Console(read), write
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


@pytest.mark.parametrize("word", [b"exit\n", b"QUIT\n", b"  Exit \n"])
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
    console = Console(read)
    assert console.read() == []
    assert console.closed


def test_a_terminal_of_another_session_is_not_read() -> None:
    master, slave = os.openpty()
    try:
        console = Console(slave)
        os.write(master, b"exit\n")
        assert not console.usable()
        assert console.read() == []
        assert not console.closed
    finally:
        os.close(master)
        os.close(slave)
