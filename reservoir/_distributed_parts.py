"""What a distributed fit makes of one part: reading it, its factor and its leave-one-out errors."""

from __future__ import annotations

import copy
import importlib.util
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from ._distributed_run import task
from ._features import FitData
from ._sequences import SequenceLayout, _layout_of

__all__ = [
    "MissingReader",
    "Part",
    "Probed",
    "Solved",
    "Summary",
    "absorb",
    "add",
    "check_parts",
    "merge",
    "penalties",
    "probe",
    "solve",
    "squares",
]


Basis = tuple[Any, Any, Any]  # system, spectrum and candidates for the penalty


class MissingReader(ImportError):
    """No library that reads Parquet files."""


@dataclass(frozen=True)
class Part:
    """A part and how it is read; `seed` is that of the noise of its rows, if there is any."""

    number: int
    source: Any
    target: Any
    series: Any
    seed: int = 0

    @property
    def name(self) -> str:
        where = f" ({os.fspath(self.source)})" if _is_path(self.source) else ""
        return f"Part {self.number}{where}"

    def read(self) -> tuple | None:
        """X, y and series labels, or None if there is no row."""
        data = self.source() if callable(self.source) else self.source
        if _is_path(data):
            data = _read_parquet(data)
        if hasattr(data, "__dask_graph__"):
            from dask.local import get_sync

            data = data.compute(scheduler=get_sync)
        _check_source(data, self.target, self.series, self.number)
        if isinstance(data, tuple):
            X, y = data
            return None if _is_empty(X) else (X, y, None)
        if not len(data):
            return None
        groups = None if self.series is None else data[self.series].to_numpy()
        left = _names(self.target) if self.series is None else [*_names(self.target), self.series]
        return data.drop(columns=left), data[self.target], groups


def _is_path(source):
    return isinstance(source, (str, os.PathLike))


def _is_empty(X):
    if isinstance(X, (list, tuple)):
        return not len(X)
    shape = getattr(X, "shape", ())  # what has none is for the checks of the fit to refuse
    return 0 in shape[:2] if len(shape) == 3 else shape[:1] == (0,)


def _read_parquet(path):
    if not any(importlib.util.find_spec(name) for name in ("pyarrow", "fastparquet")):
        raise MissingReader(
            "Parts that are Parquet files need pyarrow or fastparquet where they are read: pip "
            "install pyarrow."
        )
    import pandas as pd

    return pd.read_parquet(path)


def check_parts(parts: Any, target: Any, series: Any) -> list[Part]:
    """Refuse what can be no part before anything runs."""
    frame = hasattr(parts, "iloc") or hasattr(parts, "shape") or hasattr(parts, "__dask_graph__")
    if frame or isinstance(parts, (str, dict)) or not hasattr(parts, "__iter__"):
        raise TypeError(
            "`parts` must be a list of parts: tuples (X, y), frames, functions without arguments "
            "that return such, or paths of Parquet files (of a Dask frame: frame.to_delayed()). "
            f"Found {type(parts)}."
        )
    parts = list(parts)
    if not parts:
        raise ValueError("`parts` must hold at least one part, got an empty list.")
    for number, source in enumerate(parts):
        if not (callable(source) or _is_path(source) or hasattr(source, "__dask_graph__")):
            _check_source(source, target, series, number)
        elif _is_path(source) and target is None:
            _refuse_without_target(number)
    # a task graph inside a task would be taken apart
    hidden = [_Hidden(p) if hasattr(p, "__dask_graph__") else p for p in parts]
    return [Part(number, source, target, series) for number, source in enumerate(hidden)]


@dataclass(frozen=True)
class _Hidden:
    """A Dask object as a function."""

    held: Any

    def __call__(self):
        return self.held


def _check_source(data, target, series, number):
    if isinstance(data, tuple) and len(data) == 2:
        return
    if not (hasattr(data, "iloc") and hasattr(data, "columns")):
        raise TypeError(
            f"Part {number} must be a tuple (X, y), a frame, a function without arguments that "
            f"returns such, or the path of a Parquet file. Found {type(data)}."
        )
    if target is None:
        _refuse_without_target(number)
    named = _names(target) if series is None else [*_names(target), series]
    missing = [name for name in named if name not in data.columns]
    if missing:
        raise ValueError(
            f"Part {number} has no column(s) {missing}, which `target` and `series` name; it has "
            f"{list(data.columns)}."
        )


def _names(target):
    return [target] if isinstance(target, str) else list(target)


def _refuse_without_target(number):
    raise ValueError(
        f"Part {number} is a frame, so `target` must name its column(s) of y; or pass (X, y)."
    )


# -------------------------------------------------------------------------- summaries


