import torch
from torch import nn

from dlx.engine.layout import Layout


def test_unflatten_undoes_flatten() -> None:
    module = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))
    layout = Layout.of(module)
    named = dict(module.named_parameters())
    theta = layout.flatten(module)
    assert theta.shape == (layout.num_parameters,) == (26,)
    for name, tensor in layout.unflatten(torch.stack([theta, 2 * theta])).items():
        assert torch.equal(tensor, torch.stack([named[name], 2 * named[name]]))


def test_unflatten_is_a_view() -> None:
    layout = Layout.of(nn.Linear(3, 2))
    theta = torch.zeros(2, layout.num_parameters)
    layout.unflatten(theta)["bias"].fill_(1)
    assert theta.sum() == 4


def test_weights_are_told_from_biases() -> None:
    layout = Layout.of(nn.Linear(3, 2))
    assert layout.is_weight().tolist() == [True] * 6 + [False] * 2
