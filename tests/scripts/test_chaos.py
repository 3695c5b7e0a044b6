"""scripts/chaos.py: a real run is clean, a broker that lies is found out, and the parts do what they say."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support import eventually

import zchat

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "chaos.py"
SOON = 55.0
"""Seconds after which a test would fail anyway."""

sys.path.append(str(ROOT))


def _part(name: str) -> Any:
    return importlib.import_module(f"scripts.{name}")


chaos, client, disk, listener, flip, hostile_names, kill, log, mutate, power, scene, seeds, store, trace, times = (
    _part(name)
    for name in (
        "chaos",
        "chaos_client",
        "chaos_disk",
        "chaos_eve",
        "chaos_flip",
        "chaos_hostile_names",
        "chaos_kill",
        "chaos_log",
        "chaos_hostile_mutate",
        "chaos_power",
        "chaos_hostile_scene",
        "chaos_hostile_seeds",
        "chaos_store",
        "chaos_trace",
        "chaos_time",
    )
)
checker = _part("checker")


# Whole runs -----------------------------------------------------------------------------------------------------------

SMALL = ("--clients", "6", "--rooms", "2", "--rate", "60", "--serving", "30", "--doors", "0.1", "--json")


def run(folder: Path, *arguments: str, expected: int = 0) -> tuple[dict[str, Any], str]:
    """Runs it with a temporary folder of its own; gives what it found, and what it said."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *SMALL, *arguments],
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "TMPDIR": str(folder)},
    )
    assert done.returncode == expected, done.stderr
    return json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_the_broker_and_clients_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    found, said = run(tmp_path, "--seconds", "4", "--kills", "2", "--seed", "3", "--out", str(out))
    assert said == ""
    assert found["acked"] > 20
    assert found["deliveries"] > found["acked"]
    assert found["broker_kills"] == 2
    assert all(found[name] for name in ("private", "let_in", "eavesdropper_asked", "eavesdropper_heard_in_public"))
    assert not any(found[name] for name in ("violations", "needless", "anew", "integrity_faults", "faults"))
    assert json.loads(out.read_text())["what"] == []
    assert list(tmp_path.iterdir()) == [out]


EARLY = '''
"""A broker that acknowledges what it has not committed: it does so once a second."""
import time
from contextlib import contextmanager
from zchat.store.sqlite.database import Database

written_back, begun = Database.checkpoint, 0.0

@contextmanager
def transaction(self):
    global begun
    if not self.connection.in_transaction:
        self.execute("BEGIN")
        begun = time.monotonic()
    yield
    self.put("tally", self._tally)
    if time.monotonic() > begun + 1:
        self.execute("COMMIT")

def checkpoint(self, mode="PASSIVE"):
    if self.connection.in_transaction:
        self.execute("COMMIT")
    return written_back(self, mode)

Database.transaction, Database.checkpoint = transaction, checkpoint
'''

UNSYNCED = '''
"""A broker that does not wait for the disk."""
from zchat.store.sqlite.database import Database

made = Database.__init__

def init(self, path):
    made(self, path)
    self.execute("PRAGMA synchronous = OFF").fetchone()

Database.__init__ = init
'''

FORGIVING = '''
"""A broker that sends nobody out of one room, and of the other goes on telling those who were."""
from zchat.broker.commands import acts
from zchat.broker.hub import Hub
from zchat.codec import decode_event
from zchat.messages import Private

send_out, tell = acts.send_out, Hub._tell_members

def unless(hub, room, person, told):
    if room.title != "+plans0":
        send_out(hub, room, person, told)

def gossip(self, room, kept):
    tell(self, room, kept)
    for session in self.sessions.all() if room.title == "+plans1" else ():
        if session.person not in room.members:
            self.sessions.reply(session, Private(room.name, room.title, tuple(map(decode_event, kept.events))))

acts.send_out, Hub._tell_members = unless, gossip
'''

RUNS = "\nfrom zchat.cli import main\nmain()\n"


