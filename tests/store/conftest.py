"""The stores that the contract is run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from store.saying import opened

from zchat.store.base import Outcome, Store, Work
from zchat.store.memory import MemoryStore
from zchat.store.sqlite import SqliteStore
from zchat.store.sqlite.retention import Retention

Keeping = Callable[[Retention], Store]


SETTLES = {"logged": (False,), "settled": (True,), "mixed": (True, False, False)}
"""Of the stores on disk: after which turns, again and again, what was said goes from the log into the rooms."""


def settling(store: SqliteStore, after: tuple[bool, ...]) -> SqliteStore:
    """Has a store settle after some of its turns."""
    commit, turns = store.commit, cycle(after)

    def settles(work: Work) -> Outcome:
        outcome = commit(work)
        if next(turns):
            store._upkeep.settle()
        return outcome

    store.commit = settles  # type: ignore[method-assign]
    return store


@pytest.fixture(name="keeping", params=["memory", *SETTLES])
def _keeping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keeping]:
    """Opens an empty store that keeps so much."""
    made: list[Store] = []

    def open_one(retention: Retention) -> Store:
        if request.param in SETTLES:
            store: Store = settling(opened(tmp_path / f"data{len(made)}", retention), SETTLES[request.param])
        else:
            store = MemoryStore(keep=retention.keep_messages or 10_000, keep_days=retention.keep_days)
        made.append(store)
        return store

    yield open_one
    for store in made:
        store.close()


@pytest.fixture(name="make")
def _make(keeping: Keeping) -> Callable[[], Store]:
    """Opens an empty store."""
    return lambda: keeping(Retention())


@pytest.fixture(name="store")
def _store(make: Callable[[], Store]) -> Store:
    """An empty store."""
    return make()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Where a data folder can be made."""
    return tmp_path / "data"
