"""Draws how many runs of each optimizer of a comparison reached the target after how many steps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.comparison_arms import arm_labels, arm_styles, losses, seed_words, step_words
from dlx.reporting.comparison_axes import legend_room, legend_under, line_handle
from dlx.reporting.comparison_texts import Arm, Result, listed, part_name, tuned_arms
from dlx.reporting.drawing import Floats, label, panels
from dlx.reporting.tables import format_number, shorten


def draw(result: Result) -> Figure:
    """Draw the share of runs that have reached the target against steps; of a line that ends below 1 some never do.

    Args:
        result: Content of result.json, of one problem, with a target and a tuned arm at least.
    """
    styles, labels = arm_styles(result), arm_labels(result)
    arms = sorted(tuned_arms(result), key=lambda arm: (-arm["tuned"]["reached"], float(np.median(_steps(arm)))))
    handles = [line_handle(styles[arm["name"]], f"{labels[arm['name']]}: {_reached(arm)}") for arm in arms]
    target = format_number(result["target"])
    untuned = "" if result["reference"] in {arm["name"] for arm in arms} else "untuned "
    first = (
        f"target: {part_name(result)} {target}, which {untuned}{labels[result['reference']]} reaches with most seeds"
    )
    note = "\n".join(filter(None, [f"{first}", step_words(result)]))
    title = f"{shorten(result['name'], 24)}: runs that have reached the target"
    figure, (axes,) = panels(8.0, 4.0, title, note, room=legend_room(handles, 8.0))
    end = max(arm["num_steps"] for arm in arms)
    for arm in arms:
        x, y = steps_and_shares(arm)
        style = styles[arm["name"]]
        axes.step(
            [*x, arm["num_steps"]], [*y, y[-1]], where="post", color=style.colour, linestyle=style.dashes,
            linewidth=1.7, marker=style.marker, markersize=4.5, markevery=[*range(1, len(x) + 1)], clip_on=False,
            zorder=3, gid=f"reached-{arm['name']}",
        )  # fmt: skip
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1.03)
    label(axes, "steps", f"share of {seed_words(result)}")
    legend_under(figure, note, handles)
    return figure


def steps_and_shares(arm: Arm) -> tuple[Floats, Floats]:
    """Give the steps at which runs reach the target, in order and from 0, and the share that has by then."""
    steps = np.sort(_steps(arm))
    x, counts = np.unique(steps[np.isfinite(steps)], return_counts=True)
    return np.concatenate([[0.0], x]), np.concatenate([[0.0], np.cumsum(counts) / len(steps)])


def _steps(arm: Arm) -> Floats:
    return losses(arm["tuned"]["steps_to_target"]["values"])


def _reached(arm: Arm) -> str:
    steps = _steps(arm)
    return f"{int(np.isfinite(steps).sum())} of {len(steps)}"


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    labels = arm_labels(result)
    arms = tuned_arms(result)
    everyone = [labels[arm["name"]] for arm in arms if arm["tuned"]["reached"] == 1]
    never = [labels[arm["name"]] for arm in arms if arm["tuned"]["reached"] == 0]
    found = [f"Every run of {listed(everyone)} reaches the target."] if everyone else ["No optimizer always arrives."]
    found += [f"No run of {listed(never)} does."] if never else []
    return (
        f"{' '.join(found)} A line farther left is faster; one that ends below 1 has runs that did not arrive in time, "
        "and these count, as infinite, in every median of the steps."
    )
