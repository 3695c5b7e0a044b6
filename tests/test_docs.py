"""docs/SECURITY.md and docs/OPERATING.md say what the code does: their tables, their tests, their commands."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from shown import LINK, ROOT, Step, alike, blocks, fits, section, shell, steps
from support import Process, World
from typer.main import get_command

from zchat import codec, errors, keyfiles, links, names, verbs
from zchat.address import Address
from zchat.broker import (
    admission,
    entrance,
    http,
    inflow,
    limits,
    logs,
    metrics,
    people,
    ports,
    rates,
    server,
    sockets,
    web,
)
from zchat.broker.settings import Settings
from zchat.cli import commands, plan, settings
from zchat.store.sqlite import store

SECURITY, OPERATING, CLIENT, MODERATION, README = (
    (ROOT / path).read_text()
    for path in ("docs/SECURITY.md", "docs/OPERATING.md", "docs/CLIENT.md", "docs/MODERATION.md", "README.md")
)

sys.path.append(str(ROOT))

NFT = shutil.which("nft")

USUAL = Settings()


def _rows(text: str) -> dict[str, list[str]]:
    """The rows of all tables in a text: the other cells by the first."""
    cells = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in text.splitlines() if line.startswith("| ")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}


def _number(text: str) -> float:
    return float(text.replace(",", ""))


# Limits ---------------------------------------------------------------------------------------------------------------


def test_every_limit_is_listed_with_its_default() -> None:
    settable = section(SECURITY, "## Limits").partition("What cannot be set:")[0]
    rows = {name.strip("`"): cells[0] for name, cells in _rows(settable).items() if name.startswith("`")}
    wanted = {**limits.defaults(), **limits.rate_defaults()}
    assert set(rows) == set(wanted)
    for name, default in wanted.items():
        assert (rows[name] if isinstance(default, str) else _number(rows[name])) == default, name


def test_what_takes_a_restart_is_named() -> None:
    (name,) = (name for name, known in limits.LIMITS.items() if not known.live)
    assert f"takes them over on SIGHUP, but for `{name}`" in " ".join(SECURITY.split())


def test_every_limit_is_looked_at_by_the_broker() -> None:
    code = "".join(
        path.read_text()
        for path in (ROOT / "zchat" / "broker").rglob("*.py")
        if path.name not in ("settings.py", "limits.py")
    )
    for name in limits.defaults():
        assert re.search(rf"settings\.{name.replace('-', '_')}\b", code), name


def test_words_of_the_wire_in_the_limits_exist() -> None:
    said = {
        word for cells in _rows(section(SECURITY, "## Limits")).values() for word in re.findall("`([^`]+)`", cells[-1])
    }
    assert {"over-credit", "limit-reached", "quota-reached", "busy"} <= said
    assert said <= {*errors.BY_CODE, *limits.defaults(), *limits.rate_defaults(), "read", "history", "search"}


def _numbers(first: str) -> list[float]:
    """The numbers in the second cell of a row of what cannot be set."""
    cell = _rows(section(SECURITY, "## Limits"))[first][0]
    return [_number(text) for text in re.findall(r"\d[\d,.]*", cell)]


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("a frame to the broker", [codec.FRAME]),
        ("a frame to a client", [codec.CLIENT_FRAME]),
        ("bytes of a message that does not end", [USUAL.credit * USUAL.text_limit + server.DRAIN]),
        ("the same without a session", [inflow.STRANGERS_LIMIT]),
        ("connections that are over and that libzmq keeps", [ports.STUCK]),
        ("topics, by key (on plaintext by connection)", [server.TOPIC * USUAL.max_rooms_joined]),
        ("connections to the PUB port, by key", [2 * USUAL.max_sessions_person]),
        ("a person's name; a room's", [names.PERSON_MAX, names.ROOM_MAX]),
        ("a banner", [plan.BANNER_LIMIT]),
        ("a search", [store.SEARCH_SECONDS]),
        ("people whose rates are remembered", [rates.PERSONS]),
        ("people who are held off", [rates.OFFENDERS]),
        (
            "monitoring (`--http`): connections; seconds for each; a request's head",
            [http.CONNECTIONS, http.PATIENCE, web.HEAD],
        ),
        ("a link's text; a file with keys", [links.LONGEST, keyfiles.BIGGEST / 2**20]),
        ("a link for a device; the first owner's", [admission.DEVICE_LIFE / 3600, entrance.OWNER_LIFE / 86400]),
        ("a name that was given up", [people.RESERVED_DAYS]),
    ],
)
def test_what_cannot_be_set_is_as_listed(row: str, numbers: list[float]) -> None:
    assert _numbers(row) == numbers


def test_sockets_are_set_as_listed() -> None:
    context = sockets.context()
    bound = sockets.bind(context, Address("127.0.0.1", 0), None, 0)
    found = [int(one.get(zmq.HANDSHAKE_IVL)) for one in (bound.router, bound.xpub)]
    queues = [bound.router.sndhwm], [bound.xpub.sndhwm]
    bound.close(0)
    context.term()
    assert [one / 1000 for one in found] == 2 * _numbers("a handshake")
    assert queues[0] == _numbers("answers that a client does not read")
    assert queues[1] == _numbers("publications that a client does not read")


def test_holds_and_the_log_are_as_told() -> None:
    text = " ".join(section(SECURITY, "## Limits").split())
    assert f"held off: for {rates.HOLD[0]:g} s, twice as long each time, up to an hour" in text
    assert (rates.HOLD[1], rates.FORGIVEN) == (3600, 6 * 3600)
    assert "forgotten after 6 hours" in text
    assert f"by {inflow.GROWTH // 2**20} MiB" in text
    held = logs.RateLimit()
    assert _numbers("lines of the log, of one level") == [*held.bursts.values(), held.span]


def test_every_metric_is_listed() -> None:
    listed = {name.strip("`"): cells for name, cells in _rows(section(OPERATING, "## Monitoring")).items()}
    rows = [(name, cells[0]) for name, cells in listed.items() if name.startswith("zchat_")]
    assert rows == [(one.name, one.kind) for one in metrics.METRICS]
    seen = metrics.Seen(
        metrics.Counts(),
        metrics.Standing(0, 0, 0, 0, 0, 0, 0, draining=False, storing=True),
        http.process(0.0, ROOT),
    )
    for one in metrics.METRICS:
        labels = {label for rest, _ in one.samples(seen) for label in re.findall(r'(\w+)="', rest)}
        told = {cell.strip("` ") for cell in listed[one.name][1].partition(":")[0].split(",")} - {""}
        assert labels == told, one.name


def test_monitoring_is_bounded_as_told() -> None:
    text = " ".join(section(OPERATING, "## Monitoring").split())
    assert f"{http.CONNECTIONS} connections at a time, {http.PATIENCE:g} s for each, {web.HEAD // 1024} KiB" in text
    for path in http._PAGES:
        assert f"| `{path}` |" in text


# Evidence -------------------------------------------------------------------------------------------------------------


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY)
    assert len(named) > 50
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_every_promise_that_is_named_has_a_test() -> None:
    for promise, cells in _rows(section(SECURITY, "## Evidence").partition("Measured at full scale")[0]).items():
        assert promise in ("promise", "---") or "`tests/" in cells[0], promise


def test_what_a_hostile_one_does_is_all_listed_and_can_be_run() -> None:
    chaos, hostile = (importlib.import_module(f"scripts.{name}") for name in ("chaos", "chaos_hostile"))
    shown = re.findall(r"`scripts/chaos\.py ([^`]+)`", SECURITY)
    assert [chaos.parser().parse_args(one.split()).rows for one in shown] == [(row,) for row in hostile.ROWS]


@pytest.mark.parametrize("page", ["SECURITY", "OPERATING", "CLIENT", "MODERATION"])
def test_files_that_are_linked_exist(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", globals()[page]):
        assert (ROOT / "docs" / link).exists(), link


# Commands that are shown ----------------------------------------------------------------------------------------------


def _commands_in(page: str) -> Iterator[list[str]]:
    """What is shown of zchat in a document, in blocks and in the midst of text."""
    shown = [line for language in ("sh", "console") for block in blocks(page, language) for line in block.splitlines()]
    shown += re.findall(r"`(zchat [a-z][^`]*)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    for line in shown:
        found = re.match(r"(?:\w*\$ )?(?:sudo -u zchat )?(zchat [a-z].*)", line)
        if found is not None:
            yield found[1].replace("\\|", "|").replace("…", " ").translate(str.maketrans("[]", "  ")).split()[1:]


def _command(words: list[str]) -> Any:
    """The command that words name, as click has it."""
    found = commands._built(words[0])
    inner = getattr(found, "commands", {})
    return inner[words[1]] if inner and len(words) > 1 and words[1] in inner else found


@pytest.mark.parametrize("page", ["SECURITY", "OPERATING", "CLIENT", "MODERATION", "README"])
def test_zchat_knows_the_options_that_are_shown(page: str) -> None:
    known = get_command(commands.app).commands  # type: ignore[attr-defined]
    for words in _commands_in(globals()[page]):
        assert words[0] in known, words
        options = {name for one in _command(words).params for name in (*one.opts, *one.secondary_opts)}
        options |= {arg.option for verb in verbs.ACTS.values() for arg in verb.args} if words[0] == "do" else set()
        for word in words[1:]:
            if word.startswith("--") and word != "--":
                assert word.rstrip(",;.") in {*options, "--help"}, words


def test_a_command_that_is_not_there_would_be_found() -> None:
    assert list(_commands_in("`zchat keys forget --all`")) == [["keys", "forget", "--all"]]
    assert "--all" not in {name for one in _command(["keys", "forget"]).params for name in one.opts}


@pytest.mark.skipif(NFT is None or os.geteuid() != 0, reason="needs nft, and root to ask it")
def test_the_firewall_is_understood(tmp_path: Path) -> None:
    (block,) = blocks(OPERATING, "nft")
    rules = tmp_path / "zchat.nft"
    rules.write_text(block)
    assert NFT is not None
    subprocess.run(["unshare", "-n", NFT, "-c", "-f", str(rules)], check=True)


class Server:
    """A server as the document has it: its folders are below another, and its ports are free ones.

    Args:
        world: where all is started.
        folder: in place of /.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._ports: dict[str, str] = {}
        self.alice = world.person(folder / "alice")
        for name in ("srv", "srv/backup", "etc"):
            (folder / name).mkdir()

    def configure(self, text: str) -> None:
        """Writes /etc/zchat.toml."""
        (self._folder / "etc" / "zchat.toml").write_text(self._here(text))

    def _here(self, text: str) -> str:
        """What is shown, as it is said here."""
        text = re.sub(r"(tcp://[\d.]+):5[56]55", r"\1:0", text.replace("sudo -u zchat ", ""))
        return re.sub(r"(?<![\w.])/(srv|etc)/", rf"{self._folder}/\1/", text).replace("chat.example.org", "127.0.0.1")

    def _there(self, text: str) -> list[str]:
        """What comes here, as it would be shown."""
        text = text.replace(str(self._folder), "")
        for port, shown in self._ports.items():
            text = re.sub(rf"(tcp|zchat)://127\.0\.0\.1:{port}\b", rf"\1://{shown}", text)
        return alike(text)

    def broker(self, command: str, shown: str) -> Process:
        """Starts a broker, which is shown at that host and port."""
        process = self._world.start(*shlex.split(self._here(command))[1:], env=self.alice)
        self._ports[process.wait_out(r"listening on tcp://\S+:(\d+)\n").group(1)] = shown
        return process

    def run(self, step: Step) -> None:
        """Runs what is shown, and compares what comes."""
        if step.command.endswith(" &"):
            process = self.broker(step.command.removesuffix(" &"), "127.0.0.1:5655")
            process.wait_err("messages in")
            printed = process.err + process.out
        else:
            printed = shell(f"{self._here(step.command)} 2>&1", self.alice, str(self._folder), check=False).stdout
        lines = self._there(printed)
        assert fits(lines, alike("\n".join(step.shown))), (step, lines)


