"""The line that somebody is typing in bash: its words so far, and how one is written there. Pure.

bash hands over the line as it stands, quotes and all, and inserts what it gets back as it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SAFE = re.compile(r"[\w%+,./:=@-]")
"""What means nothing to bash, wherever in a word it is."""

_PREFIXES = "$@"
"""Where readline has a word begin with what it breaks at: `rl_special_prefixes`."""


class Typed(NamedTuple):
    """A line up to the cursor.

    Attributes:
        words: before the one that is being typed, as bash will see them.
        current: what there is of that one.
        kept: what of it stays as it is: bash puts the new word after it.
        quote: the quote that is open; empty if none is.
        usable: whether a word can be put there: not after $ or in the midst of quotes that were closed.
        files: whether it names a file, to be read or written.
    """

    words: list[str]
    current: str
    kept: str
    quote: str
    usable: bool
    files: bool

    def quoted(self, word: str) -> str | None:
        """A word as bash is to insert it; None if it cannot be written there, or does not go on with what is."""
        if not word.startswith(self.kept):
            return None
        rest = word[len(self.kept) :]
        if self.quote == "'":
            return None if "'" in rest else rest
        if self.quote:
            return None if "!" in rest else re.sub(r'([\\$`"])', r"\\\1", rest)
        return "".join(c if _SAFE.fullmatch(c) else f"\\{c}" for c in rest)


def read(line: str, breaks: str) -> Typed:
    """Reads a line.

    Args:
        line: from the name of the command up to the cursor.
        breaks: at which characters readline begins a new word, where they are not quoted: `COMP_WORDBREAKS`.
    """
    words: list[str] = []
    current, kept, quote = "", "", ""
    begun, usable, files = False, True, False
    rest = iter(line)
    for c in rest:
        if quote:
            if c == quote:
                quote, usable = "", False
            elif c == "\\" and quote == '"':
                following = next(rest, "")
                current += following if following in '$`"\\' else f"\\{following}"
            else:
                usable = usable and not (quote == '"' and c in "$`")
                current += c
        elif c in " \t\n|&;()<>":
            if begun and not files and not (c in "<>" and current.isdigit()):
                words.append(current)
            if begun or c in "|&;()<>":
                files = c in "<>"
            if c in "|&;()":
                words.clear()
            current, kept, begun, usable = "", "", False, True
        else:
            begun = True
            if c in "'\"":
                quote, kept = c, current
            elif c == "\\":
                current += next(rest, "")
            else:
                usable = usable and c not in "$`"
                if c in breaks:
                    kept = current if c in _PREFIXES else current + c
                current += c
    return Typed(words, current, kept, quote, usable, files)


def bare(word: str) -> str:
    """What there is of a word as fish has it, without its quotes."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)['\"]", "", word))
