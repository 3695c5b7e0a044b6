"""The table of everything that is typed."""

from __future__ import annotations

from zchat import verbs
from zchat.verbs import Kind, Rank


def test_every_verb_has_a_handler_in_the_chat() -> None:
    from zchat.cli.words import HANDLERS

    assert set(HANDLERS) == set(verbs.WORDS)


def test_all_tables_agree_on_their_keys_and_arguments() -> None:
    for table in (verbs.WORDS, verbs.ACTS, verbs.ADMIN, verbs.LISTS, verbs.CONSOLE):
        for name, verb in table.items():
            assert name == verb.name
            places = [arg for arg in verb.args if not arg.option]
            whole = [arg for arg in places if arg.kind in (Kind.TEXT, Kind.REASON, Kind.WORDS)]
            assert whole in ([], places[-1:]), "what is the rest of the line comes last"
    assert set(verbs.ACTS) < set(verbs.WORDS)
    assert all(verb.rank > Rank.MEMBER for name, verb in verbs.CONSOLE.items() if name != "help")
