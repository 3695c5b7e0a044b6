"""Power loss: a real run's writes, syncs and answers are recorded, and the disk is cut off after each of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from scripts.chaos_disk import WAYS, Disk
from scripts.chaos_run import Run, Skipped
from scripts.chaos_store import Unusable, earlier, look, strays
from scripts.chaos_trace import ARGUMENTS, Operation, Sent, frames, operations
from scripts.checker import Log
from zchat import codec, errors
from zchat.messages import Ack, Private, Unreadable

MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of its own is made there

LOADED = 0.3
"""The share of the time for which the load runs; in the rest the disk is cut off."""


@dataclass(frozen=True, slots=True)
class Told:
    """The broker told somebody of an event, acknowledged or published.

    Attributes:
        at: where in the recording.
    """

    at: int
    room: str
    seq: int


def told(recorded: Sequence[Operation], port: int, called: Mapping[str, str] | None = None) -> list[Told]:
    """All that the broker told, in order.

    Args:
        port: where it listens; it publishes at the next.
        called: what private rooms are called in the notes, by their ids.
    """
    connections: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for at, one in enumerate(recorded):
        if isinstance(one, Sent):
            connections[one.socket].append((at, one.data))
    found: list[Told] = []
    for socket, sent in connections.items():
        local = socket.partition("->")[0].rpartition(":")[2]
        for at, part in frames(sent):
            if local == str(port):
                found += _answered(at, part)
            elif local == str(port + 1):
                found += _published(at, part)
    names = called or {}
    return sorted((Told(one.at, names.get(one.room, one.room), one.seq) for one in found), key=lambda one: one.at)


def _answered(at: int, part: bytes) -> Iterable[Told]:
    """What was acknowledged, and what members of private rooms were told."""
    try:
        items = codec.decode_replies(part).items
    except errors.Undecodable:
        return []
    acks = [item for item in items if isinstance(item, Ack) and item.room and item.seq]
    private = [Told(at, item.room, one.seq) for item in items if isinstance(item, Private) for one in item.events]
    return [Told(at, ack.room, seq) for ack in acks for seq in range(ack.seq, ack.seq + ack.count)] + private


def _published(at: int, part: bytes) -> Iterable[Told]:
    try:
        room, frame = codec.decode_published(part)
    except errors.Undecodable:
        return []
    return [Told(at, room, event.seq) for event in frame.events if not isinstance(event, Unreadable)]


@dataclass(slots=True)
class Replay:
    """Cuts the recorded disk off, and looks what the store makes of what is left.

    Args:
        recorded: what was done.
        said: what was told.
        logs: the rooms as they were in the end.
        folder: for the folders that are left.
        seed: of what becomes of what was not synced.
        called: what private rooms are called in the logs, by their ids.

    Attributes:
        points: places in the recording where it was cut off.
        cuts: folders that were opened.
        faults: what was wrong, in words.
    """

    recorded: Sequence[Operation]
    said: Sequence[Told]
    logs: dict[str, Log]
    folder: Path
    seed: int
    called: Mapping[str, str]
    points: int = 0
    cuts: int = 0

    def go(self, run: Run, seconds: float) -> list[str]:
        """Cuts everywhere, or at as many places, evenly spread, as the time allows; gives what is wrong."""
        disk, needed, waiting = Disk(), dict[str, int](), list(reversed(self.said))
        faults: list[str] = []
        begin = time.monotonic()
        for at, one in enumerate(self.recorded):
            # What was told counts from the moment it left; nothing on the disk changes by that.
            while waiting and waiting[-1].at < at:
                room, seq = waiting[-1].room, waiting.pop().seq
                needed[room] = max(needed.get(room, 0), seq)
            spent = (time.monotonic() - begin) / seconds
            if not isinstance(one, Sent) and needed and spent <= at / len(self.recorded):
                faults += self._cut(disk, at, needed)
                run.progress.show(f"power: {self.points} points, {self.cuts} cuts, {at} of {len(self.recorded)}")
            disk.apply(one)
            if len(faults) > 100:
                return faults
        return faults + self._cut(disk, len(self.recorded), needed)

    def _cut(self, disk: Disk, at: int, needed: dict[str, int]) -> list[str]:
        self.points += 1
        faults: list[str] = []
        for way in WAYS if disk.unsynced else WAYS[:1]:
            self.cuts += 1
            self.folder.mkdir(mode=0o700)
            for name, data in disk.crash(way, Random(f"{self.seed} {at} {way}")).items():
                (self.folder / name).write_bytes(data)
            wrong = judge(self.folder, self.logs, needed, self.called)
            shutil.rmtree(self.folder)
            faults += [f"power cut after operation {at} ({way}): {one}" for one in wrong]
        return faults


def judge(folder: Path, logs: dict[str, Log], needed: dict[str, int], called: Mapping[str, str]) -> list[str]:
    """What is wrong with a folder after a power cut.

    Args:
        logs: the rooms as they became later; what is there is a part of that.
        needed: of each room, the number up to which somebody was told of it.
        called: what private rooms are called in the logs, by their ids.
    """
    try:
        opened = look(folder, called=called)
    except Unusable as error:
        return [f"the store cannot be opened: {error}"]
    found = opened.rows
    faults = [wrong] if (wrong := strays(opened)) else []
    for room, log in logs.items():
        events = found.get(room, [])
        lacking = needed.get(room, 0) - (events[-1].seq if events else 0)
        if lacking > 0:
            faults.append(f"{room} ends {lacking} events before {needed[room]}, of which somebody was told")
        for kept, later in zip(events, log.events, strict=False):
            if not earlier(kept, later):
                faults.append(f"{room} {later.seq} is {kept}, and later {later}")
                break
        if len(events) > len(log.events):
            faults.append(f"{room} has {len(events)} events, and later {len(log.events)}")
        empty = {event.seq for event in events if not event.text}
        gone = {event.target for event in events if event.text.startswith("delete ")}
        if gone - empty:
            faults.append(f"{room} {min(gone - empty)} was taken back and says something")
        if {event.seq for event in events if not event.text and not {event.seq, event.target} & gone}:
            faults.append(f"{room} holds an empty message that was not taken back")
    return faults


def can_record() -> bool:
    """Whether strace is there, and may be used."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True, timeout=20, check=False)
    return tried.returncode == 0


