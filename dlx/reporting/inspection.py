"""Turns what ``dlx inspect`` found into text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dlx.reporting.tables import Table, format_mean, format_number, plain

WHY_UNUSUAL = (
    "the first steps only unlearn what the initial weights claim; look at the scale of inputs and targets "
    "(data.scale, data.target_scale) and at the initial weights"
)
WHY_NOT_FINITE = "no step can mend that; look for extreme values in the inputs or a scale that is missing"
WHY_DIVERGED = "the learning rate is too high; a lower optimizer.lr is the usual remedy"
WHY_SLOW = "the loss is still falling: the learning rate is low rather than the model small; try a higher optimizer.lr"
WHY_STUCK = """the loss no longer falls. Either it cannot: more examples than parameters, equal inputs with unequal
  targets, a loss that is never 0. Or it could: a learning rate that is far off, units that are dead or saturated,
  inputs without a scale."""


def inspection_text(found: dict[str, Any]) -> str:
    """Write the values of an inspection as facts, tables and two verdicts.

    Args:
        found: What ``dlx inspect`` gives.
    """
    width = max(map(len, found["facts"]))
    facts = [f"{name.ljust(width)}  {value}" for name, value in found["facts"].items()]
    tables = [["", *plain(table)] for table in (_layer_table(found), _cost_table(found))]
    notes = [
        "  counted are products of matrices and convolutions, 2 operations for each multiplication with addition",
        "",
        *_initial_lines(found),
        "",
        *_one_batch_lines(found["one_batch"], found["batch_size"]),
    ]
    return "\n".join([*facts, *(line for table in tables for line in table), *notes, ""])


def _layer_table(found: dict[str, Any]) -> Table:
    rows = [
        (layer["name"] or "(model)", layer["kind"], _shape(layer["output_shape"]), f"{layer['num_parameters']:,}")
        for layer in found["layers"]
    ]
    inside = sum(layer["num_parameters"] for layer in found["layers"])
    if inside < found["num_parameters"]:
        rows.append(("(not used)", "", "", f"{found['num_parameters'] - inside:,}"))
    rows.append(("total", "", "", f"{found['num_parameters']:,}"))
    return Table(
        "layers, in the order in which they are applied", ("layer", "kind", "output shape", "parameters"), tuple(rows)
    )


def _shape(shape: list[int] | tuple[int, ...] | None) -> str:
    return "?" if shape is None else " x ".join(map(str, shape)) or "1"


def _cost_table(found: dict[str, Any]) -> Table:
    seeds, flops, memory = found["num_seeds"], found["flops"], found["memory_bytes"]
    costs = [
        ("forward pass of an example", flops["forward"], _flops),
        (f"training step on {found['batch_size']} examples", flops["step"], _flops),
        ("memory of parameters", memory["parameters"], _bytes),
        ("memory of optimizer state", memory["optimizer_state"], _bytes),
        (f"memory of activations of {found['batch_size']} examples", memory["activations"], _bytes),
    ]
    header = ("", "one seed", *([f"all {seeds} seeds"] if seeds > 1 else []))
    rows = [(name, write(cost), *([write(cost * seeds)] if seeds > 1 else [])) for name, cost, write in costs]
    return Table("cost", header, tuple(rows))


def _flops(value: float) -> str:
    return f"{_scaled(value, 1000, ('', ' k', ' M', ' G', ' T', ' P'))} FLOPs".replace("  ", " ")


def _bytes(value: float) -> str:
    return _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def _scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    power = min(int(math.log(value, base)), len(units) - 1) if value >= 1 else 0
    return f"{format_number(value / base**power, 3) if power else round(value)}{units[power]}"


def _initial_lines(found: dict[str, Any]) -> Iterator[str]:
    """Say whether an untrained model's loss is what it should be."""
    initial = found["initial_loss"]
    over = f" (mean over {initial['num_seeds']} seeds)" if initial["num_seeds"] > 1 else ""
    yield f"initial loss on a batch: {format_mean(initial['mean'], initial['std'])}{over}"
    if initial["mean"] is None or not math.isfinite(initial["mean"]):
        yield f"  suspicious: it is not finite; {WHY_NOT_FINITE}"
    elif initial["usual"] is not None:
        usual = " to ".join(map(format_number, initial["usual"]))
        expected = (
            f"a model that knows nothing of the inputs has {format_number(initial['expected'])}, usual is {usual}"
        )
        verdict = "ok" if initial["is_usual"] else "suspicious"
        yield f"  {verdict}: {expected}{'' if initial['is_usual'] else f'; {WHY_UNUSUAL}'}"


def _one_batch_lines(one: dict[str, Any], batch_size: int) -> Iterator[str]:
    """Say whether the model can learn one batch by heart."""
    answer = {True: "yes", False: "no", None: "not judged, for this loss may be negative"}[one["is_overfitted"]]
    over = f" (mean over {one['num_seeds']} seeds)" if one["num_seeds"] > 1 else ""
    yield f"can it overfit one batch of {batch_size} examples: {answer}"
    course = f"loss {format_number(one['start'])} -> {format_number(one['end'])} in {one['steps']} steps{over}"
    yield f"  {course}, without prior, schedule, noise and smoothing (yes: down to 1 %)"
    if one["num_diverged"]:
        yield f"  {one['num_diverged']} of {one['num_seeds']} seeds diverged: {WHY_DIVERGED}"
    elif one["is_overfitted"] is False:
        yield f"  {WHY_SLOW if one['is_falling'] else WHY_STUCK}"
