"""The figures of a race on an analytic surface: which there are, in which order, and where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.reporting.gallery import Picture, picture_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_race(run_dir: Path, result: dict[str, Any], shown: dict[str, Any]) -> list[Picture]:
    """Draw paths, starts, courses and learning rates, whichever there are.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        shown: Content of race.json.

    Returns:
        What was drawn, in order.

    Raises:
        RunError: If a file cannot be written.
    """
    from dlx.reporting.drawing import DPI, save_figure

    pictures = []
    for name, title, draw, sentence in _artists(result, shown):
        save_figure(functools.partial(draw, result, shown), run_dir / picture_file(name), DPI)
        pictures.append(Picture(picture_file(name), title, sentence))
    return pictures


def _artists(result: dict[str, Any], shown: dict[str, Any]) -> Iterator[tuple[str, str, Callable[..., Figure], str]]:
    """Give name, title, artist and sentence of each figure."""
    from dlx.reporting import race_courses, race_paths, race_rates, race_starts

    plane = shown["plane"]
    if plane is not None and any(value is not None for row in plane["values"] for value in row):
        yield "race_paths", "Paths from the usual start", race_paths.draw, race_paths.sentence(result)
        if result["num_starts"] > 1:
            yield "race_starts", "Where each start ends", race_starts.draw, race_starts.sentence(result)
    yield "race_courses", "The surface along the paths", race_courses.draw, race_courses.sentence(result)
    if any(each["sweep"] for each in result["optimizers"]):
        yield "race_rates", "Learning rates", race_rates.draw, race_rates.sentence(result)
