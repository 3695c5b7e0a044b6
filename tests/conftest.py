"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import World, world


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Iterator[World]:
    """Somewhere to start real processes."""
    with world(tmp_path) as made:
        yield made
