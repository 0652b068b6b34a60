"""The figures of a search: which there are, in which order, and where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.reporting.gallery import Picture, picture_file
from dlx.reporting.search_trials import Result, keys_of, scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_search_pictures(
    run_dir: Path,
    result: Result,
    cells: Sequence[Mapping[str, Any]],
    importance: Mapping[str, float] | None = None,
) -> list[Picture]:
    """Draw every figure that a search has numbers for.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        cells: Lines of cells.jsonl.
        importance: Share of the variation of the score that each key explains; none if it is not known.

    Returns:
        What was drawn, in order.

    Raises:
        RunError: If a file cannot be written.
    """
    from dlx.reporting.drawing import DPI, save_figure

    pictures = []
    for name, title, draw, sentence in _artists(result, cells, importance or {}):
        save_figure(draw, run_dir / picture_file(name), DPI)
        pictures.append(Picture(picture_file(name), title, sentence))
    return pictures


def _artists(
    result: Result, cells: Sequence[Mapping[str, Any]], importance: Mapping[str, float]
) -> Iterator[tuple[str, str, Callable[[], Figure], str]]:
    """Give name, title, artist and sentence of each figure that there is something to draw in."""
    from dlx.reporting import search_curves, search_gaps, search_importance, search_pairs, search_slices

    keys = sorted(keys_of(result), key=lambda key: -importance.get(key, 0.0))
    if keys and any(trial["status"] != "invalid" for trial in result["trials"]):
        draw: Callable[[], Figure] = functools.partial(search_slices.draw, result, keys)
        yield "search_slices", "Score against each hyperparameter", draw, search_slices.sentence(result, keys)
    if len(keys) > 1 and len(scored(result)) > 1:
        draw = functools.partial(search_pairs.draw, result, keys)
        yield "search_pairs", "Pairs of hyperparameters", draw, search_pairs.sentence(keys)
    if len(importance) > 1:
        draw = functools.partial(search_importance.draw, result, importance)
        yield "search_importance", "Importance of hyperparameters", draw, search_importance.sentence(importance)
    if search_curves.shown_trials(result, cells):
        draw = functools.partial(search_curves.draw, result, cells)
        yield "search_curves", "Learning curves over folds", draw, search_curves.sentence(result, cells)
    if len(search_gaps.comparable(result)) > 1:
        draw = functools.partial(search_gaps.draw, result)
        yield "search_gaps", "Training against held-out score", draw, search_gaps.sentence(result)
