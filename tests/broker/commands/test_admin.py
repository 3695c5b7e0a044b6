"""What is done to the whole broker, what its staff may list, one's own blocks and bots."""

from __future__ import annotations

from typing import Any

import pytest
from dialogue import DAY, Dialogue
from village import Village, key_of

from zchat import codec
from zchat.broker.admission import person_of
from zchat.broker.inputs import Ordered
from zchat.messages import (
    Act,
    Admin,
    BanRow,
    Bot,
    Bye,
    Closing,
    Done,
    Failed,
    Join,
    Link,
    List,
    Listed,
    Named,
    NameRow,
    Nick,
    Notice,
    PersonRow,
    Request,
    Revoke,
    RoomRow,
    Send,
    SessionRow,
    Stamp,
    Who,
)


@pytest.fixture(name="village")
def _village() -> Village:
    return Village()


# Orders ---------------------------------------------------------------------------------------------------------------


def test_who_is_banned_goes_at_once_with_all_programs_and_stays_out_until_it_ends(village: Village) -> None:
    stan, bob = village.comes("stan", "lobby"), village.comes("bob", "lobby")
    phone = village.comes("bob", program="phone")
    stan.order("ban", "bob", 60, "spam")
    for one in (bob, phone):
        assert one.heard == [Failed(0, "not-admitted", "you were banned by stan: spam")]
    assert key_of("bob") in village.effects.shut
    assert {peer for peer, _ in village.effects.over} >= {bob.id, phone.id}
    assert bob.tells(Who(1)) == "unknown-session"
    (failed,) = village.knocks("bob").asks(bob.greeting())
    assert isinstance(failed, Failed)
    assert failed.detail == "you are banned here until 2023-11-14 22:14:20 UTC by stan: spam"
    assert stan.bans() == [("bob", "ban", DAY + 60_000)]
    assert village.again().knocks("bob").hello_fails() == "not-admitted"
    village.ms += 60_000
    assert village.comes("bob", "lobby").say("lobby") == ""


def test_a_ban_for_good_is_undone_by_unban(village: Village) -> None:
    stan = village.comes("stan")
    village.comes("bob")
    stan.order("ban", "bob")
    village.ms += 50 * 366 * 86_400_000
    assert village.knocks("bob").hello_fails() == "not-admitted"
    stan.order("unban", "bob")
    assert village.comes("bob").say("lobby") == ""
    assert stan.order_fails("unban", "bob") == "no-such-person"


def test_who_says_hello_while_that_one_is_banned_is_not_let_in(village: Village) -> None:
    stan, bob = village.comes("stan"), village.comes("bob")
    phone = village.knocks("bob", program="phone")
    village.all_do((phone, phone.greeting()), (stan, Admin(1, "ban", "bob")), (bob, bob.greeting(resume=None)))
    assert not village.hub.sessions.of(person_of(key_of("bob")))
    assert [item.code for one in (phone, bob) for item in one.heard[-1:] if isinstance(item, Failed)] == [
        "not-admitted"
    ] * 2


def test_who_is_kicked_may_come_back(village: Village) -> None:
    stan, bob = village.comes("stan"), village.comes("bob")
    stan.order("kick", "bob", text="cool down")
    assert bob.heard == [Failed(0, "not-admitted", "you were kicked by stan: cool down")]
    assert stan.order_fails("kick", "bob") == "no-such-person"
    assert village.comes("bob").say("lobby") == ""


def test_who_is_muted_is_so_everywhere(village: Village) -> None:
    stan, bob, eve = village.comes("stan"), village.comes("bob"), village.comes("eve")
    bob.does("create", "+plans")
    stan.order("mute", "bob", 60)
    there = len(village.hub.rooms.by_name)
    assert [bob.say(room) for room in ("lobby", "new", "+plans", "@eve")] == ["muted"] * 4
    assert eve.heard == []
    assert len(village.hub.rooms.by_name) == there, "nothing was said, so no room was made"
    assert eve.say("lobby") == "", "others go on"
    assert village.again().comes("bob").say("lobby") == "muted"
    stan.order("unmute", "bob")
    assert [bob.say(room) for room in ("lobby", "+plans", "@eve")] == [""] * 3
    stan.order("mute", "bob", 60)
    village.ms += 60_000
    assert bob.say("lobby") == ""


