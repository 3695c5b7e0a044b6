"""What is done in rooms: who hears of it, what it changes; and that a failure undoes all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dialogue import DAY, texts
from village import Village, Villager, key_of

from zchat.messages import (
    About,
    Ack,
    Act,
    Acted,
    Added,
    Admin,
    Bot,
    Bye,
    Edit,
    Failed,
    Found,
    Heartbeat,
    History,
    Join,
    Joined,
    Leave,
    List,
    Message,
    Named,
    Page,
    Private,
    Read,
    Refused,
    Removed,
    Reply,
    RoomList,
    Rooms,
    Search,
    Send,
    Who,
)
from zchat.store.base import Quotas
from zchat.verbs import AUDIT


class Den:
    """A village with a public room and a private one.

    Attributes:
        fay: founded both; max: moderates them; mia: is a member of both; bob: is in neither.
    """

    def __init__(self, **settings: Any) -> None:
        self.village = Village(**settings)
        self.fay, self.max, self.mia = (self.village.comes(name) for name in ("fay", "max", "mia"))
        self.bob = self.village.comes("bob")
        self.fay.does("create", "den")
        self.fay.does("create", "+plans")
        for one in (self.fay, self.max, self.mia):
            one.joins("den")
        for name in ("max", "mia"):
            self.fay.does("invite", "+plans", name)
        for room in ("den", "+plans"):
            self.fay.does("op", room, "max")
            assert self.fay.say(room, "first") == ""
            assert self.mia.say(room, "mine") == ""

    @property
    def id(self) -> str:
        """That of the private room."""
        (found,) = (room.name for room in self.village.hub.rooms.by_name.values() if room.title)
        return found


@pytest.fixture(name="den")
def _den() -> Den:
    return Den()


def acted(events: list[Any]) -> tuple[Any, ...]:
    """The one act among events."""
    (event,) = (event for event in events if isinstance(event, Acted))
    return event.name, event.verb, event.whom, event.text


# Rooms are made -------------------------------------------------------------------------------------------------------


def test_a_public_room_is_made_and_kept_before_anything_is_said_in_it() -> None:
    village = Village()
    fay = village.comes("fay")
    assert fay.act("create", "#Den") == [Ack(1, "den", 1, DAY)]
    assert acted(village.events()) == ("fay", "create", "", "")
    assert fay.about().founder == "fay"
    again = village.again()
    assert again.comes("bob").about().founder == "fay"
    assert again.comes("fay").fails("create", "den") == "name-taken"


def test_a_private_room_is_made_for_all_programs_of_its_founder_alone() -> None:
    village = Village()
    fay, phone, bob = village.comes("fay"), village.comes("fay", program="phone"), village.comes("bob", "lobby")
    heard = fay.does("create", "+Plans")
    (added,) = (item for item in heard if isinstance(item, Added))
    assert added.label == "+plans"
    assert added.room.startswith("@")
    assert added in phone.heard
    assert bob.heard == []
    assert not village.effects.published
    assert acted(phone.hears())[:2] == ("fay", "create")
    assert fay.about("+plans").members == ("fay",)
    assert fay.fails("create", "+plans") == "name-taken"
    assert bob.does("create", "+plans"), "to others it does not matter what rooms there are"


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_a_room_that_could_not_be_kept_is_not_there_and_is_made_when_it_can(room: str) -> None:
    village = Village(max_rooms_person=1)
    fay, bob = village.comes("fay"), village.comes("bob")
    rooms = set(village.hub.rooms.by_name)
    village.broken = True
    for _ in range(3):
        assert fay.fails("create", room) == "store-unavailable"
    assert set(village.hub.rooms.by_name) - {AUDIT} == rooms
    assert fay.tells(About(1, room)) == "no-such-room"
    village.broken = False
    assert fay.does("create", room) or room == "den"
    assert fay.about(room).founder == "fay"
    assert bob.say("lobby") == ""
    assert [one.verb for one in village.log()] == ["create"]


def test_rooms_of_one_name_are_told_apart() -> None:
    village = Village()
    fay, bob, ann = village.comes("fay"), village.comes("bob"), village.comes("ann")
    for one in (fay, bob, ann):
        one.does("create", "+plans")
    labels = []
    for one in (fay, bob):
        one.does("invite", "+plans", "ann")
        labels.append(next(item.label for item in ann.heard if isinstance(item, Added)))
        assert labels[-1].startswith("+plans~")
    labels.append("+plans")
    assert len(set(labels)) == 3
    for label, founder in zip(labels, ("fay", "bob", "ann"), strict=True):
        assert ann.about(label).founder == founder
        assert ann.say(label, label) == ""
        assert ann.about(label).room == label
    assert fay.hears() == bob.hears() == []


def test_a_room_that_is_called_as_another_is_more_precisely_is_no_trap() -> None:
    village = Village()
    fay, eve = village.comes("fay"), village.comes("eve")
    fay.does("create", "+plans")
    (room,) = village.hub.rooms.private(fay.person_id)
    precise = f"+plans~{room.name[1:7]}"
    assert fay.about(precise).founder == "fay"
    eve.does("create", precise)
    eve.does("invite", precise, "fay")
    assert fay.about("+plans").founder == "fay"
    assert fay.about(precise).founder == "eve", "by its label each room is found"


# Who is in a private room ---------------------------------------------------------------------------------------------


def test_who_is_invited_is_told_and_reads_what_was_said(den: Den) -> None:
    den.max.does("invite", "+plans", "BOB")
    assert den.bob.heard[0] == Added(den.id, "+plans", 6)
    assert [acted(one.hears()) for one in (den.bob, den.fay, den.mia)] == [("max", "invite", "bob", "")] * 3
    (page,) = den.bob.asks(History(1, "+plans"))
    assert isinstance(page, Page)
    assert [event.text for event in page.events if isinstance(event, Message)] == ["first", "mine"]
    assert den.fay.about("+plans").members == ("bob", "fay", "max", "mia")
    assert [one.label for one in den.bob.returns_for_welcome().private] == ["+plans"]


def test_who_may_not_be_invited(den: Den) -> None:
    assert den.fay.fails("invite", "+plans", "mia") == "not-allowed"
    assert den.fay.fails("invite", "+plans", "nobody") == "no-such-person"
    assert den.fay.fails("invite", "+plans") == "bad-request"
    assert den.fay.fails("invite", "den", "bob") == "not-allowed"
    den.bob.order("block", "max")
    assert den.max.fails("invite", "+plans", "bob") == "blocked"
    den.fay.does("ban", "+plans", "bob")
    assert den.fay.fails("invite", "+plans", "bob") == "not-allowed"
    den.fay.does("unban", "+plans", "bob")
    assert den.fay.does("invite", "+plans", "bob")


def test_private_rooms_have_bounds_also_within_one_turn() -> None:
    village = Village(max_private_rooms=2, max_members_private=2)
    fay, bob, eve = village.comes("fay"), village.comes("bob"), village.comes("eve")
    village.all_do(*((fay, Act(0, "create", f"+r{n}")) for n in range(4)))
    assert [item.code for item in fay.heard if isinstance(item, Refused)] == ["limit-reached"] * 2
    assert len(village.hub.rooms.private(fay.person_id)) == 2
    for n in range(3):
        eve.act("create", f"+e{n}")
    village.all_do((fay, Act(0, "invite", "+r0", "bob")), (eve, Act(0, "invite", "+e0", "bob")))
    assert fay.fails("invite", "+r0", "eve") == "limit-reached"
    assert len(village.hub.rooms.private(bob.person_id)) == 2
    assert eve.fails("invite", "+e1", "bob") == "limit-reached"
    bob.asks(Leave(1, "+r0"))
    assert eve.does("invite", "+e1", "bob"), "there is a place again"


def test_who_leaves_a_private_room_is_out_for_good(den: Den) -> None:
    heard = den.mia.asks(Leave(3, "+plans"))
    assert Removed(den.id, "leave", "mia") in heard
    assert den.mia.hears() == []
    assert acted(den.fay.hears()) == ("mia", "leave", "", "")
    assert den.mia.tells(Read(1, den.id, 0, 9)) == "no-such-room"
    assert den.mia.tells(Leave(3, "+plans")) == "", "it is no error"
    assert den.fay.heard == []
    assert den.village.again().comes("mia").tells(About(1, "+plans")) == "no-such-room"


# Who is sent out ------------------------------------------------------------------------------------------------------

ASKED: list[Callable[[str], Any]] = [
    lambda room: Join(7, room),
    lambda room: Who(7, room),
    lambda room: About(7, room),
    lambda room: Read(7, room, 0, 9),
    lambda room: History(7, room),
    lambda room: Search(7, "first", room),
]


@pytest.mark.parametrize("verb", ["kick", "ban"])
def test_who_is_sent_out_of_a_private_room_is_told_and_hears_no_more(den: Den, verb: str) -> None:
    phone = den.village.comes("mia", program="phone")
    den.mia.joins("+plans")
    den.max.does(verb, "+plans", "mia", text="enough")
    for one in (den.mia, phone):
        assert one.heard == [Removed(den.id, verb, "max", 0, "enough")]
    assert acted(den.fay.hears()) == ("max", verb, "mia", "enough")
    assert den.fay.say("+plans", "at last") == ""
    assert [one.heard for one in (den.mia, phone)] == [[], []]
    for label in ("+plans", den.id):
        assert [den.mia.tells(ask(label)) for ask in ASKED] == ["no-such-room"] * len(ASKED)
    assert den.mia.say("+plans") == "no-such-room"
    (found,) = den.mia.asks(Search(1, "first"))
    assert [hit.room for hit in found.hits] == ["den"]  # type: ignore[union-attr]
    (beat,) = den.mia.asks(Heartbeat(1))
    assert den.id not in repr(beat)
    (listed,) = den.mia.asks(Rooms(1))
    assert isinstance(listed, RoomList)
    assert "+plans" not in [room.room for room in listed.rooms]
    assert den.mia.returns_for_welcome().private == ()


@pytest.mark.parametrize("ask", ASKED)
def test_what_was_asked_before_one_is_sent_out_is_not_answered_after_it(den: Den, ask: Callable[[str], Any]) -> None:
    village = den.village
    village.all_do(
        (den.mia, ask("+plans")), (den.fay, Act(0, "kick", "+plans", "mia")), (den.fay, Send(0, "+plans", "x"))
    )
    answers = [item for item in den.mia.heard if not isinstance(item, Removed)]
    (answer,) = answers
    assert answer == Found(7, ()) if ask is ASKED[-1] else isinstance(answer, Failed) and answer.code == "no-such-room"


def test_what_waits_for_its_turn_is_not_told_to_who_was_sent_out_meanwhile() -> None:
    den = Den(work_budget=1)
    den.village.all_do(
        *((den.bob, Who(n)) for n in range(5)),
        *((den.mia, ask("+plans")) for ask in ASKED[1:3]),
        (den.mia, List(7, "blocks")),
        (den.max, List(8, "bans", "+plans")),
        (den.mia, Read(7, "+plans", 0, 9)),
    )
    den.village.all_do(
        (den.fay, Act(0, "deop", "+plans", "max")),
        (den.fay, Act(0, "kick", "+plans", "mia")),
        (den.fay, Act(0, "kick", "+plans", "max")),
    )
    heard: dict[str, list[Reply]] = {"mia": [], "max": []}
    while den.village.hub.busy:
        den.village.turn()
        heard["mia"] += den.mia.heard
        heard["max"] += den.max.heard
    assert [item.code for item in heard["mia"] if isinstance(item, Failed)] == ["no-such-room"] * 3
    assert [item.code for item in heard["max"] if isinstance(item, Failed)] == ["no-such-room"]
    assert len(heard["mia"] + heard["max"]) == 5


def test_who_is_sent_out_says_no_more_in_the_same_turn(den: Den) -> None:
    den.village.all_do(
        (den.mia, Send(0, "+plans", "before")),
        (den.fay, Act(0, "kick", "+plans", "mia")),
        (den.mia, Send(0, "+plans", "after")),
        (den.mia, Act(0, "react", "+plans", "", 1, 0, ":x:")),
        (den.mia, Edit(0, den.id, 0, "after")),
        (den.mia, Leave(9, "+plans")),
        (den.fay, Send(0, "+plans", "secret")),
    )
    assert [item.code for item in den.mia.heard if isinstance(item, Refused)] == ["no-such-room"] * 3
    assert not any(isinstance(item, Private) for item in den.mia.heard)
    told = [getattr(event, "text", "") for event in den.max.hears()]
    assert told == ["before", "", "secret"]


def test_who_is_let_in_again_in_the_same_turn_is_in(den: Den) -> None:
    den.village.all_do(
        (den.fay, Act(0, "kick", "+plans", "mia")),
        (den.fay, Act(0, "invite", "+plans", "mia")),
        (den.fay, Act(0, "invite", "+plans", "bob")),
        (den.fay, Act(0, "kick", "+plans", "bob")),
    )
    assert [type(item) for item in den.mia.heard][:2] == [Removed, Added]
    assert [type(item) for item in den.bob.heard] == [Added, Removed]
    assert den.mia.say("+plans") == ""
    assert den.bob.say("+plans") == "no-such-room"
    assert den.fay.about("+plans").members == ("fay", "max", "mia")


def test_who_is_kicked_out_of_a_public_room_may_come_back(den: Den) -> None:
    den.max.does("kick", name="mia", text="cool down")
    assert den.mia.heard == [Removed("den", "kick", "max", 0, "cool down")]
    assert acted(den.village.events()) == ("max", "kick", "mia", "cool down")
    (people,) = den.fay.asks(Who(1, "den"))
    assert people.names == ("fay", "max")  # type: ignore[union-attr]
    assert den.max.fails("kick", name="mia") == "no-such-person"
    assert den.mia.joins("den").count == 3


def test_a_ban_keeps_out_until_it_ends(den: Den) -> None:
    den.max.does("ban", name="mia", seconds=60, text="enough")
    assert den.mia.heard == [Removed("den", "ban", "max", 60, "enough")]
    for request in (Join(1, "den"), *(ask("den") for ask in ASKED)):
        assert den.mia.tells(request) == "banned"
    assert den.mia.say("den") == "banned"
    (failed,) = den.mia.asks(Join(1, "den"))
    assert isinstance(failed, Failed)
    assert failed.detail == "you are banned from this room until 2023-11-14 22:14:20 UTC by max: enough"
    assert den.max.bans("den") == [("mia", "ban", DAY + 60_000)]
    again = den.village.again()
    assert again.comes("mia").tells(Join(1, "den")) == "banned"
    den.village.ms += 60_000
    assert den.mia.joins("den").room == "den"
    assert den.mia.say("den") == ""
    assert den.max.bans("den") == []


def test_a_ban_for_good_is_undone_alone_by_unban(den: Den) -> None:
    den.max.does("ban", name="bob")
    den.village.ms += 50 * 366 * 86_400_000
    assert den.bob.tells(Join(1, "den")) == "banned"
    den.max.does("unban", name="bob")
    assert den.bob.joins("den").room == "den"
    assert den.max.fails("unban", name="bob") == "no-such-person"


def test_who_is_banned_from_a_private_room_without_being_there_does_not_learn_of_it(den: Den) -> None:
    den.fay.does("ban", "+plans", "bob", text="never")
    assert den.bob.heard == []
    assert den.bob.tells(Read(1, den.id, 0, 9)) == "no-such-room"
    assert den.fay.bans("+plans") == [("bob", "ban", 0)]


# Who may speak --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_who_is_muted_reads_and_says_nothing(den: Den, room: str) -> None:
    den.max.does("mute", room, "mia", seconds=60, text="hush")
    assert den.mia.say(room) == "muted"
    assert den.mia.tells(Edit(den.mia.n + 1, room, 0, "new")) == "muted"
    den.mia.n += 1
    assert den.mia.fails("react", room, target=1, text=":x:") == "muted"
    assert den.mia.tells(Read(1, room, 0, 9)) == ""
    assert den.fay.bans(room) == [("mia", "mute", DAY + 60_000)]
    assert den.village.again().comes("mia").say(room) == "muted"
    den.max.does("unmute", room, "mia")
    assert den.mia.say(room) == ""
    den.max.does("mute", room, "mia", seconds=60)
    den.village.ms += 60_000
    assert den.mia.say(room) == ""


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_a_moderator_is_muted_by_the_founder_and_does_not_undo_it(den: Den, room: str) -> None:
    den.fay.does("mute", room, "max")
    assert den.max.say(room) == "muted"
    assert den.max.fails("unmute", room, "max") == "not-allowed"
    assert den.max.does("topic", room, text="all else goes on") is not None


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_where_all_others_only_read_moderators_speak(den: Den, room: str) -> None:
    den.max.does("readonly", room, on=True)
    assert [one.say(room) for one in (den.mia, den.max, den.fay)] == ["read-only", "", ""]
    assert den.mia.fails("react", room, target=1, text=":x:") == "read-only"
    assert den.village.again().comes("mia").say(room) == "read-only"
    den.max.does("readonly", room, on=False)
    assert den.mia.say(room) == ""


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_in_a_slow_room_each_says_one_thing_at_a_time(den: Den, room: str) -> None:
    den.max.does("slow", room, seconds=10)
    first = den.mia.n + 1
    heard = den.mia.asks(*(Send(first + n, room, "x") for n in range(3)))
    assert [item.code for item in heard if isinstance(item, Refused)] == ["slow-mode"] * 2
    den.mia.n += 3
    den.village.passes(10.0)
    den.village.all_do(*((den.mia, Send(0, room, "in frames of their own")) for _ in range(3)))
    assert [item.code for item in den.mia.heard if isinstance(item, Refused)] == ["slow-mode"] * 2
    den.village.passes(9.0)
    assert den.mia.say(room) == "slow-mode"
    den.village.passes(1.0)
    assert den.mia.say(room) == ""
    assert den.mia.fails("react", room, target=1, text=":x:") == "slow-mode"
    assert [den.max.say(room) for _ in range(3)] == [""] * 3
    den.max.does("slow", room)
    assert [den.mia.say(room) for _ in range(3)] == [""] * 3


def test_what_could_not_be_kept_does_not_count_as_said_in_a_slow_room(den: Den) -> None:
    den.max.does("slow", seconds=10)
    den.village.broken = True
    assert den.mia.say("den", "again") == "store-unavailable"
    den.village.broken = False
    assert den.mia.say("den", "again") == ""
    assert den.mia.say("den", "more") == "slow-mode"


def test_who_is_banned_while_others_speak_says_nothing_from_then_on(den: Den) -> None:
    den.village.all_do(
        (den.mia, Send(0, "den", "before")),
        (den.max, Act(0, "ban", "den", "mia")),
        (den.mia, Send(0, "den", "after")),
        (den.fay, Send(0, "den", "peace")),
    )
    assert texts(den.village.published("den")) == ["before", "peace"]


# Ranks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_nobody_does_anything_to_those_who_are_not_below(den: Den, room: str) -> None:
    if room == "+plans":
        den.fay.does("invite", room, "bob")
    den.fay.does("op", room, "bob")
    for verb in ("kick", "ban", "mute"):
        assert den.max.fails(verb, room, "fay") == "not-allowed"
        assert den.max.fails(verb, room, "bob") == "not-allowed"
        assert den.max.fails(verb, room, "max") == "not-allowed"
        assert den.mia.fails(verb, room, "mia") == "not-allowed"
    assert den.max.fails("deop", room, "bob") == "not-allowed"
    assert den.fay.fails("deop", room, "fay") == "not-allowed"
    assert den.fay.fails("deop", room, "mia") == "no-such-person"
    assert den.fay.about(room).moderators == ("bob", "max")
    den.fay.does("deop", room, "bob")
    den.max.does("mute", room, "bob")
    assert den.bob.fails("topic", room, text="x") == "not-allowed"
    assert den.village.again().comes("fay").about(room).moderators == ("max",)


def test_staff_does_what_founders_do_in_public_rooms_and_nothing_to_its_betters(den: Den) -> None:
    stan, olga = den.village.comes("stan"), den.village.comes("olga")
    stan.does("ban", name="fay")
    assert den.fay.say("den") == "banned"
    assert stan.fails("mute", name="olga") == "not-allowed"
    assert olga.does("deop", name="max") is not None
    olga.does("mute", name="stan")
    assert stan.say("den") == "", "staff is muted nowhere"
    for one in (stan, olga):
        assert one.fails("topic", "+plans", text="x") == "no-such-room"


def test_a_room_has_so_many_moderators() -> None:
    den = Den(max_moderators=2)
    den.fay.does("op", name="bob")
    assert den.fay.fails("op", name="mia") == "limit-reached"
    den.fay.does("deop", name="bob")
    assert den.fay.does("op", name="mia") is not None


def test_so_many_are_banned_and_who_is_so_no_longer_makes_room() -> None:
    den = Den(max_sanctions=2)
    den.max.does("ban", name="bob", seconds=5)
    den.max.does("mute", name="mia")
    den.village.comes("eve")
    assert den.max.fails("ban", name="eve") == "limit-reached"
    den.max.does("mute", name="mia", seconds=9)
    den.village.ms += 5000
    den.max.does("ban", name="eve")
    assert den.max.bans("den") == [("eve", "ban", 0), ("mia", "mute", DAY + 9000)]


# What a room is about, pins, reactions --------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_a_topic_is_told_to_all_who_are_there_and_to_who_comes(den: Den, room: str) -> None:
    den.max.does("topic", room, text="tea at 4")
    told = den.village.events() if room == "den" else den.mia.hears()
    assert acted(told) == ("max", "topic", "", "tea at 4")
    joined = den.mia.joins(room)
    assert (joined.topic, joined.topic_by, joined.topic_ms) == ("tea at 4", "max", DAY)
    assert den.village.again().comes("mia").about(room).topic == "tea at 4"
    den.max.does("topic", room)
    assert den.mia.about(room).topic == ""


def test_messages_are_pinned_and_unpinned_in_order(den: Den) -> None:
    for target in (1, 3, 2, 1):
        den.max.does("pin", target=target)
    assert den.mia.about().pins == (3, 2, 1)
    den.max.does("unpin", target=2)
    assert den.village.again().comes("mia").about().pins == (3, 1)
    for target in (0, 99, 2**63 - 1):
        assert den.max.fails("pin", target=target) == "no-such-message"
    assert den.max.fails("unpin", target=2) == "no-such-message"
    while len(den.mia.about().pins) < 50:
        assert den.fay.say("den") == ""
        den.max.does("pin", target=den.mia.joins("den").head)
    assert den.max.fails("pin", target=2) == "limit-reached"
    den.max.does("pin", target=3)
    assert den.mia.about().pins[-1] == 3


@pytest.mark.parametrize("room", ["den", "+plans"])
def test_reactions_are_told_and_not_logged(den: Den, room: str) -> None:
    before = len(den.village.log())
    den.mia.does("react", room, target=1, text=":tada:")
    told = den.village.events() if room == "den" else den.fay.hears()
    assert acted(told) == ("mia", "react", "", ":tada:")
    den.mia.does("unreact", room, target=1, text=":tada:")
    assert len(den.village.log()) == before


def test_who_is_blocked_gets_nothing_through_to_the_other_of_two() -> None:
    village = Village()
    ann, eve = village.comes("ann"), village.comes("eve")
    assert eve.say("@ann", "hello") == ""
    ann.order("block", "eve")
    assert eve.say("@ann") == "blocked"
    assert eve.fails("react", "@ann", target=1, text=":x:") == "blocked"
    eve.n += 1
    assert eve.tells(Edit(eve.n, "@ann", 1, "listen")) == "blocked"
    assert ann.say("@eve", "nor I to you?") == "", "it is for the one who blocks to unblock"
    village.all_do(
        (ann, Admin(1, "unblock", "eve")),
        (eve, Send(0, "@ann", "thanks")),
        (ann, Admin(1, "block", "eve")),
        (eve, Send(0, "@ann", "and")),
    )
    assert [event.text for event in ann.hears() if isinstance(event, Message)] == ["thanks"]


def test_in_a_room_of_two_nobody_is_above_the_other() -> None:
    village = Village()
    ann = village.comes("ann")
    village.comes("eve")
    ann.say("@eve", "hello")
    assert {ann.fails(verb, "@eve", "eve") for verb in ("kick", "ban", "mute", "invite", "op")} == {"not-allowed"}
    assert {ann.fails(verb, "@eve") for verb in ("topic", "readonly", "slow", "pin")} == {"not-allowed"}


# All of them ----------------------------------------------------------------------------------------------------------

EVERY: dict[str, dict[str, Any]] = {
    "topic": {"text": "new"},
    "invite": {"name": "bob"},
    "kick": {"name": "mia"},
    "ban": {"name": "mia", "seconds": 60},
    "unban": {"name": "ben"},
    "mute": {"name": "mia"},
    "unmute": {"name": "moe"},
    "op": {"name": "mia"},
    "deop": {"name": "max"},
    "readonly": {"on": True},
    "slow": {"seconds": 5},
    "pin": {"target": 2},
    "unpin": {"target": 1},
    "react": {"target": 1, "text": ":x:"},
    "unreact": {"target": 1, "text": ":x:"},
}


def state(village: Village, room: str, *, fay: Villager) -> list[Any]:
    """How things are, as far as anybody may know."""
    return [fay.about(room), fay.bans(room), sorted(room.title for room in village.hub.rooms.by_name.values())]


def anew(village: Village, room: str) -> list[Any]:
    """How things are after a restart."""
    again = village.again()
    return state(again, room, fay=again.comes("fay", program="another"))


@pytest.mark.parametrize("room", ["den", "+plans"])
@pytest.mark.parametrize("verb", EVERY)
def test_an_act_is_undone_wholly_if_it_cannot_be_kept_and_holds_ever_after_if_it_can(verb: str, room: str) -> None:
    if (verb, room) == ("invite", "den"):
        return
    den = Den()
    village = den.village
    for name in ("ben", "moe"):
        village.comes(name)
    den.fay.does("ban", room, "ben")
    den.fay.does("mute", room, "moe")
    den.fay.does("pin", room, target=1)
    before, logged = state(village, room, fay=den.fay), len(village.log())
    village.broken = True
    assert den.fay.fails(verb, room, **EVERY[verb]) == "store-unavailable"
    village.broken = False
    assert state(village, room, fay=den.fay) == before
    assert anew(village, room) == before
    assert den.mia.say(room) == "", "mia is where she was"
    assert len(village.log()) == logged
    den.fay.does(verb, room, **EVERY[verb])
    events = village.events() if room == "den" else den.fay.heard and den.max.hears()
    assert acted(events)[:2] == ("fay", verb)
    after = state(village, room, fay=den.fay)
    if verb not in ("react", "unreact") and (verb, room) != ("kick", "den"):
        assert after != before
    assert anew(village, room) == after
    if verb in ("react", "unreact"):
        assert len(village.log()) == logged
    else:
        line = village.log()[-1]
        private = room == "+plans"
        where = den.id if private else room  # what it is called, and is about, is told to who belongs to it
        text = "" if private and verb == "topic" else EVERY[verb].get("text", "")
        assert (line.name, line.verb, line.whom, line.room) == ("fay", verb, EVERY[verb].get("name", ""), where)
        assert (line.text, line.target) == (text, EVERY[verb].get("target", 0))


HOSTILE: list[tuple[str, str, dict[str, Any], str]] = [
    ("bad-request", "topic", {"text": "a\nb"}, "den"),
    ("bad-request", "topic", {"text": "\x1b]52;c;eA==\x07"}, "den"),
    ("bad-request", "topic", {"text": "a\u2028b"}, "den"),
    ("bad-request", "topic", {"text": "a\x85b"}, "den"),
    ("too-long", "topic", {"text": "x" * 501}, "den"),
    ("bad-request", "kick", {"name": "mia", "text": "\x9b2J"}, "den"),
    ("too-long", "kick", {"name": "mia", "text": "x" * 501}, "+plans"),
    ("bad-request", "ban", {"name": "mia", "seconds": 2**63 - 1}, "den"),
    ("bad-request", "mute", {"name": "mia", "seconds": 2**63 - 1}, "+plans"),
    ("bad-request", "slow", {"seconds": 2**63 - 1}, "den"),
    ("bad-request", "slow", {"seconds": 7 * 3600}, "den"),
    ("bad-request", "react", {"target": 1, "text": "a b"}, "den"),
    ("bad-request", "react", {"target": 1, "text": ""}, "den"),
    ("bad-request", "react", {"target": 1, "text": "\x07"}, "den"),
    ("bad-request", "react", {"target": 1, "text": "x" * 33}, "den"),
    ("bad-request", "react", {"target": 1, "text": "\u3000"}, "den"),
    ("no-such-message", "react", {"target": 0, "text": ":x:"}, "den"),
    ("no-such-message", "react", {"target": 2**63 - 1, "text": ":x:"}, "den"),
    ("unknown-word", "", {}, "den"),
    ("unknown-word", "drain", {}, "den"),
    ("unknown-word", "x" * 1000, {}, "den"),
    ("name-invalid", "create", {}, ""),
    ("name-invalid", "create", {}, "+"),
    ("name-invalid", "create", {}, "@den"),
    ("name-invalid", "create", {}, "@:audit"),
    ("name-invalid", "create", {}, "+a b"),
    ("name-invalid", "create", {}, "+" + "x" * 65),
    ("name-invalid", "create", {}, "x" * 100_000),
    ("name-taken", "create", {}, "Den"),
    ("no-such-person", "kick", {"name": "x" * 10_000}, "den"),
    ("no-such-person", "kick", {"name": "\x1b[2J"}, "den"),
    ("no-such-room", "topic", {"text": "x"}, "nowhere"),
    ("no-such-room", "topic", {"text": "x"}, "@:audit"),
]


@pytest.mark.parametrize(("code", "verb", "given", "room"), HOSTILE)
def test_what_nobody_may_ask_for(den: Den, code: str, verb: str, given: dict[str, Any], room: str) -> None:
    logged = len(den.village.log())
    assert den.fay.fails(verb, room, **given) == code
    assert len(den.village.log()) == logged
    assert den.fay.say("den") == "", "all goes on"


def test_a_name_where_none_belongs_is_nobodys(den: Den) -> None:
    den.max.does("topic", name="mia", text="x")
    assert acted(den.village.events()) == ("max", "topic", "", "x")
    assert den.village.log()[-1].whom == ""


def test_an_act_is_done_once(den: Den) -> None:
    den.max.does("kick", "+plans", "mia")
    n, head = den.max.n, den.fay.about("+plans")
    (again,) = den.max.asks(Act(n, "kick", "+plans", "mia"))
    assert isinstance(again, Ack)
    (early,) = den.max.asks(Act(n + 2, "kick", "+plans", "fay"))
    assert isinstance(early, Refused)
    assert early.code == "out-of-order"
    assert den.fay.about("+plans") == head
    assert den.fay.hears() == []


def test_the_log_has_a_place_where_no_other_room_has() -> None:
    village = Village(max_rooms=2)
    fay = village.comes("fay")
    fay.does("create", "den")
    fay.does("topic", text="x")
    assert [line.verb for line in village.log()] == ["create", "topic"]


# Bots -----------------------------------------------------------------------------------------------------------------


def test_a_bot_is_no_freer_in_a_room_than_who_answers_for_it(den: Den) -> None:
    (named,) = den.mia.asks(Bot(5, key_of("bot"), "eliza"))
    assert named == Named(5, "eliza[bot]")
    eliza = den.village.comes("eliza", key=key_of("bot"))
    den.fay.does("invite", "+plans", "eliza[bot]")
    for room in ("den", "+plans"):
        assert eliza.say(room) == ""
        den.max.does("mute", room, "mia")
        assert eliza.say(room) == "muted"
        den.max.does("unmute", room, "mia")
        den.max.does("ban", room, "mia")
    assert eliza.heard == [Removed(den.id, "ban", "max")]
    assert eliza.say("den") == "banned"
    assert eliza.say("+plans") == "no-such-room"
    assert den.fay.fails("invite", "+plans", "eliza[bot]") == "not-allowed"
    assert den.fay.about("+plans").members == ("fay", "max")


def test_joined_knows_no_secret(den: Den) -> None:
    """A public room that a private one's title was guessed for is another room."""
    (joined,) = den.bob.asks(Join(1, "plans"))
    assert isinstance(joined, Joined)
    assert (joined.room, joined.head, joined.topic) == ("plans", 0, "")


