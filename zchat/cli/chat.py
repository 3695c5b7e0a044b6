"""What a person types and sees in `zchat join`: commands to requests, events to lines. It neither reads nor prints."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from zchat import errors, messages
from zchat.cli import output
from zchat.client import events as heard
from zchat.client.questions import link_text
from zchat.text import printable

if TYPE_CHECKING:
    from zchat.client.sync import Client

AROUND = 20
"""Messages that /history shows."""


class Line(NamedTuple):
    """A line for the user: data is what was said, all else is about it."""

    text: str
    data: bool = False


class Command(NamedTuple):
    """A row of the table of slash commands.

    Attributes:
        usage: the arguments, as the help shows them; in capitals those that must be there.
        help: what it does.
        run: the handler: gets the rest of the line.
    """

    usage: str
    help: str
    run: Callable[[Chat, str], None]


@dataclass
class Chat:
    """One person's conversation.

    Args:
        client: connected.
        tail: how many of the last messages of a room that one was never in are shown.
        waits: whether even a wish to leave waits for what was typed before it, as in a pipe.

    Attributes:
        lines: what is to be shown, oldest first; the shell takes it out.
        rooms: those entered by the user, the current one last.
        over: whether the user wants to leave.
        code: the exit code, should it end now.
    """

    client: Client
    tail: int = 0
    waits: bool = False
    lines: list[Line] = field(default_factory=list)
    rooms: list[str] = field(default_factory=list)
    over: bool = False
    failures: list[errors.ZchatError] = field(default_factory=list)
    _typed: deque[str] = field(default_factory=deque)  # not yet looked at
    _entering: set[str] = field(default_factory=set)  # what is said before we are in would not come back to us
    _said: dict[int, str] = field(default_factory=dict)  # by ticket
    _asked: dict[int, Callable[[Any], None]] = field(default_factory=dict)
    _unheard: set[tuple[str, int]] = field(default_factory=set)  # own messages that are stored, and not back yet
    _heard: set[tuple[str, int]] = field(default_factory=set)  # own messages that came back before their ack
    _missed: set[str] = field(default_factory=set)  # rooms of which what was missed is being told

    @property
    def room(self) -> str | None:
        """The current room; None if all were left."""
        return self._canonical(self.rooms[-1]) if self.rooms else None

    @property
    def idle(self) -> bool:
        """Whether everything asked and said is answered, and everything said was seen."""
        return not (self._typed or self._entering or self._said or self._asked or self._unheard)

    @property
    def full(self) -> bool:
        """Whether nothing more should be typed for now."""
        return bool(self._typed)

    def enter(self, room: str) -> None:
        """Enters a room, and makes it the current one."""
        name = room.removeprefix("#")
        known = self._canonical(name) in map(self._canonical, self.rooms)
        self.rooms = [other for other in self.rooms if self._canonical(other) != self._canonical(name)] + [name]
        if known:
            self.note(f"you are talking in {name}")
        else:
            self._entering.add(name)
            self.client.enter(name, tail=self.tail)

    def note(self, text: str) -> None:
        """A line that is about the conversation."""
        self.lines.append(Line(f"-- {text}"))

    # What is typed ----------------------------------------------------------------------------------------------------

    def typed(self, text: str) -> None:
        """A line was typed, or came out of a pipe."""
        if not self.waits and _leaves(text):
            self.over = True
        self._typed.append(text)
        self._look()

    def _look(self) -> None:
        """Does what was typed, as far as it can be done now."""
        while self._typed and not self.over and not self._entering and self.client.session.sendable:
            text = self._typed.popleft()
            if _leaves(text):
                self.over = True
                self._typed.clear()
            elif text.startswith("//"):
                self._say(text[1:])
            elif text.startswith("/"):
                self._command(text)
            elif text.strip():
                self._say(text)

    def _command(self, text: str) -> None:
        verb, _, rest = text[1:].partition(" ")
        command = COMMANDS.get(verb.lower())
        rest = rest.strip()
        if command is None:
            known = ", ".join(f"/{name}" for name in COMMANDS)
            self._fail(errors.UnknownWord(f"unknown command /{verb}: there are {known} (// says a line with a slash)"))
        elif len(rest.split()) < sum(word.isupper() for word in command.usage.split()):
            self._fail(errors.UnknownWord(f"write it as /{verb} {command.usage}"))
        else:
            command.run(self, rest)

    def _say(self, text: str, *, room: str | None = None, action: bool = False) -> None:
        room = room or self.room
        if room is None:
            self._fail(errors.NotAllowed("you are in no room: /join one"))
        else:
            self._said[self.client.post(room, text, action=action)] = text
            if not self.client.session.open:
                self.note(f"not connected; to be said when we are: {printable(text)}")

    def _ask(self, make: Callable[[int], messages.Request], then: Callable[[Any], None]) -> None:
        self._asked[self.client.session.ask(make)] = then

    def _fail(self, error: errors.ZchatError) -> None:
        self.failures.append(error)
        self.note(printable(str(error)))

    # What is heard ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Takes in everything that the client has heard."""
        for event in self.client.drain():
            self._hear(event)
        for ticket in list(self._said):
            outcome = self.client.outcome(ticket)
            if isinstance(outcome, heard.Sent):
                del self._said[ticket]
                self._stored(outcome)
            elif outcome is not None:
                text = self._said.pop(ticket)
                self._fail(type(outcome.error)(f"not said: {outcome.error}: {text[:40]}"))
        for q in list(self._asked):
            answer = self.client.session.answers.get(q)
            if answer is not None:
                then = self._asked.pop(q)
                self.client.session.forget(q)
                if isinstance(answer, errors.ZchatError):
                    self._fail(answer)
                else:
                    then(answer)
        self._look()

    def _stored(self, sent: heard.Sent) -> None:
        """An own message is stored: unless it is in a room that is not followed, it comes back."""
        key = (sent.room, sent.seq)
        if key in self._heard:
            self._heard.discard(key)
        elif sent.seq and sent.room in map(self._canonical, self.rooms):
            self._unheard.add(key)

    def _hear(self, event: heard.Event) -> None:
        match event:
            case heard.Said():
                self._show(output.said_line(event, self._label(event.room)), event)
            case heard.Edited():
                self._show(output.edited_line(event, self._label(event.room)), event)
            case heard.Deleted():
                self._show(output.deleted_line(event, self._label(event.room)), event)
            case heard.Missed():
                self._missed.add(event.room)
                self.note(self._about(event.room, output.missed_line(event)))
            case heard.UpToDate() if event.room in self._missed:
                self._missed.discard(event.room)
                self.note(self._about(event.room, output.missed_line(event)))
            case heard.Presence():
                own = self.client.name
                others = replace(
                    event,
                    joined=tuple(name for name in event.joined if name != own),
                    renamed=tuple(pair for pair in event.renamed if pair[1] != own),
                )
                for line in output.presence_lines(others):
                    self.note(self._about(event.room, line))
            case heard.Entered():
                self._entered(event)
            case heard.NotEntered():
                self._entering = {name for name in self._entering if name != event.room}
                self.rooms = [name for name in self.rooms if name != event.room]
                self._fail(event.error)
            case heard.Gap():
                self.note(output.gap_line(event))
                self._unheard.clear()
            case heard.Notice():
                self.lines.append(Line(output.notice_line(event)))
            case heard.Closing():
                self.note(printable(event.text))
            case heard.Disconnected():
                self.note(f"{event.why}; trying to get it back")
            case heard.Connected() if event.again:
                self.note("connected again")
            case _:
                pass

    def _show(self, line: str, event: heard.Said | heard.Edited | heard.Deleted) -> None:
        self.lines.append(Line(line, data=True))
        span = heard.numbers(event)
        if event.mine and not event.private and span is not None:
            key = (event.room, span[0])
            if key in self._unheard:
                self._unheard.discard(key)
            else:
                self._heard.add(key)

    def _about(self, room: str, text: str) -> str:
        return f"[{printable(room)}] {text}" if self._label(room) else text

    def _entered(self, event: heard.Entered) -> None:
        self._entering = {name for name in self._entering if self._canonical(name) != event.room}
        room, own = printable(event.room), self.client.name
        others = [printable(name) for name in event.names if name != own]
        if event.names:
            self.note(f"you are in {room} with {', '.join(others)}" if others else f"you are in {room}, alone so far")
        else:
            self.note(f"you are in {room} with {max(event.count - 1, 0)} others")

    def _label(self, room: str) -> str:
        """How a room is named in a line: the current one goes without saying."""
        return "" if room == self.room else room

    def _canonical(self, room: str) -> str:
        return self.client.session.room_names.get(room, room)

    # The commands -----------------------------------------------------------------------------------------------------

    def _help(self, _: str) -> None:
        for name, command in COMMANDS.items():
            self.note(f"{f'/{name} {command.usage}':<22} {command.help}")
        self.note(f"{'//…':<22} says a line that begins with a slash")

    def _who(self, room: str) -> None:
        wanted = room or self.room or ""
        self._ask(partial(messages.Who, room=wanted), self._people)

    def _people(self, people: messages.People) -> None:
        names = ", ".join(printable(name) for name in people.names)
        more = f" and {people.count - len(people.names)} more" if people.more else ""
        self.note(f"in {printable(people.room) or 'all rooms'}: {names or 'nobody'}{more}")

    def _rooms(self, _: str) -> None:
        self._ask(messages.Rooms, self._room_list)

    def _room_list(self, listed: messages.RoomList) -> None:
        for info in listed.rooms:
            people = "1 person" if info.people == 1 else f"{info.people} people"
            last = f", last at {output.moment(info.ms)}" if info.ms else ""
            unread = f", {info.unread:,} unread" if info.unread else ""
            self.note(f"{printable(info.room)}: {people}, {output.counted(info.head, 'message')}{last}{unread}")

    def _join(self, room: str) -> None:
        self.enter(room)

    def _leave(self, _: str) -> None:
        if not self.rooms:
            self._fail(errors.NotAllowed("you are in no room: /join one"))
            return
        left = self.rooms.pop()
        self.client.leave(left)
        self.note(f"you left {printable(left)}" + (f"; back in {printable(self.rooms[-1])}" if self.rooms else ""))

    def _msg(self, rest: str) -> None:
        name, _, text = rest.partition(" ")
        self._say(text.strip(), room=f"@{name.removeprefix('@')}")

    def _me(self, rest: str) -> None:
        self._say(rest, action=True)

    def _edit(self, rest: str) -> None:
        first, _, text = rest.partition(" ")
        seq = _number(first) if text.strip() else None
        room = self.room
        if room is None:
            self._fail(errors.NotAllowed("you are in no room: /join one"))
        elif seq is None:
            self._said[self.client.session.edit(room, rest, seq=0, now=time.monotonic())] = rest
        else:
            self._said[self.client.session.edit(room, text.strip(), seq=seq, now=time.monotonic())] = rest

    def _delete(self, rest: str) -> None:
        seq, room = _number(rest) if rest else 0, self.room
        if room is None:
            self._fail(errors.NotAllowed("you are in no room: /join one"))
        elif seq is None:
            self._fail(errors.UnknownWord("write it as /delete [NUMBER]; /history shows the numbers"))
        else:
            self._said[self.client.session.delete(room, seq=seq, now=time.monotonic())] = f"/delete {rest}"

    def _search(self, words: str) -> None:
        self._ask(partial(messages.Search, words=words, limit=10), self._found)

    def _found(self, found: messages.Found) -> None:
        for hit in found.hits:
            self.note(output.hit_line(hit))
        if not found.hits:
            self.note("nothing was found")

    def _history(self, rest: str) -> None:
        seq, room = _number(rest) if rest else 0, self.room
        if room is None:
            self._fail(errors.NotAllowed("you are in no room: /join one"))
        elif seq is None:
            self._fail(errors.UnknownWord("write it as /history [NUMBER]: what was said around it"))
        else:
            after = max(seq - 1 - AROUND // 2, 0) if seq else None
            self._ask(partial(messages.History, room=room, limit=AROUND, after=after), self._page)

    def _page(self, page: messages.Page) -> None:
        for event in page.events:
            if isinstance(event, messages.Message):
                self.note(output.history_line(event))

    def _nick(self, name: str) -> None:
        self._ask(partial(messages.Nick, name=name), lambda named: self.note(f"you are now {printable(named.name)}"))

    def _link(self, rest: str) -> None:
        words = rest.split()
        uses = int(words.pop()) if words and _is_count(words[-1]) else 1
        if len(words) > 1 or not uses:
            self._fail(errors.UnknownWord("write it as /link [room] [uses]: where it leads, and how many it lets in"))
        else:
            room = words[0] if words else self.room or messages.LOBBY
            self._ask(partial(messages.Link, room=room, uses=uses), self._linked)

    def _linked(self, linked: messages.Linked) -> None:
        try:
            link = link_text(linked)
        except errors.Refusal as error:
            self._fail(error)
        else:
            self.note(f"who has this link gets in: {printable(link)}")

    def _ping(self, _: str) -> None:
        begin = time.monotonic()
        self._ask(messages.Ping, lambda _: self.note(f"{(time.monotonic() - begin) * 1000:.1f} ms to the broker"))

    def _tell(self, word: str, rest: str) -> None:
        ask = partial(messages.Ask, word=word, utc=rest.lower() == "utc")
        self._ask(ask, lambda told: self.note(printable(told.text)))

    def _quit(self, _: str) -> None:
        self.over = True


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _number(text: str) -> int | None:
    """A message's number, as `12` or `#12`; None if it is none."""
    digits = text.removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def _leaves(text: str) -> bool:
    return text.strip().lower() in ("quit", "exit", "/quit")


COMMANDS: dict[str, Command] = {
    "help": Command("", "shows this", Chat._help),
    "who": Command("[room]", "who is here", Chat._who),
    "rooms": Command("", "which rooms there are", Chat._rooms),
    "join": Command("ROOM", "enters a room and makes it the current one", Chat._join),
    "leave": Command("", "leaves the current room, back to the previous", Chat._leave),
    "msg": Command("NAME TEXT", "says something to one person alone", Chat._msg),
    "me": Command("TEXT", "says what you do", Chat._me),
    "edit": Command("[number] TEXT", "says your last message, or that one, anew", Chat._edit),
    "delete": Command("[number]", "takes your last message, or that one, back", Chat._delete),
    "history": Command("[number]", "the last messages, or those around one, with their numbers", Chat._history),
    "search": Command("WORDS", "looks for messages with all these words", Chat._search),
    "nick": Command("NAME", "goes by another name", Chat._nick),
    "link": Command("[room] [uses]", "makes a link that lets others in", Chat._link),
    "ping": Command("", "the round trip to the broker", Chat._ping),
    "day": Command("[utc]", "the day of the week", lambda chat, rest: chat._tell("day", rest)),
    "date": Command("[utc]", "the date", lambda chat, rest: chat._tell("date", rest)),
    "time": Command("[utc]", "the time of day", lambda chat, rest: chat._tell("time", rest)),
    "quit": Command("", "leaves, as do the words quit and exit", Chat._quit),
}
"""The slash commands: whatever else says what there is comes from this table."""
