"""Every command and output shown in the README is run, and compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from support import Terminal, World

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

_ALIKE = [
    (re.compile(r"tcp://127\.0\.0\.1:\d+"), "tcp://127.0.0.1:5555"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "2026-11-21T10:00:00.123Z"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-11-21 10:00:00"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "10:00:00"),
]


def _alike(text: str) -> list[str]:
    """The lines of an output, with what differs from run to run made the same."""
    for pattern, shown in _ALIKE:
        text = pattern.sub(shown, text)
    return text.rstrip("\n").split("\n") if text.strip() else []


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def _commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, and the lines that are shown after each."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def _shell(world: World, command: str) -> subprocess.CompletedProcess[str]:
    folder = str(Path(sys.executable).parent)
    return subprocess.run(
        ["sh", "-c", command],
        env={**world.env, "PATH": f"{folder}:{world.env['PATH']}"},
        cwd=world.env["HOME"],
        capture_output=True,
        text=True,
        timeout=45,
        check=True,
    )


def test_first_two_commands_print_what_the_readme_says(world: World, tmp_path: Path) -> None:
    broker_block, join_block = _blocks("console")[:2]
    ((command, shown),) = _commands(broker_block)
    assert command == "zchat broker"
    broker = world.broker()
    broker.wait_err("messages in")
    assert _alike(broker.err.splitlines()[0].replace(str(tmp_path / "data"), "/home/alice/.local/share")) == shown[:1]
    assert _alike(broker.out) == shown[1:]
    ((command, shown),) = _commands(join_block)
    alice = world.terminal(*shlex.split(command)[1:])
    alice.wait("alone so far")
    assert _alike(alice.shown.rpartition("\n")[0]) == [line.rstrip() for line in shown]


def test_two_terminals_show_what_the_picture_says(world: World) -> None:
    world.broker()
    picture = _blocks("text")[0]
    columns = [re.findall(r"│ (.*?) *│", line) for line in picture.splitlines()]
    rows = [row for row in columns if len(row) == 2]
    wanted = [[row[column].rstrip() for row in rows if row[column].strip()] for column in (0, 1)]
    people = []
    for column, name in enumerate(("alice", "bob")):
        command = wanted[column].pop(0)
        assert command == f"$ zchat join --name {name}"
        people.append(world.terminal(*shlex.split(command)[2:], columns=60))
        people[-1].wait("you are in lobby")
    alice, bob = people
    alice.wait("bob joined")
    alice.type("lunch at noon?\r")
    bob.wait("lunch at noon")
    bob.type("yes!\r")
    alice.wait("bob: yes!")
    piped = re.search(r"^ +\$ (echo .*)$", picture, re.MULTILINE)
    assert piped is not None
    _shell(world, piped.group(1))
    alice.type("see you th")
    for person, lines in zip(people, wanted, strict=True):
        person.wait_for(partial(_shows, person, lines), f"the screen shows {lines}")


def _shows(person: Terminal, lines: list[str]) -> bool:
    """Whether these are the last lines on a screen."""
    return _alike(person.shown)[-len(lines) :] == lines


def test_pipes_print_what_the_readme_says(world: World) -> None:
    world.broker()
    commands = _commands(_blocks("console")[2])
    follow, shown = commands[0]
    assert follow.endswith(" &")
    follower = world.start(*shlex.split(follow.removesuffix(" &"))[1:])
    follower.wait_err("following")
    assert _alike(follower.err) == shown
    said: list[str] = []
    for command, shown in commands[1:-1]:
        assert _shell(world, command).stdout == ""
        said += shown
    assert follower.ends() == 0
    assert _alike(follower.out) == said
    command, shown = commands[-1]
    assert _alike(_shell(world, command).stdout) == shown
    _block_prints_what_the_readme_says(world, 3)
    _python_prints_what_the_readme_says(world)
    _block_prints_what_the_readme_says(world, 4)


def _block_prints_what_the_readme_says(world: World, number: int) -> None:
    for command, shown in _commands(_blocks("console")[number]):
        assert _alike(_shell(world, f"{command} 2>&1").stdout) == shown


def _python_prints_what_the_readme_says(world: World) -> None:
    (code,) = _blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code], env=world.env, capture_output=True, text=True, timeout=45, check=True
    )
    assert done.stdout == _blocks("text")[1]


def test_the_benchmark_prints_such_a_table(world: World) -> None:
    world.broker()
    ((command, shown),) = _commands(_blocks("console")[5])
    printed = _shell(world, command).stdout.splitlines()
    assert [_figures_alike(line) for line in printed] == [_figures_alike(line) for line in shown]


def _figures_alike(line: str) -> list[str]:
    """The words of a line; numbers are one as good as another."""
    return [re.sub(r"[\d,.]*\d", "0", word) for word in line.split()]


def test_every_slash_command_and_option_shown_exists(world: World) -> None:
    from zchat.cli.chat import COMMANDS

    table = README.split("## In a terminal")[1].split("\n## ")[0]
    assert set(re.findall(r"`[^`]*?/(\w+)", table)) == set(COMMANDS)
    shown = world.run("broker", "--help").stdout
    options = README.split("## The broker")[1].split("\n## ")[0]
    for option in re.findall(r"`(--[\w-]+)", options):
        assert option in shown


def test_files_that_are_linked_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
