"""A broker under CURVE on real sockets: who is let in on either port, and who is put out."""

from __future__ import annotations

from pathlib import Path

import zmq
from wires import GREETING, Broker, Client, Wires, eventually

from zchat import codec, keyfiles
from zchat.broker.admission import Mode
from zchat.broker.entrance import put_link
from zchat.keyfiles import Keypair
from zchat.links import parse_link
from zchat.messages import Done, Failed, Link, Linked, Message, Ping, Revoke


def secret_of(link: str | None) -> bytes:
    """What lets in."""
    assert link is not None
    invite = parse_link(link).invite
    assert invite is not None
    return invite


def joined(wires: Wires, broker: Broker, name: str, keys: Keypair, invite: bytes | None = None) -> Client:
    """Somebody who is in the lobby."""
    made = wires.stranger(broker, name, keys)
    made.hello(invite=invite)
    made.joins()
    return made


def owner(wires: Wires, broker: Broker) -> Client:
    """Who came in by the first link."""
    return joined(wires, broker, "olga", keyfiles.fresh(), secret_of(broker.owner_link))


def invite(somebody: Client, uses: int = 1) -> bytes:
    """A link for members."""
    somebody.asks(Link(7, uses=uses))
    return secret_of(somebody.hears(Linked).link)


def hears_nothing(sub: zmq.Socket[bytes], broker: Broker, speaker: Client) -> None:
    """Though something is said, and others hear it."""
    for _ in range(3):
        speaker.chats()
    assert not sub.poll(100), codec.decode_published(sub.recv())


def reads_no_more(sub: zmq.Socket[bytes], speaker: Client) -> None:
    """What is said from now on does not come to it."""
    while sub.poll(50):
        sub.recv()  # from before
    for _ in range(3):
        speaker.chats()
    while sub.poll(100):
        frame = codec.decode_published(sub.recv())[1]
        assert not any(isinstance(event, Message) for event in frame.events)


def test_an_invited_person_talks_and_an_uninvited_one_learns_nothing(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    ann = joined(wires, broker, "ann", keyfiles.fresh(), invite(olga))
    ann.says("hello")
    assert olga.reads("hello") == "lobby"
    eve = wires.stranger(broker, "eve", keyfiles.fresh())  # no link is left: neither port lets eve say anything
    eve.sub.subscribe(b"")
    eve.asks(Ping(1))
    hears_nothing(eve.sub, broker, olga)
    assert not eve.dealer.poll(100)
    eventually(lambda: broker.logged("without a key"), "it was told to go")


def test_a_stranger_is_refused_while_there_are_links(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    invite(olga)
    eve = wires.stranger(broker, "eve", keyfiles.fresh())
    eve.sub.subscribe(b"")
    eve.asks(Ping(1))
    assert eve.hears(Failed).code == "unknown-session"
    hears_nothing(eve.sub, broker, olga)


def test_plaintext_is_not_spoken(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    for port in ("router", "xpub"):
        raw = wires.raw(broker, port)
        raw.sends(GREETING)
        raw.is_cut()
    olga.chats()


def test_another_brokers_key_gets_no_answer(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    true, broker.key = broker.key, keyfiles.fresh().public
    wrong = wires.stranger(broker, "ann", keyfiles.fresh())
    broker.key = true
    wrong.asks(Ping(1))
    olga.chats()
    assert not wrong.dealer.poll(200)


def test_who_was_revoked_reads_nothing_more_on_either_socket(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    ann = joined(wires, broker, "ann", keyfiles.fresh(), invite(olga))
    spare = wires.stranger(broker, None, ann.keys)  # one more connection to the PUB port, in nobody's name
    spare.sub.subscribe(codec.room_topic("lobby"))
    olga.chats()
    assert spare.sub.poll(20_000)
    olga.asks(Revoke(8, name="ann"))
    olga.hears(Done)
    assert ann.hears(Failed).code == "not-admitted"
    for sub in (ann.sub, spare.sub):
        reads_no_more(sub, olga)
    again = wires.stranger(broker, "ann", ann.keys)
    again.asks(Ping(1))
    olga.chats()
    assert not again.dealer.poll(100)


def test_a_sub_that_comes_before_its_session_is_let_in_once_there_is_one(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path, grace=0.05)
    olga = owner(wires, broker)
    keys = keyfiles.fresh()
    joined(wires, broker, "ann", keys, invite(olga)).close()
    eventually(lambda: len(broker.server.hub.sessions) == 1, "the session is over")
    ann = wires.stranger(broker, "ann", keys)
    ann.sub.subscribe(codec.room_topic("lobby"))
    hears_nothing(ann.sub, broker, olga)
    ann.sub_waits = False
    ann.hello()
    ann.fences()  # the same socket: it was told to try again
    ann.joins()
    ann.chats()


def test_a_link_of_the_folder_lets_in_while_the_broker_runs(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    assert not (tmp_path / "owner-link").exists()
    secret = secret_of(put_link(tmp_path / "keys"))
    again = wires.stranger(broker, "omar", keyfiles.fresh())
    assert again.hello(invite=secret).role == "owner"
    eventually(lambda: not list((tmp_path / "keys" / "links").iterdir()), "it is gone from there")
    olga.chats()


def test_a_session_that_is_over_takes_its_subscriptions_along(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path, grace=0.05)
    olga = owner(wires, broker)
    ann = joined(wires, broker, "ann", keyfiles.fresh(), invite(olga))
    ann.dealer.close(0)
    eventually(lambda: len(broker.server.hub.sessions) == 1, "its grace is over")
    reads_no_more(ann.sub, olga)


def test_a_key_has_so_many_connections_to_the_rooms(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path, max_sessions_person=2)
    olga = owner(wires, broker)
    extra = [wires.stranger(broker, None, olga.keys) for _ in range(6)]
    for one in extra:
        one.sub.subscribe(codec.room_topic("lobby"))
    eventually(lambda: broker.logged("may not subscribe"), "some were cut")
    for one in extra:
        one.sub.close(0)
    olga.chats()


def test_with_nobody_to_ask_nobody_is_let_in(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path, mode=Mode.OPEN)
    before = joined(wires, broker, "ann", keyfiles.fresh())
    zap = broker.server._sockets.zap
    assert zap is not None
    zap.answer = lambda decide: None  # type: ignore[method-assign]  # as if it hung
    late = wires.stranger(broker, "bob", keyfiles.fresh())
    late.asks(Ping(1))
    before.chats()
    eventually(lambda: broker.logged("without a key"), "it is not borne for long")
    assert not late.dealer.poll(0)
    before.chats()


def test_connections_that_subscribed_to_nothing_yet_are_cut_with_who_is_revoked(wires: Wires, tmp_path: Path) -> None:
    broker = wires.broker(folder=tmp_path)
    olga = owner(wires, broker)
    ann = joined(wires, broker, "ann", keyfiles.fresh(), invite(olga))
    dormant = [wires.stranger(broker, None, ann.keys) for _ in range(20)]
    port = broker.server._rooms_port
    eventually(lambda: len(port.open) >= 22, "they are connected")
    olga.asks(Revoke(8, name="ann"))
    olga.hears(Done)
    for one in dormant:
        one.sub.subscribe(codec.room_topic("lobby"))
    for one in dormant:
        reads_no_more(one.sub, olga)
