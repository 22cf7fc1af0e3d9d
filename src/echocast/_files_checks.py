"""Whether the parts of a model fit each other, when a file is written and when it is read.

Compiled kernels trust the shapes they are given. So what reaches them is compared here with what it
belongs to; Python's own code notices by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["check_object"]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_object(key: str, value: Any) -> None:
    """Raise ValueError if an object of the table is not what its class makes.

    The parameters of fitted estimators go through the checks of `fit` that need no data.
    """
    if key in _CHECKS:
        _CHECKS[key](value)
    attributes = vars(value) if hasattr(value, "__dict__") else {}
    if "theta_" in attributes:
        _network_weights(value)
    if "_fit_reservoir" in attributes:
        _reservoir_readout(value)
    if hasattr(value, "get_params") and any(name.startswith("_fit_") for name in attributes):
        _parameters(value)


def _need(condition: Any, what: str) -> None:
    if not condition:
        raise ValueError(f"its {what} do not fit the rest of the model")


def _parameters(model: Any) -> None:
    """Run the checks of the constructor's parameters that every fit begins with."""
    for name in ("_check_params", "_check_training", "_check_reservoir"):
        check = getattr(model, name, None)
        if check is not None:
            check(*[type(model).__name__] * len(inspect.signature(check).parameters))
            return


def _shape(value: Any) -> Any:
    return getattr(value, "shape", None)


# ----------------------------------------------------------------------------- reservoirs


def _is_reservoir(value: Any) -> bool:
    from echocast.reservoir._machine import Reservoir

    return type(value) is Reservoir


def _esn_machine(machine: Any) -> None:
    _need(_is_reservoir(machine.reservoir), "reservoirs")
    fresh = type(machine)(machine.reservoir, include_input=bool(machine.include_input))
    for name in ("dtype", "n_features", "n_states", "state_shape"):
        _need(getattr(machine, name) == getattr(fresh, name), "features")
    _need(machine.rng is None and machine.feedback is None, "drivers")


def _stack(stack: Any) -> None:
    _need(type(stack.layers) is tuple and stack.layers, "layers")
    _need(all(map(_is_reservoir, stack.layers)), "layers")
    for below, above in zip(stack.layers, stack.layers[1:]):
        _need(above.n_inputs == below.n_units and above.dtype == below.dtype, "layers")


def _local(machine: Any) -> None:
    _need(_is_reservoir(machine.reservoir), "reservoirs")
    sizes = machine.n_cells, machine.group_size, machine.overlap + 1
    _need(all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes), "patches")
    _need(machine.n_cells % machine.group_size == 0, "patches")
    _need(machine.reservoir.n_inputs == machine.window, "windows")


def _reservoir_readout(model: Any) -> None:
    """Readout, last states and last outputs of an estimator around fixed weights."""
    machine = model._fit_reservoir
    shape = getattr(machine, "state_shape", None)
    if shape is None:  # a reservoir alone: what reads its states is NumPy's
        _need(_is_reservoir(machine), "reservoirs")
        shape = (machine.n_units,)
    reservoir = getattr(machine, "reservoir", machine)
    for name in ("W_in_", "W_fb_"):
        given, used = getattr(model, name, None), getattr(reservoir, name[:-1], None)
        if isinstance(given, np.ndarray) and used is not None:
            _need(given.shape == used.shape, "weights")
    coef = getattr(model, "coef_", None)
    n_features = getattr(machine, "n_features", None)
    if isinstance(coef, np.ndarray) and n_features is not None:
        _need(coef.ndim == 2 and coef.shape[1] == n_features, "coefficients")
        _need(_shape(getattr(model, "intercept_", None)) == coef.shape[:1], "coefficients")
        targets = getattr(model, "_fit_n_targets", None)
        if targets is not None and hasattr(model, "last_output_"):
            _ends(model.last_output_, (targets,), "last outputs")
    if hasattr(model, "state_"):
        _ends(model.state_, tuple(shape), "last states")


