"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from support import World

import zchat
from zchat.cli import commands


def test_version(world: World) -> None:
    assert world.run("--version").stdout == f"zchat {zchat.__version__}\n"


def test_help_names_every_command(world: World) -> None:
    shown = world.run("--help").stdout
    for name in ("broker", "join", "send", "tail", "who", "rooms", "ask", "ping"):
        assert f"\n  {name} " in shown
        assert world.run(name, "--help").returncode == 0


def test_usage_errors_are_one_line_and_exit_2(world: World) -> None:
    for arguments in (["nonsense"], ["send"], ["tail"], ["tail", "x", "--count", "0"], ["who", "--url", "no url"]):
        done = world.run(*arguments)
        assert done.returncode == 2, arguments
        assert done.stderr.count("\n") == 1, done.stderr
    assert world.run().returncode == 2


def test_no_zeromq_is_loaded_for_the_help() -> None:
    code = (
        "import sys; from zchat.cli import run; assert run(['--help']) == 0\n"
        "sys.exit('zmq' in sys.modules or 'msgspec' in sys.modules or 'zchat.cli.send' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_the_library_loads_nothing_of_the_command_line() -> None:
    code = "import sys, zchat; zchat.connect; sys.exit('typer' in sys.modules or 'zchat.cli' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_summary_is_how_the_help_of_its_command_begins() -> None:
    for name, summary in commands.SUMMARIES.items():
        said = " ".join((import_module(commands.module(name)).command.__doc__ or "").split())
        assert said.startswith(summary), name


def test_send_imports_only_what_it_needs(world: World) -> None:
    world.broker()
    code = (
        "import sys; from zchat.cli import run; assert run(['send', '--name', 'ann', 'lobby', 'hello']) == 0\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], env=world.env, capture_output=True, text=True, check=True)
    # Each takes as long as much of the rest together.
    heavy = {"asyncio", "rich", "sqlite3", "logging", "precis_i18n", "confusable_homoglyphs", "wcwidth", "zchat.broker"}
    assert not heavy & set(loaded.stdout.split())
    assert "zchat.cli.send" in loaded.stdout.split()
    assert "zchat.cli.join" not in loaded.stdout.split()
