"""What the two encoder-decoder estimators share: pairs of sequences, batches, training."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from echocast._checks import check_flag, check_jobs, check_number, check_option, refuse

from ._attention import ATTENTIONS
from ._decoder import EncoderDecoder
from ._fit_loop import FitOptions, Shards, fit_loop
from ._init import INITIALISERS
from ._nodes import N_GATES
from ._objective import n_threads, one_blas_thread
from ._packed import bucketed_batches
from ._schedules import forcing_probability
from ._tape import Var
from ._tape_estimator import TapeEstimator

__all__ = ["BaseSeq2Seq", "Batch", "Pairs"]

_FORCINGS = ("exponential", "inverse_sigmoid", "scheduled")
_PREDICTED = 128  # sequences that are read side by side in prediction


@dataclass(frozen=True)
class Batch:
    """Padded pairs, time-major, by decreasing length of x.

    `forced` is where the decoder is given true outputs; None: everywhere. `weights` are those of
    terms of the loss, zero where there is padding.
    """

    x: np.ndarray
    lengths: np.ndarray
    y_before: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    known: np.ndarray | None = None
    forced: np.ndarray | None = None


@dataclass(frozen=True)
class Pairs:
    """Stacked rows of all sequences x, and of all that are to be written.

    Parameters
    ----------
    x, y : ndarray
        Rows, or numbers of symbols; y includes the end.
    y_before : ndarray
        What the decoder is given in each step, y(0) and then y one step earlier.
    x_indptr, y_indptr : ndarray of shape (n_sequences + 1,)
    weights : ndarray of shape (n_sequences,)
    known : ndarray, optional
        Rows that are known beforehand beside y.
    """

    x: np.ndarray
    x_indptr: np.ndarray
    y: np.ndarray
    y_before: np.ndarray
    y_indptr: np.ndarray
    weights: np.ndarray
    known: np.ndarray | None = None

    @property
    def n(self) -> int:
        return len(self.weights)

    def order(self, size: int, rng: np.random.RandomState | None) -> list[np.ndarray]:
        """Numbers of the pairs of each batch, pairs of about equal lengths together."""
        n_read, n_written = np.diff(self.x_indptr), np.diff(self.y_indptr)
        return bucketed_batches(n_read * (n_written.max() + 1) + n_written, size, rng)

    def total(self, numbers: np.ndarray) -> float:
        """Sum of the weights of all steps to be written."""
        return float(self.weights[numbers] @ np.diff(self.y_indptr)[numbers])

    def batch(self, numbers: np.ndarray, total: float, forced: np.ndarray | None = None) -> Batch:
        """Pairs by decreasing length of x; the sum of the weights is divided by `total`."""
        rows, _, lengths = _gathered(self.x_indptr, numbers)
        y_rows, valid, n_written = _gathered(self.y_indptr, numbers)
        weights = self.weights[numbers] * valid / total
        return Batch(
            self.x[rows],
            lengths,
            self.y_before[y_rows],
            self.y[y_rows],
            weights.astype(self.weights.dtype),
            None if self.known is None else self.known[y_rows],
            None if forced is None else np.ascontiguousarray(forced[: n_written.max()]),
        )

    def part(self, first: int, stop: int) -> Pairs:
        """Consecutive pairs."""
        a, b = self.x_indptr[[first, stop]]
        c, d = self.y_indptr[[first, stop]]
        return Pairs(
            self.x[a:b],
            self.x_indptr[first : stop + 1] - a,
            self.y[c:d],
            self.y_before[c:d],
            self.y_indptr[first : stop + 1] - c,
            self.weights[first:stop],
            None if self.known is None else self.known[c:d],
        )


def _gathered(indptr, numbers):
    """Rows (n_steps, n) of some sequences, which of them are no padding, and the lengths."""
    starts = indptr[numbers]
    lengths = indptr[numbers + 1] - starts
    steps = np.arange(lengths.max())[:, None]
    return starts + np.minimum(steps, lengths - 1), steps < lengths, lengths


class BaseSeq2Seq(TapeEstimator, metaclass=ABCMeta):
    """Abstract: parameters of the constructor are stored by the final classes."""

    # ------------------------------------------------------------------- checks

    def _check_params(self, owner: str) -> np.dtype:
        dtype = self._check_training(owner)
        check_option("cell", self.cell, owner, ("gru", "lstm", "relu", "tanh"))
        if not (self.attention is None or _is_among(self.attention, ATTENTIONS)):
            listed = ", ".join(map(repr, sorted(ATTENTIONS)))
            refuse("attention", owner, f"a str among {{{listed}}} or None", self.attention)
        for size in self._sizes() or [None]:
            if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
                refuse("hidden_layer_sizes", owner, "an int >= 1 or a tuple of such",
                       self.hidden_layer_sizes)  # fmt: skip
        for name in ("bidirectional", "early_stopping", "nesterovs_momentum"):
            check_flag(name, getattr(self, name), owner)
        check_number("momentum", self.momentum, owner, low=0, high=1, closed="left")
        check_number("validation_fraction", self.validation_fraction, owner, low=0, high=1,
                     closed="neither")  # fmt: skip
        check_option("weight_init", self.weight_init, owner, INITIALISERS)
        check_jobs(self.n_jobs, owner)
        if isinstance(self.teacher_forcing, str):
            check_option("teacher_forcing", self.teacher_forcing, owner, _FORCINGS)
        elif not callable(self.teacher_forcing):
            check_number("teacher_forcing", self.teacher_forcing, owner, low=0, high=1)
        return dtype

    def _sizes(self) -> tuple:
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if isinstance(sizes, (list, tuple, np.ndarray)) else (sizes,)

    def _network(self, **sizes: Any) -> EncoderDecoder:
        plain = self.cell in ("tanh", "relu")
        return EncoderDecoder(
            cell="rnn" if plain else self.cell,
            activation=self.cell if plain else "tanh",
            units=tuple(int(n) for n in self._sizes()),
            bidirectional=bool(self.bidirectional),
            attention=self.attention,
            **sizes,
        )

    def _options(self) -> FitOptions:
        return replace(
            super()._options(),
            momentum=self.momentum,
            nesterovs_momentum=bool(self.nesterovs_momentum),
            n_jobs=n_threads(self.n_jobs),
        )

    # ----------------------------------------------------------------- training

    def _train(self, pairs: Pairs, theta: np.ndarray, rng: np.random.RandomState) -> None:
        """Learn, and store what was learnt; `_fit_network` is there."""
        self._fit_layout = self._fit_network.layout
        validate = None
        if self.early_stopping:
            pairs, validate = self._held_out(pairs)
        size, network = int(self.batch_size), self._fit_network
        n_batches = -(-pairs.n // size)
        n_total = max(1, n_batches * int(self.max_iter))
        forcing, done = self.teacher_forcing, 0
        forcing = "linear" if isinstance(forcing, str) and forcing == "scheduled" else forcing

        def batches(rng) -> Iterator[Shards]:
            nonlocal done
            for numbers in pairs.order(size, rng if self.shuffle else None):
                probability = forcing_probability(forcing, done, n_total)
                done += 1
                forced = None
                if probability < 1:
                    n_steps = int(np.diff(pairs.y_indptr)[numbers].max())
                    forced = rng.random_sample((n_steps, len(numbers))) < probability
                yield self._shards(pairs, numbers, forced)

        trained = fit_loop(
            theta,
            network.layout,
            batches,
            self._loss_of,
            self._options(),
            rng,
            n_epochs=int(self.max_iter),
            n_batches=n_batches,
            weight_of=lambda shards: shards.total,
            decayed=network.decayed,
            validate=validate,
        )
        self._publish(trained, network.layout)

    def _shards(self, pairs, numbers, forced):
        """A batch in parts that threads share out; they depend on the batch alone."""
        from ._nodes import shard_bounds

        network = self._fit_network
        n_steps = int(
            np.diff(pairs.x_indptr)[numbers].max() + np.diff(pairs.y_indptr)[numbers].max()
        )
        work = N_GATES[network.cell] * sum(n * n for n in network.units)
        shards = _Weighted()
        shards.total = pairs.total(numbers)
        for a, b in shard_bounds(len(numbers), work * len(network.directions), n_steps):
            part = None if forced is None else forced[:, a:b]
            shards.append(pairs.batch(numbers[a:b], shards.total, part))
        return shards

    def _held_out(self, pairs):
        """Pairs without the last ones, and a function that scores parameters on those."""
        n = max(1, round(self.validation_fraction * pairs.n))
        if n >= pairs.n or pairs.total(np.arange(pairs.n - n)) == 0:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves nothing to train on of "
                f"{pairs.n} sequence(s). Lower it, use more data, or early_stopping=False."
            )
        held = pairs.part(pairs.n - n, pairs.n)
        return pairs.part(0, pairs.n - n), lambda theta: self._validation_score(theta, held)

    def _chunks(self, pairs: Pairs) -> Iterator[np.ndarray]:
        """Numbers of pairs that are read side by side, by decreasing length of x."""
        order = np.argsort(-np.diff(pairs.x_indptr), kind="stable")
        with one_blas_thread(), np.errstate(all="ignore"):
            for first in range(0, len(order), _PREDICTED):
                yield order[first : first + _PREDICTED]

    @abstractmethod
    def _loss_of(self, leaves: dict, batch: Batch) -> Var:
        """The loss of a batch, on the tape."""

    @abstractmethod
    def _validation_score(self, theta: np.ndarray, held: Pairs) -> float:
        """Score of parameters on pairs held out; higher is better."""


def _is_among(value, options):
    return isinstance(value, str) and value in options


class _Weighted(Shards):
    """Shards that know the weight of their batch."""

    total: float
