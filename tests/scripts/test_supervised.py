"""A broker that dies all the same, and somebody who starts it again: nobody loses anything, nor has to do anything."""

from __future__ import annotations

import importlib
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

sys.path.append(str(ROOT))

run_module, process = (importlib.import_module(f"scripts.{name}") for name in ("chaos_run", "chaos_process"))

DEATHS = 3


@pytest.fixture(autouse=True)
def _without_core_dumps() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def supervise(broker: Any) -> None:
    """What a supervisor does: waits until the broker is dead, and starts it again."""
    code = broker.process.ends(process.STARTING)
    assert code == -signal.SIGABRT, f"it ended with {code}: {broker.last_words()}"
    broker.kill()  # closes its pipes
    broker.start()


def test_what_was_acknowledged_outlives_an_abort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    options = run_module.Options("supervised", 0.0, 4, 0, 5, 200.0, 2, 30.0, 0)
    with run_module.begun(options) as run:
        broker = run.start_broker()
        run.add_load(amend=0.05)
        witness = run.add_witness()
        run.await_all(witness)
        for _ in range(DEATHS):
            run.wait(0.3, "talking")
            broker.process.signal(signal.SIGABRT)
            supervise(broker)
        run.wait(0.3, "talking")
        notes = run.settle()
        witness.end()
    assert run.faults == []
    assert run.found["violations"] == 0
    assert run.found["acked"] > 50
    assert len(broker.started) == DEATHS + 1
    # The clients' processes are those of the beginning, and their sessions in the library as well.
    assert all(worker.lives == 1 for worker in run.workers)
    assert notes.ended == []
    assert {client for _, client, again in notes.connected if again} == {f"c{n:03}" for n in range(4)}
