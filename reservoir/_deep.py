"""Deep echo state networks: reservoirs stacked on each other under one readout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from echocast._checks import check_number, check_option, refuse

from ._activations import activations
from ._base import harvest
from ._machine import Reservoir
from ._regressor import SequenceRegressor
from ._sequences import SequenceLayout
from ._stepping import make_advance
from ._time_chunks import TimeChunks, check_time_chunks

__all__ = ["DeepESNRegressor", "ReservoirStack"]


@dataclass(frozen=True)
class ReservoirStack:
    """Reservoirs of which each is driven by the states of the one before; a `Machine`.

    The features are the states of all layers, the first one first, then the inputs if they are
    included. The state is that of all layers in a row.
    """

    layers: tuple[Reservoir, ...]
    include_input: bool
    chunks: TimeChunks | None = None

    @property
    def dtype(self) -> np.dtype:
        return self.layers[0].dtype

    @property
    def edges(self) -> np.ndarray:
        """First unit of each layer, and the number of all units."""
        return np.concatenate([[0], np.cumsum([layer.n_units for layer in self.layers])])

    @property
    def n_states(self) -> int:
        return int(self.edges[-1])

    @property
    def state_shape(self) -> tuple[int]:
        return (self.n_states,)

    @property
    def n_features(self) -> int:
        return self.n_states + (self.layers[0].n_inputs if self.include_input else 0)

    def chunked(self, chunks: TimeChunks) -> ReservoirStack:
        """A machine that runs a single sequence in chunks."""
        return replace(self, chunks=chunks)

    def start(self, rows: np.ndarray, layout: SequenceLayout) -> np.ndarray:
        """Zero states."""
        return np.zeros((layout.n_sequences, self.n_states), dtype=self.dtype)

    def blocks(
        self, rows: np.ndarray, layout: SequenceLayout, states: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """See `Machine.blocks`."""
        from ._drive import run_states

        edges, states = self.edges, states.copy()
        buffer = np.empty((0, self.n_features), dtype=self.dtype)
        if self.chunks is not None and layout.n_sequences == 1:
            parts = [states[0, a:b] for a, b in pairwise(edges)]
            chunks = self.chunks.blocks(self.layers, rows, parts)
            if chunks is not None:
                for start, block in chunks:
                    if len(buffer) < len(block):
                        buffer = np.empty((len(block), self.n_features), dtype=self.dtype)
                    features = buffer[: len(block)]
                    features[:, : edges[-1]] = block
                    if self.include_input:
                        features[:, edges[-1] :] = rows[start : start + len(block)]
                    yield 0, start, features, block[-1]
                return
        lowest = harvest(self.layers[0], rows, layout, states[:, : edges[1]])
        for i, start, block in lowest:
            if len(buffer) < len(block):
                buffer = np.empty((len(block), self.n_features), dtype=self.dtype)
            features = buffer[: len(block)]
            features[:, : edges[1]] = block
            for layer, a, b, c in zip(self.layers[1:], edges, edges[1:], edges[2:]):
                run_states(layer, features[:, a:b], states[i, b:c], out=features[:, b:c])
            if self.include_input:
                first = layout.indptr[i] + start
                features[:, edges[-1] :] = rows[first : first + len(block)]
            states[i] = features[-1, : edges[-1]]
            yield i, start, features, states[i]

    def stepper(self, state: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """See `Machine.stepper`."""
        edges = self.edges
        features = np.empty((1, self.n_features), dtype=self.dtype)
        features[0, : edges[-1]] = state
        parts = [features[:, a:b] for a, b in pairwise(edges)]
        advances = [make_advance(layer) for layer in self.layers]

        def step(row):
            features[0, edges[-1] :] = row[: self.n_features - edges[-1]]
            for layer, part, advance in zip(self.layers, parts, advances):
                block = (layer.W_in @ row + layer.b)[None]
                advance(part[0], block)
                part[:] = block
                row = block[0]
            return features

        return step


class DeepESNRegressor(SequenceRegressor):
    r"""Deep echo state network: a stack of reservoirs with one ridge readout on all of them.

    Rows of `X` are time steps. The first layer is driven by the input, every other one by the
    states of the layer below at the same step:

    .. math:: x^l_t = (1 - a_l)\, x^l_{t-1}
              + a_l\, f(W^l x^l_{t-1} + W^l_{in} x^{l-1}_t + b^l), \qquad x^0_t = u_t

    and the output is :math:`\hat y_t = C\,[x^1_t, \dots, x^L_t, u_t] + c_0`. Higher layers
    keep slower and smoother traces of the input, the more so the lower their leak rate.
    `y[t]` is what `X[t]` should give, as in `ESNRegressor`.

    Parameters
    ----------
    n_layers : int, default=3
        Number of reservoirs.
    n_units : int or sequence of int, default=100
        Units of each layer.
    spectral_radius : float, None or sequence of such, default=0.9
        As in `ESNRegressor`; a sequence gives one value a layer.
    leak_rate : float or sequence of float, default=1.0
        Share of the new state in each step, in (0, 1]; a sequence gives one value a layer.
    input_scaling : float or array of shape (n_features,), default=0.3
        Factor on the input weights of the first layer.
    inter_scaling : float or sequence of float, default=1.0
        Factor on the weights from each layer to the next; a sequence gives
        ``n_layers - 1`` values.
    bias_scaling : float or sequence of float, default=1.0
        Factor on the biases; a sequence gives one value a layer.
    topology : str, matrix or callable, default="random"
        As in `ESNRegressor`, for every layer.
    connectivity : int or float, default=10
        Non-zeros of each `W` per row (int) or their share (float in (0, 1]).
    input_connectivity : int or float, default=1.0
        The same for the input weights of the first layer.
    inter_connectivity : int or float, default=10
        The same for the weights from each layer to the next.
    activation : str, default="tanh"
        A registered activation, for every layer.
    alpha, fit_intercept, solver
        As in `ESNRegressor`.
    include_input : bool, default=True
        Whether the readout sees the inputs beside the states.
    washout : int or "auto", default="auto"
        Steps at the start of each sequence left out of the readout's fit; "auto" is
        ``min(100, n_steps // 10)`` in `fit` and 100 in `partial_fit`.
    predict_state : {"auto", "continue", "reset"}, default="auto"
        As in `ESNRegressor`.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the weights: for each layer in turn those of its input, `W` and the bias.
    dtype : {"float64", "float32"}, default="float64"
        Precision of weights and states.
    input_weights : str, matrix or callable, default="uniform"
        Kind of the first layer's input weights; those between layers are uniform.
    target : {"value", "increment"}, default="value"
        With "increment" it learns ``y - X`` and adds X back, as in `ESNRegressor`.
    time_chunks : int, "auto" or None, default=None
        Run a single long sequence as so many chunks side by side, as in `ESNRegressor`.
    deterministic : bool, default=False
        Whether coefficients and outputs are to have the same bits for any number of threads, as in
        `ESNRegressor`.

    Attributes
    ----------
    W_in_, W_, b_ : list of arrays
        The fixed weights, one entry a layer; `W_in_` of a higher layer has shape
        (n_units, n_units of the layer below).
    coef_ : ndarray of shape (n_targets, n_readout_features)
        Readout weights; columns are the states of all layers, then the inputs.
    intercept_ : ndarray of shape (n_targets,)
    alpha_, solver_, alphas_, loo_errors_
        As in `ESNRegressor`.
    state_ : ndarray of shape (n_units of all layers,), or one for each sequence
        State after the last step of fit: stacked after a list or 3-D array, a dict by id after
        groups.
    last_output_ : ndarray or dict
        Last target of fit, in the same form.
    time_chunks_, sync_warmup_, sync_error_ : int, int, float
        How the last fit ran; see `ESNRegressor`.
    n_features_in_, feature_names_in_ : int, ndarray of str

    References
    ----------
    .. [1] C. Gallicchio, A. Micheli and L. Pedrelli, "Deep reservoir computing: a critical
       experimental analysis", Neurocomputing 268, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import DeepESNRegressor
    >>> t = np.arange(600)
    >>> u = (np.sin(0.2 * t) + np.sin(0.311 * t))[:, None]
    >>> deep = DeepESNRegressor(2, n_units=60, leak_rate=[1.0, 0.5], alpha=1e-10, random_state=0)
    >>> future = deep.fit(u[:499], u[1:500]).generate(100)
    >>> bool(np.abs(future - u[500:]).max() < 1e-2)
    True
    """

    def __init__(
        self,
        n_layers: int = 3,
        *,
        n_units: Any = 100,
        spectral_radius: Any = 0.9,
        leak_rate: Any = 1.0,
        input_scaling: Any = 0.3,
        inter_scaling: Any = 1.0,
        bias_scaling: Any = 1.0,
        topology: Any = "random",
        connectivity: Any = 10,
        input_connectivity: Any = 1.0,
        inter_connectivity: Any = 10,
        activation: Any = "tanh",
        alpha: Any = 1e-6,
        fit_intercept: bool = True,
        solver: str = "auto",
        include_input: bool = True,
        washout: Any = "auto",
        predict_state: str = "auto",
        random_state: Any = None,
        dtype: Any = "float64",
        input_weights: Any = "uniform",
        target: str = "value",
        time_chunks: Any = None,
        deterministic: bool = False,
    ):
        self.n_layers = n_layers
        self.n_units = n_units
        self.spectral_radius = spectral_radius
        self.leak_rate = leak_rate
        self.input_scaling = input_scaling
        self.inter_scaling = inter_scaling
        self.bias_scaling = bias_scaling
        self.topology = topology
        self.connectivity = connectivity
        self.input_connectivity = input_connectivity
        self.inter_connectivity = inter_connectivity
        self.activation = activation
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.include_input = include_input
        self.washout = washout
        self.predict_state = predict_state
        self.random_state = random_state
        self.dtype = dtype
        self.input_weights = input_weights
        self.target = target
        self.time_chunks = time_chunks
        self.deterministic = deterministic

    def _check_params(self):
        from ._weights import check_connectivity

        owner = type(self).__name__
        check_number("n_layers", self.n_layers, owner, low=1, closed="left", integer=True)
        for name, rule in _PER_LAYER.items():
            for value in self._per_layer(name):
                if not (name == "spectral_radius" and value is None):
                    check_number(name, value, owner, **rule)
        check_connectivity("inter_connectivity", self.inter_connectivity, owner)
        if not callable(self.activation):
            check_option("activation", self.activation, owner, activations())
        check_option("predict_state", self.predict_state, owner, ("auto", "continue", "reset"))
        check_time_chunks(self.time_chunks, owner)
        self._check_learning()
        return self._check_dtype()

    def _per_layer(self, name):
        """One value a layer (or, for `inter_scaling`, a step between layers)."""
        value = getattr(self, name)
        count = self.n_layers - (name == "inter_scaling")
        if np.ndim(value) == 0:
            return [value] * count
        if np.ndim(value) != 1 or len(value) != count:
            rule = f"a number or a sequence of {count} for n_layers={self.n_layers}"
            refuse(name, type(self).__name__, rule, value)
        return list(value)

    def _build(self, n_inputs, n_outputs, dtype):
        from ._drive import make_reservoir
        from ._weights import bias_vector, input_matrix, recurrent_matrix

        self._fit_increments = self._learns_increments(n_inputs, n_outputs)
        shared = {"rng": self._random(), "owner": type(self).__name__, "dtype": dtype}
        scalings = [self.input_scaling, *self._per_layer("inter_scaling")]
        columns = zip(*(self._per_layer(n) for n in ("n_units", "leak_rate")), scalings)
        radii, biases = self._per_layer("spectral_radius"), self._per_layer("bias_scaling")
        self.W_in_, self.W_, self.b_, layers = [], [], [], []
        for k, (n_units, leak_rate, scaling) in enumerate(columns):
            W_in = input_matrix(
                n_units,
                layers[-1].n_units if k else n_inputs,
                kind="uniform" if k else self.input_weights,
                input_scaling=scaling,
                input_connectivity=self.inter_connectivity if k else self.input_connectivity,
                **shared,
            )
            W = recurrent_matrix(
                self.topology,
                n_units,
                connectivity=self.connectivity,
                spectral_radius=radii[k],
                **shared,
            )
            b = bias_vector(n_units, bias_scaling=biases[k], **shared)
            activation = {"activation": self.activation, "dtype": dtype}
            layers.append(make_reservoir(W_in, W, b, leak_rate=leak_rate, **activation))
            self.W_in_.append(W_in)
            self.W_.append(W)
            self.b_.append(b)
        return ReservoirStack(tuple(layers), bool(self.include_input))

    def _with_persistence(self, coef):
        coef = coef.copy()
        coef[:, self._fit_reservoir.n_states :] += np.eye(len(coef), dtype=coef.dtype)
        return coef


_PER_LAYER: dict[str, dict] = {
    "n_units": {"low": 1, "closed": "left", "integer": True},
    "spectral_radius": {"low": 0, "closed": "left"},
    "leak_rate": {"low": 0, "high": 1, "closed": "right"},
    "inter_scaling": {"low": 0, "closed": "left"},
    "bias_scaling": {"low": 0, "closed": "left"},
}
