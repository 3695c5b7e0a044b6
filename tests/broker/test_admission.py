"""Who is let in under CURVE, as what, and until when: dialogues with a hub that has a door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from dialogue import DAY, Dialogue, Peer

from zchat import errors
from zchat.address import Address
from zchat.broker.admission import Answer, Door, Mode
from zchat.broker.inputs import Gone, Met, Received
from zchat.broker.rates import BOTS, Limits, Rate
from zchat.links import id_text, invite_id, key_text, parse_link
from zchat.messages import (
    Ack,
    Admin,
    Bot,
    Bye,
    Device,
    Done,
    Failed,
    Link,
    Linked,
    LinkList,
    Links,
    List,
    Listed,
    Named,
    NameRow,
    Nick,
    People,
    Ping,
    Pong,
    Refused,
    Reply,
    Request,
    Revoke,
    Send,
    Welcome,
    Who,
)
from zchat.store.base import Invite
from zchat.store.memory import MemoryStore

HERE = Address("chat.example", 5555)
BROKER = b"B" * 32
WEEK_MS = 7 * 86_400_000


class Town:
    """A broker with a door, and an owner in it.

    Attributes:
        owner: came in by a link that lay in the folder.
    """

    def __init__(self, mode: Mode = Mode.INVITE, store: MemoryStore | None = None, **settings: Any) -> None:
        self.authorized: dict[bytes, str] = {}
        self.talk = Dialogue(store, Door(HERE, BROKER, mode, self.authorized), **settings)
        assert self.talk.hub.admission is not None
        self.admission = self.talk.hub.admission

    def gives(self, role: str = "owner", ms: int = DAY + WEEK_MS) -> bytes:
        """Puts a link into the folder; gives its secret."""
        secret = self.talk.secret()
        self.talk.links.append(Invite(invite_id(secret), "lobby", role, 1, ms))
        return secret

    def comes(self, key: bytes, name: str | None = None, invite: bytes | None = None) -> Somebody:
        """A connection with a key, which has said nothing yet."""
        somebody = Somebody(self, key, name, invite)
        self.talk.turn(Met(somebody.peer.id, key))
        return somebody

    def person(self, key: bytes, name: str, invite: bytes | None = None) -> Somebody:
        """Somebody who was let in."""
        somebody = self.comes(key, name, invite)
        somebody.welcome()
        return somebody

    def owner(self, name: str = "olga") -> Somebody:
        """Somebody who may do everything."""
        return self.person(b"O" * 32, name, self.gives())


class Somebody:
    """A connection that has shown a key, and the program behind it."""

    def __init__(self, town: Town, key: bytes, name: str | None, invite: bytes | None) -> None:
        self.town = town
        self.key = key
        self.invite = invite
        self.peer = Peer(town.talk, name)

    def welcome(self, **changes: Any) -> Welcome:
        """Says hello, and is let in."""
        return self.peer.hello(**{"invite": self.invite, **changes})

    def refused(self, **changes: Any) -> str:
        """Says hello, and is not let in: with which code."""
        return self.peer.hello_fails(**{"invite": self.invite, **changes})

    def asks(self, request: Request) -> Reply:
        """Asks one thing; gives the answer."""
        (answer,) = self.peer.asks(request)
        return answer

    def link(self, **wanted: Any) -> bytes:
        """Makes a link; gives its secret."""
        answer = self.asks(Link(1, **wanted))
        assert isinstance(answer, Linked), answer
        secret = parse_link(answer.link).invite
        assert secret is not None
        return secret

    def code(self, request: Request) -> str:
        """Asks for what is refused: with which code."""
        return self.peer.refused(request)


def key(n: int) -> bytes:
    """Some key."""
    return n.to_bytes(32, "big")


def test_nobody_comes_in_without_a_link_and_learns_no_more() -> None:
    town = Town()
    town.owner()
    stranger = town.comes(key(1), "eve")
    assert stranger.refused() == "not-admitted"
    assert stranger.refused(invite=b"x" * 16) == "not-admitted"
    for request in (Who(1), Ping(2), Send(3, "lobby", "hi"), Link(4)):
        assert stranger.code(request) == "unknown-session"
    assert town.admission.knock(key(1)) is Answer.NO


def test_a_key_that_was_shown_is_needed() -> None:
    town = Town(Mode.OPEN)
    assert Peer(town.talk, "eve").hello_fails() == "not-admitted"


def test_the_owners_link_lets_one_in_as_the_owner() -> None:
    town = Town()
    secret = town.gives()
    assert town.admission.knock(key(1)) is Answer.YES
    olga = town.comes(key(1), "olga", secret)
    assert olga.welcome().role == "owner"
    assert town.talk.effects.used == [invite_id(secret)]
    assert town.comes(key(2), "eve", secret).refused() == "not-admitted"
    assert town.comes(key(1), "olga", secret).welcome().role == "owner"  # it need not know that it was used
    assert town.talk.effects.used == []


def test_a_link_names_the_broker_and_where_it_leads() -> None:
    olga = Town().owner()
    answer = olga.asks(Link(1, "#Den"))
    assert isinstance(answer, Linked)
    link = parse_link(answer.link)
    assert (link.address, link.key, link.room) == (HERE, BROKER, "den")


def test_a_link_may_be_used_so_often_by_others() -> None:
    town = Town()
    secret = town.owner().link(uses=2)
    for n in (1, 1, 2):
        assert town.comes(key(n), f"user{n}", secret).welcome().role == "member"
    assert town.comes(key(3), "eve", secret).refused() == "not-admitted"


def test_a_link_is_good_for_so_long() -> None:
    town = Town()
    secret = town.owner().link(seconds=60)
    town.talk.ms += 60_000
    assert town.comes(key(1), "eve", secret).refused() == "not-admitted"
    assert town.admission.knock(key(1)) is Answer.NO


def test_a_link_that_gives_nothing_is_not_used_up() -> None:
    town = Town()
    olga = town.owner()
    secret = olga.link()
    town.comes(olga.key, "olga", secret).welcome()
    assert town.comes(key(1), "ann", secret).welcome().role == "member"


def test_a_link_of_more_makes_more_of_a_member() -> None:
    town = Town()
    olga = town.owner()
    town.person(key(1), "ann", olga.link())
    secret = olga.link(role="moderator")
    assert town.comes(key(1), "ann", secret).welcome().role == "moderator"
    assert town.comes(key(2), "eve", secret).refused() == "not-admitted"


@pytest.mark.parametrize(
    ("role", "may"), [("owner", {"owner", "moderator", "member"}), ("moderator", {"member"}), ("member", set())]
)
def test_who_may_let_others_in(role: str, may: set[str]) -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link(role=role))
    made = {wanted for wanted in ("owner", "moderator", "member") if isinstance(ann.asks(Link(1, role=wanted)), Linked)}
    assert made == may


@pytest.mark.parametrize("wanted", [{"uses": 0}, {"uses": 10_001}, {"seconds": 0}, {"seconds": 400 * 86400}])
def test_a_link_has_bounds(wanted: dict[str, int]) -> None:
    assert Town().owner().code(Link(1, **wanted)) == "bad-request"  # type: ignore[arg-type]


def test_a_link_needs_a_role_and_a_room_that_can_be() -> None:
    olga = Town().owner()
    assert olga.code(Link(1, role="king")) == "bad-request"
    assert olga.code(Link(1, room="two words")) == "name-invalid"


def test_there_are_only_so_many_links() -> None:
    town = Town(max_links_person=2)
    olga = town.owner()
    olga.link(seconds=60)
    olga.link()
    assert olga.code(Link(1)) == "limit-reached"
    town.talk.ms += 60_000
    olga.link()


def test_which_links_there_are_is_told_without_their_secrets() -> None:
    town = Town()
    olga = town.owner()
    mod = town.person(key(1), "mod", olga.link(role="moderator"))
    ann = town.person(key(2), "ann", olga.link())
    secret = olga.link(room="den", uses=3, seconds=60)
    for somebody in (olga, mod):
        answer = somebody.asks(Links(1))
        assert isinstance(answer, LinkList)
        (info,) = answer.links
        assert (info.id, info.room, info.role, info.uses, info.by) == (
            id_text(invite_id(secret)),
            "den",
            "member",
            3,
            "olga",
        )
        assert info.ms == DAY + 60_000
    assert ann.asks(Links(1)) == LinkList(1, (), more=False)


def test_links_are_told_in_pages() -> None:
    town = Town(page=2)
    olga = town.owner()
    for _ in range(3):
        olga.link()
    first = olga.asks(Links(1))
    assert isinstance(first, LinkList)
    assert first.more
    second = olga.asks(Links(2, first.links[-1].id))
    assert isinstance(second, LinkList)
    assert len({one.id for one in (*first.links, *second.links)}) == 3


def test_a_revoked_link_lets_nobody_in() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    secret = olga.link()
    which = id_text(invite_id(secret))
    assert ann.code(Revoke(1, link=which)) == "not-allowed"
    assert olga.asks(Revoke(1, link=which)) == Done(1)
    assert olga.code(Revoke(2, link=which)) == "not-allowed"
    assert town.comes(key(2), "eve", secret).refused() == "not-admitted"


def test_a_revoked_person_is_out_at_once_on_all_connections() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    second = town.person(key(1), "ann")
    answers = olga.peer.asks(Revoke(1, name="ANN"))
    assert answers == [Done(1)]
    for peer in (ann.peer, second.peer):
        (failed,) = town.talk.replies[peer.id]
        assert isinstance(failed, Failed)
        assert failed.code == "not-admitted"
        assert peer.id in [one for one, _ in town.talk.effects.over]
    assert town.talk.effects.shut == [key(1)]
    assert not list(town.talk.hub.sessions.of(town.admission.person(key(1))))
    assert ann.code(Send(1, "lobby", "still here?")) == "unknown-session"
    assert town.comes(key(1), "ann").refused() == "not-admitted"
    assert not town.admission.may_come(key(1))


def test_a_revoked_person_does_not_come_back_by_a_link_of_others() -> None:
    town = Town()
    olga = town.owner()
    mod = town.person(key(1), "mod", olga.link(role="moderator"))
    own, others = mod.link(uses=9), olga.link(uses=9)
    olga.asks(Revoke(1, name="mod"))
    assert town.comes(key(1), "mod", others).refused() == "not-admitted"
    assert town.comes(key(2), "other", own).refused() == "not-admitted"  # what the revoked person made is void
    assert town.comes(key(3), "third", others).welcome().role == "member"


def test_a_revoked_person_may_be_let_in_again() -> None:
    town = Town()
    olga = town.owner()
    town.person(key(1), "ann", olga.link(role="moderator"))
    olga.asks(Revoke(1, name="ann"))
    assert olga.asks(Revoke(2, name="ann", undo=True)) == Done(2)
    town.talk.month_passes()
    assert town.comes(olga.key, "ann").refused() == "name-taken"  # with all that belongs to the person
    assert town.comes(key(1), "ann").welcome().role == "moderator"


def test_who_may_revoke_whom() -> None:
    town = Town()
    olga = town.owner()
    mod = town.person(key(1), "mod", olga.link(role="moderator"))
    other = town.person(key(2), "other", olga.link(role="moderator"))
    ann = town.person(key(3), "ann", olga.link())
    assert ann.code(Revoke(1, name="mod")) == "not-allowed"
    assert mod.code(Revoke(1, name="olga")) == "not-allowed"
    assert mod.code(Revoke(1, name="other")) == "not-allowed"
    assert olga.code(Revoke(1, name="olga")) == "not-allowed"  # nobody is locked out by a slip
    assert olga.code(Revoke(1, name="nobody")) == "no-such-person"
    assert mod.asks(Revoke(1, name="ann")) == Done(1)
    assert olga.asks(Revoke(1, name="mod")) == Done(1)
    assert other.asks(Ping(1)) == Pong(1)


def test_an_owner_that_was_locked_out_comes_back_by_the_folder() -> None:
    town = Town()
    olga = town.owner()
    second = town.person(key(1), "omar", olga.link(role="owner"))
    second.asks(Revoke(1, name="olga"))
    assert town.comes(olga.key, "olga", second.link(role="owner")).refused() == "not-admitted"
    assert town.comes(olga.key, "olga", town.gives()).welcome().role == "owner"


def test_another_device_is_the_same_person() -> None:
    town = Town()
    ann = town.person(key(1), "ann", town.owner().link())
    answer = ann.asks(Device(1))
    assert isinstance(answer, Linked)
    secret = parse_link(answer.link).invite
    laptop = town.person(key(2), "ann", secret)
    assert town.admission.person(key(1)) == town.admission.person(key(2))
    assert town.comes(key(3), "ann", secret).refused() == "not-admitted"
    ann.peer.asks(Bye(2))
    assert town.talk.effects.shut == [key(1)]
    assert laptop.asks(Ping(3)) == Pong(3)


def test_who_is_somebody_already_stays_that() -> None:
    town = Town()
    olga = town.owner()
    eve = town.person(key(1), "eve", olga.link())
    answer = eve.asks(Device(1))
    assert isinstance(answer, Linked)
    secret = parse_link(answer.link).invite
    assert town.comes(olga.key, "olga", secret).welcome().role == "owner"  # though eve called it a link
    assert town.person(key(2), "eve", secret).asks(Ping(1)) == Pong(1)


def test_one_key_of_several_is_revoked() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    answer = ann.asks(Device(1))
    assert isinstance(answer, Linked)
    phone = town.person(key(2), "ann", parse_link(answer.link).invite)
    bob = town.person(key(3), "bob", olga.link())
    assert bob.code(Revoke(1, name=key_text(key(1)))) == "not-allowed"
    assert phone.asks(Revoke(2, name=key_text(key(1)))) == Done(2)
    assert town.talk.effects.shut == [key(1)]
    assert town.comes(key(1), "ann", olga.link()).refused() == "not-admitted"  # for good, whatever it brings
    assert phone.asks(Ping(3)) == Pong(3)
    assert olga.asks(Revoke(4, name=key_text(key(3)))) == Done(4)  # of somebody else, who has no other
    assert town.comes(key(3), "bob").refused() == "not-admitted"
    assert olga.code(Revoke(5, name=key_text(key(9)))) == "not-allowed"


def test_who_never_took_a_name_is_revoked_by_the_key() -> None:
    town = Town()
    olga = town.owner()
    town.comes(key(1), None, olga.link()).welcome()
    assert olga.asks(Revoke(1, name=key_text(key(1)))) == Done(1)
    assert town.comes(key(1), None).refused() == "not-admitted"


def test_a_person_has_so_many_keys() -> None:
    town = Town(max_keys_person=2)
    olga = town.owner()

    def device(n: int) -> Somebody:
        answer = olga.asks(Device(1))
        assert isinstance(answer, Linked)
        return town.comes(key(n), "olga", parse_link(answer.link).invite)

    device(1).welcome()
    assert device(2).refused() == "limit-reached"


def test_with_the_person_all_devices_are_out() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    answer = ann.asks(Device(1))
    assert isinstance(answer, Linked)
    town.person(key(2), "ann", parse_link(answer.link).invite)
    olga.asks(Revoke(1, name="ann"))
    assert sorted(town.talk.effects.shut) == [key(1), key(2)]
    assert town.comes(key(2), "ann").refused() == "not-admitted"


# Bots -----------------------------------------------------------------------------------------------------------------


def _with_bot(**settings: Any) -> tuple[Town, Somebody, Somebody, Somebody]:
    """A broker with olga who owns it, ann, and her bot."""
    town = Town(**settings)
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    assert ann.asks(Bot(1, key(2), "dice")) == Named(1, "dice[bot]")
    return town, olga, ann, town.person(key(2), "dice")


def test_a_bot_is_let_in_and_called_one() -> None:
    town, _, ann, dice = _with_bot()
    assert dice.welcome().name == "dice[bot]"
    assert dice.welcome().role == "member"
    assert dice.asks(Nick(1, "cube")) == Named(1, "cube[bot]")
    assert town.comes(key(1), "dice[bot]").refused() == "name-invalid"  # no person's name has a bracket
    assert town.talk.hub.rates.is_bot(town.admission.person(key(2)))
    assert not town.talk.hub.rates.is_bot(town.admission.person(key(1)))
    assert ann.asks(List(2, "bots")) == Listed(2, (NameRow("cube[bot]"),), more=False)


def test_a_bot_has_limits_of_its_own() -> None:
    _, _, ann, dice = _with_bot(rates=Limits(), bot_rates=replace(BOTS, messages=Rate(2, 1)))
    sends = [Send(n, "lobby", "hi") for n in range(1, 4)]
    assert [type(one) for one in ann.peer.asks(*sends)] == [Ack]
    refused, acked = dice.peer.asks(*sends)
    assert isinstance(acked, Ack)
    assert acked.count == 2
    assert isinstance(refused, Refused)
    assert (refused.n, refused.code) == (3, "rate-limited")


def test_a_bot_makes_neither_bots_nor_links() -> None:
    _, _, _, dice = _with_bot()
    for request in (Bot(1, key(3), "more"), Link(1), Device(1), Revoke(1, name="ann")):
        assert dice.code(request) == "not-allowed"


def test_asked_again_it_is_the_same_bot_and_anothers_key_is_none() -> None:
    town, olga, ann, _ = _with_bot(max_bots_person=1)
    assert ann.asks(Bot(1, key(2), "dice")) == Named(1, "dice[bot]")
    assert ann.code(Bot(1, key(3), "more")) == "limit-reached"
    for taken in (key(1), key(2), b"O" * 32):
        assert olga.code(Bot(1, taken, "mine")) == "not-allowed"
    assert len(town.admission.bots(town.admission.person(key(1)))) == 1


def test_a_bot_whose_name_is_taken_is_none() -> None:
    town, _, ann, _ = _with_bot()
    bob = town.person(key(4), "bob", town.gives("member"))
    assert bob.code(Bot(1, key(5), "DICE")) == "name-taken"
    assert bob.code(Bot(1, key(5), "no/slash")) == "name-invalid"
    assert town.admission.bots(town.admission.person(key(4))) == []
    assert town.comes(key(5), "dice").refused() == "not-admitted"
    assert ann.asks(Bot(1, key(5), "more")) == Named(1, "more[bot]")  # nobody's as yet


def test_with_who_answers_for_it_a_bot_is_out_and_in_again() -> None:
    town, olga, _, _ = _with_bot()
    assert olga.asks(Revoke(1, name="ann")) == Done(1)
    assert sorted(town.talk.effects.shut) == [key(1), key(2)]
    assert town.comes(key(2), "dice").refused() == "not-admitted"
    assert olga.asks(Revoke(1, name="ann", undo=True)) == Done(1)
    assert town.comes(key(2), "dice").welcome().name == "dice[bot]"


def test_who_answers_for_a_bot_puts_it_out() -> None:
    town, olga, ann, _ = _with_bot()
    assert town.person(key(4), "bob", olga.link()).code(Revoke(1, name="dice[bot]")) == "not-allowed"
    assert ann.asks(Revoke(1, name="dice[bot]")) == Done(1)
    assert town.talk.effects.shut == [key(2)]
    assert town.comes(key(2), "dice").refused() == "not-admitted"
    assert ann.asks(Ping(2)) == Pong(2)


def test_who_is_banned_or_muted_does_not_go_on_through_a_bot() -> None:
    town, olga, _, dice = _with_bot()
    olga.asks(Admin(1, "mute", "ann"))
    (answer,) = dice.peer.asks(Send(1, "lobby", "hi"))
    assert isinstance(answer, Refused)
    assert answer.code == "muted"
    olga.asks(Admin(2, "ban", "ann"))
    assert sorted(town.talk.effects.shut) == [key(1), key(2)]
    assert town.comes(key(2), "dice").refused() == "not-admitted"


# Who may come ---------------------------------------------------------------------------------------------------------


def test_where_everybody_may_come_no_link_is_needed() -> None:
    town = Town(Mode.OPEN)
    assert town.comes(key(1), "ann").welcome().role == "member"
    olga = town.owner()
    olga.asks(Revoke(1, name="ann"))
    assert town.comes(key(1), "ann").refused() == "not-admitted"
    assert town.admission.knock(key(2)) is Answer.YES


def test_where_keys_are_listed_only_these_come() -> None:
    town = Town(Mode.KNOWN)
    town.authorized |= {key(1): "owner", key(2): "member"}
    town.admission.open(town.admission.door)
    olga = town.person(key(1), "olga")
    assert town.comes(key(2), "ann").welcome().role == "member"
    assert town.comes(key(3), "eve").refused() == "not-admitted"
    assert town.admission.knock(key(3)) is Answer.NO
    assert olga.code(Link(1)) == "not-allowed"
    assert olga.asks(Revoke(1, name="ann")) == Done(1)
    assert town.comes(key(2), "ann").refused() == "not-admitted"


def test_what_the_file_says_holds_and_nothing_of_it_is_kept() -> None:
    town = Town()
    town.authorized[key(1)] = "owner"
    town.admission.open(town.admission.door)
    olga = town.person(key(1), "olga")
    mod = town.person(key(2), "mod", olga.link(role="moderator"))
    assert town.admission.has_owner
    for role in ("owner", "member"):
        town.talk.hub.admit_by(Door(HERE, BROKER, Mode.INVITE, {key(1): role, key(2): "member"}))
        assert town.comes(key(1), "olga").welcome().role == role
    assert mod.asks(Revoke(1, name="olga")) == Done(1)
    town.talk.hub.admit_by(Door(HERE, BROKER, Mode.INVITE, {}))
    assert town.comes(key(1), "olga").refused() == "not-admitted"
    assert town.comes(key(2), "mod").welcome().role == "moderator"


def test_a_moderator_does_not_revoke_whom_the_file_made_more() -> None:
    town = Town()
    olga = town.owner()
    mod = town.person(key(1), "mod", olga.link(role="moderator"))
    town.person(key(2), "ann", olga.link())
    town.talk.hub.admit_by(Door(HERE, BROKER, Mode.INVITE, {key(2): "owner"}))
    assert mod.code(Revoke(1, name="ann")) == "not-allowed"


def test_who_is_listed_no_more_is_out() -> None:
    town = Town(Mode.KNOWN)
    town.authorized |= {key(1): "owner", key(2): "member"}
    town.admission.open(town.admission.door)
    town.person(key(1), "olga")
    ann = town.person(key(2), "ann")
    town.talk.hub.admit_by(Door(HERE, BROKER, Mode.KNOWN, {key(1): "owner"}))
    town.talk.turn()
    assert [type(item) for item in town.talk.replies[ann.peer.id]] == [Failed]
    assert town.talk.effects.shut == [key(2)]
    assert town.comes(key(2), "ann").refused() == "not-admitted"


def test_a_name_is_the_persons_whoever_asks_for_it() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    ann.peer.asks(Bye(1))
    town.talk.month_passes()
    for wanted in ("ann", "Ann", "аnn"):  # the last with a Cyrillic a
        assert town.comes(olga.key, wanted).refused() == "name-taken"
    assert olga.code(Nick(1, "ann")) == "name-taken"
    assert town.comes(key(1), "ann").welcome().name == "ann"


def test_a_name_that_was_given_up_is_kept_for_a_month() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    assert ann.asks(Nick(1, "anna")) == Named(1, "anna")
    assert olga.code(Nick(1, "ann")) == "name-taken"
    town.talk.month_passes()
    assert olga.asks(Nick(2, "ann")) == Named(2, "ann")


def test_what_hello_says_of_the_person_is_not_looked_at() -> None:
    town = Town()
    olga = town.owner()
    eve = town.comes(key(1), "eve", olga.link())
    eve.peer.person = town.admission.person(olga.key)
    assert eve.welcome().role == "member"
    assert eve.code(Nick(1, "olga")) == "name-taken"


def test_a_stolen_session_is_not_resumed_with_another_key() -> None:
    town = Town()
    olga = town.owner()
    eve = town.comes(key(1), None, olga.link())
    welcome = eve.welcome(resume=olga.peer.token)
    assert not welcome.resumed
    assert olga.asks(Ping(1)) == Pong(1)
    thief = town.comes(key(1), None)
    assert thief.refused(resume=olga.peer.token, client=olga.peer.client) == "bad-request"
    assert olga.asks(Ping(2)) == Pong(2)


def test_the_same_key_resumes_its_session() -> None:
    town = Town()
    olga = town.owner()
    town.talk.turn(Gone(olga.peer.id))
    back = olga.peer.returns()
    town.talk.turn(Met(back.id, olga.key))
    assert back.hello().resumed


def test_who_is_away_is_told_with_when() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    town.talk.ms += 5000
    ann.peer.asks(Bye(1))
    answer = olga.asks(Who(1, away=True))
    assert isinstance(answer, People)
    assert (answer.names, answer.seen) == (("ann", "olga"), (DAY + 5000, 0))


def test_nothing_is_true_that_could_not_be_kept() -> None:
    town = Town()
    secret = town.gives()
    lies = list(town.talk.links)
    town.talk.broken = True
    olga = town.comes(key(1), "olga", secret)
    assert olga.refused() == "store-unavailable"
    town.talk.links += lies  # they are taken away once they are kept
    assert town.talk.effects.used == []
    assert town.admission.role(town.admission.person(key(1))) == ""
    town.talk.broken = False
    assert olga.welcome().role == "owner"
    other = olga.link()
    town.talk.broken = True
    assert olga.code(Link(1)) == "store-unavailable"
    assert olga.code(Revoke(2, link=id_text(invite_id(other)))) == "store-unavailable"
    town.talk.broken = False
    answer = olga.asks(Links(3))
    assert isinstance(answer, LinkList)
    assert [one.id for one in answer.links] == [id_text(invite_id(other))]


def test_who_could_not_be_revoked_stays_in() -> None:
    town = Town()
    olga = town.owner()
    ann = town.person(key(1), "ann", olga.link())
    town.talk.broken = True
    assert olga.code(Revoke(1, name="ann")) == "store-unavailable"
    town.talk.broken = False
    assert ann.asks(Ping(2)) == Pong(2)
    assert not any("revoked" in text for _, text in town.talk.logged)


def test_two_hellos_of_somebody_new_that_could_not_be_kept_let_nobody_in() -> None:
    town = Town()
    secret = town.owner().link()
    town.talk.broken = True
    ann, again = town.comes(key(1), "ann", secret), town.comes(key(1), "ann", secret)
    town.talk.turn(
        Received(ann.peer.id, [ann.peer.greeting(invite=secret)]),
        Received(again.peer.id, [again.peer.greeting(invite=secret)]),
    )
    for peer in (ann.peer, again.peer):
        assert [type(item) for item in town.talk.replies[peer.id]] == [Failed]
    assert len(town.talk.hub.sessions) == 1


def test_the_names_of_who_was_let_in_are_not_forgotten_for_others() -> None:
    town = Town(Mode.OPEN, max_names=2)
    olga = town.owner()
    town.person(key(1), "ann", olga.link()).peer.asks(Bye(1))
    assert town.comes(key(2), "eve").refused() == "limit-reached"
    assert town.comes(key(2), "ann").refused() == "name-taken"


def test_who_came_in_is_known_by_the_next_broker() -> None:
    store = MemoryStore()
    town = Town(store=store)
    olga = town.owner()
    secret = olga.link()
    town.person(key(1), "ann", olga.link())
    olga.asks(Revoke(1, name="ann"))
    answer = olga.asks(Device(2))
    assert isinstance(answer, Linked)
    town.person(key(2), "olga", parse_link(answer.link).invite)
    again = Town(store=store)
    assert again.comes(olga.key, "olga").welcome().role == "owner"
    assert again.comes(key(2), "olga").welcome().role == "owner"
    assert again.comes(key(1), "ann").refused() == "not-admitted"
    assert again.comes(key(3), "bob", secret).welcome().role == "member"
    assert again.comes(key(4), "eve", secret).refused() == "not-admitted"


def test_there_are_only_so_many_people() -> None:
    town = Town(max_accounts=2)
    olga = town.owner()
    secret = olga.link(uses=9)
    town.person(key(1), "ann", secret)
    assert town.comes(key(2), "bob", secret).refused() == "limit-reached"
    answer = olga.asks(Links(1))
    assert isinstance(answer, LinkList)
    assert answer.links[0].uses == 8  # who was not let in has not used it


def test_a_person_has_so_many_sessions() -> None:
    town = Town(max_sessions_person=2)
    olga = town.owner()
    other = town.person(olga.key, "olga")
    assert town.comes(olga.key, "olga").refused() == "limit-reached"
    other.peer.asks(Bye(1))
    town.comes(olga.key, "olga").welcome()


def test_on_plaintext_there_are_no_links() -> None:
    talk = Dialogue()
    ann = talk.person("ann")
    for request in (Link(1), Device(2), Links(3), Revoke(4, name="ann")):
        assert ann.refused(request) == errors.NotAllowed.code
