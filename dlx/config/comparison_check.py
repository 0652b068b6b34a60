"""What is wrong with a comparison: rules that do not fit the problem, a reference that does not take part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dlx.config.check import contradictions
from dlx.config.diagnostics import Fault, KeyPath, render
from dlx.config.load import Loaded
from dlx.core.definition import Optimizer
from dlx.core.errors import ConfigError
from dlx.core.registry import nearest
from dlx.core.types import Examples

COMPARE = ("compare",)


def check_comparison(loaded: Loaded, examples: Examples) -> tuple[str, ...]:
    """Check a comparison with its config and data.

    Args:
        loaded: The config.
        examples: Its data.

    Returns:
        What each of ``compare.optimizers`` is called.

    Raises:
        ConfigError: If the comparison cannot be; the message shows all faults.
    """
    names = arm_names(loaded.experiment.compare.optimizers)
    if faults := [*_faults(loaded, names), *_misfits(loaded, examples)]:
        raise ConfigError(render(faults, loaded.source))
    return names


def arm_names(optimizers: Sequence[Optimizer]) -> tuple[str, ...]:
    """Give each optimizer a name: its own, or that of its class in torch.optim; of several alike with what differs."""
    own = [getattr(each, "class", None) for each in optimizers]
    plain = [f"torch {name}" if name else each.name for name, each in zip(own, optimizers, strict=True)]
    times = Counter(plain)
    return tuple(
        name if times[name] == 1 else " ".join([name, *_differences(each, _called(name, plain, optimizers))])
        for name, each in zip(plain, optimizers, strict=True)
    )


def _called(name: str, names: Sequence[str], optimizers: Sequence[Optimizer]) -> list[Optimizer]:
    return [optimizer for each, optimizer in zip(names, optimizers, strict=True) if each == name]


def _differences(optimizer: Optimizer, others: Sequence[Optimizer]) -> Iterator[str]:
    """Spell the settings in which an optimizer differs from others of its kind."""
    alike = [dict(each) for each in others]
    for key, value in optimizer:
        if any(other.get(key) != value for other in alike):
            yield f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"


def _faults(loaded: Loaded, names: Sequence[str]) -> Iterator[Fault]:
    experiment = loaded.experiment
    compare = experiment.compare
    for i, name in enumerate(names):
        if name in names[:i]:
            yield Fault((*COMPARE, "optimizers", i), f"the optimizer `{name}` is given twice")
    if compare.reference is not None and compare.reference not in names:
        near = nearest(compare.reference, list(names))
        hint = f"did you mean `{near}`? " if near else ""
        message = f"`{compare.reference}` does not take part, so it cannot be the reference"
        yield Fault((*COMPARE, "reference"), message, f"{hint}known: {', '.join(names)}")
    for part, use in (("valid", "optimizers are tuned by the validation loss"), ("test", "the best are tested")):
        if getattr(experiment.data.split, part) == 0:
            message = f"{use}, but data.split.{part} is 0"
            yield Fault(_written(loaded, ("data", "split", part)), message, f"set data.split.{part}>0")


def _misfits(loaded: Loaded, examples: Examples) -> Iterator[Fault]:
    """Find the rules that cannot train this model: what ``dlx train`` would say of each."""
    for i, optimizer in enumerate(loaded.experiment.compare.optimizers):
        for fault in contradictions({**dict(loaded.experiment), "optimizer": optimizer, "examples": examples}):
            is_own = fault.path[0] == "optimizer"
            yield replace(fault, path=_written(loaded, (*COMPARE, "optimizers", i)) if is_own else fault.path)


def _written(loaded: Loaded, path: KeyPath) -> KeyPath:
    """Give the longest part of a path that the config has: what follows from a default stands nowhere."""
    return next((path[:n] for n in range(len(path), 0, -1) if path[:n] in loaded.source.places), path)
