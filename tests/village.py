"""People of all ranks in rooms with doors: dialogues with a hub where everybody has a key."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from dialogue import Dialogue, Peer

from zchat import codec
from zchat.address import Address
from zchat.broker.admission import Door, Mode, person_of
from zchat.broker.inputs import Met, Received
from zchat.messages import (
    About,
    Ack,
    Act,
    Acted,
    Admin,
    BanRow,
    Done,
    Event,
    Failed,
    Join,
    Joined,
    List,
    Listed,
    Numbered,
    Private,
    Refused,
    Reply,
    RoomState,
    Row,
    Send,
    Welcome,
)
from zchat.store.memory import MemoryStore
from zchat.verbs import AUDIT

ROLES = {"olga": "owner", "stan": "moderator", "sven": "moderator"}
"""Who is something to the broker; all others are members."""


class Village(Dialogue):
    """A broker that lets everybody in who has a key."""

    def __init__(self, store: MemoryStore | None = None, **settings: Any) -> None:
        self.authorized = {key_of(name): role for name, role in ROLES.items()}
        door = Door(Address("here", 5555), b"B" * 32, Mode.OPEN, self.authorized)
        super().__init__(store, door, **settings)

    def secret(self, size: int = 16) -> bytes:
        return hashlib.blake2b(super().secret(8), digest_size=size).digest()

    def again(self, **settings: Any) -> Village:
        """A broker that was started anew on the same store."""
        made = Village(self.store, **settings)
        made.ms = self.ms
        made._secrets = self._secrets
        return made

    def comes(self, name: str, *rooms: str, key: bytes = b"", program: str = "") -> Villager:
        """Somebody comes, and joins rooms.

        Args:
            program: which of several that this person has.
        """
        made = self.knocks(name, key=key, program=program)
        welcome = made.hello()
        made.name, made.n = welcome.name, welcome.last
        for room in rooms:
            made.joins(room)
        return made

    def knocks(self, name: str | None, *, key: bytes = b"", program: str = "") -> Villager:
        """Somebody who has shown a key, and said nothing yet."""
        own = f"{name} {program}".encode().ljust(16, b".")
        made = Villager(self, name, client=own, fence=own[::-1])
        made.key = key or key_of(name or "")
        self.turn(Met(made.id, made.key))
        return made

    def all_do(self, *said: tuple[Villager, Any]) -> None:
        """Many say something in one turn, each in a frame of its own, in this order."""
        planned = {who: who.n for who, _ in said}
        frames = []
        for who, request in said:
            if isinstance(request, Numbered):
                planned[who] += 1
                request = msgspec.structs.replace(request, n=planned[who])
            frames.append(Received(who.id, [request]))
        self.turn(*frames)
        for who, last in planned.items():
            who.n = last

    def log(self) -> list[Acted]:
        """The audit log."""
        return [one for one in self.store.read(AUDIT, 0, 10_000, 1 << 30).events if isinstance(one, Acted)]

    def events(self, room: str = "den") -> list[Event]:
        """What was published of a room in the last turn."""
        return [codec.decode_event(one) if isinstance(one, bytes) else one for one in self.published(room).events]


def key_of(name: str) -> bytes:
    """Somebody's key."""
    return name.encode().ljust(32, b".")


class Villager(Peer):
    """Somebody, and a program of theirs."""

    key = b""

    @property
    def person_id(self) -> bytes:
        """As whom the hub knows it."""
        return person_of(self.key)

    def returns_for_welcome(self) -> Welcome:
        """The same program comes anew; gives how it is welcomed."""
        return self.hello(resume=None)

    def joins(self, room: str = "lobby", *, quiet: bool = False) -> Joined:
        found = [item for item in self.asks(Join(2, room, quiet)) if isinstance(item, Joined)]
        assert found, self.heard
        return found[0]

    def act(self, verb: str, room: str = "den", name: str = "", **given: Any) -> list[Reply]:
        """Does something in a room; gives what it hears."""
        self.n += 1
        heard = self.asks(Act(self.n, verb, room, name, **given))
        self.n -= any(isinstance(item, Refused) and item.retry_ms for item in heard)
        return heard

    def does(self, verb: str, room: str = "den", name: str = "", **given: Any) -> list[Reply]:
        """Does something that is allowed; gives what else it hears."""
        heard = self.act(verb, room, name, **given)
        assert any(isinstance(item, Ack) for item in heard), heard
        return [item for item in heard if not isinstance(item, Ack)]

    def fails(self, verb: str, room: str = "den", name: str = "", **given: Any) -> str:
        """Does something that is refused: with which code."""
        (refused,) = self.act(verb, room, name, **given)
        assert isinstance(refused, Refused), refused
        assert not self.dialogue.effects.published
        assert set(self.dialogue.replies) == {self.id}
        return refused.code

    def say(self, room: str, text: str = "hi") -> str:
        """Says something: refused with which code, empty if it is not."""
        self.n += 1
        heard = self.asks(Send(self.n, room, text))
        refused = next((item for item in heard if isinstance(item, Refused)), None)
        self.n -= bool(refused and refused.retry_ms)
        return refused.code if refused is not None else ""

    def order(self, verb: str, name: str = "", seconds: int = 0, text: str = "") -> None:
        """Gives an order that is obeyed."""
        assert Done(7) in self.asks(Admin(7, verb, name, seconds, text)), self.heard

    def order_fails(self, verb: str, name: str = "", seconds: int = 0, text: str = "") -> str:
        """Gives an order that is not obeyed: why."""
        return self.refused(Admin(7, verb, name, seconds, text))

    def about(self, room: str = "den") -> RoomState:
        """How things are in a room."""
        (told,) = self.asks(About(1, room))
        assert isinstance(told, RoomState), told
        return told

    def lists(self, what: str, room: str = "") -> list[Row]:
        """A whole list."""
        found: list[Row] = []
        more = True
        while more:
            (told,) = self.asks(List(1, what, room, found[-1].key if found else ""))
            assert isinstance(told, Listed), told
            found += told.rows
            more = told.more
        return found

    def bans(self, room: str = "") -> list[tuple[str, str, int]]:
        """Who is banned or muted: name, how, until when."""
        return [(row.name, row.verb, row.until) for row in self.lists("bans", room) if isinstance(row, BanRow)]

    def tells(self, *requests: Any) -> str:
        """Asks for something: refused with which code, empty if it is not."""
        return next((item.code for item in self.asks(*requests) if isinstance(item, Failed | Refused)), "")

    def hears(self) -> list[Event]:
        """What it heard of private rooms in the last turn."""
        return [event for item in self.heard if isinstance(item, Private) for event in item.events]
