"""The user's contexts and the client's configuration, as files: `contexts.toml` and `config.toml` in `zchat` in the
XDG config folder.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zchat.address import BadAddress
from zchat.cli import toml
from zchat.cli.settings import SETTINGS, Value, without_invite
from zchat.errors import BadConfig, KeyUnusable

MOST = 1000
"""Contexts that are kept at most."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_LONGEST = 256  # characters of a value that is no link; the broker says what a name may be
_HEAD = "# zchat context writes this file.\n"


@dataclass(frozen=True, slots=True)
class Contexts:
    """What `contexts.toml` says.

    Attributes:
        used: the one in use; None for none.
        all: what each says, by name.
    """

    used: str | None = None
    all: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    def get(self, name: str) -> Mapping[str, Value]:
        """What a context says.

        Raises:
            errors.BadConfig: there is none of that name.
        """
        if name not in self.all:
            from zchat import grammar

            near = grammar.meant(name, self.all)
            meant = f"is {near} meant?" if near else "zchat context list shows those that there are"
            raise BadConfig(f"there is no context {name[:40]}: {meant}")
        return self.all[name]


def contexts() -> Contexts:
    """The user's contexts.

    Raises:
        errors.BadConfig: the file cannot be read, others may, or it says what means nothing.
    """
    path = _path("contexts.toml")
    text = None if path is None else _read(path, 0o077)
    if path is None or text is None:
        return Contexts()
    table = toml.parsed(path, text)
    found: dict[str, Mapping[str, Value]] = {}
    named = table.pop("contexts", {})
    if table.keys() - {"use"} or not isinstance(named, dict):
        key = next(iter(table.keys() - {"use"}), "contexts")
        raise BadConfig(f"{path}{_line(text, key)}: {key[:40]}: there are use, and tables [contexts.NAME]")
    for name, said in named.items():
        line = _line(text, f"contexts.{name}") or _line(text, name, "contexts")
        where = f"{path}{line}: {name[:40]}"
        if not _NAME.fullmatch(name):
            raise BadConfig(f"{where}: {_NO_NAME}")
        if not isinstance(said, dict):
            raise BadConfig(f"{where}: it is a table: write [contexts.{name}], and a line for each setting")
        found[name] = _settings(path, text, said, f"contexts.{name}")
    used = table.get("use")
    if used is not None and used not in found:
        raise BadConfig(
            f"{path}{_line(text, 'use')}: use: there is no such context: zchat context use NAME names another"
        )
    return Contexts(used, found)


def config() -> Mapping[str, Value]:
    """What the client's configuration says.

    Raises:
        errors.BadConfig: the file cannot be read, others may write it, or it says what means nothing.
    """
    path = _path("config.toml")
    text = None if path is None else _read(path, 0o022)  # no secret may be in it, but it says where to go
    return {} if path is None or text is None else _settings(path, text, toml.parsed(path, text))


def _settings(path: Path, text: str, table: Mapping[str, Any], within: str | None = None) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in table.items():
        where = f"{path}{_line(text, key, within)}"
        try:
            found[key] = checked(key, value)
        except BadConfig as error:
            raise BadConfig(f"{where}: {error}") from None
        if found[key] != value:
            raise BadConfig(f"{where}: {key}: there is an invite in it, which is a secret for one use: leave it out")
    return found


def _line(text: str, key: str, within: str | None = None) -> str:
    number = toml.line_of(text, key, within)
    return f", line {number}" if number else ""


# Values ---------------------------------------------------------------------------------------------------------------

_NO_NAME = "a context's name has 1 to 32 of a to z, 0 to 9, dot, - and _, and begins with a letter or digit"


