"""Who may be called what, and who was here when."""

from __future__ import annotations

import pytest

from zchat import errors
from zchat.broker.inputs import Now
from zchat.broker.people import DAY_MS, LAZY, RESERVED_DAYS, Names, Seen
from zchat.broker.settings import Settings
from zchat.broker.turn import Turn
from zchat.names import same
from zchat.store.base import KnownName, Work

ANN, BOB = b"a" * 16, b"b" * 16
START = 1_700_000_000_000


class Town:
    """Names, and a turn that may be ended."""

    def __init__(self, *known: KnownName, forgotten: int | None = None, **settings: int) -> None:
        self.turn = Turn(Settings(**settings))  # type: ignore[arg-type]
        self.ms = START
        self.turn.begin(Now(0.0, self.ms))
        self.names = Names(self.turn, known, forgotten)

    def passes(self, days: float = 0, seconds: float = 0.0, *, works: bool = True) -> Work:
        """Ends the turn; gives what the store was asked for."""
        self.names.save(at_once=False)
        work = self.turn.work
        if works:
            self.names.saved()
        else:
            self.names.failed()
        self.turn.take()
        self.ms += int(days * DAY_MS)
        self.turn.begin(Now(self.turn.now.clock + seconds, self.ms))
        return work


def test_a_name_is_one_persons_also_while_that_one_is_away() -> None:
    names = Town().names
    assert names.take("Ann", ANN) == "Ann"
    for _ in range(2):
        for wanted in ("Ann", "ANN"):
            with pytest.raises(errors.NameTaken, match="Ann is taken"):
                names.take(wanted, BOB)
        names.release("Ann")
        assert names.take("ANN", ANN) == "Ann"  # as it was first written


def test_a_person_may_have_a_name_several_times() -> None:
    town = Town()
    for _ in range(2):
        town.names.take("Ann", ANN)
    town.names.release("Ann")
    assert town.names.seen("", 9)[0] == [Seen("Ann", 0)]
    town.names.release("Ann")
    assert town.names.seen("", 9)[0] == [Seen("Ann", START)]


def test_what_looks_like_a_name_belongs_to_its_person_also_while_that_one_is_away() -> None:
    names = Town(KnownName(same("Мax"), "Мax", ANN)).names
    names.take("Ian", ANN)
    names.release("Ian")
    for lookalike in ("lan", "1an", "Max"):
        with pytest.raises(errors.NameTaken, match="looks like"):
            names.take(lookalike, BOB)
    assert names.take("lan", ANN) == "lan"


def test_a_name_that_is_none_is_nobodys() -> None:
    names = Town().names
    for wanted in ("", "two words", "operator", "0perator", "x" * 33, "a\x1b[2J", "a\nb"):
        with pytest.raises(errors.NameInvalid):
            names.take(wanted, ANN)
    assert len(names) == 0


def test_a_name_that_was_given_up_gets_free_after_a_while() -> None:
    town = Town()
    town.names.take("Ann", ANN)
    town.names.release("Ann", given_up=True)
    town.passes(days=RESERVED_DAYS - 1)
    with pytest.raises(errors.NameTaken):
        town.names.take("Ann", BOB)
    town.passes(days=1)
    assert town.names.take("ann", BOB) == "ann"
    assert town.names.owner("Ann") == ("ann", BOB)


def test_who_had_a_name_before_may_take_it_again() -> None:
    town = Town()
    town.names.take("Ann", ANN)
    town.names.release("Ann", given_up=True)
    town.passes(days=RESERVED_DAYS - 1)
    town.names.take("Ann", ANN)
    town.names.release("Ann")
    town.passes(days=1000)
    with pytest.raises(errors.NameTaken):
        town.names.take("Ann", BOB)


def test_who_is_let_out_loses_all_names_in_a_while() -> None:
    town = Town()
    for name in ("Ann", "Cat"):
        town.names.take(name, ANN)
        town.names.release(name)
    town.names.give_up(ANN)
    town.passes(days=RESERVED_DAYS)
    for name in ("Ann", "Cat"):
        town.names.take(name, BOB)


