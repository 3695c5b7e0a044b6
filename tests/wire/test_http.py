"""Monitoring over HTTP, on real sockets: what is asked for is answered, and whoever misbehaves there harms nobody."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families
from wires import Broker, Client, Wires, eventually

from zchat.address import Address
from zchat.broker import http, metrics, web
from zchat.broker.inputs import Input
from zchat.broker.metrics import Counts, Standing
from zchat.errors import BindFailed, StoreUnavailable
from zchat.messages import Failed, Read, Refused, Send
from zchat.store.base import Outcome, Work
from zchat.store.memory import MemoryStore

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Disk(MemoryStore):
    """A store whose disk can be full."""

    full = False

    def commit(self, work: Work) -> Outcome:
        if self.full and work.writes:
            raise StoreUnavailable("the disk is full")
        return super().commit(work)


@pytest.fixture(name="disk")
def _disk() -> Disk:
    return Disk()


@pytest.fixture(name="broker")
def _broker(wires: Wires, disk: Disk) -> Broker:
    """A broker that is watched."""
    return wires.broker(store=disk, monitored=True)


def where(broker: Broker) -> tuple[str, int]:
    assert broker.monitor is not None
    found = urlsplit(broker.monitor.url)
    assert found.hostname is not None
    assert found.port is not None
    return found.hostname, found.port


def get(broker: Broker, path: str, method: str = "GET", **fields: str) -> tuple[int, str]:
    """What is answered, as a real client reads it."""
    with closing(HTTPConnection(*where(broker), timeout=20)) as connection:
        connection.request(method, path, headers=fields)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def scraped(broker: Broker) -> dict[str, float]:
    """All samples, by name and the value of their only label."""
    status, text = get(broker, "/metrics")
    assert status == 200
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(name="dial")
def _dial(broker: Broker) -> Iterator[Callable[[], socket.socket]]:
    """Connects to the port, and closes all of it in the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(where(broker), timeout=20))


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


# What is asked for ----------------------------------------------------------------------------------------------------


def test_a_broker_that_turns_is_well(broker: Broker) -> None:
    assert get(broker, "/healthz") == (200, "ok\n")
    assert get(broker, "/readyz") == (200, "ok\n")
    assert get(broker, "/readyz", "HEAD") == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/", {}, 404),
        ("POST", "/metrics", {}, 405),
        ("GET", "/metrics", {"Host": "evil.example"}, 403),
        ("GET", "/metrics", {"Origin": "http://evil.example"}, 403),
        ("GET", "/metrics", {"Long": "x" * web.HEAD}, 431),
        ("GET", "/metrics", {"Content-Length": "7"}, 400),
    ],
)
def test_what_is_not_there_or_not_allowed_is_refused(
    broker: Broker, honest: Client, method: str, path: str, fields: dict[str, str], status: int
) -> None:
    found, text = get(broker, path, method, **fields)
    assert found == status
    assert text.endswith("\n")
    assert "zchat_" not in text
    honest.chats()


def test_what_happens_is_counted(wires: Wires, broker: Broker) -> None:
    before = scraped(broker)
    ann, bob = wires.client(broker, "ann"), wires.client(broker, "bob")
    for number in range(3):
        ann.says(f"hello {number}")
        bob.reads(f"hello {number}")
    bob.asks(Read(9, "lobby", 0, 100))
    bob.asks(Read(10, "nowhere", 0, 100))
    assert bob.hears(Failed).code == "no-such-room"

    def counted() -> dict[str, float] | None:
        found = scraped(broker)
        return found if found["zchat_pages_total"] else None

    after = eventually(counted, "the page is counted")
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["zchat_messages_total"] == 3
    assert grown["zchat_deliveries_total"] == 6
    assert grown["zchat_hellos_total"] == 2
    assert (grown["zchat_pages_total"], grown["zchat_page_events_total"]) == (1, 3)
    assert grown["zchat_refusals_total,no-such-room"] == 1
    assert (after["zchat_sessions"], after["zchat_people"], after["zchat_rooms,public"]) == (2, 2, 1)
    assert (after["zchat_connections,requests"], after["zchat_connections,rooms"]) == (2, 2)
    assert grown["zchat_commit_seconds_count"] >= 3
    assert grown["zchat_turn_seconds_count"] >= grown["zchat_commit_seconds_count"]
    assert 0 < after["zchat_commit_seconds_sum"] < after["zchat_turn_seconds_sum"]
    assert "zchat_store_bytes" not in after


def test_a_store_that_cannot_be_written_makes_it_unready_until_it_can(wires: Wires, broker: Broker, disk: Disk) -> None:
    ann = wires.client(broker, "ann")
    disk.full = True
    ann.asks(Send(1, "lobby", "hello"))
    assert ann.hears(Refused).code == "store-unavailable"
    status, why = get(broker, "/readyz")
    assert (status, why) == (503, "the store cannot be written: see to the disk\n")
    assert get(broker, "/healthz")[0] == 200
    found = scraped(broker)
    assert (found["zchat_store_writable"], found["zchat_refusals_total,store-unavailable"]) == (0, 1)
    assert found["zchat_commit_failures_total"] >= 1
    disk.full = False
    # Nobody says anything meanwhile.
    eventually(lambda: get(broker, "/readyz")[0] == 200, "it is ready again")
    assert scraped(broker)["zchat_store_writable"] == 1


def test_a_broker_that_was_told_to_stop_is_not_ready(broker: Broker) -> None:
    broker.server.hub.draining = True  # as in the turns that are left once everybody was told
    broker.server.turn(0)
    assert broker.server.ready().startswith("draining")
    assert broker.server.standing().draining


