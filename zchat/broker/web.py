"""The little of HTTP/1.1 (RFC 9112) that monitoring takes: what a request asks for, and an answer as bytes. Pure.

One request a connection, without a body. Only this machine reaches the port; against web pages that make a browser on
it ask (DNS rebinding), a request must name this machine as its host, and none that says where it comes from is served.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

HEAD = 8 * 1024
"""Bytes of a request's head at most."""

TEXT = "text/plain; charset=utf-8"

_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_END = re.compile(rb"\r?\n\r?\n")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?", re.IGNORECASE)

_PHRASES = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered.

    Attributes:
        status: one of HTTP's numbers: 200, 400, 403, 404, 405, 431 or 503.
        kind: its content type.
    """

    status: int
    text: str
    kind: str = TEXT


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be answered.

    Attributes:
        path: without what follows a question mark.
        bare: whether only the head of the answer is wanted.
    """

    path: str
    bare: bool


def understood(data: bytes) -> Asked | Answer | None:
    """What a request asks for.

    Args:
        data: all that has come over the connection.

    Returns:
        The answer if it is refused; None if more has to come.
    """
    head = data[:HEAD].lstrip(b"\r\n")  # RFC 9112, 2.2: some clients begin with an empty line
    end = _END.search(head)
    if end is None:
        return None if len(data) < HEAD else Answer(431, f"the head of a request has at most {HEAD} bytes\n")
    first, *lines = re.split(rb"\r?\n", head[: end.start()])
    request = _REQUEST.fullmatch(first)
    if request is None:
        return _bad("this is no request of HTTP/1.1")
    fields: dict[str, list[str]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return _bad("a header field is none")
        fields.setdefault(field[1].decode().lower(), []).append(field[2].decode("latin-1").rstrip(" \t"))
    return _stopped(fields, old=request[3] == b"0") or _asked(request[1].decode(), request[2].decode())


def _stopped(fields: dict[str, list[str]], *, old: bool) -> Answer | None:
    """Why a request with these header fields is not answered, if it is not.

    Args:
        old: whether it is of HTTP/1.0, where no host need be named.
    """
    hosts = fields.get("host", [])
    if len(hosts) > 1 or not (hosts or old):
        return _bad("name one host")
    if "transfer-encoding" in fields or any(one != "0" for one in fields.get("content-length", [])):
        return _bad("there is nothing here that takes a body")
    if hosts and not _here(hosts[0]):
        return Answer(403, "ask for it as localhost, or by the number of the address\n")
    if "origin" in fields:
        return Answer(403, "this is not for web pages\n")
    return None


def _asked(method: str, target: str) -> Asked | Answer:
    if method not in ("GET", "HEAD"):
        return Answer(405, "say GET or HEAD\n")
    if not target.startswith("/"):
        return _bad("this is no proxy")
    return Asked(target.partition("?")[0], bare=method == "HEAD")


def _here(host: str) -> bool:
    """Whether a host, with or without a port, is this machine alone."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].lower().rstrip(".").strip("[]")
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bad(why: str) -> Answer:
    return Answer(400, f"{why}\n")


def rendered(answer: Answer, *, bare: bool = False) -> bytes:
    """An answer as it goes over the connection, which ends after it.

    Args:
        bare: whether its text is left out, as for HEAD.
    """
    body = answer.text.encode()
    lines = [
        f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}",
        f"Content-Type: {answer.kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(["Allow: GET, HEAD"] if answer.status == 405 else []),
    ]
    head = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    return head if bare else head + body
