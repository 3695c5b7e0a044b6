"""Workloads that all servers can be put to: fan-out, rooms that talk, messages that are stored, one room's latency."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from scripts.chaos_process import Failed
from scripts.peers_load import Gauge, Load
from scripts.peers_servers import Server, running
from scripts.peers_wire import Irc, JetStream, Lines, Member, Mqtt, Nats, Redis, RedisStored, RedisStream, Wire
from scripts.peers_zmtp import Zchat

Figures = dict[str, float]
"""What was measured in one round, by what it is called; the unit is in the name."""

UNDER_WAY = 1024
"""Messages that are under way at once where it matters how much a server gets through."""

REFILL = 64
"""Messages that are sent in one go then."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A server with a way to speak to it.

    Attributes:
        name: in the report.
        kind: of the server, as `peers_servers.running` knows it.
        wire: its protocol.
        sealed: whether it encrypts: zchat with CURVE, the others with TLS.
        tree: the checkout whose zchat it is; this one by default.
    """

    name: str
    kind: str
    wire: Wire
    sealed: bool = False
    tree: Path | None = None

    def running(self, data: Path | None = None) -> AbstractContextManager[Server]:
        """The server while it is needed; see `peers_servers.running`."""
        return running(self.kind, self.tree, data, sealed=self.sealed)

    @property
    def peer(self) -> str:
        """What must be installed for it."""
        return {"jetstream": "nats"}.get(self.kind, self.kind.partition("-")[0])


ZCHAT = Variant("zchat", "zchat", Zchat())
SINGLE = Variant("zchat, 1 a frame", "zchat", Zchat(batch=1))
REDIS = Variant("redis", "redis", Redis())
NATS = Variant("nats", "nats", Nats())
MOSQUITTO = Variant("mosquitto", "mosquitto", Mqtt())
NGIRCD = Variant("ngircd", "ngircd", Irc())
THREADS = Variant("threads", "threads", Lines())
ALWAYS = Variant("redis-always", "redis-always", RedisStream())
EVERYSEC = Variant("redis-everysec", "redis-everysec", RedisStream())
STORED = Variant("redis-always", "redis-always", RedisStored())
JETSTREAM = Variant("jetstream", "jetstream", JetStream())

CURVE = Variant("zchat CURVE", "zchat", Zchat(), sealed=True)
REDIS_TLS = Variant("redis TLS", "redis", Redis(), sealed=True)
NATS_TLS = Variant("NATS TLS", "nats", Nats(), sealed=True)
ALWAYS_TLS = Variant("redis-always TLS", "redis-always", RedisStream(), sealed=True)
EVERYSEC_TLS = Variant("redis-everysec TLS", "redis-everysec", RedisStream(), sealed=True)
STORED_TLS = Variant("redis-always TLS", "redis-always", RedisStored(), sealed=True)
JETSTREAM_TLS = Variant("jetstream TLS", "jetstream", JetStream(), sealed=True)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    Attributes:
        cpu, warm: seconds of the server's processor time that are measured, and spent before.
        longest: seconds on the clock after which a part is over in any case.
        messages, before: how many are measured where times are, at least, and said before.
        idle: seconds of idling.
        joining: seconds that all who idle may take to come in.
        sizes: clients that idle.
        subscribers: of a fan-out.
        rooms: that talk side by side.
        connections: that have one message unanswered each.
        rooms_many, stored, follows: of the growth: rooms there are, messages stored before, rooms that each follows.
        storm, missed: clients that are cut at once, and what is said meanwhile.
        doors: people in a room that is public, or private.
        commands: how often a command is run.
        library: messages that the client library says, and hears.
        rounds, sealed_rounds: by default, of what does not encrypt and of what does.
    """

    cpu: float = 1.0
    warm: float = 0.3
    longest: float = 6.0
    messages: int = 4000
    before: int = 1500
    idle: float = 10.0
    joining: float = 90.0
    sizes: tuple[int, ...] = (1000, 5000, 9000)
    subscribers: tuple[int, ...] = (100, 1000)
    rooms: int = 100
    connections: int = 100
    rooms_many: tuple[int, ...] = (10, 1000, 10_000)
    stored: tuple[int, ...] = (0, 1_000_000)
    follows: tuple[int, ...] = (10, 1000)
    storm: int = 2000
    missed: int = 50
    doors: int = 100
    commands: int = 7
    library: int = 200_000
    rounds: int = 5
    sealed_rounds: int = 2


