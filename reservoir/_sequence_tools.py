"""What scikit-learn offers for one 2-D array, for many sequences: scaling and scoring."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_option
from echocast._saving import ModelFiles

from ._base import transactional
from ._labelled import without_padding
from ._sequences import read_rows, read_targets

__all__ = ["SequenceScaler", "is_single", "keeps_sequences", "sequence_scorer"]


def is_single(X: Any) -> bool:
    """Whether all of X, in any accepted form, is float32."""
    if hasattr(X, "columns"):
        kinds = list(X.dtypes)
    else:
        parts = X if isinstance(X, (list, tuple)) else [X]
        kinds = [getattr(part, "dtype", None) for part in parts]
    return len(kinds) > 0 and all(kind == np.float32 for kind in kinds)


def keeps_sequences(cls: type) -> type:
    """Class decorator: `set_output` shapes 2-D results; lists and 3-D arrays stay what they are.

    scikit-learn's wrapper would put any result into one table, which fails for sequences, also
    where `transform_output` is set globally.
    """

    def passing(wrapped):
        @functools.wraps(wrapped)
        def method(self, X, *args, **kwargs):
            several = isinstance(X, (list, tuple)) or getattr(X, "ndim", 2) == 3
            plain = getattr(wrapped, "__wrapped__", wrapped)
            return (plain if several else wrapped)(self, X, *args, **kwargs)

        return method

    for name in ("transform", "fit_transform"):
        setattr(cls, name, passing(getattr(cls, name)))
    return cls


@keeps_sequences
class SequenceScaler(OneToOneFeatureMixin, TransformerMixin, ModelFiles, BaseEstimator):
    """Scale each feature to zero mean and unit variance over all steps of all sequences.

    Does what `sklearn.preprocessing.StandardScaler` does to a 2-D array, also for a list of
    sequences, a 3-D array (n_sequences, n_steps, n_features) and a frame with a (series, time)
    MultiIndex, whose index survives. Trailing steps that are NaN in all features are padding:
    they do not count, and stay NaN in a 3-D array. Constant features are centred only.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
    scale_ : ndarray of shape (n_features,)
        Standard deviation, 1 for constant features.
    n_features_in_, feature_names_in_ : int, ndarray of str

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import SequenceScaler
    >>> X = [np.array([[1.0], [3.0]]), np.array([[5.0], [7.0], [9.0]])]
    >>> scaled = SequenceScaler().fit_transform(X)
    >>> [len(part) for part in scaled], float(np.concatenate(scaled).std().round(6))
    ([2, 3], 1.0)
    """

    def __init__(self, *, with_mean=True, with_std=True):
        self.with_mean = with_mean
        self.with_std = with_std

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn means and standard deviations.

        Parameters
        ----------
        X : array-like of shape (n_steps, n_features), list of such, 3-D array or DataFrame
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is unusable.
        """
        for name in ("with_mean", "with_std"):
            check_flag(name, getattr(self, name), type(self).__name__)
        rows, _ = read_rows(self, without_padding(X), reset=True, dtype=np.float64)
        self.mean_ = rows.mean(axis=0)
        deviation = rows - self.mean_
        self.scale_ = np.sqrt(np.mean(deviation**2, axis=0))
        # Below this the deviations are rounding errors of the mean of a constant.
        constant = self.scale_ <= 10 * len(rows) * np.finfo(np.float64).eps * np.abs(self.mean_)
        self.scale_[constant] = 1.0
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and scale the sequences of X.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        ndarray, list of ndarray or DataFrame
            As from `transform`.
        """
        return self.fit(X).transform(X)

    def transform(self, X: Any) -> Any:
        """Scale the sequences of X.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray, list of ndarray or DataFrame
            In the form of X; float32 for float32.
        """
        return self._map(X, lambda rows: (rows - self._offset()) / self._factor())

    def inverse_transform(self, X: Any) -> Any:
        """Undo the scaling.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray, list of ndarray or DataFrame
        """
        return self._map(X, lambda rows: rows * self._factor() + self._offset())

    def _offset(self):
        return self.mean_ if self.with_mean else 0.0

    def _factor(self):
        return self.scale_ if self.with_std else 1.0

    def _map(self, X: Any, change: Callable) -> Any:
        check_is_fitted(self)
        trimmed = without_padding(X)
        dtype = np.float32 if is_single(X) else np.float64
        rows, layout = read_rows(self, trimmed, reset=False, dtype=dtype)
        result = change(rows).astype(rows.dtype, copy=False)
        if trimmed is not X and not isinstance(X, (list, tuple)):
            padded = np.full(np.shape(X), np.nan, dtype=dtype)
            for i, part in enumerate(layout.split(result)):
                padded[i, : len(part)] = part
            return padded
        result = layout.restore(result)
        if getattr(getattr(X, "index", None), "nlevels", 1) > 1:
            return type(X)(result, index=X.index, columns=X.columns)
        return result

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _root_mean_squared_error(y_true, y_pred):
    return float(np.sqrt(mean_squared_error(y_true, y_pred)))


# name -> (function of (y_true, y_pred), +1 if greater is better else -1)
_METRICS: dict[str, tuple[Callable, int]] = {
    "mae": (mean_absolute_error, -1),
    "mse": (mean_squared_error, -1),
    "r2": (r2_score, 1),
    "rmse": (_root_mean_squared_error, -1),
}


def sequence_scorer(metric: str | Callable = "rmse", *, greater_is_better: bool | None = None):
    """Make a scorer for estimators whose rows are time steps, for `GridSearchCV` and the like.

    The metric is computed for each sequence by itself and averaged over sequences with equal
    weight. Unlike scikit-learn's named scorers this one knows lists, ragged ones too, and 3-D
    arrays, and hands `groups` on to `predict`.

    Parameters
    ----------
    metric : {"rmse", "mse", "mae", "r2"} or callable, default="rmse"
        A callable gets y_true and y_pred of one sequence, both of shape (n_steps, n_targets).
    greater_is_better : bool, optional
        For a callable only, and needed there: errors come out negated, so that larger scores
        are better.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, *, groups=None) -> float``. With metadata routing enabled it
        asks for `groups`.

    Raises
    ------
    InvalidParameterError
        If `metric` is an unknown name.
    ValueError
        If `greater_is_better` is missing for a callable, or given for a name.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from echocast.reservoir import ESNRegressor, sequence_scorer
    >>> waves = [np.sin(0.2 * np.arange(n) + n)[:, None] for n in (60, 70, 80, 90)]
    >>> X, y = [w[:-1] for w in waves], [w[1:] for w in waves]
    >>> search = GridSearchCV(
    ...     ESNRegressor(30, random_state=0),
    ...     {"leak_rate": [0.5, 1.0]},
    ...     scoring=sequence_scorer("rmse"),
    ...     cv=2,
    ... )
    >>> bool(-0.1 < search.fit(X, y).best_score_ < 0.0)
    True
    """
    if callable(metric):
        if greater_is_better is None:
            raise ValueError(
                "`greater_is_better` must be given for a callable metric: False for an error."
            )
        return _SequenceScorer(metric, 1 if greater_is_better else -1)
    check_option("metric", metric, "sequence_scorer", _METRICS)
    if greater_is_better is not None:
        raise ValueError(f"`greater_is_better` is known for metric={metric!r}; leave it out.")
    return _SequenceScorer(*_METRICS[metric])


class _SequenceScorer(BaseEstimator):
    """Callable that scores each sequence; a base estimator so that `read_rows` can use it."""

    def __init__(self, metric, sign):
        self.metric = metric
        self.sign = sign

    def __call__(self, estimator: Any, X: Any, y: Any, *, groups: Any = None) -> float:
        labels = {} if groups is None else {"groups": groups}
        predicted = estimator.predict(X, **labels)
        reader = type(self)(self.metric, self.sign)
        _, layout = read_rows(reader, X, groups=groups, reset=True, dtype=np.float64)
        owner = type(estimator).__name__
        true, guess = (
            layout.split(read_targets(part, layout, dtype=np.float64, owner=owner)[0])
            for part in (y, predicted)
        )
        scores = [self.metric(a, b) for a, b in zip(true, guess)]
        return self.sign * float(np.mean(scores))

    def get_metadata_routing(self):
        request = MetadataRequest(owner=self)
        request.score.add_request(param="groups", alias=True)
        return request