def test_ranks_of_the_broker(village: Village) -> None:
    olga, stan, _sven, bob = (village.comes(name) for name in ("olga", "stan", "sven", "bob"))
    for verb in ("ban", "kick", "mute"):
        assert [stan.order_fails(verb, name) for name in ("olga", "sven", "stan")] == ["not-allowed"] * 3
        assert bob.order_fails(verb, "stan") == "not-allowed"
        assert olga.order_fails(verb, "olga") == "not-allowed"
        assert stan.order_fails(verb, "nobody") == "no-such-person"
    assert stan.order_fails("drain") == "not-allowed"
    olga.order("mute", "stan")
    assert stan.order_fails("unmute", "stan") == "not-allowed"
    olga.order("ban", "stan")
    assert village.knocks("stan").hello_fails() == "not-admitted"


def test_on_plaintext_nobody_is_anything_and_blocks_hold(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    for verb in ("ban", "unban", "kick", "mute", "unmute", "announce", "drain"):
        assert ann.refused(Admin(1, verb, "bob", 0, "x")) == "not-allowed"
    for what in ("bans", "rooms", "people", "sessions"):
        assert ann.refused(List(1, what)) == "not-allowed"
    assert ann.asks(Admin(1, "block", "bob")) == [Done(1)]
    assert bob.refused(Send(1, "@ann", "hi")) == "blocked"
    assert ann.asks(List(1, "bots")) == [Listed(1, (), False)]
    assert ann.refused(Bot(1, b"k" * 32, "eliza")) == "not-allowed"
    talk.turn(Ordered("ban", "bob"))
    assert talk.effects.console == ["done: ban bob"]
    assert bob.heard[0] == Failed(0, "not-admitted", "you were banned by operator")
    assert bob.hello_fails() == "not-admitted"


def test_everybody_hears_an_announcement(village: Village) -> None:
    olga, bob = village.comes("olga"), village.comes("bob")
    olga.order("announce", text="lunch\nat 12")
    assert bob.heard == [Notice(DAY, "olga", "lunch\nat 12")]
    for text in ("", "\x1b]0;x\x07", "a\rb", "\x9b1m"):
        assert olga.order_fails("announce", text=text) == "bad-request"
    assert olga.order_fails("announce", text="é" * 8193) == "too-long"


def test_an_owner_stops_the_broker(village: Village) -> None:
    olga, bob = village.comes("olga"), village.comes("bob")
    olga.order("drain", text="moving")
    assert bob.heard == [Closing("moving")]
    assert village.hub.draining
    assert bob.tells(Send(1, "lobby", "hi")) == "draining"
    assert bob.tells(Act(1, "create", "den")) == "draining"
    assert village.log()[-1].verb == "drain"


@pytest.mark.parametrize("verb", ["ban", "kick", "mute", "announce", "block"])
def test_an_order_that_cannot_be_kept_is_not_obeyed(village: Village, verb: str) -> None:
    olga, bob = village.comes("olga"), village.comes("bob", "lobby")
    village.broken = True
    assert olga.order_fails(verb, "bob", 0, "x") == "store-unavailable"
    assert bob.heard == []
    village.broken = False
    assert (olga.bans(), olga.lists("blocks"), village.log()) == ([], [], [])
    assert bob.say("lobby") == ""
    assert bob.say("@olga") == ""
    olga.order(verb, "bob", 0, "x")
    assert [line.verb for line in village.log()] == ([verb] if verb != "block" else [])


def test_every_order_is_in_the_log_and_survives(village: Village) -> None:
    olga, stan = village.comes("olga"), village.comes("stan")
    village.comes("bob")
    done: list[tuple[str, str, int, str]] = [
        ("mute", "bob", 60, "hush"),
        ("unmute", "bob", 0, ""),
        ("kick", "bob", 0, "out"),
        ("ban", "bob", 0, "spam"),
        ("unban", "bob", 0, ""),
        ("announce", "", 0, "lunch"),
    ]
    for one in done:
        stan.order(*one)
    olga.order("block", "stan")
    assert [(line.name, line.verb, line.whom, line.seconds, line.text) for line in village.log()] == [
        ("stan", *one) for one in done
    ]
    assert {line.room for line in village.log()} == {""}


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("unknown-word", Admin(1, "", "bob")),
        ("unknown-word", Admin(1, "op", "bob")),
        ("unknown-word", Admin(1, "\x1b" * 1000, "bob")),
        ("bad-request", Admin(1, "ban", "bob", 2**63 - 1)),
        ("bad-request", Admin(1, "ban", "bob", 0, "a\nb")),
        ("too-long", Admin(1, "ban", "bob", 0, "x" * 501)),
        ("no-such-person", Admin(1, "ban", "")),
        ("no-such-person", Admin(1, "ban", "x" * 100_000)),
        ("unknown-word", List(1, "")),
        ("unknown-word", List(1, "audit")),
        ("no-such-room", List(1, "bans", "nowhere")),
        ("name-invalid", List(1, "bans", "\x1b")),
        ("bad-request", Bot(1, b"", "eliza")),
        ("bad-request", Bot(1, b"k" * 33, "eliza")),
        ("name-invalid", Bot(1, b"k" * 32, "")),
        ("name-invalid", Bot(1, b"k" * 32, "a b")),
        ("name-invalid", Bot(1, b"k" * 32, "x" * 28)),
        ("name-invalid", Bot(1, b"k" * 32, "admin")),
        ("name-invalid", Bot(1, b"k" * 32, "eliza[bot][bot]")),
    ],
)
def test_what_nobody_may_ask_for(village: Village, code: str, request_: Request) -> None:
    olga = village.comes("olga")
    village.comes("bob")
    assert olga.tells(request_) == code
    assert not village.log()


