"""What checks and analyses have in common: a run directory with its config and environment, and an end on a signal."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import torch

from dlx.commands.interrupt import listening
from dlx.config.experiment import Experiment, SurfaceExperiment, resolved_yaml
from dlx.core.errors import RunInterruptedError
from dlx.core.records import Record
from dlx.tracking.provenance import describe_environment
from dlx.tracking.run_dir import RunDir

T = TypeVar("T")


@contextlib.contextmanager
def analysis_run(
    runs_dir: Path, command: str, experiment: Experiment | SurfaceExperiment, text: str, device: torch.device
) -> Iterator[RunDir]:
    """Make the run directory of an analysis, and note in it how that ended.

    Args:
        runs_dir: Folder of run directories.
        command: Which analysis.
        experiment: What its config means.
        text: The config as it was written.
        device: Where it computes.

    Yields:
        The run directory, with config and environment.

    Raises:
        RunError: If it cannot be made or written.
    """
    run = RunDir.create(runs_dir, command, str(experiment.name))
    with run.ending():
        run.write("config.input.yaml", text)
        run.write("config.resolved.yaml", resolved_yaml(experiment))
        run.write_json("environment.json", describe_environment(str(device), experiment.threads, Path.cwd()))
        yield run


def interruptible(work: Generator[Record, None, T], run: RunDir) -> Generator[Record, None, T]:
    """Do work that tells of itself, until a signal asks to stop; give what comes of it.

    Raises:
        RunInterruptedError: After a signal, at the next record.
    """
    with listening() as interrupt:
        while True:
            try:
                record = next(work)
            except StopIteration as stop:
                result: T = stop.value
                return result
            yield record
            if interrupt.signum:
                raise RunInterruptedError(f"{run.path} was stopped before it was done; run it again", interrupt.signum)
