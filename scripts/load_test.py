#!/usr/bin/env python3
"""Many clients in rooms, talking: is anything lost, doubled or out of order, and how quick is it?

    scripts/load_test.py --clients 200 --rooms 20 --messages 20000

All clients live in this process, under one poller, each with the sessions and sockets that every zchat client has.
What they hear is checked by the texts themselves, not by what the sessions believe. The broker is one that is
started for the purpose, and stopped whatever happens, or the one at --url.

Exit status: 0 all well; 1 something was lost, doubled, out of order or not stored; 2 usage; 3 no broker; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import IO, Any

try:
    import zmq

    from zchat import address
    from zchat.client import events as heard
    from zchat.client.link import Link, Socket
    from zchat.client.session import Session
except ModuleNotFoundError as missing:
    own = Path(__file__).resolve().parent.parent / ".venv"
    if __name__ == "__main__" and sys.prefix != str(own) and (own / "bin" / "python").exists():
        os.execv(own / "bin" / "python", [str(own / "bin" / "python"), *sys.argv])  # noqa: S606
    print(f"load_test: {missing.name} is not installed: run scripts/test once, it makes .venv", file=sys.stderr)
    sys.exit(2)

TEXT_MIN, TEXT_MAX = 32, 16 * 1024
"""Bytes of a text: enough to tell it from every other, and what a broker takes."""

CONNECTING = 100
"""Clients on their way in at the same time."""

TICK = 0.1
"""Seconds between two looks at every client's clock and at the broker's process."""

SETTLE = 0.5
"""Seconds to listen on for copies after everything has come."""

SOCKETS = 4
"""Of ZeroMQ, per client: DEALER, both ends of its monitor, SUB."""

FILES = SOCKETS + 2 if sys.platform == "linux" else 2 * SOCKETS + 2
"""Descriptors per client: two connections, and what wakes each socket (an eventfd, or elsewhere a pair of sockets)."""

SPARE = 128
"""Descriptors and sockets for everything else."""


class CannotStart(Exception):
    """The test cannot be run; the message says why and what to do."""

    code = 3


class TooMany(CannotStart):
    """More than this machine allows."""

    code = 2


# What is checked ------------------------------------------------------------------------------------------------------


def compose(number: int, at: int, size: int) -> str:
    """A text like no other: the message's number, when it was sent in nanoseconds, and filling.

    Args:
        size: of the text, in bytes.
    """
    return f"{number} {at} ".ljust(size, "abcdefghijklmnopqrstuvwxyz"[number % 26])


def sent_at(text: str) -> int:
    """When a text was sent, in nanoseconds of the monotonic clock."""
    return int(text.split(" ", 2)[1])


@dataclass(slots=True)
class _Message:
    """A message that was sent.

    Attributes:
        index: its place among its sender's.
        left: who has yet to hear of it: every member, and the sender of its being stored.
        seq: its number in the room, as first heard; 0 before.
    """

    number: int
    sender: int
    room: str
    index: int
    left: int
    acked: bool = False
    seq: int = 0


@dataclass(slots=True)
class _Listener:
    """What one client heard.

    Attributes:
        gap: how many numbers it was told are lost.
        spoke: by sender, the place of the last message that it heard among that sender's.
    """

    room: str
    due: int = 0
    texts: set[int] = field(default_factory=set)
    seqs: set[int] = field(default_factory=set)
    highest: int = 0
    gap: int = 0
    spoke: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found.

    Attributes:
        sent, acked: messages.
        expected, delivered: pairs of a member and a message, those that should come to be and those that did.
        lost: pairs that did not come to be, or numbers of a room that a member never saw, whichever is more.
        duplicated: messages that came to a member that had that text or that number already.
        out_of_order: messages whose number did not rise, or that came after a later one of their sender.
        misnumbered: messages whose number was another in the ack, or for another member.
        foreign: messages that nobody sent there.
    """

    sent: int
    acked: int
    expected: int
    delivered: int
    lost: int
    duplicated: int
    out_of_order: int
    misnumbered: int
    foreign: int

    def faults(self) -> list[str]:
        """What is wrong, in words; empty if all is well."""
        found = {
            "not stored": self.sent - self.acked,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "out of order": self.out_of_order,
            "misnumbered": self.misnumbered,
            "foreign": self.foreign,
        }
        return [f"{count} {what}" for what, count in found.items() if count]


