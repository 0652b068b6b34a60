"""Turns the result of a landscape into tables and sentences, for the terminal and for report.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dlx.reporting.tables import MISSING, Table, format_number, is_number

NEAR = 1e-9
"""Two places on a grid that differ by less are one."""


def landscape_tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the marked points and the extremes; then how steep, what lies between, or where paths ended."""
    error = result["error"]
    rows = [(mark["name"], _place(mark["at"]), format_number(mark["value"])) for mark in result["marks"]]
    for name in ("lowest", "highest"):
        found = result[name]
        if found:
            rows.append((f"{name} on the grid", _place(found["at"]), format_number(found["value"])))
    minima = result.get("minima") or {"points": []}
    rows += [("known minimum", _place(point), format_number(minima["value"])) for point in minima["points"]]
    tables = [Table(f"{error} at {result['num_points']:,} points", ("", "place", error), tuple(rows), ("place",))]
    if result["kind"] == "random":
        tables.append(_steepness(result))
    if result["barriers"]:
        tables.append(_barriers(result))
    if result.get("paths"):
        tables.append(_paths(result))
    return tables


def _place(at: Sequence[float], longest: int = 4) -> str:
    shown = [f"{each:.4g}" for each in at[:longest]] + (["..."] if len(at) > longest else [])
    return f"({', '.join(shown)})"


def _steepness(result: dict[str, Any]) -> Table:
    rows = []
    for number, axis in enumerate(result["axes"], 1):
        ways = [axis["doubled_below"], axis["doubled_above"]]
        texts = [f"beyond {axis['high']:g}" if way is None else format_number(way, 3) for way in ways]
        rows.append((f"direction {number}", format_number(axis["norm"], 3), *texts))
    title = "where the error has doubled, in units of the direction"
    return Table(title, ("", "length of a unit", "backward", "forward"), tuple(rows))


def _barriers(result: dict[str, Any]) -> Table:
    names = [mark["name"] for mark in result["marks"]]
    rows = [
        (
            f"{names[each['from']]} to {names[each['to']]}", format_number(each["distance"], 3),
            format_number(each["highest"]), format_number(each["height"], 3),
            MISSING if each["at"] is None else f"{each['at']:.0%} of the way",
        )
        for each in result["barriers"]
    ]  # fmt: skip
    header = ("", "distance", "highest", "barrier", "where")
    return Table("on the straight lines between weights", header, tuple(rows), ("where",))


def _paths(result: dict[str, Any]) -> Table:
    rows = []
    for path in result["paths"]:
        reached = MISSING if path["minimum"] is None else _place(result["minima"]["points"][path["minimum"]])
        arrived = MISSING if path["arrived"] is None else f"step {path['arrived']}"
        rows.append((
            path["optimizer"], str(path["steps"]), _place(path["end"]), format_number(path["value"], 3), reached,
            MISSING if path["distance"] is None else format_number(path["distance"], 2), arrived, _ending(path),
        ))  # fmt: skip
    header = ("", "steps", "end", "f", "nearest minimum", "distance", "arrived", "note")
    return Table("where each path ended", header, tuple(rows), ("end", "nearest minimum", "arrived", "note"))


def _ending(path: dict[str, Any]) -> str:
    if path["diverged"]:
        return f"diverged after step {path['steps']}"
    return "" if path["left_box"] is None else f"left the box at step {path['left_box']}"


def landscape_headline(result: dict[str, Any]) -> str:
    """Say in a line what counts."""
    if result["kind"] == "through":
        heights = [each["height"] for each in result["barriers"]]
        if not all(is_number(height) for height in heights):
            return f"{result['error']}: not finite on the way between the weights"
        return f"highest barrier {format_number(max(heights), 3)}"
    mark = result["marks"][0]
    return f"{result['error']} at the {mark['name']} {format_number(mark['value'])}"


def landscape_sentences(result: dict[str, Any]) -> list[str]:
    """Say what the numbers mean, and what they do not."""
    return [
        *_about_centre(result),
        *(_about_barriers(result) if result["barriers"] else ()),
        *(_about_paths(result) if result.get("paths") else ()),
        *_about_holes(result),
        *result["remarks"],
    ]


def _about_centre(result: dict[str, Any]) -> Iterator[str]:
    if result["kind"] != "random" or result["lowest"] is None:
        return
    centre, lowest = result["marks"][0], result["lowest"]
    if not is_number(centre["value"]):
        yield "At the centre itself the error is not finite."
        return
    if all(abs(a - b) < NEAR for a, b in zip(centre["at"], lowest["at"], strict=True)):
        yield "The centre is the lowest point of the grid: in this plane nothing looked at is better than the weights."
    else:
        fall = centre["value"] - lowest["value"]
        yield (
            f"The centre is not the lowest point: at {_place(lowest['at'])} the error is lower by "
            f"{format_number(fall, 3)}, so the weights are no minimum of it."
        )
    ways = [axis[f"doubled_{way}"] for axis in result["axes"] for way in ("below", "above")]
    known = [way for way in ways if way is not None]
    if centre["value"] > 0 and known:
        yield (
            f"The error has doubled at {format_number(min(known), 2)} along the steepest of the four ways: at 1 "
            "random numbers as large as the weights have been added to them, and less is a narrower valley."
        )
    elif centre["value"] > 0:
        yield (
            "Nowhere along the axes does the error double within the grid: the valley is wide, or landscape.radius "
            "small."
        )


def _about_barriers(result: dict[str, Any]) -> Iterator[str]:
    names = [mark["name"] for mark in result["marks"]]
    for each in result["barriers"]:
        who = f"From {names[each['from']]} to {names[each['to']]}"
        if each["height"] is None:
            yield f"{who} the error is not finite somewhere."
        elif each["height"] == 0:
            yield f"{who} there is no barrier: the straight line nowhere lies above an even rise from end to end."
        else:
            height = format_number(each["height"], 3)
            yield (
                f"{who} there is a barrier: {each['at']:.0%} of the way the error is {height} above an even rise from "
                "end to end."
            )
    if any(each["height"] for each in result["barriers"]):
        yield (
            "A barrier on the straight line does not make two minima of different kind: the same network with its "
            "hidden units in another order lies behind one, too, and a bent way may have none."
        )


def _about_paths(result: dict[str, Any]) -> Iterator[str]:
    arrived = sorted((path["arrived"], path["optimizer"]) for path in result["paths"] if path["arrived"] is not None)
    if result["starts_at_minimum"]:
        yield "The start is a minimum: a path that stays there has nothing to do; another start would show a descent."
    elif arrived:
        others = "" if len(arrived) == 1 else f", the last of the {len(arrived)} that did at step {arrived[-1][0]}"
        yield (
            f"First to stay within a hundredth of its first distance from a minimum is {arrived[0][1]}, from step "
            f"{arrived[0][0]} on{others}."
        )
    elif result["minima"]:
        yield "No path came within a hundredth of its first distance to a minimum: more steps, or other rates, may."
    gone = [path["optimizer"] for path in result["paths"] if path["diverged"]]
    if gone:
        yield f"Diverged: {'; '.join(gone)}. A lower learning rate is the usual remedy."
    if result["minima"] is None:
        yield "This surface has no lowest value: a path that goes down for ever is right."


def _about_holes(result: dict[str, Any]) -> Iterator[str]:
    count = result["num_not_finite"]
    if count:
        yield (
            f"At {count:,} of {result['num_points']:,} points the error is not finite: the numbers overflow there. "
            "Figures show them as holes."
        )
