"""What is wrong with a file of TOML, in one line; and texts as TOML."""

from __future__ import annotations

import json
import re
from typing import Any

from zchat.errors import BadConfig


def parsed(where: object, text: str) -> dict[str, Any]:
    """What a file says.

    Args:
        where: its path, for what is said of it.

    Raises:
        errors.BadConfig: it is not TOML; the message names file, key and line.
    """
    import tomllib  # takes a while, and most have no such file

    try:
        return tomllib.loads(f"{text}\n")  # else it says no line of the last one
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadConfig(f"{where}: {_where(text, str(error))}") from None
    except ValueError:  # Python does not read a whole number of very many digits
        raise BadConfig(f"{where}: {_endless(text)}it has a number of too many digits: write a shorter one") from None


def _where(text: str, problem: str) -> str:
    """A complaint of the parser, with the key of the line that it is about."""
    found = re.search(r"at line (\d+)", problem)
    lines = text.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return f"this is not TOML: {problem}"
    key = lines[int(found[1]) - 1].partition("=")[0].strip()
    if problem.startswith("Cannot overwrite a value"):
        return f"{key}: it is there twice, again at line {found[1]}"
    return f"{key[:40]}: this is not TOML: {problem}"


def _endless(text: str) -> str:
    """The key of the number that has too many digits, if it can be told."""
    found = re.search(r"(?m)^([^=\n]*)=[^\n]*?\d[\d_]{4300}", text)
    return "" if found is None else f"{found[1].strip()[:40]}: "


def line_of(text: str, key: str, table: str | None = None) -> int:
    """The line in which a key is set; 0 if that cannot be told.

    Args:
        table: the one that it is in; None for none.
    """
    within: str | None = None
    table, head_of_key = table and _plain(table), _plain(key)
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[\s*(.*?)\s*\]", line)
        if head is not None:
            within = _plain(head[1])
        found = re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line)
        if (within == table and found is not None and found[1] == key) or (head is not None and within == head_of_key):
            return number
    return 0


def _plain(name: str) -> str:
    return re.sub(r"[\s\"']", "", name)


def literal(value: object) -> str:
    """A value as it is written in such a file."""
    return json.dumps(value, ensure_ascii=False)
