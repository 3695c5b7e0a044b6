"""`zchat broker`: runs a broker."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.exits import FAILURE, OK, USAGE
from zchat.cli.options import Data

if TYPE_CHECKING:
    from zchat.broker.server import Server
    from zchat.cli.plan import Plan, Wanted
    from zchat.messages import Message
    from zchat.store.base import Store


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


class Admission(StrEnum):
    """Who is let in."""

    INVITE = "invite"
    KNOWN = "known"
    OPEN = "open"


def _configured(context: typer.Context, parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Has what a file says stand in for what the command line does not say."""
    if path is not None and not context.resilient_parsing:
        from zchat.cli import config

        found = config.read(path, context.command.params)
        context.default_map = found.values
        context.obj = found
    return path


def command(
    context: typer.Context,
    bind: Annotated[str, typer.Option("--bind", metavar="URL", help="Where to listen.")] = "tcp://127.0.0.1:5555",
    data: Data = None,
    memory: Annotated[bool, typer.Option("--memory", help="Keep nothing: all is gone when the broker ends.")] = False,
    keep_days: Annotated[
        float | None,
        typer.Option("--keep-days", min=0.0, max=1e6, metavar="DAYS", help="Drop what is older. [default: never]"),
    ] = None,
    keep_messages: Annotated[
        int | None,
        typer.Option("--keep-messages", min=1, max=10**12, metavar="N", help="Keep the last N of each room."),
    ] = None,
    pub_port: Annotated[
        int | None, typer.Option("--pub-port", metavar="PORT", help="Where to publish. [default: the next port]")
    ] = None,
    banner: Annotated[
        str | None, typer.Option("--banner", metavar="TEXT|@FILE", help="What everybody is welcomed with.")
    ] = None,
    bind_wait: Annotated[
        float,
        typer.Option("--bind-wait", min=0.0, max=1e6, metavar="SECONDS", help="How long to wait for a taken port."),
    ] = 0.0,
    curve: Annotated[
        bool,
        typer.Option("--curve", help="Encrypt on loopback too. Elsewhere that goes without saying."),
    ] = False,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Let other machines in, at plain://HOST:PORT, unencrypted."),
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="DIR", help="Where the broker's own key is. [default: keys in --data]"),
    ] = None,
    admission: Annotated[
        Admission | None,
        typer.Option(
            "--admission",
            help="If encrypted, who is let in: by a link, by a key in --authorized, or anybody. [default: invite]",
        ),
    ] = None,
    authorized: Annotated[
        Path | None,
        typer.Option("--authorized", metavar="FILE", help="The keys of who is known. [default: authorized in --data]"),
    ] = None,
    advertise: Annotated[
        str | None,
        typer.Option("--advertise", metavar="HOST", help="What links call this host. [default: its own name]"),
    ] = None,
    drain_timeout: Annotated[
        float,
        typer.Option(
            "--drain-timeout",
            min=0.0,
            max=1e6,
            metavar="SECONDS",
            help="How long to wait for clients when told to stop.",
        ),
    ] = 5.0,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="Set a bound: zchat config default lists them."),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            "--rate", metavar="NAME=N/S", help="How much a person may ask for: N at once, S a second; or off."
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="How much to log.")] = LogLevel.INFO,
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", metavar="FILE", help="Log to FILE, and anew when it was moved. [default: stderr]"),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="How a line of the log looks.")
    ] = LogFormat.TEXT,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="HOST:PORT",
            help="Serve /healthz, /readyz and /metrics there, on loopback. [default: off]",
        ),
    ] = None,
    show_chat: Annotated[
        bool | None, typer.Option("--show-chat/--no-show-chat", help="Print what is said. [default: on a terminal]")
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Do not read what the operator types.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            is_eager=True,
            callback=_configured,
            help="Read all this from a file too, and again on SIGHUP: zchat config default prints one.",
        ),
    ] = None,
    check_config: Annotated[
        bool, typer.Option("--check-config", help="Only say whether all this could be followed.")
    ] = False,
) -> int:
    """Runs a broker until exit, Ctrl-C or SIGTERM. What is typed is told to everybody; /help says what else may be."""
    from zchat.cli.output import out, say
    from zchat.cli.plan import Wanted
    from zchat.errors import ZchatError

    try:
        wanted = Wanted.of(context)
        plan = wanted.plan()
    except ZchatError as error:
        if not check_config:
            raise
        say(str(error))
        return USAGE
    if check_config:
        out("ok")
        return OK
    return _broker(wanted, plan)