def test_where_anybody_can_be_anyone_who_does_not_come_any_more_is_forgotten() -> None:
    town = Town(forgotten=30)
    town.names.take("Ann", ANN)
    town.names.release("Ann")
    town.passes(days=29)
    with pytest.raises(errors.NameTaken):
        town.names.take("Ann", BOB)
    town.passes(days=1)
    town.names.take("Ann", BOB)


def test_whose_name_gets_free_while_it_is_in_use_is_here_still() -> None:
    town = Town(forgotten=30)
    town.names.take("Ann", ANN)
    town.passes(days=400)
    with pytest.raises(errors.NameTaken):
        town.names.take("Ann", BOB)


def test_a_person_has_so_many_names_and_no_more() -> None:
    names = Town(max_names_person=2).names
    for name in ("Ann", "Cat"):
        names.take(name, ANN)
        names.release(name, given_up=True)
    with pytest.raises(errors.LimitReached, match="as many names"):
        names.take("Dan", ANN)
    assert names.take("ann", ANN) == "Ann"
    assert names.take("Dan", BOB) == "Dan"


def test_an_owner_is_found_however_the_name_is_written() -> None:
    names = Town(KnownName(same("Zoë"), "Zoë", ANN)).names
    assert names.owner("ZOE\u0308") == ("Zoë", ANN)
    assert names.called(ANN) == "Zoë"
    assert names.called(BOB) == ""


def test_a_person_is_called_by_the_name_that_is_still_theirs() -> None:
    names = Town(KnownName("old", "old", ANN, START + 1, START + 9), KnownName("new", "new", ANN, 0, START)).names
    assert names.called(ANN) == "new"


def test_new_names_are_kept_at_once_and_who_was_seen_when_a_little_later() -> None:
    town = Town()
    town.names.take("Ann", ANN)
    assert town.passes().names == [KnownName("ann", "Ann", ANN, 0, START)]
    town.names.release("Ann")
    assert not town.passes().names
    assert town.names.due() <= LAZY
    town.turn.clock += LAZY
    assert town.passes().names == [KnownName("ann", "Ann", ANN, 0, START)]
    assert town.names.due() == float("inf")


def test_what_could_not_be_kept_is_kept_later() -> None:
    town = Town()
    town.names.take("Ann", ANN)
    assert town.passes(works=False).names
    town.turn.clock += LAZY
    assert town.passes().names == [KnownName("ann", "Ann", ANN, 0, START)]


def test_of_many_the_oldest_are_forgotten_but_nobody_who_is_here() -> None:
    town = Town(KnownName("ann", "Ann", ANN), KnownName("bob", "Bob", BOB), max_names=2)
    town.names.take("Ann", ANN)
    town.names.take("cat", ANN)
    with pytest.raises(errors.NoSuchPerson):
        town.names.owner("bob")
    assert town.names.owner("ann") == ("Ann", ANN)
    work = town.passes()
    assert work.freed == ["bob"]
    assert {one.key for one in work.names} == {"ann", "cat"}
    with pytest.raises(errors.LimitReached, match="as many names as the broker"):
        town.names.take("dan", BOB)  # all are here


def test_a_forgotten_name_looks_like_none() -> None:
    town = Town(KnownName("ian", "Ian", ANN), max_names=1)
    with pytest.raises(errors.NameTaken):
        town.names.take("lan", BOB)
    town.names.take("other", BOB)
    town.names.release("other")
    assert town.names.take("lan", BOB) == "lan"


def test_who_was_here_is_told_in_order_and_in_pages() -> None:
    names = Town(*(KnownName(name, name, ANN, 0, START - 5) for name in ("dan", "ann", "cat"))).names
    names.take("bob", BOB)
    assert names.seen("", 2) == ([Seen("ann", START - 5), Seen("bob", 0)], True)
    assert names.seen("bob", 2) == ([Seen("cat", START - 5), Seen("dan", START - 5)], False)
    names.release("bob", given_up=True)
    assert [one.name for one in names.seen("", 9)[0]] == ["ann", "cat", "dan"]


@pytest.mark.parametrize("name", ["bob", "", "two words", "x" * 60_000])
def test_nobody_owns_what_was_never_taken(name: str) -> None:
    with pytest.raises(errors.NoSuchPerson) as caught:
        Town().names.owner(name)
    assert len(str(caught.value)) < 100
