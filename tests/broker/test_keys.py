"""The broker's key, and the file of those that it lets in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from zchat import keyfiles
from zchat.broker.keys import authorized, broker_keys
from zchat.errors import DataUnusable, KeyUnusable
from zchat.links import key_text


def test_the_brokers_key_is_made_once_for_itself_alone(tmp_path: Path) -> None:
    made = broker_keys(tmp_path / "keys")
    assert broker_keys(tmp_path / "keys") == made
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / "broker.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["broker.key"]
    assert key_text(made.secret) not in repr(made)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    broker_keys(tmp_path)
    (tmp_path / "broker.key").chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        broker_keys(tmp_path)


@pytest.mark.parametrize("text", ["", "public x\n", "secret y\npublic x\n"])
def test_half_a_key_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "broker.key").write_text(text)
    (tmp_path / "broker.key").chmod(0o600)
    with pytest.raises(KeyUnusable, match="holds no keys"):
        broker_keys(tmp_path)


def test_who_is_listed_may_come(tmp_path: Path) -> None:
    one, two = keyfiles.fresh().public, keyfiles.fresh().public
    path = tmp_path / "authorized"
    path.write_text(f"# the house\n\n{key_text(one)} owner  # olga\n{key_text(two).upper()}\n")
    assert authorized(path) == {one: "owner", two: "member"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no key"),
        ("# nobody\n", "names no key"),
        ("abc\n", "line 1: that is no key"),
        (f"\n{'a' * 52} king\n", "line 2: write KEY"),
        (f"{'a' * 52} owner olga\n", "line 1: write KEY"),
        ("\0\x1b[2J\n", "line 1: that is no key"),
    ],
)
def test_a_file_that_is_empty_or_wrong_lets_nobody_in(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "authorized"
    path.write_text(text)
    with pytest.raises(DataUnusable, match=says):
        authorized(path)


def test_a_file_that_is_not_there_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="nobody would be let in"):
        authorized(tmp_path / "none")
