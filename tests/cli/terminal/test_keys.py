import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zchat.cli.terminal.keys import PASTE_LIMIT, Event, Key, Keys, Paste

BYTES = [b"\x1b", b"[", b"O", b"]", b"P", b"\\", b"\x07", b"1", b";5", b"A", b"D", b"~", b"b", b"\r", b"\x7f"]
PASTE_ENDS = [b"\x1b[200~", b"\x1b[201~"]
TEXTS = ["é".encode(), "日".encode(), "👩".encode(), b"\xff", b"\x9b"]
PIECES = st.sampled_from([*BYTES, *PASTE_ENDS, *TEXTS])
STREAMS = st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=40).map(b"".join))


def fed(*reads: bytes) -> list[Event]:
    keys = Keys()
    return [event for read in reads for event in keys.feed(read)]


def joined(events: list[Event]) -> list[Event]:
    """The events with neighbouring runs of text as one."""
    whole: list[Event] = []
    for event in events:
        if whole and isinstance(event, str) and isinstance(before := whole[-1], str):
            whole[-1] = before + event
        else:
            whole.append(event)
    return whole


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"hello\r", ["hello", Key.ENTER]),
        (b"\x01\x05\x15\x0b\x17", [Key.HOME, Key.END, Key.KILL_TO_START, Key.KILL_TO_END, Key.KILL_WORD]),
        (b"\x1b[A\x1bOA\x1b[B", [Key.UP, Key.UP, Key.DOWN]),
        (b"\x1b[H\x1b[1~\x1bOH\x1b[7~", [Key.HOME] * 4),
        (b"\x1b[F\x1b[4~\x1bOF\x1b[8~", [Key.END] * 4),
        (b"\x1b[3~\x1b[3;2~", [Key.DELETE] * 2),
        (b"\x1b[1;5D\x1b[5D\x1b[1;3D\x1bOd\x1bO5D\x1bb", [Key.WORD_LEFT] * 6),
        (b"\x1b[1;5C\x1bOc\x1bf", [Key.WORD_RIGHT] * 3),
        (b"\x1b[1;2D", [Key.LEFT]),
        (b"\x1b\x7f\x1b\r\x1bOM", [Key.KILL_WORD, Key.NEWLINE, Key.ENTER]),
    ],
)
def test_a_key_has_many_spellings(data: bytes, events: list[Event]) -> None:
    assert fed(data) == events


@pytest.mark.parametrize(
    "unknown",
    [
        b"\x1b[15~",
        b"\x1b[[A",
        b"\x1b[?62;1;6c",
        b"\x1b[<0;12;5M",
        b"\x1b[32;12;5M",
        b"\x1b[" + b"9" * 1000 + b"z",
        b"\x1b[1 q",
        b"\x1bOj",
        b"\x1b]11;rgb:ffff/ffff/ffff\x07",
        b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\",
        b"\x1bP>|XTerm(390)\x1b\\",
        b"\x1b[201~",
        b"\x00\x14\x1f",
        "\x9b".encode(),
    ],
)
def test_what_is_unknown_is_swallowed_whole(unknown: bytes) -> None:
    assert fed(b"a" + unknown + b"b") == ["ab"]


def test_a_character_may_come_in_two_reads() -> None:
    assert fed(b"\xe6\x97", b"\xa5") == ["日"]


def test_invalid_utf_8_shows() -> None:
    assert fed(b"a\xffb\xe6\r") == ["a\ufffdb\ufffd", Key.ENTER]


def test_an_escape_waits_for_what_comes_next() -> None:
    assert fed(b"\x1b") == []
    assert fed(b"\x1b", b"[", b"A") == [Key.UP]
    assert fed(b"\x1b", b"hello") == ["hello"]
    assert fed(b"\x1b", b"\x1b", b"[A") == [Key.UP]
    assert fed(b"\x1b", b"Please") == ["Please"]
    assert fed(b"\x1b", b"\x04") == [Key.DELETE_OR_END]


def test_a_sequence_that_breaks_off_eats_nothing() -> None:
    assert fed(b"\x1b[1;\rok") == [Key.ENTER, "ok"]
    assert fed("\x1b[1é".encode()) == ["é"]
    assert fed(b"\x1b]0;lost\rok") == [Key.ENTER, "ok"]
    assert fed(b"\x1b]0;lost\x1b[Aok") == [Key.UP, "ok"]
    assert fed(b"\x1bO\rok") == [Key.ENTER, "ok"]
    assert fed(b"\x1b[[\rok") == [Key.ENTER, "ok"]


def test_a_paste_is_one_piece() -> None:
    assert fed(b"a\x1b[200~one\r\x1b[Atwo\x1b[201~\r") == ["a", Paste("one\r\x1b[Atwo"), Key.ENTER]
    assert fed(b"\x1b[20", b"0~on", b"e\x1b[20", b"1~") == [Paste("one")]


def test_a_paste_is_bounded() -> None:
    (event,) = fed(b"\x1b[200~", *[b"x" * 4096] * 32, b"\x1b[201~")
    assert event == Paste("x" * PASTE_LIMIT)
    (event,) = fed(b"\x1b[200~" + b"x" * (PASTE_LIMIT - 3) + b"\x1b[201~")
    assert event == Paste("x" * (PASTE_LIMIT - 3))


@given(STREAMS, st.lists(st.integers(0, 80)))
def test_it_does_not_matter_where_reads_end(stream: bytes, cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(stream)]
    reads = [stream[a:b] for a, b in pairwise(ends)]
    assert joined(fed(*reads)) == joined(fed(stream))


@given(STREAMS)
def test_typed_text_has_no_control_characters(stream: bytes) -> None:
    typed = "".join(event for event in fed(stream) if isinstance(event, str))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", typed)