def _ends(ends: Any, shape: tuple, what: str) -> None:
    """What each sequence of fit ended in: one array, one row for each sequence, or a dict."""
    parts = list(ends.values()) if isinstance(ends, dict) else [ends]
    for part in parts:
        given = _shape(part)
        _need(given is not None and given[len(given) - len(shape) :] == shape, what)
        _need(len(given) - len(shape) in ((0,) if isinstance(ends, dict) else (0, 1)), what)


def _factor(factor: Any) -> None:
    n = 1 + factor.n_features + factor.n_targets
    _need(n > 0 and factor.method in ("qr", "gram") and factor.dtype in _FLOATS, "columns")
    buffer = factor._buffer
    _need((buffer.n_features, buffer.n_targets) == (factor.n_features, factor.n_targets), "rows")
    if factor._sums is not None:
        _need(_shape(factor._sums.shift) == (n - 1,), "sums")
        _need(_shape(factor._sums.matrix) == (n, n), "sums")


def _online(readout: Any) -> None:
    """A readout that learns row by row; its memory is read as it is."""
    if not hasattr(readout, "_fit_n_rows"):
        return
    n = int(bool(readout.fit_intercept)) + readout.n_features_in_
    coef = _shape(readout.coef_)
    _need(coef is not None and len(coef) == 2 and coef[1] == readout.n_features_in_, "weights")
    _need(_shape(readout.intercept_) == coef[:1], "weights")
    memory = {"_fit_R": (n, n + coef[0]), "_fit_weights": (coef[0], n)}
    for name, shape in memory.items():
        if hasattr(readout, name):
            _need(_shape(getattr(readout, name)) == shape, "memory")
            _need(getattr(readout, name).dtype == np.float64, "memory")
    _need(isinstance(readout._fit_n_rows, int) and readout._fit_n_rows >= 0, "rows")


# ------------------------------------------------------------------------- trained networks


def _network_weights(model: Any) -> None:
    """The vector of all weights, and the description by which it is cut up."""
    network = getattr(model, "_fit_network", None)
    layout = model._fit_layout if network is None else network.layout
    _need(layout == getattr(model, "_fit_layout", layout), "weights")
    _need(_shape(model.theta_) == (layout.size,) and model.theta_.dtype in _FLOATS, "weights")
    trained = getattr(model, "_fit_trained", None)
    if trained is not None:
        _need(_shape(trained.theta) == (layout.size,), "weights")


def _network(network: Any) -> None:
    sizes = (*network.units, network.n_inputs, network.n_outputs)
    _need(all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes), "sizes")
    _need(network.cell in ("rnn", "lstm", "gru") and network.dtype in _FLOATS, "cells")
    leak = np.asarray(network.leak)
    _need(leak.ndim == 0 or all(leak.shape == (n,) for n in network.units), "leaks")
    if not isinstance(network.h0, str):
        _need(len(network.h0) == len(network.state_widths), "first states")
        for given, widths in zip(network.h0, network.state_widths):
            _need([_shape(part) for part in given] == [(n,) for n in widths], "first states")


def _turing(model: Any) -> None:
    if not hasattr(model, "_fit_shape"):
        return
    memory, shapes = model._fit_shape, model._fit_layout.shapes
    _need(all(isinstance(n, (int, np.integer)) and n > 0 for n in memory), "memories")
    _need(memory.n_shifts % 2 == 1 and memory.n_shifts <= memory.n_slots, "memories")
    _need(shapes.get("heads.W", ())[:1] == (memory.n_raw,) == shapes.get("heads.b"), "heads")
    _need(shapes.get("first.b") == (memory.n_heads, memory.n_slots), "heads")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "ESNMachine": _esn_machine,
    "FORCEReadout": _online,
    "LMSReadout": _online,
    "LocalReservoirs": _local,
    "Network": _network,
    "NeuralTuringMachine": _turing,
    "ReservoirStack": _stack,
    "RLSReadout": _online,
    "RidgeFactor": _factor,
    "TextNetwork": _network,
}
