"""Neural Turing machines: a controller beside a memory that it addresses, writes and reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_number, check_option, refuse

from . import _ops as ops
from ._bits import BitEstimator, bit_loss
from ._init import glorot_uniform, initialise_cell
from ._memory_step import MemoryShape, memory_step
from ._nodes import cell_step
from ._params import ParamLayout
from ._tape import Var

__all__ = ["Addresses", "NeuralTuringMachine"]

_FIRST_VALUE = 1e-3  # of all of the memory
_FIRST_PEAK = 5.0  # logit of slot 0 in the first addresses; the others' are 0


class Addresses(NamedTuple):
    """Where heads looked: for each sequence an array of shape (n_steps, n_heads, n_slots)."""

    write: list
    read: list


class NeuralTuringMachine(BitEstimator):
    r"""Recurrent network with an external memory that it writes to and reads from.

    In each step the controller sees the input and what was read before, and steers heads. Each
    head has an address, soft weights over the slots of the memory: by content (the likeness of a
    slot to a key), or from the address before, shifted by a few slots and sharpened:

    .. math::
        w^c_t &= \mathrm{softmax}(\beta_t \cos(k_t, M_t)), \quad
        w^g_t = g_t w^c_t + (1 - g_t) w_{t-1}, \\
        w_t &\propto (s_t * w^g_t)^{\gamma_t}

    Writing heads act first, :math:`M \leftarrow M (1 - w e^\top) + w a^\top`, then the others read
    :math:`r = w^\top M`. What is stored costs no weights and need not be squeezed into a state,
    so what is learnt on short sequences can hold for longer ones (Deep Learning, section 10.12).

    Inputs are sequences of numbers, and the outputs bits for each step.

    Parameters
    ----------
    n_units : int, default=64
        Units of the controller.
    controller : {"feedforward", "lstm"}, default="feedforward"
        "feedforward" has no memory of its own beside the external one, which makes it use that:
        it learns several times as fast on tasks of copying, and its addresses can be read.
    memory_shape : tuple of two ints, default=(32, 10)
        Slots, and numbers in each.
    n_write_heads, n_read_heads : int, default=1
    max_shift : int, default=1
        Slots that an address moves in a step at the most, in either direction.
    solver : {"adam", "sgd", "rmsprop"}, default="adam"
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling" and "adaptive" stop by `tol`.
    learning_rate_init : float, default=4e-3
        Much less is often too little to find the use of the memory.
    batch_size : int, default=16
        Sequences in a mini-batch.
    max_iter : int, default=10
        Epochs.
    tol : float, default=1e-4
    n_iter_no_change : int, default=10
        Epochs without progress by `tol` before training stops.
    max_norm : float or None, default=1.0
        Gradients longer than that are scaled down to it.
    clip_value : float or None, default=None
        Largest absolute value of an entry of the gradient.
    alpha : float, default=0.0
        L2 penalty: half of it times the sum of squared weights is added to the mean loss.
    weight_decay : float, default=0.0
        Decoupled weight decay (AdamW).
    shuffle : bool, default=True
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the first weights, then of batches.
    dtype : {"float32", "float64"}, default="float32"
    verbose : bool, default=False
        Whether each epoch is logged, at level INFO of the logger "echocast".

    Attributes
    ----------
    theta_, params_ : ndarray, dict
        All parameters in one vector, and by name as views of it.
    loss_curve_, loss_, grad_norms_ : list, float, list
        Mean loss of each epoch in nats for each bit, the last of them, and the largest norms of
        gradients.
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out because their gradient was not finite.
    n_features_in_, feature_names_in_, n_outputs_ : int, ndarray of str, int

    Notes
    -----
    All slots start at the same small value, the best of the first memories that [2]_ compared,
    and first addresses are learnt, from a peak at the first slot. Seeds differ: now and then one
    does not find the use of the memory, or finds one that holds only for a while.

    References
    ----------
    .. [1] A. Graves, G. Wayne, I. Danihelka, "Neural Turing Machines", 2014, section 3.
    .. [2] M. Collier, J. Beel, "Implementing Neural Turing Machines", 2018.
    .. [3] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, section 10.12.

    Examples
    --------
    >>> from echocast.datasets import copy_task
    >>> from echocast.reservoir import NeuralTuringMachine
    >>> X, y, weights = copy_task(64, (1, 2), n_bits=2, random_state=0)
    >>> ntm = NeuralTuringMachine(n_units=16, memory_shape=(4, 4), max_iter=2, random_state=0)
    >>> ntm = ntm.fit(X, y, sample_weight=weights)
    >>> ntm.predict(X)[0].shape == y[0].shape
    True
    """

    def __init__(
        self,
        *,
        n_units: int = 64,
        controller: str = "feedforward",
        memory_shape: tuple[int, int] = (32, 10),
        n_write_heads: int = 1,
        n_read_heads: int = 1,
        max_shift: int = 1,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 4e-3,
        batch_size: int = 16,
        max_iter: int = 10,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        dtype: str = "float32",
        verbose: bool = False,
    ) -> None:
        self.n_units = n_units
        self.controller = controller
        self.memory_shape = memory_shape
        self.n_write_heads = n_write_heads
        self.n_read_heads = n_read_heads
        self.max_shift = max_shift
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.verbose = verbose

    _kept = ("n_units", "controller", "memory_shape", "n_write_heads", "n_read_heads", "max_shift")

    def _check_params(self, owner):
        for name in ("n_units", "n_write_heads", "n_read_heads"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        check_option("controller", self.controller, owner, ("feedforward", "lstm"))
        shape = self.memory_shape
        good = isinstance(shape, (tuple, list)) and len(shape) == 2
        good = good and all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1 for n in shape
        )
        if not good:
            refuse("memory_shape", owner, "a pair of ints >= 1 (slots, numbers in each)", shape)
        check_number("max_shift", self.max_shift, owner, low=0, integer=True)
        if 2 * self.max_shift + 1 > shape[0]:
            raise ValueError(
                f"max_shift={self.max_shift} goes around the circle of {shape[0]} slots; use "
                f"max_shift <= {(shape[0] - 1) // 2} or more slots in `memory_shape`."
            )
        return self._check_training(owner)

    def _loss(self, leaves, batch):
        return bit_loss(self._run(leaves, batch.inputs)[0], batch)

    def _first_weights(self, data, rng):
        self._fit_shape = MemoryShape(
            int(self.memory_shape[0]), int(self.memory_shape[1]), int(self.n_write_heads),
            int(self.n_read_heads), 2 * int(self.max_shift) + 1,
        )  # fmt: skip
        shape, n, dtype = self._fit_shape, int(self.n_units), data.rows.dtype
        n_inputs = data.rows.shape[1] + shape.n_reading * shape.width
        if self.controller == "lstm":
            arrays = {
                f"controller.{name}": array
                for name, array in initialise_cell(rng, "lstm", n_inputs, n, dtype=dtype).items()
            }
        else:
            arrays = {
                "controller.W": glorot_uniform(rng, n, n_inputs),
                "controller.b": np.zeros(n),
            }
        n_seen = n + shape.n_reading * shape.width
        arrays |= {
            "heads.W": glorot_uniform(rng, shape.n_raw, n),
            "heads.b": np.zeros(shape.n_raw),
            "first.b": np.zeros((shape.n_heads, shape.n_slots)),
            "out.W": glorot_uniform(rng, self.n_outputs_, n_seen),
            "out.b": np.zeros(self.n_outputs_),
        }
        arrays["first.b"][:, 0] = _FIRST_PEAK
        layout = ParamLayout({name: array.shape for name, array in arrays.items()})
        return layout, layout.pack(arrays, dtype)

    def _run(self, leaves, X):
        """Logits (n_steps, n_sequences, n_outputs), and the addresses of each step."""
        shape, (n_steps, n_sequences, _), dtype = self._fit_shape, X.shape, X.dtype
        memory = Var(np.full((n_sequences, shape.n_slots, shape.width), _FIRST_VALUE, dtype))
        ones = np.ones((n_sequences, 1, 1), dtype)
        weights = ops.mul(ops.softmax(leaves["first.b"]), ones)
        n_read = shape.n_reading * shape.width
        read = Var(np.full((n_sequences, n_read), _FIRST_VALUE, dtype))
        step = self._controller(leaves, X, n_read)
        seen, addresses = [], []
        for t in range(n_steps):
            hidden = step(t, read)
            raw = ops.affine(hidden, leaves["heads.W"], leaves["heads.b"])
            memory, weights, read = memory_step(raw, memory, weights, shape)
            read = ops.reshape(read, (n_sequences, n_read))
            seen += [ops.concat([hidden, read])]
            addresses.append(weights.data)
        return ops.affine(ops.stack(seen), leaves["out.W"], leaves["out.b"]), addresses

    def _controller(self, leaves, X, n_read):
        """A function from the step and what was read to the state of the controller."""
        n_inputs = X.shape[2]
        if self._fit_asked["controller"] == "lstm":
            own = {name: leaves[f"controller.{name}"] for name in ("W_in", "W", "b")}
            zeros = Var(np.zeros((X.shape[1], own["W"].data.shape[1]), X.dtype))
            state = (zeros, zeros)

            def lstm(t, read):
                nonlocal state
                state = cell_step("lstm", ops.concat([Var(X[t]), read]), own, state)
                return state[0]

            return lstm
        W_x, W_read = ops.split(leaves["controller.W"], (n_inputs, n_read), axis=1)
        # What comes from the inputs is one product for all steps.
        driven = ops.unstack(ops.affine(Var(X), W_x, leaves["controller.b"]))

        def feedforward(t, read):
            return ops.tanh(ops.add(driven[t], ops.affine(read, W_read)))

        return feedforward

    # ---------------------------------------------------------------- prediction

    def _logits(self, leaves, X):
        return self._run(leaves, X)[0].data

    def addresses(self, X: Any) -> Addresses:
        """Where the heads are in each step: soft weights over the slots, which sum to 1.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        Addresses
            Named tuple of `write` and `read`, lists with an array of shape (n_steps, n_heads,
            n_slots) for each sequence.
        """
        check_is_fitted(self)
        sequences, leaves = self._read_new(X), self._leaves()
        n_writing = self._fit_shape.n_writing
        found = [np.empty(0)] * sequences.layout.n_sequences
        for numbers, packed in self._passes(sequences):
            weights = np.stack(self._run(leaves, sequences.rows[packed.rows])[1])
            for i, number in enumerate(numbers):
                found[number] = weights[: packed.lengths[i], i].copy()
        return Addresses([w[:, :n_writing] for w in found], [w[:, n_writing:] for w in found])
