"""Runs that are saved after every step, so that they can be stopped anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from dlx.commands import compare_optimizers, cv, train
from dlx.core.records import Cell
from dlx.engine.cost import measure_cost
from dlx.engine.fit import fit, fit_each, populations_of


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


@pytest.fixture
def no_search_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures of a search and what only they show."""
    monkeypatch.setattr("dlx.reporting.search_figures.draw_search_pictures", lambda *_: [])
    monkeypatch.setattr("dlx.search.importance.importance", lambda *_: {})


@pytest.fixture
def no_comparison_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures of a comparison, and time steps no longer than it takes to count gradients."""
    monkeypatch.setattr("dlx.reporting.comparison_figures.draw_comparison_pictures", lambda *_: [])
    monkeypatch.setattr(compare_optimizers, "measure_cost", partial(measure_cost, seconds=0.0))


@pytest.fixture
def slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a record of a search after every few steps and save the state after every record."""
    for module in ("cross_validation", "study"):
        monkeypatch.setattr(f"dlx.search.{module}.fit_each", partial(fit_each, pause=0.004))
    monkeypatch.setattr(cv, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(compare_optimizers, "SAVE_SECONDS", 0.0)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Notes the cells that a search trains from their beginning."""
    cells: list[Cell] = []

    def noting(members: Sequence[Any], device: Any) -> Iterator[Any]:
        cells.extend(member.cell for member in members)
        return populations_of(members, device)

    monkeypatch.setattr("dlx.search.roster.populations_of", noting)
    monkeypatch.setattr("dlx.commands.refit.populations_of", noting)
    return cells
