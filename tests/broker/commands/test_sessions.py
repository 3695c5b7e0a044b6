"""Coming, staying and going."""

from __future__ import annotations

from dialogue import Dialogue, Peer

from zchat.messages import Beat, Bye, Heartbeat, Join, Moved, Ping, Pong, Reply, Stamp


def moved(answers: list[Reply]) -> tuple[Moved, ...]:
    (answer,) = answers
    assert isinstance(answer, Beat), answer
    return answer.moved


def test_a_welcome_says_what_a_client_needs() -> None:
    talk = Dialogue(pub_port=4711, credit=77, text_limit=99, heartbeat=12.5)
    welcome = Peer(talk, " Ann ").hello(q=9)
    assert (welcome.q, welcome.name, welcome.pub_port, welcome.credit) == (9, "Ann", 4711, 77)
    assert (welcome.text_limit, welcome.heartbeat, welcome.banner) == (99, 12.5, "hello")
    assert (welcome.last, welcome.vouched, welcome.resumed, welcome.private) == (0, True, False, ())
    assert len(welcome.session) == 16
    assert len(welcome.sender) == 8


def test_a_client_keeps_its_public_id_over_sessions_and_brokers(talk: Dialogue) -> None:
    ann = Peer(talk, "ann")
    first = ann.hello()
    ann.asks(Bye(1))
    assert ann.hello().sender == first.sender
    elsewhere = Peer(Dialogue(), "ann", client=ann.client)
    assert elsewhere.hello().sender == first.sender
    assert talk.visitor().hello().sender != first.sender


def test_a_stamp_is_vouched_for_or_not(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("x")
    stamp = talk.store.stamp
    for vouched, known in (
        (True, None),
        (True, stamp),
        (False, Stamp(stamp.run, stamp.turn + 1)),
        (False, Stamp(stamp.run, 2**63 - 1)),
        (False, Stamp(b"another run", 0)),
    ):
        assert talk.stranger().hello(stamp=known).vouched is vouched


def test_there_are_only_so_many_sessions() -> None:
    talk = Dialogue(max_sessions=2)
    ann = talk.person("ann")
    talk.visitor()
    assert talk.stranger().hello_fails(name="bob") == "busy"
    assert ann.returns().hello().resumed
    talk.passes(61)  # the visitor is over
    assert talk.person("bob").name == "bob"  # nobody had taken the name


def test_a_heartbeat_names_the_rooms_that_moved(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby", "den"), talk.person("bob", "lobby")
    quiet = talk.person("kim")
    quiet.joins("lobby", quiet=True)
    assert moved(ann.asks(Heartbeat(1))) == (Moved("lobby", 0, 2), Moved("den", 0, 1))
    assert moved(ann.asks(Heartbeat(2))) == ()
    bob.says("x")
    assert moved(ann.asks(Heartbeat(3))) == (Moved("lobby", 1, 2),)
    assert moved(quiet.asks(Heartbeat(3))) == (Moved("lobby", 1, 2),)
    private = bob.says("psst", "@ann").room
    bob.asks(Join(4, "den"))
    assert set(moved(ann.asks(Heartbeat(4)))) == {Moved("den", 0, 2), Moved(private, 1, 0)}
    assert moved(ann.asks(Heartbeat(5))) == ()
    assert moved(quiet.asks(Heartbeat(4))) == ()  # of its own rooms only


def test_a_heartbeat_knows_of_its_own_turn(talk: Dialogue) -> None:
    from zchat.broker.inputs import Received
    from zchat.messages import Send

    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    ann.asks(Heartbeat(1))
    talk.turn(Received(ann.id, [Heartbeat(2)]), Received(bob.id, [Send(1, "lobby", "x")]))
    assert moved(ann.heard) == (Moved("lobby", 1, 2),)
    assert moved(ann.asks(Heartbeat(3))) == ()


def test_what_moved_before_hello_is_not_named(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("x", "@ann")
    other = talk.person("ann", person=ann.person)
    assert moved(other.asks(Heartbeat(1))) == ()


def test_the_interval_is_stretched_with_the_sessions() -> None:
    talk = Dialogue(heartbeat=2.0, heartbeats=1.0)
    visitors = [talk.visitor() for _ in range(5)]
    assert visitors[0].hello().heartbeat == 5.0
    (beat,) = visitors[1].asks(Heartbeat(1))
    assert isinstance(beat, Beat)
    assert beat.interval == 5.0


def test_ping(talk: Dialogue) -> None:
    assert talk.visitor().asks(Ping(0), Ping(2**63 - 1)) == [Pong(0), Pong(2**63 - 1)]
