"""What a peer may have of the broker, and when it is cut."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest
from wires import GREETING, Raw, Wires, eventually, frame, ready

from zchat import codec
from zchat.broker import ports
from zchat.broker.inflow import Inflow
from zchat.messages import Hello, Ping, Pong, Welcome


def test_who_says_no_hello_is_cut(wires: Wires) -> None:
    broker = wires.broker(hello_wait=0.2)
    honest = wires.client(broker, "ann")
    silent, spoken = wires.raw(broker), wires.raw(broker)
    silent.handshake("DEALER")
    spoken.handshake("DEALER")
    spoken.requests(Ping(1))
    sub = wires.raw(broker, "xpub")
    sub.handshake("SUB")
    sub.sends(frame(b"\1" + codec.room_topic("lobby")))
    for raw in (silent, spoken, sub):
        raw.is_cut()
    honest.chats()
    honest.asks(Ping(5))
    assert honest.hears(Pong) == Pong(5)


def test_who_said_hello_stays(wires: Wires) -> None:
    broker = wires.broker(hello_wait=0.1)
    quiet = wires.stranger(broker)
    quiet.hello()
    before = broker.server.hub.turn.clock
    eventually(lambda: broker.server.hub.turn.clock > before + 1.5, "time passes")
    quiet.asks(Ping(1))
    assert quiet.hears(Pong) == Pong(1)


def test_there_are_only_so_many_strangers(wires: Wires) -> None:
    broker = wires.broker(max_strangers=5)
    honest = wires.client(broker, "ann")
    raws = [wires.raw(broker) for _ in range(40)]
    port = broker.server._requests_port
    eventually(lambda: len(port._strangers) <= 5 and len(port.open) <= 6, "the others were cut")
    honest.chats()
    for raw in raws:
        raw.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not count")
def test_a_message_without_end_is_cut(wires: Wires) -> None:
    broker = wires.broker(credit=16, text_limit=1024)
    honest = wires.client(broker, "ann")
    for port, kind, size in (("router", "DEALER", 60_000), ("xpub", "SUB", 1000)):
        part = frame(b"x" * size, more=True) * (1_000_000 // size)
        raw = wires.raw(broker, port)
        raw.handshake(kind)
        if kind == "DEALER":
            raw.requests(Hello(1, 1, None, secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(16)))
            (welcome,) = raw.replies()
            assert isinstance(welcome, Welcome)
        raw.tcp.settimeout(0.2)
        sent = 0
        while not broker.logged("does not end"):
            try:
                raw.sends(part)
            except TimeoutError:
                pass  # the broker has hung up, and the system does not say so while there is no room for more
            sent += len(part)
            assert sent < 1 << 32
        at = broker.server._requests_port if port == "router" else broker.server._rooms_port
        eventually(lambda at=at: len(at.open) == 1, "only the honest one is left")  # type: ignore[misc]
        broker.lines.clear()
    honest.chats()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not count")
def test_a_stranger_who_sends_without_end_is_cut_soon(wires: Wires) -> None:
    broker = wires.broker(hello_wait=60.0)
    honest = wires.client(broker, "ann")
    part = frame(b"x" * 60_000, more=True)
    raw = wires.raw(broker)
    raw.handshake("DEALER")
    raw.tcp.settimeout(0.2)
    for _ in range(5000):
        try:
            raw.sends(part)
        except OSError:
            break  # it has hung up, or does not take in any more
    eventually(lambda: broker.logged("does not end"), "it is cut, and it is told why")
    eventually(lambda: len(broker.server._requests_port.open) == 1, "only the honest one is left")
    honest.chats()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not count")
def test_descriptors_that_libzmq_keeps_are_freed(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "STUCK_FOR", 0.1)
    broker = wires.broker(hello_wait=2.0, max_connections=40)
    honest = wires.client(broker, "ann")
    before = len(list(Path("/proc/self/fd").iterdir()))
    raws: list[Raw] = []
    for _ in range(30):
        raws.append(wires.raw(broker))
        raws[-1].sends(GREETING + ready("DEALER", b"the same for all of them"))
        raws[-1].waits_for_ready()
        honest.chats()  # the broker has looked at it
        for one in raws[-2:-1]:
            one.requests(Ping(1))  # it has lost the id by now
    for raw in raws:
        raw.close()
    eventually(lambda: broker.logged("anew"), "the port is taken anew")
    eventually(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 10, "the descriptors are free")
    eventually(lambda: len(broker.server._requests_port.open) == 1, "the honest one is there again")
    honest.hello(resume=honest.token)
    honest.chats()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not count")
def test_growth_is_noticed_once() -> None:
    inflow = Inflow(1000)
    inflow.grew()
    held = secrets.token_bytes(64 * 1024 * 1024)
    assert inflow.grew()
    assert len(held) > 0
    assert inflow.excessive({999_999: 0}, lambda fd: False) == []
    inflow.close()


def test_more_connections_than_there_may_be_harm_nobody_who_is_known(wires: Wires) -> None:
    broker = wires.broker(max_connections=8)
    honest = wires.client(broker, "ann")
    raws: list[Raw] = []
    for _ in range(40):
        raws.append(wires.raw(broker))
        raws[-1].sends(GREETING + ready("DEALER"))
    honest.chats()
    eventually(lambda: len(broker.server._requests_port.open) <= 8, "the others were cut")
    for raw in raws:
        raw.close()
    wires.client(broker, "bob").chats()


def test_a_topic_that_is_far_too_long_is_cut_before_it_is_remembered(wires: Wires) -> None:
    broker = wires.broker()
    honest = wires.client(broker, "ann")
    raw = wires.raw(broker, "xpub")
    raw.handshake("SUB")
    raw.sends(frame(b"\1r." + b"x" * 2000))
    raw.is_cut()
    honest.chats()


@pytest.mark.parametrize("claimed", [b"", b"\0abcd", b"short"])
def test_who_can_be_guessed_is_cut(wires: Wires, claimed: bytes) -> None:
    broker = wires.broker()
    honest = wires.client(broker, "ann")
    raw = wires.raw(broker)
    raw.sends(GREETING + ready("DEALER", claimed))
    raw.waits_for_ready()
    raw.requests(Ping(1))
    raw.is_cut()
    eventually(lambda: broker.logged("others can guess"), "it is told why")
    honest.chats()


def test_claiming_one_id_again_and_again_costs_nothing_for_good(wires: Wires) -> None:
    broker = wires.broker()
    honest = wires.client(broker, "ann")
    for _ in range(50):
        raw = wires.raw(broker)
        raw.sends(GREETING + ready("DEALER", b"the same for all of them"))
        raw.waits_for_ready()
        raw.requests(Ping(1))
    honest.chats()
    eventually(lambda: len(broker.server._requests_port.open) <= 2, "only the last of them is there")
