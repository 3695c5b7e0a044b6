"""Completion in real shells, with rooms and people of a real broker."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Terminal, World, lasting_port

import zchat
from zchat.cli import commands, typed
from zchat.cli.completion import _harmless, offered

BREAKS = " \t\n\"'@><=;|&(:"
"""What bash has in COMP_WORDBREAKS."""

EVIL = "a$(>pwned)`>pwned`'\"!!{x..y}\\;>pwned&|~=<>^%$HOME"
"""A room that would do something on a command line, if it were not quoted."""

EVIL_WITHOUT_SINGLE = EVIL.replace("'", "").replace("a", "b", 1).lower()
EVIL_WITHOUT_BANG = EVIL.replace("!", "").replace("a", "c", 1).lower()

BASH = shutil.which("bash") or ""

START = {
    "bash": "bash --noprofile --norc -i",
    "zsh": "zsh -f -i",
    "fish": "fish --no-config -i",
}

READY = {
    "bash": "PS1='ready> '; eval \"$(zchat completion bash)\"",
    "zsh": "PS1='ready> '; bindkey -e; autoload -U compinit; compinit -D; eval \"$(zchat completion zsh)\"",
    "fish": "function fish_prompt; echo -n 'ready> '; end; zchat completion fish | source",
}

each_shell = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"needs {name} (say: apt-get install {name})")
        )
        for name in START
    ],
)


def shell(world: World, name: str) -> Terminal:
    """A shell that completes."""
    found = world.shell(f"exec {START[name]}")
    found.wait(r"[$#%>] *$")
    found.type(f'{READY[name]}; cd "$HOME"\r')
    found.wait(r"\nready> *$")
    return found


def words(terminal: Terminal, line: str) -> list[str]:
    """What becomes of a line in which keys are pressed, as the shell hands it to a command."""
    terminal.type(f'{line}\x01printf "<%s>\\n" \r')
    terminal.wait(r"(?s)<zchat>.*\nready> *$")
    found = re.findall(r"(?m)^<(.*)>$", terminal.shown)
    terminal.type("\x0c")
    terminal.wait_for(lambda: "<zchat>" not in terminal.shown, "the screen is empty")
    return found[1:]


def fill(world: World, *rooms: str) -> None:
    """Says something in some rooms, as walther; Tab waits for a machine that is busy with other tests."""
    world.env["ZCHAT_COMPLETION_TIMEOUT"] = "30"
    with zchat.connect(world.url, name="walther", person=bytes(16)) as client:
        for room in rooms:
            client.send(room, "hi")


def completed(world: World, *words: str) -> list[str]:
    """What zsh would be offered."""
    done = world.run("__complete", "zsh", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


# In shells ------------------------------------------------------------------------------------------------------------


@each_shell
def test_rooms_and_people_are_completed_and_do_nothing(world: World, tmp_path: Path, name: str) -> None:
    world.broker("--memory")
    fill(world, EVIL, EVIL_WITHOUT_BANG, EVIL_WITHOUT_SINGLE, "~root", "=lös☃")
    rooms = [line.split("\t")[0] for line in world.run("rooms").stdout.splitlines()]
    a, b, c = (next(room for room in rooms if room[0] == first) for first in "abc")
    assert "$(>pwned)" in a
    assert "`>pwned`" in b
    assert '"' in c
    here = shell(world, name)
    assert words(here, "zchat tail a\t'b\t \"c\t \\~\t\\=l\t") == ["tail", a, b, c, "~root", "=lös☃"]

    assert world.run("context", "add", "work", "--url", world.url).returncode == 0
    assert world.run("keys", "new", "home").returncode == 0
    (tmp_path / "notes of today.txt").touch()
    line = "zchat exp\t@wal\t--context wor\t--identity=ho\t--output=no\t"
    said = ["export", "@walther", "--context", "work", "--identity=home", "--output=notes of today.txt"]
    assert words(here, line) == said
    assert not list(tmp_path.rglob("*pwned*"))


# What they are told ---------------------------------------------------------------------------------------------------


def lines(*words: str) -> list[str]:
    """What is offered where no broker is asked."""
    kind, found = offered(list(words[:-1]), words[-1])
    return [kind, *(f"{word}: {told}" if told else word for word, told in found)]


def test_commands_options_and_choices_are_offered() -> None:
    assert {word for word, _ in offered([], "").words} == set(commands.SUMMARIES)
    assert lines("keys", "fo") == ["words", "forget: Forgets the key of a broker, which may have another then"]
    assert lines("link", "--ro") == ["words", "--room: Where it leads", "--role: Of who comes in by it"]
    assert lines("link", "--role", "") == ["words", "member", "moderator", "owner"]
    assert lines("link", "--role=o") == ["words", "--role=owner"]
    assert lines("completion", "") == ["words", "bash", "zsh", "fish"]
    assert lines("config", "set", "c") == ["words", "connect-timeout"]
    assert lines("backup", "") == ["files"]
    assert lines("check", "--data", "") == ["dirs"]
    assert lines("keys", "new", "") == lines("nonsense", "") == lines("keys", "nonsense", "") == ["words"]
    assert lines("--version", "che") == ["words", "check: Verifies all that a broker keeps; also while it runs"]


def test_who_asks_what_cannot_be_answered_gets_nothing(world: World) -> None:
    for url in (f"tcp://127.0.0.1:{lasting_port()}", "no url", "tcp://host.invalid:1"):
        assert completed(world, "send", "--url", url, "") == ["words"], url
    assert completed(world, "send", "--context", "gone", "") == ["words"]
    assert world.run("__complete").stdout == world.run("__complete", "sh", "x").stdout == ""
    assert world.run("__complete", "bash").stdout == ""


def test_the_broker_of_the_context_is_asked(world: World) -> None:
    world.broker("--memory")
    fill(world, "dev", "ops")
    assert completed(world, "send", "") == ["words", "dev", "lobby", "ops"]
    assert completed(world, "revoke", "") == completed(world, "search", "--from", "w") == ["words", "walther"]
    url = world.env.pop("ZCHAT_URL")
    patience = world.env.pop("ZCHAT_COMPLETION_TIMEOUT")
    assert completed(world, "send", "--connect-timeout", "9", "") == ["words"]
    world.env["ZCHAT_COMPLETION_TIMEOUT"] = patience
    assert world.run("context", "add", "here", "--url", url).returncode == 0
    assert completed(world, "send", "--context", "here", "o") == ["words", "ops"]
    assert world.run("context", "use", "here").returncode == 0
    assert completed(world, "send", "@") == ["words", "@walther"]
    assert completed(world, "context", "rm", "") == ["words", "here"]


def test_nobody_becomes_known_or_uses_a_link_up_by_a_tab(world: World, tmp_path: Path) -> None:
    broker = world.broker("--memory", "--curve", "--keys", str(tmp_path / "keys"), "--advertise", "127.0.0.1")
    link = broker.wait_out(r"zchat join '(\S+)'").group(1)
    world.env["ZCHAT_COMPLETION_TIMEOUT"] = "30"
    del world.env["ZCHAT_URL"]
    before = sorted(tmp_path.rglob("*"))
    assert completed(world, "send", "--url", link, "") == ["words"]
    assert completed(world, "send", "--url", world.url, "") == ["words"]
    assert sorted(tmp_path.rglob("*")) == before
    assert "you are in lobby" in world.run("join", link, "--name", "ann", stdin="hi\n").stderr
    assert completed(world, "send", "--url", link, "") == ["words", "lobby"]
    before = sorted(tmp_path.rglob("*"))
    assert completed(world, "send", "--url", world.url, "--identity", "other", "") == ["words"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "word", ["", "-x", "--url=tcp://evil", "a\nb", "a\tb", "\x1b[2J", "a\u202eb", "x" * 257, "a\x00"]
)
def test_what_could_not_be_shown_or_would_be_an_option_is_not_offered(word: str) -> None:
    assert not _harmless(word)
    assert _harmless("+ops")


# What is typed in bash ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("zchat ", (["zchat"], "", "")),
        ("zchat send de", (["zchat", "send"], "de", "")),
        ("zchat send @al", (["zchat", "send"], "@al", "")),
        ("zchat send --room=@al", (["zchat", "send"], "--room=@al", "--room=")),
        (
            "zchat send --url=tcp://h:1 'a b' --room=d",
            (["zchat", "send", "--url=tcp://h:1", "a b"], "--room=d", "--room="),
        ),
        ('zchat send --room="d', (["zchat", "send"], "--room=d", "--room=")),
        ('zchat send "a\\"b', (["zchat", "send"], 'a"b', "")),
        ("zchat send 'a\\b", (["zchat", "send"], "a\\b", "")),
        (r"zchat send a\ b\@", (["zchat", "send"], "a b@", "")),
        ("zchat send a\\", (["zchat", "send"], "a", "")),
        ("zchat tail a 2>x b", (["zchat", "tail", "a"], "b", "")),
        ("zchat rooms | zchat send d", (["zchat", "send"], "d", "")),
    ],
)
def test_lines_are_read_as_bash_reads_them(line: str, read: tuple[list[str], str, str]) -> None:
    found = typed.read(line, BREAKS)
    assert (found.words, found.current, found.kept) == read
    assert found.usable
    assert not found.files


@pytest.mark.parametrize("line", ["send $", "send `", 'send "a$', "send 'a'b", "send $(x"])
def test_where_bash_would_expand_something_nothing_is_put(line: str) -> None:
    assert not typed.read(line, BREAKS).usable or typed.read(line, BREAKS).words == []


def test_files_are_offered_where_output_goes_to_one() -> None:
    assert typed.read("zchat export >", BREAKS).files
    assert typed.read("zchat export 2> f", BREAKS).files
    assert not typed.read("zchat export > f ", BREAKS).files


@pytest.mark.skipif(not BASH, reason="needs bash")
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20).filter(_harmless))
)
@settings(max_examples=20, deadline=None)
def test_what_bash_is_given_means_itself(words: list[str]) -> None:
    for opened in ("", "'", '"'):
        line = typed.read(f"zchat send {opened}", BREAKS)
        quoted = {word: text for word in words if (text := line.quoted(word)) is not None}
        script = f"printf '%s\\n' x {' '.join(f'{opened}{text}{opened}' for text in quoted.values())}"
        with tempfile.TemporaryDirectory() as nowhere:  # with nothing to run, should it not
            done = subprocess.run([BASH, "-c", script], env={"PATH": ""}, cwd=nowhere, capture_output=True, check=True)
        assert done.stdout.decode().split("\n") == ["x", *quoted, ""]


def test_what_cannot_be_written_within_quotes_is_left_out() -> None:
    assert typed.read("zchat send '", BREAKS).quoted("it's") is None
    assert typed.read('zchat send "', BREAKS).quoted("oh!") is None
    assert typed.read("zchat send --room=", BREAKS).quoted("dev") is None
    assert typed.read("zchat send ", BREAKS).quoted("~!") == r"\~\!"


def test_fish_has_its_quotes_taken_away() -> None:
    assert [typed.bare(word) for word in (r"a\ b", "'a b", '"a', r"\'a")] == ["a b", "a b", "a", "'a"]
