"""A broker that is watched: --http, --log-file and --log-format with a real process."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from urllib.request import urlopen

import pytest
from support import World, eventually

from zchat.address import Address
from zchat.cli.plan import Wanted
from zchat.cli.systemd import broker_context
from zchat.errors import BadConfig


def wanted(*arguments: str) -> Wanted:
    return Wanted.of(broker_context(list(arguments)))


# What may be asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "host"), [("127.0.0.1:8080", "127.0.0.1"), ("localhost:8080", "127.0.0.1"), ("[::1]:8080", "::1")]
)
def test_monitoring_is_for_this_machine(given: str, host: str) -> None:
    assert wanted("--http", given).plan().http == Address(host, 8080)


@pytest.mark.parametrize("given", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"])
def test_no_other_machine_may_reach_it(world: World, given: str) -> None:
    done = world.run("broker", "--memory", "--http", given)
    assert done.returncode == 2
    assert done.stderr.startswith(f"zchat: --http {given}: other machines could reach it, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "given", ["8080", "127.0.0.1", "tcp://127.0.0.1:8080", "127.0.0.1:99999", "host.invalid:80", ""]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(BadConfig, match="--http"):
        wanted("--http", given).plan()


def test_by_default_it_is_off_and_the_log_goes_to_stderr() -> None:
    plan = wanted().plan()
    assert (plan.http, plan.log_file, plan.log_format) == (None, None, "text")


# With a broker --------------------------------------------------------------------------------------------------------


def test_a_broker_is_watched_until_it_stops(world: World, tmp_path: Path) -> None:
    broker = world.broker("--data", str(tmp_path / "kept"), "--http", "127.0.0.1:0")
    url = broker.wait_err(r"(http://127\.0\.0\.1:\d+)/metrics, /healthz and /readyz are served").group(1)
    assert world.run("send", "lobby", "hello", "--name", "bob").returncode == 0
    with urlopen(f"{url}/metrics", timeout=20) as answer:  # noqa: S310
        text = answer.read().decode()
    assert "\nzchat_messages_total 1\n" in text
    size = next(line for line in text.splitlines() if line.startswith("zchat_store_bytes "))
    assert int(size.split()[1]) >= (tmp_path / "kept/zchat.db").stat().st_size
    taken = world.run("broker", "--memory", "--bind", "tcp://127.0.0.1:0", "--http", url.removeprefix("http://"))
    assert taken.returncode == 1
    assert f"cannot listen on {url}: " in taken.stderr
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{url}/healthz", timeout=20)  # noqa: S310


def test_the_log_is_in_a_file_that_may_be_moved_away(world: World, tmp_path: Path) -> None:
    path, old = tmp_path / "zchat.log", tmp_path / "zchat.log.1"
    broker = world.broker("--memory", "--log-file", str(path), "--log-format", "json")
    assert world.run("send", "lobby", "hello", "--name", "bob").returncode == 0
    eventually(lambda: '"bob left' in path.read_text(), "bob left")
    path.rename(old)
    broker.signal(signal.SIGHUP)
    eventually(path.exists, "a new file is begun")
    assert world.run("send", "lobby", "hello", "--name", "ann").returncode == 0
    eventually(lambda: '"ann left' in path.read_text(), "ann left")
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
    first, second = ([json.loads(line) for line in file.read_text().splitlines()] for file in (old, path))
    assert all(list(one)[:3] == ["time", "level", "text"] for one in (*first, *second))
    assert first[0]["text"].startswith("nothing is kept")
    (came,) = (one for one in first if one["text"].startswith("bob connected"))
    assert (came["level"], came["text"]) == ("info", f"bob connected from {came['address']}")
    assert second[0]["text"].startswith("SIGHUP: there is nothing to re-read")
    assert second[-1]["text"] == "the broker has stopped"
    assert "connected" not in broker.err
    assert broker.err.endswith("zchat: the broker has stopped\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_as_json_all_that_is_on_stderr_is(world: World) -> None:
    broker = world.broker("--memory", "--log-format", "json")
    broker.signal(signal.SIGTERM)
    assert broker.ends() == 0
    texts = [json.loads(line)["text"] for line in broker.err.splitlines()]
    assert texts[0].startswith("nothing is kept")
    assert texts[-1] == "the broker has stopped"


def test_a_log_that_cannot_be_written_stops_it_before_it_begins(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    done = world.run("broker", "--bind", "tcp://127.0.0.1:0", "--data", str(folder), "--log-file", "/gone/zchat.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "zchat: cannot write the log /gone/zchat.log: No such file or directory; name a file that can be written\n"
    )
    assert not folder.exists()


def test_another_configuration_says_what_takes_a_restart(world: World, tmp_path: Path) -> None:
    file = tmp_path / "zchat.toml"
    file.write_text("memory = true\n")
    broker = world.broker("--config", str(file))
    file.write_text('memory = true\nhttp = "127.0.0.1:8080"\nlog-file = "/gone/zchat.log"\nlog-format = "json"\n')
    broker.signal(signal.SIGHUP)
    broker.wait_err("only a restart takes it over: log-file, log-format, http\n")
