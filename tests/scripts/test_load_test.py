"""scripts/load_test.py: that it finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

import importlib.util
import json
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parents[1] / "scripts" / "load_test.py"
SOON = 50.0
"""Seconds after which a test would fail anyway."""


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("load_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


load_test = _load()

# The tally: three clients, of which 0 and 1 are in room a, and 2 is in room b ----------------------------------------

ONE, TWO, THREE = (load_test.compose(number, 1_000_000, 40) for number in range(3))
MILLISECOND = 2_000_000
"""When a text is heard that took a millisecond."""


class Heard:
    """A tally to which things are told shortly: `say` is stored and heard by all, `hear` is heard by one."""

    def __init__(self) -> None:
        self.tally = load_test.Tally(["a", "a", "b"])

    def send(self, *texts: str, client: int = 0) -> Heard:
        for text in texts:
            self.tally.sent(client, text)
        return self

    def ack(self, text: str, seq: int) -> Heard:
        self.tally.stored(text, seq)
        return self

    def hear(self, client: int, *said: tuple[int, str], room: str = "a") -> Heard:
        for seq, text in said:
            self.tally.heard(client, room, seq, text, MILLISECOND)
        return self

    def faults(self) -> list[str]:
        found: list[str] = self.tally.counts().faults()
        return found


def two_sent() -> Heard:
    return Heard().send(ONE, TWO).ack(ONE, 1).ack(TWO, 2)


def test_all_is_well() -> None:
    heard = two_sent().send(THREE, client=2).ack(THREE, 1).hear(2, (1, THREE), room="b")
    heard.hear(0, (1, ONE), (2, TWO)).hear(1, (1, ONE))
    assert heard.tally.under_way == 1
    heard.hear(1, (2, TWO))
    assert heard.faults() == []
    assert heard.tally.under_way == 0
    counts = heard.tally.counts()
    assert (counts.sent, counts.acked, counts.expected, counts.delivered) == (3, 3, 5, 5)
    assert list(heard.tally.latencies) == [0.001] * 5


def test_a_message_that_one_member_never_hears_is_lost() -> None:
    assert two_sent().hear(0, (1, ONE), (2, TWO)).hear(1, (1, ONE)).faults() == ["1 lost"]


def test_a_message_that_nobody_hears_is_lost_for_each() -> None:
    assert two_sent().hear(0, (1, ONE)).hear(1, (1, ONE)).faults() == ["2 lost"]


def test_a_hole_in_the_numbers_is_lost_even_if_every_text_came() -> None:
    heard = Heard().send(ONE, TWO).ack(ONE, 1).ack(TWO, 3)
    assert heard.hear(0, (1, ONE), (3, TWO)).hear(1, (1, ONE), (3, TWO)).faults() == ["2 lost"]


def test_what_a_gap_names_is_lost_and_counted_once() -> None:
    heard = two_sent().hear(0, (1, ONE), (2, TWO)).hear(1, (2, TWO))
    heard.tally.told_of_gap(1, 1, 1)
    assert heard.faults() == ["1 lost"]


def test_a_gap_without_end_is_lost() -> None:
    heard = two_sent().hear(0, (1, ONE), (2, TWO)).hear(1, (1, ONE), (2, TWO))
    heard.tally.told_of_gap(1, 3, None)
    assert heard.faults() == ["1 lost"]


def test_the_same_text_under_a_new_number_is_doubled() -> None:
    heard = two_sent().hear(0, (1, ONE), (2, TWO), (3, ONE)).hear(1, (1, ONE), (2, TWO))
    assert heard.faults() == ["1 duplicated"]
    assert heard.tally.delivered == 4


def test_the_same_number_under_another_text_is_doubled() -> None:
    heard = Heard().send(ONE, TWO).ack(ONE, 1).ack(TWO, 1)
    heard.hear(0, (1, ONE), (1, TWO)).hear(1, (1, ONE), (1, TWO))
    assert heard.faults() == ["2 duplicated", "2 out of order"]


def test_the_same_message_again_is_doubled() -> None:
    heard = two_sent().hear(0, (1, ONE), (2, TWO), (2, TWO)).hear(1, (1, ONE), (2, TWO))
    assert heard.tally.counts().duplicated == 1


def test_numbers_that_fall_are_out_of_order() -> None:
    heard = Heard().send(ONE).send(TWO, client=1).ack(ONE, 1).ack(TWO, 2)
    heard.hear(0, (1, ONE), (2, TWO)).hear(1, (2, TWO), (1, ONE))
    assert heard.faults() == ["1 out of order"]


def test_messages_of_one_sender_that_are_swapped_under_rising_numbers_are_out_of_order() -> None:
    heard = Heard().send(ONE, TWO).ack(ONE, 2).ack(TWO, 1)
    assert heard.hear(0, (1, TWO), (2, ONE)).hear(1, (1, TWO), (2, ONE)).faults() == ["2 out of order"]


def test_two_senders_have_no_order() -> None:
    heard = Heard().send(ONE).send(TWO, client=1).ack(ONE, 2).ack(TWO, 1)
    assert heard.hear(0, (1, TWO), (2, ONE)).hear(1, (1, TWO), (2, ONE)).faults() == []


def test_a_number_that_is_another_for_another_member_or_in_the_ack_is_misnumbered() -> None:
    heard = Heard().send(ONE).ack(ONE, 1).hear(0, (1, ONE)).hear(1, (2, ONE))
    assert heard.tally.counts().misnumbered == 1
    assert Heard().send(ONE).ack(ONE, 7).hear(0, (1, ONE)).tally.counts().misnumbered == 1
    assert Heard().send(ONE).ack(ONE, 0).hear(0, (1, ONE)).tally.counts().misnumbered == 0  # the ack does not say


def test_what_nobody_sent_there_is_foreign() -> None:
    heard = Heard().send(ONE).ack(ONE, 1).hear(0, (1, ONE)).hear(1, (1, ONE))
    heard.hear(2, (1, ONE), room="a").hear(2, (1, ONE), room="b").hear(0, (2, ONE[:-1] + "!"))
    assert heard.faults() == ["3 foreign"]


def test_what_is_not_stored_is_a_fault_and_is_not_waited_for() -> None:
    heard = Heard().send(ONE)
    assert heard.faults() == ["1 not stored", "2 lost"]
    heard.tally.refused(ONE)
    assert heard.tally.under_way == 0
    assert heard.hear(0, (1, ONE)).hear(1, (1, ONE)).faults() == ["1 not stored"]
    assert heard.tally.under_way == 0


@pytest.mark.parametrize("size", [load_test.TEXT_MIN, 100, load_test.TEXT_MAX])
def test_texts_are_of_one_size_and_carry_their_time(size: int) -> None:
    texts = {load_test.compose(number, 10**18 + 7, size) for number in (0, 1, 26, 10**9)}
    assert len(texts) == 4
    for text in texts:
        assert len(text.encode()) == size
        assert load_test.sent_at(text) == 10**18 + 7


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert [load_test.percentile(range(1, 101), percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert load_test.percentile([7.0], 99) == 7.0
    assert load_test.percentile([], 50) is None


# Whole runs -----------------------------------------------------------------------------------------------------------

SMALL = ("--clients", "10", "--rooms", "3", "--messages", "200")
MEMBERS = (4, 3, 3)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=SOON, check=False
    )


@contextmanager
def broker(broken: str) -> Iterator[str]:
    """A broker that is broken in that way; gives its address."""
    command = [sys.executable, str(HERE / "broken_broker.py"), broken]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


def test_a_run_against_a_broker_of_its_own() -> None:
    done = run(*SMALL, "--json", "--size", "64", "--seed", "7")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["clients"], found["rooms"], found["messages"], found["size"], found["seed"]) == (10, 3, 200, 64, 7)
    assert found["sent"] == found["acked"] == 200
    assert found["delivered"] == found["expected"]
    assert 200 * min(MEMBERS) <= found["expected"] <= 200 * max(MEMBERS)
    assert not any(
        found[name] for name in ("lost", "duplicated", "out_of_order", "misnumbered", "foreign", "reconnected")
    )
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] <= found["max_ms"] <= found["seconds"] * 1000 + 1
    for rate, count in (("messages_per_second", "acked"), ("deliveries_per_second", "delivered")):
        assert found[rate] * found["seconds"] == pytest.approx(found[count], rel=0.2)  # seconds are rounded
    if sys.platform == "linux":
        assert found["broker_us_per_message"] >= found["broker_us_per_delivery"] >= 0
        assert found["broker_peak_bytes"] > 2**20
    else:
        assert found["broker_us_per_message"] is found["broker_peak_bytes"] is None


def test_a_run_against_a_broker_that_is_given_is_told_as_a_table() -> None:
    with broker("nothing") as url:
        done = run(*SMALL, "--url", url, "--rate", "2000", "--window", "5")
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line)
    assert (rows["sent"], rows["acked"], rows["lost"], rows["duplicated"]) == ("200", "200", "0", "0")
    assert rows["broker"].endswith("unknown")


@pytest.mark.parametrize(
    ("broken", "fault"), [("lost", "lost"), ("doubled", "duplicated"), ("swapped", "out_of_order")]
)
def test_a_broken_broker_is_found_out(broken: str, fault: str) -> None:
    with broker(broken) as url:
        done = run("--clients", "3", "--rooms", "1", "--messages", "200", "--url", url, "--patience", "2", "--json")
    assert done.returncode == 1
    assert fault.replace("_", " ") in done.stderr
    assert len(done.stderr.splitlines()) == 1
    found = json.loads(done.stdout)
    assert found["sent"] == found["acked"] == 200
    assert {name for name in ("lost", "duplicated", "out_of_order") if found[name]} == {fault}


# How it ends ----------------------------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A port where nobody speaks ZeroMQ."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SOON)
        yield listener


def at(listener: socket.socket) -> str:
    return f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_no_broker() -> None:
    with listening() as listener:
        done = run("--url", at(listener), "--clients", "2", "--rooms", "1", "--patience", "0.3")
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == f"load_test: no broker answered at {at(listener)}: is it running there?\n"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started in the background ignores Ctrl-C, and so would everything that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted() -> None:
    with listening() as listener:
        command = [sys.executable, str(SCRIPT), "--url", at(listener)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                listener.accept()[0].close()  # it runs
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=SOON)[1] == "load_test: interrupted\n"
            finally:
                process.kill()
        assert process.returncode == 130


def test_its_broker_is_stopped_whatever_happens() -> None:
    with suppress(KeyboardInterrupt), load_test.own_broker(SOON) as broker:
        assert broker.ended is None
        raise KeyboardInterrupt
    assert broker.process.returncode is not None
    assert "ended" in broker.ended


def test_a_broker_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_test.sys, "executable", "/bin/false")
    with pytest.raises(load_test.CannotStart, match="did not start: it said nothing"), load_test.own_broker(SOON):
        pass


def test_its_broker_ends_in_the_middle() -> None:
    options = load_test.Options(2, 1, 1000, 100, 1.0, 200, SOON, 0.0, 1)
    with load_test.own_broker(SOON) as broker, closing(zmq.Context()) as context:

        def watch(load: Any) -> str | None:
            if load.tally.delivered:
                broker.process.kill()
                broker.process.wait()
            ended: str | None = broker.ended
            return ended

        load = load_test.Load(context, broker.url, options, watch)
        load.connect()
        load.run()
        load.close()
    assert "the broker ended with status" in load.stopped


@contextmanager
def closing(context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    try:
        yield context
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rooms", "3", "--clients", "2"), "3 rooms need as many clients"),
        (("--size", "31"), "31 is out of range"),
        (("--rate", "0"), "0 is out of range"),
        (("--rate", "nan"), "nan is out of range"),
        (("--messages", "many"), "'many' is not a number"),
        (("--url", "here there"), "is no address"),
    ],
)
def test_usage(arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load_test.main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def allowed(soft: int, hard: int) -> Callable[[int], tuple[int, int]]:
    return lambda _: (soft, hard)


def test_too_few_descriptors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(resource, "getrlimit", allowed(256, 256))
    assert load_test.main(["--clients", "1000"]) == 2
    told = capsys.readouterr().err
    assert "1000 clients need" in told
    assert "256 are allowed: as root, `ulimit -n 6" in told or sys.platform != "linux"
    assert len(told.splitlines()) == 1


def test_the_descriptor_limit_is_raised_to_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", allowed(256, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    with closing(zmq.Context()) as context:
        load_test.raise_limits(context, 1000)
        assert raised == [(20_000, 20_000)]
        assert context.get(zmq.MAX_SOCKETS) > 4000


def test_more_clients_than_libzmq_has_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", allowed(resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with closing(zmq.Context()) as context, pytest.raises(load_test.TooMany, match="take at most"):
        load_test.raise_limits(context, 100_000)
