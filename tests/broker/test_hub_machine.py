"""Whatever peers ask, in whatever order: the hub raises nothing, what it knows fits together, and nobody hears what is
not theirs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from dialogue import Dialogue
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zchat import codec, errors, names
from zchat.address import Address
from zchat.broker.admission import Door, Mode
from zchat.broker.commands import TABLE
from zchat.broker.doors import Doors
from zchat.broker.inputs import Announce, FenceMoved, Gone, Met, Received
from zchat.broker.sessions import Session
from zchat.messages import (
    VERSION,
    Act,
    Beat,
    Failed,
    Hello,
    Joined,
    Numbered,
    Page,
    People,
    Private,
    Refused,
    Removed,
    Request,
    RoomState,
    Send,
    Stamp,
    Welcome,
)
from zchat.verbs import ACTS, ADMIN, AUDIT, LISTS

PEERS = [b"peer%d" % number for number in range(5)]
"""Connections, told apart by nothing else."""

SECRETS = [b"%d" % number * 16 for number in range(4)]
"""Few, so that people meet: each may be a person's, a client's and a fence's."""

NAMES = ["ann", "Ann", "аnn", "bob", "BOB", "operator", "", "a b", "x" * 33, "e\u0301" * 9, "\x1b[2J", "@ann", "zoë"]

ROOMS = [
    "lobby",
    "#Lobby",
    "den",
    "",
    "a b",
    "@ann",
    "@bob",
    "@nobody",
    "@",
    "@" + "0" * 24,
    "r" * 65,
    "+den",
    "+",
    AUDIT,
    "\u202ex",
    "ä",
]

TEXTS = ["", "hello", "x" * 1001, "\x1b[2J", "a\nb\tc", "\r", "\u202e", "e\u0301" * 50, 'NEAR("a b" OR -c)', "🎉"]

WORDS = ["", "x" * 200, "a\nb", *NAMES, "day", "date", "time", "member", "owner"]

DONE = ["say", "kick", "ban", "unban", "invite", "op", "deop", "mute", "topic", "slow", "pin", "create"]

NUMBERS = [0, 1, 2, 3, 10, 500, 2**31, 2**63 - 1]

LIMITS: dict[str, Any] = {
    "max_sessions": 4,
    "max_rooms": 12,
    "max_rooms_joined": 3,
    "max_private_rooms": 3,
    "max_marks": 4,
    "max_names": 5,
    "text_limit": 1000,
    "credit": 12,
    "page": 3,
    "work_budget": 6,
    "amends": 2,
    "grace": 2.0,
    "silence": 5.0,
    "named_members": 2,
    "hits": 2,
    "max_members_private": 2,
    "max_moderators": 2,
    "max_sanctions": 3,
    "max_blocks_person": 2,
    "max_bots_person": 2,
}
"""Small, so that all of them are met."""


def of_field(name: str, kind: str) -> st.SearchStrategy[Any]:
    """Values of a request's field: good ones, and odd ones that its type allows."""
    if name in ("person", "client", "fence"):
        return st.sampled_from(SECRETS)
    if name in ("resume", "invite"):
        return st.one_of(st.none(), st.sampled_from(SECRETS), st.integers(1, 40).map(lambda n: n.to_bytes(16, "big")))
    if name == "stamp":
        return st.one_of(
            st.none(), st.builds(Stamp, st.sampled_from([bytes(8), b"12345678"]), st.sampled_from(NUMBERS))
        )
    if name == "verb":
        return st.sampled_from([*ACTS, *ADMIN, "?"])
    if name == "what":
        return st.sampled_from([*LISTS, "?"])
    if name == "key":
        return st.sampled_from([b"", bytes(32), b"k" * 32])
    if name == "version":
        return st.sampled_from([VERSION, VERSION, VERSION, VERSION, 0, 2**63 - 1])
    if "bool" in kind:
        return st.booleans()
    if "str" in kind:
        of_rooms, of_names = st.sampled_from(ROOMS), st.sampled_from(NAMES)
        known = {"room": of_rooms, "name": of_names, "after": of_names, "text": st.sampled_from(TEXTS)}
        values = known.get(name, st.sampled_from(WORDS))
        return st.one_of(values, st.none()) if "None" in kind else values
    values = st.sampled_from(NUMBERS)
    return st.one_of(values, st.none()) if "None" in kind else values


