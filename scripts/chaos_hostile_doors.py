"""Private rooms, and those who are not in them: never let in, sent out, or banned, with frames of their own on both
sockets.
"""

from __future__ import annotations

import zmq

from scripts.chaos_eve import leaks, questions
from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_keys import Keys
from scripts.chaos_hostile_scene import Scene
from zchat import address, codec, links
from zchat.messages import (
    Ack,
    Act,
    Acted,
    Added,
    Admin,
    Delete,
    Done,
    Edit,
    Failed,
    Leave,
    Link,
    List,
    Message,
    Page,
    Private,
    Read,
    Refused,
    Removed,
    Request,
    Send,
    Welcome,
)
from zchat.verbs import ACTS, ADMIN, LISTS, Rank

ROOM, SECRET = "+vault", "between the three of us"

OUT = ("outside", "kicked", "banned")
"""Those who try."""

SAID = ("after", "and more")
"""What is said once everybody is out who is to be."""


def _tune(context: zmq.Context[zmq.Socket[bytes]], url: str, port: int, keys: Keys) -> zmq.Socket[bytes]:
    """A socket that hears what is published."""
    sub = context.socket(zmq.SUB)
    sub.linger = 0
    where = address.parse(url) if not links.is_link(url) else links.parse_link(url).address
    if links.is_link(url):
        sub.curve_serverkey = links.parse_link(url).key
        sub.curve_publickey, sub.curve_secretkey = keys
    sub.connect(f"tcp://{where.host}:{port}")
    return sub


def _tries(room: str, n: int) -> list[Request]:
    """All that can be asked for with a room, by whatever name, and all that can be done to the whole broker."""
    asked = questions(room, n)
    taken = sum(isinstance(one, Act | Edit | Delete) for one in asked)
    verbs = [verb for verb in ACTS if verb != "create"]
    asked += [Act(n + taken + at, verb, room, "member", 1, 0, ":x:") for at, verb in enumerate(verbs)]
    asked.append(Send(n + taken + len(verbs), room, "let me in"))
    asked += [List(30, what, room) for what, row in LISTS.items() if row.rank > Rank.MEMBER]
    asked += [Admin(31, verb, "keeper", text="hello") for verb, row in ADMIN.items() if row.rank > Rank.MEMBER]
    return [*asked, Link(32, room), Leave(33, room)]


def intrude(scene: Scene) -> tuple[int, list[str]]:
    """Those who are out try everything while those who are in talk; gives how much was tried, and what came of it."""
    url, tried, faults = scene.broker.url, 0, list[str]()
    pairs = {name: zmq.curve_keypair() for name in (*OUT, "keeper", "member")}
    actors = {name: Actor(url, name, keys=keys) for name, keys in pairs.items()}
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        welcomes = {name: one.hello() for name, one in actors.items()}
        keeper, member = actors["keeper"], actors["member"]
        acts = [("create", "", ROOM), *(("invite", who, ROOM) for who in ("kicked", "banned", "member"))]
        (ack, *_) = [_done(keeper, Act(0, verb, room, who)) for verb, who, room in acts]
        _done(keeper, Send(0, ROOM, SECRET))
        subs = {}
        for name in OUT:
            welcome = welcomes[name]
            assert isinstance(welcome, Welcome), welcome
            subs[name] = _tune(context, url, welcome.pub_port, pairs[name])
            for topic in (b"r.@", b"r.+", codec.room_topic("open"), codec.fence_topic(actors[name].fence, 1)):
                subs[name].subscribe(topic)
        _done(keeper, Act(0, "kick", ROOM, "kicked"))
        _done(keeper, Act(0, "ban", ROOM, "banned"))
        for name in OUT:
            actors[name].waits(200)  # what was theirs to hear
            actors[name].heard.clear()
        for name in OUT:
            one = actors[name]
            for wanted in (ack.room, ROOM):
                _done(member, Send(0, ROOM, SAID[0]))
                asked = _tries(wanted, one.n + 1)
                answers = one.asks(*asked)
                one.n = max([one.n, *(each.n for each in answers if isinstance(each, Refused) and not each.retry_ms)])
                tried += len(asked)
                told = [each for each in answers if not (isinstance(each, Done) and each.q == 33)]
                faults += [f"{name}: {wrong}" for wrong in leaks(wanted, told)]
                refused = sum(isinstance(each, Failed | Refused) for each in answers)
                if refused < len(asked) - 5:
                    faults.append(f"{name}: {refused} of {len(asked)} requests were refused")
            _done(keeper, Send(0, ROOM, SAID[1]))
            _done(keeper, Send(0, "open", "to all"))
        for name in OUT:
            more = actors[name].waits(100)
            faults += [f"{name} hears {one!r}" for one in more if isinstance(one, Private | Added | Removed)]
            faults += _published(name, subs[name])
        (page,) = (one for one in member.asks(Read(40, ROOM, 0, 500)) if isinstance(one, Page))
        said = {one.text for one in page.events if isinstance(one, Message)}
        by = {one.name for one in page.events if isinstance(one, Message | Acted)}
        if said != {SECRET, *SAID} or by != {"keeper", "member"}:
            faults.append(f"in the room was said {said} by {by}")
    finally:
        context.destroy(linger=0)
        for one in actors.values():
            one.close()
    return tried, faults


def _done(who: Actor, request: Act | Send) -> Ack:
    """Something that must be done, under the number that is due."""
    fields = [getattr(request, field) for field in request.__struct_fields__[1:]]
    heard = who.asks(type(request)(who.n + 1, *fields))
    who.n += 1
    acks = [one for one in heard if isinstance(one, Ack)]
    assert acks, heard
    return acks[0]


def _published(name: str, sub: zmq.Socket[bytes]) -> list[str]:
    rooms = set()
    while sub.poll(100):
        rooms.add(codec.decode_published(sub.recv())[0])
    return [f"{name} hears {rooms - {'open'}} published, and {rooms & {'open'}}"] if rooms != {"open"} else []
