"""Draw sequences of symbols from a trained network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_generator, check_number

from ._objective import one_blas_thread
from ._packed import pack
from ._sampling import check_drawing, draw
from ._stop import NoEnd
from ._symbols import decode
from ._tape import as_var
from ._text_network import TextNetwork

__all__ = ["Writer", "WritingMixin"]


class Writer:
    """Draws sequences side by side from a trained `TextNetwork`.

    Parameters
    ----------
    network : TextNetwork
    leaves : dict
        Its parameters.
    end : ending of `_stop`
    rng : RandomState
    temperature, top_k
        As in `draw`.
    """

    def __init__(
        self,
        network: TextNetwork,
        leaves: dict,
        end: NoEnd,
        rng: np.random.RandomState,
        temperature: float = 1.0,
        top_k: int | None = None,
    ):
        self.network, self.leaves, self.end, self.rng = network, leaves, end, rng
        self.settings: Any = {"temperature": temperature, "top_k": top_k}

    def write(
        self, prime: np.ndarray, n: int, n_steps: int, lengths: Any, *, may_end: bool
    ) -> list[list[int]]:
        """Numbers of the symbols that come after `prime`, in each of `n` sequences.

        `lengths` are those drawn beforehand, the prime included, for endings that do so.
        """
        counted = may_end and lengths is not None
        if lengths is None:
            lengths = np.full(n, len(prime) + n_steps)
        lengths = np.asarray(lengths)
        found: list[list[int]] = [[] for _ in range(n)]
        first = np.stack([self.end.read(prime, length) for length in lengths], axis=1)
        packed = pack(np.zeros(n, dtype=np.int64), np.full(n, len(first)))
        running = np.arange(n)
        with one_blas_thread():
            run = self.network.run(self.leaves, first, packed)
            outputs, states = run.outputs.data[-1], run.states
            for _ in range(n_steps):
                if counted:
                    written = np.array([len(found[i]) for i in running])
                    going = lengths[running] > len(prime) + written
                    running, outputs, states = _kept(going, running, outputs, states)
                if not len(running):
                    break
                drawn = self._draw(outputs, may_end)
                going = drawn < self.end.n_symbols
                if not going.all():
                    running, outputs, states = _kept(going, running, outputs, states)
                    drawn = drawn[going]
                for i, symbol in zip(running, drawn):
                    found[i].append(int(symbol))
                if not len(running):
                    break
                x = np.stack([
                    self.end.read(drawn[k : k + 1], lengths[i] - len(prime) - len(found[i]) + 1)[1]
                    for k, i in enumerate(running)
                ])  # fmt: skip
                h, states = self.network.step(self.leaves, x, None, states)
                outputs = self.network.read(self.leaves, h, None).data
        return found

    def _draw(self, outputs, may_end):
        logs = self.end.log_proba(outputs)
        if not may_end:
            logs = logs[:, : self.end.n_symbols]
        return np.array([draw(row, self.rng, **self.settings) for row in logs])


def _kept(going, running, outputs, states):
    """Only the sequences that go on."""
    states = [
        tuple(as_var(np.ascontiguousarray(part.data[going])) for part in layer) for layer in states
    ]
    return running[going], outputs[going], states


class WritingMixin:
    """Abstract: what a fitted `CharRNN` writes."""

    symbols_: list
    theta_: np.ndarray
    _fit_end: Any
    _fit_network: TextNetwork
    _encoded_prime: Any
    _logs_of_prime: Any

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
            Number of symbols. A model of ends draws as if the sequence did not end before.
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
        ids = self._encoded_prime(prime)
        writer = self._writer(temperature, top_k, check_generator(random_state))
        [found] = writer.write(ids, 1, int(n), np.array([len(ids) + n]), may_end=False)
        return decode(found, self.symbols_)

    def generate_until_end(
        self,
        n_sequences: int = 1,
        *,
        prime: Any = (),
        max_length: int = 1000,
        temperature: float = 1.0,
        top_k: int | None = None,
        random_state: Any = None,
    ) -> list:
        """Draw whole sequences, each up to its end.

        Parameters
        ----------
        n_sequences : int, default=1
        prime : sequence of symbols, optional
            How all of them begin; not returned.
        max_length : int, default=1000
            Symbols after which a sequence is cut off, ended or not.
        temperature, top_k, random_state
            As in `sample`; the end is one of the symbols. For the end "length" they do not act on
            the length, which is drawn from those seen in fit, given `prime`.

        Returns
        -------
        list of str, or of lists

        Raises
        ------
        ValueError
            If the model has no ends (``end_of_sequence=None``).
        """
        check_is_fitted(self)
        owner = type(self).__name__
        if not self._fit_end.stops:
            raise ValueError(
                "The network was fitted with end_of_sequence=None and never stops. Fit it with "
                "end_of_sequence='symbol', or use `sample`."
            )
        check_number("n_sequences", n_sequences, owner, low=1, integer=True)
        check_number("max_length", max_length, owner, low=1, integer=True)
        check_drawing(temperature, top_k, owner)
        ids = self._encoded_prime(prime)
        rng = check_generator(random_state)
        lengths = self._fit_end.draw_lengths(
            rng, int(n_sequences), len(ids), lambda lengths: self._logs_of_prime(ids, lengths)
        )
        writer = self._writer(temperature, top_k, rng)
        found = writer.write(ids, int(n_sequences), int(max_length), lengths, may_end=True)
        return [decode(part, self.symbols_) for part in found]

    def _writer(self, temperature, top_k, rng):
        leaves = self._fit_network.layout.leaves(self.theta_, None)
        return Writer(self._fit_network, leaves, self._fit_end, rng, temperature, top_k)
