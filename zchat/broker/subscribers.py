"""Who is connected to the PUB port: what they subscribe to, and whose they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Subscriber:
    key: bytes
    size: int = 0  # bytes of what it subscribes to
    heard: int = 0  # bytes of what came over it
    fence: bytes | None = None
    cut: bool = False


@dataclass(slots=True)
class Subscribers:
    """The connections to the PUB port, by descriptor.

    Args:
        limit: bytes of topics that one key may subscribe to over all of its connections; on plaintext, one connection.
        most: connections that one key may have.
    """

    limit: int
    most: int
    _by_fd: dict[int, _Subscriber] = field(default_factory=dict)
    _by_fence: dict[bytes, int] = field(default_factory=dict)
    _by_key: dict[bytes, set[int]] = field(default_factory=dict)
    _sizes: Counter[bytes] = field(default_factory=Counter)
    _ended: set[int] = field(default_factory=set)
    _lost: list[bytes] = field(default_factory=list)  # fences of connections that are forgotten already

    def __len__(self) -> int:
        return len(self._by_fd)

    def key(self, fd: int) -> bytes | None:
        """The key of a connection; None if nothing came over it before."""
        one = self._by_fd.get(fd)
        return one.key if one is not None else None

    def add(self, fd: int, key: bytes) -> bool:
        """Something came over a connection for the first time; says whether it must be cut.

        Args:
            key: that it has shown; empty on plaintext.
        """
        self._by_fd[fd] = made = _Subscriber(key)
        if key:
            mine = self._by_key.setdefault(key, set())
            mine.add(fd)
            made.cut = len(mine) > self.most
        return made.cut

    def subscribed(self, fd: int, size: int, *, fit: bool) -> bool:
        """Accounts for a subscription; says whether its connection must be cut.

        Args:
            size: of the topic in bytes.
            fit: whether it is a topic of this protocol.
        """
        one = self._by_fd[fd]
        one.heard += size
        if one.cut:
            return False  # it was already
        one.size += size
        self._sizes[one.key] += size
        one.cut = not fit or (self._sizes[one.key] if one.key else one.size) > self.limit
        return one.cut

    def unsubscribed(self, fd: int, size: int) -> None:
        """Accounts for the end of a subscription."""
        one = self._by_fd[fd]
        one.heard += size
        freed = min(size, one.size)
        one.size -= freed
        self._sizes[one.key] -= freed

    def fenced(self, fd: int, fence: bytes) -> None:
        """A fence came over a connection, which so is its session's; one has one at a time."""
        one = self._by_fd[fd]
        if one.fence is not None and self._by_fence.get(one.fence) == fd:
            del self._by_fence[one.fence]
        one.fence = fence
        self._by_fence[fence] = fd

    def fence(self, fd: int) -> bytes | None:
        """The fence that came over a connection last."""
        one = self._by_fd.get(fd)
        return one.fence if one is not None else None

    def of(self, key: bytes) -> set[int]:
        """The connections of a key."""
        return set(self._by_key.get(key, ()))

    def heard(self, fd: int) -> int:
        """Bytes of what came over a descriptor."""
        one = self._by_fd.get(fd)
        return one.heard if one is not None else 0

    def begun(self, fd: int) -> None:
        """Another connection has that descriptor from now on."""
        if fd in self._ended:
            self._forget(fd)

    def ended(self, fd: int) -> None:
        """The connection over that descriptor ended. What it subscribed to before may still be read."""
        self._ended.add(fd)

    def has_ended(self, fd: int) -> bool:
        """Whether what comes over that descriptor is of a connection that has ended."""
        return fd in self._ended

    @property
    def ending(self) -> bool:
        """Whether there is something for `take_ended`."""
        return bool(self._ended or self._lost)

    def take_ended(self) -> list[bytes]:
        """The fences of connections that ended, unless they came over another one since; call it when everything that
        was subscribed has been read. They are forgotten.
        """
        for fd in list(self._ended):
            self._forget(fd)
        found, self._lost = self._lost, []
        return found

    def _forget(self, fd: int) -> None:
        self._ended.discard(fd)
        one = self._by_fd.pop(fd, None)
        if one is None:
            return
        if one.fence is not None and self._by_fence.get(one.fence) == fd:
            del self._by_fence[one.fence]
            self._lost.append(one.fence)
        self._sizes[one.key] -= one.size
        if not self._sizes[one.key]:
            del self._sizes[one.key]
        if one.key:
            mine = self._by_key[one.key]
            mine.discard(fd)
            if not mine:
                del self._by_key[one.key]
