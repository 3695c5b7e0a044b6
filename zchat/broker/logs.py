"""The broker's log: levels, time, and never more lines than a person can read."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from zchat.errors import BadOption
from zchat.text import json_text, printable

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


@dataclass
class RateLimit(logging.Filter):
    """Lets so many lines of one level through in each span of time, and then says how many it held back.

    Args:
        bursts: lines in a span, by level; what is not named is not bounded.
        span: seconds.
    """

    bursts: dict[int, int] = field(default_factory=lambda: {logging.INFO: 100, logging.WARNING: 20})
    span: float = 10.0
    _since: dict[int, float] = field(default_factory=dict, init=False)
    _seen: Counter[int] = field(default_factory=Counter, init=False)

    def filter(self, record: logging.LogRecord) -> bool:
        level = record.levelno
        if level not in self.bursts:
            return True
        now = time.monotonic()
        if now - self._since.get(level, now - self.span) >= self.span:
            held = self._seen[level] - self.bursts[level]
            if held > 0:
                record.msg = f"{record.getMessage()} (and {held} more of its level before it)"
                record.args = ()
            self._since[level], self._seen[level] = now, 0
        self._seen[level] += 1
        return self._seen[level] <= self.bursts[level]


class Lines(logging.Formatter):
    """Lines of text: time in UTC, level, and what there is to say."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        return f"{self.formatTime(record)} {record.levelname} {printable(record.getMessage())}"


class Objects(Lines):
    """The same as a JSON object each: time, level, text, and address where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"time": self.formatTime(record), "level": record.levelname.lower(), "text": record.getMessage()}
        address = getattr(record, "address", None)
        if address is not None:
            fields["address"] = str(address)
        return f"{{{','.join(f'{json_text(name)}:{json_text(value)}' for name, value in fields.items())}}}"


class File(logging.Handler):
    """Appends to a file, made so that only its owner may read it. Where another is there by now, or none, since it was
    moved away, the next line begins a new one: nobody has to be told.

    What cannot be written goes to stderr, as long as that lasts.

    Args:
        path: of the file.

    Raises:
        errors.BadOption: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._fd = -1
        self._which = (-1, -1)
        self._torn = False  # whether a line was written in part
        self._missing = 0  # lines that are not in the file, since the last that is
        try:
            self._open()
        except OSError as error:
            raise BadOption(
                f"cannot write the log {path}: {error.strerror or error}; name a file that can be written"
            ) from None

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n"
        try:
            self._follow()
            self._write(line)
        except OSError as error:
            self._missing += 1
            if self._missing == 1:
                where = printable(str(self._path))
                line = f"zchat: cannot write the log {where} ({error.strerror}), so it goes on here\n{line}"
            try:
                sys.stderr.write(line)
                sys.stderr.flush()
            except (OSError, ValueError):
                pass  # nobody hears it either; the broker goes on

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()

    def _open(self) -> None:
        # Without waiting for a reader, should it be a pipe.
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "it is no file")
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._which, self._torn = fd, (found.st_dev, found.st_ino), False

    def _follow(self) -> None:
        """Begins a new file if the one of before is elsewhere."""
        try:
            found = self._path.stat()
            if (found.st_dev, found.st_ino) == self._which:
                return
        except FileNotFoundError:
            pass
        self._open()

    def _write(self, line: str) -> None:
        if self._missing:
            counted = f"lines before this one that went to stderr: {self._missing}"
            record = logging.LogRecord("zchat", logging.WARNING, "", 0, counted, None, None)
            line = f"{self.format(record)}\n{line}"
        data = (f"\n{line}" if self._torn else line).encode()
        written = os.write(self._fd, data)
        if written < len(data):
            self._torn = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn, self._missing = False, 0


def start(level: str, form: str = "text", path: Path | None = None) -> None:
    """Sends the broker's log to stderr, or to a file.

    Args:
        level: one of LEVELS; what is below is left out.
        form: one of FORMATS.
        path: of the file; see `File`.

    Raises:
        errors.BadOption: it cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr) if path is None else File(path)
    handler.addFilter(RateLimit())
    handler.setFormatter(Objects() if form == "json" else Lines())
    log = logging.getLogger("zchat")
    for old in log.handlers:
        if isinstance(old, File):
            old.close()
    log.handlers[:] = [handler]
    log.propagate = False
    choose(level)


def choose(level: str) -> None:
    """Logs from another level on; see `start`."""
    logging.getLogger("zchat").setLevel(level.upper())


def note(level: str, text: str) -> None:
    """A line that does not come from the broker at work; see `start`."""
    logging.getLogger("zchat").log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