# Blocks ---------------------------------------------------------------------------------------------------------------


def test_blocks_are_ones_own_and_bounded() -> None:
    village = Village(max_blocks_person=2)
    ann, bob = village.comes("ann"), village.comes("bob")
    for name in ("eve", "mia"):
        village.comes(name)
    for name in ("bob", "eve", "bob"):
        ann.order("block", name)
    assert ann.order_fails("block", "mia") == "limit-reached"
    assert ann.order_fails("block", "ann") == "not-allowed"
    assert ann.lists("blocks") == [NameRow("bob"), NameRow("eve")]
    assert bob.lists("blocks") == []
    assert bob.say("@ann") == "blocked"
    assert bob.say("lobby") == ""
    again = village.again()
    assert again.comes("ann").lists("blocks") == [NameRow("bob"), NameRow("eve")]
    assert again.comes("bob").say("@ann") == "blocked"
    ann.order("unblock", "bob")
    assert ann.order_fails("unblock", "bob") == "no-such-person"
    assert bob.say("@ann") == ""


# Lists ----------------------------------------------------------------------------------------------------------------


def test_lists_are_given_page_by_page() -> None:
    village = Village(page=2)
    stan = village.comes("stan", "lobby")
    people = [f"p{n}" for n in range(5)]
    for name in people:
        village.comes(name, "lobby")
    (page,) = stan.asks(List(1, "people"))
    assert isinstance(page, Listed)
    assert [row.key for row in page.rows] == ["p0", "p1"]
    assert page.more
    assert stan.lists("people") == [PersonRow(name, "member", 1, DAY) for name in people] + [
        PersonRow("stan", "moderator", 1, DAY)
    ]
    sessions = stan.lists("sessions")
    assert len(sessions) == 6
    assert all(isinstance(row, SessionRow) and row.here and row.rooms == 1 and row.fingerprint for row in sessions)
    for name in people:
        stan.order("mute", name, 60, "why not")
    assert stan.lists("bans") == [
        BanRow(f"{name} mute", name, "mute", DAY + 60_000, "stan", DAY, "why not") for name in people
    ]


def test_private_rooms_are_listed_to_owners_alone(village: Village) -> None:
    fay, stan, olga = village.comes("fay"), village.comes("stan"), village.comes("olga")
    fay.does("create", "+plans")
    fay.does("create", "den")
    fay.say("@stan")
    assert [row.key for row in stan.lists("rooms")] == ["den", "lobby"]
    (plans, den, _lobby) = olga.lists("rooms")
    assert den == RoomRow("den", "den", 0, 0, 1, DAY, "fay")
    assert isinstance(plans, RoomRow)
    assert (plans.label, plans.members, plans.founder) == ("+plans", 1, "fay")


