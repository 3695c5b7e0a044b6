"""A chat server as tutorials write it: a thread per client, and whoever says a line has it sent to all others.

python -m scripts.peers_threads PORT
"""

from __future__ import annotations

import socket
import sys
import threading


class Room:
    """All clients there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, str] = {}

    def broadcast(self, line: bytes, sender: socket.socket) -> None:
        """Sends a line to all but one."""
        with self._lock:
            for client in self._clients:
                if client is not sender:
                    try:
                        client.sendall(line)
                    except OSError:
                        continue

    def serve(self, client: socket.socket) -> None:
        """Reads one client's lines until it goes."""
        with client, client.makefile("rb") as lines:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = lines.readline().strip().decode(errors="replace")
            with self._lock:
                self._clients[client] = name
            try:
                client.sendall(b"welcome\n")
                for line in lines:
                    self.broadcast(f"{name}: ".encode() + line, client)
            except OSError:
                pass
            finally:
                with self._lock:
                    del self._clients[client]


def main() -> None:
    """Serves until it is ended."""
    room = Room()
    threading.stack_size(256 * 1024)
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=room.serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
