"""``dlx curvature``: slope and curvature around the weights of a model, or around a point of an analytic surface."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from dlx.commands.analysis import analysis_run, interruptible
from dlx.commands.facts import spell
from dlx.commands.subject import Subject, config_of, load_subject
from dlx.config.experiment import SurfaceExperiment
from dlx.config.load import is_of_surface, load_surface
from dlx.core.definition import Activation, Optimizer
from dlx.core.errors import DivergedError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished, Record
from dlx.core.settings import Curvature
from dlx.curvature.doubt import doubt_gradient
from dlx.curvature.point import STATIONARY, Point, classify
from dlx.curvature.spectrum import (
    GRADIENTS_PER_PRODUCT,
    Extreme,
    Probes,
    Spectrum,
    dense_spectrum,
    probe,
    sparse_spectrum,
)
from dlx.curvature.steps import GradientSteps, gradient_steps
from dlx.data.splits import Indices
from dlx.engine.analytic import AnalyticSurface
from dlx.engine.device import choose_device, prepare_torch
from dlx.engine.error_surface import ErrorSurface, PointFunction
from dlx.tracking.run_dir import RunDir

JACOBIAN_EXAMPLES, JACOBIAN_NUMBERS = 32, 1 << 24
"""Examples whose outputs are differentiated, at most, and entries of the Jacobian that are held at once."""
KINK_GRID, KINK = (-8.0, 8.0, 160_001), 0.01
"""Where the slope of an activation is looked at, and the jump between two neighbours that makes a kink: a smooth
slope would have to bend a hundred times as much as any in use."""
T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """What is looked at, and how.

    Attributes:
        text: The config as it was written.
        experiment: What it means; of a model, or of an analytic surface.
        function: f, at its point.
        settings: How closely.
        facts: What is looked at, by name.
        optimizers: The update rules that go down f.
        jacobian: What is known of the Jacobian of a model's outputs; None for a surface, whose one output is f.
        remarks: What misleads in second derivatives here, in sentences.
    """

    text: str
    experiment: Any
    function: PointFunction
    settings: Curvature
    facts: dict[str, str]
    optimizers: Sequence[Optimizer]
    jacobian: dict[str, Any] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def rates(self) -> list[dict[str, Any]]:
        """The learning rates that are used, each with the name of its rule."""
        known = [(rule.name, rule.tunables().get("lr")) for rule in self.optimizers]
        return [{"optimizer": name, "lr": lr} for name, lr in known if lr is not None]


def curvature(path: Path, overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Look at f around a point: slopes, eigenvalues of the Hessian, and what steps along the gradient do.

    Args:
        path: A YAML file, of a model (looked at with its initial weights) or of an analytic surface; or a run directory
            (looked at with its best weights).
        overrides: ``KEY=VALUE`` strings.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the config.

    Yields:
        ``AnalysisStarted``, then progress, then ``Finished``.

    Raises:
        DlxError: Any of the tree in ``core/errors.py``; those of the user before the run directory exists.
    """
    look = load_look(path, overrides, plugins)
    value, gradient = look.function.gradient(look.function.theta)
    _require_finite(value, gradient, path)
    with analysis_run(runs_dir, "curvature", look.experiment, look.text, look.function.theta.device) as run:
        yield AnalysisStarted(run.path, look.facts)
        probes, spectrum = yield from interruptible(find_eigenvalues(look, gradient), run)
        point = classify(look.function.theta, gradient, spectrum)
        rates = [each["lr"] for each in look.rates]
        # Where the gradient is a rounding error, steps along it would be drawn as if they told something.
        is_slope = point.kind == "slope"
        highest = spectrum.highest.value
        steps = gradient_steps(look.function, value, gradient, highest, rates) if is_slope else None
        doubt = doubt_gradient(look.function, value, gradient, look.settings.seed)
        result = _result(look, value, gradient, (probes, spectrum, steps, point))
        result["doubt"] = None if doubt is None else vars(doubt)
        run.write_json("result.json", result)
        _write_figures_and_report(run, result, look.facts)
        run.finish("done", "done")
    yield Finished(run.path, result)


