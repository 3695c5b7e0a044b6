"""Damage: copies of a real data folder, each with a bit flipped or a file cut off."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from random import Random

from scripts.chaos_raw import Raw
from scripts.chaos_run import Run
from scripts.chaos_store import Opened, Unusable, earlier, look, strays
from zchat.messages import Stamp

LOADED = 10.0
"""Seconds of load before the copies are made, at most."""


FINE = ("refused", "right", "repaired", "noticed by clients")
"""What may become of a damaged folder: it is refused; what was damaged is not used; events are lost, and the operator
and clients that saw them are told; only such clients are told.
"""


def damage(folder: Path, random: Random) -> str:
    """Damages one file of a folder; says how."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".db", ".db-wal") and path.stat().st_size)
    path = random.choice(files)
    size = path.stat().st_size
    if random.random() < 0.2:
        length = random.choice([0, random.randrange(size), random.randrange(size) // 4096 * 4096])
        with path.open("r+b") as file:
            file.truncate(length)
        return f"{path.name} cut off at {length} of {size}"
    place, bit = random.randrange(size), random.randrange(8)
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))
    return f"{path.name} with bit {bit} of byte {place} of {size} flipped"


def meaning(folder: Path, original: Opened, stamp: Stamp, *, shortened: bool) -> str:
    """What the store makes of a damaged folder: one of `FINE`, or else what is wrong.

    Args:
        original: what it made of the folder before.
        stamp: the newest that a client saw.
        shortened: whether the damage is that a file ends early.
    """
    try:
        found = look(folder, stamp)
    except Unusable:
        return "refused"
    except Exception as error:
        return f"it is not refused, but {error!r} is raised"
    if found.rows == original.rows and found.doors == original.doors:
        return "right"
    for room, events in found.rows.items():
        before = original.rows.get(room, [])
        if len(events) > len(before) or not all(map(earlier, events, before)):
            return f"{room} is served with wrong events"
    wrong = strays(found)
    if wrong:
        return wrong
    lost = sum(map(len, original.rows.values())) - sum(map(len, found.rows.values()))
    if found.vouched:
        return f"{lost} events are lost, and clients are told that all is well"
    if found.warnings:
        return "repaired"
    # A log that ends early looks like that of a broker which was killed: only who saw more can tell.
    return "noticed by clients" if shortened else f"{lost} events are lost, and the operator is told nothing"


def flip(run: Run) -> None:
    """Copies of a data folder are damaged and opened."""
    broker = run.start_broker()
    run.add_load(amend=0.1)
    run.await_all(run.add_witness())
    run.wait(min(run.options.seconds / 3, LOADED), "making rooms")
    run.settle()
    with Raw(broker.url) as reader:
        stamp = reader.stamp
    broker.kill()
    broker.process = None
    copy = run.folder / "copy"

    def copied() -> Path:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(broker.data, copy)
        return copy

    original = look(copied(), stamp)
    if strays(original):
        run.faults.append(f"undamaged: {strays(original)}")
    if not original.vouched or original.warnings:
        run.faults.append(f"undamaged, the folder is not vouched for: {original.warnings}")
    results: Counter[str] = Counter()
    for number in range(run.options.copies):
        what = damage(copied(), Random(f"{run.options.seed} {number}"))
        result = meaning(copy, original, stamp, shortened="cut off" in what)
        results[result if result in FINE else "wrong"] += 1
        if result not in FINE:
            run.faults.append(f"copy {number}, {what}: {result}")
        run.progress.show(f"flip: {number + 1} of {run.options.copies} copies")
    run.found |= {"copies": run.options.copies, **{name.replace(" ", "_"): results[name] for name in (*FINE, "wrong")}}
