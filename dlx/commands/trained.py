"""The models that a run trained, at their best: what ``dlx evaluate`` and ``dlx predict`` use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.commands.plan import Plan
from dlx.commands.results import preprocessing
from dlx.commands.subject import best_file, config_of, read_weights, require_training
from dlx.config.load import load_experiment_and_data
from dlx.core.errors import DataError, RunError, UsageError
from dlx.core.records import PARTS
from dlx.data.preprocessing import Affine
from dlx.engine.population import Member
from dlx.tracking.files import read_json

CLOSE = 1e-6
"""Fitted constants of equal data may differ by this share between machines, which add in another order."""


@dataclass(frozen=True)
class Trained:
    """The members of a run that did not diverge, with their best weights.

    Attributes:
        path: The run directory.
        plan: What was trained, on what.
        members: Who, with the constants that they were trained with.
        weights: Their best weights, [M, P + Q], on the device.
        left_out: Why each other seed is not here, by seed.
        noted: What result.json says of each seed, by seed; of a search what it says of the last training.
    """

    path: Path
    plan: Plan
    members: list[Member]
    weights: Tensor
    left_out: dict[int, str]
    noted: dict[int, Mapping[str, Any]]

    @property
    def parts(self) -> list[str]:
        """Names of the parts that its split has."""
        return list(self.members[0].parts.named())

    def require_part(self, part: str | None) -> str:
        """Give a part by its name: without one the last, which is test where something is held out for it.

        Raises:
            UsageError: If there is no such part.
        """
        if part is not None and part not in self.parts:
            known = f"known: {', '.join(PARTS)}" if part not in PARTS else f"there are: {', '.join(self.parts)}"
            raise UsageError(f"the split of {self.path} has no part `{part}`; {known}")
        return part or self.parts[-1]


def load_trained(path: Path, device: str | None = None, plugins: Sequence[Path] = ()) -> Trained:
    """Read what a training left, or a search that trained what it chose.

    Args:
        path: The run directory.
        device: Where to compute; by default as the run's config says.
        plugins: The files of definitions that the run was begun with.

    Raises:
        UsageError: If it is no run of such a command, or its plugins are not named.
        RunError: If it is damaged, or has no weights.
        DataError: If the data are not those that it was trained on.
    """
    require_training(path)
    overrides = [] if device is None else [f"device={json.dumps(device)}"]
    loaded, examples = load_experiment_and_data(config_of(path), overrides, plugins)
    plan = Plan.make(loaded.experiment, examples)
    noted = _noted(path)
    left_out = _left_out(path, plan, noted)
    members = [member for member in plan.members if member.cell.seed not in left_out]
    if not members:
        by_reason = {why: [seed for seed in left_out if left_out[seed] == why] for why in left_out.values()}
        found = (f"seed {', '.join(map(str, seeds))}: {why}" for why, seeds in by_reason.items())
        raise RunError(f"{path} has no weights to use: {'; '.join(found)}")
    members = _with_constants(path, plan, members)
    weights = [read_weights(_file(path, plan, member.cell.seed), member) for member in members]
    return Trained(path, plan, members, torch.stack(weights).to(plan.device), left_out, noted)


def _file(path: Path, plan: Plan, seed: int) -> Path:
    return best_file(path, seed, plan.experiment.seed_list)


def _noted(path: Path) -> dict[int, Mapping[str, Any]]:
    """Read what result.json says of each seed; nothing if the run has not come to its end.

    Raises:
        RunError: If it is damaged.
    """
    file = path / "result.json"
    result = read_json(file) if file.is_file() else {}
    try:
        members = [result["refit"]] if result.get("refit") else result.get("members", [])
        return {int(member["seed"]): dict(member) for member in members}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{file} is damaged: it is not as dlx writes it; restore it from a copy") from error


def _left_out(path: Path, plan: Plan, noted: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """Say of each seed without usable weights why it has none."""
    found = {}
    for member in plan.members:
        seed = member.cell.seed
        said = noted.get(seed, {})
        if said.get("stop_reason") == "diverged":
            found[seed] = "it diverged"
        elif not _file(path, plan, seed).is_file():
            found[seed] = str(said.get("reason") or _how_to_train(path))
    return found


def _how_to_train(path: Path) -> str:
    best = path / "best.yaml"
    if best.is_file():
        return f"the search did not train what it chose: dlx train {best}"
    return f"it has no best weights yet: dlx resume {path}"


def _with_constants(path: Path, plan: Plan, members: Sequence[Member]) -> list[Member]:
    """Give members the constants that they were trained with, which those of the data now must equal.

    Raises:
        RunError: If preprocessing.json is damaged.
        DataError: If the data have changed.
    """
    noted, now = read_json(path / "preprocessing.json"), preprocessing(members, plan.examples)
    try:
        by_seed = {each["seed"]: each for each in noted["members"]}
        differing = [key for key in now if key != "members" and json.loads(json.dumps(now[key])) != noted.get(key)]
        scales = [(_affine(by_seed[each.cell.seed]["inputs"]), by_seed[each.cell.seed]["targets"]) for each in members]
        found = [
            dataclasses.replace(member, input_scale=inputs, target_scale=targets and _affine(targets))
            for member, (inputs, targets) in zip(members, scales, strict=True)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path / 'preprocessing.json'} is damaged: it is not as dlx writes it") from error
    changed = any(not _is_close(old, new) for old, new in zip(members, found, strict=True))
    if differing or changed:
        what = ", ".join(differing) or "the scale of inputs or targets"
        raise DataError(
            f"the data of `{plan.experiment.data.name}` are not those that {path} was trained on: {what} differs; "
            "restore them, or train anew"
        )
    return found


def _affine(constants: Mapping[str, Sequence[float]]) -> Affine:
    return Affine(**{name: np.array(values, np.float64) for name, values in constants.items()})


def _is_close(one: Member, other: Member) -> bool:
    pairs = [(one.input_scale, other.input_scale), (one.target_scale, other.target_scale)]
    return all(_are_equal(a, b) for a, b in pairs)


def _are_equal(one: Affine | None, other: Affine | None) -> bool:
    """Tell whether two maps are the same but for rounding: a shift counts against the scale."""
    if one is None or other is None:
        return one is other
    if one.shift.shape != other.shift.shape:
        return False
    tolerance = CLOSE * (one.scale + np.abs(one.shift))
    return bool(
        (np.abs(one.shift - other.shift) <= tolerance).all() and np.allclose(one.scale, other.scale, rtol=CLOSE)
    )
