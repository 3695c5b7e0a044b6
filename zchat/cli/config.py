"""`zchat config`, and the file that `zchat config default` makes: it holds what may be said on the command line of
`zchat broker`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from zchat import grammar
from zchat.broker import limits
from zchat.cli import client_config, toml
from zchat.errors import BadConfig

if TYPE_CHECKING:
    from typer._click import Parameter

    from zchat.broker.rates import Rate

COMMAND_LINE_ONLY = {"config", "check-config", "limit", "rate", "help"}
"""What has no key: it is about the file, or a table of it."""

EXAMPLES: dict[str, object] = {
    "data": "/var/lib/zchat",
    "keep-days": 90.0,
    "keep-messages": 100_000,
    "pub-port": 5556,
    "banner": "Welcome.",
    "log-file": "/var/log/zchat/zchat.log",
    "http": "127.0.0.1:8080",
    "show-chat": False,
    "keys": "/var/lib/zchat/keys",
    "admission": "invite",
    "authorized": "/var/lib/zchat/authorized",
    "advertise": "chat.example.org",
    "curve": True,
}
"""What is shown for a key that has no default, or one that does not go with the others that are shown."""

SET = "bind"
"""The key that a file as it is made has set: one without any is refused."""

HEAD = """\
zchat broker --config FILE reads this file, and again on SIGHUP. What the command line says goes before it. A key is an
option without its dashes. To set one, take the # before it away; shown is the default, or an example where there is
none. To see whether all is well: zchat broker --check-config --config FILE.
"""

LIMITS_HEAD = """\
Bounds. A broker that runs takes them over on SIGHUP, but for those that say otherwise.
"""

RATES_HEAD = """\
What one person may ask for, with all devices together: so much at once, and then so much a second; or off. Where
connections are not encrypted, only those are in force that are set. A broker that runs takes them over on SIGHUP.
"""

WIDTH = 100

T = TypeVar("T")


def command() -> None:
    """Your settings, and where they come from; a configuration for a broker.

    show, set and unset are about your own commands: what they use where neither an option, nor the environment, nor a
    context says something, in config.toml in zchat in your XDG config folder. default is about brokers, for the file
    of zchat broker --config FILE. The two files have nothing to do with each other.
    """


def default() -> None:
    """Prints a configuration for the broker: every key with its default and what it is."""
    from zchat.cli.output import out

    out(default_text(broker_parameters()).rstrip("\n"))


COMMANDS = {
    "show": client_config.show,
    "set": client_config.put,
    "unset": client_config.unset,
    "default": default,
}
"""What `zchat config` can do; see commands._built."""


def broker_parameters() -> list[Parameter]:
    """The options of `zchat broker`, as click has them."""
    only = typer.Typer(add_completion=False, rich_markup_mode=None)
    only.command("broker")(import_module("zchat.cli.broker").command)
    return list(typer.main.get_command(only).params)


# Reading --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Config:
    """What a file says.

    Attributes:
        values: of options, by the names of their parameters.
        limits, rates: by name.
    """

    values: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    rates: dict[str, Rate | None] = field(default_factory=dict)


def read(path: Path, parameters: Iterable[Parameter]) -> Config:
    """Reads a configuration.

    Args:
        parameters: the options of `zchat broker`.

    Raises:
        errors.BadConfig: it cannot be read, or says something that means nothing; the line names file and key.
    """
    table = _table(path)
    options = {key: one for one in parameters if (key := key_of(one)) not in COMMAND_LINE_ONLY}
    values: dict[str, Any] = {}
    bounds: dict[str, float] = {}
    rates: dict[str, Rate | None] = {}
    for key, value in table.items():
        if key == "limits":
            bounds = _named(f"{path}: limits", value, limits.defaults(), limits.checked)
        elif key == "rates":
            rates = _named(f"{path}: rates", value, limits.rate_defaults(), limits.rate_checked)
        elif key in options:
            values[str(options[key].name)] = _value(f"{path}: {key}", options[key], value)
        else:
            raise BadConfig(f"{path}: {_unknown(key, [*options, 'limits', 'rates'])}")
    return Config(values, bounds, rates)


def key_of(parameter: Parameter) -> str:
    """What an option is called in the file."""
    return next((name for name in parameter.opts if name.startswith("--")), "--").removeprefix("--")


def _table(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise BadConfig(f"cannot read the configuration {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfig(f"the configuration {path} is not UTF-8: save it as that") from None
    table = toml.parsed(path, text)
    if not any(value != {} for value in table.values()):
        raise BadConfig(f"{path} is empty: set a key, or leave --config out; zchat config default prints all keys")
    return table


def _unknown(name: str, known: Iterable[str]) -> str:
    near = grammar.meant(name, known)
    return f"{name}: there is no such key" + (f", is {near} meant?" if near else "")


def _value(where: str, parameter: Parameter, value: object) -> Any:
    from typer._click import types  # typer 0.28 ships its own click; pinned below 0.29
    from typer._click.exceptions import BadParameter

    kind = parameter.type
    if isinstance(kind, types.BoolParamType):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(kind, types.IntParamType):
        fits, wanted = type(value) is int and abs(value) < 1 << 63, "a whole number"  # no longer one is TOML either
    elif isinstance(kind, types.FloatParamType):
        fits, wanted = _finite(value), "a number"
    else:
        fits, wanted = isinstance(value, str), "a text in quotes"
    if not fits:
        raise BadConfig(f"{where}: write {wanted}")
    if isinstance(value, str) and "\0" in value:
        raise BadConfig(f"{where}: there is a NUL in it: leave that out")
    try:
        kind.convert(value, parameter, None)
    except BadParameter as error:
        raise BadConfig(f"{where}: {' '.join(error.message.split()).rstrip('.')}") from None
    return value


def _finite(value: object) -> bool:
    """Whether it is a number that a float can hold."""
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _named(where: str, table: object, known: Iterable[str], checked: Callable[[str, object], T]) -> dict[str, T]:
    """What a table says, each value checked."""
    if not isinstance(table, dict):
        raise BadConfig(f"{where}: it is a table: write [{where.rpartition(' ')[2]}], and a line for each")
    for name in table:
        if name not in known:
            raise BadConfig(f"{where}: {_unknown(name, known)}")
    try:
        return {name: checked(name, value) for name, value in table.items()}
    except BadConfig as error:
        raise BadConfig(f"{where}: {error}") from None


# Writing --------------------------------------------------------------------------------------------------------------


def default_text(parameters: Iterable[Parameter]) -> str:
    """A configuration with every key, as TOML."""
    parts = [_comment(HEAD)]
    for one in parameters:
        key = key_of(one)
        if key not in COMMAND_LINE_ONLY:
            value = EXAMPLES.get(key, one.default)
            parts.append(
                f"{_comment(getattr(one, 'help', ''))}{'' if key == SET else '#'}{key} = {toml.literal(value)}\n"
            )
    parts.append(f"{_comment(LIMITS_HEAD)}[limits]\n")
    for name, value in limits.defaults().items():
        known = limits.limit(name)
        told = known.help if known.live else f"{known.help} Takes a restart."
        parts.append(f"{_comment(told)}#{name} = {toml.literal(value)}\n")
    parts.append(f"{_comment(RATES_HEAD)}[rates]\n")
    for name, rate in limits.rate_defaults().items():
        parts.append(f"{_comment(limits.RATES.get(name, ''))}#{name} = {toml.literal(rate)}\n")
    return "\n".join(parts)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(" ".join(text.split()), WIDTH, break_on_hyphens=False))
