"""A broker on a network: who was invited comes in from another host, who was not learns nothing there."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hosts import Host, needs_namespaces, two_hosts
from support import World, eventually

LISTENER = str(Path(__file__).parent / "listener.py")


class Listener:
    """Somebody on another host with sockets of their own."""

    def __init__(self, host: Host, link: str, port: str, keys: Path, what: str) -> None:
        arguments = [*host.within, sys.executable, LISTENER, link, port, str(keys), what]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{what}ing\n"

    def hears(self, text: str, say: Callable[[], None]) -> None:
        """Waits until something came to it that somebody says again and again."""
        pipe = self._process.stdout
        assert pipe is not None
        before = ""

        def came() -> bool:
            nonlocal before
            say()
            while select.select([pipe.fileno()], [], [], 0.1)[0]:
                before += os.read(pipe.fileno(), 1 << 16).decode()
            return text in before

        eventually(came, f"the listener hears {text!r}")

    def heard(self) -> str:
        """All that came to it since."""
        out, _ = self._process.communicate(timeout=40)
        return out


@needs_namespaces
def test_a_network_learns_nothing_from_the_broker_but_who_was_invited_does(world: World, tmp_path: Path) -> None:
    with two_hosts() as (here, there):
        broker = world.broker("--advertise", here.address, bind=f"tcp://{here.address}:5555", within=here.within)
        first = broker.wait_out(r"zchat join '(\S+)'").group(1)
        other = world.other_person()

        # The owner is at home, and invites somebody on the other host.
        olga = world.start("join", first, "--name", "olga", stdin=True, within=here.within)
        olga.wait_err("you are in lobby")
        olga.type("/link\n")
        link = olga.wait_err(r"(zchat://\S+)").group(1)
        bare, port = re.sub("&invite=.*", "", link), "5556"

        # Nobody who was not invited is answered, whether links are about or not.
        knocking = Listener(there, bare, port, tmp_path / "eve.key", "knock")
        olga.type("the launch code is 0000\n")
        olga.wait_out("0000")
        assert all(secret not in knocking.heard() for secret in ("olga", "lobby", "0000", "welcome"))
        bob = world.start("join", link, "--name", "bob", stdin=True, env=other, within=there.within)
        bob.wait_err("you are in lobby")
        assert Listener(there, bare, port, tmp_path / "eve.key", "knock").heard() == ""

        # Whom the owner lets in reads; with sockets of their own as well.
        bob.type("hello from afar\n")
        olga.wait_out("bob: hello from afar")
        keys = next((tmp_path / "other" / "zchat" / "identities").glob("*.key"))
        listening = Listener(there, bare, port, keys, "listen")
        olga.type("for all of us\n")
        bob.wait_out("olga: for all of us")
        listening.hears("for all of us", lambda: olga.type("for all of us\n"))

        # Once let out, nothing more comes to any of bob's sockets.
        done = subprocess.run(
            [*here.within, sys.executable, "-m", "zchat", "revoke", "bob"],
            env=world.env,
            capture_output=True,
            timeout=40,
        )
        assert done.returncode == 0, done.stderr
        for secret in ("first secret", "second secret"):
            olga.type(f"{secret}\n")
            olga.wait_out(secret)
        eventually(lambda: bob.popen.poll() is not None, "bob's client ends", bob.pump)
        assert bob.ends() == 4
        assert "you are not let in" in bob.err
        assert "secret" not in bob.out + listening.heard()


@needs_namespaces
def test_plaintext_is_spoken_to_another_host_only_if_that_is_said(world: World) -> None:
    with two_hosts() as (here, there):
        world.broker("--insecure", bind=f"tcp://{here.address}:0", within=here.within)
        unknown = world.start("ping", "--count", "1", within=there.within)
        assert unknown.ends() == 1
        plain = world.url.replace("tcp://", "plain://")
        assert unknown.err == (
            f"zchat: nothing is known of the broker at {world.url}: ask who runs it for a link (`zchat join LINK`); "
            f"or, if it is plaintext on purpose, write {plain}\n"
        )
        meant = world.start("ping", "--count", "1", "--url", plain, within=there.within)
        assert meant.ends() == 0
