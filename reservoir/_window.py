"""An echo state network whose rows are lag windows, for libraries that forecast by reduction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_number, check_option, refuse

from ._base import BaseReservoir, transactional
from ._blas import determinate
from ._machine import BLOCK_BYTES, block_rows
from ._sequences import SequenceLayout, checked_rows, read_targets, read_weights
from ._stepping import make_advance

__all__ = [
    "WindowESNRegressor",
    "check_window",
    "column_scales",
    "find_window",
    "lag_columns",
    "score_rows",
]

_TILE = 64  # rows driven side by side
_LAG_NAME = re.compile(r"^(?:(?P<series>.*?)[\s_.-]+)?lag[\s_.-]*(?P<lag>\d+)$", re.IGNORECASE)


def lag_columns(names: Sequence[str]) -> np.ndarray | None:
    """Find the lags of one or several series among column names.

    Names end in "lag" and a number, after the name of a series or nothing: "lag1", "lag_1",
    "y_lag_1". The series with the most lags counts, and every other one with the same lags;
    columns such as "mean_lag7" beside lags 1 to 12 of y are no part of the window.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    ndarray of shape (n_lags, n_series) or None
        Positions of the columns, the longest lag first; None if no name tells a lag.
    """
    lags: dict[str, dict[int, int]] = {}
    for column, name in enumerate(names):
        match = _LAG_NAME.match(name)
        if match:
            lags.setdefault(match["series"] or "", {})[int(match["lag"])] = column
    if not lags:
        return None
    main = max(lags.values(), key=len)
    series = [found for found in lags.values() if found.keys() == main.keys()]
    return np.array([[found[lag] for found in series] for lag in sorted(main, reverse=True)])


def check_window(estimator: Any) -> None:
    """Check the parameters `window_order` and `n_window_features` of a window regressor."""
    owner = type(estimator).__name__
    orders = ("auto", "newest_first", "oldest_first")
    check_option("window_order", estimator.window_order, owner, orders)
    if estimator.n_window_features is not None:
        name, value = "n_window_features", estimator.n_window_features
        check_number(name, value, owner, low=1, closed="left", integer=True)


def score_rows(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """R^2 of a regressor whose rows are samples, after the checks of `fit`."""
    outputs = model.predict(X)
    layout = SequenceLayout("rows", np.array([0, len(outputs)]))
    targets, _ = read_targets(y, layout, dtype=np.float64, owner=type(model).__name__)
    weights = read_weights(sample_weight, layout, dtype=np.float64)
    return float(r2_score(targets, outputs, sample_weight=weights))


def find_window(estimator: Any) -> np.ndarray:
    """Positions (n_lags, n_series) of the window's columns in X, the oldest value first."""
    n_columns = estimator.n_features_in_
    if estimator.n_window_features is not None:
        if estimator.n_window_features > n_columns:
            rule = f"at most the number of columns of X, {n_columns}"
            name, value = "n_window_features", estimator.n_window_features
            refuse(name, type(estimator).__name__, rule, value)
        n_columns = int(estimator.n_window_features)
    names = getattr(estimator, "feature_names_in_", None)
    if estimator.window_order == "auto" and names is not None:
        named = lag_columns(names[:n_columns])
        if named is not None:
            return named
    columns = np.arange(n_columns)[:, None]
    return columns if estimator.window_order == "oldest_first" else columns[::-1]


