"""The table of requests."""

from __future__ import annotations

from typing import get_args

from zchat.broker.commands import TABLE
from zchat.messages import Hello, Request


def test_every_request_has_a_row() -> None:
    assert {*TABLE, Hello} == set(get_args(Request))
