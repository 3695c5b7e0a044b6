"""W8: what it costs to start zchat's command line."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.chaos_process import Failed
from scripts.peers_servers import ROOT
from scripts.peers_workloads import Figures, Scale, Variant


def helped(variant: Variant, scale: Scale) -> Figures:
    """`zchat --help`."""
    return _run(variant, ["--help"], scale, None)


def sent(variant: Variant, scale: Scale) -> Figures:
    """`zchat send` of one message to a broker that runs."""
    with variant.running() as server:
        return _run(variant, ["send", "--name", "bench", "--url", server.url, "bench", "hello"], scale, server.folder)


def _run(variant: Variant, arguments: Sequence[str], scale: Scale, folder: Path | None) -> Figures:
    """The median of several runs, after one that makes sure that everything is compiled, and that there is a key.

    Args:
        variant: which zchat.
        arguments: of it.
        scale: how often.
        folder: where it keeps what it keeps of its user; None if it keeps nothing.
    """
    kept = str(folder or os.devnull)
    env = {**os.environ, "XDG_STATE_HOME": kept, "XDG_CONFIG_HOME": kept}
    costs = [_once(arguments, variant.tree or ROOT, env) for _ in range(scale.commands + 1)][1:]
    return {
        "cpu_ms": statistics.median(spent for spent, _ in costs) * 1000,
        "clock_ms": statistics.median(took for _, took in costs) * 1000,
    }


def _once(arguments: Sequence[str], tree: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of processor time, and on the clock, of one run."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "zchat", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tree,
        env=env,
    )
    _pid, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"zchat {arguments[0]} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, took
