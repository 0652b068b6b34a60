"""Draws the eigenvalues of the Hessian, and what steps along the gradient do."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, GREY, Floats, add_legend, label, numbers, panels, save_figure
from dlx.reporting.gallery import Picture
from dlx.reporting.tables import format_number

Result = dict[str, Any]
DECADES = {"dense": 8, "lanczos": 2}
"""How far from the largest size towards 0 the scale of eigenvalues is logarithmic, at most. An estimated density tells
less of those near 0: they are many, and a few nodes stand for all of them."""
BARS_PER_DECADE = 4
RIGHT = 0.7
"""Where the axes end, as a share of the width: beside them stands the legend."""
FEW = 8
"""Eigenvalues in a bar up to which they can be counted on a linear scale."""
MOST_NAMES = 9
"""Names on the axis of eigenvalues at most; of more every other power of ten is named."""
LEAST = 0.3
"""Lower end of the axis of counts: a little less than one eigenvalue."""
DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
"""How the lines at step sizes are told apart in grey print."""


def draw_curvature(run_dir: Path, result: Result) -> list[Picture]:
    """Draw the figures of a run into its folder.

    Raises:
        RunError: If a file cannot be written.
    """
    save_figure(functools.partial(spectrum_figure, result), run_dir / "figures/spectrum.png")
    pictures = [Picture("figures/spectrum.png", "Eigenvalues of the Hessian", spectrum_sentence(result))]
    if result["steps"] is not None:
        save_figure(functools.partial(steps_figure, result), run_dir / "figures/steps.png")
        pictures.append(Picture("figures/steps.png", "Steps along the gradient", steps_sentence(result)))
    return pictures


def spectrum_sentence(result: Result) -> str:
    """Say what is to be seen of the eigenvalues."""
    how = (
        "Each bar counts the eigenvalues in its range."
        if result["spectrum"]["method"] == "dense"
        else "Each bar estimates the number of eigenvalues in its range, from a few random starts; of those in the "
        "middle not even the sign is known."
    )
    return (
        f"{how} The axis is logarithmic on both sides, but for the bar around 0. Right of a line at 2 / lr, gradient "
        "descent with that learning rate is unstable."
    )


def spectrum_figure(result: Result) -> Figure:
    """Draw how many eigenvalues are where, on a scale that is logarithmic towards both sides of 0."""
    spectrum = result["spectrum"]
    is_dense = spectrum["method"] == "dense"
    values, counts = numbers(spectrum["values"]), numbers(spectrum["counts"])
    ends = [spectrum[end]["value"] for end in ("lowest", "highest")]
    largest = max(abs(values).max(initial=0), *map(abs, ends)) or 1.0
    note = (
        f"{result['num_parameters']:,} parameters; {'all eigenvalues' if is_dense else 'estimated density'}; "
        f"lowest {format_number(ends[0])}, highest {format_number(ends[1])}"
    )
    figure, (axes,) = panels(8.0, 3.9, f"{result['name']}: eigenvalues of the Hessian", note)
    inner = largest * 10.0 ** -_decades(values, largest, DECADES[spectrum["method"]])
    edges = _edges(largest, inner)
    heights, _ = np.histogram(values, edges, weights=counts)
    axes.set_xscale("symlog", linthresh=inner, linscale=0.5)
    for which, colour, hatch, text in (
        (edges[1:] <= -inner, COLOURS[1], "////", "negative"),
        (abs(edges[:-1] + edges[1:]) < inner, COLOURS[5], "....", f"around zero, up to {inner:.0e} in size"),
        (edges[:-1] >= inner, COLOURS[0], "", "positive"),
    ):
        shown = which & (heights > 0)
        if shown.any():
            axes.bar(
                edges[:-1][shown], heights[shown], np.diff(edges)[shown], align="edge", color=colour, hatch=hatch,
                edgecolor="white", linewidth=0.6, label=text, gid=f"bars-{text.split()[0]}",
            )  # fmt: skip
    limits = _mark_limits(axes, result, largest)
    _scale_counts(axes, float(heights.max()))
    _name_decades(axes, _window(values, limits, inner), inner)
    label(axes, "eigenvalue", "number of eigenvalues")
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    figure.subplots_adjust(right=RIGHT)
    return figure


def _scale_counts(axes: Axes, highest: float) -> None:
    """Scale the axis of counts: logarithmic, unless there are few."""
    if highest > FEW:
        axes.set_yscale("log")
        axes.set_ylim(LEAST, 2.5 * highest)
    else:
        axes.set_yticks(range(FEW + 2))
        axes.set_ylim(0, highest + 0.5)


def _decades(values: Floats, largest: float, most: int) -> int:
    """Give how far the scale is logarithmic: some way beyond the smallest eigenvalue, or all the way if some are 0."""
    least = float(abs(values).min(initial=largest))
    return most if least <= largest * 10.0**-most else min(most, 2 + math.ceil(math.log10(largest / least)))


def _edges(largest: float, inner: float) -> Floats:
    """Give the limits of the bars: even in the logarithm on both sides, and one bar around 0."""
    upper = np.geomspace(inner, largest * 1.0001, round(math.log10(largest / inner)) * BARS_PER_DECADE + 1)
    return np.concatenate([-upper[::-1], upper])


def _name_decades(axes: Axes, window: tuple[float, float], inner: float) -> None:
    """Show a part of the axis, and put marks at 0 and at some powers of ten on both sides, as far as they are in it."""
    low, high = window
    top, bottom = math.floor(math.log10(max(-low, high))), math.ceil(math.log10(inner))
    powers = [10.0**power for power in range(top, bottom - 1, -1) if power > math.log10(2 * inner)][::-1]
    places = [place for place in [*(-power for power in powers[::-1]), 0.0, *powers] if low <= place <= high]
    if len(places) > MOST_NAMES:
        kept = {round(math.log10(power)) for power in powers[::-1][::2]}
        places = [place for place in places if place == 0 or round(math.log10(abs(place))) in kept]
    names = [f"$-10^{{{round(math.log10(-x))}}}$" if x < 0 else "0" if x == 0 else f"$10^{{{round(math.log10(x))}}}$"
             for x in places]  # fmt: skip
    axes.set_xticks(places, names)
    axes.minorticks_off()
    axes.set_xlim(low, high)


def _window(found: Floats, limits: Sequence[float], inner: float) -> tuple[float, float]:
    """Give the part of the axis that has something on it: eigenvalues, or limits of learning rates."""
    places = np.concatenate([found, limits])
    low, high = float(places.min(initial=math.inf)), float(places.max(initial=-math.inf))
    return -_end(-low, inner), _end(high, inner)


def _end(place: float, inner: float) -> float:
    """Give an upper end of the axis: beyond a place and its bar; below 0, beyond the next power of ten, too."""
    if abs(place) <= inner:
        return 1.6 * inner
    return 1.6 * place if place > 0 else -min(-0.5 * place, 0.8 * 10.0 ** math.floor(math.log10(-place)))


def _mark_limits(axes: Axes, result: Result, largest: float) -> list[float]:
    """Draw where the curvature is too large for each learning rate, if that is on the axis; give these places."""
    rates = list(dict.fromkeys(each["lr"] for each in result["rates"]))
    shown = [rate for rate in rates if 2 / rate <= 1.6 * largest]
    for number, rate in enumerate(shown):
        dashes = DASHES[number % len(DASHES)]
        axes.axvline(2 / rate, color="black", linestyle=dashes, linewidth=1.4, label=f"2 / lr for lr {rate:g}")
    return [2 / rate for rate in shown]


def steps_sentence(result: Result) -> str:
    """Say what is to be seen of the steps."""
    return (
        "One step along the negative gradient for every step size, each from the same point: measured, and as the "
        "quadratic model predicts it. Where the two part, third and higher derivatives matter. Above the dotted level "
        "f is higher after the step than before."
    )


def steps_figure(result: Result) -> Figure:
    """Draw f after a step against the size of the step: predicted and measured, with the sizes that have a name."""
    steps = result["steps"]
    sizes, before = numbers(steps["sizes"]), float(result["value"])
    predicted, measured = numbers(steps["predicted"]), numbers(steps["measured"])
    note = (
        f"f after one step theta - eps g; now f = {format_number(before)}, "
        f"gradient norm {format_number(result['gradient_norm'])}"
    )
    figure, (axes,) = panels(8.0, 3.9, f"{result['name']}: steps along the gradient", note)
    axes.set_xscale("log")
    axes.axhline(before, color=GREY, linestyle=(0, (1, 2)), linewidth=1.0, gid="before")
    axes.plot(sizes, measured, color=COLOURS[0], linewidth=2.2, label="measured", gid="measured")
    axes.plot(
        sizes, predicted, color=COLOURS[1], linewidth=1.6, linestyle=(0, (4, 1.6)), label="predicted", gid="predicted"
    )
    for number, mark in enumerate(sorted(steps["marks"], key=lambda each: float(each["size"]))):
        colour = COLOURS[2 + number % 5]
        name = f"{mark['name']} = {format_number(mark['size'], 3)}"
        name = mark["name"] if mark["name"].startswith("lr ") else name
        axes.axvline(
            mark["size"], color=colour, linestyle=DASHES[number % len(DASHES)], linewidth=1.3, label=name, gid="mark"
        )
    # What is far above the point hides what is gained.
    low = float(np.nanmin(np.concatenate([measured, predicted[np.isfinite(measured)], [before]])))
    low = max(low, float(np.nanmin(measured)) - (before - float(np.nanmin(measured)) or 1.0))
    gain = before - low or abs(before) or 1.0
    axes.set_ylim(low - 0.12 * gain, before + 0.8 * gain)
    axes.set_xlim(sizes[0], sizes[-1])
    label(axes, "step size eps", "f after the step")
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    figure.subplots_adjust(right=RIGHT)
    return figure
