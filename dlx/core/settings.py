"""Settings that a config holds and that data or engine read: no definitions, only numbers and switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

Scale = Literal["standard", "minmax", "none"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NumSeeds = Annotated[PositiveInt, Field(le=100_000)]
Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1)]
"""A number n of seeds stands for 0 to n - 1, a list for itself."""
Fraction = Annotated[float, Field(ge=0, lt=1)]


class TunableMarker:
    """Marks a field whose value may differ between the members of one population."""


T = TypeVar("T")
Tunable = Annotated[T, TunableMarker()]


def tunable_names(section: type[BaseModel]) -> tuple[str, ...]:
    """Name the fields that may differ between members, in the order of their declaration."""
    marked = (
        (name, any(isinstance(mark, TunableMarker) for mark in field.metadata))
        for name, field in section.model_fields.items()
    )
    return tuple(name for name, tunable in marked if tunable)


class Settings(BaseModel):
    """Base of a section: unknown keys and wrong types are errors, and values do not change.

    Attributes:
        noted: Whether the rules of ``config/check.py`` know its keys by their names alone. Only the top level and
            ``training`` are such: keys of other sections (``cv.seeds``, ``curvature.batch_size``) may have the same.
    """

    noted: ClassVar[bool] = False
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,  # so that `_note` sees defaults, too
    )

    @field_validator("*")
    @classmethod
    def _note(cls, value: Any, info: ValidationInfo) -> Any:
        """Leave what could be read in the context, also where another key has a fault: it can still be checked."""
        if info.context is not None and cls.noted:
            info.context[info.field_name] = value
        return value


class PluginRecord(Settings):
    """A plugin that was loaded, as a resolved config records it: it is loaded again only if `--plugin` names it anew,
    with the same content.
    """  # noqa: D205 - the schema shows the whole as one description

    path: str
    """Its file."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the file's content, 64 hexadecimal digits."""


class Split(Settings):
    """Which examples are for training, validation and test.

    Without folds, ``test`` and ``valid`` are fractions of all examples. With ``folds`` or ``fold_column``, the fold
    numbered ``fold`` is the test part, and ``valid`` is a fraction of the rest. With ``groups`` they are fractions of
    the groups.
    """

    valid: Fraction = 0.2
    """Fraction of the examples for validation, with `groups` of the groups; 0 leaves the part out."""
    test: Fraction | None = None
    """Fraction of the examples (with `groups` of the groups) for test; null is 0.2, or with folds the held-out fold."""
    seed: NonNegativeInt | None = 0
    """Seed of the split, whatever the seed of the training; null draws a new split for each seed."""
    stratify: bool | None = None
    """Keep the class proportions in every part; null does so where the targets are classes."""
    folds: Annotated[int, Field(ge=2)] | Literal["leave_one_out"] | None = None
    """Number of folds of a cross-validation split; leave_one_out makes each example a fold."""
    fold: NonNegativeInt = 0
    """Which fold is held out, counted from 0."""
    repeat: NonNegativeInt = 0
    """Which repetition of the folds, each shuffled anew."""
    outer_fold: NonNegativeInt | None = None
    """Nested cross-validation: the fold that is set aside, in no part; the rest is cut into as many folds again."""
    fold_column: str | None = None
    """Column whose distinct values, sorted, are the folds; instead of `folds`."""
    groups: str | None = None
    """Column that says which examples belong together: examples of equal value are never in two parts."""
    time_series: bool = False
    """Examples are in the order of time: train comes before valid, valid before test; what is later is in no part."""

    @property
    def has_folds(self) -> bool:
        """Whether the test part is a fold, not a fraction."""
        return self.folds is not None or self.fold_column is not None

    @model_validator(mode="after")
    def _fill_test(self) -> Self:
        if not self.has_folds and self.test is None:
            object.__setattr__(self, "test", 0.2)
        return self


class EarlyStopping(Settings):
    """When a member stops before the last epoch, judged by its validation loss."""

    patience: PositiveInt = 5
    """Epochs without an improvement before a member stops."""
    min_delta: NonNegativeFloat = 0.0
    """How much lower the validation loss must be to count as an improvement."""


