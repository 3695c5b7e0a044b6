"""Names that look like somebody else's."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from random import Random

UNLISTED = {"\u2502": "l"}
"""What looks alike though the data does not say so: what NFKC makes of U+FFE8, which it has look like l."""

VICTIMS = ["alice", "paypal", "boris", "scope", "corn", "Ian", "lola", "xerox", "Дарья", "op3rator"]
"""Whose names are imitated."""


def lookalikes(char: str) -> list[str]:
    """What looks like a character, by the data of UTS #39 itself, and its other cases and widths."""
    from confusable_homoglyphs.confusables import confusables_data

    found = [other["c"].replace("\u200e", "") for other in confusables_data.get(char, [])]
    # The data lists each character next to its prototype: what looks like the same prototype looks alike too.
    for prototype in list(found):
        if len(prototype) == 1:
            found += [other["c"].replace("\u200e", "") for other in confusables_data.get(prototype, [])]
    found += [one for one, other in UNLISTED.items() if other == char]
    found += [char.upper(), char.lower(), chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char]
    return [one for one in dict.fromkeys(found) if one and one != char]


def confusables(random: Random, names: list[str]) -> Iterator[str]:
    """Names that look like these, without end; some of them are no names at all."""
    alike = {char: lookalikes(char) for name in names for char in name}
    while True:
        name = random.choice(names)
        chars = list(name)
        for at in random.sample(range(len(chars)), random.randint(1, len(chars))):
            if alike[chars[at]]:
                chars[at] = random.choice(alike[chars[at]])
        made = "".join(chars)
        match random.randrange(12):
            case 0:
                made = made.replace("m", "rn")
            case 1:
                made = made.replace("rn", "m")
            case 2:
                made = unicodedata.normalize("NFD", made)
            case 3:
                at = random.randrange(len(made) + 1)
                made = made[:at] + random.choice("\u200c\u200d\u00ad\u200b\ufe0f") + made[at:]
            case 4:
                made = random.choice((f" {made}", f"{made} ", f"\u00a0{made}"))
            case _:
                pass
        if made != name:
            yield made


def passes_for(shown: str, names: list[str]) -> bool:
    """Whether a name looks like one of these as it is shown, each character by itself.

    What was asked for may be normalised into something else: `ϲ` looks like `c`, but is shown as `ς`.
    """
    for name in names:
        for spelled in (name, name.replace("rn", "m"), name.replace("m", "rn")):
            if len(spelled) == len(shown) and all(
                mine.casefold() == theirs.casefold()
                or mine in lookalikes(theirs)
                or mine.casefold() in lookalikes(theirs)
                for mine, theirs in zip(shown, spelled, strict=True)
            ):
                return True
    return False
