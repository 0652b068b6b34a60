"""Data of known counts, and what is found wrong with a config for them."""

import numpy as np

from dlx.config.check import contradictions
from dlx.config.diagnostics import Fault
from dlx.config.experiment import Experiment
from dlx.core.types import Examples

SMALL = "training: {batch_size: 1}\n"


def classes(*counts: int) -> Examples:
    targets = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"kind {label}" for label in range(len(counts)))
    return Examples(np.zeros((len(targets), 2)), targets, "classification", ("a", "b"), names)


def values(number: int) -> Examples:
    return Examples(np.zeros((number, 2)), np.zeros((number, 1)), "regression", ("a", "b"), ("target",))


def check(experiment: Experiment, examples: Examples) -> list[Fault]:
    derived = {"metrics"} - experiment.model_fields_set
    return contradictions({**{k: v for k, v in experiment if k not in derived}, "examples": examples})


def split(settings: str, loss: str = "cross_entropy") -> str:
    return f"data: {{name: digits, split: {settings}}}\nmodel: mlp\nloss: {loss}\n"
