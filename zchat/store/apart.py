"""What a store cannot keep harms only who asked for it: the rest of its turn is kept without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import structs

from zchat import errors
from zchat.messages import Refused
from zchat.store.base import Append, Deed, Greeted, Kept, Outcome, Refusal, Sending, Store, Work

T = TypeVar("T")


def commit(store: Store, work: Work) -> Outcome:
    """Does a turn's work; where the store rejects something, part by part.

    Returns:
        What became of it. What the store rejects is refused for good; what could not be tried to its end, since the
        store became unavailable amid the parts, is missing.

    Raises:
        errors.StoreUnavailable: nothing that was sent was kept; rooms, marks and names may have been: tell them again.
        errors.StoreFailed: the store can no longer be relied on.
    """
    try:
        return store.commit(work)
    except errors.StoreRejected:
        pass
    for part in (
        *(Work(rooms=[room]) for room in work.rooms),
        *(Work(marks=[mark]) for mark in work.marks),
        *(Work(freed=[key]) for key in work.freed),
        *(Work(names=[name]) for name in work.names),
    ):
        try:
            store.commit(part)
        except errors.StoreRejected:
            pass
    if work.records or work.dropped:
        try:
            # As one: who was let in by an invite, and the use of it that is gone then.
            store.commit(Work(records=work.records, dropped=work.dropped))
        except errors.StoreRejected as error:  # who was shut out would be let in after a restart
            raise errors.StoreFailed(f"the store cannot keep who may come in ({error}): report this") from error
    sends: list[list[Kept | Refused]] = [[] for _ in work.sends]
    stopped: set[bytes] = set()  # clients of whose sends one was not done: what comes after it would be out of order
    for index, send in enumerate(work.sends):
        for single in _singles(send):
            if send.client not in stopped:
                done = _tried(lambda single=single: _send(store, single))  # type: ignore[misc]
                if done is None:
                    stopped.add(send.client)
                else:
                    sends[index] += done
    greeted: list[Greeted | None] = []
    for greeting in work.greetings:
        told = _tried(lambda greeting=greeting: store.commit(Work(greetings=[greeting])))  # type: ignore[misc]
        greeted.append(told.greeted[0] if told is not None else None)
    return Outcome(sends, greeted)


def _singles(send: Sending) -> list[Sending]:
    """The same, a send number each."""
    if isinstance(send, Append):
        return [structs.replace(send, said=[said]) for said in send.said]
    return [send]


def _send(store: Store, send: Sending) -> Sequence[Kept | Refused]:
    try:
        return store.commit(Work(sends=[send])).sends[0]
    except errors.StoreRejected:
        if isinstance(send, Refusal):
            raise
        no = Refused(send.n, errors.BadRequest.code, "the broker cannot store this: say it otherwise")
        if isinstance(send, Deed) and not send.client:  # there is no number that it could use up
            return [no]
        return store.commit(Work(sends=[Refusal(send.client, no)])).sends[0]


def _tried(do: Callable[[], T]) -> T | None:
    try:
        return do()
    except (errors.StoreRejected, errors.StoreUnavailable):
        return None
