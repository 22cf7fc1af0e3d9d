"""Prediction intervals: simulated paths, and conformal scores from rolling origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._levels import level_bounds
from ._pooled_rows import centred
from ._transforms import Chain

__all__ = [
    "ConformalScores",
    "allows_conformal",
    "conformal_bands",
    "conformal_origins",
    "draw_innovations",
    "joint_draws",
    "path_bands",
    "path_quantiles",
]

_MOST_ORIGINS = 200
_MOST_STEPS = 200
_FEWEST_ORIGINS = 20
_ROWS_EACH = 4  # degree of freedom; set by the coverage on simulated series of 40 to 240 rows
_LEAST_FREEDOM = 4.0  # of a factor whose square has a mean and a variance to speak of


def draw_innovations(
    errors: np.ndarray, n_steps: int, n_paths: int, rng: np.random.RandomState
) -> np.ndarray:
    """Draw innovations from centred `errors` (n, D) in time order, (n_steps, D, n_paths).

    Stretches of sqrt(n) consecutive rows are drawn with replacement (the last row is followed
    by the first): what correlation a shrunken readout leaves in its errors widens later steps.
    All steps of a path share a shift with the standard error of the mean of the errors, as the
    mean of the series (or its slope, after differences) is only known that well.
    They share a factor as well, which spreads paths as Student's distribution with n / 4 degrees
    of freedom is spread, as scale and weights are no better known from n rows and the transforms
    were chosen by them, too.

    References
    ----------
    .. [1] D. Politis, J. Romano, "A circular block-resampling procedure for stationary data",
       in "Exploring the Limits of Bootstrap", 1992.
    """
    n_rows, n_columns = errors.shape
    apart = errors - errors.mean(axis=0)
    length = int(np.ceil(np.sqrt(n_rows)))
    n_stretches = -(-n_steps // length)
    starts = rng.randint(n_rows, size=(n_stretches, n_paths))
    rows = starts[:, None, :] + np.arange(length)[:, None]
    rows = rows.reshape(-1, n_paths)[:n_steps] % n_rows
    # weights with variance 1 / n give sums with the covariance of a mean
    shifts = apart.T @ rng.standard_normal((n_rows, n_paths)) / n_rows
    drawn = np.moveaxis(apart[rows], 1, 2) + shifts.reshape(n_columns, n_paths)
    freedom = max(n_rows / _ROWS_EACH, _LEAST_FREEDOM)
    return drawn * np.sqrt(freedom / rng.chisquare(freedom, size=n_paths))


def joint_draws(
    errors: np.ndarray, horizon: int, n_steps: int, n_paths: int, rng: np.random.RandomState
) -> np.ndarray:
    """Draw errors (n_steps, D, n_paths), those of all steps of a horizon together.

    Errors (n, horizon * D) of few origins are joined by their mirror images, as their own mean
    is an error of the forecast too. All steps of a path share a factor that spreads paths as
    Student's distribution is, as `draw_innovations` says.
    """
    paths = centred(errors.reshape(len(errors), horizon, -1))
    n_blocks = -(-n_steps // horizon)
    drawn = paths[rng.randint(len(paths), size=(n_paths, n_blocks))]
    drawn = drawn.reshape(n_paths, n_blocks * horizon, -1)[:, :n_steps]
    freedom = max(len(errors) / _ROWS_EACH, _LEAST_FREEDOM)
    factors = np.sqrt(freedom / rng.chisquare(freedom, size=n_paths))
    return np.moveaxis(drawn * factors[:, None, None], 0, 2)


def path_quantiles(paths: np.ndarray, probabilities: list[float]) -> np.ndarray:
    """Quantiles over paths (h, D, M), shape (n_probabilities, h, D).

    The i-th of M ordered values stands for the probability i / (M + 1), so that the share of
    new values below a quantile is right on average.
    """
    return np.quantile(paths, probabilities, axis=2, method="weibull")


def path_bands(paths: np.ndarray, levels: list, probabilities: list) -> dict[str, np.ndarray]:
    """Fields "lo-80", "hi-80", ..., "q-0.1", ... of paths (h, D, M), each (h, D)."""
    wanted = [p for level in levels for p in level_bounds(level)] + list(probabilities)
    names = [f"{side}-{level:g}" for level in levels for side in ("lo", "hi")]
    names += [f"q-{p:g}" for p in probabilities]
    return dict(zip(names, path_quantiles(paths, wanted)))


def conformal_origins(n_steps: int) -> tuple[int, np.ndarray]:
    """Rows to learn from, and the numbers of rows after which calibration forecasts begin.

    The last third of the rows, at most 400, is left to calibrate on; at most 200 origins.
    """
    n_calibration = min(n_steps // 3, 2 * _MOST_ORIGINS)
    if n_calibration < _FEWEST_ORIGINS:
        raise ValueError(
            f"Length of `y` ({n_steps}) must be at least {3 * _FEWEST_ORIGINS} for "
            "interval='conformal', which calibrates on the last third. Use "
            "interval='bootstrap'."
        )
    n_train = n_steps - n_calibration
    ends = np.unique(
        np.linspace(n_train, n_steps - 1, min(n_calibration, _MOST_ORIGINS)).astype(int)
    )
    return n_train, ends


def allows_conformal(n_steps: int, n_needed: int) -> bool:
    """Whether a series has the rows that `conformal_origins` asks for.

    `n_needed` is the number that a forecast has to follow.
    """
    return n_steps >= max(3 * _FEWEST_ORIGINS, -(-3 * n_needed // 2))


@dataclass(frozen=True)
class ConformalScores:
    """Errors of forecasts from past origins, for each step ahead.

    Parameters
    ----------
    errors : ndarray of shape (n_origins, n_ahead, n_columns)
        ``y - forecast``, after the transforms of `bends`; NaN beyond the end of the series.
    bends : Chain, optional
        Logarithms and powers of single values, undone after errors are added to a forecast, so
        that they fit a level that has grown since. Its columns may be more than those of y.
    """

    errors: np.ndarray
    bends: Chain | None = None

    @classmethod
    def measure(
        cls,
        forecasts: np.ndarray,
        Y: np.ndarray,
        ends: np.ndarray,
        bends: Chain | None = None,
    ) -> ConformalScores:
        """Compare forecasts (n_ahead, D, n_origins) after the rows `ends` with the true rows."""
        if bends is not None:
            Y = bends.forward(Y)
            forecasts = np.moveaxis(bends.forward(np.moveaxis(forecasts, 2, 0)), 0, 2)
        ahead = np.arange(len(forecasts))
        places = ends[:, None] + ahead
        padded = np.concatenate([Y, np.full((len(forecasts), Y.shape[1]), np.nan)])
        return cls(padded[places] - np.moveaxis(forecasts, 2, 0), bends)

    def error(self, Y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """What the errors are of rows (n, D) and their predictions."""
        if self.bends is None:
            return Y - predicted
        return self.bends.forward(Y) - self.bends.forward(predicted)

    def around(self, points: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Values (n_steps, D) that differ from the points by the errors."""
        if self.bends is None:
            return points + errors
        bent = (self.bends.forward(points) + errors)[:, :, None]
        none = [np.empty((0, points.shape[1]))] * len(self.bends.steps)
        return self.bends.invert(bent, none, 0)[:, :, 0]

    @staticmethod
    def steps_for(n_calibration: int) -> int:
        """How many steps ahead are worth forecasting from the origins."""
        return min(n_calibration, _MOST_STEPS)

    def half_width(self, n_steps: int, level: float, name: str | None = None) -> np.ndarray:
        """Half the width of the interval at each step, (n_steps, D).

        `name` says in an error what was asked for, if that was no level.
        """
        name = f"level={level:g}" if name is None else name
        return self._ranked(np.abs(self.errors), n_steps, level / 100, name)

    def quantile(self, n_steps: int, probability: float) -> np.ndarray:
        """Quantile of the error at each step, (n_steps, D)."""
        name = f"quantiles={probability:g}"
        if probability < 0.5:
            return -self._ranked(-self.errors, n_steps, 1 - probability, name)
        return self._ranked(self.errors, n_steps, probability, name)

    def _ranked(self, scores, n_steps, share, name):
        """The score of rank ``ceil((n + 1) share)`` among the n known at each step."""
        counts = (~np.isnan(self.errors)).sum(axis=0)
        ranks = np.ceil((counts + 1) * share - 1e-9).astype(int)
        enough = (ranks <= counts).all(axis=1)
        longest = len(enough) if enough.all() else int(np.argmin(enough))
        if n_steps > longest:
            nearer = "a lower level" if name.startswith("level") else "a quantile nearer to 0.5"
            if not longest:
                raise ValueError(
                    f"{name} cannot be had from {int(counts[0].min())} calibration forecasts: it "
                    f"needs at least {int(np.ceil(share / (1 - share) - 1e-9))}. Use "
                    f"interval='bootstrap', {nearer} or more data."
                )
            raise ValueError(
                f"The calibration forecasts allow {name} up to {longest} steps ahead, not "
                f"{n_steps}. Use interval='bootstrap', {nearer} or more data."
            )
        ordered = np.sort(scores[:, :n_steps], axis=0)  # NaN come last
        return np.take_along_axis(ordered, ranks[None, :n_steps] - 1, axis=0)[0]


def conformal_bands(
    scores: Any, points: np.ndarray, levels: list, probabilities: list
) -> dict[str, np.ndarray]:
    """Fields "lo-80", "hi-80", ..., "q-0.1", ... around the points, each (n_steps, D)."""
    fields = {}
    for level in levels:
        half = scores.half_width(len(points), level)
        fields[f"lo-{level:g}"] = scores.around(points, -half)
        fields[f"hi-{level:g}"] = scores.around(points, half)
    for p in probabilities:
        fields[f"q-{p:g}"] = scores.around(points, scores.quantile(len(points), p))
    return fields
