"""The broker's log: levels, time, and never more lines than a person can read."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

LEVELS = ("debug", "info", "warning", "error")


@dataclass
class RateLimit(logging.Filter):
    """Lets so many lines of one level through in each span of time, and then says how many it held back.

    Args:
        bursts: lines in a span, by level; what is not named is not bounded.
        span: seconds.
    """

    bursts: dict[int, int] = field(default_factory=lambda: {logging.INFO: 100, logging.WARNING: 20})
    span: float = 10.0
    _since: dict[int, float] = field(default_factory=dict, init=False)
    _seen: Counter[int] = field(default_factory=Counter, init=False)

    def filter(self, record: logging.LogRecord) -> bool:
        level = record.levelno
        if level not in self.bursts:
            return True
        now = time.monotonic()
        if now - self._since.get(level, now - self.span) >= self.span:
            held = self._seen[level] - self.bursts[level]
            if held > 0:
                record.msg = f"{record.getMessage()} (and {held} more of its level before it)"
                record.args = ()
            self._since[level], self._seen[level] = now, 0
        self._seen[level] += 1
        return self._seen[level] <= self.bursts[level]


def start(level: str) -> None:
    """Sends the broker's log to stderr.

    Args:
        level: one of LEVELS; what is below is left out.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RateLimit())
    line = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    line.converter = time.gmtime
    handler.setFormatter(line)
    log = logging.getLogger("zchat")
    log.handlers[:] = [handler]
    log.propagate = False
    choose(level)


def choose(level: str) -> None:
    """Logs from another level on; see `start`."""
    logging.getLogger("zchat").setLevel(level.upper())
