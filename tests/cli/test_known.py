"""`--admission known`: a file says who is let in, and is read anew on SIGHUP."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support import World, eventually

CURVE = ("--curve", "--advertise", "127.0.0.1", "--admission", "known")


def key_of(world: World, env: dict[str, str] | None = None) -> str:
    """Somebody's public key."""
    return world.run("keys", "show", env=env).stdout.strip()


@pytest.mark.parametrize("text", [None, "", "# nobody yet\n", "not a key\n"])
def test_a_file_that_is_missing_empty_or_wrong_lets_no_broker_start(
    world: World, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "authorized"
    if text is not None:
        path.write_text(text)
    done = world.run("broker", *CURVE, "--bind", "tcp://127.0.0.1:0", "--authorized", str(path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert str(path) in done.stderr


def test_who_is_listed_comes_in_and_who_is_not_any_more_is_put_out(world: World, tmp_path: Path) -> None:
    bob = world.other_person()
    path = tmp_path / "authorized"
    both = f"{key_of(world)} owner # olga\n{key_of(world, bob)}\n"
    path.write_text(both)
    broker = world.broker(*CURVE, "--authorized", str(path))
    bob["ZCHAT_URL"] = world.url
    link = (tmp_path / "data" / "zchat" / "keys" / "link").read_text().strip()
    assert "zchat join" not in broker.out  # there is no need of a link

    assert "you are in lobby" in world.run("join", link, "--name", "olga", stdin="hi\n").stderr
    inside = world.start("join", link, "--name", "bob", stdin=True, env=bob)
    inside.wait_err("you are in lobby")
    assert world.run("link").returncode == 4

    path.write_text("")
    broker.signal(signal.SIGHUP)
    broker.wait_err(r"WARNING all stays as it was: \S+ names no key")
    inside.type("still here\n")
    inside.wait_out("bob: still here")

    path.write_text(both.splitlines()[0])
    broker.signal(signal.SIGHUP)
    eventually(lambda: inside.popen.poll() is not None, "bob is put out", inside.pump)
    assert inside.ends() == 4
    assert world.run("history", "lobby", env=bob).returncode == 4

    path.write_text(both)
    broker.signal(signal.SIGHUP)
    broker.wait_err("(?s)read anew.*read anew")
    assert "still here" in world.run("history", "lobby", env=bob).stdout


def test_a_broker_that_runs_is_opened_and_shut_to_strangers(world: World, tmp_path: Path) -> None:
    known, others = tmp_path / "known", tmp_path / "others"
    known.write_text(f"{key_of(world)} owner\n")
    others.write_text(f"{key_of(world, world.person(tmp_path / 'carol'))}\n")
    text = f'curve = true\nadvertise = "127.0.0.1"\nadmission = "known"\nauthorized = "{known}"\n'
    file = tmp_path / "zchat.toml"
    file.write_text(text)
    broker = world.broker("--config", str(file))
    bob = world.other_person()
    bob["ZCHAT_URL"] = world.url
    link = (tmp_path / "data" / "zchat" / "keys" / "link").read_text().strip()
    assert world.run("join", link, "--name", "bob", env=bob).returncode == 4

    file.write_text(text.replace("known", "open", 1).replace(str(known), str(others)))
    broker.signal(signal.SIGHUP)
    broker.wait_err("read anew")
    assert "you are in lobby" in world.run("join", link, "--name", "bob", env=bob).stderr

    file.write_text(text.replace(str(known), str(others)))
    broker.signal(signal.SIGHUP)
    broker.wait_err("(?s)read anew.*read anew")
    assert world.run("history", "lobby", env=bob).returncode == 4
    assert "WARNING changed" not in broker.err


@pytest.mark.parametrize("text", ["keep-messages = 9\n", "insecure = true\n"])
def test_a_broker_that_runs_does_not_give_up_encryption(world: World, tmp_path: Path, text: str) -> None:
    file = tmp_path / "zchat.toml"
    file.write_text('curve = true\nadvertise = "127.0.0.1"\nadmission = "open"\n')
    broker = world.broker("--config", str(file))
    link = (tmp_path / "data" / "zchat" / "keys" / "link").read_text().strip()
    file.write_text(text)
    broker.signal(signal.SIGHUP)
    broker.wait_err("WARNING changed, but only a restart takes it over: [^\n]*curve[^\n]*\n")
    assert "you are in lobby" in world.run("join", link, "--name", "bob").stderr
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
