"""Networks whose readouts learn row by row: what they are checked for, and how they are fitted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from echocast._checks import check_number, refuse

from ._features import FeatureRows
from ._machine import BLOCK_BYTES, block_rows, scratch
from ._online import FORCEReadout, OnlineReadout

__all__ = ["check_readout", "learn"]


def check_readout(esn: Any) -> None:
    """Raise if the parameters of a network do not go together with its `readout`."""
    owner, readout = type(esn).__name__, esn.readout
    if readout is None:
        return
    if not isinstance(readout, OnlineReadout):
        refuse("readout", owner, "None, an RLSReadout, LMSReadout or FORCEReadout", readout)
    readout._check_params()
    name = type(readout).__name__
    if not (isinstance(esn.alpha, float) and esn.alpha == 1e-6):
        raise ValueError(
            f"`alpha` of {owner} is the penalty of its ridge readout. With readout={name}() leave "
            f"it at 1e-6, and set that of the readout, if it has one: {name}(alpha=...)."
        )
    if esn.solver != "auto" or not esn.fit_intercept:
        raise ValueError(
            f"`solver` and `fit_intercept` of {owner} are for its ridge readout. With "
            f"readout={name}() leave them alone; {name}(fit_intercept=False) has no intercept."
        )
    if esn.time_chunks is not None:
        raise ValueError(
            f"readout={name}() learns the rows in the order of time, which time_chunks would "
            "change. Use time_chunks=None, or the ridge readout."
        )
    if isinstance(readout, FORCEReadout):
        _check_force(esn)


def _check_force(esn):
    check_number("feedback_scaling", esn.feedback_scaling, type(esn).__name__, low=0)
    if not esn.feedback_scaling:
        raise ValueError("FORCEReadout learns in a loop: set feedback_scaling > 0, such as 1.0.")
    if esn.target != "value":
        raise ValueError("FORCEReadout feeds outputs back as they are: use target='value'.")


def learn(readout: OnlineReadout, rows: FeatureRows, esn: Any) -> OnlineReadout:
    """Train `readout`, in place, on all rows in the order of time, and return it."""
    if readout.feeds_back:
        _force(readout, rows, esn)
        return readout
    machine: Any = rows.machine
    machine.in_order = True
    for features, targets, weights in rows():
        readout.absorb(features, targets, weights)
    return readout


def _force(readout, rows, esn):
    """Run each sequence in closed loop while its outputs are learnt."""
    machine, data = rows.machine, rows.data
    if data.weights is not None:
        raise ValueError("FORCEReadout learns in a loop, which `sample_weight` cannot leave out.")
    if machine.reservoir.function is not None:
        raise ValueError("FORCEReadout needs one of the compiled activations, such as 'tanh'.")
    outputs = np.empty((data.layout.n_sequences, rows.n_targets), dtype=machine.dtype)
    edges = data.layout.indptr
    for i, (first, last) in enumerate(pairwise(edges)):
        part = slice(first, last)
        y = rows.first_outputs[i].copy()
        learns = readout.due(last - first)
        learns[: rows.washouts[i]] = False
        x = rows._last_states[i]
        x[:] = rows.states[i]
        _force_sequence(readout, machine, data.rows[part], data.targets[part], learns, x, y)
        outputs[i] = y
        if not x.any():
            raise ValueError(
                "The network stays at zero, as nothing drives it before it has learnt: set "
                "bias_scaling > 0, or give it inputs."
            )
    rows.last_outputs = outputs
    readout._settle()
    if not np.isfinite(readout.coef_).all():
        raise ValueError("The weights of FORCEReadout grew without bound; raise its `alpha`.")


def _force_sequence(readout, machine, inputs, targets, learns, x, y):
    """The same for one sequence; `x` and `y` end as the last state and output."""
    from ._kernels_online import back_substitute, force_rows

    res = machine.reservoir
    keep, renewal, ones = readout.constants()
    R = readout._fit_R
    n = len(R)
    coef = np.zeros((len(y), n))
    back_substitute(R, coef)
    row, features = np.empty(n + len(y)), np.empty(n)
    W_fb, work, buffers = np.ascontiguousarray(res.W_fb.T), np.empty_like(x), scratch(res)
    seconds = res.step_nanoseconds() + 3.0 * n * n
    n_rows = max(1, int(block_rows(res, 1, BLOCK_BYTES) * res.step_nanoseconds() / seconds))
    seen = inputs if machine.include_input else inputs[:, :0]
    for start in range(0, len(inputs), n_rows):
        part = slice(start, start + n_rows)
        base = inputs[part] @ res.W_in.T + res.b
        if machine.noise:
            base += np.multiply(machine.noise, machine.rng.standard_normal(base.shape))
        readout._fit_n_rows += force_rows(
            res.plan.arrays,
            res.code,
            res.leak,
            base.astype(res.dtype, copy=False),
            W_fb,
            x,
            y,
            np.ascontiguousarray(seen[part]),
            targets[part],
            learns[part],
            R,
            coef,
            keep,
            renewal,
            readout._fit_n_rows,
            ones,
            work,
            row,
            features,
            buffers,
        )
