"""What a client has heard and its program has not taken yet: room by room, and in the order in which it came. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from zchat.client import events as heard


@dataclass(slots=True, eq=False)
class _Queue:
    """What waits of one room, oldest first, and how much was taken out before."""

    events: deque[heard.Event] = field(default_factory=deque)
    taken: int = 0


class Queues:
    """Events by room; what belongs to none is in the room without a name.

    They come in runs of one room, and their order is that of the runs: nothing is kept for a single event.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, _Queue] = {}
        self._runs: deque[tuple[_Queue, int]] = deque()  # up to how many have come of that room with it
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, room: str) -> int:
        """How many wait of a room."""
        queue = self._rooms.get(room)
        return len(queue.events) if queue is not None else 0

    def put(self, room: str, events: Sequence[heard.Event]) -> None:
        """Adds a run of a room."""
        queue = self._rooms.get(room)
        if queue is None:
            queue = self._rooms[room] = _Queue()
        queue.events += events
        self._count += len(events)
        if self._runs and self._runs[-1][0] is queue:
            self._runs.pop()
        elif len(self._runs) > 2 * self._count:  # who takes from one room alone leaves what it took in the order
            self._runs = deque(run for run in self._runs if run[0].taken < run[1])
        self._runs.append((queue, queue.taken + len(queue.events)))

    def take(self, room: str | None = None) -> heard.Event | None:
        """Takes out the oldest, of a room or of all; None if there is none."""
        queue = self._oldest() if room is None else self._rooms.get(room)
        if queue is None or not queue.events:
            return None
        queue.taken += 1
        self._count -= 1
        return queue.events.popleft()

    def _oldest(self) -> _Queue | None:
        while self._runs:
            queue, end = self._runs[0]
            if queue.taken < end:
                return queue
            self._runs.popleft()
        return None

    def bound(self, room: str, most: int) -> None:
        """Drops the oldest of a room until there are no more than so many; messages leave a gap in their place."""
        queue = self._rooms[room]
        while len(queue.events) > most:
            lost, first = heard.numbers(queue.events.popleft()), queue.events[0]
            queue.taken += 1
            self._count -= 1
            if lost is not None:
                more = heard.numbers(first) or lost  # if it is nothing that is numbered, the gap takes its place
                queue.events[0] = heard.Gap(room, lost[0], None if lost[1] is None else more[1])

    def waiting(self) -> list[heard.Event]:
        """All, in order; they stay."""
        found: list[heard.Event] = []
        at = {queue: (queue.taken, iter(queue.events)) for queue in self._rooms.values()}
        for queue, end in self._runs:
            begin, events = at.get(queue, (end, iter(())))
            if begin < end:
                found += islice(events, end - begin)
                at[queue] = end, events
        return found

    def clear(self) -> None:
        """Takes out all."""
        self._rooms.clear()
        self._runs.clear()
        self._count = 0
