"""Which subscriptions of a client are proven. Pure.

Nobody answers a subscription. So after others the client subscribes a topic of its own, a fence, and the broker says
when that has come: then so has everything that was subscribed before.
"""

from __future__ import annotations

from zchat.client.channel import Channel, Subscribe, Unsubscribe
from zchat.codec import fence_topic

FENCE_PATIENCE = 1.0
"""Seconds for a fence to be answered, before the next is tried."""


class Fences:
    """The fences of one client.

    Args:
        channel: the way out.
        token: the random part of their topics.

    Attributes:
        token: as given; it changes with the client id.
        reached: the highest that was answered.
    """

    def __init__(self, channel: Channel, token: bytes) -> None:
        self.token = token
        self.reached = 0
        self._channel = channel
        self._last = 0
        self._raised: list[int] = []  # over this SUB, and not answered yet
        self._due: float | None = None
        self._tries = 0
        self._lost_at = float("-inf")

    @property
    def coming(self) -> int:
        """The fence that will prove what is subscribed now."""
        return self._last + 1

    def renew(self, token: bytes) -> None:
        """The topics are others from now on."""
        for k in self._raised:
            self._channel.do(Unsubscribe(fence_topic(self.token, k)))
        self.token, self._raised = token, []

    def closed(self) -> None:
        """SUB is closed, and what it was subscribed to is void."""
        self._raised = []

    def rest(self) -> None:
        """None is waited for: all that was subscribed is proven, or nothing is there to answer."""
        self._due = None

    def due(self) -> float | None:
        """When `tick` must be called next; None if none is waited for."""
        return self._due

    def tick(self, now: float) -> bool:
        """Time passed; says whether the broker does not answer any."""
        if self._due is None or self._due > now:
            return False
        if self._tries > 1:
            return True
        self._raise(now)
        return False

    def begin(self, now: float) -> None:
        """Something was subscribed."""
        self._tries = 0
        self._raise(now)

    def lost(self, now: float) -> None:
        """SUB was cut, and reconnects by itself: the next proves that, but not over and over."""
        self._tries = 0
        if now - self._lost_at >= FENCE_PATIENCE:
            self._lost_at = now
            self._raise(now)
        else:
            self._due = self._lost_at = now + FENCE_PATIENCE

    def _raise(self, now: float) -> None:
        self._last += 1
        self._raised.append(self._last)
        self._tries += 1
        self._due = now + FENCE_PATIENCE
        self._channel.do(Subscribe(fence_topic(self.token, self._last)))

    def answered(self, k: int) -> bool:
        """A fence was answered; says whether it is one of this SUB's."""
        if k not in self._raised:
            return False
        self.reached = max(k, self.reached)
        # None is kept: when many clients go at once, libzmq walks through all topics for each of them.
        while self._raised and self._raised[0] <= k:
            self._channel.do(Unsubscribe(fence_topic(self.token, self._raised.pop(0))))
        return True
