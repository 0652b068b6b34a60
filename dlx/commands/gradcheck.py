"""``dlx gradcheck``: the gradient by backprop by hand, by autograd and by differences, compared tensor by tensor."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from dlx.commands.analysis import analysis_run, interruptible
from dlx.commands.clock import Clock
from dlx.commands.gradcheck_verdict import require_right
from dlx.commands.subject import Subject, load_subject
from dlx.core.errors import CheckError, UsageError
from dlx.core.plugins import blame
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished, Record
from dlx.data.batches import BatchPlan, Order
from dlx.data.splits import Indices
from dlx.engine.error_surface import ErrorSurface
from dlx.engine.objective import Network
from dlx.gradients.backprop import Backprop, obstacle
from dlx.gradients.check import VERDICTS, TensorCheck, check, worst_verdict
from dlx.gradients.differences import STEP, Work, along_axes, finish, noise_floor, steps_of, telling
from dlx.gradients.jacobians import by_jacobians
from dlx.gradients.locate import first_wrong_part, wrong_derivatives
from dlx.gradients.penalty import penalty_reference
from dlx.gradients.reference import Reference, take_reference, with_penalty
from dlx.gradients.self_test import sensitivity, try_faults
from dlx.gradients.v_curve import v_curve
from dlx.tracking.files import finite
from dlx.tracking.run_dir import RunDir

T = TypeVar("T")
BURN_IN_LENGTH = 0.01
"""Length of a step of the burn-in, as a share of the length of the parameters (plus 1)."""


def gradcheck(
    config: Path, overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = (), self_test: bool = False
) -> Iterator[Record]:
    """Check the gradient of a model with its loss and prior, in float64, and leave a run directory.

    Args:
        config: The YAML file, or a run directory, whose best weights are then looked at.
        overrides: ``KEY=VALUE`` strings.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the config.
        self_test: Plant faults in the gradient and prove that each is found.

    Yields:
        ``AnalysisStarted``, ``AnalysisProgress`` now and then, ``Finished``.

    Raises:
        DlxError: For everything that a user can mend.
        CheckError: If a gradient is wrong or cannot be verified, or a planted fault is missed; after ``Finished``. At
            once if f is not a function: two evaluations differ, or are not finite.
    """
    subject = load_subject(config, overrides, plugins, draws=True)
    settings = subject.experiment.gradcheck
    if subject.experiment.model.needs_batches and settings.batch_size < 2:
        raise UsageError("batch norm needs gradcheck.batch_size=2 or more: of one example every gradient is 0")
    with analysis_run(runs_dir, "gradcheck", subject.experiment, subject.text, subject.weights.device) as run:
        facts = {**subject.facts(), "batch": _batch_text(subject)}
        yield AnalysisStarted(run.path, facts)
        clock = Clock(0.0)
        result = yield from interruptible(_result(subject, self_test), run)
        seconds = result.pop("seconds")
        result = finite(result)
        run.write_json("result.json", result)
        run.write_json("timing.json", {"seconds": round(clock.seconds(), 3), **seconds})
        _write_report(run, result, facts)
        run.finish("done", result["status"])
        yield Finished(run.path, result)
        require_right(result)


def _batch_text(subject: Subject) -> str:
    settings, num_train = subject.experiment.gradcheck, len(subject.train)
    burn_in = f"after {_num_burn_in(subject)} steps of burn-in" if _num_burn_in(subject) else "without burn-in"
    count = str(settings.batch_size)
    if settings.batch_size > num_train:
        count = f"all {num_train} (gradcheck.batch_size={settings.batch_size} is more than there are)"
    return f"{count} training examples, {burn_in}"


def _result(subject: Subject, self_test: bool) -> Generator[Record, None, dict[str, Any]]:
    """Do everything there is to do; give the value of result.json, and ``seconds``, which it does not hold."""
    batch = _first_batch(subject)
    subject = dataclasses.replace(subject, weights=_burn_in(subject, batch))
    whole, loss_alone = subject.surface(batch), _without_prior(subject).surface(batch)
    value = _require_function(whole)
    autograd = {"objective": _autograd(whole, whole.theta)[1], "loss": _autograd(loss_alone, whole.theta)[1]}
    first = torch.zeros(1, dtype=torch.int64, device=whole.theta.device)
    finish(along_axes(loss_alone, first, steps_of(whole.theta[first])))  # torch's first calls are not to be timed
    begin = time.perf_counter()
    reference = yield from _told(take_reference(loss_alone, autograd["loss"]), "central differences")
    seconds = {"differences": time.perf_counter() - begin, "backprop": _backprop_seconds(whole)}
    has_prior = subject.experiment.prior is not None
    references: dict[str, Reference] = {"loss": reference}
    network = whole.alone.network()
    if has_prior:
        references["prior"] = penalty_reference(network, reference)
        references["objective"] = with_penalty(reference, references["prior"])
        autograd["prior"] = _autograd_of_prior(network, whole.theta)
    what = "objective" if has_prior else "loss"
    named = {name: _named(whole, gradient) for name, gradient in autograd.items() if name in references}
    checks = [_entry(of, "autograd", check(named[of], references[of], len(batch))) for of in references]
    floor = float(noise_floor(value, torch.tensor(STEP, dtype=torch.float64)))
    unknown = obstacle(network.module)
    agreement: dict[str, Any] = {}
    if unknown is None:
        hand, agreement = _by_hand(network, named[what], floor)
        checks.append(_entry(what, "by hand", check(hand, references[what], len(batch))))
    status = max((each["verdict"] for each in checks), key=VERDICTS.index)
    if status == "ok" and all(tensor["relative_error"] is None for tensor in checks[0]["tensors"]):
        status = "unverified"  # the loss has no slope but rounding, whatever the prior has
    is_wrong = any(each["verdict"] == "wrong" and each["by"] == "autograd" for each in checks)
    curve, tried = None, None
    if not is_wrong:  # where a right gradient is not known, neither an error nor a planted fault can be told from it
        curve = dataclasses.asdict((yield from _told(v_curve(loss_alone, autograd["loss"]), "error against step")))
    if self_test and not is_wrong:
        yield AnalysisProgress("planting faults", 1.0)
        tried = _self_test(network, named[what], references[what], unknown is None)
    return {
        "schema": 1,
        "command": "gradcheck",
        "name": subject.experiment.name,
        "status": status,
        "loss": subject.experiment.loss.name,
        "value": value,
        "num_examples": len(batch),
        "num_parameters": len(whole.theta),
        "step": STEP,
        "noise_floor": floor,
        "num_evaluations": 2 * sum(len(each.entries) + len(each.directions) for each in reference.values()),
        "checks": checks,
        "agreement": agreement,
        "not_by_hand": unknown,
        "wrong_derivatives": _wrong_derivatives(subject, network, checks),
        "first_wrong": first_wrong_part(network) if is_wrong else None,
        "v_curve": curve,
        "self_test": tried,
        "seconds": seconds,
    }


def _by_hand(network: Network, autograd: dict[str, Tensor], floor: float) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Give the gradient by hand, by name, and how far it and the products of Jacobians are from autograd's."""
    hand, products = Backprop(network).gradient(), by_jacobians(network)
    return hand, {
        "by_hand": _distances(hand, autograd, floor),
        "jacobians": None if products is None else _distances(products, autograd, floor),
    }


