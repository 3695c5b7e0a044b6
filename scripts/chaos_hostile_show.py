"""What a hostile one says reaches no terminal, log or export as more than text: in every field, in every command."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.chaos_hostile_client import Hostile
from scripts.chaos_hostile_escapes import CORPUS, FIN, INVALID, found
from scripts.chaos_hostile_evil import BANNER, MODES, EvilBroker
from scripts.chaos_hostile_scene import Scene
from scripts.chaos_hostile_screen import PATIENCE, environment, on_terminal, piped
from scripts.chaos_run import Run

COMMANDS: list[list[str]] = [
    ["who"],
    ["who", "--json"],
    ["who", "lobby"],
    ["rooms"],
    ["rooms", "--json"],
    ["tail", "lobby", "--presence", "--since", "1h", "--timeout", "0.7"],
    ["tail", "lobby", "den", "--presence", "--json", "--since", "1h", "--timeout", "0.7"],
    ["history", "lobby"],
    ["history", "lobby", "--json"],
    ["history", "@eve"],
    ["history", "@eve", "--json"],
    ["search", "e"],
    ["search", "e", "--json"],
    ["export"],
    ["export", "--format", "text"],
    ["export", "@eve", "--format", "text"],
    ["send", "lobby", "hello"],
    ["ping", "--count", "1"],
    ["who", "--all"],
    ["ask", "time"],
    ["link"],
    ["links"],
    ["links", "--json"],
    ["revoke", "eve"],
    ["keys", "link"],
    ["do", "lobby", "topic"],
    ["do", "lobby", "topic", "--json"],
    ["do", "lobby", "bans"],
    ["do", "lobby", "ban", "eve"],
    ["admin", "people"],
    ["admin", "sessions", "--json"],
    ["admin", "rooms"],
    ["admin", "bans", "--json"],
    ["admin", "kick", "eve"],
    ["admin", "audit"],
    ["admin", "audit", "--json"],
]
"""Every command that prints what others said or chose."""

TYPED = ["/who", "/rooms", "/history", "/search e", "/topic", "/bans", "/pins", "/nick viewer2", "hello", "/me waves"]
TYPED += ["/msg eve hi", "/join den"]
"""What somebody types who looks at everything."""

PIPED = 5.0
"""Seconds that somebody in a pipe is given: what a hostile broker never answers would be waited for longer."""

SMALL = 0.5
"""The scale below which only some of the commands are run."""

LAST = "/time"
"""The broker's answer to it comes last."""


class Shown:
    """What was printed, and what was wrong in it.

    Attributes:
        faults: in words; outputs: how many were looked at; bytes: how many there were of them.
    """

    def __init__(self, scene: Scene) -> None:
        self.faults: list[str] = []
        self.outputs = 0
        self.bytes = 0
        self._scene = scene

    def look(self, what: str, output: bytes, terminal: bool = False) -> None:
        """Looks at an output; one with faults is kept."""
        self.outputs += 1
        self.bytes += len(output)
        wrong = [f"{what}: {fault}" for fault in found(output, terminal)]
        if b"Traceback" in output:
            wrong.append(f"{what}: a traceback")
        if wrong:
            (self._scene.folder / f"shown-{self.outputs}.bin").write_bytes(output)
        self.faults += wrong

    def commands(
        self, which: str, url: str, folder: Path, commands: Iterable[list[str]] = COMMANDS, *, ends: bool = True
    ) -> None:
        """Runs all of them.

        Args:
            ends: whether they must end; where nothing that is asked is answered, they wait for half a minute.
        """
        env = {**environment(folder), "ZCHAT_URL": url, "ZCHAT_NAME": "viewer"}
        for arguments in commands:
            self._scene.wait(0, f"{which}: zchat {' '.join(arguments)}")
            code, output = piped(arguments, env, patience=PATIENCE if ends else PIPED)
            self.look(f"{which}, zchat {' '.join(arguments)}", output)
            if code is None and ends:
                self.faults.append(f"{which}: zchat {' '.join(arguments)} does not end")

    def joins(self, which: str, url: str, folder: Path, last: str) -> None:
        """Somebody is in the room, on a terminal and in a pipe.

        Args:
            last: what is shown at the end.
        """
        env = {**environment(folder), "ZCHAT_URL": url, "ZCHAT_NAME": "viewer"}
        steps = [("> ", "\r".join([*TYPED, LAST]) + "\r"), (last, "/quit\r")]
        _, output = on_terminal(["join", "lobby"], env, steps)
        self.look(f"{which}, zchat join on a terminal", output, terminal=True)
        _, output = piped(["join", "lobby", "--tail", "50"], env, "\n".join([*TYPED, LAST]) + "\n", PIPED)
        self.look(f"{which}, zchat join in a pipe", output)


