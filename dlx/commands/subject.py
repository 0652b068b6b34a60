"""What a check or an analysis looks at: the model of a config at its initial weights, or of a run at its best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlx.commands.facts import describe_data, spell
from dlx.commands.plan import Plan
from dlx.config.experiment import Experiment
from dlx.config.load import load_experiment, load_experiment_and_data
from dlx.core.definition import Definition
from dlx.core.errors import CheckpointError, RunError, UsageError
from dlx.core.settings import Split, Training
from dlx.core.types import Examples
from dlx.data.splits import Indices
from dlx.engine.error_surface import ErrorSurface, without_chance
from dlx.engine.feed import DeviceExamples
from dlx.engine.layout import Layout
from dlx.engine.population import Member, initial_weights
from dlx.tracking.checkpoints import load_tensors
from dlx.tracking.files import read_json

TRAINING = ("train", "cv")
"""Commands whose runs have weights."""
WEIGHTS, STATE = ".safetensors", "state.safetensors"
"""What files of weights end in, and the one beside them that is none."""


@dataclass(frozen=True)
class Subject:
    """One model, at one point of its parameter space, with its data.

    Attributes:
        text: The config as it was written.
        experiment: What it means.
        examples: The data.
        member: Who it is; the first seed of the experiment.
        weights: Its parameters and statistics, [P + Q], on its device.
        data: The examples on that device.
        origin: Where the weights are from, in words.
        is_initial: Whether they are not trained.
        draws: Whether dropout and the like are part of its error, with one mask.
    """

    text: str
    experiment: Experiment
    examples: Examples
    member: Member
    weights: Tensor
    data: DeviceExamples
    origin: str
    is_initial: bool
    draws: bool

    @property
    def train(self) -> Indices:
        """The examples that it trains on, [N]."""
        return self.member.parts.train

    @property
    def is_thinned(self) -> bool:
        """Whether its model has parts that draw in training (dropout), which are left out here."""
        with torch.device("meta"):  # nothing is drawn
            buffers = dict(self.member.recipe.build().named_buffers())
        return not self.draws and any(name.rpartition(".")[2] == "key" for name in buffers)

    def surface(self, indices: Indices) -> ErrorSurface:
        """Give its error on some examples as a function of its parameters."""
        return ErrorSurface(self.member, self.weights, self.data, indices, self.draws)

    def facts(self) -> dict[str, str]:
        """Say in a line each what is looked at, by name."""
        experiment = self.experiment
        layout = self.member.recipe.layout()
        lines = {
            "data": describe_data(experiment.data, self.examples),
            "model": f"{spell(experiment.model)}, {layout.num_parameters:,} parameters",
            "loss": spell(experiment.loss),
            "prior": spell(experiment.prior) if experiment.prior else "",
            "weights": self.origin,
            "dropout": "left out: the error is that of the whole network" if self.is_thinned else "",
            "noise": _left_out(experiment.training),
            "batch norm": _statistics(layout),
            "members": f"evaluated one by one: {obstacle}" if (obstacle := self.member.recipe.obstacle) else "",
            "device": f"{self.weights.device}, {str(self.weights.dtype).removeprefix('torch.')}",
        }
        return {name: line for name, line in lines.items() if line}


def _left_out(training: Training) -> str:
    """Say what of the training is no part of the error: noise, and what is done to gradients."""
    kinds = {"input_noise": "on inputs", "weight_noise": "on weights"}
    found = [f"{value:g} {kinds[name]}" for name, value in training.tunables().items() if name in kinds]
    return f"left out: {' and '.join(found)}" if found else ""


def _statistics(layout: Layout) -> str:
    """Say which mean and variance batch norm takes, where there is any: of training, not those that scores use."""
    if not any(name.rpartition(".")[2] == "running_mean" for name in layout.statistics):
        return ""
    return "mean and variance of the examples looked at, as in training; scores use the running ones"


def load_subject(
    path: Path, overrides: Sequence[str], plugins: Sequence[Path] = (), dtype: str = "float64", draws: bool = False
) -> Subject:
    """Read a config, or the config and the best weights of a run.

    Args:
        path: A YAML file, or a run directory. Of several seeds the first is taken; ``seeds=[3]`` names another.
        overrides: ``KEY=VALUE`` strings.
        plugins: Files of definitions that the user names beside the config.
        dtype: In which everything is computed, whatever the config says.
        draws: Whether dropout stays, with one mask; without it the error is that of the whole network.

    Raises:
        DlxError: For everything that a user can mend.
    """
    config = config_of(path) if path.is_dir() else path
    if path.is_dir():
        require_training(path)
    loaded, examples = load_experiment_and_data(config, overrides, plugins)
    experiment = loaded.experiment.model_copy(update={"seeds": (loaded.experiment.seed_list[0],)})
    plan = Plan.make(experiment.model_copy(update={"dtype": dtype}), examples)
    member = without_chance(plan.members[0])
    seed = member.cell.seed
    if path.is_dir():
        file = _weights_file(path, seed, plugins)
        weights, origin = read_weights(file, member), f"{file}, of seed {seed}"
    else:
        weights, origin = _initial_weights(member, experiment), f"initial, of seed {seed}"
    return Subject(
        text=loaded.source.text,
        experiment=experiment,
        examples=examples,
        member=member,
        weights=weights.to(plan.device),
        data=plan.device_examples(),
        origin=origin,
        is_initial=not path.is_dir(),
        draws=draws,
    )


def _initial_weights(member: Member, experiment: Experiment) -> Tensor:
    """Draw those that a training of the experiment begins with, in its dtype; give them in the member's."""
    spec = dataclasses.replace(member.recipe.spec, dtype=getattr(torch, experiment.dtype))
    trained = dataclasses.replace(member, recipe=dataclasses.replace(member.recipe, spec=spec))
    return initial_weights([trained])[0].to(member.recipe.spec.dtype)


