"""What was done in rooms, as lines for people and for programs. Nothing in it steers a terminal."""

from __future__ import annotations

from zchat import grammar, verbs
from zchat.cli import output
from zchat.client import events as heard
from zchat.messages import Acted, RoomState
from zchat.text import printable
from zchat.verbs import Kind

# For people -----------------------------------------------------------------------------------------------------------


def phrase(act: Acted) -> str:
    """Who did what to whom, for how long and why: `alice banned bob for 1 h: spam`."""
    who = printable(act.name)
    whom, text, target = printable(act.whom), printable(act.text), f"#{act.target}"
    span = f" for {grammar.span(act.seconds)}" if act.seconds else ""
    why = f": {text}" if text else ""
    match act.verb:
        case "create":
            return f"{who} made the room"
        case "topic":
            return f"{who} set the topic{why}" if text else f"{who} took the topic away"
        case "invite" | "unmute" | "block" | "unblock":
            return f"{who} {_PAST[act.verb]} {whom}"
        case "kick" | "ban" | "mute":
            return f"{who} {_PAST[act.verb]} {whom}{span}{why}"
        case "unban":
            return f"{who} lifted the ban of {whom}"
        case "op":
            return f"{who} made {whom} a moderator"
        case "deop":
            return f"{who} made {whom} a moderator no longer"
        case "readonly":
            return f"{who} lets {'only moderators' if act.on else 'everybody'} speak"
        case "slow":
            return f"{who} set{span.replace(' for', '')} between two messages" if span else f"{who} ended the slow mode"
        case "pin" | "unpin":
            return f"{who} {act.verb}ned {target}"
        case "react":
            return f"{who} reacted {text} to {target}"
        case "unreact":
            return f"{who} took {text} back from {target}"
        case "leave":
            return f"{who} left the room for good"
        case "bot":
            return f"{who} answers for the bot {whom}"
        case "announce":
            return f"{who} announced{why}"
        case "drain":
            return f"{who} stopped the broker{why}"
    return f"{who} did {printable(act.verb)}{f' to {whom}' if whom else ''}{span}{why}"  # a newer broker's


_PAST = {
    "invite": "invited",
    "kick": "kicked",
    "ban": "banned",
    "mute": "muted",
    "unmute": "unmuted",
    "block": "blocked",
    "unblock": "unblocked",
}


def acted_line(event: heard.Acted, room: str = "") -> str:
    """Something that was done, as people read it; see `output.said_line`."""
    where = output.where(event.room, room, mine=event.mine)
    return f"{output.clock(event.act.ms)} {where}{phrase(event.act)}"


def history_line(act: Acted) -> str:
    """The same with its number and date."""
    return f"#{act.seq} {output.moment(act.ms)} {phrase(act)}"


def audit_line(act: Acted) -> str:
    """The same with where it was done: - for the whole broker."""
    return f"#{act.seq} {output.moment(act.ms)} {printable(act.room) or '-'} {phrase(act)}"


def removed_line(event: heard.Removed) -> str:
    """One is in a room no longer, as people read it."""
    room = printable(event.room)
    if event.verb == "leave":
        return f"you left {room}"
    by = f" by {printable(event.name)}" if event.name else ""
    span = f" for {grammar.span(event.seconds)}" if event.seconds else ""
    why = f": {printable(event.text)}" if event.text else ""
    return f"you were {_PAST.get(event.verb, 'removed')} from {room}{by}{span}{why}"


def topic_line(topic: str, by: str, ms: int) -> str:
    """What a room is about, as people read it."""
    who = f" (set by {printable(by)}, {output.moment(ms)})" if by else ""
    return f"the topic: {printable(topic)}{who}"


def about_lines(state: RoomState) -> list[str]:
    """How things are in a room, as people read it."""
    lines = [topic_line(state.topic, state.topic_by, state.topic_ms) if state.topic else "there is no topic"]
    if state.founder:
        lines.append(f"made by {printable(state.founder)}")
    for what, who in (("moderators", state.moderators), ("members", state.members)):
        if who:
            lines.append(f"{what}: {', '.join(map(printable, who))}")
    if state.readonly:
        lines.append("only moderators speak here")
    if state.slow:
        lines.append(f"{grammar.span(state.slow)} between two messages of one person")
    if state.pins:
        lines.append(f"pinned: {', '.join(f'#{seq}' for seq in state.pins)}")
    return lines


# For programs ---------------------------------------------------------------------------------------------------------

_FIELDS = {
    Kind.PERSON: "whom",
    Kind.NUMBER: "target",
    Kind.TIME: "seconds",
    Kind.SECONDS: "seconds",
    Kind.REACTION: "text",
    Kind.REASON: "text",
    Kind.TEXT: "text",
    Kind.SWITCH: "on",
}
"""Which field of an act an argument of its verb is in."""


def acted_json(room: str, act: Acted) -> str:
    """Something that was done, with the fields that its verb has."""
    verb = verbs.ACTS.get(act.verb) or verbs.ADMIN.get(act.verb)
    kinds = (
        [arg.kind for arg in verb.args if arg.option != "--topic" and arg.option != "--private"] if verb else _FIELDS
    )
    shown = dict.fromkeys(_FIELDS[kind] for kind in kinds if kind in _FIELDS)
    fields: dict[str, object] = {"seq": act.seq, "time": output.stamp(act.ms), "from": act.name, "verb": act.verb}
    fields |= {field: getattr(act, field) for field in shown}
    return output.json_line("acted", room=room, **fields, **output.marks(act.name))


def about_json(state: RoomState) -> str:
    """How things are in a room."""
    fields: dict[str, object] = {"room": state.room, "topic": state.topic or None, "topic_by": state.topic_by or None}
    fields["topic_time"] = output.stamp(state.topic_ms) if state.topic_ms else None
    fields |= {"founder": state.founder or None, "moderators": state.moderators, "members": state.members}
    fields |= {"readonly": state.readonly, "slow": state.slow, "pins": state.pins}
    return output.json_line("room", **fields)


def removed_json(event: heard.Removed) -> str:
    """One is in a room no longer."""
    fields = {"verb": event.verb, "from": event.name, "seconds": event.seconds, "text": event.text}
    return output.json_line("removed", room=event.room, **fields)
