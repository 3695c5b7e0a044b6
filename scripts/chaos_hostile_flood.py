"""One who takes all that it is given, beside honest people whose waiting is measured.

All share the processors of one machine. What counts is what the flood does to others through the broker: so it is
compared with the same flood at another broker, by turns.
"""

from __future__ import annotations

import itertools
import secrets
import time
from typing import Any

import zmq

from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_attack import order, told
from scripts.chaos_hostile_attack import ready as told_so
from scripts.chaos_hostile_keys import CurveBroker
from scripts.chaos_hostile_scene import Scene, p99
from scripts.chaos_process import Process
from scripts.chaos_run import Run
from zchat.broker.settings import Settings
from zchat.messages import Ack, Bye, Failed, Join, Joined, Leave, Named, Nick, Refused, RoomList, Rooms, Send, Welcome

SLOWER, NOISE = 1.2, 0.005
"""How many times as long others may wait, and seconds by which two such measurements differ on a machine of few
processors, where nothing has changed.
"""

WINDOWS = 7
"""Measured of each, by turns: the p99 of all of them counts, and so does how a flood begins."""

PATIENCE_MS = 1000
"""For which the abuser waits for an answer: then it takes itself for cut, and comes again."""

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
        actor.patience = PATIENCE_MS
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
    """Floods from one `go` to the next `pause`, until it is told something else."""
    abuser = Abuser(url)
    seconds = 0.0
    told_so(waits=True)
    for turn in itertools.count():
        number = turn % max(most // BATCH, 1)
        if told() or not turn:
            if turn:
                order()
                told_so(waits=True)
            if order() != "go":
                break
            told_so(begun=True)
        begin = time.monotonic()
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
                        other.patience = PATIENCE_MS
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
        seconds += time.monotonic() - begin
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


class Attacker:
    """An abuser of some broker, who can be made to pause."""

    def __init__(self, scene: Scene, url: str, what: str, most: int) -> None:
        self._scene, self._what = scene, what
        self._process: Process = scene.attack("flood", "flood", url=url, what=what, most=most)
        self._hears()

    def _hears(self) -> dict[str, Any]:
        return self._scene.answer(self._process, self._what, 120)

    def pauses(self) -> None:
        """Has it wait."""
        self._process.say("pause")
        self._hears()

    def goes_on(self) -> None:
        """Has it flood again."""
        self._process.say("go")
        self._hears()

    def stops(self) -> dict[str, Any]:
        """Has it end where it waits; gives what it found."""
        self._process.say("stop")
        return self._hears()


def floods(run: Run) -> None:
    """Row 17."""
    for what, most in FLOODS.items():
        with Scene(run, 17, curve=True) as scene:
            _flooded(scene, what, scene.scaled(most) if most else 1)
            if what.startswith("rooms"):
                _quota(scene)


def _flooded(scene: Scene, what: str, most: int) -> None:
    """Measures how long others wait while their broker is flooded, and while another one is."""
    seconds = max(WINDOW * scene.run.options.scale, 0.3)
    folder = scene.folder / "another"
    folder.mkdir()
    another = CurveBroker(folder, scene.run.options.broker, (), ())
    scene.undo.callback(another.kill)
    another.start()
    people = scene.honest("talk")
    people.settled()
    attackers = [Attacker(scene, url, what, most) for url in (another.url, scene.broker.url)]
    waited: tuple[list[float], list[float]] = ([], [])
    quiet: list[float] = []
    failed: list[str] = []
    for number in range(2 * WINDOWS):
        at = number % 2
        if not at:
            quiet += people.over(seconds / 2, "quiet").took["talk"]
        attackers[at].goes_on()
        heard = people.over(seconds, what)
        waited[at].extend(heard.took["talk"])
        failed += heard.failed["talk"]
        attackers[at].pauses()
    attackers[0].stops()
    found = attackers[1].stops()
    calm, slow = p99(waited[0]), p99(waited[1])
    allowed = SLOWER * calm + NOISE
    shown = (
        f"{slow * 1000:.1f} ms, {calm * 1000:.1f} ms beside a flood elsewhere: {slow / calm:.2f} times"
        f" ({p99(quiet) * 1000:.1f} ms beside none)"
    )
    rate = f"{found['tried'] / found['seconds']:,.0f} a second tried, {found['done'] / found['seconds']:,.0f} done"
    shown = f"{len(failed)} failed: {failed[0]}" if failed else f"{shown}, {allowed * 1000:.1f} ms allowed; {rate}"
    scene.line(f"others' p99, {what}", shown, slow <= allowed and not failed)
    scene.line(f"tried, {what}", _told(found), found["tried"] > 0)


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


ROOMS_QUOTA = Settings().max_rooms_person
"""That one person may make."""