def _wrong_derivatives(subject: Subject, network: Network, checks: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Name the definitions whose own derivative is wrong, where only the gradient by hand, which uses it, is."""
    bad = {each["by"] for each in checks if each["verdict"] in ("suspicious", "wrong")}
    found = wrong_derivatives(network, subject.experiment.prior) if bad == {"by hand"} else []
    return [{"kind": each.family, "name": each.name, "class": type(each).__name__} for each in found]


def _autograd(surface: ErrorSurface, theta: Tensor) -> tuple[float, Tensor]:
    """Give f and its gradient by autograd at a point, a number and [P].

    Raises:
        CheckError: If torch refuses the backward pass: a tensor that it needs was changed in place.
    """
    try:
        return surface.gradient(theta)
    except RuntimeError as error:
        reason, place = str(error).partition(". ")[0], blame(error)
        where = f" in {place}" if place else ""
        raise CheckError(f"autograd cannot go back through the model or the loss{where}: {reason}") from error


@torch.enable_grad()
def _autograd_of_prior(network: Network, theta: Tensor) -> Tensor:
    """Give the gradient of the prior's part alone, [P]: as a difference of two gradients it would be lost in theirs."""
    at = theta.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network.penalties(at).sum(), at)
    return gradient


def _told(work: Work[T], what: str) -> Generator[Record, None, T]:
    """Tell of work as it goes on, and give what comes of it."""
    return (yield from telling(work, lambda share: AnalysisProgress(what, share)))


