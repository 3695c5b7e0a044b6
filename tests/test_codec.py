"""Bytes and back: what must survive, and what must not hurt."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zchat import codec, errors, messages
from zchat.messages import (
    Done,
    Event,
    Fenced,
    Head,
    Hello,
    Join,
    Message,
    Notice,
    Page,
    Ping,
    Presence,
    Private,
    Published,
    Read,
    Replies,
    Reply,
    Request,
    RoomInfo,
    RoomList,
    Send,
    Stamp,
    State,
    Told,
    Unreadable,
)

BIGGEST = 2**63 - 1
STAMP = Stamp(b"run12345", 7)
SECRET = b"s" * 16

packed = msgspec.msgpack.encode


def message(seq: int, text: str = "hi") -> Message:
    return Message(seq, 1_700_000_000_000, "ann", b"12345678", seq, text)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of the wire."""
    if kind is str:
        return st.text(max_size=20)
    if kind is bytes:
        return st.binary(max_size=20)
    if kind is bool:
        return st.booleans()
    if kind is float:
        return st.floats(0, 1e9)
    if hasattr(kind, "__metadata__"):
        base, meta = get_args(kind)
        return st.integers(0, BIGGEST) if base is int else st.binary(min_size=meta.min_length, max_size=meta.max_length)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{field.name: values(field.type) for field in msgspec.structs.fields(kind)})
    arguments = get_args(kind)
    if getattr(kind, "__origin__", None) is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(values(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, arguments))
    return st.one_of(*(st.none() if one is type(None) else values(one) for one in arguments))


# Round trips ---------------------------------------------------------------------------------------------------------


@given(st.lists(values(Request), max_size=5))
def test_requests_come_back_as_they_were(requests: list[Request]) -> None:
    (frame,) = codec.encode_requests(requests)
    assert codec.decode_requests(frame) == requests


@given(st.lists(values(Reply), max_size=5), values(Stamp))
def test_replies_come_back_as_they_were(items: list[Reply], stamp: Stamp) -> None:
    (frame,) = codec.encode_replies(stamp, items)
    assert codec.decode_replies(frame) == Replies(stamp, tuple(items))


@given(st.lists(values(Event), max_size=3), st.lists(values(State), max_size=3), values(Stamp))
def test_what_is_published_comes_back_as_it_was(events: list[Event], states: list[State], stamp: Stamp) -> None:
    (frame,) = codec.encode_published("den", stamp, [codec.encode_event(event) for event in events], states)
    assert codec.decode_published(frame) == ("den", Published(stamp, tuple(events), tuple(states)))


def test_tags_are_unlike() -> None:
    for union in (Request, Reply, State):
        tags = [kind.__struct_config__.tag for kind in get_args(union)]
        assert len(set(tags)) == len(tags)


# Bytes of any kind ---------------------------------------------------------------------------------------------------

NASTY = {
    "nothing": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "no batch": packed({"a": 1}),
    "a number": packed(5),
    "truncated": packed([Ping(1)])[:-1],
    "trailing": packed([Ping(1)]) + b"\0",
    "four billion items": b"\xdd\xff\xff\xff\xff",
    "a map of four billion": b"\x91\xdf\xff\xff\xff\xff",
    "text of four billion bytes": b"\x91\xdb\xff\xff\xff\xff",
    "a reserved byte": b"\xc1",
    "deep": b"\x91" * 60_000,
    "deep within": b"\x92\xa4ping" + b"\x91" * 60_000 + b"\x01",
    "deep maps": b"\x81\x00" * 60_000,
    "an extension": b"\x91\xd6\xff\xff\xff\xff\xff",
    "not UTF-8": b"\x91\x93\xa4join\x01\xa2\xc3\x28",
    "not UTF-8, as tag": b"\x91\x92\xa2\xc3\x28\x01",
}


