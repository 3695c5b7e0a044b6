"""What others say or choose reaches a terminal, a pipe, a log or an export as text, and never steers anything."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import World

sys.path.append(str(Path(__file__).resolve().parents[2]))

client, escapes, evil, screen, show = (
    importlib.import_module(f"scripts.chaos_hostile_{name}") for name in ("client", "escapes", "evil", "screen", "show")
)


@pytest.fixture(name="broker", params=evil.MODES)
def _broker(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A hostile broker."""
    made = evil.EvilBroker(request.param)
    made.start()
    yield made
    made.close()


def viewer(folder: Path, url: str) -> dict[str, str]:
    """The environment of whoever looks."""
    return {**screen.environment(folder), "ZCHAT_URL": url, "ZCHAT_NAME": "viewer"}


def on_terminal(folder: Path, url: str) -> bytes:
    """All that `zchat join` writes to a terminal while somebody looks at everything."""
    steps = [("> ", "\r".join([*show.TYPED, show.LAST]) + "\r"), (escapes.FIN, "/quit\r")]
    _, output = screen.on_terminal(["join", "lobby"], viewer(folder, url), steps)
    assert escapes.MARK.encode() in output, "something of it is shown"
    return bytes(output)


def test_a_hostile_client_steers_nothing(world: World, tmp_path: Path) -> None:
    broker = world.broker("--memory", "--show-chat", "--no-console", "--log-level", "debug")
    world.run("send", "@viewer", "here", "--name", "viewer")
    hostile = client.Hostile(world.url)
    hostile.attacks()
    assert escapes.found(on_terminal(tmp_path, world.url), terminal=True) == []
    for arguments in (("history", "lobby"), ("export", "--format", "text"), ("search", "e")):
        done = world.run(*arguments)
        assert done.returncode == 0
        assert escapes.MARK in done.stdout
        assert escapes.found(done.stdout.encode()) == []
    exported = world.run("export").stdout
    assert escapes.found(exported.encode()) == []
    texts = {json.loads(line).get("text") for line in exported.splitlines()}
    assert {escapes.CORPUS[name] for name in ("bidi", "zero-width", "tags", "combining flood")} <= texts
    broker.wait_out(escapes.FIN)
    assert escapes.MARK in broker.out
    assert "eve connected" in broker.err
    assert escapes.found((broker.out + broker.err).encode()) == []
    hostile.close()


def test_a_hostile_broker_steers_no_terminal(broker: Any, tmp_path: Path) -> None:
    assert escapes.found(on_terminal(tmp_path, broker.url), terminal=True) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("rooms",),
        ("do", "lobby", "topic"),
        ("admin", "bans"),
        ("admin", "audit"),
        ("tail", "lobby", "--presence", "--json", "--timeout", "0.3"),
    ],
)
def test_a_hostile_broker_steers_no_output(broker: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    # What is never answered in any sense is waited for half a minute: it is ended sooner.
    _, output = screen.piped(arguments, viewer(tmp_path, broker.url), patience=1.5)
    assert escapes.found(output) == []
    assert b"Traceback" not in output


@pytest.mark.parametrize("text", escapes.CORPUS.values(), ids=escapes.CORPUS.keys())
def test_what_steers_is_found(text: str) -> None:
    assert escapes.found(f"12:00:00 eve: {text}\n".encode())


def test_what_does_not_steer_is_not_found() -> None:
    own = "\x1b[?2004h\r\x1b[J\x1b[?7l> hello\x1b[?7h\r\x1b[7C\a\r\n12:00:00 zoë: 7331 می‌خواهم\r\n"
    assert escapes.found(own.encode(), terminal=True) == []
    assert escapes.found(b"\xff")
    assert escapes.found(own.encode())
