"""W6: what a message costs zchat as there are more rooms, more messages stored, and more rooms that each follows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from scripts.chaos_process import Failed
from scripts.peers_load import Gauge, Load
from scripts.peers_servers import ROOT, Server
from scripts.peers_wire import Member, Wire
from scripts.peers_workloads import Figures, Line, Scale, Talk, Variant, converse, enter, measured, percentile

TEN = 10
"""Those who speak."""


class Filled:
    """Folders of zchat's with messages in them, each filled once and used in every round."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zchat-peers-", ignore_cleanup_errors=True)

    def folder(self, stored: int, tree: Path | None = None) -> Path | None:
        """One with so many messages, in a hundred rooms or fewer; None for a new one, which has none.

        Args:
            stored: how many.
            tree: the checkout whose zchat fills it; this one by default.
        """
        if not stored:
            return None
        folder = Path(self._folder.name) / f"{stored}{'-other' if tree else ''}"
        if not folder.exists():
            what = f"fill(Path({str(folder)!r}), {stored}, {min(stored, 100)}, 1, False)"
            code = f"from pathlib import Path\nfrom scripts.history_cost import fill\n{what}"
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=tree or ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise Failed(f"the store could not be filled: {done.stderr.strip().splitlines()[-1]}")
        return folder

    def close(self) -> None:
        """Removes them all."""
        self._folder.cleanup()


Making = Callable[[Load, Server, Wire], list[Talk]]


def grown(variant: Variant, make: Making, turn: int, scale: Scale, data: Path | None = None) -> Figures:
    """What a message costs.

    Args:
        variant: which zchat.
        make: brings everybody in.
        turn: messages that are said at once in a turn.
        scale: how much is said.
        data: a folder of zchat's that is used as it is.
    """
    wire = variant.wire
    with variant.running(data) as server, measured(server) as load:
        talks = make(load, server, wire)
        converse(load, wire, talks, Gauge(server.cpu, scale.warm, longest=scale.longest))
        gauge = Gauge(server.cpu, scale.cpu, longest=scale.longest)
        times = converse(load, wire, talks, gauge)
    return {
        "cpu_us_per_message": gauge.cost / turn,
        "p50_us": percentile(times, 0.5),
        "p99_us": percentile(times, 0.99),
    }


def over_rooms(rooms: int) -> Making:
    """Ten speak, each in one room after the other, and each room has one who follows it."""

    def make(load: Load, server: Server, wire: Wire) -> list[Talk]:
        names = [f"room{number}" for number in range(rooms)]
        shares = [names[place::TEN] for place in range(min(TEN, rooms))]
        speakers = [Member(place) for place in range(len(shares))]
        followers = [Member(TEN + place, share) for place, share in enumerate(shares)]
        enter(load, server, wire, [*speakers, *followers])
        for place, follower in enumerate(followers):
            follower.hear.group = place
        turns: list[list[Sequence[Line]]] = [
            [[(speaker, room)] for room in share] for speaker, share in zip(speakers, shares, strict=True)
        ]
        return [Talk(cycle(one), 1) for one in turns]

    return make


def following(rooms: int) -> Making:
    """Ten follow so many rooms, all the same, and each speaks in one of them; all at once, and on once all have all."""

    def make(load: Load, server: Server, wire: Wire) -> list[Talk]:
        names = [f"room{number}" for number in range(rooms)]
        members = [Member(number, names) for number in range(TEN)]
        enter(load, server, wire, members)
        turn = [(member, names[member.number % rooms]) for member in members]
        return [Talk(cycle([turn]), TEN * TEN)]

    return make
