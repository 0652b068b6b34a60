"""How optimizers are compared: the section of a config. It stands by itself, since it holds optimizers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, PositiveInt

from dlx.core.definition import Optimizer
from dlx.core.registry import Registered, registered
from dlx.core.settings import Seed, Settings

ARMS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


def _arms() -> tuple[Optimizer, ...]:
    """Build the optimizers that are compared unless a config names others; their modules are imported only here."""
    known: dict[str, Any] = registered(Optimizer)
    return tuple(known[name]() for name in ARMS)


class Budget(NamedTuple):
    """What each optimizer gets.

    Attributes:
        trials: Settings that are tried, before any range is extended.
        tuning_seeds: Seeds that each of them is trained with.
        seeds: Fresh seeds that the best setting, and the untuned one, are trained with.
        studies: Independent searches, each of so many trials.
    """

    trials: int
    tuning_seeds: int
    seeds: int
    studies: int


PROTOCOLS = {"quick": Budget(7, 1, 5, 1), "default": Budget(16, 2, 10, 1), "thorough": Budget(50, 2, 20, 3)}
Count = Annotated[PositiveInt, Field(le=10_000)]


class Comparison(Settings):
    """How `dlx compare-optimizers` compares; model, data and epochs are the config's, without early stopping."""

    protocol: Literal["quick", "default", "thorough"] = "default"
    """How much each optimizer gets: quick tries 7 learning rates once and 5 seeds, too few for a verdict; default 16
    settings twice and 10 seeds; thorough 50 settings twice in each of 3 independent searches, and 20 seeds."""
    optimizers: Annotated[tuple[Annotated[Optimizer, Registered()], ...], Field(strict=False, min_length=1)] = Field(
        default_factory=_arms, json_schema_extra={"default": list(ARMS)}
    )
    """The update rules. Each is tuned over the search space that `dlx describe NAME` shows, its other settings as
    given here; and trained once more as given here, untuned."""
    reference: str | None = None
    """The one that the others are compared with and that sets the target; null is momentum, or without it the first."""
    trials: Count | None = None
    """Settings of each optimizer that are tried; null is as the protocol says."""
    tuning_seeds: Count | None = None
    """Seeds that each of them is trained with; null is as the protocol says."""
    seeds: Count | None = None
    """Fresh seeds, after those of tuning, that the best setting is trained with; null is as the protocol says."""
    studies: Count | None = None
    """Independent searches; null is as the protocol says."""
    score: Literal["final", "best"] = "final"
    """What is tuned and judged: the loss after the last epoch, or after the best one."""
    part: Literal["valid", "train"] = "valid"
    """Whose loss: of the validation part, or what training lowered, averaged over the steps of an epoch. The first asks
    which rule generalises, the second which one optimises."""
    seed: Seed = 0
    """Seed of the settings that are drawn."""

    @property
    def budget(self) -> Budget:
        """What each optimizer gets."""
        given = {name: getattr(self, name) for name in Budget._fields}
        return PROTOCOLS[self.protocol]._replace(**{name: value for name, value in given.items() if value})
