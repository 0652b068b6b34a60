"""Speed of a landscape against a plain torch loop, in one run, the sides in turn. By hand, on an idle machine:

    uv run python tests/benchmarks/landscape.py

51 x 51 points of the digits MLP (64-128-10) on all 1,797 examples. The loop calls the module with the weights
of a point and evaluates the loss in inference mode; every side runs at its best thread count. The floor is the time of
all products, each point's own, at the rate of large matrix products on all cores.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dlx.commands.subject import load_subject  # sets MKL_CBWR, which must come before torch

import torch  # isort: skip
from torch import Tensor, nn  # isort: skip
from torch.func import functional_call  # isort: skip

from dlx.curvature.landscape import around, grid
from dlx.engine.cross_section import CrossSection
from dlx.engine.device import num_workers
from dlx.engine.error_surface import collect

ROUNDS, POINTS = 9, 51
DIGITS = "data: digits\nmodel: {name: mlp, hidden: [128]}\nloss: cross_entropy\ndevice: cpu\n"
CORES = num_workers(torch.device("cpu"), 1)


def seconds(run: Callable[[], object]) -> float:
    """Time one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def product_rate(size: int = 512, repeats: int = 100) -> float:
    """Measure operations per second of large products, one thread on each core."""
    torch.set_num_threads(1)
    matrices = [torch.randn(size, size) for _ in range(CORES)]

    def run(matrix: Tensor) -> None:
        for _ in range(repeats):
            matrix @ matrix

    with ThreadPoolExecutor(CORES) as pool:
        times = [seconds(lambda: list(pool.map(run, matrices))) for _ in range(5)]
    return CORES * repeats * 2 * size**3 / min(times)


def main() -> None:
    """Print the time of every side and the ratios of their medians and of their best."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "digits.yaml"
        config.write_text(DIGITS)
        subject = load_subject(config, [], dtype="float32")
    num_examples = len(subject.examples.targets)
    surface = subject.surface(np.arange(num_examples))
    theta, scale = surface.theta, subject.member.input_scale
    frame = around(theta, surface.layout, POINTS, 1.0, 0)
    directions, points = frame.directions.float(), torch.from_numpy(grid(frame.axes)).float()
    inputs = torch.from_numpy((subject.examples.inputs - scale.shift) / scale.scale).float()
    targets = torch.from_numpy(subject.examples.targets)
    module = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def dlx() -> Tensor:
        torch.set_num_threads(1)
        return collect(CrossSection(surface, theta, directions).evaluate(points), len(points))

    shapes = {name: each.shape for name, each in module.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]

    @torch.inference_mode()
    def loop(threads: int) -> Tensor:
        torch.set_num_threads(threads)
        found = []
        for a, b in points.tolist():
            tensors = (theta + a * directions[0] + b * directions[1]).split(sizes)
            named = {name: each.view(shape) for (name, shape), each in zip(shapes.items(), tensors, strict=True)}
            found.append(nn.functional.cross_entropy(functional_call(module, named, (inputs,)), targets))
        return torch.stack(found)

    torch.testing.assert_close(dlx(), loop(CORES), rtol=1e-4, atol=1e-5)
    sides: dict[str, Callable[[], object]] = {"dlx": dlx}
    sides |= {f"loop, {n} thread(s)": lambda n=n: loop(n) for n in sorted({1, CORES})}  # type: ignore[misc]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, run in sides.items():
            times[name].append(seconds(run))
    operations = 2 * len(points) * num_examples * (64 * 128 + 128 * 10)
    print(f"floor of all products {operations / product_rate():.2f} s, {CORES} cores")
    for name, each in times.items():
        print(f"{name:18s} median {statistics.median(each):.3f} s  best {min(each):.3f} s")
    loops = [each for name, each in times.items() if name != "dlx"]
    for what, pick in (("medians", statistics.median), ("best", min)):
        print(f"dlx is {min(map(pick, loops)) / pick(times['dlx']):.2f} times as fast by {what}")


if __name__ == "__main__":
    main()
