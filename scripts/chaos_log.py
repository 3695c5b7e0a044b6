"""What the clients of a chaos run note for themselves, line by line, and the history that their notes make together.

A line is a JSON array: what happened, when in nanoseconds of the system's monotonic clock, to which client, and more.
Each is written at once and whole: who is killed loses at most the line under way. A message is noted before it is
handed over; so whatever the broker has of it was noted.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.checker import Event, Gap, History, Log, Outcome, Send, Stream, stays


def private(one: str, other: str) -> str:
    """What the private room of two clients is called in the notes: the same by both."""
    return "@" + "+".join(sorted((one, other)))


class Journal:
    """One process's notes.

    Args:
        path: of the file; made anew.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o600)

    def note(self, what: str, client: str, *more: Any) -> None:
        """Notes that something happens now. Any thread may."""
        line = json.dumps((what, time.monotonic_ns(), client, *more), separators=(",", ":"), ensure_ascii=False)
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Nothing more is noted."""
        os.close(self._file)


def lines(path: Path) -> Iterator[list[Any]]:
    """What was noted in a file; it may not be there yet, and its last line may be cut off."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return


def positions(paths: Iterable[Path]) -> dict[tuple[str, str], int]:
    """How far clients had heard in rooms, by their names, as far as they have noted."""
    found: dict[tuple[str, str], int] = {}
    for path in paths:
        for what, _, client, *more in lines(path):
            if what == "heard":
                found[client, more[0]] = more[1]
            elif what == "gap":
                found[client, more[0]] = more[1] - 1 if more[2] is None else more[2]
    return found


