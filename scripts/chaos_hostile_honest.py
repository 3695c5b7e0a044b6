"""Honest people beside a hostile one: how long they wait is measured from their side.

    python -m scripts.chaos_hostile_honest URL KIND...

Pairs who talk, each in a room of their own, and one who comes in anew all the time. On standard input the process takes
one command a line: `mark` (tell the seconds that each thing took since the last mark). It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import zchat
from scripts.chaos_client import NICE
from zchat import errors

PAUSE = {"talk": 0.03, "join": 0.05}
"""Seconds between two things of a kind: talking, a pair stays below what a person may."""

PAIRS = 3
"""Who talk."""

JOINERS = 100
"""Identities that come in by turns: each may only so often."""

TIMEOUT = 20.0
"""Seconds after which something has failed."""


class Person(threading.Thread):
    """Does one kind of thing again and again.

    Args:
        url: of the broker.
        number: of the pair.

    Attributes:
        took: seconds of each that succeeded; failed: what the others failed with.
    """

    def __init__(self, kind: str, url: str, number: int = 0) -> None:
        super().__init__(name=kind, daemon=True)
        self.kind = kind
        self.took: list[float] = []
        self.failed: list[str] = []
        self._url = url
        self._number = number
        self._joined = 0

    def run(self) -> None:
        once = self._joins if self.kind == "join" else None
        while True:
            try:
                if once is None:
                    self._talks()
                else:
                    self._timed(once)
            except errors.ZchatError as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                threading.Event().wait(PAUSE["join"])

    def _timed(self, thing: Callable[[], object]) -> None:
        begin = time.monotonic()
        thing()
        self.took.append(time.monotonic() - begin)
        threading.Event().wait(PAUSE[self.kind])

    def _joins(self) -> None:
        self._joined += 1
        with zchat.connect(self._url, identity=f"j{self._joined % JOINERS}", timeout=TIMEOUT) as client:
            client.join("honest", quiet=True, timeout=TIMEOUT)

    def _talks(self) -> None:
        """One says something, another hears it."""
        one, other = (f"honest-{who}{self._number or ''}" for who in ("ann", "bob"))
        where = f"honest{self._number or ''}"
        with (
            zchat.connect(self._url, timeout=TIMEOUT, name=one, identity=one) as ann,
            zchat.connect(self._url, timeout=TIMEOUT, name=other, identity=other) as bob,
        ):
            ann.join(where, quiet=True, timeout=TIMEOUT)
            room = bob.join(where, quiet=True, timeout=TIMEOUT)

            def once() -> None:
                text = f"{time.monotonic_ns()}"
                ann.send(where, text, timeout=TIMEOUT)
                if not any(message.text == text for message in room.messages(TIMEOUT)):
                    raise errors.TimedOut("what was said was not heard")

            while True:
                self._timed(once)


def main() -> int:
    """Runs the process."""
    os.nice(NICE)
    _, url, *kinds = sys.argv
    people = [Person(kind, url, number) for kind in kinds for number in range(PAIRS if kind == "talk" else 1)]
    for one in people:
        one.start()
    for line in sys.stdin:
        if line.strip() == "mark":
            told: dict[str, dict[str, list[Any]]] = {kind: {"took": [], "failed": []} for kind in kinds}
            for one in people:
                took, failed = one.took, one.failed
                one.took, one.failed = [], []
                told[one.kind]["took"] += took
                told[one.kind]["failed"] += failed
            print(json.dumps(told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
