"""Adaptive computation time: a recurrent network that decides how long to think in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_number, check_option

from . import _ops as ops
from ._bits import BitEstimator, bit_loss
from ._init import glorot_uniform, initialise_cell
from ._nodes import cell_step
from ._params import ParamLayout
from ._tape import Var, current_tape

__all__ = ["AdaptiveComputationRNN", "halted_mean"]


class AdaptiveComputationRNN(BitEstimator):
    r"""Recurrent network that may take several steps of computation for one input.

    For each input the cell runs again and again, told by a flag which run is the first. After
    run k a halting unit gives :math:`p_k = \sigma(w^\top h_k + b)`; run N is the last as soon as
    the sum of the p reaches :math:`1 - \epsilon`, or N is `max_ponder`. The state handed on and
    read out is a mean,

    .. math:: h = \sum_{k < N} p_k h_k + R\, h_N, \quad R = 1 - \sum_{k < N} p_k

    and what is minimised is the loss plus `ponder_cost` times the mean of N + R, of which only R
    has a gradient (Deep Learning, section 10.12, leaves the number of steps free as well; the
    method is that of [1]_).

    Inputs are sequences of numbers (of one step, where all is shown at once), and the outputs
    bits for each step.

    Parameters
    ----------
    n_units : int, default=48
    cell : {"tanh", "gru", "lstm"}, default="tanh"
    max_ponder : int, default=12
        Most runs for one input; 1 is a usual recurrent network.
    ponder_cost : float, default=1e-3
        Price of a run, beside the loss in nats for each bit; paid at steps of weight zero too.
    epsilon : float in (0, 1), default=0.01
        Of the halting rule; lets the first run be the last one.
    halt_bias : float, default=-1.0
        Bias of the halting unit in the beginning. The lower, the more runs there are at first: a
        network learns what to do with runs only while it has them, and price and loss then take
        away those that are not worth it.
    solver : {"adam", "sgd", "rmsprop"}, default="adam"
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling" and "adaptive" stop by `tol`.
    learning_rate_init : float, default=3e-3
    batch_size : int, default=128
        Sequences in a mini-batch.
    max_iter : int, default=20
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
    ponder_ : float
        Mean number of runs for an input of the training data.
    theta_, params_ : ndarray, dict
        All parameters in one vector, and by name as views of it. The flag is the last column of
        ``params_["cell.W_in"]``.
    loss_curve_, loss_, grad_norms_ : list, float, list
        Mean loss of each epoch in nats for each bit, the cost of pondering included, the last of
        them, and the largest norms of gradients.
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out because their gradient was not finite.
    n_features_in_, feature_names_in_, n_outputs_ : int, ndarray of str, int

    Notes
    -----
    Runs are bought where they lower the loss of training. That an input that looks harder to us
    gets more of them is not to be relied on.

    References
    ----------
    .. [1] A. Graves, "Adaptive Computation Time for Recurrent Neural Networks", 2016, section 2.

    Examples
    --------
    The parity of three signs, shown at once:

    >>> import numpy as np
    >>> from echocast.reservoir import AdaptiveComputationRNN
    >>> X = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T[:, None, :]
    >>> y = (X > 0).sum(axis=2) % 2
    >>> act = AdaptiveComputationRNN(n_units=16, max_iter=300, learning_rate_init=1e-2,
    ...                              random_state=0).fit(X, y)
    >>> act.score(X, y), len(act.ponder(X))
    (1.0, 8)
    """

    def __init__(
        self,
        *,
        n_units: int = 48,
        cell: str = "tanh",
        max_ponder: int = 12,
        ponder_cost: float = 1e-3,
        epsilon: float = 0.01,
        halt_bias: float = -1.0,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-3,
        batch_size: int = 128,
        max_iter: int = 20,
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
        self.cell = cell
        self.max_ponder = max_ponder
        self.ponder_cost = ponder_cost
        self.epsilon = epsilon
        self.halt_bias = halt_bias
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

    _kept = ("n_units", "cell", "max_ponder", "epsilon")

    def _check_params(self, owner):
        for name in ("n_units", "max_ponder"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        check_option("cell", self.cell, owner, ("gru", "lstm", "tanh"))
        check_number("ponder_cost", self.ponder_cost, owner, low=0)
        check_number("epsilon", self.epsilon, owner, low=0, high=1, closed="neither")
        check_number("halt_bias", self.halt_bias, owner)
        return self._check_training(owner)

    def _look_back(self, data):
        self.ponder_ = float(self._counts(data).mean())

    def _loss(self, leaves, batch):
        """Cross-entropy of the bits, and the price of the runs at all steps."""
        logits, costs, _ = self._run(leaves, batch.inputs, batch.valid)
        loss = bit_loss(logits, batch)
        if not self.ponder_cost or self.max_ponder == 1:
            return loss
        valid = batch.valid.astype(logits.data.dtype)[:, :, None]
        return ops.add(loss, ops.sum(ops.mul(costs, valid * (self.ponder_cost / valid.sum()))))

    def _first_weights(self, data, rng):
        n, dtype = int(self.n_units), data.rows.dtype
        kind = "rnn" if self.cell == "tanh" else self.cell
        cell = initialise_cell(rng, kind, data.rows.shape[1] + 1, n, dtype=dtype)
        arrays = {f"cell.{name}": array for name, array in cell.items()}
        arrays |= {
            "halt.W": glorot_uniform(rng, 1, n),
            "halt.b": np.full(1, float(self.halt_bias)),
            "out.W": glorot_uniform(rng, self.n_outputs_, n),
            "out.b": np.zeros(self.n_outputs_),
        }
        layout = ParamLayout({name: array.shape for name, array in arrays.items()})
        return layout, layout.pack(arrays, dtype)

    def _run(self, leaves, X, valid):
        """Logits, N + R as a Var and N as an array, each (n_steps, n_sequences, ...)."""
        n_steps, n_sequences, _ = X.shape
        n, cell = leaves["out.W"].data.shape[1], self._fit_asked["cell"]
        own = {name[5:]: leaf for name, leaf in leaves.items() if name.startswith("cell.")}
        state = Var(np.zeros((n_sequences, 2 * n if cell == "lstm" else n), X.dtype))
        hidden, costs, counts = [], [], []
        for t in range(n_steps):
            state, cost, count = self._ponder(leaves, own, X[t], state, valid[t])
            hidden.append(_parts(cell, state)[0])
            costs.append(cost)
            counts.append(count)
        logits = ops.affine(ops.stack(hidden), leaves["out.W"], leaves["out.b"])
        return logits, ops.stack(costs), np.stack(counts)

    def _ponder(self, leaves, own, x, state, valid):
        """Run the cell on one input until all have halted."""
        dtype, cell = x.dtype, self._fit_asked["cell"]
        most, enough = int(self._fit_asked["max_ponder"]), 1 - self._fit_asked["epsilon"]
        flags = np.ones((len(x), 1), dtype), np.zeros((len(x), 1), dtype)
        first, later = (Var(np.concatenate([x, flag], axis=1)) for flag in flags)
        if cell == "tanh":  # what comes from the input is the same in all later runs
            first, later = (ops.affine(v, own["W_in"], own["b"]) for v in (first, later))
        states, shares, total = [], [], np.zeros(len(x), dtype)
        counts = np.where(valid, 0, 1)  # padding halts at once
        for k in range(most):
            state = _step(cell, own, later if k else first, state)
            share = ops.sigmoid(ops.affine(_parts(cell, state)[0], leaves["halt.W"],
                                           leaves["halt.b"]))  # fmt: skip
            states.append(state)
            shares.append(share)
            total += share.data[:, 0]
            counts[(counts == 0) & ((total >= enough) | (k + 1 == most))] = k + 1
            if (counts > 0).all():
                break
        mean, remainder = halted_mean(states, shares, counts)
        return mean, ops.add(remainder, counts[:, None].astype(dtype)), counts

    # ---------------------------------------------------------------- prediction

    def _logits(self, leaves, X):
        return self._run(leaves, X, np.ones(X.shape[:2], dtype=bool))[0].data

    def _counts(self, sequences):
        leaves = self._leaves()

        def of_batch(X):
            return self._run(leaves, X, np.ones(X.shape[:2], dtype=bool))[2][:, :, None]

        return self._values(sequences, of_batch, 1)[:, 0]

    def ponder(self, X: Any) -> Any:
        """Number of runs of the cell for each step of each sequence.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_sequences, n_steps), or list of ndarray of shape (n_steps,)
            Of ints; of floats for an array with padding, where they are NaN.
        """
        check_is_fitted(self)
        sequences = self._read_new(X)
        counts = self._counts(sequences)
        return sequences.restore(counts.astype(np.int64) if sequences.padded is None else counts)


def _parts(cell, state):
    """The state as the cell knows it, what it gives first: an LSTM has two side by side."""
    n = state.data.shape[1] // 2
    return ops.split(state, (n, n)) if cell == "lstm" else (state,)


def _step(cell, own, x, state):
    if cell == "tanh":
        return ops.tanh(ops.add(x, ops.affine(state, own["W"])))
    found = cell_step(cell, x, own, _parts(cell, state))
    return ops.concat(found) if cell == "lstm" else found[0]


def halted_mean(states: list[Var], shares: list[Var], counts: np.ndarray) -> tuple[Var, Var]:
    """Mean of the states of a pondering, and what is left for its last one.

    Parameters
    ----------
    states : list of Var of shape (n_sequences, n)
        After each run.
    shares : list of Var of shape (n_sequences, 1)
        What the halting unit gave after each.
    counts : ndarray of shape (n_sequences,), int
        Which run was the last of each sequence, from 1 on.

    Returns
    -------
    mean : Var of shape (n_sequences, n)
        Sum of share times state of the runs before the last, plus the remainder times the last.
    remainder : Var of shape (n_sequences, 1)
        One less the shares of the runs before the last.
    """
    h = np.stack([state.data for state in states])
    k = np.arange(1, len(states) + 1)[:, None]
    before, last = k < counts, k == counts
    weights = np.where(before, np.stack([share.data[:, 0] for share in shares]), 0)
    remainder = 1 - weights.sum(axis=0)
    weights[last] = remainder[np.nonzero(last)[1]]
    outputs = Var(np.einsum("kb,kbn->bn", weights, h)), Var(remainder[:, None])

    def vjp(g, g_remainder):
        d_states: list = [None] * len(states)
        d_shares: list = [None] * len(states)
        along = None
        if g is not None:
            d_states = list(weights[:, :, None] * g)
            along = np.einsum("kbn,bn->kb", h, g)
        total = 0 if g_remainder is None else g_remainder[:, 0]
        if along is not None:
            total = total + np.where(last, along, 0).sum(axis=0)
        d = np.where(before, (0 if along is None else along) - total, 0)
        d_shares = list(d[:, :, None].astype(h.dtype))
        return (*d_states, *d_shares)

    tape = current_tape()
    if tape is not None:
        tape.record(outputs, (*states, *shares), vjp)
    return outputs
