"""What must be positive, a rate or a precision, from an output that may be anything: exp, continued where it is huge.

exp overflows float32 at 89, and one wild output would end a training. From LIMIT on the function goes on along its
tangent:

    k(z) = exp(z) for z <= LIMIT, else exp(LIMIT) (1 + z - LIMIT)

It still increases, its log is exact, and its slope never vanishes, so a model finds its way back. A distribution that
is given by k(z) is that of k(z) everywhere, constants included, so its likelihood is one.
"""

import torch
from torch import Tensor

LIMIT = 20.0
"""Where exp becomes straight; exp(20) = 5e8."""


def exponential(z: Tensor) -> tuple[Tensor, Tensor]:
    """Give k(z) > 0 and log k(z), each of the shape of ``z``."""
    below, beyond = _cut(z)
    return torch.exp(below) * (1 + beyond), below + torch.log1p(beyond)


def exponential_slopes(z: Tensor) -> tuple[Tensor, Tensor]:
    """Give the derivatives of k(z) and of log k(z), each of the shape of ``z``."""
    below, beyond = _cut(z)
    return torch.exp(below), 1 / (1 + beyond)


def _cut(z: Tensor) -> tuple[Tensor, Tensor]:
    """Give min(z, LIMIT) and max(z - LIMIT, 0); at LIMIT the slope is the first one's alone, which clamp leaves out."""
    return torch.where(z > LIMIT, LIMIT, z), torch.relu(z - LIMIT)
