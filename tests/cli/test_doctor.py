"""`zchat doctor`: it finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import resource
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import World, lasting_port

from zchat.cli import doctor_broker, doctor_folder, doctor_here
from zchat.cli.findings import Finding, Findings, State, failed, line
from zchat.client import versions


def told(world: World, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and each finding by what was looked at."""
    done = world.run("doctor", "--json", *arguments, env=env)
    assert done.stderr == ""
    found = [json.loads(text) for text in done.stdout.splitlines()]
    assert all((one["v"], one["kind"]) == (1, "finding") for one in found)
    assert all(one["todo"] for one in found if one["state"] == "warn")
    return done.returncode, {one["what"]: one for one in found}


def states(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {what: one["state"] for what, one in found.items()}


def one_of(findings: Findings) -> Finding:
    (found,) = findings
    return found


# With nothing, with a broker ------------------------------------------------------------------------------------------


def test_where_nothing_runs_nothing_fails_and_nothing_is_made(world: World, tmp_path: Path) -> None:
    world.env["ZCHAT_URL"] = ""
    code, found = told(world)
    found.pop("address")  # of the default: whoever runs the tests may have a broker there
    for gone in ("its key", "session", "clock", "rooms"):
        found.pop(gone, None)
    assert (code, set(states(found).values())) == (0, {"ok"})
    assert not list(tmp_path.iterdir())


def test_a_broker_that_was_named_must_be_there(world: World) -> None:
    at = f"127.0.0.1:{lasting_port()}"
    done = world.run("doctor", "--url", f"tcp://{at}")
    assert done.returncode == 1
    (last,) = [text for text in done.stdout.splitlines() if text.startswith("FAIL")]
    assert re.fullmatch(
        rf"FAIL  address   nothing answers at {at} \(connection refused\): start zchat broker there, or .*", last
    )


@pytest.mark.parametrize("url", ["tcp://a b", "zchat://nothing", "tcp://host.invalid:5555", "tcp://192.0.2.1:5555"])
def test_an_address_that_cannot_be_used_is_told(world: World, url: str) -> None:
    code, found = told(world, "--url", url)
    assert (code, found["address"]["state"]) == (1, "fail")
    assert "session" not in found


def test_all_is_well_with_a_broker_and_its_folder(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "zchat"
    broker = world.broker("--data", str(folder))
    assert world.run("send", "lobby", "hello", "--name", "bob").returncode == 0
    code, found = told(world)
    assert (code, set(states(found).values())) == (0, {"ok"})
    assert set(found) == {
        *("zchat", "ZeroMQ", "SQLite", "your key", "address", "its key", "session", "clock", "rooms"),
        *("rights", "disk", "broker", "database", "files"),
    }
    assert found["broker"]["text"] == f"process {broker.pid} has the folder"
    assert re.match(r"1 room, \d+\.\d MiB", found["database"]["text"])
    broker.signal(15)
    assert broker.ends() == 0
    world.env["ZCHAT_URL"] = ""
    before = sorted(folder.rglob("*"))
    assert told(world)[1]["broker"]["text"] == "none has the folder"
    assert sorted(folder.rglob("*")) == before


def test_under_curve_it_uses_no_link_up_and_knows_the_broker_by_its_key(world: World, tmp_path: Path) -> None:
    folder, bind = tmp_path / "kept", f"tcp://127.0.0.1:{lasting_port()}"
    first = world.broker("--curve", "--data", str(folder), bind=bind)
    link = first.wait_out(r"zchat join '(\S+)'").group(1)
    code, found = told(world, "--url", link)
    assert (code, found["session"]["state"], found["its key"]["state"]) == (0, "warn", "ok")
    assert not (tmp_path / "config").exists()
    assert world.run("join", "-", "--name", "alice", stdin=f"{link}\n").returncode == 0
    code, found = told(world, "--url", link, "--data", str(folder))
    assert (code, set(states(found).values())) == (0, {"ok"})
    assert found["session"]["text"].endswith("; you are owner there")
    fingerprint = found["its key"]["text"].removesuffix(", by the link")
    assert found["key"]["text"].startswith(fingerprint)
    assert told(world)[1]["its key"]["text"] == f"{fingerprint}, remembered"
    first.signal(15)
    assert first.ends() == 0
    world.broker("--curve", "--data", str(tmp_path / "other"), bind=bind)
    code, found = told(world, "--connect-timeout", "0.5")
    assert (code, found["session"]["state"], found["address"]["state"]) == (1, "fail", "ok")
    # Of whom nobody knows that key nothing is asked.
    assert "session" not in told(world, "--url", re.sub("key=[^&]*", f"key={'a' * 52}", link))[1]


def test_a_key_that_others_may_read_fails(world: World, tmp_path: Path) -> None:
    assert world.run("keys", "new", "work").returncode == 0
    world.env["ZCHAT_URL"] = ""
    assert told(world, "--identity", "work")[1]["your key"]["text"].startswith("work: ")
    assert told(world, "--identity", "play")[1]["your key"]["todo"] == "make it: zchat keys new play"
    (tmp_path / "config/zchat/identities/work.key").chmod(0o644)
    code, found = told(world, "--identity", "work")
    assert (code, found["your key"]["state"]) == (1, "fail")
    assert "chmod 600" in found["your key"]["text"]


# The folder -----------------------------------------------------------------------------------------------------------


@pytest.fixture(name="kept")
def _kept(world: World, tmp_path: Path) -> Path:
    """The folder of a broker that was stopped."""
    folder = tmp_path / "kept"
    broker = world.broker("--curve", "--data", str(folder))
    broker.signal(15)
    assert broker.ends() == 0
    return folder


def of_folder(path: Path) -> dict[str, Finding]:
    return {found.what: found for found in doctor_folder.folder(path)}


def test_a_folder_is_looked_through(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not failed(of_folder(kept).values())
    (kept / "zchat.db").chmod(0o644)
    wide = of_folder(kept)["rights"]
    assert (wide.state, wide.todo) == (State.WARN, f"chmod -R go= {kept}")
    kept.chmod(0o755)
    wide = of_folder(kept)["rights"]
    assert (wide.state, wide.todo) == (State.FAIL, f"chmod 700 {kept}")
    kept.chmod(0o700)
    (kept / "keys" / "broker.key").chmod(0o640)
    assert of_folder(kept)["key"].state is State.FAIL
    if os.geteuid() == 0:
        os.chown(kept / "zchat.db", 1, 1)
        assert of_folder(kept)["rights"].state is State.FAIL
        os.chown(kept, 1, 1)
        assert of_folder(kept)["rights"].state is State.WARN
    with (kept / "zchat.db").open("r+b") as file:
        file.write(b"x" * 100)
    database = of_folder(kept)["database"]
    assert database.state is State.FAIL
    assert "restore a backup" in database.text


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "gone", "file/below"):
        assert of_folder(tmp_path / name)["folder"].state is State.FAIL
    tmp_path.chmod(0o700)
    (tmp_path / "file").unlink()
    assert of_folder(tmp_path)["database"].text.startswith("none yet")


class Disk:
    """What a disk says of itself."""

    f_frsize, f_files, f_favail = 4096, 10, 10

    def __init__(self, free: int, files: int = 10) -> None:
        self.f_bavail, self.f_favail = free // 4096, files


@pytest.mark.parametrize(
    ("disk", "state"),
    [
        (Disk(1 << 40), State.OK),
        (Disk(1 << 29), State.WARN),
        (Disk(1 << 20), State.FAIL),
        (Disk(1 << 40, 0), State.FAIL),
    ],
)
def test_a_disk_that_is_nearly_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, state: State
) -> None:
    monkeypatch.setattr("zchat.cli.doctor_folder.os.statvfs", lambda _path: disk)
    assert one_of(doctor_folder._disk(tmp_path)).state is state


def test_few_descriptors_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for hard, state in ((1024, State.WARN), (65_536, State.OK), (resource.RLIM_INFINITY, State.OK)):
        monkeypatch.setattr("zchat.cli.doctor_folder.resource.getrlimit", lambda _which, hard=hard: (256, hard))
        assert one_of(doctor_folder._descriptors()).state is state


# Clocks and versions --------------------------------------------------------------------------------------------------


class Teller:
    """A broker's clock, so many seconds ahead."""

    def __init__(self, ahead: float, form: str = "%H:%M:%S UTC") -> None:
        self._ahead = ahead
        self._form = {"date": "%Y-%m-%d", "time": form}

    def day(self, word: str, *, utc: bool) -> str:
        assert utc
        return datetime.fromtimestamp(time.time() + self._ahead, UTC).strftime(self._form[word])


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (0, r"within 2 s of the broker's"),
        (7200, r"the broker's is 7,(199|200|201) s ahead"),
        (-86_400 * 3, r"the broker's is 259,(199|200|201) s behind"),
    ],
)
def test_clocks_are_compared(ahead: float, text: str) -> None:
    found = one_of(doctor_broker._clock(Teller(ahead)))  # type: ignore[arg-type]
    assert re.fullmatch(text, found.text)
    assert found.state is (State.WARN if ahead else State.OK)


def test_a_time_that_is_none_is_told() -> None:
    assert one_of(doctor_broker._clock(Teller(0, "late"))).state is State.WARN  # type: ignore[arg-type]


@pytest.mark.parametrize(("old", "curve", "state"), [(False, True, "ok"), (True, True, "FAIL"), (False, False, "FAIL")])
def test_a_library_that_will_not_do_is_told(
    monkeypatch: pytest.MonkeyPatch, old: bool, curve: bool, state: str
) -> None:
    monkeypatch.setattr(versions, "library", lambda: versions.Library("27", "4.3.2", old, curve))
    found = {one.what: one for one in doctor_here.versions()}
    assert found["ZeroMQ"].state == state
    assert bool(found["ZeroMQ"].todo) is (state == "FAIL")


def test_nothing_in_a_line_is_obeyed() -> None:
    assert line(Finding(State.FAIL, "address", "a\x1b[2J\nb", "c\u202ed")).isprintable()
