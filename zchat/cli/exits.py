"""Exit codes, the same for every subcommand."""

from __future__ import annotations

OK = 0
FAILURE = 1
USAGE = 2
UNREACHABLE = 3
NOT_ALLOWED = 4
TIMED_OUT = 5
INTERRUPTED = 130


def code_of(error: Exception) -> int:
    """The exit code that an error stands for."""
    from zchat import errors
    from zchat.address import BadAddress

    if isinstance(error, BadAddress | errors.BadConfig | errors.NameInvalid | errors.UnknownWord):
        return USAGE
    if isinstance(error, errors.Unreachable):
        return UNREACHABLE
    if isinstance(error, errors.NotAllowed):
        return NOT_ALLOWED
    if isinstance(error, errors.TimedOut):
        return TIMED_OUT
    return FAILURE
