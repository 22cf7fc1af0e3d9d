"""Networks with trained weights as step models: rows of lags in, points, quantiles or draws out."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from echocast.exceptions import UnscaledDataWarning
from echocast.reservoir import RNNRegressor, continue_fit, run_from

from ._step_models import StepModel

__all__ = ["DrawnSteps", "QuantileSteps", "RecurrentSteps", "RowView", "train_networks"]

_FARTHEST = 10.0  # inputs without a level are cut off there
_FEWEST_RANKS = 20  # joint errors from which draws take their dependence
# Levels between which a distribution is drawn from: a Gaussian is a straight line between two.
_GRIDS = {"gaussian": (0.2, 0.8), "student_t": (1e-3, 1e-2, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)}


@dataclass(frozen=True)
class RowView:
    """How a network sees a row of lags, and what its outputs are relative to.

    Parameters
    ----------
    n_columns : int
        Variables; a row holds the values of all of them at each lag, then known columns.
    lags : tuple of int
    width : int
        Steps that a row is to give.
    season : int
        0: rows and outputs are values. 1: both are relative to the newest value. A season m: the
        outputs are relative to the values one season before.
    """

    n_columns: int
    lags: tuple
    width: int
    season: int

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """Rows (..., p) as the network sees them."""
        if not self.season:
            return rows
        D = self.n_columns
        n = D * len(self.lags)
        older = rows[..., D:n] - np.concatenate([rows[..., :D]] * (len(self.lags) - 1), axis=-1)
        return np.concatenate([np.clip(older, -_FARTHEST, _FARTHEST), rows[..., n:]], axis=-1)

    def reference(self, rows: np.ndarray) -> Any:
        """What is added to the outputs (..., width * n_columns)."""
        if not self.season:
            return 0.0
        # step k of the future is k - 1 + lag steps after the value at that lag
        ahead = np.arange(1, self.width + 1)
        wanted = self.season * -(-ahead // self.season) - ahead + 1 if self.season > 1 else 1
        places = np.searchsorted(self.lags, np.broadcast_to(wanted, ahead.shape))
        columns = places[:, None] * self.n_columns + np.arange(self.n_columns)
        return rows[..., columns.ravel()]


class RecurrentSteps(StepModel):
    """Trained networks whose outputs are averaged, as they serve one series.

    Parameters
    ----------
    view : RowView
    static : ndarray of shape (n_static,)
        Further inputs of every row of the series.
    scaling : pair of ndarray of shape (n_static,)
        What is taken off them, and what they are then divided by.
    regressors : sequence of RNNRegressor, default=()
        Fitted to all series.
    n_hidden : int, default=0
        First rows of the series that they have learnt from.
    """

    def __init__(
        self,
        view: RowView,
        static: np.ndarray,
        scaling: tuple,
        regressors: Sequence[Any] = (),
        n_hidden: int = 0,
    ):
        self.view, self.scaling = view, scaling
        self.static = (static - scaling[0]) / scaling[1]
        self.regressors, self.n_hidden = list(regressors), n_hidden

    def fit(self, rows, targets, weights=None):
        """Not for these: `train_networks` learns from all series at once."""
        raise TypeError("networks of a pool are fitted to all series at once")

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """Rows (..., p) as the networks see them."""
        seen = self.view.inputs(rows)
        fixed = np.broadcast_to(self.static, (*seen.shape[:-1], len(self.static)))
        return np.concatenate([seen, fixed], axis=-1)

    def run(self, rows, state):
        outputs, ended = self._run(rows, state, None)
        return outputs + self.view.reference(rows), ended

    def quantiles(self, rows: np.ndarray, state: Any, levels: Sequence[float]) -> tuple:
        """Quantiles (M, n, q, n_levels) in the place of outputs."""
        outputs, ended = self._run(rows, state, levels)
        reference = self.view.reference(rows)
        return outputs + (reference if np.ndim(reference) == 0 else reference[..., None]), ended

    def _run(self, rows, state, levels):
        X = self.inputs(rows)
        states = self._split(state)
        runs = [run_from(r, X, s, quantiles=levels) for r, s in zip(self.regressors, states)]
        outputs = np.mean([np.asarray(out, dtype=np.float64) for out, _ in runs], axis=0)
        return outputs, np.concatenate([ended for _, ended in runs], axis=1)

    def _split(self, state):
        """The state (M, ...) of each network."""
        if state is None:
            return [None] * len(self.regressors)
        ends = np.cumsum([len(r.h0_) for r in self.regressors])[:-1]
        return np.split(state, ends, axis=1)

    def learn(self, rows, targets, state, weights=None):
        return self.sharing(learn_more([self], [rows], [targets], [state], [weights]))

    def errors(self, rows, targets, n_last, weights=None):
        """Errors of the rows that the networks have not learnt from."""
        outputs = self.run(rows[None], None)[0][0]
        return (targets - outputs)[self.n_hidden :][-n_last:]

    def for_static(self, static: np.ndarray) -> RecurrentSteps:
        """The same networks for a series with other static columns."""
        return RecurrentSteps(self.view, static, self.scaling, self.regressors)

    def sharing(self, regressors: Sequence[Any]) -> RecurrentSteps:
        """A copy with other networks."""
        other = copy.copy(self)
        other.regressors = list(regressors)
        return other


_FORECASTS_ALONE = "other outputs of fitted networks are for forecasts alone"


class _OtherOutputs(StepModel):
    """Abstract: other outputs of fitted networks, for forecasts alone."""

    def fit(self, rows, targets, weights=None):
        raise TypeError(_FORECASTS_ALONE)

    def learn(self, rows, targets, state, weights=None):
        raise TypeError(_FORECASTS_ALONE)

    def errors(self, rows, targets, n_last, weights=None):
        raise TypeError(_FORECASTS_ALONE)


class QuantileSteps(_OtherOutputs):
    """A quantile of the outputs of a step model in place of its points."""

    def __init__(self, steps: RecurrentSteps, probability: float):
        self.steps, self.probability = steps, probability

    def run(self, rows, state):
        regressor = self.steps.regressors[0]
        levels = learnt_levels(regressor)
        if regressor.loss != "pinball":
            values, ended = self.steps.quantiles(rows, state, [self.probability])
            return values[..., 0], ended
        values, ended = self.steps.quantiles(rows, state, levels)
        wanted = np.full(values.shape[:-1], self.probability)
        return between(values, levels, wanted), ended


class DrawnSteps(_OtherOutputs):
    """Draws from the distributions that a step model gives, in place of its points.

    Parameters
    ----------
    steps : RecurrentSteps
    errors : ndarray of shape (n_errors, q)
        Joint errors whose ranks say how the outputs of a row depend on each other [1]_; with
        fewer than 20 of them they are drawn independently.
    rng : RandomState

    References
    ----------
    .. [1] M. Clark et al., "The Schaake shuffle: a method for reconstructing space-time
       variability in forecasted precipitation and temperature fields", Journal of
       Hydrometeorology 5, 2004.
    """

    def __init__(self, steps: RecurrentSteps, errors: np.ndarray, rng: np.random.RandomState):
        self.steps, self.rng = steps, rng
        self.ranks = None
        if len(errors) >= _FEWEST_RANKS and errors.shape[1] > 1:
            self.ranks = np.argsort(np.argsort(errors, axis=0, kind="stable"), axis=0)

    def run(self, rows, state):
        regressor = self.steps.regressors[0]
        grid = _GRIDS.get(regressor.loss) or learnt_levels(regressor)
        values, ended = self.steps.quantiles(rows, state, grid)
        return between(values, grid, self._uniforms(values.shape[:-1])), ended

    def _uniforms(self, shape):
        """Numbers in (0, 1) of shape (M, n, q), dependent along the last axis alone."""
        u = self.rng.random_sample(shape)
        if self.ranks is not None:
            n = len(self.ranks)
            u = (self.ranks[self.rng.randint(n, size=shape[:2])] + u) / n
        return np.clip(u, 1e-9, 1 - 1e-9)


def learnt_levels(regressor: Any) -> tuple:
    """The quantiles that a network with the loss "pinball" learns."""
    return tuple(sorted({float(q) for q in np.atleast_1d(regressor.quantile)}))


def between(values: np.ndarray, levels: Sequence[float], wanted: np.ndarray) -> np.ndarray:
    """Quantiles `wanted` (...) from those (..., n_levels) at ascending levels.

    Straight lines in the quantiles of a normal distribution, which go on beyond the outermost.
    """
    knots, z = ndtri(np.asarray(levels)), ndtri(wanted)
    k = np.clip(np.searchsorted(knots, z) - 1, 0, len(knots) - 2)
    low = np.take_along_axis(values, k[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(values, k[..., None] + 1, axis=-1)[..., 0]
    return low + (z - knots[k]) / (knots[k + 1] - knots[k]) * (high - low)


def train_networks(
    params: dict, seeds: Sequence[int], X: list[np.ndarray], y: list, weights: list
) -> list[Any]:
    """One network for each seed, fitted to all sequences.

    Parameters
    ----------
    params : dict
        Of the `RNNRegressor`.
    seeds : sequence of int
    X, y : list of ndarray
    weights : list of ndarray, of the shapes of y or of its rows
        Zero for what is no example.
    """
    plain = all(w.all() for w in weights)
    fitted = []
    with warnings.catch_warnings():
        # the scale is that of the whole series, from which its first part may differ
        warnings.simplefilter("ignore", UnscaledDataWarning)
        for seed in seeds:
            rnn = RNNRegressor(output="sequence", random_state=seed, **params)
            fitted.append(rnn.fit(X, y, sample_weight=None if plain else weights))
    return fitted


def learn_more(
    steps: Sequence[RecurrentSteps], rows: list, targets: list, states: list, weights: list
) -> list[Any]:
    """Networks that several series share after some epochs on further rows of these."""
    X = [one.inputs(r) for one, r in zip(steps, rows)]
    y = [t - one.view.reference(r) for one, r, t in zip(steps, rows, targets)]
    shares = [one._split(state) for one, state in zip(steps, states)]
    known = None if all(w is None for w in weights) else [
        np.ones(len(r)) if w is None else w for r, w in zip(rows, weights)
    ]  # fmt: skip
    return [
        continue_fit(rnn, X, y, state=np.concatenate([s[k] for s in shares]), sample_weight=known)
        for k, rnn in enumerate(steps[0].regressors)
    ]
