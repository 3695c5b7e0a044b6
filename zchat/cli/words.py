"""What the words mean that are typed after a slash in `zchat join`: a function for each of `verbs.WORDS`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from zchat import errors, grammar, messages, verbs
from zchat.cli import doors, output
from zchat.cli.output import label
from zchat.client.questions import link_text
from zchat.text import printable

if TYPE_CHECKING:
    from zchat.cli.chat import Chat
    from zchat.grammar import Given

AROUND = 20
"""Messages that /history shows."""

MODERATING = "mod"
"""What /help is asked for by who moderates."""


def _help(chat: Chat, given: Given) -> None:
    moderating = given.text == MODERATING
    for line in grammar.guide(verbs.WORDS, "" if moderating else given.text, moderating=moderating):
        chat.note(line)
    if not given.text:
        chat.note(f"{f'/help {MODERATING}':<30} what moderators do")
        chat.note(f"{'//…':<30} says a line that begins with a slash")


def _who(chat: Chat, given: Given) -> None:
    def told(people: messages.People) -> None:
        names = ", ".join(printable(name) for name in people.names)
        more = f" and {people.count - len(people.names)} more" if people.more else ""
        where = label(people.room, asked) if people.room else "all rooms"
        chat.note(f"in {printable(where)}: {names or 'nobody'}{more}")

    asked = given.room or chat.room or ""
    chat.ask(partial(messages.Who, room=asked), told)


def _rooms(chat: Chat, _: Given) -> None:
    def told(listed: messages.RoomList) -> None:
        for info in listed.rooms:
            people = output.counted(info.people, "person").replace("persons", "people")
            last = f", last at {output.moment(info.ms)}" if info.ms else ""
            unread = f", {info.unread:,} unread" if info.unread else ""
            chat.note(f"{printable(info.room)}: {people}, {output.counted(info.head, 'message')}{last}{unread}")

    chat.ask(messages.Rooms, told)


def _msg(chat: Chat, given: Given) -> None:
    chat.say(given.text, room=f"@{given.name}")


def _edit(chat: Chat, given: Given) -> None:
    ticket = chat.client.session.edit(chat.here, given.text, seq=given.target, now=time.monotonic())
    chat.await_outcome(ticket, "not said", given.text)


def _delete(chat: Chat, given: Given) -> None:
    ticket = chat.client.session.delete(chat.here, seq=given.target, now=time.monotonic())
    chat.await_outcome(ticket, "not done", f"/delete {given.target or ''}")


def _search(chat: Chat, given: Given) -> None:
    def told(found: messages.Found) -> None:
        for hit in found.hits:
            chat.note(output.hit_line(hit))
        if not found.hits:
            chat.note("nothing was found")

    chat.ask(partial(messages.Search, words=given.text, limit=10), told)


def _history(chat: Chat, given: Given) -> None:
    after = max(given.target - 1 - AROUND // 2, 0) if given.target else None
    chat.ask(partial(messages.History, room=chat.here, limit=AROUND, after=after), partial(doors.told_page, chat))


def _nick(chat: Chat, given: Given) -> None:
    def told(named: messages.Named) -> None:
        chat.note(f"you are now {printable(named.name)}")

    chat.ask(partial(messages.Nick, name=given.name), told)


def _link(chat: Chat, given: Given) -> None:
    def told(linked: messages.Linked) -> None:
        try:
            link = link_text(linked)
        except errors.Refusal as error:
            chat.fail(error)
        else:
            chat.note(f"who has this link gets in: {printable(link)}")

    room = given.room or chat.room or messages.LOBBY
    chat.ask(partial(messages.Link, room=room, uses=given.target or 1), told)


def _ping(chat: Chat, _: Given) -> None:
    begin = time.monotonic()
    chat.ask(messages.Ping, lambda _: chat.note(f"{(time.monotonic() - begin) * 1000:.1f} ms to the broker"))


def _tell(word: str, chat: Chat, given: Given) -> None:
    def told(answer: messages.Told) -> None:
        chat.note(printable(answer.text))

    chat.ask(partial(messages.Ask, word=word, utc=given.text == "utc"), told)


def _quit(chat: Chat, _: Given) -> None:
    chat.over = True


HANDLERS: dict[str, Callable[[Chat, Given], None]] = {
    "help": _help,
    "who": _who,
    "rooms": _rooms,
    "join": lambda chat, given: chat.enter(given.room),
    "leave": lambda chat, _: chat.leave(),
    "msg": _msg,
    "me": lambda chat, given: chat.say(given.text, action=True),
    "reply": lambda chat, given: chat.say(given.text, reply=given.target),
    "edit": _edit,
    "delete": _delete,
    "search": _search,
    "history": _history,
    "nick": _nick,
    "link": _link,
    "ping": _ping,
    **{word: partial(_tell, word) for word in ("day", "date", "time")},
    "quit": _quit,
    **doors.HANDLERS,
}
"""What each word of `verbs.WORDS` does. It may raise any `errors.Refusal`, which is told."""
