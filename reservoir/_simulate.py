"""Many closed-loop paths of a fitted network with lagged outputs and known inputs.

Uses only what a fitted `ESNRegressor` shows (weights, readout, state), and NumPy: a path takes
some dozens of steps, so a step costs a few matrix products over all paths.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from echocast.exceptions import ForecastDivergedError

from ._activations import elementwise
from ._factor import RowBuffer
from ._few_rows import RowCoordinates, keeps_rows
from ._online import OnlineReadout
from ._running import LEAST_FREEDOM, RunningReadout
from ._sequences import SequenceLayout
from .rnn._continue import continue_training
from .rnn._regressor import RNNRegressor

__all__ = ["continue_fit", "leave_one_out_errors", "simulate_paths", "with_penalty", "without_rows"]


def simulate_paths(
    esn: Any,
    n_steps: int,
    *,
    history: np.ndarray,
    lags: Sequence[int] = (1,),
    state: np.ndarray | None = None,
    X: np.ndarray | None = None,
    innovations: np.ndarray | None = None,
    bounds: tuple[np.ndarray, np.ndarray] | None = None,
    readouts: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Let several paths of a fitted network run on their own outputs.

    The network must have been fitted on rows that hold, for each of `lags` in turn, all targets
    that many steps before the row's own target, followed by the columns known beforehand.

    Parameters
    ----------
    esn : ESNRegressor
        Fitted, without output feedback; not changed.
    n_steps : int
        Length of the paths.
    history : ndarray of shape (n_past, n_targets) or (n_past, n_targets, n_paths)
        Targets before the first step, oldest first; at least ``max(lags)`` rows.
    lags : sequence of int, default=(1,)
        Steps back; 1 is the target just before.
    state : ndarray of shape (n_units,) or (n_units, n_paths), optional
        State before the first step; the one that a fit on one sequence ended in by default.
    X : ndarray of shape (n_steps, n_known) or (n_steps, n_known, n_paths), optional
        Columns known beforehand: row t belongs to step t.
    innovations : ndarray of shape (n_steps, n_targets, n_paths), optional
        Added to each output before it is fed back, such as drawn residuals.
    bounds : tuple of two ndarrays of shape (n_targets,) or (n_targets, n_paths), optional
        Outputs are cut off below and above at these values before they are fed back.
    readouts : tuple of two ndarrays, optional
        Coefficients (n_groups, n_targets, n_features) and intercepts (n_groups, n_targets) in
        place of the fitted ones: the paths fall into groups of equal size, one after the other.

    Returns
    -------
    ndarray of shape (n_steps, n_targets, n_paths)

    Raises
    ------
    ValueError
        If shapes do not fit the model.
    ForecastDivergedError
        If an output becomes infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor, simulate_paths
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> esn = ESNRegressor(n_units=50, random_state=0).fit(u[:-1], u[1:])
    >>> paths = simulate_paths(esn, 20, history=u)
    >>> paths.shape
    (20, 1, 1)
    >>> bool(np.allclose(paths[:, :, 0], esn.generate(20)))
    True
    """
    if esn.W_fb_ is not None:
        raise ValueError("`simulate_paths` feeds outputs back itself; use feedback_scaling=0.")
    past, known, x = _read_start(esn, n_steps, history, lags, state, X, innovations)
    reservoir, with_input = esn._fit_reservoir.reservoir, esn._fit_reservoir.include_input
    W, leak = esn.W_, reservoir.leak[:, None]
    function = reservoir.function or elementwise(reservoir.activation)
    n_past, n_targets, n_paths = past.shape
    bias, output = esn.b_[:, None], _outputs(esn, readouts, n_paths)
    low, high = _each_path(bounds)
    window = np.concatenate([past, np.empty((n_steps, n_targets, n_paths))])
    for t in range(n_steps):
        inputs = np.concatenate([window[n_past + t - lag] for lag in lags] + [known[t]])
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            x = (1 - leak) * x + leak * function(W @ x + esn.W_in_ @ inputs + bias)
            y = output(np.concatenate([x, inputs]) if with_input else x)
        if innovations is not None:
            y = y + innovations[t]
        if bounds is not None:
            y = np.clip(y, low, high)
        if not np.isfinite(y).all():
            raise ForecastDivergedError(t, np.abs(window[: n_past + t]).max(initial=0.0))
        window[n_past + t] = y
    return window[n_past:]


