"""The stores that the contract is run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store.saying import opened

from zchat.store.base import Store
from zchat.store.memory import MemoryStore
from zchat.store.sqlite.retention import Retention

Keeping = Callable[[Retention], Store]


@pytest.fixture(name="keeping", params=["memory", "sqlite"])
def _keeping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keeping]:
    """Opens an empty store that keeps so much."""
    made: list[Store] = []

    def open_one(retention: Retention) -> Store:
        if request.param == "sqlite":
            store: Store = opened(tmp_path / f"data{len(made)}", retention)
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
