"""Write sequences of symbols: the likeliest symbol at each step, or a beam of likely sequences.

Symbols have the numbers 0 to n - 1, and n ends a sequence: it is an output only, and no symbol of
any vocabulary. The worth of a sequence is the logarithm of its probability, the end included,
divided by its number of symbols, the end included; without that division short ones would win
(Wu et al. 2016, sec. 7, with an exponent of one).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ._decoder import Context, EncoderDecoder
from ._tape import Var

__all__ = ["Written", "beam_search", "log_softmax"]


@dataclass(frozen=True)
class Written:
    """A sequence that was written.

    Parameters
    ----------
    ids : ndarray of shape (n_symbols,)
        Without the end.
    alpha : ndarray of shape (n_symbols, n_places) or None
        What each symbol looked at.
    log_probability : float
        Including that of the end, where it was written.
    ended : bool
        Whether it was; else the sequence is as long as was allowed.
    """

    ids: np.ndarray
    alpha: Any
    log_probability: float
    ended: bool

    @property
    def worth(self) -> float:
        """Mean logarithm of the probabilities of the symbols."""
        return self.log_probability / (len(self.ids) + self.ended)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities along the last axis, in float64."""
    x = x.astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def beam_search(
    network: EncoderDecoder, leaves: dict[str, Var], context: Context, n: int, width: int, most: int
) -> list[Written]:
    """The most worthy of the sequences found for each of `n` inputs, of at most `most` symbols.

    At each step the `width` likeliest continuations of all that is unfinished are kept; each that
    ends takes its place out of the beam. A width of one takes the likeliest symbol each time. A
    wider beam may lose the sequence which that leads to, so that one is considered, too.
    """
    found = _Beam(network, leaves, context, n, width).run(most)
    if width > 1:
        single = _Beam(network, leaves, context, n, 1).run(most)
        found = [[*one, *more] for one, more in zip(single, found)]
    return [max(sequences, key=lambda written: written.worth) for sequences in found]


class _Beam:
    """Lanes of unfinished sequences; those of an input stand side by side."""

    def __init__(self, network, leaves, context, n, width):
        self.network, self.leaves, self.width = network, leaves, width
        self.decoder = network.decoder(leaves, context)
        self.end = network.n_outputs - 1
        self.found: list[list[Written]] = [[] for _ in range(n)]
        self.lanes = np.arange(n)  # the input that each lane belongs to
        self.total = np.zeros(n)
        # Of each step: the lane before that each lane goes on from, and the symbol it adds.
        self.steps: list[tuple[np.ndarray, np.ndarray]] = []

    def run(self, most):
        before = np.full(len(self.lanes), self.end)  # which also stands for the beginning
        for _ in range(most):
            outputs = self.decoder.write([self.network.feed(self.leaves, before)]).data
            parents, before, total = self._best(self.total[:, None] + log_softmax(outputs))
            self.steps.append((parents, before))
            goes_on = before != self.end
            for lane in np.flatnonzero(~goes_on):
                self._finish(self.lanes[parents[lane]], lane, total[lane], ended=True)
            self.steps[-1] = parents, before = parents[goes_on], before[goes_on]
            self.lanes, self.total = self.lanes[parents], total[goes_on]
            if not len(before):
                break
            self.decoder.keep(parents)
        for lane, owner in enumerate(self.lanes):
            self._finish(owner, lane, self.total[lane], ended=False)
        return self.found

    def _best(self, scores):
        """Lanes, symbols and scores of the best continuations of each input."""
        if self.width == 1:
            symbols = scores.argmax(axis=1)
            lanes = np.arange(len(scores))
            return lanes, symbols, scores[lanes, symbols]
        bounds = [*np.flatnonzero(np.diff(self.lanes, prepend=-1)), len(scores)]
        lanes, symbols = [], []
        for start, stop in pairwise(bounds):
            part = scores[start:stop]
            room = self.width - len(self.found[self.lanes[start]])
            chosen = np.argsort(-part, axis=None, kind="stable")[:room]
            at, symbol = np.unravel_index(chosen, part.shape)
            lanes.append(start + at)
            symbols.append(symbol)
        lanes, symbols = np.concatenate(lanes), np.concatenate(symbols)
        return lanes, symbols, scores[lanes, symbols]

    def _finish(self, owner, lane, total, *, ended):
        """Follow a lane of the last step back to the beginning."""
        ids, alphas = [], []
        for k in range(len(self.steps) - 1, -1, -1):
            parents, symbols = self.steps[k]
            ids.append(symbols[lane])
            lane = parents[lane]
            if self.decoder.alphas:
                alphas.append(self.decoder.alphas[k][lane])
        n = len(ids) - ended
        alpha = None
        if alphas:
            alpha = np.stack(alphas[::-1])[:n, : self.decoder.n_places[owner]]
        ids = np.array(ids[::-1][:n], dtype=np.int64)
        self.found[owner].append(Written(ids, alpha, float(total), ended))
