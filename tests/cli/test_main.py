"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys

from support import World

import zchat


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
    code = "import sys, zchat.cli; sys.exit('zmq' in sys.modules or 'msgspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_library_loads_nothing_of_the_command_line() -> None:
    code = "import sys, zchat; zchat.connect; sys.exit('typer' in sys.modules or 'zchat.cli' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
