"""The figures of a comparison of optimizers: which there are, in which order, and where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.reporting.gallery import Picture, picture_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Result = Mapping[str, Any]
Artist = tuple[str, str, Callable[[], "Figure"], str]


def draw_comparison_pictures(
    run_dir: Path, result: Result, cells: Sequence[Mapping[str, Any]], timing: Mapping[str, Any] | None
) -> list[Picture]:
    """Draw every figure that a comparison on one problem has numbers for.

    Args:
        run_dir: The run directory, or the folder of the problem in it.
        result: Content of result.json, of one problem.
        cells: Lines of cells.jsonl.
        timing: Content of timing.json, for the axis of seconds; None where nothing was timed.

    Returns:
        What was drawn, in order.

    Raises:
        RunError: If a file cannot be written.
    """
    return _save(run_dir, _artists(result, cells, (timing or {}).get("seconds_per_step") or {}))


def draw_profile_pictures(run_dir: Path, result: Result) -> list[Picture]:
    """Draw the performance profiles of a comparison on several problems; nothing where they are too few for any.

    Args:
        run_dir: The run directory.
        result: Content of result.json, of several problems.

    Raises:
        RunError: If the file cannot be written.
    """
    return _save(run_dir, _joint_artists(result))


def _save(run_dir: Path, artists: Iterator[Artist]) -> list[Picture]:
    from dlx.reporting.drawing import DPI, save_figure

    pictures = []
    for name, title, draw, sentence in artists:
        save_figure(draw, run_dir / picture_file(f"comparison_{name}"), DPI)
        pictures.append(Picture(picture_file(f"comparison_{name}"), title, sentence))
    return pictures


def _artists(result: Result, cells: Sequence[Mapping[str, Any]], seconds: Mapping[str, float]) -> Iterator[Artist]:
    """Give name, title, artist and sentence of each figure that there is something to draw in."""
    from dlx.reporting import (
        comparison_better,
        comparison_budget,
        comparison_curves,
        comparison_differences,
        comparison_rates,
        comparison_target,
    )

    draw: Callable[[], Figure]
    if curves := comparison_curves.curves_of(result, cells):
        draw = functools.partial(comparison_curves.draw, result, curves, seconds)
        yield "curves", "The tuned optimizers while they train", draw, comparison_curves.sentence(result, curves)
    if comparison_differences.compared(result):
        draw = functools.partial(comparison_differences.draw, result)
        yield "differences", "Differences to the reference by seed", draw, comparison_differences.sentence(result)
    if len(result["better"]["arms"]) > 1 and len(result["protocol"]["seeds"]) > 1:
        draw = functools.partial(comparison_better.draw, result)
        yield "better", "How often each is better than each other", draw, comparison_better.sentence(result)
    if result["target"] is not None and result["better"]["arms"]:
        draw = functools.partial(comparison_target.draw, result)
        yield "target", "Steps to the target", draw, comparison_target.sentence(result)
    draw = functools.partial(comparison_rates.draw, result)
    yield "rates", "Loss against learning rate in tuning", draw, comparison_rates.sentence(result)
    if result["protocol"]["num_trials"] > 1 and result["status"] == "done":
        draw = functools.partial(comparison_budget.draw, result)
        yield "budget", "What a smaller budget would have found", draw, comparison_budget.sentence(result)


def _joint_artists(result: Result) -> Iterator[Artist]:
    from dlx.reporting import comparison_profiles

    if result["across"].get("profile"):
        draw: Callable[[], Figure] = functools.partial(comparison_profiles.draw, result)
        yield "profiles", "Performance profiles", draw, comparison_profiles.sentence(result)
