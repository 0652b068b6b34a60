"""What every registered schedule promises."""

from collections.abc import Callable

import pytest
import torch

from dlx.core.definition import Schedule
from dlx.core.registry import registered

SCHEDULES = registered(Schedule)
every_schedule = pytest.mark.parametrize("cls", SCHEDULES.values(), ids=SCHEDULES)
STEPS = (0, 1, 2, 999, 1000, 1001, 10**6)


def scaled(cls: type[Schedule], factor: float) -> Schedule:
    return cls.model_validate({name: value * factor for name, value in cls().tunables().items()})


@every_schedule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factors(cls: type[Schedule], dtype: torch.dtype, stack: Callable, same_bits: Callable) -> None:
    rules = [scaled(cls, factor) for factor in (1.0, 0.5, 0.3)]
    for step in STEPS:
        steps = torch.full((3, 1), step, dtype=dtype)
        factor = rules[0].factor(steps, stack(rules, dtype))
        assert (steps == step).all()
        if factor is None:
            continue
        assert factor.shape == (3, 1)
        assert factor.dtype == dtype
        assert (factor.isfinite() & (factor >= 0)).all()
        assert step or (factor == 1).all()
        twins = rules[1].factor(steps[:2], stack([rules[1]] * 2, dtype))
        assert same_bits(factor[1], twins[0])


@every_schedule
def test_members_may_be_at_different_steps(cls: type[Schedule], stack: Callable) -> None:
    steps = torch.tensor([[float(step)] for step in STEPS], dtype=torch.float64)
    together = cls().factor(steps, stack([cls()] * len(STEPS)))
    if together is None:
        return
    alone = [cls().factor(step[None].repeat(2, 1), stack([cls()] * 2))[0] for step in steps]
    assert torch.equal(together, torch.stack(alone))


@every_schedule
def test_warmup_comes_before(cls: type[Schedule], stack: Callable) -> None:
    rule, steps = cls.model_validate({"warmup": 4}), torch.arange(12.0, dtype=torch.float64)[:, None]
    h = stack([rule] * len(steps))
    own = cls().factor((steps - 4).clamp(min=0), h)
    expected = torch.ones_like(steps) if own is None else own
    assert rule.factor(steps, h)[:4].flatten().tolist() == [0.25, 0.5, 0.75, 1.0]
    assert torch.equal(rule.factor(steps, h)[4:], expected[4:])
    assert expected[4] == 1, "the schedule begins at its beginning"


@every_schedule
def test_operations_are_safe(cls: type[Schedule], stack: Callable, only_safe_operations: Callable) -> None:
    with only_safe_operations():
        cls().factor(torch.ones(2, 1), stack([cls()] * 2, torch.float32))
