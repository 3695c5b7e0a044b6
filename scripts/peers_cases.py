"""Which workload is done how, with which servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from scripts import peers_workloads as loads
from scripts.peers_cli import helped, sent
from scripts.peers_growth import TEN, Filled, following, grown, over_rooms
from scripts.peers_idle import idle
from scripts.peers_library import hearing, sending
from scripts.peers_storm import storm
from scripts.peers_workloads import Figures, Scale, Variant


@dataclass(frozen=True, slots=True)
class Case:
    """A workload at one size.

    Attributes:
        workload: W1 to W9.
        title: what is done.
        name: how much of it.
        variants: with which servers.
        run: does it once.
        rounds: by default, where it is not as many as of the others.
        growing: whether the variants are the same at several sizes, to be compared to the first.
    """

    workload: str
    title: str
    name: str
    variants: Sequence[Variant]
    run: Callable[[Variant], Figures]
    rounds: int | None = None
    growing: bool = False


FLOODED = (loads.ZCHAT, loads.SINGLE, loads.REDIS, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, loads.THREADS)
ROOMS = (loads.ZCHAT, loads.REDIS, loads.NATS, loads.MOSQUITTO, loads.NGIRCD)
POURED = (loads.ZCHAT, loads.SINGLE, loads.ALWAYS, loads.EVERYSEC, loads.JETSTREAM)
ANSWERED = (loads.ZCHAT, loads.ALWAYS, loads.EVERYSEC, loads.JETSTREAM)
TALKED = (loads.ZCHAT, loads.REDIS, loads.STORED, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, loads.THREADS)
IDLE = (loads.ZCHAT, loads.REDIS, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, loads.THREADS)

NAMED = 1000
"""Clients of a room up to which ngircd is put to the test."""


def cases(workloads: Sequence[str], peers: Sequence[str], scale: Scale, filled: Filled) -> list[Case]:
    """The cases of workloads, with the peers that there are.

    Args:
        workloads: of W1 to W9.
        peers: of redis, nats, mosquitto, ngircd, threads.
        scale: how much is done.
        filled: where messages are stored before.
    """

    def among(variants: Sequence[Variant]) -> list[Variant]:
        return [one for one in variants if one.peer in ("zchat", *peers)]

    return [
        replace(one, variants=among(one.variants))
        for one in (*_compared(scale), *_idle(scale), *_growing(scale, filled), *_alone(scale))
        if one.workload in workloads
    ]


def _compared(scale: Scale) -> Iterator[Case]:
    for count in scale.subscribers:
        yield Case(
            "W1",
            "one speaks, all of a room hear it, 1024 messages under way",
            f"{count} subscribers",
            FLOODED,
            partial(_fan_out, count, scale),
        )
    yield Case(
        "W2",
        "rooms of ten, one message under way in each",
        f"{scale.rooms} rooms",
        ROOMS,
        lambda variant: loads.rooms(variant, scale.rooms, scale),
    )
    yield Case(
        "W3",
        "stored and acknowledged",
        "1 connection, 1024 unanswered",
        POURED,
        lambda variant: loads.pipelined(variant, scale),
    )
    yield Case(
        "W3",
        "stored and acknowledged",
        f"{scale.connections} connections, 1 unanswered each",
        ANSWERED,
        lambda variant: loads.in_turn(variant, scale.connections, scale),
    )
    yield Case(
        "W4",
        "one room of ten, one message under way",
        "latency",
        TALKED,
        lambda variant: loads.latency(variant, 10, scale),
    )


def _fan_out(subscribers: int, scale: Scale, variant: Variant) -> Figures:
    return loads.fan_out(variant, subscribers, scale)


def _idle(scale: Scale) -> Iterator[Case]:
    for clients in scale.sizes:
        few = clients <= NAMED  # where everybody is told of everybody, more would come in for minutes
        yield Case(
            "W5",
            "clients of one room who say nothing",
            f"{clients} clients",
            IDLE if few else [one for one in IDLE if one is not loads.NGIRCD],
            partial(_idled, clients, scale),
            rounds=1,
        )


def _idled(clients: int, scale: Scale, variant: Variant) -> Figures:
    return idle(variant, clients, scale)


Sized = Callable[[int], Figures]


def _sizes(name: str, sizes: Sequence[int], what: str, run: Sized) -> Case:
    """zchat at several sizes."""
    by_name = {f"{size:,} {what}": size for size in sizes}
    variants = [Variant(name, "zchat", loads.ZCHAT.wire) for name in by_name]
    return Case(
        "W6", "what a message costs as zchat grows", name, variants, lambda one: run(by_name[one.name]), growing=True
    )


def _growing(scale: Scale, filled: Filled) -> Iterator[Case]:
    ten = min(TEN, *scale.rooms_many)
    yield _sizes("rooms", scale.rooms_many, "rooms", lambda size: grown(over_rooms(size), 1, scale))
    yield _sizes("history", scale.stored, "stored", lambda size: grown(over_rooms(ten), 1, scale, filled.folder(size)))
    yield _sizes("subscriptions", scale.follows, "rooms each", lambda size: grown(following(size), TEN, scale))


def _alone(scale: Scale) -> Iterator[Case]:
    yield Case(
        "W7",
        "all are cut at once and come back at once",
        f"{scale.storm} clients, {scale.missed} messages missed",
        [loads.ZCHAT],
        lambda _variant: storm(scale.storm, scale),
    )
    yield Case("W8", "starting the command line", "zchat --help", [loads.ZCHAT], lambda _variant: helped(scale))
    yield Case("W8", "starting the command line", "zchat send", [loads.ZCHAT], lambda _variant: sent(scale))
    yield Case("W9", "the client library", "sends", [loads.ZCHAT], lambda _variant: sending(scale))
    yield Case("W9", "the client library", "hears", [loads.ZCHAT], lambda _variant: hearing(scale))
