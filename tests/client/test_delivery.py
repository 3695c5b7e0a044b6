"""The promise, attacked: a real hub and a real store against real sessions, over a network that does its worst.

What is between them is a model of the sockets, with what libzmq does: queues that drain at their own pace, topics
matched by prefix, subscriptions that arrive when they arrive, frames that PUB drops, connections that break with
frames in flight, a SUB that reconnects by itself and says its topics again in order, a broker that hears late of a
connection's end. Programs end, and others begin where they were; the store fails, forgets, and falls back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from unittest import mock

from client.lives import POISON, Disk, Life, Memory
from client.network import EVERYTHING, Broker
from client.reader import GIVE_UP, Client, tokens
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from zchat.broker.rates import Limits, Rate
from zchat.broker.settings import Settings
from zchat.client.positions import HEAD, Begin
from zchat.verbs import AUDIT

RESERVE = 3

PATCHES = {
    "zchat.client.positions.HELD": 3,
    "zchat.client.rooms.PAGE": 5,
    "zchat.client.channel.RESERVE": RESERVE,
    "zchat.client.session.RESERVE": RESERVE,
    "zchat.client.outbox.GIVE_UP": GIVE_UP,
    "zchat.store.memory.LOOKED_AT": 4,
}

SETTINGS = Settings(
    pub_port=5556,
    credit=RESERVE + 4,
    text_limit=50,
    grace=3.0,
    silence=8.0,
    heartbeat=4.0,
    page=3,
    page_size=300,
    work_budget=4,
)
"""Everything small, so that a few messages go over every bound."""

ROOMS = ["lobby", "Lobby", "den", "#Den"]

BEGINS = [
    HEAD,
    Begin(after=0),
    Begin(after=3),
    Begin(tail=2),
    Begin(tail=6),
    Begin(missed=True),
    Begin(missed=True, tail=3),
]

begins = st.sampled_from(BEGINS)
who = st.integers(0, 3)
speaker = st.integers(0, 2)
some = st.sampled_from([0, 1, 2, EVERYTHING])
spoken = st.sampled_from(["lobby", "den", "@ann", "@bob"])


class Delivery(RuleBasedStateMachine):
    """Three who speak, two of them sessions of one person, and a visitor who only looks."""

    settings = SETTINGS
    mishaps: tuple[str, ...] = ("drop", "repeat", "snap", "snap_sub")

    def __init__(self) -> None:
        super().__init__()
        self._patches = [mock.patch(target, value) for target, value in PATCHES.items()]
        for patch in self._patches:
            patch.start()
        self.clock = 1000.0
        self.peers = count(1)
        self.token = tokens(1)
        self.texts = count(1)
        ann, bob, looker = (self.token(16) for _ in range(3))
        self.persons = [ann, ann, bob, looker]
        self.broker = self.over(self.store())
        self.lives = [self.broker.store]
        self.kept: Callable[[], Life] | None = None
        people: list[tuple[str | None, bytes]] = [("ann", ann), ("ann", ann), ("bob", bob), (None, looker)]
        self.clients = [
            Client(self, number, name, person, missed=number == 1) for number, (name, person) in enumerate(people)
        ]

    def store(self) -> Life:
        return Memory.made(self.token)

    def over(self, life: Life) -> Broker:
        """A broker with that store."""
        ann, _, bob, _ = self.persons
        return Broker(life, self.settings, self.token, self.persons, {"ann": ann, "bob": bob, "rob": bob})

    @initialize(said=st.integers(0, 9), deleted=st.sets(st.integers(1, 9)), joined=st.dictionaries(who, begins))
    def begin(self, said: int, deleted: set[int], joined: dict[int, Begin]) -> None:
        self.flow(2)
        self.send(0, "lobby", said)
        for seq in sorted(deleted):
            self.clients[0].edit("lobby", seq, f"text {next(self.texts)}")
            self.clients[0].delete("lobby", seq)
        self.flow(1)
        for client, begin in sorted(joined.items()):
            self.clients[client].join("lobby", begin, quiet=False)
        self.flow(5)

    # What people do

    @rule(client=who, room=st.sampled_from(ROOMS), begin=begins, quiet=st.booleans())
    def join(self, client: int, room: str, begin: Begin, quiet: bool) -> None:
        self.clients[client].join(room, begin, quiet=quiet)

    @rule(client=who, begin=begins)
    def come_back(self, client: int, begin: Begin) -> None:
        """Who follows the lobby leaves it, and joins it again."""
        self.clients[client].leave("lobby")
        self.clients[client].join("lobby", begin, quiet=False)

    @rule(client=who, room=st.sampled_from(ROOMS))
    def leave(self, client: int, room: str) -> None:
        self.clients[client].leave(room)

    @rule(client=speaker, room=spoken, times=st.integers(1, 7))
    def send(self, client: int, room: str, times: int) -> None:
        for _ in range(times):
            self.clients[client].send(room, f"text {next(self.texts)}")

    @rule(client=speaker, times=st.integers(1, 7), dealers=some)
    def speak(self, client: int, times: int, dealers: int) -> None:
        """What is said is published at once, and on its way to all."""
        self.send(client, "lobby", times)
        self.broker.turn(self.clock, dealers=dealers)

    @rule(client=speaker, room=st.sampled_from(["Lobby", "@nobody"]), width=st.sampled_from([0, 60]))
    def send_oddly(self, client: int, room: str, width: int) -> None:
        self.clients[client].send(room, f"text {next(self.texts)}".ljust(width))

    @rule(client=speaker, room=spoken)
    def send_poison(self, client: int, room: str) -> None:
        """The store rejects one of what is said."""
        for what in ("text", POISON, "text"):
            self.clients[client].send(room, f"{what} {next(self.texts)}")

    @rule(client=speaker, room=spoken, seq=st.sampled_from([0, 0, 0, 1, 2, 5]), text=st.booleans())
    def change(self, client: int, room: str, seq: int, text: bool) -> None:
        """A message is edited or deleted."""
        if text:
            self.clients[client].edit(room, seq, f"text {next(self.texts)}")
        else:
            self.clients[client].delete(room, seq)

    @rule(client=who)
    def mark(self, client: int) -> None:
        for room in ("lobby", "den"):
            self.clients[client].mark(room)

    # Private rooms with members

    @rule(client=speaker, whom=st.sampled_from(["ann", "bob", "rob"]), enters=st.booleans())
    def make(self, client: int, whom: str, enters: bool) -> None:
        """A room is made, and somebody is invited."""
        self.clients[client].act("create", "+plans", "", f"text {next(self.texts)}")
        self.clients[client].act("invite", "+plans", whom, f"text {next(self.texts)}")
        if enters:
            self.clients[client].enter("+plans")

    @rule(
        client=speaker,
        verb=st.sampled_from(["invite", "invite", "kick", "ban", "unban", "op", "topic"]),
        which=st.integers(0, 2),
        whom=st.sampled_from(["ann", "bob", "rob"]),
    )
    def act(self, client: int, verb: str, which: int, whom: str) -> None:
        one = self.clients[client]
        one.act(verb, one.label(which), "" if verb == "topic" else whom, f"text {next(self.texts)}")

    @rule(client=speaker, whom=st.sampled_from(["ann", "bob", "rob"]))
    def send_out(self, client: int, whom: str) -> None:
        """Somebody is sent out of a public room."""
        self.clients[client].act("kick", "den", whom, f"text {next(self.texts)}")

    @rule(client=speaker, which=st.integers(0, 2), times=st.integers(1, 5))
    def tell(self, client: int, which: int, times: int) -> None:
        one = self.clients[client]
        self.send(client, one.label(which), times)

    @rule(client=who, which=st.integers(0, 2))
    def enter(self, client: int, which: int) -> None:
        self.clients[client].enter(self.clients[client].label(which))

    @rule(client=speaker, which=st.integers(0, 2))
    def give_up(self, client: int, which: int) -> None:
        self.clients[client].give_up(self.clients[client].label(which))

    @rule(name=st.sampled_from(["bob", "rob"]))
    def nick(self, name: str) -> None:
        self.clients[2].nick(name)

    # What passes

    @rule(dealers=some, pipes=some, ended=some)
    def turn(self, dealers: int, pipes: int, ended: int) -> None:
        self.broker.turn(self.clock, dealers=dealers, pipes=pipes, ended=ended)

    @rule(client=who, replies=some, published=some)
    def receive(self, client: int, replies: int, published: int) -> None:
        self.clients[client].receive(replies, published)

    @rule(rounds=st.integers(1, 5))
    def flow(self, rounds: int) -> None:
        for _ in range(rounds):
            self.broker.turn(self.clock)
            for client in self.clients:
                client.receive(EVERYTHING, EVERYTHING)

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.0, 1.5, 4.0, 12.0]))
    def wait(self, seconds: float) -> None:
        while seconds > 0:
            self.clock += min(seconds, 1.0)
            seconds -= 1.0
            self.broker.turn(self.clock, dealers=0, pipes=0)
            for client in self.clients:
                client.tick()

    # What goes wrong

    @rule(client=who, kind=st.integers(0, 11), which=some, sent=some)
    def mishap(self, client: int, kind: int, which: int, sent: int) -> None:
        match self.mishaps[kind % len(self.mishaps)]:
            case "drop":
                self.clients[client].drop(which)
            case "repeat":
                self.clients[client].repeat(which)
            case "snap":
                self.clients[client].snap(which, sent)
            case "snap_sub":
                self.clients[client].snap_sub(which, sent)

    @rule(client=who)
    def save(self, client: int) -> None:
        """A program keeps where it is."""
        self.clients[client].saved = self.clients[client].place()

    @rule(
        client=who, how=st.sampled_from(["bye", "killed", "killed after saving"]), sent=some, again=begins | st.none()
    )
    def end(self, client: int, how: str, sent: int, again: Begin | None) -> None:
        """A program ends, and begins again where it was when it kept that last."""
        one = self.clients[client]
        if how != "killed":
            one.saved = one.place()
        one.reborn(one.saved, bye=how == "bye", sent=sent, again=again)

    @rule(commits=st.integers(0, 2), lookups=st.integers(0, 2))
    def fail(self, commits: int, lookups: int) -> None:
        """The store cannot commit, or be read."""
        self.broker.store.failing, self.broker.store.blind = commits, lookups

    @rule(kept=st.integers(1, 6))
    def forget(self, kept: int) -> None:
        """Retention drops what is old."""
        self.broker.store.forget(kept)

    @rule()
    def keep(self) -> None:
        """A snapshot is taken."""
        self.kept = self.broker.store.snapshot()

    @rule(what=st.sampled_from(["lasts", "snapshot", "empty"]), received=some, ends=st.sets(who))
    def restart(self, what: str, received: int, ends: set[int]) -> None:
        """The broker restarts over a store that lasts, a snapshot of it, or an empty one; and with it some programs."""
        life = self.broker.store
        life.failing = life.blind = 0
        if what == "snapshot" and self.kept is not None:
            life, self.kept = self.kept(), None
        else:
            life = life.emptied() if what == "empty" else life.reopened()
        self.lives.append(life)
        self.broker = self.over(life)
        for client in self.clients:
            client.snap(received, 0)
            client.snap_sub(received, 0)
        for number in sorted(ends):
            one = self.clients[number]
            one.reborn(one.place(), bye=False, sent=0, again=HEAD)

    # All is well again

    @rule()
    def heal(self) -> None:
        """Nothing goes wrong for a while."""
        self._settle()
        self._check()

    def teardown(self) -> None:
        try:
            self.heal()
        finally:
            for patch in self._patches:
                patch.stop()

    def _settle(self) -> None:
        self.broker.store.failing = self.broker.store.blind = 0
        for second in range(90):
            for _ in range(1000):
                self.broker.turn(self.clock, ended=EVERYTHING)
                for client in self.clients:
                    client.receive(EVERYTHING, EVERYTHING)
                if self.broker.idle and all(client.idle for client in self.clients):
                    break
            else:
                raise AssertionError("it never comes to rest")
            self.clock += 0.5
            for client in self.clients:
                client.tick()
            if second > 25 and not any(client.unsettled() for client in self.clients):
                break

    def _check(self) -> None:
        for client in self.clients:
            client.settled()
        assert not self.broker.store.read_wrong()
        for life in self.lives:
            logs = [log for room, log in life.log.items() if room != AUDIT]
            texts = Counter(getattr(event, "text", "") for log in logs for event in log.values())
            del texts[""]
            assert all(times == 1 for times in texts.values())
        for name, room in self.broker.hub.rooms.by_name.items():
            there = {c.session.name for c in self.clients if name in c.following and not c.following[name].quiet}
            there |= {c.session.name for c in self.clients if name in c.inside}
            assert set(room.roster.names()) == there - {None}


class DeliveryAtOnce(Delivery):
    """Where PUB drops nothing, all comes without the help of heartbeats and of heads that are said once more."""

    settings = replace(SETTINGS, heartbeat=1e6, silence=1e9, quiet=1e6)
    mishaps = ("repeat", "snap", "snap_sub")


class DeliveryInTime(Delivery):
    """Where everybody soon asks for too much: they wait, in order, and nobody is taken for an offender."""

    settings = replace(
        SETTINGS,
        rates=Limits(
            messages=Rate(4, 4),
            bytes=Rate(60, 60),
            joins=Rate(5, 4),
            creations=Rate(2, 2),
            hellos=Rate(3, 2),
            reads=Rate(4, 8),
            questions=Rate(4, 4),
        ),
    )


class DeliveryFromDisk(Delivery):
    """The store is on disk."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())
        super().__init__()

    def store(self) -> Life:
        return Disk.made(self._folder / "data")

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            for life in self.lives:
                life.close()
            shutil.rmtree(self._folder)


PROFILE = settings(max_examples=120, stateful_step_count=40, deadline=None, derandomize=True)

TestDelivery = Delivery.TestCase
TestDelivery.settings = PROFILE

TestDeliveryAtOnce = DeliveryAtOnce.TestCase
TestDeliveryAtOnce.settings = PROFILE

TestDeliveryInTime = DeliveryInTime.TestCase
TestDeliveryInTime.settings = settings(PROFILE, max_examples=40)

TestDeliveryFromDisk = DeliveryFromDisk.TestCase
TestDeliveryFromDisk.settings = settings(PROFILE, max_examples=30)