def test_a_broker_that_acknowledges_before_it_commits_is_found_out(tmp_path: Path) -> None:
    broker = tmp_path / "early.py"
    broker.write_text(EARLY + RUNS)
    out = tmp_path / "found.json"
    arguments = ("--seconds", "4", "--kills", "3", "--broker", str(broker), "--out", str(out))
    found, said = run(tmp_path, *arguments, expected=1)
    assert found["violations"] > 0
    assert any(what.startswith("rule 3: ") for what in json.loads(out.read_text())["what"])
    kept = re.search(r"everything is kept in (\S+)", said)
    assert kept is not None
    assert Path(kept[1]).is_dir()


def test_a_broker_that_sends_nobody_out_is_found_out(tmp_path: Path) -> None:
    broker = tmp_path / "forgiving.py"
    broker.write_text(FORGIVING + RUNS)
    out = tmp_path / "found.json"
    arguments = ("--seconds", "2", "--kills", "0", "--broker", str(broker), "--out", str(out))
    found, _ = run(tmp_path, *arguments, expected=1)
    assert found["sent_out"] > 0
    what = [one for one in json.loads(out.read_text())["what"] if one.startswith("rule ")]
    assert {one.partition(":")[0] for one in what} == {"rule 8"}
    assert any(re.match(r"rule 8: \+plans0: \w+ \(.*being no member by then", one) for one in what)
    assert any(re.match(r"rule 8: \+plans0: .* was no member then", one) for one in what)
    assert any(re.match(r"rule 8: \+plans1: \w+'s socket heard .*being no member by then", one) for one in what)


@pytest.mark.parametrize("broken", ["nothing", "published", "opened", "pushed"])
def test_who_is_in_no_private_room_hears_nothing_unless_the_broker_tells(broken: str) -> None:
    command = [sys.executable, str(Path(__file__).parent / "broken_broker.py"), broken]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            with zchat.connect(url, name="ann", person=client.secret("ann")) as ann:
                ann.act("+plans", "create")
                ann.join("room0")
                eve = listener.Eve(url, ["ann"])
                eve.start()

                def heard() -> bool:
                    ann.send("+plans", "a secret")
                    ann.send("room0", "no secret")
                    return eve.asked > 0 and eve.tuned > 0 and (broken == "nothing" or bool(eve.heard))

                eventually(heard, "she has heard what there is to hear")
                eve.end()
        finally:
            process.kill()
    assert bool(eve.heard) == (broken != "nothing")
    assert all(one.startswith("rule 8: ") for one in eve.heard)


@pytest.mark.skipif(not power.can_record(), reason="strace cannot be used (say: apt-get install strace)")
def test_a_broker_that_does_not_wait_for_the_disk_is_found_out(tmp_path: Path) -> None:
    broker = tmp_path / "unsynced.py"
    broker.write_text(UNSYNCED + RUNS)
    found, said = run(tmp_path, "--profile", "power", "--seconds", "3", "--broker", str(broker), expected=1)
    assert found["violations"] == 0
    assert re.search(r"\(dropped\): \S+ ends \d+ events before \d+, of which somebody was told", said)


def test_a_hostile_one_harms_nobody(tmp_path: Path) -> None:
    found, said = run(tmp_path, "--profile", "hostile", "--rows", "7,16", "--scale", "0.002")
    assert said == ""
    lines = {name: told for name, told in found.items() if name[0].isdigit()}
    assert len(lines) > 15
    assert all(told["passed"] for told in lines.values())
    assert found["faults"] == 0
    assert {name.split()[0] for name in lines} == {"7", "16"}


CREDULOUS = '''
"""A broker that lets anybody be anybody."""
from zchat.broker.people import Names

Names._owned = lambda self, key: None
'''


def test_a_broker_that_lets_anybody_be_anybody_is_found_out(tmp_path: Path) -> None:
    broker = tmp_path / "credulous.py"
    broker.write_text(CREDULOUS + RUNS)
    arguments = ("--profile", "hostile", "--rows", "16", "--scale", "0.01", "--broker", str(broker))
    found, said = run(tmp_path, *arguments, expected=1)
    assert not found["16 confusable names"]["passed"]
    assert not found["16 stolen hellos and tokens"]["passed"]
    assert "row 16, confusable names: " in said


