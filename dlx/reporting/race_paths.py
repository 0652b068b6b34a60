"""Draws the paths of all rules from the usual start over the contours of the surface."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from dlx.reporting.landscape_plane import contour_sentence, draw_contour


def draw(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw the paths, as a landscape shows them.

    Args:
        result: Content of result.json, of a surface of two variables.
        shown: Content of race.json.
    """
    plane = shown["plane"]
    paths = [
        {"label": each["label"], "diverged": each["usual"]["fate"] == "diverged", "left_box": _left_box(each["usual"])}
        for each in result["optimizers"]
    ]
    view = {
        "name": result["name"], "error": "f", "kind": "surface", "paths": paths, "lowest": None,
        "num_not_finite": sum(value is None for row in plane["values"] for value in row),
        "marks": [{"name": "start", "at": result["start"]}],
        "minima": {"points": [minimum["point"] for minimum in result["minima"]]},
    }  # fmt: skip
    return draw_contour(view, plane)


def _left_box(usual: dict[str, Any]) -> int | None:
    """Give the step at which a path left the box for good."""
    step: int | None = usual["left_box"] if usual["fate"] == "outside" else None
    return step


def sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen."""
    return contour_sentence({"kind": "surface"})
