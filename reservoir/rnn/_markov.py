"""Markov chains of any order over symbols, with interpolated Witten-Bell back-off."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_generator, check_number
from echocast._saving import ModelFiles

from .._base import transactional
from ._sampling import check_drawing, draw
from ._symbol_model import SymbolModel
from ._symbols import decode

__all__ = ["MarkovChain"]

_HELD_OUT = 0.1
_MOST_ORDER = 8


class MarkovChain(SymbolModel, ModelFiles, BaseEstimator):
    r"""The next symbol from the `order` symbols before it, by counting.

    Contexts that were seen seldom lean on shorter ones (interpolated Witten-Bell back-off [2]_):

    .. math:: p_k(a \mid h) = \frac{c(h, a) + t(h)\, p_{k-1}(a \mid h')}{n(h) + t(h)}

    where c counts, n(h) = sum of c(h, a), t(h) is the number of different symbols seen after h,
    h' is h without its oldest symbol, and p of order -1 is uniform. It is the baseline of every
    trained model of symbols (Deep Learning, section 10.2.3: the Markov assumption).

    Parameters
    ----------
    order : int or "auto", default="auto"
        Symbols that the next one depends on. "auto" takes the order up to `max_order` that
        needs the fewest bits for the last tenth of each sequence, and then counts everything.
    max_order : int, default=8
        For "auto".
    vocabulary : iterable of symbols, optional
        All symbols that may come; those of X by default.

    Attributes
    ----------
    symbols_ : list
        The symbols, in the order of the columns of `predict_proba`.
    order_ : int
    bits_by_order_ : list of float or None
        What "auto" measured for the orders 0, 1, ...
    n_symbols_seen_ : int

    References
    ----------
    .. [1] C. E. Shannon, "Prediction and entropy of printed English", 1951.
    .. [2] I. H. Witten, T. C. Bell, "The zero-frequency problem", 1991, method C.

    Examples
    --------
    >>> from echocast.reservoir import MarkovChain
    >>> chain = MarkovChain(order=2).fit("abcabcabcabc" * 20)
    >>> round(chain.score("abcabc"), 2) < 1.0, chain.sample(6, prime="ab", random_state=0)
    (True, 'cabcab')
    """

    def __init__(
        self, order: int | str = "auto", *, max_order: int = _MOST_ORDER, vocabulary: Any = None
    ) -> None:
        self.order = order
        self.max_order = max_order
        self.vocabulary = vocabulary

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Count.

        Parameters
        ----------
        X : str, array or list of symbols, or list of such sequences
            Contexts do not reach from one sequence into another.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is empty, has a symbol that is not in `vocabulary`, or is too short for
            ``order="auto"``.
        """
        owner = type(self).__name__
        check_number("order", self.order, owner, low=0, integer=True, also=("auto",))
        check_number("max_order", self.max_order, owner, low=0, integer=True)
        ids = self._read_first(X)
        self.n_symbols_seen_ = sum(map(len, ids))
        self.bits_by_order_ = None
        order = self.order
        if isinstance(order, str):
            self.bits_by_order_ = self._held_out_bits(ids)
            order = int(np.argmin(self.bits_by_order_))
        self.order_ = int(order)
        self._fit_counts = _count(ids, self.order_, len(self.symbols_))
        return self

    def _held_out_bits(self, ids):
        """Bits for each symbol of the last tenths, by chains of each order."""
        if max(map(len, ids)) < 2:
            raise ValueError(
                "order='auto' holds out the end of each sequence, but none has more than one "
                f"symbol. Name the order, for instance {type(self).__name__}(order=0)."
            )
        cuts = [max(min(1, len(part)), len(part) - max(1, round(_HELD_OUT * len(part))))
                for part in ids]  # fmt: skip
        counts = _count(
            [part[:cut] for part, cut in zip(ids, cuts)], self.max_order, len(self.symbols_)
        )
        found = []
        for order in range(self.max_order + 1):
            logs = [
                np.log2(_probabilities_of(part, counts[: order + 1], len(self.symbols_))[cut:])
                for part, cut in zip(ids, cuts)
            ]
            found.append(float(-np.concatenate(logs).mean()))
        return found

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the symbol that comes after each symbol of X.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_symbols_of_X, n_symbols), or a list of such
            Row t belongs to what follows ``X[t]``, given it and the symbols before it.
        """
        ids, single = self._encoded(X)
        n = len(self.symbols_)
        tables = [_distributions(part, self._fit_counts, n)[1:] for part in ids]
        return tables[0] if single else tables

    def score(self, X: Any, y: Any = None) -> float:
        """Bits for each symbol of X: the mean of -log2 of its probability. Lower is better.

        scikit-learn's searches want the opposite: give them ``scoring=lambda model, X, y=None:
        -model.score(X)``.

        Parameters
        ----------
        X : as in `fit`
        y : ignored

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If X has no symbols, or some that were not in fit.
        """
        ids, _ = self._encoded(X)
        if not any(map(len, ids)):
            raise ValueError("Found array with 0 sample(s): X passed to score has no symbols.")
        n = len(self.symbols_)
        logs = [np.log2(_probabilities_of(part, self._fit_counts, n)) for part in ids]
        return float(-np.concatenate(logs).mean())

    def sample(
        self,
        n: int,
        *,
        prime: Any = (),
        temperature: float = 1.0,
        top_k: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Draw symbols, one after the other.

        Parameters
        ----------
        n : int
            Number of symbols.
        prime : sequence of symbols, optional
            What comes before the first of them; not returned.
        temperature : float, default=1.0
            Below 1 likely symbols become likelier; 0 takes the likeliest.
        top_k : int, optional
            Draw among that many likeliest symbols alone.
        random_state : None, int, RandomState, Generator or SeedSequence, default=None

        Returns
        -------
        str or list
            A str if all symbols are characters.
        """
        check_is_fitted(self)
        owner = type(self).__name__
        check_number("n", n, owner, low=1, integer=True)
        check_drawing(temperature, top_k, owner)
        rng, size = check_generator(random_state), len(self.symbols_)
        ids = self._encoded_prime(prime).tolist()
        for _ in range(n):
            context = np.array(ids[len(ids) - min(len(ids), self.order_) :], dtype=np.int64)
            p = _distributions(context, self._fit_counts, size)[-1]
            ids.append(draw(np.log(p), rng, temperature=temperature, top_k=top_k))
        return decode(ids[len(ids) - n :], self.symbols_)


class _Level:
    """Counts after contexts of one length.

    A context is a node of a tree: its number is the place of the pair (node of the context
    without its oldest symbol, oldest symbol) among `keys`.
    """

    def __init__(self, nodes, older, symbols, n_symbols):
        n = np.int64(n_symbols)
        if older is None:
            self.keys = np.zeros(1, dtype=np.int64)
            numbers = np.zeros(len(symbols), dtype=np.int64)
        else:
            self.keys, numbers = np.unique(nodes * n + older, return_inverse=True)
        self.pairs, self.counts = np.unique(numbers * n + symbols, return_counts=True)
        of = self.pairs // n
        self.totals = np.bincount(of, weights=self.counts, minlength=len(self.keys))
        self.kinds = np.bincount(of, minlength=len(self.keys)).astype(np.float64)
        self.numbers = numbers

    def find(self, nodes, older, n_symbols):
        """Numbers of contexts, -1 where one was never seen."""
        if older is None:
            return np.zeros(len(nodes), dtype=np.int64)
        wanted = nodes * np.int64(n_symbols) + older
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where((nodes >= 0) & (self.keys[place] == wanted), place, -1)

    def count(self, nodes, symbols, n_symbols):
        """How often symbols came after contexts."""
        wanted = nodes * np.int64(n_symbols) + symbols
        place = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        return np.where(self.pairs[place] == wanted, self.counts[place], 0)


def _count(ids, order, n_symbols):
    """Levels of the orders 0 to `order`, over several sequences."""
    starts = np.concatenate([np.arange(len(part)) for part in ids])  # symbols before each one
    flat = np.concatenate(ids)
    levels = [_Level(None, None, flat, n_symbols)]
    rows, nodes = np.arange(len(flat)), levels[0].numbers
    for k in range(1, order + 1):
        kept = starts[rows] >= k
        rows, nodes = rows[kept], nodes[kept]
        if not len(rows):
            break
        levels.append(_Level(nodes, flat[rows - k], flat[rows], n_symbols))
        nodes = levels[-1].numbers
    for level in levels:
        del level.numbers
    return levels


def _walk(ids, levels, n_symbols):
    """Yield each level with the numbers of the contexts before positions 0 to len(ids)."""
    positions = np.arange(len(ids) + 1)
    nodes = np.zeros(len(positions), dtype=np.int64)
    for k, level in enumerate(levels):
        if k == 0:
            yield level, nodes
            continue
        reach = positions >= k
        older = np.where(reach, ids[np.maximum(positions - k, 0)] if len(ids) else 0, 0)
        nodes = np.where(reach, level.find(nodes, older, n_symbols), -1)
        yield level, nodes


def _probabilities_of(ids, levels, n_symbols):
    """Probability of each symbol of a sequence, given those before it."""
    p = np.full(len(ids), 1.0 / n_symbols)
    for level, nodes in _walk(ids, levels, n_symbols):
        seen = np.flatnonzero(nodes[:-1] >= 0)
        at = nodes[seen]
        c = level.count(at, ids[seen], n_symbols)
        p[seen] = (c + level.kinds[at] * p[seen]) / (level.totals[at] + level.kinds[at])
    return p


def _distributions(ids, levels, n_symbols):
    """Distributions (len(ids) + 1, n_symbols) of the symbols after each prefix."""
    p = np.full((len(ids) + 1, n_symbols), 1.0 / n_symbols)
    symbols = np.arange(n_symbols)
    for level, nodes in _walk(ids, levels, n_symbols):
        seen = np.flatnonzero(nodes >= 0)
        at = nodes[seen, None]
        c = level.count(at, symbols, n_symbols)
        p[seen] = (c + level.kinds[at] * p[seen]) / (level.totals[at] + level.kinds[at])
    return p
