"""W9: what one process gets through with the whole client library.

    python -m scripts.peers_library send|hear URL COUNT

says so many messages and waits for their acks, or hears so many; then it prints how many a second, and what that cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.chaos_process import Failed
from scripts.peers_load import TEXT
from scripts.peers_servers import ROOT, Server
from scripts.peers_wire import Member
from scripts.peers_workloads import REFILL, UNDER_WAY, Figures, Scale, Variant, enter, measured
from zchat import connect
from zchat.client.events import NotSent
from zchat.client.sync import Client

SPEAKERS = 3
"""Connections that speak: one waits for acks too often."""

PATIENCE = 60.0
"""Seconds that may pass without an answer."""


def sending(variant: Variant, scale: Scale) -> Figures:
    """One client posts as fast as acks allow."""
    with variant.running() as server, _library("send", server, scale) as process:
        return _figures(process)


def hearing(variant: Variant, scale: Scale) -> Figures:
    """One client hears what other connections pour into its room."""
    wire = variant.wire
    with variant.running() as server, measured(server) as load:
        speakers = [Member(number) for number in range(SPEAKERS)]
        enter(load, server, wire, speakers)
        unanswered = dict.fromkeys((speaker.talk.fd for speaker in speakers), 0)
        with _library("hear", server, scale) as process:
            if process.stdout is None or process.stdout.readline().strip() != "ready":
                raise Failed("the client does not come in")
            said = 0
            while said < scale.library:
                for speaker in speakers:
                    while unanswered[speaker.talk.fd] <= UNDER_WAY - REFILL:
                        load.send(speaker.talk, wire.say(speaker, "bench", REFILL))
                        unanswered[speaker.talk.fd] += REFILL
                        said += REFILL
                for conn in load.ready():
                    unanswered[conn.fd] -= wire.answered(load, conn)
            return _figures(process)


@contextmanager
def _library(what: str, server: Server, scale: Scale) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "scripts.peers_library", what, server.url, str(scale.library)]
    env = {**os.environ, "XDG_CONFIG_HOME": str(server.folder)}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _figures(process: subprocess.Popen[str]) -> Figures:
    out, err = process.communicate(timeout=PATIENCE)
    if process.returncode:
        raise Failed(f"the client failed: {err.strip().splitlines()[-1:]}")
    figures: Figures = json.loads(out)
    return figures


# The process ----------------------------------------------------------------------------------------------------------


def send(client: Client, count: int) -> None:
    """Posts so many, and takes what became of each."""
    text, tickets = TEXT.decode(), deque[int]()
    posted = acked = 0
    while acked < count:
        while posted < count and client.session.sendable:
            tickets.append(client.post("bench", text))
            posted += 1
        client.poll(PATIENCE)
        while tickets and (outcome := client.outcome(tickets[0])) is not None:
            if isinstance(outcome, NotSent):
                raise outcome.error
            tickets.popleft()
            acked += 1


def main() -> None:
    """Runs in the process of its own."""
    what, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with connect(url, name="library", person=bytes(range(16))) as client:
        if what == "send":
            begin, spent = time.perf_counter(), time.process_time()
            send(client, count)
        else:
            messages = client.join("bench").messages(PATIENCE)
            print("ready", flush=True)
            next(messages)
            begin, spent = time.perf_counter(), time.process_time()
            for _ in range(count - 1):
                next(messages)
        took, cost = time.perf_counter() - begin, time.process_time() - spent
    print(json.dumps({"messages_per_s": count / took, "client_cpu_us_per_message": cost / count * 1e6}))


if __name__ == "__main__":
    main()
