"""Scale-free features of many series, each from the rows up to its own origin alone.

A `Layout` says which features there are; a `Carry` holds what a series needs to go on; `roll`
moves a carry over rows and gives what `shared_features` and `step_features` are assembled from.
Everything is divided by the running mean of the absolute changes, so series of any scale stack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = [
    "Carry",
    "Layout",
    "Rolled",
    "begin",
    "farthest",
    "references",
    "roll",
    "shared_features",
    "step_features",
    "targets",
    "usual_size",
]

_STEADY = 4  # changes in one direction that make a steady trend


@dataclass(frozen=True)
class Layout:
    """Which features there are.

    Parameters
    ----------
    horizon : int
        Steps that have a readout of their own.
    n_columns : int
        Variables of a series, D.
    lags : tuple of int
        Values so many steps before the origin, relative to the value at the origin.
    periods : tuple of int
        Season lengths; the first is the one of ``reference="seasonal"``.
    n_seasons : int
        Values 1 to `n_seasons` seasons before the target, for each period.
    reference : {"last", "seasonal"}
        What targets are relative to: the value at the origin, or one season before the target.
    rates : tuple of float
        Rates of the exponential means of values and changes.
    clip : float
        Inputs of the reservoir are cut off at this many mean absolute changes.
    n_known, n_past, n_static : int
        Exogenous columns known ahead, those known up to the origin (they come last), and
        columns that are one number a series.
    """

    horizon: int
    n_columns: int = 1
    lags: tuple = (1, 2, 3)
    periods: tuple = ()
    n_seasons: int = 2
    reference: str = "last"
    rates: tuple = (0.1, 0.3)
    clip: float = 5.0
    n_known: int = 0
    n_past: int = 0
    n_static: int = 0

    @property
    def season(self) -> int:
        """Steps that the reference lies back at most; 1 for the last value."""
        return self.periods[0] if self.reference == "seasonal" else 1

    @property
    def depth(self) -> int:
        """Rows before an origin that features look back at."""
        seasons = (m * self.n_seasons for m in self.periods)
        return max(_STEADY, *self.lags, *seasons, self.season)

    @property
    def n_inputs(self) -> int:
        """Inputs of the reservoir."""
        own = self.n_columns * (2 + len(self.periods))
        return own + self.n_known + self.n_past + self.n_static


@dataclass(frozen=True)
class Carry:
    """What a series needs to go on, before its next row.

    Parameters
    ----------
    count : int
        Rows taken in.
    first, total : ndarray of shape (n_columns,)
        The first row, and the sum of the deviations from it.
    changes, seasonal_changes : ndarray of shape (n_columns,)
        Sums of absolute changes from the row before, and from one season before.
    levels, slopes : ndarray of shape (n_memories, n_columns)
        Exponential means of the deviations from the first row, and of the changes.
    tail : ndarray of shape (depth, n_columns)
        The last rows, with gaps filled; before the first row its value is repeated.
    exog : ndarray of shape (depth, n_exog)
        The same rows of the exogenous columns.
    """

    count: int
    first: np.ndarray
    total: np.ndarray
    changes: np.ndarray
    seasonal_changes: np.ndarray
    levels: np.ndarray
    slopes: np.ndarray
    tail: np.ndarray
    exog: np.ndarray


@dataclass(frozen=True)
class Rolled:
    """Running quantities at each of n rows; `whole` and `exog` begin `depth` rows earlier."""

    whole: np.ndarray  # (depth + n, D), gaps filled
    exog: np.ndarray  # (depth + n, K)
    seen: np.ndarray  # (n,) whether the row was complete
    count: np.ndarray  # (n,) rows up to and including this one
    scale: np.ndarray  # (n, D) running mean absolute change, 0 while nothing has changed
    mean: np.ndarray  # (n, D)
    drift: np.ndarray  # (n, D) mean change
    levels: np.ndarray  # (n, n_memories, D) relative to the row
    slopes: np.ndarray  # (n, n_memories, D)
    inputs: np.ndarray  # (n, n_inputs)

    @property
    def unit(self) -> np.ndarray:
        """The scale to divide by: one where nothing has changed yet."""
        return np.where(self.scale > 0, self.scale, 1.0)


def begin(layout: Layout, row: np.ndarray, exog: np.ndarray) -> Carry:
    """The carry before the first complete row of a series."""
    zero = np.zeros(layout.n_columns)
    means = np.zeros((len(layout.rates), layout.n_columns))
    tail = np.repeat(row[None], layout.depth, axis=0)
    past = np.repeat(exog[None], layout.depth, axis=0)
    return Carry(0, row.copy(), zero, zero, zero, means, means, tail, past)


def roll(
    layout: Layout, carry: Carry, Y: np.ndarray, X: np.ndarray, static: np.ndarray
) -> tuple[Rolled, Carry]:
    """Take in rows (n, D), which may hold NaN, and exogenous rows (n, K)."""
    depth, n = layout.depth, len(Y)
    whole = np.concatenate([carry.tail, _filled(layout, carry, Y)])
    exog = np.concatenate([carry.exog, X])
    rows = whole[depth:]
    count = carry.count + np.arange(1, n + 1)
    change = rows - whole[depth - 1 : -1]
    changes = carry.changes + np.abs(change).cumsum(axis=0)
    scale = changes / np.maximum(count - 1, 1)[:, None]
    seasonal = np.zeros_like(changes) + carry.seasonal_changes
    if layout.reference == "seasonal":
        m = layout.season
        jump = np.where((count > m)[:, None], np.abs(rows - whole[depth - m : -m]), 0.0)
        seasonal = seasonal + jump.cumsum(axis=0)
        by_season = seasonal / np.maximum(count - m, 1)[:, None]
        scale = np.where((count >= m + 4)[:, None] & (by_season > 0), by_season, scale)
    above = rows - carry.first
    total = carry.total + above.cumsum(axis=0)
    mean = carry.first + total / count[:, None]
    levels = _smoothed(layout.rates, above, carry.levels)
    slopes = _smoothed(layout.rates, change, carry.slopes)
    unit = np.where(scale > 0, scale, 1.0)
    moves = [change, rows - mean]
    for m in layout.periods:
        moves.append(np.where((count > m)[:, None], rows - whole[depth - m : len(whole) - m], 0.0))
    drive = [np.clip(move / unit, -layout.clip, layout.clip) for move in moves]
    outside = np.clip(
        np.concatenate([X, np.tile(static, (n, 1))], axis=1), -layout.clip, layout.clip
    )
    rolled = Rolled(
        whole=whole,
        exog=exog,
        seen=np.isfinite(Y).all(axis=1),
        count=count,
        scale=scale,
        mean=mean,
        drift=(rows - carry.first) / np.maximum(count - 1, 1)[:, None],
        levels=levels - above[:, None, :],
        slopes=slopes,
        inputs=np.concatenate([*drive, outside], axis=1),
    )
    after = replace(
        carry,
        count=int(count[-1]),
        total=total[-1].copy(),
        changes=changes[-1].copy(),
        seasonal_changes=seasonal[-1].copy(),
        levels=levels[-1].copy(),
        slopes=slopes[-1].copy(),
        tail=whole[n:].copy(),
        exog=exog[n:].copy(),
    )
    return rolled, after


def _filled(layout, carry, Y):
    """Gaps take the value one season back where there is one, else the value before."""
    if np.isfinite(Y).all():
        return Y
    depth = layout.depth
    whole = np.concatenate([carry.tail, Y])
    for t, d in np.argwhere(~np.isfinite(Y)):
        here = carry.count + t  # rows before this one
        back = layout.periods[0] if layout.periods and here >= layout.periods[0] else 1
        whole[depth + t, d] = whole[depth + t - back, d]
    return whole[depth:]


def _smoothed(rates, rows, before):
    """Exponential means of the columns, (n, n_rates, D), that go on from `before`."""
    from scipy.signal import lfilter  # a tenth of a second, which not every program needs

    out = np.empty((len(rows), len(rates), rows.shape[1]))
    for i, rate in enumerate(rates):
        start = ((1 - rate) * before[i])[None]
        out[:, i] = lfilter([rate], [1, rate - 1], rows, axis=0, zi=start)[0]
    return out


def shared_features(
    layout: Layout,
    rolled: Rolled,
    origins: np.ndarray,
    states: np.ndarray,
    static: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
    """Features that all steps have, (n_origins, n_shared): constant, own past, outside, states.

    `origins` are rows of `rolled`, and `states` (n_origins, n_units) belong to them. Outside
    columns act on a series in proportion to its `size` (n_columns,), whatever the scale was.
    """
    n = len(origins)
    at = layout.depth + origins
    unit = rolled.unit[origins]
    now = rolled.whole[at]
    blocks = [np.ones((n, 1))]
    lags = np.array(layout.lags, dtype=int)
    if len(lags):
        back = rolled.whole[at[:, None] - lags] - now[:, None]
        bound = (layout.clip + lags)[None, :, None]
        blocks.append(
            np.clip(back / unit[:, None], -bound, bound).reshape(n, now.shape[1] * len(lags))
        )
    blocks.append(rolled.drift[origins] / unit)
    for means in (rolled.levels, rolled.slopes):
        far = 4 * layout.clip
        blocks.append(
            np.clip(means[origins] / unit[:, None], -far, far).reshape(
                n, now.shape[1] * means.shape[1]
            )
        )
    blocks += [
        rolled.exog[at] * _relative_size(rolled, origins, size)[:, None],
        np.tile(static, (n, 1)),
        states,
    ]
    return np.concatenate(blocks, axis=1)


def _relative_size(rolled, origins, size):
    """What a fixed effect of outside columns is in units of the running scale, (n_origins,)."""
    return (size / rolled.unit[origins]).mean(axis=1)


def usual_size(layout: Layout, Y: np.ndarray) -> np.ndarray:
    """Mean absolute change over the reference's season of all rows of a series, (n_columns,)."""
    lag = layout.season if len(Y) > layout.season else 1
    changes = np.abs(Y[lag:] - Y[:-lag])
    known = np.isfinite(changes)
    size = np.where(known, changes, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(size > 0, size, 1.0)


def references(layout: Layout, rolled: Rolled, origins: np.ndarray) -> np.ndarray:
    """What the targets are relative to, (n_origins, horizon, D)."""
    at = layout.depth + origins
    if layout.reference == "last":
        return np.repeat(rolled.whole[at][:, None], layout.horizon, axis=1)
    rows = _seasons_back(layout, at, layout.season, 1)
    known = (rolled.count[origins] >= layout.season)[:, None, None]
    return np.where(known, rolled.whole[rows], rolled.whole[at][:, None])


def _seasons_back(layout, at, period, k):
    """Rows k seasons before the targets, the last such row seen, (n_origins, horizon)."""
    steps = np.arange(1, layout.horizon + 1)
    return at[:, None] + steps - period * (-(-steps // period) + k - 1)


def step_features(
    layout: Layout, rolled: Rolled, origins: np.ndarray, known: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """Features that belong to one step, (n_origins, horizon, n_own).

    Values seasons back and known columns (`known`: (n_origins, horizon, n_known)) at the time
    of the target, and known columns at the time of the reference.
    """
    at = layout.depth + origins
    unit = rolled.unit[origins][:, None]
    base = references(layout, rolled, origins)
    blocks = []
    if layout.reference == "seasonal":
        blocks.append((rolled.whole[at][:, None] - base) / unit)
    for i, period in enumerate(layout.periods):
        for k in range(1, layout.n_seasons + 1):
            if layout.reference == "seasonal" and i == 0 and k == 1:
                continue  # the reference itself
            rows = _seasons_back(layout, at, period, k)
            inside = rows - at[:, None] + rolled.count[origins][:, None] > 0
            gap = np.where(inside[:, :, None], rolled.whole[rows] - base, 0.0)
            blocks.append(gap / unit)
    bound = 4 * layout.clip
    blocks = [np.clip(block, -bound, bound) for block in blocks]
    if layout.n_known:
        rows = np.repeat(at[:, None], layout.horizon, axis=1)
        if layout.reference == "seasonal":
            rows = _seasons_back(layout, at, layout.season, 1)
        share = _relative_size(rolled, origins, size)[:, None, None]
        blocks += [known * share, rolled.exog[rows][:, :, : layout.n_known] * share]
    if not blocks:
        return np.empty((len(origins), layout.horizon, 0))
    return np.concatenate(blocks, axis=2)


def targets(layout: Layout, rolled: Rolled, Y: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """``(future - reference) / scale``, (n_origins, horizon, D); NaN where it is not known."""
    steps = np.arange(1, layout.horizon + 1)
    padded = np.concatenate([Y, np.full((layout.horizon, Y.shape[1]), np.nan)])
    future = padded[origins[:, None] + steps]
    gap = (future - references(layout, rolled, origins)) / rolled.unit[origins][:, None]
    bound = farthest(layout, rolled, origins)
    changed = (rolled.scale[origins] > 0)[:, None]
    return np.where(changed | np.isnan(gap), np.clip(gap, -bound, bound), 0.0)


def farthest(layout: Layout, rolled: Rolled, origins: np.ndarray) -> np.ndarray:
    """How far targets and forecasts go from the reference, (n_origins, horizon, D).

    `clip` times the usual change for each step; or, in a steady trend, times its least change
    of late, since the running mean of the changes lags far behind steep growth.
    """
    at = layout.depth + origins
    change = np.diff(rolled.whole[at[:, None] + np.arange(-_STEADY, 1)], axis=1)
    one_way = (change > 0).all(axis=1) | (change < 0).all(axis=1)
    pace = np.where(one_way, np.abs(change).min(axis=1), 0.0) / rolled.unit[origins]
    steps = 1.0 + np.arange(1, layout.horizon + 1)
    return layout.clip * np.maximum(pace, 1.0)[:, None] * steps[None, :, None]
