"""What a person hears in `zchat join`, as lines, and where they are. It neither reads nor prints.

What the words mean that are typed is in `words`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from zchat import errors, grammar, messages, names, verbs
from zchat.cli import acted, output, words
from zchat.client import events as heard
from zchat.text import printable

if TYPE_CHECKING:
    from zchat.client.sync import Client


class Line(NamedTuple):
    """A line for the user: data is what was said, all else is about it."""

    text: str
    data: bool = False


class Pending(NamedTuple):
    """Something said or done, of which it is not known what became of it.

    Attributes:
        refused: what stands before the reason if it is refused, and after it.
        then: what follows once it is stored.
    """

    refused: tuple[str, str]
    then: Callable[[], None] | None = None


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
    _said: dict[int, Pending] = field(default_factory=dict)  # by ticket
    _holding: set[int] = field(default_factory=set)  # tickets of what must be done before anything else is
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
        while self._typed and self._ready:
            text = self._typed.popleft()
            if _leaves(text):
                self.over = True
                self._typed.clear()
            elif text.startswith("//"):
                self._speak(text[1:])
            elif text.startswith("/"):
                self._command(text)
            elif text.strip():
                self._speak(text)

    @property
    def _ready(self) -> bool:
        """Whether what is typed next may be done now."""
        return not (self.over or self._entering or self._holding) and self.client.session.sendable

    def _speak(self, text: str) -> None:
        try:
            self.say(text)
        except errors.NotAllowed as error:
            self.fail(error)

    def _command(self, text: str) -> None:
        try:
            verb, given = grammar.typed(text, verbs.WORDS)
            words.HANDLERS[verb.name](self, given)
        except errors.Refusal as error:
            self.fail(error)

    # What the words do ------------------------------------------------------------------------------------------------

    @property
    def here(self) -> str:
        """The current room.

        Raises:
            errors.NotAllowed: all were left.
        """
        if self.room is None:
            raise errors.NotAllowed("you are in no room: /join one")
        return self.room

    def say(self, text: str, *, room: str | None = None, action: bool = False, reply: int = 0) -> None:
        """Says something, by default in the current room.

        Raises:
            errors.NotAllowed: there is none.
        """
        ticket = self.client.post(room or self.here, text, action=action, reply=reply)
        self.await_outcome(ticket, "not said", text)
        if not self.client.session.open:
            self.note(f"not connected; to be said when we are: {printable(text)}")

    def await_outcome(self, ticket: int, refused: str, text: str, then: Callable[[], None] | None = None) -> None:
        """Something is under way.

        Args:
            refused: what it is to be called if it is refused.
            text: it itself.
            then: what follows once it is stored; what is typed next waits for it.
        """
        self._said[ticket] = Pending((refused, text[:40]), then)
        if then is not None:
            self._holding.add(ticket)

    def ask(self, make: Callable[[int], messages.Request], then: Callable[[Any], None]) -> None:
        """Asks the broker something.

        Args:
            then: takes the answer.
        """
        self._asked[self.client.session.ask(make)] = then

    def fail(self, error: errors.ZchatError) -> None:
        """Something did not work out."""
        self.failures.append(error)
        self.note(printable(str(error)))

    def leave(self) -> None:
        """Leaves the current room, back to the previous.

        Raises:
            errors.NotAllowed: there is none.
        """
        left = self.here
        self.rooms.pop()
        self.client.leave(left)
        self._forget(left)
        self.note(f"you left {printable(left)}{self._back()}")

    def _back(self) -> str:
        """Says where one is after a room is gone."""
        return f"; back in {printable(self.room)}" if self.room else ""

    def _forget(self, room: str) -> None:
        """Nothing of a room is to be waited for."""
        self._entering = {name for name in self._entering if self._canonical(name) != room}
        self._unheard = {key for key in self._unheard if key[0] != room}

    # What is heard ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Takes in everything that the client has heard."""
        for event in self.client.drain():
            self._hear(event)
        for ticket in list(self._said):
            outcome = self.client.outcome(ticket)
            if outcome is not None:
                pending = self._said.pop(ticket)
                self._holding.discard(ticket)
                if isinstance(outcome, heard.NotSent):
                    before, text = pending.refused
                    self.fail(type(outcome.error)(f"{before}: {outcome.error}: {text}"))
                else:
                    self._stored(outcome)
                    if pending.then is not None:
                        pending.then()
        for q in list(self._asked):
            answer = self.client.session.answers.get(q)
            if answer is not None:
                then = self._asked.pop(q)
                self.client.session.forget(q)
                if isinstance(answer, errors.ZchatError):
                    self.fail(answer)
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
            case heard.Acted():
                self._show(acted.acted_line(event, self._label(event.room)), event)
            case heard.Removed():
                self._removed(event)
            case heard.Added() if event.room.startswith(names.PRIVATE) and not self._holding:  # else made just now
                self.note(f"you were let into {printable(event.room)}: /join {printable(event.room)} to speak there")
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
                self.fail(event.error)
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

    def _show(self, line: str, event: heard.Said | heard.Edited | heard.Deleted | heard.Acted) -> None:
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
        if event.topic:
            self.note(acted.topic_line(event.topic, event.topic_by, event.topic_ms))

    def _removed(self, event: heard.Removed) -> None:
        rooms = [name for name in self.rooms if self._canonical(name) != self._canonical(event.room)]
        if event.verb != "leave" or rooms != self.rooms:  # who leaves by itself has been told
            self.rooms, was = rooms, self.room
            self._forget(self._canonical(event.room))
            self.note(acted.removed_line(event) + (self._back() if self.room != was else ""))

    def _label(self, room: str) -> str:
        """How a room is named in a line: the current one goes without saying."""
        return "" if room == self.room else room

    def _canonical(self, room: str) -> str:
        return self.client.session.room_names.get(room, room)


def _leaves(text: str) -> bool:
    return text.strip().lower() in ("quit", "exit", "/quit")