def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), *SMALL, "--seconds", "50"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            eventually(lambda: bool(list(tmp_path.glob("*/data/zchat.db"))), "the broker is started")
            started.send_signal(signal.SIGTERM)
            assert started.communicate(timeout=SOON) == ("", "chaos: interrupted\n")
        finally:
            started.kill()
    assert started.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_done_here_is_skipped_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for profile in ("power", "net", "disk"):
        assert chaos.main(["--profile", profile]) == 0
        assert capsys.readouterr().err.startswith("chaos: skipped: ")


@pytest.mark.parametrize(
    "arguments", [("--seconds", "0"), ("--profile", "peace"), ("--rate", "nan"), ("--rows", "7,8,99"), ("--rows", "x")]
)
def test_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        chaos.main(arguments)
    assert ended.value.code == 2
    assert "usage: chaos.py" in capsys.readouterr().err


def test_every_profile_is_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chaos.main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in chaos.PROFILES)


# The plan -------------------------------------------------------------------------------------------------------------


def test_a_plan_is_the_same_for_the_same_seed_and_within_its_time() -> None:
    steps = kill.plan(Random(5), 60.0, 20, 10)
    assert steps == kill.plan(Random(5), 60.0, 20, 10)
    assert steps != kill.plan(Random(6), 60.0, 20, 10)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    kinds = [step.what for step in steps]
    assert (kinds.count("broker"), kinds.count("at once") + kinds.count("gone"), kinds.count("stop")) == (20, 20, 10)
    assert all(0 < step.at + step.lasting < 60 and step.lasting >= 0 and 0 <= step.which < 10 for step in steps)


# The notes ------------------------------------------------------------------------------------------------------------


def noted(folder: Path, *entries: Any, life: int = 0) -> Path:
    path = folder / f"worker00-life{life:02}.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_notes_become_a_history(tmp_path: Path) -> None:
    journal = log.Journal(tmp_path / "worker00-life00.jsonl")
    for entry in (
        ("session", "alice"),
        ("join", "alice", "room", 0),
        ("send", "alice", "room", "one", 0),
        ("heard", "alice", "room", 1, "a 1", "one", 0),
        ("ok", "alice", "one", 1),
        ("send", "alice", "room", "two", 0),
        ("failed", "alice", "two", "TooLong"),
        ("send", "alice", "room", "delete 1", 1),
        ("gap", "alice", "room", 2, 4),
        ("session", "alice"),
        ("join", "alice", "room", 4),
        ("heard", "alice", "room", 5, "deed room 5", "topic", 0, True),
        ("complete", "alice", "room"),
        ("finished", "alice", False),
    ):
        journal.note(*entry)
    journal.close()
    with (tmp_path / "worker00-life00.jsonl").open("a") as file:
        file.write('["heard",1,"ali')  # it was killed amid a line
    notes = log.gather(tmp_path.glob("*.jsonl"))
    history = notes.history({}, {"room": {"alice"}})
    assert [(send.text, str(send.outcome), send.seq, send.deletes) for send in history.sends] == [
        ("one", "ok", 1, 0),
        ("two", "failed", 0, 0),
        ("delete 1", "unknown", 0, 1),
    ]
    first, second = history.streams
    assert (first.after, first.complete, first.heard) == (0, False, [checker.Event(1, "a 1", "one"), checker.Gap(2, 4)])
    assert (second.after, second.complete, second.heard) == (
        4,
        True,
        [checker.Event(5, "deed room 5", "topic", deed=True)],
    )
    assert notes.unfinished == ["alice"]
    assert notes.refused == {"TooLong": 1}
    assert log.positions([tmp_path / "worker00-life00.jsonl", tmp_path / "none"]) == {("alice", "room"): 5}


