"""CMA-ES: an evolution strategy that learns the shape of its mutations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from dlx.core.definition import Objective, Optimizer, Tunable
from dlx.core.types import Hyper, Searched, State

if TYPE_CHECKING:
    from cmaes import CMA

Candidate = np.ndarray[Any, np.dtype[np.float64]]
LARGEST = 1e30
"""Largest number that the library is given; it raises at 1e32."""
PATHS = {"path_size": "_p_sigma", "path_covariance": "_pc"}
"""Parts of the state that the library's constructor does not take, by its names."""


class CMAES(Optimizer):
    """CMA-ES: candidates are drawn from a Gaussian whose mean, size and covariance follow the best of them.

        x_k ~ N(theta, size**2 C), k = 1..K
        theta <- the weighted mean of the better half
        C and size follow the steps that succeeded

    Theta is the mean. C comes to resemble the inverse Hessian, so narrow valleys are no obstacle, and like evolution it
    needs no derivative: only the order of the K values counts. Up to about 100 parameters it is the method of choice
    where there is no gradient. It fails in high dimension: C has P**2 numbers, is learned in about P**2 evaluations and
    taken apart at a cost of P**3. On small batches chance decides the order, so take large ones.

    The ``cmaes`` library computes a step, in float64, one member after the other.

    Source:
        Hansen (2016), "The CMA evolution strategy: a tutorial"; Hansen and Ostermeier (2001), "Completely derandomized
        self-adaptation in evolution strategies"; lecture 4.3.3.
    """

    name: Literal["cma_es"] = "cma_es"
    search_space: ClassVar[tuple[Searched, ...]] = (Searched("size", 1e-3, 1e0),)
    candidates: Annotated[int, Field(ge=4, le=100_000)] | None = None
    """Candidates K of a generation; null is 4 + 3 ln P, rounded down."""
    size: Tunable[PositiveFloat] = 0.1
    """Standard deviation of the first candidates."""

    def init(self, theta: Tensor) -> State:
        """Start with C = I, [M, P, P], paths of zero, [M, P], and the size in units of the first, [M, 1]."""
        column = torch.zeros_like(theta[:, :1])
        return {
            "covariance": torch.diag_embed(torch.ones_like(theta)),
            **{name: torch.zeros_like(theta) for name in PATHS},
            "relative_size": column + 1,
            "generations": column,
            "size": column.clone(),
        }

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Draw and learn from one generation of every row.

        Returns:
            The objective of theta before it, [M]; NaN where numbers are too large for a row to move.
        """
        value = objective.value(theta)
        first, keys = h.size.flatten().tolist(), objective.keys.tolist()
        rows = [self._restore(theta[row], state, row, first[row], keys[row]) for row in range(len(theta))]
        population = next((row.population_size for row in rows if row is not None), 0)
        drawn = [[row.ask() if row is not None else None for row in rows] for _ in range(population)]
        for candidates in drawn:
            for row, candidate in enumerate(candidates):
                if candidate is None or np.abs(candidate).max() > LARGEST:
                    rows[row] = None
        values = [self._evaluate(candidates, theta, objective) for candidates in drawn]
        for row, strategy in enumerate(rows):
            if strategy is not None:
                strategy.tell([(xs[row], each[row]) for xs, each in zip(drawn, values, strict=True)])
                self._keep(strategy, theta, state, row, first[row])
        can_move = torch.tensor([strategy is not None for strategy in rows]).to(theta.device)
        return torch.where(can_move, value, torch.nan)  # or a member would seem to train where it stands

    def _restore(self, theta: Tensor, state: State, row: int, first: float, key: int) -> "CMA | None":
        """Build a row's strategy as it stood; None if the row is not finite any more."""
        from cmaes import CMA

        mean, covariance = (each.double().cpu().numpy() for each in (theta, state["covariance"][row]))
        size = max(float(state["relative_size"][row]) * first, 1e-300)
        paths = {private: state[name][row].double().cpu().numpy() for name, private in PATHS.items()}
        if not all(np.abs(each).max() < LARGEST for each in (mean, covariance, np.array(size), *paths.values())):
            return None
        strategy = CMA(mean, size, cov=covariance.copy(), population_size=self.candidates, seed=key % 2**32)
        for private, path in paths.items():
            setattr(strategy, private, path.copy())
        strategy._g = int(state["generations"][row])
        return strategy

    def _evaluate(self, candidates: list[Candidate | None], theta: Tensor, objective: Objective) -> list[float]:
        """Give the objective of one candidate of each row; NaN is infinity."""
        stacked = [row if x is None else torch.from_numpy(x) for x, row in zip(candidates, theta.cpu(), strict=True)]
        values = objective.value(torch.stack([each.to(theta.dtype) for each in stacked]).to(theta.device))
        return torch.where(values.isnan(), torch.inf, values).tolist()

    def _keep(self, strategy: "CMA", theta: Tensor, state: State, row: int, first: float) -> None:
        """Write a row's strategy into theta and state."""
        theta[row].copy_(torch.from_numpy(strategy.mean))
        state["covariance"][row].copy_(torch.from_numpy(strategy._C))
        for name, private in PATHS.items():
            state[name][row].copy_(torch.from_numpy(getattr(strategy, private)))
        state["relative_size"][row] = float(strategy._sigma) / first
        state["generations"][row] = strategy.generation
        state["size"][row] = float(strategy._sigma)

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Tell the generations and the size, [M] each."""
        return {name: state[name].squeeze(1) for name in ("generations", "size")}

    def remark(self, diagnostics: Mapping[str, float]) -> str:
        """Say where the size stands."""
        return f"{diagnostics['generations']:.0f} generations, candidates came to a spread of {diagnostics['size']:.3g}"

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count the matrices of P x P: C, its factors, and one for each candidate."""
        num_candidates = self.candidates or 4 + int(3 * np.log(num_parameters))
        return (num_candidates + 6) * num_parameters**2
