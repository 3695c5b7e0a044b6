#!/usr/bin/env python3
"""Says again what it is told, and greets who comes: the smallest bot that does something.

Usage: echo.py [ROOM...]
"""

import sys

import zchat

bot = zchat.Bot(name="echo", rooms=sys.argv[1:] or ["lobby"])


@bot.command("echo")
async def echo(ctx: zchat.Context) -> None:
    await ctx.reply(ctx.rest or "usage: !echo TEXT")


@bot.on(r"(?i)\b(?:hi|hello),? echo\b")
async def greet(ctx: zchat.Context) -> None:
    await ctx.reply(f"hello, {ctx.name}")


@bot.on(r"", room="@")  # whatever else it is told in private
async def explain(ctx: zchat.Context) -> None:
    await ctx.reply("I say again what I am told: !echo TEXT")


@bot.on_join
async def welcome(arrival: zchat.Arrival) -> None:
    await arrival.reply(f"welcome, {arrival.name}")


if __name__ == "__main__":
    bot.run()
