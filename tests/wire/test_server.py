"""The broker on real sockets."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
import zmq
from wires import Broker, Context, Wires, eventually, terminate

from zchat import codec, errors
from zchat.address import Address, parse
from zchat.broker import sockets
from zchat.broker.inputs import Announce, Shutdown
from zchat.messages import (
    VERSION,
    Ack,
    Act,
    Beat,
    Bye,
    Closing,
    Done,
    Failed,
    Head,
    Heartbeat,
    Hello,
    Join,
    Message,
    Notice,
    Page,
    People,
    Ping,
    Pong,
    Presence,
    Private,
    Read,
    Refused,
    Send,
    State,
    Unfenced,
    Who,
)
from zchat.store.base import Outcome, Slice, Work
from zchat.store.memory import MemoryStore


def greeting(name: str, person: bytes = b"") -> Hello:
    """Hello of somebody new."""
    return Hello(1, VERSION, name, person or secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(16))


def test_two_people_chat(wires: Wires, broker: Broker) -> None:
    ann, bob = wires.client(broker, "ann"), wires.client(broker, "bob")
    ann.says("hello")
    assert bob.reads("hello") == "lobby"
    bob.says("hello back")
    assert ann.reads("hello back") == "lobby"
    ann.asks(Who(5, "lobby"))
    assert ann.hears(People).names == ("ann", "bob")
    eventually(
        lambda: broker.heard == [("lobby", "hello"), ("lobby", "hello back")] or None, "the console shows what was said"
    )
    assert broker.logged("INFO ann connected from 127.0.0.1:")


def test_who_belongs_where_and_who_is_kept_out_is_known_after_a_restart(wires: Wires) -> None:
    store = MemoryStore()
    first = wires.broker(store)
    ann, bob = (wires.client(first, name, "den") for name in ("ann", "bob"))
    for n, (verb, room, name) in enumerate(
        [("create", "+plans", ""), ("invite", "+plans", "bob"), ("ban", "den", "bob")]
    ):
        ann.asks(Act(n + 1, verb, room, name))
        assert ann.hears(Ack).n == n + 1
    second = wires.broker(store)
    for before in (ann, bob):
        again = wires.stranger(second, before.name)
        assert [one.label for one in again.hello(person=before.person).private] == ["+plans"]
    again.asks(Join(3, "den"))
    assert again.hears(Failed).code == "banned"


def test_a_room_is_not_heard_through_the_prefix_of_another(wires: Wires, broker: Broker) -> None:
    ann, bob = wires.client(broker, "ann", "room1"), wires.client(broker, "bob", "room10")
    bob.says("for ten", "room10")
    ann.says("for one", "room1")
    ann.reads("for one")
    assert {room for room, _ in ann.published} == {"room1"}


def test_a_private_message_never_goes_over_pub(wires: Wires, broker: Broker) -> None:
    ann, bob, eve = (wires.client(broker, name) for name in ("ann", "bob", "eve"))
    eve.sub.subscribe(b"r.")
    eve.fences()
    ann.says("psst", "@bob")
    assert bob.hears(Private).label == "@ann"
    ann.says("done")
    eve.reads("done")
    assert {room for room, _ in eve.published} == {"lobby"}
    assert "psst" not in str(eve.published)
    eventually(lambda: broker.heard == [("lobby", "done")] or None, "the console shows what was said")


def test_all_members_of_a_private_room_hear_the_same_and_nobody_else(wires: Wires, broker: Broker) -> None:
    members = [wires.client(broker, name) for name in ("ann", "bob", "cid")]
    eve = wires.client(broker, "eve")
    ann = members[0]
    for act in (Act(1, "create", "+den"), Act(2, "invite", "+den", "bob"), Act(3, "invite", "+den", "cid")):
        ann.asks(act)
        assert ann.hears(Ack).n == act.n
    texts = [f"{n} {'x' * 2000}" for n in range(60)]  # more than fits a frame
    ann.asks(*(Send(4 + n, "+den", text) for n, text in enumerate(texts)))
    for member in members:
        heard: list[str] = []
        while len(heard) < len(texts):
            heard += [event.text for event in member.hears(Private).events if isinstance(event, Message)]
        assert heard == texts
    ann.asks(Send(64, "lobby", "done"))
    eve.reads("done")
    assert {room for room, _ in eve.published} == {"lobby"}
    eve.asks(Ping(9))
    assert eve.hears(object) == Pong(9)


def test_many_answers_come_in_order_and_in_frames_that_fit(wires: Wires, broker: Broker) -> None:
    ann = wires.client(broker, "ann")
    ann.asks(*(Send(n, "lobby", "x" * 1000) for n in range(1, 501)))
    acked = 0
    while acked < 500:
        ack = ann.hears(Ack)
        assert ack.n == ack.seq == acked + 1
        acked += ack.count
    seen = 0
    while seen < 500:
        assert ann.sub.poll(20_000)
        published = ann.sub.recv()
        assert len(published) <= codec.FRAME
        seen += len(codec.decode_published(published)[1].events)
    ann.asks(Read(9, "lobby", 0, 500))
    page = ann.hears(Page)
    assert page.events[0].seq == 1
    assert 40 < len(page.events) < 65


def test_a_room_that_went_quiet_says_its_head(wires: Wires) -> None:
    ann = wires.client(wires.broker(quiet=0.05), "ann")
    ann.says("last")
    states: list[State] = []
    while not any(isinstance(state, Head) for state in states):
        assert ann.sub.poll(20_000)
        states += codec.decode_published(ann.sub.recv())[1].states
    assert states[-1] == Head(1)


def test_a_heartbeat(wires: Wires, broker: Broker) -> None:
    ann = wires.client(broker, "ann")
    ann.says("x")
    ann.asks(Heartbeat(7))
    (moved,) = ann.hears(Beat).moved
    assert (moved.room, moved.head) == ("lobby", 1)


# Coming and going ----------------------------------------------------------------------------------------------------


def test_who_says_goodbye_and_hangs_up_at_once_has_left(wires: Wires) -> None:
    broker = wires.broker(grace=0.05)
    ann = wires.client(broker, "ann")
    for _ in range(30):
        raw = wires.raw(broker)
        raw.handshake("DEALER")
        raw.requests(greeting("bob", person=b"b" * 16))
        raw.replies()
        raw.requests(Bye(2))
        raw.close()
    ann.asks(Ping(1))
    ann.hears(Pong)
    eventually(lambda: sum("bob left" in line for line in broker.lines) == 30, str(broker.lines))
    assert not broker.logged("lost")


def test_who_vanishes_is_lost_and_the_others_hear_it(wires: Wires) -> None:
    broker = wires.broker(grace=0.05)
    ann, bob = wires.client(broker, "ann"), wires.client(broker, "bob")
    bob.close()
    lost: list[str] = []
    while not lost:
        assert ann.sub.poll(20_000)
        states = codec.decode_published(ann.sub.recv())[1].states
        lost += [name for state in states if isinstance(state, Presence) for name in state.lost]
    assert lost == ["bob"]


def test_a_session_is_resumed_on_new_connections(wires: Wires, broker: Broker) -> None:
    ann, bob = wires.client(broker, "ann"), wires.client(broker, "bob")
    ann.says("one")
    for text in ("two", "three"):
        ann.reconnects()
        assert ann.hello().resumed
        assert ann.joins().names == ("ann", "bob")
        ann.says(text)
        bob.reads(text)
    assert not broker.logged("lost")
    assert not any(isinstance(s, Presence) and (s.left or s.lost) for _, frame in bob.published for s in frame.states)


def test_the_end_of_sub_is_told_and_a_new_fence_proves_its_return(wires: Wires, broker: Broker) -> None:
    ann = wires.client(broker, "ann")
    fd = next(iter(broker.server._subscribers._by_fd))
    with socket.socket(fileno=socket.dup(fd)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
    assert ann.hears(Unfenced) == Unfenced()
    ann.fences()
    ann.chats()


def test_a_request_to_a_broker_that_forgot_is_answered(wires: Wires, broker: Broker) -> None:
    stranger = wires.stranger(broker)
    stranger.asks(Ping(5), Send(1, "lobby", "x"))
    assert (failed := stranger.hears(Failed)).q == 5
    assert failed.code == "unknown-session"
    assert stranger.hears(Refused).code == "unknown-session"
    stranger.hello()
    stranger.asks(Ping(6), Bye(7))
    assert stranger.hears(Pong) == Pong(6)
    assert stranger.hears(Done) == Done(7)


def test_an_older_connection_is_told_that_it_is_superseded(wires: Wires, broker: Broker) -> None:
    ann = wires.client(broker, "ann")
    newer = wires.stranger(broker, "ann")
    newer.person, newer.client, newer.fence, newer.token = ann.person, ann.client, ann.fence, ann.token
    assert newer.hello().resumed
    assert ann.hears(Failed).code == "superseded"


# The operator --------------------------------------------------------------------------------------------------------


def test_the_operator_speaks_and_stops(wires: Wires, broker: Broker) -> None:
    ann = wires.client(broker, "ann")
    broker.give(Announce("tea"))
    assert ann.hears(Notice).text == "tea"
    ann.asks(Send(1, "lobby", "last"))
    ann.hears(Ack)
    broker.give(Shutdown("bye"))
    assert ann.hears(Closing).text == "bye"
    eventually(lambda: not broker.alive, "it stops")


def test_a_descriptor_is_watched_until_it_is_not(wires: Wires, broker: Broker) -> None:
    ann = wires.client(broker, "ann")
    broker.give(Announce("one"))
    assert ann.hears(Notice).text == "one"
    broker.server.unwatch(-1)  # never watched


# A store in trouble --------------------------------------------------------------------------------------------------


class Failing(MemoryStore):
    """A store that can be broken."""

    __slots__ = ("broken",)
    broken: bool

    def commit(self, work: Work) -> Outcome:
        self._check()
        return MemoryStore.commit(self, work)

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        self._check()
        return MemoryStore.read(self, room, after, limit, size)

    def _check(self) -> None:
        if self.broken:
            raise errors.StoreUnavailable("disk \x1b[2J\nERROR forged line\u202e")


def test_a_store_in_trouble_is_answered_logged_harmlessly_and_gets_over_it(wires: Wires) -> None:
    store = Failing()
    store.broken = False
    broker = wires.broker(store)
    ann = wires.client(broker, "ann")
    store.broken = True
    ann.asks(Send(1, "lobby", "x"), Read(3, "lobby", 0, 10), Ping(4))
    assert ann.hears(Pong) == Pong(4)
    assert ann.hears(Refused).code == "store-unavailable"
    assert ann.hears(Failed) == Failed(3, "store-unavailable", errors.Unavailable.says)
    bob = wires.stranger(broker, "bob")
    bob.asks(greeting("bob"))
    assert bob.hears(Failed).code == "store-unavailable"
    store.broken = False
    ann.n = 0
    ann.chats()
    (line,) = {line for line in broker.lines if "could not commit" in line}
    assert line.isprintable()
    assert line.startswith("WARNING the store could not commit: disk ␛[2J␊ERROR")


# Ports ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="bind_context")
def _bind_context() -> Iterator[Context]:
    """A broker's context that must not hang, whatever became of binding."""
    made = sockets.context()
    yield made
    terminate(made)


