"""Base classes of everything a config can name. One definition is one pydantic class in one file.

Its fields are its YAML keys; its methods are its mathematics; nothing else knows it. A field marked ``Tunable`` is a
number that may differ between the members of a population: the engine stacks it and hands it to the methods in ``h``.
Every other field is structure: members of equal structure train together, others in another population. A tunable that
may be null is structure where it is null: with a number and without are two computations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from dlx.core.settings import Scale, Split, Tunable, tunable_names
from dlx.core.types import Examples, Hyper, Scored, Searched, Spec, State, Sums, Task, Watch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Tunable"]  # named here for those who write definitions


class Definition(BaseModel, ABC):
    """What a config can name. Subclasses give ``name`` a ``Literal`` default: the word used in YAML.

    Attributes:
        package: Package whose modules hold the built-in definitions of this family.
        family: What the family is called in messages.
        elsewhere: Where to find what is no definition of the family but looked for there, by its name.
        exact: Whether the definition keeps company invariance to the last bit.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
    package: ClassVar[str]
    family: ClassVar[str]
    elsewhere: ClassVar[Mapping[str, str]] = {}
    exact: ClassVar[bool] = True

    name: str

    @classmethod
    def tunable_names(cls) -> tuple[str, ...]:
        """Name the fields that may differ between members, in the order of their declaration."""
        return tunable_names(cls)

    def tunables(self) -> dict[str, float]:
        """Give the value of every tunable field that is not null."""
        values = {name: getattr(self, name) for name in self.tunable_names()}
        return {name: float(value) for name, value in values.items() if value is not None}

    @classmethod
    def more_keys(cls, values: Mapping[str, Any]) -> list[str]:
        """Name the keys that are valid beside the fields, given the values that are there."""
        return []

    @classmethod
    def example(cls) -> Self:
        """Build it with its defaults; a field that has none says what stands for it (``Field(examples=[...])``)."""
        required = {name: field for name, field in cls.model_fields.items() if field.is_required()}
        return cls.model_validate({name: (field.examples or [None])[0] for name, field in required.items()})

    def structure(self) -> dict[str, Any]:
        """Give every field that all members of a population must share."""
        return self.model_dump(mode="json", exclude=set(self.tunables()))


class Dataset(Definition):
    """A source of examples, with the settings of its split and scale."""

    package: ClassVar[str] = "dlx.datasets"
    family: ClassVar[str] = "data set"

    scale: Scale = "standard"
    """How inputs are scaled, fitted on the training examples."""
    target_scale: Scale = "standard"
    """How regression targets are scaled, fitted on the training examples. Classes are never scaled."""
    split: Split = Split()
    """Which examples are for training, validation and test."""

    @abstractmethod
    def load(self) -> Examples:
        """Read or make the examples.

        Raises:
            DataError: If they cannot be read or used.
        """


class Model(Definition):
    """A function from inputs and parameters to outputs."""

    package: ClassVar[str] = "dlx.models"
    family: ClassVar[str] = "model"

    @property
    def needs_batches(self) -> bool:
        """Whether a step needs two examples or more."""
        return False

    @abstractmethod
    def build(self, spec: Spec) -> torch.nn.Module:
        """Build an ordinary module for one member, [B, *input_shape] -> [B, num_outputs].

        Initial weights are drawn from torch's global generator, which the engine seeds for each member. The module is
        in training mode at the steps and in evaluation mode where it is scored. What it keeps beside its parameters is
        in buffers:

        - persistent ones are statistics that training moves (running means): each member has its own, and a forward
          pass in training mode *assigns* the new value;
        - others are constants that may differ between members (a rate of dropout);
        - the engine fills those named ``key`` (int32, 32 random bits for this module at this step, for
          ``core/noise.py``) and ``example_weights`` ([B], the weights of the batch's examples, 0 for padding).

        The module runs under vmap, all members at once; what vmap refuses (a Python branch on values, an
        autograd.Function in the old style) is computed member by member. At a step it must not draw from torch's
        generator, as ``nn.Dropout`` does: whoever else trains would change what it draws.
        """


class Activation(Definition):
    """An elementwise function between two layers, with the derivative that backprop by hand uses."""

    package: ClassVar[str] = "dlx.models"
    family: ClassVar[str] = "activation"

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """Apply the function to each element of ``x``, any shape."""

    @abstractmethod
    def derivative(self, x: Tensor) -> Tensor:
        """Give the derivative at each element of ``x``; at a kink, the value that autograd uses."""


