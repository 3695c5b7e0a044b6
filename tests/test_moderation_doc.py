"""docs/MODERATION.md says what the table of verbs says, and its commands print what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shown import ROOT, alike, blocks, fits, section, shell, steps
from support import World

from zchat import verbs
from zchat.verbs import Rank, Verb

PAGE = (ROOT / "docs" / "MODERATION.md").read_text()

WHO = {
    Rank.OUTSIDER: "everybody",
    Rank.MEMBER: "who may read the room",
    Rank.MODERATOR: "its moderators",
    Rank.FOUNDER: "its founder",
    Rank.STAFF: "moderators of the broker",
    Rank.OWNER: "its owners",
}


def _rows(heading: str) -> dict[str, str]:
    """Who may, by what is typed."""
    lines = [line for line in section(PAGE, heading).splitlines() if line.startswith("| `")]
    cells = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in lines]
    return {first.strip("`").replace("\\|", "|"): who for first, _, who in cells}


@pytest.mark.parametrize(
    ("heading", "before", "table"),
    [
        ("## In a room", "/", verbs.ACTS),
        ("## The whole broker", "", {name: verb for name, verb in verbs.CONSOLE.items() if name != "help"}),
    ],
)
def test_its_tables_are_those_of_the_verbs(heading: str, before: str, table: dict[str, Verb]) -> None:
    assert _rows(heading) == {f"{before}{verb.name} {verb.usage}".rstrip(): WHO[verb.rank] for verb in table.values()}


def test_words_that_are_named_exist() -> None:
    named = set(re.findall(r"`/(\w+)", PAGE))
    assert {"block", "unblock", "blocks", "bans", "pins"} < named <= set(verbs.WORDS)


def test_its_commands_print_what_it_says(world: World, tmp_path: Path) -> None:
    broker = world.broker("--curve", "--no-show-chat")
    owner = broker.wait_out(r"zchat join '(\S+)'").group(1)
    people = {name: world.person(tmp_path / name) for name in ("alice", "bob")}
    made = world.run("join", owner, "--name", "alice", env=people["alice"], stdin="/link\n").stderr
    link = next(word for word in made.split() if word.startswith("zchat://"))
    assert world.run("join", link, "--name", "bob", env=people["bob"]).returncode == 0
    for step in (step for block in blocks(PAGE, "console") for step in steps(block)):
        env = people[step.who]
        printed = alike(shell(f"{step.command} 2>&1", env, env["HOME"], check=False).stdout)
        assert fits(printed, step.shown), (step, printed)
