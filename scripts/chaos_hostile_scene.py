"""What the rows of the hostile profile share: a broker of their own, honest people, attackers, and lines of figures."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_keys import CurveBroker
from scripts.chaos_process import Broker, Failed, Process
from scripts.chaos_run import Run
from zchat.messages import Welcome

MIB = 1 << 20

TICK = 0.02
"""Seconds between two looks at the broker's memory."""

LONGEST = 1800.0
"""Seconds that one attack may take."""

ANSWERED = 30.0
"""Seconds that a process may take to say what it is asked."""


def p99(took: Sequence[float]) -> float:
    """What 99 of 100 stay below; infinite if there are none."""
    return sorted(took)[min(len(took) * 99 // 100, len(took) - 1)] if took else float("inf")


@dataclass(slots=True)
class Heard:
    """What honest people measured over some time.

    Attributes:
        took: seconds of what succeeded, by kind; failed: why the rest did not.
    """

    took: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)

    def p99(self, kind: str = "talk") -> float:
        """Of a kind, in seconds; infinite if something failed."""
        return float("inf") if self.failed.get(kind) else p99(self.took.get(kind, []))


class Scene:
    """One row of the table.

    Args:
        run: the whole run.
        row: its number.
        broker: more arguments for it.
        within: a command that runs it.
        curve: whether it speaks CURVE, and lets in whoever has a key.
    """

    def __init__(
        self, run: Run, row: int, broker: Sequence[str] = (), within: Sequence[str] = (), curve: bool = False
    ) -> None:
        self.run = run
        self.row = row
        self.random = Random(f"{run.options.seed} {row}")
        self.folder = Path(run.folder) / f"row{row}-{len(os.listdir(run.folder))}"  # noqa: PTH208  # only counted
        self.folder.mkdir()
        self.undo = ExitStack()
        script = run.options.broker
        self.broker = (
            CurveBroker(self.folder, script, broker, within)
            if curve
            else Broker(self.folder, script, broker, within=within)
        )
        self.peak = 0

    def __enter__(self) -> Self:
        self.undo.callback(self.broker.kill)
        self.broker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.undo:
            if kind is None:
                self._still_well()

    @property
    def port(self) -> int:
        """Of requests; the next one publishes."""
        return self.broker.port

    def scaled(self, number: float, least: int = 1) -> int:
        """So many at the table's scale."""
        return max(round(number * self.run.options.scale), least)

    # Lines ------------------------------------------------------------------------------------------------------------

    def line(self, what: str, figure: str, passed: bool) -> None:
        """One line of the report."""
        before = self.run.found.get(f"{self.row} {what}")
        if before is None or before["passed"]:  # of several brokers of a row, what was wrong with one
            self.run.found[f"{self.row} {what}"] = {"figure": figure, "passed": passed}
        if not passed:
            self.run.faults.append(f"row {self.row}, {what}: {figure}")

    def below(self, what: str, figure: float, bound: float, unit: str) -> None:
        """A line of what must not be above a bound."""
        self.line(what, f"{figure:.4g} {unit}, {bound:g} allowed", figure <= bound)

    def waited(self, what: str, heard: Heard, bound: float = 0.25, kind: str = "talk") -> None:
        """A line of how long honest people waited: at most so many seconds; nothing may have failed."""
        failed = heard.failed.get(kind, [])
        shown = f"{heard.p99(kind) * 1000:.4g} ms of {len(heard.took.get(kind, []))}, {bound * 1000:g} allowed"
        self.line(what, f"{len(failed)} failed: {failed[0]}" if failed else shown, heard.p99(kind) <= bound)

    def none(self, what: str, found: Sequence[object], of: int, kind: str) -> None:
        """A line of what must not be at all.

        Args:
            of: how many were tried; none at all is no test.
            kind: what they are.
        """
        shown = f" ({'; '.join(map(str, found[:3]))})" if found else ""
        self.line(what, f"{len(found)} of {of:,} {kind}{shown}", not found and of > 0)

    def _still_well(self) -> None:
        said = self.broker.errors.read_text(errors="replace")
        tracebacks = said.count("Traceback") + said.count("Assertion failed")
        self.line("exits and tracebacks", f"{int(not self.broker.alive)} and {tracebacks}", self._is_well(tracebacks))

    def _is_well(self, tracebacks: int) -> bool:
        if not self.broker.alive or tracebacks:
            return False
        with Actor(self.broker.url) as somebody:
            return isinstance(somebody.hello(), Welcome)

    # Who is there -----------------------------------------------------------------------------------------------------

    def honest(self, *kinds: str) -> Honest:
        """Starts honest people who do these things."""
        made = Honest(self, kinds, self.broker.url)
        self.undo.callback(made.process.kill)
        return made

    def attack(self, module: str, function: str, **given: Any) -> Process:
        """Starts an attacker."""
        module = f"scripts.chaos_hostile_{module}"
        command = [sys.executable, "-m", "scripts.chaos_hostile_attack", module, function, json.dumps(given)]
        process = Process(command, self.folder / "attack.err")
        self.undo.callback(process.kill)
        return process

    def answer(self, process: Process, what: str, within: float = LONGEST) -> dict[str, Any]:
        """Waits for the next line of an attacker; the broker's memory is looked at meanwhile.

        Raises:
            Failed: none came.
        """
        found: list[str] = []
        self.wait(within, what, lambda: self._said(process, found))
        if not found:
            said = (self.folder / "attack.err").read_text(errors="replace").strip().splitlines()
            raise Failed(f"the attacker ended, or did not end: {said[-1] if said else 'it said nothing'}")
        told: dict[str, Any] = json.loads(found[0])
        return told

    def _said(self, process: Process, found: list[str]) -> bool:
        line = process.hear(0)
        if line is not None:
            found.append(line)
        return line is not None or not process.alive

    def wait(self, seconds: float, what: str, until: Callable[[], bool] = lambda: False) -> bool:
        """Waits so many seconds, or until something is so; says whether it is.

        Raises:
            Failed: the broker ended.
        """
        deadline = time.monotonic() + seconds
        while not until():
            if not self.broker.alive:
                self.line("exits and tracebacks", f"it ended: {self.broker.last_words()}", passed=False)
                raise Failed(f"the broker ended by itself: {self.broker.last_words()}")
            self.peak = max(self.peak, self.broker.memory())
            if time.monotonic() >= deadline:
                return False
            self.run.progress.show(f"hostile, row {self.row}: {what}")
            threading.Event().wait(TICK)
        return True

    def cpu(self) -> float:
        """Seconds of processor time that the broker has used."""
        fields = Path(f"/proc/{self.broker.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Honest:
    """A process of honest people."""

    def __init__(self, scene: Scene, kinds: Sequence[str], url: str) -> None:
        self._scene = scene
        command = [sys.executable, "-m", "scripts.chaos_hostile_honest", url, *kinds]
        own = {"XDG_CONFIG_HOME": str(scene.folder / "config"), "XDG_STATE_HOME": str(scene.folder / "state")}
        self.process = Process(command, scene.folder / "honest.err", own)
        self._kinds = kinds

    def settled(self) -> None:
        """Waits until all of them have done something.

        Raises:
            Failed: they do not come to it.
        """
        left = set(self._kinds)
        deadline = time.monotonic() + ANSWERED
        while left:
            heard = self.mark()
            left -= {kind for kind, took in heard.took.items() if took}
            if time.monotonic() > deadline:
                raise Failed(f"honest people cannot {', '.join(left)}: {heard.failed}")
            self._scene.wait(0.1, "waiting for honest people")

    def mark(self) -> Heard:
        """What they measured since the last mark.

        Raises:
            Failed: they ended.
        """
        self.process.say("mark")
        line = self.process.hear(ANSWERED)
        if line is None:
            raise Failed("the honest people ended by themselves")
        told = json.loads(line)
        return Heard(
            {kind: one["took"] for kind, one in told.items()}, {kind: one["failed"] for kind, one in told.items()}
        )

    def over(self, seconds: float, what: str) -> Heard:
        """What they measure in so many seconds from now on."""
        self.mark()
        self._scene.wait(seconds, what)
        return self.mark()
