"""What a race on an analytic surface came to: result.json, what its figures show, and tables of paths and starts."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dlx.commands.facts import spell
from dlx.config.experiment import SurfaceExperiment
from dlx.core.definition import Optimizer
from dlx.curvature.ends import DIVERGED, possible_fates
from dlx.curvature.paths import Floats
from dlx.curvature.race import Crowd, quantile
from dlx.curvature.rates import Best, best_descent, best_heavy_ball, shrinking, steps_per_digit
from dlx.optimizers.momentum import Momentum
from dlx.tracking.files import finite

CONTOUR_POINTS = 151
"""Points along each axis of the box whose contours are drawn: with fewer, narrow valleys look like islands."""

QUARTILES = {"lower": 0.25, "median": 0.5, "upper": 0.75}
MOST_STEPS = 400
"""Steps whose values the figure of courses shows, at most."""
MOST_COLUMNS = 20
"""Variables that tables show of a point, at most."""


@dataclass(frozen=True)
class Found:
    """What a race comes to.

    Attributes:
        starts: Where all began, the usual start first, [S, n].
        crowds: Where each rule went.
        curvatures: Eigenvalues of the Hessian at each minimum, ascending, [n]; nothing where that is too large.
        rates: Learning rates of the sweep, [R].
        swept: The surface at the ends of each rule at each of them, [R, S], or [R, 1] from the usual start alone; None
            for rules without a learning rate.
    """

    starts: Floats
    crowds: list[Crowd]
    curvatures: list[Floats]
    rates: Floats
    swept: list[Floats | None]


def race_result(experiment: SurfaceExperiment, found: Found) -> dict[str, Any]:
    """Build the content of result.json; what is infinite in it is None."""
    surface, fates = experiment.surface, [fate for crowd in found.crowds for fate in crowd.ends.fates]
    result: dict[str, Any] = finite({
        "schema": 1,
        "command": "compare-optimizers",
        "status": "diverged" if all(fate == DIVERGED for fate in fates) else "done",
        "name": experiment.name,
        "kind": "surface",
        "surface": surface.name,
        "num_variables": surface.dimension,
        "seed": experiment.seed_list[0],
        "steps": experiment.steps,
        "start": list(experiment.point),
        "num_starts": len(found.starts),
        "median_at_starts": quantile(found.crowds[0].values[0], 0.5),
        "box": [list(ends) for ends in surface.box],
        "lowest": surface.minima.value if surface.minima else None,
        "minima": _minima(experiment, found.curvatures),
        "limits": _limits(experiment, found.curvatures),
        "fates": possible_fates(surface),
        "rates": found.rates.tolist(),
        "optimizers": _optimizers(experiment, found),
    })  # fmt: skip
    return result


def _minima(experiment: SurfaceExperiment, curvatures: Sequence[Floats]) -> list[dict[str, Any]]:
    """Tell where each minimum is, how it curves there, and what that means for descent."""
    minima = experiment.surface.minima
    if minima is None:
        return []
    found: list[dict[str, Any]] = [{"point": list(point)} for point in minima.points]
    for entry, values in zip(found, curvatures, strict=False):  # not known of many variables
        low, high = float(values[0]), float(values[-1])
        entry |= {"lowest_curvature": low, "highest_curvature": high}
        if low > 0:
            best = {"descent": best_descent(low, high), "heavy_ball": best_heavy_ball(low, high)}
            entry |= {"condition": high / low, "best": {name: _best(each) for name, each in best.items()}}
    return found


def _best(best: Best) -> dict[str, float]:
    return {**vars(best), "steps_per_digit": steps_per_digit(best.factor)}


def _limits(experiment: SurfaceExperiment, curvatures: Sequence[Floats]) -> list[dict[str, Any]]:
    """Tell up to which learning rate descent can come to rest at a minimum: at the one that is least curved."""
    highest = min((float(each[-1]) for each in curvatures), default=0.0)
    if highest <= 0:
        return []
    limits = [{"rule": "sgd", "formula": "2 / λ", "lr": 2 / highest}]
    for momentum in dict.fromkeys(rule.momentum for rule in experiment.optimizers if isinstance(rule, Momentum)):
        lr = 2 * (1 + momentum) / highest
        limits.append({"rule": f"momentum {momentum:g}", "formula": f"2 (1 + {momentum:g}) / λ", "lr": lr})
    return limits


def _optimizers(experiment: SurfaceExperiment, found: Found) -> list[dict[str, Any]]:
    """Tell of each rule where it went as it is written, and what other learning rates come to."""
    rules = experiment.optimizers
    return [
        {
            "optimizer": spell(rule),
            "label": label,
            "lr": rule.tunables().get("lr"),
            "usual": _usual(experiment, crowd),
            "all": {
                "fates": dict(Counter(crowd.ends.fates)),
                "median_arrival": quantile(crowd.ends.arrivals, 0.5),
                "value": _quartiles(crowd.ends.values),
            },
            "theory": _theory(rule, found.curvatures),
            "sweep": None if swept is None else [quantile(values, 0.5) for values in swept],
            "swept_starts": 0 if swept is None else swept.shape[1],
        }
        for rule, label, crowd, swept in zip(rules, _labels(rules), found.crowds, found.swept, strict=True)
    ]


def _usual(experiment: SurfaceExperiment, crowd: Crowd) -> dict[str, Any]:
    minima = experiment.surface.minima
    return {
        "steps": len(crowd.path.points) - 1,
        "end": crowd.path.points[-1].tolist(),
        "value": float(crowd.ends.values[0]),
        "fate": crowd.ends.fates[0],
        "arrived": float(crowd.ends.arrivals[0]),
        "left_box": crowd.path.leaves(experiment.surface.box),
        "distance": crowd.path.nearest(minima)[1] if minima else None,
    }


def _quartiles(values: Floats) -> dict[str, float]:
    return {name: quantile(values, share) for name, share in QUARTILES.items()}


def _labels(rules: Sequence[Optimizer]) -> list[str]:
    """Name each rule shortly, and whole where two would have one name."""
    names = [f"{rule.name} {rule.model_dump().get('class', '')}".rstrip() for rule in rules]
    rates = [rule.tunables().get("lr") for rule in rules]
    short = [name if lr is None else f"{name}, lr {lr:g}" for name, lr in zip(names, rates, strict=True)]
    return [spell(rule) if short.count(label) > 1 else label for rule, label in zip(rules, short, strict=True)]


def _theory(rule: Optimizer, curvatures: Sequence[Floats]) -> list[dict[str, float]] | None:
    """Tell how fast the rule closes in on each minimum; None if theory does not say."""
    factors = [shrinking(rule, each.tolist()) for each in curvatures]
    known = [factor for factor in factors if factor is not None]
    return [{"factor": factor, "steps_per_digit": steps_per_digit(factor)} for factor in known] or None


def shown_of(experiment: SurfaceExperiment, found: Found) -> dict[str, Any]:
    """Give what the figures show beside result.json: the content of race.json; None where there is no plane."""
    steps = np.unique(np.linspace(0, experiment.steps, MOST_STEPS).round().astype(int))
    courses = [[_quartiles(crowd.values[step]) for step in steps] for crowd in found.crowds]
    by_name = [{name: [each[name] for each in course] for name in QUARTILES} for course in courses]
    shown = {"steps": steps.tolist(), "courses": by_name, "plane": None}
    if experiment.surface.dimension == 2:
        shown["plane"] = _plane(experiment, found)
    result: dict[str, Any] = finite(shown)
    return result


def _plane(experiment: SurfaceExperiment, found: Found) -> dict[str, Any]:
    """Give the surface on its box, the path from the usual start, and all starts with what became of them."""
    surface = experiment.surface
    axes = [np.linspace(*ends, CONTOUR_POINTS) for ends in surface.box]
    points = torch.from_numpy(np.stack(np.meshgrid(*axes), -1))
    return {
        "axes": [axis.tolist() for axis in axes],
        "values": surface.value(points).tolist(),
        "paths": [crowd.path.points.tolist() for crowd in found.crowds],
        "path_values": [crowd.path.values.tolist() for crowd in found.crowds],
        "starts": found.starts.tolist(),
        "fates": [list(crowd.ends.fates) for crowd in found.crowds],
    }


def paths_csv(experiment: SurfaceExperiment, found: Found) -> str:
    """Write the path of each rule from the usual start as CSV, a step per line; of many variables the first 20."""
    rows = (
        [spell(rule), 0, step, *_cells(point), value]
        for rule, crowd in zip(experiment.optimizers, found.crowds, strict=True)
        for step, (point, value) in enumerate(zip(crowd.path.points, crowd.path.values.tolist(), strict=True))
    )
    return _csv(["optimizer", "start", "step", *_variables("x", found), "f"], rows)


def starts_csv(experiment: SurfaceExperiment, found: Found) -> str:
    """Write what became of each rule from each start as CSV; start 0 is the usual one. Infinite numbers are empty."""
    rows = (
        [spell(rule), number, *_cells(start), *_cells(end), *finite([value, arrival]), fate]
        for rule, crowd in zip(experiment.optimizers, found.crowds, strict=True)
        for number, (start, end, value, arrival, fate) in enumerate(
            zip(
                found.starts, crowd.ends.points, crowd.ends.values.tolist(), crowd.ends.arrivals.tolist(),
                crowd.ends.fates, strict=True,
            )
        )
    )  # fmt: skip
    names = [*_variables("start", found), *_variables("end", found)]
    return _csv(["optimizer", "start", *names, "f", "arrived", "fate"], rows)


def _cells(point: Floats) -> list[float]:
    cells: list[float] = point[:MOST_COLUMNS].tolist()
    return cells


def _variables(prefix: str, found: Found) -> list[str]:
    return [f"{prefix}{number}" for number in range(1, min(MOST_COLUMNS, found.starts.shape[1]) + 1)]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()
