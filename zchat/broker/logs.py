"""The broker's log: levels, time, and never more lines than a person can read."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field

LEVELS = ("debug", "info", "warning", "error")


@dataclass
class RateLimit(logging.Filter):
    """Lets so many warnings through in each span of time, and then says how many it held back.

    Args:
        burst: lines in a span.
        span: seconds.
    """

    burst: int = 20
    span: float = 10.0
    _since: float = field(default=float("-inf"), init=False)
    _seen: int = field(default=0, init=False)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        now = time.monotonic()
        if now - self._since >= self.span:
            held = self._seen - self.burst
            if held > 0:
                record.msg = f"{record.getMessage()} (and {held} more warnings before it)"
                record.args = ()
            self._since, self._seen = now, 0
        self._seen += 1
        return self._seen <= self.burst


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
    log.setLevel(level.upper())
    log.propagate = False
