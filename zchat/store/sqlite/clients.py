"""How clients' sends ended: kept turn by turn at first, and folded into what must be known for long. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zchat.messages import Ack, Refused

End = tuple[Any, ...]
"""How sends ended: client and n, then if they are kept room key, number, ms, and how many sends these are; or else, of
one send, code, detail, expected, retry_ms. Without a client it is nobody's: it stands for what was kept, and no number
was used up.
"""


def refusal(client: bytes, answer: Refused) -> End:
    """The end of a send that was refused."""
    return client, answer.n, answer.code, answer.detail, answer.expected, answer.retry_ms


def is_refusal(end: End) -> bool:
    """Whether a send that ended so was refused."""
    return isinstance(end[2], str)


def answer(end: End, room: Callable[[int], str]) -> Ack | Refused:
    """What is told of a send that ended so.

    Args:
        room: the name of a room by its key.
    """
    n = end[1]
    return Refused(n, *end[2:]) if is_refusal(end) else Ack(n, room(end[2]), *end[3:])


def count(end: End) -> int:
    """How many sends ended so."""
    return 1 if is_refusal(end) else int(end[5])


def last(end: End) -> int:
    """The number of the last send that ended so."""
    return int(end[1]) + count(end) - 1


class Recent:
    """The ends of the last turns' sends, by client: of those turns, and no more, that are kept one by one.

    Attributes:
        count: of sends.
    """

    def __init__(self) -> None:
        self._clients: dict[bytes, deque[End]] = {}
        self.count = 0

    def note(self, ends: Iterable[End]) -> None:
        """A turn was kept in which sends ended so."""
        clients = self._clients
        for end in ends:
            client = end[0]
            if client in clients:
                clients[client].append(end)
            elif client:
                clients[client] = deque((end,))
            else:
                continue
            self.count += count(end)

    def forget(self, ends: Iterable[End]) -> None:
        """The oldest turn is kept no longer, in which sends ended so."""
        for end in ends:
            self.count -= count(end)
            of = self._clients[end[0]]
            of.popleft()
            if not of:
                del self._clients[end[0]]

    def of(self, client: bytes) -> Sequence[End]:
        """The ends of a client's last sends, with rising numbers."""
        return self._clients.get(client, ())
