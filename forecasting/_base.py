"""What every forecaster shares: reading y and X, transactions, horizons, and output frames."""

from __future__ import annotations

import copy
import functools
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Any, Self, TypeVar, cast

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_generator, check_number
from echocast.exceptions import EchocastWarning

from ._exog import check_order_of_arguments, read_exog
from ._frames import Target, read_target
from ._index import TimeAxis, read_axis, read_horizon, seasonal_period, show
from ._levels import read_levels, read_quantiles
from ._metrics import resolve_metric

__all__ = ["BaseForecaster", "transaction"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


def transaction(method: _Method) -> _Method:
    """Work on a shadow copy, publish it in one assignment and return the estimator.

    An error or Ctrl-C leaves the former fitted state as it was.
    """

    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        shadow = copy.copy(self)
        method(shadow, *args, **kwargs)
        self.__dict__ = shadow.__dict__
        return self

    return cast(_Method, wrapped)


class BaseForecaster(BaseEstimator, metaclass=ABCMeta):
    """Abstract: the pandas interface around arrays.

    Final classes store the parameters `freq`, `missing`, `season_length` and `random_state`
    and define the hooks at the end of this class, which see arrays only. A hook that runs in
    a transaction replaces fitted attributes and never changes them in place.
    """

    # ------------------------------------------------------------------ fitting

    @transaction
    def fit(self, y: Any, X: Any = None) -> Self:
        """Learn from a series or system and what is known of its surroundings.

        Parameters
        ----------
        y : Series, DataFrame or ndarray of shape (n_steps,) or (n_steps, n_columns)
            Rows in time order. A wide frame is one system with several variables. The index
            is a regular DatetimeIndex, PeriodIndex, RangeIndex or of evenly spaced integers.
        X : DataFrame indexed like y, or ndarray if y is one, optional
            Exogenous columns: row t belongs to the same time as ``y[t]`` and must be known when
            that is forecast. Rows are aligned with y by label; further rows are ignored.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        TypeError, ValueError
            If y or X is unusable; the former fit, if any, stays intact.
        """
        for name in [n for n in vars(self) if n.startswith("_fit_") or n.endswith("_")]:
            del self.__dict__[name]
        self._check_params()
        check_order_of_arguments(y, X)
        target = read_target(y, owner=self._owner, freq=self.freq, missing=self.missing)
        exog, self._fit_exog = read_exog(
            X,
            target.index,
            spec=None,
            is_array=target.form.kind.startswith("array"),
            owner=self._owner,
        )
        self._fit_form = target.form
        self._fit_axis = target.axis
        self.season_length_ = self._resolve_season(target.axis)
        self._remember_scales(target.values)
        self._fit_seed = int(check_generator(self.random_state).randint(2**31 - 1))
        self._learn(target.values, exog)
        self._fit_last_row = target.values[-1].copy()
        self.n_steps_seen_ = len(target)
        return self

    @property
    def cutoff_(self) -> Any:
        """Label of the last row seen; forecasts begin one step after it."""
        check_is_fitted(self, "_fit_axis")
        return self._fit_axis.last

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_steps_seen_")

    def update(self, y: Any, X: Any = None, *, refit: bool = False) -> Self:
        """Take in rows that follow the cutoff, in time that depends on their number alone.

        Parameters
        ----------
        y : Series, DataFrame or ndarray
            In the form of fit; the first row lies one step after the cutoff.
        X : DataFrame or ndarray, optional
            Exogenous columns for these rows.
        refit : bool, default=False
            Whether the weights learn from the rows; transforms stay as they are. If false, only
            the state moves on.

        Returns
        -------
        self
            Changed in place; `apply` returns a copy instead.

        Raises
        ------
        ValueError
            If the rows do not follow the cutoff.
        """
        check_is_fitted(self)
        return self._update(y, X, refit)

    @transaction
    def _update(self, y, X, refit):
        target = self._read_next(y)
        exog = self._read_exog(X, target.index)
        self._advance(target.values, exog, bool(refit))
        self._fit_axis = self._fit_axis.ending(target.axis.last)
        self._fit_last_row = target.values[-1].copy()
        self.n_steps_seen_ = self.n_steps_seen_ + len(target)

    def apply(self, y: Any, X: Any = None) -> Self:
        """A copy with the same weights and transforms, but another history.

        Parameters
        ----------
        y : Series, DataFrame or ndarray
            In the form of fit, with the same columns and frequency; it may begin anywhere.
        X : DataFrame or ndarray, optional
            Exogenous columns for these rows.

        Returns
        -------
        BaseForecaster
            A forecaster whose cutoff is the end of `y`.
        """
        check_is_fitted(self)
        target = self._read_again(y)
        other = copy.copy(self)
        first = self._position(target)
        other._restart(target.values, self._read_exog(X, target.index), first)
        other._fit_axis = self._fit_axis.ending(target.axis.last)
        other._fit_last_row = target.values[-1].copy()
        other.n_steps_seen_ = len(target)
        other._remember_scales(target.values)
        return other

    # ------------------------------------------------------------- forecasting

    def predict(
        self,
        horizon: Any,
        X: Any = None,
        *,
        level: Any = None,
        quantiles: Any = None,
    ) -> Any:
        """Forecast the steps after the cutoff; changes nothing.

        Parameters
        ----------
        horizon : int, list of int, date or index
            An int h means steps 1 to h; ints are steps counted from 1; a date is the last step;
            an index holds the labels wanted.
        X : DataFrame or ndarray, optional
            Exogenous columns for all steps up to the last one wanted.
        level : float or list of float in [1, 100), optional
            Central prediction intervals, in per cent (80, not 0.8): columns "lo-80", "hi-80", ...
        quantiles : float or list of float in (0, 1), optional
            Quantiles: columns "q-0.1", ...

        Returns
        -------
        Series, DataFrame or ndarray
            The point forecasts in the form of y. With `level` or `quantiles` a DataFrame whose
            first column is the point forecast, under the name of y or "y"; for several
            variables the columns are pairs (variable, field) with the field "forecast". After
            an array the index of that frame goes on counting rows.
        """
        check_is_fitted(self)
        levels, probabilities = read_levels(level), read_quantiles(quantiles)
        steps, index, exog = self._read_future(horizon, X)
        points = self._point(int(steps[-1]), exog)
        if not (levels or probabilities):
            return self._fit_form.points(points[steps - 1], index)
        fields = {"forecast": points}
        fields.update(self._bands(points, exog, levels, probabilities))
        return self._fit_form.fields({k: v[steps - 1] for k, v in fields.items()}, index)

    def sample(
        self, horizon: Any, X: Any = None, *, n_samples: int = 200, random_state: Any = None
    ) -> pd.DataFrame:
        """Simulated paths of the steps after the cutoff.

        Parameters
        ----------
        horizon, X
            As in `predict`.
        n_samples : int, default=200
            Number of paths.
        random_state : None, int, RandomState, Generator or SeedSequence, default=None
            None uses a seed drawn in fit, so that repeated calls give the same paths.

        Returns
        -------
        DataFrame
            One column for each path, 0 to n_samples - 1; for several variables the columns are
            pairs (variable, path).
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, self._owner, low=1, integer=True)
        rng = check_generator(self._fit_seed if random_state is None else random_state)
        steps, index, exog = self._read_future(horizon, X)
        paths = self._paths(int(steps[-1]), exog, n_samples, rng)
        return self._fit_form.samples(paths[steps - 1], index)

    # -------------------------------------------------------------- diagnostics

    def fitted_values(self, y: Any = None, X: Any = None) -> Any:
        """One-step predictions of each row from the rows before it, with the weights of fit.

        Parameters
        ----------
        y : Series, DataFrame or ndarray
            The training rows, or others in their form. The model keeps no data, so they have
            to be given.
        X : DataFrame or ndarray, optional
            Exogenous columns for these rows.

        Returns
        -------
        Series, DataFrame or ndarray
            In the form of y; NaN for the first rows, which have too little before them.
        """
        check_is_fitted(self)
        if y is None:
            raise ValueError(
                "A forecaster keeps no training data; pass them: fitted_values(y). `residuals()` "
                "gives the errors that were kept."
            )
        target = self._read_again(y)
        exog = self._read_exog(X, target.index)
        fitted = self._one_step(target.values, exog, self._position(target))
        values = np.full(target.values.shape, np.nan)
        values[len(values) - len(fitted) :] = fitted
        return self._fit_form.points(values, target.index)

    def residuals(self) -> Any:
        """The errors of single steps that the model keeps, in the units of y.

        Returns
        -------
        Series, DataFrame or ndarray
            In the form of y, for at most the last 1,000 rows.
        """
        check_is_fitted(self)
        errors = self._kept_residuals()
        return self._fit_form.points(errors, self._fit_axis.until_last(len(errors)))

    def score(self, y: Any, X: Any = None, *, metric: Any = "mase") -> float:
        """Score the forecast of the rows `y` that follow the cutoff; lower is better.

        Parameters
        ----------
        y : Series, DataFrame or ndarray
            True values from one step after the cutoff on.
        X : DataFrame or ndarray, optional
            Exogenous columns for these rows.
        metric : str or callable, default="mase"
            "mase", "rmsse", "smape", "mape", "mae", "rmse", "nrmse", or a function
            ``(y_true, y_pred) -> float``. Scales come from the training rows.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        name, function = resolve_metric(metric, self._owner)
        target = self._read_next(y)
        points = self._point(len(target), self._read_exog(X, target.index, future=True))
        errors = target.values - points
        if name in ("mase", "rmsse") and np.isnan(self._fit_scales).any():
            warnings.warn(
                "The training part repeats exactly after one season, so the scaled error is NaN.",
                EchocastWarning,
                stacklevel=2,
            )
        if name == "mase":
            return float((np.abs(errors).mean(axis=0) / self._fit_scales[0]).mean())
        if name == "rmsse":
            return float(np.sqrt((errors**2).mean(axis=0) / self._fit_scales[1]).mean())
        return function(target.values, points, None, self.season_length_)

    def plot(
        self, horizon: Any, X: Any = None, *, level: Any = None, y: Any = None, ax: Any = None
    ):
        """Draw the forecast, behind `y` if that is given.

        Parameters
        ----------
        horizon, X, level
            As in `predict`.
        y : Series, DataFrame or ndarray, optional
            The past to show.
        ax : matplotlib Axes, optional

        Returns
        -------
        ForecastDisplay
        """
        from ._plot import ForecastDisplay

        return ForecastDisplay.from_estimator(self, horizon, X, level=level, y=y, ax=ax)

    # -------------------------------------------------------------------- input

    @property
    def _owner(self) -> str:
        return type(self).__name__

    def _resolve_season(self, axis: TimeAxis) -> int:
        check_number(
            "season_length", self.season_length, self._owner, low=1, integer=True, also=("auto",)
        )
        return seasonal_period(axis) if self.season_length == "auto" else int(self.season_length)

    def _remember_scales(self, values):
        """Seasonal naive errors within the training rows, which MASE and RMSSE divide by."""
        lag = self.season_length_ if len(values) > self.season_length_ else 1
        changes = np.abs(values[lag:] - values[:-lag])
        if not len(changes):
            changes = np.full((1, values.shape[1]), np.nan)
        means = np.stack([changes.mean(axis=0), (changes**2).mean(axis=0)])
        self._fit_scales = np.where(means > 0, means, np.nan)

    def _read_future(self, horizon, X):
        steps = read_horizon(horizon, self._fit_axis)
        index = self._fit_axis.after(int(steps[-1]))
        exog = self._read_exog(X, index, future=True)
        if steps[-1] - steps[0] + 1 == len(steps):  # a slice keeps the frequency
            return steps, index[steps[0] - 1 :], exog
        return steps, index[steps - 1], exog

    def _read_exog(self, X, index, *, future=False):
        is_array = self._fit_form.kind.startswith("array")
        values, _ = read_exog(
            X, index, spec=self._fit_exog, is_array=is_array, owner=self._owner, future=future
        )
        return values

    def _read_again(self, y, before=None):
        """Validate rows in the form of fit, from anywhere on the axis."""
        form = self._fit_form
        kinds = {"series": pd.Series, "frame": pd.DataFrame}
        wanted = kinds.get(form.kind, np.ndarray)
        if not isinstance(y, wanted):
            raise TypeError(
                f"`y` must be a {wanted.__name__}, as in fit. Found {type(y).__name__}."
            )
        if form.kind == "frame":
            missing = [c for c in form.columns if c not in y.columns]
            if missing or y.shape[1] != form.n_columns:
                raise ValueError(
                    f"`y` must have the columns of fit. Expected {list(form.columns)}. Got "
                    f"{list(y.columns)}."
                )
            y = y[list(form.columns)]
        elif form.kind == "array2d" and (y.ndim != 2 or y.shape[1] != form.n_columns):
            raise ValueError(f"`y` must have {form.n_columns} columns, got shape {y.shape}.")
        elif form.kind == "array1d" and y.ndim != 1:
            raise ValueError(f"`y` must have one dimension, as in fit, got shape {y.shape}.")
        freq = None if self._fit_axis.kind in ("period", "array") else self._fit_axis.freq
        zone = getattr(self._fit_axis.last, "tz", None)
        if zone is not None and getattr(getattr(y, "index", None), "tz", None) is not None:
            y = y.tz_convert(zone)  # days are those of the clocks in fit
        if form.kind in ("series", "frame") and len(y):
            self._check_labels(read_axis(y.index, freq=freq))
        return read_target(y, owner=self._owner, freq=freq, missing=self.missing, before=before)

    def _check_labels(self, axis):
        mine = self._fit_axis
        numbers = ("range", "integer")
        same = axis.kind == mine.kind or (axis.kind in numbers and mine.kind in numbers)
        if same and mine.kind == "datetime" and (axis.last.tz is None) != (mine.last.tz is None):
            aware, naive = ("`y` is", "fit was") if mine.last.tz is None else ("fit was", "`y` is")
            raise TypeError(f"{aware} tz-aware and {naive} tz-naive. Use y.tz_localize or convert.")
        if not same or (mine.kind == "period" and axis.freq != mine.freq):
            raise TypeError(
                f"`y` has a {axis.kind} index of freq {axis.freq_name!r}; fit had a {mine.kind} "
                f"index of freq {mine.freq_name!r}."
            )

    def _read_next(self, y):
        """Validate rows that follow the cutoff."""
        target = self._read_again(y, before=self._fit_last_row)
        if self._fit_axis.kind == "array":
            labels = self._fit_axis.after(len(target))
            axis = self._fit_axis.ending(int(labels[-1]))
            return Target(target.values, labels, axis, target.form)
        expected = self._fit_axis.after(1)[0]
        if target.axis.first != expected:
            raise ValueError(
                f"`y` must begin at {show(expected)}, one step after the cutoff "
                f"{show(self._fit_axis.last)}. Got {show(target.axis.first)}."
            )
        return target

    def _position(self, target):
        """Steps from the first row of fit to the first of `target`; arrays begin at zero."""
        if self._fit_axis.kind == "array":
            return 0
        return self._fit_axis.offset_of(target.axis)

    # -------------------------------------------------------------------- hooks

    def _check_params(self) -> None:
        """Check the parameters that need no data."""

    @abstractmethod
    def _learn(self, values: np.ndarray, exog: np.ndarray) -> None:
        """Fit to rows (n, D) and exogenous rows (n, K), on a shadow of self."""

    @abstractmethod
    def _advance(self, values: np.ndarray, exog: np.ndarray, refit: bool) -> None:
        """Take in rows after the cutoff, on a shadow of self."""

    @abstractmethod
    def _restart(self, values: np.ndarray, exog: np.ndarray, first: int) -> None:
        """Replace the history by rows whose first has position `first`, on a copy of self."""

    @abstractmethod
    def _point(self, n_steps: int, exog: np.ndarray) -> np.ndarray:
        """Point forecasts (n_steps, D)."""

    @abstractmethod
    def _paths(self, n_steps, exog, n_paths, rng) -> np.ndarray:
        """Simulated paths (n_steps, D, n_paths)."""

    @abstractmethod
    def _bands(self, points, exog, levels, probabilities) -> dict[str, np.ndarray]:
        """Fields "lo-80", "hi-80", "q-0.1", ... of shape (n_steps, D)."""

    @abstractmethod
    def _one_step(self, values, exog, first) -> np.ndarray:
        """Predictions of the last rows of `values`, each from the rows before it."""

    @abstractmethod
    def _kept_residuals(self) -> np.ndarray:
        """Errors of single steps in the units of y, (n, D)."""