@dataclass(frozen=True)
class Summary:
    """What is kept of some parts, in their order; a few rows of each sequence at most.

    Parameters
    ----------
    factor : RidgeFactor or None
        None without rows.
    empty : tuple of int
        Parts that had no rows.
    forms, ids, stamps : tuple
        Form of each part that had; (part, label) and stamps of each sequence.
    ends : tuple of (FitData, ndarray)
        Of each part the rows that `SequenceRegressor._remember_all` needs to see, and the states
        that its sequences end in.
    warnings : tuple of (part, category, text)
    """

    number: int
    factor: Any = None
    empty: tuple = ()
    forms: tuple = ()
    ids: tuple = ()
    ends: tuple = ()
    warnings: tuple = ()

    def with_warnings(self, kept: tuple) -> Summary:
        """The same with warnings that were raised as it was made."""
        new = tuple((self.number, *one) for one in kept)
        return replace(self, warnings=self.warnings + new)


@task
def merge(a: Summary, b: Summary) -> Summary:
    """Of the parts of both, those of `a` first."""
    if a.factor is None or b.factor is None:
        factor = b.factor if a.factor is None else a.factor
    else:
        factor = a.factor.merge(b.factor)
    names = ("empty", "forms", "ids", "ends", "warnings")
    return Summary(a.number, factor, **{n: getattr(a, n) + getattr(b, n) for n in names})


@task
def add(a: Any, b: Any) -> Any:
    """Sum of two arrays, either of which may be None."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


# -------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Probed:
    """A copy of the estimator with weights drawn for the columns of a part, if it has rows."""

    number: int
    template: Any = None
    warnings: tuple = ()

    def with_warnings(self, kept: tuple) -> Probed:
        """The same with warnings that were raised as it was made."""
        return replace(self, warnings=tuple((self.number, *one) for one in kept))


@task
def probe(part: Part, *, estimator: Any) -> Probed:
    """Draw the weights."""
    found = part.read()
    if found is None:
        return Probed(part.number)
    X, y, groups = found
    template = clone(estimator)
    template._prepare(X, y, None, groups, first=True)
    return Probed(part.number, template)


def _rows_of(part, template):
    """The part as data, its training rows, and the rows left out; None if it has no rows."""
    found = part.read()
    if found is None:
        return None
    X, y, groups = found
    model = copy.copy(template)
    _layout_of(X, groups, type(model).__name__, warn=True)  # of an order that cannot be of time
    data = model._prepare(X, y, None, groups, first=False)
    washouts = model._washouts(data.layout, stream=False)
    if hasattr(model, "_fit_noise"):
        model._fit_noise = np.random.RandomState(part.seed)
    states = model._fit_reservoir.start(data.rows, data.layout)
    return model, data, model._training_rows(data, washouts, states)


@task
def absorb(part: Part, *, template: Any) -> Summary:
    """The factor of a part, and where its sequences end."""
    found = _rows_of(part, template)
    if found is None:
        return Summary(part.number, empty=(part.number,))
    model, data, rows = found
    factor = model._new_factor(rows)
    for block in rows():
        factor.update(*block)
    layout = data.layout
    ids = layout.ids if layout.form == "groups" else (None,) * layout.n_sequences
    return Summary(
        part.number,
        factor.flushed(),
        forms=(layout.form,),
        ids=tuple((part.number, label) for label in ids),
        ends=((_digest(data), rows.final_states().copy()),),
    )


@task
def squares(part: Part, *, template: Any, basis: Basis) -> Any:
    """Sums of squared leave-one-out errors (n_alphas, n_targets) over the rows of a part."""
    from ._penalty import loo_squares

    found = _rows_of(part, template)
    return None if found is None else loo_squares(*basis, found[2]())


@task
def penalties(summary: Summary, alpha: Any, fit_intercept: bool) -> Basis:
    """System, spectrum and candidates of the merged factor."""
    from ._readout import penalty_basis

    return penalty_basis(summary.factor, alpha, fit_intercept=fit_intercept)


def _digest(data):
    """Few rows with the ends of the sequences, and the extremes, of many."""
    last = data.layout.indptr[1:] - 1
    extremes = [np.stack([r.min(axis=0), r.max(axis=0)]) for r in (data.rows, data.targets)]
    indptr = np.r_[0, 3 + np.arange(len(last))]
    layout = SequenceLayout("list", indptr, stamps=data.layout.stamps, starts_new=True)
    rows, targets = (
        np.concatenate([extreme, full[last]])
        for extreme, full in zip(extremes, (data.rows, data.targets))
    )
    return FitData(rows, layout, targets, None)


@dataclass(frozen=True)
class Solved:
    """A fit, and what was warned of as it was solved."""

    fit: Any
    warnings: tuple = ()

    def with_warnings(self, kept: tuple) -> Solved:
        """The same with these warnings, which are of no part."""
        return replace(self, warnings=tuple((None, *one) for one in kept))


@task
def solve(factor: Any, params: dict, basis: Basis | None, errors: Any) -> Solved:
    """The fit at the given penalty, or at that with the least sum of squared `errors`."""
    from ._readout import picked, solve_factor

    if basis is None:
        return Solved(solve_factor(factor, **params))
    return Solved(picked(factor, *basis, errors / basis[0].sum_weights))
