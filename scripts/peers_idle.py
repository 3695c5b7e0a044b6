"""W5: clients who only are there: what each costs in memory, what all cost in processor time, how soon all are in."""

from __future__ import annotations

import resource
import time

from scripts.chaos_process import Failed
from scripts.peers_load import Load
from scripts.peers_servers import Server
from scripts.peers_wire import NOTHING, Member, Wire
from scripts.peers_workloads import Figures, Scale, Variant

QUIET = 0.5
"""Seconds without anything arriving after which a server is taken to have told everybody everything."""

SETTLING = 15.0
"""Seconds within which that must be."""

SPARE = 100
"""Descriptors that server and load need for themselves."""


def room_for(clients: int, connections: int) -> int:
    """How many of so many clients the limit of open files allows, with so many connections each."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return clients if limit == resource.RLIM_INFINITY else min(clients, (limit - SPARE) // connections)


def idle(variant: Variant, clients: int, scale: Scale) -> Figures:
    """So many clients in one room who say nothing, but what keeps them alive."""
    wire = variant.wire
    clients = room_for(clients, wire.connections)
    with variant.running() as server:
        load = Load(wire.presence, server.secrets)
        try:
            return _idle(load, server, wire, [Member(number, ("lobby",)) for number in range(clients)], scale)
        finally:
            load.close()


def _idle(load: Load, server: Server, wire: Wire, members: list[Member], scale: Scale) -> Figures:
    first, *others = (wire.enter(load, server.port, member) for member in members)
    presence = load.run([first])  # makes the server load what it needs for the first of them alone
    before, begin = server.memory(), time.monotonic()
    presence += load.run(others, wire.at_once, scale.joining)
    joined = time.monotonic() - begin
    presence += settle(load)
    memory = server.memory() - before
    spent, begin = server.cpu(), time.monotonic()
    _stay(load, wire, members, scale.idle)
    percent = (server.cpu() - spent) / (time.monotonic() - begin) * 100
    found = {
        "clients": len(members),
        "memory_kib_per_client": memory / 1024 / len(others),
        "idle_cpu_percent": percent,
        "join_s": joined,
    }
    return {**found, "presence_frames": presence} if wire.presence != NOTHING else found


def settle(load: Load) -> int:
    """Waits until nothing more comes; gives the marks that came."""
    found, deadline = 0, time.monotonic() + SETTLING
    while time.monotonic() < deadline:
        came = False
        for conn in load.ready(QUIET):
            came = True
            found += load.count(conn)
        if not came:
            return found
    raise Failed(f"the server still tells something {SETTLING:.0f} s after all have come in")


def _stay(load: Load, wire: Wire, members: list[Member], seconds: float) -> None:
    """Lets time pass; the members do in turn what keeps them alive, as often as each does it over a long time."""
    begin = now = time.monotonic()
    done = 0
    while now - begin < seconds:
        due = int((now - begin) / wire.interval * len(members)) if wire.interval else 0
        for _ in range(due - done):
            member = members[done % len(members)]
            load.send(member.talk, wire.stay(member))
            done += 1
        wait = min(wire.interval / len(members), 0.1) if wire.interval else 0.1
        for conn in load.ready(wait):
            came = load.chunk(conn)
            if b"PING" in came:
                load.send(conn, wire.pong(came))
        now = time.monotonic()
