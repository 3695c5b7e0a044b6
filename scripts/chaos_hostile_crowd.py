"""Connections that say nothing, or hardly anything: as many as there are descriptors, and a thousand at once."""

from __future__ import annotations

import secrets
import time
from random import Random
from typing import Any

import zchat
from scripts.chaos_hostile_attack import ready as told_so
from scripts.chaos_hostile_attack import told
from scripts.chaos_hostile_peer import Peer, Peers
from scripts.chaos_hostile_scene import Scene
from scripts.chaos_hostile_seeds import ready
from scripts.chaos_run import Run
from scripts.peers_zmtp import GREETING, frame
from zchat import codec, errors
from zchat.messages import VERSION, Hello

DESCRIPTORS = 256
"""That the broker may have, where they are used up."""

IDLE = 500
"""Connections that use them up."""

BUSY = 0.2
"""The share of a processor that a broker without descriptors may use for that."""

STEADY = 5.0
"""Seconds over which that is measured."""

RELEASED = 1.0
"""Seconds after which new ones are served, once descriptors are free."""

AGAIN, PAUSE = 2, 0.1
"""Of those that were closed, made anew each time, and seconds between two times: more would be a flood."""

SILENT = 1000
"""Connections that are silent, or drip."""

CLOSED = 3.0
"""Seconds after which each of them is closed."""

JOIN_P99 = 0.5
"""Seconds in which an honest one comes in meanwhile."""

DEALER, SUB = GREETING + ready(b"DEALER"), GREETING + ready(b"SUB")


def hello() -> bytes:
    """The hello of somebody new, in its frame."""
    person, client, fence = (secrets.token_bytes(16) for _ in range(3))
    return frame(codec.encode_requests([Hello(1, VERSION, None, person, client, fence)])[0])


def _greets(peer: Peer) -> None:
    """Says hello once the handshake is over."""
    if peer.heard >= 64 + 28:
        peer.reply = None
        peer.say(hello())


def idle(port: int, count: int, seed: int) -> dict[str, Any]:
    """Keeps so many connections until told to stop; those that are closed are made anew."""
    peers = Peers(port, Random(seed))
    made = 0
    said = False
    while not told():
        missing = count - peers.forget_ended()
        for number in range(min(missing, count if not said else AGAIN)):
            peer = peers.open("idle", first=DEALER, xpub=number % 4 == 3)
            if peer is not None and number % 2 == 0:
                peer.reply = _greets
            made += peer is not None
        if not said:
            told_so(held=peers.forget_ended())
            said = True
        until = time.monotonic() + PAUSE
        while (left := until - time.monotonic()) > 0:
            peers.look(left)
    peers.close()
    return {"made": made}


def descriptors(run: Run) -> None:
    """Row 9."""
    limit = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh"]
    with Scene(run, 9, within=limit) as scene:
        people = scene.honest("talk")
        people.settled()
        begin, used = time.monotonic(), scene.cpu()
        scene.wait(max(STEADY * run.options.scale, 1.0), "calm")
        quiet = (scene.cpu() - used) / (time.monotonic() - begin)
        attacker = scene.attack("crowd", "idle", port=scene.port, count=IDLE, seed=run.options.seed)
        scene.answer(attacker, "using all descriptors up", 60)
        scene.wait(max(STEADY * run.options.scale, 1.0), "settling")
        people.mark()
        begin, used = time.monotonic(), scene.cpu()
        scene.wait(max(STEADY * run.options.scale, 1.0), "no descriptors")
        busy = (scene.cpu() - used) / (time.monotonic() - begin)
        heard = people.mark()
        held = scene.broker.descriptors()
        scene.line("descriptors in use", f"{held} of {DESCRIPTORS}", held <= DESCRIPTORS)
        scene.below("processor time for it", (busy - quiet) * 100, BUSY * 100, "%")
        scene.waited("known clients' p99", heard)
        attacker.say("stop")
        scene.answer(attacker, "releasing", 30)
        released = time.monotonic()
        scene.below("new ones served after", _served(scene, released), RELEASED, "s")


def _served(scene: Scene, since: float) -> float:
    """Seconds until somebody new comes in."""
    while time.monotonic() < since + 30:
        try:
            with zchat.connect(scene.broker.url, timeout=max(since + 30 - time.monotonic(), 0.1)):
                return time.monotonic() - since
        except errors.ZchatError:
            scene.wait(0.02, "waiting to be served")
    return float("inf")


def silent(port: int, count: int, seed: int, curve: bool) -> dict[str, Any]:
    """Many that are silent or drip, at any point of coming in; says how long each was borne."""
    peers = Peers(port, Random(seed))
    sorts: list[tuple[str, bool, bytes, bytes]] = []
    for xpub, whole in ((False, DEALER), (True, SUB)):
        where = "pub" if xpub else "requests"
        if curve:
            whole = whole.replace(b"NULL".ljust(20, b"\0"), b"CURVE".ljust(20, b"\0"))
        sorts += [
            (f"{where}: before the greeting", xpub, b"", b""),
            (f"{where}: dripping the greeting", xpub, whole[:1], whole[1:]),
            (f"{where}: after the greeting", xpub, whole[:64], b""),
            (f"{where}: dripping the handshake", xpub, whole[:64], whole[64:]),
            (f"{where}: after the handshake", xpub, whole, b""),
            (f"{where}: dripping after it", xpub, whole, hello() if not xpub else frame(b"\1r.lobby\0")),
        ]
    refused = 0
    for number in range(count):
        kind, xpub, first, drips = sorts[number % len(sorts)]
        refused += peers.open(kind, xpub, first, drips) is None
        if number % 20 == 0:
            peers.look(0)
    deadline = time.monotonic() + 4 * CLOSED
    while any(one.open for one in peers.all) and time.monotonic() < deadline:
        peers.look(0.02)
    now = time.monotonic()
    longest: dict[str, float] = {}
    for one in peers.all:
        longest[one.kind] = max(longest.get(one.kind, 0.0), (one.ended or now) - one.began)
    left = sum(one.open for one in peers.all)
    peers.close()
    return {"longest": longest, "left": left, "refused": refused}


def silence(run: Run) -> None:
    """Row 10: in plaintext, and under CURVE by strangers."""
    for curve, label in ((False, ""), (True, "CURVE, ")):
        with Scene(run, 10, curve=curve) as scene:
            people = scene.honest("talk", "join")
            people.settled()
            count = scene.scaled(SILENT, 24)
            people.mark()
            given = {"port": scene.port, "count": count, "seed": run.options.seed, "curve": curve}
            found = scene.answer(scene.attack("crowd", "silent", **given), f"{count} silent ones")
            heard = people.mark()
            for kind, took in sorted(found["longest"].items()):
                scene.below(f"{label}closed, {kind}", took, CLOSED, "s")
            scene.waited(f"{label}honest joins' p99", heard, JOIN_P99, "join")
            scene.waited(f"{label}honest talk's p99", heard)
