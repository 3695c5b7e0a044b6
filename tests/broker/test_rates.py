"""How much a person may ask for in a time: buckets, offenders, and what a hub makes of them."""

from __future__ import annotations

from itertools import count

import pytest
from dialogue import Dialogue, Peer
from hypothesis import given
from hypothesis import strategies as st

from zchat import errors
from zchat.broker import rates
from zchat.broker.effects import Level
from zchat.broker.inputs import Gone, Received
from zchat.broker.rates import BYTES, HOLD, MESSAGES, QUESTIONS, Limits, Rate, Rates, retry_ms
from zchat.broker.settings import Settings
from zchat.client.channel import RESERVE, Transmit
from zchat.client.events import NotSent, Sent
from zchat.client.session import Session
from zchat.codec import Malformed
from zchat.messages import (
    Ack,
    Bye,
    Delete,
    Done,
    Edit,
    Failed,
    Heartbeat,
    Join,
    Nick,
    Ping,
    Pong,
    Refused,
    Replies,
    Reply,
    Send,
    Stamp,
)

ANN, BOB = b"a" * 16, b"b" * 16
FEW = Limits(messages=Rate(3, 2))


# Buckets --------------------------------------------------------------------------------------------------------------


def test_a_full_bucket_gives_its_burst_and_then_what_comes_in() -> None:
    buckets = Rates(FEW)
    assert [buckets.take(ANN, MESSAGES, 10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take(ANN, MESSAGES, 10.25) == 0.25
    assert buckets.take(ANN, MESSAGES, 10.5) == 0.0
    assert buckets.take(ANN, MESSAGES, 10.5) == 0.5
    assert [buckets.take(ANN, MESSAGES, 1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_each_person_and_each_kind_has_a_bucket_of_its_own() -> None:
    buckets = Rates(FEW)
    assert buckets.take(ANN, MESSAGES, 0.0, 3) == 0.0
    assert buckets.take(ANN, MESSAGES, 0.0)
    assert buckets.take(BOB, MESSAGES, 0.0) == 0.0
    assert buckets.take(ANN, QUESTIONS, 0.0) == 0.0


def test_what_is_more_than_a_bucket_holds_takes_a_full_one_and_longer_to_fill_again() -> None:
    buckets = Rates(Limits(bytes=Rate(10, 10)))
    assert buckets.take(ANN, BYTES, 0.0, 1) == 0.0
    assert buckets.take(ANN, BYTES, 0.0, 30) == pytest.approx(0.1)
    assert buckets.take(ANN, BYTES, 0.1, 30) == 0.0
    assert buckets.take(ANN, BYTES, 0.1, 1) == pytest.approx(2.1)


def test_where_there_is_no_limit_nothing_is_remembered() -> None:
    for buckets in (Rates(), Rates(Limits(messages=None))):
        assert not any(buckets.take(ANN, MESSAGES, 0.0, 1e9) for _ in range(10))
        assert buckets.sendable(ANN, 0.0) in (None, (float("inf"), 1024 * 1024))
        assert len(buckets) == 0


def test_who_is_exempt_is_not_limited_and_never_an_offender() -> None:
    buckets = Rates(FEW)
    buckets.exempt = ANN.__eq__
    assert not any(buckets.take(ANN, MESSAGES, 0.0, 1e9) for _ in range(10))
    assert buckets.sendable(ANN, 0.0) is None
    assert buckets.refused(ANN, 10**9, 0.0, 1) == 0.0
    assert buckets.take(BOB, MESSAGES, 0.0, 3) == 0.0
    assert buckets.take(BOB, MESSAGES, 0.0)


def test_other_limits_hold_at_once_and_nobody_owes_anything() -> None:
    buckets = Rates(FEW)
    buckets.take(ANN, MESSAGES, 0.0, 3)
    buckets.set(Limits(messages=Rate(1, 1)))
    assert [buckets.take(ANN, MESSAGES, 0.0) for _ in range(2)] == [0.0, 1.0]
    buckets.set(None)
    assert not any(buckets.take(ANN, MESSAGES, 0.0) for _ in range(9))


@pytest.mark.parametrize(
    ("burst", "per_second"),
    [(0, 1), (1, 0), (float("inf"), 1), (1, float("nan")), (1, -1), (1, 1e-310), (1e10, 1), (1, 1e10)],
)
def test_what_lets_nothing_through_is_no_rate(burst: float, per_second: float) -> None:
    with pytest.raises(errors.BadOption):
        Rate(burst, per_second)


def test_the_slowest_rate_and_the_quickest_can_be_told() -> None:
    buckets = Rates(Limits(messages=Rate(rates.MOST, rates.SLOWEST), questions=Rate(1, rates.MOST)))
    assert [buckets.take(ANN, MESSAGES, 10.0, rates.MOST) > 0 for _ in range(2)] == [False, True]
    buckets.sent(ANN, 10.0, 1000, 1000)
    assert retry_ms(buckets.take(ANN, MESSAGES, 10.0, rates.MOST)) < 2**63
    assert buckets.refused(ANN, 100, 10.0, 1 << 40) == 0.0


def test_a_wait_is_told_in_whole_milliseconds() -> None:
    assert [retry_ms(wait) for wait in (1e-9, 0.001, 0.0011, 2.0)] == [1, 1, 2, 2000]


steps = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 8)), min_size=1, max_size=60)


@given(st.integers(1, 20), st.floats(0.01, 100), steps)
def test_never_more_than_the_burst_and_what_came_in_is_given(
    burst: int, per_second: float, asked: list[tuple[float, int]]
) -> None:
    buckets, clock = Rates(Limits(messages=Rate(burst, per_second))), 0.0
    given_at: list[tuple[float, int]] = []
    for pause, amount in asked:
        clock += pause
        amount = min(amount, burst)
        if not buckets.take(ANN, MESSAGES, clock, amount):
            given_at.append((clock, amount))
    for first, (begin, _) in enumerate(given_at):  # over any stretch of time, not only from the beginning
        total = 0
        for at, amount in given_at[first:]:
            total += amount
            assert total <= (burst + per_second * (at - begin)) * (1 + 1e-5) + 1e-5


@given(st.integers(1, 20), st.floats(0.01, 100), steps)
def test_who_waits_as_long_as_told_is_served(burst: int, per_second: float, asked: list[tuple[float, int]]) -> None:
    buckets, clock = Rates(Limits(messages=Rate(burst, per_second))), 0.0
    for pause, amount in asked:
        clock += pause
        wait = buckets.take(ANN, MESSAGES, clock, amount)
        if wait:
            assert wait <= burst / per_second + 8 / per_second + 1e-6
            clock += retry_ms(wait) / 1000
            assert buckets.take(ANN, MESSAGES, clock, amount) == 0.0


def test_whose_buckets_are_full_again_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SWEEP", 10)
    buckets = Rates(FEW)
    for number in range(200):
        buckets.take(number.to_bytes(16, "big"), MESSAGES, float(number))
        assert len(buckets) <= 10
    monkeypatch.setattr(rates, "PERSONS", 40)
    for number in range(200):
        buckets.take(number.to_bytes(16, "big"), MESSAGES, 200.0)
        assert len(buckets) <= 40
    assert len(buckets) >= 20


# Offenders ------------------------------------------------------------------------------------------------------------


def test_what_may_be_under_way_is_no_offence_and_is_forgotten() -> None:
    buckets = Rates(FEW)
    for number in range(20):
        assert buckets.refused(ANN, 100, number * 21.0, 100) == 0.0
    assert buckets.refused(ANN, 1, 19 * 21.0, 100) == HOLD[0]


def test_a_hold_is_twice_as_long_each_time_and_forgotten_after_a_good_while(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, clock = Rates(FEW), 0.0
    holds = []
    for _ in range(12):
        holds.append(buckets.refused(ANN, 11, clock, 10))
        assert buckets.held(ANN, clock) == holds[-1]
        assert buckets.held(BOB, clock) == 0.0
        clock += holds[-1]
        assert buckets.held(ANN, clock) == 0.0
    assert holds == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    clock += rates.FORGIVEN
    assert buckets.refused(ANN, 11, clock, 10) == 10
    monkeypatch.setattr(rates, "OFFENDERS", 5)
    for number in range(20):
        buckets.refused(number.to_bytes(16, "big"), 11, clock, 10)
    assert sum(buckets.held(number.to_bytes(16, "big"), clock) > 0 for number in range(20)) == 5


# The hub --------------------------------------------------------------------------------------------------------------


def few(**kinds: Rate | None) -> Limits:
    """No limits but these."""
    none = dict.fromkeys(("messages", "bytes", "joins", "creations", "hellos", "reads", "questions"))
    return Limits(**{**none, **kinds})


def limited(talk: Dialogue, **kinds: Rate | None) -> None:
    talk.hub.rates.set(few(**kinds))


def outcome(answers: list[Reply]) -> list[tuple[str, int, int]]:
    """What became of sends: the kind of answer, its first number, and of how many, or when to try again."""
    told = []
    for answer in answers:
        if isinstance(answer, Ack):
            told.append(("ack", answer.n, answer.count))
        elif isinstance(answer, Refused):
            told.append((answer.code, answer.n, answer.retry_ms))
    return told


def test_by_default_nobody_is_limited() -> None:
    assert Settings().rates is None
    talk = Dialogue()
    ann = talk.person("ann", "lobby")
    for first in range(1, 2000, 500):
        assert outcome(ann.asks(*(Send(n, "lobby", "x") for n in range(first, first + 500)))) == [("ack", first, 500)]
    assert len(talk.hub.rates) == 0


def test_of_a_run_as_many_are_taken_as_may_and_the_rest_uses_no_numbers_up(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    limited(talk, messages=Rate(3, 2))
    sends = [Send(n, "lobby", f"text {n}") for n in range(1, 6)]
    assert outcome(ann.asks(*sends)) == [("rate-limited", 4, 500), ("rate-limited", 5, 500), ("ack", 1, 3)]
    assert outcome(ann.asks(*sends[3:])) == [("rate-limited", 4, 500), ("rate-limited", 5, 500)]
    talk.turn(after=0.5)
    assert outcome(ann.asks(*sends[3:])) == [("rate-limited", 5, 500), ("ack", 4, 1)]
    talk.turn(after=0.5)
    assert outcome(ann.asks(sends[4])) == [("ack", 5, 1)]
    assert talk.store.rooms()[0].head == 5


def test_the_bytes_of_a_run_count_too_and_one_that_is_bigger_than_the_bucket_gets_through(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    limited(talk, bytes=Rate(100, 10))
    sends = [Send(n, "lobby", "ä" * 20) for n in range(1, 4)]
    assert outcome(ann.asks(*sends)) == [("rate-limited", 3, 2000), ("ack", 1, 2)]
    talk.passes(10.0)
    big = Send(3, "lobby", "x" * 1000)
    assert outcome(ann.asks(big, Send(4, "lobby", "x"))) == [("rate-limited", 4, 90_100), ("ack", 3, 1)]
    assert outcome(ann.asks(Edit(4, "lobby", 3, "y"))) == [("rate-limited", 4, 90_100)]
    assert outcome(ann.asks(Delete(4, "lobby", 3))) == [("ack", 4, 1)]


def test_repeats_edits_and_what_comes_out_of_order_count_as_messages(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    limited(talk, messages=Rate(4, 1))
    ann.asks(Send(1, "lobby", "x"), Send(1, "lobby", "x"), Send(9, "lobby", "x"))
    assert outcome(ann.asks(Edit(2, "lobby", 1, "y"))) == [("ack", 2, 1)]
    for request in (Send(1, "lobby", "x"), Send(9, "lobby", "x"), Edit(3, "lobby", 1, "y"), Delete(3, "lobby", 1)):
        assert outcome(ann.asks(request)) == [("rate-limited", request.n, 1000)]


def test_a_person_is_limited_with_all_sessions_together_and_others_are_not(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    other = talk.person("ann", person=ann.person)
    limited(talk, messages=Rate(2, 1))
    assert outcome(ann.asks(Send(1, "lobby", "x"))) == [("ack", 1, 1)]
    assert outcome(other.asks(Send(1, "lobby", "x"))) == [("ack", 1, 1)]
    assert outcome(ann.asks(Send(2, "lobby", "x"))) == [("rate-limited", 2, 1000)]
    assert outcome(other.asks(Send(2, "lobby", "x"))) == [("rate-limited", 2, 1000)]
    assert outcome(bob.asks(Send(1, "lobby", "x"))) == [("ack", 1, 1)]


def failed(answers: list[Reply]) -> list[tuple[int, str, int]]:
    return [(answer.q, answer.code, answer.retry_ms) for answer in answers if isinstance(answer, Failed)]


def test_joins_and_rooms_made_are_limited(talk: Dialogue) -> None:
    ann = talk.person("ann")
    talk.person("bob"), talk.person("kim")
    limited(talk, joins=Rate(4, 2), creations=Rate(2, 0.5))
    ann.joins("den"), ann.joins("hut")
    assert failed(ann.asks(Join(5, "nook"))) == [(5, "rate-limited", 2000)]
    ann.joins("lobby")
    assert failed(ann.asks(Join(6, "lobby"))) == [(6, "rate-limited", 500)]
    assert "nook" not in talk.hub.rooms.by_name
    # By saying something, too: and the number is not used up.
    assert outcome(ann.asks(Send(1, "lobby", "x"), Send(2, "nook", "x"), Send(3, "lobby", "x"))) == [
        ("rate-limited", 2, 2000),
        ("rate-limited", 3, 2000),
        ("ack", 1, 1),
    ]
    assert outcome(ann.asks(Send(2, "@bob", "x"))) == [("rate-limited", 2, 2000)]
    talk.passes(2.0)
    assert outcome(ann.asks(Send(2, "@bob", "x"))) == [("ack", 2, 1)]
    assert outcome(ann.asks(Send(3, "@bob", "x"))) == [("ack", 3, 1)]  # it is there by now
    assert outcome(ann.asks(Send(4, "@kim", "x"))) == [("rate-limited", 4, 2000)]


def test_questions_are_limited_and_so_is_what_cannot_be_read_or_may_not_be_asked(talk: Dialogue) -> None:
    ann, visitor = talk.person("ann"), talk.visitor()
    limited(talk, questions=Rate(2, 1))
    assert ann.asks(Ping(1), Ping(2)) == [Pong(1), Pong(2)]
    too_much = [(3, "rate-limited", 1000)]
    assert failed(ann.asks(Ping(3))) == failed(ann.asks(Heartbeat(3))) == failed(ann.asks(Nick(3, "x"))) == too_much
    assert failed(ann.asks(Malformed(3, errors.BadRequest()))) == too_much
    assert ann.asks(Bye(3)) == [Done(3)]  # there is less of it then
    sends = [Send(1, "lobby", "x"), Send(2, "lobby", "x")]
    assert [code for code, _, _ in outcome(visitor.asks(*sends))] == ["name-needed"] * 2
    assert outcome(visitor.asks(sends[0])) == [("rate-limited", 1, 1000)]


def test_a_stranger_is_limited_too(talk: Dialogue) -> None:
    limited(talk, questions=Rate(2, 1))
    nobody = talk.stranger()
    codes = [code for _, code, _ in failed(nobody.asks(Ping(1), Ping(2), Ping(3)))]
    assert codes == ["unknown-session", "unknown-session", "rate-limited"]
    assert talk.stranger().hello(name="ann")


def test_hellos_are_limited_by_person(talk: Dialogue) -> None:
    limited(talk, hellos=Rate(2, 0.1))
    ann = Peer(talk, "ann")
    ann.hello(), ann.returns().hello()
    back = ann.returns()
    assert failed(back.asks(back.greeting())) == [(1, "rate-limited", 10_000)]
    assert Peer(talk, "bob").hello()
    talk.passes(10.0)
    assert back.hello()


def test_limits_change_while_all_go_on(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    limited(talk, messages=Rate(1, 1))
    assert outcome(ann.asks(Send(1, "lobby", "x"), Send(2, "lobby", "x"))) == [("rate-limited", 2, 1000), ("ack", 1, 1)]
    talk.hub.rates.exempt = ann.person.__eq__
    assert outcome(ann.asks(Send(2, "lobby", "x"), Send(3, "lobby", "x"))) == [("ack", 2, 2)]
    talk.hub.rates.set(None)
    assert outcome(talk.person("bob").asks(*(Send(n, "lobby", "x") for n in range(1, 9)))) == [("ack", 1, 8)]


def test_a_clock_that_jumps_opens_nothing(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    limited(talk, messages=Rate(5, 1))
    ann.asks(*(Send(n, "lobby", "x") for n in range(1, 6)))
    talk.turn(after=1e6)  # the machine slept
    assert [code for code, _, _ in outcome(ann.asks(Send(6, "lobby", "x"), Send(7, "lobby", "x")))] == [
        "rate-limited",
        "ack",
    ]
    talk.turn(after=-1e6)
    assert outcome(ann.asks(Send(7, "lobby", "x"))) == [("rate-limited", 7, 1000)]


# Who goes on although refused -----------------------------------------------------------------------------------------


def floods(talk: Dialogue, peer: Peer, frames: int, size: int = 10) -> int:
    """Frames of too much, until the peer is cut: how many that took."""
    for number in range(frames):
        talk.turn(Received(peer.id, [Send(peer.n + m, "lobby", "x") for m in range(1, size + 1)]))
        if peer.id in talk.effects.cuts:
            return number + 1
    return 0


def test_who_goes_on_is_cut_with_all_sessions_and_held_off_for_longer_each_time() -> None:
    talk = Dialogue(credit=50)
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    limited(talk, messages=Rate(1, 0.001))
    for hold in (10, 20, 40):
        assert floods(talk, ann, 30) == 11  # twice the credit is allowed
        assert failed(ann.heard)[-1] == (0, "rate-limited", hold * 1000)
        assert (Level.WARNING, f"cut ann, held off for {hold} s: it asks for too much and goes on") in talk.logged
        assert not any(talk.hub.sessions.of(ann.person))
        assert bob.says("here").seq
        talk.hub.rates.set(few(messages=Rate(1, 0.001)))
        back = ann.returns()
        assert failed(back.asks(back.greeting(resume=None))) == [(1, "rate-limited", hold * 1000)]
        talk.turn(Gone(ann.id), Gone(back.id))
        talk.passes(hold, step=1.0)
        ann = ann.returns()
        ann.hello()
        ann.n = 1
    assert sum("held off" in line for _, line in talk.logged) == 3


def test_all_sessions_of_an_offender_are_cut_and_nothing_more_of_them_is_heard() -> None:
    talk = Dialogue(credit=10)
    ann = talk.person("ann", "lobby")
    other = talk.person("ann", "lobby", person=ann.person)
    limited(talk, messages=Rate(1, 0.001))
    sends = [Send(n, "lobby", "x") for n in range(1, 11)]
    parts = [Received(ann.id, [*sends[:9], Ping(7)]) for _ in range(1)]
    for _ in range(4):
        assert not talk.turn(*parts).cuts
    talk.turn(*parts, Received(other.id, [Send(1, "lobby", "heard no more"), Ping(1)]))
    assert talk.effects.cuts == [ann.id, other.id]
    assert Pong(7) not in ann.heard
    assert failed(other.heard) == [(0, "rate-limited", 10_000)]
    assert talk.store.rooms()[0].head == 1
    assert talk.turn(Received(other.id, [Ping(2)])).replies == {}


def test_an_honest_library_has_all_its_credit_under_way_and_is_not_cut(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    limited(talk, messages=Rate(200, 50))
    credit = talk.settings.credit
    answers = ann.asks(*(Send(n, "lobby", "x") for n in range(1, credit)))
    assert len(answers) == credit - 200
    assert not talk.effects.cuts


def test_a_stranger_who_goes_on_is_cut() -> None:
    talk = Dialogue(credit=10)
    limited(talk, questions=Rate(2, 0.001))
    nobody = talk.stranger()
    cut = 0
    while nobody.id not in talk.turn(Received(nobody.id, [Ping(n) for n in range(1, 10)])).cuts:
        cut += 1
        assert cut < 9
    assert talk.person("ann", "lobby").says("x")


# The library against the hub ------------------------------------------------------------------------------------------


class Library:
    """A real session at a hub."""

    def __init__(self, talk: Dialogue, peer: bytes, first: int = 1) -> None:
        numbers = count(first)
        self.talk, self.peer = talk, peer
        self.session = Session("ann", ANN, lambda size: next(numbers).to_bytes(size, "little"))
        self.session.connected(talk.clock)
        self.turns = count(1)
        self.refused = 0
        self.heard: list[Reply] = []

    def step(self, seconds: float) -> None:
        sent = [command for command in self.session.commands() if isinstance(command, Transmit)]
        self.talk.turn(*(Received(self.peer, command.requests) for command in sent), after=seconds)
        assert not self.talk.effects.cuts
        assert self.session.ended is None
        self.heard = self.talk.replies.get(self.peer, [])
        self.refused += sum(isinstance(item, Refused | Failed) for item in self.heard)
        if self.heard:
            self.session.replied(Replies(Stamp(b"12345678", next(self.turns)), tuple(self.heard)), self.talk.clock)
        if self.session.due() <= self.talk.clock:
            self.session.tick(self.talk.clock)


def test_ten_thousand_messages_get_through_in_order_at_the_pace_allowed() -> None:
    talk = Dialogue(pub_port=5556)
    limited(talk, messages=Rate(200, 50), bytes=Rate(1 << 20, 1 << 18))
    ann = Library(talk, b"ann's")
    ann.step(0.0)
    said, begin = 0, talk.clock
    done: list[int] = []
    while len(done) < 10_000:
        while said < 10_000 and ann.session.sendable:
            said += 1
            ann.session.send("lobby", f"{said}", action=False, now=talk.clock)
        ann.step(0.02)
        for event in ann.session.events:
            assert not isinstance(event, NotSent)
            if isinstance(event, Sent):
                done.append(event.seq)
        ann.session.events.clear()
        assert talk.clock - begin < 300, (len(done), ann.refused)
    assert done == list(range(1, 10_001))
    assert talk.clock - begin < 1.1 * 9800 / 50
    credit_once = talk.settings.credit - RESERVE - 200
    assert ann.refused < credit_once + 500  # a few at a time, when the pace has risen too far
    assert not any("held off" in line for _, line in talk.logged)


def test_questions_are_asked_again_in_silence() -> None:
    talk = Dialogue(pub_port=5556)
    limited(talk, joins=Rate(2, 5), questions=Rate(2, 5), hellos=Rate(1, 0.1))
    ann = Library(talk, b"ann's")
    ann.step(0.0)
    asked = [ann.session.ask(Ping) for _ in range(20)]
    while len(ann.session.answers) < len(asked):
        ann.step(0.05)
        assert talk.clock < 1100
    assert all(isinstance(ann.session.answers[q], Pong) for q in asked)
    assert ann.refused


def test_one_program_after_the_other_and_some_at_once_are_no_offenders() -> None:
    talk = Dialogue(pub_port=5556)
    talk.hub.rates.set(Limits())
    for number in range(5):  # as `for file in *; do zchat send <$file; done` does
        programs = [Library(talk, b"%d %d" % (number, which), 1000 * (3 * number + which)) for which in range(1, 4)]
        for program in programs:
            program.step(0.0)
            for line in range(900):
                program.session.send("lobby", f"{line}", action=False, now=talk.clock)
        begin = talk.clock
        while any(program.session.waiting for program in programs):
            for program in programs:
                program.step(0.02)
            assert talk.clock < begin + 100
        for program in programs:
            program.session.bye()
            program.step(0.0)
    assert not any("held off" in line for _, line in talk.logged)


def test_who_comes_back_to_all_rooms_is_not_hindered() -> None:
    talk = Dialogue()
    ann = talk.person("ann")
    names = [f"room{number}" for number in range(talk.settings.max_rooms_joined)]
    talk.person("bob", *names)
    talk.hub.rates.set(Limits())
    for first in range(0, len(names), 500):
        answers = ann.asks(*(Join(q, name) for q, name in enumerate(names[first : first + 500], 1)))
        assert not failed(answers)
        assert len(answers) == 500


def test_a_bot_has_limits_of_its_own() -> None:
    rates = Rates(Limits(messages=Rate(10, 1)), Limits(messages=Rate(2, 1)))
    rates.is_bot = (b"bot").__eq__
    assert [rates.take(b"bot", MESSAGES, 0.0, 1.0) > 0 for _ in range(3)] == [False, False, True]
    assert [rates.take(b"ann", MESSAGES, 0.0, 1.0) > 0 for _ in range(3)] == [False, False, False]
    rates.sent(b"ann", 0.0, 5, 100)
    assert rates.sendable(b"ann", 0.0)[0] == 2  # type: ignore[index]
    rates.set(None, Limits(messages=Rate(2, 1)))
    assert rates.take(b"bot", MESSAGES, 0.0, 9.0) == 0
