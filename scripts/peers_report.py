"""What was measured, as tables to read, and as one object for machines."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from scripts.peers_workloads import Figures


@dataclass(frozen=True, slots=True)
class Kind:
    """How a figure is shown.

    Attributes:
        label: of its column, with the unit.
        low: whether less is better.
        places: digits behind the point.
        compared: whether it says something to divide it by another server's.
    """

    label: str
    low: bool = True
    places: int = 0
    compared: bool = True


KINDS = {
    "cpu_us_per_delivery": Kind("CPU µs/delivery", places=3),
    "deliveries_per_s": Kind("deliveries/s", low=False),
    "cpu_us_per_message": Kind("CPU µs/message", places=1),
    "messages_per_s": Kind("messages/s", low=False),
    "client_cpu_us_per_message": Kind("client CPU µs/message", places=1),
    "acked_per_s": Kind("acked/s", low=False),
    "p50_us": Kind("p50 µs"),
    "p99_us": Kind("p99 µs"),
    "p999_us": Kind("p99.9 µs"),
    "clients": Kind("clients", compared=False),
    "memory_kib_per_client": Kind("KiB/client", places=1),
    "idle_cpu_percent": Kind("idle CPU %", places=2),
    "join_s": Kind("all joined s", places=2),
    "presence_frames": Kind("presence frames", compared=False),
    "ratio": Kind("to the first", places=2),
    "recovered_s": Kind("all recovered s", places=2),
    "cpu_ms_per_client": Kind("CPU ms/client", places=2),
    "retries": Kind("retries"),
    "calm_p50_us": Kind("p50 µs before"),
    "calm_p99_us": Kind("p99 µs before"),
    "bystander_p50_us": Kind("p50 µs meanwhile"),
    "bystander_p99_us": Kind("p99 µs meanwhile"),
    "bystander_longest_us": Kind("longest µs meanwhile"),
    "cpu_ms": Kind("CPU ms", places=1),
    "clock_ms": Kind("clock ms", places=1),
}
"""The figures, in the order in which they are shown."""

NOTES = {
    "W1": "CPU is user and system time of the server's process, with all its threads, from /proc (10 ms steps).",
    "W2": "ngircd leaves Nagle's algorithm on: its lines wait for delayed TCP acknowledgements where it is not busy.",
    "W3": "zchat and redis-always answer once a message is flushed to disk; redis-everysec flushes every second,"
    " jetstream every two minutes. In `zchat` up to 64 sends go in a frame, as with its client library.",
    "W4": "redis-always is MULTI, XADD, PUBLISH, EXEC with appendfsync always: like zchat, it stores a message before"
    " it is published. ngircd leaves Nagle's algorithm on.",
    "W5": "Clients do what keeps them alive: zchat's a heartbeat every 30 s or more, those of NATS and MQTT a ping a"
    " minute, those of IRC one in two minutes. zchat and redis need two connections each. ngircd tells every join to"
    " everybody, one by one: with more clients that takes minutes. Presence frames are those that all clients got."
    " One round, unless more are asked for; up to 5000 clients with encryption.",
    "W6": "Ten speak, each with one message under way. 'to the first' is the ratio of CPU to the first row's.",
    "W7": "Two others talk in another room, a message every 10 ms, in a process of their own: their times are from send"
    " to arrival at both, before, and while all come back. All share this machine's cores with the load. With"
    " CURVE each client shakes hands twice, which costs the load, too.",
    "W8": "CPU is user and system time of the command's own process.",
    "W9": "One Python process with `zchat.connect`: posts with their acks, and `Room.messages`.",
    "W10": "All hear what is said, also who says it. What is private the broker sends to each by itself. 'to the first'"
    " is the ratio of CPU to the first row's, of the same round: with a hundred people it is to be 4 at most.",
}
"""What must be known to read a workload's tables."""


OTHER = "other "
"""Begins the names of those that are another checkout's zchat."""

CURVED = " CURVE"
"""Ends the names of those that are zchat and encrypt."""


def is_ours(variant: str) -> bool:
    """Whether a variant is this zchat, to which all others are compared."""
    return variant.startswith("zchat")


def is_sealed(variant: str) -> bool:
    """Whether a variant encrypts."""
    return variant.endswith((CURVED, " TLS"))