def test_a_private_room_goes_on_where_the_person_was_or_earlier(tmp_path: Path) -> None:
    room = log.private("bob", "alice")
    assert room == log.private("alice", "bob")
    mine = ["send", 1, "alice", room, "mine", 0]
    events = [checker.Event(seq, f"x {seq}", text) for seq, text in ((1, "a"), (2, "mine"), (3, "b"))]

    def begins(*second: Any) -> int | None:
        noted(tmp_path, mine, ["heard", 2, "alice", room, 1, "x 1", "a", 0])
        noted(tmp_path, *second, ["complete", 9, "alice", room], life=1)
        history = log.gather(tmp_path.glob("*.jsonl")).history({room: checker.Log(1, 3, events)}, {})
        assert history.members == {room: {"alice", "bob"}}
        after: int | None = history.streams[1].after
        return after

    assert begins(["heard", 3, "alice", room, 1, "x 1", "a", 0]) == 0  # a little is repeated
    assert begins(["heard", 3, "alice", room, 3, "x 3", "b", 0]) == 2  # what one said oneself is not missed
    assert begins(["heard", 3, "alice", room, 4, "x 4", "c", 0]) == 2  # and then 3 was due
    assert begins() == 2


def test_being_let_in_begins_a_stream_that_has_to_hear_of_it(tmp_path: Path) -> None:
    events = [
        checker.Event(seq, f"x {seq}", text, deed=True, verb=text.split()[0], whom=text.split()[1])
        for seq, text in enumerate(["create ann", "invite bob 1", "kick bob", "invite bob 2", "topic -"], 1)
    ]

    def told(seq: int) -> list[Any]:
        text = events[seq - 1].text
        return ["heard", 50 + seq, "bob", "+den", seq, f"x {seq}", text, 0, True, *text.split()[:2]]

    def begins(*heard: int, complete: bool = False) -> Any:
        noted(
            tmp_path,
            *(["send", at, "ann", "+den", f"invite bob {at}", 0] for at in (1, 2)),
            ["added", 10, "bob", "+den"],
            told(2),
            ["came", 15, "bob", "@1d", [1, 2]],
            ["removed", 20, "bob", "+den"],
            ["came", 25, "bob", "@2e", [7]],
            ["added", 30, "bob", "+den"],
            *map(told, heard),
            *([["complete", 60, "bob", "+den"]] if complete else []),
        )
        history = log.gather(tmp_path.glob("*.jsonl")).history({"+den": checker.Log(1, 5, events)}, {}, {"@1d": "+den"})
        assert history.guarded == {"+den"}
        assert [(one.client, one.room, [(each.seq, each.at) for each in one.heard]) for one in history.overheard] == [
            ("bob", "+den", [(1, 15), (2, 15)]),
            ("bob", "@2e", [(7, 25)]),
        ]
        first, second = history.streams
        assert (first.after, [event.at for event in first.heard]) == (1, [52])
        return second

    assert begins(4, 5).after == 3
    assert begins(3, 4).after == 2
    assert begins(5).after == 3  # and then 4 was due
    assert begins(complete=True).after == 3
    assert begins().after is None

    def comes_back(*heard: int) -> int | None:
        begins(4)
        second = noted(tmp_path, *map(told, heard), ["complete", 90, "bob", "+den"], life=1)
        history = log.gather(tmp_path.glob("*.jsonl")).history({"+den": checker.Log(1, 5, events)}, {})
        second.unlink()
        after: int | None = history.streams[-1].after
        return after

    assert comes_back(5) == 4
    assert comes_back(4, 5) == 3  # a little is repeated
    assert comes_back() == 4


def test_what_was_said_while_one_was_out_is_not_missed(tmp_path: Path) -> None:
    done = [
        ("create", "ann"),
        ("invite", "bob"),
        ("topic", ""),
        ("kick", "bob"),
        ("topic", ""),
        ("invite", "bob"),
        ("topic", ""),
    ]
    events = [
        checker.Event(seq, f"x {seq}", f"{verb} {seq}", deed=True, verb=verb, whom=whom)
        for seq, (verb, whom) in enumerate(done, 1)
    ]

    def begins(first: int) -> int | None:
        noted(tmp_path, ["heard", 1, "bob", "+den", 2, "x 2", "invite 2", 0, True, "invite", "bob"])
        noted(
            tmp_path, ["heard", 2, "bob", "+den", first, f"x {first}", f"{done[first - 1][0]} {first}", 0, True], life=1
        )
        history = log.gather(tmp_path.glob("*.jsonl")).history({"+den": checker.Log(1, 7, events)}, {})
        after: int | None = history.streams[1].after
        return after

    assert begins(3) == 2
    assert begins(6) == 5
    assert begins(5) == 4  # what came in the turn in which one was let in
    assert begins(7) == 2  # and then 3 was due


