"""`zchat import`: what export wrote becomes messages again."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from zchat.cli.exits import OK, code_of
from zchat.cli.options import Identity, Name, Patience, Url, login_name, visitor

if TYPE_CHECKING:
    from zchat.cli.progress import Progress
    from zchat.client.sync import Client
    from zchat.errors import ZchatError
    from zchat.store.base import Append

LONGEST = 1 << 20
"""Characters in a line at most."""

TEXT = 16 * 1024
"""Bytes of UTF-8 in a message at most, as brokers have it."""

AT_ONCE = 500
"""Messages in one turn of the store."""

TIDY = 10.0
"""Seconds until a store has something to do that tell that it is tidy."""


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What zchat export wrote.", show_default=False)],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Into a broker's folder; it must not run meanwhile.")
    ] = None,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Puts the messages of a file into their rooms.

    After what is there, and under new numbers; if a line is wrong, none of them. With --data names and times stay as
    they are, and all is stored or nothing. Through a running broker nobody speaks as another: you say it, with the time
    (UTC) and the name in the text. Deleted messages are left out, as are what was done in rooms, and which message one
    answers: under these numbers are others by now.
    """
    from zchat.cli.output import counted, say
    from zchat.cli.progress import Progress
    from zchat.errors import DataUnusable

    if data is not None:
        for option, given in (("url", url), ("name", name), ("identity", identity)):
            if given is not None and getattr(context.get_parameter_source(option), "name", "") == "COMMANDLINE":
                raise typer.BadParameter("is for a broker, and --data for none: choose", param_hint=f"--{option}")
    try:
        source = file.open("rb")
    except OSError as error:
        raise DataUnusable(f"cannot read {file} ({error.strerror or error}): name a file that can be read") from None
    with source, Progress() as progress:
        if not source.seekable():
            raise DataUnusable(f"{file} is no file that can be read twice: name one")
        total, deleted = _checked(source, private=data is None)
        if data is not None:
            _store(source, data, total, progress)
        else:
            with visitor(url, connect_timeout, identity, name=name or login_name()) as client:
                failed = _Speaker(client, source, total, progress).run()
            if failed is not None:
                return code_of(failed)
    also = f", {counted(deleted, 'deleted one')} left out" if deleted else ""
    say(f"imported {counted(total, 'message')}{also}")
    return OK


