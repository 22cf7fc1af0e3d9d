"""The automatic model of business series: an average of pooled networks and classical lines.

Weights, the guard and the intervals come from development origins: forecasts of rows that were
held back from the training rows. Arrays only; `AutoESNForecaster` delegates to `AutoPool`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._auto_members import choose_members, make_view, seasonal_forecast
from ._auto_spread import naive_paths, with_naive_paths
from ._classical import pack
from ._date_effects import DateEffects

__all__ = ["AutoPool", "average_weights", "default_horizon", "natural_periods"]

MOST_ROWS = 3000  # rows of each series that the model sees and keeps
_WEEKS = {24: 168, 48: 336, 96: 672, 144: 1008}  # steps a day -> steps a week
_HORIZONS = {1: 8, 4: 8, 7: 28, 12: 18, 24: 48, 52: 13}
_ENOUGH = 60  # pairs of series and origin to judge by
_MOST_ORIGINS = 40
_PULL = 0.02  # of the weights towards their priors
_NEGLIGIBLE = 0.01
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)  # of the average, the rest is the better naive forecast
_CLEAR = 0.97  # of the naive loss: what is not clearly better gives way to it
_MOST_SINGLE, _BATCH = 500, 100  # one-step forecasts
_MOST_PATHS = 2000  # error paths kept


def natural_periods(season_length: int) -> tuple:
    """Season lengths to test for, given the first; series with days have weeks, too."""
    m = int(season_length)
    return (m, _WEEKS[m]) if m in _WEEKS else (m,)


def default_horizon(season_length: int, n_rows: int) -> int:
    """Steps to learn readouts for when no horizon is asked: at most a third of the rows."""
    wanted = _HORIZONS.get(int(season_length), int(min(max(season_length, 8), 60)))
    return max(1, min(wanted, n_rows // 3))


@dataclass(frozen=True)
class _Origin:
    """Rows held back: `fit_at` is where networks stop learning, `back` where they forecast."""

    fit_at: int
    back: int


class AutoPool:
    """Fit to many series and forecast from the ends of them or of others.

    Parameters
    ----------
    horizon : int
        Steps that are forecast directly; further ones continue from the forecasts.
    periods : tuple of int
        Season lengths, the shortest first; (1,) without one.
    seed : int, default=0
    most_rows : int, default=40_000
        Origins that each network learns from, about.
    """

    def __init__(self, horizon: int, periods: tuple, *, seed: int = 0, most_rows: int = 40_000):
        self.horizon, self.periods = int(horizon), tuple(periods)
        self.seed, self.most_rows = int(seed), int(most_rows)

    # ------------------------------------------------------------------ learning

    def fit(self, series: list[np.ndarray], last_days: list | None = None) -> AutoPool:
        """Learn from series (n_i,), whose last rows serve as development origins.

        `last_days` are the days (datetime64[D]) of the last values, for daily series.
        """
        series = [window(y) for y in series]
        self.members = choose_members(series, self.periods, self.horizon)
        self.plan = _plan(series, self.horizon, self.periods[0])
        trials = self._develop(self._usual(series, last_days))
        if trials:
            self._choose(trials)
        else:
            priors = np.array([m.prior for m in self.members])
            self.weights, self.share = priors / priors.sum(), 1.0
            self.naive_season, self.errors = self.periods[0], np.zeros((0, self.horizon))
        spread = naive_paths(series, self.periods[0], self.horizon, _unit, self.seed)
        self.errors = with_naive_paths(self.errors, spread)
        kept = self.weights > _NEGLIGIBLE * self.weights.max()
        self.members = [m for m, keep in zip(self.members, kept) if keep]
        self.weights = self.weights[kept] / self.weights[kept].sum()
        return self._learn(series, last_days)

    def _usual(self, series, last_days):
        """The series without effects of dates, as far as rows before all origins show them."""
        deepest = max((group[0].fit_at for group in self.plan), default=0)
        past = [y[: len(y) - deepest] for y in series]
        if not DateEffects.can(past, last_days):
            return series
        dates = DateEffects(past, [day - np.timedelta64(deepest, "D") for day in last_days])
        return [dates.removed(y, day) for y, day in zip(series, last_days)]

    def _learn(self, series, last_days):
        self.dates = DateEffects(series, last_days) if DateEffects.can(series, last_days) else None
        if self.dates is not None:
            series = [self.dates.removed(y, day) for y, day in zip(series, last_days)]
        views = _Views(series, self.periods, self.horizon)
        self.models = [
            m.fitted(views[m.view], self.horizon, self.seed, self.most_rows) for m in self.members
        ]
        return self

    def _develop(self, series):
        """(true values, forecasts of all members, naive ones, units) at development origins."""
        trials = []
        for origins in self.plan:
            deepest = origins[0].fit_at
            usable = [y for y in series if len(y) - deepest >= self._fewest()]
            views = _Views([y[: len(y) - deepest] for y in usable], self.periods, self.horizon)
            models = [
                m.fitted(views[m.view], self.horizon, self.seed, self.most_rows)
                for m in self.members
            ]
            past, future = [], []
            for origin in origins:
                ends = [len(y) - origin.back for y in usable]
                past += [y[:n] for y, n in zip(usable, ends)]
                future += [y[n : n + self.horizon] for y, n in zip(usable, ends)]
            views = _Views(past, self.periods, self.horizon)
            forecasts = np.stack([f(views[m.view]) for f, m in zip(models, self.members)])
            trials.append((np.array(future), forecasts, past))
        return trials

    def _fewest(self):
        """Rows that a series needs before a development origin."""
        return max(4, self.periods[0] + 2)

    def _choose(self, trials):
        future = np.concatenate([t[0] for t in trials])
        forecasts = np.concatenate([t[1] for t in trials], axis=1)
        past = [y for t in trials for y in t[2]]
        unit = np.array([_unit(y, self.periods[0]) for y in past])[:, None]
        level = np.array([np.abs(y[-max(6, 2 * self.periods[0]) :]).mean() for y in past])
        level = np.where(level > 0, level, 1.0)[:, None]
        priors = np.array([m.prior for m in self.members])
        self.weights = average_weights(forecasts, future, unit, level, priors)
        average = np.tensordot(self.weights, forecasts, 1)
        self._guard(average, future, unit, past)
        safe = self._mixed(average, past)
        errors = (future - safe) / unit
        keep = np.unique(np.linspace(0, len(errors) - 1, min(len(errors), _MOST_PATHS)).astype(int))
        self.errors = errors[keep]

    def _guard(self, average, future, unit, past):
        """Mix in the better of the naive forecasts, as far as that was better."""
        packed = pack(past)
        seasons = sorted({1, *(m for m in self.periods if max(map(len, past)) > m)})
        naive = {m: seasonal_forecast(packed, self.horizon, m) for m in seasons}
        loss = {m: (np.abs(future - f) / unit).mean() for m, f in naive.items()}
        self.naive_season = min(loss, key=loss.__getitem__)
        rest = naive[self.naive_season]
        losses = [(np.abs(future - s * average - (1 - s) * rest) / unit).mean() for s in _SHARES]
        self.share = _SHARES[int(np.argmin(losses))]

    def _mixed(self, average, series):
        if self.share == 1.0:
            return average
        naive = seasonal_forecast(pack(series), average.shape[1], self.naive_season)
        return self.share * average + (1 - self.share) * naive

    # --------------------------------------------------------------- forecasting

    def forecast(
        self, series: list[np.ndarray], n_steps: int, last_days: list | None = None
    ) -> np.ndarray:
        """Forecasts (n_series, n_steps) after the ends of series (n_i,)."""
        series = [window(y) for y in series]
        days = [] if self.dates is None or last_days is None else last_days
        if days:
            series = [self.dates.removed(y, day) for y, day in zip(series, days)]
        blocks: list = []
        while sum(b.shape[1] for b in blocks) < n_steps:
            views = _Views(series, self.periods, self.horizon)
            average = sum(
                w * f(views[m.view]) for w, f, m in zip(self.weights, self.models, self.members)
            )
            blocks.append(self._mixed(average, series))
            series = [window(np.concatenate([y, f])) for y, f in zip(series, blocks[-1])]
        points = np.concatenate(blocks, axis=1)[:, :n_steps]
        if days:
            points = points * np.stack([self.dates.ahead(day, n_steps) for day in days])
        return points

    def paths(self, y: np.ndarray, points: np.ndarray, n_paths: int, rng) -> np.ndarray:
        """Paths (n_steps, n_paths) around forecasts (n_steps,) of a series (n,).

        Whole paths of errors at development origins, of either sign, in the units of the
        series; beyond the horizon a path goes on from its last error with another one.
        """
        n_blocks = -(-len(points) // self.horizon)
        errors = np.zeros((0, n_paths))
        for _ in range(n_blocks):
            picked = self.errors[rng.randint(len(self.errors), size=n_paths)].T
            picked = picked * rng.choice((-1.0, 1.0), size=n_paths)
            last = errors[-1:] if len(errors) else np.zeros((1, n_paths))
            errors = np.concatenate([errors, last + picked])
        y = window(y)
        out = points[:, None] + _unit(y, self.periods[0]) * errors[: len(points)]
        return np.maximum(out, 0.0) if y.min() >= 0 else out

    def relearned(self, series: list[np.ndarray], last_days: list | None = None) -> AutoPool:
        """The same average with readouts that learnt from these series."""
        other = AutoPool(self.horizon, self.periods, seed=self.seed, most_rows=self.most_rows)
        other.__dict__.update(self.__dict__)
        return other._learn([window(y) for y in series], last_days)

    def one_step(
        self, y: np.ndarray, n_rows: int, last_day: np.datetime64 | None = None
    ) -> np.ndarray:
        """Forecasts of the last rows of a series, at most 500, each from the rows before it."""
        n_rows = max(0, min(n_rows, _MOST_SINGLE, len(y) - self._fewest()))
        parts = []
        for first in range(n_rows, 0, -_BATCH):  # in batches, for the sake of memory
            backs = range(first, max(first - _BATCH, 0), -1)
            days = None if last_day is None else [last_day - np.timedelta64(k, "D") for k in backs]
            parts.append(self.forecast([y[: len(y) - k] for k in backs], 1, days)[:, 0])
        return np.concatenate(parts) if parts else np.empty(0)


def window(y: np.ndarray) -> np.ndarray:
    """The rows of a series that the model sees."""
    return y[-MOST_ROWS:]


class _Views(dict):
    """Views of the same series by name, made when first asked for."""

    def __init__(self, series, periods, horizon):
        super().__init__()
        self.arguments = series, periods, horizon

    def __missing__(self, kind):
        self[kind] = make_view(kind, *self.arguments)
        return self[kind]


def _unit(y, season):
    """Mean absolute change over a season, what MASE divides by; one for constant series."""
    lag = season if len(y) > season else 1
    size = np.abs(y[lag:] - y[:-lag]).mean() if len(y) > lag else 0.0
    return size if size > 1e-12 * np.abs(y).max(initial=0.0) else 1.0


def _plan(series, horizon, season):
    """Groups of origins that share one fit.

    Two origins, with a fit each, when there are many series; when there are few, origins that
    overlap and forecast with the weights learnt before all of them.
    """
    lengths = np.sort([len(y) for y in series])
    fewest = max(4, season + 2)
    if len(series) >= _ENOUGH:
        backs = [k * horizon for k in (1, 2) if np.median(lengths) >= k * horizon + fewest]
        return [[_Origin(back, back)] for back in backs]
    room = int(np.median(lengths)) - max(fewest, 2 * season + 4, horizon)
    deepest = min(room, int(np.median(lengths)) // 3 + horizon)
    if deepest < horizon:
        return []
    wanted = min(_MOST_ORIGINS, -(-2 * _ENOUGH // len(series)))
    backs = np.unique(np.linspace(horizon, deepest, wanted).astype(int))
    return [[_Origin(deepest, int(back)) for back in backs]]


def average_weights(
    forecasts: np.ndarray,
    future: np.ndarray,
    unit: np.ndarray,
    level: np.ndarray,
    priors: np.ndarray,
    *,
    n_steps: int = 300,
) -> np.ndarray:
    """Weights, not negative with sum one, of least absolute error and near their priors.

    The error of a series counts half relative to its changes and half to its level, as in the
    two parts of M4's overall weighted average. Found by exponentiated gradients.

    Parameters
    ----------
    forecasts : ndarray of shape (n_members, n, horizon)
    future : ndarray of shape (n, horizon)
    unit, level : ndarray of shape (n, 1)
    priors : ndarray of shape (n_members,)
    n_steps : int, default=300

    Returns
    -------
    ndarray of shape (n_members,)

    References
    ----------
    .. [1] J. Kivinen, M. Warmuth, "Exponentiated gradient versus gradient descent for linear
       predictors", Information and Computation 132, 1997.
    """
    priors = priors / priors.sum()
    size = np.abs(future - np.tensordot(priors, forecasts, 1))
    factor = sum(0.5 / part / max((size / part).mean(), 1e-300) for part in (unit, level))
    F, y = (forecasts * factor).reshape(len(priors), -1), (future * factor).ravel()
    base = np.abs(y - priors @ F).mean()
    if base <= 1e-9 * np.abs(y).mean():  # all members are right
        return priors
    weights, total = priors, np.zeros_like(priors)
    for step in range(n_steps):
        gradient = F @ np.sign(weights @ F - y) / len(y) / base
        gradient = gradient + _PULL * np.log(weights / priors)
        gradient = gradient - gradient @ weights
        weights = weights * np.exp(-2.0 / np.sqrt(step + 1) * gradient)
        weights = np.maximum(weights / weights.sum(), 1e-12)
        if step >= n_steps // 2:
            total += weights
    return total / total.sum()
