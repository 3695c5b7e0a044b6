"""One text for both Python APIs: what waits is written as a coroutine, and here it is run by a program that has no
loop.

Such a coroutine waits in nothing but what the client gives it to wait with, and that of a synchronous client comes back
when it is done. So the coroutine runs to its end in one go, in the calling thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


def run(steps: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing.

    Raises:
        RuntimeError: it does wait.
    """
    try:
        steps.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    steps.close()
    raise RuntimeError("this waits for an event loop, and there is none")


def synced(method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[S, P], T]:
    """The method of a synchronous client that does the same as an asynchronous one's."""

    @wraps(method)
    def done(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(method(self, *args, **kwargs))

    return done


def stepped(method: Callable[Concatenate[S, P], AsyncIterator[T]]) -> Callable[Concatenate[S, P], Iterator[T]]:
    """The same for what gives one after the other."""

    @wraps(method)
    def each(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        found = method(self, *args, **kwargs)
        while True:
            try:
                one = run(_next(found))
            except StopAsyncIteration:
                return
            yield one

    return each


async def _next(found: AsyncIterator[T]) -> T:
    return await anext(found)