def test_a_folder_in_which_others_belong_to_a_room_than_were_let_in_is_found_out() -> None:
    done = [("create", "ann"), ("invite", "bob"), ("invite", "carol"), ("kick", "bob")]
    events = [
        checker.Event(seq, f"x {seq}", verb, deed=True, verb=verb, whom=whom)
        for seq, (verb, whom) in enumerate(done, 1)
    ]

    def belong(*names: str) -> str:
        found: str = store.strays(store.Opened({"+den": events}, {"+den": {client.secret(name) for name in names}}))
        return found

    assert belong("ann", "carol") == ""
    assert belong("ann", "carol", "bob") == "+den lets 1 in who were sent out, and not 0 who were let in"
    assert belong("ann") == "+den lets 0 in who were sent out, and not 1 who were let in"


def test_a_crowd_lets_its_guests_into_private_rooms() -> None:
    people = client.crowd(7, 2, guests=["s0", "s1", "s2"])
    assert [one.keeps for one in people[:3]] == [
        {"+plans0": ["c002", "c004", "c006", "s0", "s2"]},
        {"+plans1": ["c003", "c005", "s1"]},
        {},
    ]
    assert [one.peers for one in people][-2:] == [["c004"], []]
    assert [len(one.rooms) for one in client.crowd(7, 2, each=1)] == [1] * 7
    assert client.crowd(1, 5)[0].keeps == {}


# Power ----------------------------------------------------------------------------------------------------------------


def hexed(text: str | bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in (text.encode() if isinstance(text, str) else text))


def recorded(*calls: str) -> list[Any]:
    """What is read out of these calls; text between ` and ` is written as strace does."""
    lines = [f"77 {re.sub('`([^`]*)`', lambda found: hexed(found[1]), call)}\n" for call in calls]
    found: list[Any] = trace.operations(lines, Path("/d"))
    return found


def test_a_recording_is_read() -> None:
    assert recorded(
        'openat(AT_FDCWD<`/`>, "`/d/x`", O_RDWR|O_CREAT, 0600) = 3<`/d/x`>',
        'openat(AT_FDCWD<`/`>, "`/d/none`", O_RDONLY) = -1 ENOENT (No such file or directory)',
        'openat(AT_FDCWD<`/`>, "`/e/x`", O_RDWR|O_CREAT, 0600) = 4<`/e/x`>',
        'pwrite64(3<`/d/x`>, "`abc`", 3, 10) = 3',
        'write(4<`/e/x`>, "`elsewhere`", 9) = 9',
        'write(3<`/d/x`>, "`de`", 2) = 2',
        'write(3<`/d/x`>, "`fg`", 2) = 1',
        "ftruncate(3<`/d/x`>, 5) = 0",
        "fdatasync(3<`/d/x`>) = 0",
        "fsync(5<`/d`>) = 0",
        'rename("`/d/x`", "`/d/y`") = 0',
        'unlink("`/d/y`") = 0',
        'sendto(9<TCP:[127.0.0.1:5->127.0.0.1:6]>, "`hello`", 5, 0, NULL, 0) = 4',
    ) == [
        trace.Create("x"),
        trace.Write("x", 10, b"abc"),
        trace.Write("x", 0, b"de"),
        trace.Write("x", 2, b"f"),
        trace.Truncate("x", 5),
        trace.Sync("x", 5),
        trace.Sync("", 6),
        trace.Rename("x", "y"),
        trace.Unlink("y"),
        trace.Sent("TCP:[127.0.0.1:5->127.0.0.1:6]", b"hell"),
    ]


def test_a_write_counts_from_its_begin_and_a_sync_when_it_is_over() -> None:
    lines = [
        f'1 openat(AT_FDCWD<{hexed("/")}>, "{hexed("/d/x")}", O_CREAT, 0600) = 3<{hexed("/d/x")}>',
        f"1 fsync(3<{hexed('/d/x')}> <unfinished ...>",
        f'2 pwrite64(3<{hexed("/d/x")}>, "{hexed("ab")}", 2, 0 <unfinished ...>',
        "1 <... fsync resumed>) = 0",
        "2 <... pwrite64 resumed>) = 1",
    ]
    assert trace.operations(lines, Path("/d")) == [
        trace.Create("x"),
        trace.Write("x", 0, b"a"),
        trace.Sync("x", 1),
    ]


