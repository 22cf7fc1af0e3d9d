"""The bridge between the families: a network that starts as an echo state network.

All weights of the reservoir become parameters, so its states and forecasts are where training
starts, and backpropagation through time moves every one of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._esn import ESNRegressor
from .._esn_machine import ESNMachine
from ._network import Network
from ._objective import TrainData

__all__ = ["begin_from_reservoir"]

# A penalty next to zero gives the best readout, but weights of hundreds, which steps of gradient
# descent that fit all other weights tear apart.
_ALPHA = 1.0


def begin_from_reservoir(
    estimator: Any, data: TrainData, rng: np.random.RandomState
) -> tuple[Network, np.ndarray]:
    """A network, and parameters by which it does what an echo state network does.

    Parameters
    ----------
    estimator : RNNRegressor
        With ``weight_init="reservoir"``, or a reservoir, fitted or not.
    """
    owner = type(estimator).__name__
    esn = _reservoir(estimator, rng)
    if not (estimator.recurrence == "hidden" and estimator.cell in ("tanh", "relu")) or (
        len(estimator._sizes()) > 1
        or estimator.bidirectional
        or estimator._fit_last
        or estimator.transition != "stacked"
    ):
        raise ValueError(
            f"weight_init='reservoir' makes one layer of cell='tanh' or 'relu' with "
            f"recurrence='hidden' and transition='stacked' in one direction, and outputs at each "
            f"step; got {owner} with "
            f"cell={estimator.cell!r}, hidden_layer_sizes={estimator.hidden_layer_sizes!r}, "
            f"bidirectional={estimator.bidirectional}, recurrence={estimator.recurrence!r}, "
            f"transition={estimator.transition!r}."
        )
    try:
        check_is_fitted(esn)
    except NotFittedError:
        esn = _fit_reservoir(clone(esn), data)
    machine = getattr(esn, "_fit_reservoir", None)
    if not isinstance(machine, ESNMachine) or esn.W_fb_ is not None:
        raise ValueError(
            "weight_init must be an ESNRegressor without output feedback; got "
            f"{type(esn).__name__}."
        )
    return _network_of(estimator, esn, data)


def _reservoir(estimator, rng):
    """The reservoir asked for; the word alone means one with the estimator's own width and leak."""
    given = estimator.weight_init
    if not isinstance(given, str):
        return getattr(given, "estimator", given)  # scikit-learn's FrozenEstimator holds one
    return ESNRegressor(
        estimator._sizes()[0],
        leak_rate=estimator.leak_rate,
        activation=estimator.cell,
        include_input=estimator.include_input,
        alpha=_ALPHA,
        washout=estimator.washout or "auto",
        random_state=int(rng.randint(2**31 - 1)),
        dtype=estimator.dtype,
    )


def _fit_reservoir(esn, data):
    targets = data.targets[:, 0] if data.targets.shape[1] == 1 else data.targets
    parts = [slice(a, b) for a, b in pairwise(data.indptr)]
    weights = np.where(data.position < data.n_forced, 1, data.weights)  # it has its own washout
    return esn.fit(
        [data.rows[part] for part in parts],
        [targets[part] for part in parts],
        sample_weight=None if (weights == 1).all() else [weights[part] for part in parts],
    )


def _network_of(estimator, esn, data):
    res, head = esn._fit_reservoir.reservoir, estimator._head()
    if res.activation not in ("tanh", "relu"):
        raise ValueError(
            f"weight_init has activation={res.activation!r}; a network that is trained has "
            "'tanh' or 'relu'."
        )
    if res.n_inputs != data.rows.shape[1] or len(esn.coef_) != head.n_targets:
        raise ValueError(
            f"weight_init was fitted on {res.n_inputs} feature(s) and {len(esn.coef_)} target(s), "
            f"but here are {data.rows.shape[1]} and {head.n_targets}."
        )
    network = estimator._network(
        res.n_inputs,
        data.rows.dtype,
        activation=res.activation,
        units=(res.n_units,),
        include_input=bool(esn._fit_reservoir.include_input),
        leak=np.array(res.leak),
    )
    theta = np.zeros(network.layout.size, dtype=network.dtype)
    views = network.layout.views(theta)
    W = esn.W_.toarray() if hasattr(esn.W_, "toarray") else esn.W_
    views["layers.0.W_in"][:], views["layers.0.W"][:] = esn.W_in_, W
    views["layers.0.b"][:] = esn.b_
    points = head._points if hasattr(head, "_points") else slice(None)
    if head.loss_name == "pinball":  # all quantiles start at the point forecast
        views["out.W"][:] = np.repeat(esn.coef_, len(head.levels), axis=0)
        views["out.b"][:] = np.repeat(esn.intercept_, len(head.levels))
    else:
        views["out.W"][points], views["out.b"][points] = esn.coef_, esn.intercept_
    return network, theta
