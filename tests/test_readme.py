"""Every command and output shown in the README is run, and compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from shown import LINK, ROOT, Step, alike, blocks, fits, section, shell, steps
from support import Terminal, World

README = (ROOT / "README.md").read_text()


def _blocks(heading: str, language: str) -> list[str]:
    return blocks(section(README, heading), language)


def _shell(world: World, command: str) -> subprocess.CompletedProcess[str]:
    return shell(command, world.env, world.env["HOME"])


def test_first_two_commands_print_what_the_readme_says(world: World, tmp_path: Path) -> None:
    broker_block, join_block = _blocks("", "console")
    ((_, command, shown),) = steps(broker_block)
    assert command == "zchat broker"
    broker = world.broker()
    broker.wait_err("messages in")
    assert alike(broker.err.splitlines()[0].replace(str(tmp_path / "data"), "/home/alice/.local/share")) == shown[:1]
    assert alike(broker.out) == shown[1:]
    ((_, command, shown),) = steps(join_block)
    alice = world.terminal(*shlex.split(command)[1:])
    alice.wait("alone so far")
    assert alike(alice.shown.rpartition("\n")[0]) == [line.rstrip() for line in shown]


def test_two_terminals_show_what_the_picture_says(world: World) -> None:
    world.broker()
    picture = _blocks("", "text")[0]
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
    return alike(person.shown)[-len(lines) :] == lines


def test_pipes_print_what_the_readme_says(world: World) -> None:
    world.broker()
    first, second = _blocks("## In a pipe", "console")
    commands = steps(first)
    _, follow, shown = commands[0]
    assert follow.endswith(" &")
    follower = world.start(*shlex.split(follow.removesuffix(" &"))[1:])
    follower.wait_err("following")
    assert alike(follower.err) == shown
    said: list[str] = []
    for _, command, shown in commands[1:-1]:
        assert _shell(world, command).stdout == ""
        said += shown
    assert follower.ends() == 0
    assert alike(follower.out) == said
    _, command, shown = commands[-1]
    assert alike(_shell(world, command).stdout) == shown
    _block_prints_what_the_readme_says(world, second)
    _python_prints_what_the_readme_says(world)
    (keep,) = _blocks("## Keep it", "console")
    _block_prints_what_the_readme_says(world, keep)


def _block_prints_what_the_readme_says(world: World, block: str) -> None:
    for _, command, shown in steps(block):
        assert alike(_shell(world, f"{command} 2>&1").stdout) == shown


def _python_prints_what_the_readme_says(world: World) -> None:
    programs, outputs = blocks(README, "python"), _blocks("## In Python", "text")
    assert len(programs) == len(outputs) > 1
    for code, output in zip(programs, outputs, strict=True):
        done = subprocess.run(
            [sys.executable, "-c", code], env=world.env, capture_output=True, text=True, timeout=45, check=True
        )
        assert done.stdout == output


class Machines:
    """Machines with people on them, each with folders of its own; all are this one, and chat.example.org is one.

    Args:
        world: where all is started.
        folder: for what they keep.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._port = "0"
        self._link = ""
        self._env: dict[str, dict[str, str]] = {}

    def run(self, step: Step) -> None:
        """Runs what is shown, and compares what comes."""
        env = self._env.setdefault(step.who, self._world.person(self._folder / step.who))
        command = step.command.replace("chat.example.org", "127.0.0.1").replace(":5555", f":{self._port}")
        words = shlex.split(LINK.sub(self._link, command))
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            env[name] = value
            printed = []
        elif words[:2] == ["zchat", "broker"]:
            broker = self._world.start(*words[1:], env=env)
            self._port = broker.wait_out(r"listening on tcp://\S+:(\d+)\n").group(1)
            broker.wait_out("zchat join")
            broker.wait_err("messages in")
            printed = [*broker.err.splitlines()[:1], *broker.out.splitlines()]
        elif words[:2] == ["zchat", "join"]:
            person = self._world.terminal(*words[1:], env=env, columns=160)
            person.wait(re.escape(step.shown[-1]))
            printed = person.shown.splitlines()[:-1]  # but for the prompt
        else:
            done = shell(f"{shlex.join(words)} 2>&1", env, env["HOME"], check=False)
            printed = done.stdout.splitlines()
        self._link = next((link for line in printed for link in LINK.findall(line)), self._link)
        text = "\n".join(printed).replace(str(self._folder / step.who / "data"), "/home/alice/.local/share")
        lines = alike(text.replace(f":{self._port}", ":5555").replace("127.0.0.1", "chat.example.org"))
        assert fits(lines, step.shown), (step.command, lines, step.shown)


def test_people_on_other_machines_see_what_the_readme_says(world: World, tmp_path: Path) -> None:
    machines = Machines(world, tmp_path)
    for block in _blocks("## From another machine", "console"):
        for step in steps(block):
            machines.run(step)


def test_the_benchmark_prints_such_a_table(world: World) -> None:
    world.broker()
    (block,) = _blocks("## Measure it", "console")
    ((_, command, shown),) = steps(block)
    printed = _shell(world, command).stdout.splitlines()
    assert [_figures_alike(line) for line in printed] == [_figures_alike(line) for line in shown]


def _figures_alike(line: str) -> list[str]:
    """The words of a line; numbers are one as good as another."""
    return [re.sub(r"[\d,.]*\d", "0", word) for word in line.split()]


def test_every_slash_command_and_option_shown_exists(world: World) -> None:
    from zchat.verbs import WORDS

    table = section(README, "## In a terminal")
    assert set(re.findall(r"`[^`]*?/(\w+)", table)) == set(WORDS)
    shown = world.run("broker", "--help").stdout
    for option in re.findall(r"^\| `(--[^|]*)\|", section(README, "## The broker"), re.MULTILINE):
        for name in re.findall(r"--[\w-]+", option):
            assert name in shown


def test_lines_that_stand_for_others() -> None:
    assert fits(["a", "b", "c 1 d"], ["…", "c … d"])
    assert fits(["c 1 d"], ["…", "c … d"])
    assert not fits(["c 1 d", "more"], ["…", "c … d"])
    assert not fits(["c d"], ["c … d"])


def test_files_that_are_linked_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