class Tally:
    """Who sent what, who heard what, and whether that is each message once and in order.

    It believes no session: messages are told apart by their texts, and numbers are only checked. The rooms must be
    new: their numbers begin at 1, and nobody else speaks in them.

    Args:
        rooms: of each client, by its index.

    Attributes:
        under_way: messages that are not stored yet, or have not come to every member.
        latencies: of each first delivery, in seconds.
    """

    def __init__(self, rooms: Sequence[str]) -> None:
        self.under_way = 0
        self.acked = self.expected = self.delivered = 0
        self.latencies = array("d")
        self._listeners = [_Listener(room) for room in rooms]
        self._members = {room: [one for one in self._listeners if one.room == room] for room in rooms}
        self._messages: dict[str, _Message] = {}
        self._spoken = [0] * len(rooms)
        self._duplicated = self._out_of_order = self._misnumbered = self._foreign = 0

    def sent(self, client: int, text: str) -> None:
        """A client sent a text in its room."""
        room = self._listeners[client].room
        members = self._members[room]
        self._spoken[client] += 1
        self._messages[text] = _Message(len(self._messages), client, room, self._spoken[client], len(members) + 1)
        self.expected += len(members)
        self.under_way += 1

    def stored(self, text: str, seq: int) -> None:
        """The broker says that a text is stored; seq is 0 where it does not say under which number."""
        message = self._messages[text]
        if not message.acked:
            message.acked = True
            self.acked += 1
            self._one_less(message)
        if seq:
            self._number(message, seq)

    def refused(self, text: str) -> None:
        """A text was refused, or nobody knows: it is missed like any other, but not waited for."""
        message = self._messages[text]
        if message.left > 0:
            self.under_way -= 1
        message.left = 0

    def heard(self, client: int, room: str, seq: int, text: str, at: int) -> None:
        """A client heard a text, at this time in nanoseconds."""
        listener = self._listeners[client]
        message = self._messages.get(text)
        if message is None or message.room != room or room != listener.room:
            self._foreign += 1
            return
        new = message.number not in listener.texts
        if not new or seq in listener.seqs:
            self._duplicated += 1
        if seq <= listener.highest or (new and message.index < listener.spoke.get(message.sender, 0)):
            self._out_of_order += 1
        listener.seqs.add(seq)
        listener.highest = max(listener.highest, seq)
        if new:
            listener.texts.add(message.number)
            listener.spoke[message.sender] = message.index
            self.delivered += 1
            self.latencies.append((at - sent_at(text)) / 1e9)
            self._number(message, seq)
            self._one_less(message)

    def told_of_gap(self, client: int, first: int, last: int | None) -> None:
        """A client was told that messages can no longer be had."""
        self._listeners[client].gap += 1 if last is None else last - first + 1

    def counts(self) -> Counts:
        """What was found up to now."""
        sent = dict.fromkeys(self._members, 0)
        for message in self._messages.values():
            sent[message.room] += 1
        lost = 0
        for one in self._listeners:
            holes = one.highest - len(one.seqs)
            lost += max(sent[one.room] - len(one.texts), holes, one.gap)
        return Counts(
            sent=len(self._messages),
            acked=self.acked,
            expected=self.expected,
            delivered=self.delivered,
            lost=lost,
            duplicated=self._duplicated,
            out_of_order=self._out_of_order,
            misnumbered=self._misnumbered,
            foreign=self._foreign,
        )

    def _number(self, message: _Message, seq: int) -> None:
        if message.seq not in (0, seq):
            self._misnumbered += 1
        message.seq = message.seq or seq

    def _one_less(self, message: _Message) -> None:
        message.left -= 1
        if message.left == 0:
            self.under_way -= 1


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest of ordered values that so many percent do not exceed (nearest rank); None if there are none."""
    return ordered[max(ceil(len(ordered) * percent / 100), 1) - 1] if ordered else None


# The broker -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker that is put under load.

    Attributes:
        process: the one that was started here; None for one that runs elsewhere.
    """

    url: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def ended(self) -> str | None:
        """How it ended, if it did."""
        code = None if self.process is None else self.process.poll()
        return None if code is None else f"the broker ended with status {code}"

    def cpu(self) -> float | None:
        """Seconds of processor time it used; None where that cannot be known."""
        try:
            # The second field is a name in brackets and may hold anything; utime and stime are fields 14 and 15.
            fields = self._proc("stat").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return None

    def peak(self) -> int | None:
        """The most memory it ever held, in bytes; None where that cannot be known."""
        try:
            found = [line.split()[1] for line in self._proc("status").splitlines() if line.startswith("VmHWM:")]
        except OSError:
            return None
        return int(found[0]) * 1024 if found else None

    def _proc(self, name: str) -> str:
        if self.process is None:
            raise FileNotFoundError(name)
        return Path(f"/proc/{self.process.pid}/{name}").read_text(errors="replace")


