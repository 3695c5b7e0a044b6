"""`zchat revoke`: shuts somebody, or a link, out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.options import Identity, Patience, Url, visitor

if TYPE_CHECKING:
    from zchat.client.sync import Client

_ID = re.compile("[a-z2-7]{16}")


def command(
    who: Annotated[
        str,
        typer.Argument(
            metavar="LINK|ID|NAME|KEY",
            help="A link, its id, a person (@NAME where it looks like an id), or one public key.",
            show_default=False,
        ),
    ],
    undo: Annotated[bool, typer.Option("--undo", help="Lets a person in again.")] = False,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Has a link, or a person, let in no more.

    A person is gone at once, with every device, or with a key one device. Who came in by a link that is revoked stays.
    """
    from zchat.cli.output import say
    from zchat.client.questions import link_id
    from zchat.links import is_link
    from zchat.text import printable

    if undo and is_link(who):
        raise typer.BadParameter("a link cannot be had back: make another", param_hint="--undo")
    link = link_id(who) if is_link(who) else ""
    with visitor(url, connect_timeout, identity) as client:
        link = link or (who if not undo and _is_id(client, who) else "")
        name = "" if link else who.removeprefix("@")
        client.revoke(link=link, name=name, undo=undo)
    if link:
        say(f"the link {link} lets nobody in any more")
    else:
        say(f"{printable(name)} {'may come in again' if undo else 'is let in no more'}")


def _is_id(client: Client, text: str) -> bool:
    """Whether that is a link's id; it might be a person's name as well."""
    return _ID.fullmatch(text) is not None and any(info.id == text for info in client.links())
