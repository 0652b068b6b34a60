"""Networks with single parameters changed: the layers above the change alone give what the whole network gives."""

from __future__ import annotations

import pytest
import torch
from gradients.nets import LOSSES, surface_of
from gradients.test_backprop import CASES

from dlx.gradients.differences import along_axes, finish, steps_of
from dlx.gradients.layered import LayeredNetwork
from dlx.priors.gaussian import Gaussian

WITHOUT_PRIOR = [name for name, settings in CASES.items() if "prior" not in settings]


@pytest.mark.parametrize("case", WITHOUT_PRIOR)
def test_differences_are_those_of_whole_members(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    surface = surface_of(**CASES[case])
    columns = torch.arange(len(surface.theta))
    assert LayeredNetwork.of(surface) is not None
    found = finish(along_axes(surface, columns, steps_of(surface.theta)))
    monkeypatch.setattr(LayeredNetwork, "of", lambda surface: None)
    whole = finish(along_axes(surface, columns, steps_of(surface.theta)))
    assert ((found.values - whole.values).abs() <= found.floor).all()
    torch.testing.assert_close(found.floor, whole.floor, rtol=1e-3, atol=0)
    assert torch.equal(found.crossed, whole.crossed)


@pytest.mark.parametrize("loss", LOSSES)
def test_values_at_any_parameters_and_changes(loss: str) -> None:
    surface = surface_of(loss, batch_norm=True, dropout=0.3)
    layered = LayeredNetwork.of(surface)
    assert layered is not None
    columns = torch.tensor([40, 3, 3, 33, len(surface.theta) - 1, 57])
    up, down = torch.linspace(0.1, 1, 6).double(), -torch.linspace(1, 3, 6).double()
    found = torch.empty(6, 3, dtype=torch.float64)
    for own, chunk in layered.evaluate(columns, up, down):
        found[own] = chunk
    for place, changes in enumerate((up, down)):
        points = surface.theta.repeat(6, 1)
        points[torch.arange(6), columns] += changes
        torch.testing.assert_close(found[:, place], surface.values(points), rtol=1e-11, atol=0)


def test_what_it_cannot_do_is_left_to_the_population() -> None:
    assert LayeredNetwork.of(surface_of(prior=Gaussian())) is None
    surface = surface_of()
    right = LayeredNetwork.of(surface)
    assert right is not None
    assert right.value == pytest.approx(surface.value(surface.theta), rel=1e-14)
