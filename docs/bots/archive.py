#!/usr/bin/env python3
"""Writes down what happens in rooms, as lines of JSON, and misses nothing: also not what was said while it was stopped.

After a crash some lines may be there twice; their room and number tell. What is deleted later stays in the file.

Usage: archive.py FILE [ROOM...]
"""

import json
import sys
from pathlib import Path

import zchat
from zchat.client.events import Deleted, Edited, Event, Gap, Said

path = Path(sys.argv[1])
bot = zchat.Bot(name="archive", rooms=sys.argv[2:] or ["lobby"], resume=f"{path}.place")


def entry(event: Event) -> dict[str, object]:
    match event:
        case Said(_, message):
            return {"seq": message.seq, "time": f"{message.time:%FT%TZ}", "from": message.name, "text": message.text}
        case Edited(_, edit):
            return {"seq": edit.seq, "edited": edit.target, "text": edit.text}
        case Deleted(_, deletion):
            return {"seq": deletion.seq, "deleted": deletion.target}
        case Gap(_, first, last):
            return {"seq": first, "lost": last}
    return {}


@bot.on_event(Said, Edited, Deleted, Gap)
def write(event: Said | Edited | Deleted | Gap) -> None:
    if not event.room.startswith("@"):  # what is said to it alone is nobody's business
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"room": event.room, **entry(event)}) + "\n")


if __name__ == "__main__":
    bot.run()
