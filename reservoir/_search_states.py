"""States of many settings of one reservoir over the same rows, all from one set of draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._drive import state_blocks
from ._machine import Reservoir, make_reservoir
from ._spectral import spectral_radius as radius_of
from ._weights import (
    _check_scaling,
    _scale,
    bias_vector,
    input_matrix,
    recurrent_matrix,
)

__all__ = ["Draws", "merge_runs", "run_features"]


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
        self._radius: float | None = None

    def weights(self, estimator: Any) -> dict[str, Any]:
        """Attributes `W_in_`, `W_`, `b_` and `W_fb_` of an estimator of these draws."""
        dtype = np.dtype(estimator.dtype)
        scaling = estimator.input_scaling
        scaling = _check_scaling("input_scaling", scaling, self.W_in.shape[1], self.owner)
        W = self.W
        if estimator.spectral_radius is not None:
            W = W * self._factor(float(estimator.spectral_radius))
        return {
            "W_in_": np.ascontiguousarray(self.W_in * scaling, dtype=dtype),
            "W_": W.astype(dtype),
            "b_": (self.b * float(estimator.bias_scaling)).astype(dtype),
            "W_fb_": None,
        }

    def _factor(self, wanted):
        if wanted == 0.0 or (isinstance(self.topology, str) and self.topology == "delay_line"):
            return wanted
        if self._radius is None:
            _scale(self.W, self.topology, wanted, self.owner)  # raises where there is no radius
            self._radius = radius_of(self.W)
        return np.float64(wanted) / self._radius


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
    reservoirs: list[Reservoir], rows: np.ndarray, *, with_input: bool
) -> Iterator[np.ndarray]:
    """Yield for each reservoir the states (and inputs) of all rows, from the zero state."""
    for res in reservoirs:
        n = res.n_units
        out = np.empty((len(rows), n + (rows.shape[1] if with_input else 0)), dtype=res.dtype)
        if with_input:
            out[:, n:] = rows
        for start, block in state_blocks(res, rows):
            out[start : start + len(block), :n] = block
        yield out
