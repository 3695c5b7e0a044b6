"""`zchat check`: whether what a broker keeps is what was put there."""

from __future__ import annotations

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Data, Json, data_folder


def command(data: Data = None, json: Json = False) -> int:
    """Verifies all that a broker keeps; also while it runs.

    Every checksum, and that no number is missing. Exit code 1 if anything is damaged.
    """
    from zchat.cli.output import counted, json_line, out
    from zchat.cli.progress import Progress
    from zchat.store.sqlite.check import check
    from zchat.text import printable

    with Progress() as progress:
        found = check(data_folder(data), progress.tell)
    counts = {"rooms": found.rooms, "messages": found.messages, "edits": found.edits, "deletions": found.deletions}
    for what in found.found:
        out(json_line("damage", what=what) if json else f"damaged: {printable(what)}")
    if json:
        out(json_line("check", **counts, damage=found.damage))
    else:
        told = ", ".join(counted(number, key.removesuffix("s")) for key, number in counts.items())
        out(f"{told}: {counted(found.damage, 'finding') if found.damage else 'no damage'}")
    return FAILURE if found.damage else OK
