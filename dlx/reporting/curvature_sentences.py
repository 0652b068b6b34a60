"""Says in sentences what the numbers of ``dlx curvature`` mean, and what they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dlx.reporting.tables import format_number

Result = dict[str, Any]
SHAPES = {
    "minimum": "all eigenvalues are positive: f curves up along every direction",
    "maximum": "all eigenvalues are negative: f curves down along every direction",
    "saddle": "there are eigenvalues of both signs: f curves up along some directions and down along others",
    "flat": "an eigenvalue is 0, or cannot be told from 0: along its direction f does not curve",
}
"""What the eigenvalues say, by the kind of point it would be with gradient 0."""
KINDS = {
    "minimum": "a minimum",
    "maximum": "a maximum",
    "saddle": "a saddle",
    "flat": "a flat place, where second derivatives do not decide",
}


def curvature_headline(result: Result) -> str:
    """Say in one line what kind of point it is and how steep it is curved."""
    kind = result["point"]["kind"]
    what = "a slope" if kind == "slope" else KINDS[kind].partition(",")[0]
    highest = format_number(result["spectrum"]["highest"]["value"])
    value, norm = format_number(result["value"]), format_number(result["gradient_norm"])
    if result["doubt"]:
        return f"the gradient is wrong: f {value}  gradient norm {norm} as it is computed"
    return f"{what}: f {value}  gradient norm {norm}  highest eigenvalue {highest}"


def curvature_sentences(result: Result) -> Iterator[str]:
    """Say what the numbers mean.

    Args:
        result: Content of a result.json.

    Yields:
        Sentences, in the order of the tables.
    """
    yield from _doubt(result)
    yield _point(result)
    yield from _directions(result)
    yield from _eigenvalues(result)
    yield from _best_step(result)
    yield from _limit(result)
    yield from _jacobian(result)
    yield from result["remarks"]


def _doubt(result: Result) -> Iterator[str]:
    found = result["doubt"]
    if found is None:
        return
    remedy = "look at the backward of its `value`" if result["is_surface"] else "dlx gradcheck finds where"
    yield (
        f"The gradient does not fit f: along a direction of length 1 it says {format_number(found['said'])}, but "
        f"values of f on both sides say {format_number(found['measured'])}. All that follows is built on it, second "
        f"derivatives too: {remedy}."
    )


def _point(result: Result) -> str:
    point = result["point"]
    shape = SHAPES[point["shape"]]
    near = format_number(point["distance"], 2)
    if point["kind"] != "slope":
        lowest = result["lowest_possible"]
        known = f" The lowest value of the surface is {format_number(lowest)}." if lowest is not None else ""
        return f"This is {KINDS[point['kind']]}: the gradient is 0 as far as can be told, and {shape}.{known}"
    if not math.isfinite(point["distance"] if point["distance"] is not None else math.inf):
        return "This is a slope without any curvature: the gradient is the same all around."
    return (
        f"This is a slope, not a stationary point: if no direction curved more than here, the next point of gradient 0 "
        f"would be at least {near} of the length of theta away (a stationary point is within "
        f"{point['stationary_below']:g}). Here {shape}; were the gradient 0, this would be {KINDS[point['shape']]}."
    )


def _directions(result: Result) -> Iterator[str]:
    found, norm = result["directions"], result["gradient_norm"]
    if result["point"]["kind"] != "slope":
        return
    share = abs(found["slope"]["lowest"]) / norm
    usual = 1 / math.sqrt(result["num_parameters"])
    yield (
        f"No direction falls faster than minus the gradient, by {format_number(norm)} per unit of length. The steepest "
        f"of {found['num']} random ones has {format_number(100 * share, 3)} % of that: among "
        f"{result['num_parameters']:,} parameters a random direction has about {format_number(100 * usual, 2)} %."
    )


def _eigenvalues(result: Result) -> Iterator[str]:
    spectrum = result["spectrum"]
    lowest, highest = spectrum["lowest"], spectrum["highest"]
    bends = result["directions"]["curvature"]
    yield (
        f"Along every direction the curvature u'Hu lies between the extreme eigenvalues; random ones had "
        f"{format_number(bends['lowest'])} to {format_number(bends['highest'])}. Along the eigenvectors it is the "
        "eigenvalue itself."
    )
    if spectrum["method"] != "dense":
        cost = spectrum["gradient_equivalents"]["highest"]
        known = (
            f"the highest was known to the tolerance after the work of {cost} gradients"
            if cost
            else "the highest is not known to the tolerance: raise curvature.max_steps"
        )
        yield (f"Within its bound of each of the two there is an eigenvalue; {known}. {_beyond(spectrum)}")
        if abs(lowest["value"]) <= lowest["bound"]:
            yield "The sign of the lowest eigenvalue is not known: its bound is larger than its size."
    if result["point"]["shape"] == "minimum" and lowest["value"] > 0:
        condition = highest["value"] / lowest["value"]
        rate = (condition - 1) / (condition + 1)
        yield (
            f"The condition number is {format_number(condition)}: near a minimum with it, gradient descent at its best "
            f"step size leaves {format_number(rate, 6)} of the distance at every step in the worst direction."
        )


def _beyond(spectrum: dict[str, Any]) -> str:
    """Say whether an eigenvalue may lie beyond the two."""
    more = "a smaller curvature.tolerance, or curvature.dense for all eigenvalues, would show it."
    if spectrum["is_outermost"]:
        return f"No other random start saw one beyond. One may lie beyond all the same: {more}"
    return f"Another random start saw one beyond them, so they are not the outermost: raise curvature.max_steps; {more}"


def _best_step(result: Result) -> Iterator[str]:
    steps = result["steps"]
    if steps is None:
        yield "Steps along a gradient that is 0 as far as can be told would tell nothing."
        return
    if steps["best"] is None:
        yield (
            f"Along the gradient f does not curve up (g'Hg = {format_number(steps['bend'])}): the quadratic model "
            "falls without end, and there is no best step."
        )
    else:
        mark = next(each for each in steps["marks"] if each["name"] == "eps*")
        gain = result["value"] - mark["predicted"]
        found = f"{format_number(result['value'] - mark['measured'])}" if mark["measured"] is not None else "no number"
        yield (
            f"The best step of the quadratic model is eps* = g'g / g'Hg = {format_number(steps['best'])}; it promises "
            f"to lower f by {format_number(gain)}, and does by {found}."
        )
    yield _reliability(steps)


def _reliability(steps: dict[str, Any]) -> str:
    reliable, last = steps["reliable_to"], steps["sizes"][-1]
    if reliable is None:
        return "The quadratic model is wrong by more than 10 % even for the smallest step here: f is not that smooth."
    if reliable == last:
        return "The quadratic model is right to 10 % for all steps here: what it leaves out is small, or nothing."
    return (
        f"The quadratic model is right to 10 % up to eps = {format_number(reliable, 3)}; beyond, the third and higher "
        "derivatives, which it leaves out, take over."
    )


def _limit(result: Result) -> Iterator[str]:
    steps = result["steps"]
    limit = steps["limit"] if steps else _limit_of(result["spectrum"]["highest"]["value"])
    if limit is None:
        yield "No direction curves up, so no learning rate is too large for the curvature here."
        return
    yield (
        f"On a bowl of this curvature gradient descent is stable below 2 / lambda_max = {format_number(limit)}: with "
        "more, it is thrown further and further away along the steepest direction. Far from a minimum, and along "
        "directions that curve down, it says nothing."
    )
    for each in result["rates"]:
        where = "below" if each["lr"] < limit else "above"
        own = "" if each["optimizer"] == "sgd" else f"; `{each['optimizer']}` is another rule, with a limit of its own"
        batches = "" if result["is_surface"] or own else "; on small batches the noise adds to that"
        yield f"The learning rate {each['lr']:g} of `{each['optimizer']}` is {where} it{own}{batches}."


def _limit_of(highest: float) -> float | None:
    return 2 / highest if highest > 0 else None


def _jacobian(result: Result) -> Iterator[str]:
    found = result["jacobian"]
    if found is None:
        return
    free = found["num_columns"] - found["rank"]
    text = (
        f"The rows of the Jacobian are the gradients of single outputs. Its rank is {found['rank']}: "
        f"{found['num_rows']} outputs of {found['num_examples']} examples can be moved in that many independent ways"
    )
    if free > 0:
        text += (
            f", and along {free:,} of the {found['num_columns']:,} dimensions of theta none of them changes at first"
        )
    yield f"{text}."
