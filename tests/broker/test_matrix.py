"""Every command × everybody who may try it, in a public room and in a private one: who may, and what the others hear.

What stands here is said anew, not looked up in the tables of the broker: a command without a row here fails, and so
does one that lets others in than the row says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from dialogue import Dialogue, Peer

from zchat import codec
from zchat.address import Address
from zchat.broker.admission import Door
from zchat.broker.commands import TABLE
from zchat.broker.inputs import Met, Received
from zchat.messages import (
    About,
    Act,
    Admin,
    Ask,
    Bot,
    Bye,
    Delete,
    Device,
    Edit,
    Failed,
    Heartbeat,
    Hello,
    History,
    Join,
    Leave,
    Link,
    Links,
    List,
    Mark,
    Nick,
    Numbered,
    Page,
    Ping,
    Read,
    Refused,
    Request,
    Revoke,
    Rooms,
    Search,
    Send,
    Stamp,
    Welcome,
    Who,
)
from zchat.verbs import ACTS, ADMIN, AUDIT, LISTS

Making = Callable[[str], Request]

MEMBER, MODERATOR, FOUNDER, STAFF, OWNER, NOBODY = range(6)

IN_ROOM = {"member": MEMBER, "bot": MEMBER, "muted": MEMBER, "moderator": MODERATOR, "founder": FOUNDER}
"""What those who are in both rooms are there."""

SENT_OUT = ("outsider", "kicked", "banned", "his-bot")
"""Those who are not in the private room, and nothing to the broker: the bot is that of who is banned."""

WITH_BROKER = {"staff": STAFF, "owner": OWNER}
"""Those who are something to the broker, and not in the private room."""

UNKNOWN = ("silent", "no-key", "wrong-key", "revoked", "locked-out")
"""Those who have no session: who says nothing, and those who are not let in."""

EVERYBODY = [*UNKNOWN, "visitor", *SENT_OUT, *IN_ROOM, *WITH_BROKER]

BANNED = ("banned", "his-bot")


class Row(NamedTuple):
    """What is asked, and who may.

    Attributes:
        ask: makes the request for a room.
        least: who may, at least, in a room or of the broker.
        room: whether it asks for a room, and so is refused to who may not read that.
        named: whether it takes a name.
        speaks: whether who is muted may not.
        hidden: what who may not read a private room hears, by its label, and by its id.
        public: who may, at least, in a public room, where that is not the same.
        bots: whether bots may.
    """

    ask: Making
    least: int = MEMBER
    room: bool = True
    named: bool = False
    speaks: bool = False
    hidden: tuple[str, str] = ("no-such-room", "no-such-room")
    public: int | None = None
    bots: bool = True


def act(verb: str, least: int = MODERATOR, *, speaks: bool = False, public: int | None = None, **given: Any) -> Row:
    """A row of what is done in a room."""
    return Row(lambda room: Act(1, verb, room, **given), least, named=True, speaks=speaks, public=public)


def admin(verb: str, least: int = STAFF, name: str = "victim", **given: Any) -> Row:
    """A row of what is done to the broker."""
    return Row(lambda _room: Admin(1, verb, name, **given), least, room=False)


def own(ask: Making, least: int = MEMBER, **more: Any) -> Row:
    """A row that is about no room."""
    return Row(ask, least, room=False, **more)


NEVER = ("name-invalid", "name-invalid")

ROWS = {
    "send": Row(lambda room: Send(1, room, "hi"), named=True, speaks=True, hidden=("no-such-room", "no-such-person")),
    "edit": Row(lambda room: Edit(1, room, 0, "new"), named=True, speaks=True),
    "delete": Row(lambda room: Delete(1, room, 0), named=True),
    "join": Row(lambda room: Join(1, room)),
    "leave": Row(lambda room: Leave(1, room), hidden=("", "")),
    "rooms": own(lambda _: Rooms(1)),
    "read": Row(lambda room: Read(1, room, 0, 10)),
    "history": Row(lambda room: History(1, room)),
    "search": Row(lambda room: Search(1, "secret", room)),
    "mark": Row(lambda room: Mark(1, room, 1)),
    "who": Row(lambda room: Who(1, room)),
    "who at all": own(lambda _: Who(1)),
    "who was here": own(lambda _: Who(1, away=True)),
    "nick": own(lambda _: Nick(1, "another"), named=True),
    "ask": own(lambda _: Ask(1, "day")),
    "link": own(lambda _: Link(1), STAFF),
    "link to a room": Row(lambda room: Link(1, room), NOBODY, hidden=NEVER, public=STAFF),
    "link for staff": own(lambda _: Link(1, role="moderator"), OWNER),
    "device": own(lambda _: Device(1), bots=False),
    "links": own(lambda _: Links(1)),
    "revoke": own(lambda _: Revoke(1, name="victim"), STAFF),
    "about": Row(lambda room: About(1, room)),
    "bot": own(lambda _: Bot(1, b"n" * 32, "newbot"), bots=False),
    "ping": own(lambda _: Ping(1)),
    "heartbeat": own(lambda _: Heartbeat(1)),
    "bye": own(lambda _: Bye(1)),
    "act create": Row(lambda _: Act(1, "create", "+own"), room=False, named=True),
    "act topic": act("topic", text="new"),
    "act invite": act("invite", name="guest", public=NOBODY),
    "act kick": act("kick", name="victim"),
    "act ban": act("ban", name="victim", seconds=60),
    "act unban": act("unban", name="ben"),
    "act mute": act("mute", name="victim"),
    "act unmute": act("unmute", name="moe"),
    "act op": act("op", FOUNDER, name="victim"),
    "act deop": act("deop", FOUNDER, name="max"),
    "act readonly": act("readonly", on=True),
    "act slow": act("slow", seconds=5),
    "act pin": act("pin", target=2),
    "act unpin": act("unpin", target=1),
    "act react": act("react", MEMBER, speaks=True, target=1, text=":ok:"),
    "act unreact": act("unreact", MEMBER, speaks=True, target=1, text=":ok:"),
    "admin ban": admin("ban"),
    "admin unban": admin("unban", name="lou"),
    "admin kick": admin("kick"),
    "admin mute": admin("mute"),
    "admin unmute": admin("unmute", name="hush"),
    "admin announce": admin("announce", name="", text="lunch"),
    "admin drain": admin("drain", OWNER, name=""),
    "admin block": admin("block", MEMBER),
    "admin unblock": admin("unblock", MEMBER, name="guest"),
    "list bans": Row(lambda room: List(1, "bans", room), MODERATOR),
    "list bans everywhere": own(lambda _: List(1, "bans"), STAFF),
    "list rooms": own(lambda _: List(1, "rooms"), STAFF),
    "list people": own(lambda _: List(1, "people"), STAFF),
    "list sessions": own(lambda _: List(1, "sessions"), STAFF),
    "list blocks": own(lambda _: List(1, "blocks")),
    "list bots": own(lambda _: List(1, "bots")),
}


class World:
    """A broker under CURVE with everybody there, a public room `den`, and a private room `+plans`."""

    def __init__(self) -> None:
        keys = {name: name.ljust(32, ".").encode() for name in (*EVERYBODY, "victim", "guest", "max", "lou", "hush")}
        bots, refused = ("bot", "his-bot"), ("no-key", "wrong-key")
        authorized = {key: "member" for name, key in keys.items() if name not in (*bots, *refused)}
        authorized |= {keys["staff"]: "moderator", keys["owner"]: "owner"}
        self.talk = Dialogue(door=Door(Address("here", 5555), b"B" * 32, authorized=authorized))
        called = {"banned": "ben", "muted": "moe", "visitor": None, "his-bot": "hisbot"}
        self.peers = {name: Peer(self.talk, called.get(name, name)) for name in keys}
        self.talk.turn(*(Met(peer.id, keys[name]) for name, peer in self.peers.items() if name != "no-key"))
        come = [name for name in keys if name not in (*bots, *refused, "silent")]
        self.all_ask(come, lambda name: self.peers[name].greeting())
        for peer in self.peers.values():
            peer.token = next((item.session for item in peer.heard if isinstance(item, Welcome)), None)
        self.ask("member", Bot(2, keys["bot"], "bot"))
        self.ask("banned", Bot(2, keys["his-bot"], "hisbot"))
        self.all_ask(bots, lambda name: self.peers[name].greeting())
        come = [*(name for name in come if name not in ("visitor", "revoked", "locked-out", "guest")), *bots]
        self.all_ask(["visitor", *come], lambda _: Admin(2, "block", "guest"))
        self.ask("founder", Act(0, "create", "den"), Act(0, "create", "+plans"))
        (self.id,) = (room.name for room in self.talk.hub.rooms.by_name.values() if room.title)
        inside = [*IN_ROOM, "kicked", "banned", "his-bot", "victim", "max"]
        called |= {name: peer.name for name, peer in self.peers.items()}
        called |= {"bot": "bot[bot]", "his-bot": "hisbot[bot]"}
        for name in inside:
            if name != "founder":
                self.ask("founder", Act(0, "invite", "+plans", called[name] or ""))
        self.all_ask(come, lambda _: Join(3, "den"))
        self.all_ask(inside, lambda _: Join(3, "+plans"))
        self.ask("founder", Send(0, "+plans", "secretfirst"), Send(0, "den", "first"))
        self.ask("founder", Send(0, "+plans", "secretfirst"), Send(0, "den", "first"))
        self.all_ask(come, lambda _: Send(0, "den", "mine"))
        self.all_ask(inside, lambda _: Send(0, "+plans", "secretmine"))
        for room in ("den", "+plans"):
            done: list[dict[str, Any]] = [
                {"verb": "topic", "text": "secrettopic" if room == "+plans" else "public"},
                {"verb": "op", "name": "moderator"},
                {"verb": "op", "name": "max"},
                {"verb": "kick", "name": "kicked", "text": "secretreason" if room == "+plans" else ""},
                {"verb": "ban", "name": "ben", "text": "secretreason" if room == "+plans" else ""},
                {"verb": "mute", "name": "moe"},
                {"verb": "pin", "target": 1},
            ]
            self.ask("founder", *(Act(0, room=room, **one) for one in done))
        self.ask("owner", Revoke(4, name="revoked"), Admin(4, "ban", "locked-out"))
        self.ask("owner", Admin(4, "ban", "lou"), Admin(4, "mute", "hush"))

    def ask(self, name: str, *requests: Request) -> list[Any]:
        """Somebody asks for something that is allowed."""
        heard = self.peers[name].asks(*self.numbered(name, *requests))
        assert not any(isinstance(item, Failed | Refused) for item in heard), (name, heard)
        return heard

    def numbered(self, name: str, *requests: Request) -> list[Request]:
        """The requests under the next send numbers."""
        session = self.talk.hub.sessions.at(self.peers[name].id)
        n = session.sends.planned if session is not None and session.sends is not None else 0
        found: list[Request] = []
        for one in requests:
            if isinstance(one, Numbered):
                n += 1
                one = msgspec.structs.replace(one, n=n)
            found.append(one)
        return found

    def all_ask(self, names: Any, make: Callable[[str], Request]) -> None:
        """Many ask at once."""
        self.talk.turn(*(Received(self.peers[name].id, self.numbered(name, make(name))) for name in names))

    def tries(self, name: str, request: Request) -> list[Any]:
        """Somebody asks for something; gives the answer, without the number."""
        heard = self.peers[name].asks(*self.numbered(name, request))
        return [msgspec.structs.replace(item, **_zero(item)) for item in heard]

    def secrets(self) -> list[bytes]:
        """What nobody may learn who is not in the private room."""
        return [self.id.encode(), self.id[1:].encode(), b"plans", b"secret"]


def _zero(item: Any) -> dict[str, int]:
    return {field: 0 for field in ("q", "n") if hasattr(item, field) and isinstance(item, Failed | Refused)}


def code_of(answer: list[Any]) -> str:
    """With which code it was refused; empty if it was not."""
    assert answer, "nobody answers"
    return next((item.code for item in answer if isinstance(item, Failed | Refused)), "")


def expected(row: Row, who: str, room: str) -> str:
    """With which code somebody is refused; empty if not.

    Args:
        room: `public`, `label` or `id`.
    """
    if who in UNKNOWN:
        return "unknown-session"
    if who == "visitor" and row.named:
        return "name-needed"
    if row.room and room != "public" and who not in IN_ROOM:
        return row.hidden[room == "id"]
    if row.room and who in BANNED and row.ask is not ROWS["leave"].ask and row.ask is not ROWS["link to a room"].ask:
        return "banned"
    if not row.bots and who in ("bot", "his-bot"):
        return "not-allowed"
    least = row.least if room != "public" or row.public is None else row.public
    mine = {**IN_ROOM, **WITH_BROKER}.get(who, MEMBER)
    if not row.room and mine < STAFF:
        mine = MEMBER
    if least > mine:
        return row.hidden[0] if row.hidden is NEVER and room != "public" else "not-allowed"
    return "muted" if row.speaks and who == "muted" else ""


def test_every_command_has_its_row() -> None:
    kinds = {kind.__name__.lower() for kind in TABLE} - {"act", "admin", "list"}
    verbs = {f"act {verb}" for verb in ACTS} | {f"admin {verb}" for verb in ADMIN} | {f"list {word}" for word in LISTS}
    assert kinds | verbs <= set(ROWS)
    made = {name: row.ask("den") for name, row in ROWS.items()}
    for name, request in made.items():
        word = getattr(request, "verb", None) or (request.what if isinstance(request, List) else "")
        assert name.startswith(f"{type(request).__name__.lower()} {word}".strip()), "a row asks for something else"


LOOKS = {"rooms", "read", "history", "search", "who", "who at all", "who was here", "ask", "links", "about", "ping"}
LOOKS |= {name for name in ROWS if name.startswith("list ")}
"""What changes nothing."""

SHARED: list[World] = []


def shared() -> World:
    """A world in which nothing was done yet that changes it."""
    if not SHARED:
        SHARED.append(World())
    return SHARED[0]


def room_names(world: World) -> dict[str, str]:
    """What each room is called."""
    return {"public": "den", "label": "+plans", "id": world.id}


@pytest.mark.parametrize("name", ROWS)
def test_who_may(name: str) -> None:
    row = ROWS[name]
    for who in EVERYBODY:
        for room in ("public", "label", "id") if row.room else ("public",):
            wanted = expected(row, who, room)
            world = shared()
            answer = world.tries(who, row.ask(room_names(world)[room]))
            assert code_of(answer) == wanted, (name, who, room, answer)
            if not wanted and name not in LOOKS:
                SHARED.clear()  # it is not as it was


HIDDEN = [name for name, row in ROWS.items() if row.room]


@pytest.mark.parametrize("name", HIDDEN)
def test_to_who_may_not_read_it_a_private_room_is_as_one_that_is_not_there(name: str) -> None:
    row, world = ROWS[name], shared()
    for who in ("visitor", *SENT_OUT, *WITH_BROKER):
        for real, none in (("+plans", "+nowhe"), (world.id, "@" + "0" * 24), (AUDIT, "@:nobod")):
            if real == AUDIT and who in WITH_BROKER:
                continue
            told = [_told(world, who, row.ask(asked), asked) for asked in (real, none)]
            assert told[0] == told[1], (name, who, real)
            assert not any(secret in told[0] for secret in world.secrets()), (name, who, told[0])


def _told(world: World, who: str, request: Request, asked: str) -> bytes:
    """All that somebody hears, and that is published, but for what was asked for."""
    answer = world.tries(who, request)
    assert not world.talk.effects.published
    assert set(world.talk.replies) == {world.peers[who].id}
    frame = b"".join(codec.encode_replies(Stamp(bytes(8), 1), answer))
    return frame.replace(asked.encode()[:32], b"").replace(asked.encode()[1:33], b"")


def test_the_audit_log_is_read_by_staff_and_no_more_than_read() -> None:
    world = shared()
    reads = ("read", "history", "search", "mark", "who", "about", "list bans", "leave")
    for who in WITH_BROKER:
        for name in HIDDEN:
            code = code_of(world.tries(who, ROWS[name].ask(AUDIT)))
            if name in reads:
                assert code == "", (who, name)
            else:
                assert code in ("no-such-room", "no-such-person", "name-invalid"), (who, name, code)
        (page,) = world.tries(who, Read(1, AUDIT, 0, 500))
        assert isinstance(page, Page)
        assert {"create", "invite", "topic", "kick", "ban", "mute", "op", "pin", "bot"} <= {
            event.verb for event in page.events if hasattr(event, "verb")
        }
        assert not any(b"@:audit" in frame for frame in _frames(world, who, [Rooms(1), Heartbeat(1), Who(1)]))
    SHARED.clear()


def _frames(world: World, who: str, requests: list[Request]) -> Iterator[bytes]:
    """All that somebody hears, as it goes over the wire, and all that is published."""
    peer = world.peers[who]
    for request in requests:
        world.talk.turn(
            *_busy(world), Received(peer.id, world.numbered(who, request)), *_busy(world, "moderator", "secretreason")
        )
        yield from codec.encode_replies(Stamp(bytes(8), 1), world.talk.effects.replies.get(peer.id, []))
        for room, told in world.talk.effects.published.items():
            yield from codec.encode_published(room, Stamp(bytes(8), 1), told.events, told.states)


def _busy(world: World, who: str = "founder", text: str = "secrettalk") -> list[Received]:
    """What goes on in the private room meanwhile."""
    asked: list[Request] = [
        Send(0, "+plans", text),
        Act(0, "topic", "+plans", text=text),
        Act(0, "react", "+plans", "", 1, 0, ":x:"),
    ]
    return [Received(world.peers[who].id, world.numbered(who, *asked, Join(5, "+plans")))]


@pytest.mark.parametrize("who", ["visitor", *SENT_OUT, "staff", "owner"])
def test_nothing_of_a_private_room_is_in_anything_that_others_hear(who: str) -> None:
    world = World()
    every = [ROWS[name].ask("lobby") for name in ROWS if name not in ("bye", "admin drain", "act create")]
    if who == "owner":  # to whom the disk is open
        every = [one for one in every if not (isinstance(one, List) and one.what == "rooms")]
    every += [Search(1, "secret"), Search(1, "secretfirst", name="founder"), Rooms(1, "zzz"), List(1, "bots")]
    again = world.peers[who].greeting()
    assert isinstance(again, Hello)
    for frame in _frames(world, who, [again, Heartbeat(1), *every, Heartbeat(1)]):
        found = [secret for secret in world.secrets() if secret in frame]
        assert not found, frame


def test_members_hear_what_the_others_do_not() -> None:
    """The secrets that are looked for above are there to be found."""
    world = World()
    for who in IN_ROOM:
        asked: list[Request] = [world.peers[who].greeting(), Read(1, "+plans", 0, 50), About(2, "+plans")]
        frames = b"".join(_frames(world, who, asked))
        assert all(secret in frames for secret in world.secrets()), who


@pytest.mark.parametrize("who", ["no-key", "wrong-key", "revoked", "locked-out"])
def test_hello_is_refused_to_who_may_not_come_in(who: str) -> None:
    world = World()
    assert world.peers[who].hello_fails() == "not-admitted"
    assert code_of(world.tries(who, Who(1))) == "unknown-session"
