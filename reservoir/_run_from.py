"""Run fitted regressors over sequences from given states, and say where they end."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._esn import ESNRegressor
from ._machine import BLOCK_BYTES, block_rows
from ._regressor import SequenceRegressor
from ._sequences import SequenceLayout
from ._stepping import make_advance
from .rnn._passes import run_side_by_side
from .rnn._regressor import RNNRegressor

__all__ = ["carries_state", "run_from"]


def carries_state(model: Any) -> bool:
    """Whether `run_from` can run this regressor, fitted or not.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    bool
        True for the regressors of this package whose rows are time steps, but for those with
        output feedback; of trained networks for those that run forwards and give an output at
        each step.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from echocast.reservoir import ESNRegressor, carries_state
    >>> carries_state(ESNRegressor()), carries_state(Ridge())
    (True, False)
    """
    if isinstance(model, RNNRegressor):
        forwards = not model.bidirectional and model.recurrence == "hidden"
        return forwards and model.output != "last" and model.layout != "windows"
    if not isinstance(model, SequenceRegressor):
        return False
    return not getattr(model, "feedback_scaling", 0.0)


def run_from(
    model: Any, X: np.ndarray, states: Any = None, *, quantiles: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of sequences that run side by side, each from its own state, and their last states.

    A run over two parts, the second from the states of the first, equals one over both. Closed
    loops, many paths of them at a time, are runs over one row each.

    Parameters
    ----------
    model : regressor
        Fitted, and one of those that `carries_state` names; not changed.
    X : ndarray of shape (n_sequences, n_steps, n_features)
        At least one sequence and one step.
    states : ndarray of shape (n_sequences, *shape of a state), optional
        States before the first rows; those that a fit starts with by default.
    quantiles : list of float in (0, 1), optional
        For an `RNNRegressor` whose loss has quantiles: what to give in place of the outputs.

    Returns
    -------
    outputs : ndarray of shape (n_sequences, n_steps, n_targets)
        With `quantiles` (n_sequences, n_steps, n_targets, n_quantiles).
    states : ndarray of shape (n_sequences, *shape of a state)

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import NVARRegressor, run_from
    >>> u = np.sin(0.2 * np.arange(300))[:, None]
    >>> model = NVARRegressor(delays=3).fit(u[:200], u[1:201])
    >>> outputs, states = run_from(model, u[None, :250])
    >>> bool(np.array_equal(outputs[0], model.predict(u[:250])))
    True
    >>> run_from(model, u[None, 250:], states)[0].shape
    (1, 50, 1)

    A trained network whose outputs are distributions gives their quantiles:

    >>> from echocast.reservoir import RNNRegressor
    >>> rnn = RNNRegressor(hidden_layer_sizes=8, loss="gaussian", max_iter=5, random_state=0)
    >>> rnn = rnn.fit(u[:200], u[1:201])
    >>> run_from(rnn, u[None, :250], quantiles=[0.1, 0.5, 0.9])[0].shape
    (1, 250, 1, 3)
    """
    if isinstance(model, RNNRegressor):
        return _run_network(model, X, states, quantiles)
    if quantiles is not None:
        raise ValueError(f"`quantiles` are for an RNNRegressor, not {type(model).__name__}.")
    machine = model._fit_reservoir
    n_sequences, n_steps, n_features = X.shape
    rows = np.ascontiguousarray(X, dtype=machine.dtype).reshape(-1, n_features)
    layout = SequenceLayout("array3d", n_steps * np.arange(n_sequences + 1))
    states = machine.start(rows, layout) if states is None else np.array(states, machine.dtype)
    if isinstance(model, ESNRegressor) and n_sequences > 1:
        return _side_by_side(model, rows.reshape(X.shape), states)
    outputs = np.empty((n_sequences, n_steps, model._fit_n_targets), dtype=machine.dtype)
    for i, start, features, state in machine.blocks(rows, layout, states):
        outputs[i, start : start + len(features)] = model._read_out(features)
        states[i] = state
    return outputs, states


def _run_network(rnn, X, states, quantiles):
    """The same for a network with trained weights."""
    network, head = rnn._fit_network, rnn._head()
    if network.last or not carries_state(rnn):
        raise ValueError(
            "`run_from` needs an output at each step from the steps before it: fit with "
            "output='sequence', bidirectional=False and recurrence='hidden'."
        )
    outputs, ended = run_side_by_side(network, rnn.theta_, X, states)
    if quantiles is None:
        return head.point(outputs), ended
    return head.quantiles(outputs, list(quantiles)), ended


def _side_by_side(esn, X, states):
    """The same for a network, whose states of all sequences make one product a step."""
    res = esn._fit_reservoir.reservoir
    n_sequences, n_steps, _ = X.shape
    advance = make_advance(res, n_sequences)
    to_output, direct = np.split(esn.coef_, [res.n_units], axis=1)
    outputs = np.empty((n_sequences, n_steps, len(esn.coef_)), dtype=res.dtype)
    x = np.ascontiguousarray(states.T)
    chunk = block_rows(res, n_sequences, BLOCK_BYTES)
    for first in range(0, n_steps, chunk):
        part = slice(first, first + chunk)
        inputs = np.ascontiguousarray(X[:, part].transpose(1, 2, 0))
        block = np.ascontiguousarray(res.W_in @ inputs + res.b[:, None])
        advance(x, block)
        x = block[-1].copy()
        outputs[:, part] = (to_output @ block).transpose(2, 0, 1) + esn.intercept_
    if esn.include_input:
        outputs += X @ direct.T
    return outputs, x.T.copy()
