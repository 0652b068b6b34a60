"""Speed of ``dlx compare-optimizers`` against bare torch loops, in one run, the sides in turn. By hand, idle machine:

    uv run python tests/benchmarks/comparison.py [peer function command]

The work is the default protocol on either side: digits cut 60/20/20 anew for each seed, MLP 64-32-10 with tanh,
softmax cross-entropy, batches of 64, 20 epochs (340 steps), six rules; 16 trials on 2 seeds, 10 fresh seeds of each
best setting and of each untuned one: 312 runs; validation after each epoch, the test part once. All cores.

    peer        a bare torch loop for each run, half of them (with two cores) in each of two processes that have started
                and imported torch before the clock does; for each rule the fastest of torch's flavours, measured first
    function    ``compare`` in this process, everything imported: training, verdict, figures, files; and the part of it
                until the last run is trained
    command     the whole command line: start, imports and all of that

dlx trains more runs than the peer where a best setting lies at an edge of its ranges; the numbers are printed.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

# Neither torch nor dlx is imported up here: a peer's process imports this file, and shall have torch as it is without
# dlx, which sets MKL_CBWR; in this process dlx has to come before torch.

CORES, ROUNDS = len(os.sched_getaffinity(0)), 3
HIDDEN, EPOCHS, BATCH = 32, 20, 64
TRIALS, TUNING_SEEDS, SEEDS = 16, 2, 10
BOUND_SECONDS, BOUND_RATIO = 45, 4
CONFIG = f"""
name: digits
data: {{name: digits, scale: standard, split: {{valid: 0.2, test: 0.2, seed: null}}}}
model: {{name: mlp, hidden: [{HIDDEN}], activation: tanh}}
loss: cross_entropy
schedule: constant
metrics: [accuracy]
training: {{epochs: {EPOCHS}, batch_size: {BATCH}, early_stopping: null}}
compare: {{protocol: default}}
"""


@dataclass(frozen=True)
class Rule:
    """An update rule of torch.

    Attributes:
        name: Its class in ``torch.optim``.
        fixed: Its settings that are not searched.
        low: Lower end of the range of the learning rate, whose upper end is 10^5 times as much.
        lr: Untuned learning rate.
        decays: Ends of the range of 1 - its decay, if it has one; untuned it is 0.1.
        flavours: Which implementations of it torch has.
    """

    name: str
    fixed: dict[str, Any]
    low: float
    lr: float
    decays: tuple[float, float] | None = None
    flavours: tuple[str, ...] = ("for", "foreach", "fused")

    def build(self, parameters: Any, lr: float, decay: float, flavour: str) -> Any:
        """Build the optimizer of one run."""
        import torch

        key = {"SGD": "momentum", "RMSprop": "alpha", "Adam": "betas"}.get(self.name)
        decays = {key: (decay, 0.999) if key == "betas" else decay} if self.decays and key else {}
        way = {"foreach": False} if flavour == "for" else {flavour: True}
        return getattr(torch.optim, self.name)(parameters, lr=lr, **decays, **self.fixed, **way)

    def settings(self) -> list[tuple[float, float]]:
        """Draw learning rates and decays: scrambled Sobol points, even on the logarithmic scale."""
        from scipy.stats import qmc

        places = qmc.Sobol(2, rng=0).random(TRIALS)
        low, high = self.decays or (0.1, 0.1)
        return [(self.low * 1e5**x, 1 - low * (high / low) ** y) for x, y in places.tolist()]


RULES = {
    "sgd": Rule("SGD", {}, 1e-4, 0.01),
    "momentum": Rule("SGD", {}, 1e-4, 0.01, (5e-3, 0.5)),
    "nesterov": Rule("SGD", {"nesterov": True}, 1e-4, 0.01, (5e-3, 0.5)),
    "adagrad": Rule("Adagrad", {}, 1e-4, 0.01),
    "rmsprop": Rule("RMSprop", {}, 1e-5, 0.001, (1e-3, 0.5), ("for", "foreach")),
    "adam": Rule("Adam", {}, 1e-5, 0.001, (5e-3, 0.5)),
}


@dataclass(frozen=True)
class Run:
    """One training: a rule, a seed, a learning rate, a decay and which of torch's implementations."""

    rule: str
    seed: int
    lr: float
    decay: float
    flavour: str


