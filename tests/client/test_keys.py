"""The user's keys, and the brokers that are known by theirs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zchat.address import Address, parse
from zchat.client import keys
from zchat.errors import BrokerChanged, KeyUnusable
from zchat.keyfiles import BIGGEST
from zchat.links import fingerprint, key_text

HERE = Address("chat.example.org", 5555)
KEY, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ZCHAT_IDENTITY", raising=False)
    return tmp_path / "zchat"


# Identities -----------------------------------------------------------------------------------------------------------


def test_an_identity_is_made_at_its_first_use_and_stays(folder: Path) -> None:
    made = keys.own_keys()
    assert (len(made.public), len(made.secret)) == (32, 32)
    assert keys.own_keys() == made
    assert keys.own_keys("default") == made
    assert keys.own_keys("work") != made
    assert keys.list_keys() == {"default": made.public, "work": keys.own_keys("work").public}


def test_the_environment_names_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZCHAT_IDENTITY", "work")
    assert keys.own_keys() == keys.own_keys("work")
    assert list(keys.list_keys()) == ["work"]


def test_files_are_for_this_user_alone_whatever_the_mask(folder: Path) -> None:
    before = os.umask(0)
    try:
        keys.own_keys()
        keys.remember(HERE, KEY)
    finally:
        os.umask(before)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "brokers",
        "brokers.lock",
        "default.key",
    ]


def test_what_is_shown_of_keys_is_not_the_secret() -> None:
    made = keys.own_keys()
    assert repr(made.secret) not in repr(made)
    assert repr(made.public) in repr(made)


def test_another_identity_is_never_made_over_one() -> None:
    made = keys.new_keys("work")
    with pytest.raises(KeyUnusable, match="there is an identity work already"):
        keys.new_keys("work")
    assert keys.own_keys("work") == made


@pytest.mark.parametrize("name", ["../evil", "Work", ".key", "a" * 33, "a b", "a\n", "ä"])
def test_a_name_that_would_be_no_plain_file_is_refused(name: str) -> None:
    with pytest.raises(KeyUnusable, match="cannot be an identity"):
        keys.own_keys(name)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_file_that_others_have_any_right_to_is_refused(folder: Path, mode: int) -> None:
    keys.own_keys()
    path = folder / "identities" / "default.key"
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match=f"chmod 600 {path}"):
        keys.own_keys()
    assert isinstance(keys.list_keys()["default"], KeyUnusable)
    path.chmod(0o600)
    keys.own_keys()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_somebody_else_is_refused(folder: Path) -> None:
    keys.own_keys()
    os.chown(folder / "identities" / "default.key", 12345, 12345)
    with pytest.raises(KeyUnusable, match="belongs to somebody else"):
        keys.own_keys()


def test_what_is_no_file_is_refused_and_not_waited_for(folder: Path) -> None:
    keys.own_keys()
    os.mkfifo(folder / "identities" / "pipe.key", 0o600)
    (folder / "identities" / "folder.key").mkdir(0o700)
    for name in ("pipe", "folder"):
        with pytest.raises(KeyUnusable, match="is no file"):
            keys.own_keys(name)


def test_what_holds_no_keys_is_refused_and_not_replaced(folder: Path) -> None:
    made, path = keys.own_keys(), folder / "identities" / "default.key"
    public, secret = f"public {key_text(made.public)}", f"secret {key_text(made.secret)}"
    bad = ["", "nonsense", public, f"{secret}\n{public}", f"{public}\nsecret {key_text(OTHER)}", f"{public}\n{secret}x"]
    for text in (*bad, "x" * (BIGGEST + 1), "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(KeyUnusable) as refused:
            keys.own_keys()
        assert key_text(made.secret) not in str(refused.value)
        assert path.read_text(encoding="latin-1") == text
    path.write_text(f"{public}\n\n# mine\n{secret}\n")
    assert keys.own_keys() == made


def test_where_none_can_be_kept_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(KeyUnusable, match="cannot make"):
        keys.own_keys()
    assert keys.remembered(HERE) is None


def test_a_relative_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys.config_folder() == tmp_path / ".config" / "zchat"


# Known brokers --------------------------------------------------------------------------------------------------------


def test_a_broker_is_known_by_address_and_key_until_it_is_forgotten() -> None:
    six = parse("[::1]:7")
    assert keys.remembered(HERE) is None
    keys.remember(HERE, KEY)
    keys.remember(six, OTHER)
    keys.remember(HERE, KEY)
    assert keys.remembered(parse("tcp://CHAT.example.org:5555")) == KEY
    assert keys.remembered(six) == OTHER
    assert keys.remembered(HERE.at(5556)) is None
    assert keys.forget(HERE)
    assert not keys.forget(HERE)
    assert keys.remembered(HERE) is None
    assert keys.remembered(six) == OTHER


def test_a_broker_with_another_key_is_a_hard_stop_that_names_both() -> None:
    keys.remember(HERE, KEY)
    keys.check(HERE, KEY)
    for stopped in (keys.check, keys.remember):
        with pytest.raises(BrokerChanged) as refused:
            stopped(HERE, OTHER)
        for part in ("chat.example.org:5555", fingerprint(KEY), fingerprint(OTHER), "zchat keys forget"):
            assert part in str(refused.value)
    assert keys.remembered(HERE) == KEY


def test_what_cannot_be_trusted_is_refused_and_kept(folder: Path) -> None:
    keys.remember(HERE, KEY)
    path = folder / "brokers"
    for line in ("nonsense", f"h:1 {key_text(KEY)[:-1]}", f"h:1 {key_text(KEY)} more"):
        path.write_text(f"# mine\n\n{line}\n")
        for use in (lambda: keys.remembered(HERE), lambda: keys.remember(HERE, KEY), lambda: keys.forget(HERE)):
            with pytest.raises(KeyUnusable, match="line 3"):
                use()
        assert line in path.read_text()
    path.chmod(0o666)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        keys.remembered(HERE)


AT_ONCE = """
import sys
from zchat.address import Address
from zchat.client import keys
number = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(keys.own_keys().public.hex(), flush=True)
for port in range(10):
    keys.remember(Address("h", 1000 * number + port + 1), bytes([number]) * 32)
"""


def test_several_at_once_have_one_key_and_lose_no_broker() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = {process.communicate()[0] for process in processes}
    assert found == {keys.own_keys().public.hex() + "\n"}
    for number in range(4):
        for port in range(10):
            assert keys.remembered(Address("h", 1000 * number + port + 1)) == bytes([number]) * 32
