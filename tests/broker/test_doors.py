"""The records of who belongs where, who is kept out or silent, and on which terms: kept, undone, and bounded."""

from __future__ import annotations

import pytest

from zchat import errors
from zchat.broker.doors import BAN, EVERYWHERE, MUTE, Doors
from zchat.broker.inputs import Now
from zchat.broker.settings import Settings
from zchat.broker.turn import Turn
from zchat.store.base import Block, Membership, Record, Sanction, Terms, identity

ANN, BOB, EVE = (letter * 16 for letter in (b"a", b"b", b"e"))


class Kept:
    """Doors, and a store that does as it is told.

    Attributes:
        records: what is kept.
    """

    def __init__(self, *records: Record, **settings: int) -> None:
        self.turn = Turn(Settings(**settings))  # type: ignore[arg-type]
        self.records = {identity(one): one for one in records}
        self.doors = Doors(self.turn, records)
        self.clock = 0.0
        self.begins()

    def begins(self, after: float = 0.0) -> None:
        """The next turn begins."""
        for _ in range(int(after) + 1):
            self.clock += min(after, 1.0)
            after -= 1.0
            self.turn.begin(Now(self.clock, 1000 + int(self.clock * 1000)))

    def is_kept(self) -> Doors:
        """The turn is over; gives what a restart would make of it."""
        work = self.turn.work
        self.records |= {identity(one): one for one in work.records}
        for one in work.dropped:
            self.records.pop(identity(one), None)
        self.turn.kept()
        self.turn.take()
        return Doors(self.turn, self.records.values())

    def is_lost(self) -> None:
        """The turn is over, and nothing of it is kept."""
        self.turn.lost()
        self.turn.take()


def everything(doors: Doors) -> list[object]:
    """All that doors know."""
    return [
        {room: dict(doors.members(room)) for room in ("den", "@x")},
        {room: list(doors.sanctions(room)) for room in ("den", EVERYWHERE)},
        {room: doors.terms(room) for room in ("den", "@x")},
        {person: doors.blocks(person) for person in (ANN, BOB, EVE)},
    ]


def changes(doors: Doors) -> None:
    """Some of everything."""
    doors.admit("den", BOB, "moderator")
    doors.admit("den", ANN, "member")
    doors.dismiss("den", EVE)
    doors.dismiss("@x", EVE)
    doors.sanction("den", BOB, BAN, "bob", 0, "ann", "why")
    doors.sanction("den", BOB, MUTE, "bob", 9, "ann", "")
    doors.lift("den", EVE, MUTE)
    doors.sanction(EVERYWHERE, EVE, BAN, "eve", 0, "operator", "")
    doors.change("den", topic="tea", topic_by="ann")
    doors.change("den", slow=5)
    doors.block(ANN, BOB)
    doors.unblock(EVE, ANN)


BEFORE: list[Record] = [
    Membership("den", ANN, "moderator", 5),
    Membership("den", EVE, "member", 6),
    Sanction("den", EVE, MUTE, "eve", 0, "ann", 7, ""),
    Terms("den", topic="old", pins=(1, 2)),
    Block(EVE, ANN),
]


def test_what_is_kept_is_so_after_a_restart() -> None:
    kept = Kept(*BEFORE)
    changes(kept.doors)
    now = everything(kept.doors)
    assert everything(kept.is_kept()) == now == everything(kept.doors)
    assert kept.doors.terms("den") == Terms("den", topic="tea", topic_by="ann", slow=5, pins=(1, 2))
    assert kept.doors.members("den")[ANN] == Membership("den", ANN, "member", 5), "since when is remembered"


def test_what_could_not_be_kept_is_undone_wholly() -> None:
    kept = Kept(*BEFORE)
    before = everything(kept.doors)
    changes(kept.doors)
    assert everything(kept.doors) != before
    kept.is_lost()
    assert everything(kept.doors) == before
    assert everything(kept.is_kept()) == before
    assert not kept.doors.guarded("@x")
    assert not kept.doors._sanctions.keys() - {"den"}


