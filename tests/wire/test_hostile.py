"""What peers may do to the broker without harm to anybody else."""

from __future__ import annotations

import gc
import os
import random
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zmq
from wires import GREETING, Broker, Client, Raw, Wires, eventually, frame, ready

from zchat import codec, errors
from zchat.broker.connections import Connections
from zchat.broker.inputs import Announce
from zchat.messages import (
    VERSION,
    Ack,
    Bye,
    Failed,
    Hello,
    Join,
    Notice,
    Page,
    Ping,
    Pong,
    Read,
    Rooms,
    Send,
    Welcome,
)

PORTS = ["router", "xpub"]

GARBAGE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 200,
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": b"\0" * 100_000,
    "ones": b"\xff" * 100_000,
    "noise": random.Random(1).randbytes(100_000),
    "ZMTP 1": b"\x01\0\x05\0ping",
    "ZMTP 2": b"\xff" + b"\0" * 8 + b"\x7f\x01\x05\0\0",
    "another mechanism": GREETING.replace(b"NULL" + b"\0" * 16, b"PLAIN" + b"\0" * 15) + ready("DEALER"),
    "no such mechanism": GREETING.replace(b"NULL", b"EVIL"),
    "no ready": GREETING + frame(b"\x05ERROR\x03bad", command=True),
    "a message before ready": GREETING + frame(b"\x90"),
    "an endless property": GREETING + frame(b"\x05READY\x0bSocket-Type\xff\xff\xff\xff", command=True),
    "a command of no name": GREETING + frame(b"", command=True),
}


def greeting(name: str | None = None, **changes: bytes) -> Hello:
    """Hello of somebody new."""
    random16 = {field: secrets.token_bytes(16) for field in ("person", "client", "fence")}
    fields = random16 | changes
    return Hello(1, VERSION, name, fields["person"], fields["client"], fields["fence"])


def opened(wires: Wires, broker: Broker, name: str, receive: int | None = None) -> Raw:
    """A TCP peer with a session."""
    raw = wires.raw(broker, receive=receive)
    raw.handshake("DEALER")
    raw.requests(greeting(name))
    (welcome,) = raw.replies()
    assert isinstance(welcome, Welcome)
    return raw


# Before there is a connection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage(wires: Wires, broker: Broker, honest: Client, port: str, data: bytes) -> None:
    for _ in range(3):
        raw = wires.raw(broker, port)
        raw.sends(data)
        honest.chats()
        raw.close()
    raw = wires.raw(broker, port)
    raw.sends(data)
    raw.resets()
    honest.chats()


