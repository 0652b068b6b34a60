"""How long a run takes: the only clock values of a run directory come from here."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from dlx.engine.population import Population


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

    def timing(self, populations: Sequence[Population], device: torch.device) -> dict[str, Any]:
        """Give the value of timing.json: seconds, steps of all members, their rate, peak memory in bytes."""
        steps = sum(course.num_steps for population in populations for course in population.courses)
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
