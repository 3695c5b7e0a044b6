"""Is what clients saw of a broker what it promises? Pure: it judges a history and knows nothing of how that came to be.

    found = check(History(sends, streams, logs, members))
    found.violations    # lines to read, each with the number of the rule that it breaks
    found.counts        # what there was

A history is what clients noted for themselves: every message before it was handed over and what came of it, every
event that each of them heard, and at the end every room as somebody reads it who was not there before. Texts are
unique, so that a message is told by its text where nothing else is known of it. The rules:

1. One event for each number of a room, whoever reads it, within what the store vouches for.
2. Each event under one number only.
3. What was acknowledged is there, under the number that was acknowledged.
4. The numbers of a room are dense, from the first kept to the head.
5. What a subscriber hears is contiguous and rises, save after an announced gap; who stays to the end hears the end.
6. Who sends after another message of the room was acknowledged gets a higher number.
7. What was refused never appears, what is unknown at most once, and what nobody sent there not at all.
8. Nobody hears a room without being a member of it. Where members come and go, what happened in the room says who was
   one when: who was let in may read all that there is, and who was sent out gets nothing from that number on, and
   says nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum

RULES = range(1, 9)


class Outcome(StrEnum):
    """What a client was told of a message of its own."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a room, as one reader has it.

    Attributes:
        seq: its number.
        id: what tells it from every other, whatever it says: its sender and that one's number of it.
        text: what it says, or for a deletion what its sender calls it; empty where that was taken back.
        target: the number of the message that it edits or deletes; 0 for a message.
        deed: whether it is no message, but something done in the room: what it says need not have been sent, but where
            members come and go.
        verb, whom: of a deed: what was done, and to whom; who made a room or gave it up did that to itself.
        by: who did or said it, as that one was called; empty where it was not noted.
        at: when the reader had it, in the nanoseconds of the clients' clock; 0 where it was not noted.
    """

    seq: int
    id: str
    text: str
    target: int = 0
    deed: bool = False
    verb: str = ""
    whom: str = ""
    by: str = field(default="", compare=False)
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """A subscriber is told that it misses events.

    Attributes:
        first, last: their numbers; last is None where the log began anew: nothing heard before is vouched for.
    """

    first: int
    last: int | None


@dataclass(slots=True)
class Send:
    """A message that a client handed over, or was about to.

    Attributes:
        text: unlike every other.
        at: when it was about to be handed over, in the nanoseconds of a clock that all clients share.
        outcome: what the client was told; unknown if it was told nothing.
        seq: the number that was acknowledged; 0 for none, or for one that is not known any more.
        acked_at: when that was noted.
        deletes: the number of the message that it takes back; 0 for none.
    """

    client: str
    room: str
    text: str
    at: int
    outcome: Outcome = Outcome.UNKNOWN
    seq: int = 0
    acked_at: int = 0
    deletes: int = 0


@dataclass(slots=True)
class Stream:
    """What one client heard of one room, from one join on.

    Attributes:
        who: the subscriber, as it is called in a violation.
        client: whose membership counts.
        after: the number that it asked to begin after; None for whatever is said from now on.
        heard: in order.
        complete: whether it stayed to the end, and was given the time to hear everything.
    """

    who: str
    client: str
    room: str
    after: int | None = None
    heard: list[Event | Gap] = field(default_factory=list)
    complete: bool = False


@dataclass(slots=True)
class Log:
    """A room as somebody new reads it at the end.

    Attributes:
        first: the lowest number that is kept.
        head: the highest.
    """

    first: int
    head: int
    events: list[Event]


@dataclass(slots=True)
class History:
    """All that is known of a run.

    Attributes:
        logs: of every room.
        members: of every room where that does not change, the clients that could hear it.
        guarded: the rooms whose members come and go: what happened in them says who they are.
        overheard: what came to clients of private rooms, whatever became of it there: nothing but the numbers is known.
    """

    sends: list[Send]
    streams: list[Stream]
    logs: dict[str, Log]
    members: Mapping[str, set[str]]
    guarded: Set[str] = frozenset()
    overheard: Sequence[Stream] = ()


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody was a member of a room for a while.

    Attributes:
        since, until: the numbers of what let that one in and sent it out; None for to the end.
        at: when that was asked for which let it in: nobody was told anything before.
    """

    since: int
    at: int = 0
    until: int | None = None

    def may_hear(self, event: Event) -> bool:
        """Whether the member may have got an event: all that there was before it was sent out, once it was let in."""
        return (self.until is None or event.seq < self.until) and (not event.at or event.at >= self.at)

    def may_say(self, seq: int) -> bool:
        """Whether the member may be the one who said or did what has this number."""
        return self.since <= seq and (self.until is None or seq < self.until)


