"""`zchat broker` on a disk whose flushes fail: it says why and stops, and what it acked is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support import World

import zchat
from scripts.chaos_power import can_record
from zchat.errors import ZchatError
from zchat.store.sqlite import open_store


def failing_from(flush: int) -> list[str]:
    """A command within which every flush from the so-manieth on fails with EIO."""
    inject = f"inject=fdatasync,fsync:error=EIO:when={flush}+"
    return ["strace", "-f", "-o", os.devnull, "-e", "trace=fdatasync,fsync", "-e", inject]


@pytest.mark.skipif(not can_record(), reason="strace cannot be used (say: apt-get install strace)")
@pytest.mark.parametrize("flush", [2, 12, 40])
def test_a_failed_flush_is_not_tried_again(world: World, tmp_path: Path, flush: int) -> None:
    data = tmp_path / "kept"
    broker = world.start(
        "broker", "--bind", "tcp://127.0.0.1:0", "--data", str(data), "--no-console", within=failing_from(flush)
    )
    acked = 0
    while broker.popen.poll() is None and not (told := re.search(r"listening on (tcp://\S+)\n", broker.out)):
        broker.pump(0.1)
    if broker.popen.poll() is None and told:
        try:
            with zchat.connect(told.group(1), name="ann") as ann:
                for n in range(200):
                    ann.send("lobby", str(n), timeout=2.0)
                    acked += 1
        except ZchatError:
            pass
    assert broker.ends() == 1
    assert "the disk failed" in broker.err
    assert "Traceback" not in broker.err
    store = open_store(data)  # nothing half-written is left
    kept = store.read("lobby", 0, 1000, 1 << 20).events
    store.close()
    assert [event.seq for event in kept] == list(range(1, len(kept) + 1))
    assert len(kept) >= acked
