"""Limits to what a person may ask for, on real sockets."""

from __future__ import annotations

from wires import Wires, eventually

from zchat import codec, errors
from zchat.broker.rates import Limits, Rate
from zchat.client.sync import connect
from zchat.messages import VERSION, Failed, Hello, Send


def test_a_script_that_says_more_than_it_may_gets_all_of_it_through_in_order(wires: Wires) -> None:
    broker = wires.broker(rates=Limits(messages=Rate(20, 100), joins=Rate(3, 50), questions=Rate(3, 50)))
    with connect(str(broker.address), name="script") as script:
        rooms = [script.join(f"room{number}") for number in range(5)]
        assert len(rooms) == 5
        for number in range(50):
            script.post("room0", f"line {number}")
        script.wait(lambda: script.session.waiting == 0 or None, 30.0, errors.TimedOut("not all was taken"))
        assert [message.text for message in script.history("room0", None)] == [f"line {n}" for n in range(50)]
    assert not broker.logged("held off")


def test_who_floods_is_cut_and_held_off_and_others_are_not(wires: Wires) -> None:
    broker = wires.broker(credit=20, rates=Limits(messages=Rate(5, 0.1)))
    honest, flood = wires.client(broker, "honest"), wires.client(broker, "flood")

    def cut() -> bool:
        return broker.logged("WARNING cut flood, held off for 10 s")

    while not cut():
        flood.asks(*(Send(n, "lobby", "x") for n in range(1, 20)))
        eventually(lambda: cut() or flood.dealer.poll(20) or None, "it is refused, or cut")
        heard = 0
        while not cut() and heard < 15:
            heard += len(codec.decode_replies(flood.dealer.recv()).items) if flood.dealer.poll(20) else 0
    honest.chats()
    flood.reconnects()
    flood.asks(Hello(1, VERSION, "flood", flood.person, flood.client, flood.fence))
    refused = flood.hears(Failed)
    assert refused.code == "rate-limited"
    assert 0 < refused.retry_ms <= 10_000
