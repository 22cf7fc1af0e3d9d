"""What the automatic model of business series averages: views of the series, and members.

A view is the series packed after a logarithm or a division by their size, and seasonally
adjusted where a test says so. A member is a classical line or a pooled network on one view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ._auto_groups import PoolRecipe, SplitNetwork, WholeNetwork
from ._classical import (
    Packed,
    Season,
    damped_trend_forecast,
    deseasonalize,
    drift_forecast,
    pack,
    ses_forecast,
    theta_forecast,
)
from ._packed_network import NetworkRecipe
from ._pooled_groups import choose_n_groups

__all__ = [
    "Member",
    "View",
    "choose_members",
    "make_view",
    "season_mean_forecast",
    "seasonal_forecast",
    "year_forecast",
]

_OFFSET = 0.1  # added before the logarithm, in mean values, where a value is zero
_MOST_LAGS = 170
_WEEK, _YEAR, _FEWEST_YEARS = 7, 364, 3  # a year of whole weeks
_SEASONS = 3  # that a mean season is taken of
_STRONG = 5.0  # of networks for groups of series, which mostly do best
_FAINT = 0.05  # share of their prior weight that is left to lines beside those
_WEAK = 0.3  # prior weight of lines that rarely do best
RECIPES = {
    "usual": NetworkRecipe(),
    "slow": NetworkRecipe(n_units=60, spectral_radius=0.9, leak_rate=0.3),
    "linear": NetworkRecipe(n_units=2, memories=(0.1, 0.2, 0.4, 0.7), n_seeds=1),
    "large": NetworkRecipe(
        n_units=200, spectral_radius=0.5, leak_rate=0.8, input_scaling=0.3, alpha=3e-3
    ),
}

# for many rows: less of a penalty, more to remember
RICH = NetworkRecipe(n_units=300, spectral_radius=0.9, leak_rate=0.3, input_scaling=0.3, alpha=3e-5)
_MANY_ROWS = 20_000
_LONG = 100  # rows of a series, on average, for as much to remember
# on development origins groups helped pools of 58,000 rows and more, and harmed those of 46,000
_GROUPED_ROWS = 57_000


@dataclass(frozen=True)
class View:
    """Packed series as members see them, and the way back.

    Parameters
    ----------
    packed : Packed
    season : Season
    size, offset : ndarray of shape (n_series, 1)
    logarithm : bool
    low, high : ndarray of shape (n_series, 1)
        Bounds of forecasts, in units of y: one range beyond the values seen.
    """

    packed: Packed
    season: Season
    size: np.ndarray
    offset: np.ndarray
    logarithm: bool
    low: np.ndarray
    high: np.ndarray

    def back(self, forecasts: np.ndarray) -> np.ndarray:
        """Forecasts (n_series, n_steps) in the units of the series."""
        with np.errstate(over="ignore"):
            values = np.exp(forecasts) if self.logarithm else forecasts
        values = (self.season.on(values) - self.offset) * self.size
        return np.clip(np.nan_to_num(values, nan=0.0), self.low, self.high)


def make_view(kind: str, series: list[np.ndarray], periods: tuple, n_steps: int) -> View:
    """The view `kind`: "plain", "sized", "log", or with "-raw" at its end not adjusted.

    Parameters
    ----------
    kind : str
    series : list of ndarray of shape (n_i,)
    periods : tuple of int
        Season lengths, the shortest first.
    n_steps : int
        Steps ahead that the season is wanted for.
    """
    size = np.ones((len(series), 1))
    if kind != "plain":
        size[:, 0] = [np.abs(y).mean() or 1.0 for y in series]
    logarithm = kind.startswith("log")
    lowest = np.array([[y.min()] for y in series]) / size
    offset = np.where(logarithm & (lowest < 1e-6), _OFFSET, 0.0)
    packed = pack([y / s + o for y, s, o in zip(series, size[:, 0], offset[:, 0])])
    if kind.endswith("-raw"):
        shape = (len(series), n_steps)
        season = Season(np.ones(shape), np.zeros(shape))
    else:
        packed, season = deseasonalize(packed, periods, n_steps)
        if logarithm:
            packed, season = _positive(packed, season, series, size, offset)
    if logarithm:
        # rows that came after the choice of members may be negative
        packed = Packed(np.log(np.maximum(packed.values, 1e-3 * _OFFSET)), packed.lengths)
    least, most = (np.array([[f(y)] for y in series]) for f in (np.min, np.max))
    span = most - least
    low = np.where(least >= 0, np.maximum(least - span, 0.0), least - span)
    return View(packed, season, size, offset, logarithm, low, most + span)


def _positive(packed, season, series, size, offset):
    """Series whose adjustment is additive stay as they are: a logarithm needs what is positive."""
    added = (season.plus != 0).any(axis=1) | (packed.values <= 0).any(axis=1)
    if not added.any():
        return packed, season
    raw = pack([y / s + o for y, s, o in zip(series, size[:, 0], offset[:, 0])])
    values = np.where(added[:, None], raw.values, packed.values)
    times = np.where(added[:, None], 1.0, season.times)
    return Packed(values, packed.lengths), Season(times, np.where(added[:, None], 0, season.plus))


@dataclass(frozen=True)
class Member:
    """One forecast of the average.

    Parameters
    ----------
    name : str
    view : str
    prior : float
        Weight before any error is known.
    line : callable, optional
        A classical line, ``line(packed, n_steps)``.
    recipe : NetworkRecipe or PoolRecipe, optional
        A pooled network, whose readout is learnt by `fitted`.
    lags, reference : tuple of int, int
        As in `PackedNetwork`.
    n_groups, shape_lags : int, tuple of int
        Groups with a network each, and what tells them apart; as in `GroupedNetwork`.
    """

    name: str
    view: str
    prior: float = 1.0
    line: Callable | None = None
    recipe: NetworkRecipe | PoolRecipe | None = None
    lags: tuple = ()
    reference: int = 0
    n_groups: int = 1
    shape_lags: tuple = (1,)

    def fitted(self, view: View, horizon: int, seed: int, most_rows: int) -> Callable:
        """A function of a view that gives forecasts (n_series, horizon) in units of y."""
        network: SplitNetwork | WholeNetwork | None = None
        if self.recipe is not None:
            groups = horizon, self.lags, self.n_groups, self.shape_lags
            if isinstance(self.recipe, PoolRecipe):
                network = WholeNetwork(self.recipe, *groups, seed=seed)
            else:
                network = SplitNetwork(
                    self.recipe, *groups, reference=self.reference, most_rows=most_rows, seed=seed
                )
            network.fit(view.packed)
        return _Fitted(self.line, network, horizon)


@dataclass(frozen=True)
class _Fitted:
    """What `Member.fitted` returns; a class, so that it can be pickled."""

    line: Callable | None
    network: SplitNetwork | WholeNetwork | None
    horizon: int

    def __call__(self, view: View) -> np.ndarray:
        if self.line is not None:
            return view.back(self.line(view.packed, self.horizon))
        assert self.network is not None  # a member has one of the two
        return view.back(self.network.forecast(view.packed))


def seasonal_forecast(packed: Packed, n_steps: int, period: int) -> np.ndarray:
    """The value one season back; the last value for series shorter than that."""
    back = period - 1 - np.arange(n_steps) % period
    width = packed.values.shape[1]
    long = packed.lengths[:, None] >= period
    at = np.maximum(width - 1 - np.where(long, back[None], 0), 0)
    return np.take_along_axis(packed.values, at, axis=1)


def season_mean_forecast(packed: Packed, n_steps: int, period: int) -> np.ndarray:
    """The level of the last season and the mean shape of the last three; else the last value."""
    out = np.repeat(packed.values[:, -1:], n_steps, axis=1)
    for row, y in zip(out, packed.rows()):
        n_seasons = min(_SEASONS, len(y) // period)
        if n_seasons:
            seasons = y[len(y) - n_seasons * period :].reshape(n_seasons, period)
            levels = seasons.mean(axis=1)
            shape = (seasons - levels[:, None]).mean(axis=0)
            row[:] = levels[-1] + shape[np.arange(n_steps) % period]
    return out


def year_forecast(packed: Packed, n_steps: int) -> np.ndarray:
    """Mean of the last four weeks, day by day, and the smooth change after it in other years."""
    out = np.empty((len(packed.values), n_steps))
    for row, y in zip(out, packed.rows()):
        row[:] = _last_weeks(y, n_steps)
        changes = [
            y[len(y) - back : len(y) - back + n_steps] - _last_weeks(y[: len(y) - back], n_steps)
            for back in range(_YEAR, len(y) - 4 * _WEEK, _YEAR)
            if back >= n_steps
        ][:3]
        if changes:
            padded = np.pad(np.mean(changes, axis=0), 10, mode="edge")
            row += np.convolve(padded, np.full(21, 1 / 21), mode="valid")
    return out


def _last_weeks(y, n_steps):
    if len(y) < 4 * _WEEK:
        return np.full(n_steps, y[-1])
    return y[-4 * _WEEK :].reshape(4, _WEEK).mean(axis=0)[np.arange(n_steps) % _WEEK]


def choose_members(series: list[np.ndarray], periods: tuple, horizon: int) -> list[Member]:
    """Members that suit the series: logarithms where no value is negative, seasons where long.

    Large pools have networks for each group of series that change alike.

    Parameters
    ----------
    series : list of ndarray of shape (n_i,)
    periods : tuple of int
        Season lengths, the shortest first; (1,) without one.
    horizon : int
    """
    longest = max(len(y) for y in series)
    members = [
        Member("theta", "plain", line=theta_forecast),
        Member("damped", "plain", line=damped_trend_forecast),
        Member("smoothed", "plain", _WEAK, line=ses_forecast),
        Member("drift", "plain", _WEAK, line=drift_forecast),
        Member("adjusted naive", "plain", _WEAK, line=partial(seasonal_forecast, period=1)),
    ]
    seasons = [m for m in periods if m > 1 and longest > 2 * m + horizon]
    for m in seasons:
        line = partial(seasonal_forecast, period=m)
        members.append(Member(f"season {m}", "plain-raw", _WEAK, line=line))
        line = partial(season_mean_forecast, period=m)
        members.append(Member(f"mean season {m}", "plain-raw", line=line))
    if periods[0] == _WEEK and longest > _FEWEST_YEARS * _YEAR:
        members.append(Member("weeks of other years", "plain-raw", line=year_forecast))
    views = ["sized"]
    if all(y.min() >= 0 for y in series):
        views.append("log")
        members += [
            Member("log theta", "log", line=theta_forecast),
            Member("log damped", "log", line=damped_trend_forecast),
        ]
        for m in seasons:
            line = partial(season_mean_forecast, period=m)
            members.append(Member(f"log mean season {m}", "log-raw", line=line))
    rows = sum(len(y) for y in series)
    n_groups = choose_n_groups(rows, len(series)) if rows >= _GROUPED_ROWS else 1
    if n_groups > 1:
        faint = [replace(m, prior=_FAINT * m.prior) for m in members]
        return faint + _grouped(views, seasons, periods, n_groups)
    long = rows >= _LONG * len(series)
    rich = long and rows - horizon * len(series) >= _MANY_ROWS
    return members + _networks(views, seasons, periods, rich=rich)


def _networks(views, seasons, periods, *, rich):
    """Networks that learn from all series alike."""
    lags = _usual_lags(periods)
    rich_lags = _season_lags(seasons[-1], periods) if seasons else lags
    members = []
    for view in views:
        if rich:
            members.append(Member(f"{view} rich", view, recipe=RICH, lags=rich_lags))
        for name, recipe in RECIPES.items():
            if view == "log" or name != "large":
                members.append(Member(f"{view} {name}", view, recipe=recipe, lags=lags))
        for m in seasons:
            for name in ("usual", "linear"):
                if view == "log" or name == "usual":
                    members.append(
                        Member(
                            f"{view} {name}, season {m}", f"{view}-raw", recipe=RECIPES[name],
                            lags=_season_lags(m, periods), reference=m,
                        )
                    )  # fmt: skip
    return members


def _grouped(views, seasons, periods, n_groups):
    """Networks for each group of series that change alike."""
    last = views[-1]
    longest = max(seasons, default=1)
    shape = (1, *sorted(seasons, reverse=True))
    if len(shape) < 3:  # two ratios tell more kinds of series apart than one
        shape = (1, max(2, longest // 4), max(4, longest))
    member = partial(Member, n_groups=n_groups, shape_lags=shape)
    pool = partial(member, prior=_STRONG)
    lags = _usual_lags(periods)
    near = PoolRecipe(tuple(seasons[-1:]))
    if len(seasons) > 1:
        recipe = PoolRecipe((longest, *seasons[:-1]), "seasonal", 2, (120,))
        members = [pool("pool, season", f"{last}-raw", recipe=recipe, lags=lags[:24])]
    else:
        members = [pool("pool", last, recipe=near, lags=lags)]
        if seasons:
            members.append(pool("pool, season", f"{last}-raw", recipe=near, lags=lags))
    if last != "sized":
        members.append(member("sized usual", "sized", recipe=RECIPES["usual"], lags=lags))
    for name in ("usual", "slow", "linear"):
        members.append(member(f"{last} {name}", last, recipe=RECIPES[name], lags=lags))
    for m in seasons:
        members.append(
            member(
                f"{last} slow, season {m}", f"{last}-raw", recipe=RECIPES["slow"],
                lags=_season_lags(m, periods), reference=m,
            )
        )  # fmt: skip
    return members


def _usual_lags(periods):
    return tuple(range(1, 7 if periods[0] == 1 else min(periods[0] + 2, _MOST_LAGS)))


def _season_lags(m, periods):
    """Up to one short season step by step, then whole seasons and their neighbours."""
    short = periods[0]
    if m > short:
        return (*range(1, short + 2), *range(2 * short, m, short), m - 1, m, m + 1)
    return (*range(1, min(m + 2, _MOST_LAGS)), *((2 * m, 2 * m + 1) if m <= 24 else ()))
