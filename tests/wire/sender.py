"""Somebody with sockets of their own, and a key, who does as they are told and says what they heard.

Called with the broker's link and a file for the key. Takes lines on stdin: `send HEX` a frame of requests, `open PORT`
a new SUB socket, `subscribe HEX` a topic of it. Prints a line for each frame that comes: `requests HEX` or `rooms HEX`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import zmq

from zchat import codec, keyfiles
from zchat.address import Address
from zchat.links import parse_link


def main() -> None:
    """Goes on until stdin ends."""
    link, path = parse_link(sys.argv[1]), Path(sys.argv[2])
    keys = keyfiles.read_keys(path) or keyfiles.made(path, "a sender's")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def opened(kind: int, at: Address) -> zmq.Socket[bytes]:
        one = context.socket(kind)
        one.linger = 0
        if kind == zmq.DEALER:
            one.routing_id = codec.routing_id(os.urandom(15))
        one.curve_serverkey, one.curve_publickey, one.curve_secretkey = link.key, keys.public, keys.secret
        one.connect(str(at))
        poller.register(one, zmq.POLLIN)
        return one

    poller = zmq.Poller()
    poller.register(0, zmq.POLLIN)
    dealer, told = opened(zmq.DEALER, link.address), b""
    subs: list[zmq.Socket[bytes]] = []
    while True:
        ready = dict(poller.poll())
        for name, one in (("requests", dealer), *(("rooms", sub) for sub in subs)):
            if one in ready:
                print(name, one.recv().hex(), flush=True)
        if 0 not in ready:
            continue
        data = os.read(0, 1 << 16)
        if not data:
            break
        *lines, told = (told + data).split(b"\n")
        for line in lines:
            word, _, value = line.decode().partition(" ")
            if word == "send":
                dealer.send(bytes.fromhex(value))
            elif word == "open":
                subs.append(opened(zmq.SUB, link.address.at(int(value))))
            else:
                subs[-1].subscribe(bytes.fromhex(value))
    context.destroy(0)


if __name__ == "__main__":
    main()
