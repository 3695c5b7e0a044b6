"""Links that lie in the broker's folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from zchat.address import Address
from zchat.broker.admission import Admission, Door, Mode
from zchat.broker.entrance import Entrance, put_link
from zchat.broker.settings import Settings
from zchat.broker.turn import Turn
from zchat.errors import DataUnusable
from zchat.links import id_text, invite_id, parse_link
from zchat.store.base import Account, Invite, Record

HERE, BROKER = Address("chat.example", 5555), b"B" * 32


def admission_of(door: Door, *records: Record) -> Admission:
    """Who may come in."""
    return Admission(Turn(Settings()), records, door, lambda size: b"x" * size)


def secret_of(link: str | None) -> bytes:
    """What lets in."""
    invite = parse_link(link or "").invite
    assert invite is not None
    return invite


@pytest.fixture(name="door")
def _door() -> Door:
    return Door(HERE, BROKER)


def test_the_first_link_is_the_same_until_it_is_used(tmp_path: Path, door: Door) -> None:
    admission = admission_of(door)
    entrance = Entrance(door, tmp_path / "keys", tmp_path)
    link = entrance.owner_link(admission)
    assert str(link).startswith("zchat://chat.example:5555/lobby?key=")
    assert entrance.owner_link(admission) == link
    path = tmp_path / "owner-link"
    assert path.read_text().strip() == link
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (invite,) = entrance.take()
    assert (invite.id, invite.role, invite.uses) == (invite_id(secret_of(link)), "owner", 1)
    assert entrance.take() == []
    admission = admission_of(door, invite)
    entrance.kept(invite)
    assert list((tmp_path / "keys" / "links").iterdir()) == []
    moved = Entrance(Door(Address("elsewhere", 1), BROKER), tmp_path / "keys", tmp_path)
    assert parse_link(moved.owner_link(admission) or "").invite == secret_of(link)  # the same, at the new address
    entrance.used(b"another")
    assert path.exists()
    entrance.used(invite.id)
    assert not path.exists()


def test_where_there_is_an_owner_there_is_no_first_link(tmp_path: Path, door: Door) -> None:
    entrance = Entrance(door, tmp_path / "keys", tmp_path)
    entrance.owner_link(admission_of(door))
    assert entrance.owner_link(admission_of(door, Account(b"o", "owner"))) is None
    assert not (tmp_path / "owner-link").exists()
    assert entrance.owner_link(admission_of(door, Account(b"o", "owner", 1))) is not None  # that one was revoked
    listed = Door(HERE, BROKER, Mode.KNOWN, {b"k" * 32: "member"})
    assert entrance.owner_link(admission_of(listed)) is None


def test_what_could_not_be_kept_is_taken_again(tmp_path: Path, door: Door) -> None:
    entrance = Entrance(door, tmp_path, tmp_path)
    put_link(tmp_path, "moderator", 60)
    taken = entrance.take()
    assert [one.role for one in taken] == ["moderator"]
    entrance.again()
    assert entrance.take() == taken


def test_a_link_can_be_put_there_only_where_a_broker_was(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="no broker with keys ever ran"):
        put_link(tmp_path / "keys")


def test_what_cannot_be_removed_harms_nobody(tmp_path: Path, door: Door, caplog: pytest.LogCaptureFixture) -> None:
    entrance = Entrance(door, tmp_path / "keys", tmp_path)
    link = entrance.owner_link(admission_of(door))
    (tmp_path / "owner-link").unlink()
    (tmp_path / "owner-link").mkdir()
    (tmp_path / "owner-link" / "x").mkdir()
    entrance.used(invite_id(secret_of(link)))
    for path in (tmp_path / "keys" / "links").iterdir():
        path.unlink()
        path.mkdir()
    entrance.kept(Invite(invite_id(secret_of(link)), "lobby", "owner", 1, 1))
    assert "cannot remove" in caplog.text
    assert entrance.take() == []


@pytest.mark.parametrize(
    "text", ["", "zz owner 1", f"{b'0123456789'.hex()} member {'9' * 20}", "00 king 1", "00 owner x", "00 owner 1"]
)
def test_what_lies_there_and_is_no_link_gives_nothing(tmp_path: Path, door: Door, text: str) -> None:
    entrance = Entrance(door, tmp_path, tmp_path)
    put_link(tmp_path)
    path = tmp_path / "links" / id_text(b"0123456789")
    path.write_text(text)
    path.chmod(0o600)
    assert len(entrance.take()) == 1


def test_what_others_may_write_lets_nobody_in(tmp_path: Path, door: Door) -> None:
    entrance = Entrance(door, tmp_path, tmp_path)
    put_link(tmp_path)
    (path,) = (tmp_path / "links").iterdir()
    path.chmod(0o666)
    assert entrance.take() == []
