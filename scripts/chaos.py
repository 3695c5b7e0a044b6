#!/usr/bin/env python3
"""Breaks what can break while clients talk, and checks that the broker keeps its promise.

    scripts/chaos.py --profile kill --seconds 60 --clients 50 --kills 20 --seed 1

Clients are zchat's own, in processes of several, and note every message before they hand it over, what came of it, and
all that they hear. At the end somebody new reads every room, and `checker.py` judges. Everything runs in a new folder
under the system's temporary one, and is ended with the run; the folder stays if something was wrong.

Exit status: 0 all well, or skipped with a message since this machine lacks something; 1 something was wrong; 2 usage;
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

try:
    from scripts.chaos_flip import flip
    from scripts.chaos_full import disk
    from scripts.chaos_hostile import ROWS, hostile
    from scripts.chaos_kill import kill
    from scripts.chaos_net import net
    from scripts.chaos_power import power
    from scripts.chaos_process import Failed
    from scripts.chaos_run import Options, Run, Skipped, begun
    from scripts.chaos_time import clock, soak, stop
except ModuleNotFoundError as missing:
    own = ROOT / ".venv"
    if __name__ == "__main__" and sys.prefix != str(own) and (own / "bin" / "python").exists():
        os.execv(own / "bin" / "python", [str(own / "bin" / "python"), *sys.argv])  # noqa: S606
    print(f"chaos: {missing.name} is not installed: run scripts/test once, it makes .venv", file=sys.stderr)
    sys.exit(2)

PROFILES: dict[str, Callable[[Run], None]] = {
    "kill": kill,
    "power": power,
    "disk": disk,
    "flip": flip,
    "stop": stop,
    "soak": soak,
    "net": net,
    "clock": clock,
    "hostile": hostile,
}
"""What is broken: how it is done is told in the function's file."""

SHOWN = 20
"""Faults that are told one by one; of more, how many."""

OVERTIME = 300.0
"""Seconds beyond those asked for after which a run is given up, whatever it waits for."""

HOSTILE = 7200.0
"""Seconds that the hostile profile may take in addition, at the table's scale."""


def number(kind: type[int] | type[float], low: float) -> Callable[[str], float]:
    """What takes a number of at least this from the command line."""

    def convert(given: str) -> float:
        try:
            value = kind(given)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{given!r} is not a number") from None
        if not low <= value < 1e9:
            raise argparse.ArgumentTypeError(f"{given} is out of range")
        return value

    return convert


def rows(given: str) -> tuple[int, ...]:
    """The rows of the hostile profile that are named, out of the command line."""
    try:
        return tuple(one for one in map(int, given.split(",")) if ROWS[one] is not None)
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{given!r} names no row: there are {', '.join(map(str, ROWS))}") from None


def parser() -> argparse.ArgumentParser:
    """What may be asked for on the command line."""
    made = argparse.ArgumentParser(
        prog="chaos.py",
        description="Breaks what can break while clients talk, and checks that the broker keeps its promise.",
        epilog="Exit status: 0 all well or skipped, 1 something was wrong, 2 usage, 130 Ctrl-C.",
    )
    several = number(int, 1)
    made.add_argument("--profile", choices=sorted(PROFILES), default="kill", help="what is broken (kill)")
    made.add_argument(
        "--seconds", type=number(float, 1), default=60.0, metavar="N", help="for how long it is broken (60)"
    )
    made.add_argument("--clients", type=several, default=50, metavar="N", help="who talk (50)")
    made.add_argument(
        "--kills", type=number(int, 0), default=20, metavar="N", help="of the broker, and as many of clients (20)"
    )
    made.add_argument("--rate", type=number(float, 0.1), default=200.0, metavar="N", help="messages a second (200)")
    made.add_argument("--rooms", type=several, default=5, metavar="N", help="rooms, and as many private ones (5)")
    made.add_argument(
        "--doors",
        type=number(float, 0.01),
        default=0.5,
        metavar="N",
        help="seconds until the next is let into a private room, or sent out of it (0.5)",
    )
    made.add_argument(
        "--serving",
        type=number(float, 0.1),
        default=2.0,
        metavar="N",
        help="seconds that a restarted broker may take to serve, in kill (2)",
    )
    made.add_argument("--copies", type=several, default=500, metavar="N", help="that are damaged, in flip (500)")
    made.add_argument(
        "--scale",
        type=number(float, 1e-6),
        default=1.0,
        metavar="X",
        help="of what a hostile one does (1)",
    )
    made.add_argument(
        "--rows",
        type=rows,
        default=(),
        metavar="N,N",
        help=f"of what a hostile one does: some of {', '.join(map(str, ROWS))} (all)",
    )
    made.add_argument("--seed", type=int, default=1, metavar="N", help="of all that is decided by chance (1)")
    made.add_argument(
        "--broker", type=Path, metavar="SCRIPT", help="a Python script that is run as the broker in place of zchat"
    )
    made.add_argument("--json", action="store_true", help="report as one JSON object")
    made.add_argument("--out", type=Path, metavar="FILE", help="write the report there too, as JSON")
    return made


def table(found: dict[str, Any]) -> str:
    """The report for people to read."""

    def show(value: Any) -> str:
        if isinstance(value, dict) and "passed" in value:
            return f"{'pass' if value['passed'] else 'FAIL'}  {value['figure']}"
        return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)

    return "\n".join(f"{name.replace('_', ' '):<26} {show(value)}" for name, value in found.items())


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _give_up(_number: int, _frame: object) -> None:
    raise Failed("it took far too long, and was given up")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit status."""
    given = vars(parser().parse_args(arguments))
    as_json, out = given.pop("json"), given.pop("out")
    options = Options(**given)
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, _interrupt)
    signal.signal(signal.SIGALRM, _give_up)
    lasting = 2 * options.seconds + (HOSTILE * options.scale if options.profile == "hostile" else 0.0)
    signal.setitimer(signal.ITIMER_REAL, lasting + OVERTIME)
    try:
        with begun(options) as run:
            PROFILES[options.profile](run)
    except Skipped as error:
        print(f"chaos: skipped: {error}", file=sys.stderr)
        return 0
    except KeyboardInterrupt:
        print("chaos: interrupted", file=sys.stderr)
        return 130
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    asked = {name: value for name, value in asdict(options).items() if name != "broker"}
    found = {**asked, **run.found, "faults": len(run.faults)}
    if out is not None:
        out.write_text(json.dumps({**found, "what": run.faults}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found) if as_json else table(found))
    for fault in run.faults[:SHOWN]:
        print(f"chaos: {fault}", file=sys.stderr)
    if len(run.faults) > SHOWN:
        print(f"chaos: and {len(run.faults) - SHOWN} faults more", file=sys.stderr)
    return int(bool(run.faults))


if __name__ == "__main__":
    sys.exit(main())