def taken() -> socket.socket:
    """A port that something listens on."""
    blocker = socket.socket()
    blocker.bind(("127.0.0.1", 0))
    blocker.listen()
    return blocker


def free_pair() -> int:
    """A port that is free, as is the next."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def bound(made: Context, url: str, pub_port: int | None = None, wait: float = 0.0) -> tuple[int, int]:
    """Binds and lets go; gives both ports."""
    found = sockets.bind(made, parse(url), pub_port, wait)
    assert found.router.get(zmq.TYPE) == zmq.ROUTER
    found.close(0)
    return found.address.port, found.pub_port


def test_port_zero_takes_any_two(bind_context: Context) -> None:
    router, xpub = bound(bind_context, "tcp://127.0.0.1:0")
    assert router != xpub
    assert min(router, xpub) > 0


def test_pub_takes_the_next_port_or_the_one_given(bind_context: Context) -> None:
    port = free_pair()
    assert bound(bind_context, f"tcp://127.0.0.1:{port}") == (port, port + 1)
    port = free_pair()
    assert bound(bind_context, "tcp://127.0.0.1:0", port)[1] == port


@pytest.mark.parametrize("host", ["localhost", "[::1]", "127.0.0.1"])
def test_loopback_by_any_name(wires: Wires, host: str, bind_context: Context) -> None:
    found = sockets.bind(bind_context, parse(f"tcp://{host}:0"), None, 0.0)
    assert found.address.host == host.strip("[]")
    found.close(0)


def test_a_chat_over_version_six(wires: Wires) -> None:
    broker = wires.broker(bind="::1")
    ann = wires.client(broker, "ann")
    ann.chats()
    assert broker.logged("ann connected from [::1]:")


@pytest.mark.parametrize("which", ["router", "xpub"])
def test_a_port_that_is_taken_is_named(bind_context: Context, which: str) -> None:
    with taken() as blocker:
        port = blocker.getsockname()[1]
        with pytest.raises(errors.BindFailed, match=f"port {port} on 127.0.0.1 is taken.*--bind-wait"):
            bound(bind_context, f"tcp://127.0.0.1:{port if which == 'router' else 0}", 0 if which == "router" else port)


def test_a_port_may_be_waited_for(bind_context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = taken()
    port = blocker.getsockname()[1]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            blocker.close()

    monkeypatch.setattr("zchat.broker.sockets.time.sleep", wait)
    assert bound(bind_context, f"tcp://127.0.0.1:{port}", 0, wait=60)[0] == port
    assert waits[:3] == [sockets.RETRY] * 3


def test_waiting_for_a_port_ends(bind_context: Context) -> None:
    with taken() as blocker, pytest.raises(errors.BindFailed, match="is taken"):
        bound(bind_context, f"tcp://127.0.0.1:{blocker.getsockname()[1]}", 0, wait=0.01)


@pytest.mark.parametrize(
    ("address", "pub_port", "why"),
    [
        (Address("192.0.2.1", 0), None, "192.0.2.1 is no address of this machine"),
        (Address("127.0.0.1", 65535), None, "out of range: name another with --pub-port"),
        (Address("127.0.0.1", 0), 65536, "port 65536 is out of range"),
        (Address("127.0.0.1", 0), -1, "port -1 is out of range"),
        (Address("127.0.0.1", 4711), 4711, "port 4711 cannot serve both"),
        (Address("no-such-host.invalid", 0), None, "cannot resolve no-such-host.invalid"),
        (Address("x" * 64 + ".example", 0), None, "cannot resolve"),
    ],
)
def test_what_cannot_be_bound_says_why(bind_context: Context, address: Address, pub_port: int | None, why: str) -> None:
    with pytest.raises(errors.BindFailed, match=why):
        sockets.bind(bind_context, address, pub_port, 0.0, insecure=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_where_others_reach_it_takes_a_word(bind_context: Context, host: str) -> None:
    with pytest.raises(errors.BindFailed, match="--insecure"):
        sockets.bind(bind_context, Address(host, 0), None, 0.0)


def test_all_addresses_may_be_bound_if_that_is_meant(bind_context: Context) -> None:
    sockets.bind(bind_context, Address("0.0.0.0", 0), None, 0.0, insecure=True).close(0)


def test_more_connections_end_than_are_looked_at_and_it_still_closes(bind_context: Context) -> None:
    pair = sockets.bind(bind_context, parse("tcp://127.0.0.1:0"), None, 0.0)
    for _ in range(2100):  # beyond 2000 libzmq would wait, holding a lock, for somebody to look at them
        with socket.create_connection(("127.0.0.1", pair.address.port), timeout=20) as one:
            one.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(64))
            with suppress(ConnectionResetError):
                while one.recv(1000):
                    pass
    pair.close(0)