def escapes(run: Run) -> None:
    """Row 15."""
    banner = run.folder / "banner"
    banner.write_bytes(BANNER.encode() + INVALID)
    with Scene(run, 15, ["--show-chat", "--banner", f"@{banner}", "--log-level", "debug"]) as scene:
        shown = Shown(scene)
        folder = scene.folder / "viewer"
        folder.mkdir()
        url = scene.broker.url
        piped(["send", "@viewer", "here I am", "--name", "viewer"], {**environment(folder), "ZCHAT_URL": url})
        hostile = Hostile(url)
        hostile.attacks()
        assert scene.broker.process is not None
        shown.commands("a hostile client", url, folder, _some(scene))
        shown.joins("a hostile client", url, folder, FIN)
        scene.none("a hostile client's, in commands", shown.faults, shown.outputs, "outputs")
        hostile.close()
        logged = Shown(scene)
        logged.look("its log", scene.broker.errors.read_bytes())
        chat = b""
        while (line := scene.broker.process.hear(0)) is not None:
            chat += line.encode() + b"\n"
        logged.look("what it shows of the chat", chat)
        lines = len(scene.broker.errors.read_bytes().splitlines()) + len(chat.splitlines())
        scene.none("in the broker's log", logged.faults, lines, "lines")
        for mode in MODES:
            _evil(scene, mode)
        _links(scene)


def _links(scene: Scene) -> None:
    """Links that somebody hostile gives to others."""
    shown = Shown(scene)
    folder = scene.folder / "links"
    folder.mkdir()
    env = environment(folder)
    key = "a" * 52
    texts = [text for text in CORPUS.values() if "\0" not in text]
    for text in texts if scene.run.options.scale >= SMALL else texts[::8]:
        for link in (
            f"zchat://127.0.0.1:1/{text}?key={key}",
            f"zchat://127.0.0.1:1/lobby?key={text}",
            f"zchat://{text}",
        ):
            scene.wait(0, "links")
            shown.look("a link", piped(["join", link, "--name", "viewer", "--connect-timeout", "0"], env)[1])
    scene.none("a hostile one's links", shown.faults, shown.outputs, "outputs")


def _evil(scene: Scene, mode: str) -> None:
    """A hostile broker, and everything that may be asked of one."""
    shown = Shown(scene)
    folder = scene.folder / f"evil-{mode.replace(' ', '-')}"
    folder.mkdir()
    evil = EvilBroker(mode)
    evil.start()
    try:
        some = _some(scene)[:: 1 if mode in MODES[:2] else 6]
        shown.commands(f"a broker that {mode}", evil.url, folder, some, ends=mode != "garbles")
        shown.joins(f"a broker that {mode}", evil.url, folder, FIN)
    finally:
        evil.close()
    scene.none(f"a broker that {mode}", shown.faults, shown.outputs, "outputs")


def _some(scene: Scene) -> list[list[str]]:
    return COMMANDS if scene.run.options.scale >= SMALL else COMMANDS[::5]