def of_kind(kind: type[Any]) -> st.SearchStrategy[Request]:
    """Requests of a kind."""
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: of_field(field.name, str(field.type)) for field in fields})


MALFORMED = st.builds(
    codec.Malformed, st.sampled_from(NUMBERS), st.sampled_from([errors.BadRequest("x"), errors.UnknownRequest()])
)
KINDS = [Hello, *TABLE]
ANY = st.one_of(MALFORMED, *map(of_kind, KINDS), of_kind(Hello))


class Hostile(RuleBasedStateMachine):
    """A hub, and peers that say anything."""

    def __init__(self) -> None:
        super().__init__()
        self.dialogue = Dialogue(**LIMITS)
        self.hub = self.dialogue.hub
        self.cut: set[bytes] = set()
        self.met: dict[bytes, bytes] = {}

    def _turn(self, *inputs: Any, after: float = 0.0) -> None:
        begun = set(self.hub.sessions._peers)
        effects = self.dialogue.turn(*inputs, after=after)
        self.cut |= set(effects.cuts)
        now = dict(self.hub.sessions._peers)
        for peer, items in self.dialogue.replies.items():
            said = [item for one in inputs if isinstance(one, Received) and one.peer == peer for item in one.requests]
            assert peer in begun or peer in now or said, f"{peer!r} hears {items} though it said nothing"
            # What follows a hello in one turn is executed before that is answered.
            welcomed = peer in begun or any(isinstance(item, Hello) for item in said)
            for item in items:
                welcomed = welcomed or isinstance(item, Welcome)
                if not welcomed:
                    assert isinstance(item, Failed | Refused), f"a stranger hears {item}"
                if isinstance(item, Private):
                    self._may_read(now.get(peer), item)
                if isinstance(item, Page | Joined | People | RoomState) and item.room.startswith(("@", "+")):
                    self._is_in(now.get(peer), item.room)
                if isinstance(item, Welcome | Beat):
                    for mine in (one.room for one in (item.private if isinstance(item, Welcome) else item.moved)):
                        left = any(isinstance(other, Removed) and other.room == mine for other in items)
                        if mine.startswith("@") and not left:
                            self._is_in(now.get(peer), mine)
        assert not any(name.startswith("@") for name in effects.published), "a private room is published"

    def _may_read(self, session: Session | None, told: Private) -> None:
        """Whoever hears of a private room belongs to it by what is kept, and still."""
        room = self.hub.rooms.by_name[told.room]
        if session is not None:
            assert session.person in room.members
            assert room.pair or self.hub.doors.role(room.name, session.person)

    def _is_in(self, session: Session | None, room: str) -> None:
        """Whoever is told anything of a private room may read it."""
        assert session is None or self.hub.rights.may_read(session.person, room), f"an outsider hears of {room}"

    @initialize(peopled=st.booleans())
    def some_are_here(self, peopled: bool) -> None:
        """Half of the times three people are, who differ; each may do with rooms what there is to be done."""
        for peer, name, whose in zip(PEERS, ("ann", "bob", "zoë"), SECRETS, strict=False) if peopled else ():
            self.shows_a_key_of_its_own(peer)
            self.comes(peer, name, whose)

    def shows_a_key_of_its_own(self, peer: bytes) -> None:
        """Nobody has one on plaintext."""

    @rule(peer=st.sampled_from(PEERS), name=st.sampled_from(NAMES[:5]), whose=st.sampled_from(SECRETS))
    def comes(self, peer: bytes, name: str, whose: bytes) -> None:
        if peer not in self.cut:
            self._turn(Received(peer, [Hello(1, VERSION, name, whose, whose, whose)]))

    @rule(peer=st.sampled_from(PEERS), asked=st.lists(ANY, max_size=6), due=st.booleans())
    def asks(self, peer: bytes, asked: list[Any], due: bool) -> None:
        if due:  # under the send numbers that are expected, so that what is sent is looked at
            for at, one in enumerate(asked):
                if isinstance(one, Numbered):
                    session = self.hub.sessions.at(peer)
                    n = 1 if session is None or session.sends is None else session.sends.planned + 1
                    asked[at] = msgspec.structs.replace(one, n=n + sum(isinstance(x, Numbered) for x in asked[:at]))
        self._turn(Received(peer, asked))

    @rule(both=st.lists(st.tuples(st.sampled_from(PEERS), st.lists(ANY, max_size=3)), max_size=4))
    def all_ask_at_once(self, both: list[tuple[bytes, list[Any]]]) -> None:
        self._turn(*(Received(peer, asked) for peer, asked in both))

    @rule(peer=st.sampled_from(PEERS), asked=ANY)
    def asks_too_much(self, peer: bytes, asked: Any) -> None:
        self._turn(Received(peer, [asked] * (LIMITS["credit"] + 1)))
        assert peer in self.cut

    @rule(fence=st.sampled_from([*SECRETS, b"", b"nobody's"]), k=st.sampled_from(NUMBERS), up=st.booleans())
    def fences(self, fence: bytes, k: int, up: bool) -> None:
        self._turn(FenceMoved(fence, k, up))

    @rule(peer=st.sampled_from(PEERS))
    def goes(self, peer: bytes) -> None:
        self._turn(Gone(peer))
        self.cut.discard(peer)
        self.met.pop(peer, None)
        assert self.hub.sessions.at(peer) is None

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 8.0]))
    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.5) or 1):
            self._turn(after=0.5)

    @rule(broken=st.booleans())
    def the_disk_breaks(self, broken: bool) -> None:
        self.dialogue.broken = broken

    @rule(text=st.sampled_from(TEXTS))
    def the_operator_speaks(self, text: str) -> None:
        self._turn(Announce(text))

    # What must always hold --------------------------------------------------------------------------------------------

    @invariant()
    def sessions_are_one_anothers(self) -> None:
        sessions = self.hub.sessions
        live = set(sessions._tokens.values())
        assert len(live) <= LIMITS["max_sessions"]
        assert set(sessions._clients.values()) == live
        assert {one for mine in sessions._persons.values() for one in mine} == live
        assert set(sessions._peers.values()) == {one for one in live if one.peer is not None}
        assert all(sessions._peers[one.peer] is one for one in live if one.peer is not None)
        assert all(sessions._fences.get(one.fence) is not None for one in live)
        assert set(sessions._fences.values()) <= live
        assert set(sessions._unfenced) | set(sessions._leaving) <= live

    @invariant()
    def a_name_has_one_person(self) -> None:
        known, here = self.hub.names._known, Counter[str]()
        for one in self.hub.sessions._tokens.values():
            if one.name is not None:
                here[names.same(one.name)] += 1
                assert known[names.same(one.name)].person == one.person
        assert here == self.hub.names._here
        looks: dict[str, bytes] = {}
        for name in known.values():
            for look in names.looks(name.name):
                assert looks.setdefault(look, name.person) == name.person, f"{name.name} looks like another's"

    @invariant()
    def rosters_hold_who_is_there(self) -> None:
        live = list(self.hub.sessions._tokens.values())
        for name, room in self.hub.rooms.by_name.items():
            there = [one for one in live if name in one.rooms]
            assert room.followers == len(there)
            assert set(room.roster.names()) == {one.name for one in there if one.rooms[name]}
        everybody = {one.name for one in live if any(one.rooms.values())}
        assert set(self.hub.rooms.everybody.names()) == everybody

    @rule(
        founder=st.sampled_from(PEERS[:3]),
        whom=st.sampled_from(["ann", "bob", "zoë"]),
        verbs=st.lists(st.sampled_from(DONE), max_size=6),
        lost=st.integers(0, 7),
        together=st.booleans(),
    )
    def a_room_is_kept(self, founder: bytes, whom: str, verbs: list[str], lost: int, together: bool) -> None:
        """Chance alone would seldom get so far that somebody is let in and sent out."""
        asked = [
            Send(0, "+den", "hello") if verb == "say" else Act(0, verb, "+den", whom, 1, 3, ":x:")
            for verb in ("create", "invite", *verbs)
        ]
        session = self.hub.sessions.at(founder)
        for one in [asked] if together else [[one] for one in asked]:
            self.dialogue.broken = lost == len(one) or (not together and asked.index(one[0]) == lost)
            if session is not None and session.sends is not None:
                first = session.sends.planned + 1
                self._turn(Received(founder, [msgspec.structs.replace(a, n=first + n) for n, a in enumerate(one)]))
        self.dialogue.broken = False

    @invariant()
    def doors_are_as_they_are_kept(self) -> None:
        hub = self.hub
        assert not hub.rooms._expected
        for room in hub.rooms.by_name.values():
            if room.private and not room.pair:
                assert set(room.members) == set(hub.doors.members(room.name)), "what is known is what is kept"
                assert all(room.name in hub.rooms._private[person] for person in room.members)
                labels = [label for person in room.members for label in (room.members[person],)]
                assert all(label.startswith(room.title) for label in labels)
            for session in hub.sessions._tokens.values():
                if room.private and room.name in session.rooms:
                    assert session.person in room.members, "who was sent out follows it"
        for mine in hub.rooms._private.values():
            assert all(one is hub.rooms.by_name[name] for name, one in mine.items())
        kept = Doors(hub.turn, self.dialogue.store.records())
        assert kept._members == hub.doors._members
        assert kept._sanctions == hub.doors._sanctions
        assert kept._terms == hub.doors._terms
        assert kept._blocks == hub.doors._blocks

    @invariant()
    def doors_are_bounded(self) -> None:
        doors = self.hub.doors
        for room, members in doors._members.items():
            if room.startswith("@"):
                assert len(members) <= LIMITS["max_members_private"]
            assert sum(one.role == "moderator" for one in members.values()) <= LIMITS["max_moderators"]
        assert all(len(there) <= LIMITS["max_sanctions"] for there in doors._sanctions.values())
        assert all(len(mine) <= LIMITS["max_blocks_person"] for mine in doors._blocks.values())
        assert len(doors._spoke) <= LIMITS["max_names"]
        assert set(doors._terms) <= set(self.hub.rooms.by_name)
        assert set(doors._members) <= set(self.hub.rooms.by_name)

    @invariant()
    def nothing_grows_without_end(self) -> None:
        hub = self.hub
        assert len(hub.rooms.by_name.keys() - {AUDIT}) <= LIMITS["max_rooms"]
        assert len(hub.names._known) <= LIMITS["max_names"]
        assert all(len(one.rooms) <= LIMITS["max_rooms_joined"] for one in hub.sessions._tokens.values())
        assert all(len(mine) <= LIMITS["max_private_rooms"] for mine in hub.rooms._private.values())
        assert hub._cut <= self.cut
        assert len(hub._jobs) <= LIMITS["credit"] * len(PEERS) * 2
        assert not hub._sends
        assert not hub._hellos