def _broker(wanted: Wanted, plan: Plan) -> int:
    """Opens all that a broker needs, and lets it serve."""
    from zchat.broker import http, logs, sockets
    from zchat.broker.console import Console
    from zchat.broker.entrance import Entrance
    from zchat.broker.keys import authorized, broker_keys, door
    from zchat.broker.limits import within
    from zchat.broker.notify import Notifier
    from zchat.broker.server import Server
    from zchat.cli.output import out
    from zchat.cli.serve import Service, descriptors
    from zchat.errors import StoreFailed

    notifier = Notifier(os.environ)
    settings = within(plan.settings, descriptors())
    access = plan.access
    keys = None if access.keys is None else broker_keys(access.keys)
    if access.authorized is not None:
        authorized(access.authorized)  # before anything is begun that it could spoil
    context = sockets.context()
    try:
        bound = sockets.bind(
            context,
            plan.address,
            plan.pub_port,
            plan.bind_wait,
            insecure=plan.insecure,
            secret=None if keys is None else keys.secret,
        )
        with ExitStack() as undo:
            undo.callback(bound.close, 0)
            logs.start(plan.log_level, plan.log_format, plan.log_file)
            listener = None if plan.http is None else http.listen(plan.http)
            if listener is not None:
                undo.callback(listener.close)
            store = _store(plan)
            entrance = None
            if keys is not None and access.keys is not None:
                at = door(access, bound.address, keys.public)
                entrance = Entrance(at, access.keys, plan.folder or access.keys)
            show = _show if (sys.stdout.isatty() if plan.show_chat is None else plan.show_chat) else None
            server = Server(replace(settings, pub_port=bound.pub_port), store, bound, show, entrance, _answer)
            undo.pop_all()
        monitor = None if listener is None else http.Monitor(server, listener, plan.folder)
        console = Console(sys.stdin.fileno(), _answer, lambda: _audit(server)) if plan.console else None
        service = Service(server, wanted, plan, console, notifier)
        try:
            service.heed_signals()
            out(f"zchat broker listening on {bound.address}")
            if (link := server.owner_link()) is not None:
                out(f"zchat join '{link}'")
            if monitor is not None:
                server.look_with(monitor.look)
                _tell(plan, f"{monitor.url}/metrics, /healthz and /readyz are served")
            return service.run(f"listening on {bound.address}")
        except StoreFailed as error:
            _tell(plan, f"the broker stops, since its log cannot be relied on any more: {error}", "error")
            return FAILURE
        finally:
            if monitor is not None:
                monitor.close()  # while the others are waited for, nobody would be answered
            server.close(service.linger())
            _tell(plan, "the broker has stopped")
    finally:
        context.term()
        notifier.close()


def _tell(plan: Plan, line: str, level: str = "info") -> None:
    """What is said on stderr is in the log as well, if that is elsewhere; where it is there, as JSON, only in it."""
    from zchat.broker import logs
    from zchat.cli.output import say

    if plan.log_file is not None or plan.log_format != "text":
        logs.note(level, line)
    if plan.log_file is not None or plan.log_format == "text":
        say(f"WARNING: {line}" if level == "warning" else line)


def _store(plan: Plan) -> Store:
    """Opens what keeps the rooms, and says what is in it."""
    from zchat.cli.output import counted
    from zchat.store.memory import KEEP, MemoryStore

    if plan.folder is None:
        _tell(plan, "nothing is kept: what is said is gone when this broker ends")
        return MemoryStore(keep=plan.keep_messages or KEEP, keep_days=plan.keep_days)
    from zchat.store.sqlite import open_store
    from zchat.store.sqlite.retention import Retention

    store = open_store(plan.folder, Retention(plan.keep_days, plan.keep_messages))
    for warning in store.warnings:
        _tell(plan, warning, "warning")
    rooms, messages = store.counts()
    _tell(plan, f"{counted(rooms, 'room')} with {counted(messages, 'message')} in {plan.folder}")
    return store


AUDIT = 20
"""Lines of the audit log that the operator is shown."""


def _answer(lines: list[str]) -> None:
    """Lines for the operator, who gave an order."""
    from zchat.text import printable

    try:
        sys.stdout.write("".join(f"-- {printable(line)}\n" for line in lines))
        sys.stdout.flush()
    except OSError:
        pass  # as with what is said


def _audit(server: Server) -> list[str]:
    """The last lines of the audit log."""
    from zchat.cli.acted import audit_line
    from zchat.errors import ZchatError
    from zchat.messages import Acted

    try:
        lines = [audit_line(event) for event in server.audit(AUDIT) if isinstance(event, Acted)]
    except ZchatError as error:
        return [str(error)]
    return lines or ["nothing was done yet"]


def _show(room: str, message: Message) -> None:
    from zchat.cli.output import INDENT, clock
    from zchat.text import block, printable

    name, text = printable(message.name), block(message.text, INDENT)
    said = f"* {name} {text}" if message.action else f"{name}: {text}"
    try:
        sys.stdout.write(f"{clock(message.ms)} [{printable(room)}] {said}\n")
        sys.stdout.flush()
    except OSError:
        pass  # whoever watched has gone; the broker goes on