FULL = Scale()
QUICK = Scale(
    cpu=0.3,
    warm=0.1,
    longest=1.5,
    messages=1000,
    before=300,
    idle=3.0,
    sizes=(1000,),
    rooms_many=(10, 1000),
    stored=(0, 50_000),
    storm=500,
    commands=3,
    rounds=2,
    sealed_rounds=1,
)
SMOKE = Scale(
    cpu=0.02,
    warm=0.01,
    longest=0.3,
    messages=20,
    before=5,
    idle=0.1,
    sizes=(20,),
    subscribers=(10,),
    rooms=3,
    connections=5,
    rooms_many=(2, 12),
    stored=(0, 100),
    follows=(2, 5),
    storm=15,
    missed=5,
    doors=10,
    commands=1,
    library=500,
    rounds=1,
    sealed_rounds=1,
)


@contextmanager
def measured(server: Server) -> Iterator[Load]:
    """A load on a server, without pauses of the garbage collector's."""
    load = Load(secrets=server.secrets)
    gc.collect()
    gc.disable()
    try:
        yield load
    finally:
        gc.enable()
        load.close()


def enter(load: Load, server: Server, wire: Wire, members: list[Member]) -> None:
    """Brings members in, many at once."""
    load.run((wire.enter(load, server.port, member) for member in members), wire.at_once)


def percentile(times: list[int], share: float) -> float:
    """Microseconds within which this share of times in ns lies."""
    ranked = sorted(times)
    return ranked[min(int(len(ranked) * share), len(ranked) - 1)] / 1000


# W1 -----------------------------------------------------------------------------------------------------------------


def fan_out(variant: Variant, subscribers: int, scale: Scale) -> Figures:
    """One speaks as fast as it can, so many hear it."""
    wire = variant.wire
    with variant.running() as server, measured(server) as load:
        members = [Member(number, ("bench",)) for number in range(1, subscribers + 1)]
        speaker = Member(0)
        enter(load, server, wire, [*members, speaker])
        state = [0, 0]
        flood(load, wire, speaker, subscribers, state, Gauge(server.cpu, scale.warm, longest=scale.longest))
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest, before=state[1])
        flood(load, wire, speaker, subscribers, state, gauge)
    return {"cpu_us_per_delivery": gauge.cost, "deliveries_per_s": gauge.rate}


def flood(
    load: Load, wire: Wire, speaker: Member, subscribers: int, state: list[int], gauge: Gauge, room: str = "bench"
) -> None:
    """Keeps UNDER_WAY messages under way until the gauge says that it is over.

    Args:
        load: the load.
        wire: its protocol.
        speaker: who speaks.
        subscribers: who hear it.
        state: messages sent and arrivals counted so far; kept up to date.
        gauge: when it is over.
        room: where.
    """
    sent, arrived = state
    talk = speaker.talk
    while not gauge.over(arrived):
        while sent - arrived // subscribers <= UNDER_WAY - REFILL:
            load.send(talk, wire.say(speaker, room, REFILL))
            sent += REFILL
        before = arrived
        came = False
        for conn in load.ready():
            came = True
            arrived += load.count(conn)
        if not came and arrived == before:
            raise Failed(f"{sent} messages were sent, of their {sent * subscribers} arrivals {arrived} came")
    state[:] = sent, arrived


# W2 and W4 ----------------------------------------------------------------------------------------------------------


Line = tuple[Member, str]
"""Who says something, and in which room."""


@dataclass(slots=True, eq=False)
class Talk:
    """People who go on once all of what they said has arrived everywhere.

    Attributes:
        turns: what is said at once, turn by turn, for ever.
        wanted: arrivals of a turn.
        have: arrivals so far.
        begin: when it was sent, in ns.
    """

    turns: Iterator[Sequence[Line]]
    wanted: int
    have: int = 0
    begin: int = 0

    def speak(self, load: Load, wire: Wire) -> None:
        """Says the next turn."""
        self.have = 0
        said = [(member.talk, wire.say(member, room, 1)) for member, room in next(self.turns)]
        self.begin = time.perf_counter_ns()
        for conn, data in said:
            load.send(conn, data)


def converse(load: Load, wire: Wire, talks: list[Talk], gauge: Gauge) -> list[int]:
    """Has all talk until the gauge says that it is over, and everything is there.

    Args:
        load: the load.
        wire: its protocol.
        talks: what is said; a connection's group is the place among them of what it hears.
        gauge: when it is over.

    Returns:
        The time of each turn in ns, until its last arrival.
    """
    clock = time.perf_counter_ns
    times: list[int] = []
    for talk in talks:
        talk.speak(load, wire)
    quiet = 0
    while quiet < len(talks):
        came = False
        for conn in load.ready():
            came = True
            found = load.count(conn)
            if not found:
                continue
            talk = talks[conn.group]
            talk.have += found
            if talk.have < talk.wanted:
                continue
            times.append(clock() - talk.begin)
            if quiet or gauge.over(len(times)):
                quiet += 1
            else:
                talk.speak(load, wire)
        if not came:
            raise Failed(f"a message did not reach all who follow its room; {len(times)} did")
    return times