def test_who_is_muted_everywhere_reaches_nobody_as_a_founder_either(den: Den) -> None:
    olga = den.village.comes("olga")
    olga.order("mute", "fay")
    for where in ("den", "+plans"):
        assert den.fay.fails("topic", where, text="listen to me") == "muted"
    assert den.fay.fails("invite", "+plans", "bob") == "muted"
    assert den.fay.fails("create", "listen-to-me") == den.fay.fails("create", "+listen-to-me") == "muted"
    olga.order("unmute", "fay")
    den.fay.does("create", "+listen-to-me")


@pytest.mark.parametrize("verb", ["ban", "mute"])
def test_who_is_listed_under_a_name_that_is_forgotten_or_anothers_by_now_can_be_let_in_again(verb: str) -> None:
    den = Den(max_names=8)
    den.fay.does(verb, "den", "bob")
    den.bob.tells(Bye(9))
    for number in range(8):
        den.village.comes(f"passer{number}").tells(Bye(9))
    assert den.fay.fails("kick", "den", "bob") == "no-such-person"  # it is forgotten
    assert den.fay.bans("den") == [("bob", verb, 0)]
    den.fay.does(f"un{verb}", "den", "Bob")
    assert not den.fay.bans("den")
    den.fay.does(verb, "den", "passer7")
    den.village.comes("bob", key=key_of("another"))
    assert den.fay.fails(f"un{verb}", "den", "bob") == "no-such-person"


