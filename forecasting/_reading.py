"""Read y and X for a forecaster, in its fit and ever after in the form of that fit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import check_number, stack_level
from echocast.exceptions import ConstantTargetWarning

from ._calendar import resolve_calendar, time_features
from ._exog import ExogSpec, check_order_of_arguments, read_exog
from ._frames import Form, Target, read_target
from ._gaps import complete
from ._index import TimeAxis, read_axis, read_horizon, seasonal_period, show
from ._transforms_registry import sparing_last

__all__ = ["Reader"]


class Reader:
    """Mixin of forecasters: what concerns their input, which is arrays from there on.

    Exogenous rows consist of the columns of X known beforehand, the features of the time stamps
    (`calendar`, `fourier`) and, up to the cutoff, the columns of X that are known only then.
    """

    _masks = False  # whether missing="mask" is allowed, which passes NaN on to the hooks
    freq: Any
    missing: str
    transforms: Any
    season_length: Any
    _fit_form: Form
    _fit_axis: TimeAxis
    _fit_position: int  # of the last row, counted from the first row of fit
    _fit_exog: ExogSpec
    _fit_last_row: np.ndarray

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
        count = np.maximum((~np.isnan(changes)).sum(axis=0), 1)
        means = np.stack([np.nansum(changes, axis=0), np.nansum(changes**2, axis=0)]) / count
        self._fit_scales = np.where(means > 0, means, np.nan)

    def _read_first(self, y, X) -> tuple[Target, np.ndarray]:
        """Validate y and X of a fit and remember their form."""
        check_order_of_arguments(y, X)
        target = read_target(
            y, owner=self._owner, freq=self.freq, missing=self.missing, masks=self._masks
        )
        values, self._fit_exog = read_exog(
            X,
            target.index,
            spec=None,
            is_array=target.form.kind.startswith("array"),
            owner=self._owner,
            past_columns=getattr(self, "past_columns", None),
            blank=target.blank,
        )
        self._fit_form = target.form
        self._fit_axis = target.axis
        self._fit_position = len(target) - 1
        self.season_length_ = self._resolve_season(target.axis)
        self._remember_scales(target.values)
        if "_fit_calendar" not in vars(self):  # a pool has settled it for all its series
            self._settle_calendar(target.axis)
        return target, self._with_time(values, target.index)

    def _read_future(self, horizon, X):
        steps = read_horizon(horizon, self._fit_axis)
        index = self._fit_axis.after(int(steps[-1]))
        exog = self._read_exog(X, index, future=True)
        if steps[-1] - steps[0] + 1 == len(steps):  # a slice keeps the frequency
            return steps, index[steps[0] - 1 :], exog
        return steps, index[steps - 1], exog

    def _read_exog(self, X, index, *, future=False, blank=None):
        values, _ = read_exog(
            X,
            index,
            spec=self._fit_exog,
            is_array=self._fit_form.kind.startswith("array"),
            owner=self._owner,
            future=future,
            blank=blank,
        )
        return self._with_time(values, index, future)

    def _settle_calendar(self, axis):
        """What "auto" means is settled by the rows of fit, once for ever."""
        calendar = getattr(self, "calendar", None)
        self._fit_calendar = resolve_calendar(calendar, axis, owner=self._owner)

    @property
    def _n_past(self) -> int:
        """Exogenous columns that are known up to the cutoff alone; the last ones."""
        return self._fit_exog.n_past

    def _with_past(self, values, exog):
        """Past-only columns are further variables, which forecasts need and do not show."""
        n_known = exog.shape[1] - self._n_past
        return np.concatenate([values, exog[:, n_known:]], axis=1), exog[:, :n_known]

    def _own_transforms(self):
        """`transforms` for rows that past-only columns have been added to."""
        n_columns = self._fit_form.n_columns
        return sparing_last(self.transforms, n_columns, self._n_past, self._owner)

    def _warn_if_constant(self, values):
        for column, label in zip(values.T, self._fit_form.labels):
            column = column[~np.isnan(column)]
            if len(column) and np.ptp(column) == 0:
                name = "y" if self._fit_form.n_columns == 1 else f"column {label!r} of y"
                warnings.warn(
                    f"{name} is constant ({column[0]:g}); the forecast is that constant.",
                    ConstantTargetWarning,
                    stacklevel=stack_level(),
                )

    def _with_time(self, values, index, future=False):
        """Exogenous rows with the features of their stamps before the past-only columns."""
        fourier = getattr(self, "fourier", None)
        if not self._fit_calendar and fourier is None:
            return values
        first = self._fit_axis.position_of(index[0], self._fit_position)
        features, _ = time_features(
            index,
            first + np.arange(len(index)),
            calendar=list(self._fit_calendar) or None,
            fourier=fourier,
            owner=self._owner,
        )
        n_known = values.shape[1] - (0 if future else self._n_past)
        return np.concatenate([values[:, :n_known], features, values[:, n_known:]], axis=1)

    def _read_again(self, y, before=None, missing=None, start=None):
        """Validate rows in the form of fit, from anywhere on the axis."""
        missing = self.missing if missing is None else missing
        form = self._fit_form
        kinds = {"series": pd.Series, "frame": pd.DataFrame}
        wanted = kinds.get(form.kind, np.ndarray)
        if not isinstance(y, wanted):
            raise TypeError(
                f"`y` must be a {wanted.__name__}, as in fit. Found {type(y).__name__}."
            )
        if form.kind == "frame":
            absent = [c for c in form.columns if c not in y.columns]
            if absent or y.shape[1] != form.n_columns:
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
        own = getattr(getattr(y, "index", None), "tz", None)
        if zone is not None and own is not None and str(own) != str(zone):
            y = y.tz_convert(zone)  # days are those of the clocks in fit
        if form.kind in ("series", "frame") and len(y):
            y = complete(y, freq=freq, missing=missing, start=start)
            self._check_labels(read_axis(y.index, freq=freq))
        return read_target(
            y,
            owner=self._owner,
            freq=freq,
            missing=missing,
            before=before,
            masks=self._masks,
        )

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
        is_array = self._fit_axis.kind == "array"
        start = None if is_array else self._fit_axis.after(1)[0]
        target = self._read_again(y, before=self._fit_last_row, start=start)
        if is_array:
            labels = self._fit_axis.after(len(target))
            axis = self._fit_axis.ending(int(labels[-1]))
            return Target(target.values, labels, axis, target.form)
        if target.axis.first != start:
            raise ValueError(
                f"`y` must begin at {show(start)}, one step after the cutoff "
                f"{show(self._fit_axis.last)}. Got {show(target.axis.first)}."
            )
        return target

    def _position(self, target):
        """Steps from the first row of fit to the first of `target`; arrays begin at zero."""
        if self._fit_axis.kind == "array":
            return 0
        return self._fit_axis.position_of(target.axis.first, self._fit_position)