@pytest.mark.parametrize(
    "call",
    [
        'pwritev(3<`/d/x`>, [{iov_base="`a`", iov_len=1}], 1, 0) = 1',
        'write(3<`/d/x`>, "`abc`"..., 300) = 300',
        'rename("`/d/x`", "`/e/x`") = 0',
    ],
)
def test_what_it_does_not_know_is_not_passed_over(call: str) -> None:
    with pytest.raises(trace.Unclear):
        recorded('openat(AT_FDCWD<`/`>, "`/d/x`", O_CREAT, 0600) = 3<`/d/x`>', call)


def left(operations: list[Any], way: str = "dropped", seed: int = 1) -> dict[str, bytes]:
    made = disk.Disk()
    for one in operations:
        made.apply(one)
    found: dict[str, bytes] = made.crash(way, Random(seed))
    return found


BEGUN = [trace.Create("x"), trace.Write("x", 0, b"old!"), trace.Sync("x", 2), trace.Sync("", 3)]


def test_what_is_synced_is_there() -> None:
    for way in disk.WAYS:
        assert left(BEGUN, way) == {"x": b"old!"}
    assert left(BEGUN[:3]) == {}  # its name is not
    assert left([BEGUN[0], BEGUN[1], trace.Sync("", 2)]) == {"x": b""}  # its bytes are not


def test_what_is_not_synced_may_be_there() -> None:
    more = [*BEGUN, trace.Write("x", 2, b"new!"), trace.Truncate("x", 5)]
    assert left(more) == {"x": b"old!"}
    assert left(more, "kept") == {"x": b"olnew"}
    assert {left(more, "some", seed)["x"] for seed in range(50)} == {b"old!", b"olnew!", b"olnew", b"old!\0"}
    assert b"olnew!" in {left(more, "shuffled", seed)["x"] for seed in range(50)}
    assert left([*more, trace.Sync("x", 6)]) == {"x": b"olnew"}
    assert left([*more, trace.Sync("x", 5)]) == {"x": b"olnew!"}  # it began before the last


def test_a_write_is_torn_at_sectors() -> None:
    begun = [trace.Create("x"), trace.Sync("", 1), trace.Write("x", 100, b"a" * 1000)]
    found = {left(begun, "torn", seed)["x"] for seed in range(100)}
    assert b"" in found
    assert bytes(100) + b"a" * 1000 in found
    assert bytes(100) + b"a" * 412 in found
    assert bytes(512) + b"a" * 512 in found


def test_names_come_and_go_in_order() -> None:
    more = [*BEGUN, trace.Create("y"), trace.Rename("y", "x")]
    assert {tuple(sorted(left(more, "some", seed).items())) for seed in range(50)} == {
        (("x", b"old!"),),
        (("x", b"old!"), ("y", b"")),
        (("x", b""),),
    }
    assert left([*BEGUN, trace.Unlink("x")], "kept") == {}


def test_what_was_told_is_found_in_what_was_sent() -> None:
    from zchat import codec
    from zchat.messages import Ack, Message, Pong, Private, Stamp

    stamp = Stamp(bytes(8), 1)
    (acks,) = codec.encode_replies(stamp, [Pong(1), Ack(1, "room", 6, 0, count=2), Ack(3, "", 0, 0)])
    message = Message(8, 0, "bob", bytes(8), 1, "x" * 300)
    said = codec.encode_event(message)
    (private,) = codec.encode_replies(stamp, [Private("@1d", "+den", (message,))])
    (published,) = codec.encode_published("room", stamp, [said], [])

    def framed(part: bytes) -> bytes:
        return b"\2" + len(part).to_bytes(8, "big") + part if len(part) > 255 else bytes([0, len(part)]) + part

    wire = bytes(64) + b"\4\5READY" + framed(acks)
    router, pub = "TCP:[127.0.0.1:70->127.0.0.1:9]", "TCP:[127.0.0.1:71->127.0.0.1:9]"
    operations = [
        trace.Sent(router, wire[:70]),
        trace.Sent(router, wire[70:-1]),
        trace.Create("x"),
        trace.Sent(router, wire[-1:]),
        trace.Sent(pub, bytes(64) + framed(published)),
        trace.Sent(router, framed(private)),
        trace.Sent("TCP:[127.0.0.1:9->127.0.0.1:70]", bytes(64) + framed(acks)),
    ]
    public = [power.Told(3, "room", 6), power.Told(3, "room", 7), power.Told(4, "room", 8)]
    assert power.told(operations, 70, {"@1d": "+den"}) == [*public, power.Told(5, "+den", 8)]


