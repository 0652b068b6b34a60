"""The multi-layer perceptron: its widths, its depth, its activation."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dlx.core.types import Spec
from dlx.models.activations import Identity, Tanh
from dlx.models.mlp import MLP

SPEC = Spec((5,), 3, torch.float64)


def weights_of(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in module.parameters() if parameter.ndim == 2]


@pytest.mark.parametrize(
    ("hidden", "shapes"),
    [((), [(3, 5)]), ((4,), [(4, 5), (3, 4)]), ((7, 2, 6), [(7, 5), (2, 7), (6, 2), (3, 6)])],
)
def test_widths(hidden: tuple[int, ...], shapes: list[tuple[int, int]]) -> None:
    assert weights_of(MLP(hidden=hidden).build(SPEC)) == shapes


def test_deep_identities_are_one_matrix() -> None:
    torch.manual_seed(0)
    module = MLP(hidden=(4, 6), activation=Identity()).build(SPEC)
    matrix, shift = torch.eye(5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    for layer in (each for each in module if isinstance(each, nn.Linear)):
        matrix, shift = layer.weight @ matrix, layer.weight @ shift + layer.bias
    x = torch.randn(9, 5, dtype=torch.float64)
    torch.testing.assert_close(module(x), x @ matrix.T + shift, rtol=1e-12, atol=1e-14)


def test_forward_by_hand() -> None:
    torch.manual_seed(0)
    module, x = MLP(hidden=(4,), activation=Tanh()).build(SPEC), torch.randn(9, 5, dtype=torch.float64)
    w1, b1, w2, b2 = module.parameters()
    torch.testing.assert_close(module(x), torch.tanh(x @ w1.T + b1) @ w2.T + b2, rtol=1e-12, atol=1e-14)


def test_a_list_of_activations_is_one_for_each_layer() -> None:
    torch.manual_seed(0)
    module = MLP(hidden=(4, 6), activation=(Tanh(), Identity())).build(SPEC)
    w1, b1, w2, b2, w3, b3 = module.parameters()
    x = torch.randn(9, 5, dtype=torch.float64)
    expected = (torch.tanh(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValidationError, match="differ in length: 1 and 2"):
        MLP(hidden=(4, 6), activation=(Tanh(),))
    given = {"name": "mlp", "hidden": [4, 6], "activation": ["tanh", {"name": "leaky_relu", "slope": 0.1}]}
    model = MLP.model_validate(given)
    assert MLP.model_validate(model.model_dump(mode="json")) == model
    assert model.model_dump(mode="json")["activation"] == [{"name": "tanh"}, {"name": "leaky_relu", "slope": 0.1}]


def test_regularized_layers_load_into_plain_torch() -> None:
    torch.manual_seed(0)
    module = MLP(hidden=(4,), activation=Tanh(), batch_norm=True, dropout=0.5).build(SPEC)
    plain = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 3)).double()
    x = 2 + 3 * torch.randn(9, 5, dtype=torch.float64)
    module(x)  # moves the running statistics
    plain.load_state_dict(module.state_dict())
    torch.testing.assert_close(module.eval()(x), plain.eval()(x), rtol=1e-12, atol=1e-14)


def test_members_with_and_without_dropout_are_of_two_structures() -> None:
    assert MLP(dropout=0.1).structure() == MLP(dropout=0.2).structure() != MLP().structure()


def test_no_activation_after_the_last_layer() -> None:
    assert isinstance(MLP().build(SPEC)[-1], nn.Linear)


def test_initial_weights_are_uniform_in_root_fan_in() -> None:
    torch.manual_seed(0)
    weight = MLP(hidden=(1000,)).build(Spec((16,), 1, torch.float64))[0].weight
    assert weight.abs().max() <= 0.25
    assert weight.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.02)


def test_yaml_list() -> None:
    assert MLP.model_validate({"hidden": [3, 4], "activation": "tanh"}) == MLP(hidden=(3, 4), activation=Tanh())
    for wrong in ([0], [2.5], ["3"], 3):
        with pytest.raises(ValidationError):
            MLP.model_validate({"hidden": wrong})


def test_structure_tells_activations_apart() -> None:
    assert MLP(activation=Tanh()).structure() != MLP(activation=Identity()).structure()