class Training(Settings):
    """How long, in what portions, and with what done to inputs, weights and gradients on the way."""

    noted: ClassVar[bool] = True
    epochs: PositiveInt = 30
    """Passes over the training examples."""
    batch_size: PositiveInt | Literal["full"] = 64
    """Examples per step; a short last batch is padded with examples of weight 0. `full` is the whole training part."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """When to stop early; null switches it off."""
    clip_value: Tunable[PositiveFloat | None] = None
    """Largest size of an entry of a member's gradient; larger ones are cut off. null switches it off."""
    clip_norm: Tunable[PositiveFloat | None] = None
    """Largest norm of a member's gradient, after `clip_value`; a longer one is shortened. null switches it off."""
    input_noise: Tunable[NonNegativeFloat] = 0.0
    """Standard deviation of Gaussian noise on the scaled inputs of each step."""
    weight_noise: Tunable[NonNegativeFloat] = 0.0
    """Standard deviation of Gaussian noise on the weights (not the biases) at which each step's gradient is taken."""

    def tunables(self) -> dict[str, float]:
        """Give the value of every tunable setting that is switched on."""
        values = {name: getattr(self, name) for name in tunable_names(Training)}
        return {name: float(value) for name, value in values.items() if value}

    def structure(self) -> dict[str, Any]:
        """Give what all members of a population must share: the other settings, and what is switched on."""
        return {**self.model_dump(mode="json", exclude=set(tunable_names(Training))), "on": sorted(self.tunables())}

    def examples_per_step(self, num_train: int) -> int:
        """Give the size of a batch, B, of a plan with so many training examples."""
        return num_train if self.batch_size == "full" else self.batch_size


class CrossValidation(Settings):
    """How often and on which examples each setting of a search is trained and judged; the folds are cut as
    `data.split` says, whose `test` does not count: every example is held out once.
    """  # noqa: D205 - the schema shows the whole as one description

    folds: Annotated[int, Field(ge=2)] | Literal["leave_one_out"] = 5
    """Number of folds; `leave_one_out` holds out every example alone, and measures all of them together."""
    repeats: PositiveInt = 1
    """How often the folds are cut anew."""
    seeds: NumSeeds | Seeds = 1
    """Seeds of initial weights and of the order of examples in every fold: a number n stands for 0 to n-1, a list for
    itself. With several, the variation between folds and between seeds are told apart."""
    nested: bool = False
    """Estimate how well the whole procedure, search and choice included, generalises: it is repeated within each of
    as many outer folds, whose examples take no part in it."""
    score: str | None = None
    """What decides: the name of a metric, or `loss`; null is the first of `metrics`, or the loss without any."""
    select: Literal["best", "one_se"] = "one_se"
    """Which setting is chosen: the one of the best mean score, or the simplest within one standard error of it."""
    refit: bool = True
    """Train the chosen setting on all examples, for the median of its best epochs."""

    @property
    def seed_list(self) -> Sequence[int]:
        """The seeds, one by one."""
        return range(self.seeds) if isinstance(self.seeds, int) else self.seeds


class GradCheck(Settings):
    """Where `dlx gradcheck` compares gradients."""

    batch_size: PositiveInt = 8
    """Training examples of the batch: few of them have few kinks."""
    burn_in: NonNegativeInt = 20
    """Steps down the gradient before the check, each by a hundredth of the length of the parameters: initial values,
    such as biases of 0, may be special. The weights of a run are checked as they are."""


class Range(Settings):
    """The numbers from `low` to `high`, whole ones where both are written without a point."""

    low: int | float
    """Lowest value."""
    high: int | float
    """Highest value."""
    log: bool = False
    """Whether values are spread evenly in their logarithm."""
    num: Annotated[int, Field(ge=2, le=1000)] | None = None
    """How many values a grid takes, both ends among them; null is three per decade where `log`, and five elsewhere."""


Choices = Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]


