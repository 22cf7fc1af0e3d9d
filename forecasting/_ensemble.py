"""Several forecasters as one: mean, median, or weights from their errors in the past."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import check_generator, check_number, check_option

from ._ensemble_members import Members, in_forecaster
from ._ensemble_weights import RULES, combine, errors_of_past, given_weights, shares, weigh
from ._intervals import (
    ConformalScores,
    conformal_bands,
    conformal_origins,
    path_bands,
)

__all__ = ["EnsembleForecaster"]

_METHODS = ("mean", "median", "weights")
_MOST_RESIDUALS = 1000
_CONFORMAL_ORIGINS = 60  # each asks every member for a forecast


class EnsembleForecaster(Members):
    r"""Combine the forecasts of several forecasters.

    Each member sees y and X as a user would hand them over, so members may have transforms,
    calendars and strategies of their own. A common use is one forecaster over several seeds:
    ``EnsembleForecaster([ESNForecaster(random_state=s) for s in range(5)])``.

    Parameters
    ----------
    forecasters : list of forecasters, or of pairs (name, forecaster)
        Cloned, never changed. Names default to the classes in lower case, numbered if repeated;
        parameters are reached as ``name__parameter``. Members whose random_state is None get
        seeds of their own from the ensemble's.
    method : {"mean", "median", "weights"}, default="mean"
        How point forecasts are combined.
    weights : "inverse_error", "nnls" or array of shape (n_forecasters,), default="inverse_error"
        For method="weights": numbers >= 0, which are divided by their sum; or a rule that takes
        the errors from `n_windows` origins in the last third of the rows, by members fitted to
        the rows before the first of them and updated from one to the next. "inverse_error"
        weighs by the reciprocal of the mean squared error, "nnls" by non-negative least squares
        with a sum of one. Errors are divided by the scale of each variable.
    n_windows : int, default=10
        Origins for the rules of `weights`.
    horizon : int, optional
        Steps forecast from these origins; one season, but at least 6, by default, and at most a
        fifth of the rows.
    past_columns : list, optional
        Columns of X that are known up to the cutoff alone; members that have this parameter
        and name them get to see them.
    interval : {"bootstrap", "conformal"}, default="bootstrap"
        "bootstrap" mixes the members' paths in the shares of their weights, each moved by the
        difference between the combined forecast and the member's own. "conformal" as in
        `ESNForecaster`, from at most 60 origins, with the combination held fixed.
    n_boot : int, default=200
        Number of paths for "bootstrap".
    season_length : int or "auto", default="auto"
        Season of the scaled errors in `score`. Members have their own.
    freq : str or offset, optional
        Frequency of an index that has none and is too short to infer it from.
    missing : {"raise", "ffill", "interpolate"}, default="raise"
        What to do with NaN in y, before members see it.
    pooling : {"local", "global"}, default="local"
        "local" fits an ensemble to each series of a panel. "global" hands the whole panel to
        each member, which pools by its own parameter; `apply` takes series that fit has not seen
        if all members pool.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of members' seeds and of the draws.
    n_jobs : int, optional
        Parallel fits of the members, or of the series of a panel, through joblib.

    Attributes
    ----------
    forecasters_ : list of forecasters
        The fitted members; for a panel see `members_`.
    names_ : list of str
    weights_ : ndarray of shape (n_forecasters,) or None
        Sum to one; None for the median.
    cutoff_, season_length_, n_steps_seen_
        As in `ESNForecaster`.

    Notes
    -----
    Moved paths keep a member's spread but not its bias. A member that is far off, such as the
    mean of a series that wanders, spoils forecast and intervals alike: give it no weight.

    References
    ----------
    .. [1] J. Bates, C. Granger, "The combination of forecasts", Operational Research Quarterly
       20, 1969 (inverse errors).
    .. [2] S. Makridakis, E. Spiliotis, V. Assimakopoulos, "The M4 Competition", International
       Journal of Forecasting 36, 2020 (what combinations are worth).

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import ESNForecaster, EnsembleForecaster, MarkovForecaster
    >>> y = load_sunspots()
    >>> model = EnsembleForecaster(
    ...     [("linear", MarkovForecaster(9)), ("esn", ESNForecaster(random_state=0))],
    ...     method="weights",
    ... )
    >>> model.fit(y[:-11]).predict(11, level=80).columns.tolist()
    ['sunspots', 'lo-80', 'hi-80']
    >>> model.names_, float(model.weights_.sum().round(6))
    (['linear', 'esn'], 1.0)
    >>> model.set_params(linear__order=11).get_params()["linear__order"]
    11
    """

    def __init__(
        self,
        forecasters: Any,
        *,
        method: str = "mean",
        weights: Any = "inverse_error",
        n_windows: int = 10,
        horizon: int | None = None,
        past_columns: Any = None,
        interval: str = "bootstrap",
        n_boot: int = 200,
        season_length: int | str = "auto",
        freq: Any = None,
        missing: str = "raise",
        pooling: str = "local",
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.forecasters = forecasters
        self.method = method
        self.weights = weights
        self.n_windows = n_windows
        self.horizon = horizon
        self.past_columns = past_columns
        self.interval = interval
        self.n_boot = n_boot
        self.season_length = season_length
        self.freq = freq
        self.missing = missing
        self.pooling = pooling
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_params(self):
        owner = self._owner
        self._check_members()
        check_option("method", self.method, owner, _METHODS)
        if isinstance(self.weights, str):
            check_option("weights", self.weights, owner, RULES)
        elif self.method == "weights":
            given_weights(self.weights, len(self.forecasters), owner)
        else:
            raise ValueError(
                f"`weights` are numbers, which method={self.method!r} of {owner} would ignore. Set "
                "method='weights'."
            )
        check_number("n_windows", self.n_windows, owner, low=1, integer=True)
        if self.horizon is not None:
            check_number("horizon", self.horizon, owner, low=1, integer=True)
        check_option("interval", self.interval, owner, ("bootstrap", "conformal"))
        check_number("n_boot", self.n_boot, owner, low=2, integer=True)

    # ------------------------------------------------------------------ fitting

    def _learn(self, values, exog):
        index = self._fit_axis.until_last(len(values))
        seed = int(check_generator(self._fit_seed).randint(2**31 - 1))
        self.names_ = [name for name, _ in self._named()]
        self._settle_weights(values, exog, index, seed)
        self._fit_conformal = None
        if self.interval == "conformal":
            self._fit_conformal = self._calibrate(values, exog, index, seed)
        self._take(self._fitted(*self._as_given(values, exog, index), seed))

    def _take(self, fitted):
        """Keep the fitted members, and their errors as those of the combination."""
        self.forecasters_ = fitted
        errors = [np.asarray(member.residuals()) for member in fitted]
        errors = [e.reshape(-1, self._fit_form.n_columns) for e in errors]
        shortest = min(len(e) for e in errors)
        stacked = np.stack([e[len(e) - shortest :] for e in errors])
        self._fit_residuals = self._combined(stacked)[-_MOST_RESIDUALS:]

    def _settle_weights(self, values, exog, index, seed):
        n_members = len(self.names_)
        self.weights_ = None if self.method == "median" else np.full(n_members, 1 / n_members)
        if self.method != "weights":
            return
        if not isinstance(self.weights, str):
            self.weights_ = given_weights(self.weights, n_members, self._owner)
            return
        horizon = self._past_horizon(len(values))
        n_train = len(values) - max(len(values) // 3, horizon)
        self._require_rows(n_train)
        ends = np.linspace(n_train, len(values) - horizon, self.n_windows)
        ends = np.unique(ends.astype(int))
        forecasts = self._from_past(values, exog, index, ends, horizon, seed)
        errors, _ = errors_of_past(forecasts, values, ends)
        spread = values[:n_train].std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        self.weights_ = weigh(self.weights, errors / scale)

    def _past_horizon(self, n_steps):
        if self.horizon is not None:
            return int(self.horizon)
        return max(1, min(max(self.season_length_, 6), n_steps // 5))

    def _require_rows(self, n_train):
        if n_train < 2:
            raise ValueError(
                f"Too few rows for weights from past errors: {max(n_train, 0)} would be left to "
                "fit to. Use method='mean', fewer steps in `horizon`, or more data."
            )

    def _from_past(self, values, exog, index, ends, n_ahead, seed):
        """Forecasts (n_members, n_ahead, D, n_ends) by members that know the rows before."""
        y, X = self._as_given(values, exog, index)
        fitted = self._fitted(*_cut(y, X, 0, ends[0]), seed)
        out = np.empty((len(fitted), n_ahead, values.shape[1], len(ends)))
        known = exog[:, : exog.shape[1] - self._n_past]
        known = np.concatenate([known, np.repeat(known[-1:], n_ahead, axis=0)])
        ahead = index.append(self._fit_axis.after(n_ahead))
        for k, member in enumerate(fitted):
            seen = ends[0]
            for i, end in enumerate(ends):
                rows, X_rows = _cut(y, X, seen, end)
                future = slice(end, end + n_ahead)
                X_ahead = self._exog_as_given(known[future], ahead[future])
                with in_forecaster(self.names_[k]):
                    if end > seen:
                        member.update(rows, self._exog_for(member, X_rows))
                    points = np.asarray(member.predict(n_ahead, X_ahead))
                out[k, :, :, i] = points.reshape(n_ahead, -1)
                seen = end
        return out

    def _calibrate(self, values, exog, index, seed):
        """Errors of the combination from rolling origins."""
        n_train, ends = conformal_origins(len(values))
        picked = np.linspace(0, len(ends) - 1, min(len(ends), _CONFORMAL_ORIGINS)).astype(int)
        ends = ends[np.unique(picked)]
        n_ahead = ConformalScores.steps_for(len(values) - n_train)
        forecasts = self._from_past(values, exog, index, ends, n_ahead, seed)
        return ConformalScores.measure(self._combined(forecasts), values, ends)

    def _combined(self, stacked):
        return combine(stacked, self.weights_)

    # ------------------------------------------------------------------- pools

    def _learn_pool(self, members, values, exog, static):
        if self.interval == "conformal":
            raise ValueError("interval='conformal' of an ensemble needs pooling='local'.")
        # what the members have in common, for the helpers that ask for it
        self._fit_form, self._fit_exog = members[0]._fit_form, members[0]._fit_exog
        self._fit_axis, seed = members[0]._fit_axis, self._fit_seed
        self.season_length_ = members[0].season_length_
        if static is not None:
            static = pd.DataFrame(static, columns=list(self._fit_static_columns))
        self.names_ = [name for name, _ in self._named()]
        n_members = len(self.names_)
        self.weights_ = None if self.method == "median" else np.full(n_members, 1 / n_members)
        if self.method == "weights" and not isinstance(self.weights, str):
            self.weights_ = given_weights(self.weights, n_members, self._owner)
        elif self.method == "weights":
            self.weights_ = self._pool_weights(members, values, exog, static, seed)
        indexes = [m._fit_axis.until_last(len(own)) for m, own in zip(members, values)]
        fitted = self._fitted(*self._panel_as_given(members, values, exog, indexes), seed, static)
        for i, member in enumerate(members):
            member.names_, member.weights_ = self.names_, self.weights_
            member._fit_conformal = None
            member._take([forecaster.members_[i] for forecaster in fitted])

    def _panel_as_given(self, members, values, exog, indexes, keys=None):
        """y and X of the panel, whose series are numbered unless they have keys."""
        parts = zip(members, values, exog, indexes)
        pairs = [member._as_given(own, known, index) for member, own, known, index in parts]
        y, X = ([pair[i] for pair in pairs] for i in (0, 1))
        names = ["series", self._fit_axis.name]
        keys = range(len(pairs)) if keys is None else keys
        X = None if X[0] is None else pd.concat(X, keys=keys, names=names)
        return pd.concat(y, keys=keys, names=names), X

    def _pool_weights(self, members, values, exog, static, seed):
        """Weights from the last rows of each series, by members fitted to those before."""
        shortest = min(len(own) for own in values)
        horizon = self._past_horizon(shortest)
        self._require_rows(shortest - horizon)
        indexes = [m._fit_axis.until_last(len(own)) for m, own in zip(members, values)]
        early = ([rows[:-horizon] for rows in whole] for whole in (values, exog, indexes))
        y, X = self._panel_as_given(members, *early)
        errors = []
        for forecaster in self._fitted(y, X, seed, static):
            own_errors = []
            for i, (own, known, index) in enumerate(zip(values, exog, indexes)):
                X_ahead = self._exog_as_given(
                    known[-horizon:, : known.shape[1] - self._n_past], index[-horizon:]
                )
                points = np.asarray(forecaster.members_[i].predict(horizon, X_ahead))
                spread = own[:-horizon].std(axis=0)
                own_errors.append(
                    (own[-horizon:] - points.reshape(horizon, -1))
                    / np.where(spread > 0, spread, 1.0)
                )
            errors.append(np.concatenate(own_errors))
        return weigh(self.weights, np.stack(errors))

    def _each(self, function):
        """What a function of each fitted member gives; errors say whose they are."""
        out = []
        for name, member in zip(self.names_, self.forecasters_):
            with in_forecaster(name):
                out.append(function(member))
        return out

    # ---------------------------------------------------------------- new rows

    def _advance(self, values, exog, refit):
        y, X = self._as_given(values, exog, self._fit_axis.after(len(values)))

        def moved(member):
            return copy.copy(member).update(y, self._exog_for(member, X), refit=refit)

        self._take(self._each(moved))

    def _advance_pool(self, members, values, exog, refit):
        if self.pooling == "local" or not refit:
            super()._advance_pool(members, values, exog, refit)
            return
        everyone = list(self.members_.values())
        places = {id(member): place for place, member in enumerate(everyone)}
        indexes = [m._fit_axis.after(len(own)) for m, own in zip(members, values)]
        keys = [places[id(member)] for member in members]
        y, X = self._panel_as_given(members, values, exog, indexes, keys)
        moved = []
        for name, *parts in zip(self.names_, *(member.forecasters_ for member in everyone)):
            pool = _panel_of(parts, self._fit_axis.name)
            with in_forecaster(name):
                moved.append(pool.update(y, self._exog_for(pool, X), refit=True).members_)
        for place, member in enumerate(everyone):
            member._take([parts[place] for parts in moved])

    def _restart(self, values, exog, first):
        y, X = self._as_given(values, exog, self._labels(first, len(values)))
        self._take(self._each(lambda member: self._applied(member, y, X)))

    # --------------------------------------------------------------- forecasts

    def _member_points(self, n_steps, exog):
        X = self._exog_as_given(exog, self._fit_axis.after(n_steps))
        points = self._each(lambda member: np.asarray(member.predict(n_steps, X)))
        return np.stack([p.reshape(n_steps, -1) for p in points])

    def _point(self, n_steps, exog):
        return self._combined(self._member_points(n_steps, exog))

    def _paths(self, n_steps, exog, n_paths, rng):
        points = self._member_points(n_steps, exog)
        X = self._exog_as_given(exog, self._fit_axis.after(n_steps))
        centre, parts = self._combined(points), []
        counts = shares(self.weights_, len(points), n_paths)
        for name, member, own, count in zip(self.names_, self.forecasters_, points, counts):
            seed = int(rng.randint(2**31 - 1))
            if count:
                with in_forecaster(name):
                    drawn = member.sample(n_steps, X, n_samples=count, random_state=seed)
                paths = drawn.to_numpy().reshape(n_steps, -1, count)
                parts.append(paths + (centre - own)[:, :, None])
        return np.concatenate(parts, axis=2)[:, :, rng.permutation(n_paths)]

    def _bands(self, points, exog, levels, probabilities):
        if self._fit_conformal is not None:
            return conformal_bands(self._fit_conformal, points, levels, probabilities)
        paths = self._paths(len(points), exog, self.n_boot, check_generator(self._fit_seed))
        return path_bands(paths, levels, probabilities)

    # -------------------------------------------------------------- diagnostics

    def _one_step(self, values, exog, first):
        y, X = self._as_given(values, exog, self._labels(first, len(values)))

        def fitted_by(member):
            return np.asarray(member.fitted_values(y, self._exog_for(member, X)))

        fitted = self._each(fitted_by)
        stacked = np.stack([f.reshape(len(values), -1) for f in fitted])
        known = np.isfinite(stacked).all(axis=(0, 2))
        return self._combined(stacked[:, known])

    def _kept_residuals(self):
        return self._fit_residuals


def _panel_of(parts, time_name):
    """One forecaster again of the panel whose members are given, numbered."""
    pool = copy.copy(parts[0])
    pool.members_ = dict(enumerate(parts))
    pool._fit_panel_ids = pd.RangeIndex(len(parts))
    pool._fit_panel_names = ("series", time_name)
    return pool


def _cut(y, X, start, stop):
    """Rows of y and X, whatever they are."""
    rows = slice(start, stop)
    return tuple(
        None if part is None else part[rows] if isinstance(part, np.ndarray) else part.iloc[rows]
        for part in (y, X)
    )
