"""Everything that somebody hostile may do: each row on a broker of its own, with a line for each figure."""

from __future__ import annotations

from collections.abc import Callable

from scripts.chaos_hostile_bounds import bounds
from scripts.chaos_hostile_crowd import descriptors, silence
from scripts.chaos_hostile_flood import floods
from scripts.chaos_hostile_fuzz import fuzz
from scripts.chaos_hostile_identity import identity
from scripts.chaos_hostile_show import escapes
from scripts.chaos_process import Failed
from scripts.chaos_run import Run

ROWS: dict[int, Callable[[Run], None]] = {
    7: fuzz,
    8: bounds,
    9: descriptors,
    10: silence,
    15: escapes,
    16: identity,
    17: floods,
}
"""What is done, by its row in the table of faults."""


def hostile(run: Run) -> None:
    """Each row that was asked for; one that cannot go on does not keep the others from it."""
    for number, row in ROWS.items():
        if not run.options.rows or number in run.options.rows:
            try:
                row(run)
            except Failed as error:
                run.faults.append(f"row {number}: {error}")
