"""What the two self-attention estimators share."""

from __future__ import annotations

from typing import Any

import numpy as np

from echocast._checks import check_flag, check_number, check_option, refuse

from .._base import _dtype_name
from ._estimator import BaseRNN
from ._objective import one_blas_thread
from ._packed import pack
from ._transformer import AttentionNetwork

__all__ = ["BaseSelfAttention"]

_POSITIONS = ("learned", "sinusoidal", None)
_KEPT = ("n_blocks", "n_units", "n_heads", "n_hidden", "causal", "positions", "max_length",
         "n_symbols", "output", "loss", "quantile", "layout")  # fmt: skip


class BaseSelfAttention(BaseRNN):
    """Abstract: another network, trained as recurrent ones are. It comes first among the bases."""

    _OUTPUTS = ("auto", "last", "mean", "sequence")

    # What the parameters of recurrent networks say of one that is none: outputs see the whole
    # sequence at once, and no state goes from step to step or from chunk to chunk.
    hidden_layer_sizes = (1,)
    cell = "tanh"
    recurrence = "hidden"
    transition = "stacked"
    transition_depth = 1
    bidirectional = True
    leak_rate = 1.0
    h0 = "zeros"
    include_input = False
    bptt_steps = None
    recurrent_dropout = 0.0
    teacher_forcing = 1.0
    washout = 0
    weight_init = "glorot"

    # ------------------------------------------------------------------- checks

    def _check_params(self, owner):
        for name in ("n_blocks", "n_units", "n_heads"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        for name in ("n_hidden", "max_length"):
            check_number(name, getattr(self, name), owner, low=1, integer=True, also=(None,))
        if self.n_units % self.n_heads:
            refuse("n_heads", owner, f"a divisor of n_units={self.n_units}", self.n_heads)
        check_flag("causal", self.causal, owner)
        if self.positions is not None:
            check_option("positions", self.positions, owner, _POSITIONS[:2])
        check_number("n_symbols", self.n_symbols, owner, low=1, integer=True, also=(None, "auto"))
        return super()._check_params(owner)

    def _asked(self):
        asked = {name: getattr(self, name) for name in _KEPT if hasattr(self, name)}
        return {**asked, "dtype": _dtype_name(self.dtype)}

    def _network(self, n_inputs: int, dtype: Any, **changes: Any) -> Any:
        read = self.output if self.output == "mean" else "last" if self._fit_last else "sequence"
        return AttentionNetwork(
            n_blocks=int(self.n_blocks),
            n_units=int(self.n_units),
            n_heads=int(self.n_heads),
            n_hidden=4 * int(self.n_units) if self.n_hidden is None else int(self.n_hidden),
            n_inputs=n_inputs,
            n_outputs=self._head().n_outputs,
            dtype=np.dtype(dtype),
            read=read,
            causal=bool(self.causal),
            positions=self.positions,
            n_positions=self._fit_n_positions,
            n_symbols=self._fit_n_symbols,
            **changes,
        )

    # ------------------------------------------------------------------ reading

    def _read(self, X, groups, *, reset, dtype):
        sequences = super()._read(X, groups, reset=reset, dtype=dtype)
        longest = int(np.diff(sequences.indptr).max())
        if reset:
            self._fit_n_positions = longest if self.max_length is None else int(self.max_length)
            self._fit_n_symbols = self._count_symbols(sequences.rows)
        if self.positions == "learned" and longest > self._fit_n_positions:
            raise ValueError(
                f"X has a sequence of {longest} steps, but positions are learnt up to "
                f"{self._fit_n_positions}. Fit with max_length={longest}, or "
                "positions='sinusoidal'."
            )
        if self._fit_n_symbols:
            self._refuse_no_symbols(sequences.rows)
        return sequences

    def _count_symbols(self, rows):
        if self.n_symbols is None:
            return 0
        return int(rows.max()) + 1 if self.n_symbols == "auto" else int(self.n_symbols)

    def _refuse_no_symbols(self, rows):
        """X must hold numbers of symbols."""
        if rows.shape[1] != 1:
            raise ValueError(
                f"n_symbols={self.n_symbols!r} means that X holds one number of a symbol at each "
                f"step, but it has {rows.shape[1]} features. Use n_symbols=None for real numbers."
            )
        bad = (rows < 0) | (rows >= self._fit_n_symbols) | (rows != np.floor(rows))
        if bad.any():
            raise ValueError(
                f"X holds {rows[bad][0]:g}, which is no number of one of the "
                f"{self._fit_n_symbols} symbols, 0 to {self._fit_n_symbols - 1}. Name how many "
                "there are with n_symbols, or use n_symbols=None for real numbers."
            )

    def _warn_if_unscaled(self, data):
        if not self._fit_n_symbols:
            super()._warn_if_unscaled(data)

    # ------------------------------------------------------------------- results

    def _publish(self, trained, sequences, data, *, from_start):
        super()._publish(trained, sequences, data, from_start=from_start)
        del self.h0_, self.state_  # there are none

    def transform(self, X: Any, *, groups: Any = None) -> Any:  # type: ignore[override]
        """What the last block gives, for each step (or what is read of it, for each sequence).

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_steps, n_units), or the form of X
        """
        sequences = self._read_new(X, groups)
        last = self._hidden(sequences, None)[-1]
        if not self._fit_network.last:
            return sequences.restore(last)
        ends = sequences.indptr[1:] - 1
        if self._fit_network.read == "last":
            return last[ends]
        return np.add.reduceat(last, sequences.indptr[:-1]) / np.diff(sequences.indptr)[:, None]

    def states(self, X: Any, *, groups: Any = None) -> list:  # type: ignore[override]
        """What each block gives, for each step.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        list of ndarray of shape (n_steps, n_units), or of the form of X
            One for each block.
        """
        sequences = self._read_new(X, groups)
        return [sequences.restore(h) for h in self._hidden(sequences, None)]

    def attention(self, X: Any, *, groups: Any = None) -> Any:
        """Where the steps of each sequence look: the weights of attention.

        Parameters
        ----------
        X, groups
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_blocks, n_heads, n_steps, n_steps)
            Row i holds the weights with which step i looks at all steps; they add up to 1. For a
            3-D array without padding, and for rows that are sequences, there is a first axis of
            sequences; for other forms of several sequences a list.
        """
        sequences = self._read_new(X, groups)
        network, layout = self._fit_network, sequences.layout
        leaves, found = network.layout.leaves(self.theta_, None), []
        with one_blas_thread():
            for i in range(layout.n_sequences):
                packed = pack(layout.indptr[i : i + 1], layout.indptr[i + 1 : i + 2])
                kept: list = []
                network.run(leaves, sequences.rows[packed.rows], packed, keep=kept)
                found.append(np.stack([P[0] for P in kept]))
        if layout.form == "rows":
            return found[0]
        return np.stack(found) if layout.form == "array3d" else found

    def _given(self, sequences, initial_state):
        return None

    def _recurrent_weights(self):
        raise ValueError(
            f"{type(self).__name__} has no state that follows from the last one; this analysis "
            "is for recurrent networks and reservoirs."
        )

    @property
    def _n_features_out(self):
        return self._fit_network.n_units
