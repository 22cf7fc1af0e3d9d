"""First weights of recurrent cells and dense layers.

All come from one `RandomState`, in the order `W_in`, `W`, `b` within a layer and gate by gate
within a matrix. Every function draws in float64 and converts at the end, so float32 weights are
the rounded float64 ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from echocast._checks import check_option

from .._weights import recurrent_matrix

__all__ = [
    "GATES",
    "INITIALISERS",
    "glorot_uniform",
    "initialise_cell",
    "initialise_dense",
    "orthogonal",
]

# Gates stacked on the first axis of the weights, in PyTorch's order.
GATES = {"rnn": ("h",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
INITIALISERS = ("glorot", "identity", "orthogonal", "spectral", "uniform")

_RADIUS = 0.9
_IRNN_INPUT_STD = 0.001


def initialise_cell(
    rng: np.random.RandomState,
    cell: str,
    n_inputs: int,
    n_units: int,
    *,
    kind: str = "orthogonal",
    dtype: DTypeLike = np.float64,
    activation: str = "tanh",
) -> dict[str, np.ndarray]:
    r"""Draw the weights of one recurrent layer in one direction.

    Parameters
    ----------
    rng : RandomState
        Draws `W_in`, then `W`, then `b`.
    cell : {"rnn", "lstm", "gru"}
    n_inputs, n_units : int, >= 1
    kind : {"orthogonal", "glorot", "identity", "spectral", "uniform"}
        How each gate's block is drawn:

        - "orthogonal": Glorot input weights, orthogonal recurrent weights;
        - "glorot": Glorot for both;
        - "identity": the identity as recurrent weights. With ``activation="relu"`` the input
          weights are normal with standard deviation 0.001 (the IRNN of [1]_), since a
          rectified identity adds up all it hears; otherwise Glorot;
        - "spectral": Glorot input weights, uniform recurrent weights scaled to a spectral
          radius of 0.9, both by the code of the reservoirs;
        - "uniform": everything from :math:`U(-1/\sqrt{n}, 1/\sqrt{n})`, biases too, as PyTorch
          does. Our bias is the sum of PyTorch's two, so it is the sum of two draws.

        All but "uniform" have zero biases, and ones for the forget gate of an LSTM. That is
        Keras' choice; but Keras draws the gates as one matrix, we draw each alone, so a gate
        is scaled by its own sizes and its block is square and orthogonal.
    dtype : float64 or float32
    activation : {"tanh", "relu"}
        Of the cell "rnn".

    Returns
    -------
    weights : dict
        "W_in" of shape (g * n_units, n_inputs), "W" (g * n_units, n_units), "b" (g * n_units,)
        and for a GRU "b_n" (n_units,); g is the number of gates.

    References
    ----------
    .. [1] Q. V. Le, N. Jaitly, G. E. Hinton, "A Simple Way to Initialize Recurrent Networks of
       Rectified Linear Units", 2015, sec. 3.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir.rnn._init import initialise_cell
    >>> weights = initialise_cell(np.random.RandomState(0), "lstm", 3, 2)
    >>> {name: array.shape for name, array in weights.items()}
    {'W_in': (8, 3), 'W': (8, 2), 'b': (8,)}
    >>> weights["b"]
    array([0., 0., 1., 1., 0., 0., 0., 0.])
    """
    check_option("cell", cell, "initialise_cell", tuple(GATES))
    check_option("kind", kind, "initialise_cell", INITIALISERS)
    check_option("activation", activation, "initialise_cell", ("relu", "tanh"))
    n_gates = len(GATES[cell])
    irnn = kind == "identity" and cell == "rnn" and activation == "relu"
    if kind == "uniform":
        weights = _uniform(rng, cell, n_inputs, n_units)
    else:
        weights = {
            "W_in": np.vstack([_input(rng, n_units, n_inputs, irnn) for _ in range(n_gates)]),
            "W": np.vstack([_recurrent(rng, n_units, kind) for _ in range(n_gates)]),
            "b": np.zeros(n_gates * n_units),
        }
        if cell == "lstm":
            weights["b"][n_units : 2 * n_units] = 1.0
        if cell == "gru":
            weights["b_n"] = np.zeros(n_units)
    return {name: array.astype(dtype) for name, array in weights.items()}


def initialise_dense(
    rng: np.random.RandomState, n_out: int, n_in: int, dtype: DTypeLike = np.float64
) -> dict[str, np.ndarray]:
    """Return Glorot weights "W" of shape (n_out, n_in) and a zero bias "b" of shape (n_out,)."""
    W = glorot_uniform(rng, n_out, n_in)
    return {"W": W.astype(dtype), "b": np.zeros(n_out, dtype=dtype)}


def glorot_uniform(rng: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    """Draw from U(-a, a) with a = sqrt(6 / (n_in + n_out))."""
    limit = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-limit, limit, size=(n_out, n_in))


def orthogonal(rng: np.random.RandomState, n: int) -> np.ndarray:
    """Draw an orthogonal matrix, every one being as likely as any other."""
    return _by_reservoir(rng, "orthogonal", n, None)


def _by_reservoir(rng, topology, n, radius):
    W = recurrent_matrix(
        topology,
        n,
        connectivity=1.0,
        spectral_radius=radius,
        rng=rng,
        owner="initialise_cell",
    )
    return np.asarray(W)


def _input(rng, n_units, n_inputs, irnn):
    if irnn:
        return rng.normal(0.0, _IRNN_INPUT_STD, size=(n_units, n_inputs))
    return glorot_uniform(rng, n_units, n_inputs)


def _recurrent(rng, n_units, kind):
    """One gate's block."""
    if kind == "orthogonal":
        return orthogonal(rng, n_units)
    if kind == "glorot":
        return glorot_uniform(rng, n_units, n_units)
    if kind == "identity":
        return np.eye(n_units)
    return _by_reservoir(rng, "dense", n_units, _RADIUS)


def _uniform(rng, cell, n_inputs, n_units):
    """PyTorch's weights, its two biases added where both enter the same sum."""
    limit = 1.0 / np.sqrt(n_units)
    rows = len(GATES[cell]) * n_units
    weights = {
        "W_in": rng.uniform(-limit, limit, size=(rows, n_inputs)),
        "W": rng.uniform(-limit, limit, size=(rows, n_units)),
        "b": rng.uniform(-limit, limit, size=rows),
    }
    recurrent_bias = rng.uniform(-limit, limit, size=rows)
    summed = rows if cell != "gru" else 2 * n_units
    weights["b"][:summed] += recurrent_bias[:summed]
    if cell == "gru":
        weights["b_n"] = recurrent_bias[summed:].copy()
    return weights
