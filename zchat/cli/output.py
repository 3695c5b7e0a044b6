"""What is printed, and how: data on stdout, all else on stderr, and nothing that a terminal would obey."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from zchat.client import events as heard
from zchat.messages import LATEST_MS, Hit, Message
from zchat.names import is_bot, is_private
from zchat.text import block, json_text, printable

_LATEST_MS = LATEST_MS - 24 * 3600 * 1000  # in any zone

INDENT = " " * 9
"""Before continuation lines: as wide as the time, so that none looks like a sender's."""


class ReaderGone(Exception):
    """Whoever read our output has closed it: `… | head -1`. Not an OSError, which typer would make a failure of."""


def out(line: str) -> None:
    """A line of data.

    Raises:
        ReaderGone: nobody reads it any more.
    """
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered cannot be written either, also not when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGone from None


def say(line: str) -> None:
    """A line for the user, on stderr; harmless if nobody can hear it."""
    try:
        sys.stderr.write(f"zchat: {printable(line)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def counted(number: int, what: str) -> str:
    """A number of things, as `1 room` or `2,000 rooms`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


# For people -----------------------------------------------------------------------------------------------------------


def clock(ms: int) -> str:
    """A time of day in the user's zone."""
    return datetime.fromtimestamp(min(ms, _LATEST_MS) / 1000, UTC).astimezone().strftime("%H:%M:%S")


def said_line(event: heard.Said, room: str = "") -> str:
    """A message, as people read it.

    Args:
        room: to be named; empty where it goes without saying.
    """
    message = event.message
    name, text = printable(message.name), message_text(message)
    return f"{clock(message.ms)} {where(event.room, room, mine=event.mine)}" + (
        f"* {name} {text}" if message.action else f"{name}: {text}"
    )


def moment(ms: int) -> str:
    """A date and time in the user's zone."""
    return datetime.fromtimestamp(min(ms, _LATEST_MS) / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def history_line(message: Message) -> str:
    """A message with its number and date, as people read it."""
    name, text = printable(message.name), message_text(message)
    said = f"* {name} {text}" if message.action else f"{name}: {text}"
    return f"#{message.seq} {moment(message.ms)} {said}"


def hit_line(hit: Hit) -> str:
    """What was found, as people read it."""
    return f"{printable(hit.label or hit.room)} {history_line(hit.message)}"


def message_text(message: Message) -> str:
    """What a message says by now."""
    if message.deleted:
        return "(deleted)"
    answers = f"(answers #{message.reply}) " if message.reply else ""
    return answers + block(message.text, INDENT) + (" (edited)" if message.edited else "")


def edited_line(event: heard.Edited, room: str = "") -> str:
    """An edit, as people read it; see `said_line`."""
    edit = event.edit
    who = f"{where(event.room, room, mine=event.mine)}{printable(edit.name)}"
    return f"{clock(edit.ms)} {who} (edited #{edit.target}): {block(edit.text, INDENT)}"


def deleted_line(event: heard.Deleted, room: str = "") -> str:
    """A deletion, as people read it; see `said_line`."""
    deletion = event.deletion
    who = f"{where(event.room, room, mine=event.mine)}{printable(deletion.name)}"
    return f"{clock(deletion.ms)} {who} deleted #{deletion.target}"


def label(room: str, asked: str) -> str:
    """What a room is to be called.

    Args:
        room: as the broker answered: of a private one that is its id.
        asked: as it was asked for.
    """
    return asked if is_private(asked) else room


def where(label: str, room: str, *, mine: bool) -> str:
    """Where something happens, as it stands before it.

    Args:
        label: what the user calls the room: `@NAME` for the one with a person.
        room: to be named; empty where it goes without saying.
    """
    if label.startswith("@"):
        return f"[to {printable(label.removeprefix('@'))}] " if mine else "[private] "
    return f"[{printable(room)}] " if room else ""


def missed_line(event: heard.Missed | heard.UpToDate) -> str:
    """What was missed is about to be told, or has been; as people read it."""
    if isinstance(event, heard.Missed):
        return f"{event.count:,} missed while you were away"
    return "you are up to date"


def presence_lines(event: heard.Presence) -> list[str]:
    """Who came and went, as people read it; each line without the room."""
    lines = [f"{printable(name)} joined" for name in event.joined]
    lines += [f"{printable(name)} left" for name in event.left]
    lines += [f"{printable(name)} was lost" for name in event.lost]
    lines += [f"{printable(old)} is now known as {printable(new)}" for old, new in event.renamed]
    return lines


def gap_line(event: heard.Gap) -> str:
    """What is missing, as people read it."""
    room = printable(event.room)
    if event.last is None:
        return f"{room}: the broker's log began anew; what came after message {event.first - 1} can no longer be had"
    if event.first == event.last:
        return f"{room}: message {event.first} can no longer be had"
    return f"{room}: messages {event.first} to {event.last} can no longer be had"


def notice_line(event: heard.Notice) -> str:
    """What the operator said, as people read it."""
    return f"{clock(event.ms)} -- {printable(event.name)}: {block(event.text, INDENT)}"


# For programs ---------------------------------------------------------------------------------------------------------


def json_line(kind: str, **fields: object) -> str:
    """One object, its fields in the order given. Texts are escaped where a terminal would obey them."""
    parts = "".join(f',"{key}":{_json(value)}' for key, value in fields.items())
    return f'{{"v":1,"kind":"{kind}"{parts}}}'


def _json(value: object) -> str:
    if isinstance(value, str):
        return json_text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(_json(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_json(key)}:{_json(one)}' for key, one in value.items())}}}"
    return str(value)


def stamp(ms: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    return iso(datetime.fromtimestamp(min(ms, _LATEST_MS) / 1000, UTC))


def iso(moment: datetime) -> str:
    """A time of UTC; see `stamp`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def said_json(event: heard.Said) -> str:
    return message_json(event.room, event.message)


def message_json(room: str, message: Message) -> str:
    """A message as it is now."""
    fields: dict[str, object] = {"room": room, "seq": message.seq, "time": stamp(message.ms), "from": message.name}
    if message.deleted:
        return json_line("deleted", **fields)
    fields["text"] = message.text
    fields |= {key: True for key, so in (("action", message.action), ("edited", message.edited)) if so}
    if message.reply:
        fields["reply"] = message.reply
    return json_line("message", **fields, **marks(message.name))


def marks(name: str) -> dict[str, object]:
    """What is to be known of who spoke, beyond the name."""
    return {"bot": True} if is_bot(name) else {}


def edited_json(event: heard.Edited) -> str:
    edit = event.edit
    fields = {"seq": edit.seq, "time": stamp(edit.ms), "from": edit.name, "target": edit.target, "text": edit.text}
    return json_line("edit", room=event.room, **fields, **marks(edit.name))


def deleted_json(event: heard.Deleted) -> str:
    deletion = event.deletion
    fields = {"seq": deletion.seq, "time": stamp(deletion.ms), "from": deletion.name, "target": deletion.target}
    return json_line("delete", room=event.room, **fields, **marks(deletion.name))


def presence_json(event: heard.Presence) -> str:
    return json_line(
        "presence",
        room=event.room,
        count=event.count,
        joined=event.joined,
        left=event.left,
        lost=event.lost,
        renamed=event.renamed,
    )


def gap_json(event: heard.Gap) -> str:
    return json_line("gap", room=event.room, first=event.first, last=event.last)
