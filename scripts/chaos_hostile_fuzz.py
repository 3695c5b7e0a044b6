"""Garbage: mutated streams of ZMTP to both ports, and mutated frames of requests, beside honest people."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections import deque
from pathlib import Path
from random import Random
from typing import Any

from scripts import chaos_hostile_mutate as mutate
from scripts.chaos_hostile_frames import Fuzzer
from scripts.chaos_hostile_scene import MIB, Honest, Scene
from scripts.chaos_hostile_seeds import Stream, streams
from scripts.chaos_run import Run
from zchat.broker.ports import STUCK

STREAMS, FRAMES = 100_000, 1_000_000
"""How many at the table's scale."""

P99 = 0.25
"""Seconds for an honest client."""

GROWTH = 20 * MIB

UNLIMITED = [
    part
    for kind in ("messages", "bytes", "joins", "creations", "hellos", "reads", "questions")
    for part in ("--rate", f"{kind}=off")
]
"""What a broker is told so that nothing is refused for being too much."""

PROXIED = 0.1
"""The share of streams that begin as those of a client with a key, and are damaged later."""

LETS_GO, SPARE = 20.0, STUCK + 30
"""Seconds after which the broker has let go of the descriptors of who is gone, but for so many: of those that libzmq
keeps, it gets rid once there are more than so many.
"""

WARM = 0.05
"""The share that is sent before memory is measured: what a broker learns once it keeps."""

THREADS = 4

HELD = 24
"""Connections of a thread that stay open for a while after all was sent."""

READY = 0.02
"""Seconds to wait for the broker's part of a handshake."""

GONE = (BrokenPipeError, ConnectionResetError, TimeoutError)


def source(random: Random) -> tuple[str, int]:
    """An address of this machine to come from: one alone has not ports enough."""
    return f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}", 0


def throw(random: Random, port: int, one: Stream, held: deque[socket.socket]) -> None:
    """Sends a stream over a connection of its own.

    Args:
        port: of requests; the next one publishes.
        held: connections that stay open for now.
    """
    to = ("127.0.0.1", port + (one.port == "xpub"))
    with socket.socket() as tcp:
        tcp.bind(source(random))
        tcp.settimeout(2.0)
        tcp.connect(to)
        try:
            tcp.sendall(one.opening)
            if one.rest:
                tcp.settimeout(READY)
                taken = 0
                while taken < 64 + 28 and (data := tcp.recv(4096)):
                    taken += len(data)
        except GONE:
            pass
        try:
            tcp.settimeout(2.0)
            tcp.sendall(one.rest)
        except GONE:
            pass
        if random.random() < 0.5:  # else it ends in good order
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if random.random() < 0.7:
            held.append(tcp.dup())
    while len(held) > HELD:
        held.popleft().close()


def streams_attack(port: int, count: int, seed: int, folder: str) -> dict[str, Any]:
    """Sends so many mutated streams; if the broker is gone, the last of them are kept."""
    good = list(streams().values())
    sent = [0] * THREADS
    failed: list[str] = []

    def run(number: int) -> None:
        random = Random(f"{seed} {number}")
        held: deque[socket.socket] = deque()
        last: deque[Stream] = deque(maxlen=100)
        while sent[number] < count // THREADS + 1 and not failed:
            last.append(mutate.stream(random, random.choice(good), random.choice(good)))
            if len(last[-1].whole) > 20_000 and random.random() < 0.8:
                continue
            try:
                throw(random, port, last[-1], held)
            except OSError as error:
                failed.append(f"{type(error).__name__}: {error}")
                for at, one in enumerate(last):
                    (Path(folder) / f"{one.port}-{number}-{at}.bin").write_bytes(one.whole)
            sent[number] += 1
        while held:
            held.popleft().close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return {"sent": sum(sent), "failed": failed}


def frames_attack(url: str, count: int, seed: int) -> dict[str, Any]:
    """Sends so many mutated frames, most of them in a session."""
    fuzzer = Fuzzer(url, Random(seed))
    begin = time.monotonic()
    while fuzzer.sent < count:
        fuzzer.batch(min(500, count - fuzzer.sent))
    fuzzer.close()
    print(f"{fuzzer.cuts} cuts, {dict(fuzzer.answers)}, {time.monotonic() - begin:.1f} s", file=sys.stderr)
    return {"sent": fuzzer.sent, "cuts": fuzzer.cuts, "answers": dict(fuzzer.answers)}


def fuzz(run: Run) -> None:
    """Row 7: without keys, and with them half as much again."""
    for curve, name, share in ((False, "", 1.0), (True, "CURVE ", 0.5)):
        # What is refused for being too much would not be looked at.
        with Scene(run, 7, UNLIMITED if curve else [], curve=curve) as scene:
            people = scene.honest("talk")
            people.settled()
            for what, number in (("streams", STREAMS), ("frames", FRAMES)):
                _fuzz(scene, people, f"{name}{what}", what, scene.scaled(number * share))
            if curve:
                _fuzz(scene, people, "CURVE streams of known ones", "proxied", scene.scaled(STREAMS * PROXIED))


def _fuzz(scene: Scene, people: Honest, label: str, what: str, count: int) -> None:
    seed = scene.run.options.seed
    given = {"folder": str(scene.folder), "port": scene.port} if what == "streams" else {"url": scene.broker.url}
    module = "proxy" if what == "proxied" else "fuzz"
    warm = scene.attack(module, f"{what}_attack", count=max(round(count * WARM), 1), seed=seed, **given)
    scene.answer(warm, f"the first {label}")
    before, held = scene.broker.memory(), scene.broker.descriptors()
    people.mark()
    attacker = scene.attack(module, f"{what}_attack", count=count, seed=seed + 1, **given)
    found = scene.answer(attacker, f"{count:,} mutated {label}")
    heard = people.mark()
    grown = (scene.broker.memory() - before) / MIB
    scene.line(f"{label} sent", f"{found['sent']:,} of {count:,}", found["sent"] >= count * 0.7)
    scene.waited(f"{label}, honest p99", heard, P99)
    scene.below(f"{label}, growth", grown, GROWTH / MIB, "MiB")
    scene.wait(LETS_GO, "descriptors", lambda: scene.broker.descriptors() <= held + SPARE)
    scene.below(f"{label}, descriptors kept", scene.broker.descriptors() - held, SPARE, "descriptors")
