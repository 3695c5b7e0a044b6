"""W7: many clients are cut at once, and all come back at once, each for what was said meanwhile."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.chaos_process import Failed
from scripts.peers_idle import settle
from scripts.peers_load import MARK, Cut, Load, Setup
from scripts.peers_servers import ROOT, Server
from scripts.peers_wire import Member
from scripts.peers_workloads import Figures, Scale, Variant, measured, percentile
from scripts.peers_zmtp import Zchat
from zchat.messages import Read

ANSWER = 30.0
"""Seconds within which the bystanders must answer."""

AGAIN = 20
"""How often a client tries to come back."""


class Bystanders:
    """Two who talk in a process of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def hear(self) -> str:
        """The next line that they say of themselves."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER)[0] or not (
            line := self._process.stdout.readline()
        ):
            raise Failed("the bystanders say nothing")
        return line

    def times(self) -> list[int]:
        """What their messages took since the last question, in ns."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: list[int] = json.loads(self.hear())
        return found


@contextmanager
def bystanders(server: Server) -> Iterator[Bystanders]:
    """Two who talk while they are needed."""
    key = [server.secrets.curve.hex()] if server.secrets.curve else []
    command = [sys.executable, "-m", "scripts.peers_bystander", str(server.port), *key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            made = Bystanders(process)
            made.hear()
            yield made
        finally:
            process.kill()


def storm(variant: Variant, clients: int, scale: Scale) -> Figures:
    """So many are cut, miss some messages, and come back: how long, and how do others fare meanwhile?"""
    wire = Zchat()
    with variant.running() as server, measured(server) as load, bystanders(server) as others:
        members = [Member(number, ("storm",)) for number in range(clients)]
        speaker = Member(clients)
        load.run(wire.enter(load, server.port, member) for member in [*members, speaker])
        settle(load)
        others.times()
        _pass(load, scale.idle / 5)
        calm = others.times()
        for member in members:
            load.cut(member.talk)
            load.cut(member.hear)
        _say(load, wire, speaker, scale.missed)
        others.times()
        spent, begin = server.cpu(), time.monotonic()
        tries = [0]
        back = (_back(load, wire, server, member, scale.missed, tries) for member in members)
        load.run(back, at_once=clients)
        took, spent = time.monotonic() - begin, server.cpu() - spent
        rough = others.times()
    return {
        "recovered_s": took,
        "cpu_ms_per_client": spent / clients * 1000,
        "retries": tries[0] - clients,
        "calm_p50_us": percentile(calm, 0.5),
        "calm_p99_us": percentile(calm, 0.99),
        "bystander_p50_us": percentile(rough, 0.5),
        "bystander_p99_us": percentile(rough, 0.99),
        "bystander_longest_us": percentile(rough, 1.0),
    }


def _pass(load: Load, seconds: float) -> None:
    """Lets time pass, and throws away what comes."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for conn in load.ready(left):
            load.count(conn)


def _say(load: Load, wire: Zchat, speaker: Member, times: int) -> None:
    """Says so many messages, and waits until all are stored."""
    load.send(speaker.talk, wire.say(speaker, "storm", times))
    acked = 0
    while acked < times:
        for conn in load.ready():
            if conn is speaker.talk:
                acked += wire.answered(load, conn)
            else:
                load.count(conn)


def _back(load: Load, wire: Zchat, server: Server, member: Member, missed: int, tries: list[int]) -> Setup:
    """The steps of one who comes back, until it has all that it missed."""
    for k in range(2, AGAIN + 2):
        tries[0] += 1
        try:
            yield from wire.greet(load, server.port, member)
            yield from wire.follow(load, server.port + 1, member, k)
            yield from _catch_up(load, wire, member, missed)
        except Cut:
            for conn in {member.talk, member.hear}:
                if load.conns.get(conn.fd) is conn:
                    load.cut(conn)
            continue
        return
    raise Failed(f"user{member.number} was cut {AGAIN} times")


def _catch_up(load: Load, wire: Zchat, member: Member, missed: int) -> Setup:
    """Reads until it has so many messages."""
    wire.ask(load, member, Read(1_000_000, "storm", member.position, 500))
    while (found := member.talk.data.count(MARK)) < missed:
        yield member.talk
    if found > missed:
        raise Failed(f"user{member.number} heard {found} messages, not {missed}")
