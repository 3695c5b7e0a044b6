"""`zchat keys`, with no broker."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support import World

from zchat.links import parse_key


def test_without_a_word_it_shows_what_there_is(world: World) -> None:
    done = world.run("keys")
    assert done.returncode == 2
    for name in ("show", "new", "list", "bots", "link", "forget"):
        assert f"\n  {name} " in done.stderr
        assert world.run("keys", name, "--help").returncode == 0


def test_show_makes_a_key_and_prints_the_public_one(world: World, tmp_path: Path) -> None:
    shown = world.run("keys", "show").stdout
    assert len(parse_key(shown)) == 32
    assert world.run("keys", "show").stdout == shown
    assert world.run("keys", "show", "--identity", "work").stdout != shown
    (kept,) = tmp_path.rglob("default.key")
    assert kept == tmp_path / "config" / "zchat" / "identities" / "default.key"


def test_new_makes_another_and_list_shows_all(world: World) -> None:
    assert world.run("keys", "list").stdout == ""
    made = world.run("keys", "new", "work").stdout
    shown = world.run("keys", "show", env={**world.env, "ZCHAT_IDENTITY": "home"}).stdout
    assert world.run("keys", "list").stdout == f"home\t{shown}work\t{made}"
    first, _ = map(json.loads, world.run("keys", "list", "--json").stdout.splitlines())
    assert first == {"v": 1, "kind": "key", "name": "home", "key": shown.strip()}
    again = world.run("keys", "new", "work")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "zchat: there is an identity work already: choose another name\n"


def test_a_key_that_others_may_read_is_not_used_and_the_rest_is_listed(world: World, tmp_path: Path) -> None:
    other = world.run("keys", "new", "other").stdout
    world.run("keys", "show")
    (kept,) = tmp_path.rglob("default.key")
    kept.chmod(0o644)
    done = world.run("keys", "show")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"zchat: {kept} is open to others .*: chmod 600 {kept}\n", done.stderr)
    done = world.run("keys", "list")
    assert (done.returncode, done.stdout) == (1, f"other\t{other}")
    assert "chmod 600" in done.stderr


def test_a_name_that_cannot_be_one_is_refused(world: World, tmp_path: Path) -> None:
    done = world.run("keys", "new", "../x\x1b[2J")
    assert done.returncode == 1
    assert "cannot be an identity" in done.stderr
    assert "\x1b" not in done.stderr
    assert not list(tmp_path.rglob("*.key"))


def test_forget_drops_a_broker_that_was_known(world: World, tmp_path: Path) -> None:
    public = world.run("keys", "show").stdout
    brokers = tmp_path / "config" / "zchat" / "brokers"
    brokers.touch(0o600)
    brokers.write_text(f"chat.example.org:5555 {public}")
    assert world.run("keys", "forget", "nowhere").returncode == 1
    assert world.run("keys", "forget", "tcp://chat.example.org").returncode == 0
    assert brokers.read_text() == ""
    done = world.run("keys", "forget", "chat.example.org")
    assert (done.returncode, done.stderr) == (1, "zchat: no broker is known at tcp://chat.example.org:5555\n")
