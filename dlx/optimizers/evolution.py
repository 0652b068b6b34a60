"""An evolution strategy: selection, crossover and mutation in place of a gradient."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from dlx.core.definition import Objective, Optimizer, Tunable
from dlx.core.noise import random_normal, random_uniform, random_words, step_keys
from dlx.core.types import Hyper, Searched, State


class Evolution(Optimizer):
    """Evolution: the best of a population of candidates are crossed and mutated; no gradient is taken.

    A step is a generation of K candidates, whose best is theta:

        selection   the ``parents`` best of the last generation
        crossover   a child takes each parameter from one of two parents, drawn anew for each, and the mean of their
                    mutation sizes
        mutation    size <- size exp(n / sqrt(P)), n ~ N(0, 1);  child <- child + size N(0, I)

    K - 1 children and theta itself are evaluated on the batch and sorted. Sizes are selected with the candidates that
    they made, so they adapt by themselves. Theta takes part, so on the whole training part the objective never rises;
    on small batches the luckiest candidate of a batch wins, so take large ones.

    It needs no derivative: f may have kinks, jumps and many minima. It fails in high dimension, for a random direction
    is nearly orthogonal to the gradient there: progress per generation falls as 1 / P. It works with 10 parameters;
    with 1000 a gradient is far ahead. A generation costs K evaluations and holds K rows of P; it has no learning rate.

    Source:
        Beyer and Schwefel (2002), "Evolution strategies: a comprehensive introduction"; Eiben and Smith (2015),
        "Introduction to evolutionary computing", chapters 4 to 6; lecture 4.3.3.
    """

    name: Literal["evolution"] = "evolution"
    search_space: ClassVar[tuple[Searched, ...]] = (Searched("size", 1e-3, 1e0),)
    candidates: Annotated[int, Field(ge=3, le=100_000)] = 28
    """Candidates K of a generation."""
    parents: PositiveInt = 4
    """How many of the best have children; fewer search more greedily."""
    size: Tunable[PositiveFloat] = 0.1
    """Standard deviation of the first mutations."""

    @model_validator(mode="after")
    def _fewer_parents_than_candidates(self) -> Self:
        if self.parents >= self.candidates:
            raise ValueError(f"{self.parents} parents of {self.candidates} candidates leave nothing to select")
        return self

    def init(self, theta: Tensor) -> State:
        """Start with K copies of theta, [M, K, P], sizes in units of the first, [M, K], and [M, 1] of the rest."""
        column = torch.zeros_like(theta[:, :1])
        return {
            "candidates": theta.unsqueeze(1).repeat(1, self.candidates, 1),
            "sizes": theta.new_ones(len(theta), self.candidates),
            "generations": column,
            "size": column.clone(),
        }

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Breed one generation of every row; give the objective of theta before it, [M]."""
        children, sizes = self._breed(state, h.size, objective.keys)
        candidates = torch.cat([theta.unsqueeze(1), children], 1)
        sizes = torch.cat([state["sizes"][:, :1], sizes], 1)
        values = torch.stack([objective.value(each.contiguous()) for each in candidates.unbind(1)], 1)
        order = torch.where(values.isnan(), torch.inf, values).argsort(dim=1, stable=True)
        state["candidates"].copy_(candidates.gather(1, order.unsqueeze(2).expand_as(candidates)))
        state["sizes"].copy_(sizes.gather(1, order))
        theta.copy_(state["candidates"][:, 0])
        state["generations"].add_(1)
        state["size"].copy_(h.size * state["sizes"][:, :1])
        return values[:, 0].contiguous()

    def _breed(self, state: State, size: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Give K - 1 children, [M, K - 1, P], and their sizes in units of the first, [M, K - 1]."""
        num_children, num_parameters, dtype = self.candidates - 1, state["candidates"].shape[2], size.dtype
        pair_key, side_key, size_key, child_key = step_keys(keys, torch.zeros_like(keys), 4).unbind(1)
        drawn = random_uniform(pair_key, (2, num_children), torch.float64) * self.parents
        one, other = drawn.floor().long().unbind(1)
        crossed = torch.where(
            random_words(side_key, (num_children, num_parameters)) < 0,
            _take(state["candidates"], one),
            _take(state["candidates"], other),
        )
        sizes = (state["sizes"].gather(1, one) + state["sizes"].gather(1, other)) / 2
        sizes = sizes * (random_normal(size_key, (num_children,), dtype) / math.sqrt(num_parameters)).exp()
        mutations = random_normal(child_key, (num_children, num_parameters), dtype)
        return torch.addcmul(crossed, mutations, (size * sizes).unsqueeze(2)), sizes

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Tell the generations and the size of theta's mutations, [M] each."""
        return {name: state[name].squeeze(1) for name in ("generations", "size")}

    def remark(self, diagnostics: Mapping[str, float]) -> str:
        """Say how many evaluations it took and where the mutations stand."""
        generations = diagnostics["generations"]
        return (
            f"{generations:.0f} generations of {self.candidates} candidates, "
            f"mutations came to a size of {diagnostics['size']:.3g}"
        )

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count the candidates, those being bred, and their draws."""
        return 6 * self.candidates * num_parameters


def _take(candidates: Tensor, numbers: Tensor) -> Tensor:
    """Take candidates of each row by number: [M, K, P] at [M, C] -> [M, C, P]."""
    return candidates.gather(1, numbers.unsqueeze(2).expand(-1, -1, candidates.shape[2]))
