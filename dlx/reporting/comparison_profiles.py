"""Draws performance profiles: on how many problems an optimizer is nearly as fast as the fastest."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from dlx.reporting.comparison_arms import arm_labels, arm_styles
from dlx.reporting.comparison_axes import legend_room, legend_under, line_handle
from dlx.reporting.comparison_texts import Result, listed
from dlx.reporting.drawing import label, panels
from dlx.reporting.tables import format_number, shorten


def draw(result: Result) -> Figure:
    """Draw the share of problems on which each arm needs at most tau times the steps of the fastest, against tau.

    Args:
        result: Content of result.json, of several problems with a profile.
    """
    across, scores = result["across"], _scores(result)
    first = result["problems"][0]
    styles, labels = arm_styles(first), arm_labels(first)
    order = sorted(scores, key=lambda name: -scores[name])
    handles = [line_handle(styles[name], f"{labels[name]}: B = {format_number(scores[name], 3)}") for name in order]
    unit = across["profile"]["unit"]
    note = (
        f"median {unit} to the target, as a multiple of the fewest among these {len(order)}; {across['num_problems']} "
        "problems\nB: area under the line, 1 for the fastest everywhere; others in the pool may change the order"
    )
    title = f"{shorten(result['name'], 40)}: performance profiles"
    figure, (axes,) = panels(8.0, 4.0, title, note, room=legend_room(handles, 8.0))
    tau = across["profile"]["tau"]
    for name, rho in zip(across["arms"], across["profile"]["rho"], strict=True):
        style = styles[name]
        axes.step(
            tau, rho, where="post", color=style.colour, linestyle=style.dashes, linewidth=1.7, marker=style.marker,
            markersize=4.5, markevery=_jumps(rho), clip_on=False, zorder=3, gid=f"profile-{name}",
        )  # fmt: skip
    axes.set_xlim(1, across["r_max"])
    axes.set_ylim(0, 1.03)
    label(axes, f"tau: multiple of the fewest {unit}", f"share of {across['num_problems']} problems")
    legend_under(figure, note, handles)
    return figure


def _jumps(rho: list[float]) -> list[int]:
    """Give the places where a line jumps, and its end."""
    return sorted({0, *(n for n in range(1, len(rho)) if rho[n] > rho[n - 1]), len(rho) - 1})


def _scores(result: Result) -> dict[str, Any]:
    return dict(zip(result["across"]["arms"], result["across"]["profile"]["scores"], strict=True))


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    scores, labels = _scores(result), arm_labels(result["problems"][0])
    highest = max(scores.values())
    best = listed([labels[name] for name, score in scores.items() if score == highest])
    pool = listed([labels[name] for name in scores])
    across = result["across"]
    return (
        f"The largest score B, {format_number(highest, 3)}, is that of {best}; the pool is {pool}. At tau = 1 a line "
        "tells on how many problems its optimizer is the fastest, at its right end how often it arrives at all within "
        f"{format_number(across['r_max'], 2)} times the fewest {across['profile']['unit']}. All of it is relative to "
        "the fastest in the pool: with others in it the order of two may turn round, so it does not rank the "
        "second and the third."
    )
