"""Settings that a config holds and that data or engine read: no definitions, only numbers and switches."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

Scale = Literal["standard", "minmax", "none"]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Settings(BaseModel):
    """Base of a section: unknown keys and wrong types are errors, and values do not change."""

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
        if info.context is not None:
            info.context[info.field_name] = value
        return value


class Split(Settings):
    """Which examples are for training, validation and test.

    Without ``folds``, ``test`` and ``valid`` are fractions of all examples. With ``folds``, the fold numbered ``fold``
    is the test part, and ``valid`` is a fraction of the rest.
    """

    valid: Fraction = 0.2
    """Fraction of the examples for validation; 0 leaves the part out."""
    test: Fraction | None = None
    """Fraction of the examples for test; null is 0.2, or with `folds` the held-out fold."""
    seed: NonNegativeInt | None = 0
    """Seed of the split, whatever the seed of the training; null draws a new split for each seed."""
    stratify: bool | None = None
    """Keep the class proportions in every part; null does so where the targets are classes."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Number of folds of a cross-validation split."""
    fold: NonNegativeInt = 0
    """Which fold is held out, counted from 0."""
    repeat: NonNegativeInt = 0
    """Which repetition of the folds, each shuffled anew."""

    @model_validator(mode="after")
    def _fill_test(self) -> Self:
        if self.folds is None and self.test is None:
            object.__setattr__(self, "test", 0.2)
        return self


class EarlyStopping(Settings):
    """When a member stops before the last epoch, judged by its validation loss."""

    patience: PositiveInt = 5
    """Epochs without an improvement before a member stops."""
    min_delta: NonNegativeFloat = 0.0
    """How much lower the validation loss must be to count as an improvement."""


class Training(Settings):
    """How long and in what portions."""

    epochs: PositiveInt = 30
    """Passes over the training examples."""
    batch_size: PositiveInt = 64
    """Examples per step; a short last batch is padded with examples of weight 0."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """When to stop early; null switches it off."""
