"""What an operator says about who may come in, and how connections are kept from prying eyes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in.

    Attributes:
        curve: whether connections are encrypted, and whoever comes has a key.
        keys: the folder of the broker's own key; None where none is needed.
        admission: who is let in: `invite`, `known` or `open`; None without keys.
        authorized: the file that names keys that are let in in any case; None for none.
        advertise: the host that links name; None for this one's own name.
    """

    curve: bool = False
    keys: Path | None = None
    admission: str | None = None
    authorized: Path | None = None
    advertise: str | None = None
