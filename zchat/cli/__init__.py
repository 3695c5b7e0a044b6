"""The command line: one file per subcommand. What a subcommand needs is imported when it runs, so that `zchat
--help` is quick.
"""

from __future__ import annotations

import gc
import os
import sys

from zchat.cli.exits import FAILURE, INTERRUPTED, OK, USAGE, code_of

GARBAGE = 50_000
"""Objects made, less those gone, between two looks of the garbage collector: short commands end before the first."""


def main() -> None:
    """Runs the command line, and ends the process with its exit code; errors are one line on stderr."""
    gc.set_threshold(GARBAGE)
    _open_standard_streams()
    code = run(sys.argv[1:])
    gc.freeze()  # as it ends, Python would look through all that was ever imported
    sys.exit(code)


def _open_standard_streams() -> None:
    """Has 0, 1 and 2 lead nowhere where they were closed: else a socket would get that number, and what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, open(number, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115  # for good


def run(arguments: list[str]) -> int:
    """Runs one command; gives its exit code."""
    if arguments[:1] == ["__complete"]:  # what shells call; see zchat.cli.completion
        from zchat.cli.completion import answer

        return answer(arguments[1:])
    from typer import Abort
    from typer._click.exceptions import (
        ClickException,
        NoArgsIsHelpError,
    )  # typer 0.28 ships its own click; pinned below 0.29

    from zchat.cli.commands import app

    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "zchat"
        if isinstance(error, NoArgsIsHelpError):
            sys.stderr.write(f"{error.format_message()}\n")
        else:
            _say(f"{' '.join(error.format_message().split()).rstrip('.')} (see: {where} --help)")
        return USAGE
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED
    except Exception as error:
        from zchat.address import BadAddress
        from zchat.cli.output import ReaderGone
        from zchat.errors import ZchatError

        if isinstance(error, ReaderGone):
            return OK
        if isinstance(error, ZchatError | BadAddress):
            _say(str(error))
            return code_of(error)
        if isinstance(error, OSError):
            _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
            return FAILURE
        raise
    return code if isinstance(code, int) else OK


def _say(line: str) -> None:
    from zchat.cli.output import say

    say(line)
