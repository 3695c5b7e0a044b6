"""The stores that the contract is run on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zchat.store.base import Store
from zchat.store.memory import MemoryStore

STORES: dict[str, Callable[[], Store]] = {"memory": MemoryStore}


@pytest.fixture(name="make", params=list(STORES.values()), ids=list(STORES))
def _make(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Opens an empty store."""
    made: Callable[[], Store] = request.param
    return made


@pytest.fixture(name="store")
def _store(make: Callable[[], Store]) -> Store:
    """An empty store."""
    return make()
