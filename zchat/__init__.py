"""zchat: a self-hosted chat and pub/sub messaging broker on ZeroMQ.

    with zchat.connect(name="bot") as client:
        lobby = client.join("lobby")
        lobby.send("hi")
        for message in lobby.messages(timeout=30):
            print(message.name, message.text)

The map of the package, from what knows nothing to what knows all:

    errors, messages, codec     what is said on the wire, what can go wrong, and the bytes of both
    names, text, address        what a name may be, what may be printed, where a broker is
    links                       what lets somebody in
    store                       the seam to what keeps the rooms, and the stores
    broker                      the pure hub, and the ZeroMQ shell around it
    client                      the session without I/O, and the sockets under it
    cli                         one file per subcommand
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zchat.client.aio import AsyncClient as AsyncClient
    from zchat.client.aio import AsyncRoom as AsyncRoom
    from zchat.client.aio import aconnect as aconnect
    from zchat.client.bot import Arrival as Arrival
    from zchat.client.bot import Bot as Bot
    from zchat.client.bot import Context as Context
    from zchat.client.sync import Client as Client
    from zchat.client.sync import Room as Room
    from zchat.client.sync import connect as connect
    from zchat.errors import ZchatError as ZchatError
    from zchat.messages import Message as Message

__version__ = "0.1.0"

__all__ = [
    "Arrival",
    "AsyncClient",
    "AsyncRoom",
    "Bot",
    "Client",
    "Context",
    "Message",
    "Room",
    "ZchatError",
    "__version__",
    "aconnect",
    "connect",
]

_HOMES = {
    "Arrival": "zchat.client.bot",
    "AsyncClient": "zchat.client.aio",
    "AsyncRoom": "zchat.client.aio",
    "aconnect": "zchat.client.aio",
    "Bot": "zchat.client.bot",
    "Context": "zchat.client.bot",
    "Client": "zchat.client.sync",
    "Room": "zchat.client.sync",
    "connect": "zchat.client.sync",
    "ZchatError": "zchat.errors",
    "Message": "zchat.messages",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `zchat --help` needs no ZeroMQ.
    if name not in _HOMES:
        raise AttributeError(f"module 'zchat' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
