"""`zchat systemd`: the unit is one that systemd takes."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import World

from zchat import cli
from zchat.cli.systemd import _quoted

ANALYZE = shutil.which("systemd-analyze")


def unit(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.run(["systemd", *arguments]) == 0
    return capsys.readouterr().out


def lines(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not there (say: apt-get install systemd)")
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--bind", "tcp://0.0.0.0:443", "--", "--admission", "known"],
        ["--user", "--", "--banner", 'a "b" $x 50% \\n\n'],
        ["--", "--memory"],
    ],
)
def test_systemd_takes_the_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    path = tmp_path / "zchat.service"
    path.write_text(unit(capsys, *arguments))
    whose = "--user" if "--user" in arguments else "--system"
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        [ANALYZE or "", whose, "verify", str(path)], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "zchat.service" not in done.stderr, "it is complained about"


def test_the_broker_is_called_as_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "zchat.toml"
    file.write_text("drain-timeout = 41.5\n")
    text = unit(capsys, "--config", str(file), "--bind", "tcp://127.0.0.1:7000", "--", "--keep-days", "3")
    (start,) = lines(text, "ExecStart")
    program = start.split(" broker ")[0].split()
    assert Path(program[0]).is_absolute()
    assert program[0] == sys.executable or program[0].endswith("/zchat")
    for part in (f"--config {file}", "--bind tcp://127.0.0.1:7000", "--keep-days 3", "--data /var/lib/zchat"):
        assert part in start
    assert lines(text, "TimeoutStopSec") == ["57"]
    assert (lines(text, "StateDirectory"), lines(text, "DynamicUser")) == (["zchat"], ["yes"])


def test_a_folder_of_its_own_is_left_to_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kept here"
    assert cli.run(["systemd", "--data", str(folder)]) == 1
    folder.mkdir()
    if os.getuid() == 0:
        assert cli.run(["systemd", "--data", str(folder)]) == 1
        assert all("give it to a user" in line for line in capsys.readouterr().err.splitlines())
        os.chown(folder, 1, 1)
    text = unit(capsys, "--data", str(folder))
    assert lines(text, "User") == [pwd.getpwuid(folder.stat().st_uid).pw_name]
    assert lines(text, "ReadWritePaths") == [f'"{folder}"']
    assert not lines(text, "DynamicUser")


def test_a_low_port_takes_a_capability(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(unit(capsys), "CapabilityBoundingSet") == [""]
    text = unit(capsys, "--bind", "tcp://127.0.0.1:443", "--", "--pub-port", "7001")
    assert lines(text, "AmbientCapabilities") == lines(text, "CapabilityBoundingSet") == ["CAP_NET_BIND_SERVICE"]


def test_a_users_unit_asks_for_nothing_that_a_user_may_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    text = unit(capsys, "--user")
    assert f"--data {tmp_path}/zchat" in text
    assert lines(text, "WantedBy") == ["default.target"]
    for key in ("User", "DynamicUser", "ProtectSystem", "CapabilityBoundingSet", "PrivateDevices"):
        assert not lines(text, key)


@pytest.mark.parametrize("arguments", [["--", "--nonsense"], ["--", "--limit", "x=1"], ["--config", "/no/such/file"]])
def test_what_the_broker_would_refuse_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(["systemd", *arguments]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)


WALLED = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_broker_needs_no_memory_that_it_may_write_and_run(world: World) -> None:
    if subprocess.run([sys.executable, "-c", WALLED, shutil.which("true") or ""], check=False).returncode:
        pytest.skip("this system cannot forbid it (Linux 6.3 can)")
    world.broker(within=[sys.executable, "-c", WALLED])
    assert world.run("send", "lobby", "hi", "--name", "ann").returncode == 0
    assert "hi" in world.run("history", "lobby").stdout


def test_words_are_quoted() -> None:
    assert _quoted("tcp://0.0.0.0:5555") == "tcp://0.0.0.0:5555"
    assert _quoted("50%") == "50%%"
    assert _quoted('$a "b" \\ \n') == '"$$a \\"b\\" \\\\ \\x0a"'
    assert _quoted("") == '""'


def test_a_log_may_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = unit(capsys, "--", "--log-file", "/var/log/zchat/zchat.log")
    assert (lines(text, "LogsDirectory"), lines(text, "ReadWritePaths")) == (["zchat"], [])
    text = unit(capsys, "--", "--log-file", "/srv/logs/zchat.log")
    assert (lines(text, "LogsDirectory"), lines(text, "ReadWritePaths")) == ([], ["/srv/logs"])
    assert not lines(unit(capsys), "ReadWritePaths")