class Loss(Definition):
    """A loss per example: the negative log-likelihood of a named distribution.

    Methods are written for one member; the engine runs them under vmap, weights and averages. ``h`` holds the tunables,
    scalars, and what ``fit`` gives.

    Attributes:
        distribution: The distribution of the targets given the outputs.
        task: The kind of target the loss fits.
        raw_targets: Whether the distribution is one of the targets as they are: scaled, they would not be its values.
        is_nonnegative: Whether 0 is the lowest value; the negative logarithm of a density may be below.
    """

    package: ClassVar[str] = "dlx.losses"
    family: ClassVar[str] = "loss"
    distribution: ClassVar[str]
    task: ClassVar[Task]
    raw_targets: ClassVar[bool] = False
    is_nonnegative: ClassVar[bool] = True

    def mismatch(self, examples: Examples) -> str | None:
        """Say in a sentence why the loss does not fit these examples, or give None if it does."""
        if examples.task == self.task:
            return None
        return f"`{self.name}` is a loss for {self.task}, but these data are for {examples.task}"

    def remark(self) -> str | None:
        """Say in a sentence how the loss differs from the negative log-likelihood, if that misleads; None if not."""
        return None

    def fit(self, targets: Tensor, num_outputs: int) -> dict[str, Tensor]:
        """Find what the loss takes from a member's training targets (unscaled): more entries of its ``h``, by name."""
        return {}

    def settings(self, targets: Tensor, num_outputs: int) -> Hyper:
        """Give ``h`` of a member with these training targets, in float64."""
        import torch

        tunables = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.tunables().items()}
        return Hyper({**tunables, **self.fit(targets, num_outputs)})

    @abstractmethod
    def num_outputs(self, num_targets: int) -> int:
        """Give the number of model outputs for a number of classes or of target columns."""

    @abstractmethod
    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the loss of each example, [B], never reduced; outputs are [B, C], targets [B] or [B, C]."""

    @abstractmethod
    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the derivative of each example's loss by its outputs, [B, C]."""

    @abstractmethod
    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the whole negative log-likelihood of each example, constants included, [B], in nats."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Apply the link: class probabilities [B, C] that sum to 1, or values [B, C]."""


class Prior(Definition):
    """A prior on the weights (not the biases): what turns maximum likelihood into maximum a posteriori."""

    package: ClassVar[str] = "dlx.priors"
    family: ClassVar[str] = "prior"

    @abstractmethod
    def penalty(self, theta: Tensor, h: Hyper) -> Tensor:
        """Give minus the log density of each parameter, less its constant, [M, P]; ``h`` holds [M, 1]."""

    @abstractmethod
    def derivative(self, theta: Tensor, h: Hyper) -> Tensor:
        """Give the derivative of each penalty by its parameter, [M, P]; at a kink, the value that autograd uses."""


