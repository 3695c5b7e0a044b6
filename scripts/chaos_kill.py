"""The broker and clients are killed and stopped at random times under load."""

from __future__ import annotations

import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from scripts.chaos_process import Broker, Worker
from scripts.chaos_run import Run, Witness

GONE = 30.0
"""Seconds until the sessions of clients that were killed are gone, at most."""

STOPPED = 12.0
"""Seconds for which clients are stopped, at most: longer than the broker bears with a lost connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done to the run.

    Attributes:
        at: seconds after its begin.
        what: "broker" is killed and restarted; a process of clients is killed and restarted "at once", or when its
            sessions are "gone"; it is stopped for a while.
        which: the number of the process.
        lasting: seconds for which it is stopped.
    """

    at: float
    what: str
    which: int = 0
    lasting: float = 0.0


def plan(random: Random, seconds: float, kills: int, workers: int) -> list[Step]:
    """What is done when: so many kills of the broker, as many of clients, and half as many stops.

    Args:
        random: decides.
        seconds: that the run takes.
        workers: processes of clients.
    """

    def moments(count: int) -> list[float]:
        return [random.uniform(0.05, 0.95) * seconds for _ in range(count)]

    steps = [Step(at, "broker") for at in moments(kills)]
    steps += [Step(at, random.choice(["at once", "gone"]), random.randrange(workers)) for at in moments(kills)]
    for at in moments((kills + 1) // 2):
        lasting = min(random.uniform(0.1, STOPPED), 0.98 * seconds - at)
        steps.append(Step(at, "stop", random.randrange(workers), lasting))
    return sorted(steps, key=lambda step: step.at)


class Chaos:
    """Does the steps of a plan.

    Args:
        run: whose broker and clients these are.
        steps: to be done, in order.
        witness: sees who is here.

    Attributes:
        killed: processes of clients that were.
        slowest_gone: the longest that sessions of killed clients were seen, in seconds.
        unsound: what an integrity check of the store found after kills.
    """

    def __init__(self, run: Run, steps: list[Step], witness: Witness) -> None:
        self.killed = self.stopped = 0
        self.slowest_gone = 0.0
        self.unsound: list[str] = []
        self._run = run
        self._steps = steps
        self._witness = witness
        self._awaited: dict[Worker, float] = {}  # killed, and not started again before their sessions are gone
        self._resume: dict[Worker, float] = {}

    def go(self, broker: Broker) -> None:
        """Does all of it, for as long as the run is to take."""
        begin = time.monotonic()
        for step in self._steps:
            self._wait(begin + step.at)
            worker = self._run.workers[step.which]
            if step.what == "broker":
                self._kill_broker(broker)
            elif not worker.alive or worker.stopped:
                continue  # something is done to it already
            elif step.what == "stop":
                worker.pause()
                self.stopped += 1
                self._resume[worker] = time.monotonic() + step.lasting
            else:
                worker.kill()
                self.killed += 1
                if step.what == "gone":
                    self._awaited[worker] = time.monotonic()
                else:
                    worker.start()
        self._wait(begin + self._run.options.seconds)
        self._run.wait(GONE, "waiting for everybody to be back", lambda: self._look() and not self._busy)
        for worker in list(self._awaited):
            self._run.faults.append(f"the sessions of process {worker.number} were still there {GONE:g} s after it")
            self._back(worker, GONE)
        for worker in list(self._resume):
            worker.resume()

    @property
    def _busy(self) -> bool:
        return bool(self._awaited or self._resume)

    def _wait(self, until: float) -> None:
        what = f"{len(self._run.broker.started) - 1 if self._run.broker else 0} + {self.killed} killed"
        self._run.wait(until - time.monotonic(), what, lambda: self._look() and time.monotonic() >= until)

    def _look(self) -> bool:
        now = time.monotonic()
        for worker, until in list(self._resume.items()):
            if until <= now:
                del self._resume[worker]
                worker.resume()
        asked, here = self._witness.seen
        for worker, since in list(self._awaited.items()):
            if asked > since and not worker.names & here:
                self._back(worker, asked - since)
        return True

    def _back(self, worker: Worker, after: float) -> None:
        self.slowest_gone = max(self.slowest_gone, after)
        del self._awaited[worker]
        worker.start()

    def _kill_broker(self, broker: Broker) -> None:
        broker.kill()
        copy = self._run.folder / "copy"
        if broker.data.exists():
            shutil.copytree(broker.data, copy)
        broker.start()
        if copy.exists():
            self.unsound += integrity(copy)
            shutil.rmtree(copy)


def integrity(folder: Path) -> list[str]:
    """What SQLite finds wrong in the databases of a folder; nothing else may use them."""
    found: list[str] = []
    for path in sorted(folder.glob("*.db")):
        database = sqlite3.connect(path)
        try:
            found += [line for (line,) in database.execute("PRAGMA integrity_check") if line != "ok"]
        except sqlite3.DatabaseError as error:
            found.append(str(error))
        finally:
            database.close()
    return [f"{line} ({folder.name})" for line in found]


def kill(run: Run) -> None:
    """The broker and clients are killed, and clients are stopped."""
    broker = run.start_broker()
    run.add_load(amend=0.05)
    witness = run.add_witness()
    run.await_all(witness)
    chaos = Chaos(run, plan(run.random, run.options.seconds, run.options.kills, len(run.workers)), witness)
    chaos.go(broker)
    run.settle()
    witness.end()
    broker.stop()
    chaos.unsound += integrity(broker.data)
    run.found |= {
        "broker_kills": len(broker.started) - 1,
        "client_kills": chaos.killed,
        "client_stops": chaos.stopped,
        "slowest_listening_seconds": round(max(listening for listening, _ in broker.started), 2),
        "slowest_serving_seconds": round(broker.slowest, 2),
        "median_serving_seconds": round(median(served for _, served in broker.started), 2),
        "slowest_gone_seconds": round(chaos.slowest_gone, 1),
        "integrity_faults": len(chaos.unsound),
    }
    run.faults += [f"integrity check: {line}" for line in chaos.unsound]
    allowed = run.options.serving
    if broker.slowest > allowed:
        run.faults.append(f"a restarted broker served after {broker.slowest:.1f} s, and {allowed:g} s are allowed")
