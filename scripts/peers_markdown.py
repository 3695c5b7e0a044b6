"""What was measured, as a section of a Markdown file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from scripts.peers_report import NOTES, Measured, Table, figures_table, is_sealed, ratios_tables

BEGIN, END = "<!-- compare_peers: begin -->", "<!-- compare_peers: end -->"
"""What stands around the section; whatever is between them is replaced."""


ENCRYPTED = (
    "`CURVE` is zchat with libzmq's encryption, where each client has a key of its own; `TLS` is TLS 1.3, where only"
    " the server has one (P-256). They are compared to each other, in a table of their own, whose last column is what"
    " encryption costs zchat."
)
"""What must be known where something is encrypted."""


def markdown(about: dict[str, Any], all_found: Iterable[Measured]) -> str:
    """The section, with its markers.

    Args:
        about: when, how and on what it was measured.
        all_found: what was.
    """
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [
        BEGIN,
        f"Measured on {about['date']} in {about['seconds'] / 60:.0f} minutes by",
        f"```sh\n{about['command']}\n```",
        f"on {machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, Python {machine['python']}, "
        f"libzmq {machine['libzmq']}, pyzmq {machine['pyzmq']}, msgspec {machine['msgspec']}; {versions}.",
        "Medians over the rounds, with the least and the greatest in brackets. Each ratio is one of two figures of the"
        " same round; the star marks the peer that is best in a figure.",
    ]
    cases_found = list(all_found)
    if any(is_sealed(variant) for found in cases_found for variant in found.rounds):
        parts.append(ENCRYPTED)
    for workload, group in groupby(cases_found, lambda found: found.workload):
        cases = list(group)
        parts.append(f"### {workload}: {cases[0].title}")
        parts.append(NOTES[workload])
        for found in cases:
            parts.append(f"**{found.case}**")
            parts += [_table(table) for table in (figures_table(found), *ratios_tables(found))]
    return "\n\n".join([*parts, END]) + "\n"


def _table(table: Table) -> str:
    head, *rows = (f"| {' | '.join(cell.replace('*', '★') for cell in row)} |" for row in table)
    return "\n".join([head, "|" + "---|" + "---:|" * (len(table[0]) - 1), *rows])


def write(path: Path, section: str) -> None:
    """Puts the section in the place of the one that a file has, or at its end."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if BEGIN in before and END in before:
        head, _, rest = before.partition(BEGIN)
        made = head + section.rstrip("\n") + rest.partition(END)[2]
    else:
        made = before + ("\n" if before else "") + section
    path.write_text(made, encoding="utf-8")