def test_a_broker_is_operated_as_told(world: World, tmp_path: Path) -> None:
    here = Server(world, tmp_path)
    (config,) = blocks(OPERATING, "toml")
    assert set(tomllib.loads(config)) == {"bind", "data", "advertise"}
    here.configure(config)
    broker = here.broker("zchat broker --config /etc/zchat.toml --no-console", "chat.example.org:5555")
    owner = broker.wait_out(r"zchat join '(\S+)'").group(1)
    assert (tmp_path / "srv/zchat/owner-link").read_text().strip() == owner
    world.run("join", "-", "--name", "alice", env=here.alice, stdin=f"{owner}\nis anybody here?\n/link\n")
    link = LINK.findall(world.run("link", "--url", re.sub("&.*", "", owner), env=here.alice).stdout)[0]
    bob = world.run("join", "-", "--name", "bob", env=world.person(tmp_path / "bob"), stdin=f"{link}\nI am\n")
    assert bob.returncode == 0, bob.stderr
    for block in blocks(OPERATING, "console"):
        for step in steps(block):
            here.run(step)


# What spares typing ---------------------------------------------------------------------------------------------------


def test_contexts_and_settings_print_what_is_shown(world: World, tmp_path: Path) -> None:
    env = world.person(tmp_path / "alice")
    for block in blocks(CLIENT, "console"):
        for step in steps(block):
            if step.command.startswith("export "):
                name, _, value = step.command.removeprefix("export ").partition("=")
                env[name] = value
            else:
                assert shell(f"{step.command} 2>&1", env, env["HOME"]).stdout.splitlines() == step.shown, step


def test_every_setting_is_listed_with_its_variable_and_default() -> None:
    rows = _rows(section(CLIENT, "## Settings"))
    listed = {name.strip("`"): cells for name, cells in rows.items() if len(cells) == 3 and name.startswith("`")}
    assert list(listed) == list(settings.SETTINGS)
    for name, setting in settings.SETTINGS.items():
        _, variable, default = listed[name]
        assert variable == f"`{setting.variable}`"
        assert setting.default is None or default == settings.shown(setting.default), name