def test_who_is_staff_no_longer_is_told_nothing_that_waits() -> None:
    village = Village(work_budget=1)
    olga, stan = village.comes("olga"), village.comes("stan")
    village.all_do(*((olga, Who(n)) for n in range(3)), (stan, List(1, "people")))
    village.authorized[key_of("stan")] = "member"
    assert village.hub.admission is not None
    village.hub.admit_by(village.hub.admission.door)
    heard: list[Any] = []
    while village.hub.busy:
        village.turn()
        heard += stan.heard
    assert [item.code for item in heard] == ["not-allowed"]


# Bots -----------------------------------------------------------------------------------------------------------------


def test_a_bot_is_marked_and_belongs_to_who_answers_for_it(village: Village) -> None:
    ann, stan = village.comes("ann"), village.comes("stan")
    assert ann.asks(Bot(1, key_of("bot"), "Eliza")) == [Named(1, "Eliza[bot]")]
    assert ann.lists("bots") == [NameRow("Eliza[bot]")]
    assert stan.lists("bots") == []
    eliza = village.comes("eliza", "lobby", key=key_of("bot"))
    assert eliza.name == "Eliza[bot]"
    assert eliza.say("lobby") == ""
    assert eliza.asks(Nick(1, "weizenbaum")) == [Named(1, "weizenbaum[bot]")]
    assert eliza.tells(Bot(1, key_of("more"), "more")) == "not-allowed"
    row = next(row for row in stan.lists("people") if row.key == "weizenbaum[bot]")
    assert isinstance(row, PersonRow)
    assert (row.role, row.answers) == ("member", "ann")
    assert village.comes("bob").tells(Nick(1, "x[bot]")) == "name-invalid"
    assert village.again().comes("eliza", key=key_of("bot")).name is not None
    assert village.log()[-1].verb == "bot"


@pytest.mark.parametrize("how", ["ban", "revoke"])
def test_a_bot_goes_with_who_answers_for_it(village: Village, how: str) -> None:
    olga, ann = village.comes("olga"), village.comes("ann")
    ann.asks(Bot(1, key_of("bot"), "eliza"))
    eliza = village.comes("eliza", "lobby", key=key_of("bot"))
    olga.asks(Admin(1, "ban", "ann") if how == "ban" else Revoke(1, name="ann"))
    for one in (ann, eliza):
        assert [item.code for item in one.heard if isinstance(item, Failed)] == ["not-admitted"]
    assert village.knocks("eliza", key=key_of("bot")).hello_fails() == "not-admitted"
    olga.asks(Admin(1, "unban", "ann") if how == "ban" else Revoke(1, name="ann", undo=True))
    assert village.comes("eliza", key=key_of("bot")).say("lobby") == ""


def test_a_bot_says_no_more_than_who_answers_for_it(village: Village) -> None:
    stan, ann = village.comes("stan"), village.comes("ann")
    ann.asks(Bot(1, key_of("bot"), "eliza"))
    eliza = village.comes("eliza", "lobby", key=key_of("bot"))
    stan.order("mute", "ann")
    assert eliza.say("lobby") == "muted"
    stan.order("unmute", "ann")
    assert eliza.say("lobby") == ""
    stan.order("mute", "eliza[bot]")
    assert (eliza.say("lobby"), ann.say("lobby")) == ("muted", "")


def test_who_blocks_a_person_hears_nothing_of_the_bots_of_that_one_either(village: Village) -> None:
    ann, bob = village.comes("ann"), village.comes("bob")
    ann.asks(Bot(1, key_of("bot"), "eliza"))
    eliza = village.comes("eliza", key=key_of("bot"))
    eliza.does("create", "+plans")
    bob.order("block", "ann")
    assert (ann.say("@bob"), eliza.say("@bob"), eliza.fails("invite", "+plans", "bob")) == ("blocked",) * 3
    bob.order("unblock", "ann")
    bob.order("block", "eliza[bot]")
    assert (ann.say("@bob"), eliza.say("@bob")) == ("", "blocked")


