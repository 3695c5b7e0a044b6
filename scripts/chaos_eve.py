"""Somebody who is in no private room, and tries to hear what is said there: with frames of her own, on both sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import zmq

from scripts.chaos_client import secret
from scripts.chaos_hostile_actor import Actor
from scripts.chaos_raw import NoAnswer, Raw
from zchat import address, codec, errors
from zchat.messages import (
    About,
    Act,
    Added,
    Beat,
    Closing,
    Delete,
    Edit,
    Failed,
    Fenced,
    Found,
    Heartbeat,
    History,
    Join,
    List,
    Mark,
    Notice,
    Pong,
    Private,
    Read,
    Refused,
    Reply,
    Request,
    RoomList,
    Rooms,
    Search,
    Unfenced,
    Welcome,
    Who,
)

NAME = "eve"

ROUND = 1.0
"""Seconds that she listens before she tries anew."""

PATIENCE = 2.0
"""Seconds that an answer may take, before she takes the broker for dead."""

AGAIN = 0.2
"""Seconds before she tries again where nobody answers."""


def questions(room: str, n: int) -> list[Request]:
    """All that may be asked of a room, or done there, by who is let in nowhere.

    Args:
        room: its id, or what others call it.
        n: the send number that is due.
    """
    looks: list[Request] = [
        Join(10, room),
        Read(11, room, 0, 10),
        History(12, room),
        Search(13, "c000", room),
        Who(14, room),
        About(15, room),
        List(16, "bans", room),
        Mark(17, room, 1),
    ]
    acts = [Act(0, verb, room, NAME, text="eve was here") for verb in ("invite", "kick", "topic", "op")]
    done: list[Request] = [Edit(n, room, 1, "eve was here"), Delete(n + 1, room, 1)]
    done += [Act(n + 2 + at, act.verb, act.room, act.name, text=act.text) for at, act in enumerate(acts)]
    return looks + done


def leaks(room: str, answers: Sequence[Reply]) -> Iterator[str]:
    """What she was told that she should not have been; an empty room for what she was not asking about one."""
    for one in answers:
        match one:
            case Failed() | Refused() | Pong() | Fenced() | Unfenced() | Notice() | Closing() | Welcome(private=()):
                continue
            case Found(hits=()):
                continue
            case Beat(moved=moved) if not any(each.room.startswith("@") for each in moved):
                continue
            case RoomList(rooms=rooms) if not any(each.room[0] in "@+" for each in rooms):
                continue
        of = f" of {room}" if room else ""
        yield f"rule 8: somebody who is in no private room hears{of}: {one!r:.200}"


class Eve(threading.Thread):
    """She tries again and again while a run lasts.

    Args:
        url: of the broker.
        keepers: who know the ids of private rooms: she has them of these.

    Attributes:
        asked: how much she asked for that was answered.
        tuned: frames that she heard of public rooms: so she does listen.
        heard: what she should not have heard, in words.
    """

    def __init__(self, url: str, keepers: Sequence[str]) -> None:
        super().__init__(name=NAME, daemon=True)
        self.asked = self.tuned = 0
        self.heard: list[str] = []
        self._url = url
        self._keepers = keepers
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self.round(ROUND)
            except (NoAnswer, errors.Undecodable, zmq.ZMQError):
                self._ended.wait(AGAIN)
            except Exception as error:  # nobody is to take her silence for peace
                self.heard.append(f"who tries to hear what is not hers could not go on: {error!r}")
                return

    def end(self) -> None:
        """She goes."""
        self._ended.set()
        if self.is_alive():
            self.join(30)

    def round(self, seconds: float) -> None:
        """Comes in, subscribes to whatever private rooms would be published under, and asks for each.

        Args:
            seconds: to listen for.

        Raises:
            NoAnswer: the broker is not there.
        """
        rooms: dict[str, str] = {}
        for keeper in self._keepers:
            with Raw(self._url, secret(keeper), timeout=PATIENCE) as one:
                rooms |= {told.room: told.label for told in one.welcome.private}
        with Actor(self._url, NAME, person=secret(NAME)) as eve, zmq.Context() as context:
            eve.patience = int(PATIENCE * 1000)
            welcome = eve.hello()
            if not isinstance(welcome, Welcome):
                raise NoAnswer(f"eve cannot come in: {welcome!r}")
            with context.socket(zmq.SUB) as sub:
                sub.linger = 0
                sub.connect(f"tcp://{address.parse(self._url).host}:{welcome.pub_port}")
                for topic in (b"r.@", b"r.+", codec.room_topic("room0"), codec.fence_topic(eve.fence, 1)):
                    sub.subscribe(topic)
                until = time.monotonic() + seconds
                self.heard += leaks("", [welcome])
                for room, label in rooms.items():
                    if eve.lost or self._ended.is_set():
                        break
                    for wanted in (room, label) if label.startswith("+") else (room,):
                        answers = eve.asks(*questions(wanted, eve.n + 1))
                        self.heard += leaks(wanted, answers)
                        self.asked += sum(isinstance(one, Failed | Refused) for one in answers)
                        eve.n = max(
                            [eve.n, *(one.n for one in answers if isinstance(one, Refused) and not one.retry_ms)]
                        )
                    self._listen(sub, 0)
                while time.monotonic() < until and not self._ended.is_set():
                    self._listen(sub, 50)
                answers = [*eve.asks(Rooms(20), Heartbeat(21)), *eve.waits(1)]
                self.heard += leaks("", [one for one in answers if not isinstance(one, Private | Added)])
                self.heard += [
                    f"rule 8: eve hears {one!r:.200}" for one in eve.heard if isinstance(one, Private | Added)
                ]

    def _listen(self, sub: zmq.Socket[bytes], milliseconds: int) -> None:
        while sub.poll(milliseconds):
            room, frame = codec.decode_published(sub.recv())
            if room[0] in "@+":
                self.heard.append(f"rule 8: {room} is published: {frame!r:.200}")
            self.tuned += 1
            milliseconds = 0