def checked_name(name: str) -> str:
    """The name of a context.

    Raises:
        errors.BadConfig: it cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise BadConfig(f"{name[:40]!r} cannot be a context: {_NO_NAME}")
    return name


def checked(key: str, value: object) -> Value:
    """A setting as it may be kept: a link without its invite.

    Raises:
        errors.BadConfig: there is no such setting, or it cannot be that.
    """
    from zchat.text import printable

    if key not in SETTINGS:
        from zchat import grammar

        near = grammar.meant(key, SETTINGS)
        meant = f"is {near} meant?" if near else f"there are {', '.join(SETTINGS)}"
        raise BadConfig(f"{key[:40]}: there is no such setting, {meant}")
    if key == "connect-timeout":
        return _seconds(value)
    if not isinstance(value, str):
        raise BadConfig(f"{key}: write a text in quotes")
    if key == "url":
        return _url(value)
    if not value.strip() or len(value) > _LONGEST or printable(value) != value:
        raise BadConfig(f"{key}: write 1 to {_LONGEST} characters that can be seen")
    if key == "identity":
        from zchat.client.keys import identity_name

        try:
            return identity_name(value)
        except KeyUnusable as error:
            raise BadConfig(f"{key}: {error}") from None
    return value


def _seconds(value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise BadConfig("connect-timeout: write a number of seconds")
    return seconds


def _url(value: str) -> str:
    from zchat import address, links

    try:
        if links.is_link(value):
            link = without_invite(value)
            # As it is written, if there was none: what is kept is compared with what was meant.
            return str(link) if links.parse_link(value).invite is not None else value.strip()
        plain = value[:8].lower() == "plain://"
        where = address.parse(value[8:] if plain else value)
        if where.port == 0:
            raise BadAddress(f"{value} has port 0: write the broker's, as it prints it")
    except BadAddress as error:
        raise BadConfig(f"url: {error}") from None
    return value.strip()


# Files ----------------------------------------------------------------------------------------------------------------


def _path(name: str) -> Path | None:
    """Where a file is; None if there is no home folder."""
    from zchat.client.keys import config_folder

    try:
        return config_folder() / name
    except KeyUnusable:
        return None


def _read(path: Path, forbidden: int) -> str | None:
    from zchat import keyfiles

    try:
        text = keyfiles.read(path, forbidden=forbidden)
    except KeyUnusable as error:
        raise BadConfig(str(error)) from None
    if text is not None and "\ufffd" in text:
        line = text[: text.index("\ufffd")].count("\n") + 1
        raise BadConfig(f"{path}, line {line}: this is not UTF-8: save it as that")
    return text


@contextmanager
def _locked(name: str) -> Iterator[Path]:
    """Keeps others from changing a file meanwhile.

    Raises:
        errors.BadConfig: it cannot be written.
    """
    import fcntl

    path = _path(name)
    if path is None:
        raise BadConfig("there is no home folder to keep that in: set XDG_CONFIG_HOME")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not the file itself: that is replaced.
        lock = os.open(path.with_name(f"{name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # for as long as it takes to write a small file
            yield path
        finally:
            os.close(lock)
    except OSError as error:
        raise BadConfig(f"cannot write {path}: {error.strerror or error}") from None


def _save(path: Path, text: str) -> None:
    from zchat import keyfiles

    path = path.resolve()  # it may be kept elsewhere, and linked
    new = keyfiles.written(path, text)
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def change_contexts(
    *,
    add: tuple[str, Mapping[str, Value]] | None = None,
    remove: str | None = None,
    use: str | None = None,
    use_none: bool = False,
) -> None:
    """Adds a context, removes one, names the one in use: all or nothing.

    Raises:
        errors.BadConfig: there is one of that name, or none; or the file cannot be written.
    """
    with _locked("contexts.toml") as path:
        before = contexts()
        found, used = dict(before.all), None if use_none else before.used
        if add is not None:
            name = checked_name(add[0])
            if name in found:
                raise BadConfig(f"there is a context {name} already: zchat context rm {name}, or choose another name")
            if len(found) >= MOST:
                raise BadConfig(f"there are {MOST} contexts, and no more are kept: zchat context rm NAME")
            found[name] = add[1]
        if remove is not None:
            before.get(remove)
            del found[remove]
            used = None if used == remove else used
        if use is not None:
            Contexts(all=found).get(use)
            used = use
        _save(path, _HEAD + _contexts_text(Contexts(used, found)))


def _contexts_text(said: Contexts) -> str:
    parts = [] if said.used is None else [f"use = {toml.literal(said.used)}\n"]
    for name, values in sorted(said.all.items()):
        lines = "".join(f"{key} = {toml.literal(value)}\n" for key, value in values.items())
        parts.append(f"\n[contexts.{toml.literal(name)}]\n{lines}")
    return "".join(parts)


def change_config(key: str, value: Value | None) -> bool:
    """Sets a key of the client's configuration, or takes it out; all other lines stay. Says whether it was there.

    Args:
        value: as `checked` gave it; None to take it out.

    Raises:
        errors.BadConfig: the file cannot be read or written, or says what means nothing.
    """
    if key not in SETTINGS:
        checked(key, "")
    with _locked("config.toml") as path:
        before = config()
        wanted = {**{name: old for name, old in before.items() if name != key}}
        if value is not None:
            wanted[key] = value
        text = _edited(_read(path, 0o022) or "", key, value)
        try:
            exact = toml.parsed(path, text) == wanted
        except BadConfig:
            exact = False
        if not exact:  # somebody wrote a value over several lines
            text = "".join(f"{name} = {toml.literal(one)}\n" for name, one in wanted.items())
        if wanted != before:
            _save(path, text)
        return key in before


def _edited(text: str, key: str, value: Value | None) -> str:
    lines = text.splitlines()
    number = toml.line_of(text, key)
    new = [] if value is None else [f"{key} = {toml.literal(value)}"]
    lines[number - 1 if number else len(lines) : number or len(lines)] = new
    return "".join(f"{line}\n" for line in lines)
