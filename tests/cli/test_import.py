"""`zchat import`, through a real broker and into real folders."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support import World

import zchat
from zchat.cli import run
from zchat.cli.import_ import TEXT, Entry, _store, said
from zchat.cli.progress import Progress
from zchat.messages import Message
from zchat.store.base import Query
from zchat.store.sqlite import SqliteStore, open_store


def line(**fields: Any) -> str:
    """A line as export writes it."""
    head = {"v": 1, "kind": "message", "room": "lobby", "seq": 1, "time": "2026-11-20T10:00:00.123Z", "from": "alice"}
    return json.dumps({**head, "text": "hi", **fields}) + "\n"


EXPORT = "".join(
    [
        line(kind="gap", first=1, last=4),
        line(seq=5),
        line(seq=6, text="two\nlines\tand \u202e", edited=True),
        line(seq=7, kind="deleted"),
        line(seq=9, text="waves", action=True, **{"from": "bob"}),
        line(room="dev", text="", time="2026-11-20T11:00:00+01:00"),
    ]
)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    (tmp_path / "export.jsonl").write_text(EXPORT)
    return tmp_path / "export.jsonl"


def here(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in this process: far quicker than in one of its own."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, world.env, clear=True), redirect_stdout(out), redirect_stderr(err):
        code = run(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def events(store: SqliteStore, room: str = "lobby") -> list[tuple[int, str, str, bool]]:
    """What was said in a room."""
    found = store.read(room, 0, 100_000, 1 << 30).events
    return [(event.seq, event.name, event.text, event.action) for event in found if isinstance(event, Message)]


# Into a folder --------------------------------------------------------------------------------------------------------


def test_into_a_folder_names_and_times_stay_and_numbers_are_new(world: World, file: Path, tmp_path: Path) -> None:
    done = world.run("import", str(file), "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "zchat: imported 4 messages, 1 deleted one left out\n"
    store = open_store(tmp_path / "data")
    assert store.warnings == []
    assert events(store) == [
        (1, "alice", "hi", False),
        (2, "alice", "two\nlines\tand \u202e", False),
        (3, "bob", "waves", True),
    ]
    assert events(store, "dev") == [(1, "alice", "", False)]
    assert {event.ms for room in ("lobby", "dev") for event in store.read(room, 0, 9, 1 << 20).events} == {  # type: ignore[union-attr]
        1_795_168_800_123,
        1_795_168_800_000,
    }
    assert [hit.seq for _, hit in store.search(Query(("waves",)))] == [3]
    store.close()


def test_after_what_is_there_and_export_gives_it_back(world: World, file: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert here(world, "import", str(file), "--data", str(tmp_path / "data")).returncode == 0
    broker = world.broker("--data", str(tmp_path / "data"))
    found = [json.loads(line) for line in here(world, "export").stdout.splitlines()]
    texts = ["hi", "two\nlines\tand \u202e", "waves"]
    assert [(line["seq"], line["text"]) for line in found] == [(1, ""), (2, ""), *enumerate([*texts, *texts], 1)]
    refused = here(world, "import", str(file), "--data", str(tmp_path / "data"))
    assert refused.returncode == 1
    assert f"in use by process {broker.pid}" in refused.stderr


def test_nobody_may_edit_what_was_imported(world: World, file: Path, tmp_path: Path) -> None:
    here(world, "import", str(file), "--data", str(tmp_path / "data"))
    world.broker("--data", str(tmp_path / "data"))
    with zchat.connect(world.url, name="alice") as alice, pytest.raises(zchat.errors.NoSuchMessage):
        alice.delete("lobby", 1)


def test_all_of_it_or_nothing_when_the_disk_is_full(tmp_path: Path) -> None:
    import resource

    source = io.BytesIO("".join(line(text="x" * 10_000) for _ in range(1000)).encode())
    open_store(tmp_path / "data").close()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, before[1]))
    try:
        with pytest.raises(zchat.errors.DataUnusable, match="nothing was imported"):
            _store(source, tmp_path / "data", 1000, Progress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    store = open_store(tmp_path / "data")
    assert store.counts() == (0, 0)
    store.close()


def test_killed_at_any_step_all_of_it_is_there_or_nothing(tmp_path: Path) -> None:
    content = "".join(line(text=f"{number} {'x' * 500}") for number in range(2000)).encode()
    found = []
    for step in range(1, 8):
        folder = tmp_path / str(step)
        pid = os.fork()
        if not pid:
            _store(io.BytesIO(content), folder, 2000, _Deadly(step))
            os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        store = open_store(folder)
        found.append(store.counts()[1])
        store.close()
        shutil.rmtree(folder)
    assert found == [0, 0, 0, 0, 2000, 2000, 2000]


class _Deadly(Progress):
    """Kills its process when it is told something for the n-th time."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def tell(self, what: str, done: int, total: int) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


