"""Runs that are saved after every step, so that they can be stopped anywhere."""

from __future__ import annotations

from functools import partial

import pytest

from dlx.commands import train
from dlx.engine.fit import fit


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a record after every step and save the state after every record."""
    monkeypatch.setattr(train, "fit", partial(fit, pause=0))
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take longer than a small training."""
    monkeypatch.setattr("dlx.reporting.figures.learning_curve", lambda *_: None)
    monkeypatch.setattr("dlx.reporting.gallery.draw_pictures", lambda *_: [])
