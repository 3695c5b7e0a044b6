"""Who is what, and what that takes."""

from __future__ import annotations

import pytest
from village import Village, Villager

from zchat import errors
from zchat.broker.rights import moment
from zchat.broker.rooms import Room
from zchat.messages import Leave, Revoke
from zchat.verbs import ACTS, ADMIN, AUDIT, Rank


class Ranks:
    """A village where somebody has each rank."""

    def __init__(self) -> None:
        self.village = Village()
        names = ("fay", "max", "mia", "ben", "eve", "stan", "olga")
        self.people = {name: self.village.comes(name) for name in names}
        fay = self.people["fay"]
        for room in ("den", "+plans"):
            fay.does("create", room)
        for name in ("max", "mia", "ben"):
            fay.does("invite", "+plans", name)
        for room in ("den", "+plans"):
            fay.does("op", room, "max")
            fay.does("ban", room, "ben")
        self.rights = self.village.hub.rights

    def who(self, name: str) -> bytes:
        """As whom the hub knows somebody."""
        found: Villager = self.people[name]
        return found.person_id

    def room(self, label: str) -> Room:
        """A room of fay's."""
        return self.village.hub.rooms.find(self.who("fay"), label)


@pytest.fixture(name="ranks")
def _ranks() -> Ranks:
    return Ranks()


def test_what_each_is_in_a_public_room_and_in_a_private_one(ranks: Ranks) -> None:
    found = {
        name: (
            ranks.rights.rank(ranks.who(name), ranks.room("den")),
            ranks.rights.rank(ranks.who(name), ranks.room("+plans")),
        )
        for name in ranks.people
    }
    assert found == {
        "fay": (Rank.FOUNDER, Rank.FOUNDER),
        "max": (Rank.MODERATOR, Rank.MODERATOR),
        "mia": (Rank.MEMBER, Rank.MEMBER),
        "ben": (Rank.OUTSIDER, Rank.OUTSIDER),
        "eve": (Rank.MEMBER, Rank.OUTSIDER),
        "stan": (Rank.STAFF, Rank.OUTSIDER),
        "olga": (Rank.OWNER, Rank.OUTSIDER),
    }


def test_in_a_private_room_staff_is_what_the_room_makes_it(ranks: Ranks) -> None:
    ranks.people["fay"].does("invite", "+plans", "olga")
    assert ranks.rights.rank(ranks.who("olga"), ranks.room("+plans")) is Rank.MEMBER
    ranks.people["fay"].does("kick", "+plans", "olga")
    assert ranks.rights.rank(ranks.who("olga"), ranks.room("+plans")) is Rank.OUTSIDER


def test_the_founder_is_an_outsider_after_leaving(ranks: Ranks) -> None:
    room = ranks.room("+plans")
    ranks.people["fay"].does("op", "+plans", "mia")
    ranks.people["max"].does("topic", "+plans", text="x")
    ranks.people["fay"].asks(Leave(1, "+plans"))
    assert ranks.rights.rank(ranks.who("fay"), room) is Rank.OUTSIDER
    assert not ranks.rights.may_read(ranks.who("fay"), room.name)
    ranks.people["max"].does("invite", "+plans", "fay")
    assert ranks.rights.rank(ranks.who("fay"), room) is Rank.FOUNDER


def test_nobody_is_anything_who_may_not_come_in(ranks: Ranks) -> None:
    assert ranks.rights.staff(ranks.who("stan")) is Rank.STAFF
    ranks.people["olga"].asks(Revoke(1, name="stan"))
    assert ranks.rights.staff(ranks.who("stan")) is Rank.MEMBER
    assert not ranks.rights.may_read(ranks.who("stan"), AUDIT)


def test_which_rooms_are_readable(ranks: Ranks) -> None:
    plans = ranks.room("+plans").name
    for name in ranks.people:
        may = ranks.rights.may_read(ranks.who(name), plans)
        assert may == (name in ("fay", "max", "mia"))
        assert ranks.rights.may_read(ranks.who(name), "+plans") == may
        assert ranks.rights.may_read(ranks.who(name), "den") == (name != "ben")
        assert ranks.rights.may_read(ranks.who(name), AUDIT) == (name in ("stan", "olga"))
    with pytest.raises(errors.Banned):
        ranks.rights.readable(ranks.who("ben"), "den")
    with pytest.raises(errors.NoSuchRoom):
        ranks.rights.readable(ranks.who("ben"), "+plans")
    with pytest.raises(errors.NameInvalid):
        ranks.rights.readable(ranks.who("fay"), "a b")


def test_a_verb_takes_its_rank_and_one_above_whom_it_is_done_to(ranks: Ranks) -> None:
    check = ranks.rights.check
    for verb in (*ACTS.values(), *ADMIN.values()):
        for mine in Rank:
            for theirs in Rank:
                allowed = mine >= verb.rank and (not verb.over or mine > theirs)
                try:
                    check(verb, mine, theirs)
                except errors.NotAllowed:
                    assert not allowed, (verb.name, mine, theirs)
                else:
                    assert allowed, (verb.name, mine, theirs)


def test_who_may_come_in_and_speak(ranks: Ranks) -> None:
    stan, olga = ranks.people["stan"], ranks.people["olga"]
    stan.order("ban", "eve")
    stan.order("mute", "mia")
    olga.order("mute", "stan")
    with pytest.raises(errors.NotAdmitted, match="you are banned here by stan"):
        ranks.rights.check_admission(ranks.who("eve"))
    with pytest.raises(errors.Muted, match="you are muted by stan"):
        ranks.rights.check_speech(ranks.who("mia"), ranks.room("den"))
    ranks.rights.check_speech(ranks.who("stan"), ranks.room("den"))
    with pytest.raises(errors.NoSuchRoom):
        ranks.rights.check_speech(ranks.who("stan"), ranks.room("+plans"))


def test_a_moment_can_always_be_shown() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    assert moment(2**63 - 1).startswith("9999-12-31")
