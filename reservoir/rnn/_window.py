"""A recurrent network whose rows are lag windows, for libraries that forecast by reduction."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from echocast._saving import ModelFiles

from .._base import transactional
from .._sequences import SequenceLayout, checked_rows, read_targets, read_weights
from .._window import check_window, column_scales, find_window, score_rows
from ._regressor import RNNRegressor

__all__ = ["WindowRNNRegressor"]


class WindowRNNRegressor(MultiOutputMixin, RegressorMixin, ModelFiles, BaseEstimator):
    r"""Trained recurrent network for tables of lag windows, where rows are samples in any order.

    This is what libraries that forecast by reduction (skforecast, mlforecast, sktime, darts)
    hand to a regressor: each row holds the last values of a series, and y the next one. Each
    row's window is read as a short sequence of its own, and the output sees the last state and
    the newest values. Other columns, such as calendar features, are inputs of every step. Rows
    may be shuffled, resampled, or belong to different series.

    Columns and targets are standardised inside, all lags of a series by one mean and standard
    deviation, so no scaler is needed before it.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(32,)
        Units of each layer.
    cell : {"tanh", "relu", "gru", "lstm"}, default="gru"
    window_order : {"auto", "newest_first", "oldest_first"}, default="auto"
    n_window_features : int or None, default=None
        Which columns are the window, and in which order, as in `WindowESNRegressor`.
    bidirectional, leak_rate, loss, quantile, solver, learning_rate, learning_rate_init
        As in `RNNRegressor`.
    batch_size : int, default=64
    max_iter : int, default=100
    tol, n_iter_no_change, early_stopping, validation_fraction, max_norm
        As in `RNNRegressor`; the rows held out are the last ones.
    dropout, recurrent_dropout, alpha, weight_decay, weight_init, shuffle
        As in `RNNRegressor`.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
    dtype : {"float32", "float64"}, default="float32"
    n_jobs, verbose
        As in `RNNRegressor`.

    Attributes
    ----------
    regressor_ : RNNRegressor
        The network, fitted to standardised windows of shape (n_samples, n_lags, n_inputs).
    window_columns_ : ndarray of shape (n_lags, n_series)
        Positions of the window's columns in X, the oldest value first.
    offset_, scale_ : ndarray of shape (n_features,)
        What is subtracted from each column, and what it is then divided by.
    y_offset_, y_scale_ : ndarray of shape (n_targets,)
        The same of the targets.
    theta_, loss_curve_, n_iter_ : ndarray, list of float, int
        Those of `regressor_`.
    n_features_in_, feature_names_in_ : int, ndarray of str

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import WindowRNNRegressor
    >>> y = np.sin(0.3 * np.arange(200))
    >>> windows = np.lib.stride_tricks.sliding_window_view(y, 9)
    >>> X, target = windows[:, :8], windows[:, 8]
    >>> model = WindowRNNRegressor(window_order="oldest_first", max_iter=30, random_state=0)
    >>> bool(model.fit(X[:150], target[:150]).score(X[150:], target[150:]) > 0.99)
    True
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (32,),
        cell: str = "gru",
        window_order: str = "auto",
        n_window_features: int | None = None,
        bidirectional: bool = False,
        leak_rate: Any = 1.0,
        loss: str = "squared_error",
        quantile: Any = 0.5,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-3,
        batch_size: int = 64,
        max_iter: int = 100,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        max_norm: float | None = 1.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        weight_init: str = "orthogonal",
        shuffle: bool = True,
        random_state: Any = None,
        dtype: str = "float32",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.window_order = window_order
        self.n_window_features = n_window_features
        self.bidirectional = bidirectional
        self.leak_rate = leak_rate
        self.loss = loss
        self.quantile = quantile
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.max_norm = max_norm
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.weight_init = weight_init
        self.shuffle = shuffle
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.verbose = verbose

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Standardise columns and targets, and train the network on all rows.

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
        TrainingDivergedError
            If gradients become infinite or NaN.
        """
        owner = type(self).__name__
        check_window(self)
        regressor = RNNRegressor(output="last", include_input=True, **self._network_params())
        regressor._check_params(owner)
        rows = checked_rows(self, X, reset=True, dtype=np.float64)
        layout = SequenceLayout("rows", np.array([0, len(rows)]))
        targets, self._fit_y_one_d = read_targets(y, layout, dtype=np.float64, owner=owner)
        weights = read_weights(sample_weight, layout, dtype=np.float64)
        self.window_columns_ = find_window(self)
        seen = slice(self._n_trained_on(len(rows)))
        known = None if weights is None else weights[seen]
        self.offset_, self.scale_ = column_scales(rows[seen], self.window_columns_, known)
        no_lags = np.empty((0, 0), dtype=int)
        self.y_offset_, self.y_scale_ = column_scales(targets[seen], no_lags, known)
        scaled = (targets - self.y_offset_) / self.y_scale_
        self.regressor_ = regressor.fit(self._windows(rows), scaled, sample_weight=weights)
        return self

    def _n_trained_on(self, n):
        """Rows before those that early stopping holds out, the last ones."""
        if not self.early_stopping:
            return n
        return n - max(1, round(self.validation_fraction * n))

    def _network_params(self):
        own = self.get_params(deep=False)
        return {name: own[name] for name in own if name in RNNRegressor().get_params()}

    def _windows(self, rows):
        """Sequences (n_samples, n_lags, n_series + n_others) of standardised values."""
        values = (rows - self.offset_) / self.scale_
        lags = values[:, self.window_columns_]
        others = np.delete(values, self.window_columns_.ravel(), axis=1)
        repeated = np.broadcast_to(others[:, None], (len(values), lags.shape[1], others.shape[1]))
        return np.concatenate([lags, repeated], axis=2)

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
        rows = checked_rows(self, X, reset=False, dtype=np.float64)
        points = self.regressor_.predict(self._windows(rows)) * self.y_scale_ + self.y_offset_
        return points[:, 0] if self._fit_y_one_d else points

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

    def predict_quantiles(self, X: Any, quantiles: Any = None) -> np.ndarray:
        """Quantiles of the target, as in `RNNRegressor.predict_quantiles`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        quantiles : float or list of float in (0, 1), optional

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles) or (n_samples, n_targets, n_quantiles)
        """
        check_is_fitted(self)
        rows = checked_rows(self, X, reset=False, dtype=np.float64)
        values = self.regressor_.predict_quantiles(self._windows(rows), quantiles)
        values = values * self.y_scale_[:, None] + self.y_offset_[:, None]
        return values[:, 0] if self._fit_y_one_d else values

    @property
    def theta_(self) -> np.ndarray:
        """All parameters of the network."""
        return self.regressor_.theta_

    @property
    def loss_curve_(self) -> list:
        """Mean loss of each epoch, of standardised targets."""
        return self.regressor_.loss_curve_

    @property
    def n_iter_(self) -> int:
        """Epochs."""
        return self.regressor_.n_iter_
