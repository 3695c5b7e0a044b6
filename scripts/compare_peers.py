#!/usr/bin/env python3
"""Puts zchat and other servers to the same loads, in turn, and compares what that costs them.

    scripts/compare_peers.py --workload W1,W4 --peers redis,nats --rounds 5

The load is the same for all: raw sockets, bytes that were encoded before, and arrivals that are counted. Servers that
are not installed are left out. zchat with CURVE is measured beside redis and NATS with TLS, in the same rounds. See
docs/BENCHMARKS.md for what the workloads are.

Exit status: 0 all was measured; 1 something failed; 2 usage; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

try:
    from scripts.chaos_process import Failed
    from scripts.peers_cases import Case, Field, cases
    from scripts.peers_curve import sodium
    from scripts.peers_growth import Filled
    from scripts.peers_markdown import markdown, write
    from scripts.peers_plot import plot
    from scripts.peers_report import Measured, as_object, machine, report
    from scripts.peers_servers import PACKAGES, knows_curve, program, version
    from scripts.peers_workloads import FULL, QUICK, SMOKE, Figures, Scale, Variant
except ModuleNotFoundError as missing:
    own = ROOT / ".venv"
    if __name__ == "__main__" and sys.prefix != str(own) and (own / "bin" / "python").exists():
        os.execv(own / "bin" / "python", [str(own / "bin" / "python"), *sys.argv])  # noqa: S606
    print(f"compare_peers: {missing.name} is not installed: run scripts/test once, it makes .venv", file=sys.stderr)
    sys.exit(2)

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10")
PEERS = ("redis", "nats", "mosquitto", "ngircd", "threads")


def _several(known: Sequence[str]) -> Any:
    def convert(given: str) -> list[str]:
        found = [one.strip() for one in given.split(",") if one.strip()]
        for one in found:
            if one not in known:
                raise argparse.ArgumentTypeError(f"{one!r} is none of {', '.join(known)}")
        if not found:
            raise argparse.ArgumentTypeError(f"none is named of {', '.join(known)}")
        return found

    return convert


def _checkout(given: str) -> Path:
    path = Path(given).resolve()
    if not (path / "zchat" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{given} is no checkout of zchat")
    return path


def _writable(given: str) -> Path:
    path = Path(given)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{given} is no file that could be written")
    return path


def parser() -> argparse.ArgumentParser:
    """What may be asked for on the command line."""
    made = argparse.ArgumentParser(
        prog="compare_peers.py",
        description="Puts zchat and other servers to the same loads, and compares what that costs them.",
        epilog="Exit status: 0 all was measured, 1 something failed, 2 usage, 130 Ctrl-C.",
    )
    made.add_argument("--workload", type=_several(WORKLOADS), default=WORKLOADS, metavar="W1,W2", help="which (all)")
    made.add_argument(
        "--peers", type=_several(PEERS), default=PEERS, metavar="A,B", help=f"of {', '.join(PEERS)} (all)"
    )
    made.add_argument("--rounds", type=int, metavar="N", help="of each, in turn (5, and 2 of what is encrypted)")
    made.add_argument("--only", choices=("plain", "encrypted"), help="without encryption, or CURVE beside TLS (both)")
    size = made.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="less of all, within four minutes")
    size.add_argument("--smoke", action="store_true", help="hardly anything: only whether it works")
    made.add_argument("--json", action="store_true", help="report as one JSON object, with all rounds")
    made.add_argument("--plot", type=_writable, metavar="FILE", help="draw a chart there, as SVG")
    made.add_argument(
        "--markdown", type=_writable, metavar="FILE", help="write the tables into it, between their marks"
    )
    made.add_argument("--tree", type=_checkout, metavar="DIR", help="measure the zchat of another checkout beside it")
    return made


def present(asked: Sequence[str]) -> list[str]:
    """The peers that can be started here; says how to install the others."""
    found = []
    for peer in asked:
        if peer == "threads" or program(PACKAGES[peer]):
            found.append(peer)
        else:
            print(f"compare_peers: no {peer} here, it is left out: apt-get install {PACKAGES[peer]}", file=sys.stderr)
    return found


def field(options: argparse.Namespace) -> Field:
    """Who takes part; says what is missing for the others, and how to install it."""
    sealed = options.only != "plain"
    curve = tls = sealed
    if sealed and sodium() is None:
        print("compare_peers: no libsodium here, CURVE is left out: apt-get install libsodium23", file=sys.stderr)
        curve = False
    if sealed and not program("openssl"):
        print("compare_peers: no openssl here, TLS is left out: apt-get install openssl", file=sys.stderr)
        tls = False
    return Field(
        present(options.peers),
        options.only != "encrypted",
        curve,
        tls,
        options.tree,
        options.tree is not None and sealed and knows_curve(options.tree),
    )


def measure(all_cases: Sequence[Case], asked: int | None, scale: Scale) -> list[Measured]:
    """Runs the cases, each with its variants in turn.

    Args:
        all_cases: to be run.
        asked: rounds of each; None for as many as each has by default.
        scale: that number, where a case has none of its own.
    """

    def rounds_of(case: Case, variant: Variant) -> int:
        default = scale.sealed_rounds if variant.sealed else scale.rounds
        return asked or min(case.rounds or default, default)

    found = [Measured(case.workload, case.title, case.name) for case in all_cases]
    show = sys.stderr.isatty()
    begin = time.monotonic()
    for place in range(asked or scale.rounds):
        for case, into in zip(all_cases, found, strict=True):
            for variant in case.variants:
                rounds = rounds_of(case, variant)
                if place >= rounds:
                    continue
                if show:
                    said = f"{case.workload} {case.name}, {variant.name}: round {place + 1} of {rounds}"
                    print(f"\r\033[K{time.monotonic() - begin:4.0f} s  {said}", end="", file=sys.stderr, flush=True)
                try:
                    figures = case.run(variant)
                except Failed as error:
                    raise Failed(f"{case.workload} {case.name}, {variant.name}: {error}") from None
                into.rounds.setdefault(variant.name, []).append(figures)
                if case.growing:
                    of = (variant.sealed, variant.tree)
                    smallest = next(one.name for one in case.variants if (one.sealed, one.tree) == of)
                    first = into.rounds[smallest][-1]
                    figures["ratio"] = _cost(figures) / _cost(first)
    if show:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return found


def _cost(figures: Figures) -> float:
    """What is compared as something grows, in microseconds."""
    return next(figures[name] for name in ("cpu_us_per_message", "cpu_us_per_delivery") if name in figures)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit status."""
    asked = parser()
    options = asked.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        asked.error("there is at least one round")
    if not Path("/proc/self/stat").exists():
        print("compare_peers: there is no /proc here, where processor time is read: run it on Linux", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    scale = SMOKE if options.smoke else QUICK if options.quick else FULL
    there = field(options)
    begin = time.time()
    filled = Filled()
    try:
        found = measure(cases(options.workload, there, scale, filled), options.rounds, scale)
        versions = {peer: version(peer) for peer in ("zchat", *there.peers)}
    except (Failed, OSError) as error:
        print(f"compare_peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        filled.close()
    about = {
        "date": time.strftime("%Y-%m-%d", time.gmtime(begin)),
        "seconds": round(time.time() - begin),
        "command": command(options),
        "machine": machine(),
        "versions": versions,
    }
    try:
        if options.plot:
            options.plot.write_text(plot(found), encoding="utf-8")
        if options.markdown:
            write(options.markdown, markdown(about, found))
    except OSError as error:
        print(f"compare_peers: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({**about, "measured": [as_object(one) for one in found]}, indent=1))
    else:
        print(report(found), end="")
    return 0


def command(options: argparse.Namespace) -> str:
    """How to measure the same again; it names no files."""
    words = ["scripts/compare_peers.py"]
    if tuple(options.workload) != WORKLOADS:
        words += ["--workload", ",".join(options.workload)]
    if tuple(options.peers) != PEERS:
        words += ["--peers", ",".join(options.peers)]
    if options.only:
        words += ["--only", options.only]
    if options.rounds:
        words += ["--rounds", str(options.rounds)]
    return " ".join([*words, *(f"--{size}" for size in ("quick", "smoke") if getattr(options, size))])


if __name__ == "__main__":
    sys.exit(main())