def test_who_answers_for_a_bot_revokes_it(village: Village) -> None:
    ann, bob = village.comes("ann"), village.comes("bob")
    ann.asks(Bot(1, key_of("bot"), "eliza"))
    eliza = village.comes("eliza", key=key_of("bot"))
    assert bob.tells(Revoke(1, name="eliza[bot]")) == "not-allowed"
    assert ann.tells(Revoke(1, name="eliza[bot]")) == ""
    assert eliza.heard[0] == Failed(0, "not-admitted", "you are not let in here any more")
    assert ann.lists("bots") == []
    assert ann.tells(Bot(1, key_of("bot"), "eliza")) == "not-allowed"


def test_a_bot_that_is_refused_leaves_nothing_behind() -> None:
    village = Village(max_bots_person=1)
    ann, bob = village.comes("ann"), village.comes("bob")
    assert ann.tells(Bot(1, key_of("bot"), "bob")) == "", "a bob[bot] is nobody's look-alike"
    assert bob.tells(Bot(1, key_of("b"), "bob")) == "name-taken"
    assert bob.lists("bots") == []
    assert bob.tells(Bot(1, key_of("b"), "robert")) == ""
    assert bob.tells(Bot(1, key_of("c"), "more")) == "limit-reached"
    assert ann.tells(Revoke(1, name="bob[bot]")) == ""
    village.broken = True
    assert ann.tells(Bot(1, key_of("d"), "delta")) == "store-unavailable"
    village.broken = False
    assert ann.lists("bots") == []
    assert ann.tells(Bot(1, key_of("d"), "delta")) == ""


def test_nobodys_key_is_made_a_bots(village: Village) -> None:
    ann = village.comes("ann")
    village.comes("bob").asks(Join(1, "lobby"))
    silent = village.knocks(None, key=key_of("silent"))
    silent.hello()
    for name in ("bob", "ann", "olga", "silent"):
        assert ann.tells(Bot(1, key_of(name), "eliza")) == "not-allowed"
    assert village.knocks("bob").hello().role == "member"
    assert village.hub.names.called(person_of(key_of("bob"))) == "bob"


# The console ----------------------------------------------------------------------------------------------------------


def test_the_operator_gives_the_same_orders(village: Village) -> None:
    olga, bob = village.comes("olga"), village.comes("bob")
    village.turn(Ordered("mute", "olga"))
    assert village.effects.console == ["done: mute olga"]
    village.turn(Ordered("bans"))
    assert village.effects.console == ["olga: mute by operator", "that is all: 1"]
    village.turn(Ordered("kick", "nobody"))
    assert village.effects.console == ["nobody was ever called nobody here"]
    village.turn(Ordered("ban", "olga", 0, "bye"))
    assert olga.heard == [Failed(0, "not-admitted", "you were banned by operator: bye")]
    assert village.comes("olga").say("lobby") == "", "an owner is never locked out"
    village.broken = True
    village.turn(Ordered("ban", "bob"))
    village.broken = False
    assert bob.heard == []
    assert [line.partition(": the")[0] for line in village.effects.console] == ["not done: ban bob"]
    assert [(line.name, line.verb) for line in village.log()] == [("operator", "mute"), ("operator", "ban")]


def test_a_list_with_long_reasons_comes_in_frames_that_a_client_takes(village: Village) -> None:
    ann = village.comes("ann")
    ann.does("create", "den")
    for number in range(130):
        village.comes(name := f"b{number:031}").tells(Bye(9))
        ann.does("ban", "den", name, text="\N{GRINNING FACE}" * 500)
    (told,) = ann.asks(List(1, "bans", "den"))
    assert isinstance(told, Listed)
    assert told.more
    assert all(len(frame) <= codec.FRAME + 4096 for frame in codec.encode_replies(Stamp(b"12345678", 1), [told]))
    assert len(ann.bans("den")) == 130


def test_who_lets_people_in_and_out_is_in_the_log(village: Village) -> None:
    olga, _ = village.comes("olga"), village.comes("mia")
    olga.asks(Link(1, uses=2))
    olga.asks(Revoke(2, name="mia"))
    olga.asks(Revoke(3, name="mia", undo=True))
    told = [(line.name, line.verb, line.whom, line.text, line.on) for line in village.log()]
    assert told == [
        ("olga", "link", "", "for 2 member", True),
        ("olga", "revoke", "mia", "", True),
        ("olga", "revoke", "mia", "", False),
    ]
