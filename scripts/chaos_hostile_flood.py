"""One who takes all that it is given, beside honest people whose waiting is measured."""

from __future__ import annotations

import itertools
import secrets
import time
from statistics import median
from typing import Any

import zmq

from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_attack import ready as told_so
from scripts.chaos_hostile_attack import told
from scripts.chaos_hostile_scene import Honest, Scene
from scripts.chaos_run import Run
from zchat.messages import Ack, Bye, Failed, Join, Joined, Leave, Named, Nick, Refused, RoomList, Rooms, Send, Welcome

SLOWER = 1.2
"""How many times as long others may wait."""

WINDOWS = 5
"""Measured of each: the median of their p99 counts."""

WINDOW = 3.0
"""Seconds of one."""

BATCH = 500
"""Requests on their way at once: within the credit, so that no flood is over at once."""

JOINS, ROOMS, NICKS, SPREAD = 10_000, 100_000, 1000, 5000
"""What is tried of each at the table's scale; after that it begins anew, until it is told to stop."""


class Abuser:
    """Somebody who floods; made anew where it is cut.

    Attributes:
        tried, done, refused: requests; cuts: how often it was hung up on.
    """

    def __init__(self, url: str) -> None:
        self.tried = self.done = self.refused = self.cuts = 0
        self._url = url
        self.keys = zmq.curve_keypair()
        self._person, self._client = secrets.token_bytes(16), secrets.token_bytes(16)
        self.actor = self._come("abuser")

    def _come(self, name: str) -> Actor:
        actor = Actor(self._url, name, keys=self.keys, person=self._person, client=self._client)
        actor.hello()
        return actor

    def asks(self, *requests: Any) -> None:
        """Floods with these, and counts what comes of it."""
        self.tried += len(requests)
        if self.actor.lost:
            self.cuts += 1
            self.actor.close()
            self.actor = self._come("abuser")
        for item in self.actor.asks(*requests):
            match item:
                case Ack():
                    self.done += item.count
                    self.actor.n = max(self.actor.n, item.n + item.count - 1)
                case Refused():
                    self.refused += 1
                    self.actor.n = item.expected - 1 if item.expected else self.actor.n
                case Failed():
                    self.refused += 1
                    if item.code == "unknown-session":
                        self.actor.hello()
                case Joined() | Named() | Welcome():
                    self.done += 1
                case _:
                    pass

    def says(self, rooms: list[str]) -> None:
        """Says something in each of these."""
        begin = self.actor.n + 1
        self.asks(*(Send(n, room, "flood " + "x" * 100) for n, room in enumerate(rooms, begin)))


def flood(url: str, what: str, most: int) -> dict[str, Any]:
    """Floods until told to stop."""
    abuser = Abuser(url)
    begin = time.monotonic()
    said = False
    for number in itertools.cycle(range(max(most // BATCH, 1))):
        ids = range(number * BATCH, min((number + 1) * BATCH, most))
        match what:
            case "sends elsewhere":
                abuser.says(["flooded"] * BATCH)
            case "sends beside them":
                abuser.says(["honest"] * BATCH)
            case "joins":
                abuser.asks(*(one for n in ids for one in (Join(2, f"j{n % 100}"), Leave(3, f"j{n % 100}"))))
            case "hellos":
                for _ in range(20):
                    with Actor(url, None, keys=abuser.keys) as other:
                        abuser.done += isinstance(other.hello(), Welcome)
                        other.asks(Join(2, "honest"), Bye(3))
                        abuser.tried += 1
            case "rooms":
                abuser.asks(*(one for n in ids for one in (Join(2, f"room{n}"), Leave(3, f"room{n}"))))
            case "rooms spoken in":
                abuser.says([f"said{n}" for n in ids])
            case "nicks":
                abuser.asks(*(Nick(2, f"abuser{n}") for n in ids))
            case "private":
                abuser.says([f"@abuser{n % NICKS}" for n in ids] + ["@honest-ann"] * 100)
        if not said:
            told_so(begun=True)
            said = True
        if told():
            break
    seconds = time.monotonic() - begin
    abuser.actor.close()
    return {
        **{name: getattr(abuser, name) for name in ("tried", "done", "refused", "cuts")},
        "seconds": seconds,
    }


FLOODS = {
    "sends elsewhere": 0,
    "sends beside them": 0,
    "joins": JOINS,
    "hellos": JOINS,
    "rooms": ROOMS,
    "rooms spoken in": ROOMS,
    "nicks": NICKS,
    "private": SPREAD,
}


def windows(people: Honest, seconds: float, what: str) -> list[float]:
    """The p99 of each of several windows, in seconds."""
    return [people.over(seconds, what).p99() for _ in range(WINDOWS)]


def floods(run: Run) -> None:
    """Row 17."""
    seconds = max(WINDOW * run.options.scale, 0.3)
    for what, most in FLOODS.items():
        with Scene(run, 17, curve=True) as scene:
            people = scene.honest("talk")
            people.settled()
            quiet = windows(people, seconds, "quiet")
            given = {"url": scene.broker.url, "what": what, "most": scene.scaled(most) if most else 1}
            attacker = scene.attack("flood", "flood", **given)
            scene.answer(attacker, what, 120)
            flooded = windows(people, seconds, what)
            attacker.say("stop")
            found = scene.answer(attacker, f"the end of {what}", 120)
            scene.wait(0.5, "calm")
            quiet += windows(people, seconds, "quiet again")
            calm, slow = median(quiet), median(flooded)
            rate = found["done"] / found["seconds"]
            shown = f"{slow * 1000:.1f} ms, quiet {calm * 1000:.1f} ms: {slow / calm:.2f} times, {SLOWER:g} allowed"
            scene.line(f"others' p99, {what}", f"{shown}; {rate:,.0f} a second of it done", slow <= SLOWER * calm)
            scene.line(f"tried, {what}", _told(found), found["tried"] > 0)
            if what.startswith("rooms"):
                _quota(scene)


def _told(found: dict[str, Any]) -> str:
    return f"{found['tried']:,}, of which {found['refused']:,} refused, cut {found['cuts']} times"


def _quota(scene: Scene) -> None:
    """How many rooms there are by now."""
    with Actor(scene.broker.url) as somebody:
        somebody.hello()
        count, after, more = 0, "", True
        while more:
            lists = [one for one in somebody.asks(Rooms(2, after)) if isinstance(one, RoomList)]
            more = bool(lists and lists[0].rooms and lists[0].more)
            count += sum(len(one.rooms) for one in lists)
            after = lists[0].rooms[-1].room if more else ""
    scene.below("rooms of one person", count, ROOMS_QUOTA, "rooms")


ROOMS_QUOTA = 1000
"""That one person may make."""
