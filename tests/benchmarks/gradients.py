"""Speed of ``dlx gradcheck`` against its peers, in one run, the sides in turn. By hand, on an idle machine:

    uv run python tests/benchmarks/gradients.py

The work is the same on every side: central differences in float64 by all parameters of an MLP 64-64-8-10 with tanh,
cross-entropy of a batch of 8 digits: 4,770 entries, 9,540 evaluations. dlx also notes the branch of every kinked
function, and builds its members anew each time.

    torch   torch.autograd.gradcheck in its slow mode, through functional_call on the parameters; it runs backprop, too
    loop    a plain loop: add the step to an entry, evaluate under no_grad, subtract it twice, evaluate, restore

Every side runs with 1 and with all threads; its best counts.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dlx  # noqa: F401  sets MKL_CBWR, which must come before torch

import torch  # isort: skip
from torch import nn
from torch.func import functional_call

from dlx.commands.subject import load_subject
from dlx.gradients.differences import STEP, finish
from dlx.gradients.reference import take_reference

CORES, ROUNDS = len(os.sched_getaffinity(0)), 5
CONFIG = """
data: digits
model: {name: mlp, hidden: [64, 8], activation: tanh}
loss: cross_entropy
"""


class Sides:
    """The same function for every side."""

    def __init__(self, folder: Path) -> None:
        path = folder / "digits.yaml"
        path.write_text(CONFIG)
        self.subject = load_subject(path, [])
        self.batch = self.subject.train[:8]
        surface = self.subject.surface(self.batch)
        network = surface.alone.network()
        self.inputs, self.targets = network.inputs.contiguous(), network.targets
        sizes = [64, 64, 8, 10]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out).double(), nn.Tanh()]
        self.module = nn.Sequential(*layers[:-1])
        self.module.load_state_dict(network.module.state_dict())
        value = float(nn.functional.cross_entropy(self.module(self.inputs), self.targets).detach())
        assert abs(value - surface.value(surface.theta)) < 1e-12, "the sides compute different things"
        self.gradient = surface.gradient(surface.theta)[1]

    def dlx(self) -> None:
        surface = self.subject.surface(self.batch)
        found = finish(take_reference(surface, self.gradient))
        assert sum(len(each.entries) for each in found.values()) == len(self.gradient)

    def torch(self) -> None:
        names = [name for name, _ in self.module.named_parameters()]
        values = tuple(each.detach().clone().requires_grad_() for _, each in self.module.named_parameters())

        def function(*parameters: torch.Tensor) -> torch.Tensor:
            outputs = functional_call(self.module, dict(zip(names, parameters, strict=True)), (self.inputs,))
            return nn.functional.cross_entropy(outputs, self.targets)

        assert torch.autograd.gradcheck(function, values)

    def loop(self) -> None:
        found = []
        with torch.no_grad():
            for parameter in self.module.parameters():
                flat = parameter.view(-1)
                for place in range(len(flat)):
                    before = flat[place].item()
                    flat[place] = before + STEP
                    up = nn.functional.cross_entropy(self.module(self.inputs), self.targets)
                    flat[place] = before - STEP
                    down = nn.functional.cross_entropy(self.module(self.inputs), self.targets)
                    flat[place] = before
                    found.append((up - down) / (2 * STEP))
        assert float((torch.stack(found) - self.gradient).norm() / self.gradient.norm()) < 1e-6


def timed(side: Callable[[], None], threads: int) -> float:
    """Time one round of a side."""
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    side()
    return time.perf_counter() - begin


def main() -> None:
    """Compare the sides."""
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(Path(folder))
        named = {"dlx": sides.dlx, "torch.autograd.gradcheck": sides.torch, "plain loop": sides.loop}
        times: dict[tuple[str, int], list[float]] = {}
        for number in range(ROUNDS + 1):
            for name, side in named.items():
                for threads in {1, CORES}:
                    seconds = timed(side, threads)
                    times.setdefault((name, threads), []).extend([seconds] if number else [])
        medians = {key: statistics.median(values) for key, values in times.items()}
        best = {name: min(seconds for (each, _), seconds in medians.items() if each == name) for name in named}
        for (name, threads), seconds in sorted(medians.items()):
            print(f"{name}, {threads} threads: {seconds:.3f} s")
        for name, bound in (("torch.autograd.gradcheck", 8), ("plain loop", 4)):
            print(
                f"dlx {best['dlx']:.3f} s, {name} {best[name]:.3f} s: {best[name] / best['dlx']:.1f} x (bound {bound})"
            )


if __name__ == "__main__":
    main()
