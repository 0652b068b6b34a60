"""Several learners on several problems: do they differ, which pairs do, and how far each is from the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlx.statistics.paired import differences_of, numbers, ranks, signed_rank

Floats = np.ndarray[Any, np.dtype[np.float64]]


def friedman(table: Sequence[Sequence[float]] | Floats) -> tuple[float, Floats]:
    """Test whether the arms of a table differ, by their ranks within each problem: Friedman's test.

        chi2 = (k - 1) sum_j (R_j - n (k+1)/2)^2 / sum_ij (r_ij - (k+1)/2)^2,   k - 1 degrees of freedom

    with r_ij the rank of arm j on problem i and R_j its sum over problems; the denominator takes ties into account. The
    chi-square distribution is an approximation, too cautious for few problems.

    Args:
        table: Score of each arm on each problem, [problems, arms], both at least 1, lower is better; infinite ones
            rank last and tie.

    Returns:
        p, 1 where all arms tie everywhere, and the mean rank of each arm, [arms], 1 is best.

    Raises:
        ValueError: The table is empty or holds a NaN.

    Source:
        Friedman (1937), "The use of ranks to avoid the assumption of normality"; Conover (1999), "Practical
        nonparametric statistics", section 5.8, for the ties; Demsar (2006), "Statistical comparisons of classifiers
        over multiple data sets", for the use.
    """
    from scipy.special import chdtrc

    ranked = np.stack([ranks(row) for row in _table(table)])
    num_problems, num_arms = ranked.shape
    spread = np.square(ranked - (num_arms + 1) / 2).sum()
    if spread == 0:
        return 1.0, ranked.mean(axis=0)
    between = np.square(ranked.sum(axis=0) - num_problems * (num_arms + 1) / 2).sum()
    return float(chdtrc(num_arms - 1, (num_arms - 1) * between / spread)), ranked.mean(axis=0)


def wilcoxon(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float:
    """Test whether two arms differ over problems: the exact two-sided p of Wilcoxon's signed-rank test.

    Args:
        a: Score of the first arm on each problem, [problems]; an infinite one against a finite one is the largest
            difference there is, two infinite ones are no difference.
        b: Scores of the second, [problems].

    Returns:
        p of ``signed_rank`` on a - b.

    Raises:
        ValueError: A score is NaN, or the numbers of scores differ.

    Source:
        Demsar (2006), "Statistical comparisons of classifiers over multiple data sets".
    """
    return signed_rank(differences_of(a, b))


def profile(times: Sequence[Sequence[float]] | Floats, r_max: float = 4.0) -> tuple[Floats, Floats, Floats]:
    """Give performance profiles: how many problems each arm solves within a multiple of the fastest arm's time.

        r_pj = t_pj / min_j t_pj,   rho_j(tau) = share of problems with r_pj <= tau
        B_j = 1 / (r_max - 1) integral from 1 to r_max of rho_j(tau) dtau
            = mean over p of max(0, r_max - r_pj) / (r_max - 1)

    rho is a step function, given at every place where one of them steps, so B is exact. All of it is relative to the
    fastest arm present: another pool of arms may reverse the order of two.

    Args:
        times: Time until each arm reached the target of each problem, [problems, arms], both at least 1, in any unit,
            at least 0; infinite: never. Where no arm reached it, it is a problem that all fail; where the fastest took
            no time, only its like are within any multiple.
        r_max: Largest multiple, above 1 and finite.

    Returns:
        tau, increasing, [grid], from 1 to ``r_max``; rho, [arms, grid], in [0, 1]; B, [arms], in [0, 1].

    Raises:
        ValueError: The table is empty, a time is NaN or negative, or ``r_max`` is out of its range.

    Source:
        Dolan and More (2002), "Benchmarking optimization software with performance profiles"; Dahl et al. (2023),
        "Benchmarking neural network training algorithms", for B and r_max 4.
    """
    if not 1 < r_max < np.inf:
        raise ValueError(f"expected a largest multiple above 1, found {r_max}")
    found = _table(times)
    if (found < 0).any():
        raise ValueError("expected times of at least 0")
    fastest = found.min(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # by a time of 0, and inf by inf
        ratios = np.where(found == fastest, 1.0, found / fastest)
    ratios[np.isinf(found)] = np.inf
    tau = np.unique(np.concatenate([[1.0, r_max], ratios[ratios < r_max]]))
    rho = (ratios[:, :, None] <= tau).mean(axis=0)
    return tau, rho, np.maximum(r_max - ratios, 0).mean(axis=0) / (r_max - 1)


def _table(values: Sequence[Sequence[float]] | Floats) -> Floats:
    """Give a table of numbers, [problems, arms].

    Raises:
        ValueError: It has no row or no column, or holds a NaN.
    """
    table = numbers(values)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"expected a table of problems by arms, found the shape {table.shape}")
    return table
