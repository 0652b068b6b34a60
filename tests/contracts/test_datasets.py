"""What every registered data set promises."""

import numpy as np
import pytest
from tables import write_table

from dlx.core.definition import Dataset
from dlx.core.registry import registered
from dlx.core.types import Examples


@pytest.fixture(scope="module", params=registered(Dataset))
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Examples]:
    cls = registered(Dataset)[request.param]
    needed = {name for name, field in cls.model_fields.items() if field.is_required()}
    given = write_table(tmp_path_factory.mktemp("table"), request.param) if needed else {}
    assert given.keys() == needed, "settings without a default need a table of tests/tables.py"
    dataset = cls(**given)
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
