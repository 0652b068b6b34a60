"""Shared by all tests. dlx comes before torch: it sets what MKL reads once (company invariance, rule A)."""

from collections.abc import Callable, Iterator, Sequence

import dlx  # isort: skip
import pytest
import torch

from dlx.core.definition import Definition
from dlx.core.registry import use
from dlx.core.types import Hyper

assert dlx.__version__


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_plugins() -> Iterator[None]:
    """Forget after each test which plugins were in use; their classes live on, but no name means them."""
    yield
    use(())


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def stack() -> Callable[..., Hyper]:
    """Stacks tunables as the engine does: [M, 1] each, complements formed in float64 before the cast."""

    def stacked(rows: Sequence[Definition], dtype: torch.dtype = torch.float64) -> Hyper:
        columns = {
            name: torch.tensor([[row.tunables()[name]] for row in rows], dtype=torch.float64)
            for name in rows[0].tunables()
        }
        values = {name: column.to(dtype) for name, column in columns.items()}
        return Hyper(values, {name: (1 - column).to(dtype) for name, column in columns.items()})

    return stacked