def talks_of(load: Load, server: Server, wire: Wire, rooms: int, size: int) -> list[Talk]:
    """Rooms with so many members each, who have come in and speak in turn."""
    made, everybody = [], []
    for place in range(rooms):
        name = f"room{place}"
        members = [Member(place * size + number, (name,)) for number in range(size)]
        everybody += members
        made.append(Talk(cycle([[(member, name)] for member in members]), size if wire.echoes else size - 1))
    enter(load, server, wire, everybody)
    for member in everybody:
        member.hear.group = member.number // size
    return made


def rooms(variant: Variant, count: int, scale: Scale) -> Figures:
    """So many rooms of ten, in each of which one message is under way."""
    wire = variant.wire
    with variant.running() as server, measured(server) as load:
        talks = talks_of(load, server, wire, count, 10)
        converse(load, wire, talks, Gauge(server.cpu, scale.warm, longest=scale.longest))
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest)
        times = converse(load, wire, talks, gauge)
    return {
        "cpu_us_per_message": gauge.cost,
        "messages_per_s": gauge.rate,
        "p50_us": percentile(times, 0.5),
        "p99_us": percentile(times, 0.99),
    }


def latency(variant: Variant, size: int, scale: Scale) -> Figures:
    """One room of so many in which one message is under way."""
    wire = variant.wire
    with variant.running() as server, measured(server) as load:
        talks = talks_of(load, server, wire, 1, size)
        converse(load, wire, talks, Gauge(server.cpu, 0.0, scale.before, scale.longest / 2))
        gauge = Gauge(server.cpu, 0.0, scale.messages, scale.longest)
        times = converse(load, wire, talks, gauge)
    return {
        "p50_us": percentile(times, 0.5),
        "p99_us": percentile(times, 0.99),
        "p999_us": percentile(times, 0.999),
        "cpu_us_per_message": gauge.cost,
    }


# W3 -----------------------------------------------------------------------------------------------------------------


def pipelined(variant: Variant, scale: Scale) -> Figures:
    """One connection with UNDER_WAY messages unanswered."""
    wire = variant.wire
    with variant.running() as server, measured(server) as load:
        speaker = Member(0)
        enter(load, server, wire, [speaker])
        state = [0, 0]
        pour(load, wire, speaker, state, Gauge(server.cpu, scale.warm, longest=scale.longest))
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest, before=state[1])
        pour(load, wire, speaker, state, gauge)
    return {"acked_per_s": gauge.rate, "cpu_us_per_message": gauge.cost}


def pour(load: Load, wire: Wire, speaker: Member, state: list[int], gauge: Gauge) -> None:
    """Keeps UNDER_WAY messages unanswered until the gauge says that it is over.

    Args:
        load: the load.
        wire: its protocol.
        speaker: who speaks.
        state: messages sent and answers counted so far; kept up to date.
        gauge: when it is over.
    """
    sent, acked = state
    while not gauge.over(acked):
        while sent - acked <= UNDER_WAY - REFILL:
            load.send(speaker.talk, wire.say(speaker, "bench", REFILL))
            sent += REFILL
        came = False
        for conn in load.ready():
            came = True
            acked += wire.answered(load, conn)
        if not came:
            raise Failed(f"of {sent} messages {acked} were answered")
    state[:] = sent, acked


def in_turn(variant: Variant, connections: int, scale: Scale) -> Figures:
    """So many connections, each with one message unanswered."""
    wire = variant.wire
    with variant.running() as server, measured(server) as load:
        speakers = [Member(number) for number in range(connections)]
        enter(load, server, wire, speakers)
        for number, speaker in enumerate(speakers):
            speaker.talk.group = number
        answer(load, wire, speakers, Gauge(server.cpu, scale.warm, longest=scale.longest))
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest)
        times = answer(load, wire, speakers, gauge)
    return {
        "acked_per_s": gauge.rate,
        "p50_us": percentile(times, 0.5),
        "p99_us": percentile(times, 0.99),
        "cpu_us_per_message": gauge.cost,
    }


def answer(load: Load, wire: Wire, speakers: list[Member], gauge: Gauge) -> list[int]:
    """Has each say something once its last message is answered, until the gauge says that it is over and all are.

    Returns:
        The time of each message in ns, until its answer.
    """
    times: list[int] = []
    clock = time.perf_counter_ns
    begins = [0] * len(speakers)
    for number, speaker in enumerate(speakers):
        begins[number] = clock()
        load.send(speaker.talk, wire.say(speaker, "bench", 1))
    quiet = 0
    while quiet < len(speakers):
        came = False
        for conn in load.ready():
            came = True
            if not wire.answered(load, conn):
                continue
            number = conn.group
            times.append(clock() - begins[number])
            if quiet or gauge.over(len(times)):
                quiet += 1
                continue
            said = wire.say(speakers[number], "bench", 1)
            begins[number] = clock()
            load.send(conn, said)
        if not came:
            raise Failed(f"{len(speakers) - quiet} messages were not answered")
    return times