# The rest -------------------------------------------------------------------------------------------------------------


def test_damage_is_done_to_one_file_and_told(tmp_path: Path) -> None:
    told = set()
    for seed in range(60):
        for name in ("zchat.db", "zchat.db-wal"):
            (tmp_path / name).write_bytes(bytes(10_000))
        (tmp_path / "lock").write_bytes(b"1")
        what = flip.damage(tmp_path, Random(seed))
        told.add((what.split()[0], "cut off" in what))
        changed = [path.name for path in tmp_path.iterdir() if path.read_bytes() not in (bytes(10_000), b"1")]
        assert changed == [what.split()[0]]
    assert len(told) == 4


# Hostile --------------------------------------------------------------------------------------------------------------


def test_what_is_damaged_is_the_same_for_the_same_seed() -> None:
    good = seeds.streams()

    def made(seed: int) -> list[Any]:
        random = Random(seed)
        return [mutate.stream(random, one, other) for one in good.values() for other in good.values()]

    assert made(1) == made(1)
    assert made(1) != made(2)
    changed = [one.whole for one in made(1) if one.whole not in {each.whole for each in good.values()}]
    assert len(set(changed)) > len(good) * len(good) // 2
    assert max(map(len, changed)) <= 2 * mutate.LONGEST


def test_most_damaged_requests_can_be_looked_at() -> None:
    from zchat import codec, errors

    random, kinds, read, unread = Random(1), seeds.requests(), set(), 0
    for n in range(3000):
        frame = mutate.frame(random, [mutate.request(random, random.choice(kinds), n)])
        try:
            items = codec.decode_requests(frame)
        except errors.Undecodable:
            unread += 1
            continue
        read |= {type(one) for one in items}
    assert {type(one) for one in kinds} <= read
    assert codec.Malformed in read
    assert 300 < unread < 2000


def test_lookalikes_pass_for_the_names_that_they_are_made_of() -> None:
    from itertools import islice

    made = list(islice(hostile_names.confusables(Random(1), ["alice"]), 300))
    assert "alice" not in made
    assert hostile_names.passes_for("\u0430lice", ["alice"])
    assert hostile_names.passes_for("ALICE", ["alice"])
    assert hostile_names.passes_for("com", ["corn"])
    assert not hostile_names.passes_for("alicia", ["alice"])
    assert sum(hostile_names.passes_for(one, ["alice"]) for one in made) > 100


def test_what_99_of_100_stay_below() -> None:
    assert scene.p99([]) == float("inf")
    assert scene.p99([1.0]) == 1.0
    assert scene.p99([float(n) for n in range(100)]) == 99.0
    assert scene.p99([float(n) for n in range(1000)]) == 990.0
    assert scene.Heard({"talk": [1.0]}, {"talk": ["no answer"]}).p99() == float("inf")


def test_a_slope() -> None:
    assert times.slope([(0.0, 5.0), (10.0, 25.0), (20.0, 45.0)]) == pytest.approx(2.0)
    assert times.slope([(1.0, 1.0)]) == 0.0
    assert times.slope([(1.0, 1.0), (1.0, 2.0)]) == 0.0


def test_the_commands_in_the_documents_can_be_run() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "RELIABILITY.md").read_text()
    commands = re.findall(r"^\| `(--[^`]+)`", page, re.MULTILINE)
    named = {chaos.parser().parse_args(command.split()).profile for command in commands}
    assert named == set(chaos.PROFILES)
