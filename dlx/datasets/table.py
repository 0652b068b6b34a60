"""What tables of a user's own have in common: which columns are inputs and targets, and how they become numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveInt

from dlx.core.definition import Dataset
from dlx.core.settings import FilePath
from dlx.core.types import Column, Examples, Task
from dlx.datasets import guess, remarks
from dlx.datasets.encoding import encode, fitted_column
from dlx.datasets.sheet import Sheet, first, shown

Names = Annotated[tuple[str, ...], Field(strict=False)]


class Table(Dataset):
    """A table: one row an example, its columns inputs, targets or left out."""

    path: FilePath = Field(examples=["houses.csv"])
    """The file; relative to the config."""
    target: str | Annotated[Names, Field(min_length=1)] = Field(examples=["price"])
    """The column that is predicted, or a list of columns of numbers."""
    features: Annotated[Names, Field(min_length=1)] | None = None
    """Columns that are inputs; null is all but the target, those of `ignore` and those that the split names."""
    ignore: Names = ()
    """Columns that are left out."""
    task: Task | None = None
    """Whether the target is a class or a value; null guesses: texts and few different whole numbers are classes."""
    categorical: Names = ()
    """Columns that are texts, even if they look like numbers (postal codes)."""
    max_categories: Annotated[PositiveInt, Field(le=10_000)] = 50
    """Different texts that an input may have, each of which becomes a feature; more are refused."""
    unseen: Literal["error", "ignore"] = "error"
    """A text that the table has not, in one that is predicted later: refused, or none of the known ones."""
    missing: Literal["refuse", "impute"] = "refuse"
    """A missing input: refused; or filled with the mean of the training part of the fold, while a feature more says
    that it was missing. A missing text is a category of its own."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target columns."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @abstractmethod
    def read(self) -> Sheet:
        """Read the file.

        Raises:
            DataError: If it cannot be read as a table.
        """

    def load(self) -> Examples:
        """Read inputs [N, D] and targets, [N] classes or [N, C] values.

        Raises:
            DataError: If the file cannot be read, or does not hold what the settings say.
        """
        sheet = self.read()
        for key in ("target", "features", "ignore", "categorical"):
            names = self.targets if key == "target" else getattr(self, key) or ()
            sheet.require(names, key)
        targets, task, target_names, notes = self.load_targets(sheet)
        kept = {name: sheet.frame[name].to_numpy() for name in self._split_columns(sheet)}
        features = self._feature_names(sheet)
        table, inputs, more = self._load_inputs(sheet, features)
        names = tuple(name for column in table for name in column.feature_names)
        if len(set(names)) < len(names):
            twice = next(name for number, name in enumerate(names) if name in names[:number])
            raise sheet.fault(f"two features would have the name `{shown(twice)}`; rename a column")
        return Examples(inputs, targets, task, names, target_names, kept, table, (*notes, *more))

    def _load_inputs(self, sheet: Sheet, features: Sequence[str]) -> tuple[tuple[Column, ...], Any, list[str]]:
        """Learn how each column becomes features, then turn all into a matrix; also what is to be said of them."""
        table: list[Column] = []
        notes: list[str] = []
        for name in features:
            series = sheet.column(name, name in self.categorical)
            table.append(fitted_column(sheet, series, self.max_categories, self.missing == "impute"))
            notes += remarks.of_column(series)
        return tuple(table), encode(sheet, table, self.unseen), notes

    def _split_columns(self, sheet: Sheet) -> list[str]:
        """Name the columns that the split reads, as far as there are such."""
        named = (self.split.groups, self.split.fold_column)
        return list(dict.fromkeys(name for name in named if name in sheet.frame.columns and name is not None))

    def _feature_names(self, sheet: Sheet) -> list[str]:
        """Name the columns that are inputs."""
        if self.features is not None:
            if both := [name for name in self.features if name in (*self.targets, *self.ignore)]:
                raise sheet.fault("this column cannot be an input and also the target or left out", both[0])
            return list(dict.fromkeys(self.features))
        others = {*self.targets, *self.ignore, *self._split_columns(sheet)}
        if not (names := [name for name in sheet.frame.columns if name not in others]):
            raise sheet.fault("no column is left as an input; the table needs one beside the target")
        return names

    def load_targets(self, sheet: Sheet) -> tuple[Any, Task, tuple[str, ...], list[str]]:
        """Give the targets, what they are, the names of classes or columns, and what is to be said of them."""
        columns = []
        for name in self.targets:
            if name in self.ignore:
                raise sheet.fault("this column cannot be the target and also be left out (data.ignore)", name)
            series = sheet.column(name, name in self.categorical)
            if (index := first(series.is_null())) is not None:
                lacking = f"{series.null_count()} of {len(series)} rows have none"
                raise sheet.fault(f"the target has no value; {lacking}: fill them in or delete them", name, index)
            columns.append(series)
        task = self.task or ("regression" if isinstance(self.target, tuple) else guess.task_of(columns[0]))
        reason = [] if self.task or isinstance(self.target, tuple) else [guess.reason(columns[0], task)]
        if task == "classification":
            if len(columns) > 1:
                raise sheet.fault("a list of targets is for values, but data.task is classification; name one column")
            classes, names = guess.classes_of(sheet, columns[0])
            return classes, task, names, reason
        for series in columns:
            if not series.dtype.is_numeric():
                raise sheet.fault(
                    f"expected a number, found the text `{shown(series[0])}`; for classes set data.task=classification",
                    series.name,
                    0,
                )
        return np.column_stack([series.to_numpy() for series in columns]), task, self.targets, reason
