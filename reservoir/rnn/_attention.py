"""Attention: what a decoder looks at in a sequence, as operations of the tape.

A query s (the state of a decoder) is compared with each place h(j) of a memory, the comparisons
become weights that add up to one, and the weighted mean of the places is read:

- "additive": e(j) = v . tanh(W s + U h(j)) (Bahdanau, Cho and Bengio 2015, appendix A.1.2);
- "dot": e(j) = s . U h(j) (Luong, Pham and Manning 2015, eq. 8, "general");
- "scaled_dot": the same over the root of the length of s (Vaswani et al. 2017, eq. 1);

alpha = softmax(e) over the places that are no padding, c = sum of alpha(j) h(j).

`Memory` projects U h(j) once, however often it is looked at; each look is one record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._tape import Var, as_var, current_tape

__all__ = ["ATTENTIONS", "Memory", "additive_attention", "dot_attention"]

ATTENTIONS = ("additive", "dot", "scaled_dot")


class Memory:
    """Sequences that a decoder looks at, any number of times.

    Parameters
    ----------
    kind : {"additive", "dot", "scaled_dot"}
    values : Var of shape (n_places, n_sequences, m)
        Padding may hold any finite numbers.
    lengths : ndarray of shape (n_sequences,)
        Places of each sequence, at least one.
    weights : mapping of Var
        ``U`` (k, m), and for "additive" ``W`` (k, n) and ``v`` (k,) beside it. For the others k
        is the length n of a query.
    """

    def __init__(self, kind: str, values: Var, lengths: Any, weights: Mapping[str, Var]):
        self.kind, self.weights = kind, weights
        self.lengths = np.require(lengths, np.int64, ["C", "W"])
        U = weights["U"]
        dtype = U.data.dtype
        # Of each sequence the places side by side, as they are read.
        self.values = np.require(values.data.transpose(1, 0, 2), dtype, ["C", "W"])
        self.keys = self.values @ U.data.T
        self.scale = dtype.type(1 / math.sqrt(len(U.data)) if kind == "scaled_dot" else 1)
        self._d_values: Any = None
        # All looks have it as a parent, so the gradients that they add up are handed on after
        # the first of them.
        self._token = Var(np.zeros((), dtype))
        tape = current_tape()
        if tape is not None:
            parents = (values, U, *([weights["v"]] if kind == "additive" else []))
            tape.record((self._token,), parents, self._hand_on)

    def __len__(self) -> int:
        return len(self.lengths)

    def rows(self, chosen: np.ndarray) -> Memory:
        """The memory of some of the sequences, which may repeat; a constant."""
        part = object.__new__(Memory)
        part.kind, part.weights, part.scale = self.kind, self.weights, self.scale
        part.lengths = self.lengths[chosen]
        part.values, part.keys = self.values[chosen], self.keys[chosen]
        part._token = Var(self._token.data)
        return part

    def attend(self, s: Var) -> tuple[Var, np.ndarray]:
        """Look at all places once.

        Parameters
        ----------
        s : Var of shape (n_sequences, n)

        Returns
        -------
        c : Var of shape (n_sequences, m)
        alpha : ndarray of shape (n_sequences, n_places)
            Zero where there is padding.
        """
        B, T, _ = self.keys.shape
        dtype = self.keys.dtype
        alpha = np.empty((B, T), dtype)
        means = np.empty((B, self.values.shape[2]), dtype)
        parents: tuple[Var, ...] = (s, self._token)
        if self.kind == "additive":
            W, v = self.weights["W"], self.weights["v"]
            vjp = self._additive(s, W, np.require(v.data, requirements="W"), alpha, means)
            parents += (W,)
        else:
            vjp = self._dot(np.require(s.data, dtype, ["C", "W"]), alpha, means)
        c = Var(means)
        tape = current_tape()
        if tape is not None:
            tape.record((c,), parents, vjp)
        return c, alpha

    def _additive(self, s, W, v, alpha, means):
        from ._kernels_attention import additive_backward, additive_forward

        queries = s.data @ W.data.T
        hidden = np.empty(self.keys.shape, v.dtype)
        additive_forward(queries, self.keys, v, self.values, self.lengths, hidden, alpha, means)

        def vjp(g):
            d_keys, d_values, d_v = self._gradients()
            d_queries = np.empty_like(queries)
            additive_backward(
                np.require(g, requirements=["C", "W"]), v, self.values, self.lengths, hidden,
                alpha, np.empty_like(alpha[0]), d_queries, d_keys, d_values, d_v,
            )  # fmt: skip
            return (
                d_queries @ W.data if s.needs_grad else None,
                self._token.data,
                d_queries.T @ s.data if W.needs_grad else None,
            )

        return vjp

    def _dot(self, queries, alpha, means):
        from ._kernels_attention import dot_backward, dot_forward

        dot_forward(queries, self.keys, self.scale, self.values, self.lengths, alpha, means)

        def vjp(g):
            d_keys, d_values, _ = self._gradients()
            d_queries = np.empty_like(queries)
            dot_backward(
                np.require(g, requirements=["C", "W"]), queries, self.keys, self.scale,
                self.values, self.lengths, alpha, np.empty_like(alpha[0]), d_queries, d_keys,
                d_values,
            )  # fmt: skip
            return d_queries, self._token.data

        return vjp

    def _gradients(self):
        """Sums over the looks: gradients of keys, values and v."""
        if self._d_values is None:
            v = self.weights["v"].data if self.kind == "additive" else self.keys[0, 0]
            self._d_values = tuple(map(np.zeros_like, (self.keys, self.values, v)))
        return self._d_values

    def _hand_on(self, _):
        (d_keys, d_values, d_v), self._d_values = self._gradients(), None
        U = self.weights["U"].data
        k, m = U.shape
        d_values += d_keys @ U
        d_U = d_keys.reshape(-1, k).T @ self.values.reshape(-1, m)
        back = d_values.transpose(1, 0, 2)
        return (back, d_U, d_v) if self.kind == "additive" else (back, d_U)


def additive_attention(
    s: Any, H: Any, W: Any, U: Any, v: Any, lengths: Any = None
) -> tuple[Var, np.ndarray]:
    """One look at H (T, B, m) by s (B, n): the mean (B, m) and the weights (B, T).

    W (k, n), U (k, m), v (k,); sequence b has ``lengths[b]`` places, all T by default.
    """
    s, H, W, U, v = map(as_var, (s, H, W, U, v))
    return _memory("additive", H, lengths, {"W": W, "U": U, "v": v}).attend(s)


def dot_attention(
    s: Any, H: Any, U: Any, lengths: Any = None, *, scaled: bool = False
) -> tuple[Var, np.ndarray]:
    """One look at H (T, B, m) by s (B, n), with U (n, m); see `additive_attention`."""
    s, H, U = map(as_var, (s, H, U))
    return _memory("scaled_dot" if scaled else "dot", H, lengths, {"U": U}).attend(s)


def _memory(kind, H, lengths, weights):
    T, B, _ = H.data.shape
    return Memory(kind, H, np.full(B, T) if lengths is None else lengths, weights)
