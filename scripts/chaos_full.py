"""A full disk: the data folder on a small one of its own, that is filled up under load and freed again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from pathlib import Path

import zchat
from scripts.chaos_raw import NoAnswer, Raw
from scripts.chaos_run import Run, Skipped
from zchat import errors
from zchat.messages import Ack, Refused, Reply, Send

SIZE_MIB = 24
"""Of the disk."""

RECOVERED = 5.0
"""Seconds from the ballast's going until messages are taken again, at most."""


def _mount(run: Run) -> Path:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise Skipped("a small disk of its own needs root, to mount it")
    place = run.folder / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0700", "zchat-chaos", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise Skipped(f"a small disk could not be mounted: {done.stderr.strip()}")
    run.undo.callback(subprocess.run, ["umount", "-l", str(place)], capture_output=True, timeout=20, check=False)
    return place


def _fill(ballast: int) -> None:
    """Takes all that is left."""
    chunk = bytes(1 << 16)
    while chunk:
        try:
            os.write(ballast, chunk)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            chunk = chunk[: len(chunk) // 2] if len(chunk) > 4096 else b""


class Probe:
    """Says the same again and again over one connection, as a client must that is refused for a while.

    Args:
        url: of the broker.
        room: where; nobody else talks there.
    """

    def __init__(self, url: str, room: str) -> None:
        self._raw = Raw(url, name="probe", timeout=5.0)
        self._room = room
        self._n = 1

    def close(self) -> None:
        """Hangs up."""
        self._raw.close()

    def send(self) -> str:
        """Tries once; gives the code of the refusal, or "ok"."""
        n = self._n
        self._raw.send(Send(n, self._room, f"probe {n}"))

        def code(item: Reply) -> str | None:
            match item:
                case Ack(n=found) if found == n:
                    return "ok"
                case Refused(n=found, code=code) if found == n:
                    return code
            return None

        answer = self._raw.hear(code)
        self._n += answer == "ok"
        return answer


def disk(run: Run) -> None:
    """The disk is full for a while."""
    place = _mount(run)
    broker = run.start_broker(data=place / "data")
    run.add_load(size=500)
    run.await_all(run.add_witness())
    run.wait(min(run.options.seconds / 4, 10), "talking")
    pid = broker.pid
    probe = Probe(broker.url, "probes")
    run.undo.callback(probe.close)
    ballast = os.open(place / "ballast", os.O_WRONLY | os.O_CREAT, 0o600)
    codes: dict[str, int] = {}
    unread = 0
    deadline = time.monotonic() + run.options.seconds / 2
    refused_at: float | None = None
    while time.monotonic() < deadline:
        _fill(ballast)
        try:
            code = probe.send()
        except NoAnswer as error:
            run.faults.append(f"the disk is full, and a message gets no answer: {error}")
            break
        codes[code] = codes.get(code, 0) + 1
        if code != "ok":
            refused_at = refused_at or time.monotonic()
            unread += not _reads(run)
        run.wait(0.3, f"disk full, {codes}")
    if refused_at is None:
        run.faults.append("the disk was full, and nothing was refused: that was no test")
    if unread:
        run.faults.append(f"{unread} times a room could not be joined or read while the disk was full")
    if set(codes) - {"ok", errors.Unavailable.code}:
        run.faults.append(f"messages were refused with {', '.join(codes)}")
    os.ftruncate(ballast, 0)
    os.close(ballast)
    freed = time.monotonic()
    freed_ns = time.monotonic_ns()
    took = _recover(run, probe, freed)
    run.wait(min(run.options.seconds / 4, 10), "talking again")
    if broker.pid != pid:
        run.faults.append("the broker was restarted")
    notes = run.settle()
    later = [send.acked_at for send in notes.sends.values() if send.acked_at > freed_ns]
    first = (min(later) - freed_ns) / 1e9 if later else float("inf")
    run.found |= {
        "answers_while_full": codes,
        "seconds_to_take_messages": round(took, 2),
        "seconds_to_clients_acks": round(first, 2),
    }
    if max(took, first) > RECOVERED:
        run.faults.append(f"it took messages {max(took, first):.1f} s after space was free, {RECOVERED:g} are allowed")


def _recover(run: Run, probe: Probe, freed: float) -> float:
    """Seconds until a message is taken again."""
    while time.monotonic() - freed < 4 * RECOVERED:
        try:
            if probe.send() == "ok":
                return time.monotonic() - freed
        except NoAnswer:
            pass
        run.wait(0.1, "waiting for messages to be taken again")
    return float("inf")


def _reads(run: Run) -> bool:
    """Whether somebody new can join a room and hear what was said in it."""
    assert run.broker is not None
    try:
        with zchat.connect(run.broker.url) as client:
            room = client.join("room0", quiet=True, after=0, timeout=5)
            return next(room.messages(5), None) is not None
    except errors.ZchatError:
        return False
