"""What a person or a room may be called."""

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from time import perf_counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from zchat.errors import NameInvalid
from zchat.names import PERSON_MAX, RESERVED, ROOM_MAX, looks, person, room, same
from zchat.text import printable

# Any str, lone surrogates included, with what normalises, folds or deceives more often than chance has it.
CURIOUS = "aIlmrn01|OАаІіӀмΗΙΣσςıİßẞﬀﷺ①Ａ＃＠㎏ǅÅ\u212bµ´¨ŉ ῼᾳͅ가ᄀ\u3000\xa0#/@,:*?["
CURIOUS += "\u0301\u0338\u200c\u200d\u094d\ud800\udfff"
hostile = st.text(st.one_of(st.sampled_from(CURIOUS), st.characters(codec=None)), max_size=40)
likely = st.text(st.characters(categories=["L", "N", "S", "Mn"], codec="utf-8") | st.sampled_from(CURIOUS), max_size=5)


def fits(rule: Callable[[str], str], name: str) -> bool:
    try:
        rule(name)
    except NameInvalid:
        return False
    return True


def clash(one: str, other: str) -> bool:
    return not looks(person(one)).isdisjoint(looks(person(other)))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Ann", "Ann"),
        (" Ann ", "Ann"),  # RFC 8266 strips
        ("Ａnn", "Ann"),  # NFKC
        ("Zoe\u0308", "Zoë"),
        ("Дарья", "Дарья"),
        ("名前", "名前"),
        ("ශ\u0dca\u200dරී", "ශ\u0dca\u200dරී"),  # a joiner where the script needs one (RFC 5892 A.2)
        ("O'Neil-2_x.y", "O'Neil-2_x.y"),
        ("x" * PERSON_MAX, "x" * PERSON_MAX),
        ("o\u0302\u0323" * PERSON_MAX, "ộ" * PERSON_MAX),  # counted once normalised
    ],
)
def test_a_person_is_shown_as_typed_but_normalised(typed: str, shown: str) -> None:
    assert person(typed) == shown


UNFIT = {
    "empty": ("", "at least one"),
    "only spaces": ("  ", "at least one"),
    "only spaces after normalisation": ("\u3000", "at least one"),
    "space": ("a b", "no spaces"),
    "ideographic space": ("a\u3000b", "no spaces"),
    "braille blank": ("a\u2800", "no spaces"),
    "wildcard": ("a*", r"no \*"),
    "full-width wildcard": ("a＊", r"no \*"),
    "path": ("../a", "no /"),
    "newline": ("a\nroot", r"U\+000A"),
    "escape": ("a\x1b[2J", r"U\+001B"),
    "bidi": ("a\u202eb", r"U\+202E"),
    "zero width": ("a\u200bb", r"U\+200B"),
    "joiner": ("ad\u200dam", r"U\+200D"),
    "invisible letter": ("\u3164", r"U\+1160"),
    "tag": ("a\U000e0041", r"U\+E0041"),
    "private use": ("\ue000", r"U\+E000"),
    "unassigned": ("a\u0378", r"U\+0378"),
    "lone surrogate": ("a\ud800", r"U\+D800"),
    "leading mark": ("\u0301a", "combining mark"),
    "flood of marks": ("a" + "\u0316" * 9, r"U\+0316"),
}


@pytest.mark.parametrize(("name", "detail"), UNFIT.values(), ids=UNFIT.keys())
def test_what_cannot_be_read_or_typed_is_no_name(name: str, detail: str) -> None:
    with pytest.raises(NameInvalid, match=detail):
        person(name)
    with pytest.raises(NameInvalid, match=detail):
        room(name)


@pytest.mark.parametrize("c", "/@#,:*?[")
def test_what_the_commands_and_wildcards_need_is_in_no_name(c: str) -> None:
    with pytest.raises(NameInvalid):
        person(f"a{c}")
    with pytest.raises(NameInvalid):
        room(f"a{c}")


@pytest.mark.parametrize(
    "name",
    [
        *sorted(RESERVED),
        *map(str.upper, sorted(RESERVED)),
        *map(str.title, sorted(RESERVED)),
        "аdmin",  # Cyrillic а
        "adrnin",
        "adm1n",
        "ADMlN",
        "аdміn",  # Cyrillic small м, an M only in capitals
        "systern",
        "brοker",  # Greek omicron
        "0perator",
        "ѕеrvеr",  # Cyrillic ѕ and е
        "ａｄｍｉｎ",
        "𝐚𝐝𝐦𝐢𝐧",
        "ⓐⓓⓜⓘⓝ",
    ],
)
def test_nobody_can_pass_for_the_broker(name: str) -> None:
    with pytest.raises(NameInvalid, match="kept for zchat"):
        person(name)


@pytest.mark.parametrize("name", ["adam", "administrator", "serverless", "brokers", "sys", "Nadmin"])
def test_what_only_contains_a_reserved_word_is_free(name: str) -> None:
    assert person(name) == name


