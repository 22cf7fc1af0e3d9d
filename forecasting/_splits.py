"""Splits of rows in time order for scikit-learn's cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import get_scorer
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import indexable

from echocast._checks import check_number

__all__ = ["PanelTimeSeriesSplit", "SequentialSplit"]


class _TimeSplit(BaseCrossValidator):
    """Abstract: equally long test blocks at the end of the times, growing training parts."""

    n_splits: int
    test_size: int | None
    gap: int

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits.

        Parameters
        ----------
        X, y, groups : object
            Ignored; for compatibility.

        Returns
        -------
        int
        """
        return int(self.n_splits)

    def _blocks(self, n_times: int, what: str) -> list[tuple[int, int, int]]:
        """Times (end of training, begin of test, end of test) of each split."""
        owner = type(self).__name__
        check_number("n_splits", self.n_splits, owner, low=1, integer=True)
        check_number("gap", self.gap, owner, low=0, integer=True)
        size = self.test_size
        if size is None:
            size = n_times // (self.n_splits + 1)
        else:
            check_number("test_size", size, owner, low=1, integer=True)
        first = n_times - self.n_splits * size
        if size < 1 or first - self.gap < 1:
            raise ValueError(
                f"{n_times} {what} are too few for {self.n_splits} splits of {size} {what} with a "
                f"gap of {self.gap}. Lower n_splits, test_size or gap."
            )
        begins = range(first, n_times, size)
        return [(begin - self.gap, begin, begin + size) for begin in begins]


