"""Who may come in under CURVE: which key is whose, what a person may do, and the links that let others in.

On plaintext there are no keys, and none of this.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from zchat import errors
from zchat.address import Address
from zchat.broker.turn import Turn
from zchat.links import INVITE_SIZE, Link, id_text, invite_id
from zchat.store.base import Account, Device, Invite, Record

MEMBER, MODERATOR, OWNER = ROLES = ("member", "moderator", "owner")
"""What people may be, in rising order."""

DEVICE_LIFE = 3600
"""Seconds that a link for one more key holds."""


class Mode(enum.StrEnum):
    """Who may come in besides the keys that are authorized, and those that came in before."""

    INVITE = "invite"
    KNOWN = "known"
    OPEN = "open"


class Answer(enum.Enum):
    """What becomes of a connection that has shown that it has a key."""

    YES = "200"
    LATER = "300"
    NO = "400"


@dataclass(frozen=True, slots=True)
class Door:
    """Where and to whom a broker under CURVE is open.

    Attributes:
        address: that links name.
        key: the broker's public key.
        mode: who may come in.
        authorized: roles of the keys that may come in in any case.
    """

    address: Address
    key: bytes
    mode: Mode = Mode.INVITE
    authorized: Mapping[bytes, str] = field(default_factory=dict)


def person_of(key: bytes) -> bytes:
    """The person that a key is at first: a device link may make it another's."""
    return hashlib.blake2b(key, digest_size=16, person=b"zchat-person").digest()


_Kept = Account | Device | Invite


