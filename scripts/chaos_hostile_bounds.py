"""Too much of everything that a connection may send before anybody knows whose it is."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from random import Random
from typing import Any

import zmq

from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_fuzz import GONE, GROWTH, LETS_GO, SPARE, source
from scripts.chaos_hostile_keys import connect
from scripts.chaos_hostile_scene import MIB, Scene
from scripts.chaos_hostile_seeds import COMMAND, MORE, metadata, ready
from scripts.chaos_run import Run
from scripts.peers_zmtp import GREETING, frame
from zchat import codec
from zchat.messages import Welcome

GIANTS = 100
"""Connections that announce a giant frame, of each sort."""

SUBSCRIPTIONS = 100_000

ENDLESS = 64 * MIB
"""Bytes of a message that does not end, after which it is given up."""

CROWD = 50
"""Connections that subscribe together."""

TAKEN_OVER = 2000
"""Connections that take each other's routing id over."""

SERVED = 60.0
"""Seconds after which somebody new is welcomed, whatever strangers did who cannot be told from anybody."""

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


def taken_over(port: int, count: int, seed: int) -> dict[str, Any]:
    """Connections that take each other's routing id over, and go on to send: libzmq keeps them."""
    random = Random(seed)
    with ExitStack() as undo:
        before = None
        for _ in range(count):
            tcp = undo.enter_context(connected(random, port, None))
            tcp.sendall(GREETING + ready(b"DEALER", metadata(Identity=b"the same for all of them")))
            taken = 0
            while taken < 64 + 28:
                taken += len(tcp.recv(4096)) or 1
            if before is not None:
                try:
                    before.sendall(frame(b"\x91\xc0"))
                except GONE:
                    pass
            before = tcp
    return {"cut": count, "of": count}


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


def with_keys(url: str, count: int, topics: int, session: bool) -> dict[str, Any]:
    """Many topics under CURVE, over so many connections, each with a key of its own.

    Args:
        session: whether a key has a session; or else it is a stranger's.
    """
    rooms_url = next_port(url)
    cut = 0
    with ExitStack() as undo:
        waiting = []
        for number in range(count):
            keys = zmq.curve_keypair()
            if session:
                actor = undo.enter_context(Actor(url, keys=keys))
                actor.hello()
            context = undo.enter_context(zmq.Context())
            sub = undo.enter_context(context.socket(zmq.SUB))
            sub.linger = 0
            monitor = undo.enter_context(
                sub.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH)
            )
            connect(sub, rooms_url, keys)
            for n in range(topics):
                sub.subscribe(codec.room_topic(f"room-{number:04}-{n:020}"))
            waiting.append((sub, monitor))
        for sub, monitor in waiting:
            deadline = time.monotonic() + CUT
            while not monitor.poll(20) and time.monotonic() < deadline:
                sub.poll(0)  # it subscribes only when it is looked at
            cut += bool(monitor.poll(0))
            sub.disable_monitor()
    return {"cut": cut, "of": count}


def next_port(url: str) -> str:
    """The same link or address with the port that publishes."""
    head, _, rest = url.rpartition("127.0.0.1:")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{head}127.0.0.1:{int(digits) + 1}{rest[len(digits) :]}"


def bounds(run: Run) -> None:
    """Row 8: in plaintext, where a stranger gets past the handshake, and where a key is asked for before."""
    topics: dict[str, Any] = {"count": SUBSCRIPTIONS}
    _bound(run, "giant frames", "giants", {"count": GIANTS})
    _bound(run, "endless multipart", "endless", {"most": ENDLESS})
    _descriptors(run)
    # Without keys nobody can be told from anybody, and libzmq remembers a subscription before the broker sees it.
    for what, command in (("subscriptions", False), ("subscriptions by command", True)):
        _bound(run, what, "subscriptions", {**topics, "command": command}, judged=False)
    _bound(run, "subscriptions of strangers", "many_subscribe", {"count": CROWD}, cut=False, judged=False)
    _bound(run, "CURVE, giant frames", "giants", {"count": GIANTS, "mechanism": "CURVE"}, curve=True)
    keys = {"count": CROWD, "topics": 1900, "session": False}
    _bound(run, "CURVE, subscriptions of strangers", "with_keys", keys, curve=True)
    keys = {"count": 1, "topics": SUBSCRIPTIONS, "session": True}
    _bound(run, "CURVE, subscriptions of one with a session", "with_keys", keys, curve=True)


def _descriptors(run: Run) -> None:
    with Scene(run, 8) as scene:
        people = scene.honest("talk")
        people.settled()
        held = scene.broker.descriptors()
        people.mark()
        given = {"port": scene.port, "count": scene.scaled(TAKEN_OVER, 20), "seed": run.options.seed}
        scene.answer(scene.attack("bounds", "taken_over", **given), "ids that are taken over")
        scene.wait(LETS_GO, "descriptors", lambda: scene.broker.descriptors() <= held + SPARE)
        heard = people.mark()
        scene.below("ids taken over, descriptors kept", scene.broker.descriptors() - held, SPARE, "descriptors")
        scene.waited("ids taken over, honest p99", heard)


def _served(scene: Scene) -> float:
    """Seconds until people are welcomed at once again, one after the other."""
    begin = time.monotonic()
    soon = 0
    while soon < 5 and time.monotonic() < begin + SERVED:
        asked = time.monotonic()
        with Actor(scene.broker.url) as somebody:
            welcome = isinstance(somebody.hello(), Welcome)
        soon = soon + 1 if welcome and time.monotonic() < asked + 0.5 else 0
        scene.wait(0.2, "waiting for the broker")
    return time.monotonic() - begin


def _bound(
    run: Run,
    what: str,
    function: str,
    given: dict[str, Any],
    *,
    cut: bool = True,
    judged: bool = True,
    curve: bool = False,
) -> None:
    # A broker each: memory that it got for one is there for the next.
    with Scene(run, 8, curve=curve) as scene:
        people = scene.honest("talk")
        people.settled()
        scene.wait(0.2, "calm")
        before = scene.broker.memory()
        scene.broker.forget_peak()
        scaled = {**given, **({"count": scene.scaled(given["count"], 20)} if given.get("count", 1) > 1 else {})}
        where = {"url": scene.broker.url} if function == "with_keys" else {"port": scene.port, "seed": run.options.seed}
        people.mark()
        found = scene.answer(scene.attack("bounds", function, **where, **scaled), what)
        grown = (scene.broker.peak() - before) / MIB
        if judged:
            scene.below(f"{what}, growth", grown, GROWTH / MIB, "MiB")
        else:
            scene.line(f"{what}, growth", f"{grown:.4g} MiB, not judged: there are no keys", passed=True)
        if cut:
            scene.line(f"{what}, cut", f"{found['cut']} of {found['of']}", found["cut"] == found["of"])
            scene.waited(f"{what}, honest p99", people.mark())
        else:
            again = _served(scene)
            scene.line(f"{what}, all served again", f"after {again:.3g} s, {SERVED:g} allowed", again <= SERVED)
