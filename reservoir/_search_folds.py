"""The rows of each split of a search, taken as scikit-learn takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["Fold", "make_folds", "n_rows_of", "take"]


@dataclass(frozen=True)
class Fold:
    """Training and test part of one split, with what goes to fit and to the scorer."""

    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    fit_params: dict
    score_train: dict
    score_test: dict

    def fresh(self) -> Fold:
        """The same on copies of X and y, as scikit-learn cuts them anew for each fit.

        What estimators and scorers do to them in place is then nobody else's business.
        """
        parts = ("X_train", "y_train", "X_test", "y_test")
        return replace(self, **{name: _copied(getattr(self, name)) for name in parts})


def n_rows_of(data: Any) -> int:
    """Number of rows, or of sequences in a list."""
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)


def take(data: Any, rows: np.ndarray) -> Any:
    """Rows of an array, frame, series or list, by position; None stays None."""
    if data is None:
        return None
    if hasattr(data, "iloc"):
        return data.take(rows, axis=0)  # keeps the frequency of an index without gaps
    if hasattr(data, "shape"):
        return data[rows]
    return [data[i] for i in rows]


def _copied(data):
    return data.copy() if hasattr(data, "copy") else data


def make_folds(
    X: Any, y: Any, splits: Iterable, fit_params: dict, score_params: dict
) -> list[Fold]:
    """Cut the data; parameters with one entry a row are cut like them, others passed as is."""
    n_rows = n_rows_of(X)

    def part(params, rows):
        return {
            name: take(value, rows) if _goes_by_row(value, n_rows) else value
            for name, value in params.items()
        }

    return [
        Fold(
            take(X, train),
            take(y, train),
            take(X, test),
            take(y, test),
            part(fit_params, train),
            part(score_params, train),
            part(score_params, test),
        )
        for train, test in ((_positions(a, n_rows), _positions(b, n_rows)) for a, b in splits)
    ]


def _positions(rows, n_rows):
    rows = np.asarray(rows)
    return np.arange(n_rows)[rows] if rows.dtype == bool else rows


def _goes_by_row(value, n_rows):
    if isinstance(value, (str, bytes, dict)):
        return False
    if not (hasattr(value, "shape") or hasattr(value, "__len__")) or np.ndim(value) == 0:
        return False
    return n_rows_of(value) == n_rows