@lru_cache(maxsize=1)
def digits() -> tuple[Any, Any]:
    """Give inputs and targets; a process reads them once."""
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def parts_of(seed: int) -> list[tuple[Any, Any]]:
    """Give tensors of train, valid and test, drawn by the seed and scaled by the first."""
    import torch
    from sklearn.model_selection import train_test_split

    inputs, targets = digits()
    x, test_x, y, test_y = train_test_split(inputs, targets, test_size=0.2, stratify=targets, random_state=seed)
    x, valid_x, y, valid_y = train_test_split(x, y, test_size=0.25, stratify=y, random_state=seed)
    mean, std = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1)
    parts = [(x, y), (valid_x, valid_y), (test_x, test_y)]
    return [(torch.from_numpy((inputs - mean) / std).float(), torch.from_numpy(targets)) for inputs, targets in parts]


def train(run: Run, parts: list[tuple[Any, Any]]) -> tuple[list[float], float]:
    """Train by a bare loop; give the validation loss after each epoch, and the accuracy on test at the best."""
    import torch
    from torch.nn.functional import cross_entropy

    (x, y), valid, test = parts
    torch.manual_seed(run.seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, 10))
    optimizer = RULES[run.rule].build(model.parameters(), run.lr, run.decay, run.flavour)

    @torch.no_grad()
    def evaluate(inputs: Any, targets: Any) -> tuple[float, float]:
        outputs = model(inputs)
        return float(cross_entropy(outputs, targets)), float((outputs.argmax(1) == targets).float().mean())

    losses: list[float] = []
    best = model.state_dict()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for inputs, targets in zip(x[order].split(BATCH), y[order].split(BATCH), strict=True):
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        losses.append(evaluate(*valid)[0])
        if not math.isfinite(losses[-1]):
            break
        if losses[-1] == min(losses):
            best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(best)
    return losses, evaluate(*test)[1]


def train_all(runs: list[Run]) -> list[tuple[list[float], float]]:
    """Train runs one after the other, in a process of one's own."""
    parts = {seed: parts_of(seed) for seed in {run.seed for run in runs}}
    return [train(run, parts[run.seed]) for run in runs]


def fastest_flavours(repeats: int = 5) -> dict[str, str]:
    """Find the fastest of torch's implementations of each rule, by processor time, the quickest of some repeats."""
    parts, found = parts_of(0), {}
    for name, rule in RULES.items():
        times: dict[str, float] = {}
        for flavour in rule.flavours * (repeats + 1):  # by turns; the first turn warms up
            start = time.process_time()
            train(Run(name, 0, rule.lr, 0.9, flavour), parts)
            seconds = time.process_time() - start
            times[flavour] = min(seconds, times.get(flavour, seconds))
        found[name] = min(times, key=times.__getitem__)
    return found


def one_thread() -> None:
    """Prepare a peer's process."""
    import torch

    torch.set_num_threads(1)
    parts_of(0)