def test_half_a_handshake_is_not_waited_for_long(wires: Wires, broker: Broker, honest: Client) -> None:
    whole = GREETING + ready("DEALER")
    half = [wires.raw(broker, port) for port in PORTS for _ in range(8)]
    for i, raw in enumerate(half):
        raw.sends(whole[: (i % 8) * len(whole) // 8])
    honest.chats()
    for raw in half:
        raw.is_cut()


@pytest.mark.parametrize("port", PORTS)
def test_a_frame_that_is_too_long(wires: Wires, broker: Broker, honest: Client, port: str) -> None:
    for before in (GREETING, GREETING + ready("DEALER" if port == "router" else "SUB")):
        for size in (codec.FRAME + 1, 2**31, 2**63 - 1, 2**64 - 1):
            raw = wires.raw(broker, port)
            raw.sends(before + frame(b"x" * 1000, size=size))
            honest.chats()
            raw.is_cut()


def test_the_longest_frame_that_is_not(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = opened(wires, broker, "eve")
    ping = b"\xdd\x00\x00\x00\x02" + msgspec.msgpack.encode(Ping(1))
    filler = msgspec.msgpack.encode(["dance", 5, ""])
    room = codec.FRAME - len(ping) - len(filler) - 4
    raw.sends(frame(ping + filler[:-1] + b"\xdb" + room.to_bytes(4, "big") + b"x" * room))
    pong, failed = raw.replies()
    assert pong == Pong(1)
    assert isinstance(failed, Failed)
    assert failed.code == "unknown-request"


@pytest.mark.parametrize("port", PORTS)
def test_a_connection_that_is_reset_at_any_moment(wires: Wires, broker: Broker, honest: Client, port: str) -> None:
    if port == "router":
        whole = GREETING + ready("DEALER")
        for request in (greeting("eve"), Join(2, "lobby"), Send(1, "lobby", "half"), Bye(3)):
            whole += frame(codec.encode_requests([request])[0])
    else:
        whole = GREETING + ready("SUB") + frame(b"\1" + codec.room_topic("lobby"))
        whole += frame(b"\1" + codec.fence_topic(secrets.token_bytes(16), 1)) + frame(b"\0" + codec.room_topic("lobby"))
    for end in range(0, len(whole) + 1, 5):
        raw = wires.raw(broker, port)
        raw.sends(whole[:end])
        raw.resets() if end % 2 else raw.close()
    honest.chats()


@pytest.mark.parametrize("port", PORTS)
def test_a_burst_a_ping_and_a_reset(wires: Wires, broker: Broker, honest: Client, port: str) -> None:
    # With a finite RCVHWM this makes libzmq abort the process.
    ping = frame(b"\x04PING\x00\x00context", command=True)
    tiny = frame(b"\x90" if port == "router" else b"\1r.x\0")
    for _ in range(10):
        raw = wires.raw(broker, port)
        raw.sends(GREETING + ready("DEALER" if port == "router" else "SUB") + tiny * 1500 + ping + tiny * 1500)
        raw.resets()
    honest.chats()


# Messages of several parts -------------------------------------------------------------------------------------------


def test_parts_that_never_end(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = opened(wires, broker, "eve")
    for _ in range(20):
        raw.sends(frame(b"x" * 1000, more=True) * 50)
    honest.chats()
    raw.sends(frame(b"the end"))
    (failed,) = raw.replies()
    assert isinstance(failed, Failed)
    assert (failed.q, failed.code) == (0, "bad-request")
    raw.requests(Ping(1))
    assert raw.replies() == (Pong(1),)


def test_no_part_is_taken_for_another_peers(wires: Wires, broker: Broker, honest: Client) -> None:
    (victim,) = (session.peer for session in broker.server.hub.sessions._peers.values() if session.name == "honest")
    assert victim is not None
    bye = codec.encode_requests([Bye(1)])[0]
    raw = opened(wires, broker, "eve")
    for parts in ([bye, b"", victim, bye], [bye, bye, victim], [b"", victim, bye], [victim, bye], [b"", b""]):
        raw.sends(b"".join(frame(part, more=True) for part in parts[:-1]) + frame(parts[-1]))
        (failed,) = raw.replies()
        assert isinstance(failed, Failed)
        assert failed.code == "bad-request"
        honest.chats()
    raw.requests(Ping(1))
    assert raw.replies() == (Pong(1),)


def test_parts_in_the_first_message_of_a_peer(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = wires.raw(broker)
    raw.handshake("DEALER")
    raw.sends(frame(b"\x90", more=True) + frame(b"x", more=True) + frame(b"y"))
    assert isinstance(raw.replies()[0], Failed)
    raw.requests(greeting("eve"))
    assert isinstance(raw.replies()[0], Welcome)


@pytest.mark.parametrize("kind", ["REQ", "ROUTER", "DEALER", "PUB", "XPUB", "PULL", "NOSUCH", ""])
@pytest.mark.parametrize("port", PORTS)
def test_a_socket_of_any_kind(wires: Wires, broker: Broker, honest: Client, kind: str, port: str) -> None:
    raw = wires.raw(broker, port)
    raw.sends(GREETING + ready(kind) + frame(b"", more=True) + frame(codec.encode_requests([Ping(1)])[0]))
    honest.chats()
    raw.close()


# The PUB port --------------------------------------------------------------------------------------------------------


def subscriber(wires: Wires, broker: Broker) -> Raw:
    raw = wires.raw(broker, "xpub")
    raw.handshake("SUB")
    return raw


@pytest.mark.parametrize("parts", [[b"hello"], [b""], [b"\2x", b"\0r.lobby\0"], [b"\2x", b"\1r.x\0"], [b"", b"", b"x"]])
def test_who_speaks_on_the_pub_port_is_cut(wires: Wires, broker: Broker, honest: Client, parts: list[bytes]) -> None:
    raw = subscriber(wires, broker)
    raw.sends(frame(b"\1" + codec.room_topic("lobby")))
    raw.sends(b"".join(frame(part, more=True) for part in parts[:-1]) + frame(parts[-1]))
    raw.is_cut()
    honest.chats()


@pytest.mark.parametrize("topic", [b"", b"x", b"~", b"~zz.1", b"R.lobby\0", b"\xff" * 60_000, b"r"])
def test_who_subscribes_to_what_is_no_topic_is_cut(wires: Wires, broker: Broker, honest: Client, topic: bytes) -> None:
    raw = subscriber(wires, broker)
    raw.sends(frame(b"\1" + topic) * 5)
    raw.is_cut()


@pytest.mark.parametrize("command", [False, True])
def test_who_subscribes_to_too_much_is_cut(wires: Wires, command: bool) -> None:
    broker = wires.broker(max_rooms_joined=20)
    honest = wires.client(broker, "honest")
    raw = subscriber(wires, broker)
    start = b"\x09SUBSCRIBE" if command else b"\1"
    for i in range(400):
        raw.sends(frame(start + codec.room_topic(f"room{i}"), command=command))
    raw.is_cut()
    honest.chats()
    (warning,) = (line for line in broker.lines if line.startswith("WARNING"))
    assert "for too many" in warning
    eventually(lambda: len(broker.server._subscribers) == 1, "nothing is kept of it")


def test_topics_come_and_go_without_end(wires: Wires) -> None:
    broker = wires.broker(max_rooms_joined=20)
    honest = wires.client(broker, "honest")
    for i in range(200):
        honest.sub.subscribe(codec.room_topic(f"some-room-{i}"))
        honest.fences()
        honest.sub.unsubscribe(codec.room_topic(f"some-room-{i}"))
        honest.sub.unsubscribe(codec.fence_topic(honest.fence, honest.k - 1))
    honest.chats()
    assert not any(line.startswith("WARNING") for line in broker.lines)


def test_fences_without_end_are_not_kept(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = subscriber(wires, broker)
    for _ in range(500):
        topic = codec.fence_topic(secrets.token_bytes(16), 1)
        raw.sends(frame(b"\1" + topic) + frame(b"\0" + topic))
    raw.sends(frame(b"\1" + codec.room_topic("the-end")))
    kept = broker.server._subscribers
    eventually(lambda: len(kept) == 2, "it is known")
    raw.close()
    eventually(lambda: len(kept) == 1, "it is gone")
    assert len(kept._by_fence) == 1
    assert broker.lines == [line for line in broker.lines if "WARNING" not in line]


@pytest.mark.parametrize("k", [b"9" * 19, b"9" * 60, b"-1", b"18446744073709551616"])
def test_a_fence_of_any_number(wires: Wires, broker: Broker, honest: Client, k: bytes) -> None:
    eve = wires.client(broker, "eve")
    topic = b"~" + eve.fence.hex().encode() + b"." + k
    eve.sub.subscribe(topic)
    eventually(lambda: eve.sub.get(zmq.EVENTS) is not None and broker.logged("no topic"), "it is cut for that")
    eve.asks(Ping(1))
    assert eve.hears(Pong) == Pong(1)


# Requests ------------------------------------------------------------------------------------------------------------


def test_what_is_no_request(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = opened(wires, broker, "eve")
    for body in (b"", b"\xc1", b"\x91" * 60_000, b"GET /", b"\x80", b"\xdd\xff\xff\xff\xff", b"\x91\xa1\xff"):
        raw.sends(frame(body))
        (failed,) = raw.replies()
        assert isinstance(failed, Failed)
        assert (failed.q, failed.code) == (0, "bad-request")
    raw.sends(frame(b"\x90"))  # asks nothing
    raw.sends(frame(msgspec.msgpack.encode([["dance", 3], Ping(4), ["ping", -1]])))
    pong, dance, negative = sorted(raw.replies(), key=lambda item: isinstance(item, Failed))
    assert pong == Pong(4)
    assert isinstance(dance, Failed)
    assert isinstance(negative, Failed)
    assert (dance.q, dance.code, negative.q, negative.code) == (3, "unknown-request", 0, "bad-request")


def test_another_version_of_the_protocol(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = wires.raw(broker)
    raw.handshake("DEALER")
    hello = greeting()
    for version in (0, 2, 2**63 - 1):
        raw.requests(Hello(7, version, None, hello.person, hello.client, hello.fence))
        (failed,) = raw.replies()
        assert isinstance(failed, Failed)
        assert (failed.q, failed.code) == (7, "wrong-version")
    raw.sends(frame(msgspec.msgpack.encode([["hello", 8, 2, {"another": "form"}]])))
    (failed,) = raw.replies()
    assert isinstance(failed, Failed)
    assert (failed.q, failed.code) == (8, "wrong-version")


def test_the_largest_numbers(wires: Wires, broker: Broker, honest: Client) -> None:
    biggest = 2**63 - 1
    raw = opened(wires, broker, "eve")
    raw.requests(Read(biggest, "lobby", biggest, biggest))
    (page,) = raw.replies()
    assert isinstance(page, Page)
    assert (page.q, page.events) == (biggest, ())
    raw.requests(Send(biggest, "lobby", "x"), Send(0, "lobby", "x"))
    assert [item.code for item in raw.replies() if hasattr(item, "code")] == ["out-of-order"] * 2


def test_over_credit_cuts_that_one_alone(wires: Wires) -> None:
    broker = wires.broker(credit=50)
    honest = wires.client(broker, "honest")
    eve, bystander = opened(wires, broker, "eve"), opened(wires, broker, "bystander")
    eve.requests(*(Ping(q) for q in range(51)))
    eve.is_cut()
    bystander.requests(*(Ping(q) for q in range(50)))
    assert len(bystander.replies()) == 50
    honest.chats()
    assert sum("requests at once" in line for line in broker.lines) == 1
    assert not broker.logged("eve left")


def test_a_flood_of_what_is_no_request_does_not_hold_the_others_up(
    wires: Wires, broker: Broker, honest: Client
) -> None:
    junk = frame(b"\xdd\x00\x00\xff\xf0" + b"\0" * 0xFFF0)
    for _ in range(3):
        raw = wires.raw(broker)
        raw.handshake("DEALER")
        for _ in range(100):
            raw.sends(junk)
        honest.chats()
        raw.is_cut()


def test_a_flood_of_questions_is_answered_or_cut(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = opened(wires, broker, "eve")
    raw.requests(*(Send(n, f"room{n}", "x") for n in range(1, 1001)))
    answered = 0
    while answered < 1000:
        answered += sum(isinstance(item, Ack) for item in raw.replies())
    for _ in range(3):
        raw.requests(*(Rooms(q) for q in range(1000)))
        honest.chats()


# Who does not read ---------------------------------------------------------------------------------------------------


def test_who_never_reads_is_cut_and_its_session_kept(wires: Wires, broker: Broker, honest: Client) -> None:
    hello = greeting("eve")
    raw = wires.raw(broker, receive=4096)
    raw.handshake("DEALER")
    raw.requests(hello)
    (welcome,) = raw.replies()
    assert isinstance(welcome, Welcome)
    fd = broker.server._connections._by_peer[broker.server.hub.sessions._tokens[welcome.session].peer or b""].fd
    said = 0
    while not broker.logged("it does not read"):
        honest.says("x" * 16_000, "@eve")
        said += 1
        assert said < 5000
    raw.is_cut()
    # Others come and go over the descriptor that it had.
    others: list[Raw] = []
    while broker.server._connections._by_fd.get(fd) is None:
        others.append(opened(wires, broker, f"other{len(others)}"))
        assert len(others) < 100
    for other in others:
        other.requests(Ping(1))
        assert other.replies() == (Pong(1),)
    again = wires.raw(broker)
    again.handshake("DEALER")
    again.requests(Hello(2, VERSION, "eve", hello.person, hello.client, hello.fence, resume=welcome.session), Ping(3))
    answers = {type(item): item for item in again.replies()}
    resumed = answers[Welcome]
    assert isinstance(resumed, Welcome)
    assert resumed.resumed
    (private,) = resumed.private
    assert private.head == said
    again.requests(Read(4, private.room, said - 1, 10))
    (page,) = again.replies()
    assert isinstance(page, Page)
    assert [event.seq for event in page.events] == [said]
    for other in others:
        other.requests(Ping(2))
        assert other.replies() == (Pong(2),)
    assert sum("does not read" in line for line in broker.lines) == 1


def test_a_peer_that_is_gone_before_its_answer(wires: Wires, broker: Broker, honest: Client) -> None:
    for i in range(100):
        raw = wires.raw(broker)
        raw.sends(GREETING + ready("DEALER") + frame(codec.encode_requests([greeting(), Ping(i)])[0]))
        raw.resets() if i % 2 else raw.close()
    honest.chats()
    known = broker.server._connections
    eventually(lambda: (len(known._by_peer), len(known._by_fd), len(known._ended)) == (1, 1, 0), "the others are gone")
    eventually(lambda: list(broker.server.hub.sessions._peers) == list(known._by_peer), "and have no sessions")


def test_the_operator_is_heard_in_the_midst_of_it(wires: Wires, broker: Broker, honest: Client) -> None:
    raw = subscriber(wires, broker)
    for i in range(50):
        raw.sends(frame(b"\1" + codec.room_topic(f"room{i}")))
    broker.give(Announce("calm down"))
    assert honest.hears(Notice).text == "calm down"


# Descriptors that are used again -------------------------------------------------------------------------------------


@pytest.fixture(name="pair")
def _pair() -> Callable[[], tuple[socket.socket, socket.socket]]:
    """Makes two ends of a TCP connection."""

    def made() -> tuple[socket.socket, socket.socket]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
            client.settimeout(20)
            return client, server

    return made


def test_one_peer_is_cut_by_its_descriptor(pair: Callable[[], tuple[socket.socket, socket.socket]]) -> None:
    client, server = pair()
    known = Connections()
    known.add(b"ann", server.fileno())
    assert known.get(b"ann") is not None
    assert known.address(b"ann") == f"127.0.0.1:{client.getsockname()[1]}"
    assert known.address(b"bob") == known.address(None) == ""
    known.cut(b"bob")
    known.cut(b"ann")
    assert client.recv(1) == b""
    assert known.is_cut(b"ann")
    known.ended(server.fileno())
    assert known.get(b"ann") is not None  # what it said before may still be read
    assert known.take_ended() == [b"ann"]
    assert known.get(b"ann") is None
    assert not known.is_cut(b"ann")
    assert known == Connections()
    client.close()
    server.close()


def test_another_connection_over_the_descriptor_is_not_cut(
    pair: Callable[[], tuple[socket.socket, socket.socket]],
) -> None:
    client, server = pair()
    known = Connections()
    fd = os.dup(server.fileno())
    known.add(b"ann", fd)
    other_client, other = pair()
    os.dup2(other.fileno(), fd)
    known.cut(b"ann")
    other.sendall(b"alive")
    assert other_client.recv(5) == b"alive"
    known.add(b"bob", fd)
    assert known.take_ended() == [b"ann"]  # its end was missed
    known.cut(b"ann")
    known.ended(fd)
    assert known.take_ended() == [b"bob"]
    os.close(fd)
    for one in (client, server, other_client, other):
        one.close()


def test_a_peer_that_cannot_be_reached_has_ended(pair: Callable[[], tuple[socket.socket, socket.socket]]) -> None:
    client, server = pair()
    known = Connections()
    known.add(b"ann", server.fileno())
    known.unreachable(b"nobody")
    known.unreachable(b"ann")
    known.unreachable(b"ann")
    assert known.take_ended() == [b"ann"]
    known.ended(server.fileno())
    assert not known.ending
    client.close()
    server.close()


def test_a_descriptor_that_is_closed_has_no_address() -> None:
    with socket.socket() as never:
        known = Connections()
        known.add(b"ann", never.fileno())
        assert known.address(b"ann") == ""
        known.cut(b"ann")
    known.add(b"bob", 999_999)
    known.cut(b"bob")
    assert known.address(b"bob") == ""


# What once was a find, and one of each kind -----------------------------------------------------------------------

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("way", ["in one piece", "byte by byte", "and a reset"])
def test_the_corpus_of_streams(wires: Wires, broker: Broker, honest: Client, way: str) -> None:
    files = [path for path in sorted(CORPUS.iterdir()) if not path.name.startswith("frame-")]
    assert len(files) > 25
    for path in files:
        raw = wires.raw(broker, path.name.partition("-")[0])
        data = path.read_bytes()
        if way == "byte by byte":
            for at in range(min(len(data), 150)):
                raw.sends(data[at : at + 1])
        raw.sends(data[150:] if way == "byte by byte" else data)
        raw.resets() if way == "and a reset" else raw.close()
    honest.chats()


@pytest.mark.parametrize("known", [True, False])
def test_the_corpus_of_frames(wires: Wires, broker: Broker, honest: Client, known: bool) -> None:
    files = sorted(CORPUS.glob("frame-*.bin"))
    assert len(files) > 60
    for q, path in enumerate(files):
        stranger = wires.stranger(broker, None)
        if known:
            stranger.hello()
        stranger.dealer.send(path.read_bytes())
        stranger.asks(Ping(1000 + q))
        while getattr(stranger.hears(object), "q", 0) != 1000 + q:
            pass
        stranger.close()
    honest.chats()


def test_what_cannot_be_read_is_not_kept(wires: Wires, broker: Broker, honest: Client) -> None:
    # What is raised holds the frames that it went through, and these hold the request: once, each was kept for ever.
    unreadable = frame((CORPUS / "frame-unreadable-leak.bin").read_bytes())
    raw = opened(wires, broker, "eve")
    for _ in range(10):
        raw.sends(unreadable)
        assert len(raw.replies()) == 200
    honest.chats()
    assert sum(isinstance(one, errors.Refusal) for one in gc.get_objects()) < 500
