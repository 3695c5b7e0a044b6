#!/usr/bin/env python3
"""Says where the broker's time goes: microseconds of processor time for each step of a message's way, and beside them
what libzmq, the kernel and SQLite take for the same by themselves.

    scripts/hot_path.py [--turns N] [--json]

The steps are those of zchat/broker/server.py, run on a real store and real sockets in one process. libzmq's own thread,
which does the sending, is not in them: see the limits.

Exit status: 0; 2 usage.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

try:
    import zmq

    from zchat import codec
    from zchat.broker.hub import Hub
    from zchat.broker.inputs import FenceMoved, Now, Received
    from zchat.broker.settings import Settings
    from zchat.messages import VERSION, Hello, Join, Send
    from zchat.store.sqlite import SqliteStore, open_store
    from zchat.store.sqlite.retention import Retention
except ModuleNotFoundError as missing:
    own = ROOT / ".venv"
    if __name__ == "__main__" and sys.prefix != str(own) and (own / "bin" / "python").exists():
        os.execv(own / "bin" / "python", [str(own / "bin" / "python"), *sys.argv])  # noqa: S606
    print(f"hot_path: {missing.name} is not installed: run scripts/test once, it makes .venv", file=sys.stderr)
    sys.exit(2)

TEXT = "x" * 100
STEPS = ("decode", "plan", "commit", "answer", "encode", "settle and tidy")

TURNS = {
    "one message": (1, 1, 1),
    "20 rooms, one message in each": (20, 20, 1),
    "100 clients, one message each": (100, 1, 1),
    "one client, 1024 in frames of 64": (1, 1, 1024),
}
"""By what a turn holds: clients, rooms, and messages of each client."""

IN_FRAME = 64


def steps(store: SqliteStore, clients: int, rooms: int, each: int, turns: int) -> list[float]:
    """Microseconds a message for each of the steps, in turns of so many messages."""
    hub = Hub(Settings(), store.rooms(), store.names(), os.urandom)
    clock = time.thread_time
    spent = [0.0] * len(STEPS)
    peers = [number.to_bytes(5, "big") for number in range(clients)]

    def turn(frames: list[tuple[bytes, bytes]], *others: FenceMoved) -> None:
        marks = [clock()]
        received = [Received(peer, codec.decode_requests(frame)) for peer, frame in frames]
        marks.append(clock())
        work = hub.handle([*others, *received], Now(time.monotonic(), 1_700_000_000_000))
        marks.append(clock())
        outcome = store.commit(work)
        marks.append(clock())
        effects = hub.committed(outcome)
        marks.append(clock())
        for room, told in effects.published.items():
            codec.encode_published(room, store.stamp, told.events, told.states)
        for replies in effects.replies.values():
            codec.encode_replies(store.stamp, replies)
        marks.append(clock())
        store.tidy(1_700_000_000_000, idle=False)
        marks.append(clock())
        for step, (begin, end) in enumerate(pairwise(marks)):
            spent[step] += end - begin

    for number, peer in enumerate(peers):
        secret = number.to_bytes(16, "big")
        (hello,) = codec.encode_requests([Hello(1, VERSION, f"name{number}", secret, secret, secret)])
        turn([(peer, hello)])
        (join,) = codec.encode_requests([Join(2, f"room{number % rooms}")])
        turn([(peer, join)], FenceMoved(secret, 1, up=True))
    n = 0
    warm = max(turns // 5, 1)
    for made in range(turns + warm):
        if made == warm:
            spent = [0.0] * len(STEPS)
        frames = []
        for number, peer in enumerate(peers):
            for first in range(n + 1, n + each + 1, IN_FRAME):
                last = min(first + IN_FRAME, n + each + 1)
                sends = [Send(m, f"room{number % rooms}", TEXT) for m in range(first, last)]
                frames += [(peer, frame) for frame in codec.encode_requests(sends)]
        n += each
        turn(frames)
    return [step / (turns * clients * each) * 1e6 for step in spent]


# What others take -----------------------------------------------------------------------------------------------------


def each(do: Callable[[], object], times: int) -> float:
    """Microseconds of this thread's processor time that something takes."""
    do()
    begin = time.thread_time()
    for _ in range(times):
        do()
    return (time.thread_time() - begin) / times * 1e6