class Peers:
    """One process per core, started before dlx is imported."""

    def __init__(self) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(CORES, one_thread)
        self.flavours: dict[str, str] = self._pool.apply(fastest_flavours)

    def _train(self, runs: list[Run]) -> dict[Run, tuple[list[float], float]]:
        shares = [runs[core::CORES] for core in range(CORES)]
        found = self._pool.map(train_all, shares, chunksize=1)
        return {run: each for share, outcomes in zip(shares, found, strict=True)
                for run, each in zip(share, outcomes, strict=True)}  # fmt: skip

    def race(self) -> dict[str, float]:
        """Time the protocol: the trials and the untuned settings, then the best of each rule."""
        start = time.perf_counter()
        fresh = range(TUNING_SEEDS, TUNING_SEEDS + SEEDS)
        trials = [Run(name, 0, *setting, self.flavours[name]) for name in RULES for setting in RULES[name].settings()]
        untuned = [Run(name, seed, rule.lr, 0.9, self.flavours[name]) for name, rule in RULES.items() for seed in fresh]
        tried = [replace(trial, seed=seed) for trial in trials for seed in range(TUNING_SEEDS)]
        found = self._train(tried + untuned)

        def score(trial: Run) -> float:
            ends = [found[replace(trial, seed=seed)][0][-1] for seed in range(TUNING_SEEDS)]
            return statistics.mean(ends) if all(map(math.isfinite, ends)) else math.inf

        best = [min((trial for trial in trials if trial.rule == name), key=score) for name in RULES]
        last = self._train([replace(winner, seed=seed) for winner in best for seed in fresh])
        seconds = time.perf_counter() - start
        assert len(found) + len(last) == len(RULES) * (TRIALS * TUNING_SEEDS + 2 * SEEDS)
        assert statistics.median(accuracy for _, accuracy in last.values()) > 0.95, "the race learned nothing"
        return {"peer": seconds}


def num_runs(run_dir: Path) -> int:
    """Count the runs that dlx trained."""
    return len((run_dir / "cells.jsonl").read_text().splitlines())


def dlx_function(config: Path) -> dict[str, float]:
    """Time ``compare`` in this process, and the part of it until the last run is trained."""
    from dlx.commands.compare_optimizers import compare

    with tempfile.TemporaryDirectory() as folder:
        start, epoch = time.perf_counter(), time.time()
        *_, last = compare([config], [], Path(folder))
        seconds = time.perf_counter() - start
        trained = (last.run_dir / "cells.jsonl").stat().st_mtime - epoch  # written as runs end
        print(f"    function: {num_runs(last.run_dir)} runs, {seconds:.1f} s", flush=True)
    return {"function": seconds, "training": trained}


def dlx_command(config: Path) -> dict[str, float]:
    """Time the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "dlx", "compare-optimizers", str(config), "--runs-dir", folder, "--quiet"]
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        seconds = time.perf_counter() - start
        (run_dir,) = Path(folder).iterdir()
        print(f"    command: {num_runs(run_dir)} runs, {seconds:.1f} s", flush=True)
    return {"command": seconds}


def alternate(sides: list[Callable[[], dict[str, float]]], rounds: int = ROUNDS) -> dict[str, float]:
    """Measure the sides in turn, after one round that does not count; give medians of seconds."""
    times: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for side in sides:
            for name, seconds in side().items():
                times.setdefault(name, []).extend([seconds] if number else [])
    return {name: statistics.median(values) for name, values in times.items()}


def main(chosen: list[str]) -> None:
    """Measure the chosen sides and print how they compare."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "digits.yaml"
        config.write_text(CONFIG)
        sides = {"function": partial(dlx_function, config), "command": partial(dlx_command, config)}
        if "peer" in chosen:
            peers = Peers()
            print("fastest flavours of torch:", ", ".join(f"{rule} {way}" for rule, way in peers.flavours.items()))
            sides["peer"] = peers.race
        seconds = alternate([sides[name] for name in chosen])
    num = len(RULES) * (TRIALS * TUNING_SEEDS + 2 * SEEDS)
    labels = {
        "peer": f"bare torch loops, {num} runs on {CORES} cores",
        "function": f"dlx, the function (bound {BOUND_RATIO} x)",
        "training": "dlx, until all is trained",
        "command": f"dlx, the command (bound {BOUND_SECONDS} s)",
    }
    for name, own in seconds.items():
        ratio = f": {seconds['peer'] / own:.1f} x" if name != "peer" and "peer" in seconds else ""
        print(f"{labels[name]}: {own:.2f} s{ratio}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["peer", "function", "command"])
