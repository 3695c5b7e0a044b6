"""`zchat backup`: copies everything that a broker keeps into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zchat.cli.options import Data, data_folder


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    data: Data = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE, if it is there.")] = False,
) -> None:
    """Copies all that a broker keeps into FILE; also while it runs.

    Wholly or not at all, and verified. What was deleted before is not in it. Keep it as safe as the folder itself: it
    has all private messages.
    """
    from zchat.cli.output import counted, say
    from zchat.cli.progress import Progress
    from zchat.store.sqlite.backup import backup

    with Progress() as progress:
        done = backup(data_folder(data), file, progress.tell, force=force)
    say(f"saved {counted(done.rooms, 'room')} with {counted(done.messages, 'message')} in {file}")
