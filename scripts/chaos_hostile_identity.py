"""Being somebody else: by a routing id, in a body, with what was overheard, or by a name that looks the same."""

from __future__ import annotations

import secrets
import socket
from itertools import chain, combinations, islice
from random import Random
from typing import Any

from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_doors import intrude
from scripts.chaos_hostile_fuzz import GONE, UNLIMITED, source
from scripts.chaos_hostile_names import VICTIMS, confusables, passes_for
from scripts.chaos_hostile_scene import Scene
from scripts.chaos_hostile_seeds import metadata, ready
from scripts.chaos_run import Run
from scripts.peers_zmtp import GREETING, frame
from zchat import codec
from zchat.links import is_link
from zchat.messages import (
    Ack,
    Delete,
    Edit,
    Failed,
    History,
    Join,
    Mark,
    Message,
    Named,
    Nick,
    Page,
    Private,
    Read,
    Refused,
    Search,
    Send,
    Welcome,
)

SQUATTERS = 300
"""Connections that ask for a routing id which is, or may be, another's."""

NAMES = 1000
"""Names that look like those of others."""

STOLEN = ("name", "client", "fence", "resume")
"""What a hello holds beside the secret of its person."""


def _subsets(fields: tuple[str, ...]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(fields, size) for size in range(1, len(fields) + 1)))


def _unharmed(victim: Actor, room: str) -> list[str]:
    """What is wrong with somebody to whom nothing should have happened."""
    heard = victim.asks(Send(victim.n + 1, room, f"still {victim.name}"))
    faults = [f"{victim.name} hears {one.code}" for one in heard if isinstance(one, Failed | Refused)]
    if not any(isinstance(one, Ack) for one in heard):
        faults.append(f"{victim.name} is not served any more")
    victim.n += 1
    return faults


