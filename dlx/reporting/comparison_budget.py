"""Draws what a smaller budget of tuning would have come to: the expected best of k trials of each optimizer."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.comparison_arms import arm_labels, arm_styles, losses
from dlx.reporting.comparison_axes import legend_room, legend_under, line_handle, loss_scale
from dlx.reporting.comparison_texts import Result, part_name
from dlx.reporting.drawing import label, panels
from dlx.reporting.tables import format_number, shorten

MOST_MARKED = 24
"""Trials up to which each budget has a mark."""


def draw(result: Result) -> Figure:
    """Draw the expected loss of the best of k trials against k, both axes logarithmic where the loss allows it.

    Args:
        result: Content of result.json, of one problem.
    """
    styles, labels = arm_styles(result), arm_labels(result)
    expected = {arm["name"]: losses(arm["expected_best"]) for arm in result["arms"]}
    most = max(map(len, expected.values()))
    handles = [line_handle(styles[name], labels[name]) for name in sorted(expected, key=lambda n: expected[n][-1])]
    flat = any(len(values) == 1 for values in expected.values()) and most > 1
    note = (
        "expected loss of the best of k trials drawn from those there were; one worse than no training counts as that\n"
        f"more to tune needs more trials: compare at your own budget{'; flat: nothing to be tuned' if flat else ''}"
    )
    title = f"{shorten(result['name'], 24)}: what a smaller budget of tuning would have found"
    figure, (axes,) = panels(8.0, 4.0, title, note, room=legend_room(handles, 8.0))
    expected = {name: np.resize(values, most) if len(values) == 1 else values for name, values in expected.items()}
    scale = loss_scale(np.concatenate([*expected.values()]), result["judged"]["is_log"])
    for name, values in expected.items():
        style = styles[name]
        axes.plot(
            np.arange(1, len(values) + 1), scale.clip(values), color=style.colour, linestyle=style.dashes,
            linewidth=1.6, marker=style.marker, markersize=4.5, markevery=1 + most // MOST_MARKED, gid=f"budget-{name}",
        )  # fmt: skip
    scale.show(axes)
    axes.set_xscale("log")
    ticks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256) if k < 0.8 * most or k == 1] + [most] * (most > 1)
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.95, 1.05 * most)
    label(axes, "trials of each optimizer (k)", f"{part_name(result)} in tuning")
    legend_under(figure, note, handles)
    return figure


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    labels = arm_labels(result)
    expected = {arm["name"]: losses(arm["expected_best"]) for arm in result["arms"]}
    most = max(map(len, expected.values()))
    leaders = []
    for k in sorted({1, min(4, most), most}):
        best = min(expected, key=lambda name: expected[name][min(k, len(expected[name])) - 1])
        loss = expected[best][min(k, len(expected[best])) - 1]
        leaders.append(f"of {k} trial{'s' * (k > 1)} that of {labels[best]} ({format_number(loss)})")
    return (
        f"The lowest expected loss in tuning is, {'; '.join(leaders)}. It is the best of several on the seeds of "
        "tuning, so a little too good. Where lines cross, the ranking depends on the budget; where a line still falls "
        "at its end, more trials would help."
    )
