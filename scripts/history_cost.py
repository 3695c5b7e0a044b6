#!/usr/bin/env python3
"""What a long history costs: the same load on an empty store and on a full one, start-up, and searching.

    scripts/history_cost.py --stored 1000000 --rooms 1000

Exit status: 0 all within the limits; 1 a limit was missed; 2 usage; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

try:
    import zmq as _needed  # noqa: F401

    import zchat
    from zchat.messages import Send
    from zchat.store.base import Append, NewRoom, Work
    from zchat.store.sqlite import open_store
    from zchat.store.sqlite.retention import Retention
except ModuleNotFoundError as missing:
    own = Path(__file__).resolve().parent.parent / ".venv"
    if __name__ == "__main__" and sys.prefix != str(own) and (own / "bin" / "python").exists():
        os.execv(own / "bin" / "python", [str(own / "bin" / "python"), *sys.argv])  # noqa: S606
    print(f"history_cost: {missing.name} is not installed: run scripts/test once, it makes .venv", file=sys.stderr)
    sys.exit(2)

LOAD = Path(__file__).parent / "load_test.py"

BATCH = 5000
"""Messages in a transaction while a store is filled."""

VOCABULARY = 20_000
"""Words of which texts are made; the n-th is as common as 1/n."""

COSTLIER, START, SEARCH = 1.2, 1.0, 0.1
"""What is allowed: the ratio of processor time a message, seconds to start, seconds to search."""


def fill(folder: Path, stored: int, rooms: int, seed: int, show: bool) -> None:
    """Fills a store with messages, evenly over rooms, and indexes them."""
    dice = random.Random(seed)
    vocabulary = [f"word{number}" for number in range(1, VOCABULARY + 1)]
    chances = list(accumulate(1 / number for number in range(1, VOCABULARY + 1)))
    store = open_store(folder, Retention())
    person = dice.randbytes(16)
    begin = time.time_ns() // 1_000_000 - stored
    try:
        store.commit(Work(rooms=[NewRoom(f"room{number}") for number in range(rooms)]))
        for first in range(0, stored, BATCH):
            client = dice.randbytes(16)
            sends: list[Append] = []
            for number in range(first, min(first + BATCH, stored)):
                text = " ".join(dice.choices(vocabulary, cum_weights=chances, k=12))
                room, name = f"room{number % rooms}", f"person{number % 500}"
                said = [Send(number - first + 1, room, text)]
                sends.append(Append(room, client, begin + number, name, client[:8], person, said))
            store.commit(Work(sends=list(sends)))
            store.tidy(begin, idle=False)
            if show:
                print(f"\rfilling: {first * 100 // stored} %", end="", file=sys.stderr, flush=True)
        while (wait := store.tidy(begin, idle=True)) < 60:
            if wait:
                select.select([], [], [], min(wait, 1.0))
    finally:
        store.close()
        if show:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def load(folder: Path, messages: int) -> float:
    """Broker's microseconds of processor time a message, under the load test's load."""
    command = [sys.executable, str(LOAD), "--messages", str(messages), "--data", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["broker_us_per_message"])


@contextmanager
def broker(folder: Path) -> Iterator[tuple[str, float]]:
    """A broker on a folder: its address, and the seconds from its start until it listened."""
    command = [sys.executable, "-m", "zchat", "broker", "--bind", "tcp://127.0.0.1:0", "--no-console"]
    begin = time.monotonic()
    with subprocess.Popen(
        [*command, "--data", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            yield url, time.monotonic() - begin
        finally:
            process.terminate()


def search(url: str) -> dict[str, float]:
    """Seconds that searches take, by what is searched for: the median of several."""
    wanted = {
        "a common word": {"words": "word1"},
        "a rare word": {"words": "word19999"},
        "two words": {"words": "word2 word3"},
        "a word in a room": {"words": "word40", "room": "room7"},
        "a word of a person": {"words": "word40", "name": "person3"},
    }
    found: dict[str, float] = {}
    with zchat.connect(url) as client:
        for what, query in wanted.items():
            times = []
            for _ in range(5):
                begin = time.monotonic()
                client.search(**query)  # type: ignore[arg-type]
                times.append(time.monotonic() - begin)
            found[what] = statistics.median(times)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit status."""
    asked = argparse.ArgumentParser(prog="history_cost.py", description="What a long history costs.")
    asked.add_argument("--stored", type=int, default=1_000_000, metavar="N", help="messages in the full one (1000000)")
    asked.add_argument("--rooms", type=int, default=1000, metavar="N", help="rooms in it (1000)")
    asked.add_argument("--messages", type=int, default=20_000, metavar="N", help="messages of the load (20000)")
    asked.add_argument("--rounds", type=int, default=3, metavar="N", help="of each load, in turn (3)")
    asked.add_argument("--seed", type=int, default=1, metavar="N", help="of the texts (1)")
    asked.add_argument("--json", action="store_true", help="report as one JSON object")
    options = asked.parse_args(arguments)
    if min(options.stored, options.rooms, options.messages, options.rounds) < 1:
        asked.error("every number is at least 1")
    try:
        with tempfile.TemporaryDirectory(prefix="zchat-history-") as work:
            full, show = Path(work) / "full", sys.stderr.isatty()
            fill(full, options.stored, options.rooms, options.seed, show)
            costs: dict[str, list[float]] = {"empty": [], "full": []}
            for number in range(options.rounds):
                costs["empty"].append(load(Path(work) / f"empty{number}", options.messages))
                costs["full"].append(load(full, options.messages))
            starts = []
            for _ in range(options.rounds):
                with broker(full) as (url, start):
                    starts.append(start)
                    searches = search(url)
            size = (full / "zchat.db").stat().st_size
    except KeyboardInterrupt:
        return 130
    except subprocess.CalledProcessError as error:
        print(f"history_cost: the load test failed: {error.stderr.strip()}", file=sys.stderr)
        return 1
    ratio = statistics.median(costs["full"]) / statistics.median(costs["empty"])
    report = {
        "stored": options.stored,
        "bytes": size,
        "us_per_message_empty": round(statistics.median(costs["empty"]), 1),
        "us_per_message_full": round(statistics.median(costs["full"]), 1),
        "ratio": round(ratio, 3),
        "start_seconds": round(statistics.median(starts), 3),
        **{f"search_ms: {what}": round(seconds * 1000, 2) for what, seconds in searches.items()},
    }
    print(json.dumps(report) if options.json else "\n".join(f"{key:<32}{value}" for key, value in report.items()))
    missed = [
        *([f"costs {ratio:.2f} times as much, not {COSTLIER}"] if ratio > COSTLIER else []),
        *([f"starts in {starts[0]:.2f} s, not {START}"] if statistics.median(starts) > START else []),
        *(f"{what} takes {took * 1000:.0f} ms" for what, took in searches.items() if took > SEARCH),
    ]
    if missed:
        print(f"history_cost: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
