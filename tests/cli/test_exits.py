"""Exit codes."""

from __future__ import annotations

import pytest

from zchat import errors
from zchat.address import BadAddress
from zchat.cli.exits import code_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ZchatError("x"), 1),
        (errors.TooLong(), 1),
        (errors.Unknown("x"), 1),
        (errors.BindFailed("x"), 1),
        (BadAddress("x"), 2),
        (errors.NameInvalid(), 2),
        (errors.UnknownWord(), 2),
        (errors.Unreachable("x"), 3),
        (errors.NameTaken(), 4),
        (errors.NoSuchRoom(), 4),
        (errors.NoSuchPerson(), 4),
        (errors.TimedOut("x"), 5),
    ],
)
def test_code_of(error: Exception, code: int) -> None:
    assert code_of(error) == code
