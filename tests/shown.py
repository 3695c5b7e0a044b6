"""What the documents show: commands and their output, and whether that is what comes if they are run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

LINK = re.compile(r"zchat://[^\s']+")

_ALIKE = [
    (re.compile(r"tcp://127\.0\.0\.1:\d+"), "tcp://127.0.0.1:5555"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "2026-11-21T10:00:00.123Z"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-11-21 10:00:00"),
    (re.compile(r"\d{8}T\d{6}Z"), "20261121T100000Z"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "10:00:00"),
    (re.compile(r"^[a-z2-7]{16}\t", re.MULTILINE), "aueb4yplz4q7a5ir\t"),
]


class Step(NamedTuple):
    """A command of a block.

    Attributes:
        who: what stands before the $ of its prompt.
        command: the rest of the line.
        shown: the lines after it.
    """

    who: str
    command: str
    shown: list[str]


def alike(text: str) -> list[str]:
    """The lines of an output, with what differs from run to run made the same."""
    for pattern, shown in _ALIKE:
        text = pattern.sub(shown, text)
    return text.rstrip("\n").split("\n") if text.strip() else []


def section(page: str, heading: str) -> str:
    """A section of a document, down to the next heading of that level; an empty heading is what comes before all."""
    return (page if not heading else page.split(f"\n{heading}\n", 1)[1]).split("\n## ", 1)[0]


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def steps(block: str) -> list[Step]:
    """The commands of a console block, and the lines that are shown after each."""
    found: list[Step] = []
    for line in block.splitlines():
        prompt = re.match(r"(\w*)\$ (.*)", line)
        if prompt:
            found.append(Step(prompt[1], prompt[2], []))
        else:
            found[-1].shown.append(line)
    return found


def fits(printed: list[str], shown: list[str]) -> bool:
    """Whether lines are those that are shown: … stands for something, in a line of its own for any lines."""
    wanted = "".join(
        r"(?:.*\n)*?" if line == "…" else ".+".join(map(re.escape, line.rstrip().split("…"))) + "\n" for line in shown
    )
    return re.fullmatch(wanted, "".join(f"{line.rstrip()}\n" for line in printed)) is not None


def shell(command: str, env: Mapping[str, str], folder: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command in a shell whose `zchat` is ours."""
    programs = str(Path(sys.executable).parent)
    return subprocess.run(
        ["sh", "-c", command],
        env={**env, "PATH": f"{programs}:{env['PATH']}"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=45,
        check=check,
    )
