"""How a model of sequences of symbols ends them: a symbol, a coin at each step, or a length.

Symbols are numbers below V. An ending says which rows a sequence becomes (numbers that the network
reads, and the target of each row), what the outputs of the network mean, and the loss. Before the
first symbol the network reads the number V, which stands for the beginning.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_expit, log_softmax

from . import _ops as ops
from ._losses import binary_cross_entropy, cross_entropy
from ._tape import Var

__all__ = ["ENDINGS", "ending_named"]


class NoEnd:
    """Sequences are cut out of something endless: their ends mean nothing."""

    stops = False

    def __init__(self, n_symbols: int):
        self.n_symbols = n_symbols

    @property
    def n_outputs(self) -> int:
        """Columns of the readout."""
        return self.n_symbols

    @property
    def tables(self) -> tuple:
        """Rows of the tables that the network reads."""
        return (self.n_symbols + 1,)

    def taught(self, lengths: np.ndarray, *, anew: bool = True) -> NoEnd:
        """The ending that knows the lengths of the sequences learnt from, beside earlier ones."""
        return self

    def rows(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is read (n_rows, n_tables) in a sequence, and the targets (n_rows,)."""
        return self.read(ids[:-1], len(ids))[: len(ids)], ids

    def read(self, ids: np.ndarray, length: int | None = None) -> np.ndarray:
        """What the network reads before and after each of the symbols (len(ids) + 1, n_tables)."""
        return np.concatenate([[self.n_symbols], ids]).astype(np.int64)[:, None]

    def first_bias(self, targets: np.ndarray) -> np.ndarray:
        """First bias of the readout: logarithms of the shares of the targets."""
        counts = np.bincount(targets, minlength=self.n_outputs) + 1.0
        return np.log(counts / counts.sum())

    def loss(self, outputs: Var, targets: np.ndarray, weights: np.ndarray) -> Var:
        """Sum of weights times nats."""
        return cross_entropy(outputs, targets, weights)

    def log_proba(self, outputs: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities of the symbols, and of the end if it may come."""
        return log_softmax(outputs.astype(np.float64), axis=-1)

    def nats_of_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """What each sequence costs beside its rows."""
        return np.empty(0)

    def draw_lengths(
        self, rng: np.random.RandomState, n: int, least: int, log_likelihood: Callable
    ) -> Any:
        """Lengths that are drawn before anything else; None where none are."""
        return None


class EndSymbol(NoEnd):
    """One more symbol, number V, that only ever comes out (Deep Learning, section 10.2.3)."""

    stops = True

    @property
    def n_outputs(self):
        return self.n_symbols + 1

    def rows(self, ids):
        return self.read(ids), np.append(ids, self.n_symbols)


class StopUnit(EndSymbol):
    """One more output, a coin: whether the sequence stops before the next symbol."""

    def first_bias(self, targets):
        logs = super().first_bias(targets)
        logs[-1] -= np.log1p(-np.exp(logs[-1]))  # the odds of stopping
        return logs

    def loss(self, outputs, targets, weights):
        targets, weights = np.asarray(targets), np.asarray(weights)
        stop = targets == self.n_symbols
        coin = binary_cross_entropy(
            ops.getitem(outputs, np.s_[..., self.n_symbols :]), stop[..., None], weights
        )
        symbols = ops.getitem(outputs, np.s_[..., : self.n_symbols])
        return ops.add(coin, cross_entropy(symbols, targets, np.where(stop, 0, weights)))

    def log_proba(self, outputs):
        outputs = outputs.astype(np.float64)
        coin = outputs[..., self.n_symbols :]
        symbols = log_softmax(outputs[..., : self.n_symbols], axis=-1)
        return np.concatenate([log_expit(-coin) + symbols, log_expit(coin)], axis=-1)


class LengthFirst(NoEnd):
    """The length is drawn first, and the network reads how many symbols are still to come.

    p(x, n) = p(n) p(x | n). Before anything is read, what a network says of the length is a fixed
    distribution, so it is counted: c lengths of n among N, t of them different, give
    (c + t g(n)) / (N + t), with the geometric distribution g of the same mean.
    """

    stops = True

    @property
    def tables(self):
        return (self.n_symbols + 1, self.longest + 1)

    longest = 0

    def taught(self, lengths, *, anew=True):
        known = copy.copy(self)
        if not anew:
            lengths = np.concatenate([np.repeat(self.lengths, self.counts), lengths])
        known.lengths, known.counts = np.unique(lengths, return_counts=True)
        known.mean = float(np.mean(lengths))
        # The first call settles how many rows the table of what is still to come has.
        known.longest = self.longest or max(1, int(known.lengths[-1]))
        return known

    def read(self, ids, length=None):
        length = len(ids) if length is None else length
        left = np.clip(length - np.arange(len(ids) + 1), 0, self.longest)
        return np.stack([super().read(ids)[:, 0], left.astype(np.int64)], axis=1)

    def nats_of_lengths(self, lengths):
        lengths = np.asarray(lengths)
        place = np.minimum(np.searchsorted(self.lengths, lengths), len(self.lengths) - 1)
        counts = np.where(self.lengths[place] == lengths, self.counts[place], 0)
        kinds, more = len(self.lengths), self.mean / (1 + self.mean)
        with np.errstate(divide="ignore"):  # all sequences empty: no other length is possible
            geometric = (1 - more) * more ** lengths.astype(np.float64)
            return -np.log((counts + kinds * geometric) / (self.counts.sum() + kinds))

    def draw_lengths(self, rng, n, least, log_likelihood):
        """Lengths given the first `least` symbols, whose likelihood depends on the length.

        They are drawn from those of `least` or more that were seen; `least` if there are none.
        """
        seen = self.lengths >= least
        if not seen.any():
            return np.full(n, least)
        lengths = self.lengths[seen]
        logs = np.log(self.counts[seen]) + log_likelihood(lengths)
        weights = np.exp(logs - logs.max())
        return rng.choice(lengths, size=n, p=weights / weights.sum())


ENDINGS = {None: NoEnd, "symbol": EndSymbol, "bernoulli": StopUnit, "length": LengthFirst}


def ending_named(name: str | None, n_symbols: int) -> NoEnd:
    """The ending of that name."""
    return ENDINGS[name](n_symbols)
