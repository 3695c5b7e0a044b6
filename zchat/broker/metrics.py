"""What a broker counts, and the text in which Prometheus reads it. Pure.

Counting is a few additions a turn; all else is done when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from zchat.broker.effects import Effects
from zchat.errors import BY_CODE
from zchat.messages import Failed, Found, Page, Refused, Reply, Welcome
from zchat.store.base import Kept, Outcome

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper ends of the spans of time that are told apart, in seconds."""

KIND = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus's text format."""


class Histogram:
    """How often something took how long.

    Attributes:
        counts: by span, beside those of `BOUNDS` one for what took longer.
        total: seconds, all together.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """It took so long once more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Counts:
    """What happened since the broker began.

    Attributes:
        turns: how long they took, without the wait for something to do.
        commits: how long those took that had something to keep, failed ones included.
        failures: commits that failed.
        kept: messages, edits and deletions.
        deliveries: how often one of these was sent to somebody who follows its room, or is one of its members.
        hellos: sessions begun or resumed.
        pages: pages of what was said that were given out again; `reread` the events in them.
        searches: that were answered.
        refusals: by code.
    """

    __slots__ = (
        *("turns", "commits", "failures", "kept", "deliveries", "hellos", "pages", "reread", "searches", "refusals"),
    )

    def __init__(self) -> None:
        self.turns, self.commits = Histogram(), Histogram()
        self.failures = self.kept = self.deliveries = self.hellos = self.pages = self.reread = self.searches = 0
        self.refusals = dict.fromkeys(BY_CODE, 0)

    def committed(self, outcome: Outcome) -> None:
        """A turn's work was kept."""
        kept = 0
        for parts in outcome.sends:
            for part in parts:
                if type(part) is Kept:
                    kept += len(part.events)
        self.kept += kept

    def told(self, effects: Effects) -> None:
        """All that a turn leads to was sent."""
        deliveries = effects.told
        for publication in effects.published.values():
            deliveries += publication.followers * len(publication.events)
        self.deliveries += deliveries
        for items in effects.replies.values():
            for item in items:
                if type(item) in _COUNTED:
                    self._told(item)

    def _told(self, item: Reply) -> None:
        match item:
            case Failed() | Refused():
                self.refusals[item.code] = self.refusals.get(item.code, 0) + 1
            case Page():
                self.pages += 1
                self.reread += len(item.events)
            case Found():
                self.searches += 1
            case Welcome():
                self.hellos += 1


_COUNTED = frozenset((Failed, Refused, Page, Found, Welcome))
"""All but what there is very much of."""


class Standing(NamedTuple):
    """How a broker is at the moment.

    Attributes:
        requests, rooms: connections to the port for requests, and to the one that is published on.
        sessions, people: that have a session, and that are in some room by name.
        public, private: rooms.
        queue: requests that wait for a later turn.
        draining: whether it was told to stop.
        storing: whether the last commit went well.
    """

    requests: int
    rooms: int
    sessions: int
    people: int
    public: int
    private: int
    queue: int
    draining: bool
    storing: bool


class Process(NamedTuple):
    """What the machine says of a broker.

    Attributes:
        version: of zchat; `python`, `zeromq` those that it runs on.
        began: when it was started, in seconds since 1970 UTC.
        cpu: seconds of processor time, of all its threads.
        memory: bytes in use; None if the system does not tell.
        size: bytes of the files in its folder; None if it has none. `free`: that it may still write there.
    """

    version: str
    python: str
    zeromq: str
    began: float
    cpu: float
    memory: int | None
    size: int | None
    free: int | None


class Seen(NamedTuple):
    """All that there is to be told."""

    counts: Counts
    now: Standing
    process: Process


Sample = tuple[str, float]
"""What follows the name of a metric, its labels included; and the value."""


class Metric(NamedTuple):
    """What is told.

    Attributes:
        kind: `counter`, `gauge` or `histogram`.
        help: what it is, for people.
        samples: gives its values.
    """

    name: str
    kind: str
    help: str
    samples: Callable[[Seen], Iterable[Sample]]


