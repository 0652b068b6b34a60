"""What a training leaves on disk while it runs and when it ends: its state and its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.commands.plan import Plan
from dlx.core.errors import CheckpointError
from dlx.core.records import Cell
from dlx.engine.layout import Layout
from dlx.engine.population import Population
from dlx.tracking.checkpoints import load_tensors, save_tensors
from dlx.tracking.ledger import read_ledger, rewrite_ledger
from dlx.tracking.run_dir import RunDir

STATE = "checkpoints/state.safetensors"


def save_state(run: RunDir, plan: Plan, populations: Sequence[Population]) -> None:
    """Save everything that a resumed training needs, as one file."""
    saved = [population.save() for population in populations]
    tensors = {f"{number}.{name}": tensor for number, (named, _) in enumerate(saved) for name, tensor in named.items()}
    save_tensors(run.path / STATE, tensors, {"identity": plan.identity, "populations": [rest for _, rest in saved]})


def load_state(run: RunDir, plan: Plan) -> list[Population] | None:
    """Build the populations of a run as they were last saved, or give None if they never were.

    Raises:
        CheckpointError: If the state is damaged or belongs to another experiment.
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
        prefix = f"{number}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        chosen = [members[Cell(*cell)] for cell in rest["cells"]]
        populations.append(Population.restore(chosen, own, rest, plan.device))
    return populations


def keep_epochs(run: RunDir, num_epochs: int) -> list[dict[str, Any]]:
    """Cut metrics.jsonl down to the epochs that the saved state knows; give their lines.

    Raises:
        RunError: If a line is damaged.
        CheckpointError: If an epoch is missing.
    """
    path = run.path / "metrics.jsonl"
    epochs = [line for line in read_ledger(path) if line.get("epoch", 0) <= num_epochs]
    if [line.get("epoch") for line in epochs] != list(range(1, num_epochs + 1)):
        raise CheckpointError(f"{path} lacks epochs that the saved state has: expected 1 to {num_epochs}")
    rewrite_ledger(path, epochs)
    return epochs


def save_weights(run: RunDir, plan: Plan, populations: Sequence[Population]) -> None:
    """Save best and last weights of every member, named as in its model's ``state_dict``."""
    layout = Layout.of(plan.recipe.model.build(plan.recipe.spec))
    for population in populations:
        for kind, theta in (("best", population.best_theta), ("last", population.last_theta)):
            stacked = layout.unflatten(theta)
            for row, member in enumerate(population.members):
                folder = weights_folder(run, plan, member.cell.seed)
                save_tensors(folder / f"{kind}.safetensors", {name: tensor[row] for name, tensor in stacked.items()})


def weights_folder(run: RunDir, plan: Plan, seed: int) -> Path:
    """Give the folder of a member's weights: one of its own where there are several."""
    checkpoints = run.path / "checkpoints"
    return checkpoints / f"seed-{seed}" if len(plan.members) > 1 else checkpoints
