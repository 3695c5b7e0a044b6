"""What a broker is to do, made of its command line and its configuration, and checked before anything is touched."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zchat.broker import limits, sockets
from zchat.broker.access import Access
from zchat.broker.settings import BANNER, Settings
from zchat.cli import config
from zchat.cli.options import data_folder
from zchat.errors import BadConfig, BadOption, BindFailed

if TYPE_CHECKING:
    import typer

    from zchat.address import Address

T = TypeVar("T")

BANNER_LIMIT = 16 * 1024
"""Bytes of a banner at most: it is sent to everybody."""

LIVE = {
    *("banner", "keep_days", "keep_messages", "log_level", "drain_timeout", "limit", "rate", "admission", "authorized"),
    *("config", "check_config"),
}
"""Parameters that a broker which runs takes over, or that are none of what it does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a broker is to do.

    Attributes:
        pub_port: None for the next.
        folder: what is kept is there; None if nothing is.
        settings: all but the port that is published on.
        show_chat: None for on a terminal.
        console: whether what is typed is read.
        drain: seconds to wait for clients at the end.
        log_file: None for stderr.
        http: where monitoring is served; None for nowhere.
    """

    address: Address
    pub_port: int | None
    bind_wait: float
    insecure: bool
    folder: Path | None
    keep_days: float | None
    keep_messages: int | None
    settings: Settings
    access: Access
    log_level: str
    show_chat: bool | None
    console: bool
    drain: float
    log_file: Path | None = None
    log_format: str = "text"
    http: Address | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, word by word.

    Attributes:
        path: of the configuration; None if there is none.
        given: what the command line says, by the names of parameters.
        usual: what holds where neither it nor the file says anything.
        file: what the file says.
        parameters: the options of `zchat broker`.
    """

    path: Path | None
    given: Mapping[str, Any]
    usual: Mapping[str, Any]
    file: config.Config
    parameters: tuple[Any, ...]

    @staticmethod
    def of(context: typer.Context) -> Wanted:
        """What a command line asks for, with its configuration."""
        parameters = tuple(context.command.params)
        names = [str(one.name) for one in parameters if str(one.name) in context.params]
        said = {name: context.params[name] for name in names if _said(context, name)}
        usual = {str(one.name): one.default for one in parameters if str(one.name) in context.params}
        file = context.obj if isinstance(context.obj, config.Config) else config.Config()
        return Wanted(context.params.get("config"), said, usual, file, parameters)

    def again(self) -> Wanted:
        """The same with the file as it is by now.

        Raises:
            errors.BadConfig: it cannot be used.
        """
        return self if self.path is None else replace(self, file=config.read(self.path, self.parameters))

    @property
    def values(self) -> dict[str, Any]:
        """Of all parameters."""
        return {**self.usual, **self.file.values, **self.given}

    def restarts(self, other: Wanted) -> list[str]:
        """The options that the other asks for otherwise, and that a broker which runs cannot change."""
        mine, theirs = self.values, other.values
        return [
            config.key_of(one)
            for one in self.parameters
            if one.name in mine and one.name not in LIVE and mine[one.name] != theirs[one.name]
        ]

    def plan(self, *, curve: bool | None = None) -> Plan:
        """What to do.

        Args:
            curve: whether the broker that is to do it runs under CURVE, which it goes on with; None if none runs yet.

        Raises:
            errors.ZchatError: that cannot be done, or contradicts itself.
        """
        values = self.values
        for one in self.parameters:
            value = values.get(one.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise BadConfig(f"--{config.key_of(one)}: write a number")
        if values["memory"] and values["data"] is not None:
            raise BadConfig("choose: --data keeps the log, --memory keeps none")
        address = _address(values["bind"])
        sockets.publishing_port(address, values["pub_port"])
        folder = None if values["memory"] else data_folder(_path(values["data"]))
        bounds = {**self.file.limits, **_named("--limit", values["limit"] or (), limits.checked)}
        rates = {**self.file.rates, **_named("--rate", values["rate"] or (), limits.rate_checked)}
        access = _access(values, address, folder)
        banner = BANNER if values["banner"] is None else _banner(values["banner"])
        return Plan(
            address,
            values["pub_port"],
            values["bind_wait"],
            values["insecure"],
            folder,
            values["keep_days"],
            values["keep_messages"],
            limits.with_rates(
                limits.apply(Settings(banner=banner), bounds), rates, usual=access.curve if curve is None else curve
            ),
            access,
            str(values["log_level"]),
            values["show_chat"],
            not values["no_console"],
            values["drain_timeout"],
            _path(values["log_file"]),
            str(values["log_format"]),
            None if values["http"] is None else _http(values["http"]),
        )


def _said(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _access(values: Mapping[str, Any], address: Address, folder: Path | None) -> Access:
    """Who may come in.

    Raises:
        errors.BadConfig: what is said of it contradicts itself.
    """
    if values["curve"] and values["insecure"]:
        raise BadConfig("choose: --curve encrypts, --insecure does not")
    loopback = all(one.loopback for one in _resolved(address))
    curve = values["curve"] or not (loopback or values["insecure"])
    keys, authorized = _path(values["keys"]), _path(values["authorized"])
    admission = None if values["admission"] is None else str(values["admission"])
    advertise = None if values["advertise"] is None else _host(values["advertise"])
    if not curve:
        if admission in ("invite", "known"):
            raise BadConfig(f"--admission {admission} takes keys: add --curve")
        return Access(advertise=advertise)
    if folder is None and keys is None:
        raise BadConfig("--memory keeps nothing, and an encrypted broker keeps its key: name a folder with --keys DIR")
    if admission == "known" and folder is None and authorized is None:
        raise BadConfig("--admission known takes --authorized FILE where --memory keeps nothing")
    if folder is not None:
        keys = keys or folder / "keys"
        if admission == "known":
            authorized = authorized or folder / "authorized"
    return Access(True, keys, admission or "invite", authorized, advertise)


def _host(wanted: str) -> str:
    """The host out of --advertise; a number of IP version 6 may be in brackets.

    Raises:
        errors.BadConfig: it is more than a host, or none that a link could name.
    """
    from zchat.address import BadAddress, parse

    six = wanted.removeprefix("[").removesuffix("]")
    try:
        host = parse(f"[{six}]" if _is_six(six) else wanted).host
    except BadAddress:
        host = ""
    # Some of what else is a host to connect to would end it in a link, or is no part of one: ? # % and beyond ASCII.
    fits = wanted in (host, f"[{host}]") if _is_six(host) else wanted == host
    if not (fits and re.fullmatch(r"[\w.:-]{1,253}", host, re.ASCII)):
        raise BadConfig(f"--advertise {wanted}: write a host alone, as in chat.example.org; the port is that of --bind")
    return host


def _is_six(host: str) -> bool:
    """Whether it is a number of IP version 6, of no certain interface: others call theirs otherwise."""
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _address(bind: str) -> Address:
    """The address out of --bind.

    Raises:
        errors.BindFailed: it is none.
    """
    from zchat.address import BadAddress, parse

    try:
        return parse(bind)
    except BadAddress as error:
        raise BindFailed(str(error)) from None


def _http(wanted: str) -> Address:
    """The address out of --http.

    Raises:
        errors.BadConfig: it is none, or one that other machines reach.
    """
    from zchat.address import BadAddress, parse

    if wanted.startswith("tcp://") or not re.search(r":\d+$", wanted):
        raise BadConfig(f"--http {wanted}: write HOST:PORT, as in 127.0.0.1:8080")
    try:
        found = parse(wanted).resolve()
    except BadAddress as error:
        raise BadConfig(f"--http {wanted}: {error}") from None
    if not all(number.loopback for number in found):
        raise BadConfig(
            f"--http {wanted}: other machines could reach it, and whoever asks there is answered: take 127.0.0.1, and "
            "let others in through a proxy that asks who they are"
        )
    return found[0]


def _resolved(address: Address) -> list[Address]:
    from zchat.address import BadAddress

    try:
        return list(address.resolve())
    except BadAddress as error:
        raise BindFailed(str(error)) from None


def _banner(wanted: str) -> str:
    """The banner out of TEXT or @FILE.

    Raises:
        errors.BadOption: the file cannot be read, or it is too long.
    """
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


def _named(option: str, given: Iterable[str], checked: Callable[[str, object], T]) -> dict[str, T]:
    """What is set by NAME=VALUE.

    Raises:
        errors.BadConfig: there is no such thing, or it cannot be that.
    """
    found: dict[str, T] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise BadConfig(f"{option} {one}: write NAME=VALUE")
        try:
            found[name] = checked(name, value)
        except BadConfig as error:
            raise BadConfig(f"{option} {error}") from None
    return found
