"""What is counted, and the text that Prometheus reads: as its own parser understands it."""

from __future__ import annotations

from typing import Any

import pytest
from dialogue import Dialogue
from prometheus_client.parser import text_string_to_metric_families

from zchat import errors
from zchat.broker.effects import Effects
from zchat.broker.metrics import BOUNDS, METRICS, Counts, Histogram, Process, Seen, Standing, exposition
from zchat.messages import Ack, Failed, Found, Message, Page, Pong, Refused, Reply, Welcome
from zchat.store.base import Kept, Outcome

NOW = Standing(5, 4, 3, 2, 7, 1, 6, draining=False, storing=True)
PROCESS = Process("0.1.0", "3.11.7", "4.3.5", 1_700_000_000.5, 12.25, 1 << 25, 4096, 1 << 40)

EVENT = Message(1, 1, "bob", b"", 1, "hi")


def parsed(seen: Seen) -> dict[str, Any]:
    """All samples by name and labels, as Prometheus reads them."""
    families = text_string_to_metric_families(exposition(seen))
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def told(**replies: list[Reply]) -> Effects:
    return Effects(replies={peer.encode(): items for peer, items in replies.items()})


def test_everything_is_understood_with_its_kind_and_its_help() -> None:
    families = {
        family.name: family for family in text_string_to_metric_families(exposition(Seen(Counts(), NOW, PROCESS)))
    }
    assert len(families) == len(METRICS)
    for one in METRICS:
        family = families[one.name.removesuffix("_total") if one.kind == "counter" else one.name]
        assert (family.type, family.documentation) == (one.kind, one.help)
        assert family.samples
        assert one.name.startswith("zchat_")
        assert one.name.endswith("_total") is (one.kind == "counter")


def test_it_tells_how_the_broker_is() -> None:
    found = parsed(Seen(Counts(), NOW, PROCESS))
    assert found["zchat_build_info,python=3.11.7,version=0.1.0,zeromq=4.3.5"] == 1
    assert (found["zchat_connections,port=requests"], found["zchat_connections,port=rooms"]) == (5, 4)
    assert (found["zchat_sessions"], found["zchat_people"], found["zchat_queue_requests"]) == (3, 2, 6)
    assert (found["zchat_rooms,kind=public"], found["zchat_rooms,kind=private"]) == (7, 1)
    assert (found["zchat_draining"], found["zchat_store_writable"]) == (0, 1)
    assert (found["zchat_store_bytes"], found["zchat_store_free_bytes"]) == (4096, 1 << 40)
    assert (found["zchat_start_time_seconds"], found["zchat_cpu_seconds_total"]) == (1_700_000_000.5, 12.25)
    assert found["zchat_memory_bytes"] == 1 << 25


def test_what_is_not_known_is_left_out() -> None:
    found = parsed(Seen(Counts(), NOW, PROCESS._replace(size=None, free=None, memory=None)))
    assert not {"zchat_store_bytes", "zchat_store_free_bytes", "zchat_memory_bytes"} & set(found)


def test_labels_are_escaped() -> None:
    text = exposition(Seen(Counts(), NOW, PROCESS._replace(version='a"b\\c\nd')))
    (family,) = (one for one in text_string_to_metric_families(text) if one.name == "zchat_build_info")
    assert family.samples[0].labels["version"] == 'a"b\\c\nd'


def test_what_was_kept_is_counted_and_not_what_was_refused() -> None:
    counts = Counts()
    counts.committed(Outcome([[Kept(1, [b"a", b"b"])], [Refused(3, "quota-reached", "no"), Kept(3, [b"c"])], []], []))
    counts.committed(Outcome([[Kept(4, [b"d"])]], []))
    assert parsed(Seen(counts, NOW, PROCESS))["zchat_messages_total"] == 4


def test_deliveries_are_counted_for_each_who_gets_one() -> None:
    counts = Counts()
    effects = Effects(told=2)  # of a private room
    effects.publication("lobby", 10).events += [b"a", b"b", b"c"]
    effects.publication("dev", 2).events.append(b"d")
    effects.publication("quiet", 100)
    counts.told(effects)
    assert counts.deliveries == 3 * 10 + 2 + 2


def test_refusals_are_counted_by_kind_and_all_kinds_are_there() -> None:
    counts = Counts()
    counts.told(told(ann=[Failed(1, "busy", "no"), Ack(1, "lobby", 1, 1)], bob=[Refused(1, "busy", "no")]))
    counts.told(told(ann=[Failed(0, "over-credit", "no"), Pong(1)]))
    found = parsed(Seen(counts, NOW, PROCESS))
    assert found["zchat_refusals_total,code=busy"] == 2
    assert found["zchat_refusals_total,code=over-credit"] == 1
    assert {f"zchat_refusals_total,code={code}" for code in errors.BY_CODE} <= set(found)


def test_what_is_read_again_is_counted() -> None:
    counts = Counts()
    counts.told(told(ann=[Page(1, "lobby", 1, 2, (EVENT, EVENT)), Page(2, "lobby", 1, 2, ()), Found(3, ())]))
    welcome = Welcome(1, b"", b"", "ann", 1, 1, 1, 1.0, 0, True, False)
    counts.told(told(ann=[welcome]))
    assert (counts.pages, counts.reread, counts.searches, counts.hellos) == (2, 2, 1, 1)


@pytest.mark.parametrize("seconds", [0.0, BOUNDS[0], BOUNDS[3], BOUNDS[-1]])
def test_a_span_has_its_upper_end(seconds: float) -> None:
    one = Histogram()
    one.observe(seconds)
    assert one.counts.index(1) == max(BOUNDS.index(seconds), 0) if seconds else one.counts[0] == 1


def test_a_histogram_adds_up() -> None:
    counts = Counts()
    for seconds in (0.00005, 0.0004, 0.0004, 30.0):
        counts.turns.observe(seconds)
    found = parsed(Seen(counts, NOW, PROCESS))
    assert found["zchat_turn_seconds_bucket,le=0.0001"] == 1
    assert found["zchat_turn_seconds_bucket,le=0.0005"] == 3
    assert found["zchat_turn_seconds_bucket,le=1.0"] == 3
    assert found["zchat_turn_seconds_bucket,le=+Inf"] == found["zchat_turn_seconds_count"] == 4
    assert found["zchat_turn_seconds_sum"] == pytest.approx(30.00085)
    assert found["zchat_commit_seconds_count"] == 0


def test_what_members_of_a_private_room_hear_is_counted_for_each() -> None:
    talk, counts = Dialogue(), Counts()
    ann = talk.person("ann")
    talk.person("bob")
    ann.says("hello", "@bob")
    counts.told(talk.effects)
    assert counts.deliveries == 2
