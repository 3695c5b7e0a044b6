"""Coroutines that a program without a loop runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest

from zchat.client.synced import stepped, synced


class Giver:
    closed = False

    async def _given(self, number: int) -> int:
        return number


class Async(Giver):
    async def double(self: Giver, number: int, *, plus: int = 0) -> int:
        """Twice as much."""
        return 2 * await self._given(number) + plus

    async def upto(self: Giver, number: int) -> AsyncIterator[int]:
        """All numbers up to one."""
        for one in range(number):
            if one == 3:
                raise ValueError("no three")
            yield await self._given(one)

    async def wait(self: Giver) -> None:
        """Waits for something else."""
        try:
            await asyncio.sleep(0)
        finally:
            self.closed = True


class Sync(Giver):
    double = synced(Async.double)
    upto = stepped(Async.upto)
    wait = synced(Async.wait)


def test_it_gives_what_the_coroutine_gives() -> None:
    assert Sync().double(2) == 4
    assert Sync().double(2, plus=1) == 5
    assert list(Sync().upto(2)) == [0, 1]
    assert next(Sync().upto(2)) == 0


def test_it_raises_what_the_coroutine_raises() -> None:
    found = Sync().upto(5)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no three"):
        next(found)


def test_it_is_explained_as_the_coroutine_is() -> None:
    assert Sync.double.__doc__ == "Twice as much."
    assert list(inspect.signature(Sync().double).parameters) == ["number", "plus"]


def test_what_would_wait_is_a_mistake() -> None:
    sync = Sync()
    with pytest.raises(RuntimeError, match="there is none"):
        sync.wait()
    assert sync.closed
