"""On what scale: scikit-learn's scalers as affine maps."""

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from dlx.data.preprocessing import Affine, fit_scale

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler}


@pytest.fixture
def raw() -> np.ndarray:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(40, 5)) * [1.0, 1e-3, 1e6, 0.0, 3.0] + [0.0, 5.0, -1e6, 7.0, 1e3]
    return np.asfortranarray(columns)


def apply(scale: Affine, values: np.ndarray) -> np.ndarray:
    return (values - scale.shift) / scale.scale


@pytest.mark.parametrize("method", SCALERS)
def test_transform_is_scikit_learns(method: str, raw: np.ndarray) -> None:
    train, rest = raw[:25], raw[25:]
    scale, oracle = fit_scale(method, train), SCALERS[method]().fit(train)
    for values in (train, rest):
        np.testing.assert_allclose(apply(scale, values), oracle.transform(values), rtol=1e-9, atol=1e-9)


def test_standard_has_mean_0_and_deviation_1(raw: np.ndarray) -> None:
    scaled = apply(fit_scale("standard", raw), raw)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(0), [1, 1, 1, 0, 1], rtol=1e-9)


def test_minmax_fills_the_unit_interval(raw: np.ndarray) -> None:
    scaled = apply(fit_scale("minmax", raw), raw)
    np.testing.assert_allclose(scaled.min(0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.max(0), [1, 1, 1, 0, 1], rtol=1e-12)


def test_none_changes_nothing(raw: np.ndarray) -> None:
    assert np.array_equal(apply(fit_scale("none", raw), raw), raw)


@pytest.mark.parametrize("method", ["standard", "minmax", "none"])
@pytest.mark.parametrize("rows", [1, 40])
def test_constants_are_usable(method: str, rows: int, raw: np.ndarray) -> None:
    scale = fit_scale(method, raw[:rows])
    for each in (scale.shift, scale.scale):
        assert each.shape == (5,)
        assert each.dtype == np.float64
        assert np.isfinite(each).all()
    assert (scale.scale > 0).all()
    assert scale.scale[3] == 1  # a constant column keeps its unit


def test_values_are_left_alone(raw: np.ndarray) -> None:
    before = raw.copy()
    for method in ("standard", "minmax", "none"):
        fit_scale(method, raw)
    assert np.array_equal(raw, before)
