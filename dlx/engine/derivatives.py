"""Derivatives of M functions at once: along directions, Jacobians, Hessians, Gauss-Newton matrices, residual systems.

Each function takes differentiable callables of theta, [M, P], whose rows do not mix, so that one backward pass gives
the same entry of every row. A matrix is taken column by column: times unit vectors, some in one batched pass.

Source:
    Pearlmutter (1994), "Fast exact multiplication by the Hessian"; Schraudolph (2002), "Fast curvature matrix-vector
    products for second-order gradient descent"; lecture 5.6 and 5.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

COLUMNS = 32
"""Columns of a matrix taken in one backward pass. A constant, so that shapes do not depend on company."""


@dataclass(frozen=True)
class Composite:
    """M objectives of the form  risk(outputs(theta)) + penalty(theta).

    Attributes:
        outputs: theta [M, P] -> what the model gives for the batch, [M, B, C].
        slope: outputs -> the derivative of the risk by them, [M, B, C]; examples do not mix.
        penalty: theta -> [M]; separable in the parameters.
    """

    outputs: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    penalty: Callable[[Tensor], Tensor]


def directions(theta: Tensor) -> Iterator[Tensor]:
    """Give the unit vectors of R^P for every row, [K, M, P] some at a time: a matrix times them is its columns."""
    eye = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device)
    for piece in torch.split(eye, COLUMNS):
        yield piece.unsqueeze(1).expand(-1, *theta.shape)


def stack_columns(columns: Iterable[Tensor]) -> Tensor:
    """Make matrices [M, P, P] of their columns, [K, M, P] some at a time."""
    return torch.cat(list(columns)).transpose(0, 1).contiguous()


def directional(gradients: Tensor, vectors: Tensor) -> Tensor:
    """Give the derivatives of M functions along vectors: how fast each changes where theta moves that way.

    One backward pass is enough for any number of vectors, for the derivative along u is the product of gradient and u.

    Args:
        gradients: [M, P].
        vectors: [K, M, P].

    Returns:
        [K, M].

    Source:
        Lecture 5.4.
    """
    return (vectors * gradients).sum(-1)


@torch.enable_grad()
def jacobian(outputs: Callable[[Tensor], Tensor], theta: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate what M models give for a batch by their parameters; each row is the gradient of one output.

    Args:
        outputs: theta [M, P] -> [M, B, C].
        theta: Where, [M, P].

    Returns:
        Outputs [M, B, C], and Jacobians [M, B, C, P].

    Source:
        Lecture 5.6.
    """
    theta = theta.detach().requires_grad_()
    found = outputs(theta)
    num_rows, batch, width = found.shape
    units = torch.eye(batch * width, dtype=found.dtype, device=found.device).view(-1, 1, batch, width)
    rows = [_pull(found, theta, piece.expand(-1, *found.shape)) for piece in torch.split(units, COLUMNS)]
    return found.detach(), torch.cat(rows).transpose(0, 1).reshape(num_rows, batch, width, -1)


