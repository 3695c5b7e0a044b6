"""Fixtures for the tests of the broker's mind."""

from __future__ import annotations

import pytest
from dialogue import Dialogue


@pytest.fixture(name="talk")
def _talk() -> Dialogue:
    """A broker without sockets."""
    return Dialogue()
