"""`zchat export`: rooms as they are now, to be kept, read or imported elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from zchat.cli.options import Identity, Name, Patience, Url, known_person, visitor

if TYPE_CHECKING:
    from zchat.client.sync import Client
    from zchat.messages import Acted, Message


class Format(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    TEXT = "text"


def command(
    rooms: Annotated[
        list[str] | None, typer.Argument(metavar="[ROOM]...", help="All public ones, if none are named.")
    ] = None,
    kind: Annotated[
        Format, typer.Option("--format", help="jsonl: what import reads. text: for people.")
    ] = Format.JSONL,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to, wholly or not at all. [default: stdout]")
    ] = None,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Writes rooms as they are now, oldest message first.

    Edited messages with their newest text, deleted ones without, and what was done in them; what comes meanwhile is
    left out. What is private is written only if asked for, as +ROOM or @NAME: that of --name, ZCHAT_NAME, or your login
    name.
    """
    from zchat.cli.output import counted, say
    from zchat.cli.progress import Progress
    from zchat.messages import Message

    write_one = _json if kind is Format.JSONL else _text
    with visitor(url, connect_timeout, identity, person=known_person(name, url)) as client:
        wanted = _extents(client, rooms)
        total, done, messages = sum(room.head for room in wanted), 0, 0
        loud = output is not None or not sys.stdout.isatty()
        with _opened(output) as write, Progress(shown=loud) as progress:
            for room in wanted:
                if room.first > 1:
                    write(_gap(room, kind))
                for page in _pages(client, room):
                    write(write_one(room, event) for event in page)
                    messages += sum(isinstance(event, Message) for event in page)
                    if page:
                        progress.tell("exporting", done + page[-1].seq, total)
                done += room.head
    if output is not None:
        say(f"exported {counted(messages, 'message')} in {counted(len(wanted), 'room')} to {output}")


class _Extent(NamedTuple):
    """A room, and what there was of it at the beginning.

    Attributes:
        asked: as the broker is asked for it.
        label: as it is written.
        name: canonical; of a private room its id.
    """

    asked: str
    label: str
    name: str
    first: int
    head: int


def _extents(client: Client, rooms: list[str] | None) -> list[_Extent]:
    """The rooms to be written, each once."""
    from zchat import names
    from zchat.cli import output
    from zchat.messages import History, Page

    found: dict[str, _Extent] = {}
    for asked in rooms or [info.room for info in client.rooms() if not names.is_private(info.room)]:
        page = client.ask(partial(History, room=asked, limit=1), Page)
        label = output.label(page.room, asked)
        found.setdefault(page.room, _Extent(asked, label, page.room, page.first, page.head))
    return list(found.values())


def _pages(client: Client, room: _Extent) -> Iterator[Sequence[Message | Acted]]:
    """What was said and done in a room, oldest first, page by page."""
    told = room.first - 1
    for page in client.pages(room.asked, after=0, before=room.head + 1):
        if page:
            # Where a number is missing was an edit, a deletion, or something done.
            done = client.acts(room.asked, told, page[-1].seq) if page[-1].seq - told > len(page) else []
            told = page[-1].seq
            yield sorted([*page, *done], key=lambda event: event.seq) if done else page
    yield client.acts(room.asked, told, room.head)


def _json(room: _Extent, event: Message | Acted) -> str:
    from zchat.cli.acted import acted_json
    from zchat.cli.output import message_json
    from zchat.messages import Acted

    return acted_json(room.label, event) if isinstance(event, Acted) else message_json(room.label, event)


def _text(room: _Extent, event: Message | Acted) -> str:
    from zchat.cli import acted
    from zchat.cli.output import history_line
    from zchat.messages import Acted
    from zchat.text import printable

    line = acted.history_line(event) if isinstance(event, Acted) else history_line(event)
    return f"{printable(room.label)} {line}"


def _gap(room: _Extent, kind: Format) -> list[str]:
    """What can no longer be had is said there too."""
    from zchat.cli.output import gap_json, gap_line
    from zchat.client.events import Gap

    gap = Gap(room.label, 1, room.first - 1)
    return [gap_json(gap) if kind is Format.JSONL else f"-- {gap_line(gap)}"]


@contextmanager
def _opened(path: Path | None) -> Iterator[Callable[[Iterable[str]], None]]:
    """Where lines are written to."""
    from zchat.cli.output import out
    from zchat.errors import DataUnusable
    from zchat.store.sqlite.backup import target

    if path is None:
        yield lambda lines: out(text) if (text := "\n".join(lines)) else None
        return
    try:
        with target(path) as made, made.open("w", encoding="utf-8", newline="\n") as file:
            yield lambda lines: file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise DataUnusable(
            f"cannot write {path} ({error.strerror or error}): see to that, or name another file"
        ) from None