@torch.enable_grad()
def hessian_times(value: Callable[[Tensor], Tensor], theta: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Multiply the Hessians of M functions with vectors.

    Args:
        value: theta [M, P] -> [M].
        theta: Where, [M, P].
        vectors: [K, M, P].

    Returns:
        Values [M], gradients [M, P], products [K, M, P].
    """
    theta = theta.detach().requires_grad_()
    values = value(theta)
    (gradient,) = torch.autograd.grad(values.sum(), theta, create_graph=True)
    return values.detach(), gradient.detach(), _pull(gradient, theta, vectors)


@torch.enable_grad()
def gauss_newton_times(objective: Composite, theta: Tensor, vectors: Tensor) -> Tensor:
    """Multiply  sum_i J_i^T H_i J_i + the Hessian of the penalty  with vectors.

    J_i is the Jacobian of example i's outputs and H_i the Hessian of its (weighted) loss by its outputs: the Hessian
    if the outputs were linear in theta, without negative eigenvalues for a convex loss.

    Args:
        objective: The parts of M objectives.
        theta: Where, [M, P].
        vectors: [K, M, P].

    Returns:
        Products, [K, M, P].
    """
    theta = theta.detach().requires_grad_()
    outputs = objective.outputs(theta)
    pushed = _push(outputs, theta, vectors)
    weighed = (_curvature(objective, outputs) * pushed.unsqueeze(-1)).sum(-2)  # H_i J_i v, [K, M, B, C]
    return _pull(outputs, theta, weighed) + _penalty_curvature(objective, theta) * vectors


@torch.enable_grad()
def residuals(objective: Composite, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Write objectives that are quadratic in theta as  |A theta - b|**2 + constant.

    For a model that is linear in theta, a loss whose Hessian by the outputs is diagonal and constant, and a penalty
    that is a weighted sum of squares.

    Args:
        objective: The parts of M objectives.
        theta: Gives shape, dtype and device, [M, P].

    Returns:
        A, [M, B C + P, P], and b, [M, B C + P], float64.
    """
    origin = torch.zeros_like(theta).requires_grad_()
    outputs = objective.outputs(origin)
    curvature = _curvature(objective, outputs).diagonal(dim1=-2, dim2=-1).double()
    jacobian = torch.cat([_push(outputs, origin, units) for units in directions(origin)]).double()  # [P, M, B, C]
    scale = (curvature / 2).sqrt()
    slope = objective.slope(outputs).detach().double()
    # An example of weight 0 has neither slope nor curvature.
    shift = torch.where(scale > 0, slope / (2 * scale), 0)
    rows = (jacobian * scale).flatten(2).permute(1, 2, 0)
    roots = torch.diag_embed((_penalty_curvature(objective, origin).double() / 2).sqrt())
    b = torch.cat([-shift.flatten(1), torch.zeros_like(theta, dtype=torch.float64)], 1)
    return torch.cat([rows, roots], 1), b


def _curvature(objective: Composite, outputs: Tensor) -> Tensor:
    """Give the Hessian of each example's loss by its outputs, [M, B, C, C]."""
    at = outputs.detach().requires_grad_()
    slope = objective.slope(at)
    if not slope.requires_grad:
        return torch.zeros(*at.shape, at.shape[-1], dtype=at.dtype, device=at.device)
    rows = [_gradient(slope[..., output].sum(), at) for output in range(at.shape[-1])]
    return torch.stack(rows, -2)


def _penalty_curvature(objective: Composite, theta: Tensor) -> Tensor:
    """Give the second derivative of the penalty by each parameter, [M, P]."""
    penalty = objective.penalty(theta)
    if not penalty.requires_grad:
        return torch.zeros_like(theta)
    (slope,) = torch.autograd.grad(penalty.sum(), theta, create_graph=True)
    return _gradient(slope.sum(), theta) if slope.requires_grad else torch.zeros_like(theta)


def _push(outputs: Tensor, theta: Tensor, vectors: Tensor) -> Tensor:
    """Give J v of vectors [K, M, P], [K, M, B, C].

    The pulled-back vector J^T u is linear in u, so its derivative by u in the direction v is J v: two reverse passes,
    where forward mode would need a rule for each operation of a module.
    """
    u = torch.zeros_like(outputs).requires_grad_()
    (pulled,) = torch.autograd.grad(outputs, theta, u, create_graph=True)
    return _pull(pulled, u, vectors)


def _pull(outputs: Tensor, inputs: Tensor, vectors: Tensor) -> Tensor:
    """Give the derivative by ``inputs`` of the outputs along each of K vectors, [K, *inputs.shape]."""
    if not outputs.requires_grad:
        return torch.zeros(len(vectors), *inputs.shape, dtype=inputs.dtype, device=inputs.device)

    def pull(vector: Tensor) -> Tensor:
        (pulled,) = torch.autograd.grad(outputs, inputs, vector, retain_graph=True, materialize_grads=True)
        return pulled

    # Not is_grads_batched=True, which is this and an import of two seconds.
    return vmap(pull)(vectors).detach()


def _gradient(scalar: Tensor, inputs: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(scalar, inputs, retain_graph=True, materialize_grads=True)
    return gradient.detach()
