"""On what scale: scikit-learn's scalers as affine maps."""

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
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


PIPELINES = {"none": [], "standard": [StandardScaler()], "minmax": [MinMaxScaler()]}


@pytest.mark.parametrize("method", PIPELINES)
def test_missing_values_are_scikit_learns_mean_of_the_training_part(method: str, raw: np.ndarray) -> None:
    holes = np.where(np.random.default_rng(1).random(raw.shape) < 0.3, np.nan, raw)
    train, rest = holes[:25], holes[25:]
    oracle = make_pipeline(*PIPELINES[method], SimpleImputer()).fit(train)
    scale = fit_scale(method, train, has_missing=True)
    for values in (train, rest):
        np.testing.assert_allclose(scale.apply(values), oracle.transform(values), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", PIPELINES)
def test_a_column_without_a_value_in_the_training_part(method: str, raw: np.ndarray) -> None:
    raw[:25, 2] = np.nan
    scale = fit_scale(method, raw[:25], has_missing=True)
    assert scale.fill is not None
    assert (scale.shift[2], scale.scale[2], scale.fill[2]) == (0, 1, 0)
    assert np.isfinite(scale.apply(raw)).all()


@pytest.mark.parametrize("method", PIPELINES)
def test_where_nothing_is_missing_the_scale_is_the_same(method: str, raw: np.ndarray) -> None:
    plain, filled = fit_scale(method, raw), fit_scale(method, raw, has_missing=True)
    assert np.array_equal(plain.shift, filled.shift)
    assert np.array_equal(plain.scale, filled.scale)
    np.testing.assert_allclose(filled.fill, raw.mean(0), rtol=1e-12)