def load_look(path: Path, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> Look:
    """Read what is to be looked at.

    Raises:
        DlxError: For everything that a user can mend.
    """
    config = config_of(path) if path.is_dir() else path
    if is_of_surface(config):
        return _look_at_surface(config, overrides, plugins)
    return _look_at_model(load_subject(path, overrides, plugins))


def _look_at_surface(config: Path, overrides: Sequence[str], plugins: Sequence[Path]) -> Look:
    loaded = load_surface(config, overrides, plugins)
    experiment = loaded.experiment
    device = choose_device(experiment.device)
    prepare_torch(experiment.threads, False)
    facts = {
        "surface": f"{spell(experiment.surface)}, {experiment.surface.dimension:,} variables",
        "point": _spell_point(experiment),
        "device": f"{device}, float64",
    }
    theta = torch.tensor(experiment.point, dtype=torch.float64, device=device)
    function = AnalyticSurface(experiment.surface, theta)
    return Look(loaded.source.text, experiment, function, experiment.curvature, facts, experiment.optimizers)


def _spell_point(experiment: SurfaceExperiment, longest: int = 8) -> str:
    numbers = [f"{number:.12g}" for number in experiment.point]
    shown = numbers if len(numbers) <= longest else [*numbers[:longest], "..."]
    return f"({', '.join(shown)}){', where it usually starts' if experiment.start is None else ''}"


def _look_at_model(subject: Subject) -> Look:
    settings = subject.experiment.curvature
    # At random: the examples may be in the order of their classes.
    chosen = np.random.default_rng(settings.seed).permutation(subject.train)[: settings.batch_size]
    which = "all" if len(chosen) == len(subject.train) else "a random"
    facts = {**subject.facts(), "examples": f"{which} {len(chosen):,} of {len(subject.train):,} for training"}
    return Look(
        text=subject.text,
        experiment=subject.experiment,
        function=subject.surface(chosen),
        settings=settings,
        facts=facts,
        optimizers=[subject.experiment.optimizer],
        jacobian=_jacobian(subject, chosen),
        remarks=tuple(_remarks(subject)),
    )


def _remarks(subject: Subject) -> Iterator[str]:
    """Say where second derivatives are not the whole truth."""
    activation = getattr(subject.experiment.model, "activation", None)
    if isinstance(activation, Activation) and has_kinks(activation):
        yield (
            f"The slope of `{activation.name}` jumps: second derivatives are those of the smooth pieces between its "
            "kinks and know nothing of what happens where a step crosses one."
        )
    if subject.is_thinned:
        yield "Dropout is left out: this is the error of the whole network."


def has_kinks(activation: Activation) -> bool:
    """Tell whether the slope of an activation jumps somewhere."""
    slopes = activation.derivative(torch.linspace(*KINK_GRID, dtype=torch.float64))
    return bool((slopes.diff().abs() > KINK).any())


def _jacobian(subject: Subject, chosen: Indices) -> dict[str, Any]:
    """Differentiate the outputs for some examples by all parameters: size, rank and largest singular value."""
    spec = subject.member.recipe.spec
    per_example = spec.num_outputs * subject.member.recipe.layout().num_parameters
    count = max(1, min(JACOBIAN_EXAMPLES, len(chosen), JACOBIAN_NUMBERS // per_example))
    surface: ErrorSurface = subject.surface(chosen[:count])
    _, jacobian = surface.jacobian(surface.theta)
    rows = jacobian.flatten(0, 1)
    singular = torch.linalg.svdvals(rows)
    rounding = max(rows.shape) * torch.finfo(rows.dtype).eps * float(singular[0])
    return {
        "num_examples": count,
        "num_outputs": jacobian.shape[1],
        "num_rows": rows.shape[0],
        "num_columns": rows.shape[1],
        "rank": int((singular > rounding).sum()),
        "largest_singular_value": float(singular[0]),
        "frobenius_norm": float(rows.norm()),
    }


def _require_finite(value: float, gradient: Tensor, path: Path) -> None:
    if not (math.isfinite(value) and bool(gradient.isfinite().all())):
        raise DivergedError(
            f"at the point of {path} the error is {value:g} and its gradient is "
            f"{'finite' if bool(gradient.isfinite().all()) else 'not finite'}: there is nothing to look at; take other "
            "weights, or another start"
        )


def find_eigenvalues(look: Look, gradient: Tensor) -> Generator[AnalysisProgress, None, tuple[Probes, Spectrum]]:
    """Look along random directions, and find the eigenvalues of the Hessian.

    Args:
        look: What is looked at.
        gradient: The gradient there, [P].

    Yields:
        Progress.
    """
    probes = yield from probe(look.function, gradient, look.settings)
    if len(gradient) <= look.settings.dense:
        return probes, (yield from dense_spectrum(look.function))
    return probes, (yield from sparse_spectrum(look.function, gradient, probes, look.settings))


def _result(
    look: Look, value: float, gradient: Tensor, found: tuple[Probes, Spectrum, GradientSteps | None, Point]
) -> dict[str, Any]:
    """Build the content of result.json."""
    probes, spectrum, steps, point = found
    is_surface = isinstance(look.experiment, SurfaceExperiment)
    minima = look.experiment.surface.minima if is_surface else None
    return {
        "schema": 1,
        "command": "curvature",
        "status": "done",
        "name": look.experiment.name,
        "is_surface": is_surface,
        "lowest_possible": minima.value if minima else None,
        "num_parameters": len(gradient),
        "value": value,
        "gradient_norm": float(gradient.norm()),
        "point": {**vars(point), "stationary_below": STATIONARY},
        "directions": {
            "num": len(probes.slopes),
            "slope": _spread(probes.slopes),
            "curvature": _spread(probes.bends),
        },
        "spectrum": _spectrum(look.function, spectrum, point),
        "steps": None if steps is None else _steps(steps),
        "rates": look.rates,
        "jacobian": look.jacobian,
        "remarks": list(look.remarks),
    }


def _spread(values: Tensor) -> dict[str, float]:
    return {"lowest": float(values.min()), "mean": float(values.mean()), "highest": float(values.max())}


def _spectrum(function: PointFunction, spectrum: Spectrum, point: Point) -> dict[str, Any]:
    def extreme(found: Extreme) -> dict[str, float]:
        along = float(found.vector @ function.hessian_times(function.theta, found.vector[None])[0])
        return {"value": found.value, "bound": found.bound, "along_vector": along}

    known = spectrum.products_of_highest
    return {
        "method": "dense" if spectrum.is_dense else "lanczos",
        "lowest": extreme(spectrum.lowest),
        "highest": extreme(spectrum.highest),
        "trace": spectrum.trace,
        "trace_standard_error": spectrum.trace_error,
        "is_outermost": spectrum.is_outermost,
        "signs": spectrum.count(point.zero) if spectrum.is_dense else None,
        "values": spectrum.values.tolist(),
        "counts": spectrum.counts.tolist(),
        "gradient_equivalents": {
            # The start of Lanczos's method is the gradient.
            "highest": None if known is None else GRADIENTS_PER_PRODUCT * known + 1,
            "all": GRADIENTS_PER_PRODUCT * spectrum.num_products + (0 if spectrum.is_dense else 1),
        },
    }


def _steps(steps: GradientSteps) -> dict[str, Any]:
    return {
        "squared_norm": steps.squared_norm,
        "bend": steps.bend,
        "best": steps.best,
        "limit": steps.limit,
        "reliable_to": steps.reliable_to,
        "marks": [
            {"name": name, "size": size, "predicted": steps.predicted(size), "measured": measured}
            for name, (size, measured) in steps.marks.items()
        ],
        "sizes": steps.sizes.tolist(),
        "predicted": [steps.predicted(size) for size in steps.sizes.tolist()],
        "measured": steps.measured.tolist(),
    }


def _write_figures_and_report(run: RunDir, result: dict[str, Any], facts: dict[str, str]) -> None:
    """Draw spectrum and steps, and write report.md."""
    from dlx.reporting.curvature_figures import draw_curvature
    from dlx.reporting.curvature_report import write_curvature_report

    write_curvature_report(run.path, result, facts, draw_curvature(run.path, result))
