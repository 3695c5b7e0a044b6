"""A workload of `zchat bench`, from its beginning to its end."""

from __future__ import annotations

import os
import resource
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from zchat import errors
from zchat.cli.bench_load import Load, Talk, percentile
from zchat.client.identity import SIZE as SECRET
from zchat.client.sync import Client, connect

if TYPE_CHECKING:
    from zchat.cli.progress import Progress

UNDER_WAY = 1024
"""Messages under way at most where it matters how much gets through; the broker's credit may allow fewer."""

IN_A_ROOM = 10
"""People in each of several rooms, at most."""

WARM = 500
"""Messages said before the measured ones, a tenth as many, at most: caches fill and connections settle meanwhile."""

FILES = 24
"""Descriptors of a client, rounded up: it takes 11 on Linux, and more where it takes two to wake a thread."""

SPARE = 64
"""Descriptors for everything else."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A way to put a broker to work.

    Attributes:
        clients: who follow, by default; with nobody it is the acks that are measured.
        msgs: messages that are measured, by default.
        in_a_room: people in each room at most; None for one room of all.
        apart: whether somebody else speaks, who does not follow.
        under_way: messages under way in a room at most.
    """

    clients: int
    msgs: int
    in_a_room: int | None = None
    apart: bool = False
    under_way: int = 1


WORKLOADS = {
    "fanout": Workload(10, 2000, apart=True, under_way=UNDER_WAY),
    "rooms": Workload(20, 1000, IN_A_ROOM),
    "latency": Workload(10, 2000),
    "ingest": Workload(0, 5000, apart=True, under_way=UNDER_WAY),
}


@dataclass(frozen=True, slots=True)
class Run:
    """What all workloads of a run have in common.

    Attributes:
        url: of the broker, as it is shown.
        patience: seconds to wait for it.
        size: of each text, in bytes.
        name: what its people and rooms are called; like no other, so that nobody is disturbed.
        person: who owns that name, in plaintext.
        given: what to connect to, if it is not the url; there may be a secret in it.
        identity: whose key is used, under CURVE.
    """

    url: str
    patience: float
    size: int
    name: str = field(default_factory=lambda: f"bench-{os.urandom(4).hex()}")
    person: bytes = field(default_factory=lambda: os.urandom(SECRET))
    given: str | None = field(default=None, repr=False)
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        clients: who followed; of `ingest` who spoke.
        messages: of those that were to be measured, how many came to everybody.
        seconds: from the first post to the last arrival.
        deliveries: pairs of a message and a follower.
        p50_ms, p99_ms, p99_9_ms: of the times; None without any.
        lost, duplicated: see `Load.check`, those before the measured ones too.
        client_busy: the share of a core that the thread with all clients took: near 1 it is the bottleneck.
    """

    clients: int
    rooms: int
    messages: int
    seconds: float
    messages_per_second: float | None
    deliveries: int
    deliveries_per_second: float | None
    p50_ms: float | None
    p99_ms: float | None
    p99_9_ms: float | None
    lost: int
    duplicated: int
    client_busy: float | None


def measure(run: Run, kind: str, clients: int | None, msgs: int | None, progress: Progress) -> Figures:
    """Puts a broker to work, once.

    Args:
        run: at which broker, and as whom.
        kind: of `WORKLOADS`.
        clients, msgs: None for as many as is usual.
        progress: where it is told how far it is.

    Raises:
        errors.ZchatError: the broker cannot be reached or refused something, or the session is over.
    """
    workload = WORKLOADS[kind]
    followers = workload.clients if clients is None else clients
    count = msgs or workload.msgs
    with _people(run, followers + workload.apart, partial(progress.tell, f"{kind}: connecting")) as people:
        talks = _talks(run, kind, people)
        load = Load(talks, run.size, workload.under_way, lambda done: progress.tell(kind, done, count))
        load.say(min(ceil(count / 10), WARM))
        stretch = load.say(count)
        lost, duplicated = load.check()
    times = sorted(stretch.times)
    seconds = stretch.seconds
    return Figures(
        clients=len(people) - workload.apart or 1,
        rooms=len(talks),
        messages=stretch.done,
        seconds=round(seconds, 3),
        messages_per_second=round(stretch.done / seconds, 1) if seconds else None,
        deliveries=stretch.arrived,
        deliveries_per_second=round(stretch.arrived / seconds, 1) if seconds else None,
        p50_ms=percentile(times, 50),
        p99_ms=percentile(times, 99),
        p99_9_ms=percentile(times, 99.9),
        lost=lost,
        duplicated=duplicated,
        client_busy=round(stretch.busy / seconds, 2) if seconds else None,
    )


def _talks(run: Run, kind: str, people: list[Client]) -> list[Talk]:
    """Who is in which room; all follow theirs by then."""
    workload = WORKLOADS[kind]
    followers = people[workload.apart :]
    rooms = ceil(len(followers) / (workload.in_a_room or len(people)))
    talks = []
    for number in range(max(rooms, 1)):
        members = followers[number::rooms] if rooms else []
        room = f"{run.name}-{kind}-{number + 1}" if rooms > 1 else f"{run.name}-{kind}"
        for client in members:
            client.join(room, quiet=True)
        talks.append(Talk(room, members, deque(people[:1] if workload.apart else members)))
    return talks


@contextmanager
def _people(run: Run, count: int, tell: Callable[[int, int], None]) -> Iterator[list[Client]]:
    """So many clients with the same name, as windows of one person are; gone at the end."""
    allow_files(count * FILES + SPARE)
    clients: list[Client] = []
    patience = 0.0
    try:
        for done in range(count):
            tell(done, count)
            clients.append(_person(run))
        yield clients
        patience = 2.0
    finally:
        for client in clients:
            client.close(patience)


def _person(run: Run) -> Client:
    return connect(run.given or run.url, name=run.name, person=run.person, identity=run.identity, timeout=run.patience)


def allow_files(wanted: int) -> None:
    """Has the system allow so many open files: where there are none left, libzmq ends the process.

    Raises:
        errors.BadOption: it does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        raise errors.BadOption(
            f"so many clients need {wanted} open files and {hard} are allowed: take fewer, or raise `ulimit -n` first"
        ) from None
