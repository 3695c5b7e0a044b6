"""`scripts/hot_path.py` runs, and says something of every step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts" / "hot_path.py"


def test_every_step_is_measured() -> None:
    command = [sys.executable, str(SCRIPT), "--turns", "20", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout)
    assert len(told["steps"]) == 4
    for steps in told["steps"].values():
        assert list(steps) == ["decode", "plan", "commit", "answer", "encode", "settle and tidy"]
        assert all(spent > 0 for spent in steps.values())
    assert all(spent > 0 for spent in told["limits"].values())


def test_a_faulty_number_is_usage() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--turns", "0"], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 2
    assert "at least one" in done.stderr
