"""Computes for all rows what is written for one member: stacked, by vmap, or where that cannot be, row by row.

vmap refuses what it cannot trace: an autograd.Function in the old style, a Python branch on the values of a tensor,
``item()``. Whether it does is tried out once for each recipe. Row by row each is computed alone, so there, too, nothing
depends on company; it costs the time of that.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils import _pytree as pytree

from dlx.core.errors import UsageError
from dlx.core.plugins import blame, spell_error
from dlx.core.types import Hyper, Scored

if TYPE_CHECKING:
    from dlx.engine.population import Recipe

MAX_REASON = 160
"""Characters of the reason why something cannot be stacked, at most: torch tells more than fits into a line."""
_GENERATOR = threading.RLock()


@contextlib.contextmanager
def own_generator() -> Iterator[None]:
    """Leave torch's global generator as it was; populations in other threads wait, since there is only one."""
    with _GENERATOR, torch.random.fork_rng(devices=[]):
        yield


def map_rows(function: Callable[..., Any], is_stackable: bool, chunk_size: int | None = None) -> Callable[..., Any]:
    """Turn a function of one row into one of all rows.

    Args:
        function: Of tensors, or trees of them, to the same.
        is_stackable: Whether vmap can run it.
        chunk_size: Rows that vmap takes at once; None is all.

    Returns:
        A function of tensors with one more dimension, the first, of M rows.
    """
    if is_stackable:
        return vmap(function, chunk_size=chunk_size)

    def each_row(*stacked: Any) -> Any:
        leaves, structure = pytree.tree_flatten(stacked)
        rows = zip(*(leaf.unbind(0) for leaf in leaves), strict=True)
        # Copies: what a row computes must not depend on where in memory it lies.
        copies = ([leaf.clone(memory_format=torch.contiguous_format) for leaf in row] for row in rows)
        results = [function(*pytree.tree_unflatten(row, structure)) for row in copies]
        return pytree.tree_map(lambda *each: torch.stack(each), *results)

    return each_row


def find_obstacle(recipe: Recipe) -> str | None:
    """Try whether model, loss and metrics of a recipe can be stacked: two rows of two examples, forward and backward.

    Returns:
        Why not, in a line; None if they can.

    Raises:
        UsageError: If the model draws from torch's generator at its steps: what comes then would depend on company; or
            if its outputs are not of the shape that the loss takes.
    """
    with own_generator():
        module = recipe.build()
        _require_outputs(recipe, module)
        try:
            _try_out(recipe, module, is_stackable=True)
        except Exception as error:  # whatever a model of a user's own raises
            _refuse_chance(recipe, module)
            where = f" in {place}" if (place := blame(error)) else ""
            reason = spell_error(error).partition(". ")[0]
            return f"vmap cannot run it{where}: {reason if len(reason) <= MAX_REASON else f'{reason[:MAX_REASON]}...'}"
    return None


@torch.no_grad()
def _require_outputs(recipe: Recipe, module: nn.Module) -> None:
    """Refuse a module whose outputs for two examples are of another shape than its spec says."""
    wanted = [2, recipe.spec.num_outputs]
    found: Any = wanted
    with contextlib.suppress(Exception):  # a mistake of the user's, which training shows
        outputs = module.eval()(torch.ones(2, *recipe.spec.input_shape, dtype=recipe.spec.dtype))
        found = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if found != wanted:
        raise UsageError(
            f"the model `{recipe.model.name}` gives {found} for 2 examples; expected {wanted}: with these data the "
            f"loss `{recipe.loss.name}` takes `spec.num_outputs` = {wanted[1]} outputs of an example"
        )


def _refuse_chance(recipe: Recipe, module: nn.Module) -> None:
    """Refuse a module that draws random numbers, which vmap does not allow, from the generator that all share."""
    before = torch.get_rng_state()
    with contextlib.suppress(Exception):  # a mistake of the user's, which training shows with its traceback
        _try_out(recipe, module, is_stackable=False)
    if not torch.equal(before, torch.get_rng_state()):
        raise UsageError(
            f"the model `{recipe.model.name}` draws random numbers from torch's generator where it is trained, so its "
            "results would depend on what is trained beside it; use dlx.models.dropout.Dropout, or random_normal and "
            "random_mask of dlx.core.noise with a buffer `key`"
        )


def _try_out(recipe: Recipe, module: nn.Module, is_stackable: bool) -> None:
    """Compute all that is computed row by row, on two rows of two examples."""
    spec, loss = recipe.spec, recipe.loss
    owned = [*module.named_parameters(), *module.named_buffers()]
    named = {name: torch.stack([tensor.detach()] * 2) for name, tensor in owned}
    parameters = [named[name].requires_grad_() for name, _ in module.named_parameters()]
    targets = _some_targets(recipe)
    h = {name: torch.stack([each.to(spec.dtype)] * 2) for name, each in vars(loss.settings(*targets)).items()}
    examples = torch.ones(2, 2, *spec.input_shape, dtype=spec.dtype), torch.stack([targets[0]] * 2)

    def losses(named: dict[str, Tensor], h: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return loss.value(functional_call(module, named, (inputs,)), targets, Hyper(h))

    def metrics(
        named: dict[str, Tensor], h: dict[str, Tensor], inputs: Tensor, targets: Tensor, weights: Tensor
    ) -> list[Tensor]:
        outputs = functional_call(module, named, (inputs,))
        batch = Scored(loss.predict(outputs), targets, weights, loss.nll(outputs, targets, Hyper(h)).double())
        return [metric.compute(metric.update(batch)) for metric in recipe.metrics]

    module.train()
    value = map_rows(losses, is_stackable)(named, h, *examples).sum()
    if value.requires_grad:
        torch.autograd.grad(value, parameters, allow_unused=True)
    with torch.no_grad():
        module.eval()
        map_rows(losses, is_stackable)(named, h, *examples)
        map_rows(metrics, is_stackable)(named, h, *examples, torch.ones(2, 2, dtype=torch.float64))


def _some_targets(recipe: Recipe) -> tuple[Tensor, int]:
    """Make two targets that the loss can take; give them with the number of outputs."""
    num_outputs, dtype = recipe.spec.num_outputs, recipe.spec.dtype
    if recipe.loss.task == "classification":
        return torch.zeros(2, dtype=torch.int64), num_outputs
    counts = range(1, num_outputs + 1)
    num_columns = next((count for count in counts if recipe.loss.num_outputs(count) == num_outputs), 1)
    return torch.zeros(2, num_columns, dtype=dtype), num_outputs
