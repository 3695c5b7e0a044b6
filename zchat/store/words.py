"""What of a text can be searched for. Pure: the same for every store and for what is looked for."""

from __future__ import annotations

import re
import unicodedata

VERSION = f"1/{unicodedata.unidata_version}"
"""Changes whenever a text may give other words than before: what was indexed must then be indexed anew."""

_ASCII = re.compile(r"[a-z0-9]+")
_ANY = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The runs of letters and digits in a text, in order, without case and accents."""
    if text.isascii():
        return _ASCII.findall(text.lower())
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return _ANY.findall(plain.casefold())


def phrases(wanted: tuple[str, ...]) -> list[list[str]]:
    """What is looked for: of each wanted word its runs, which must stand together. What has none is left out."""
    return [runs for word in wanted if (runs := words(word))]


def holds(text: str, wanted: list[list[str]]) -> bool:
    """Whether a text holds all of these phrases."""
    found = words(text)
    return all(_together(phrase, found) for phrase in wanted)


def _together(phrase: list[str], found: list[str]) -> bool:
    size = len(phrase)
    return any(found[start : start + size] == phrase for start in range(len(found) - size + 1))