def power(run: Run) -> None:
    """A broker's writes are recorded, and the power fails after each."""
    if not can_record():
        raise Skipped("strace cannot be used (say: apt-get install strace; in a container, allow ptrace)")
    recording = run.folder / "recording"
    broker = run.start_broker(within=("strace", *ARGUMENTS, "-o", str(recording)))
    run.add_load(amend=0.1)
    run.await_all(run.add_witness())
    run.wait(run.options.seconds * LOADED, "recording")
    run.settle()
    logs = run.read_logs()
    broker.stop()
    with recording.open(encoding="ascii", errors="replace") as lines:
        recorded = operations(lines, broker.data)
    called = {room: label for label, room in run.ids.items()}
    said = told(recorded, broker.port, called)
    # What is left after a cut is looked at in memory, where there is such a place: thousands of folders are made.
    place = run.undo.enter_context(tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else run.folder))
    replay = Replay(recorded, said, logs, Path(place) / "cut", run.options.seed, called)
    run.faults += replay.go(run, run.options.seconds * (1 - LOADED))
    if not said:
        run.faults.append("no answer of the broker's was found in the recording: that was no test")
    run.found |= {
        "operations": len(recorded),
        "syncs": sum(type(one).__name__ == "Sync" for one in recorded),
        "told": len(said),
        "told_in_private": sum(one.room[0] in "@+" for one in said),
        "points_possible": sum(not isinstance(one, Sent) for one in recorded[said[0].at if said else 0 :]),
        "points": replay.points,
        "cuts": replay.cuts,
    }
