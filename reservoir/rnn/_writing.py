"""Draw sequences of symbols from a trained network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._objective import one_blas_thread
from ._packed import pack
from ._sampling import draw
from ._stop import NoEnd
from ._tape import as_var
from ._text_network import TextNetwork

__all__ = ["Writer"]


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
        p = np.exp(self.end.log_proba(outputs))
        if not may_end:
            p = p[:, : self.end.n_symbols]
        return np.array([
            draw(row, self.rng, **self.settings) for row in p
        ])  # fmt: skip


def _kept(going, running, outputs, states):
    """Only the sequences that go on."""
    states = [
        tuple(as_var(np.ascontiguousarray(part.data[going])) for part in layer) for layer in states
    ]
    return running[going], outputs[going], states
