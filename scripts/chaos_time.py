"""What takes time to show: stopped subscribers, a day's traffic, and clocks that jump."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import zchat
from scripts.chaos_client import Person
from scripts.chaos_log import Notes
from scripts.chaos_run import Run, Skipped

MIB = 2**20

# Stopped subscribers --------------------------------------------------------------------------------------------------

STOPPED = 100
"""Subscribers that are stopped."""

GROWTH = 64 * MIB
"""Bytes by which the broker may grow meanwhile."""

SLOWER = 1.2
"""By what factor others may have to wait longer."""

NOISE = 0.005
"""Seconds that two measurements of the same thing differ by on a machine with little else to do: a turn of the
scheduler's, and a flush of the disk's.
"""


def stop(run: Run) -> None:
    """Subscribers are stopped amid full load, and go on later."""
    broker = run.start_broker()
    names = [f"s{number:03}" for number in range(STOPPED)]
    run.add_load(size=1000, guests=names)
    witness = run.add_witness()
    run.await_all(witness)
    part = run.options.seconds / 4
    run.wait(2.0, "warming up")
    before = time.monotonic_ns()
    run.wait(part, "measuring without them")
    rooms = run.options.rooms
    people = [Person(name, [f"room{number % rooms}"]) for number, name in enumerate(names)]
    stopped = [run.add_worker(people[at : at + 25], rate=0.0) for at in range(0, STOPPED, 25)]
    came = time.monotonic_ns()
    run.await_all(witness)
    memory = broker.memory()
    for worker in stopped:
        worker.pause()
    began = time.monotonic_ns()
    peak = memory
    deadline = time.monotonic() + run.options.seconds - part
    while (left := deadline - time.monotonic()) > 0:
        run.wait(min(left, 0.2), f"{STOPPED} subscribers stopped, {peak / MIB:.0f} MiB")
        peak = max(peak, broker.memory())
    ended = time.monotonic_ns()
    for worker in stopped:
        worker.resume()
    notes = run.settle()
    talking = {f"c{number:03}" for number in range(run.options.clients)}
    middle = (before + came) // 2
    halves = [slow(notes, talking, before, middle), slow(notes, talking, middle, came)]
    during = slow(notes, talking, began, ended)
    run.found |= {
        "stopped_seconds": round((ended - began) / 1e9, 1),
        "memory_before_mib": round(memory / MIB, 1),
        "growth_mib": round((peak - memory) / MIB, 1),
        "p99_before_ms": [round(one * 1000, 1) for one in halves],
        "p99_during_ms": round(during * 1000, 1),
    }
    if peak - memory > GROWTH:
        run.faults.append(f"the broker grew by {(peak - memory) / MIB:.0f} MiB, and {GROWTH / MIB:.0f} are allowed")
    # The halves were measured under the same conditions: how far they lie apart is this machine's own doing.
    allowed = SLOWER * max(halves) + NOISE
    if during > allowed:
        run.faults.append(f"the others' p99 was {during * 1000:.0f} ms, and {allowed * 1000:.0f} are allowed")


def slow(notes: Notes, clients: set[str], begin: int, end: int) -> float:
    """The 99th percentile of the time from a message's being handed over until each of these clients heard it.

    Args:
        begin, end: only what was handed over then, in the nanoseconds of the clients' clock.

    Returns:
        Seconds; 0 if there was nothing.
    """
    took = sorted(
        at - send.at
        for at, client, text in notes.heard_at
        if client in clients and (send := notes.sends.get(text)) is not None and begin <= send.at < end
    )
    return took[max(ceil(len(took) * 0.99), 1) - 1] / 1e9 if took else 0.0


# A day's traffic ------------------------------------------------------------------------------------------------------

SLOPE = MIB
"""Bytes that the broker may grow by for each 100,000 messages."""

CACHES, FILLED = 32 * MIB, 80_000
"""Bytes of caches that fill at first, the database's pages and what is remembered of sends, and messages that fill
them.
"""

NOISE_BYTES = MIB
"""Bytes by which two looks at the same memory differ."""


SHOWN = 12
"""Samples that are reported."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The broker at a moment."""

    at: int
    memory: int
    descriptors: int


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that lies nearest to some points (least squares); 0 for fewer than two."""
    count = len(points)
    if count < 2:
        return 0.0
    middle = sum(x for x, _ in points) / count
    height = sum(y for _, y in points) / count
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - height) for x, y in points) / spread if spread else 0.0


def soak(run: Run) -> None:
    """Much traffic and many reconnections, and what the broker grows by."""
    broker = run.start_broker()
    alone = broker.descriptors()
    run.add_load(lasting=max(run.options.seconds / 20, 2.0), amend=0.02)
    witness = run.add_witness()
    run.await_all(witness)
    samples: list[Sample] = []
    deadline = time.monotonic() + run.options.seconds
    while (left := deadline - time.monotonic()) > 0:
        run.wait(min(left, 0.5), f"{broker.memory() / MIB:.0f} MiB, {broker.descriptors()} descriptors")
        samples.append(Sample(time.monotonic_ns(), broker.memory(), broker.descriptors()))
    notes = run.settle()
    witness.end()
    run.wait(20, "waiting for all connections to be gone", lambda: broker.descriptors() <= alone)
    acked = sorted(send.acked_at for send in notes.sends.values() if send.acked_at)
    points = [(float(sum(at <= one.at for at in acked)), float(one.memory)) for one in samples]
    later = points[len(points) // 2 :]
    grown, messages = later[-1][1] - later[0][1], later[-1][0] - later[0][0]
    run.found |= {
        "reconnections": len(notes.connected) - run.options.clients,
        "messages_and_memory_mib": [
            (int(count), round(memory / MIB, 1)) for count, memory in points[:: max(len(points) // SHOWN, 1)]
        ],
        "slope_mib_per_100k": round(slope(later) * 100_000 / MIB, 2),
        "slope_over_messages": int(messages),
        "descriptors_alone": alone,
        "descriptors_most": max(one.descriptors for one in samples),
        "descriptors_after": broker.descriptors(),
    }
    if broker.descriptors() > alone:
        run.faults.append(f"{broker.descriptors()} descriptors are open when all have gone, and {alone} before")
    # In a short run caches fill all the time: only what exceeds them can be told from a leak.
    allowed = SLOPE * messages / 100_000 + (NOISE_BYTES if later[0][0] >= FILLED else CACHES)
    if grown > allowed:
        run.faults.append(f"it grew by {grown / MIB:.1f} MiB in {messages:.0f} messages, {allowed / MIB:.1f} allowed")


# Clocks that jump -----------------------------------------------------------------------------------------------------

JUMPS = ("+1h", "-1h", "-1d", "+3650d", "+0")
"""Where the broker's clock goes, from the right time."""