def _one(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield "", value


def _spans(one: Histogram) -> Iterator[Sample]:
    running = list(accumulate(one.counts))
    for bound, count in zip((*BOUNDS, "+Inf"), running, strict=True):
        yield f'_bucket{{le="{bound}"}}', count
    yield "_sum", one.total
    yield "_count", running[-1]


def _labels(**values: str) -> str:
    return f"{{{','.join(f'{name}={_quoted(value)}' for name, value in values.items())}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _counter(name: str, told: str, value: Callable[[Counts], float]) -> Metric:
    return Metric(name, "counter", told, lambda seen: _one(value(seen.counts)))


def _gauge(name: str, told: str, value: Callable[[Standing], float]) -> Metric:
    return Metric(name, "gauge", told, lambda seen: _one(value(seen.now)))


METRICS = (
    Metric(
        "zchat_build_info",
        "gauge",
        "Always 1; the labels say which versions run.",
        lambda seen: [
            (_labels(version=seen.process.version, python=seen.process.python, zeromq=seen.process.zeromq), 1)
        ],
    ),
    Metric(
        "zchat_start_time_seconds",
        "gauge",
        "When the broker was started, in seconds since 1970 UTC.",
        lambda seen: _one(seen.process.began),
    ),
    Metric(
        "zchat_cpu_seconds_total",
        "counter",
        "Processor time of the broker, libzmq's thread included.",
        lambda seen: _one(seen.process.cpu),
    ),
    Metric(
        "zchat_memory_bytes",
        "gauge",
        "Memory that the broker has in use; not on every system.",
        lambda seen: _one(seen.process.memory),
    ),
    Metric(
        "zchat_connections",
        "gauge",
        "TCP connections to the port for requests and to the one for rooms; a client has one of each.",
        lambda seen: [(_labels(port="requests"), seen.now.requests), (_labels(port="rooms"), seen.now.rooms)],
    ),
    _gauge("zchat_sessions", "Sessions: programs and devices that said hello.", lambda now: now.sessions),
    _gauge("zchat_people", "People who are in some room by name.", lambda now: now.people),
    Metric(
        "zchat_rooms",
        "gauge",
        "Rooms that there are, live or not.",
        lambda seen: [(_labels(kind="public"), seen.now.public), (_labels(kind="private"), seen.now.private)],
    ),
    _gauge("zchat_queue_requests", "Requests that wait for a later turn: pages, lists, searches.", lambda n: n.queue),
    _gauge("zchat_draining", "1 once the broker was told to stop, else 0.", lambda now: int(now.draining)),
    _gauge("zchat_store_writable", "1 if the last commit went well, 0 if it failed.", lambda now: int(now.storing)),
    Metric(
        "zchat_store_bytes",
        "gauge",
        "Bytes of the files in the broker's folder; not with --memory.",
        lambda seen: _one(seen.process.size),
    ),
    Metric(
        "zchat_store_free_bytes",
        "gauge",
        "Bytes that the disk of that folder still takes; not with --memory.",
        lambda seen: _one(seen.process.free),
    ),
    _counter("zchat_messages_total", "Messages, edits and deletions that were kept.", lambda counts: counts.kept),
    _counter(
        "zchat_deliveries_total",
        "Messages, edits and deletions that were sent to somebody, once for each.",
        lambda counts: counts.deliveries,
    ),
    _counter("zchat_hellos_total", "Sessions begun or resumed.", lambda counts: counts.hellos),
    Metric(
        "zchat_refusals_total",
        "counter",
        "Requests that were refused, by the word of the protocol.",
        lambda seen: [(_labels(code=code), count) for code, count in seen.counts.refusals.items()],
    ),
    _counter(
        "zchat_pages_total", "Pages of what was said that were read: gaps filled, and history.", lambda c: c.pages
    ),
    _counter("zchat_page_events_total", "Messages, edits and deletions in these pages.", lambda c: c.reread),
    _counter("zchat_searches_total", "Searches that were answered.", lambda counts: counts.searches),
    _counter("zchat_commit_failures_total", "Turns that could not be kept.", lambda counts: counts.failures),
    Metric(
        "zchat_turn_seconds",
        "histogram",
        "How long a turn took, without the wait for something to do.",
        lambda seen: _spans(seen.counts.turns),
    ),
    Metric(
        "zchat_commit_seconds",
        "histogram",
        "How long it took to keep what a turn had to keep.",
        lambda seen: _spans(seen.counts.commits),
    ),
)
"""Everything that is told, in that order."""


def exposition(seen: Seen) -> str:
    """All metrics in Prometheus's text format 0.0.4."""
    lines: list[str] = []
    for one in METRICS:
        samples = [f"{one.name}{rest} {_number(value)}" for rest, value in one.samples(seen)]
        if samples:
            lines += (f"# HELP {one.name} {one.help}", f"# TYPE {one.name} {one.kind}", *samples)
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
