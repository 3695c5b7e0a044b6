#!/usr/bin/env python3
"""Reminds people: `!remind 10m tea is ready` says so where it was asked for, ten minutes later.

Usage: remind.py [ROOM...]
"""

import heapq
import sys
import time

import zchat

MOST = 1000  # strangers ask for them, so there is a bound
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

bot = zchat.Bot(name="remind", rooms=sys.argv[1:] or ["lobby"])
due: list[tuple[float, str, str]] = []  # when, where, and what to say; the next one first


@bot.on(r"(?i)\A!remind\s+(\d{1,4})([smhd])\s+(\S.*)")
async def remind(ctx: zchat.Context) -> None:
    if len(due) >= MOST:
        await ctx.reply("I have too much to think of already")
        return
    number, unit, what = ctx.match.groups()
    heapq.heappush(due, (time.time() + int(number) * SECONDS[unit.lower()], ctx.room, f"{ctx.name}: {what}"))
    await ctx.reply(f"I remind you in {number}{unit}")


@bot.command("remind")  # whatever the pattern above did not take
async def usage(ctx: zchat.Context) -> None:
    await ctx.reply("usage: !remind 10m TEXT, with s, m, h or d")


@bot.every(0.5)
async def look() -> None:
    while due and due[0][0] <= time.time():
        _, room, text = heapq.heappop(due)
        await bot.client.send(room, text)


if __name__ == "__main__":
    bot.run()
