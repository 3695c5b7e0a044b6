"""Sessions as the hub knows them, and the names they go by."""

from __future__ import annotations

from dataclasses import dataclass, field

from zchat import errors, names
from zchat.store.base import ClientRecord


@dataclass(slots=True)
class Client:
    """A client's send numbers while it has a session. A cache of the store's record.

    Attributes:
        known: what the store said, and what was committed since.
        planned: the last number used up, with those of the turn under way.
    """

    known: ClientRecord
    planned: int


@dataclass(slots=True, eq=False)
class Session:
    """One program's standing with the broker. Compared by identity.

    Attributes:
        token: the secret that resumes it.
        peer: where it is reached now, None while it is not.
        name: whom it speaks as, None for one who only looks.
        person, client: secrets; see messages.Hello.
        sender: the client's public id.
        sends: its send numbers; None until the store has told them.
        fence: the random token of its fence topics.
        hears: whether its SUB is connected; None while it has not been fenced over this connection.
        rooms: the rooms it follows, and whether it is in the roster of each.
        reading: whether a read is not answered yet.
        beat: the turn in which its last heartbeat, or its hello, was answered.
    """

    token: bytes
    peer: bytes | None
    name: str | None
    person: bytes
    client: bytes
    sender: bytes
    fence: bytes
    sends: Client | None = None
    hears: bool | None = None
    rooms: dict[str, bool] = field(default_factory=dict)
    reading: bool = False
    beat: int = 0


@dataclass(slots=True)
class _Holder:
    name: str
    person: bytes
    looks: frozenset[str]
    sessions: int = 0


@dataclass(slots=True)
class Names:
    """Which names are in use, by whom. A name belongs to one person, as does everything that looks like it."""

    _held: dict[str, _Holder] = field(default_factory=dict)  # by names.same
    _by_look: dict[str, set[str]] = field(default_factory=dict)  # look: keys of names with it

    def take(self, wanted: str, person: bytes) -> str:
        """One more session of a person goes by a name.

        Args:
            wanted: as the user gave it.
            person: who asks.

        Returns:
            The name as it is shown.

        Raises:
            errors.NameInvalid: it cannot be a name.
            errors.NameTaken: it is another person's, or looks like one that is.
        """
        name = names.person(wanted)
        key = names.same(name)
        holder = self._held.get(key)
        if holder is None:
            looks = names.looks(name)
            for look in looks:
                for other in self._by_look.get(look, ()):
                    if self._held[other].person != person:
                        raise errors.NameTaken(f"the name {name} looks like one that is in use: choose another")
            holder = self._held[key] = _Holder(name, person, looks)
            for look in looks:
                self._by_look.setdefault(look, set()).add(key)
        elif holder.person != person:
            raise errors.NameTaken(f"the name {holder.name} is taken by another person: choose another")
        holder.sessions += 1
        return holder.name

    def release(self, name: str) -> None:
        """One session fewer goes by that name."""
        key = names.same(name)
        holder = self._held[key]
        holder.sessions -= 1
        if holder.sessions:
            return
        del self._held[key]
        for look in holder.looks:
            self._by_look[look].discard(key)
            if not self._by_look[look]:
                del self._by_look[look]

    def owner(self, name: str) -> tuple[str, bytes]:
        """The name as it is shown, and the person who has it.

        Raises:
            errors.NoSuchPerson: nobody has it, or it cannot be a name.
        """
        try:
            return (holder := self._held[names.same(name)]).name, holder.person
        except (errors.NameInvalid, KeyError):
            # Cut short, since the answer is kept for a while.
            raise errors.NoSuchPerson(f"nobody here is called {name[: names.PERSON_MAX]}") from None