def column_scales(
    rows: np.ndarray, windows: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each column, pooled over the lags of a series."""
    offset = np.average(rows, axis=0, weights=weights)
    for lags in windows.T:
        offset[lags] = offset[lags].mean()
    variance = np.average((rows - offset) ** 2, axis=0, weights=weights)
    for lags in windows.T:
        variance[lags] = variance[lags].mean()
    # A column that differs from its mean by rounding alone is constant.
    eps = np.finfo(rows.dtype).eps
    varies = np.sqrt(variance) > 10 * eps * np.abs(offset)
    scale = np.sqrt(np.where(varies & (variance > 0), variance, 1))
    return offset.astype(rows.dtype), scale.astype(rows.dtype)


class WindowESNRegressor(MultiOutputMixin, RegressorMixin, BaseReservoir):
    r"""Echo state network for tables of lag windows, where rows are samples in any order.

    This is what libraries that forecast by reduction (skforecast, mlforecast, sktime, darts)
    hand to a regressor: each row holds the last values of a series, and y the next one. Each
    row's window runs through the reservoir as a short sequence of its own, from the zero state,
    and the readout sees the last state and the values of the row. Other columns, such as
    calendar features, go to the readout only. Rows may be shuffled, resampled, or belong to
    different series.

    Columns are standardised inside, all lags of a series by one mean and standard deviation, so
    no scaler is needed before it.

    Parameters
    ----------
    n_units : int, default=100
        Number of reservoir units.
    window_order : {"auto", "newest_first", "oldest_first"}, default="auto"
        Order of the window's columns in time. "auto" reads it from the column names of a
        DataFrame if they tell lags ("lag1", "lag_1", "y_lag_1"; several series with the same
        lags are fed side by side), and otherwise takes the newest value to stand first, as in
        skforecast, mlforecast and sktime's pooled frames. sktime's local reduction and darts
        put the oldest first.
    n_window_features : int or None, default=None
        How many of the columns, from the first on, are the window; the others go to the readout
        only. None: those whose names tell a lag, or else all.
    spectral_radius, leak_rate, bias_scaling, topology, connectivity, activation
        As in `ESNRegressor`.
    input_scaling : float or array of shape (n_series,), default=0.3
        Factor on the input weights.
    input_connectivity : int or float, default=1.0
        Non-zeros of the input weights per unit (int) or their share (float).
    alpha : float, array of floats or "auto", default=1.0
        Ridge penalty of the readout, whose columns are standardised; as in `ESNRegressor`.
    fit_intercept, solver
        As in `ESNRegressor`.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of `W_in_`, `W_` and `b_`, drawn in this order.
    dtype : {"float64", "float32"}, default="float64"
        Precision of weights and states.
    input_weights : str, matrix or callable, default="uniform"
        Kind of input weights.
    deterministic : bool, default=False
        Whether results are to have the same bits for any number of threads, as in `ESNRegressor`.

    Attributes
    ----------
    window_columns_ : ndarray of shape (n_lags, n_series)
        Positions of the window's columns in X, the oldest value first.
    coef_ : ndarray of shape (n_targets, n_units + n_features)
        Readout weights; columns are the states, then the standardised columns of X.
    intercept_ : ndarray of shape (n_targets,)
    offset_, scale_ : ndarray of shape (n_features,)
        What is subtracted from each column, and what it is then divided by.
    W_in_, W_, b_ : ndarray, ndarray or CSR array, ndarray
        The fixed weights.
    alpha_, solver_, alphas_, loo_errors_
        As in `ESNRegressor`.
    n_features_in_, feature_names_in_ : int, ndarray of str

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import WindowESNRegressor
    >>> y = np.sin(0.3 * np.arange(200))
    >>> windows = np.lib.stride_tricks.sliding_window_view(y, 9)
    >>> X, target = windows[:, :8], windows[:, 8]
    >>> model = WindowESNRegressor(50, window_order="oldest_first", alpha=1e-6, random_state=0)
    >>> bool(model.fit(X[:150], target[:150]).score(X[150:], target[150:]) > 0.999)
    True
    """

    def __init__(
        self,
        n_units: int = 100,
        *,
        window_order: str = "auto",
        n_window_features: Any = None,
        spectral_radius: Any = 0.9,
        leak_rate: Any = 1.0,
        input_scaling: Any = 0.3,
        bias_scaling: float = 1.0,
        topology: Any = "random",
        connectivity: Any = 10,
        input_connectivity: Any = 1.0,
        activation: Any = "tanh",
        alpha: Any = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        random_state: Any = None,
        dtype: Any = "float64",
        input_weights: Any = "uniform",
        deterministic: bool = False,
    ):
        self.n_units = n_units
        self.window_order = window_order
        self.n_window_features = n_window_features
        self.spectral_radius = spectral_radius
        self.leak_rate = leak_rate
        self.input_scaling = input_scaling
        self.bias_scaling = bias_scaling
        self.topology = topology
        self.connectivity = connectivity
        self.input_connectivity = input_connectivity
        self.activation = activation
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.random_state = random_state
        self.dtype = dtype
        self.input_weights = input_weights
        self.deterministic = deterministic

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Draw the reservoir, run it over every row and solve for the readout.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            One window a row, perhaps with further columns.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X, y or the weights are unusable.
        """
        from ._readout import fit_readout

        dtype, owner = self._check_params(), type(self).__name__
        rows = checked_rows(self, X, reset=True, dtype=dtype)
        layout = SequenceLayout("rows", np.array([0, len(rows)]))
        targets, self._fit_y_one_d = read_targets(y, layout, dtype=dtype, owner=owner)
        weights = read_weights(sample_weight, layout, dtype=dtype)
        self.window_columns_ = find_window(self)
        self.offset_, self.scale_ = column_scales(rows, self.window_columns_, weights)
        n_series = self.window_columns_.shape[1]
        self._fit_reservoir = self._build_reservoir(
            n_series, targets.shape[1], self._random(), dtype
        )

        def blocks():
            for part, features in self._feature_blocks(rows):
                yield features, targets[part], None if weights is None else weights[part]

        result = fit_readout(
            blocks,
            self.n_units + rows.shape[1],
            targets.shape[1],
            alpha=self.alpha,
            solver=self.solver,
            fit_intercept=bool(self.fit_intercept),
            dtype=dtype,
            owner=owner,
            n_rows=len(rows) if weights is None else int(np.count_nonzero(weights)),
        )
        self.coef_ = result.coef.astype(dtype, copy=False)
        self.intercept_ = result.intercept.astype(dtype, copy=False)
        self.alpha_, self.solver_ = result.alpha, result.solver_used
        self.alphas_, self.loo_errors_ = result.alphas, result.loo_errors
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Output for each row of X.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        check_is_fitted(self)
        rows = checked_rows(self, X, reset=False, dtype=self._fit_reservoir.dtype)
        outputs = np.empty((len(rows), len(self.coef_)), dtype=rows.dtype)
        with determinate(self):
            for part, features in self._feature_blocks(rows):
                outputs[part] = features @ self.coef_.T + self.intercept_
        return outputs[:, 0] if self._fit_y_one_d else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        float
        """
        return score_rows(self, X, y, sample_weight)

    def _check_params(self):
        owner = type(self).__name__
        check_window(self)
        solvers = ("auto", "cholesky", "qr", "svd", "dual", "lsqr")
        check_option("solver", self.solver, owner, solvers)
        check_flag("fit_intercept", self.fit_intercept, owner)
        return self._check_weights()

    def _feature_blocks(self, rows) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (rows, their readout features [last state, standardised columns])."""
        for first in range(0, len(rows), _TILE):
            part = slice(first, first + _TILE)
            values = (rows[part] - self.offset_) / self.scale_
            states = self._last_states(values[:, self.window_columns_])
            yield part, np.concatenate([states, values], axis=1)

    def _last_states(self, windows):
        """States (n_rows, n_units) after windows (n_rows, n_lags, n_series), from zero."""
        res = self._fit_reservoir
        n_rows, n_lags, _ = windows.shape
        # Forecasters call with one row at a time: the kernel of a lone sequence is faster then.
        alone = n_rows == 1
        steps = windows[0] if alone else np.ascontiguousarray(windows.transpose(1, 2, 0))
        advance = make_advance(res, None if alone else n_rows)
        x = np.zeros(res.n_units if alone else (res.n_units, n_rows), dtype=res.dtype)
        chunk = block_rows(res, n_rows, BLOCK_BYTES)
        for first in range(0, n_lags, chunk):
            part = steps[first : first + chunk]
            block = part @ res.W_in.T + res.b if alone else res.W_in @ part + res.b[:, None]
            advance(x, block)
            x = block[-1]
        return x.T if x.ndim == 2 else x[None]
