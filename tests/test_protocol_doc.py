"""docs/PROTOCOL.md says what the code does: its exchange byte by byte, its tables field by field."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from zchat import codec, errors, messages, verbs
from zchat.broker.hub import Hub
from zchat.broker.inputs import FenceMoved, Input, Now, Received
from zchat.broker.settings import Settings
from zchat.messages import Hello, Join, Request, Send
from zchat.store.memory import MemoryStore

DOC = (Path(__file__).parent.parent / "docs" / "PROTOCOL.md").read_text()

FENCE = bytes(range(0x30, 0x40))


def _dump(mark: str, what: str, data: bytes) -> list[str]:
    lines = [f"{mark} {what}"]
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"  {start:04x}  {part.hex(' '):<47}  {shown}")
    return lines


def _exchange() -> list[str]:
    hub = Hub(Settings(banner="hi!", pub_port=5556), [], [], lambda size: bytes(range(0x40, 0x40 + size)))
    store = MemoryStore(_run=b"run-0001")
    lines: list[str] = []

    def turn(item: Input) -> None:
        effects = hub.committed(store.commit(hub.handle([item], Now(0.0, 1795255200123))))
        for room, told in effects.published.items():
            for frame in codec.encode_published(room, store.stamp, told.events, told.states):
                lines.extend(
                    _dump(
                        "p",
                        ", ".join(_tag(one) for one in [*map(codec.decode_event, told.events), *told.states]),
                        frame,
                    )
                )
        for replies in effects.replies.values():
            for frame in codec.encode_replies(store.stamp, replies):
                lines.extend(_dump("<", ", ".join(_tag(one) for one in replies), frame))

    def ask(request: Request) -> None:
        (frame,) = codec.encode_requests([request])
        lines.extend(_dump(">", _tag(request), frame))
        turn(Received(b"peer", codec.decode_requests(frame)))

    ask(Hello(1, 1, "alice", bytes(range(16)), bytes(range(0x10, 0x20)), FENCE))
    lines.extend(_dump("s", "the room's topic", codec.room_topic("lobby")))
    lines.extend(_dump("s", "the first fence", codec.fence_topic(FENCE, 1)))
    turn(FenceMoved(FENCE, 1, up=True))
    ask(Join(2, "lobby"))
    ask(Send(1, "lobby", "hi"))
    return lines


def _tag(value: msgspec.Struct) -> str:
    return str(value.__struct_config__.tag)


def test_exchange_is_what_a_hub_answers() -> None:
    shown = re.search(r"## One exchange.*?```text\n(.*?)```", DOC, re.DOTALL)
    assert shown is not None
    assert shown.group(1).splitlines() == _exchange()


@pytest.mark.parametrize(
    ("heading", "union"),
    [
        ("Requests", messages.Request),
        ("Replies", messages.Reply),
        ("Events and states", messages.Message | messages.Edited | messages.Deleted | messages.Acted | messages.State),
    ],
)
def test_catalogue_names_every_message_and_its_fields_in_order(heading: str, union: object) -> None:
    section = DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    kinds = union.__args__  # type: ignore[attr-defined]
    assert set(rows) == {kind.__struct_config__.tag for kind in kinds}
    for kind in kinds:
        told = re.sub(r"\([^)]*\)|`[^`]*`", "", rows[kind.__struct_config__.tag])
        fields = [part.split()[0] for part in told.split(",") if part.strip(" –")]
        assert fields == list(kind.__struct_fields__), kind


def test_every_code_is_listed_with_whether_it_may_be_retried() -> None:
    section = DOC.split("\n## Codes\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (yes|no) \|", section, re.MULTILINE))
    assert rows == {
        code: "yes" if kind.retryable else "no" for code, kind in errors.BY_CODE.items() if code != errors.Refusal.code
    }


def test_limits_are_those_of_the_settings() -> None:
    settings, section = Settings(), DOC.split("\n## Limits\n")[1].split("\n## ")[0]
    for value in (
        str(codec.FRAME),
        str(settings.text_limit),
        str(settings.credit),
        str(settings.page),
        str(settings.named_members),
        f"{settings.max_sessions:,}",
        f"{settings.max_rooms:,}",
        str(settings.max_rooms_joined),
        str(settings.max_private_rooms),
        str(settings.max_marks),
        str(settings.hits),
        f"{settings.words} characters",
        f"{settings.page_size // 1024} KiB",
        f"{settings.max_names:,}",
        f"{MemoryStore().keep:,}",
    ):
        assert re.search(rf"\b{value}\b", section), value


@pytest.mark.parametrize(("of", "table"), [("act", verbs.ACTS), ("admin", verbs.ADMIN)])
def test_every_verb_stands_with_its_rank(of: str, table: dict[str, verbs.Verb]) -> None:
    section = DOC.split(f"\n| verb of `{of}` |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.+`) \| [^|]+ \| (\d)(, over)? \|$", section, re.MULTILINE)
    told = {(verb, int(rank), bool(over)) for words, rank, over in rows for verb in re.findall(r"`(\w+)`", words)}
    assert told == {(verb.name, int(verb.rank), verb.over) for verb in table.values()}