def stays(events: Iterable[Event], asked: Mapping[str, int] | None = None) -> dict[str, list[Stay]]:
    """Who was a member of a room when.

    Args:
        events: of the room, in order.
        asked: when each text was about to be handed over.
    """
    found: dict[str, list[Stay]] = defaultdict(list)
    for event in events:
        mine = found[event.whom] if event.verb in _IN + _OUT else []
        inside = bool(mine) and mine[-1].until is None
        if event.verb in _IN and not inside:
            mine.append(Stay(event.seq, (asked or {}).get(event.text, 0)))
        elif event.verb in _OUT and inside:
            mine[-1] = replace(mine[-1], until=event.seq)
    return {who: mine for who, mine in found.items() if mine}


_IN, _OUT = ("create", "invite"), ("kick", "ban", "leave")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule is broken."""

    rule: int
    room: str
    what: str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.room}: {self.what}"


@dataclass(frozen=True, slots=True)
class Counts:
    """What there was.

    Attributes:
        sends: messages, edits and deletions that were about to be handed over.
        acked, failed, unknown: what became of them, as their clients know.
        unknown_kept: how many of the unknown are in the logs.
        kept: events in the logs.
        deliveries: events heard by subscribers; private: of them those in private rooms.
        let_in, sent_out: how often somebody was let into a private room, or sent out of it.
        gaps, missed: that subscribers were told of, and the numbers in them; those without an end count as one number.
        needless: numbers in gaps that were in the logs all the same.
        anew: gaps without an end: the log began anew.
    """

    sends: int = 0
    acked: int = 0
    failed: int = 0
    unknown: int = 0
    unknown_kept: int = 0
    kept: int = 0
    deliveries: int = 0
    private: int = 0
    let_in: int = 0
    sent_out: int = 0
    gaps: int = 0
    missed: int = 0
    needless: int = 0
    anew: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    violations: list[Violation]
    counts: Counts

    @property
    def rules(self) -> set[int]:
        """The numbers of the rules that are broken."""
        return {violation.rule for violation in self.violations}


def check(history: History) -> Verdict:
    """Judges a history by all eight rules."""
    index = _Index(history)
    rules = (_one_event, _one_number, _acked, _dense, _contiguous, _ordered, _only_what_was_sent, _members_only)
    return Verdict([violation for rule in rules for violation in rule(index)], _counts(index))


class _Index:
    """The history, turned to be looked at from every side.

    Attributes:
        sends: by text.
        seen: of every room and number, what all readers have there, in what is vouched for.
        places: of every text, the rooms and numbers where any reader has it.
        numbers: of every identity, likewise.
        taken_back: the rooms and numbers of messages that somebody was about to delete.
        stays: of every room whose members come and go, who was one when.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.sends = {send.text: send for send in history.sends}
        self.taken_back = {(send.room, send.deletes) for send in history.sends if send.deletes}
        self.seen: dict[tuple[str, int], list[tuple[str, Event]]] = defaultdict(list)
        self.places: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self.numbers: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for room, log in history.logs.items():
            self._see("the log", room, log.events)
        for stream in history.streams:
            self._see(stream.who, stream.room, _vouched(stream.heard))
        asked = {send.text: send.at for send in history.sends}
        known: dict[str, list[Event]] = {room: [] for room in history.guarded}
        for (room, _), seen in sorted(self.seen.items()):
            if room in known:
                known[room].append(seen[0][1])
        self.stays = {room: stays(events, asked) for room, events in known.items()}

    def _see(self, who: str, room: str, events: Iterable[Event]) -> None:
        for event in events:
            place = (room, event.seq)
            self.seen[place].append((who, event))
            self.numbers[event.id].add(place)
            if event.text and (not event.deed or room in self.history.guarded):
                self.places[event.text].add(place)

    def redacted(self, room: str, event: Event) -> bool:
        """Whether an event is empty as it may be: it, or what it edits, was to be deleted."""
        return not event.text and bool({(room, event.seq), (room, event.target)} & self.taken_back)

    def place(self, send: Send) -> int:
        """The number that a message has, as far as anybody knows; 0 if nobody does."""
        if send.seq:
            return send.seq
        return min((seq for room, seq in self.places.get(send.text, ()) if room == send.room), default=0)


