"""A chaos run: its folder, its broker, its clients, what is done to them, and the verdict at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import zchat
from scripts.chaos_client import PATIENCE, Person, Spec, crowd, secret
from scripts.chaos_eve import Eve
from scripts.chaos_log import Notes, gather, private
from scripts.chaos_process import Broker, Failed, Worker
from scripts.chaos_raw import NoAnswer, Raw
from scripts.checker import Log, Verdict, check, stays
from zchat import errors

TICK = 0.05
"""Seconds between two looks at everything."""

EAVESDROPPED = 5
"""People whose private rooms somebody tries to hear."""

TOGETHER = 5
"""Clients of one process."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for; see the command line.

    Attributes:
        rate: messages a second in all.
        serving: seconds that a restarted broker may take to serve.
        copies: that are damaged.
        broker: a script in place of zchat.
        scale: of what a hostile one does; 1 is that of the table.
        rows: of the table, where not all are asked for.
        doors: seconds between two times at which somebody is let into a private room or sent out.
    """

    profile: str
    seconds: float
    clients: int
    kills: int
    seed: int
    rate: float
    rooms: int
    serving: float
    copies: int
    broker: Path | None = None
    scale: float = 1.0
    rows: tuple[int, ...] = ()
    doors: float = 0.5


class Skipped(Exception):
    """This machine lacks what the profile needs; the message says what to do."""


class Progress:
    """A line on standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Says what is being done."""
        if self._shown:
            print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leaves nothing behind."""
        self.show("")


class Witness(threading.Thread):
    """Looks all the time who is here.

    Attributes:
        seen: when it asked, and whom it found; replaced as a whole.
    """

    def __init__(self, url: str) -> None:
        super().__init__(name="witness", daemon=True)
        self.seen: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._url = url
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with zchat.connect(self._url) as client:
                    while not self._ended.wait(0.25):
                        asked = time.monotonic()
                        self.seen = (asked, frozenset(client.who()))
            except errors.ZchatError:
                continue

    def end(self) -> None:
        """Lets it end."""
        self._ended.set()


