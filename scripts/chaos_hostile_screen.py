"""Runs zchat's commands, in pipes and on a pseudo-terminal, and keeps every byte that they print."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.chaos_process import ROOT

PATIENCE = 20.0
"""Seconds that a command may take."""

ZCHAT = [sys.executable, "-m", "zchat"]


def environment(folder: Path) -> dict[str, str]:
    """Of somebody whose files lie in a folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ZCHAT_")}
    folders = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}
    own = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm"}
    return {**kept, **folders, **own, "XDG_DATA_HOME": str(folder / "data")}


def piped(
    arguments: Sequence[str], env: Mapping[str, str], typed: str = "", patience: float = PATIENCE
) -> tuple[int | None, bytes]:
    """Runs a command to its end; gives its exit code, None if it had to be ended, and all that it printed."""
    with subprocess.Popen(
        [*ZCHAT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**env},
        cwd=ROOT,
    ) as started:
        try:
            out, _ = started.communicate(typed.encode(), timeout=patience)
        except subprocess.TimeoutExpired:
            started.kill()
            out, _ = started.communicate()
            return None, out
        return started.returncode, out


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def on_terminal(
    arguments: Sequence[str], env: Mapping[str, str], steps: Sequence[tuple[str, str]]
) -> tuple[int | None, bytes]:
    """Runs a command on a pseudo-terminal.

    Args:
        steps: what must be shown, and what is typed then; a step whose sight does not come is given up, and the next
            ones with it.

    Returns:
        Its exit code, None if it had to be ended; and every byte that it wrote.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    started = subprocess.Popen(
        [*ZCHAT, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**env},
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=_own_terminal,
    )
    os.close(slave)
    shown, since = b"", 0
    left = list(steps)
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    data = os.read(master, 1 << 16)
                except OSError:  # the terminal is closed by the last who had it
                    break
                if not data:
                    break
                shown += data
            if left and left[0][0].encode() in shown[since:]:
                since = len(shown)
                os.write(master, left.pop(0)[1].encode())
            elif started.poll() is not None:
                break
        return started.poll() if started.poll() is not None else _ended(started), shown
    finally:
        started.kill()
        started.wait()
        os.close(master)


def _ended(started: subprocess.Popen[bytes]) -> int | None:
    try:
        return started.wait(1.0)
    except subprocess.TimeoutExpired:
        return None
