"""Sessions to play with."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("client.playing")

from client.playing import Playing  # noqa: E402


@pytest.fixture
def talk() -> Playing:
    return Playing()


@pytest.fixture
def there(talk: Playing) -> Playing:
    """Welcomed."""
    talk.open()
    return talk


@pytest.fixture
def inside(there: Playing) -> Playing:
    """In the lobby, after message 5."""
    there.enter(head=5)
    return there
