"""What every registered model promises: an ordinary module of torch for one member."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from dlx.core.definition import Model
from dlx.core.registry import registered
from dlx.core.types import Spec

NUM_FEATURES, NUM_OUTPUTS = 5, 3
PLAIN = {
    "linear": lambda: nn.Linear(NUM_FEATURES, NUM_OUTPUTS),
    "mlp": lambda: nn.Sequential(
        nn.Linear(NUM_FEATURES, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, NUM_OUTPUTS)
    ),
}
MODELS = registered(Model)
every_model = pytest.mark.parametrize("model", [cls() for cls in MODELS.values()], ids=MODELS)


def build(model: Model, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(seed)
    return model.build(Spec((NUM_FEATURES,), NUM_OUTPUTS, dtype))


@pytest.fixture
def inputs(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(7, NUM_FEATURES, generator=generator, dtype=torch.float64)


@every_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtype(model: Model, dtype: torch.dtype, inputs: torch.Tensor) -> None:
    module = build(model, dtype=dtype)
    assert all(parameter.dtype == dtype for parameter in module.parameters())
    for batch in (1, 7):
        outputs = module(inputs[:batch].to(dtype))
        assert outputs.shape == (batch, NUM_OUTPUTS)
        assert outputs.dtype == dtype


@every_model
def test_purity(model: Model, inputs: torch.Tensor) -> None:
    module, before = build(model), inputs.clone()
    parameters = {name: value.clone() for name, value in module.state_dict().items()}
    assert torch.equal(module(inputs), module(inputs))
    assert torch.equal(inputs, before)
    assert all(torch.equal(value, parameters[name]) for name, value in module.state_dict().items())


@every_model
def test_examples_do_not_mix(model: Model, inputs: torch.Tensor) -> None:
    module = build(model)
    torch.testing.assert_close(module(inputs)[2:3], module(inputs[2:3]), rtol=1e-13, atol=1e-14)


@every_model
def test_initial_weights_come_from_the_global_generator(model: Model) -> None:
    first, again, other = (torch.cat([p.flatten() for p in build(model, s).parameters()]) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not (first == other).any()
    assert first.any()


@every_model
def test_state_loads_into_plain_torch(model: Model, inputs: torch.Tensor) -> None:
    module, plain = build(model), PLAIN[model.name]().double()
    plain.load_state_dict(module.state_dict())
    # An output may be a hundredth of the terms that it is the sum of, and those are added in another order.
    torch.testing.assert_close(plain(inputs), module(inputs), rtol=1e-14, atol=1e-16)


@every_model
def test_stacked_parameters_under_vmap(model: Model, inputs: torch.Tensor) -> None:
    modules = [build(model, seed) for seed in range(3)]
    parameters, buffers = stack_module_state(modules)
    together = vmap(lambda p, b: functional_call(modules[0], (p, b), (inputs,)))(parameters, buffers)
    torch.testing.assert_close(together, torch.stack([m(inputs) for m in modules]), rtol=1e-12, atol=1e-14)


@every_model
def test_operations_are_safe(model: Model, inputs: torch.Tensor, only_safe_operations) -> None:
    if not model.exact:
        pytest.skip("says of itself that it is not exact")
    with only_safe_operations():
        build(model)(inputs).sum().backward()
