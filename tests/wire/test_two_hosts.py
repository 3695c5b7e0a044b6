"""A broker on a network: who was invited comes in from another host, who was not learns nothing there."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import msgspec
from hosts import Host, needs_namespaces, two_hosts
from support import World, eventually

from zchat import codec
from zchat.links import parse_link
from zchat.messages import (
    VERSION,
    About,
    Ack,
    Act,
    Added,
    Delete,
    Edit,
    Heartbeat,
    Hello,
    History,
    Join,
    Joined,
    Leave,
    Link,
    Linked,
    List,
    Mark,
    Numbered,
    Page,
    Private,
    Read,
    Removed,
    Reply,
    Request,
    Rooms,
    RoomState,
    Search,
    Send,
    Welcome,
    Who,
)
from zchat.verbs import ACTS, LISTS

LISTENER = str(Path(__file__).parent / "listener.py")
SENDER = str(Path(__file__).parent / "sender.py")


class Listener:
    """Somebody on another host with sockets of their own."""

    def __init__(self, host: Host, link: str, port: str, keys: Path, what: str) -> None:
        arguments = [*host.within, sys.executable, LISTENER, link, port, str(keys), what]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{what}ing\n"

    def hears(self, text: str, say: Callable[[], None]) -> None:
        """Waits until something came to it that somebody says again and again."""
        pipe = self._process.stdout
        assert pipe is not None
        before = ""

        def came() -> bool:
            nonlocal before
            say()
            while select.select([pipe.fileno()], [], [], 0.1)[0]:
                before += os.read(pipe.fileno(), 1 << 16).decode()
            return text in before

        eventually(came, f"the listener hears {text!r}")

    def heard(self) -> str:
        """All that came to it since."""
        out, _ = self._process.communicate(timeout=40)
        return out


class Sender:
    """Somebody with sockets of their own, who may be told what to send.

    Attributes:
        heard: every frame that came to it so far: which socket, and its bytes.
        items: the replies among them.
    """

    def __init__(self, host: Host, link: str, keys: Path) -> None:
        arguments = [*host.within, sys.executable, SENDER, link, str(keys)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._text = b""
        self.heard: list[tuple[str, bytes]] = []
        self.items: list[Reply] = []
        self.n = self.q = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _tells(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def listens(self, port: int, *topics: bytes) -> None:
        """Opens a SUB socket."""
        self._tells(f"open {port}")
        for topic in topics:
            self._tells(f"subscribe {topic.hex()}")

    def takes(self, seconds: float = 20.0) -> None:
        """Takes what comes next, if anything does in so many seconds."""
        pipe = self._process.stdout
        assert pipe is not None
        if not select.select([pipe.fileno()], [], [], seconds)[0]:
            return
        data = os.read(pipe.fileno(), 1 << 16)
        assert data, "it ended"
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            name, _, frame = line.decode().partition(" ")
            self.heard.append((name, bytes.fromhex(frame)))
            if name == "requests":
                self.items += codec.decode_replies(bytes.fromhex(frame)).items

    def asks(self, request: Request) -> Reply:
        """Asks for something, a message or an act under the next number; gives the answer."""
        return self.asks_all([request])[0]

    def asks_all(self, requests: Sequence[Request]) -> list[Reply]:
        """Asks for much at once, under numbers of their own; gives the answers."""
        numbered: list[Request] = []
        for request in requests:
            if isinstance(request, Numbered):
                self.n += 1
                numbered.append(msgspec.structs.replace(request, n=self.n))
            else:
                self.q += 1
                numbered.append(msgspec.structs.replace(request, q=self.q))
        for frame in codec.encode_requests(numbered):
            self._tells(f"send {frame.hex()}")
        before, found = len(self.items), dict[tuple[str, int], Reply]()
        keys = [("n", one.n) if isinstance(one, Numbered) else ("q", one.q) for one in numbered]

        def answered() -> bool:
            for item in self.items[before:]:
                for field in ("n", "q"):
                    first, count = getattr(item, field, 0), getattr(item, "count", 1) if field == "n" else 1
                    found.update({(field, number): item for number in range(first, first + count)})
            return all(key in found for key in keys)

        eventually(answered, f"answers to {requests}", self.takes)
        return [found[key] for key in keys]

    def comes(self, name: str, secret: bytes | None) -> Welcome:
        """Says hello."""
        person, client, fence = (os.urandom(16) for _ in range(3))
        welcome = self.asks(Hello(0, VERSION, name, person, client, fence, invite=secret))
        assert isinstance(welcome, Welcome), welcome
        return welcome

    def hears(self, what: Callable[[Sender], bool]) -> None:
        """Waits for something."""
        eventually(lambda: what(self), "it hears what it waits for", lambda _: self.takes(0.1))


def _invited(stack: ExitStack, by: Sender, host: Host, bare: str, keys: Path) -> Sender:
    linked = by.asks(Link(0))
    assert isinstance(linked, Linked)
    made = stack.enter_context(Sender(host, bare, keys))
    made.comes(keys.name, parse_link(linked.link).invite)
    return made


def told(frames: list[tuple[str, bytes]], text: str) -> bool:
    """Whether a text is in some of these."""
    return any(text.encode() in frame for _, frame in frames)


@needs_namespaces
def test_who_was_kicked_hears_nothing_on_any_socket_by_any_command(world: World, tmp_path: Path) -> None:
    with ExitStack() as stack:
        here, there = stack.enter_context(two_hosts())
        broker = world.broker("--advertise", here.address, bind=f"tcp://{here.address}:5555", within=here.within)
        first = parse_link(broker.wait_out(r"zchat join '(\S+)'").group(1))
        bare = str(msgspec.structs.replace(first, invite=None))
        fay = stack.enter_context(Sender(here, bare, tmp_path / "fay.key"))
        port = fay.comes("fay", first.invite).pub_port
        mia, eve = (_invited(stack, fay, there, bare, tmp_path / name) for name in ("mia", "eve"))
        fay.asks(Act(0, "create", "+plans"))
        for name in ("mia", "eve"):
            fay.asks(Act(0, "invite", "+plans", name))
        eve.hears(lambda one: any(isinstance(item, Added) for item in one.items))
        (room,) = (item.room for item in eve.items if isinstance(item, Added))
        words = ("+plans", room, room[1:], "plans", "@plans")
        rooms = [codec.room_topic(word) for word in ("lobby", *words)]
        junk = [b"", b"r.", b"r.@", b"@", *(word.encode() for word in words)]  # who asks for that is cut each time
        for topics in (rooms, junk):
            eve.listens(port, *topics)
        eve.asks(Join(1, "+plans"))
        fay.asks(Act(0, "topic", "+plans", text="our secret plans"))
        fay.asks(Send(0, "+plans", "secret of all"))
        fay.asks(Send(0, "lobby", "for all"))
        eve.hears(lambda one: told(one.heard, "secret of all"))
        eve.hears(lambda one: told(one.heard, "for all") or not fay.asks(Send(0, "lobby", "for all")))

        fay.asks(Act(0, "kick", "+plans", "eve"))
        eve.hears(lambda one: any(isinstance(item, Removed) for item in one.items))
        heard, items = len(eve.heard), len(eve.items)
        named = ("+plans", room, "@plans")  # whoever likes may make a public room of the other words
        every: list[Request] = [
            *(kind(7, word) for kind in (Who, About, History, Leave) for word in words),
            *(Read(7, word, 0, 100) for word in words),
            *(List(7, what, word) for what in LISTS for word in words),
            *(Mark(7, word, 1) for word in words),
            *(Search(7, "secret", word) for word in ("", *words)),
            *(Act(0, verb, word, "mia", 1, 1, "x") for verb in ACTS if verb != "create" for word in words[:2]),
            *(Join(7, word) for word in named),
            *(Send(0, word, "let me in") for word in named),
            *(Edit(0, word, 0, "let me in") for word in words),
            *(Delete(0, word, 0) for word in words),
            *(Link(7, word) for word in words),
            Rooms(7),
            Who(7),
            Who(7, away=True),
            Heartbeat(7),
        ]
        for at in range(0, len(every), 40):
            talk: list[Request] = [
                Send(0, "+plans", f"secret {at}"),
                Act(0, "topic", "+plans", text=f"secret topic {at}"),
            ]
            assert all(isinstance(answer, Ack) for answer in fay.asks_all(talk)), "the others talk on"
            mia.asks(Act(0, "react", room, "", 1, 0, ":secret:"))
            asked = every[at : at + 40]
            for request, answer in zip(asked, eve.asks_all(asked), strict=True):
                assert getattr(answer, "code", "") not in ("rate-limited", "unknown-session"), (request, answer)
                assert not isinstance(answer, Page | Joined | RoomState | Ack), (request, answer)
        again = eve.comes("eve", None)
        assert again.private == ()
        for topics in (rooms, junk):
            eve.listens(port, *topics)
        fay.asks(Send(0, "+plans", "last secret"))
        mia.hears(lambda one: told(one.heard, "last secret"))
        fay.asks(Send(0, "lobby", "the end"))
        eve.hears(lambda one: told(one.heard[heard:], "the end") or not fay.asks(Send(0, "lobby", "the end")))
        assert not any(isinstance(item, Private | Added) for item in eve.items[items:])
        frames = [
            (name, frame.replace(b"nobody was ever called " + room[1:].encode(), b"")) for name, frame in eve.heard
        ]
        for secret in ("secret", room, room[1:]):
            assert not told(frames[heard:], secret), secret
            assert not told([one for one in frames if one[0] == "rooms"], secret), "it never is on that socket"
            assert told(mia.heard, secret), "there is something to be heard"


@needs_namespaces
def test_a_network_learns_nothing_from_the_broker_but_who_was_invited_does(world: World, tmp_path: Path) -> None:
    with two_hosts() as (here, there):
        broker = world.broker("--advertise", here.address, bind=f"tcp://{here.address}:5555", within=here.within)
        first = broker.wait_out(r"zchat join '(\S+)'").group(1)
        other = world.other_person()

        # The owner is at home, and invites somebody on the other host.
        olga = world.start("join", first, "--name", "olga", stdin=True, within=here.within)
        olga.wait_err("you are in lobby")
        olga.type("/link\n")
        link = olga.wait_err(r"(zchat://\S+)").group(1)
        bare, port = re.sub("&invite=.*", "", link), "5556"

        # Nobody who was not invited is answered, whether links are about or not.
        knocking = Listener(there, bare, port, tmp_path / "eve.key", "knock")
        olga.type("the launch code is 0000\n")
        olga.wait_out("0000")
        assert all(secret not in knocking.heard() for secret in ("olga", "lobby", "0000", "welcome"))
        bob = world.start("join", link, "--name", "bob", stdin=True, env=other, within=there.within)
        bob.wait_err("you are in lobby")
        assert Listener(there, bare, port, tmp_path / "eve.key", "knock").heard() == ""

        # Whom the owner lets in reads; with sockets of their own as well.
        bob.type("hello from afar\n")
        olga.wait_out("bob: hello from afar")
        keys = next((tmp_path / "other" / "zchat" / "identities").glob("*.key"))
        listening = Listener(there, bare, port, keys, "listen")
        olga.type("for all of us\n")
        bob.wait_out("olga: for all of us")
        listening.hears("for all of us", lambda: olga.type("for all of us\n"))

        # Once let out, nothing more comes to any of bob's sockets.
        done = subprocess.run(
            [*here.within, sys.executable, "-m", "zchat", "revoke", "bob"],
            env=world.env,
            capture_output=True,
            timeout=40,
        )
        assert done.returncode == 0, done.stderr
        for secret in ("first secret", "second secret"):
            olga.type(f"{secret}\n")
            olga.wait_out(secret)
        eventually(lambda: bob.popen.poll() is not None, "bob's client ends", bob.pump)
        assert bob.ends() == 4
        assert "you are not let in" in bob.err
        assert "secret" not in bob.out + listening.heard()


@needs_namespaces
def test_plaintext_is_spoken_to_another_host_only_if_that_is_said(world: World) -> None:
    with two_hosts() as (here, there):
        world.broker("--insecure", bind=f"tcp://{here.address}:0", within=here.within)
        unknown = world.start("ping", "--count", "1", within=there.within)
        assert unknown.ends() == 1
        plain = world.url.replace("tcp://", "plain://")
        assert unknown.err == (
            f"zchat: nothing is known of the broker at {world.url}: ask who runs it for a link (`zchat join LINK`); "
            f"or, if it is plaintext on purpose, write {plain}\n"
        )
        meant = world.start("ping", "--count", "1", "--url", plain, within=there.within)
        assert meant.ends() == 0