@dataclass(slots=True)
class Measured:
    """All rounds of one case of a workload.

    Attributes:
        workload: W1 to W10.
        title: what is done.
        case: how much of it.
        rounds: of each variant by name, the figures of each round.
    """

    workload: str
    title: str
    case: str
    rounds: dict[str, list[Figures]] = field(default_factory=dict)

    def ours(self) -> list[str]:
        """The variants that are zchat."""
        return [name for name in self.rounds if is_ours(name)]

    def peers(self, ours: str) -> list[str]:
        """What a variant that is zchat is compared to: those that encrypt if it does, and else those that do not.

        Where it encrypts, zchat that does not stands beside them.
        """
        found = [name for name in self.rounds if not is_ours(name) and is_sealed(name) == is_sealed(ours)]
        plain = ours.removesuffix(CURVED)
        return [*found, plain] if is_sealed(ours) and plain in self.rounds else found

    def figures(self) -> list[str]:
        """The figures that some variant has, in the order in which they are shown."""
        return [name for name in KINDS if any(name in one for rounds in self.rounds.values() for one in rounds)]

    def values(self, variant: str, figure: str) -> list[float]:
        """A figure in each round; empty if the variant lacks it."""
        return [one[figure] for one in self.rounds[variant] if figure in one]

    def ratios(self, ours: str, peer: str, figure: str) -> list[float]:
        """zchat's figure over the peer's of the same round, as long as both take part."""
        pairs = zip(self.rounds[ours], self.rounds[peer], strict=False)
        return [a[figure] / b[figure] for a, b in pairs if figure in a and b.get(figure)]

    def best(self, ours: str, figure: str) -> str | None:
        """The peer that is best in a figure, by its median, among those to which a variant is compared; no zchat."""
        others = [peer for peer in self.peers(ours) if "zchat" not in peer]
        found = [(statistics.median(values), peer) for peer in others if (values := self.values(peer, figure))]
        return None if not found else (min if KINDS[figure].low else max)(found)[1]


Table = list[list[str]]
"""Rows of cells; the first row heads the columns, the first cell of a row names it."""


def spread(values: Sequence[float], places: int) -> str:
    """A median, with the least and the greatest where there are several."""
    if not values:
        return "–"
    middle, least, greatest = (f"{one:,.{places}f}" for one in (statistics.median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least}–{greatest})"


def figures_table(found: Measured) -> Table:
    """A row a variant: the median of each figure over the rounds, and its spread."""
    shown = found.figures()
    return [["", *(KINDS[name].label for name in shown)]] + [
        [variant, *(spread(found.values(variant, name), KINDS[name].places) for name in shown)]
        for variant in found.rounds
    ]


def ratios_tables(found: Measured) -> list[Table]:
    """What zchat's figures are over those of its peers: a table without encryption, and one with it."""
    tables = (_ratios_table(found, sealed) for sealed in (False, True))
    return [table for table in tables if len(table) > 1]


def _ratios_table(found: Measured, sealed: bool) -> Table:
    """A row for each variant of zchat and figure: what it is over each peer's. The peer that is best in it is marked.

    It has one row where there is nothing to compare.
    """
    all_ours = [ours for ours in found.ours() if is_sealed(ours) == sealed]
    if not all_ours:
        return [[]]
    peers = found.peers(all_ours[0])
    table = [[f"{all_ours[0]} / peer", *peers]]
    for ours in all_ours:
        for name in found.figures():
            if not KINDS[name].compared:
                continue
            best = found.best(ours, name)
            cells = [spread(found.ratios(ours, peer, name), 2) for peer in peers]
            if any(cell != "–" for cell in cells):
                marked = [f"{cell} *" if peer == best else cell for cell, peer in zip(cells, peers, strict=True)]
                better = "<" if KINDS[name].low else ">"
                table.append([f"{ours}: {KINDS[name].label} ({better} 1 is better)", *marked])
    return table


def plain(table: Table) -> str:
    """A table in columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for name, *cells in table:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)


def report(all_found: Iterable[Measured]) -> str:
    """All tables, to read on a terminal. Ratios are of the same round; a star marks the peer that is best."""
    parts = []
    for found in all_found:
        tables = [plain(table) for table in (figures_table(found), *ratios_tables(found))]
        parts.append("\n\n".join([f"{found.workload} {found.title}: {found.case}", *tables]) + "\n")
    return "\n".join(parts)


def machine() -> dict[str, Any]:
    """What this was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else "unknown",
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        "pyzmq": zmq.__version__,
        "msgspec": importlib.metadata.version("msgspec"),
    }


def as_object(found: Measured) -> dict[str, Any]:
    """One case for machines: every round's figures, their medians, and ratios with their spread."""
    return {
        "workload": found.workload,
        "title": found.title,
        "case": found.case,
        "rounds": found.rounds,
        "medians": {variant: _medians(found, variant) for variant in found.rounds},
        "ratios": {ours: {peer: _ratios(found, ours, peer) for peer in found.peers(ours)} for ours in found.ours()},
        "best": {
            ours: {name: found.best(ours, name) for name in found.figures() if KINDS[name].compared}
            for ours in found.ours()
        },
    }


def _medians(found: Measured, variant: str) -> Figures:
    all_values = {name: found.values(variant, name) for name in found.figures()}
    return {name: statistics.median(values) for name, values in all_values.items() if values}


def _ratios(found: Measured, ours: str, peer: str) -> dict[str, Figures]:
    all_ratios = {name: found.ratios(ours, peer, name) for name in found.figures() if KINDS[name].compared}
    return {
        name: {"median": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}
        for name, ratios in all_ratios.items()
        if ratios
    }
