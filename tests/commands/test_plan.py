"""What is refused before anything is allocated."""

from __future__ import annotations

from typing import Any

import pytest
from experiments import make_members

from dlx.commands import plan
from dlx.commands.plan import require_memory
from dlx.core.definition import Optimizer
from dlx.core.errors import UsageError
from dlx.core.records import Cell
from dlx.core.registry import registered

RECIPE: dict[str, Any] = {"hidden": (40,), "num_features": 5}


@pytest.mark.parametrize("name", ["newton", "gauss_newton", "cma_es"])
def test_a_rule_with_a_matrix_of_the_parameters_needs_more_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name not in registered(Optimizer):
        pytest.skip("not there")
    plain, squared = (make_members([Cell(0)], optimizer=rule, **RECIPE)[0][0].recipe for rule in ("adam", name))
    num_parameters = plain.layout().num_parameters
    room = num_parameters**2 * 8  # of one matrix in float64
    monkeypatch.setattr(plan.os, "sysconf", lambda key: {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": room}[key])
    require_memory(plain, 1, 100)
    with pytest.raises(UsageError, match=f"`{name}` needs .* {num_parameters:,} parameters.*optimizer=adam"):
        require_memory(squared, 1, 100)
