"""Two moons: half circles, their noise and their seed."""

import numpy as np
import pytest
from pydantic import ValidationError

from dlx.datasets.two_moons import TwoMoons


@pytest.mark.parametrize("num_examples", [2, 7, 500, 501])
def test_half_of_the_examples_in_each_class(num_examples: int) -> None:
    examples = TwoMoons(num_examples=num_examples).load()
    counts = np.bincount(examples.targets, minlength=2)
    assert examples.inputs.shape == (num_examples, 2)
    assert counts.sum() == num_examples
    assert abs(counts[0] - counts[1]) <= 1


def test_without_noise_the_moons_are_half_circles() -> None:
    examples = TwoMoons(noise=0.0, num_examples=101).load()
    upper, lower = (examples.inputs[examples.targets == number] for number in (0, 1))
    np.testing.assert_allclose(np.hypot(*upper.T), 1)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1)
    assert (upper[:, 1] >= -1e-12).all()
    assert (lower[:, 1] <= 0.5 + 1e-12).all()


def test_noise_has_its_standard_deviation() -> None:
    def distances(noise: float) -> np.ndarray:
        examples = TwoMoons(num_examples=4000, noise=noise).load()
        centres = np.array([[0, 0], [1, 0.5]])[examples.targets]
        return np.hypot(*(examples.inputs - centres).T)

    assert distances(0.1).std() == pytest.approx(0.1, rel=0.05)


def test_seed_changes_the_data() -> None:
    first, again, other = (TwoMoons(seed=seed).load().inputs for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not (first == other).any()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_fits_into_32_bits(seed: int) -> None:
    with pytest.raises(ValidationError):
        TwoMoons(seed=seed)
    TwoMoons(seed=2**32 - 1, num_examples=2).load()
