"""`zchat keys`: who you are, and which brokers you know."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Identity, Json, Patience, Url, said, visitor


def command() -> None:
    """Your keys, and the brokers that are known by theirs.

    A key is made when it is first needed, and kept in zchat in your XDG config folder, where nobody else may read it.
    Who copies it is you.
    """


def show(identity: Identity = None) -> None:
    """Prints the public key that brokers know you by. It is no secret."""
    from zchat.cli.output import out
    from zchat.client.keys import own_keys
    from zchat.links import key_text

    out(key_text(own_keys(identity).public))


def new(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="What you call it: --identity NAME uses it.", show_default=False),
    ] = None,
    bot: Annotated[
        str | None,
        typer.Option(
            "--bot", metavar="NAME", help="Of a bot for which you answer, which is called so.", show_default=False
        ),
    ] = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Makes another key, and prints the public one: with it you are somebody else.

    With --bot it is that of a bot: the broker lets it in for as long as it lets you in, and everybody sees what it is
    and who answers for it. Printed is what to set for its program. The key is called as the bot if you give no name.
    """
    from zchat.cli.output import out
    from zchat.client.keys import new_keys
    from zchat.links import key_text

    if bot is not None:
        _new_bot(name, bot, url, identity, connect_timeout)
        return
    for option in ("url", "identity", "connect_timeout"):
        if said(context, option):
            given = option.replace("_", "-")
            raise typer.BadParameter("is for a bot's key: say --bot, or leave it out", param_hint=f"--{given}")
    if name is None:
        raise typer.BadParameter("say what you call it", param_hint="NAME")
    out(key_text(new_keys(name).public))


def _new_bot(key: str | None, bot: str, url: str | None, identity: str | None, patience: float) -> None:
    """Makes a key, and has the broker let it in; if the broker does not, there is no key either."""
    from zchat import errors, names
    from zchat.cli.output import out, say
    from zchat.client.keys import drop_keys, identity_name, new_keys
    from zchat.client.places import place
    from zchat.text import printable

    shown = names.bot(bot)
    plain = shown.removesuffix(names.BOT)
    try:
        key = identity_name(key or plain.lower())
    except errors.KeyUnusable:
        if key is not None:
            raise
        raise errors.KeyUnusable(
            f"a key cannot be called {plain}: name it before --bot, as in `zchat keys new mybot --bot {plain}`"
        ) from None
    if place(url).key is None:
        raise errors.NotAllowed("this broker has no keys: a bot comes in under a name of its own, as anybody does")
    with visitor(url, patience, identity) as client:
        made = new_keys(key, bot=shown)
        try:
            called = client.add_bot(made.public, shown)
        except errors.Refusal:
            drop_keys(key, made)
            raise
        except errors.ZchatError as error:
            say(f"the key {key} was made, and it is not known whether the broker lets it in: try it, or revoke {shown}")
            raise error from None
        say(f"{called} is a bot for which you answer: `zchat tail lobby --identity {key}`, or for a program set")
        out(f"ZCHAT_URL={client.address} ZCHAT_IDENTITY={key} ZCHAT_NAME={quote(printable(plain))}")


def listed(json: Json = False) -> int:
    """Your keys: the name of each, the public key, and whose it is if it was made for a bot.

    Exit code 1 if one of them cannot be used.
    """
    from zchat.cli.output import json_line, out, say
    from zchat.client.keys import bot_of, list_keys
    from zchat.errors import KeyUnusable
    from zchat.links import key_text
    from zchat.text import printable

    code = OK
    for name, key in list_keys().items():
        if isinstance(key, KeyUnusable):
            say(str(key))
            code = FAILURE
            continue
        bot = bot_of(name)
        if json:
            out(json_line("key", name=name, key=key_text(key), **({"bot": bot} if bot else {})))
        else:
            out("\t".join([name, key_text(key), *([printable(bot)] if bot else [])]))
    return code


def bots(json: Json = False, url: Url = None, identity: Identity = None, connect_timeout: Patience = 5.0) -> None:
    """The bots for which you answer at a broker: a name a line. `zchat revoke NAME` puts one out."""
    from zchat.cli import rows

    with visitor(url, connect_timeout, identity) as client:
        rows.show(client, "bots", json=json)


def link(url: Url = None, identity: Identity = None, connect_timeout: Patience = 5.0) -> None:
    """Prints a link that lets another of your devices in as you, once, within the hour. Give it to nobody."""
    from zchat.cli.output import out
    from zchat.text import printable

    with visitor(url, connect_timeout, identity) as client:
        out(printable(client.add_device()))


def forget(
    where: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Of the broker.", show_default=False)],
) -> int:
    """Forgets the key of a broker, which may have another then. Exit code 1 if it was not known."""
    from zchat.address import parse
    from zchat.cli.output import say
    from zchat.client.keys import forget as forgotten

    if forgotten(parse(where)):
        return OK
    say(f"no broker is known at {parse(where)}")
    return FAILURE


COMMANDS = {"show": show, "new": new, "list": listed, "bots": bots, "link": link, "forget": forget}
"""What `zchat keys` can do; see commands._built."""