@pytest.mark.parametrize("frame", NASTY.values(), ids=NASTY.keys())
def test_nasty_bytes_fail_in_one_way(frame: bytes) -> None:
    complaints = []
    for decode in (codec.decode_requests, codec.decode_replies, codec.decode_published):
        for form in (frame, b"r.lobby\0" + frame, b"\x92" + packed(STAMP) + frame):
            try:
                decode(form)
            except errors.Undecodable as error:
                complaints.append(str(error))
    assert all(len(complaint) < 200 for complaint in complaints)


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text() | st.binary(), st.lists).map(lambda value: _packed(value))
)
@example(b"")
def test_any_bytes_fail_in_one_way(frame: bytes) -> None:
    for decode in (codec.decode_requests, codec.decode_replies, codec.decode_published):
        try:
            decode(frame)
        except errors.Undecodable:
            pass
    codec.parse_fence(frame)


@given(st.lists(values(Request), min_size=1, max_size=3), st.data())
def test_a_frame_with_one_byte_changed_fails_in_one_way(requests: list[Request], data: st.DataObject) -> None:
    (frame,) = codec.encode_requests(requests)
    at = data.draw(st.integers(0, len(frame) - 1))
    changed = frame[:at] + bytes([data.draw(st.integers(0, 255))]) + frame[at + 1 :]
    try:
        codec.decode_requests(changed)
    except errors.Undecodable:
        pass
    try:
        codec.decode_replies(changed)
    except errors.Undecodable:
        pass


# Requests that are refused alone -------------------------------------------------------------------------------------


def malformed(*raws: Any) -> list[tuple[int, str]]:
    """The number and the code of each that cannot be read, in a batch with one that can."""
    found = codec.decode_requests(packed([*raws, Ping(99)]))
    assert found[-1] == Ping(99)
    problems = found[:-1]
    assert all(isinstance(problem, codec.Malformed) for problem in problems), problems
    return [(problem.q, problem.problem.code) for problem in problems if isinstance(problem, codec.Malformed)]


def test_an_unknown_request_is_refused_alone_under_its_number() -> None:
    assert malformed(["dance", 5], ["dance", 6, {"a": [1, 2]}]) == [(5, "unknown-request"), (6, "unknown-request")]


@pytest.mark.parametrize("number", [-1, -(2**63), 2**63, 2**64 - 1, 1.5, "1", None, True, [], {}])
def test_a_number_beyond_its_bounds_is_nobodys(number: Any) -> None:
    assert malformed(["ping", number]) == [(0, "bad-request")]


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**32, BIGGEST])
def test_a_number_within_its_bounds(number: int) -> None:
    assert codec.decode_requests(packed([["ping", number]])) == [Ping(number)]
    assert codec.decode_requests(packed([["read", 1, "x", number, number]])) == [Read(1, "x", number, number)]


@pytest.mark.parametrize("bad", [-1, 2**63, 2**64 - 1, "1", None, 0.5])
def test_every_number_of_a_request_has_bounds(bad: Any) -> None:
    hello = ["hello", 3, 1, None, SECRET, SECRET, SECRET, None, [b"x" * 8, bad]]
    found = malformed(["read", 3, "x", bad, 1], ["read", 3, "x", 1, bad], ["hello", 3, bad], hello)
    assert [q for q, _ in found] == [3, 3, 3, 3]
    assert {code for _, code in found} <= {"bad-request", "wrong-version"}
    assert malformed(["send", bad, "x", "y"]) == [(0, "bad-request")]