def _outputs(esn, readouts, n_paths):
    """A function from features (F, n_paths) to outputs (D, n_paths)."""
    if readouts is None:
        return lambda features: esn.coef_ @ features + esn.intercept_[:, None]
    coef, intercept = (np.asarray(part, dtype=np.float64) for part in readouts)
    n_groups = len(coef)
    if coef.shape[1:] != esn.coef_.shape or intercept.shape != coef.shape[:2]:
        raise ValueError(
            f"`readouts` must have shapes (n_groups, *{esn.coef_.shape}) and (n_groups, "
            f"{len(esn.coef_)}), got {coef.shape} and {intercept.shape}."
        )
    if n_paths % n_groups:
        raise ValueError(f"{n_paths} paths do not fall into {n_groups} groups of equal size.")

    def output(features):
        grouped = features.reshape(len(features), n_groups, -1).swapaxes(0, 1)
        return (coef @ grouped + intercept[:, :, None]).swapaxes(0, 1).reshape(-1, n_paths)

    return output


def _each_path(bounds):
    if bounds is None:
        return None, None
    sides = (np.asarray(side) for side in bounds)
    return tuple(side[:, None] if side.ndim == 1 else side for side in sides)


def _read_start(esn, n_steps, history, lags, state, X, innovations):
    """History (n_past, D, M), known inputs (n_steps, K, M) and states (N, M) of all paths."""
    if state is None and esn._fit_form != "rows":
        raise ValueError("The model was fitted on several sequences: pass `state` to start from.")
    past = np.asarray(history, dtype=np.float64)
    past = past[:, :, None] if past.ndim == 2 else past
    x = np.asarray(esn.state_ if state is None else state, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    known = np.empty((n_steps, 0, 1)) if X is None else np.asarray(X, dtype=np.float64)
    known = known[:, :, None] if known.ndim == 2 else known
    n_targets = len(esn.coef_)
    widths = {past.shape[2], x.shape[1], known.shape[2]}
    if innovations is not None:
        if np.shape(innovations)[:-1] != (n_steps, n_targets):
            raise ValueError(
                f"`innovations` must have shape ({n_steps}, {n_targets}, n_paths), got "
                f"{np.shape(innovations)}."
            )
        widths.add(np.shape(innovations)[2])
    n_paths = max(widths)
    if not widths <= {1, n_paths}:
        raise ValueError(f"The numbers of paths differ: {sorted(widths)}.")
    if not len(lags) or min(lags) < 1:
        raise ValueError(f"`lags` must be ints >= 1, at least one, got {lags}.")
    if len(x) != len(esn.b_):
        raise ValueError(f"`state` must have {len(esn.b_)} units, got {len(x)}.")
    if past.shape[1] != n_targets or len(past) < max(lags):
        raise ValueError(
            f"`history` must have {n_targets} columns and at least {max(lags)} rows, got "
            f"{past.shape[:2]}."
        )
    n_inputs = len(lags) * n_targets + known.shape[1]
    if n_inputs != esn.n_features_in_ or len(known) != n_steps:
        raise ValueError(
            f"Lags and known columns make {n_inputs} inputs over {len(known)} steps; the model "
            f"takes {esn.n_features_in_}, over {n_steps} steps."
        )
    wide = [np.broadcast_to(a, (*a.shape[:-1], n_paths)) for a in (past, known, x)]
    return wide[0], wide[1], wide[2]


def continue_fit(
    esn: Any,
    X: Any,
    y: Any,
    *,
    state: np.ndarray,
    sample_weight: Any = None,
) -> Any:
    """A copy that has learnt more rows, with the reservoir in a given state before the first.

    Parameters
    ----------
    esn : ESNRegressor or RNNRegressor
        Fitted, an ESN on one sequence; not changed.
    X : ndarray of shape (n_steps, n_features)
        For an `RNNRegressor` also a list of such, like `y` and `sample_weight`.
    y : ndarray of shape (n_steps, n_targets)
    state : ndarray of shape (n_units,)
        State before the first row; ``esn.state_`` continues where the fit ended. For a list
        (n_sequences, n_states).
    sample_weight : ndarray of shape (n_steps,), optional
        Weights of the rows; a row of weight zero drives the reservoir alone.

    Returns
    -------
    ESNRegressor or RNNRegressor
        As ``esn.partial_fit(X, y)`` would leave an ESN, if `state` is where the fit ended. An
        RNN is trained for five epochs at a tenth of its learning rate.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor, continue_fit
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> half = ESNRegressor(n_units=20, alpha=1e-3, random_state=0).fit(u[:250], u[1:251])
    >>> longer = continue_fit(half, u[250:-1], u[251:], state=half.state_)
    >>> bool(np.allclose(longer.coef_, half.partial_fit(u[250:-1], u[251:]).coef_))
    True
    """
    if isinstance(esn, RNNRegressor):
        return continue_training(esn, X, y, state, sample_weight)
    other = copy.copy(esn)
    other._fit_ends = {None: (np.asarray(state, dtype=esn.state_.dtype), 0)}
    return other.partial_fit(X, y, sample_weight=sample_weight)


def with_penalty(esn: Any, alpha: float) -> Any:
    """A copy whose readout has another penalty, from the statistics of the fit.

    Parameters
    ----------
    esn : ESNRegressor
        Fitted; not changed.
    alpha : float, >= 0

    Returns
    -------
    ESNRegressor
        As a fit to the same rows with this `alpha`, equal to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor, with_penalty
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> esn = ESNRegressor(n_units=20, alpha="auto", random_state=0).fit(u[:-1], u[1:])
    >>> other = with_penalty(esn, 0.1)
    >>> again = ESNRegressor(n_units=20, alpha=0.1, random_state=0).fit(u[:-1], u[1:])
    >>> other.alpha_, bool(np.allclose(other.coef_, again.coef_))
    (0.1, True)
    """
    if isinstance(esn._fit_factor, OnlineReadout):
        raise ValueError(
            "`with_penalty` needs the statistics of a ridge readout, but the model learnt with "
            f"{type(esn.readout_).__name__}. Use readout=None."
        )
    from ._readout import statistics_of

    other = copy.copy(esn).set_params(alpha=float(alpha))
    if alpha != esn.alpha_:
        other._publish(other._solve_factor(statistics_of(esn)))
    return other


def without_rows(esn: Any) -> Any:
    """A copy that holds no training rows, which the readout's statistics else buffer for a while.

    Parameters
    ----------
    esn : ESNRegressor
        Fitted; not changed.

    Returns
    -------
    ESNRegressor
        With the same weights; `partial_fit` goes on from it, equal to rounding.

    Examples
    --------
    >>> import numpy as np, pickle
    >>> from echocast.reservoir import ESNRegressor, without_rows
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> esn = ESNRegressor(n_units=20, random_state=0).fit(u[:-1], u[1:])
    >>> len(pickle.dumps(without_rows(esn))) < len(pickle.dumps(esn))
    True
    """
    other = copy.copy(esn)
    if isinstance(esn._fit_factor, OnlineReadout):  # holds no rows
        return other
    if esn._fit_factor is None:  # nor does a readout solved by "lsqr"
        return other
    factor = copy.copy(esn._fit_factor.flushed())
    factor._buffer = RowBuffer(factor.n_features, factor.n_targets)
    other._fit_factor = factor
    return other


def leave_one_out_errors(
    esn: Any,
    X: np.ndarray,
    y: np.ndarray,
    *,
    washout: int | None = None,
    n_last: int | None = None,
    sample_weight: np.ndarray | None = None,
) -> np.ndarray:
    """Errors of each training row under the readout fitted to all other rows.

    At the penalty of the fit, from the leverages of the rows: error / (1 - leverage).

    Parameters
    ----------
    esn : ESNRegressor, DeepESNRegressor or NVARRegressor
        Fitted on one sequence, without output feedback; not changed.
    X : ndarray of shape (n_steps, n_features)
        The rows of that fit.
    y : ndarray of shape (n_steps, n_targets)
    washout : int, optional
        Rows left out of the fit at the start; what the model's own parameters say by default.
    n_last : int, optional
        Only the last so many rows; all rows after the washout by default.
    sample_weight : ndarray of shape (n_steps,), optional
        Weights of that fit.

    Returns
    -------
    ndarray of shape (n_rows, n_targets)
        ``y`` minus the prediction, in time order.

    References
    ----------
    .. [1] T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd
       edition, 2009, section 7.10.1.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor, leave_one_out_errors
    >>> u = np.random.RandomState(0).randn(200, 1)
    >>> esn = ESNRegressor(n_units=20, alpha=1.0, random_state=0).fit(u[:-1], u[1:])
    >>> errors = leave_one_out_errors(esn, u[:-1], u[1:], washout=19)
    >>> bool(np.std(errors) > np.std(u[20:] - esn.predict(u[:-1])[19:]))
    True
    """
    y = np.asarray(y, dtype=np.float64).reshape(len(X), -1)
    if washout is None:
        layout = SequenceLayout("rows", np.array([0, len(X)]))
        washout = int(esn._washouts(layout, stream=False)[0])
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    known: Any
    if esn.solver_ == "dual" and keeps_rows(esn._fit_factor):
        known = _RowLeverages(esn)
    else:
        known = RunningReadout.from_fit(esn) or _readout_of_rows(esn, X, washout, weights)
    start = washout if n_last is None else max(washout, len(X) - n_last)
    if start >= len(X):
        return np.empty((0, y.shape[1]))
    errors = []
    for first, features in _feature_chunks(esn, X, washout):
        keep = max(start - first, 0)
        features, first = features[keep:], first + keep
        if not len(features):
            continue
        leverage = known.leverages(features) * weights[first : first + len(features)]
        error = y[first : first + len(features)] - features @ esn.coef_.T - esn.intercept_
        errors.append(error / np.maximum(1 - leverage, LEAST_FREEDOM)[:, None])
    return np.concatenate(errors)


class _RowLeverages:
    """Leverages after a dual fit, in the coordinates of its rows: no matrix of features."""

    def __init__(self, esn):
        intercept = esn._readout_params()["fit_intercept"]
        self.turned = RowCoordinates(esn._fit_factor, centred=intercept)
        S, Y, weights = next(self.turned.blocks())
        size = S.shape[1], Y.shape[1]
        known = RunningReadout(*size, alpha=float(esn.alpha_), fit_intercept=intercept)
        self.known = known.extend(S, Y, weights)

    def leverages(self, features):
        return self.known.leverages(self.turned.of(features))


def _readout_of_rows(esn, X, washout, weights):
    """The readout's factor from the rows, where the fit has kept normal equations."""
    machine = esn._fit_reservoir
    known = RunningReadout(
        machine.n_features,
        len(esn.coef_),
        alpha=float(esn.alpha_),
        fit_intercept=esn._readout_params()["fit_intercept"],
    )
    for first, features in _feature_chunks(esn, X, washout):
        weight = weights[first : first + len(features)]
        known.extend(features, np.zeros((len(features), len(esn.coef_))), weight)
    return known


def _feature_chunks(esn, X, washout) -> Iterator[tuple[int, np.ndarray]]:
    """Readout features of the rows after the washout, in chunks that the next one overwrites."""
    machine, layout = esn._fit_reservoir, SequenceLayout("rows", np.array([0, len(X)]))
    rows = np.ascontiguousarray(X, dtype=machine.dtype)
    for _, start, features, _ in machine.blocks(rows, layout, machine.start(rows, layout)):
        keep = max(washout - start, 0)
        if keep < len(features):
            yield start + keep, features[keep:]
