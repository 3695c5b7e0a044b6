"""What `zchat doctor` finds, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what is to be said of it.

    Attributes:
        what: in a word or two.
        text: how it is.
        todo: what to do about it; empty where all is well.
    """

    state: State
    what: str
    text: str
    todo: str = ""


Findings = Iterator[Finding]


def ok(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(State.OK, what, text)


def warn(what: str, text: str, todo: str) -> Finding:
    """It works, but."""
    return Finding(State.WARN, what, text, todo)


def fail(what: str, text: str, todo: str = "") -> Finding:
    """It does not work.

    Args:
        todo: empty where the text says it.
    """
    return Finding(State.FAIL, what, text, todo)


def failed(findings: Iterable[Finding]) -> bool:
    """Whether anything does not work."""
    return any(one.state is State.FAIL for one in findings)


def line(found: Finding) -> str:
    """A finding, as people read it."""
    from zchat.text import printable

    todo = f": {found.todo}" if found.todo else ""
    return f"{found.state:<5} {found.what:<9} {printable(f'{found.text}{todo}')}"


def json(found: Finding) -> str:
    """A finding, as programs read it."""
    from zchat.cli.output import json_line

    return json_line(
        "finding", state=str(found.state).lower(), what=found.what, text=found.text, todo=found.todo or None
    )