# What export wrote ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A message to be imported.

    Attributes:
        line: where it stands.
    """

    line: int
    room: str
    ms: int
    name: str
    text: str
    action: bool


def _checked(source: IO[bytes], *, private: bool) -> tuple[int, int]:
    """How many messages there are, and how many that were deleted.

    Args:
        private: whether messages to persons may be among them.

    Raises:
        errors.BadOption: a line is wrong.
    """
    from zchat.errors import BadOption

    total = deleted = 0
    for entry in read(source):
        if entry is None:
            deleted += 1
        elif entry.room.startswith(("@", "+")) and not private:
            raise BadOption(
                f"line {entry.line}: messages with {entry.room} are private, and whose is not in the file: "
                "leave them out, or import through a broker"
            )
        else:
            total += 1
    return total, deleted


def read(source: IO[bytes]) -> Iterator[Entry | None]:
    """The messages of a file, from its beginning; None for each that was deleted.

    Raises:
        errors.BadOption: a line is none that export writes.
    """
    from zchat.errors import BadOption, NameInvalid

    source.seek(0)
    number = 0
    while line := source.readline(LONGEST):
        number += 1
        try:
            if not line.endswith(b"\n") and len(line) == LONGEST:
                raise ValueError("it is too long")
            fields = _fields(line)
            if fields["kind"] not in ("gap", "acted"):
                yield _entry(number, fields) if fields["kind"] == "message" else None
        except NameInvalid as error:
            raise BadOption(f"line {number}: {error}; nothing was imported") from None
        except (ValueError, RecursionError) as error:
            raise BadOption(f"line {number} is none that zchat export writes ({error}); nothing was imported") from None


def _fields(line: bytes) -> dict[str, Any]:
    """What a line says.

    Raises:
        ValueError: it is none that export writes.
    """
    fields = json.loads(line.decode())
    if not isinstance(fields, dict) or fields.get("v") != 1:
        raise ValueError("it is no object of version 1")
    if fields.get("kind") not in ("message", "deleted", "gap", "acted"):
        raise ValueError("its kind is none of message, deleted, gap and acted")
    return fields


def _entry(number: int, fields: dict[str, Any]) -> Entry:
    """A message.

    Raises:
        ValueError: it is none that export writes.
        errors.NameInvalid: it names a room or a person that cannot be.
    """
    from zchat import names

    room, text = _text(fields, "room"), _text(fields, "text")
    if room.startswith("@"):
        room = f"@{_speaker(room[1:])}"
    else:
        room = (names.private_room if room.startswith(names.PRIVATE) else names.room)(room)
    if len(text.encode()) > TEXT:
        raise ValueError(f"its text is longer than {TEXT} bytes")
    if any(char in _CONTROLS for char in text):
        raise ValueError("its text has control characters")
    action = fields.get("action", False)
    if not isinstance(action, bool):
        raise ValueError("action is true or not there")
    return Entry(number, room, _ms(_text(fields, "time")), _speaker(_text(fields, "from")), text, action)


def _speaker(name: str) -> str:
    """The name of a person or a bot, as it is shown.

    Raises:
        errors.NameInvalid: it cannot be one.
    """
    from zchat import names

    return names.bot(name) if names.is_bot(name) else names.person(name)


_CONTROLS = frozenset(map(chr, (*range(9), *range(11, 32), *range(127, 160))))  # all but tab and newline


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def _ms(text: str) -> int:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or time.timestamp() < 0:
        raise ValueError("its time has no zone, or is before 1970")
    from zchat.messages import LATEST_MS

    ms = round(time.timestamp() * 1000)
    if ms > LATEST_MS:
        raise ValueError("its time is after the year 9999")
    return ms


# Into a folder --------------------------------------------------------------------------------------------------------


def _store(source: IO[bytes], folder: Path, total: int, progress: Progress) -> None:
    """Stores all messages as they are, or none."""
    import os
    import time

    from zchat import errors
    from zchat.store.base import NewRoom, Work
    from zchat.store.sqlite import open_store

    seconds = itertools.count()
    store = open_store(folder, clock=lambda: float(next(seconds)))  # by which nothing has to wait
    try:
        client = os.urandom(16)
        entries = (entry for entry in read(source) if entry is not None)
        done = 0
        try:
            with store.whole():
                while batch := list(itertools.islice(entries, AT_ONCE)):
                    rooms = [NewRoom(room) for room in dict.fromkeys(entry.room for entry in batch)]
                    store.commit(Work(rooms, [_append(entry, client) for entry in batch]))
                    done += len(batch)
                    progress.tell("importing", done, total)
        except (errors.StoreUnavailable, errors.StoreFailed) as error:
            raise errors.DataUnusable(f"nothing was imported into {folder}: {error}") from None
        # A broker does this as well, but until then it would find less. Who reads the folder may hold it up.
        for step in range(steps := total // 100 + 100):
            progress.tell("making it searchable", step, steps)
            if store.tidy(int(time.time() * 1000), idle=True) > TIDY:
                break
    finally:
        store.close()


def _append(entry: Entry, client: bytes) -> Append:
    from zchat.messages import Send
    from zchat.store.base import Append

    # Nobody's: none of them can be edited, and no client takes them for its own.
    said = Send(0, entry.room, entry.text, entry.action)
    return Append(entry.room, client, entry.ms, entry.name, client[:8], client, [said])


# Through a broker -----------------------------------------------------------------------------------------------------


class _Speaker:
    """Says what others said."""

    def __init__(self, client: Client, source: IO[bytes], total: int, progress: Progress) -> None:
        self._client = client
        self._source = source
        self._total = total
        self._progress = progress
        self._waiting: deque[tuple[int, int, bool]] = deque()  # ticket, line, and whether the message ends with it
        self._stored = 0
        self._line = 0  # up to where all is stored
        self._failed: ZchatError | None = None

    def run(self) -> ZchatError | None:
        """Says all, in order, until one is refused; gives why that was."""
        from zchat import errors

        try:
            for entry in read(self._source):
                if entry is not None and self._failed is None:
                    self._say(entry)
            late = errors.TimedOut("the broker did not acknowledge the rest in time")
            self._client.wait(lambda: True if self._settle() == 0 else None, 30.0, late)
        except (errors.ZchatError, KeyboardInterrupt):
            self._tell()
            raise
        if self._failed is not None:
            self._tell()
        return self._failed

    def _say(self, entry: Entry) -> None:
        texts = said(entry)
        for number, text in enumerate(texts, 1):
            while not self._client.session.sendable and self._failed is None:
                self._client.poll(1.0)
                self._settle()
            ticket = self._client.post(entry.room, text)
            self._waiting.append((ticket, entry.line, number == len(texts)))
        self._client.poll(0.0)  # the next line may be long in coming
        self._settle()

    def _settle(self) -> int:
        """Takes in what was answered; gives how many are not."""
        from zchat.cli.output import say
        from zchat.client.events import NotSent

        self._client.drain()
        while self._waiting:
            ticket, line, last = self._waiting[0]
            outcome = self._client.outcome(ticket)
            if outcome is None:
                break  # they are answered in order
            self._waiting.popleft()
            if isinstance(outcome, NotSent):
                say(f"line {line}: {outcome.error}")
                self._failed = self._failed or outcome.error
            elif last:
                self._stored += 1
                self._line = line if self._failed is None else self._line
        self._progress.tell("importing", self._stored, self._total)
        return len(self._waiting)

    def _tell(self) -> None:
        from zchat.cli.output import say

        up_to = f", up to line {self._line}" if self._line else ""
        rest = f"; of {len(self._waiting)} more it is unknown" if self._waiting else ""
        say(f"{self._stored} of {self._total} messages were stored{up_to}{rest}")


def said(entry: Entry) -> list[str]:
    """What the importer says for a message: as many texts as it takes to stay within the limit."""
    moment = datetime.fromtimestamp(entry.ms / 1000, UTC)
    who = f"] * {entry.name}" if entry.action else f" {entry.name}]"
    before = f"[{moment:%Y-%m-%d %H:%M}{who} "
    room = TEXT - len(before.encode())
    rest, texts = entry.text.encode(), list[str]()
    while rest or not texts:
        part = rest[:room].decode(errors="ignore")  # without the half of a character at its end
        rest = rest[len(part.encode()) :]
        texts.append(f"{before}{part}")
    return texts