def test_length_is_counted_in_characters_and_looked_at_first() -> None:
    with pytest.raises(NameInvalid, match="1 to 32"):
        person("x" * (PERSON_MAX + 1))
    with pytest.raises(NameInvalid, match="1 to 64"):
        room("#" + "x" * (ROOM_MAX + 1))
    assert room("#" + "x" * ROOM_MAX) == "x" * ROOM_MAX
    began = perf_counter()
    for _ in range(100):
        with pytest.raises(NameInvalid, match="at most"):
            person("\u0302" * 60_000)
        with pytest.raises(NameInvalid, match="at most"):
            room("\u0302" * 60_000)
    assert perf_counter() - began < 1  # normalised, each of the 200 would take longer than 20 ms


@pytest.mark.parametrize("name", ["lobby", "#lobby", "Lobby", "#LOBBY", " #lobby ", "＃lobby", "ｌobby"])
def test_one_room_has_one_name(name: str) -> None:
    assert room(name) == "lobby"


@pytest.mark.parametrize("name", ["#", "##lobby", "# lobby", "#\u0301", "lob#by"])
def test_only_one_leading_hash_is_ignored(name: str) -> None:
    with pytest.raises(NameInvalid):
        room(name)


def test_a_room_may_be_called_what_a_person_may_not() -> None:
    assert room("#admin") == "admin"


def test_same_ignores_case_and_form() -> None:
    assert same("Ann") == same("ANN") == same("ａnn")
    assert same("Zoë") == same("ZOE\u0308")
    assert same("Ann") != same("Anne")
    assert same("Ian") != same("lan")  # looks alike, yet is another's


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ian", "lan"),
        ("Ian", "ian"),
        ("ALICE", "аlice"),  # Cyrillic а
        ("ALICE", "alice"),
        ("paypal", "paypa1"),
        ("modern", "modem"),
        ("Max", "Мax"),  # Cyrillic М
        ("max", "Мax"),
        ("hi", "ΗІ"),  # Greek Η, Cyrillic І
        ("Ηλία", "ηλίa"),  # Latin a
        ("B0b", "BOB"),
        ("bill", "biII"),
        ("o'neil", "ơneil"),
        ("ශ\u0dca\u200dරී", "ශ\u0dcaරී"),
    ],
)
def test_look_alikes_clash(one: str, other: str) -> None:
    assert clash(one, other)


@pytest.mark.parametrize(("one", "other"), [("ian", "lan"), ("kai", "kal"), ("ann", "anne"), ("Zoe", "Zoë")])
def test_names_that_differ_to_the_eye_do_not(one: str, other: str) -> None:
    assert not clash(one, other)


def test_every_character_and_its_prototype_look_the_same() -> None:
    from confusable_homoglyphs.confusables import confusables_data

    def comparable(text: str) -> bool:  # in normal form; a longer text than one character is never a source
        return len(text) == 1 and unicodedata.is_normalized("NFC", text)

    pairs = [
        (c.replace("\u200e", ""), other["c"].replace("\u200e", ""))
        for c, others in confusables_data.items()
        for other in others
    ]
    assert len(pairs) > 12_000
    for one, other in pairs:
        if comparable(one) and (len(other) > 1 or comparable(other)):
            assert not looks(one).isdisjoint(looks(other)), (one, other)


def test_prototypes_do_not_depend_on_the_hash_seed() -> None:
    script = (
        "from zchat.names import _prototypes as p; import zlib; print(zlib.crc32(repr(sorted(p().items())).encode()))"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(prints) == 1


def test_importing_names_loads_no_tables() -> None:
    script = "import sys, zchat.names; print({'precis_i18n', 'confusable_homoglyphs', 'wcwidth'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "set()"


@given(hostile)
@example("x" * 60_000)
def test_hostile_names_are_refused_in_one_way(name: str) -> None:
    for rule in (person, room, same):
        try:
            rule(name)
        except NameInvalid as e:
            detail = str(e)
            assert printable(detail) == detail
            assert not detail.endswith("."), "one clause, as all errors are"
    looks(name)


@given(st.one_of(hostile, likely).filter(lambda name: fits(person, name)))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_a_persons_name_is_stable_short_and_printable(name: str) -> None:
    shown = person(name)
    assert person(shown) == shown
    assert 1 <= len(shown) <= PERSON_MAX
    assert printable(shown) == shown
    assert not any(c.isspace() for c in shown)
    assert same(shown) == same(same(shown))
    assert not looks(shown).isdisjoint(looks(same(shown)))


@given(st.one_of(hostile, likely).filter(lambda name: fits(room, name)))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_a_rooms_name_is_stable_short_and_printable(name: str) -> None:
    canonical = room(name)
    assert room(canonical) == canonical
    assert room("#" + canonical) == canonical
    assert 1 <= len(canonical) <= ROOM_MAX
    assert printable(canonical) == canonical