class Objective(Protocol):
    """M functions R^P -> R, evaluated at the rows of theta. Rows do not mix.

    Within a step every evaluation is of the same functions: the same batch, the same noise.
    """

    @property
    def keys(self) -> Tensor:
        """The key of each row's own noise at this step, int32 [M] (``core/noise.py``), for rules that draw."""

    def value(self, theta: Tensor) -> Tensor:
        """Give the values, [M]."""

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give the values [M] and the gradients [M, P]."""

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Hessians [M, P, P]."""

    def gauss_newton(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Gauss-Newton matrices [M, P, P].

        That is the Hessian if the outputs were linear in theta: sum_i w_i J_i^T H_i J_i plus the Hessian of the
        penalty, with J_i the Jacobian of example i's outputs and H_i the Hessian of its loss by its outputs.
        """

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give A [M, R, P] and b [M, R], in float64, with value = |A theta - b|**2.

        Only where the model is linear in theta, the loss is mse and the prior is Gaussian or none.
        """


class Optimizer(Definition):
    """An update rule on the matrix theta, [M, P].

    Attributes:
        needs_outputs: Whether a step asks for what only a model with data has: Gauss-Newton matrices or residuals.
        search_space: What ``dlx compare-optimizers`` tunes; nothing where there is nothing to be tuned.
    """

    package: ClassVar[str] = "dlx.optimizers"
    family: ClassVar[str] = "optimizer"
    needs_outputs: ClassVar[bool] = False
    search_space: ClassVar[tuple[Searched, ...]] = ()

    @abstractmethod
    def init(self, theta: Tensor) -> State:
        """Build the state before the first step: named tensors [M, ...]."""

    @abstractmethod
    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Update theta and state in place; give the objective [M] before the update."""

    def mismatch(self, model: Model, loss: Loss, prior: Prior | None, num_steps: int | None) -> str | None:
        """Say in a sentence why the rule cannot train this, or give None if it can.

        Args:
            model: What is trained.
            loss: What is lowered.
            prior: The prior on the weights, or None.
            num_steps: Steps of an epoch; None where the data are not known yet.
        """
        return None

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Give what is worth knowing about the steps so far, by name, [M] each; asked for after an epoch."""
        return {}

    def is_solved(self, diagnostics: Mapping[str, float]) -> bool:
        """Tell from the diagnostics of one member whether further steps would only repeat the last."""
        return False

    def remark(self, diagnostics: Mapping[str, float]) -> str | None:
        """Say in a clause, without a final stop, what the diagnostics of one member tell; None if they tell nothing."""
        return None

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count the numbers that a step holds for each member beside some rows of P.

        Args:
            num_parameters: P.
            num_residuals: Outputs of a whole batch, B C.
        """
        return 0


class FirstOrder(Optimizer):
    """A rule that needs one gradient per step. ``h`` holds [M, 1]; ``h.lr`` has the schedule applied."""

    search_space: ClassVar[tuple[Searched, ...]] = (Searched("lr", 1e-5, 1e1),)

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Ask for the gradient at ``point`` and apply ``update``; give the objective there, [M]."""
        value, gradient = objective.value_and_gradient(self.point(theta, state, h))
        self.update(theta, gradient, state, h)
        return value

    def point(self, theta: Tensor, state: State, h: Hyper) -> Tensor:
        """Give where the gradient is taken, [M, P]: at theta, unless the rule looks ahead. Nothing is changed."""
        return theta

    @abstractmethod
    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Update theta and state in place; the gradient, [M, P], may be overwritten."""


class Schedule(Definition):
    """The learning rate as a function of the step: a warm-up, if there is one, then the schedule's own shape.

    A schedule may also look at the validation losses: what ``watch`` makes of them is one more factor.

    Attributes:
        reads_history: Whether it does.
    """

    package: ClassVar[str] = "dlx.schedules"
    family: ClassVar[str] = "schedule"
    reads_history: ClassVar[bool] = False

    warmup: NonNegativeInt = 0
    """Steps over which the learning rate rises evenly from lr / warmup to lr before the schedule begins."""

    def factor(self, steps: Tensor, h: Hyper) -> Tensor | None:
        """Give what the learning rate is multiplied with, [..., M, 1], or None for 1 at every step.

        Args:
            steps: Number of steps each member has taken, [..., M, 1], float64; 0 at the first.
            h: Tunables, [M, 1].

        Source:
            The warm-up is that of Goyal et al. (2017), "Accurate, large minibatch SGD", section 2.2.
        """
        if not self.warmup:
            return self.shape(steps, h)
        rise = ((steps + 1) / self.warmup).clamp(max=1)
        shape = self.shape((steps - self.warmup).clamp(min=0), h)
        return rise if shape is None else rise * shape

    @abstractmethod
    def shape(self, steps: Tensor, h: Hyper) -> Tensor | None:
        """Give the factor without warm-up, 1 at step 0, or None for 1 at every step; as ``factor``."""

    def watch(self, before: Watch, loss: float) -> Watch:
        """Take in the validation loss of one member's epoch, a finite number."""
        return before


class Metric(Definition):
    """Sums over examples and a closing formula, so that any cut of the data gives the same number.

    Attributes:
        tasks: The kinds of target the metric fits.
        higher_is_better: Which way is better.
        gathers: Whether the "sums" of batches are laid end to end instead of added, [B, ...] each, for a metric that
            needs all outputs at once.
    """

    package: ClassVar[str] = "dlx.metrics"
    family: ClassVar[str] = "metric"
    elsewhere: ClassVar[Mapping[str, str]] = {
        "confusion_matrix": "leave it out: a metric is one number, and every training on classes has the confusion "
        "matrix in report.md, figures/confusion.png and learned.json"
    }
    tasks: ClassVar[tuple[Task, ...]]
    higher_is_better: ClassVar[bool]
    gathers: ClassVar[bool] = False

    def mismatch(self, examples: Examples) -> str | None:
        """Say in a sentence why the metric tells nothing about these examples, of its task; None if it does."""
        return None

    @abstractmethod
    def update(self, batch: Scored) -> Sums:
        """Give the sums of one batch of one member; an example of weight 0 must not count."""

    @abstractmethod
    def compute(self, sums: Sums) -> Tensor:
        """Turn the sums over all batches into the metric, a scalar; what was gathered has padding of weight 0."""