@dataclass(slots=True)
class Run:
    """What a profile works with.

    Attributes:
        random: of everything that is decided by chance here.
        folder: for everything; kept if the run fails.
        undo: what is to be undone at the end, whatever happens.
        found: what is reported, by name.
        faults: what is wrong, in words.
        members: of every public room.
        ids: of private rooms, by what they are called in the notes.
        keepers: who make private rooms.
    """

    options: Options
    random: Random
    folder: Path
    progress: Progress
    undo: ExitStack
    found: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    keepers: list[str] = field(default_factory=list)
    eve: Eve | None = None
    broker: Broker | None = None

    def start_broker(self, **options: Any) -> Broker:
        """Starts the broker; see `Broker`."""
        self.broker = Broker(self.folder, self.options.broker, **options)
        self.undo.callback(self.broker.kill)
        self.broker.start()
        return self.broker

    def add_worker(self, people: list[Person], **options: Any) -> Worker:
        """Starts a process of clients; see `Spec`."""
        assert self.broker is not None
        within = options.pop("within", ())
        spec = Spec(self.broker.joined, "", [], people, doors=self.options.doors, seed=self.options.seed, **options)
        worker = Worker(len(self.workers), spec, self.folder, within)
        self.workers.append(worker)
        self.undo.callback(worker.kill)
        for person in people:
            if person.keeps or person.peers:
                self.keepers.append(person.name)
            for room in person.rooms:
                self.members.setdefault(room, set()).add(person.name)
        worker.start()
        return worker

    def add_load(self, **options: Any) -> None:
        """Starts the clients that are asked for, in processes of several, each in two rooms, talking; see `Spec`.

        Further options:
            guests: others who are let into private rooms.
        """
        count = self.options.clients
        people = crowd(count, self.options.rooms, guests=options.pop("guests", ()))
        for begin in range(0, count, TOGETHER):
            self.add_worker(people[begin : begin + TOGETHER], rate=self.options.rate / count, **options)

    # While it runs ----------------------------------------------------------------------------------------------------

    def wait(self, seconds: float, what: str, until: Callable[[], bool] = lambda: False) -> bool:
        """Waits so many seconds, or until something is so; says whether it is.

        Raises:
            Failed: a process ended that should not.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            if until():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.progress.show(f"{self.options.profile}: {what}, {left:.0f} s left")
            threading.Event().wait(min(TICK, left))

    def look(self) -> None:
        """Sees that everything that was started and not killed still runs."""
        if self.broker is not None and self.broker.process is not None and not self.broker.alive:
            raise Failed(f"the broker ended by itself: {self.broker.last_words()}")
        for worker in self.workers:
            if worker.process is not None and not worker.alive and worker.process.popen.returncode != -9:
                raise Failed(f"a process of clients ended by itself: {worker.last_words()}")

    def await_all(self, witness: Witness, seconds: float = 40.0) -> None:
        """Waits until every client is here.

        Raises:
            Failed: some are not in time.
        """
        wanted = set().union(*(worker.names for worker in self.workers))
        if not self.wait(seconds, "waiting for everybody to come in", lambda: wanted <= witness.seen[1]):
            missing = sorted(wanted - witness.seen[1])
            raise Failed(f"{len(missing)} of {len(wanted)} clients did not come in: {', '.join(missing[:5])}")

    def add_witness(self) -> Witness:
        """Has somebody look who is here, and somebody try to hear what is not hers."""
        assert self.broker is not None
        self.eve = Eve(self.broker.url, self.keepers[:EAVESDROPPED])
        self.eve.start()
        self.undo.callback(self.eve.end)
        witness = Witness(self.broker.joined)
        witness.start()
        self.undo.callback(witness.end)
        return witness

    # The end ----------------------------------------------------------------------------------------------------------

    def settle(self) -> Notes:
        """Has everybody stop talking, reads all rooms, has everybody hear them to the end, and judges.

        Raises:
            Failed: somebody cannot be brought to that.
        """
        for worker in self.workers:
            worker.quiet()
        unanswered = sum(self._come_to_rest(worker) for worker in self.workers)
        if unanswered:
            self.faults.append(f"{unanswered} messages were not answered within {PATIENCE:g} s of calm")
        logs = self.read_logs()
        for worker in self.workers:
            worker.finish({name: self._ends(name, logs) for name in worker.names})
        for worker in self.workers:
            self.progress.show(f"{self.options.profile}: hearing the end, process {worker.number}")
            assert worker.process is not None
            code = worker.process.ends(PATIENCE + 20)
            if code != 0:
                raise Failed(f"a process of clients ended with {code}: {worker.last_words()}")
            worker.process.kill()  # closes its pipes
            worker.process = None
        return self.judge(logs)

    def _ends(self, name: str, logs: dict[str, Log]) -> dict[str, int]:
        """The number of the last event of each room that a client must come to hear.

        In private that is another's last: what one said oneself, and be it in an earlier session, is not told again.
        """
        ends: dict[str, int] = {}
        member = {
            room
            for room, log in logs.items()
            if room[0] == "+"
            for who, mine in stays(log.events).items()
            if who == name and mine[-1].until is None
        }
        for room, log in logs.items():
            if name in self.members.get(room, ()):
                ends[room] = log.head
            elif room in member or (room.startswith("@") and name in room[1:].split("+")):
                ends[room] = max((event.seq for event in log.events if event.by != name), default=0)
        return ends

    def _come_to_rest(self, worker: Worker) -> int:
        """Waits until a process is quiet; gives how many of its messages were not answered."""
        self.progress.show(f"{self.options.profile}: coming to rest, process {worker.number}")
        assert worker.process is not None
        word, _, unanswered = (worker.process.hear(PATIENCE + 20) or "").partition(" ")
        if word != "quiet":
            raise Failed(f"a process of clients did not come to rest: {worker.last_words()}")
        return int(unanswered)

    def read_logs(self) -> dict[str, Log]:
        """Every room as somebody new reads it, private ones as the persons themselves.

        Raises:
            Failed: one cannot be read.
        """
        assert self.broker is not None
        self.progress.show(f"{self.options.profile}: reading all rooms")
        logs: dict[str, Log] = {}
        try:
            with Raw(self.broker.url) as reader:
                for room in self.members:
                    logs[room] = reader.read(room)
            for name in sorted(set().union(*self.members.values())):
                with Raw(self.broker.url, secret(name)) as reader:
                    for one in reader.welcome.private:
                        label = one.label if one.label[0] == "+" else private(name, one.label.removeprefix("@"))
                        self.ids[label] = one.room
                        if label not in logs:
                            logs[label] = reader.read(one.room, label)
        except NoAnswer as error:
            raise Failed(f"the rooms cannot be read: {error}") from None
        return logs

    def judge(self, logs: dict[str, Log]) -> Notes:
        """Checks everything that was noted against the rooms as they are."""
        self.progress.show(f"{self.options.profile}: checking")
        notes = gather(self.folder.glob("*.jsonl"))
        verdict: Verdict = check(notes.history(logs, self.members, {room: label for label, room in self.ids.items()}))
        self.found |= asdict(verdict.counts)
        self.found["violations"] = len(verdict.violations)
        self.found["refused_with"] = dict(notes.refused)
        self.found["sessions_ended"] = len(notes.ended)
        self.faults += [str(violation) for violation in verdict.violations]
        self.faults += [f"{client} did not hear everything to the end" for client in notes.unfinished]
        if self.eve is not None:
            self.eve.end()
            self.found |= {"eavesdropper_asked": self.eve.asked, "eavesdropper_heard_in_public": self.eve.tuned}
            self.faults += self.eve.heard
            if not (self.eve.asked and self.eve.tuned):
                self.faults.append("nobody tried to hear what was not theirs: that was no test")
        if verdict.counts.anew:
            self.faults.append(f"{verdict.counts.anew} times a client was told that the log began anew")
        if verdict.counts.needless:
            self.faults.append(f"gaps were announced for {verdict.counts.needless} events that were there")
        if not verdict.counts.acked:
            self.faults.append("nothing was acknowledged: that was no test")
        return notes


@contextmanager
def begun(options: Options) -> Iterator[Run]:
    """A run with a folder of its own. Whatever it started is ended with it; the folder stays if there are faults."""
    folder = Path(tempfile.mkdtemp(prefix="zchat-chaos-"))
    progress = Progress()
    kept = True
    try:
        with ExitStack() as undo:
            undo.callback(progress.clear)
            run = Run(options, Random(options.seed), folder, progress, undo)
            try:
                yield run
                kept = bool(run.faults)
            except (Skipped, KeyboardInterrupt):
                kept = False
                raise
            except Failed as error:
                run.faults.append(str(error))
    finally:
        if kept:
            print(f"chaos: everything is kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
