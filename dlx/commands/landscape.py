"""``dlx landscape``: the error on a line and on a plane through the weights of a model, or on an analytic surface."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.commands.analysis import analysis_run, interruptible
from dlx.commands.facts import spell
from dlx.commands.subject import OtherWeights, Subject, config_of, load_other_weights, load_subject
from dlx.config.experiment import Experiment, SurfaceExperiment
from dlx.config.load import is_of_surface, load_surface
from dlx.core.errors import DivergedError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Cell, Finished, Record
from dlx.curvature.landscape import Barrier, Floats, Frame, around, doubling, through
from dlx.curvature.paths import Path as Walk
from dlx.curvature.paths import walk
from dlx.engine.analytic import AnalyticSurface
from dlx.engine.cross_section import CrossSection
from dlx.engine.device import choose_device, prepare_torch
from dlx.tracking.run_dir import RunDir

RADIUS, MARGIN = 1.0, 0.25
"""How far a plane goes where the config does not say: along random directions, and beyond weights that it goes
through."""
Evaluate = Callable[[Tensor], Iterator[tuple[range, Tensor]]]


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes:
        text: The config as it was written.
        experiment: What it means; of a model, or of an analytic surface.
        facts: What is looked at, by name.
        kind: ``random``, ``through`` or ``surface``.
        error: What the error is called.
        frame: Line or plane.
        like: Gives dtype and device of the coordinates.
        evaluate: Gives the error at coordinates, [K, D], in chunks.
        names: What the marks of the frame are called.
        walks: Paths of optimizers on a surface, each with its rule in words.
        remarks: What misleads here, in sentences.
    """

    text: str
    experiment: Experiment | SurfaceExperiment
    facts: dict[str, str]
    kind: str
    error: str
    frame: Frame
    like: Tensor
    evaluate: Evaluate
    names: tuple[str, ...]
    walks: tuple[tuple[str, Walk], ...] = ()
    remarks: tuple[str, ...] = ()


