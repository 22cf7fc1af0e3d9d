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

from echocast._checks import check_generator, check_jobs, check_number, stack_level
from echocast._saving import ModelFiles
from echocast.exceptions import EchocastWarning

from ._guard import refuse_as_scorer
from ._levels import read_levels, read_quantiles
from ._metrics import resolve_metric
from ._panel import is_panel, named
from ._panel_methods import (
    apply_panel,
    check_pooling,
    fit_panel,
    fitted_panel,
    predict_panel,
    residuals_panel,
    sample_panel,
    score_panel,
    update_panel,
)
from ._reading import Reader

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


class BaseForecaster(Reader, ModelFiles, BaseEstimator, metaclass=ABCMeta):
    """Abstract: the pandas interface around arrays.

    Final classes store the parameters `freq`, `missing`, `season_length` and `random_state`
    (and, where they have a meaning, `past_columns`, `calendar`, `fourier`, `pooling` and
    `n_jobs`) and define the hooks at the end of this class, which see arrays only. A hook that
    runs in a transaction replaces fitted attributes and never changes them in place.

    A panel is fitted as one member for each series, `members_`, to which all methods delegate;
    with pooling="global" the members share what `_learn_pool` learnt from all series.
    """

    _fit_is_new = False  # whether `_restart` is about a series that the pool has not seen

    # ------------------------------------------------------------------ fitting

    @transaction
    def fit(self, y: Any, X: Any = None, *, static: Any = None) -> Self:
        """Learn from a series or system and what is known of its surroundings.

        Parameters
        ----------
        y : Series, DataFrame or ndarray of shape (n_steps,) or (n_steps, n_columns)
            Rows in time order. A wide frame is one system with several variables. The index
            is a regular DatetimeIndex, PeriodIndex, RangeIndex or of evenly spaced integers; or
            a MultiIndex (series, time), which makes y a panel of several series.
        X : DataFrame indexed like y, or ndarray if y is one, optional
            Exogenous columns: row t belongs to the same time as ``y[t]`` and must be known when
            that is forecast, but for the `past_columns` of forecasters that have them. Rows are
            aligned with y by label; further rows are ignored. For a panel, a frame indexed by
            time alone belongs to all series.
        static : DataFrame, optional
            For a panel fitted with pooling="global": one row for each series, indexed by their
            labels, of numbers that tell them apart.

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
        refuse_as_scorer(self._owner)
        for name in [n for n in vars(self) if n.startswith("_fit_") or n.endswith("_")]:
            del self.__dict__[name]
        self._check_params()
        check_jobs(getattr(self, "n_jobs", None), self._owner)
        check_pooling(self, y, static)
        if is_panel(y):
            fit_panel(self, y, X, static)
            return self
        target, exog = self._read_first(y, X)
        self._fit_seed = int(check_generator(self.random_state).randint(2**31 - 1))
        self._learn(target.values, exog)
        self._finish(target)
        return self

    def _finish(self, target):
        """Remember where the rows of fit ended, once they are learnt."""
        self._fit_last_row = target.values[-1].copy()
        self.n_steps_seen_ = len(target)

    @property
    def cutoff_(self) -> Any:
        """Label of the last row seen; forecasts begin one step after it. A dict for a panel."""
        check_is_fitted(self)
        if self._is_panel:
            return {label: member.cutoff_ for label, member in self.members_.items()}
        return self._fit_axis.last

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_steps_seen_")

    @property
    def _is_panel(self) -> bool:
        return "members_" in vars(self)

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
        if self._is_panel:
            update_panel(self, y, X, bool(refit))
            return
        target = self._read_next(y)
        exog = self._read_exog(X, target.index, blank=target.blank)
        self._advance(target.values, exog, bool(refit))
        self._move_to(target)

    def _move_to(self, target):
        """Remember that the rows of `target`, which follow the cutoff, have been taken in."""
        self._fit_axis = self._fit_axis.ending(target.axis.last)
        self._fit_position = self._fit_position + len(target)
        self._fit_last_row = target.values[-1].copy()
        self.n_steps_seen_ = self.n_steps_seen_ + len(target)

    def apply(self, y: Any, X: Any = None, *, static: Any = None) -> Self:
        """A copy with the same weights and transforms, but another history.

        Parameters
        ----------
        y : Series, DataFrame or ndarray
            In the form of fit, with the same columns and frequency; it may begin anywhere.
        X : DataFrame or ndarray, optional
            Exogenous columns for these rows.
        static : DataFrame, optional
            Static columns of series that were not in a panel fitted with pooling="global".

        Returns
        -------
        BaseForecaster
            A forecaster whose cutoff is the end of `y`.
        """
        check_is_fitted(self)
        if self._is_panel:
            return apply_panel(self, y, X, static)
        target = self._read_again(y)
        other = copy.copy(self)
        first = self._position(target)
        other._restart(target.values, self._read_exog(X, target.index, blank=target.blank), first)
        other._fit_axis = self._fit_axis.ending(target.axis.last)
        other._fit_position = first + len(target) - 1
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
            an array the index of that frame goes on counting rows. A panel keeps its index
            levels; each series is forecast from its own end.
        """
        check_is_fitted(self)
        levels, probabilities = read_levels(level), read_quantiles(quantiles)
        if self._is_panel:
            return predict_panel(self, horizon, X, levels, probabilities)
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
        if self._is_panel:
            return sample_panel(self, horizon, X, n_samples, random_state)
        rng = check_generator(self._fit_seed if random_state is None else random_state)
        steps, index, exog = self._read_future(horizon, X)
        paths = self._paths(int(steps[-1]), exog, n_samples, rng)
        return self._fit_form.samples(paths[steps - 1], index)

    # -------------------------------------------------------------- diagnostics

    def fitted_values(self, y: Any = None, X: Any = None) -> Any:
        """One-step predictions of each row from the rows before it, with the weights of fit.

        Missing rows are filled forwards here, also where fit interpolates.

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
            In the form of y; NaN for the first rows, which have too little before them (with
            missing="mask" up to the row by which each column has had a value).
        """
        check_is_fitted(self)
        if y is None:
            raise ValueError(
                "A forecaster keeps no training data; pass them: fitted_values(y). `residuals()` "
                "gives the errors that were kept."
            )
        if self._is_panel:
            return fitted_panel(self, y, X)
        # Interpolation would let a row before it know the row that is predicted.
        causal = "ffill" if self.missing == "interpolate" else None
        target = self._read_again(y, missing=causal)
        exog = self._read_exog(X, target.index, blank=target.blank)
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
        if self._is_panel:
            return residuals_panel(self)
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
            For a panel the mean over its series.

        Raises
        ------
        TypeError
            If scikit-learn's `GridSearchCV` or `cross_val_score` calls without `scoring`: they
            maximise. `ForecastSearchCV` and `backtest` do what is meant.
        """
        refuse_as_scorer(self._owner)
        check_is_fitted(self)
        if self._is_panel:
            return score_panel(self, y, X, metric)
        name, function = resolve_metric(metric, self._owner)
        target = self._read_next(y)
        points = self._point(len(target), self._read_exog(X, target.index, future=True))
        seen = ~np.isnan(target.values).any(axis=1)  # NaN are let in by missing="mask" alone
        if not seen.any():
            raise ValueError("`y` has no complete row to score.")
        truth, points = target.values[seen], points[seen]
        errors = truth - points
        if name in ("mase", "rmsse") and np.isnan(self._fit_scales).any():
            warnings.warn(
                "The training part repeats exactly after one season, so the scaled error is NaN.",
                EchocastWarning,
                stacklevel=stack_level(),
            )
        if name == "mase":
            return float((np.abs(errors).mean(axis=0) / self._fit_scales[0]).mean())
        if name == "rmsse":
            return float(np.sqrt((errors**2).mean(axis=0) / self._fit_scales[1]).mean())
        return function(truth, points, None, self.season_length_)

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

    # -------------------------------------------------------------------- hooks

    def _check_params(self) -> None:
        """Check the parameters that need no data."""

    @abstractmethod
    def _learn(self, values: np.ndarray, exog: np.ndarray) -> None:
        """Fit to rows (n, D) and exogenous rows (n, K), on a shadow of self."""

    def _learn_pool(self, members, values, exog, static) -> None:
        """Fit one model to several series, on the unfitted `members`, for pooling="global"."""
        raise ValueError(
            f"The 'pooling' parameter of {self._owner} must be 'local'. Got 'global' instead."
        )

    def _pool_points(self, members, n_steps, exog) -> list[np.ndarray]:
        """Point forecasts of several members of a panel."""
        return [member._point(n_steps, rows) for member, rows in zip(members, exog)]

    def _advance_pool(self, members, values, exog, refit) -> None:
        """Take in rows of several of the `members_`, which are shadows."""
        labels = {id(member): label for label, member in self.members_.items()}
        for member, rows, known in zip(members, values, exog):
            with named(labels[id(member)]):
                member._advance(rows, known, refit)

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