@pytest.mark.parametrize(
    "fields",
    [
        ["join", 5],
        ["join", 5, 6],
        ["join", 5, b"lobby"],
        ["join", 5, None],
        ["join", 5, "x", 1],
        ["hello", 5, 1, None, b"short", SECRET, SECRET],
        ["hello", 5, 1, None, b"x" * 33, SECRET, SECRET],
        ["hello", 5, 1, None, "x" * 16, SECRET, SECRET],
        ["hello", 5, 1, 7, SECRET, SECRET, SECRET],
        ["hello", 5, 1, None, SECRET, SECRET, SECRET, b"short"],
        ["hello", 5, 1, None, SECRET, SECRET, SECRET, None, [b"short", 1]],
        ["hello", 5, 1, None, SECRET, SECRET, SECRET, None, [b"x" * 17, 1]],
        ["ask", 5, []],
    ],
)
def test_a_field_of_a_wrong_type_is_refused_alone(fields: list[Any]) -> None:
    assert malformed(fields) == [(5, "bad-request")]


@pytest.mark.parametrize("raw", [None, 1, "ping", b"ping", {}, [], [1], [None, 1], ["ping"], [["ping"], 1], {"a": 1}])
def test_what_is_no_request_at_all(raw: Any) -> None:
    assert malformed(raw) == [(0, "bad-request")]


def test_a_number_of_a_send_is_not_taken_for_that_of_another_request() -> None:
    assert malformed(["send", 5, "lobby"], ["send", 6, "lobby", b"bytes"]) == [(0, "bad-request"), (0, "bad-request")]
    assert malformed(["edit", 5, "lobby", 1], ["delete", 6, "lobby", "1"]) == [(0, "bad-request"), (0, "bad-request")]


def test_text_that_is_no_utf_8_is_refused_alone() -> None:
    frame = b"\x92\x93\xa4join\x05\xa2\xc3\x28" + packed(Ping(1))
    first, second = codec.decode_requests(frame)
    assert isinstance(first, codec.Malformed)
    assert first.problem.code == "bad-request"
    assert second == Ping(1)


def test_nesting_is_refused_alone_unless_it_cannot_even_be_skipped() -> None:
    first, second = codec.decode_requests(b"\x92\x92\xa4ping" + b"\x91" * 200 + b"\x01" + packed(Ping(1)))
    assert isinstance(first, codec.Malformed)
    assert second == Ping(1)
    with pytest.raises(errors.Undecodable, match="recursion"):
        codec.decode_requests(b"\x92\x92\xa4ping" + b"\x91" * 50_000 + b"\x01" + packed(Ping(1)))


def test_hello_in_another_version_is_told_so_whatever_follows() -> None:
    assert malformed(["hello", 4, 2, {"new": "form"}], ["hello", 5, 0]) == [(4, "wrong-version"), (5, "wrong-version")]
    later = Hello(6, 2, "ann", SECRET, SECRET, SECRET)
    assert codec.decode_requests(packed([later])) == [later]  # can be read: it is the broker that refuses


def test_fields_added_at_the_end_are_ignored() -> None:
    assert codec.decode_requests(packed([["ping", 1, "new", {}], ["join", 2, "x", False, None]])) == [
        Ping(1),
        Join(2, "x"),
    ]
    assert codec.decode_replies(packed([[b"run12345", 7, "new"], [["done", 1, 2]], "new"])).items == (Done(1),)
    new = b"r.den\0" + packed([[b"run12345", 7], [["head", 1]], [["head", 1, 2], ["waving", 1]], "new"])
    assert codec.decode_published(new) == ("den", Published(STAMP, (Unreadable(1),), (Head(1),)))


def test_fields_left_out_at_the_end_have_their_defaults() -> None:
    assert codec.decode_requests(packed([["join", 1, "x"], ["send", 1, "x", "y"], ["who", 1]])) == [
        Join(1, "x"),
        Send(1, "x", "y"),
        messages.Who(1),
    ]
    assert codec.decode_requests(packed([["history", 1, "x"], ["search", 2, "x"]])) == [
        messages.History(1, "x", limit=50, after=None, before=0, since=0),
        messages.Search(2, "x", room="", name="", since=0, limit=20),
    ]
    old = [["page", 1, "x", 1, 1, [["message", 1, 0, "ann", b"12345678", 1, "hi"]]], ["joined", 2, "x", 1, 1, 0, []]]
    assert codec.decode_replies(packed([[b"run12345", 7], old])).items == (
        Page(1, "x", 1, 1, (Message(1, 0, "ann", b"12345678", 1, "hi"),)),
        messages.Joined(2, "x", 1, 1, 0, ()),
    )


