"""What checks and analyses have in common: a signal ends them at the next record, and the run says so."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlx.commands.curvature import curvature
from dlx.commands.gradcheck import gradcheck
from dlx.commands.landscape import landscape
from dlx.core.errors import RunInterruptedError
from dlx.core.records import AnalysisProgress, Record


@pytest.mark.parametrize("command", [gradcheck, curvature, landscape])
def test_a_signal_ends_it(command: Callable[..., Iterator[Record]], tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text("data: iris\nmodel: linear\nloss: cross_entropy\ndevice: cpu\n")
    records: list[Any] = []

    def run() -> None:
        for record in command(config, [], tmp_path / "runs"):
            records.append(record)
            if isinstance(record, AnalysisProgress):
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RunInterruptedError, match="run it again") as error:
        run()
    assert error.value.exit_code == 130
    facts = json.loads((records[0].run_dir / "run.json").read_text())
    assert (facts["status"], facts["stop_reason"]) == ("interrupted", "SIGINT")
    assert {path.name for path in records[0].run_dir.iterdir()} >= {"config.resolved.yaml", "environment.json"}
    assert signal.getsignal(signal.SIGINT) == before