def _library() -> Path:
    """The library that fakes the time.

    Raises:
        Skipped: it is not there.
    """
    for path in sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")):
        return path
    raise Skipped("libfaketime is not installed (say: apt-get install faketime)")


def _date(url: str) -> str:
    with zchat.connect(url) as client:
        return client.day("date", utc=True)


def clock(run: Run) -> None:
    """The broker's clock jumps, while it runs and from one life to the next."""
    library = _library()
    file = run.folder / "clock"
    file.write_text("+0\n", encoding="ascii")
    env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    broker = run.start_broker(env=env)
    run.add_load()
    witness = run.add_witness()
    run.await_all(witness)
    calm: list[tuple[int, int]] = []
    dates: list[str] = []
    part = run.options.seconds / len(JUMPS) / 2
    for jump in JUMPS:
        begin = time.monotonic_ns()
        file.write_text(f"{jump}\n", encoding="ascii")
        run.wait(part, f"clock at {jump}")
        calm.append((begin, time.monotonic_ns()))
        dates.append(_date(broker.url))
        broker.kill()
        broker.start()
        run.wait(part, f"clock at {jump}, restarted")
    notes = run.settle()
    lost = sum(begin <= at < end for at, _, again in notes.connected if again for begin, end in calm)
    still = [jump for jump, span in zip(JUMPS, calm, strict=True) if not _acked(notes, *span)]
    run.found |= {"jumps": len(JUMPS), "restarts": len(broker.started) - 1, "dates": dates, "logged_out_by_jumps": lost}
    if len(set(dates)) < 3:
        run.faults.append(f"the broker's date did not jump: {', '.join(dates)}")
    if lost:
        run.faults.append(f"{lost} times a client was logged out by a jump of the clock")
    if still:
        run.faults.append(f"nothing was acknowledged with the clock at {', '.join(still)}")
    if notes.ended:
        run.faults.append(f"{len(notes.ended)} sessions ended for good: {notes.ended[0][2]}")


def _acked(notes: Notes, begin: int, end: int) -> int:
    return sum(begin <= send.acked_at < end for send in notes.sends.values())