def test_only_so_many_of_a_faulty_batch_are_looked_at() -> None:
    frame = packed([0] * 60_000)
    assert len(codec.decode_requests(frame, most=10)) == 10


def test_unreadable_is_never_said_by_a_client() -> None:
    assert malformed(["?", 1]) == [(1, "unknown-request")]


# What clients step over ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [["poll", 5, "question"], ["message", 5, "not a time"], ["message", 5], ["?", 5]])
def test_an_unknown_event_is_stood_in_for(raw: list[Any]) -> None:
    events = (message(4), Unreadable(5), message(6))
    raws = [message(4), raw, message(6)]
    head = [b"run12345", 7]
    assert codec.decode_published(b"r.den\0" + packed([head, raws, []]))[1].events == events
    page, private, done = codec.decode_replies(
        packed([head, [["page", 1, "den", 1, 6, raws], ["private", "@x", "ann", raws], ["done", 2]]])
    ).items
    assert page == Page(1, "den", 1, 6, events)
    (part,) = codec.decode_replies(packed([head, [["page", 1, "den", 1, 6, raws, True, 4]]])).items
    assert part == Page(1, "den", 1, 6, events, more=True, edge=4)
    assert private == Private("@x", "ann", events)
    assert done == Done(2)


@pytest.mark.parametrize("raw", [None, 5, "text", [], ["poll"], ["poll", -1], ["poll", 2**63], ["poll", "5"], {}])
def test_what_is_no_event_at_all_is_left_out(raw: Any) -> None:
    frame = b"r.den\0" + packed([[b"run12345", 7], [message(1), raw, message(2)], []])
    assert codec.decode_published(frame)[1].events == (message(1), message(2))


def test_unknown_states_and_replies_are_left_out() -> None:
    head = [b"run12345", 7]
    frame = b"r.den\0" + packed([head, [message(1)], [["mood", 1], Head(1), None]])
    assert codec.decode_published(frame) == ("den", Published(STAMP, (message(1),), (Head(1),)))
    frame = packed([head, [["dance", 1], Done(1), None, ["page", -1, "den", 1, 6, []], ["page", 1], Done(2)]])
    assert codec.decode_replies(frame) == Replies(STAMP, (Done(1), Done(2)))


@pytest.mark.parametrize(
    "frame", [b"", b"lobby\0", b"~abc.1\0", b"r.\xff\0" + packed([STAMP, [], []]), b"x.den\0" + packed([STAMP, [], []])]
)
def test_what_is_no_rooms_frame(frame: bytes) -> None:
    with pytest.raises(errors.Undecodable):
        codec.decode_published(frame)


@pytest.mark.parametrize("stamp", [None, [b"short", 1], [b"run12345", -1], [b"run12345", 2**63], ["run12345", 1], 7])
def test_a_frame_without_a_stamp_is_none(stamp: Any) -> None:
    with pytest.raises(errors.Undecodable):
        codec.decode_replies(packed([stamp, []]))
    with pytest.raises(errors.Undecodable):
        codec.decode_published(b"r.den\0" + packed([stamp, [], []]))


# Frames --------------------------------------------------------------------------------------------------------------


def test_frames_of_requests_are_split_in_order() -> None:
    requests = [Send(n, "lobby", "x" * (n * 37 % 16_384)) for n in range(1, 200)]
    frames = codec.encode_requests(requests)
    assert len(frames) > 10
    assert all(len(frame) <= codec.FRAME for frame in frames)
    assert [request for frame in frames for request in codec.decode_requests(frame)] == requests