@contextmanager
def own_broker(
    patience: float, watch: Callable[[], None] = lambda: None, keep: Sequence[str] = ("--memory",)
) -> Iterator[Broker]:
    """A broker on ports that are free, stopped at the end.

    Args:
        patience: seconds it may take to start.
        keep: the options that say what keeps its log.
        watch: called every now and then while it does; may raise.

    Raises:
        CannotStart: it did not.
    """
    command = [sys.executable, "-m", "zchat", "broker", "--bind", "tcp://127.0.0.1:0", "--no-console", "--no-show-chat"]
    command += keep
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # In a process group of its own: Ctrl-C is for this program, which then stops the broker.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0)
        try:
            yield Broker(_announced(process, out, err, time.monotonic() + patience, watch), process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _announced(
    process: subprocess.Popen[bytes], out: IO[bytes], err: IO[bytes], deadline: float, watch: Callable[[], None]
) -> str:
    while True:
        watch()
        line, end, _ = os.pread(out.fileno(), 1000, 0).partition(b"\n")
        if end:
            return line.decode(errors="replace").rpartition(" ")[2]
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
            raise CannotStart("the broker did not start in time: try `zchat broker` by itself") from None
        said = os.pread(err.fileno(), 100_000, 0).decode(errors="replace").strip().splitlines()
        raise CannotStart(f"the broker did not start: {said[-1] if said else 'it said nothing'}")


# The clients ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for; see `parser`."""

    clients: int
    rooms: int
    messages: int
    size: int
    rate: float | None
    window: int
    patience: float
    idle: float
    seed: int


@dataclass(slots=True)
class _Client:
    """One client: its link, which polls the sockets of that generation, and the texts of its tickets."""

    link: Link
    room: str
    generation: int = 0
    tickets: dict[int, str] = field(default_factory=dict)


class Load:
    """All clients under one poller.

    Args:
        context: of their sockets.
        url: of the broker.
        options: what is asked for.
        watch: called every now and then; gives a reason to stop, or None; may raise.
    """

    def __init__(
        self, context: zmq.Context[Socket], url: str, options: Options, watch: Callable[[Load], str | None]
    ) -> None:
        # Nothing of a run may be what it was in an earlier one against the same broker: room names and people outlive
        # it. Only the choice of senders is repeatable.
        run = secrets.token_hex(4)
        self.options = options
        self.stopped: str | None = None
        self.reconnected = 0
        self._url = url
        self._address = address.parse(url)
        self._context = context
        self._watch = watch
        self._names = [f"load-{run}-{client}" for client in range(options.clients)]
        self._rooms = [f"load-{run}-{client % options.rooms}" for client in range(options.clients)]
        self.tally = Tally(self._rooms)
        self._clients: list[_Client] = []
        self.entered = 0
        self._poller = zmq.Poller()
        self._whose: dict[Socket, int] = {}
        self._moved = self._tick_at = 0.0  # when anything happened last; when every clock is looked at next
        self._random = random.Random(options.seed)
        self._next: int | None = None  # who speaks next
        self._numbers = iter(range(options.messages))
        self.connecting = self.connected = self.began = self.finished = 0.0

    def connect(self) -> None:
        """Brings all clients into their rooms.

        Raises:
            CannotStart: they cannot be.
        """
        self.connecting = self._moved = time.monotonic()
        while self.entered < self.options.clients:
            while len(self._clients) < min(self.options.clients, self.entered + CONNECTING):
                self._start(len(self._clients))
            self._turn(TICK)
            stuck = time.monotonic() - self._moved > self.options.patience
            if self.stopped is not None:
                raise CannotStart(self.stopped)
            if stuck and not self.entered:
                raise CannotStart(f"no broker answered at {self._url}: is it running there?")
            if stuck:
                raise CannotStart(f"only {self.entered} of {self.options.clients} clients got in: see the broker's log")

        self.connected = time.monotonic()

    def run(self) -> None:
        """Sends all messages, and waits until they have come to everybody or nothing moves any more."""
        self.began = self.finished = self._moved = time.monotonic()
        sent = 0
        while sent < self.options.messages or self.tally.under_way:
            now = time.monotonic()
            allowed = min(self._allowed(now), self.options.messages) - sent
            sent += self._send(min(allowed, self.options.window - self.tally.under_way), now)
            if not self.tally.under_way:
                self._moved = now  # it is only --rate that holds it up
            if now - self._moved > self.options.patience:
                self.stopped = f"nothing came for {self.options.patience:g} seconds"
            if self.stopped is not None:
                return
            self._turn(self._pause(sent, now))

    def listen(self, seconds: float) -> None:
        """Only listens: to see what idle clients cost, or whether late copies come."""
        until = time.monotonic() + seconds
        while self.stopped is None and (left := until - time.monotonic()) > 0:
            self._turn(min(left, TICK))

    def leave(self, patience: float) -> None:
        """Says goodbye, so that nobody is waited for."""
        asked = [(client.link.session, client.link.session.bye()) for client in self._clients]
        until = time.monotonic() + patience
        for client in self._clients:
            client.link.obey(time.monotonic())
        while time.monotonic() < until and any(session.open and q not in session.answers for session, q in asked):
            self._turn(TICK)

    def close(self) -> None:
        """Closes all sockets at once."""
        for client in self._clients:
            client.link.close()

    def _start(self, index: int) -> None:
        now = time.monotonic()
        session = Session(self._names[index], secrets.token_bytes(16), secrets.token_bytes)
        session.join(self._rooms[index], quiet=False, now=now)
        client = _Client(Link(self._context, self._address, session, anywhere=True), self._rooms[index])
        self._clients.append(client)
        client.link.tick(now)

    # Sending ----------------------------------------------------------------------------------------------------------

    def _allowed(self, now: float) -> int:
        rate = self.options.rate
        return self.options.messages if rate is None else 1 + int((now - self.began) * rate)

    def _pause(self, sent: int, now: float) -> float:
        """How long nothing is to be sent, in seconds, TICK at most."""
        if self.options.rate is None or self.tally.under_way >= self.options.window:
            return TICK
        return min(max(self.began + sent / self.options.rate - now, 0.0), TICK)

    def _send(self, most: int, now: float) -> int:
        """Queues some messages, then hands each speaker's over as one frame; gives how many."""
        spoke: set[int] = set()
        count = 0
        while count < most:
            if self._next is None:
                self._next = self._random.randrange(self.options.clients)
            client = self._clients[self._next]
            if not client.link.session.sendable:
                break
            text = compose(next(self._numbers), time.monotonic_ns(), self.options.size)
            self.tally.sent(self._next, text)
            client.tickets[client.link.session.send(client.room, text, action=False, now=now)] = text
            spoke.add(self._next)
            self._next = None
            count += 1
        for index in spoke:
            self._clients[index].link.obey(now)
        return count

    # Hearing ----------------------------------------------------------------------------------------------------------

    def _turn(self, timeout: float) -> None:
        """Waits once for something to happen, and takes in everything that did."""
        if any(client.generation != client.link.generation for client in self._clients):
            self._gather()
        ready: dict[int, set[Socket]] = {}
        polled: Any = self._poller.poll(ceil(timeout * 1000))
        for one, _ in polled:
            ready.setdefault(self._whose[one], set()).add(one)
        for index, sockets in ready.items():
            self._clients[index].link.receive(sockets, time.monotonic())
            self._collect(index)
        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at = now + TICK
            for index, client in enumerate(self._clients):
                client.link.tick(now)
                self._collect(index)
            self.stopped = self.stopped or self._watch(self)

    def _gather(self) -> None:
        self._poller = zmq.Poller()
        self._whose = {}
        for index, client in enumerate(self._clients):
            client.generation = client.link.generation
            for one in client.link.sockets():
                self._poller.register(one, zmq.POLLIN)
                self._whose[one] = index

    def _collect(self, index: int) -> None:
        client = self._clients[index]
        events = client.link.session.events
        if not events:
            return
        at = time.monotonic_ns()
        while events:
            match event := events.popleft():
                case heard.Said():
                    self.tally.heard(index, event.room, event.message.seq, event.message.text, at)
                    self.finished = self._moved = at / 1e9
                case heard.Sent():
                    self.tally.stored(client.tickets.pop(event.ticket), event.seq)
                    self.finished = self._moved = at / 1e9
                case heard.NotSent():
                    self.tally.refused(client.tickets.pop(event.ticket))
                    self.stopped = str(event.error)
                case heard.Gap():
                    self.tally.told_of_gap(index, event.first, event.last)
                case heard.Entered():
                    self.entered += 1
                    self._moved = at / 1e9
                case heard.Connected() if event.again:
                    self.reconnected += 1
                case heard.NotEntered() | heard.Ended():
                    self.stopped = str(event.error)
                case heard.Closing():
                    self.stopped = "the broker is shutting down"
                case _:
                    pass


# The report -----------------------------------------------------------------------------------------------------------


def report(load: Load, broker_cpu: float | None, own_cpu: float, peak: int | None) -> dict[str, Any]:
    """Everything that was asked for and found, by name; times in seconds unless the name says otherwise.

    Args:
        broker_cpu: seconds of processor time that the broker used for it, if known.
        own_cpu: what this program used.
        peak: of the broker's memory in bytes, if known.
    """
    counts = load.tally.counts()
    seconds = load.finished - load.began
    ordered = sorted(load.tally.latencies)

    def per(count: int) -> float | None:
        return None if broker_cpu is None or not count else round(broker_cpu / count * 1e6, 2)

    def ms(percent: float) -> float | None:
        found = percentile(ordered, percent)
        return None if found is None else round(found * 1000, 3)

    return {
        **asdict(load.options),
        **asdict(counts),
        "reconnected": load.reconnected,
        "connect_seconds": round(load.connected - load.connecting, 3),
        "seconds": round(seconds, 3),
        "messages_per_second": round(counts.acked / seconds, 1) if seconds else None,
        "deliveries_per_second": round(counts.delivered / seconds, 1) if seconds else None,
        "p50_ms": ms(50),
        "p95_ms": ms(95),
        "p99_ms": ms(99),
        "max_ms": ms(100),
        "broker_us_per_message": per(counts.acked),
        "broker_us_per_delivery": per(counts.delivered),
        "broker_peak_bytes": peak,
        "own_cpu_share": round(own_cpu / seconds, 2) if seconds else None,
    }


def table(found: dict[str, Any]) -> str:
    """The report for people to read."""

    def show(value: Any, unit: str = "") -> str:
        if value is None:
            return "unknown"
        return f"{value:,}{unit}" if isinstance(value, int) else f"{value:,.1f}{unit}"

    peak = found["broker_peak_bytes"]
    share, idle = found["own_cpu_share"], found["broker_idle_share"]
    rows = [
        ("clients, rooms", f"{show(found['clients'])}, {show(found['rooms'])}"),
        ("text size", show(found["size"], " bytes")),
        ("", ""),
        ("sent", show(found["sent"])),
        ("acked", show(found["acked"])),
        ("delivered", f"{show(found['delivered'])} of {show(found['expected'])}"),
        ("lost", show(found["lost"])),
        ("duplicated", show(found["duplicated"])),
        ("out of order", show(found["out_of_order"])),
        ("misnumbered", show(found["misnumbered"])),
        ("foreign", show(found["foreign"])),
        ("reconnected", show(found["reconnected"])),
        ("", ""),
        ("connecting", show(found["connect_seconds"], " s")),
        ("sending", show(found["seconds"], " s")),
        ("messages", show(found["messages_per_second"], " /s")),
        ("deliveries", show(found["deliveries_per_second"], " /s")),
        ("latency", " · ".join(f"{name} {show(found[f'{name}_ms'], ' ms')}" for name in ("p50", "p95", "p99", "max"))),
        (
            "broker CPU",
            f"{show(found['broker_us_per_message'], ' µs')} a message,"
            f" {show(found['broker_us_per_delivery'], ' µs')} a delivery",
        ),
        ("broker idle", "not measured" if idle is None else f"{idle:.2%} of a core"),
        ("broker memory", show(None if peak is None else peak / 2**20, " MiB at most")),
        ("this program", "unknown" if share is None else f"{share:.0%} of a core; near 100 % it is the bottleneck"),
    ]
    return "\n".join(f"{name:<14} {value}".rstrip() for name, value in rows)


class Progress:
    """A bar on standard error, where that is a terminal."""

    def __init__(self, options: Options) -> None:
        self._shown = sys.stderr.isatty()
        self._options = options

    def show(self, load: Load) -> None:
        """Draws how far it is."""
        if not self._shown:
            return
        if load.began:
            what, done, of = "delivered", load.tally.delivered, load.tally.expected
            share = load.tally.acked / self._options.messages * (done / of if of else 1)
        else:
            what, done, of = "connected", load.entered, self._options.clients
            share = done / of
        print(f"\r{'#' * int(share * 40):.<40} {done:,} of {of:,} {what}\033[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leaves nothing behind."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


# The run --------------------------------------------------------------------------------------------------------------


def raise_limits(context: zmq.Context[Socket], clients: int) -> None:
    """Makes room for the descriptors and sockets of so many clients.

    Raises:
        TooMany: the machine does not allow that many.
    """
    files, sockets = clients * FILES + SPARE, clients * SOCKETS + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # macOS has a lower limit that is none of these
    if soft != resource.RLIM_INFINITY and soft < files:
        raise TooMany(
            f"{clients} clients need {files} open files and {soft} are allowed: as root, `ulimit -n {files}` first;"
            " or take fewer clients"
        )
    most = int(context.get(zmq.SOCKET_LIMIT))
    if most < sockets:
        raise TooMany(f"{clients} clients need {sockets} sockets and libzmq has {most}: take at most {most // SOCKETS}")
    context.set(zmq.MAX_SOCKETS, sockets)


class Interrupted(Exception):
    """A signal came that ends this program."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number


@dataclass(slots=True)
class Signals:
    """Has signals wait until `check` is called: a Ctrl-C amidst the opening of a socket would lose that socket, and
    its context could never be ended.
    """

    number: int | None = None

    def check(self) -> None:
        """Raises Interrupted if a signal came."""
        if self.number is not None:
            raise Interrupted(self.number)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catches what is not ignored by whoever started this."""
        before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        for one, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(one, self._came)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _came(self, number: int, _frame: object) -> None:
        self.number = number


def idle_share(load: Load, broker: Broker, seconds: float) -> float | None:
    """How much of a core a broker uses while its clients only listen; None if not asked for, or not known."""
    before = broker.cpu()
    load.listen(seconds)
    after = broker.cpu()
    return round((after - before) / seconds, 5) if seconds and before is not None and after is not None else None


def test(options: Options, url: str | None, keep: Sequence[str], signals: Signals) -> tuple[dict[str, Any], str | None]:
    """Runs the load test.

    Args:
        url: of a broker; None starts one.
        keep: what keeps the log of one that is started.

    Returns:
        The report, and why it was stopped early if it was.

    Raises:
        CannotStart: it could not begin.
        Interrupted: a signal came.
    """
    context: zmq.Context[Socket] = zmq.Context()
    progress = Progress(options)
    with ExitStack() as undo:
        undo.callback(context.destroy, linger=0)
        raise_limits(context, options.clients)
        started: AbstractContextManager[Broker] = (
            own_broker(10.0, signals.check, keep) if url is None else nullcontext(Broker(url))
        )
        broker = undo.enter_context(started)

        def watch(load: Load) -> str | None:
            signals.check()
            progress.show(load)
            return broker.ended

        load = Load(context, broker.url, options, watch)
        undo.callback(load.close)
        undo.callback(progress.clear)
        load.connect()
        idle = idle_share(load, broker, options.idle)
        cpu, own = broker.cpu(), time.process_time()
        load.run()
        used = broker.cpu()
        own = time.process_time() - own
        load.listen(SETTLE)
        found = report(load, None if used is None or cpu is None else used - cpu, own, broker.peak())
        found["broker_idle_share"] = idle
        if url is not None:
            load.leave(2.0)
        return found, load.stopped


def parser() -> argparse.ArgumentParser:
    """What may be asked for on the command line."""

    def number(kind: type[int] | type[float], low: float, high: float = float("inf")) -> Callable[[str], float]:
        def convert(given: str) -> float:
            try:
                value = kind(given)
            except ValueError:
                raise argparse.ArgumentTypeError(f"{given!r} is not a number") from None
            if not low <= value <= high or value == float("inf"):
                raise argparse.ArgumentTypeError(f"{given} is out of range")
            return value

        return convert

    made = argparse.ArgumentParser(
        prog="load_test.py",
        description="Puts a broker under load and checks that every member gets every message once and in order.",
        epilog="Exit status: 0 all well, 1 something lost, doubled, out of order or not stored, 2 usage, 3 no broker,"
        " 130 Ctrl-C.",
    )
    several = number(int, 1)
    made.add_argument("--clients", type=several, default=200, metavar="N", help="clients, each in one room (200)")
    made.add_argument("--rooms", type=several, default=20, metavar="N", help="rooms, equally full (20)")
    made.add_argument("--messages", type=several, default=20_000, metavar="N", help="messages in all (20000)")
    sizes = number(int, TEXT_MIN, TEXT_MAX)
    made.add_argument(
        "--size", type=sizes, default=100, metavar="BYTES", help=f"of each text, {TEXT_MIN} to {TEXT_MAX} (100)"
    )
    made.add_argument("--rate", type=number(float, 1e-3), metavar="N", help="messages a second in all (as many as go)")
    made.add_argument(
        "--window", type=several, default=200, metavar="N", help="messages under way at a time, at most (200)"
    )
    made.add_argument(
        "--patience",
        type=number(float, 0.1),
        default=10.0,
        metavar="SECONDS",
        help="without anything happening, after which what has not come is lost (10)",
    )
    made.add_argument(
        "--idle",
        type=number(float, 0),
        default=0.0,
        metavar="SECONDS",
        help="to only listen first, to see its cost (0)",
    )
    made.add_argument("--url", metavar="URL", help="of a broker, tcp://HOST:PORT; one is started if this is not given")
    made.add_argument("--data", metavar="DIR", help="the folder of the one that is started (a new one, removed after)")
    made.add_argument("--memory", action="store_true", help="the one that is started keeps nothing on disk")
    made.add_argument("--seed", type=int, default=1, metavar="N", help="of the choice of who speaks (1)")
    made.add_argument("--json", action="store_true", help="report as one JSON object")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit status."""
    asked = parser()
    given = vars(asked.parse_args(arguments))
    url, as_json, data, memory = (given.pop(name) for name in ("url", "json", "data", "memory"))
    options = Options(**given)
    signals = Signals()
    if options.rooms > options.clients:
        asked.error(f"{options.rooms} rooms need as many clients at least, not {options.clients}")
    if sum((url is not None, data is not None, memory)) > 1:
        asked.error("choose one: --url, --data or --memory")
    try:
        if url is not None:
            address.parse(url)
        with signals.caught(), tempfile.TemporaryDirectory(prefix="zchat-load-") as folder:
            keep = ("--memory",) if memory else ("--data", data or f"{folder}/data")
            found, stopped = test(options, url, keep, signals)
    except address.BadAddress as error:
        asked.error(str(error))
    except CannotStart as error:
        print(f"load_test: {error}", file=sys.stderr)
        return error.code
    except Interrupted as interrupted:
        print("load_test: interrupted", file=sys.stderr)
        return interrupted.code
    print(json.dumps(found) if as_json else table(found))
    faults = Counts(**{name: found[name] for name in Counts.__dataclass_fields__}).faults()
    if found["sent"] < options.messages:
        faults.insert(0, f"{options.messages - found['sent']} not sent")
    if faults or stopped is not None:
        print(f"load_test: {', '.join(faults)}{f' ({stopped})' if stopped else ''}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
