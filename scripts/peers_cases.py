"""Which workload is done how, with which servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from scripts import peers_workloads as loads
from scripts.peers_cli import helped, sent
from scripts.peers_growth import TEN, Filled, following, grown, over_rooms
from scripts.peers_idle import idle
from scripts.peers_library import hearing, sending
from scripts.peers_private import answered, told
from scripts.peers_report import CURVED, OTHER
from scripts.peers_storm import storm
from scripts.peers_workloads import Figures, Scale, Variant


@dataclass(frozen=True, slots=True)
class Case:
    """A workload at one size.

    Attributes:
        workload: W1 to W10.
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


SEALED = (loads.CURVE, loads.REDIS_TLS, loads.NATS_TLS)
STORES = (loads.CURVE, loads.ALWAYS_TLS, loads.EVERYSEC_TLS, loads.JETSTREAM_TLS)
FLOODED = (loads.ZCHAT, loads.SINGLE, loads.REDIS, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, loads.THREADS, *SEALED)
ROOMS = (loads.ZCHAT, loads.REDIS, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, *SEALED)
POURED = (loads.ZCHAT, loads.SINGLE, loads.ALWAYS, loads.EVERYSEC, loads.JETSTREAM, *STORES)
ANSWERED = (loads.ZCHAT, loads.ALWAYS, loads.EVERYSEC, loads.JETSTREAM, *STORES)
PLAIN_TALK = (loads.ZCHAT, loads.REDIS, loads.STORED, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, loads.THREADS)
TALKED = (*PLAIN_TALK, loads.CURVE, loads.REDIS_TLS, loads.STORED_TLS, loads.NATS_TLS)
IDLE = (loads.ZCHAT, loads.REDIS, loads.NATS, loads.MOSQUITTO, loads.NGIRCD, loads.THREADS, *SEALED)

OURS = (loads.ZCHAT, loads.CURVE)

DOORS = ("public", "private")
"""What the rooms are of which one is to cost no more than so many times the other."""

NAMED = 1000
"""Clients of a room up to which ngircd is put to the test."""

SHAKEN = 5000
"""Clients up to which those that encrypt are: more would shake hands for a minute, and each costs what it costs."""


@dataclass(frozen=True, slots=True)
class Field:
    """Who takes part.

    Attributes:
        peers: of redis, nats, mosquitto, ngircd, threads.
        plain: whether it is measured without encryption.
        curve, tls: whether it is measured with it, zchat and its peers.
        other: another checkout, whose zchat is measured, too.
        other_curve: whether that one can be started with CURVE.
    """

    peers: Sequence[str]
    plain: bool = True
    curve: bool = True
    tls: bool = True
    other: Path | None = None
    other_curve: bool = False

    def has(self, variant: Variant) -> bool:
        """Whether a variant takes part."""
        if variant.peer not in ("zchat", *self.peers):
            return False
        if not variant.sealed:
            return self.plain
        return self.curve if variant.peer == "zchat" else self.tls

    def both(self, variant: Variant) -> list[Variant]:
        """A variant, and the same of the other checkout, if it is zchat and there is one."""
        if self.other is None or variant.kind != "zchat" or variant is loads.SINGLE:
            return [variant]
        if variant.sealed and not self.other_curve:
            return [variant]
        return [variant, replace(variant, name=f"{OTHER}{variant.name}", tree=self.other)]


def cases(workloads: Sequence[str], field: Field, scale: Scale, filled: Filled) -> list[Case]:
    """The cases of workloads, with those who take part.

    Args:
        workloads: of W1 to W10.
        field: who takes part.
        scale: how much is done.
        filled: where messages are stored before.
    """
    all_cases = (*_compared(scale), *_idle(scale), *_growing(scale, filled), *_alone(scale))
    found = []
    for one in all_cases:
        variants = [more for variant in one.variants if field.has(variant) for more in field.both(variant)]
        if variants and one.workload in workloads:
            found.append(replace(one, variants=variants))
    return found


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
            [one for one in IDLE if (few or one is not loads.NGIRCD) and (clients <= SHAKEN or not one.sealed)],
            partial(_idled, clients, scale),
            rounds=1,
        )


def _idled(clients: int, scale: Scale, variant: Variant) -> Figures:
    return idle(variant, clients, scale)


Sized = Callable[[Variant, int], Figures]


def _sizes(name: str, sizes: Sequence[int], what: str, run: Sized, kinds: Sequence[Variant] = OURS) -> Case:
    """zchat at several sizes."""
    by_name = {f"{size:,} {what}": size for size in sizes}
    variants = [replace(kind, name=kind.name.replace("zchat", size)) for kind in kinds for size in by_name]
    return Case(
        "W6",
        "what a message costs as zchat grows",
        name,
        variants,
        lambda one: run(one, by_name[one.name.removeprefix(OTHER).removesuffix(CURVED)]),
        growing=True,
    )


def _growing(scale: Scale, filled: Filled) -> Iterator[Case]:
    ten = min(TEN, *scale.rooms_many)

    def stored(one: Variant, size: int) -> Figures:
        return grown(one, over_rooms(ten), 1, scale, filled.folder(size, one.tree))

    def subscribed(one: Variant, size: int) -> Figures:
        return grown(one, following(size), TEN, scale)

    yield _sizes("rooms", scale.rooms_many, "rooms", lambda one, size: grown(one, over_rooms(size), 1, scale))
    yield _sizes("history", scale.stored, "stored", stored, [loads.ZCHAT])  # the way to the store is not encrypted
    yield _sizes("subscriptions", scale.follows, "rooms each", subscribed)


def _alone(scale: Scale) -> Iterator[Case]:
    yield Case(
        "W7",
        "all are cut at once and come back at once",
        f"{scale.storm} clients, {scale.missed} messages missed",
        OURS,
        lambda variant: storm(variant, scale.storm, scale),
    )
    yield Case("W8", "starting the command line", "zchat --help", [loads.ZCHAT], lambda one: helped(one, scale))
    yield Case("W8", "starting the command line", "zchat send", OURS, lambda one: sent(one, scale))
    yield Case("W9", "the client library", "sends", OURS, lambda one: sending(one, scale))
    yield Case("W9", "the client library", "hears", OURS, lambda one: hearing(one, scale))
    yield from _private(scale)


def _private(scale: Scale) -> Iterator[Case]:
    for name, run in (("1024 messages under way", told), ("one message under way", answered)):
        variants = [replace(kind, name=kind.name.replace("zchat", how)) for kind in OURS for how in DOORS]
        title = f"a room of {scale.doors}, public and private"
        yield Case("W10", title, name, variants, partial(_told, run, scale), growing=True)


def _told(run: Callable[..., Figures], scale: Scale, variant: Variant) -> Figures:
    how = variant.name.removeprefix(OTHER).removesuffix(CURVED)
    return run(variant, scale.doors, scale, private=how == DOORS[1])
