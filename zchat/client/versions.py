"""Which ZeroMQ this runs on."""

from __future__ import annotations

from typing import NamedTuple

import zmq


class Library(NamedTuple):
    """libzmq, and what binds it to Python.

    Attributes:
        pyzmq, libzmq: their versions.
        old: whether libzmq is older than 4.3.3: CVE-2020-15166, which lets anybody stop a server that speaks CURVE.
        curve: whether it can encrypt.
    """

    pyzmq: str
    libzmq: str
    old: bool
    curve: bool


def library() -> Library:
    """What is loaded."""
    return Library(zmq.pyzmq_version(), zmq.zmq_version(), zmq.zmq_version_info() < (4, 3, 3), bool(zmq.has("curve")))