def _vouched(heard: Sequence[Event | Gap]) -> list[Event]:
    """The events after the last gap without an end: the log began anew there, and its numbers with it."""
    since = [at for at, item in enumerate(heard) if isinstance(item, Gap) and item.last is None]
    return [item for item in heard[since[-1] if since else 0 :] if isinstance(item, Event)]


# The rules ------------------------------------------------------------------------------------------------------------


def _one_event(index: _Index) -> Iterator[Violation]:
    for (room, seq), seen in sorted(index.seen.items()):
        reader, first = seen[0]
        text = first.text
        for other, event in seen[1:]:
            # What is read after a deletion is empty, and that is another rule's business.
            if event.id != first.id or (event.text and text and event.text != text):
                yield Violation(1, room, f"number {seq} is {_quote(first)} to {reader} and {_quote(event)} to {other}")
                break
            text = text or event.text


def _one_number(index: _Index) -> Iterator[Violation]:
    for identity, places in sorted(index.numbers.items()):
        if len(places) > 1:
            yield Violation(2, min(places)[0], f"the event {identity} is at {_list(places)}")
    for text, places in sorted(index.places.items()):
        send = index.sends.get(text)
        if send is not None and send.outcome is Outcome.OK and len(places) > 1:
            yield Violation(2, send.room, f"{text!r} is at {_list(places)}")


def _acked(index: _Index) -> Iterator[Violation]:
    logs = {room: {event.seq: event for event in log.events} for room, log in index.history.logs.items()}
    texts = {room: {event.text for event in log.events} for room, log in index.history.logs.items()}
    for send in index.history.sends:
        if send.outcome is not Outcome.OK:
            continue
        log = index.history.logs.get(send.room)
        if log is None:
            yield Violation(3, send.room, f"{send.text!r} was acknowledged, and the room is not there")
        elif send.seq == 0:
            if send.text not in texts[send.room] and not any(index.redacted(send.room, one) for one in log.events):
                yield Violation(3, send.room, f"{send.text!r} was acknowledged and is not there")
        elif send.seq >= log.first:
            found = logs[send.room].get(send.seq)
            if found is None or not (found.text == send.text or index.redacted(send.room, found)):
                there = "nothing" if found is None else _quote(found)
                yield Violation(3, send.room, f"{send.text!r} was acknowledged as {send.seq}, and {there} is there")


def _dense(index: _Index) -> Iterator[Violation]:
    for room, log in sorted(index.history.logs.items()):
        found = [event.seq for event in log.events]
        if found == list(range(log.first, log.head + 1)):
            continue
        missing = sorted(set(range(log.first, log.head + 1)) - set(found))
        stray = [seq for seq in found if not log.first <= seq <= log.head]
        wrong = f"{len(missing)} are missing, {missing[:5]} first" if missing else f"they are not in order: {stray[:5]}"
        yield Violation(4, room, f"of the numbers {log.first} to {log.head}, {wrong}")


def _contiguous(index: _Index) -> Iterator[Violation]:
    for stream in index.history.streams:
        due = None if stream.after is None else stream.after + 1
        for item in stream.heard:
            number = item.seq if isinstance(item, Event) else item.first
            if due is not None and number != due:
                kind = "heard" if isinstance(item, Event) else "was told of a gap at"
                yield Violation(5, stream.room, f"{stream.who} {kind} {number} when {due} was due")
            last = item.seq if isinstance(item, Event) else item.last
            due = None if last is None else last + 1
        log = index.history.logs.get(stream.room)
        if stream.complete and log is not None and due is not None and due != log.head + 1:
            yield Violation(5, stream.room, f"{stream.who} heard up to {due - 1}, and the head is {log.head}")


def _ordered(index: _Index) -> Iterator[Violation]:
    """Sweeps each room by time, knowing the highest number that was acknowledged up to then."""
    moments: dict[str, list[tuple[int, bool, int, Send]]] = defaultdict(list)
    for send in index.history.sends:
        seq = index.place(send)
        if seq:
            moments[send.room].append((send.at, False, seq, send))
            if send.outcome is Outcome.OK:
                moments[send.room].append((send.acked_at, True, seq, send))
    for room, swept in sorted(moments.items()):
        highest, latest = 0, None
        for _, acked, seq, send in sorted(swept, key=lambda moment: moment[:3]):
            if acked and seq > highest:
                highest, latest = seq, send
            elif not acked and seq <= highest and latest is not None and latest is not send:
                yield Violation(
                    6, room, f"{send.text!r} is {seq}, sent when {latest.text!r} was acknowledged as {highest}"
                )


