"""A broker at work: it turns, heeds signals, reads its configuration anew, and at the end drains."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from zchat.broker import logs
from zchat.broker.inputs import GOODBYE, Input, Shutdown
from zchat.broker.keys import door
from zchat.broker.limits import within
from zchat.cli.exits import INTERRUPTED, OK
from zchat.errors import ZchatError
from zchat.text import printable

if TYPE_CHECKING:
    from types import FrameType

    from zchat.broker.admission import Door
    from zchat.broker.console import Console
    from zchat.broker.notify import Notifier
    from zchat.broker.server import Server
    from zchat.cli.plan import Plan, Wanted

GARBAGE = 50_000
"""Objects made, less those gone, between two looks of the garbage collector at the youngest."""

LINGER = 500
"""Milliseconds that what is under way to clients has if the broker ends without having been told to."""

MARGIN = 0.25
"""Seconds of those for draining that are left for the process to end."""

AT_ONCE = 1.0
"""Seconds after which another signal means haste, although the first was not heeded yet: some send each twice."""

log = logging.getLogger("zchat.broker")


class Service:
    """Lets a broker serve until it is told to stop.

    Args:
        server: that serves.
        wanted: what was asked for, to be asked again on SIGHUP.
        plan: what was made of it.
        console: where the operator types; None for nowhere.
        notifier: tells the supervisor.
    """

    def __init__(self, server: Server, wanted: Wanted, plan: Plan, console: Console | None, notifier: Notifier) -> None:
        self._server = server
        self._wanted, self._plan = wanted, plan
        self._console = console
        self._notifier = notifier
        self._code = OK
        self._told_at: float | None = None  # when the first signal to stop came
        self._reread = False
        self._until: float | None = None  # when draining must be over
        self._terminal = False

    def heed_signals(self) -> None:
        """SIGTERM and SIGINT stop it from now on, a second one at once; SIGHUP has it read its files anew."""
        # Under nohup a hang-up is ignored: then it says nothing of a terminal.
        self._terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _terminal()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a shell
                signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hung_up)
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background it is not stopped for its console
        self._wake_on_signals()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._server.stopping or (self._told_at is not None and now > self._told_at + AT_ONCE):
            os._exit(128 + number)  # what was acknowledged is on disk, and there is nothing else to lose
        self._told_at = now if self._told_at is None else self._told_at
        self._code = INTERRUPTED if number == signal.SIGINT else OK
        self._server.give(Shutdown(GOODBYE))

    def _hung_up(self, _number: int, _frame: FrameType | None) -> None:
        if self._terminal and not _terminal():
            self._stop(signal.SIGHUP, None)
        else:
            self._reread = True

    def _wake_on_signals(self) -> None:
        """A signal ends the wait for something to do: a handler alone would run, and the poll go on."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)

        def woken() -> list[Input]:
            os.read(read, 4096)
            return []

        self._server.watch(read, woken)

    # Serving ----------------------------------------------------------------------------------------------------------

    def run(self, status: str) -> int:
        """Turns until told to stop; gives the exit code.

        Args:
            status: what the supervisor is told.
        """
        # Hardly anything here is part of a cycle: the collector need not walk through all rooms and sessions often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE)
        self._notifier.ready(status)
        while not self._server.stopping:
            self._watch_console()
            self._turn()
            if self._reread:
                self._reread = False
                self._notifier.reloading()
                self._reload()
                self._notifier.ready(status)
        self._notifier.stopping("telling everybody")
        now = time.monotonic()
        self._until = now + self._plan.drain
        while self._server.busy and time.monotonic() < now + self._plan.drain / 2:
            self._turn()
        return self._code

    def linger(self) -> int:
        """Milliseconds that what is under way to clients still has."""
        if self._until is None:
            return LINGER
        return max(int((self._until - MARGIN - time.monotonic()) * 1000), 0)

    def _turn(self) -> None:
        self._server.turn(self._notifier.pause / 2)
        self._notifier.beat()

    def _watch_console(self) -> None:
        if self._console is not None:
            if self._console.usable():
                self._server.watch(self._console.fd, self._console.read)
            else:
                self._server.unwatch(self._console.fd)

    # Another configuration --------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Takes over what the files say by now; if that cannot be, all stays as it was."""
        if self._wanted.path is None and self._plan.access.authorized is None:
            log.info("SIGHUP: there is nothing to re-read: no --config, and no file of known keys")
            return
        try:
            wanted = self._wanted.again()
            plan = wanted.plan(curve=self._server.door is not None)
            entrance = self._door(plan)
            settings = within(plan.settings, descriptors())
        except (ZchatError, ValueError, OverflowError, OSError) as error:  # nothing in a file is worth a broker's end
            log.warning("all stays as it was: %s", printable(str(error)))
            return
        if entrance is not None:
            self._server.admit_by(entrance)
        fixed = self._server.reload(settings, plan.keep_days, plan.keep_messages)
        left = self._wanted.restarts(wanted) + fixed
        logs.choose(plan.log_level)
        self._plan = plan
        log.info("the configuration was read anew")
        if left:
            log.warning("changed, but only a restart takes it over: %s", ", ".join(left))

    def _door(self, plan: Plan) -> Door | None:
        """To whom it is open by now; None for the same as before, as where only a restart would take CURVE away.

        Raises:
            errors.DataUnusable: whom to let in cannot be read.
        """
        before = self._server.door
        if before is None or not plan.access.curve:
            return None
        # Where it is does not change: the link in its folder says so too.
        return replace(door(plan.access, before.address, before.key), address=before.address)


def _terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def descriptors() -> int:
    """How many there are for connections, two a client: as many as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # macOS names a limit that it does not grant
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
