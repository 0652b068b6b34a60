"""M functions R^P -> R, evaluated at the rows of theta in one pass."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlx.core.definition import Loss
from dlx.core.noise import random_normal
from dlx.core.types import Hyper
from dlx.engine import derivatives
from dlx.engine.batch import Batch
from dlx.engine.branches import Branches
from dlx.engine.mapping import map_rows
from dlx.engine.replay import Function, Replay
from dlx.engine.rows import Rows

OWN_STREAMS = ("rule", "inputs", "weights")
"""Streams of noise that are not a module's: they come before those of the modules."""


class Network(NamedTuple):
    """The objective of one row, taken apart for who computes it in another way.

    Attributes:
        module: An ordinary module that holds the row's parameters and buffers, in training mode.
        inputs: [B, ...].
        targets: [B] or [B, C].
        weights: [B].
        loss: What it is trained with.
        loss_h: The settings of the loss.
        penalties: theta [P] -> what each parameter adds to the prior's part of the objective, [P].
        penalty_slope: theta [P] -> the derivative of that part, [P].
    """

    module: nn.Module
    inputs: Tensor
    targets: Tensor
    weights: Tensor
    loss: Loss
    loss_h: Hyper
    penalties: Callable[[Tensor], Tensor]
    penalty_slope: Callable[[Tensor], Tensor]


