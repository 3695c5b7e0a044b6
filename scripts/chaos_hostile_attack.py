"""A hostile process: one attack, run apart from whoever watches.

    python -m scripts.chaos_hostile_attack MODULE FUNCTION '{"port": ..., ...}'

The function's answer is printed as one line of JSON. An attack that holds on until it is told to stop waits for a line
of its standard input with `told`, and says so with `ready`.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import sys

NICE = 10
"""By how much an attacker stands back: elsewhere it has processors of its own."""


def ready(**found: object) -> None:
    """Says how far the attack is."""
    print(json.dumps(found), flush=True)


def told() -> bool:
    """Whether a line came on standard input, or its end."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def order() -> str:
    """The next line on standard input; empty at its end."""
    return sys.stdin.readline().strip()


def main() -> int:
    """Runs the attack."""
    os.nice(NICE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _, module, function, given = sys.argv
    print(json.dumps(getattr(importlib.import_module(module), function)(**json.loads(given))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
