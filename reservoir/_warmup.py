"""Compile every kernel that estimators use, so that the first fit does not wait for it."""

from __future__ import annotations

import time

import numpy as np

from ._drive import closed_loop, closed_loop_batch, iter_sequences, make_reservoir, run_states
from ._esn import ESNRegressor
from ._online import FORCEReadout, LMSReadout, RLSReadout
from ._time_chunks import TimeChunks
from .rnn._regressor import RNNRegressor
from .rnn._turing import NeuralTuringMachine

__all__ = ["warmup"]


def warmup() -> float:
    """Compile and cache the kernels of reservoirs and of trained networks, float64 and float32.

    They are compiled on first use anyway, for the types at hand; this does it for all of them,
    for instance while an image is built. With a warm cache it takes a second or two.

    Returns
    -------
    float
        Seconds taken.
    """
    start = time.perf_counter()
    for dtype in (np.float64, np.float32):
        for W in _one_matrix_for_each_layout():
            _run_everything(W, dtype)
        _train_everything(np.dtype(dtype).name)
    return time.perf_counter() - start


def _one_matrix_for_each_layout():
    n_units = 32
    rng = np.random.RandomState(0)
    yield rng.uniform(-0.1, 0.1, (n_units, n_units))
    yield 0.5 * np.roll(np.eye(n_units), 1, axis=0)
    rows = np.repeat(np.arange(n_units), 2)
    columns = np.concatenate([rng.choice(n_units, 2, replace=False) for _ in range(n_units)])
    fixed_in_degree = np.zeros((n_units, n_units))
    fixed_in_degree[rows, columns] = 0.1
    yield fixed_in_degree
    fixed_in_degree[0, :8] = 0.1
    fixed_in_degree[1::2] = 0
    yield fixed_in_degree


def _run_everything(W, dtype):
    n_units = W.shape[0]
    res = make_reservoir(np.ones((n_units, 1)), W, np.zeros(n_units), dtype=dtype)
    X = np.zeros((2, 1))
    run_states(res, X)
    for _ in iter_sequences(res, [X] * 4):
        pass
    readout = {
        "coef_state": np.zeros((1, n_units)),
        "coef_output": np.zeros((1, 1)),
        "offset": np.zeros(1),
        "loop_in": np.ones((n_units, 1)),
    }
    closed_loop(res, 2, np.zeros(n_units), np.zeros(1), **readout)
    closed_loop_batch(res, 2, np.zeros((n_units, 2)), np.zeros((1, 2)), **readout)
    chunks = TimeChunks(2).blocks([res], np.zeros((400, 1)), [np.zeros(n_units, dtype)])
    for _ in chunks or ():
        pass
    u = np.sin(np.arange(8.0))[:, None]
    for learner in (RLSReadout(), LMSReadout(), FORCEReadout()):
        esn = ESNRegressor(
            n_units,
            topology=W,
            spectral_radius=None,
            feedback_scaling=1.0,
            readout=learner,
            dtype=np.dtype(dtype).name,
        )
        esn.fit(u, u).stream().learn_one(u[0], u[0])


def _train_everything(dtype):
    u = np.sin(np.arange(12.0))[:, None]
    for cell in ("tanh", "gru", "lstm"):
        RNNRegressor(hidden_layer_sizes=2, cell=cell, max_iter=1, dtype=dtype).fit(u[:-1], u[1:])
    RNNRegressor(hidden_layer_sizes=2, transition="deep", max_iter=1, dtype=dtype).fit(
        u[:-1], u[1:]
    )
    for solver in ("rmsprop", "sgd"):
        RNNRegressor(
            hidden_layer_sizes=2, solver=solver, max_iter=1, weight_decay=0.1, dtype=dtype
        ).fit(u[:-1], u[1:])
    machine = NeuralTuringMachine(n_units=2, memory_shape=(3, 2), max_iter=1, dtype=dtype)
    machine.fit(u[None], np.zeros((1, 12, 1)))
