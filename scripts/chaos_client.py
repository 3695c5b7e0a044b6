"""The load of a chaos run: a process of several clients, each a thread that uses zchat's own library as users do.

    python -m scripts.chaos_client SPEC

SPEC is a `Spec` in JSON. On standard input the process takes one command a line: `quiet` (send nothing more, and say
`quiet` and how many messages are not answered, as soon as none is or after a while), `finish ENDS` (hear each room up
to its end, and end). It ends with its input.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import zchat
from scripts.chaos_log import Journal, positions, private
from scripts.chaos_raw import deletion, event
from zchat import errors, messages
from zchat.client import events as heard

TICK = 0.05
"""Seconds between two looks at the outcomes, at most."""

UNDER_WAY = 100
"""Messages of one client that are not answered yet, at most."""

PATIENCE = 40.0
"""Seconds to wait for answers, and for the end of rooms."""

AGAIN = 0.2
"""Seconds before a client whose session ended, or that found no broker, tries again."""


DOORS = ("create ", "invite ", "kick ")
"""How what is done in private rooms is called in the notes begins."""

NICE = 5
"""By how much clients stand back: elsewhere they have processors of their own, and the broker its own."""


@dataclass(slots=True)
class Person:
    """One client of a process.

    Attributes:
        rooms: it follows, and talks in.
        peers: it talks to in private.
        keeps: private rooms that it makes, and whom it lets in there and sends out again.
    """

    name: str
    rooms: list[str]
    peers: list[str] = field(default_factory=list)
    keeps: dict[str, list[str]] = field(default_factory=dict)


def crowd(count: int, rooms: int, *, each: int = 2, guests: Sequence[str] = ()) -> list[Person]:
    """People who talk in public, to one another, and in private rooms of several.

    Args:
        rooms: public ones, and at most as many private ones.
        each: public rooms of each, one or two.
        guests: others who are let into private rooms.
    """
    names = [f"c{number:03}" for number in range(count)]
    people = [
        Person(
            name,
            sorted(
                {f"room{number % rooms}", f"room{(number * 7 + 3) % rooms}"} if each > 1 else {f"room{number % rooms}"}
            ),
            [names[number ^ 1]] if number ^ 1 < count else [],
        )
        for number, name in enumerate(names)
    ]
    kept = min(rooms, max(count // 2, 1))
    for number in range(kept):
        mine = [*names[number + kept :: kept], *guests[number::kept]]
        if mine:
            people[number].keeps = {f"+plans{number}": mine}
    return people


@dataclass(slots=True)
class Spec:
    """What a process is to do.

    Attributes:
        log: the file for its notes, made anew.
        before: the notes of its earlier lives: each room goes on after them.
        people: its clients.
        rate: messages a second of each client; 0 for those who only listen.
        size: of a text, in characters.
        amend: the share of messages that are edited or deleted later.
        lasting: seconds after which a client says goodbye and comes back; 0 for never.
        doors: seconds between two times at which somebody is let into a private room or sent out.
        seed: of its choices.
        life: how often it was started before.
    """

    url: str
    log: str
    before: list[str]
    people: list[Person]
    rate: float
    size: int = 60
    amend: float = 0.0
    lasting: float = 0.0
    doors: float = 0.5
    seed: int = 1
    life: int = 0

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def load(text: str) -> Spec:
        """From JSON."""
        fields = json.loads(text)
        return Spec(**{**fields, "people": [Person(**one) for one in fields["people"]]})


def secret(name: str) -> bytes:
    """Who owns a name in a chaos run."""
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


class Talker(threading.Thread):
    """One client: it follows its rooms, talks at random times, and notes everything.

    Args:
        spec: of the process.
        person: who it is.
        journal: for its notes.
        heard_before: how far an earlier life heard, by room.

    Attributes:
        quiet: whether it is to send no more; set by the process.
        ends: once it is to finish, up to which number it must come to hear each room.
    """

    def __init__(self, spec: Spec, person: Person, journal: Journal, heard_before: dict[str, int]) -> None:
        super().__init__(name=person.name, daemon=True)
        self.quiet = False
        self.ends: dict[str, int] | None = None
        self._spec = spec
        self._person = person
        self._journal = journal
        self._random = random.Random(f"{spec.seed} {spec.life} {person.name}")
        self._message = f"{person.name} {spec.life}"  # how texts begin that are no edits
        self._positions = dict(heard_before)
        self._tickets: dict[int, tuple[str, str]] = {}  # room and text of what is not answered
        self._mine: list[tuple[str, int]] = []  # places that may be edited or deleted
        self._said = 0
        self._next = self._tend_at = 0.0
        self._inside: set[str] = set()  # private rooms of several that it is in
        self._enter: list[str] = []  # into which it was let, and does not go yet
        self._guests: dict[str, set[str]] = {room: set() for room in person.keeps}  # who is in them, as far as it knows
        self._finishing: float | None = None
        self._pause = threading.Event()  # never set: only waited for

    @property
    def unanswered(self) -> int:
        """Messages that are under way."""
        return len(self._tickets)

    def run(self) -> None:
        while not self._over():
            try:
                # With `missed` private rooms are heard from where the person was: nobody else tells where that is.
                me = self._person.name
                client = zchat.connect(self._spec.url, name=me, person=secret(me), missed=True)
            except errors.ZchatError as error:  # nobody there, or the name is still held by the life before
                self._note("refused", str(error))
                self._pause.wait(AGAIN)
                continue
            with client:
                try:
                    self._session(client)
                except errors.ZchatError as error:
                    self._note("ended", repr(error))
                self._give_up(client)
        self._note("finished", not self._behind())

    def _over(self) -> bool:
        """Whether it is to finish and has heard everything, or has waited for long enough."""
        if self.ends is None:
            return False
        self._finishing = self._finishing or time.monotonic() + PATIENCE
        return not self._behind() or time.monotonic() > self._finishing

    def _behind(self) -> bool:
        return any(self._positions.get(room, 0) < end for room, end in (self.ends or {}).items())

    def _note(self, what: str, *more: Any) -> None:
        self._journal.note(what, self._person.name, *more)

    # A session --------------------------------------------------------------------------------------------------------

    def _tap(self, client: zchat.Client) -> None:
        """Notes what comes of private rooms, also what the library does not tell, as of rooms that it has left."""
        replied = client.session.replied

        def tapped(frame: messages.Replies, now: float) -> None:
            for item in frame.items:
                if isinstance(item, messages.Private | messages.Page) and item.room.startswith("@") and item.events:
                    self._note("came", item.room, [one.seq for one in item.events])
            replied(frame, now)

        setattr(client.session, "replied", tapped)  # noqa: B010  # mypy lets no method be assigned

    def _session(self, client: zchat.Client) -> None:
        self._tap(client)
        self._note("session")
        self._inside = {label for label, _ in client.session.positions().values() if label.startswith("+")}
        for room in self._inside:
            client.enter(room)
        for room in self._person.rooms:
            after = self._positions.setdefault(room, 0)
            self._note("join", room, after)
            try:
                client.join(room, after=after)
            except errors.TimedOut:
                pass  # it is followed all the same, as soon as the broker is back
        until = time.monotonic() + (self._random.uniform(0.5, 1.5) * self._spec.lasting or 1e9)
        self._next = time.monotonic() + self._wait()
        while not self._over() and (time.monotonic() < until or self._tickets):
            now = time.monotonic()
            if not self.quiet and now >= self._next and now < until:
                self._next = max(self._next + self._wait(), now - 1.0)
                if client.session.sendable and len(self._tickets) < UNDER_WAY:
                    self._speak(client)
            if self._person.keeps and not self.quiet and self._tend_at <= now < until and client.session.sendable:
                self._tend_at = now + self._random.expovariate(1 / self._spec.doors)
                for room, guests in self._person.keeps.items():
                    self._tend(client, room, guests)
            client.poll(max(min(self._next - time.monotonic(), TICK), 0.0))
            self._outcomes(client)
            for told in client.drain():
                self._hear(told)
            while self._enter:
                client.enter(self._enter.pop())
            client.handled()
        if self.ends is not None:
            for room in self.ends:
                self._note("complete", room)

    def _wait(self) -> float:
        return self._random.expovariate(self._spec.rate) if self._spec.rate else 1e9

    def _speak(self, client: zchat.Client) -> None:
        if self._mine and self._random.random() < self._spec.amend:
            self._amend(client)
            return
        self._said += 1
        text = f"{self._message} {self._said}".ljust(self._spec.size, ".")
        if self._person.peers and self._random.random() < 0.1:
            peer = self._random.choice(self._person.peers)
            self._hand_over(private(self._person.name, peer), text, partial(client.post, f"@{peer}", text))
        else:
            room = self._random.choice([*self._person.rooms, *sorted(self._inside)])
            self._hand_over(room, text, partial(client.post, room, text))

    def _tend(self, client: zchat.Client, room: str, guests: list[str]) -> None:
        """Makes a private room, or lets somebody in, or sends somebody out; now and then for nothing."""
        if any(to == room and text.startswith(DOORS) for to, text in self._tickets.values()):
            return  # one thing after the other: who is in is known then
        self._said += 1
        inside = self._guests[room]
        if room not in self._inside:
            verb, whom = "create", ""
        elif self._random.random() < 0.1:
            verb, whom = self._random.choice(["invite", "kick"]), self._random.choice(guests)
        elif len(inside) < len(guests) and (not inside or self._random.random() < 0.6):
            verb, whom = "invite", self._random.choice(sorted({*guests} - inside))
        else:
            verb, whom = "kick", self._random.choice(sorted(inside))
        why = f"by {self._message} {self._said}"
        text = " ".join(filter(None, (verb, whom, why)))
        act = partial(client.session.act, verb, room, name=whom, text=why, now=time.monotonic())
        self._hand_over(room, text, act)

    def _tended(self, room: str, verb: str, whom: str) -> None:
        """Somebody is in a private room, or is not."""
        if room in self._guests:
            (self._guests[room].add if verb == "invite" else self._guests[room].discard)(whom)

    def _amend(self, client: zchat.Client) -> None:
        at = self._random.randrange(len(self._mine))
        room, seq = self._mine[at]
        if self._random.random() < 0.5:
            self._said += 1
            text = f"edit by {self._message} {self._said}".ljust(self._spec.size, ".")
            self._hand_over(room, text, partial(client.session.edit, room, text, seq=seq, now=time.monotonic()))
        else:
            del self._mine[at]
            self._hand_over(
                room, deletion(room, seq), lambda: client.session.delete(room, seq=seq, now=time.monotonic()), seq
            )

    def _hand_over(self, room: str, text: str, post: Callable[[], int], deletes: int = 0) -> None:
        self._note("send", room, text, deletes)
        self._tickets[post()] = (room, text)

    def _outcomes(self, client: zchat.Client) -> None:
        for ticket, (room, text) in list(self._tickets.items()):
            match client.outcome(ticket):
                case heard.Sent() as sent:
                    self._note("ok", text, sent.seq)
                    if text.startswith(DOORS):
                        self._tended(room, *text.split()[:2])
                    if self._spec.amend and sent.seq and text.startswith(self._message) and room[0] != "@":
                        self._mine = [*self._mine[-20:], (room, sent.seq)]
                case heard.NotSent(error=errors.Unknown() as error):
                    self._note("unknown", text, str(error))
                case heard.NotSent(error=error):
                    self._note("failed", text, repr(error))
                    if text.startswith(DOORS) and isinstance(error, errors.NotAllowed | errors.NoSuchPerson):
                        self._tended(
                            room, "invite" if isinstance(error, errors.NotAllowed) else "kick", text.split()[1]
                        )
                case None:
                    continue
            del self._tickets[ticket]

    def _hear(self, told: heard.Event) -> None:
        match told:
            case heard.Said(room=room, message=message):
                self._heard(room, message)
            case heard.Edited(room=room, edit=edit):
                self._heard(room, edit)
            case heard.Deleted(room=room, deletion=gone):
                self._heard(room, gone)
            case heard.Gap(room=room, first=first, last=last):
                label = self._label(room)
                self._positions[label] = first - 1 if last is None else last
                self._note("gap", label, first, last)
            case heard.Added(room=room):
                self._note("added", room)
                self._inside.add(room)
                self._enter.append(room)
            case heard.Removed(room=room):
                self._note("removed", room)
                self._inside.discard(room)
            case heard.Connected():
                self._note("connected", told.again)
            case heard.Disconnected():
                self._note("disconnected", told.why)
            case heard.Ended():
                self._note("ended", repr(told.error))
            case _ if (acted := _acted(told)) is not None:
                self._heard(*acted)
            case _:
                pass

    def _heard(self, room: str, told: Any) -> None:
        label = self._label(room)
        one = event(label, told)
        self._positions[label] = one.seq
        more = (one.verb, one.whom) if one.deed else ()
        self._note("heard", label, one.seq, one.id, one.text, one.target, one.deed, *more)

    def _label(self, room: str) -> str:
        return private(self._person.name, room[1:]) if room.startswith("@") else room

    def _give_up(self, client: zchat.Client) -> None:
        """What is not answered when a session is over is unknown for ever."""
        for _, text in self._tickets.values():
            self._note("unknown", text, "the session is over")
        self._tickets.clear()
        client.close()


def _acted(told: object) -> tuple[str, messages.Acted] | None:
    """Where something was done, and what, if that is what a client hears."""
    values = [getattr(told, name) for name in getattr(told, "__struct_fields__", ())]
    deed = next((value for value in values if isinstance(value, messages.Acted)), None)
    return None if deed is None else (str(getattr(told, "room", "")), deed)


def _crash(args: threading.ExceptHookArgs) -> None:
    """A client that dies takes its process with it: nobody is to take its silence for peace."""
    traceback.print_exception(args.exc_value)
    os._exit(1)


def main() -> int:
    """Runs one process of clients."""
    os.nice(NICE)
    spec = Spec.load(sys.argv[1])
    before = positions(map(Path, spec.before))
    journal = Journal(Path(spec.log))
    talkers = [
        Talker(spec, one, journal, {room: seq for (name, room), seq in before.items() if name == one.name})
        for one in spec.people
    ]
    threading.excepthook = _crash
    for one in talkers:
        one.start()
    for line in sys.stdin:
        command, _, ends = line.strip().partition(" ")
        if command == "quiet":
            for one in talkers:
                one.quiet = True
            until = time.monotonic() + PATIENCE
            while any(one.unanswered for one in talkers) and time.monotonic() < until:
                talkers[0].join(TICK)
            print(f"quiet {sum(one.unanswered for one in talkers)}", flush=True)
        elif command == "finish":
            for one in talkers:
                one.ends = json.loads(ends)[one.name]
            for one in talkers:
                one.join(PATIENCE + 10)
            return int(any(one.is_alive() for one in talkers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
