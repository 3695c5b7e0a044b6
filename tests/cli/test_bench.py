"""`zchat bench` with a real broker."""

from __future__ import annotations

import json
import re
import resource
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support import World

import zchat
from zchat import cli, errors
from zchat.cli import bench_load, bench_run
from zchat.cli.bench_load import Load, Talk, compose, number_of, percentile
from zchat.cli.bench_run import Figures, allow_files
from zchat.client.sync import Client

KINDS = ["fanout", "rooms", "latency", "ingest"]

FEW = ("--clients", "4", "--msgs", "20")


def _measured(world: World, *arguments: str) -> Any:
    done = world.run("bench", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_all_four_as_a_table(world: World) -> None:
    world.broker()
    done = world.run("bench", *FEW)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split()[:4] == ["clients", "msgs", "msgs/s", "deliveries/s"]
    cells = [row.split() for row in rows]
    assert [row[:3] for row in cells] == [
        ["fanout", "4", "20"],
        ["rooms", "4", "20"],
        ["latency", "4", "20"],
        ["ingest", "1", "20"],
    ]
    assert len({len(row) for row in [head, *rows]}) == 1
    for row in cells:
        assert all(float(cell.replace(",", "").rstrip("%")) >= 0 for cell in row[1:] if cell != "-")
        assert [cell for cell in row if cell == "-"] == (["-"] if row[0] == "ingest" else [])


def test_json_has_every_figure(world: World) -> None:
    world.broker()
    found = _measured(world, *FEW)
    assert list(found) == ["v", "kind", "url", "size", *KINDS]
    assert (found["v"], found["kind"], found["url"], found["size"]) == (1, "bench", world.url, 100)
    for kind in KINDS:
        figures = found[kind]
        assert list(figures) == list(Figures.__dataclass_fields__)
        assert (figures["messages"], figures["lost"], figures["duplicated"]) == (20, 0, 0)
        assert figures["deliveries"] == (0 if kind == "ingest" else 80)
        assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["p99_9_ms"] <= figures["seconds"] * 1000 + 1
        assert figures["messages_per_second"] == pytest.approx(20 / figures["seconds"], rel=0.3)


def test_rooms_have_ten_people_or_fewer_and_stay_in_the_log(world: World) -> None:
    world.broker()
    found = _measured(world, "rooms", "--clients", "12", "--msgs", "30", "--size", "8")
    assert list(found)[4:] == ["rooms"]
    assert (found["rooms"]["rooms"], found["rooms"]["clients"], found["rooms"]["deliveries"]) == (2, 12, 180)
    with zchat.connect(world.url) as client:
        kept = [room for room in client.rooms() if room.room.startswith("bench-")]
        assert [room.people for room in kept] == [0, 0]
        assert sum(room.head for room in kept) == 33  # a tenth is said before
        assert {len(message.text) for room in kept for message in client.history(room.room)} == {8}


def test_p99_above_what_is_allowed_is_exit_1_and_one_line(world: World) -> None:
    world.broker()
    done = world.run("bench", *FEW, "--max-p99", "0.000001")
    assert done.returncode == 1
    assert re.fullmatch(
        r"zchat: p99 above 1e-06 ms: " + "; ".join(rf"{kind} has [\d.]+ ms, [\d.]+ ms more" for kind in KINDS) + "\n",
        done.stderr,
    )
    assert len(done.stdout.splitlines()) == 5
    _measured(world, "latency", *FEW, "--max-p99", "60000")


def test_what_cannot_be_is_one_line_and_exit_2(world: World) -> None:
    world.broker()
    for arguments, why in (
        (["--size", "16385"], "the broker takes texts of 16384 bytes at most"),
        (["--size", "7"], "7 is not in the range"),
        (["ingest", "--clients", "2"], "nobody follows in ingest"),
        (["nonsense"], "'nonsense' is not one of"),
    ):
        done = world.run("bench", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert why in done.stderr
    assert "bench-" not in world.run("rooms").stdout


def test_no_broker_is_one_line_and_exit_3(world: World) -> None:
    done = world.run("bench", "--url", "tcp://127.0.0.1:9", "--connect-timeout", "0.2")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "tcp://127.0.0.1:9" in done.stderr


def test_ctrl_c_is_130(world: World) -> None:
    world.broker("--memory")
    running = world.start("bench", "latency", "--clients", "2", "--msgs", "1000000")
    with zchat.connect(world.url) as client:
        while not any(room.head for room in client.rooms()):
            running.pump(0.02)
        running.signal(signal.SIGINT)
        assert running.ends() == 130
    assert running.err == ""


def test_progress_is_on_the_terminal_and_gone_at_the_end(world: World) -> None:
    world.broker("--memory")
    terminal = world.terminal("bench", "latency", "--clients", "2", "--msgs", "300")
    assert terminal.ends() == 0
    assert b"\rlatency: connecting: 0 of 2 (0 %)" in terminal.raw
    assert re.search(rb"\rlatency: \d+ of 300 ", terminal.raw)
    terminal.wait(r"\nlatency +2 +300 ")
    assert "%)" not in terminal.shown


# What it counts -------------------------------------------------------------------------------------------------------


@contextmanager
def _load(world: World, *, follow: bool) -> Iterator[tuple[Load, Client]]:
    """Somebody who speaks in `bench` to one other, and that other."""
    world.broker("--memory")
    with zchat.connect(world.url, name="one") as speaker, zchat.connect(world.url) as follower:
        if follow:
            follower.join("bench", quiet=True)
        yield Load([Talk("bench", [follower], deque([speaker]))], 20, 4, lambda _done: None), speaker


def test_all_well_is_nothing_lost_nor_duplicated(world: World) -> None:
    with _load(world, follow=True) as (load, _):
        stretch = load.say(10)
        assert load.check() == (0, 0)
        assert (stretch.done, stretch.arrived, len(stretch.times)) == (10, 10, 10)


def test_what_does_not_come_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_load, "PATIENCE", 0.5)
    with _load(world, follow=False) as (load, _):
        stretch = load.say(10)
        assert load.check() == (4, 0)  # no more than that may be under way
        assert (stretch.done, len(stretch.times)) == (0, 0)


def test_what_comes_again_is_duplicated_and_so_is_what_is_stored_twice(world: World) -> None:
    with _load(world, follow=True) as (load, speaker):
        load.say(10)
        speaker.send("bench", compose(3, 20))
        assert load.check() == (0, 2)


def test_what_nobody_of_ours_said_is_no_arrival(world: World) -> None:
    with _load(world, follow=True) as (load, speaker):
        for text in ("hello", compose(0, 19), compose(99, 20)):
            speaker.send("bench", text)
        stretch = load.say(10)
        assert (stretch.done, stretch.arrived) == (10, 10)


def test_lost_and_duplicated_messages_are_exit_1(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.broker("--memory")
    found = Figures(2, 1, 9, 0.0, None, 17, None, None, None, None, lost=1, duplicated=2, client_busy=None)
    monkeypatch.setattr(bench_run, "measure", lambda *_: found)
    assert cli.run(["bench", "fanout", "--url", world.url, "--max-p99", "5"]) == 1
    assert capsys.readouterr().err == "zchat: fanout: 1 lost, 2 duplicated\n"


def test_a_refusal_is_raised(world: World) -> None:
    world.broker("--memory")
    with zchat.connect(world.url) as nameless, pytest.raises(errors.Refusal):
        Load([Talk("bench", [], deque([nameless]))], 20, 4, lambda _done: None).say(1)


def test_texts_have_their_size_and_number() -> None:
    for size in (8, 9, 10, 100):
        texts = [compose(number, size) for number in (0, 7, 99_999_999)]
        assert [len(text.encode()) for text in texts] == [size] * 3
        assert [number_of(text) for text in texts] == [0, 7, 99_999_999]
    assert number_of("") == number_of("hello there") == -1


def test_percentiles_are_nearest_rank_in_milliseconds() -> None:
    times = [number * 1_000_000 for number in range(1, 101)]
    assert [percentile(times, percent) for percent in (0, 50, 99, 99.9)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([], 50) is None


def test_files_that_are_not_allowed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_files(1)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 20))
    with pytest.raises(errors.BadOption, match="need 30 open files and 20 are allowed"):
        allow_files(30)
