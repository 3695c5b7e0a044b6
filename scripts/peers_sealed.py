"""Connections that are encrypted: what any of them must do, and TLS, which the other servers speak."""

from __future__ import annotations

import ssl
import subprocess
from ctypes import addressof, c_char
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.chaos_process import Failed

SLACK = 32
"""Bytes that an encryption may overwrite before what it is given."""


class Space:
    """Bytes of a fixed place in memory.

    Args:
        size: how many.

    Attributes:
        data: them.
        view: the same, to be cut without a copy.
        address: where they are.
    """

    __slots__ = ("_held", "address", "data", "view")

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)
        self._held = c_char.from_buffer(self.data)
        self.address = addressof(self._held)


class Seal(Protocol):
    """One connection's encryption, once both sides have agreed on it.

    Attributes:
        kept: what came of a piece that is not wholly there yet; the caller puts it before what comes next.
    """

    kept: bytes

    def close(self, plain: bytes | bytearray) -> bytes:
        """What goes over the wire for what is said."""
        ...

    def open(self, raw: Space, stop: int, into: Space, start: int) -> int:
        """Decrypts what came.

        Args:
            raw: holds it, from SLACK on; it may be overwritten.
            stop: where it ends.
            into: takes what was said.
            start: from where on.

        Returns:
            How many bytes that is.
        """
        ...


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a server is known by to its clients; either is None where it is not what the server speaks.

    Attributes:
        tls: how to speak TLS with it.
        curve: its public key, of 32 bytes.
    """

    tls: ssl.SSLContext | None = None
    curve: bytes | None = None


CERTIFICATE, KEY = "cert.pem", "key.pem"


def certify(folder: Path) -> ssl.SSLContext:
    """Makes a certificate for servers on this machine in a folder, and what accepts it and nothing else.

    Raises:
        Failed: openssl would not.
    """
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for_whom = ["-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"]
    where = ["-keyout", str(folder / KEY), "-out", str(folder / CERTIFICATE)]
    done = subprocess.run([*command, *for_whom, *where], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"openssl made no certificate: {done.stderr.strip().splitlines()[-1:]}")
    return ssl.create_default_context(cafile=str(folder / CERTIFICATE))


class Tls:
    """TLS over bytes that others carry, so that the load's own system calls are the same as without it.

    Args:
        context: what the server is known by.
    """

    __slots__ = ("_incoming", "_outgoing", "_tls", "kept")

    def __init__(self, context: ssl.SSLContext) -> None:
        self.kept = b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    def agree(self, came: bytes | bytearray) -> tuple[bytes, bool]:
        """A step of the handshake.

        Args:
            came: what the server said since the last step.

        Returns:
            What is said next, and whether both sides have agreed.
        """
        self._incoming.write(came)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read(), False
        except ssl.SSLError as error:
            raise Failed(f"TLS: {error.reason}") from None
        return self._outgoing.read(), True

    def close(self, plain: bytes | bytearray) -> bytes:
        """Records of it."""
        self._tls.write(plain)
        return self._outgoing.read()

    def open(self, raw: Space, stop: int, into: Space, start: int) -> int:
        """What records said, as far as they are wholly there; the rest is kept inside."""
        incoming, tls, view = self._incoming, self._tls, into.view
        incoming.write(raw.view[SLACK:stop])
        end = start
        try:
            while incoming.pending or tls.pending():
                got: Any = tls.read(len(view) - end, view[end:])
                if not got:
                    break
                end += got
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise Failed(f"TLS: {error.reason}") from None
        return end - start
