"""The automatic forecaster: no settings, pandas in and out."""

from __future__ import annotations

from typing import Any

import numpy as np

from echocast._checks import check_generator, check_number, check_option

from ._auto_dynamics import DynamicsModel
from ._auto_pool import AutoPool, default_horizon, natural_periods, window
from ._auto_recognise import is_dynamical
from ._base import BaseForecaster
from ._intervals import path_bands

__all__ = ["AutoESNForecaster"]

_MOST_RESIDUALS = 200  # one-step errors of a series model are forecasts of their own each
_FEWEST_ROWS = 4  # one to forecast from, and steps to judge by
_MOST_JUDGED = 10  # series of a panel that are looked at


class AutoESNForecaster(BaseForecaster):
    """Forecast without settings: look at the rows, choose a model and fit it.

    Rows that look like a deterministic system sampled in time (predictable from their own past,
    without a season of the calendar) are forecast by networks in closed loop. All others are
    forecast as business series, by an average of pooled networks and classical lines; the
    columns of a wide frame, or all series of a panel, then share the networks. Everything is
    chosen on rows before the cutoff, and either model gives way to a naive forecast that did
    better there.

    Parameters
    ----------
    horizon : int, optional
        Steps that will be asked for, which choices are made for. Any other number of steps may
        be forecast as well. None takes, for business series, one or two seasons, and for
        systems a fifth of the rows, at most 200.
    kind : {"auto", "system", "series"}, default="auto"
        What the rows are. "auto" finds out, see `kind_`.
    season_length : int or "auto", default="auto"
        Steps of a season. "auto" takes the usual one of the index's frequency (7 for days, 12
        for months, 24 for hours, 52 for weeks), and 1 for years, integers and arrays.
    n_seeds : int, default=3
        Drawings of random weights for each of the best settings of a system, whose median is
        the forecast.
    freq : str or offset, optional
        Frequency of an index that has none and is too short to infer it from.
    missing : {"raise", "ffill", "interpolate"}, default="raise"
        What to do with NaN in y. Filling uses rows up to the cutoff alone.
    n_boot : int, default=200
        Number of simulated paths behind intervals.
    pooling : {"global", "local"}, default="global"
        Whether the series of a panel share one model or have one each.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of all weights, and of the paths, which repeat from call to call.
    n_jobs : int or None, default=None
        Processes over the series of a panel that have a model each.

    Attributes
    ----------
    kind_ : {"system", "series"}
        What the rows were taken for.
    settings_ : dict
        What was chosen. For a system: "candidates", the settings whose median is the forecast;
        "scores", errors between 0 and 1 of the networks and of naive forecasts on rows held
        back; "naive", the naive forecast used instead, or None. For series: "weights", of
        the members of the average; "share", of that average beside the naive forecast.
    cutoff_ : label
    season_length_, n_steps_seen_ : int
    members_ : dict
        For a panel: the fitted forecaster of each series.

    Notes
    -----
    Columns of a system that never change, that repeat another some steps later (delay
    coordinates) or that are a pure oscillation are recognised by these exact relations and
    forecast by them; networks see them, but need not learn them. Where no setting forecasts
    well, positive columns that span orders of magnitude are tried in logarithms, and all
    columns together with their last increments.

    Intervals come from the errors of forecasts of rows that were held back. X is not taken.

    References
    ----------
    .. [1] H. Jaeger, H. Haas, "Harnessing nonlinearity: predicting chaotic systems and saving
       energy in wireless communication", Science 304, 2004.
    .. [2] W. Gilpin, "Chaos as an interpretable benchmark for forecasting and data-driven
       modelling", NeurIPS Datasets and Benchmarks, 2021.

    Examples
    --------
    >>> import pandas as pd
    >>> from echocast.datasets import lorenz63
    >>> from echocast.forecasting import AutoESNForecaster
    >>> y = pd.DataFrame(lorenz63(450, dt=0.05), columns=["x", "y", "z"])
    >>> model = AutoESNForecaster(horizon=40, n_seeds=1, random_state=0).fit(y.iloc[:400])
    >>> model.kind_
    'system'
    >>> error = model.predict(20) - y.iloc[400:420]
    >>> bool((error.abs().max() < 0.1 * y.std()).all())
    True
    """

    _takes_exog = False  # long frames leave out the columns that it would refuse

    def __init__(
        self,
        *,
        horizon: int | None = None,
        kind: str = "auto",
        season_length: int | str = "auto",
        n_seeds: int = 3,
        freq: Any = None,
        missing: str = "raise",
        n_boot: int = 200,
        pooling: str = "global",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.horizon = horizon
        self.kind = kind
        self.season_length = season_length
        self.n_seeds = n_seeds
        self.freq = freq
        self.missing = missing
        self.n_boot = n_boot
        self.pooling = pooling
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_params(self):
        owner = self._owner
        check_number("horizon", self.horizon, owner, low=1, integer=True, also=(None,))
        check_option("kind", self.kind, owner, ("auto", "system", "series"))
        check_number("n_seeds", self.n_seeds, owner, low=1, integer=True)
        check_number("n_boot", self.n_boot, owner, low=1, integer=True)

    # ------------------------------------------------------------------ fitting

    def _learn(self, values, exog):
        self._refuse_exog(exog)
        if self._is_system(values):
            self._learn_system(values)
        else:
            columns = [column.copy() for column in values.T]
            days = [self._last_day()] * len(columns)
            self._take_pool(self._new_pool(columns, days), columns)

    def _learn_pool(self, members, values, exog, static):
        if static is not None:
            raise ValueError(
                f"{self._owner} takes no `static` columns; use "
                "ESNForecaster(strategy='direct', pooling='global')."
            )
        for rows in exog:
            self._refuse_exog(rows)
        judged = list(zip(members, values))[:_MOST_JUDGED]
        if all(member._is_system(rows) for member, rows in judged):
            for member, rows in zip(members, values):
                member._learn_system(rows)
        else:
            columns = [[column.copy() for column in rows.T] for rows in values]
            days = _last_days(members, columns)
            pool = members[0]._new_pool([column for part in columns for column in part], days)
            for member, part in zip(members, columns):
                member._take_pool(pool, part)
        self.kind_, self.settings_ = members[0].kind_, members[0].settings_

    def _refuse_exog(self, exog):
        if exog.shape[1]:
            raise ValueError(
                f"{self._owner} takes no X. Got {exog.shape[1]} column(s); use ESNForecaster, "
                "which does."
            )

    def _is_system(self, values):
        if self.kind != "auto":
            return self.kind == "system"
        return is_dynamical(values, self.season_length_)

    def _learn_system(self, values):
        if len(values) < _FEWEST_ROWS:
            raise ValueError(
                f"Length of `y` ({len(values)}) must be at least {_FEWEST_ROWS} for a model of a "
                "system. Pass more rows, or kind='series'."
            )
        model = DynamicsModel(
            values, horizon=self.horizon, n_seeds=self.n_seeds, seed=self._fit_seed
        )
        self.kind_ = "system"
        self.settings_ = {
            "candidates": [
                {**look._asdict(), **setting._asdict(), "alpha": alpha, "score": score}
                for look, setting, alpha, score in model.candidates
            ],
            "scores": model.scores,
            "naive": model.naive,
        }
        self._fit_model, self._fit_memory = model, model.first_memory
        self._fit_residuals = model.errors

    def _last_day(self, n_later=0):
        """The day of the last row of a daily series, or so many rows later; None for others."""
        axis = self._fit_axis
        if axis.kind not in ("datetime", "period") or axis.freq_name != "D":
            return None
        return np.datetime64(f"{axis.last:%Y-%m-%d}", "D") + np.timedelta64(int(n_later), "D")

    def _new_pool(self, columns, days):
        shortest = int(np.median([len(column) for column in columns]))
        season = self.season_length_
        horizon = self.horizon or default_horizon(season, shortest)
        pool = AutoPool(horizon, natural_periods(season), seed=self._fit_seed)
        return pool.fit(columns, days)

    def _take_pool(self, pool, columns):
        self.kind_ = "series"
        self.settings_ = {
            "weights": {
                member.name: float(weight) for member, weight in zip(pool.members, pool.weights)
            },
            "share": pool.share,
        }
        self._fit_model = pool
        self._fit_memory = [window(column).copy() for column in columns]

    # ----------------------------------------------------------------- later rows

    def _advance(self, values, exog, refit):
        if self.kind_ == "series":
            pairs = zip(self._fit_memory, values.T)
            self._fit_memory = [window(np.concatenate(pair)).copy() for pair in pairs]
            if refit:
                days = [self._last_day(len(values))] * len(self._fit_memory)
                self._fit_model = self._fit_model.relearned(self._fit_memory, days)
            return
        model = self._fit_model
        self._fit_memory, predicted, learnt = model.advance(self._fit_memory, values)
        if refit:
            self._fit_model = model.learning(learnt)
        errors = np.concatenate([self._fit_residuals, values - predicted])
        self._fit_residuals = errors[-1000:].copy()

    def _advance_pool(self, members, values, exog, refit):
        pooled = self.pooling == "global" and self.kind_ == "series"
        for member, rows, known in zip(members, values, exog):
            member._advance(rows, known, refit and not pooled)
        if refit and pooled:
            everyone = list(self.members_.values())
            later = {id(member): len(rows) for member, rows in zip(members, values)}
            parts = [member._fit_memory for member in everyone]
            days = _last_days(everyone, parts, [later.get(id(member), 0) for member in everyone])
            columns = [column for part in parts for column in part]
            pool = everyone[0]._fit_model.relearned(columns, days)
            for member in everyone:
                member._fit_model = pool

    def _restart(self, values, exog, first):
        if self.kind_ == "series":
            self._fit_memory = [window(column).copy() for column in values.T]
            return
        self._fit_memory = self._fit_model.start(values)
        fitted = self._fit_model.one_step(values)
        self._fit_residuals = (values[len(values) - len(fitted) :] - fitted)[-1000:].copy()

    # ----------------------------------------------------------------- forecast

    def _point(self, n_steps, exog):
        if self.kind_ == "system":
            return self._fit_model.forecast(self._fit_memory, n_steps)
        days = _last_days([self], [self._fit_memory])
        return self._fit_model.forecast(self._fit_memory, n_steps, days).T

    def _pool_points(self, members, n_steps, exog):
        if self.pooling == "local" or self.kind_ == "system":
            return super()._pool_points(members, n_steps, exog)
        columns = [column for member in members for column in member._fit_memory]
        days = _last_days(members, [member._fit_memory for member in members])
        whole = members[0]._fit_model.forecast(columns, n_steps, days).T
        ends = np.cumsum([len(member._fit_memory) for member in members])[:-1]
        return np.split(whole, ends, axis=1)

    def _paths(self, n_steps, exog, n_paths, rng):
        return self._paths_about(self._point(n_steps, exog), n_paths, rng)

    def _paths_about(self, points, n_paths, rng):
        if self.kind_ == "system":
            return self._fit_model.paths(points, n_paths, rng)
        pairs = zip(self._fit_memory, points.T)
        paths = [self._fit_model.paths(y, forecast, n_paths, rng) for y, forecast in pairs]
        return np.stack(paths, axis=1)

    def _bands(self, points, exog, levels, probabilities):
        paths = self._paths_about(points, self.n_boot, check_generator(self._fit_seed))
        return path_bands(paths, levels, probabilities)

    # -------------------------------------------------------------- diagnostics

    def _one_step(self, values, exog, first):
        if self.kind_ == "system":
            return self._fit_model.one_step(values)
        day = self._last_day(first + len(values) - 1 - self._fit_position)
        return np.stack([self._fit_model.one_step(y, len(y), day) for y in values.T], axis=1)

    def _kept_residuals(self):
        if self.kind_ == "system":
            return self._fit_residuals
        errors = []
        for y in self._fit_memory:
            fitted = self._fit_model.one_step(y, _MOST_RESIDUALS, self._last_day())
            errors.append(y[len(y) - len(fitted) :] - fitted)
        return np.stack(errors, axis=1)


def _last_days(members, parts, n_later=None):
    """The last day of each column of the members, None if any has no days."""
    n_later = [0] * len(members) if n_later is None else n_later
    days = [
        member._last_day(later)
        for member, part, later in zip(members, parts, n_later)
        for _ in part
    ]
    return None if any(day is None for day in days) else days
