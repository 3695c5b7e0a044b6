"""How clients' sends ended: kept turn by turn at first, and folded into what must be known for long. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from zchat.messages import Ack, Refused
from zchat.store.sqlite.rows import pack, unpack

End = tuple[Any, ...]
"""How a send ended: client, n, then room key, number and ms if it is kept; or else code, detail, expected, retry_ms."""


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
    return Refused(n, *end[2:]) if is_refusal(end) else Ack(n, room(end[2]), end[3], end[4])


def pack_ends(ends: list[End]) -> bytes:
    """The ends of a turn's sends, as they are kept."""
    return pack(ends)


def unpack_ends(kept: bytes) -> list[End]:
    """The ends of a turn's sends, as they were."""
    return [tuple(end) for end in unpack(kept)]


class Recent:
    """The ends of the last turns' sends, by client: of those turns, and no more, that are kept one by one.

    Attributes:
        count: of sends.
    """

    def __init__(self) -> None:
        self._clients: dict[bytes, dict[int, End]] = {}
        self.count = 0

    def note(self, ends: Iterable[End]) -> None:
        """A turn was kept in which sends ended so."""
        clients = self._clients
        for end in ends:
            client = end[0]
            if client in clients:
                clients[client][end[1]] = end
            else:
                clients[client] = {end[1]: end}
            self.count += 1

    def forget(self, ends: Iterable[End]) -> None:
        """A turn is kept no longer in which sends ended so."""
        for end in ends:
            self.count -= 1
            of = self._clients.get(end[0])
            if of is not None and of.pop(end[1], None) is not None and not of:
                del self._clients[end[0]]

    def of(self, client: bytes) -> dict[int, End]:
        """The ends of a client's last sends, by number, rising."""
        return self._clients.get(client, {})