class Admission:
    """Keys, accounts and links.

    Args:
        turn: the turn under way: changes are part of its work.
        records: what the store keeps of them.
        door: where the broker is open.
        token: makes a secret of so many random bytes.
        fresh: gives the links that were put into the broker's folder since it was asked last.
    """

    def __init__(
        self,
        turn: Turn,
        records: Iterable[Record],
        door: Door,
        token: Callable[[int], bytes],
        fresh: Callable[[], Iterable[Invite]] = tuple,
    ) -> None:
        self._turn = turn
        self._token = token
        self._fresh = fresh
        self._accounts: dict[bytes, Account] = {}
        self._devices: dict[bytes, Device] = {}
        self._keys: dict[bytes, set[bytes]] = {}  # of each person
        self._invites: dict[bytes, Invite] = {}
        self._peers: dict[bytes, bytes] = {}
        self._listed: dict[bytes, list[str]] = {}  # roles of a person's keys in the file
        for record in records:
            if isinstance(record, _Kept):
                self._put(record)
        self.open(door)

    def open(self, door: Door) -> None:
        """Goes by a door from now on."""
        self.door = door
        self._listed = {}
        for key, role in door.authorized.items():
            self._listed.setdefault(self.person(key), []).append(role)

    # Who is who -----------------------------------------------------------------------------------------------------

    def met(self, peer: bytes, key: bytes) -> None:
        """A peer has shown that it has a key."""
        self._peers[peer] = key

    def gone(self, peer: bytes) -> None:
        """A peer's connection ended."""
        self._peers.pop(peer, None)

    def key_at(self, peer: bytes) -> bytes | None:
        """The key of a peer."""
        return self._peers.get(peer)

    def person(self, key: bytes) -> bytes:
        """Whose a key is; nobody's, which is empty, if it was revoked."""
        device = self._devices.get(key)
        return device.person if device is not None else person_of(key)

    def keys(self, person: bytes) -> set[bytes]:
        """A person's keys."""
        return set(self._keys.get(person, ()))

    def role(self, person: bytes) -> str:
        """What a person may do; empty for one who may not come in."""
        account = self._accounts.get(person)
        if not person or (account is not None and account.revoked):
            return ""
        if account is not None and account.answers:  # a bot is let in as long as who answers for it is
            return MEMBER if self.door.mode is not Mode.KNOWN and self.role(account.answers) else ""
        roles = [*self._listed.get(person, ())]
        if account is not None and self.door.mode is not Mode.KNOWN:
            roles.append(account.role)
        return max(roles, key=ROLES.index, default=MEMBER if self.door.mode is Mode.OPEN else "")

    def answers(self, person: bytes) -> bytes:
        """Who answers for a bot; empty for everybody else."""
        account = self._accounts.get(person)
        return account.answers if account is not None else b""

    def bots(self, person: bytes) -> list[bytes]:
        """For whom a person answers."""
        return [one.person for one in self._accounts.values() if one.answers == person and not one.revoked]

    def may_add_bot(self, person: bytes, key: bytes) -> bytes:
        """Whether a key may come in as a bot for which a person answers.

        Returns:
            The bot.

        Raises:
            errors.NotAllowed: it is somebody's already, or the person may not have any.
            errors.LimitReached: the person answers for as many as one may.
        """
        bot = self.person(key)
        if self.door.mode is Mode.KNOWN:
            raise errors.NotAllowed("here only keys come in that are in the broker's file of authorized keys")
        if self.answers(person):
            raise errors.NotAllowed("a bot cannot answer for others")
        account = self._accounts.get(bot)
        if not bot or key in self._devices or self._listed.get(bot) or (account and account.answers != person):
            raise errors.NotAllowed("that key is somebody's already: make a new one")
        if len(self.bots(person)) >= self._turn.settings.max_bots_person:
            raise errors.LimitReached("as many bots as one person may answer for: revoke one")
        self._room_for_account()
        return bot

    def add_bot(self, person: bytes, bot: bytes, key: bytes) -> None:
        """The key comes in as that bot from now on; see `may_add_bot`."""
        self._keep(Account(bot, MEMBER, 0, person))
        self._keep(Device(key, bot))

    def has_account(self, person: bytes) -> bool:
        """Whether a person was let in by a link, and may come in still."""
        account = self._accounts.get(person)
        return account is not None and not account.revoked

    def is_owner(self, person: bytes) -> bool:
        """Whether a person may do everything."""
        return self.role(person) == OWNER

    def may_come(self, key: bytes) -> bool:
        """Whether a key needs no link."""
        return bool(self.role(self.person(key)))

    def knock(self, key: bytes) -> Answer:
        """Whether a key may connect to the port for requests. Where there are links, hello will tell."""
        if self.may_come(key) or self._inviting():
            return Answer.YES
        self._take_fresh()
        return Answer.YES if self._inviting() else Answer.NO

    def _inviting(self) -> bool:
        """Whether some link may still be used."""
        return any(one.ms > self._turn.now.ms for one in self._invites.values())

    @property
    def has_owner(self) -> bool:
        """Whether anybody may do everything."""
        people = self._accounts.keys() | self._listed.keys()
        return any(self.role(person) == OWNER for person in people)

    def admit(self, key: bytes, secret: bytes | None) -> tuple[bytes, bool]:
        """Somebody says hello.

        Args:
            key: that the connection has shown.
            secret: of a link, if one was given. One that is not needed is not used up.

        Returns:
            The person, and whether the store must first keep that.

        Raises:
            errors.NotAdmitted: the person may not come in.
            errors.LimitReached: the broker has as many accounts, or the person as many keys, as it may.
        """
        person = self.person(key)
        invite = None
        if secret is not None:
            link = invite_id(secret)
            if link not in self._invites:
                self._take_fresh()
            invite = self._invites.get(link)
        if invite is not None and invite.ms <= self._turn.now.ms:
            self._drop(invite)
            invite = None
        account = self._accounts.get(person)
        if invite is not None and self._raises(invite, account, person):
            joined = self._join(key, invite)
            self._use(invite)
            return joined, True
        if not self.may_come(key):
            raise errors.NotAdmitted(
                "this broker does not let you in: ask who runs it for a link"
                if secret is None
                else "this link does not let anybody in any more: ask for a new one"
            )
        # Of who is let in without a link nothing need be kept: as what is in the file, or all alike.
        return person, False

    def _raises(self, invite: Invite, account: Account | None, person: bytes) -> bool:
        """Whether a link would give somebody anything."""
        if not person:
            return False
        if invite.person:  # who is somebody already stays that
            return invite.person != person and account is None and bool(self.role(invite.person))
        if account is None:
            return True
        if account.revoked:
            return not invite.by  # only what who may write the broker's folder gives out lets back in
        return ROLES.index(invite.role) > ROLES.index(account.role)

    def _join(self, key: bytes, invite: Invite) -> bytes:
        if invite.person:
            if len(self._keys.get(invite.person, ())) >= self._turn.settings.max_keys_person:
                raise errors.LimitReached("as many keys as one person may have: revoke the person, or use one of them")
            person = invite.person
        else:
            person = self.person(key)
            if person not in self._accounts:
                self._room_for_account()
            self._keep(Account(person, invite.role))
        self._keep(Device(key, person))
        return person

    def _room_for_account(self) -> None:
        if len(self._accounts) >= self._turn.settings.max_accounts:
            raise errors.LimitReached("as many people as the broker keeps: ask who runs it to let more in")

    # Links ----------------------------------------------------------------------------------------------------------

    def link(self, person: bytes, room: str, uses: int, seconds: int, role: str) -> str:
        """A link that lets others in.

        Raises:
            errors.NotAllowed: the person may not make one of that role.
            errors.BadRequest: it cannot be made so.
            errors.LimitReached: there are too many.
        """
        if self.door.mode is Mode.KNOWN:
            raise errors.NotAllowed("here only keys come in that are in the broker's file of authorized keys")
        if role not in ROLES:
            raise errors.BadRequest(f"a link makes a {MEMBER}, {MODERATOR} or {OWNER}: say which")
        if not self._may_give(person, role):
            raise errors.NotAllowed("owners make links of any role, moderators those for members: ask one of them")
        return self._invite(Invite(b"", room, role, uses, 0, person), seconds)

    def device(self, person: bytes, room: str) -> str:
        """A link that lets one more key of this person in."""
        return self._invite(Invite(b"", room, self.role(person), 1, 0, person, person), DEVICE_LIFE)

    def _invite(self, draft: Invite, seconds: int) -> str:
        settings = self._turn.settings
        if not 1 <= draft.uses <= settings.max_uses:
            raise errors.BadRequest(f"a link may be used from 1 to {settings.max_uses} times: say how often")
        if not 1 <= seconds <= settings.max_link_life:
            days = settings.max_link_life // 86400
            raise errors.BadRequest(f"a link holds from a second to {days} days: say how long")
        now = self._turn.now.ms
        for invite in [one for one in self._invites.values() if one.ms <= now]:
            self._drop(invite)
        if sum(one.by == draft.by for one in self._invites.values()) >= settings.max_links_person:
            raise errors.LimitReached("as many links as one may have at a time: revoke one, or wait until one is used")
        secret = self._token(INVITE_SIZE)
        ends = now + seconds * 1000
        self._keep(Invite(invite_id(secret), draft.room, draft.role, draft.uses, ends, draft.by, draft.person))
        return str(Link(self.door.address, draft.room, self.door.key, secret))

    def invites(self, person: bytes) -> list[Invite]:
        """The links that a person may see, and that may still be used, in the order of their ids."""
        everything = self.role(person) in (OWNER, MODERATOR)
        now = self._turn.now.ms
        return sorted(
            (one for one in self._invites.values() if one.ms > now and (everything or one.by == person)),
            key=lambda one: one.id,
        )

    def holds(self, link: bytes, ms: int) -> bool:
        """Whether the link of an id may be used at a time in milliseconds since 1970 UTC."""
        invite = self._invites.get(link)
        return invite is not None and invite.ms > ms

    def _take_fresh(self) -> None:
        """Who may write the broker's folder may have put links there."""
        for invite in self._fresh():
            self._keep(invite)
            self._turn.effects.given.append(invite)

    def revoke_link(self, person: bytes, which: str) -> None:
        """A link lets nobody in any more.

        Raises:
            errors.NotAllowed: there is none of that id that the person may revoke.
        """
        for invite in self._invites.values():
            if id_text(invite.id) == which and (invite.by == person or self._may_give(person, invite.role)):
                self._drop(invite)
                return
        raise errors.NotAllowed("there is no such link that you could revoke: zchat links shows which there are")

    def revoke(self, person: bytes, other: bytes, *, undo: bool) -> None:
        """A person is not let in any more, or let in again. The links that the person made are void.

        Raises:
            errors.NotAllowed: who asks may not do that.
        """
        account = self._accounts.get(other) or Account(other, MEMBER)
        for role in {account.role, self.role(other) or account.role}:
            if person == other or not (self._may_give(person, role) or account.answers == person):
                raise errors.NotAllowed("owners revoke anybody but themselves, moderators members: ask one of them")
        self._keep(Account(other, account.role, 0 if undo else self._turn.now.ms, account.answers))
        for invite in [one for one in self._invites.values() if other in (one.by, one.person)]:
            self._drop(invite)

    def revoke_key(self, person: bytes, key: bytes) -> None:
        """A key lets nobody in any more; what else its person has goes on.

        Raises:
            errors.NotAllowed: it is not the person's own, nor one that the person may revoke.
        """
        other = self.person(key)
        role = self.role(other)
        if not role:
            raise errors.NotAllowed("no such key is let in here")
        if person != other and not self._may_give(person, role):
            raise errors.NotAllowed("owners revoke anybody's keys, moderators those of members, all others their own")
        self._keep(Device(key, b""))

    def _may_give(self, person: bytes, role: str) -> bool:
        """Whether a person may make others what a role says, and undo that."""
        mine = self.role(person)
        return mine == OWNER or (mine == MODERATOR and role == MEMBER)

    def _use(self, invite: Invite) -> None:
        self._turn.effects.used.append(invite.id)
        if invite.uses > 1:
            self._keep(
                Invite(invite.id, invite.room, invite.role, invite.uses - 1, invite.ms, invite.by, invite.person)
            )
        else:
            self._drop(invite)

    # What is kept ---------------------------------------------------------------------------------------------------

    def _keep(self, record: _Kept) -> None:
        before = self._put(record)
        self._turn.keep(record, lambda: self._take(record) if before is None else self._put(before))

    def _drop(self, record: _Kept) -> None:
        self._take(record)
        self._turn.drop(record, lambda: self._put(record))

    def _put(self, record: _Kept) -> _Kept | None:
        before: _Kept | None
        match record:
            case Account():
                before = self._accounts.get(record.person)
                self._accounts[record.person] = record
            case Device():
                before = self._devices.get(record.key)
                if before is not None:
                    self._keys[before.person].discard(record.key)
                self._devices[record.key] = record
                self._keys.setdefault(record.person, set()).add(record.key)
                self._relist(record.key)
            case Invite():
                before = self._invites.get(record.id)
                self._invites[record.id] = record
        return before

    def _take(self, record: _Kept) -> None:
        match record:
            case Account():
                self._accounts.pop(record.person, None)
            case Device():
                self._devices.pop(record.key, None)
                self._keys[record.person].discard(record.key)
                self._relist(record.key)
            case Invite():
                self._invites.pop(record.id, None)

    def _relist(self, key: bytes) -> None:
        """A key is somebody else's now."""
        if self._listed and key in self.door.authorized:
            self.open(self.door)

    def failed(self) -> None:
        """The turn's work could not be committed: nobody came in."""
        self._turn.effects.used.clear()
        self._turn.effects.given.clear()