# Through a broker -----------------------------------------------------------------------------------------------------


def test_through_a_broker_the_importer_says_it(world: World, file: Path) -> None:
    world.broker("--memory")
    done = world.run("import", str(file), "--name", "carol")
    assert (done.returncode, done.stderr) == (0, "zchat: imported 4 messages, 1 deleted one left out\n")
    found = [json.loads(line) for line in here(world, "export").stdout.splitlines()]
    assert [(line["room"], line["from"], line["text"]) for line in found] == [
        ("dev", "carol", "[2026-11-20 10:00 alice] "),
        ("lobby", "carol", "[2026-11-20 10:00 alice] hi"),
        ("lobby", "carol", "[2026-11-20 10:00 alice] two\nlines\tand \u202e"),
        ("lobby", "carol", "[2026-11-20 10:00] * bob waves"),
    ]


def test_many_are_said_in_order_and_long_ones_in_parts(world: World, tmp_path: Path) -> None:
    world.broker("--memory")
    texts = [*map(str, range(2000)), "é" * (TEXT // 2)]
    (tmp_path / "many").write_text("".join(line(text=text) for text in texts))
    done = here(world, "import", str(tmp_path / "many"))
    assert (done.returncode, done.stderr) == (0, "zchat: imported 2,001 messages\n")
    found = [json.loads(line)["text"] for line in here(world, "export").stdout.splitlines()]
    bare = [text.removeprefix("[2026-11-20 10:00 alice] ") for text in found]
    assert bare[:2000] == texts[:2000]
    assert "".join(bare[2000:]) == texts[-1]
    assert len(bare) == 2002


@pytest.mark.parametrize(
    "text", ["", "x", "x" * TEXT, "é" * (TEXT // 2), "🎉" * (TEXT // 4), "x" + "🎉" * (TEXT // 4 - 1)]
)
@pytest.mark.parametrize("action", [False, True])
def test_parts_are_within_the_limit_and_lose_nothing(text: str, action: bool) -> None:
    parts = said(Entry(1, "lobby", 1_795_168_800_123, "n" * 32, text, action))
    before = f"[2026-11-20 10:00] * {'n' * 32} " if action else f"[2026-11-20 10:00 {'n' * 32}] "
    assert all(part.startswith(before) and len(part.encode()) <= TEXT for part in parts)
    assert "".join(part.removeprefix(before) for part in parts) == text


def test_what_is_refused_ends_it_and_what_was_stored_is_said(world: World, tmp_path: Path) -> None:
    world.broker("--memory")
    (tmp_path / "some").write_text(line() + line(kind="deleted") + line() + line(room="@nobody") + line() + line())
    done = here(world, "import", str(tmp_path / "some"))
    assert done.returncode == 4
    first, last = done.stderr.splitlines()
    assert first.startswith("zchat: line 4: ")
    assert re.fullmatch(r"zchat: [24] of 5 messages were stored, up to line 3", last)


def test_interrupted_it_says_what_was_stored(world: World, tmp_path: Path) -> None:
    world.broker("--memory")
    (tmp_path / "many").write_text("".join(line(text=f"{n}{'x' * 1000}") for n in range(15_000)))
    with zchat.connect(world.url) as client:
        lobby = client.join("lobby", quiet=True)
        importer = world.start("import", str(tmp_path / "many"))
        next(lobby.messages(timeout=30))
    importer.signal(signal.SIGINT)
    assert importer.ends() == 130
    told = re.fullmatch(
        r"zchat: (\d+) of 15000 messages were stored(, up to line \1)?(; of \d+ more it is unknown)?\n", importer.err
    )
    assert told is not None, importer.err


def test_a_private_message_goes_to_its_person(world: World, tmp_path: Path) -> None:
    world.broker("--memory")
    here(world, "send", "lobby", "I am here", "--name", "bob")
    (tmp_path / "some").write_text(line(room="@bob"))
    assert here(world, "import", str(tmp_path / "some"), "--name", "carol").returncode == 0
    assert here(world, "history", "@bob", "--name", "carol").stdout.endswith("carol: [2026-11-20 10:00 alice] hi\n")


def test_what_bots_said_and_what_was_said_in_private_rooms_is_taken_back(world: World, tmp_path: Path) -> None:
    world.broker("--memory")
    here(world, "do", "plans", "create", "--private", "--name", "carol")
    bots = line(room="+plans", bot=True, **{"from": "eliza[bot]"})
    (tmp_path / "some").write_text(bots)
    assert here(world, "import", str(tmp_path / "some"), "--name", "carol").returncode == 0
    assert here(world, "history", "+plans", "--name", "carol").stdout.endswith("[2026-11-20 10:00 eliza[bot]] hi\n")
    (tmp_path / "some").write_text(line(**{"from": "eliza[bot]"}))
    assert here(world, "import", str(tmp_path / "some"), "--data", str(tmp_path / "data")).returncode == 0
    store = open_store(tmp_path / "data")
    assert events(store) == [(1, "eliza[bot]", "hi", False)]
    store.close()


# What is wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        "\n",
        "nonsense\n",
        "[]\n",
        "{}\n",
        "[" * 100_000 + "\n",
        line(v=2),
        line(kind="presence"),
        line(kind=["message"]),
        line(room=5),
        line(room="two words"),
        line(room="@"),
        line(time="yesterday"),
        line(time="2026-11-20T10:00:00"),
        line(time="1969-12-31T23:59:59Z"),
        line(time=5),
        line(**{"from": "two words"}),
        line(**{"from": "operator"}),
        line(**{"from": None}),
        line(text=None),
        line(text="x" * (TEXT + 1)),
        line(text="\x1b[2J"),
        line(text="\r"),
        line(text="\x9b"),
        line(text="\ud800"),
        line(action="yes"),
        line(text="x" * (1 << 20)),
        line().rstrip("}\n"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_imported(world: World, tmp_path: Path, bad: str) -> None:
    (tmp_path / "some").write_text(line() + line(kind="deleted") + bad)
    done = here(world, "import", str(tmp_path / "some"), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert re.fullmatch(r"zchat: line 3.*\n", done.stderr)
    assert not (tmp_path / "data").exists()


def test_bytes_that_are_no_text(world: World, tmp_path: Path) -> None:
    (tmp_path / "some").write_bytes(line().encode() + b"\xff\xfe\n")
    done = here(world, "import", str(tmp_path / "some"), "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "line 2" in done.stderr


@pytest.mark.parametrize("room", ["@bob", "@eliza[bot]", "+plans"])
def test_private_messages_are_nobodys_in_a_folder(world: World, tmp_path: Path, room: str) -> None:
    (tmp_path / "some").write_text(line() + line(room=room))
    done = here(world, "import", str(tmp_path / "some"), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"line 2: messages with {room} are private" in done.stderr
    assert not (tmp_path / "data").exists()


def test_files_and_options_that_cannot_be(world: World, file: Path, tmp_path: Path) -> None:
    for arguments, code in (
        ([str(tmp_path / "nowhere")], 1),
        ([str(tmp_path)], 1),
        (["/dev/null/x"], 1),
        ([str(file), "--data", str(tmp_path / "d"), "--url", "tcp://127.0.0.1:1"], 2),
        ([str(file), "--data", str(tmp_path / "d"), "--name", "carol"], 2),
        ([str(file), "--data", str(file)], 1),
        ([str(file), "--url", "tcp://127.0.0.1:9", "--connect-timeout", "0.2"], 3),
    ):
        done = here(world, "import", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    env = {**world.env, "ZCHAT_NAME": "carol", "ZCHAT_URL": "tcp://127.0.0.1:1"}
    assert world.run("import", str(file), "--data", str(tmp_path / "d"), env=env).returncode == 0
