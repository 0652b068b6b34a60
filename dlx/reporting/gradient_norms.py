"""Draws the norm of the gradient of every named tensor against the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlx.reporting.drawing import COLOURS, MARKERS, Floats, add_legend, label, numbers, over_seeds, panels
from dlx.reporting.tables import format_number, is_number

MAX_LEGEND = 14
"""Tensors that the legend names, at most."""
LONGEST = 21
"""Characters of a tensor's name, at most."""
PLURALS = {"weight": "weights", "bias": "biases"}


def read(epochs: Iterable[dict[str, Any]], shapes: Mapping[str, Sequence[int]]) -> dict[str, Any] | None:
    """Read gradient norms from the lines of metrics.jsonl, over the epochs that every seed has them of.

    Seeds that diverge are left out unless all do.

    Args:
        epochs: The lines.
        shapes: Shape of each parameter by its name.

    Returns:
        ``epochs``, ``num_seeds``, and by the name of each tensor its ``title``, ``mean`` and, of two seeds or more,
        ``std``; None if no line has norms that are numbers.
    """
    norms: dict[int, dict[int, dict[str, float]]] = {}
    diverged = set()
    for line in epochs:
        for member in line["members"]:
            if member.get("stop_reason") == "diverged":
                diverged.add(member["seed"])
            found = member.get("gradient_norm") or {}
            if found and all(map(is_number, found.values())):
                norms.setdefault(member["seed"], {})[line["epoch"]] = found
    shown = [norms[seed] for seed in sorted(norms) if seed not in diverged] or [norms[seed] for seed in sorted(norms)]
    common = sorted(set.intersection(*map(set, shown))) if shown else []
    if not common:
        return None
    tensors: dict[str, dict[str, Any]] = {}
    titles = name_parameters(shapes)
    for name in shown[0][common[0]]:
        values = np.array([[each[epoch].get(name, np.nan) for epoch in common] for each in shown], dtype=np.float64)
        with np.errstate(over="ignore"):
            tensors[name] = {"title": titles[name], "mean": values.mean(0).tolist()}
            if len(shown) > 1:
                tensors[name]["std"] = values.std(0, ddof=1).tolist()
    return {"epochs": common, "num_seeds": len(shown), "tensors": tensors}


def name_parameters(shapes: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Name parameters as a person would: "layer 1 weights" for ``0.weight``.

    A weight and a bias for each feature (batch norm) belong to the layer before. Other modules, and those that have
    names, not numbers, keep what they are called.

    Args:
        shapes: Shape of each parameter by its name in the ``state_dict``, in the order of layers.
    """
    dims: dict[str, list[int]] = {}
    for name, shape in shapes.items():
        dims.setdefault(_layer(name), []).append(len(shape))
    places, number = {"": ""}, 0
    for module, found in dims.items():
        number += max(found) > 1
        if module.isdigit() and (max(found) > 1 or (found == [1, 1] and number)):
            places[module] = f"layer {number} " if max(found) > 1 else f"layer {number} norm "
    return {name: _title(name, places.get(_layer(name))) for name in shapes}


def _title(name: str, place: str | None) -> str:
    own = name.rpartition(".")[2]
    return name if place is None else f"{place}{PLURALS.get(own, own)}"


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw a line per tensor: a colour and a mark for each layer, weights solid, biases dashed.

    Args:
        name: Name of the experiment.
        values: What ``read`` gives.
    """
    note = over_seeds(values["num_seeds"]) or "one seed"
    figure, (axes,) = panels(7.9, 4.1, f"{name}: gradient norms", f"at the end of each epoch, {note}")
    figure.subplots_adjust(right=1 - 2.6 / 7.9)
    epochs, tensors = np.array(values["epochs"]), values["tensors"]
    layers = list(dict.fromkeys(map(_layer, tensors)))
    lowest = _lowest(values)
    for number, (tensor, norms) in enumerate(tensors.items()):
        place = layers.index(_layer(tensor))
        colour = COLOURS[place % len(COLOURS)]
        mean = numbers(norms["mean"])
        shown = np.where(mean > 0, mean, np.nan)
        axes.plot(
            epochs, shown, color=colour, linestyle="solid" if _is_weight(tensor) else (0, (3, 1.5)), linewidth=1.6,
            marker=MARKERS[place % len(MARKERS)], markevery=max(1, len(epochs) // 8), markersize=4, gid=tensor,
            label=_named(norms["title"], mean) if number < MAX_LEGEND else None,
        )  # fmt: skip
        if "std" in norms and len(tensors) <= MAX_LEGEND:
            std = numbers(norms["std"])
            axes.fill_between(
                epochs, np.maximum(shown - std, lowest), shown + std, color=colour, alpha=0.13, linewidth=0,
                gid=f"{tensor}-band",
            )  # fmt: skip
    if lowest > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    label(axes, "epoch", "norm of the gradient")
    title = f"first {MAX_LEGEND} of {len(tensors)}" if len(tensors) > MAX_LEGEND else None
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.01, 1.01), borderaxespad=0, title=title, title_fontsize=8.5)
    return figure


def _layer(tensor: str) -> str:
    return tensor.rpartition(".")[0]


def _is_weight(tensor: str) -> bool:
    return "bias" not in tensor.rpartition(".")[2]


def _named(title: str, mean: Floats) -> str:
    ending = title if len(title) <= LONGEST else f"…{title[1 - LONGEST :]}"  # weight or bias stands at its end
    return ending + (" (0 at times)" if (mean == 0).any() else "")


def _lowest(values: dict[str, Any]) -> float:
    """Give half of the lowest norm over 0, where bands end on a logarithmic axis; 0 if there is none."""
    means = [mean for norms in values["tensors"].values() for mean in norms["mean"] if mean is not None and mean > 0]
    return min(means) / 2 if means else 0.0


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen: how the layers compare, and what falling and vanishing mean."""
    weights = {norms["title"]: norms["mean"][-1] for name, norms in values["tensors"].items() if _is_weight(name)}
    known = {name: value for name, value in weights.items() if is_number(value)}
    compared = ""
    if len(known) > 1:
        low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        compared = (
            f" At the last epoch shown the largest is that of {high}, {format_number(known[high], 3)}, "
            f"the smallest that of {low}, {format_number(known[low], 3)}."
        )
    return (
        "Norms that fall together mean that training comes to rest; norms of first layers far below those of last ones "
        f"mean gradients that vanish, norms that grow a learning rate that is too high.{compared}"
    )