def test_the_size_of_its_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "zchat.db").write_bytes(b"x" * 5000)
    (tmp_path / "zchat.db-wal").write_bytes(b"x" * 300)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "broker.key").write_bytes(b"x" * 70)
    (tmp_path / "far").symlink_to("/proc/kcore")
    found = http.process(0.0, tmp_path)
    assert found.size == 5300
    assert found.free
    gone = http.process(0.0, tmp_path / "gone")
    assert (gone.size, gone.free) == (None, None)


# Who misbehaves -------------------------------------------------------------------------------------------------------


def test_who_says_nothing_is_cut_in_time_and_others_are_served(
    broker: Broker, honest: Client, dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0.3)
    slow = [dial() for _ in range(8)]
    for one in slow[:4]:
        one.send(GET[:10])
    assert get(broker, "/healthz") == (200, "ok\n")
    honest.chats()
    assert [rest(one) for one in slow] == [b""] * 8
    assert broker.monitor is not None
    assert not broker.monitor._open


def test_a_request_may_come_in_pieces(dial: Callable[[], socket.socket]) -> None:
    one = dial()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(GET)):
        one.send(GET[at : at + 1])
    assert rest(one).endswith(b"\r\n\r\nok\n")


def test_of_too_many_connections_the_oldest_is_ended(
    broker: Broker, honest: Client, dial: Callable[[], socket.socket]
) -> None:
    many = [dial() for _ in range(2 * http.CONNECTIONS)]
    many[-1].send(GET)
    assert rest(many[-1]).endswith(b"ok\n")
    assert broker.monitor is not None
    assert len(broker.monitor._open) <= http.CONNECTIONS
    assert rest(many[0]) == b""
    honest.chats()


def test_who_goes_on_after_the_answer_is_cut(broker: Broker, dial: Callable[[], socket.socket]) -> None:
    one = dial()

    def flood() -> None:
        while True:
            one.sendall(GET * 1000)

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        flood()
    assert get(broker, "/healthz")[0] == 200


def test_the_answer_arrives_although_more_was_said_than_is_read(dial: Callable[[], socket.socket]) -> None:
    one = dial()
    one.sendall(GET + b"x" * 20_000)
    assert rest(one).endswith(b"\r\n\r\nok\n")


def test_who_closes_at_once_harms_nobody(broker: Broker, honest: Client, dial: Callable[[], socket.socket]) -> None:
    for _ in range(20):
        one = dial()
        one.send(GET)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    honest.chats()
    assert get(broker, "/healthz")[0] == 200


def test_who_does_not_read_is_cut_in_time(
    broker: Broker, honest: Client, dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0.3)
    monkeypatch.setattr(metrics, "exposition", lambda _seen: "x" * (64 << 20))
    one = dial()
    one.send(b"GET /metrics HTTP/1.0\r\n\r\n")
    honest.chats()
    assert broker.monitor is not None
    monitor = broker.monitor
    eventually(lambda: one.recv(1, socket.MSG_PEEK), "the answer begins")
    eventually(lambda: not monitor._open, "it is cut")
    assert len(rest(one)) < 64 << 20
    honest.chats()


def test_a_long_answer_arrives_whole(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "exposition", lambda _seen: "x" * (16 << 20))
    assert get(broker, "/metrics") == (200, "x" * (16 << 20))


# The port -------------------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    told = r"cannot listen on http://127\.0\.0\.1:\d+: Address already in use; choose"
    with http.listen(Address("127.0.0.1", 0)) as one, pytest.raises(BindFailed, match=told):
        http.listen(Address("127.0.0.1", one.getsockname()[1]))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_version_6_is_served_too() -> None:
    monitor = http.Monitor(Nobody(), http.listen(Address("::1", 0)), None)
    assert monitor.url.startswith("http://[::1]:")
    monitor.close()


class Nobody:
    """A broker of which only is known what it watches."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.watched: dict[int, Callable[[], list[Input]]] = {}

    def watch(self, fd: int, read: Callable[[], list[Input]], *, urgent: bool = True, writing: bool = False) -> None:
        assert not urgent
        assert not writing
        self.watched[fd] = read

    def unwatch(self, fd: int) -> None:
        self.watched.pop(fd, None)

    def standing(self) -> Standing:
        return Standing(0, 0, 0, 0, 0, 0, 0, draining=False, storing=True)

    def ready(self) -> str:
        return ""


class NoRoom:
    """A listener at the limit of descriptors, until it is told otherwise."""

    def __init__(self, made: socket.socket) -> None:
        self.made = made
        self.full = True
        self.fileno, self.close, self.getsockname = made.fileno, made.close, made.getsockname

    def accept(self) -> tuple[socket.socket, object]:
        if self.full:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self.made.accept()


def test_without_descriptors_it_tries_again_later() -> None:
    broker = Nobody()
    listener = NoRoom(http.listen(Address("127.0.0.1", 0)))
    monitor = http.Monitor(broker, listener, None)  # type: ignore[arg-type]
    with socket.create_connection(listener.getsockname(), timeout=20) as one:
        broker.watched[listener.fileno()]()
        assert not broker.watched  # else it would be told of it without end
        listener.full = False
        monitor.look()
        one.send(GET)
        broker.watched[listener.fileno()]()
        for read in list(broker.watched.values()):
            read()
        monitor.close()  # what was answered arrives nevertheless
        assert rest(one).endswith(b"ok\n")