class Search(Settings):
    """Which settings are tried."""

    space: dict[str, Choices | Range] = {}
    """What varies: a key of the config such as `optimizer.lr`, or a whole section, and a list of values or a range."""
    method: Literal["grid", "random", "sobol", "tpe", "cma_es", "gp", "genetic"] = "grid"
    """How settings are drawn: every combination; at random; evenly (scrambled Sobol points); or guided by the scores
    so far: tree-structured Parzen estimator, CMA-ES, Gaussian process, genetic (crossover and mutation)."""
    trials: PositiveInt | None = None
    """Number of settings in total; null is all of a grid, and 20 elsewhere."""
    batch: PositiveInt | None = None
    """Settings drawn at once by a method that is guided by scores; null is what one population holds, 10 at most."""
    budget: Literal["full", "halving", "hyperband"] = "full"
    """Whether every setting trains for all epochs, or the worse ones are dropped on the way: by successive halving, or
    by Hyperband, which runs it from several first budgets."""
    factor: Annotated[int, Field(ge=2)] = 3
    """Of how many settings one goes on, and by how much the epochs grow, at each rung of halving and Hyperband."""
    min_epochs: PositiveInt | None = None
    """Epochs of the first rung; null is `training.epochs` / `factor` ** 2, at least 1."""
    simpler: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """What makes a setting simpler, most important first: keys of the space, a smaller value being simpler, with a `-`
    before it a larger one. null is fewer parameters, then a larger precision of the prior."""
    seed: Seed = 0
    """Seed of what is drawn."""


class Curvature(Settings):
    """What `dlx curvature` looks at, and how closely."""

    batch_size: PositiveInt | None = None
    """Training examples whose error is looked at, drawn at random; null is the whole training part."""
    directions: Annotated[int, Field(ge=2, le=100_000)] = 100
    """Random directions along which slope and curvature are taken."""
    dense: Annotated[int, Field(ge=0, le=20_000)] = 2000
    """Parameters up to which the whole Hessian is built; beyond, its extreme eigenvalues are found by Lanczos's
    method."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Lanczos's method stops when both extreme eigenvalues are known to this share of their size."""
    max_steps: Annotated[int, Field(ge=2, le=10_000)] = 100
    """Products with the Hessian that Lanczos's method takes at most; it keeps as many vectors of all parameters."""
    seed: Seed = 0
    """Seed of random directions and starts."""


class SurfaceLandscape(Settings):
    """Where `dlx landscape` looks at an analytic surface: on its box."""

    points: Annotated[int, Field(ge=3, le=1001)] = 51
    """Points along each axis; an odd number, so that the middle is one of them."""

    @field_validator("points")
    @classmethod
    def _is_odd(cls, points: int) -> int:
        if points % 2 == 0:
            raise ValueError(f"`points` must be odd, so that the middle is one of them, found {points}")
        return points


class SurfaceComparison(Settings):
    """How many races `dlx compare-optimizers` holds on an analytic surface."""

    starts: Annotated[int, Field(ge=0, le=10_000)] = 50
    """Random starts in the box of the surface, beside the usual one."""
    rates: Annotated[int, Field(ge=0, le=1000)] = 31
    """Learning rates that every rule which has one is tried at, from all starts; 0 leaves that out."""
    seed: Seed = 0
    """Seed of the random starts."""


class Landscape(SurfaceLandscape):
    """Where `dlx landscape` looks at the error of a model: on a plane through its weights."""

    radius: PositiveFloat | None = None
    """How far the plane goes. Along random directions: from the weights to each side, 1 being where every row of
    weights has been added a random one of its norm; null is 1. With `through`: beyond the outermost of the weights, as
    a share of the longest distance between them; null is 0.25."""
    seed: Seed = 0
    """Seed of random directions."""
    through: Annotated[tuple[str, ...], Field(strict=False, max_length=2)] = ()
    """Other weights of the same model that the plane goes through, in place of random directions: run directories or
    files of weights; with one it is a line. Relative to the config file, or else to the working directory."""
    part: Literal["train", "valid"] = "train"
    """Examples whose error is looked at. The test part is read by nothing but the end of a training."""
