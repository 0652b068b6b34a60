"""Signals: the first SIGINT or SIGTERM asks the run to save and end, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Whether a signal has arrived, and which."""

    signum: signal.Signals | None = None

    def receive(self, signum: int, frame: FrameType | None) -> None:
        """Note the first signal; let the second do what it does to a process that never asked for it."""
        if self.signum is not None:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        self.signum = signal.Signals(signum)


@contextlib.contextmanager
def listening() -> Iterator[Interrupt]:
    """Handle SIGINT and SIGTERM while the context is open."""
    interrupt = Interrupt()
    before = {signum: signal.signal(signum, interrupt.receive) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
