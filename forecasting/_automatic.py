"""Rules that choose transforms and lags from the rows of fit alone.

The thresholds were set on development origins of some 120 public series of all frequencies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from echocast._checks import refuse

from ._transforms import (
    Chain,
    Deseasonalize,
    Difference,
    SeasonalDifference,
    Standardize,
    Transform,
    detrended,
    seasonal_indices,
)
from ._transforms_power import Log, blocks_of
from ._transforms_registry import resolve_transforms

__all__ = [
    "choose_lags",
    "choose_transforms",
    "exponential_columns",
    "fitted_chain",
    "safest_alpha",
    "seasonal_strength",
    "unit_root_statistic",
]

_WEAK, _STRONG = 0.3, 0.64  # seasonal strength from which means, or differences, are taken off
_CRITICAL = -2.86  # Dickey-Fuller, 5 per cent, with a constant
_LEAST_SHARE = 0.02  # of the mean, that the least value of a column in logarithms exceeds
_GROWTH = 0.75  # least power of the level that the spread follows
_FEWEST_BLOCKS = 4
_MOST_LAGS = 100
_ALIKE = 0.5
_FEWEST_GROWING = 30  # growth over fewer rows did not last
_RISING = 0.95  # least rank correlation with time of a steady trend
_TOP = 0.9  # share of the range that its last rows lie above
_ONGOING = 0.9  # least slope of its last quarter, relative to all of it
_FOLD = 10.0  # least ratio of extremes for logarithms of steady growth
_STRAIGHTER = 0.1  # most of the variance off a line, of logarithms relative to values
_STRETCHES = 20  # over which growth is compared
_EVEN = 2.0  # least mean of the growth over a stretch, in its standard deviations


def fitted_chain(
    transforms: Any,
    Y: np.ndarray,
    season_length: int,
    owner: str,
    automatic: Callable[[np.ndarray, int], list[Transform]] | None = None,
) -> Chain:
    """The transforms asked for, fitted; those of the rule `automatic` for "auto".

    The rule is `choose_transforms` by default.
    """
    if isinstance(transforms, str) and transforms == "auto":
        steps = (automatic or choose_transforms)(Y, season_length)
    else:
        steps = resolve_transforms(transforms, owner)
    return Chain(steps).fit(Y, season_length)


def choose_transforms(Y: np.ndarray, season_length: int) -> list[Transform]:
    """Unfitted steps for the rows (n_steps, n_columns), each with the columns it acts on.

    1. Logarithms are taken of a positive column whose seasons grow with its level: the spread
       within a season follows a power of its mean above 0.75, which lies three standard errors
       above 0 and two above 0.5, the power of counts; no value lies below 2 per cent of the
       mean, so that a zero is not to be expected; and the logarithm has a season by rule 2.
       (Without one a logarithm makes trends exponential, which did more harm than good.)
       They are taken, too, of a positive column of 30 rows or more that grows or falls steadily
       (rank correlation with time above 0.95, the last rows at the extreme, no slowing down in
       the last quarter) by a factor above 10, if a line through the logarithms leaves less than
       a tenth of the share of variance that a line through the values leaves, and the mean growth
       over a twentieth of the rows exceeds twice its standard deviation. (Growth less even did
       not last.)
    2. A column whose seasonal strength exceeds 0.3 has its seasonal means taken off; but if the
       strength exceeds 0.64 and what the means leave wanders, it is differenced over the season
       instead, as its season may wander too. Either needs three seasons.
    3. What is left is differenced if it wanders: its lag-one autocorrelation exceeds
       ``1 - 2 / sqrt(n)`` and a Dickey-Fuller test at 5 per cent does not reject a unit root.
       (The first condition spares short series, for which the test is too weak; the second
       spares smooth oscillations.) A steady trend is differenced in any case.
    4. All columns are standardised.
    """
    steps: list[Transform] = []
    logarithmic = _log_columns(Y, season_length)
    if logarithmic.any():
        steps.append(Log(columns=logarithmic))
        Y = steps[0].fit(Y, season_length).forward(Y, 0)
    seasonal: list[Transform] = []
    differenced, centred = _seasonal_columns(Y, season_length)
    if differenced.any():
        seasonal.append(SeasonalDifference(columns=differenced))
    if centred.any():
        seasonal.append(Deseasonalize(columns=centred))
    rest = Y
    for step in seasonal:
        rest = step.fit(rest, season_length).forward(rest, 0)
    wandering = np.array([_wanders(column) or _is_steady(column) for column in rest.T])
    steps += seasonal
    if wandering.any():
        steps.append(Difference(columns=wandering))
    return [*steps, Standardize()]


def _log_columns(Y, season_length):
    """Mask of the positive columns with seasons that grow with the level, or steep growth."""
    steep = exponential_columns(Y)
    grows = np.array([_spread_grows(column, season_length) for column in Y.T])
    if not grows.any():
        return steep
    seasonal = np.any(_seasonal_columns(np.log(np.where(grows, Y, 1.0)), season_length), axis=0)
    return (grows & seasonal) | steep


def exponential_columns(Y: np.ndarray) -> np.ndarray:
    """Mask of the positive columns that grow, or fall, steadily by a nearly constant factor."""
    return np.array([_is_exponential(column) for column in Y.T], dtype=bool)


def _is_exponential(y):
    if not (y.min() > 0 and y.max() > _FOLD * y.min()):
        return False
    logs = np.log(y)
    stretch = max(1, len(y) // _STRETCHES)
    growth = logs[stretch:] - logs[:-stretch]
    even = abs(growth.mean()) > _EVEN * growth.std()
    return bool(even and _is_steady(logs) and _off_line(logs) < _STRAIGHTER * _off_line(y))


def _off_line(y):
    """Share of the variance that a straight line leaves."""
    time = np.arange(len(y)) - (len(y) - 1) / 2
    return 1.0 - (time @ (y - y.mean())) ** 2 / ((time @ time) * max(y.var() * len(y), 1e-300))


def _is_steady(y):
    """Whether a trend without turns or slowing down has brought the last rows to an extreme."""
    n = len(y)
    span = np.ptp(y)
    if n < _FEWEST_GROWING or span <= 1e-12 * np.abs(y).max(initial=1.0):
        return False
    rising = np.sign(spearmanr(np.arange(n), y).statistic) * y
    few = max(3, n // 20)
    quarter = n // 4
    slope = (rising[-few:].mean() - rising[:few].mean()) / (n - few)
    recent = (rising[-few:].mean() - rising[-quarter - few : n - quarter].mean()) / quarter
    return bool(
        spearmanr(np.arange(n), rising).statistic > _RISING
        and (rising[-few:] >= rising.min() + _TOP * span).sum() * 2 > few
        and recent >= _ONGOING * slope
    )


def _spread_grows(y, season_length):
    if season_length < 2 or y.min() <= _LEAST_SHARE * y.mean():
        return False
    means, spreads = blocks_of(y, max(season_length, 4))
    varying = spreads > 1e-12 * means
    if varying.sum() < _FEWEST_BLOCKS:
        return False
    level, spread = np.log(means[varying]), np.log(spreads[varying])
    level = level - level.mean()
    energy = level @ level
    if energy <= 1e-12 * len(level):
        return False
    growth = level @ spread / energy
    rest = spread - spread.mean() - growth * level
    error = np.sqrt(rest @ rest / (len(level) - 2) / energy)
    return bool(growth > max(_GROWTH, 3 * error, 0.5 + 2 * error))


def _seasonal_columns(Y, season_length):
    """Masks of the columns to difference over the season, and to take seasonal means off."""
    if season_length < 2 or len(Y) < max(3 * season_length, 2 * season_length + 8):
        return np.zeros((2, Y.shape[1]), dtype=bool)
    strength = seasonal_strength(Y, season_length)
    means = seasonal_indices(Y, season_length)
    rest = Y - means[np.arange(len(Y)) % season_length]
    wandering = np.array([_wanders(column) for column in rest.T])
    differenced = (strength > _STRONG) & wandering
    return differenced, (strength > _WEAK) & ~differenced


def seasonal_strength(Y: np.ndarray, period: int) -> np.ndarray:
    """Share of the detrended variance that repeats with the season, for each column.

    References
    ----------
    .. [1] R. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition,
       2021, section 4.3, with a classical decomposition in place of STL.
    """
    rest, first = detrended(Y, period)
    season = seasonal_indices(Y, period)[(first + np.arange(len(rest))) % period]
    total, remainder = rest.var(axis=0), (rest - season).var(axis=0)
    share = np.divide(remainder, total, out=np.ones_like(total), where=total > 0)
    return np.maximum(0.0, 1.0 - share)


def _wanders(y):
    n = len(y)
    centred = y - y.mean()
    energy = centred @ centred
    if n < 10 or energy <= n * (1e-12 * np.abs(y).max(initial=1.0)) ** 2:
        return False
    if centred[1:] @ centred[:-1] / energy <= 1 - 2 / np.sqrt(n):
        return False
    return unit_root_statistic(y) > _CRITICAL


def unit_root_statistic(y: np.ndarray) -> float:
    """Augmented Dickey-Fuller t statistic with a constant and (n - 1) ** (1/3) lags.

    References
    ----------
    .. [1] S. Said, D. Dickey, "Testing for unit roots in autoregressive-moving average models
       of unknown order", Biometrika 71, 1984.
    """
    changes = np.diff(y) / y.std()
    if np.ptp(changes) <= 1e-9 * np.abs(changes).max():
        return 0.0  # a straight line: nothing but its slope is known
    n_lags = min(int((len(y) - 1) ** (1 / 3)), len(y) // 4)
    target = changes[n_lags:]
    level = (y[n_lags:-1] - y.mean()) / y.std()
    lagged = [changes[n_lags - i : len(changes) - i] for i in range(1, n_lags + 1)]
    columns = np.column_stack([level, np.ones(len(target)), *lagged])
    coef, _, rank, _ = np.linalg.lstsq(columns, target, rcond=None)
    freedom = len(target) - rank
    residual = target - columns @ coef
    if freedom < 1 or residual @ residual <= 1e-20 * (target @ target):
        return -np.inf  # an exact recurrence: the level carries information
    covariance = np.linalg.pinv(columns.T @ columns)[0, 0] * (residual @ residual) / freedom
    return float(coef[0] / np.sqrt(covariance)) if covariance > 0 else 0.0


def safest_alpha(esn: Any, targets: np.ndarray) -> float:
    """The largest penalty whose leave-one-out error is as good as the least, but for chance.

    Errors are alike within half the standard error of a mean square, ``sqrt(2 / n)``. A
    path that feeds on its own errors is the more stable the larger the penalty.
    """
    if esn.loo_errors_ is None:
        return esn.alpha_
    variance = targets.var(axis=0)
    varies = variance > 0
    errors = (esn.loo_errors_[:, varies] / variance[varies]).sum(axis=1)
    alike = errors <= errors.min() * (1 + _ALIKE * np.sqrt(2 / len(targets)))
    return float(np.max(esn.alphas_[alike]))


def choose_lags(lags: Any, n_rows: int, n_columns: int, season_length: int, owner: str) -> tuple:
    """Lags that the readout sees, ascending and with 1 among them.

    None takes two seasons, or 12 without a season; at most 100, and at most one coefficient
    for every six rows.
    """
    if lags is None:
        wanted = 2 * season_length if season_length > 1 else 12
        fits = n_rows // (6 * n_columns)
        return tuple(range(1, max(1, min(wanted, fits, _MOST_LAGS)) + 1))
    if isinstance(lags, (int, np.integer)) and not isinstance(lags, bool) and lags >= 1:
        return tuple(range(1, int(lags) + 1))
    values = np.asarray(lags)
    if values.ndim == 1 and len(values) and values.dtype.kind in "iu" and values.min() >= 1:
        return tuple(int(lag) for lag in sorted({1, *values.tolist()}))
    refuse("lags", owner, "None, an int >= 1 or a list of such", lags)
    raise AssertionError  # refuse always raises
