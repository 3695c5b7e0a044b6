"""Who may be called what, and what a client's send numbers are."""

from __future__ import annotations

import pytest

from zchat import errors
from zchat.broker.people import Names

ANN, BOB = b"a" * 16, b"b" * 16


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
    assert names == Names()


def test_nothing_is_kept_of_names_that_are_free_again() -> None:
    names = Names()
    for name in ("Ann", "Ian", "Мax"):
        names.take(name, ANN)
    for name in ("Ian", "Ann", "Мax"):
        names.release(name)
    assert names == Names()


def test_an_owner_is_found_however_the_name_is_written() -> None:
    names = Names()
    names.take("Zoë", ANN)
    assert names.owner("ZOE\u0308") == ("Zoë", ANN)


@pytest.mark.parametrize("name", ["bob", "", "two words", "x" * 60_000])
def test_nobody_owns_what_is_not_taken(name: str) -> None:
    with pytest.raises(errors.NoSuchPerson) as caught:
        Names().owner(name)
    assert len(str(caught.value)) < 100