@dataclass(slots=True)
class Notes:
    """All notes of a run, read together.

    Attributes:
        sends: by text.
        heard_at: when each text was heard, in nanoseconds: the moment and by whom.
        connected: when clients were welcomed: the moment, by whom, and whether they had been before.
        ended: sessions that ended for good, and why.
        refused: why messages failed, and how often.
        unfinished: clients that did not hear everything in the end, though they were given time.
        overheard: what came over its sockets of each private room, by client and the room's id.
    """

    sends: dict[str, Send] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)
    heard_at: list[tuple[int, str, str]] = field(default_factory=list)
    connected: list[tuple[int, str, bool]] = field(default_factory=list)
    ended: list[tuple[int, str, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    unfinished: list[str] = field(default_factory=list)
    overheard: dict[tuple[str, str], Stream] = field(default_factory=dict)
    _ends: dict[tuple[str, str], int] = field(default_factory=dict)
    _private: list[tuple[Stream, int]] = field(default_factory=list)  # and up to where an earlier session had heard
    _let_in: list[tuple[Stream, int]] = field(default_factory=list)  # begun by being let in, and when that was heard

    def read(self, path: Path) -> None:
        """Takes in the notes of one life of a process, after those of its earlier ones."""
        open_streams: dict[tuple[str, str], Stream] = {}
        lives: dict[str, int] = defaultdict(int)

        def stream(client: str, room: str) -> Stream:
            key = (client, room)
            if key not in open_streams:
                who = f"{client} ({path.stem}, session {lives[client]})"
                open_streams[key] = Stream(who, client, room)
                self.streams.append(open_streams[key])
                if room[0] in "@+":
                    self._private.append((open_streams[key], self._ends.get(key, 0)))
            return open_streams[key]

        def hear(client: str, room: str, item: Event | Gap, last: int) -> None:
            stream(client, room).heard.append(item)
            self._ends[client, room] = last

        for what, at, client, *more in lines(path):
            match what:
                case "send":
                    room, text, deletes = more
                    self.sends[text] = Send(client, room, text, at, deletes=deletes)
                case "ok":
                    send = self.sends[more[0]]
                    send.outcome, send.seq, send.acked_at = Outcome.OK, more[1], at
                case "failed":
                    self.sends[more[0]].outcome = Outcome.FAILED
                    self.refused[more[1].partition("(")[0]] += 1
                case "heard":
                    room, seq, *_ = more
                    hear(client, room, replace(Event(*more[1:]), at=at), seq)
                    self.heard_at.append((at, client, more[3]))
                case "came":
                    over = Stream(f"{client}'s socket", client, more[0])
                    over = self.overheard.setdefault((client, more[0]), over)
                    over.heard += [Event(seq, "an event", "", at=at) for seq in more[1]]
                case "gap":
                    room, first, last = more
                    hear(client, room, Gap(first, last), first - 1 if last is None else last)
                case "session":
                    lives[client] += 1
                    open_streams = {key: one for key, one in open_streams.items() if key[0] != client}
                case "join":
                    stream(client, more[0]).after = more[1]
                case "connected":
                    self.connected.append((at, client, more[0]))
                case "removed":
                    open_streams.pop((client, more[0]), None)
                case "added":
                    open_streams[client, more[0]] = begun = Stream(f"{client} ({path.stem}, let in)", client, more[0])
                    self.streams.append(begun)
                    self._let_in.append((begun, at))
                case "complete":
                    stream(client, more[0]).complete = True
                case "ended":
                    self.ended.append((at, client, more[0]))
                case "finished" if not more[0]:
                    self.unfinished.append(client)

    def history(
        self, logs: dict[str, Log], members: dict[str, set[str]], called: Mapping[str, str] | None = None
    ) -> History:
        """The history to be checked.

        Args:
            logs: of every room, as read at the end.
            members: of every room that is not private; private rooms are added.
            called: what private rooms are called here, by their ids.
        """
        for stream, before in self._private:
            stream.after = self._begins(stream, before, logs)
        for stream, at in self._let_in:
            stream.after = self._was_let_in(stream, at, logs)
        for stream, _ in (*self._private, *self._let_in):
            log = logs.get(stream.room)
            if log is not None and stream.complete and stream.heard:
                last = stream.heard[-1]
                reached = last.seq if isinstance(last, Event) else last.last or 0
                # What the person said itself counts as read.
                left = [event for event in log.events if event.seq > reached]
                stream.complete = not all(self._said(event, stream.client) for event in left)
        rooms = {send.room for send in self.sends.values()} | {stream.room for stream in self.streams}
        both = {room: set(room[1:].split("+")) for room in rooms if room.startswith("@")}
        guarded = {room for room in rooms if room.startswith("+")}
        overheard = [replace(one, room=(called or {}).get(one.room, one.room)) for one in self.overheard.values()]
        both |= {one.room: set(one.room[1:].split("+")) for one in overheard if one.room.startswith("@")}
        return History(list(self.sends.values()), self.streams, logs, {**members, **both}, guarded, overheard)

    def _said(self, event: Event, client: str) -> bool:
        send = self.sends.get(event.text)
        return send is not None and send.client == client

    def _was_let_in(self, stream: Stream, at: int, logs: dict[str, Log]) -> int | None:
        """Where a stream begins, at the latest, that began by somebody's being let in: it hears of that itself.

        Args:
            at: when it was told.
        """
        log = logs.get(stream.room)
        let_in = [event for event in log.events if event.verb in ("create", "invite")] if log is not None else []
        mine = [event.seq for event in let_in if event.whom == stream.client and self._asked(event) <= at]
        if not mine or not stream.heard:
            return max(mine, default=1) - 1 if stream.complete else None
        first = stream.heard[0]
        return min(max(mine), first.seq if isinstance(first, Event) else first.first) - 1

    def _asked(self, event: Event) -> int:
        send = self.sends.get(event.text)
        return send.at if send is not None else 0

    def _begins(self, stream: Stream, before: int, logs: dict[str, Log]) -> int:
        """Where a stream of a private room begins, at the latest.

        Nobody tells the client: it is where the person had read to, and that is told to the broker a little late. What
        the person said counts as read, and so does what was said before it was let in again.

        Args:
            before: up to where an earlier session had heard.
        """
        log = logs.get(stream.room)
        first = None
        if stream.heard:
            first = stream.heard[0].seq if isinstance(stream.heard[0], Event) else stream.heard[0].first
        mine = stays(log.events).get(stream.client, []) if log is not None else []
        if first is None:
            before = max([before, *(stay.since - 1 for stay in mine[-1:])])
        else:
            # It begins with the turn in which it was let in.
            sent_out = [0, *(stay.until or 0 for stay in mine)]
            if any(out <= first <= stay.since for out, stay in zip(sent_out, mine, strict=False)):
                return first - 1
        texts = {event.seq: event.text for event in log.events} if log is not None else {}
        while (send := self.sends.get(texts.get(before + 1, ""))) is not None and send.client == stream.client:
            before += 1
        return before if first is None else min(before, first - 1)


def gather(paths: Iterable[Path]) -> Notes:
    """Reads the notes of all processes of a run."""
    notes = Notes()
    for path in sorted(paths):
        notes.read(path)
    return notes