def _only_what_was_sent(index: _Index) -> Iterator[Violation]:
    for text, places in sorted(index.places.items()):
        send = index.sends.get(text)
        strange = sorted(room for room, _ in places if send is None or room != send.room)
        if strange:
            yield Violation(7, strange[0], f"{text!r} is at {_list(places)}, where nobody sent it")
        elif send is not None and send.outcome is Outcome.FAILED:
            yield Violation(7, send.room, f"{text!r} was refused, and is at {_list(places)}")
        elif send is not None and send.outcome is Outcome.UNKNOWN and len(places) > 1:
            yield Violation(7, send.room, f"{text!r} was never acknowledged, and is at {_list(places)}")
    for (room, seq), seen in sorted(index.seen.items()):
        empty = next((who for who, event in seen if not event.text and not index.redacted(room, event)), None)
        if empty is not None:
            yield Violation(7, room, f"number {seq} is empty to {empty}, and nobody took it back")


def _members_only(index: _Index) -> Iterator[Violation]:
    for stream in (*index.history.streams, *index.history.overheard):
        room, who = stream.room, stream.who
        if room in index.history.guarded:
            mine = index.stays[room].get(stream.client, [])
            heard = [item for item in stream.heard if isinstance(item, Event)]
            wrong = [item for item in heard if not any(stay.may_hear(item) for stay in mine)]
            if wrong:
                yield Violation(8, room, f"{who} heard {_quote(wrong[0])} at {wrong[0].seq}, being no member by then")
            elif stream.heard and not mine:
                yield Violation(8, room, f"{who} was told of a gap, and was never a member")
        elif stream.heard and stream.client not in index.history.members.get(room, ()):
            yield Violation(8, room, f"{who} is no member and heard {len(stream.heard)} of its events")
    for text, places in sorted(index.places.items()):
        send = index.sends.get(text)
        for room, seq in sorted(places):
            if send is not None and room in index.history.guarded:
                mine = index.stays[room].get(send.client, [])
                if not any(stay.may_say(seq) for stay in mine):
                    yield Violation(8, room, f"{text!r} is at {seq}, and {send.client} was no member then")


# Telling --------------------------------------------------------------------------------------------------------------


def _quote(event: Event) -> str:
    return f"{event.id} {event.text!r}"


def _list(places: set[tuple[str, int]]) -> str:
    shown = ", ".join(f"{room} {seq}" for room, seq in sorted(places)[:5])
    return shown if len(places) <= 5 else f"{shown} and {len(places) - 5} more places"


def _counts(index: _Index) -> Counts:
    history = index.history
    by_outcome = {outcome: [send for send in history.sends if send.outcome is outcome] for outcome in Outcome}
    deeds = Counter(event.verb for log in history.logs.values() for event in log.events)
    gaps = [(stream.room, item) for stream in history.streams for item in stream.heard if isinstance(item, Gap)]
    needless = 0
    for room, gap in gaps:
        log = history.logs.get(room)
        if gap.last is not None and log is not None:
            needless += max(0, min(gap.last, log.head) - max(gap.first, log.first) + 1)
    return Counts(
        sends=len(history.sends),
        acked=len(by_outcome[Outcome.OK]),
        failed=len(by_outcome[Outcome.FAILED]),
        unknown=len(by_outcome[Outcome.UNKNOWN]),
        unknown_kept=sum(index.place(send) > 0 for send in by_outcome[Outcome.UNKNOWN]),
        kept=sum(len(log.events) for log in history.logs.values()),
        deliveries=sum(isinstance(item, Event) for stream in history.streams for item in stream.heard),
        private=sum(
            isinstance(item, Event) for stream in history.streams if stream.room[0] in "@+" for item in stream.heard
        ),
        let_in=deeds["invite"],
        sent_out=deeds["kick"],
        gaps=len(gaps),
        missed=sum(1 if gap.last is None else gap.last - gap.first + 1 for _, gap in gaps),
        needless=needless,
        anew=sum(gap.last is None for _, gap in gaps),
    )