class SequentialSplit(_TimeSplit):
    """Train on the first rows of a sequence, test on the rows that follow.

    Like scikit-learn's `TimeSeriesSplit`, with `context`: a network that begins a test block
    with an empty memory does badly there for its washout, which says nothing about it. With
    ``context=k`` each test part begins with the k rows before the block, which lie in the
    gap or the training part, so that nothing of the future is known; score it with `scorer`,
    which leaves them out.

    Parameters
    ----------
    n_splits : int, default=5
    test_size : int, optional
        Rows of a test block; ``n_rows // (n_splits + 1)`` by default.
    gap : int, default=0
        Rows between the training part and the test block.
    context : int, default=0
        Rows before each test block that its part begins with.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import SequentialSplit
    >>> for train, test in SequentialSplit(2, test_size=2, context=1).split(np.zeros(8)):
    ...     print(train, test)
    [0 1 2 3] [3 4 5]
    [0 1 2 3 4 5] [5 6 7]

    With a search over a regressor whose rows are time steps:

    >>> from sklearn.model_selection import GridSearchCV
    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.3 * np.arange(300))[:, None]
    >>> cv = SequentialSplit(3, test_size=30, context=50)
    >>> search = GridSearchCV(
    ...     ESNRegressor(30, random_state=0), {"spectral_radius": [0.5, 0.9]}, cv=cv,
    ...     scoring=cv.scorer("r2"),
    ... ).fit(u[:-1], u[1:])
    >>> bool(search.best_score_ > 0.99)
    True
    """

    def __init__(
        self, n_splits: int = 5, *, test_size: int | None = None, gap: int = 0, context: int = 0
    ):
        self.n_splits = n_splits
        self.test_size = test_size
        self.gap = gap
        self.context = context

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows to train on and to test on.

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            In time order; only its length matters.
        y, groups : object
            Ignored; for compatibility.

        Yields
        ------
        train, test : ndarray of int
            `test` begins with the rows of the context.

        Raises
        ------
        ValueError
            If there are too few rows, or several series one below the other.
        """
        check_number("context", self.context, type(self).__name__, low=0, integer=True)
        X, _, _ = indexable(X, y, groups)
        labels = getattr(X, "index", None)
        if isinstance(labels, pd.MultiIndex) and labels.get_level_values(0).nunique() > 1:
            raise ValueError(
                f"{type(self).__name__} splits rows of one series; `X` has a MultiIndex, whose "
                "series would be trained on beyond the dates of the test rows. Use "
                "PanelTimeSeriesSplit."
            )
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        for stop, begin, end in self._blocks(n_rows, "rows"):
            if self.context > begin:
                raise ValueError(
                    f"`context` is {self.context}, but only {begin} rows precede the first test "
                    "block. Lower it or n_splits."
                )
            yield np.arange(stop), np.arange(begin - self.context, end)

    def scorer(self, scoring: Any = "r2") -> Callable[[Any, Any, Any], float]:
        """A scorer for `scoring=` that leaves the rows of the context out.

        Parameters
        ----------
        scoring : str or callable, default="r2"
            A name of scikit-learn's scorers that rest on ``predict``, or a function
            ``(y_true, y_pred) -> float``, where more is better.

        Returns
        -------
        callable
            ``scorer(estimator, X, y)``: predicts all rows and scores those of the test block.
        """
        return _BlockScorer(scoring, int(self.context))


class _BlockScorer:
    """Predict all rows of a test part, and score those after its context."""

    def __init__(self, scoring: Any, context: int):
        self.scoring, self.context = scoring, context

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        predicted = np.asarray(estimator.predict(X))[self.context :]
        truth = np.asarray(y)[self.context :]
        if isinstance(self.scoring, str):
            return float(
                get_scorer(self.scoring)(_Said(predicted), np.empty((len(truth), 1)), truth)
            )
        return float(self.scoring(truth, predicted))


class _Said(RegressorMixin, BaseEstimator):
    """An estimator that has predicted already."""

    def __init__(self, predicted: Any = None):
        self.predicted = predicted

    def predict(self, X: Any) -> np.ndarray:
        return self.predicted


class PanelTimeSeriesSplit(_TimeSplit):
    """Train on the rows of all series up to a date, test on those of the dates that follow.

    A split by rows, or one that keeps series together, lets a model for all series train on
    dates of one series that are tests of another. Here no training row is later than any test
    row, whatever the order of the rows and however long the series are.

    Parameters
    ----------
    n_splits : int, default=5
    test_size : int, optional
        Dates of a test block; the number of dates divided by ``n_splits + 1`` by default.
    gap : int, default=0
        Dates between the training part and the test block.

    Notes
    -----
    Dates come from the last level of the index of a (series, time) frame, or, for arrays, from
    ``groups``, one label for each row, such as ``search.fit(X, y, groups=dates)``.

    Examples
    --------
    >>> import pandas as pd
    >>> from echocast.forecasting import PanelTimeSeriesSplit
    >>> months = pd.period_range("2024-01", periods=4, freq="M")
    >>> index = pd.MultiIndex.from_product([["a", "b"], months])
    >>> X = pd.DataFrame({"x": range(8)}, index=index)
    >>> for train, test in PanelTimeSeriesSplit(2, test_size=1).split(X):
    ...     print(train, test)
    [0 1 4 5] [2 6]
    [0 1 2 4 5 6] [3 7]
    """

    # says to scikit-learn's metadata routing that `groups` is for the splitter
    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(self, n_splits: int = 5, *, test_size: int | None = None, gap: int = 0):
        self.n_splits = n_splits
        self.test_size = test_size
        self.gap = gap

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows to train on and to test on.

        Parameters
        ----------
        X : DataFrame with a (series, time) MultiIndex, or array-like of shape (n_rows, ...)
        y : object
            Ignored; for compatibility.
        groups : array-like of shape (n_rows,), optional
            The date of each row; needed where X has no such index.

        Yields
        ------
        train, test : ndarray of int
            Positions, increasing.

        Raises
        ------
        ValueError
            If there are no dates, or too few.
        """
        X, _, groups = indexable(X, y, groups)
        dates = _dates(X, groups, type(self).__name__)
        known = dates.unique().sort_values()
        place = known.get_indexer(dates)
        for stop, begin, end in self._blocks(len(known), "dates"):
            yield np.flatnonzero(place < stop), np.flatnonzero((place >= begin) & (place < end))


def _dates(X, groups, owner) -> pd.Index:
    """The date of each row."""
    if groups is not None:
        dates = pd.Index(groups)
    elif isinstance(getattr(X, "index", None), pd.MultiIndex):
        dates = X.index.get_level_values(-1)
    else:
        raise ValueError(
            f"{owner} needs the dates of the rows: a (series, time) MultiIndex, or groups= with a "
            "label for each row."
        )
    if dates.hasnans:
        raise ValueError(
            f"{owner} found a row without a date (row {int(np.argmax(dates.isna()))})."
        )
    return dates
