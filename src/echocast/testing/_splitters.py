"""Splitters: what is trained on lies before what is tested on, whatever the values are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._poisons import POISONS
from ._reports import CausalReport, Ledger

__all__ = ["check_splitter"]


def check_splitter(splitter: Any, X: Any, y: Any = None, groups: Any = None) -> CausalReport:
    """Each test part lies after its training part, and splits depend on labels alone.

    Parameters
    ----------
    splitter : object with ``split(X, y, groups)`` and ``get_n_splits(X, y, groups)``
    X : DataFrame, Series or ndarray
        Times are the labels of its index (its last level, for several series), else row numbers.
    y, groups : optional
        Handed on to the splitter.

    Returns
    -------
    CausalReport

    Raises
    ------
    AssertionError
        If a training row is not earlier than every test row, a part is empty, or the splits
        change with the values of X.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold, TimeSeriesSplit
    >>> from echocast.testing import check_splitter
    >>> print(check_splitter(TimeSeriesSplit(3), np.zeros((20, 1))))
    TimeSeriesSplit: 12 comparisons of 180 values
    >>> check_splitter(KFold(3), np.zeros((20, 1)))
    Traceback (most recent call last):
    AssertionError: KFold sees the future (split 0): it trains on row 19, not before row 0 of ...
    """
    ledger = Ledger(type(splitter).__name__)
    times = _times(X)
    splits = _splits(splitter, X, y, groups)
    announced = splitter.get_n_splits(X, y, groups)
    if len(splits) != announced:
        raise AssertionError(
            f"{ledger.name} makes {len(splits)} splits, but get_n_splits says {announced}."
        )
    for k, (train, test) in enumerate(splits):
        if not (len(train) and len(test)):
            raise AssertionError(f"{ledger.name} makes an empty part in split {k}.")
        last, first = train[np.argmax(times[train])], test[np.argmin(times[test])]
        if times[last] >= times[first]:
            raise AssertionError(
                f"{ledger.name} sees the future (split {k}): it trains on row {last}, not before "
                f"row {first} of the test part."
            )
    for how, function in POISONS.items():
        changed = _splits(splitter, _with_values(X, function), y, groups)
        for k, (clean, dirty) in enumerate(zip(splits, changed, strict=True)):
            ledger.compare(f"split {k}, values {how}", _rows(*clean), _rows(*dirty))
    return ledger.report()


def _splits(splitter, X, y, groups):
    return [(np.asarray(train), np.asarray(test)) for train, test in splitter.split(X, y, groups)]


def _rows(train, test):
    parts = np.repeat(["train", "test"], [len(train), len(test)])
    return pd.DataFrame({"row": np.concatenate([train, test])}, index=parts)


def _times(X) -> np.ndarray:
    """A number for the time of each row, in order."""
    if not hasattr(X, "index"):
        return np.arange(len(X))
    labels = X.index
    if isinstance(labels, pd.MultiIndex):
        labels = labels.get_level_values(-1)
    return labels.unique().sort_values().get_indexer(labels)


def _with_values(X, function):
    values = function(np.asarray(X, dtype=np.float64))
    if isinstance(X, pd.Series):
        return pd.Series(values, index=X.index, name=X.name)
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(values, index=X.index, columns=X.columns)
    return values