class OtherWeights(NamedTuple):
    """Weights of the model of a subject that are from elsewhere.

    Attributes:
        values: [P + Q], on the device of the subject.
        origin: Where they are from, in words.
        is_of_other_split: Whether they were trained on other examples, as far as is known: of a file it is not.
    """

    values: Tensor
    origin: str
    is_of_other_split: bool


def load_other_weights(path: Path, subject: Subject, plugins: Sequence[Path] = ()) -> OtherWeights:
    """Read other weights of the model of a subject.

    Args:
        path: A run directory, of which the best weights of its first seed are taken, or a file of weights.
        subject: Whose model they must be of.
        plugins: Files of definitions that the user names beside the config.

    Raises:
        UsageError: If they were trained for another model or on other data, or the file is none of weights.
        RunError: If there are none.
        CheckpointError: If they are damaged, or of another shape.
    """
    file, origin, is_of_other_split = path, str(path), False
    if path.is_dir():
        require_training(path)
        other, own = load_experiment(config_of(path), plugins=plugins).experiment, subject.experiment
        for section in ("model", "data"):
            found, wanted = (_structure(getattr(each, section)) for each in (other, own))
            if found != wanted:
                raise UsageError(f"{path} has another {section}: expected {wanted}, found {found}")
        file = _weights_file(path, other.seed_list[0], plugins)
        origin = f"{file}, of seed {other.seed_list[0]}"
        is_of_other_split = _split_of(other) != _split_of(own)
    elif path.suffix != WEIGHTS or path.name == STATE:
        raise UsageError(
            f"{path} is no file of weights: expected a run directory, or best{WEIGHTS} or last{WEIGHTS} of the "
            "checkpoints in one"
        )
    values = read_weights(file, subject.member).to(subject.weights.device)
    return OtherWeights(values, origin, is_of_other_split)


def _split_of(experiment: Experiment) -> Split:
    """Give the split of the first seed of an experiment, which has a seed of its own then."""
    split = experiment.data.split
    return split if split.seed is not None else split.model_copy(update={"seed": experiment.seed_list[0]})


def _structure(section: Definition) -> dict[str, Any]:
    """Give what must be equal for two models to be one function of their weights: neither the split nor dropout."""
    return section.model_dump(mode="json", exclude={"split", "dropout", "init"})


def require_training(run: Path) -> None:
    """Refuse the run of an analysis, which looked at weights and has none of its own.

    Raises:
        RunError: If it is one, or no run.
    """
    config = config_of(run)
    command = read_json(run / "run.json").get("command")
    if command not in TRAINING:
        raise RunError(
            f"{run} is the run of an analysis (dlx {command}) and has no best weights; expected one of "
            f"{' or '.join(f'dlx {each}' for each in TRAINING)}. To look again where it looked: {config}"
        )


def config_of(run: Path) -> Path:
    """Give the config of the weights in a run directory; a search has them of the setting that it chose.

    Raises:
        RunError: If it is no run directory, or one that has no config.
    """
    best, resolved = run / "best.yaml", run / "config.resolved.yaml"
    if not (run / "run.json").is_file() or not resolved.is_file():
        raise RunError(f"{run} is not a run: expected a folder with run.json and config.resolved.yaml, or a YAML file")
    return best if best.is_file() else resolved


def _weights_file(run: Path, seed: int, plugins: Sequence[Path]) -> Path:
    """Find the weights of a seed in a run directory."""
    seeds = load_experiment(config_of(run), plugins=plugins).experiment.seed_list
    file = best_file(run, seed, seeds)
    if seed in seeds and file.is_file():
        return file
    hint = f"train it first: dlx resume {run}" if seed in seeds else f"its seeds: {', '.join(map(str, seeds))}"
    raise RunError(f"{run} has no best weights of seed {seed}; {hint}")


def best_file(run: Path, seed: int, seeds: Sequence[int]) -> Path:
    """Name the file of the best weights of a seed: in a folder of its own where there are several."""
    return run / "checkpoints" / ("best.safetensors" if len(seeds) == 1 else f"seed-{seed}/best.safetensors")


def read_weights(file: Path, member: Member) -> Tensor:
    """Read what a member owns, [P + Q], in its dtype.

    Raises:
        CheckpointError: If the file is damaged, or of another model.
    """
    tensors, _ = load_tensors(file)
    wanted = member.recipe.layout().shapes
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != wanted:
        raise CheckpointError(f"{file} is of another model: expected {wanted}, found {found}")
    return torch.cat([tensors[name].reshape(-1) for name in wanted]).to(member.recipe.spec.dtype)