def landscape(path: Path, overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Look at the error on a line or a plane.

    Args:
        path: A YAML file, of a model (looked at around its initial weights) or of an analytic surface; or a run
            directory (looked at around its best weights).
        overrides: ``KEY=VALUE`` strings.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the config.

    Yields:
        ``AnalysisStarted``, then progress, then ``Finished``.

    Raises:
        DlxError: Any of the tree in ``core/errors.py``; those of the user before the run directory exists.
        DivergedError: If every path down a surface that has a lowest value diverged; after ``Finished``.
    """
    view = load_view(path, overrides, plugins)
    with analysis_run(runs_dir, "landscape", view.experiment, view.text, view.like.device) as run:
        yield AnalysisStarted(run.path, view.facts)
        values = yield from interruptible(_evaluate(view), run)
        result, shown = _result(view, values), _shown(view, values)
        run.write_json("result.json", result)
        run.write_json("landscape.json", shown)
        again = shlex.join(["dlx", "landscape", str(path), *overrides, *(f"--plugin={each}" for each in plugins)])
        _write_figures_and_report(run, result, shown, view.facts, again)
        run.finish("done", "done")
    yield Finished(run.path, result)
    paths = result.get("paths")
    if paths and result["minima"] and all(path["diverged"] for path in paths):
        raise DivergedError(f"every path diverged, {len(paths)} of {len(paths)}; a lower lr is the usual remedy")


def _evaluate(view: View) -> Generator[AnalysisProgress, None, Floats]:
    """Give the error at every point, [K]."""
    coordinates = view.frame.coordinates()
    values, num_done = np.full(len(coordinates), np.nan), 0
    for numbers, found in view.evaluate(torch.from_numpy(coordinates).to(view.like)):
        values[numbers.start : numbers.stop] = found.double().cpu().numpy()
        num_done += len(numbers)
        yield AnalysisProgress("landscape", num_done / len(coordinates))
    return values


def load_view(path: Path, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> View:
    """Read what is to be looked at.

    Raises:
        DlxError: For everything that a user can mend.
    """
    config = config_of(path) if path.is_dir() else path
    if is_of_surface(config):
        return _view_of_surface(config, overrides, plugins)
    subject = load_subject(path, overrides, plugins, dtype="float32")
    settings = subject.experiment.landscape
    found = [_find(name, config.parent) for name in settings.through]
    others = [load_other_weights(each, subject, plugins) for each in found]
    resolved = settings.model_copy(update={"through": tuple(str(each.resolve()) for each in found)})
    experiment = subject.experiment.model_copy(update={"landscape": resolved})
    return _view_of_model(subject, experiment, others)


def _find(name: str, folder: Path) -> Path:
    """Find weights relative to a folder, else to the working directory.

    Raises:
        UsageError: If there is nothing.
    """
    for path in (folder / name, Path(name)):
        if path.exists():
            return path
    raise UsageError(f"landscape.through: there is no run and no file {name}, neither in {folder} nor in {Path.cwd()}")


def _view_of_model(subject: Subject, experiment: Experiment, others: Sequence[OtherWeights]) -> View:
    settings, parts = experiment.landscape, subject.member.parts
    indices = parts.train if settings.part == "train" else parts.valid
    surface = subject.surface(indices)
    num_parameters = len(surface.theta)
    if others:
        points = [surface.theta, *(other.values[:num_parameters] for other in others)]
        frame = through(points, settings.points, MARGIN if settings.radius is None else settings.radius)
    else:
        radius = RADIUS if settings.radius is None else settings.radius
        frame = around(surface.theta, surface.layout, settings.points, radius, settings.seed)
    section = CrossSection(surface, frame.origin.to(surface.theta), frame.directions.to(surface.theta))
    facts = {
        **subject.facts(),
        **{f"weights {number}": other.origin for number, other in enumerate(others, 2)},
        "examples": f"{len(indices):,}, the {settings.part} part",
        "points": f"{len(frame.coordinates()):,}",
    }
    names = ("weights 1", *(f"weights {number}" for number in range(2, len(others) + 2))) if others else ("centre",)
    error = f"{settings.part} loss" + (" with prior" if experiment.prior else "")
    kind = "through" if others else "random"
    remarks = tuple(
        f"{name.capitalize()} were trained on another split: here their error is in part that of examples that they "
        "have not seen, with inputs scaled by others, so a higher one is no sign of a worse minimum."
        for name, other in zip(names[1:], others, strict=True)
        if other.is_of_other_split
    )
    return View(
        subject.text, experiment, facts, kind, error, frame, surface.theta, section.evaluate, names, remarks=remarks
    )


def _view_of_surface(config: Path, overrides: Sequence[str], plugins: Sequence[Path]) -> View:
    loaded = load_surface(config, overrides, plugins)
    experiment = loaded.experiment
    surface, point = experiment.surface, torch.tensor(experiment.point, dtype=torch.float64)
    if surface.dimension < 2:
        raise UsageError(f"`{surface.name}` has one variable here, and a landscape needs two")
    device = choose_device(experiment.device)
    prepare_torch(experiment.threads, False)
    axes = tuple(np.linspace(*ends, experiment.landscape.points) for ends in surface.box[:2])
    directions = torch.eye(surface.dimension, dtype=torch.float64)[:2]
    origin = point - point @ directions.T @ directions
    frame = Frame(origin, directions, axes, (tuple(point[:2].tolist()),))
    function = AnalyticSurface(surface, point.to(device))

    def evaluate(coordinates: Tensor) -> Iterator[tuple[range, Tensor]]:
        points = origin.to(device) + coordinates @ directions.to(device)
        yield range(len(points)), function.values(points)

    cell = Cell(experiment.seed_list[0])
    walks = tuple(
        (spell(rule), walk(surface, rule, experiment.point, experiment.steps, cell)) for rule in experiment.optimizers
    )
    facts = {
        "surface": f"{spell(surface)}, {surface.dimension:,} variables",
        "start": f"({', '.join(f'{number:.6g}' for number in experiment.point[:8])})",
        "optimizers": "; ".join(rule for rule, _ in walks),
        "points": f"{len(frame.coordinates()):,}",
        "device": f"{device}, float64",
    }
    return View(
        loaded.source.text, experiment, facts, "surface", "f", frame, function.theta, evaluate, ("start",), walks
    )


def _result(view: View, values: Floats) -> dict[str, Any]:
    """Build the content of result.json."""
    frame, experiment = view.frame, view.experiment
    on_grid, at_marks, edges = frame.split(values)
    norms = frame.directions.norm(dim=1).tolist()
    axes = [
        {"low": float(axis[0]), "high": float(axis[-1]), "points": len(axis), "norm": norm}
        for axis, norm in zip(frame.axes, norms, strict=True)
    ]
    if view.kind == "random":
        middle = len(frame.axes[0]) // 2
        for axis, line, each in zip(frame.axes, (on_grid[middle], on_grid[:, middle]), axes, strict=True):
            each["doubled_below"], each["doubled_above"] = doubling(axis, line)
    barriers = [
        {"from": i, "to": j, "distance": float(np.linalg.norm(np.subtract(frame.marks[i], frame.marks[j]))),
         **vars(Barrier.of(edge))}
        for (i, j), edge in zip(frame.pairs, edges, strict=True)
    ]  # fmt: skip
    return {
        "schema": 1,
        "command": "landscape",
        "status": "done",
        "name": experiment.name,
        "kind": view.kind,
        "error": view.error,
        "seed": experiment.seed_list[0],
        "num_parameters": frame.directions.shape[1],
        "num_points": len(values),
        "num_not_finite": int((~np.isfinite(values)).sum()),
        "axes": axes,
        "marks": [
            {"name": name, "at": list(at), "value": float(value)}
            for name, at, value in zip(view.names, frame.marks, at_marks, strict=True)
        ],
        "lowest": _extreme(frame, on_grid, np.nanargmin),
        "highest": _extreme(frame, on_grid, np.nanargmax),
        "barriers": barriers,
        "remarks": list(view.remarks),
        **(_of_surface(experiment, view.walks) if isinstance(experiment, SurfaceExperiment) else {}),
    }


def _extreme(frame: Frame, values: Floats, find: Callable[[Floats], Any]) -> dict[str, Any] | None:
    """Give where on the grid the error is lowest or highest among its finite values; None if there are none."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(finite).all():
        return None
    where = np.unravel_index(int(find(finite)), finite.shape)
    at = [float(axis[number]) for axis, number in zip(frame.axes, reversed(where), strict=True)]
    return {"at": at, "value": float(values[where])}


def _of_surface(experiment: SurfaceExperiment, walks: Sequence[tuple[str, Walk]]) -> dict[str, Any]:
    """Say where the minima of a surface are, and where each path ended."""
    surface, minima = experiment.surface, experiment.surface.minima
    paths = []
    for (rule, found), optimizer in zip(walks, experiment.optimizers, strict=True):
        number, distance = found.nearest(minima) if minima else (None, None)
        lr = optimizer.tunables().get("lr")
        label = optimizer.name if lr is None else f"{optimizer.name}, lr {lr:g}"
        paths.append({
            "optimizer": rule, "label": label,
            "steps": len(found.points) - 1, "diverged": found.is_diverged,
            "left_box": found.leaves(surface.box), "end": found.points[-1].tolist(), "value": float(found.values[-1]),
            "minimum": number, "distance": distance,
            "arrived": found.arrival(minima.points[number]) if minima and number is not None else None,
        })  # fmt: skip
    starts_at_minimum = minima is not None and experiment.point in minima.points
    known = {"points": [list(point) for point in minima.points], "value": minima.value} if minima else None
    return {
        "surface": surface.name, "box": [list(ends) for ends in surface.box[:2]], "minima": known,
        "starts_at_minimum": starts_at_minimum, "paths": paths,
    }  # fmt: skip


def _shown(view: View, values: Floats) -> dict[str, Any]:
    """Give what the figures show: the content of landscape.json."""
    on_grid, _, edges = view.frame.split(values)
    return {
        "axes": [axis.tolist() for axis in view.frame.axes],
        "values": on_grid.tolist(),
        "edges": [edge.tolist() for edge in edges],
        "paths": [walked.points[:, :2].tolist() for _, walked in view.walks],
        "path_values": [walked.values.tolist() for _, walked in view.walks],
    }


def _write_figures_and_report(
    run: RunDir, result: dict[str, Any], shown: dict[str, Any], facts: dict[str, str], again: str
) -> None:
    """Draw line, contour and surface, and write report.md."""
    from dlx.reporting.landscape_figures import draw_landscape
    from dlx.reporting.landscape_report import write_landscape_report

    write_landscape_report(run.path, result, facts, draw_landscape(run.path, result, shown), again)