def _first_batch(subject: Subject) -> Indices:
    """Give the examples of a first step of training with batches of this size."""
    size = min(subject.experiment.gradcheck.batch_size, len(subject.train))
    plan = BatchPlan([Order(subject.train, subject.member.cell.stream_key)], size)
    drawn: Indices = plan.draw(1)[0, 0]
    return drawn


def _without_prior(subject: Subject) -> Subject:
    recipe = dataclasses.replace(subject.member.recipe, prior=None)
    return dataclasses.replace(subject, member=dataclasses.replace(subject.member, recipe=recipe))


def _num_burn_in(subject: Subject) -> int:
    """Give the number of steps before the check; trained weights are not special, and have little slope left."""
    return subject.experiment.gradcheck.burn_in if subject.is_initial else 0


def _burn_in(subject: Subject, batch: Indices) -> Tensor:
    """Walk down the gradient by steps of equal length; give the weights there, [P + Q]."""
    surface, weights = subject.surface(batch), subject.weights.clone()
    theta = weights[: len(surface.theta)]
    surface.value(theta)  # a mistake of the forward pass is none of autograd's
    for _ in range(_num_burn_in(subject)):
        _, gradient = _autograd(surface, theta)
        norm = gradient.norm()
        if not torch.isfinite(norm) or norm == 0:
            break
        theta -= BURN_IN_LENGTH * (theta.norm() + 1) * gradient / norm
    return weights


def _require_function(surface: ErrorSurface) -> float:
    """Evaluate twice.

    Raises:
        CheckError: If f is not finite or not the same.
    """
    first, second = surface.value(surface.theta), surface.value(surface.theta)
    third, _ = _autograd(surface, surface.theta)
    if not torch.isfinite(torch.tensor(first)):
        raise CheckError(
            f"the objective is {first} at the point of the check, so there is nothing to compare; look for extreme "
            "values in data and initial weights, or try gradcheck.burn_in=0"
        )
    if first != second or abs(first - third) > 1e-12 * max(1.0, abs(first)):
        raise CheckError(
            f"the objective is not a function of the parameters: at one point it was {first!r}, {second!r} and "
            f"{third!r}. The model or loss draws at random or keeps a state; draw from the buffer `key` "
            "(dlx/core/noise.py), and keep what moves in a persistent buffer"
        )
    return first


def _named(surface: ErrorSurface, flat: Tensor) -> dict[str, Tensor]:
    return {name: tensor[0] for name, tensor in surface.layout.unflatten(flat[None]).items()}


def _entry(of: str, by: str, checks: Sequence[TensorCheck]) -> dict[str, Any]:
    tensors = [dataclasses.asdict(each) for each in checks]
    for tensor, each in zip(tensors, checks, strict=True):
        found = each.worst
        tensor["worst"] = None if found is None else dict(
            zip(("index", "gradient", "difference", "ratio"), found, strict=True)
        )  # fmt: skip
    return {"of": of, "by": by, "verdict": worst_verdict(checks), "tensors": tensors}


def _distances(one: dict[str, Tensor], other: dict[str, Tensor], floor: float) -> dict[str, float | None]:
    """Give |a - b| / (|a| + |b|) of each tensor, None where both are zero but for rounding."""
    found: dict[str, float | None] = {}
    for name, a in one.items():
        size, largest = float(a.norm() + other[name].norm()), float(torch.maximum(a.abs(), other[name].abs()).max())
        found[name] = None if largest <= floor else float((a - other[name]).norm()) / size
    return found


def _backprop_seconds(surface: ErrorSurface) -> float:
    """Time one value and gradient by autograd: the best of some, when it has been recorded."""
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        surface.gradient(surface.theta)
        times.append(time.perf_counter() - begin)
    return min(times)


def _self_test(network: Network, right: dict[str, Tensor], reference: Reference, by_hand: bool) -> dict[str, Any]:
    faults = [dataclasses.asdict(trial) for trial in try_faults(network, right, reference)] if by_hand else []
    return {"faults": faults, "sensitivity": sensitivity(right, reference, len(network.inputs))}


def _write_report(run: RunDir, result: dict[str, Any], facts: dict[str, str]) -> None:
    from dlx.reporting.gradcheck_report import write_gradcheck_report
    from dlx.reporting.v_curve import draw_v_curve

    pictures = [] if result["v_curve"] is None else [draw_v_curve(result, run.path)]
    write_gradcheck_report(run.path, result, facts, pictures)
