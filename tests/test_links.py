"""zchat.links: what is written into a link comes out of it, and what is none is refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zchat.address import Address, BadAddress
from zchat.links import (
    LONGEST,
    Link,
    fingerprint,
    id_text,
    invite_id,
    is_link,
    key_text,
    parse_key,
    parse_link,
)
from zchat.text import printable

KEY = bytes(range(32))
INVITE = bytes(range(16))
KEY_TEXT = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
INVITE_TEXT = "aaaqeayeaudaocajbifqydiob4"

rooms = st.text(min_size=1, max_size=64).filter(
    lambda room: printable(room) == room and not set(room) & set("/@#,:*?[") and room == room.strip()
)


def test_a_link_is_written_as_documented() -> None:
    link = Link(Address("chat.example.org", 5555), "lobby", KEY, INVITE)
    assert str(link) == f"zchat://chat.example.org:5555/lobby?key={KEY_TEXT}&invite={INVITE_TEXT}"
    assert str(Link(Address("::1", 7), "a b", KEY, None)) == f"zchat://[::1]:7/a%20b?key={KEY_TEXT}"


@given(
    st.sampled_from([Address("127.0.0.1", 5555), Address("::1", 1), Address("chat.example.org", 65535)]),
    rooms,
    st.binary(min_size=32, max_size=32),
    st.none() | st.binary(min_size=16, max_size=16),
)
def test_what_goes_into_a_link_comes_out(where: Address, room: str, key: bytes, invite: bytes | None) -> None:
    link = Link(where, room, key, invite)
    assert parse_link(str(link)) == link
    assert str(link).isascii()
    assert printable(str(link)) == str(link)


def test_what_is_left_out_has_a_default_and_what_is_unknown_is_ignored() -> None:
    wanted = Link(Address("h", 5555), "lobby", KEY, None)
    for text in (
        f"zchat://h?key={KEY_TEXT}",
        f"zchat://h/?key={KEY_TEXT}",
        f"  ZCHAT://h:5555/%23lobby?x=1&key={KEY_TEXT.upper()}&y\n",
    ):
        assert is_link(text)
        assert parse_link(text) == wanted, text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp://h:5555",
        "zchat://",
        "zchat://h:5555/lobby",
        f"zchat://?key={KEY_TEXT}",
        f"zchat://h:0/lobby?key={KEY_TEXT}",
        f"zchat://h:65536/lobby?key={KEY_TEXT}",
        f"zchat://h:x/lobby?key={KEY_TEXT}",
        f"zchat://u@h/lobby?key={KEY_TEXT}",
        f"zchat://tcp://h/lobby?key={KEY_TEXT}",
        f"zchat://h/a/b?key={KEY_TEXT}",
        f"zchat://h/a%2Fb?key={KEY_TEXT}",
        f"zchat://h/%40ann?key={KEY_TEXT}",
        f"zchat://h/%1b?key={KEY_TEXT}",
        f"zchat://h/%ff?key={KEY_TEXT}",
        f"zchat://h/{'a' * 257}?key={KEY_TEXT}",
        f"zchat://h/lob by?key={KEY_TEXT}",
        f"zchat://h/l\u00f6bby?key={KEY_TEXT}",
        f"zchat://h/lobby?key={KEY_TEXT[:-1]}",
        f"zchat://h/lobby?key={KEY_TEXT}a",
        f"zchat://h/lobby?key={KEY_TEXT[:-1]}r",  # bits that say nothing are not 0
        f"zchat://h/lobby?key={KEY_TEXT[:-1]}1",
        f"zchat://h/lobby?key={KEY_TEXT}&key={'a' * 52}",
        f"zchat://h/lobby?key={KEY_TEXT}&invite=",
        f"zchat://h/lobby?key={KEY_TEXT}&invite={INVITE_TEXT}=",
        f"zchat://h/lobby?key={KEY_TEXT}&x={'a' * LONGEST}",
    ],
)
def test_what_is_no_link_is_refused_in_one_line_that_does_not_repeat_its_secret(text: str) -> None:
    with pytest.raises(BadAddress) as refused:
        parse_link(text)
    said = str(refused.value)
    assert said == printable(said)
    assert KEY_TEXT not in said
    assert INVITE_TEXT not in said


@given(st.text(max_size=200) | st.text(max_size=80).map(lambda rest: f"zchat://h/lobby?key={KEY_TEXT}{rest}"))
def test_parsing_fails_in_one_way_only(text: str) -> None:
    try:
        parse_link(text)
    except BadAddress:
        pass


def test_a_key_is_read_in_either_case_and_only_whole() -> None:
    assert key_text(KEY) == KEY_TEXT
    assert parse_key(f" {KEY_TEXT.upper()}\n") == KEY
    for text in ("", "aaaa", KEY_TEXT + "====", "\u017f" * 52):
        with pytest.raises(BadAddress):
            parse_key(text)


def test_a_fingerprint_is_short_and_tells_keys_apart() -> None:
    one, other = fingerprint(KEY), fingerprint(bytes(32))
    assert one != other
    assert [len(group) for group in one.split("-")] == [4] * 6


def test_the_id_of_an_invitation_does_not_show_its_secret() -> None:
    assert invite_id(INVITE) == invite_id(INVITE)
    assert len(invite_id(INVITE)) == 10
    assert id_text(invite_id(INVITE)) == "ueq3zdlcc7x2yha4"
    assert INVITE_TEXT[:8] not in id_text(invite_id(INVITE))


def test_what_is_shown_of_a_link_by_repr_has_no_secret() -> None:
    link = Link(Address("h", 1), "lobby", KEY, b"\xffsecret secrets")
    assert "secret" not in repr(link)
