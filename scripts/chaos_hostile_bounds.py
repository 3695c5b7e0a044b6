"""Too much of everything that a connection may send before anybody knows whose it is."""

from __future__ import annotations

import socket
import time
from random import Random
from typing import Any

from scripts.chaos_hostile_fuzz import GONE, GROWTH, source
from scripts.chaos_hostile_scene import MIB, Scene
from scripts.chaos_hostile_seeds import COMMAND, MORE, ready
from scripts.chaos_run import Run
from scripts.peers_zmtp import GREETING, frame
from zchat import codec

GIANTS = 100
"""Connections that announce a giant frame, of each sort."""

SUBSCRIPTIONS = 100_000

ENDLESS = 64 * MIB
"""Bytes of a message that does not end, after which it is given up."""

CROWD = 50
"""Connections that subscribe together."""

CUT = 5.0
"""Seconds in which an abuser is cut, once it has sent everything."""


def connected(random: Random, port: int, kind: bytes | None) -> socket.socket:
    """A connection, after the handshake of a kind of socket, or before it."""
    tcp = socket.socket()
    tcp.bind(source(random))
    tcp.settimeout(5.0)
    tcp.connect(("127.0.0.1", port))
    if kind is not None:
        tcp.sendall(GREETING + ready(kind))
        taken = 0
        while taken < 64 + 28:
            taken += len(tcp.recv(4096)) or 1
    return tcp


def pour(tcp: socket.socket, chunk: bytes, most: int) -> tuple[int, bool]:
    """Sends a chunk again and again; says how many bytes went, and whether the broker hung up."""
    sent = 0
    try:
        while sent < most:
            tcp.sendall(chunk)
            sent += len(chunk)
    except GONE:
        return sent, True
    return sent, is_cut(tcp)


def is_cut(tcp: socket.socket) -> bool:
    """Whether the broker hangs up in time."""
    deadline = time.monotonic() + CUT
    try:
        while (left := deadline - time.monotonic()) > 0:
            tcp.settimeout(left)
            if not tcp.recv(1 << 16):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def giants(port: int, count: int, seed: int, mechanism: str = "NULL") -> dict[str, Any]:
    """Frames that say they are giant, and begin to come, before and amid the handshake and after it."""
    random = Random(seed)
    cut = total = 0
    greeting = GREETING.replace(b"NULL".ljust(20, b"\0"), mechanism.encode().ljust(20, b"\0"))
    for size in (codec.FRAME + 1, 2**31, 2**40, 2**63, 2**64 - 1):
        for kind, place in ((b"DEALER", port), (b"SUB", port + 1)):
            for flags in (2, 2 | MORE, 2 | COMMAND):
                opened = []
                for number in range(max(count // 10, 1)):
                    after = mechanism == "NULL" and number % 2
                    tcp = connected(random, place, kind if after else None)
                    giant = bytes([flags]) + size.to_bytes(8) + b"x" * 60_000
                    try:
                        tcp.sendall((b"" if after else greeting) + giant)
                        tcp.sendall(b"x" * MIB)
                    except GONE:
                        pass
                    opened.append(tcp)
                for tcp in opened:
                    total += 1
                    cut += is_cut(tcp)
                    tcp.close()
    return {"cut": cut, "of": total}


def endless(port: int, most: int, seed: int) -> dict[str, Any]:
    """Messages whose parts never end, to both ports."""
    random = Random(seed)
    cut, sent = 0, 0
    chunk = frame(b"x" * 60_000, MORE)
    for kind, place in ((b"DEALER", port), (b"SUB", port + 1)):
        tcp = connected(random, place, kind)
        went, hung_up = pour(tcp, chunk, most)
        sent, cut = sent + went, cut + hung_up
        tcp.close()
    return {"cut": cut, "of": 2, "sent": sent}


def subscriptions(port: int, count: int, seed: int, command: bool) -> dict[str, Any]:
    """Very many topics over one connection."""
    tcp = connected(Random(seed), port + 1, b"SUB")
    start, flags = (b"\x09SUBSCRIBE", COMMAND) if command else (b"\1", 0)
    sent = 0
    hung_up = False
    try:
        while sent < count:
            upto = min(sent + 500, count)
            tcp.sendall(b"".join(frame(start + codec.room_topic(f"room-{n:020}"), flags) for n in range(sent, upto)))
            sent = upto
    except GONE:
        hung_up = True
    hung_up = hung_up or is_cut(tcp)
    tcp.close()
    return {"cut": int(hung_up), "of": 1, "sent": sent}


def many_subscribe(port: int, count: int, seed: int) -> dict[str, Any]:
    """Many connections, each of which subscribes to as much as one may, and nobody is anybody."""
    random = Random(seed)
    opened = []
    for number in range(count):
        tcp = connected(random, port + 1, b"SUB")
        opened.append(tcp)
        try:
            for n in range(1900):
                tcp.sendall(frame(b"\1" + codec.room_topic(f"room-{number:04}-{n:08}" + "x" * 60)))
        except GONE:
            continue
    cut = sum(is_cut(tcp) for tcp in opened[:1]) * len(opened)
    for tcp in opened:
        tcp.close()
    return {"cut": cut, "of": count}


def bounds(run: Run) -> None:
    """Row 8: in plaintext, where a stranger gets past the handshake, and where a key is asked for before."""
    topics: dict[str, Any] = {"count": SUBSCRIPTIONS}
    attacks: list[tuple[str, str, dict[str, Any], bool]] = [
        ("giant frames", "giants", {"count": GIANTS}, True),
        ("endless multipart", "endless", {"most": ENDLESS}, True),
        ("subscriptions", "subscriptions", {**topics, "command": False}, True),
        ("subscriptions by command", "subscriptions", {**topics, "command": True}, True),
        ("subscriptions of strangers", "many_subscribe", {"count": CROWD}, False),
    ]
    for what, function, given, cut in attacks:
        _bound(run, what, function, given, cut=cut, curve=False)
    _bound(run, "CURVE, giant frames", "giants", {"count": GIANTS, "mechanism": "CURVE"}, cut=True, curve=True)


def _bound(run: Run, what: str, function: str, given: dict[str, Any], *, cut: bool, curve: bool) -> None:
    # A broker each: memory that it got for one is there for the next.
    with Scene(run, 8, curve=curve) as scene:
        people = scene.honest("talk")
        people.settled()
        scene.wait(0.2, "calm")
        before = scene.broker.memory()
        scene.broker.forget_peak()
        scaled = {name: scene.scaled(value, 20) if name == "count" else value for name, value in given.items()}
        where = {"port": scene.port}
        people.mark()
        found = scene.answer(scene.attack("bounds", function, seed=run.options.seed, **where, **scaled), what)
        scene.below(f"{what}, growth", (scene.broker.peak() - before) / MIB, GROWTH / MIB, "MiB")
        if cut:
            scene.line(f"{what}, cut", f"{found['cut']} of {found['of']}", found["cut"] == found["of"])
        scene.waited(f"{what}, honest p99", people.mark())
