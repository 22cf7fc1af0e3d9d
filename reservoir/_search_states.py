"""States of many settings of one reservoir over the same rows, all from one set of draws."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ._drive import state_blocks
from ._machine import BLOCK_BYTES, Reservoir, block_rows, make_reservoir, scratch
from ._plan import RecurrentPlan, recurrent_plan
from ._spectral import spectral_radius as radius_of
from ._weights import (
    _check_scaling,
    _scale,
    bias_vector,
    input_matrix,
    recurrent_matrix,
)

__all__ = ["FEWEST_COLUMNS", "Draws", "merge_runs", "reservoir_of", "run_features"]

FEWEST_COLUMNS = 8  # fewer settings than this are faster one by one
_MANY_PER_ROW = 20


class Draws:
    """What the seed of an `ESNRegressor` draws; scalings turn it into the weights of a setting.

    The numbers are multiplied as in a fit, so the weights are the same to the last bit. The
    spectral radius is computed once.

    Parameters
    ----------
    estimator : ESNRegressor
        With the parameters of one setting; its generator is advanced.
    n_inputs : int
    """

    def __init__(self, estimator: Any, n_inputs: int) -> None:
        self.owner = type(estimator).__name__
        self.topology = estimator.topology
        rng = estimator._random()
        n_units = estimator.n_units
        self.W_in = input_matrix(
            n_units,
            n_inputs,
            kind=estimator.input_weights,
            input_scaling=1.0,
            input_connectivity=estimator.input_connectivity,
            rng=rng,
            owner=self.owner,
        )
        self.W = recurrent_matrix(
            self.topology,
            n_units,
            connectivity=estimator.connectivity,
            spectral_radius=None,
            rng=rng,
            owner=self.owner,
        )
        self.b = bias_vector(n_units, bias_scaling=1.0, rng=rng, owner=self.owner)
        self.noise_seed = rng.randint(2**31 - 1)
        self.custom = callable(estimator.activation)
        self._radius: float | None = None

    def weights(self, estimator: Any) -> dict[str, Any]:
        """Attributes `W_in_`, `W_`, `b_` and `W_fb_` of an estimator of these draws."""
        dtype = np.dtype(estimator.dtype)
        scaling = estimator.input_scaling
        scaling = _check_scaling("input_scaling", scaling, self.W_in.shape[1], self.owner)
        W = self.W
        if estimator.spectral_radius is not None:
            W = W * self.factor(estimator)
        return {
            "W_in_": np.ascontiguousarray(self.W_in * scaling, dtype=dtype),
            "W_": W.astype(dtype),
            "b_": (self.b * float(estimator.bias_scaling)).astype(dtype),
            "W_fb_": None,
        }

    def factor(self, estimator: Any) -> float:
        """What W is multiplied by for a setting."""
        if estimator.spectral_radius is None:
            return 1.0
        wanted = float(estimator.spectral_radius)
        if wanted == 0.0 or (isinstance(self.topology, str) and self.topology == "delay_line"):
            return wanted
        if self._radius is None:
            _scale(self.W, self.topology, wanted, self.owner)  # raises where there is no radius
            self._radius = radius_of(self.W)
        return float(np.float64(wanted) / self._radius)

    @property
    def wide(self) -> bool:
        """Whether settings are faster side by side, and the same to the last bit.

        Faster because a weight meets a row of states in a row of memory, which pays for the
        memory of all states only where units hear many others (25 settings in float64 were 1.1
        times faster for 10, 1.4 for 30, twice for 60 and for 100). Products with dense matrices
        are summed in another order for many columns, and on cyclic diagonals a single run has
        contiguous loads anyway.
        """
        full = self.plan.n_stored >= _MANY_PER_ROW * self.plan.n_units
        return full and self.plan.layout in ("ell", "csr") and not self.custom

    @cached_property
    def plan(self) -> RecurrentPlan:
        """The unscaled W as kernels read it."""
        return recurrent_plan(self.W)


def reservoir_of(estimator: Any) -> Reservoir:
    """The reservoir of an estimator whose weights are set."""
    return make_reservoir(
        estimator.W_in_,
        estimator.W_,
        estimator.b_,
        leak_rate=estimator.leak_rate,
        activation=estimator.activation,
        dtype=np.dtype(estimator.dtype),
    )


def merge_runs(wanted: list[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
    """Leave out the sequences that are the beginning of another one.

    Returns
    -------
    runs : list of ndarray of shape (n_steps, n_inputs)
    which : list of int
        The run that each wanted sequence is the beginning of.
    """
    runs: list[np.ndarray] = []
    which = [0] * len(wanted)
    for i in sorted(range(len(wanted)), key=lambda i: -len(wanted[i])):
        rows = wanted[i]
        for k, run in enumerate(runs):
            if np.array_equal(run[: len(rows)], rows):
                which[i] = k
                break
        else:
            which[i] = len(runs)
            runs.append(rows)
    return runs, which


def run_features(
    draws: Draws,
    estimators: list[Any],
    reservoirs: list[Reservoir],
    rows: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write states of all rows, from the zero state, and beside them the inputs if there is room.

    Parameters
    ----------
    draws : Draws
    estimators, reservoirs : list
        One for each setting.
    rows : ndarray of shape (n_steps, n_inputs)
    out : ndarray of shape (n_settings, n_steps, n_columns)
        Columns are the units, or the units and the inputs.
    """
    n = reservoirs[0].n_units
    if out.shape[2] > n:
        out[:, :, n:] = rows
    if len(reservoirs) >= FEWEST_COLUMNS and draws.wide:
        _drive_together(draws, estimators, reservoirs, rows, out)
        return
    for res, states in zip(reservoirs, out):
        for start, block in state_blocks(res, rows):
            states[start : start + len(block), :n] = block


def _drive_together(draws, estimators, reservoirs, rows, out):
    from ._kernels_search import drive_settings

    res = reservoirs[0]
    n_settings, n = len(reservoirs), res.n_units
    factors = np.array([draws.factor(est) for est in estimators])
    leak = np.ascontiguousarray(np.stack([r.leak for r in reservoirs], axis=1))
    x, row = np.zeros((2, n, n_settings), dtype=res.dtype)
    work = scratch(res)
    # Projections are products of the blocks of a single run, for the same bits.
    block = block_rows(res, 1, BLOCK_BYTES)
    call = block_rows(res, n_settings, out.nbytes)
    inputs = np.ones((len(rows), rows.shape[1] + 1), dtype=res.dtype)
    inputs[:, :-1] = rows
    for start in range(0, len(rows), block):
        stop = min(start + block, len(rows))
        for one, states in zip(reservoirs, out):
            states[start:stop, :n] = inputs[start:stop] @ one.projection
        for first in range(start, stop, call):
            last = min(first + call, stop)
            drive_settings(
                *draws.plan.rowwise, factors, res.code, leak, x, out, first, last, work, row
            )
