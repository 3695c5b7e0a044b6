"""Two who talk in a room of their own while others make trouble, in a process of their own: how quick are they?

    python -m scripts.peers_bystander PORT [KEY]

Every line on standard input is answered with the times in ns, from send to arrival at both, since the line before.
"""

from __future__ import annotations

import json
import select
import sys
import time

from scripts.peers_load import Load
from scripts.peers_sealed import Secrets
from scripts.peers_wire import Member
from scripts.peers_zmtp import Zchat

PAUSE = 0.01
"""Seconds from one message to the next, if it has arrived by then."""

FIRST = 900_000
"""The number of the first of the two, beyond those of all others."""


def main() -> None:
    """Talks until standard input ends."""
    wire, load = Zchat(), Load(secrets=Secrets(curve=bytes.fromhex(sys.argv[2]) if len(sys.argv) > 2 else None))
    pair = [Member(FIRST, ("aside",)), Member(FIRST + 1, ("aside",))]
    load.run(wire.enter(load, int(sys.argv[1]), member) for member in pair)
    print("ready", flush=True)
    times: list[int] = []
    have, turn, begin = 2, 0, 0
    while True:
        now = time.perf_counter_ns()
        left = PAUSE - (now - begin) / 1e9
        if have >= 2 and left <= 0:
            turn, have = 1 - turn, 0
            said = wire.say(pair[turn], "aside", 1)
            begin = time.perf_counter_ns()
            load.send(pair[turn].talk, said)
        for conn in load.ready(max(left, 0.001) if have >= 2 else PAUSE):
            if found := load.count(conn):
                have += found
                if have == 2:
                    times.append(time.perf_counter_ns() - begin)
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                return
            waited = [time.perf_counter_ns() - begin] if have < 2 else []
            print(json.dumps(times + waited), flush=True)
            times = []


if __name__ == "__main__":
    main()