class EmpiricalRisk:
    """The mean loss of a batch, less log prior / N, for each of M members, in the training mode of their model.

    The objective of member m is  sum_i w_mi loss(model(x_mi; theta_m), y_mi) + penalty(theta_m) / N_m.  The gradient is
    that of the *sum* over members, whose rows do not mix; a mean would divide every learning rate by M.

    Args:
        rows: Members, parameters and constants.
        draws: Whether parts of the model that draw (they have a buffer ``key``: dropout) do so, as in training.

    Attributes:
        num_streams: Streams of noise that a step needs, S.
    """

    def __init__(self, rows: Rows, draws: bool = True) -> None:
        self._rows, self._draws = rows, draws
        self._loss_h = rows.loss_settings()
        self._prior_h = rows.tunables("prior") if rows.recipe.prior else None
        self._training_h = vars(rows.tunables("training"))
        self._num_train = torch.tensor([[len(member.parts.train)] for member in rows.members]).to(rows.theta)
        self._is_weight = rows.layout.is_weight().to(rows.theta)
        self._keyed, self._weighted = rows.supplied("key"), rows.supplied("example_weights")
        self.num_streams = len(OWN_STREAMS) + len(self._keyed)
        self._replay = self._recorded(self._value_and_gradient)
        self._replay_value = self._recorded(self._value_alone)
        self._replay_behind = self._recorded(self._loss_behind)
        self._replay_branches = self._recorded(self._value_and_branches)
        self._replay_hessian = self._recorded(self._hessian_times)
        self._replay_gauss_newton = self._recorded(self._gauss_newton_times)

    def _recorded(self, function: Function) -> Function:
        """Record a function, unless vmap refuses it: its Python may look at values, which a recording would freeze."""
        return Replay(function, fixed=(self._rows.theta,)) if self._rows.is_stackable else function

    @property
    def _module(self) -> nn.Module:
        """The model in training mode, but for what draws, if that is to be left out."""
        module = self._rows.module.train()
        for part in module.modules():
            if not self._draws and "key" in dict(part.named_buffers(recurse=False)):
                part.eval()
        return module

    @property
    def theta(self) -> Tensor:
        """The rows' own parameters, [M, P]: evaluated there, a recording reads what they hold now."""
        return self._rows.theta

    def network(self, row: int = 0) -> Network:
        """Take the objective of a row apart, at the row's parameters and on the current batch."""
        rows, batch = self._rows, self._batch
        supplied = dict.fromkeys(self._weighted, batch.weights[row])
        supplied |= dict(zip(self._keyed, batch.keys[row, len(OWN_STREAMS) :].unbind(0), strict=True))
        stacked = rows.layout.unflatten(rows.weights) | rows.constants
        own = {name: tensor[row] for name, tensor in stacked.items()} | supplied
        module = copy.deepcopy(self._module)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            tensor.data = own[name].clone()
        h = Hyper({name: value[row] for name, value in self._loss_h.items()})
        inputs, targets, weights, _ = (each[row] for each in batch)
        prior = rows.recipe.prior
        methods = (prior.penalty, prior.derivative) if prior else (_no_penalty, _no_penalty)
        part, slope = (self._of_weights(method, row) for method in methods)
        return Network(module, inputs, targets, weights, rows.recipe.loss, h, part, slope)

    def _of_weights(self, function: Callable[[Tensor, Hyper], Tensor], row: int) -> Callable[[Tensor], Tensor]:
        """Make of a method of the prior a function of one row's theta, [P] -> [P]: of its weights alone, over N."""
        stacked = vars(self._prior_h) if self._prior_h is not None else {}
        h = Hyper({name: value[row : row + 1] for name, value in stacked.items() if name != "complement"})
        return lambda theta: (function(theta[None], h) * self._is_weight / self._num_train[row])[0]

    def begin(self, batch: Batch) -> None:
        """Take the batch of the next step; every evaluation until the next is of it, with the same noise."""
        self._batch = batch
        self._statistics: Tensor | None = None

    @property
    def keys(self) -> Tensor:
        """The key of each row's own noise at this step, int32 [M]."""
        return self._batch.keys[:, OWN_STREAMS.index("rule")]

    def end(self) -> None:
        """Move the model's statistics as the step's first evaluation found them: once, however many there were."""
        if self._statistics is not None:
            self._rows.statistics.copy_(self._statistics)
        del self._batch  # where many populations take turns, the batches of those that wait would add up

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate at the rows of theta on the current batch.

        Args:
            theta: [M, P].

        Returns:
            The values, [M], and the gradients, [M, P], clipped as the training says.
        """
        value, gradient = self._keep(self._replay(theta, *self._batch))
        return value, self._clip(gradient)

    def gradient_norms(self, theta: Tensor, batch: Batch) -> Tensor:
        """Give the norm of the gradient of each parameter tensor, unclipped, in the layout's order: [tensors, M]."""
        _, gradient, *_ = self._replay(theta, *batch)
        parts = torch.split(gradient, self._rows.layout.sizes, dim=1)
        return torch.stack([part.square().sum(1).sqrt() for part in parts])

    def value(self, theta: Tensor) -> Tensor:
        """Give the values at the rows of theta, [M], on the current batch."""
        (value,) = self._keep(self._replay_value(theta, *self._batch))
        return value

    def value_and_branches(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give the values at the rows of theta, [M], and the branch of every piecewise function there, int32 [M, K]."""
        value, branches = self._replay_branches(theta, *self._batch)
        return value, branches

    @property
    def first_layer(self) -> str | None:
        """The name of the layer that the inputs meet first, where the model is a row of layers and it is linear."""
        name, layer = next(self._rows.module.named_children(), ("", None))
        is_row = type(self._rows.module) is nn.Sequential and self._rows.is_stackable
        return name if is_row and isinstance(layer, nn.Linear) else None

    def first_outputs(self, theta: Tensor) -> Tensor:
        """Give what the ``first_layer`` gives for the first row's current batch with parameters [K, P], [K, H, B]."""
        begin = f"{self.first_layer}."
        named = {name: each for name, each in self._rows.layout.unflatten(theta).items() if name.startswith(begin)}
        named = {name.removeprefix(begin): each for name, each in named.items()}
        layer, inputs = next(self._rows.module.children()), self._batch.inputs[0]
        outputs: Tensor = vmap(lambda own: functional_call(layer, own, (inputs,)))(named)
        return outputs.mT.contiguous()

    @torch.no_grad()
    def outputs(self, theta: Tensor, length: int) -> Tensor:
        """Give what the models give for the last examples of the current batch without the others, [M, length, C]."""
        return self._outputs(theta, self._batch.runs(length)[-1])[0]

    def value_behind(self, theta: Tensor, shares: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """Give the values at the rows of theta, [M], on the current batch, its first layer being combined from parts.

        Args:
            theta: [M, P].
            shares: How much of each part is what the ``first_layer`` gives at each row, [M, K].
            parts: [K, H, length] each, for one run of the batch's examples after another; no noise.
        """
        runs = zip(parts, self._batch.runs(parts[0].shape[2]), strict=True)
        losses = (self._replay_behind(theta, shares, part, *run)[0] for part, run in runs)
        return sum(losses, self._penalty(theta))

    def hessian_times(self, theta: Tensor, vectors: Tensor) -> Tensor:
        """Multiply the Hessians at the rows of theta, [M, P], with vectors, [K, M, P]."""
        return self._replay_hessian(theta, vectors, *self._batch)[2]

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give what the models give for the current batch, [M, B, C], and its Jacobians by theta, [M, B, C, P]."""
        return derivatives.jacobian(lambda at: self._outputs(at, self._batch)[0], theta, self._rows.is_stackable)

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Hessians [M, P, P]."""
        if self._rows.layout.statistics:
            self.value(theta)  # moves them
        pieces = [self._replay_hessian(theta, units, *self._batch) for units in derivatives.directions(theta)]
        value, gradient, _ = pieces[0]
        return value, gradient, derivatives.stack_columns(columns for _, _, columns in pieces)

    def gauss_newton(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Gauss-Newton matrices [M, P, P]."""
        value, gradient = self.value_and_gradient(theta)
        pieces = [self._replay_gauss_newton(theta, units, *self._batch) for units in derivatives.directions(theta)]
        return value, gradient, derivatives.stack_columns(columns for (columns,) in pieces)

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give A [M, B C + P, P] and b [M, B C + P], float64, with value = |A theta - b|**2."""
        return derivatives.residuals(self._composite(self._batch), theta)

    def _keep(self, results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Put aside the statistics that an evaluation gave last, if there are any and it is the first of the step."""
        if not self._rows.layout.statistics:
            return results
        if self._statistics is None:
            self._statistics = results[-1]
        return results[:-1]

    def _clip(self, gradient: Tensor) -> Tensor:
        """Clip by value, then by norm, each row by itself."""
        if (limit := self._training_h.get("clip_value")) is not None:
            gradient = torch.maximum(torch.minimum(gradient, limit), -limit)
        if (limit := self._training_h.get("clip_norm")) is not None:
            norm = gradient.square().sum(1, keepdim=True).sqrt()
            gradient = gradient * torch.where(norm > limit, limit / norm, 1)
        return gradient

    def _map(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return map_rows(function, self._rows.is_stackable)

    def _composite(self, batch: Batch) -> derivatives.Composite:
        """Take the objective apart into outputs, the slope of the loss by them, and penalty."""

        def slope(outputs: Tensor) -> Tensor:
            def of_row(h: dict[str, Tensor], o: Tensor, y: Tensor) -> Tensor:
                return self._rows.recipe.loss.derivative(o, y, Hyper(h))

            slopes: Tensor = self._map(of_row)(self._loss_h, outputs, batch.targets)
            return slopes * batch.weights.unsqueeze(-1)

        return derivatives.Composite(
            lambda theta: self._outputs(theta, batch)[0], slope, self._penalty, self._rows.is_stackable
        )

    def _outputs(self, theta: Tensor, batch: Batch, hidden: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Give the outputs for the batch, [M, B, C], differentiable, and the model's new statistics, [M, Q], if any.

        Args:
            theta: [M, P].
            batch: The batch.
            hidden: What the first layer gives for it, [M, B, H], where that is known.
        """
        rows, module = self._rows, self._module
        if hidden is not None:
            # Not named_children(), which gives a part that stands twice in the row only once.
            behind = [(name, each) for name, each in rows.module._modules.items() if each is not None][1:]
            module = nn.Sequential(OrderedDict(behind))

        def forward(*given: Any) -> Any:
            outputs, named = self._run_module(module, *given)
            return outputs, [named[name] for name in rows.layout.statistics]  # what the module assigned is put there

        outputs, moved = self._each_row(forward, theta, batch, hidden)
        return outputs, (torch.cat([each.flatten(1) for each in moved], 1).detach(),) if moved else ()

    def _each_row(self, function: Callable[..., Any], theta: Tensor, batch: Batch, hidden: Tensor | None = None) -> Any:
        """Call a function with parameters, inputs (or what the first layer gives), weights and keys of each row."""
        theta, inputs = self._add_noise(theta, batch) if hidden is None else (theta, hidden)
        layout = self._rows.layout
        named = layout.unflatten(theta) | layout.unflatten_statistics(self._rows.statistics) | self._rows.constants
        if hidden is not None:
            named = {name: each for name, each in named.items() if not name.startswith(f"{self.first_layer}.")}
        keys = batch.keys[:, len(OWN_STREAMS) :]
        if self._rows.is_stackable and len(inputs) > 1 and inputs.stride(0) == 0:
            # A batch that all rows share is no axis of the inputs: one product for all rows instead of one for each.
            return vmap(function, in_dims=(0, None, 0, 0))(named, inputs[0], batch.weights, keys)
        return self._map(function)(named, inputs, batch.weights, keys)

    def _run_module(
        self, module: nn.Module, named: dict[str, Tensor], inputs: Tensor, weights: Tensor, keys: Tensor
    ) -> Any:
        """Give the outputs of one row, [B, C], and its named tensors, among them those that the module assigned."""
        named = named | dict.fromkeys(self._weighted, weights) | dict(zip(self._keyed, keys.unbind(0), strict=True))
        return functional_call(module, named, (inputs,)), named

    def _value(self, theta: Tensor, batch: Batch) -> tuple[Tensor, ...]:
        """Give the objectives, [M], differentiable, and the model's new statistics, [M, Q], if any."""
        outputs, moved = self._outputs(theta, batch)
        value = self._mean_loss(outputs, batch)
        return (value if self._rows.recipe.prior is None else value + self._penalty(theta)), *moved

    def _mean_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Give the losses of what the models give, [M, B, C], summed with the examples' weights, [M]."""

        def losses(h: dict[str, Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
            return self._rows.recipe.loss.value(outputs, targets, Hyper(h))

        of_examples: Tensor = self._map(losses)(self._loss_h, outputs, batch.targets)
        return (of_examples * batch.weights).sum(1)

    def _penalty(self, theta: Tensor) -> Tensor:
        """Give minus the log prior of the weights over N, [M]."""
        prior = self._rows.recipe.prior
        if prior is None or self._prior_h is None:
            return theta.new_zeros(len(theta))
        penalty = prior.penalty(theta, self._prior_h) * self._is_weight
        return (penalty.sum(1, keepdim=True) / self._num_train).squeeze(1)

    def _add_noise(self, theta: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give where the risk is evaluated, [M, P], and the inputs, each with its noise."""
        inputs, h = batch.inputs, self._training_h
        if "weight_noise" in h:
            noise = random_normal(batch.keys[:, OWN_STREAMS.index("weights")], theta.shape[1:], theta.dtype)
            theta = theta + noise * self._is_weight * h["weight_noise"]
        if "input_noise" in h:
            noise = random_normal(batch.keys[:, OWN_STREAMS.index("inputs")], inputs.shape[1:], inputs.dtype)
            inputs = inputs + noise * h["input_noise"].view(-1, *[1] * (inputs.dim() - 1))
        return theta, inputs

    def _value_and_branches(self, theta: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        batch, module = Batch(*given), self._module

        def branches_of_model(*row: Any) -> Tensor:
            found = Branches()
            with found:
                outputs, _ = self._run_module(module, *row)
            # Row by row there may be Python branches, too, and as many patterns as there are rows.
            return found.pattern(outputs) if self._rows.is_stackable else found.digest(outputs)

        def branches_of_loss(h: dict[str, Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
            found = Branches()
            with found:
                self._rows.recipe.loss.value(outputs, targets, Hyper(h))
            return found.pattern(outputs)

        outputs, _ = self._outputs(theta, batch)
        of_model = self._each_row(branches_of_model, theta, batch)
        of_loss = self._map(branches_of_loss)(self._loss_h, outputs, batch.targets)
        return self._value(theta, batch)[0], torch.cat([of_model, of_loss], 1)

    def _value_alone(self, theta: Tensor, *batch: Tensor) -> tuple[Tensor, ...]:
        return self._value(theta, Batch(*batch))

    def _loss_behind(self, theta: Tensor, shares: Tensor, part: Tensor, *given: Tensor) -> tuple[Tensor]:
        batch = Batch(*given)
        hidden = (shares @ part.flatten(1)).view(-1, *part.shape[1:])
        return (self._mean_loss(self._outputs(theta, batch, hidden.mT)[0], batch),)

    @torch.enable_grad()
    def _value_and_gradient(self, theta: Tensor, *batch: Tensor) -> tuple[Tensor, ...]:
        theta = theta.detach().requires_grad_()
        value, *moved = self._value(theta, Batch(*batch))
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient, *moved

    def _hessian_times(self, theta: Tensor, vectors: Tensor, *batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return derivatives.hessian_times(
            lambda at: self._value(at, Batch(*batch))[0], theta, vectors, self._rows.is_stackable
        )

    def _gauss_newton_times(self, theta: Tensor, vectors: Tensor, *batch: Tensor) -> tuple[Tensor]:
        return (derivatives.gauss_newton_times(self._composite(Batch(*batch)), theta, vectors),)


def _no_penalty(theta: Tensor, h: Hyper) -> Tensor:
    return torch.zeros_like(theta)
