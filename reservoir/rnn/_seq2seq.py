"""Encoder and decoder for sequences of symbols."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_generator, check_number

from .._base import transactional
from ._beam import beam_search, log_softmax
from ._losses import cross_entropy
from ._seq2seq_base import BaseSeq2Seq, Batch, Pairs
from ._symbols import decode, encode, read_several, read_symbols, texts_listed, vocabulary_of

__all__ = ["Seq2SeqTransducer"]

_LONGER = 2  # times the longest output of fit


class Seq2SeqTransducer(BaseSeq2Seq):
    r"""Sequences of symbols from sequences of symbols, of any lengths: encoder and decoder.

    One recurrent network reads the input, in both directions, and a second one writes the output
    symbol by symbol, each time reading what it has just written, until it writes the end:

    .. math::
        s_0 = \tanh(W_c C + b), \quad s_i = f(s_{i-1}, [E_{y_{i-1}}, c_i]), \quad
        p(y_i) = \mathrm{softmax}(V [s_i, c_i, E_{y_{i-1}}] + d)

    Without attention every :math:`c_i` is C, the last states of the encoder, which must hold the
    whole input [1]_ [2]_. With attention it is a weighted mean of the encoder's states
    :math:`h_j` [3]_:

    .. math:: c_i = \sum_j \alpha_{ij} h_j, \quad
        \alpha_i = \mathrm{softmax}_j \; v^\top \tanh(W s_{i-1} + U h_j)

    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default=(32,)
        Units of each layer, of the encoder (in each direction) and of the decoder.
    cell : {"gru", "lstm", "tanh", "relu"}, default="gru"
        Kind of the layers.
    bidirectional : bool, default=True
        Whether the encoder reads the input backwards as well.
    attention : {"additive", "dot", "scaled_dot"} or None, default="additive"
        "additive" as above; "dot" scores places by :math:`s_{i-1}^\top U h_j` [4]_, and
        "scaled_dot" divides that by the root of the number of units.
    embedding_size : int, default=16
        Numbers that stand for a symbol, of inputs and of outputs.
    teacher_forcing : float, str or callable, default=1.0
        Probability with which the decoder is given the true last symbol in training, rather than
        the one that it finds likeliest: see `RNNRegressor`. "scheduled" falls to 0; for symbols
        it optimises another distribution than that of the data [5]_, so it is not the default.
    beam_size : int, default=1
        Unfinished outputs that are kept while writing; 1 takes the likeliest symbol each time.
    max_length : int or "auto", default="auto"
        Symbols that are written at most; "auto" is twice the longest output of fit.
    vocabulary, target_vocabulary : iterable of symbols, optional
        All symbols of inputs and of outputs; those of X and y by default.
    solver : {"adam", "sgd", "rmsprop"}, default="adam"
    learning_rate : str, default="linear"
        "linear" and "cosine" fall to 5 % of `learning_rate_init` at the end of `max_iter`
        epochs, which are then all run; "constant", "invscaling"; "adaptive" divides by five
        after two epochs without progress. Those three stop by `tol`.
    learning_rate_init : float, default=5e-3
    batch_size : int, default=32
        Sequences that are learnt from at a time.
    max_iter : int, default=50
        Epochs.
    tol : float, default=1e-4
        Improvement of the loss, or of the validation score, that counts as progress.
    n_iter_no_change : int, default=10
        Epochs without progress before training stops.
    early_stopping : bool, default=False
        Whether to hold out the last sequences and keep the weights that suit them best.
    validation_fraction : float, default=0.1
    max_norm : float or None, default=1.0
        Gradients longer than that are scaled down to it, all parameters together.
    clip_value : float or None, default=None
        Largest absolute value of an entry of the gradient.
    alpha : float, default=0.0
        L2 penalty on the weights.
    weight_decay : float, default=0.0
        Decay of the weights apart from the gradient; "adam" with it is AdamW.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
        For "sgd".
    weight_init : str, default="orthogonal"
        As in `RNNRegressor`.
    shuffle : bool, default=True
        Whether batches are drawn anew in each epoch.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the first weights, then of batches and forcing.
    dtype : {"float32", "float64"}, default="float32"
    n_jobs : int or None, default=None
        Threads over parts of a batch; results are the same bits for any number.
    verbose : bool, default=False
        Whether each epoch is logged, at level INFO of the logger "echocast".

    Attributes
    ----------
    symbols_, target_symbols_ : list
        Symbols of inputs and of outputs, in the order of the rows of their embeddings. The end
        is none of them: it has the number ``len(target_symbols_)``.
    max_length_ : int
    theta_ : ndarray of shape (n_parameters,)
    params_ : dict of str to ndarray
        Views of `theta_` by name: "embedding.W", "decoder.embedding.W" (whose last row is what
        stands before the first symbol), "encoder.0.W_in", ..., "attention.U", "out.W".
    loss_curve_, grad_norms_ : list of float
        Mean loss in nats for each symbol, and largest norm of a gradient, of each epoch.
    validation_scores_ : list of float or None
        Mean logarithm of the probability of a symbol held out, of each epoch.
    loss_, best_validation_score_ : float or None
    n_iter_, t_, n_skipped_steps_ : int
        Epochs, updates, and updates left out because the gradient was not finite.

    References
    ----------
    .. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", 2014.
    .. [2] I. Sutskever, O. Vinyals, Q. V. Le, "Sequence to sequence learning with neural
       networks", 2014.
    .. [3] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align
       and translate", 2015.
    .. [4] M.-T. Luong, H. Pham, C. D. Manning, "Effective approaches to attention-based neural
       machine translation", 2015, eq. 8.
    .. [5] F. Huszár, "How (not) to train your generative model: scheduled sampling, likelihood,
       adversary?", 2015.

    Examples
    --------
    >>> from echocast.reservoir import Seq2SeqTransducer
    >>> X = ["abc", "cab", "ba", "acb", "bca", "ab", "ca", "bac"]
    >>> y = [x[::-1].upper() for x in X]
    >>> model = Seq2SeqTransducer(max_iter=150, batch_size=4, random_state=0).fit(X, y)
    >>> model.predict(["abc", "ba"])
    ['CBA', 'AB']
    >>> outputs, attention = model.predict(["ba"], return_attention=True)
    >>> attention[0].shape  # two symbols were written while looking at two
    (2, 2)
    """

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = (32,),
        cell: str = "gru",
        bidirectional: bool = True,
        attention: str | None = "additive",
        embedding_size: int = 16,
        teacher_forcing: Any = 1.0,
        beam_size: int = 1,
        max_length: int | str = "auto",
        vocabulary: Any = None,
        target_vocabulary: Any = None,
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 5e-3,
        batch_size: int = 32,
        max_iter: int = 50,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        max_norm: float | None = 1.0,
        clip_value: float | None = None,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        weight_init: str = "orthogonal",
        shuffle: bool = True,
        random_state: Any = None,
        dtype: str = "float32",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.bidirectional = bidirectional
        self.attention = attention
        self.embedding_size = embedding_size
        self.teacher_forcing = teacher_forcing
        self.beam_size = beam_size
        self.max_length = max_length
        self.vocabulary = vocabulary
        self.target_vocabulary = target_vocabulary
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.weight_init = weight_init
        self.shuffle = shuffle
        self.random_state = random_state
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_params(self, owner):
        check_number("embedding_size", self.embedding_size, owner, low=1, integer=True)
        check_number("beam_size", self.beam_size, owner, low=1, integer=True)
        check_number("max_length", self.max_length, owner, low=1, integer=True, also=("auto",))
        return super()._check_params(owner)

    # ----------------------------------------------------------------- training

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any) -> Self:
        """Learn to write y from X.

        Parameters
        ----------
        X : list of sequences of symbols
            Each a str, a list or an array of symbols, of at least one. An array or a column of
            texts is a list of them; a 2-D array has a sequence in each row.
        y : list of sequences of symbols
            What is to be written for each of them; an output may be empty.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X or y is unusable.
        TrainingDivergedError
            If gradients become infinite or NaN. The former fit stays as it was after any error.
        """
        owner = type(self).__name__
        dtype = self._check_params(owner)
        sources = read_several(X, owner)
        targets = read_several(y, owner, name="y")
        if len(sources) != len(targets):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"[{len(sources)}, {len(targets)}]. {owner} needs one output for each input."
            )
        self.symbols_ = vocabulary_of(sources, owner, given=self.vocabulary)
        self.target_symbols_ = vocabulary_of(targets, owner, name="y", given=self.target_vocabulary)
        self._fit_text = all(isinstance(target, str) for target in targets)
        self._fit_network = self._network(
            n_inputs=int(self.embedding_size),
            n_fed=int(self.embedding_size),
            n_known=0,
            n_outputs=len(self.target_symbols_) + 1,
            n_symbols=len(self.symbols_),
            n_fed_symbols=len(self.target_symbols_) + 1,
            dtype=dtype,
        )
        pairs = self._pairs(sources, targets)
        longest = int(np.diff(pairs.y_indptr).max()) - 1
        self.max_length_ = self._longest(max(1, _LONGER * longest))
        rng = check_generator(self.random_state)
        theta = self._fit_network.initialise(self.weight_init, rng)
        self._train(pairs, theta, rng)
        return self

    def _longest(self, otherwise):
        return otherwise if isinstance(self.max_length, str) else int(self.max_length)

    def _pairs(self, sources, targets=None):
        """Numbers of the symbols of inputs, and of outputs with their ends."""
        owner = type(self).__name__
        numbers = {symbol: i for i, symbol in enumerate(self.symbols_)}
        for i, source in enumerate(sources):
            if not len(source):
                raise ValueError(
                    f"Sequence {i} of X passed to {owner} has no symbols; at least one is needed."
                )
        x = [encode(source, numbers, owner) for source in sources]
        end = len(self.target_symbols_)
        if targets is None:
            y = [np.empty(0, np.int64)] * len(x)
        else:
            numbers = {symbol: i for i, symbol in enumerate(self.target_symbols_)}
            y = [
                encode(target, numbers, owner, name="y", vocabulary="target_vocabulary")
                for target in targets
            ]
        return Pairs(
            np.concatenate(x),
            _indptr(x),
            np.concatenate([part for ids in y for part in (ids, [end])]).astype(np.int64),
            np.concatenate([part for ids in y for part in ([end], ids)]).astype(np.int64),
            _indptr(y, more=1),
            np.ones(len(x), self._fit_network.dtype),
        )

    def _loss_of(self, leaves, batch: Batch):
        network = self._fit_network
        context = network.encode(leaves, batch.x, batch.lengths, reuse=True)
        y_before = batch.y_before
        if batch.forced is not None:
            y_before = self._partly_own(leaves, context, batch)
        decoded = network.decode(leaves, context, y_before, reuse=True)
        return cross_entropy(decoded.outputs, batch.y, batch.weights)

    def _partly_own(self, leaves, context, batch):
        """Symbols before each step, the decoder's own ones where it is not given the true ones.

        Which symbol is the likeliest has no gradient, so they are found beforehand.
        """
        network = self._fit_network
        constants = {name: type(leaf)(leaf.data) for name, leaf in leaves.items()}
        decoder = network.decoder(constants, context.rows(np.arange(len(batch.lengths))))
        before = batch.y_before.copy()
        for i in range(len(before) - 1):
            outputs = decoder.write([network.feed(constants, before[i])]).data
            before[i + 1] = np.where(batch.forced[i + 1], before[i + 1], outputs.argmax(axis=-1))
        return before

    def _validation_score(self, theta, held):
        with np.errstate(all="ignore"):
            score = self._log_likelihoods(held, theta).sum() / held.total(np.arange(held.n))
        return float(score) if np.isfinite(score) else -np.inf

    # --------------------------------------------------------------- prediction

    def _read_new(self, X, name="X"):
        check_is_fitted(self)
        symbols = self.symbols_ if name == "X" else self.target_symbols_
        words = any(isinstance(symbol, str) and len(symbol) > 1 for symbol in symbols)
        given = X if words else texts_listed(X)
        return read_symbols(given, type(self).__name__, words=words, name=name)

    def predict(
        self, X: Any, *, beam_size: int | None = None, return_attention: bool = False
    ) -> Any:
        """Write an output for each sequence of X.

        Parameters
        ----------
        X : list of sequences of symbols, or one of them
            As in `fit`; a str, a tuple or a list of symbols that are no texts is one.
        beam_size : int, optional
            Instead of the parameter of that name.
        return_attention : bool, default=False
            Whether to return what each symbol looked at.

        Returns
        -------
        outputs : list
            Each a str if all outputs of fit were, else a list; one output for one sequence.
        attention : list of ndarray of shape (n_written, n_read)
            With `return_attention`: rows belong to symbols of the output, the end left out,
            columns to those of the input, and each row adds up to one.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If X has symbols that were not in fit, or there is no attention to return.
        """
        check_is_fitted(self)
        owner = type(self).__name__
        check_flag("return_attention", return_attention, "predict")
        if beam_size is not None:
            check_number("beam_size", beam_size, owner, low=1, integer=True)
        if return_attention and self._fit_network.attention is None:
            raise ValueError(
                "return_attention=True, but the model has none; fit with attention='additive'."
            )
        sources, single = self._read_new(X)
        pairs = self._pairs(sources)
        written = self._written(pairs, int(self.beam_size if beam_size is None else beam_size))
        outputs = [self._decoded(one.ids) for one in written]
        alphas = [one.alpha for one in written]
        if single:
            outputs, alphas = outputs[0], alphas[0]
        return (outputs, alphas) if return_attention else outputs

    def _decoded(self, ids):
        if self._fit_text:
            return "".join(self.target_symbols_[i] for i in ids)
        found = decode(ids, self.target_symbols_)
        return list(found)

    def _written(self, pairs, width):
        network, leaves = self._fit_network, self._leaves()
        written: list = [None] * pairs.n
        for numbers in self._chunks(pairs):
            batch = pairs.batch(numbers, 1.0)
            context = network.encode(leaves, batch.x, batch.lengths)
            found = beam_search(network, leaves, context, len(numbers), width, self.max_length_)
            for number, one in zip(numbers, found):
                written[number] = one
        return written

    def log_likelihood(self, X: Any, y: Any, *, normalise: bool = False) -> np.ndarray:
        """Logarithm of the probability that exactly y is written, its end included.

        Parameters
        ----------
        X, y : as in `fit`
        normalise : bool, default=False
            Whether to divide by the number of symbols, the end included, as a beam does.

        Returns
        -------
        ndarray of shape (n_sequences,)
        """
        sources, targets = self._read_both(X, y)
        pairs = self._pairs(sources, targets)
        values = self._log_likelihoods(pairs, self.theta_)
        return values / np.diff(pairs.y_indptr) if normalise else values

    def _log_likelihoods(self, pairs, theta):
        network, leaves = self._fit_network, self._leaves(theta)
        values = np.empty(pairs.n)
        for numbers in self._chunks(pairs):
            batch = pairs.batch(numbers, 1.0)
            context = network.encode(leaves, batch.x, batch.lengths)
            logs = log_softmax(network.decode(leaves, context, batch.y_before).outputs.data)
            own = np.take_along_axis(logs, batch.y[..., None], axis=-1)[..., 0]
            values[numbers] = np.where(batch.weights > 0, own, 0).sum(axis=0)
        return values

    def _read_both(self, X, y):
        sources, _ = self._read_new(X)
        targets, _ = self._read_new(y, "y")
        if len(sources) != len(targets):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"[{len(sources)}, {len(targets)}]."
            )
        return sources, targets

    def score(self, X: Any, y: Any) -> float:
        """Share of the outputs that are exactly as they should be.

        Parameters
        ----------
        X, y : as in `fit`

        Returns
        -------
        float
        """
        sources, targets = self._read_both(X, y)
        written = self._written(self._pairs(sources), int(self.beam_size))
        same = [self._symbols_of(one) == list(y) for one, y in zip(written, targets)]
        return float(np.mean(same))

    def token_accuracy(self, X: Any, y: Any) -> float:
        """Share of the symbols of y that are written at their places.

        Parameters
        ----------
        X, y : as in `fit`

        Returns
        -------
        float
            Symbols that are written after the end of y do not count.
        """
        sources, targets = self._read_both(X, y)
        written = self._written(self._pairs(sources), int(self.beam_size))
        hits = [
            sum(a == b for a, b in zip(self._symbols_of(one), y))
            for one, y in zip(written, targets)
        ]
        return sum(hits) / max(1, sum(len(target) for target in targets))

    def _symbols_of(self, written):
        return [self.target_symbols_[i] for i in written.ids]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _indptr(parts, more=0):
    return np.concatenate([[0], np.cumsum([len(part) + more for part in parts])]).astype(np.int64)
