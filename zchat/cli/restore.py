"""`zchat restore`: puts a backup in the place of what a broker keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from zchat.cli.options import Data, data_folder


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What zchat backup made.", show_default=False)],
    data: Data = None,
) -> None:
    """Puts a backup in the place of what a broker keeps.

    FILE is verified first, and no broker may run. What was there is kept beside, under a name with the time.
    """
    from zchat.cli.output import counted, say
    from zchat.cli.progress import Progress
    from zchat.store.sqlite.backup import restore

    folder = data_folder(data)
    with Progress() as progress:
        done = restore(file, folder, progress.tell, datetime.now(UTC))
    if done.kept is not None:
        say(f"what was there is kept as {done.kept}")
    what = f"{counted(done.examined.rooms, 'room')} with {counted(done.examined.messages, 'message')}"
    say(f"restored {what} to {folder}")
