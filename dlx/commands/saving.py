"""What a training leaves on disk while it runs and when it ends: its state and its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from dlx.commands.plan import Plan
from dlx.core.errors import CheckpointError
from dlx.core.records import Cell
from dlx.engine.population import Population
from dlx.tracking.checkpoints import load_tensors, save_tensors
from dlx.tracking.files import finite
from dlx.tracking.ledger import read_ledger, rewrite_ledger
from dlx.tracking.run_dir import RunDir

STATE = "checkpoints/state.safetensors"


def save_state(run: RunDir, plan: Plan, populations: Sequence[Population], epochs: Sequence[dict[str, Any]]) -> None:
    """Save everything that a resumed training needs, as one file; it knows the lines of metrics.jsonl by their hash."""
    tensors, rests = pack(populations)
    state = {"identity": plan.identity, "epochs_hash": _hash_epochs(epochs), "populations": rests}
    save_tensors(run.path / STATE, tensors, state)


def pack(populations: Sequence[Population]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Put what restarts populations into one set of named tensors, and the rest of each as JSON."""
    saved = [population.save() for population in populations]
    tensors = {f"{number}.{name}": tensor for number, (named, _) in enumerate(saved) for name, tensor in named.items()}
    return tensors, [rest for _, rest in saved]


def unpack(tensors: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Give the tensors of one of the populations that were packed."""
    prefix = f"{number}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def load_state(run: RunDir, plan: Plan) -> list[Population] | None:
    """Build the populations of a run as they were last saved, or give None if they never were.

    Raises:
        CheckpointError: If the state is damaged or belongs to another experiment, or metrics.jsonl is not its own.
    """
    path = run.path / STATE
    if not path.exists():
        return None
    tensors, state = load_tensors(path)
    if not isinstance(state, dict) or state.get("identity") != plan.identity:
        raise CheckpointError(
            f"{path} belongs to another experiment: the config or the data of this run have changed since it was "
            f"saved; train anew with: dlx train {run.path / 'config.resolved.yaml'}"
        )
    members = {member.cell: member for member in plan.members}
    populations = []
    for number, rest in enumerate(state["populations"]):
        chosen = [members[Cell(*cell)] for cell in rest["cells"]]
        populations.append(Population.restore(chosen, unpack(tensors, number), rest, plan.device))
    _check_length(run, plan.experiment.training.epochs, populations)
    _check_epochs(run, _epochs_done(populations), state["epochs_hash"])
    return populations


def _check_length(run: RunDir, epochs: int, populations: Sequence[Population]) -> None:
    begun = max(population.epoch + bool(len(population.losses)) for population in populations)
    if begun > epochs:
        raise CheckpointError(
            f"{run.path / STATE} is in epoch {begun}, but {run.path / 'config.resolved.yaml'} was changed to "
            f"training.epochs={epochs}; set it to {begun} or more"
        )


def keep_epochs(run: RunDir, plan: Plan, populations: Sequence[Population]) -> list[dict[str, Any]]:
    """Cut metrics.jsonl down to the epochs that the populations have done; give their lines.

    An epoch that was the last when a run was shorter no longer says that it stopped there.
    """
    path, last = run.path / "metrics.jsonl", plan.experiment.training.epochs
    epochs = read_ledger(path)[: _epochs_done(populations)]
    epochs = [_without_end(line) if line["epoch"] < last else line for line in epochs]
    rewrite_ledger(path, epochs)
    return epochs


def _epochs_done(populations: Sequence[Population]) -> int:
    """Count the epochs of the population that went furthest: others may have stopped before."""
    return max(population.epoch for population in populations)


def _check_epochs(run: RunDir, num_epochs: int, expected: str) -> None:
    path = run.path / "metrics.jsonl"
    epochs = read_ledger(path)
    remedy = f"restore it from a copy, or delete {run.path / STATE} to start this run again from its beginning"
    if len(epochs) < num_epochs:
        raise CheckpointError(f"{path} has {len(epochs)} of the {num_epochs} epochs that the saved state has; {remedy}")
    if _hash_epochs(epochs[:num_epochs]) != expected:
        raise CheckpointError(f"{path} is damaged or of another run: it is not what the saved state knows; {remedy}")


def _hash_epochs(epochs: Sequence[dict[str, Any]]) -> str:
    lines = [_without_end(line) for line in finite(epochs)]
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()


def _without_end(line: dict[str, Any]) -> dict[str, Any]:
    """Leave out of an epoch's line that its members stopped because it was the last; more epochs make that untrue."""
    members = line.get("members")
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        return line
    end = ("stop_reason", "max_epochs")
    kept = [{key: value for key, value in member.items() if (key, value) != end} for member in members]
    return {**line, "members": kept}


def save_weights(run: RunDir, plan: Plan, populations: Sequence[Population]) -> None:
    """Save best (if it has any) and last weights of every member, named as in its model's ``state_dict``."""
    layout = plan.recipe.layout()
    for population in populations:
        last = population.last_weights.clone()
        population.keep(last, population.active)  # an interrupted member's are where it stands
        for kind, weights in (("best", population.best_weights), ("last", last)):
            stacked = layout.unflatten(weights)
            for row, (member, course) in enumerate(zip(population.members, population.courses, strict=True)):
                if kind == "best" and not course.best_epoch:
                    continue  # it diverged, or was interrupted, before an epoch that could be the best
                folder = weights_folder(run, plan, member.cell.seed)
                save_tensors(folder / f"{kind}.safetensors", {name: tensor[row] for name, tensor in stacked.items()})


def weights_folder(run: RunDir, plan: Plan, seed: int) -> Path:
    """Give the folder of a member's weights: one of its own where there are several."""
    checkpoints = run.path / "checkpoints"
    return checkpoints / f"seed-{seed}" if len(plan.members) > 1 else checkpoints
