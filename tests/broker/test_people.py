"""Who may be called what, and what a client's send numbers are."""

from __future__ import annotations

import pytest

from zchat import errors
from zchat.broker.people import Names
from zchat.store.base import KnownName

ANN, BOB = b"a" * 16, b"b" * 16


def nobody_has_a_name(names: Names) -> bool:
    return not names._held and not names._by_look


def test_a_name_is_one_persons() -> None:
    names = Names()
    assert names.take("Ann", ANN) == "Ann"
    with pytest.raises(errors.NameTaken, match="Ann is taken"):
        names.take("Ann", BOB)
    with pytest.raises(errors.NameTaken, match="Ann is taken"):
        names.take("ANN", BOB)


def test_a_person_may_have_a_name_several_times_as_it_was_first_written() -> None:
    names = Names()
    assert names.take("Ann", ANN) == "Ann"
    assert names.take("ANN", ANN) == "Ann"
    names.release("Ann")
    with pytest.raises(errors.NameTaken):
        names.take("Ann", BOB)
    names.release("Ann")
    assert names.take("Ann", BOB) == "Ann"


def test_what_looks_like_a_name_belongs_to_its_person() -> None:
    names = Names()
    names.take("Ian", ANN)
    for lookalike in ("lan", "1an"):
        with pytest.raises(errors.NameTaken, match="looks like"):
            names.take(lookalike, BOB)
    assert names.take("lan", ANN) == "lan"
    names.release("Ian")
    with pytest.raises(errors.NameTaken, match="looks like"):
        names.take("Ian", BOB)
    names.release("lan")
    assert names.take("Ian", BOB) == "Ian"


def test_a_name_that_is_none_is_nobodys() -> None:
    names = Names()
    for wanted in ("", "two words", "operator", "0perator", "x" * 33, "a\x1b[2J", "a\nb"):
        with pytest.raises(errors.NameInvalid):
            names.take(wanted, ANN)
    assert nobody_has_a_name(names)


def test_nothing_is_kept_of_names_that_are_free_again() -> None:
    names = Names()
    for name in ("Ann", "Ian", "Мax"):
        names.take(name, ANN)
    for name in ("Ian", "Ann", "Мax"):
        names.release(name)
    assert nobody_has_a_name(names)


def test_an_owner_is_found_however_the_name_is_written() -> None:
    names = Names()
    names.take("Zoë", ANN)
    assert names.owner("ZOE\u0308") == ("Zoë", ANN)


def test_who_had_a_name_last_owns_it_while_nobody_has_it() -> None:
    names = Names()
    names.take("Ann", ANN)
    names.release("Ann")
    assert names.owner("ANN") == ("Ann", ANN)
    names.take("ann", BOB)
    assert names.owner("Ann") == ("ann", BOB)
    names.release("ann")
    assert names.owner("Ann") == ("ann", BOB)


def test_who_went_by_a_name_is_known_from_before() -> None:
    names = Names([KnownName("ann", "Ann", ANN)])
    assert names.owner("ann") == ("Ann", ANN)
    assert names.unsaved == {}
    assert names.take("Ann", BOB) == "Ann"  # that it was another's once locks nobody out
    assert names.unsaved == {"ann": KnownName("ann", "Ann", BOB)}


def test_what_is_known_already_is_not_saved_again() -> None:
    names = Names()
    names.take("Ann", ANN)
    assert names.unsaved == {"ann": KnownName("ann", "Ann", ANN)}
    names.unsaved.clear()
    names.release("Ann")
    names.take("Ann", ANN)
    names.take("ANN", ANN)
    assert names.unsaved == {}
    names.release("Ann")
    names.release("Ann")
    names.take("ANN", ANN)  # it is written otherwise now
    assert names.unsaved == {"ann": KnownName("ann", "ANN", ANN)}


def test_of_many_the_oldest_are_forgotten() -> None:
    names = Names([KnownName("ann", "Ann", ANN), KnownName("bob", "Bob", BOB)], keep=2)
    names.take("cat", ANN)
    with pytest.raises(errors.NoSuchPerson):
        names.owner("ann")
    assert names.owner("bob") == ("Bob", BOB)
    names.release("cat")
    names.take("bob", ANN)
    names.take("dan", BOB)
    with pytest.raises(errors.NoSuchPerson):
        names.owner("cat")
    assert names.owner("bob") == ("bob", ANN)


def test_who_is_here_is_found_however_many_were() -> None:
    names = Names(keep=1)
    names.take("ann", ANN)
    names.take("bob", BOB)
    assert names.owner("ann") == ("ann", ANN)


@pytest.mark.parametrize("name", ["bob", "", "two words", "x" * 60_000])
def test_nobody_owns_what_was_never_taken(name: str) -> None:
    with pytest.raises(errors.NoSuchPerson) as caught:
        Names().owner(name)
    assert len(str(caught.value)) < 100