def test_what_is_undone_and_done_again_in_one_turn_is_kept() -> None:
    kept = Kept(*BEFORE)
    kept.doors.lift("den", EVE, MUTE)
    kept.doors.sanction("den", EVE, MUTE, "eve", 0, "bob", "again")
    kept.doors.dismiss("den", ANN)
    kept.doors.admit("den", ANN, "member")
    kept.doors.admit("den", BOB, "member")
    kept.doors.dismiss("den", BOB)
    assert everything(kept.is_kept()) == everything(kept.doors)
    assert list(kept.doors.members("den")) == [EVE, ANN]


def test_sanctions_end() -> None:
    kept = Kept()
    kept.doors.sanction("den", BOB, BAN, "bob", 5, "ann", "")
    kept.doors.sanction("den", BOB, MUTE, "bob", 0, "ann", "")
    assert kept.doors.guarded("den")
    kept.begins(after=4)
    assert kept.doors.sanctioned("den", BOB, BAN) is not None
    kept.begins(after=1)
    assert kept.doors.sanctioned("den", BOB, BAN) is None
    assert [one.verb for one in kept.doors.sanctions("den")] == [MUTE]
    assert kept.doors.sanctioned("den", EVE, MUTE) is None
    with pytest.raises(errors.NoSuchPerson):
        kept.doors.lift("den", EVE, MUTE)


def test_sanctions_are_bounded_and_those_that_ended_make_room() -> None:
    kept = Kept(max_sanctions=2)
    kept.doors.sanction("den", ANN, BAN, "ann", 1, "x", "")
    kept.doors.sanction("den", BOB, BAN, "bob", 0, "x", "")
    kept.doors.sanction("den", BOB, BAN, "bob", 9, "x", "anew is not one more")
    kept.doors.sanction("lobby", EVE, BAN, "eve", 0, "x", "elsewhere there is room")
    with pytest.raises(errors.LimitReached):
        kept.doors.sanction("den", EVE, BAN, "eve", 0, "x", "")
    kept.begins(after=1)
    kept.doors.sanction("den", EVE, BAN, "eve", 0, "x", "")
    assert [one.name for one in kept.is_kept().sanctions("den")] == ["bob", "eve"]


def test_blocks_are_bounded() -> None:
    kept = Kept(max_blocks_person=1)
    kept.doors.block(ANN, BOB)
    kept.doors.block(ANN, BOB)
    with pytest.raises(errors.LimitReached):
        kept.doors.block(ANN, EVE)
    assert kept.doors.is_blocked(BOB, by=ANN)
    assert not kept.doors.is_blocked(ANN, by=BOB)
    kept.doors.unblock(ANN, BOB)
    with pytest.raises(errors.NoSuchPerson):
        kept.doors.unblock(ANN, BOB)


def test_in_a_slow_room_each_waits_for_oneself() -> None:
    kept = Kept(Terms("den", slow=10))
    assert kept.doors.wait("den", ANN) == 0
    assert kept.doors.wait("den", ANN) == 10
    assert kept.doors.wait("den", BOB) == 0
    assert kept.doors.wait("lobby", ANN) == 0
    kept.is_kept()
    kept.begins(after=6)
    assert kept.doors.wait("den", ANN) == 4
    kept.begins(after=4)
    assert kept.doors.wait("den", ANN) == 0


def test_what_could_not_be_kept_was_not_said() -> None:
    kept = Kept(Terms("den", slow=10))
    kept.doors.wait("den", ANN)
    kept.is_lost()
    assert kept.doors.wait("den", ANN) == 0
    kept.is_kept()
    kept.begins(after=10)
    assert kept.doors.wait("den", ANN) == 0
    kept.is_lost()
    kept.begins(after=1)
    assert kept.doors.wait("den", ANN) == 0


def test_who_spoke_last_is_bounded() -> None:
    kept = Kept(Terms("den", slow=10_000), max_names=10)
    for n in range(100):
        assert kept.doors.wait("den", b"%d" % n) == 0
        kept.is_kept()
    assert len(kept.doors._spoke) == 10
    assert kept.doors.wait("den", b"99") > 0
