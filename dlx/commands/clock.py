"""How long a run takes: the only clock values of a run directory come from here."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch


class Clock:
    """Counts the seconds of a run, over all its sittings.

    Args:
        before: Seconds of earlier sittings.
    """

    def __init__(self, before: float) -> None:
        self._before = before
        self._start = self._mark = time.monotonic()

    def seconds(self) -> float:
        """Give the seconds so far."""
        return self._before + time.monotonic() - self._start

    def has_passed(self, seconds: float) -> bool:
        """Tell, once, that so many seconds have passed since it was last told."""
        passed = time.monotonic() - self._mark >= seconds
        if passed:
            self._mark = time.monotonic()
        return passed

    def timing(self, steps: int, device: torch.device) -> dict[str, Any]:
        """Give the value of timing.json: seconds, steps of all members, their rate, peak memory in bytes."""
        peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = {"host": peak_kilobytes * (1 if sys.platform == "darwin" else 1024)}
        if device.type == "cuda":
            memory["device"] = torch.cuda.max_memory_allocated(device)
        seconds = self.seconds()
        return {
            "seconds": round(seconds, 3),
            "member_steps": steps,
            "member_steps_per_second": round(steps / seconds, 1),
            "peak_memory_bytes": memory,
        }
