"""The figures of a landscape: which there are, in which order, and where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.reporting.gallery import Picture, picture_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_landscape(run_dir: Path, result: dict[str, Any], shown: dict[str, Any]) -> list[Picture]:
    """Draw lines, contours and surface, whichever there are.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        shown: Content of landscape.json.

    Returns:
        What was drawn, in order; nothing where no value is finite.

    Raises:
        RunError: If a file cannot be written.
    """
    from dlx.reporting.drawing import DPI, save_figure
    from dlx.tracking.files import finite

    pictures = []
    for name, title, draw, sentence in _artists(result) if result["lowest"] is not None else ():
        save_figure(functools.partial(draw, result, finite(shown)), run_dir / picture_file(name), DPI)
        pictures.append(Picture(picture_file(name), title, sentence))
    return pictures


def _artists(result: dict[str, Any]) -> Iterator[tuple[str, str, Callable[..., Figure], str]]:
    """Give name, title, artist and sentence of each figure."""
    from dlx.reporting import landscape_lines, landscape_plane

    if result["kind"] != "surface":
        yield "landscape_lines", "Along lines", landscape_lines.draw, landscape_lines.sentence(result)
    if len(result["axes"]) == 2:
        contour, surface = landscape_plane.contour_sentence(result), landscape_plane.surface_sentence(result)
        yield "landscape_contour", "From above", landscape_plane.draw_contour, contour
        yield "landscape_surface", "In three dimensions", landscape_plane.draw_surface, surface
