"""`zchat broker`: runs a broker."""

from __future__ import annotations

import gc
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.exits import FAILURE, INTERRUPTED, OK
from zchat.cli.options import Data, data_folder

if TYPE_CHECKING:
    from types import FrameType

    from zchat.address import Address
    from zchat.broker.console import Console
    from zchat.broker.inputs import Input
    from zchat.broker.server import Server
    from zchat.messages import Message
    from zchat.store.base import Store

GARBAGE = 50_000
"""Objects made, less those gone, between two looks of the garbage collector at the youngest."""

BANNER_LIMIT = 16 * 1024
"""Bytes of a banner at most: it is sent to everybody."""


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def command(
    bind: Annotated[str, typer.Option("--bind", metavar="URL", help="Where to listen.")] = "tcp://127.0.0.1:5555",
    data: Data = None,
    memory: Annotated[bool, typer.Option("--memory", help="Keep nothing: all is gone when the broker ends.")] = False,
    keep_days: Annotated[
        float | None, typer.Option("--keep-days", min=0.0, metavar="DAYS", help="Drop what is older. [default: never]")
    ] = None,
    keep_messages: Annotated[
        int | None, typer.Option("--keep-messages", min=1, metavar="N", help="Keep the last N of each room.")
    ] = None,
    pub_port: Annotated[
        int | None, typer.Option("--pub-port", metavar="PORT", help="Where to publish. [default: the next port]")
    ] = None,
    banner: Annotated[
        str | None, typer.Option("--banner", metavar="TEXT|@FILE", help="What everybody is welcomed with.")
    ] = None,
    bind_wait: Annotated[
        float, typer.Option("--bind-wait", min=0.0, metavar="SECONDS", help="How long to wait for a taken port.")
    ] = 0.0,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in, although nothing is encrypted.")
    ] = False,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="How much to log.")] = LogLevel.INFO,
    show_chat: Annotated[
        bool | None, typer.Option("--show-chat/--no-show-chat", help="Print what is said. [default: on a terminal]")
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Do not read what the operator types.")] = False,
) -> int:
    """Runs a broker until exit, Ctrl-C or SIGTERM. What is typed is told to everybody."""
    from zchat.broker import logs, sockets
    from zchat.broker.console import Console
    from zchat.broker.server import Server
    from zchat.broker.settings import BANNER, Settings
    from zchat.cli.output import out, say
    from zchat.errors import StoreFailed

    if memory and data is not None:
        raise typer.BadParameter("choose: --data keeps the log, --memory keeps none")
    _raise_descriptor_limit()
    text = BANNER if banner is None else _banner(banner)
    context = sockets.context()
    try:
        bound = sockets.bind(context, _address(bind), pub_port, bind_wait, insecure=insecure)
        logs.start(log_level.value)
        try:
            store = _store(data, memory, keep_days, keep_messages)
        except BaseException:
            bound.close(0)
            raise
        show = _show if (sys.stdout.isatty() if show_chat is None else show_chat) else None
        server = Server(Settings(banner=text, pub_port=bound.pub_port), store, bound, show)
        try:
            out(f"zchat broker listening on {bound.address}")
            return _run(server, None if no_console else Console(sys.stdin.fileno()))
        except StoreFailed as error:
            say(f"the broker stops, since its log cannot be relied on any more: {error}")
            return FAILURE
        finally:
            server.close()
            say("the broker has stopped")
    finally:
        context.term()


def _store(data: Path | None, memory: bool, keep_days: float | None, keep_messages: int | None) -> Store:
    """Opens what keeps the rooms, and says what is in it."""
    from zchat.cli.output import counted, say
    from zchat.store.memory import KEEP, MemoryStore

    if memory:
        say("nothing is kept: what is said is gone when this broker ends")
        return MemoryStore(keep=keep_messages or KEEP, keep_days=keep_days)
    from zchat.store.sqlite import open_store
    from zchat.store.sqlite.retention import Retention

    folder = data_folder(data)
    store = open_store(folder, Retention(keep_days, keep_messages))
    for warning in store.warnings:
        say(f"WARNING: {warning}")
    rooms, messages = store.counts()
    say(f"{counted(rooms, 'room')} with {counted(messages, 'message')} in {folder}")
    return store


def _run(server: Server, console: Console | None) -> int:
    """Turns until told to stop; gives the exit code."""
    from zchat.broker.console import GOODBYE
    from zchat.broker.inputs import Shutdown

    code = OK

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal code
        code = INTERRUPTED if number == signal.SIGINT else OK
        server.give(Shutdown(GOODBYE))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
    _wake_on_signals(server)
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background it is not stopped for its console
    # Hardly anything here is part of a cycle: the collector need not walk through all rooms and sessions often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    while not server.stopping:
        if console is not None:
            if console.usable():
                server.watch(console.fd, console.read)
            else:
                server.unwatch(console.fd)
        server.turn()
    return code


def _wake_on_signals(server: Server) -> None:
    """A signal ends the wait for something to do: a handler alone would run, and the poll go on."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)

    def woken() -> list[Input]:
        os.read(read, 4096)
        return []

    server.watch(read, woken)


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


def _address(bind: str) -> Address:
    """The address out of --bind.

    Raises:
        errors.BindFailed: it is none.
    """
    from zchat.address import BadAddress, parse
    from zchat.errors import BindFailed

    try:
        return parse(bind)
    except BadAddress as error:
        raise BindFailed(str(error)) from None


def _banner(wanted: str) -> str:
    """The banner out of TEXT or @FILE.

    Raises:
        errors.BadOption: the file cannot be read, or it is too long.
    """
    from zchat.errors import BadOption

    text = wanted
    if wanted.startswith("@"):
        path = Path(wanted[1:])
        try:
            text = path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        except OSError as error:
            raise BadOption(f"cannot read the banner {path}: {error.strerror}; name a file that can be read") from None
    if len(text.encode(errors="replace")) > BANNER_LIMIT:
        raise BadOption(f"the banner is longer than {BANNER_LIMIT} bytes: shorten it")
    return text.encode(errors="replace").decode()


def _raise_descriptor_limit() -> None:
    """Two connections a client: as many descriptors as the system lets us have."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass  # macOS names a limit that it does not grant
