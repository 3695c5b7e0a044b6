"""W10: what it costs zchat to tell those who are in a private room, next to as many who are in a public one.

What is said in public goes once to libzmq, which sends it to all; what is private the broker sends to each itself.
"""

from __future__ import annotations

from itertools import cycle

from scripts.peers_load import Gauge, Load, Setup
from scripts.peers_servers import Server
from scripts.peers_wire import Member
from scripts.peers_workloads import Figures, Scale, Talk, Variant, converse, enter, flood, measured
from scripts.peers_zmtp import Zchat
from zchat.messages import Act, Join

PRIVATE, PUBLIC = "+bench", "bench"

AT_ONCE = 32
"""People who are invited at once: half of what a client may have unanswered."""

LIMIT = 4
"""How many times as much a delivery in a private room of a hundred may cost."""


def _settled(load: Load, wire: Zchat, speaker: Member, others: list[Member]) -> Setup:
    """The steps of making the private room and inviting all others."""
    invites = [Act(2 + place, "invite", PRIVATE, f"user{other.number}") for place, other in enumerate(others)]
    wire.ask(load, speaker, Act(1, "create", PRIVATE))
    yield from wire.until(speaker, "ack")  # before that nobody can be invited
    for first in range(0, len(invites), AT_ONCE):
        some = invites[first : first + AT_ONCE]
        wire.ask(load, speaker, *some)
        yield from wire.until(speaker, "ack", len(some))
    speaker.sent = 1 + len(invites)


def _entered(load: Load, wire: Zchat, member: Member) -> Setup:
    wire.ask(load, member, Join(2, PRIVATE))
    yield from wire.until(member, "joined")


def _members(load: Load, server: Server, wire: Zchat, people: int, *, private: bool) -> list[Member]:
    """So many who are in one room, and in another one that is public and silent where that one is private."""
    members = [Member(number, ("lobby",) if private else (PUBLIC,)) for number in range(people)]
    enter(load, server, wire, members)
    if private:
        load.run([_settled(load, wire, members[0], members[1:])])
        load.run(_entered(load, wire, member) for member in members)
    return members


def told(variant: Variant, people: int, scale: Scale, *, private: bool) -> Figures:
    """One speaks as fast as it can, all hear it."""
    wire, room = _wire(variant), PRIVATE if private else PUBLIC
    with variant.running() as server, measured(server) as load:
        speaker, *_ = _members(load, server, wire, people, private=private)
        state = [0, 0]
        flood(load, wire, speaker, people, state, Gauge(server.cpu, scale.warm, longest=scale.longest), room)
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest, before=state[1])
        flood(load, wire, speaker, people, state, gauge, room)
    return {"cpu_us_per_delivery": gauge.cost, "deliveries_per_s": gauge.rate}


def answered(variant: Variant, people: int, scale: Scale, *, private: bool) -> Figures:
    """All speak in turn, the next once all have heard the last."""
    wire, room = _wire(variant), PRIVATE if private else PUBLIC
    with variant.running() as server, measured(server) as load:
        members = _members(load, server, wire, people, private=private)
        talks = [Talk(cycle([[(member, room)] for member in members]), people)]
        converse(load, wire, talks, Gauge(server.cpu, scale.warm, longest=scale.longest))
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest)
        converse(load, wire, talks, gauge)
    return {"cpu_us_per_delivery": gauge.cost / people, "deliveries_per_s": gauge.rate * people}


def _wire(variant: Variant) -> Zchat:
    assert isinstance(variant.wire, Zchat)
    return variant.wire
