"""A session, and who plays the broker and the sockets."""

from __future__ import annotations

from itertools import count
from typing import TypeVar

from zchat.client import events as heard
from zchat.client.channel import RESERVE, Command, Transmit
from zchat.client.positions import HEAD, Begin
from zchat.client.session import Session
from zchat.messages import (
    Event,
    Fenced,
    Hello,
    Join,
    Joined,
    Message,
    PrivateRoom,
    Published,
    Replies,
    Reply,
    Request,
    Stamp,
    State,
    Welcome,
)

RUN = b"one life"
OTHER_RUN = b"the next"
CREDIT = RESERVE + 4

R = TypeVar("R", bound=Request)


def said(seq: int, sender: bytes = b"somebody") -> Message:
    return Message(seq, 0, "bob", sender, seq, f"text {seq}")


class Playing:
    """A session, and who plays the broker and the sockets."""

    def __init__(
        self,
        name: str | None = "ann",
        resumed: tuple[Stamp, dict[str, int]] | None = None,
        *,
        missed: bool = False,
        invite: bytes | None = None,
    ) -> None:
        numbers = count(1)
        self.session = Session(
            name, b"P" * 16, lambda size: next(numbers).to_bytes(size, "big"), resumed, missed=missed, invite=invite
        )
        self.now = 100.0
        self.turn = 0
        self.run = RUN
        self.commands: list[Command] = []
        self.asked: list[Request] = []

    # What the session wants

    def obey(self) -> None:
        for command in self.session.commands():
            if isinstance(command, Transmit):
                self.asked += command.requests
            else:
                self.commands.append(command)

    def wants(self, *commands: Command) -> None:
        """The socket commands since last asked."""
        self.obey()
        found, self.commands = self.commands, []
        assert found == list(commands)

    def asks(self, *requests: Request) -> None:
        """The requests since last asked."""
        self.obey()
        found, self.asked = self.asked, []
        assert found == list(requests)

    def asks_one(self, kind: type[R]) -> R:
        """The one request of a kind since last asked."""
        self.obey()
        (found,) = [request for request in self.asked if isinstance(request, kind)]
        self.asked.remove(found)
        return found

    def asks_all(self, kind: type[R]) -> list[R]:
        """The requests of a kind since last asked."""
        self.obey()
        found: list[R] = [request for request in self.asked if isinstance(request, kind)]
        self.asked = [request for request in self.asked if not isinstance(request, kind)]
        return found

    def hears(self, *events: heard.Event) -> None:
        found = list(self.session.events)
        self.session.events.clear()
        assert found == list(events)

    def skip(self) -> None:
        """What happened so far is of no interest."""
        self.obey()
        self.commands, self.asked = [], []
        self.session.events.clear()

    def skip_events(self) -> None:
        """What was heard so far is of no interest."""
        self.session.events.clear()

    # What happens to it

    def stamp(self) -> Stamp:
        self.turn += 1
        return Stamp(self.run, self.turn)

    def reply(self, *items: Reply) -> None:
        self.session.replied(Replies(self.stamp(), items), self.now)
        self.obey()

    def publish(self, room: str, *events: Event, states: tuple[State, ...] = ()) -> None:
        self.session.published(room, Published(self.stamp(), events, states), self.now)
        self.obey()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.session.tick(self.now)
        self.obey()

    def connect(self) -> Hello:
        self.session.connected(self.now)
        return self.asks_one(Hello)

    def lose(self) -> None:
        self.session.disconnected("pulled", self.now)
        self.obey()

    def welcome(
        self,
        hello: Hello,
        *,
        last: int = 0,
        vouched: bool = True,
        private: tuple[PrivateRoom, ...] = (),
        role: str = "",
    ) -> None:
        name = hello.name
        self.reply(
            Welcome(
                q=hello.q,
                session=b"S" * 16,
                sender=b"annspipe",
                name=name,
                pub_port=5556,
                credit=CREDIT,
                text_limit=100,
                heartbeat=30.0,
                last=last,
                vouched=vouched,
                resumed=False,
                banner="hi",
                private=private,
                role=role,
            )
        )

    def open(self) -> Hello:
        hello = self.connect()
        self.welcome(hello)
        self.skip()
        return hello

    def fence(self, k: int) -> None:
        self.reply(Fenced(k))

    def enter(self, room: str = "lobby", head: int = 0, k: int = 1) -> None:
        """The user joins, and all goes well."""
        self.session.join(room, quiet=False, now=self.now)
        self.fence(k)
        self.joined(self.asks_one(Join), head)
        self.skip()

    def joins(self, room: str, begin: Begin = HEAD, *, head: int = 0, k: int = 1, mark: int | None = None) -> None:
        """The user joins, and it is answered; what follows from that is looked at."""
        self.session.join(room, begin, quiet=False, now=self.now)
        self.fence(k)
        self.joined(self.asks_one(Join), head, mark=mark)

    def joined(
        self,
        join: Join,
        head: int = 0,
        version: int = 1,
        names: tuple[str, ...] = ("ann",),
        mark: int | None = None,
    ) -> None:
        self.reply(Joined(join.q, join.room, head, version, len(names), names, mark))
