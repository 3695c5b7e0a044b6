"""Somebody with sockets of their own, and a key: listens at both ports, and says what it heard.

Called with the broker's link, the port it publishes on, a file with a key of their own, and what to do: `listen` for as
long as stdin stays open, or `knock` once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import zmq

from zchat import codec, keyfiles
from zchat.links import parse_link
from zchat.messages import VERSION, Hello, Rooms, Who


def main() -> None:
    """Prints a line for everything that came: which socket, and its bytes."""
    link, port, path, what = parse_link(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    keys = keyfiles.read_keys(path) or keyfiles.made(path, "a listener's")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = {}
    for name, kind, at in (("rooms", zmq.SUB, link.address.at(port)), ("requests", zmq.DEALER, link.address)):
        one = sockets[name] = context.socket(kind)
        one.linger = 0
        if kind == zmq.DEALER:
            one.routing_id = codec.routing_id(os.urandom(15))
        one.curve_serverkey, one.curve_publickey, one.curve_secretkey = link.key, keys.public, keys.secret
        one.connect(str(at))
    # Who asks for everything is cut, and so hears little; who asks for a room by its topic is not.
    sockets["rooms"].subscribe(b"" if what == "knock" else codec.room_topic("lobby"))
    hello = Hello(1, VERSION, "eve", os.urandom(16), os.urandom(16), os.urandom(16))
    for frame in codec.encode_requests([hello, Rooms(2), Who(3), Who(4, away=True)]):
        sockets["requests"].send(frame)
    poller = zmq.Poller()
    for one in sockets.values():
        poller.register(one, zmq.POLLIN)
    poller.register(0, zmq.POLLIN)
    print(f"{what}ing", flush=True)
    while True:
        ready = dict(poller.poll(3000 if what == "knock" else None))
        for name, one in sockets.items():
            if one in ready:
                print(name, one.recv(), flush=True)
        if 0 in ready or not ready:
            break
    context.destroy(0)


if __name__ == "__main__":
    main()