@contextmanager
def pair(listener: int, connector: int, count: int) -> Iterator[tuple[zmq.Socket[bytes], list[zmq.Socket[bytes]]]]:
    """A bound socket of libzmq's, and so many that are connected to it over TCP."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with ExitStack() as stack:
        stack.callback(context.destroy, 0)
        bound = context.socket(listener)
        bound.rcvhwm = bound.sndhwm = 0
        port = bound.bind_to_random_port("tcp://127.0.0.1")
        connected = []
        for _ in range(count):
            one = context.socket(connector)
            one.rcvhwm = one.sndhwm = 0
            one.connect(f"tcp://127.0.0.1:{port}")
            connected.append(one)
        yield bound, connected


def libzmq(times: int) -> dict[str, float]:
    """What the calls take in the thread that makes them."""
    body = bytes(180)
    found = {}
    with pair(zmq.ROUTER, zmq.DEALER, 1) as (router, (dealer,)):
        for _ in range(times + 1):
            dealer.send(body)
        peer = router.recv()
        router.recv()
        for _ in range(times):
            router.poll(1000)  # all of it has come
            if not dealer.poll(0, zmq.POLLOUT):
                break
        found["ROUTER, recv() of two frames"] = each(lambda: (router.recv(), router.recv()), times - 1)
        flag = int(zmq.SNDMORE)
        found["ROUTER, send() of two frames"] = each(lambda: (router.send(peer, flag), router.send(body)), times)
    with pair(zmq.XPUB, zmq.SUB, 10) as (xpub, subs):
        xpub.xpub_verbose = True
        for sub in subs:
            sub.subscribe(b"")
        for _ in subs:
            xpub.recv()
        found["XPUB, send() to 10 subscribers"] = each(lambda: xpub.send(body), times)
    return found


def kernel(times: int) -> dict[str, float]:
    """What the system takes to send 180 bytes over loopback, all of it up to the receiver's socket."""
    body = bytes(180)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
        server.accept()[0] as other,
    ):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def exchange() -> None:
            one.send(body)
            other.recv(4096)

        both = each(exchange, times)
        for _ in range(100):
            one.send(body)
        receive = each(lambda: other.recv(180), 99)
    return {"kernel, send() of 180 bytes": both - receive, "kernel, recv()": receive}


def disk(folder: Path, times: int) -> dict[str, float]:
    """What SQLite and the disk take: processor time, and for those that wait for the disk the time on the clock."""
    db = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
        db.execute(f"PRAGMA {pragma}").fetchone()
    db.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, body BLOB)")
    insert, body = "INSERT INTO log (body) VALUES (?)", os.urandom(200)
    for _ in range(times):  # from then on the log is overwritten rather than made longer
        db.execute(insert, (body,))
    db.execute("PRAGMA wal_checkpoint").fetchone()
    begin = time.perf_counter()
    found = {"SQLite, a commit of one row": each(lambda: db.execute(insert, (body,)), times)}
    found["SQLite, a commit of one row, on the clock"] = (time.perf_counter() - begin) / times * 1e6
    rows = [(body,)] * 1000
    db.execute("BEGIN")
    found["SQLite, an insert among 1000"] = each(lambda: db.executemany(insert, rows), 10) / 1000
    db.execute("COMMIT")
    db.close()
    file = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(file, bytes(8 << 20), 0)
        os.fsync(file)
        begin = time.perf_counter()
        for place in range(times):
            os.pwrite(file, bytes(4096), place % 2000 * 4096)
            os.fdatasync(file)
        found["the disk, 4 KiB overwritten and flushed, on the clock"] = (time.perf_counter() - begin) / times * 1e6
    finally:
        os.close(file)
    return found


def main() -> int:
    """Runs from the command line; gives the exit status."""
    parser = argparse.ArgumentParser(description="Says where the broker's time goes, in microseconds a message.")
    parser.add_argument("--turns", type=int, default=2000, metavar="N", help="of one message; less of larger ones")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.turns < 1:
        parser.error("--turns: at least one")
    budget, limits = {}, {}
    gc.disable()
    with tempfile.TemporaryDirectory(prefix="zchat-hot-path-") as folder:
        for name, (clients, rooms, messages) in TURNS.items():
            store = open_store(Path(folder) / name.replace(" ", "-"), Retention())
            turns = max(options.turns // (clients * messages) ** 0.5, 1)
            budget[name] = steps(store, clients, rooms, messages, int(turns))
            store.close()
            gc.collect()
        limits = {**libzmq(options.turns), **kernel(options.turns), **disk(Path(folder), options.turns)}
    if options.json:
        told = {name: dict(zip(STEPS, spent, strict=True)) for name, spent in budget.items()}
        print(json.dumps({"steps": told, "limits": limits}))
        return 0
    print("| µs of processor time a message, in turns of | " + " | ".join((*STEPS, "all")) + " |")
    print("|---" * (len(STEPS) + 2) + "|")
    for name, spent in budget.items():
        print(f"| {name} | " + " | ".join(f"{step:.1f}" for step in (*spent, sum(spent))) + " |")
    print("\n| by itself | µs |\n|---|---|")
    for name, value in limits.items():
        print(f"| {name} | {value:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