def test_frames_of_replies_are_split_in_order() -> None:
    items = [Told(n, "x" * (n * 37 % 16_384)) for n in range(1, 200)]
    frames = codec.encode_replies(Stamp(b"x" * 16, BIGGEST), items)
    assert len(frames) > 10
    assert all(len(frame) <= codec.FRAME for frame in frames)
    assert [item for frame in frames for item in codec.decode_replies(frame).items] == items


def test_frames_of_a_room_are_split_in_order_events_before_states() -> None:
    room = "𐌰" * 64
    events = [message(n, "x" * (n * 37 % 16_384)) for n in range(1, 200)]
    states = [Presence(n, n, joined=("x" * 128,) * 100) for n in range(1, 10)]
    frames = codec.encode_published(room, Stamp(b"x" * 16, BIGGEST), [*map(codec.encode_event, events)], states)
    assert all(len(frame) <= codec.FRAME for frame in frames)
    found = [codec.decode_published(frame) for frame in frames]
    assert {name for name, _ in found} == {room}
    assert [event for _, published in found for event in published.events] == events
    assert [state for _, published in found for state in published.states] == states


@pytest.mark.parametrize("size", range(65_480, 65_560, 7))
def test_the_bound_is_met_to_the_byte(size: int) -> None:
    items: list[Reply] = [Notice(1, "operator", "x" * (size - 60)), Done(1)]
    frames = codec.encode_replies(STAMP, items)
    assert all(len(frame) <= codec.FRAME for frame in frames)
    assert [item for frame in frames for item in codec.decode_replies(frame).items] == items


def test_what_cannot_be_split_goes_alone() -> None:
    listed = RoomList(1, (RoomInfo("𐌰" * 64, BIGGEST, BIGGEST),) * 500, more=True)
    frames = codec.encode_replies(STAMP, [Done(1), listed, Done(2)])
    assert [len(codec.decode_replies(frame).items) for frame in frames] == [1, 1, 1]
    assert max(map(len, frames)) < codec.CLIENT_FRAME


def test_a_batch_of_nothing_is_one_frame() -> None:
    assert codec.decode_requests(codec.encode_requests([])[0]) == []


# Topics --------------------------------------------------------------------------------------------------------------


def test_no_topic_is_a_prefix_of_another() -> None:
    topics = [codec.room_topic(name) for name in ("room1", "room10", "r", "~", "x" * 64)]
    topics += [codec.fence_topic(SECRET, k) for k in (1, 2)]
    assert not any(a != b and b.startswith(a) for a in topics for b in topics)


@given(st.binary(min_size=16, max_size=32), st.integers(0, BIGGEST))
def test_a_fence_topic_comes_back_and_sorts_after_rooms(fence: bytes, k: int) -> None:
    topic = codec.fence_topic(fence, k)
    assert codec.parse_fence(topic) == (fence, k)
    assert topic > codec.room_topic("\U0010ffff")
    (frame,) = codec.encode_replies(STAMP, [Fenced(k)])
    assert codec.decode_replies(frame).items == (Fenced(k),)


@pytest.mark.parametrize(
    "topic",
    [
        b"",
        b"~",
        b"~zz.1",
        b"r.lobby\0",
        b"~" + b"00" * 16,
        b"~" + b"00" * 16 + b".",
        b"~" + b"00" * 16 + b".-1",
        b"~" + b"00" * 16 + b".01",
        b"~" + b"00" * 16 + b".1_0",
        b"~" + b"00" * 16 + b". 1",
        b"~" + b"AA" * 16 + b".1",
        b"~" + b"00" * 16 + b".9223372036854775808",
        b"~" + b"00" * 16 + b"." + b"9" * 60,
        b"~" + b"00" * 200 + b".1",
        b"~\xff\xff.1",
    ],
)
def test_what_is_no_fence_topic(topic: bytes) -> None:
    assert codec.parse_fence(topic) is None


def _packed(value: Any) -> bytes:
    try:
        return packed(value)
    except (OverflowError, UnicodeEncodeError):
        return b"\xc1"
