"""Signal handlers for a while, in place of the default action and of nothing else.

Python runs a handler between two bytecodes of the main thread. A signal that comes after the last bytecode before a
poll, yet before the system call itself, would be heeded only when something else ends that poll. So each signal also
makes a pipe readable, which is to be polled with the rest (`signal.set_wakeup_fd`).
"""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from types import FrameType

Handler = Callable[[signal.Signals], None]


class Handlers:
    """Handlers that can be installed and removed, in the main thread only."""

    def __init__(self, handlers: Mapping[signal.Signals, Handler]) -> None:
        """Install nothing as yet.

        Args:
            handlers: what to do on which signal.
        """
        self._handlers = handlers
        self._undo = ExitStack()
        self.wake_fd = -1
        """While installed: readable once a signal was handled, also one that is none of these."""

    def install(self) -> None:
        """Handle each signal whose default action is in place: who set another (nohup, say) meant it.

        Raises:
            ValueError: this is not the main thread.
        """
        self.wake_fd, writing = os.pipe()
        for fd in (self.wake_fd, writing):
            self._undo.callback(os.close, fd)
            os.set_blocking(fd, False)
        # A pipe that is full wakes as well as any.
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._undo.callback(signal.set_wakeup_fd, before)
        for number in self._handlers:
            if signal.getsignal(number) == signal.SIG_DFL:
                self._undo.callback(signal.signal, number, signal.SIG_DFL)
                signal.signal(number, self._handle)

    def remove(self) -> None:
        """Undo what was installed."""
        self._undo.close()
        self.wake_fd = -1

    def woken(self) -> None:
        """Make the pipe unreadable again. The handlers have run by then."""
        with suppress(BlockingIOError):
            os.read(self.wake_fd, 4096)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._handlers[signal.Signals(number)](signal.Signals(number))


def stop_this_process(prepare: Callable[[], None]) -> None:
    """Do what SIGTSTP does by default; return when the process is continued.

    Where no shell would continue it (an orphaned process group) the system does not stop it either.

    Args:
        prepare: what to do before. Neither another SIGTSTP nor a SIGCONT gets in between: what it did must hold
            when the process stops, and what is done on SIGCONT must be undone if a SIGTSTP follows at once.
    """
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTSTP, signal.SIGCONT)}
    prepare()
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTSTP)
    for number, handler in handlers.items():
        signal.signal(number, handler)