def test_a_room_of_a_long_name_of_which_one_has_two_is_found_by_what_it_is_called(den: Den) -> None:
    long = "+" + "x" * 64
    for one in (den.fay, den.max):
        one.does("create", long)
        one.does("invite", long, "bob")
    (told,) = den.bob.asks(Rooms(1, ""))
    assert isinstance(told, RoomList)
    first, second = (info.room for info in told.rooms if info.room.startswith("+"))
    assert second.startswith(f"{long}~")
    for label in (first, second):
        assert not den.bob.tells(About(1, label))
        assert not den.bob.say(label)
        assert not den.bob.tells(Leave(1, label))
        assert den.bob.tells(About(1, label)) in ("no-such-room", "name-invalid")


def test_acts_count_as_what_is_kept_of_a_person(den: Den) -> None:
    den.village.store.quotas = Quotas(person=4096)
    codes = [refusal(den.fay.act("topic", "den", text="t" * 500)) for _ in range(10)]
    assert codes[0] == ""
    assert codes[-1] == "quota-reached"
    assert den.fay.fails("react", "den", target=1, text=":eyes:") == "quota-reached"
    assert den.fay.fails("create", "another") == "quota-reached"
    den.max.does("react", "den", target=1, text=":eyes:")
    den.village.store.quotas = Quotas()
    den.fay.say("den", "once there is space")
    den.fay.does("topic", "den", text="it goes on")


def refusal(heard: list[Reply]) -> str:
    """With which code something is refused; empty if it is not."""
    return next((item.code for item in heard if isinstance(item, Refused)), "")
