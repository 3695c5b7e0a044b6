"""The terminal device: its mode, its width, bytes in and out. Knows nothing of rows, keys or signals."""

import errno
import os
import select
import termios
from typing import Any

_HUNG_UP = {errno.EIO, errno.ENXIO, errno.EPIPE}

# Bracketed paste: the terminal marks what is pasted (xterm's ctlseqs), so that a newline in it sends nothing.
_PASTES_MARKED = b"\x1b[?2004h"
_PASTES_UNMARKED = b"\x1b[?2004l"


class Tty:
    """A terminal that is taken for editing and given back as it was.

    It is only touched while this process is in the foreground. When it hangs up, writing does nothing and reading
    says so.
    """

    def __init__(self, stdin_fd: int, stdout_fd: int) -> None:
        """Note the mode to give back.

        Args:
            stdin_fd: where keys come from; its mode is changed.
            stdout_fd: where to write, usually the same terminal.

        Raises:
            termios.error: stdin_fd is not a terminal.
        """
        self._in, self._out = stdin_fd, stdout_fd
        self._before = termios.tcgetattr(stdin_fd)
        self._gone = False
        self.taken = False

    def take(self) -> bool:
        """Set the mode for editing, if this process is in the foreground.

        Returns:
            Whether the terminal is taken.
        """
        self.taken = self.in_foreground()
        if self.taken:
            self._set_mode(_editing(self._before))
            self.write(_PASTES_MARKED)
        return self.taken

    def give_back(self, farewell: bytes) -> None:
        """Set the mode as it was, if the terminal is taken.

        Args:
            farewell: what to write last. A terminal that takes nothing in for a second goes without.
        """
        if self.taken and self.in_foreground():
            self._set_mode(self._before)
            self.write(_PASTES_UNMARKED + farewell, timeout=1)
        # Only now: whoever interrupts this must find that it is still to be done.
        self.taken = False

    def in_foreground(self) -> bool:
        """Whether the terminal is this process's to use."""
        try:
            return os.tcgetpgrp(self._in) == os.getpgrp()
        except OSError:  # not the terminal that controls this process: no job control to heed
            return True

    def columns(self) -> int:
        """The width, 80 if unknown."""
        try:
            return os.get_terminal_size(self._out).columns or 80
        except OSError:
            return 80

    def readable(self) -> bool:
        """Whether `read` would not wait."""
        return bool(select.select([self._in], [], [], 0)[0])

    def read(self) -> bytes | None:
        """Read what is there.

        Returns:
            At least one byte; none if the terminal hung up; None if another process was quicker.
        """
        try:
            return os.read(self._in, 65536)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _HUNG_UP:
                raise
            return b""

    def write(self, data: bytes, timeout: float | None = None) -> None:
        """Write all of it, also where another process made the terminal non-blocking.

        Args:
            data: what to write.
            timeout: seconds after which a terminal that takes nothing in is given up, None for never.
        """
        left = memoryview(data)
        while left and not self._gone:
            if not select.select([], [self._out], [], timeout)[1]:
                return
            try:
                left = left[os.write(self._out, left) :]
            except BlockingIOError:
                pass  # select spoke too early, or another process was quicker
            except OSError as error:
                if error.errno not in _HUNG_UP:
                    raise
                self._gone = True

    def _set_mode(self, mode: list[Any]) -> None:
        while True:
            try:
                # NOW, since DRAIN would wait for ever on a terminal that takes nothing in.
                termios.tcsetattr(self._in, termios.TCSANOW, mode)
            except termios.error as error:
                if error.args[0] == errno.EINTR:
                    continue
                if error.args[0] not in _HUNG_UP:
                    raise
            return


def _editing(mode: list[Any]) -> list[Any]:
    """A terminal mode that leaves all keys but ^C, ^Z and ^\\ to the program."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, cc = mode
    # IXON: after a ^S out of habit the client would hang in a write and lose its session.
    iflag &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP | termios.IXON)
    # IEXTEN: else ^V and ^O, on macOS also ^Y, never arrive.
    lflag &= ~(termios.ICANON | termios.ECHO | termios.ECHONL | termios.IEXTEN)
    cc = [*cc]
    cc[termios.VMIN], cc[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag | termios.ISIG, ispeed, ospeed, cc]
