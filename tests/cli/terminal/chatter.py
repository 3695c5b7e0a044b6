"""A chat client without a network. Usage: chatter.py LINES_FD

From that pipe it takes JSON, one a line: a list of lines to show, or an order as a string.
"""

import contextlib
import json
import os
import sys

import zmq

from zchat.cli.terminal.screen import END, Screen


def main(lines_fd: int) -> None:
    with contextlib.ExitStack() as stack, open(lines_fd) as lines:
        screen = stack.enter_context(Screen(0, 1, "> "))
        poller = zmq.Poller()
        for fd in screen.fds:
            poller.register(fd, zmq.POLLIN)
        poller.register(lines_fd, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if lines_fd in ready:
                order = json.loads(lines.readline())
                if isinstance(order, list):
                    screen.show_many(order)
                elif order == "non-blocking":
                    os.set_blocking(1, False)
                elif order == "raise":
                    raise RuntimeError("as ordered")
                elif order == "leave it to atexit":
                    stack.pop_all()
                    return
                else:
                    screen.prompt = order
            if not ready.keys().isdisjoint(screen.fds):
                for line in screen.read():
                    if line is END:
                        return
                    screen.show(f"me: {line}")


main(int(sys.argv[1]))
with contextlib.suppress(OSError):  # the terminal may be gone
    os.write(1, b"bye\n")
