"""People who speak in rooms of their own, and when that arrives with whom: what `zchat bench` measures.

All of them live in this process, under one poller. So every time has what the clients cost in it: a message that ten
hear is handled ten times here, one after the other.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil

from zchat.client import events as heard
from zchat.client.crowd import Crowd
from zchat.client.sync import Client

DIGITS = 8
"""Bytes at the beginning of a text that tell it from every other in its room."""

PATIENCE = 10.0
"""Seconds without anything coming, after which what has not come is lost."""

TICK = 0.5
"""Seconds between two looks at whether anything comes at all."""

SETTLE = 0.2
"""Seconds to listen on for what comes twice."""


@dataclass(slots=True)
class Talk:
    """A room, and what is said in it.

    Attributes:
        followers: who hear it.
        speakers: who speak, the next one first.
        said: messages so far; their texts are numbered from 0.
        acked: those of them that were acknowledged.
        flying: of those that are under way, when each was posted in ns, and to how many it has yet to come.
    """

    room: str
    followers: list[Client]
    speakers: deque[Client]
    said: int = 0
    acked: int = 0
    flying: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Stretch:
    """Messages that are measured together.

    Attributes:
        began, ended: in ns; it ends with the last arrival.
        done: messages that have come to everybody.
        arrived: pairs of a message and a follower.
        times: in ns; see `Load`.
        busy: seconds of processor time of the thread that has all clients.
    """

    began: int
    ended: int
    done: int = 0
    arrived: int = 0
    times: array[int] = field(default_factory=lambda: array("q"))
    busy: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.began) / 1e9


class Load:
    """People who speak and hear.

    Args:
        talks: their rooms.
        size: of each text, in bytes.
        under_way: messages under way in a room at most. Of more than one every arrival is timed, else the last of each
            message.
        tell: called at every step with the messages that are done.
    """

    def __init__(self, talks: Sequence[Talk], size: int, under_way: int, tell: Callable[[int], None]) -> None:
        self._talks = talks
        self._size = size
        self._under_way = under_way
        self._tell = tell
        self._of = {client: talk for talk in talks for client in talk.followers}
        self._last = dict.fromkeys(self._of, -1)  # the highest number that each has heard
        speakers = [client for talk in talks for client in talk.speakers]
        self._tickets: dict[Client, deque[tuple[int, Talk, int]]] = {client: deque() for client in speakers}
        self._crowd = Crowd(dict.fromkeys([*self._of, *speakers]))
        self._to_say = 0
        self._stretch = Stretch(0, 0)
        self._heard = self._again = 0

    def say(self, count: int) -> Stretch:
        """Has so many messages said, and waits until all have come, or nothing comes any more."""
        now, busy = time.monotonic_ns(), time.thread_time()
        stretch = self._stretch = Stretch(now, now)
        self._to_say = count
        self._speak()
        while (stretch.done < count or any(self._tickets.values())) and self._moving():
            self._turn(TICK)
            self._tell(stretch.done)
        stretch.busy = time.thread_time() - busy
        return stretch

    def check(self) -> tuple[int, int]:
        """Listens on for what comes twice, and looks up what the broker has.

        Returns:
            How many are lost: pairs of a message and a follower that did not come to be, messages without an ack, and
            messages with one that are not in the log. And how many are duplicated: what came again or after a later
            one, and what is stored twice.
        """
        until = time.monotonic() + SETTLE
        while (left := until - time.monotonic()) > 0:
            self._turn(left)
        lost, again = -self._heard, self._again
        for talk in self._talks:
            lost += talk.said * len(talk.followers) + talk.said - talk.acked
            if talk.acked == talk.said:  # else the broker may be gone
                stored = max((message.seq for message in talk.speakers[0].history(talk.room, 1)), default=0)
                lost += max(talk.said - stored, 0)
                again += max(stored - talk.said, 0)
        return lost, again

    def _moving(self) -> bool:
        return time.monotonic_ns() < self._stretch.ended + PATIENCE * 1e9

    def _speak(self) -> None:
        """Posts what may be under way."""
        for talk in self._talks:
            while self._to_say and len(talk.flying) < self._under_way and talk.speakers[0].session.sendable:
                self._post(talk, talk.speakers[0])
                talk.speakers.rotate(-1)
                self._to_say -= 1

    def _post(self, talk: Talk, speaker: Client) -> None:
        number, text = talk.said, compose(talk.said, self._size)
        talk.flying[number] = time.monotonic_ns(), len(talk.followers) or 1
        self._tickets[speaker].append((speaker.post(talk.room, text), talk, number))
        talk.said += 1

    def _turn(self, timeout: float) -> None:
        """Waits once for something to come, takes in all that did, and goes on speaking."""
        for client in self._crowd.poll(timeout):
            at = time.monotonic_ns()
            for event in client.drain():
                match event:
                    case heard.Said():
                        self._hear(client, event.message.text, at)
                    case heard.Ended():
                        raise event.error
            client.handled()
            self._take_acks(client, at)
        self._speak()

    def _hear(self, client: Client, text: str, at: int) -> None:
        talk = self._of[client]
        number = number_of(text)
        if not 0 <= number < talk.said or text != compose(number, self._size):
            return  # nothing of ours; what was changed on its way is lost
        if number <= self._last[client]:
            self._again += 1
            return
        self._last[client] = number
        self._heard += 1
        self._stretch.arrived += 1
        self._come(talk, number, at)

    def _take_acks(self, client: Client, at: int) -> None:
        tickets = self._tickets.get(client)
        while tickets and (outcome := client.outcome(tickets[0][0])) is not None:
            _, talk, number = tickets.popleft()
            if isinstance(outcome, heard.NotSent):
                raise outcome.error
            talk.acked += 1
            if not talk.followers:
                self._come(talk, number, at)

    def _come(self, talk: Talk, number: int, at: int) -> None:
        """A message has come to one more of those whom it is to come to."""
        stretch = self._stretch
        stretch.ended = at
        posted, left = talk.flying[number]
        if left == 1 or self._under_way > 1:
            stretch.times.append(at - posted)
        if left > 1:
            talk.flying[number] = posted, left - 1
            return
        del talk.flying[number]
        stretch.done += 1


def compose(number: int, size: int) -> str:
    """A text of so many bytes, `DIGITS` at least, like no other in its room."""
    return f"{number:0{DIGITS}} ".ljust(size, "abcdefghijklmnopqrstuvwxyz"[number % 26])[:size]


def number_of(text: str) -> int:
    """Which message a text is; -1 for none of ours."""
    return int(text[:DIGITS]) if text[:DIGITS].isdecimal() else -1


def percentile(times: Sequence[int], percent: float) -> float | None:
    """The smallest of ordered times in ns that so many percent do not exceed (nearest rank), in ms; None of none."""
    return round(times[max(ceil(len(times) * percent / 100), 1) - 1] / 1e6, 3) if times else None
