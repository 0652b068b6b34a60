"""What every registered data set promises."""

import numpy as np
import pytest

from dlx.core.definition import Dataset
from dlx.core.registry import registered
from dlx.core.types import Examples

# Those that need settings (a path) have their own tests.
READY = {
    name: cls
    for name, cls in registered(Dataset).items()
    if not any(field.is_required() for field in cls.model_fields.values())
}


@pytest.fixture(scope="module", params=READY)
def loaded(request: pytest.FixtureRequest) -> tuple[Dataset, Examples]:
    dataset = READY[request.param]()
    return dataset, dataset.load()


def test_inputs(loaded: tuple[Dataset, Examples]) -> None:
    _, examples = loaded
    assert examples.inputs.shape == (len(examples), len(examples.feature_names))
    assert examples.inputs.dtype == np.float64
    assert np.isfinite(examples.inputs).all()
    assert len(np.unique(examples.inputs, axis=0)) > len(examples) // 2


def test_targets(loaded: tuple[Dataset, Examples]) -> None:
    _, examples = loaded
    if examples.task == "classification":
        assert examples.targets.shape == (len(examples),)
        assert examples.targets.dtype == np.int64
        assert np.unique(examples.targets).tolist() == list(range(len(examples.target_names)))
    else:
        assert examples.targets.shape == (len(examples), len(examples.target_names))
        assert examples.targets.dtype == np.float64
        assert np.isfinite(examples.targets).all()


def test_names(loaded: tuple[Dataset, Examples]) -> None:
    _, examples = loaded
    for names in (examples.feature_names, examples.target_names):
        assert all(type(name) is str and name for name in names)
        assert len(set(names)) == len(names)


def test_loading_again_gives_the_same(loaded: tuple[Dataset, Examples]) -> None:
    dataset, examples = loaded
    again = dataset.load()
    assert np.array_equal(again.inputs, examples.inputs)
    assert np.array_equal(again.targets, examples.targets)
    assert (again.feature_names, again.target_names) == (examples.feature_names, examples.target_names)