def squat(scene: Scene, count: int) -> list[str]:
    """Others ask for routing ids that might be somebody's: at random, as clients choose theirs, and those that libzmq
    makes up.
    """
    url, faults = scene.broker.url, list[str]()
    with Actor(url, "squatted") as victim, Actor(url, "friend") as friend:
        victim.hello()
        friend.hello()
        guesses = (codec.routing_id(scene.random.randbytes(15)) for _ in range(min(count // 10, 20)))
        squatters = [Actor(url, None, guess) for guess in guesses]
        for number in range(count):
            # libzmq's own ids are a zero and four bytes, of a number that rises from a random one.
            identity = b"\0" + (number if number % 2 else scene.random.getrandbits(32)).to_bytes(4)
            with socket.socket() as tcp:
                tcp.bind(source(scene.random))
                tcp.settimeout(5.0)
                tcp.connect(("127.0.0.1", scene.port))
                try:
                    tcp.sendall(GREETING + ready(b"DEALER", metadata(Identity=identity)))
                    tcp.sendall(frame(codec.encode_requests([Send(1, "lobby", "forged")])[0]))
                except GONE:
                    pass
        friend.n += 1
        friend.asks(Send(friend.n, "@squatted", "a secret"))
        heard = victim.waits(200)
        if not any(isinstance(one, Private) for one in heard):
            faults.append("what is said to the victim does not reach it")
        for squatter in squatters:
            faults += [f"a squatter hears {one!r}" for one in squatter.waits(1) if not isinstance(one, Failed)]
            squatter.close()
        return faults + _unharmed(victim, "lobby")


def forge(scene: Scene) -> tuple[int, list[str]]:
    """Somebody says in bodies that it is another; gives how often it was tried, and what came of it."""
    url, tried, faults = scene.broker.url, 0, list[str]()
    with Actor(url, "forged") as victim, Actor(url, "forged-friend") as friend, Actor(url, "mallory") as mallory:
        for one in (victim, friend, mallory):
            one.hello()
            one.asks(Join(2, "forging"))
        ack = next(one for one in victim.asks(Send(1, "forging", "mine")) if isinstance(one, Ack))
        private = next(one for one in victim.asks(Send(2, "@forged-friend", "between us")) if isinstance(one, Ack))
        victim.n = 2
        more: list[list[Any]] = [
            ["forged"],
            [victim.name, victim.sender],
            [victim.name, victim.person, victim.client, victim.sender],
            [{"name": "forged", "sender": victim.sender}],
        ]
        for extra in more:
            mallory.n += 1
            heard = mallory.raw(["send", mallory.n, "forging", f"forged {mallory.n}", False, *extra])
            tried += 1
            mallory.n -= not any(isinstance(one, Ack | Refused) for one in heard)
        event = [9, 0, "forged", victim.sender, 1, "forged as an event"]
        forged: list[list[Any]] = [["message", *event], ["private", private.room, "forged", [["message", *event]]]]
        for body in [*forged, ["forging", *forged], ["published", forged], ["notice", 0, "operator", "forged"]]:
            mallory.raw(body)
            tried += 1
        asked: list[Any] = [
            Edit(0, "forging", ack.seq, "forged"),
            Delete(0, "forging", ack.seq),
            Send(0, private.room, "forged"),
        ]
        for request in asked:
            mallory.n += 1
            heard = mallory.asks(type(request)(mallory.n, *_rest(request)))
            tried += 1
            faults += [f"{type(request).__name__} of another's: {one!r}" for one in heard if isinstance(one, Ack)]
        looks: list[Any] = [
            Read(5, private.room, 0, 9),
            History(5, private.room),
            Join(5, private.room),
            Mark(5, private.room, 1),
        ]
        looks += [Search(5, "between", private.room), History(5, "@forged-friend"), Read(5, "@forged", 0, 9)]
        for look in looks:
            tried += 1
            heard = mallory.asks(look)
            faults += [f"{type(look).__name__} of another's: {one!r}" for one in heard if "between" in repr(one)]
            if not any(isinstance(one, Failed) for one in heard):
                faults.append(f"{look!r} is not refused")
        page = next(one for one in friend.asks(Read(6, "forging", 0, 100)) if isinstance(one, Page))
        for said in page.events:
            if (
                isinstance(said, Message)
                and said.text != "mine"
                and (said.name, said.sender)
                != (
                    mallory.name,
                    mallory.sender,
                )
            ):
                faults.append(f"it was said as {said.name}: {said.text}")
        return tried, faults + _unharmed(victim, "forging")


def _rest(request: Any) -> list[Any]:
    return [getattr(request, field) for field in request.__struct_fields__[1:] if field != "action"]


def steal(scene: Scene) -> tuple[int, list[str]]:
    """Somebody says hello with what was overheard of another. All of it, where the key says who one is; in plaintext
    all but the secret of the person, which is all that one is known by there.
    """
    url, tried, faults = scene.broker.url, 0, list[str]()
    with Actor(url, "robbed") as victim:
        welcome = victim.hello()
        assert isinstance(welcome, Welcome), welcome
        for stolen in _subsets((*STOLEN, "person") if is_link(url) else STOLEN):
            for name in ("thief", None):
                with Actor(url, name) as thief:
                    mine = {"name": name, "client": thief.client, "fence": thief.fence, "resume": None}
                    theirs = {"name": "robbed", "client": victim.client, "fence": victim.fence, "resume": victim.token}
                    theirs["person"] = victim.person
                    changes = {**mine, **{field: theirs[field] for field in stolen}}
                    answer = thief.hello(**changes)
                    tried += 1
                    if isinstance(answer, Welcome) and (
                        answer.resumed or answer.name == "robbed" or answer.sender == victim.sender or answer.private
                    ):
                        faults.append(f"with {', '.join(stolen)} of another: {answer!r}")
                faults += _unharmed(victim, "lobby")
    return tried, faults


def names(scene: Scene, count: int, label: str) -> tuple[int, list[str]]:
    """Somebody takes names that look like those of others, at hello and later."""
    url, faults, real = scene.broker.url, list[str](), 0
    victims = [Actor(url, name) for name in VICTIMS]
    for victim in victims:
        if not isinstance(victim.hello(), Welcome):
            faults.append(f"{victim.name} cannot come in")
    with Actor(url, "mallory2") as mallory:
        mallory.hello()
        wanted = [*VICTIMS, "operator", "admin", "server"]
        for number, name in enumerate(islice(confusables(Random(scene.run.options.seed), wanted), count)):
            if number % 10:
                heard = mallory.asks(Nick(3, name))
                answer = next((one for one in heard if getattr(one, "q", 0) == 3), None)
            else:
                with Actor(url, name, person=secrets.token_bytes(16)) as other:
                    answer = other.hello()
            if isinstance(answer, Named | Welcome):
                if passes_for(answer.name or "", wanted):
                    faults.append(f"{name!r}, shown as {answer.name!r}")
            elif not isinstance(answer, Failed):
                faults.append(f"{name!r} is not answered")
            elif answer.code == "name-taken" or "looks like one" in answer.detail:
                real += 1
    for victim in victims:
        victim.close()
    scene.line(f"{label}names that are names, and refused", f"{real} of {count}", real > count // 3)
    return count, faults


def identity(run: Run) -> None:
    """Row 16: in plaintext, and where everybody has a key."""
    for curve, label in ((False, ""), (True, "CURVE, ")):
        with Scene(run, 16, UNLIMITED if curve else [], curve=curve) as scene:
            count = scene.scaled(SQUATTERS, 20)
            scene.none(f"{label}routing ids squatted", squat(scene, count), count, "tries")
            tried, faults = forge(scene)
            scene.none(f"{label}forged senders", faults, tried, "tries")
            tried, faults = steal(scene)
            scene.none(f"{label}stolen hellos and tokens", faults, tried, "tries")
            tried, faults = intrude(scene)
            scene.none(f"{label}private rooms intruded upon", faults, tried, "tries")
            count, faults = names(scene, scene.scaled(NAMES, 50), label)
            scene.none(f"{label}confusable names", faults, count, "names")
