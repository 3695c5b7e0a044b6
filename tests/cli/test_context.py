"""Contexts and the client's configuration: their commands, their files, and what other commands make of them."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import World, lasting_port

from zchat import cli
from zchat.address import Address
from zchat.cli.stored import change_contexts
from zchat.client.places import place
from zchat.links import Link, key_text, parse_link

KEY = b"k" * 32
LINK = str(Link(Address("chat.example.org", 5555), "dev", KEY, b"i" * 16))


class User:
    """Somebody with folders of their own, whose commands run in this process: no broker is needed for most."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder / "config" / "zchat"
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in [name for name in os.environ if name.startswith("ZCHAT_")]:
            monkeypatch.delenv(name)
        for name in ("CONFIG", "STATE"):
            monkeypatch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
        monkeypatch.setenv("HOME", str(folder))

    def put(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Writes a file of the user's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        path.write_bytes(text.encode(errors="surrogateescape"))
        path.chmod(mode)
        return path

    def run(self, *arguments: str, code: int = 0, env: dict[str, str] | None = None) -> tuple[str, str]:
        """Runs a command; gives what it printed, on both."""
        with self._monkeypatch.context() as patched:
            for name, value in (env or {}).items():
                patched.setenv(name, value)
            assert cli.run(list(arguments)) == code, (arguments, self._capsys.readouterr())
        printed = self._capsys.readouterr()
        return printed.out, printed.err

    def ok(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        return self.run(*arguments, env=env)[0]

    def fails(self, *arguments: str, code: int = 2) -> str:
        out, err = self.run(*arguments, code=code)
        assert (out, err.count("\n")) == ("", 1), err
        return err

    def found(self, *arguments: str, env: dict[str, str] | None = None) -> dict[str, str]:
        """What `zchat config show` prints: value and origin by setting."""
        return dict(line.split("\t", 1) for line in self.ok("config", "show", *arguments, env=env).splitlines())


@pytest.fixture(name="user")
def _user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> User:
    return User(tmp_path, monkeypatch, capsys)


def ok(world: World, *arguments: str) -> str:
    done = world.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Contexts -------------------------------------------------------------------------------------------------------------


def test_contexts_are_added_used_shown_and_removed(user: User) -> None:
    assert user.ok("context", "list") == ""
    user.ok("context", "add", "work", "--url", "tcp://127.0.0.1:7001", "--name", "ann", "--room", "dev")
    user.ok("context", "add", "a.b-c", "--url", "plain://10.0.0.7", "--identity", "home", "--connect-timeout", "2")
    assert user.ok("context", "list") == "-\ta.b-c\tplain://10.0.0.7\t-\n-\twork\ttcp://127.0.0.1:7001\tann\n"
    user.ok("context", "use", "work")
    assert user.ok("context", "list").splitlines()[1] == "*\twork\ttcp://127.0.0.1:7001\tann"
    assert user.ok("context", "show") == "url\ttcp://127.0.0.1:7001\nname\tann\nroom\tdev\n"
    first, second = map(json.loads, user.ok("context", "list", "--json").splitlines())
    assert first == {
        "v": 1, "kind": "context", "context": "a.b-c", "used": False,
        "url": "plain://10.0.0.7", "identity": "home", "connect_timeout": 2.0,
    }  # fmt: skip
    assert second["used"]
    assert json.loads(user.ok("context", "show", "a.b-c", "--json")) == first
    user.ok("context", "use", "-")
    assert "no context is in use" in user.fails("context", "show")
    user.ok("context", "use", "work")
    user.ok("context", "rm", "work")
    assert user.ok("context", "list") == "-\ta.b-c\tplain://10.0.0.7\t-\n"
    assert user.found()["url"] == "tcp://127.0.0.1:5555\tdefault"


def test_what_cannot_be_a_context_is_one_line(user: User) -> None:
    user.ok("context", "add", "work", "--url", "tcp://127.0.0.1:7001")
    before = (user.folder / "contexts.toml").read_text()
    assert "there is a context work already" in user.fails("context", "add", "work", "--url", "tcp://h:1")
    for name in ("Work", "-", ".", "a/b", "x" * 33, "a b"):
        assert "cannot be a context" in user.fails("context", "add", "--url", "tcp://h:1", "--", name)
    for url in ("tcp://h:0", "no url", "zchat://h", "plain://", "tcp://h:99999"):
        assert "url" in user.fails("context", "add", "x", "--url", url)
    assert "identity" in user.fails("context", "add", "x", "--url", "tcp://h:1", "--identity", "../x")
    assert "room" in user.fails("context", "add", "x", "--url", "tcp://h:1", "--room", "a\x1bb")
    for command in ("use", "rm", "show"):
        assert "no context wrk: is work meant?" in user.fails("context", command, "wrk")
    assert "no context wrk" in user.fails("rooms", "--context", "wrk")
    assert (user.folder / "contexts.toml").read_text() == before


def test_an_invite_is_not_kept_and_the_key_is(user: User) -> None:
    assert "not kept" in user.run("context", "add", "chat", "--url", LINK, "--use")[1]
    assert parse_link(user.found()["url"].split("\t")[0]) == Link(Address("chat.example.org", 5555), "dev", KEY)
    assert user.found()["room"] == "dev\tcontext"
    assert "not kept" in user.run("config", "set", "url", LINK)[1]
    secret = LINK.rpartition("=")[2]
    for path in user.folder.iterdir():
        assert secret not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in user.ok("config", "show", "--json", env={"ZCHAT_URL": LINK})


def test_contexts_that_are_added_at_once_are_all_there(user: User) -> None:
    def add(number: int) -> None:
        change_contexts(add=(f"c{number}", {"url": f"tcp://h:{number}"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(1, 41)))
    assert len(user.ok("context", "list").splitlines()) == 40
    assert {path.name for path in user.folder.iterdir()} == {"contexts.toml", "contexts.toml.lock"}


# The client's configuration -------------------------------------------------------------------------------------------


def test_the_configuration_is_set_and_unset_and_comments_stay(user: User) -> None:
    path = user.put("config.toml", '# mine\nname = "ann"  # me\n\n# where\nurl = "tcp://127.0.0.1:7001"\n', 0o644)
    user.ok("config", "set", "name", "bob")
    user.ok("config", "set", "connect-timeout", "2.5")
    assert path.read_text() == (
        '# mine\nname = "bob"\n\n# where\nurl = "tcp://127.0.0.1:7001"\nconnect-timeout = 2.5\n'
    )
    user.ok("config", "unset", "url")
    assert tomllib.loads(path.read_text()) == {"name": "bob", "connect-timeout": 2.5}
    assert user.fails("config", "unset", "url", code=1) == "zchat: url was not set\n"
    assert "is connect-timeout meant?" in user.fails("config", "set", "connect-timeot", "1")
    assert "is name meant?" in user.fails("config", "unset", "nam")
    for value in ("nan", "-1", "soon", "1e999"):
        assert "number of seconds" in user.fails("config", "set", "--", "connect-timeout", value)
    path.write_text('name = """\nann"""\nroom = "dev"\n')
    user.ok("config", "set", "name", "bob")
    assert tomllib.loads(path.read_text()) == {"name": "bob", "room": "dev"}


def test_a_configuration_that_is_linked_stays_so(user: User, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.toml"
    kept.write_text('name = "ann"\n')
    user.folder.mkdir(parents=True)
    (user.folder / "config.toml").symlink_to(kept)
    user.ok("config", "set", "room", "dev")
    assert tomllib.loads(kept.read_text()) == {"name": "ann", "room": "dev"}
    assert (user.folder / "config.toml").is_symlink()


# Files that cannot be used --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("config.toml", "name = ann\n", 1, "this is not TOML"),
        ("config.toml", '\nnmae = "ann"\n', 2, "is name meant?"),
        ("config.toml", "name = 5\n", 1, "write a text in quotes"),
        ("config.toml", 'url = "tcp://h:99999"\n', 1, "out of range"),
        ("config.toml", '\nconnect-timeout = "soon"\n', 2, "number of seconds"),
        ("config.toml", "connect-timeout = true\n", 1, "number of seconds"),
        ("config.toml", f'url = "{LINK}"\n', 1, "leave it out"),
        ("config.toml", 'name = "\udcff"\n', 1, "UTF-8"),
        ("config.toml", 'name = "a\\u001bb"\n', 1, "can be seen"),
        ("config.toml", '[url]\nx = 1\n', 1, "write a text in quotes"),
        ("contexts.toml", 'use = "gone"\n', 1, "no such context"),
        ("contexts.toml", '[contexts.work]\n[contexts."Bad Name"]\nurl = "tcp://h:1"\n', 2, "has 1 to 32"),
        ("contexts.toml", '[contexts.work]\nurl = "tcp://h:1"\n\n[contexts.home]\nurl = 7\n', 5, "text in quotes"),
        ("contexts.toml", '[contexts]\nwork = 1\n', 2, "it is a table"),
        ("contexts.toml", 'contexts = 1\n', 1, "there are use, and tables"),
        ("contexts.toml", '\nother = 1\n', 2, "there are use, and tables"),
    ],
)  # fmt: skip
def test_a_file_that_says_what_means_nothing_is_one_line_with_its_number(
    user: User, name: str, text: str, line: int, said: str
) -> None:
    path = user.put(name, text)
    error = user.fails("rooms")
    assert said in error
    assert str(path) in error
    assert f"line {line}" in error, error


def test_files_that_others_may_read_or_write_are_refused(user: User) -> None:
    path = user.put("contexts.toml", '[contexts.work]\nurl = "tcp://h:1"\n', 0o640)
    assert f"chmod 600 {path}" in user.fails("rooms")
    assert f"chmod 600 {path}" in user.fails("context", "use", "work")
    path.unlink()
    path = user.put("config.toml", 'name = "ann"\n', 0o666)
    assert f"chmod 600 {path}" in user.fails("config", "show")
    path.unlink()
    path.mkdir()
    assert f"{path} is no file" in user.fails("config", "show")


def test_commands_that_use_nothing_of_it_do_not_read_it(user: User) -> None:
    user.put("config.toml", "nonsense")
    user.put("contexts.toml", "nonsense")
    for arguments in (["config", "default"], ["systemd"], ["keys", "list"], ["completion", "bash"]):
        user.ok(*arguments)


# What other commands make of it ---------------------------------------------------------------------------------------


def test_flags_go_before_the_environment_before_the_context_before_the_configuration(user: User) -> None:
    assert set(user.found().values()) == {
        "tcp://127.0.0.1:5555\tdefault", "-\tdefault", "default\tdefault", "lobby\tdefault", "5\tdefault",
    }  # fmt: skip
    user.put("config.toml", 'name = "carl"\nroom = "c"\nidentity = "c"\nconnect-timeout = 3\n')
    user.ok("context", "add", "b", "--url", "tcp://127.0.0.1:7002", "--name", "bob", "--room", "b", "--use")
    env = {"ZCHAT_NAME": "eve", "ZCHAT_CONNECT_TIMEOUT": "4"}
    assert user.found("--room", "f", env=env) == {
        "url": "tcp://127.0.0.1:7002\tcontext",
        "name": "eve\tenvironment",
        "identity": "c\tconfig",
        "room": "f\tflag",
        "connect-timeout": "4\tenvironment",
    }
    assert user.found("--context", "b", env=env)["name"] == "bob\tcontext"
    assert user.found(env={**env, "ZCHAT_CONTEXT": "b"})["name"] == "eve\tenvironment"
    assert user.found("--context", "-")["name"] == user.found(env={"ZCHAT_CONTEXT": "-"})["name"]
    assert user.found("--context", "-")["name"] == "carl\tconfig"
    assert user.found("--name", "", env=env)["name"] == "eve\tenvironment"


def test_commands_use_the_context(world: World, user: User) -> None:
    world.broker("--memory")
    user.ok("config", "set", "connect-timeout", "0.1")
    user.ok("config", "set", "url", f"tcp://127.0.0.1:{lasting_port()}")
    user.fails("rooms", code=3)
    user.ok("context", "add", "here", "--url", world.url, "--name", "ann", "--room", "dev", "--connect-timeout", "20")
    user.ok("send", "--context", "here", "ops", "hi")
    user.ok("context", "use", "here")
    user.ok("send", "ops", "hello", "--name", "ben")
    assert re.sub(r"(?m)^.* (?=\w+: )", "", user.ok("history", "ops")) == "ann: hi\nben: hello\n"
    user.fails("rooms", "--context", "-", code=3)
    del world.env["ZCHAT_URL"]
    assert "you are in dev" in world.run("join", stdin="quit\n").stderr
    assert "you are in ops" in world.run("join", "ops", stdin="quit\n").stderr
    assert "name one room" in user.fails("join", "ops", "--room", "dev")


def test_a_link_leads_where_it_says_whatever_the_context(world: World, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    broker = world.broker("--memory", "--curve", "--keys", str(keys), "--advertise", "127.0.0.1")
    link = broker.wait_out(r"zchat join '(\S+)'").group(1)
    del world.env["ZCHAT_URL"]
    ok(world, "context", "add", "other", "--url", "tcp://127.0.0.1:1", "--name", "ann", "--room", "dev", "--use")
    assert "you are in lobby" in world.run("join", link, stdin="quit\n").stderr
    without = str(Link(parse_link(link).address, "ops", parse_link(link).key))
    ok(world, "context", "add", "mine", "--url", without)
    assert "you are in ops" in world.run("join", "--context", "mine", "--name", "ann", stdin="quit\n").stderr
    assert key_text(parse_link(link).key) in (tmp_path / "config" / "zchat" / "contexts.toml").read_text()


def test_the_library_does_not_read_contexts(user: User) -> None:
    user.ok("context", "add", "other", "--url", "tcp://127.0.0.1:7009", "--use")
    assert place().address.port == 5555
