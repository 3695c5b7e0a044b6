"""The secret that owns a name."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from zchat.client import identity


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_a_name_keeps_its_secret_and_another_has_its_own() -> None:
    secret = identity.person("alice")
    assert len(secret) == 16
    assert identity.person("Alice") == secret
    assert identity.person("bob") != secret


def test_files_are_for_this_user_alone_and_named_by_no_user(tmp_path: Path) -> None:
    identity.person("../../evil")
    (kept,) = (tmp_path / "zchat" / "persons").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "evil" not in kept.name


def test_half_a_secret_is_replaced(tmp_path: Path) -> None:
    identity.person("alice")
    (kept,) = (tmp_path / "zchat" / "persons").iterdir()
    kept.write_bytes(b"half")
    assert identity.person("alice") == kept.read_bytes()
    assert len(kept.read_bytes()) == 16


def test_without_a_place_to_keep_it_the_secret_is_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert identity.person("alice") != identity.person("alice")


def test_a_name_that_is_no_text_has_one_too() -> None:
    assert len(identity.person("\ud800")) == 16
