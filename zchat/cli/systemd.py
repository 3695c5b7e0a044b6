"""`zchat systemd`: a unit that has systemd run a broker."""

from __future__ import annotations

import math
import os
import pwd
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli import broker
from zchat.cli.options import data_folder
from zchat.errors import BadOption

if TYPE_CHECKING:
    from zchat.cli.plan import Plan

WATCHDOG = 30
"""Seconds for which a broker may hang before it is killed and started anew: the slowest disk is quicker."""

DESCRIPTORS = 65_536
"""Two for each of the sessions that there may be, and some."""

STATE = "/var/lib/zchat"
"""Where systemd keeps what a user of its own making may write."""

LOGS = "/var/log"
"""Where it has a folder made for a log."""

STOPPING = 15
"""Seconds to stop in, after those for draining: the store is closed then."""

WAITS = "Wants=network-online.target\nAfter=network-online.target\n"

HOMES = ("/home", "/root", "/run/user")

SANDBOX = """\
# What a broker does not need, it does not get.
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# Netlink tells libzmq the addresses of this machine: it aborts where it cannot ask.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0077
"""
"""For any manager."""

WALLS = """\
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
"""
"""What takes the rights of the system's manager."""


def command(
    user: Annotated[
        bool, typer.Option("--user", help="For your own manager: systemctl --user, in ~/.config/systemd/user.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help=f"The broker's folder. [default: {STATE}, with --user that of zchat broker]"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The broker's configuration; it must be there.")
    ] = None,
    bind: Annotated[str | None, typer.Option("--bind", metavar="URL", help="Where to listen.")] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTION...]", help="More options of zchat broker.")
    ] = None,
) -> None:
    """Prints a unit that has systemd run the broker. It is for systemd 247 or later."""
    from zchat.cli.output import out, say
    from zchat.cli.plan import Wanted

    arguments = ["--no-console", "--no-show-chat"]
    for name, value in (("--config", config and config.absolute()), ("--data", data and data.absolute())):
        arguments += [name, str(value)] if value is not None else []
    arguments += ["--bind", bind] if bind is not None else []
    arguments += more or []
    wanted = Wanted.of(broker_context(arguments))
    plan = wanted.plan()
    if plan.folder is not None and wanted.values["data"] is None:
        arguments += ["--data", str(data_folder(None) if user else STATE)]
        plan = Wanted.of(broker_context(arguments)).plan()
    program = _program()
    if not user and _in_homes(Path(program[0])):
        say(f"{program[0]} is in a home folder: the user that systemd runs the broker as must be able to read it")
    out(unit(plan, [*program, "broker", *arguments], config, user=user).rstrip("\n"))


def unit(plan: Plan, line: Sequence[str], config: Path | None, *, user: bool) -> str:
    """The unit.

    Args:
        plan: what the broker will do.
        line: its command line.
        config: the file that it will read.
        user: whether it is for a user's own manager.

    Raises:
        errors.BadOption: nobody can be found whom the folder may be left to.
    """
    own = "" if user else _rights(plan, [Path(line[0]), Path(sys.prefix), *([config] if config else [])])
    return f"""\
[Unit]
Description=zchat broker
{"" if user else WAITS}# It is started again whatever happens, and for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={" ".join(map(_quoted, line))}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=1
# What is wrong with its options does not pass by itself.
RestartPreventExitStatus=2
WatchdogSec={WATCHDOG}
TimeoutStartSec=300
TimeoutStopSec={math.ceil(plan.drain) + STOPPING}
LimitNOFILE={DESCRIPTORS}

{own}{SANDBOX}
[Install]
WantedBy={"default.target" if user else "multi-user.target"}
"""


def _rights(plan: Plan, read: Iterable[Path]) -> str:
    """What takes the rights of the system's manager: as whom it runs, and what of the machine it sees."""
    folder = plan.folder and plan.folder.absolute()
    lines = ["DynamicUser=yes"]
    written = []
    if folder == Path(STATE):
        lines += [f"StateDirectory={folder.name}", "StateDirectoryMode=0700"]
    elif folder is not None:
        lines = [f"User={_owner(folder)}"]
        written = [folder]
    keys = plan.access.keys and plan.access.keys.absolute()
    if keys is not None and (folder is None or not keys.is_relative_to(folder)):
        written.append(keys)
    logs = plan.log_file and plan.log_file.absolute().parent
    if logs is not None and logs.parent == Path(LOGS):
        lines += [f"LogsDirectory={_quoted(logs.name)}", "LogsDirectoryMode=0700"]
    elif logs is not None and (folder is None or not logs.is_relative_to(folder)):
        written.append(logs)
    lines += [f"ReadWritePaths={_quoted(str(path))}" for path in written]
    seen = any(map(_in_homes, (*read, *written)))
    lines.append(f"ProtectHome={'read-only' if seen else 'yes'}")
    low = any(0 < port < 1024 for port in (plan.address.port, plan.pub_port or 0))
    lines += ["AmbientCapabilities=CAP_NET_BIND_SERVICE"] if low else []
    lines.append(f"CapabilityBoundingSet={'CAP_NET_BIND_SERVICE' if low else ''}")
    return "\n".join(lines) + f"\n{WALLS}"


def _owner(folder: Path) -> str:
    """Whose a folder is.

    Raises:
        errors.BadOption: it is not there, or the superuser's.
    """
    try:
        owner = folder.stat().st_uid
        name = pwd.getpwuid(owner).pw_name
    except OSError as error:
        raise BadOption(
            f"{folder}: {error.strerror}: make it, and give it to a user that the broker is to run as"
        ) from None
    except KeyError:
        raise BadOption(f"{folder} is nobody's: give it to a user that the broker is to run as") from None
    if owner == 0:
        raise BadOption(f"{folder} is root's: give it to a user that the broker is to run as, or leave --data out")
    return name


def broker_context(arguments: Sequence[str]) -> typer.Context:
    """The command line of a broker, understood."""
    only = typer.Typer(add_completion=False, rich_markup_mode=None)
    only.command("broker")(broker.command)
    context: typer.Context = typer.main.get_command(only).make_context("zchat broker", list(arguments))  # type: ignore[assignment]
    return context


def _program() -> list[str]:
    """How this zchat is called from anywhere."""
    own = Path(sys.argv[0]).absolute()
    if own.name == "zchat" and os.access(own, os.X_OK):
        return [str(own)]
    return [sys.executable, "-m", "zchat"]


def _in_homes(path: Path) -> bool:
    return any(path.absolute().is_relative_to(home) for home in HOMES)


def _quoted(word: str) -> str:
    """A word as systemd reads it: see systemd.syntax(7) and "Command lines" in systemd.service(5)."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%$:/.,=+~-]+", word):
        return word
    word = word.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", word) + '"'
