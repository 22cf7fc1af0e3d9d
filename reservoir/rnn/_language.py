"""Recurrent networks that forecast the next symbol of a text, and write."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from echocast._checks import (
    check_flag,
    check_generator,
    check_jobs,
    check_number,
    check_option,
    refuse,
)

from .._base import _dtype_name, transactional
from ._init import INITIALISERS
from ._objective import Head, Objective, TrainData, n_threads
from ._packed import lanes_of
from ._passes import run_sequences
from ._stop import ENDINGS, ending_named
from ._symbol_model import SymbolModel
from ._tape_estimator import TapeEstimator
from ._text_network import TextNetwork
from ._train import Options, Trained, train
from ._writing import WritingMixin

__all__ = ["CharRNN"]

# What a network cannot change when training goes on.
_KEPT = ("hidden_layer_sizes", "cell", "embedding_size", "end_of_sequence", "end_symbol", "dtype")


class CharRNN(WritingMixin, SymbolModel, TapeEstimator):
    r"""Recurrent network that gives the distribution of the next symbol from all before it.

    The number of the last symbol picks a row of an embedding, layers read those rows, and a
    softmax over the symbols is linear in the states of the last layer:

    .. math:: p(x_t \mid x_1, \ldots, x_{t-1}) = \mathrm{softmax}(c + V h_t)_{x_t}, \qquad
        h_t = f(h_{t-1}, E_{x_{t-1}})

    All weights are learnt by backpropagation through time, so as to spend the fewest bits on
    the texts [1]_ [2]_. A long text is cut into lanes that are learnt from side by side; states
    are carried from one stretch of `bptt_steps` symbols to the next. Any symbols will do:
    characters, words, states of a machine.

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(128,)
        Units of each layer.
    cell : {"lstm", "gru", "tanh", "relu"}, default="lstm"
        Kind of the layers.
    embedding_size : int, default=32
        Numbers that stand for a symbol.
    end_of_sequence : {None, "symbol", "bernoulli", "length"}, default=None
        How sequences end, if their ends mean something:

        - "symbol": with one more symbol, which the texts cannot contain;
        - "bernoulli": with one more output, the probability of stopping at each step;
        - "length": after a number of symbols that is drawn first; the network also reads how many
          are still to come.
    end_symbol : symbol, optional
        A name for the end, for "symbol"; texts that contain it are refused.
    vocabulary : iterable of symbols, optional
        All symbols that may come; those of X by default.
    bptt_steps : int or None, default=100
        Steps that gradients go back. None: to the beginning.
    batch_size : int, default=32
        Sequences, or lanes of a long one, that are learnt from at a time.
    solver : {"adam", "sgd", "rmsprop"}, default="adam"
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling"; "adaptive" divides by five
        after two epochs without progress. Those three stop by `tol`.
    learning_rate_init : float, default=3e-3
    max_iter : int, default=20
        Epochs.
    dropout, recurrent_dropout : float in [0, 1), default=0.0
        Share of what layers give, and of states within a layer, that is left out in training:
        the same ones at all steps of a stretch of `bptt_steps`, others in the next update.
    alpha : float, default=0.0
        L2 penalty on the weights.
    weight_decay : float, default=0.0
        Decay of the weights apart from the gradient; "adam" with it is AdamW.
    max_norm : float or None, default=1.0
        Gradients longer than that are scaled down to it, all parameters together.
    clip_value : float or None, default=None
        Largest absolute value of an entry of the gradient.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
        For "sgd".
    early_stopping : bool, default=False
        Whether to hold out the end of a text, or the last of several, and keep the weights that
        need the fewest bits for it.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
    tol : float, default=1e-4
        Nats per symbol that count as progress.
    weight_init : str, default="orthogonal"
        As in `RNNRegressor`.
    shuffle : bool, default=True
        Whether several texts, or the lanes of one, are taken in a new order in each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights, and the symbols, of the last one.
    verbose : bool, default=False
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
    dtype : {"float32", "float64"}, default="float32"
    n_jobs : int or None, default=None
        Threads over the parts of a batch; the results do not depend on it.

    Attributes
    ----------
    symbols_ : list
        The symbols, in the order of the columns of `predict_proba`.
    theta_, params_ : ndarray, dict
        All parameters in one vector, and views of it by name.
    loss_curve_, grad_norms_ : list of float
        Nats per symbol, and the largest norm of a gradient, in each epoch.
    loss_ : float
    validation_scores_, best_validation_score_ : list of float or None, float or None
        Minus the nats per symbol that was held out.
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out as their gradients were not finite.
    n_symbols_seen_ : int

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, section 10.2.
    .. [2] A. Graves, "Generating Sequences With Recurrent Neural Networks", 2013, section 3.

    Examples
    --------
    >>> from echocast.reservoir import CharRNN
    >>> rnn = CharRNN(hidden_layer_sizes=16, embedding_size=4, max_iter=10, bptt_steps=20,
    ...               learning_rate_init=0.03, random_state=0)
    >>> rnn = rnn.fit("abcabcabcabc" * 200)
    >>> rnn.score("abcabcabc") < 0.3, rnn.sample(6, prime="ab", temperature=0)
    (True, 'cabcab')
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (128,),
        cell: str = "lstm",
        embedding_size: int = 32,
        end_of_sequence: str | None = None,
        end_symbol: Any = None,
        vocabulary: Any = None,
        bptt_steps: int | None = 100,
        batch_size: int = 32,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-3,
        max_iter: int = 20,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        weight_init: str = "orthogonal",
        shuffle: bool = True,
        warm_start: bool = False,
        verbose: bool = False,
        random_state: Any = None,
        dtype: Any = "float32",
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.embedding_size = embedding_size
        self.end_of_sequence = end_of_sequence
        self.end_symbol = end_symbol
        self.vocabulary = vocabulary
        self.bptt_steps = bptt_steps
        self.batch_size = batch_size
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.weight_init = weight_init
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs

    # ------------------------------------------------------------------- checks

    def _check_params(self, owner):
        sizes = self._sizes()
        for size in sizes or [None]:
            if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
                refuse("hidden_layer_sizes", owner, "an int >= 1 or a tuple of such",
                       self.hidden_layer_sizes)  # fmt: skip
        check_option("cell", self.cell, owner, ("gru", "lstm", "relu", "tanh"))
        check_option("weight_init", self.weight_init, owner, INITIALISERS)
        if self.end_of_sequence is not None:
            check_option("end_of_sequence", self.end_of_sequence, owner,
                         [name for name in ENDINGS if name is not None])  # fmt: skip
        if self.end_symbol is not None and self.end_of_sequence != "symbol":
            raise ValueError(
                f"end_symbol={self.end_symbol!r} names the end that end_of_sequence='symbol' adds; "
                f"got end_of_sequence={self.end_of_sequence!r}."
            )
        for name in ("early_stopping", "nesterovs_momentum", "warm_start"):
            check_flag(name, getattr(self, name), owner)
        check_number("embedding_size", self.embedding_size, owner, low=1, integer=True)
        check_number("bptt_steps", self.bptt_steps, owner, low=1, integer=True, also=(None,))
        for name in ("dropout", "recurrent_dropout", "momentum"):
            check_number(name, getattr(self, name), owner, low=0, high=1, closed="left")
        check_number("validation_fraction", self.validation_fraction, owner, low=0, high=1,
                     closed="neither")  # fmt: skip
        check_jobs(self.n_jobs, owner)
        return self._check_training(owner)

    def _sizes(self):
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if isinstance(sizes, (list, tuple, np.ndarray)) else (sizes,)

    def _asked(self):
        asked = {name: copy.copy(getattr(self, name)) for name in _KEPT}
        return {**asked, "hidden_layer_sizes": self._sizes(), "dtype": _dtype_name(self.dtype)}

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the network, anew unless `warm_start` is set.

        Parameters
        ----------
        X : str, array or list of symbols, or list of such sequences
            One text, or several of which each begins anew.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X is empty, has a symbol that is not in `vocabulary`, or contains `end_symbol`.
        TrainingDivergedError
            If gradients become infinite or NaN. The former fit stays as it was after any error.
        """
        warm = bool(self.warm_start) and hasattr(self, "theta_")
        return (self._fit_on if warm else self._fit_anew)(X)

    @transactional(keep_fitted=False)
    def _fit_anew(self, X):
        self._learn(X, fresh=True)

    @transactional(keep_fitted=True)
    def _fit_on(self, X):
        self._learn(X, fresh=False)

    @transactional(keep_fitted=True)
    def partial_fit(self, X: Any, y: Any = None, *, continues: bool = False) -> Self:
        """Train for one epoch on more texts, with the learning rate held.

        Parameters
        ----------
        X : as in `fit`
            Symbols that may come later must be known from the first call, or from `vocabulary`.
        y : ignored
        continues : bool, default=False
            Whether X is the next part of one long text: it is read from the state in which the
            last call with ``continues=True`` ended; the first of them begins the text. Such a
            part is learnt from in one lane, so it takes longer than one that is cut into many.
            By default texts begin anew.

        Returns
        -------
        self
        """
        check_flag("continues", continues, "partial_fit")
        fresh = not hasattr(self, "theta_")
        self._learn(X, fresh=fresh, one_epoch=True, continues=bool(continues))
        return self

    def _learn(self, X, *, fresh, one_epoch=False, continues=False):
        owner = type(self).__name__
        self._check_params(owner)
        if fresh:
            self._fit_asked = self._asked()
        for name, value in self._asked().items():
            if value != self._fit_asked[name]:
                raise ValueError(
                    f"The network was fitted with {name}={self._fit_asked[name]!r}, and cannot go "
                    f"on with {value!r}. Call `fit` with warm_start=False to start afresh."
                )
        ids = self._read_training(X, fresh)
        if continues and (len(ids) > 1 or self.end_of_sequence is not None):
            raise ValueError(
                "continues=True goes on with one text that has no end; got "
                f"{len(ids)} sequence(s) and end_of_sequence={self.end_of_sequence!r}. Use "
                "continues=False for texts of their own."
            )
        rng = check_generator(self.random_state) if fresh else copy.deepcopy(self._fit_rng)
        kept, held = ids, None
        if self.early_stopping and not one_epoch:
            kept, held = self._split(ids)
        if fresh:
            self._fit_end = ending_named(self.end_of_sequence, len(self.symbols_))
        lengths = np.array([len(part) for part in kept])
        self._fit_end = self._fit_end.taught(lengths, anew=not one_epoch or fresh)
        data = self._rows_of(kept)
        if not len(data.targets):
            raise ValueError(f"Found array with 0 sample(s): X passed to {owner} has no symbols.")
        if fresh:
            self._fit_network = self._network()
            start = Trained(self._first_parameters(data, rng))
        else:
            start = self._fit_trained
            if not one_epoch:  # scikit-learn's warm start: the weights alone go on
                start = Trained(start.theta)
        before = self._before(data, fresh) if continues else None
        objective = Objective(
            self._fit_network, Head(self._fit_end.n_outputs, self._fit_end.loss, lambda o: o),
            data, alpha=self.alpha, n_jobs=n_threads(self.n_jobs),
        )  # fmt: skip
        trained = train(
            objective, start, self._settings(constant=one_epoch), rng,
            n_epochs=1 if one_epoch else int(self.max_iter),
            validate=None if held is None else self._validation(held),
            first_states=before,
        )  # fmt: skip
        self._fit_before = (trained.states, data.targets[-1]) if continues else None
        trained.states = None
        self._fit_rng, self._fit_trained = rng, trained
        self._publish(trained, self._fit_network.layout)
        goes_on = one_epoch and not fresh
        self.n_symbols_seen_ = sum(map(len, ids)) + (self.n_symbols_seen_ if goes_on else 0)

    def _read_training(self, X, fresh):
        if not fresh:
            return self._encoded(X)[0]
        ids = self._read_first(X)
        if self.end_symbol is not None and self.end_symbol in self.symbols_:
            where = "X" if self.vocabulary is None else "`vocabulary`"
            raise ValueError(
                f"{where} contains end_symbol={self.end_symbol!r}, which stands for the end and is "
                "none of the symbols. Give the texts without it, one in each item of a list, or "
                "choose another name."
            )
        return ids

    def _before(self, data, fresh):
        """The state (1, n_states) before a text that goes on, and its last symbol to `data`."""
        known = None if fresh else self._fit_before
        if known is None:  # where the network starts
            network = self._fit_network
            return np.full((1, network.n_states), np.nan, network.dtype)
        states, data.rows[0] = known
        return states

    def _split(self, ids):
        """What is learnt from, and what is held out: the end of one text, or the last of many."""
        share = self.validation_fraction
        if len(ids) > 1:
            n = max(1, round(share * len(ids)))
            return ids[:-n], ids[-n:]
        if self.end_of_sequence is None:
            n = max(1, round(share * len(ids[0])))
            if n < len(ids[0]):
                return [ids[0][:-n]], [ids[0][-n:]]
        raise ValueError(
            f"early_stopping=True cannot hold out a part of {len(ids)} sequence(s). Give more, or "
            "use early_stopping=False."
        )

    def _network(self):
        return TextNetwork(
            cell="rnn" if self.cell in ("tanh", "relu") else self.cell,
            activation=self.cell if self.cell in ("tanh", "relu") else "tanh",
            units=tuple(int(n) for n in self._sizes()),
            n_inputs=int(self.embedding_size),
            n_outputs=self._fit_end.n_outputs,
            n_fed=1,
            dtype=np.dtype(_dtype_name(self.dtype)),
            tables=self._fit_end.tables,
        )

    def _first_parameters(self, data, rng):
        network = self._fit_network
        theta = network.initialise(self.weight_init, rng)
        network.layout.views(theta)["out.b"][:] = self._fit_end.first_bias(data.targets)
        return theta

    def _settings(self, *, constant):
        names = ("solver", "learning_rate_init", "tol", "n_iter_no_change", "max_norm",
                 "clip_value", "dropout", "recurrent_dropout", "momentum", "nesterovs_momentum",
                 "weight_decay", "shuffle", "verbose", "bptt_steps")  # fmt: skip
        return Options(
            learning_rate="constant" if constant else self.learning_rate,
            batch_size=int(self.batch_size),
            **{name: getattr(self, name) for name in names},
        )

    def _validation(self, held):
        """A function that scores parameters on what is held out, in lanes where it is long."""
        data = self._rows_of(held)
        indptr = data.indptr
        if len(held) == 1:
            lanes = lanes_of(indptr, self.bptt_steps, int(self.batch_size))
            indptr = np.append(lanes[:, 0], lanes[-1, 1])
        extra = self._fit_end.nats_of_lengths(np.array([len(part) for part in held]))

        def validate(theta):
            logs = self._logs_of(theta, data, indptr)
            return float((logs.sum() - extra.sum()) / (len(logs) + len(extra)))

        return validate

    # -------------------------------------------------------------------- passes

    def _rows_of(self, ids):
        """What the network reads and should say, of all sequences that have anything to say."""
        parts = [self._fit_end.rows(part) for part in ids]
        parts = [(rows, targets) for rows, targets in parts if len(targets)]
        if not parts:
            return TrainData(*(np.empty(0, dtype=np.int64) for _ in range(4)))
        targets = np.concatenate([targets for _, targets in parts])
        indptr = np.cumsum([0, *(len(targets) for _, targets in parts)]).astype(np.int64)
        rows = np.concatenate([rows for rows, _ in parts])
        weights = np.ones(len(targets), dtype=_dtype_name(self.dtype))
        return TrainData(rows, indptr, targets, weights)

    def _logs_of(self, theta, data, indptr):
        """Logarithms of the probabilities of all targets."""
        logs = np.empty(len(data.targets))

        def write(numbers, packed, run):
            rows = packed.rows[packed.valid]
            found = self._fit_end.log_proba(run.outputs.data[packed.valid])
            logs[rows] = np.take_along_axis(found, data.targets[rows, None], axis=1)[:, 0]

        if len(logs):
            run_sequences(self._fit_network, theta, data.rows, indptr, None, write)
        return logs

    def score(self, X: Any, y: Any = None) -> float:
        """Bits for each symbol of X: the mean of -log2 of its probability. Lower is better.

        scikit-learn's searches want the opposite: give them ``scoring=lambda model, X, y=None:
        -model.score(X)``.

        Parameters
        ----------
        X : as in `fit`
            Each sequence is read from its beginning to its end, the state carried through.
        y : ignored

        Returns
        -------
        float
            Ends of sequences count as symbols if the model has them (`end_of_sequence`).
        """
        ids, _ = self._encoded(X)
        data = self._rows_of(ids)
        extra = self._fit_end.nats_of_lengths(np.array([len(part) for part in ids]))
        n = len(data.targets) + len(extra)
        if n == 0:
            raise ValueError("Found array with 0 sample(s): X passed to score has no symbols.")
        logs = self._logs_of(self.theta_, data, data.indptr)
        return float((extra.sum() - logs.sum()) / (n * np.log(2)))

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the symbol that comes after each symbol of X.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_symbols_of_X, n_symbols), or a list of such
            Row t belongs to what follows ``X[t]``, given it and the symbols before it. With
            ``end_of_sequence="symbol"`` or ``"bernoulli"`` one more column, the last, is the
            probability that the sequence ends there. With ``"length"`` rows are conditional on
            the length of X, and after its last symbol nothing comes: the last row is zero.
        """
        ids, single = self._encoded(X)
        tables = [self._distributions(part) for part in ids]
        return tables[0] if single else tables

    def _distributions(self, ids):
        rows = self._fit_end.read(ids)
        table = np.empty((len(rows), self._fit_end.n_outputs))

        def write(numbers, packed, run):
            table[packed.rows[:, 0]] = np.exp(self._fit_end.log_proba(run.outputs.data[:, 0]))

        run_sequences(
            self._fit_network, self.theta_, rows, np.array([0, len(rows)]), None, write
        )  # fmt: skip
        if self.end_of_sequence == "length":
            table[-1] = 0
        return table[1:]

    def _logs_of_prime(self, ids, lengths):
        """Logarithms of the probability of the first symbols in sequences of given lengths."""
        if not len(ids):
            return np.zeros(len(lengths))
        rows = np.concatenate([self._fit_end.read(ids, n)[:-1] for n in lengths])
        indptr = len(ids) * np.arange(len(lengths) + 1)
        targets = np.tile(ids, len(lengths))
        data = TrainData(rows, indptr, targets, np.ones(len(targets)))
        return self._logs_of(self.theta_, data, indptr).reshape(len(lengths), -1).sum(axis=1)
