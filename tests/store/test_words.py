"""What is searched for is found, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from store.saying import LOTS, append, opened, search

from zchat.store.base import NewRoom, Query, Work
from zchat.store.sqlite import SqliteStore
from zchat.store.words import holds, phrases, words


def test_words() -> None:
    assert words("") == words("-- ?!\0") == []
    assert words("Don't PANIC_now 42") == ["don", "t", "panic", "now", "42"]
    assert words("Cafe\u0301 CAFÉ Straße ﬁn ²") == ["cafe", "cafe", "strasse", "fin", "2"]
    assert words("𞤀𞤣𞤤𞤢𞤥") == ["𞤢𞤣𞤤𞤢𞤥"]


def test_ascii_is_split_as_everything_is() -> None:
    every = "".join(map(chr, range(128)))
    assert words(every) == words(every + " é")[:-1]


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = opened(tmp_path_factory.mktemp("words") / "data")
    store.commit(Work([NewRoom("lobby")], [append(1, "something ordinary")]))
    yield store
    store.close()


OPERATORS = st.sampled_from(
    [
        '"',
        '""',
        "'",
        "*",
        "^",
        "-",
        "+",
        "(",
        ")",
        ":",
        "{",
        "}",
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "NEAR(a b, 2)",
        "text:",
        "room :",
        "\0",
        "\\",
        ";",
        "🎉",
        "é",
        "\u0301",
        "\u202e",
    ]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
INPUT = st.one_of(
    TEXT, st.lists(st.one_of(OPERATORS, TEXT), max_size=6).map(" ".join), st.integers(1, 16_384).map("w".__mul__)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=INPUT, wanted=st.lists(INPUT, max_size=4).map(tuple))
@example(text="x" * 16_384, wanted=("x" * 16_384,))
@example(text="x" * 40_000, wanted=("x" * 40_000,))
@example(text="a b c d", wanted=("a b", "c-d"))
@example(text="NOT", wanted=("NOT", "not"))
@example(text="r1 public", wanted=("r1", "public"))
def test_what_is_found_is_what_holds_it(store: SqliteStore, text: str, wanted: tuple[str, ...]) -> None:
    head = store.read("lobby", 2**62, 1, LOTS).head
    store.commit(Work([], [append(head + 1, text)]))
    for query in (wanted, (text,), tuple(text.split())):
        found = {message.seq for _, message in store.search(Query(query, limit=10_000))}
        asked = phrases(query)
        assert (head + 1 in found) == (bool(asked) and holds(text, asked))
    assert search(store, "ordinary", *wanted) == (["something ordinary"] if not phrases(wanted) else [])


def test_a_file_of_any_name_can_be_opened(tmp_path: Path) -> None:
    store = opened(tmp_path / "a ?#%é&mode=ro'")
    store.close()