KEYS = [bytes([number]) * 32 for number in range(1, 6)]
"""Of connections; the first is an owner's, the second a moderator's."""


class Guarded(Hostile):
    """The same where everybody has a key, and few may come in."""

    def __init__(self) -> None:
        super().__init__()
        door = Door(
            Address("localhost", 5555),
            b"b" * 32,
            Mode.INVITE,
            {KEYS[0]: "owner", KEYS[1]: "moderator", KEYS[2]: "member"},
        )
        self.dialogue = Dialogue(door=door, **LIMITS, max_accounts=4, max_keys_person=2, max_links_person=3)
        self.hub = self.dialogue.hub

    @rule(peer=st.sampled_from(PEERS), key=st.sampled_from([*KEYS[:2], *KEYS]))
    def shows_a_key(self, peer: bytes, key: bytes) -> None:
        if peer not in self.met:
            self.met[peer] = key
            self._turn(Met(peer, key))

    def shows_a_key_of_its_own(self, peer: bytes) -> None:
        self.shows_a_key(peer, KEYS[PEERS.index(peer)])

    @rule(peer=st.sampled_from(PEERS), secret=st.integers(1, 60))
    def comes_by_a_link(self, peer: bytes, secret: int) -> None:
        """The hub's secrets are numbers here, so that some are found."""
        own = SECRETS[0]
        self._turn(Received(peer, [Hello(1, VERSION, None, own, own, own, invite=secret.to_bytes(16, "big"))]))

    @invariant()
    def everybody_is_who_the_key_says(self) -> None:
        admission = self.hub.admission
        assert admission is not None
        for one in self.hub.sessions._tokens.values():
            assert one.person == admission.person(one.key)
            assert admission.role(one.person), "who may not come in is here"
            if one.peer is not None:
                assert self.met.get(one.peer) == one.key

    @invariant()
    def links_and_accounts_are_bounded(self) -> None:
        admission = self.hub.admission
        assert admission is not None
        assert len(admission._accounts) <= 4
        assert all(len(keys) <= 2 for keys in admission._keys.values())
        makers = Counter(invite.by for invite in admission._invites.values())
        assert all(count <= 3 for count in makers.values())


BRIEF = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

TestHostile, TestGuarded = Hostile.TestCase, Guarded.TestCase
TestHostile.settings = TestGuarded.settings = BRIEF
