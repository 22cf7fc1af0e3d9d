"""Mini-batches of trees, level by level, and the recursive network over them as one operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ._tape import Var, emit
from ._tree_reader import Tree

__all__ = ["Forest", "TreeStack", "tree_states"]


@dataclass(frozen=True)
class Forest:
    """Some trees side by side; nodes stand level by level, the leaves first.

    Parameters
    ----------
    rows : ndarray of shape (n_nodes,), int64
        Which node of the stack each is.
    bounds : list of int
        Level k holds the nodes ``bounds[k]:bounds[k + 1]``.
    children : ndarray of shape (n_inner, 2), int64
        Nodes below each node from ``bounds[1]`` on; a single child stands there twice.
    single : list of ndarray
        For each level above the leaves, which of its nodes have a single child.
    with_token : ndarray of shape (n_with_token,), int64
        Nodes that have a token.
    tokens : ndarray of shape (n_with_token,), int64
    roots : ndarray of shape (n_trees,), int64
        In the order of the trees asked for.
    """

    rows: np.ndarray
    bounds: list[int]
    children: np.ndarray
    single: list[np.ndarray]
    with_token: np.ndarray
    tokens: np.ndarray
    roots: np.ndarray


class TreeStack:
    """The nodes of many trees one after the other, each tree in post-order.

    Parameters
    ----------
    trees : sequence of Tree
    tokens : ndarray of shape (n_nodes,), int64
        Numbers of the tokens; -1 for none.
    """

    def __init__(self, trees: Sequence[Tree], tokens: np.ndarray):
        self.indptr = np.concatenate([[0], np.cumsum([len(tree) for tree in trees])])
        self.tokens = tokens
        self.levels = np.concatenate([tree.levels for tree in trees])
        left = np.concatenate([tree.left for tree in trees])
        right = np.concatenate([tree.right for tree in trees])
        start = np.repeat(self.indptr[:-1], np.diff(self.indptr))
        self.single = (left >= 0) & (right < 0)
        self.left = left + start
        self.right = np.where(right < 0, left, right) + start

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def forest(self, trees: np.ndarray) -> Forest:
        """The trees of these numbers."""
        first, counts = self.indptr[trees], self.indptr[trees + 1] - self.indptr[trees]
        ends = np.cumsum(counts)
        shift = np.repeat(first - (ends - counts), counts)  # from a node of the batch to its row
        rows = np.arange(ends[-1]) + shift
        order = np.argsort(self.levels[rows], kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        rows, shift = rows[order], shift[order]
        bounds = np.concatenate([[0], np.cumsum(np.bincount(self.levels[rows]))]).tolist()
        inner = slice(bounds[1], None)
        pairs = np.stack([self.left[rows[inner]], self.right[rows[inner]]], axis=1)
        children = place[pairs - shift[inner, None]]
        single = self.single[rows]
        tokens = self.tokens[rows]
        with_token = np.flatnonzero(tokens >= 0)
        return Forest(
            rows,
            bounds,
            children,
            [np.flatnonzero(single[a:b]) for a, b in pairwise(bounds[1:])],
            with_token,
            tokens[with_token],
            place[ends - 1],
        )


def tree_states(
    forest: Forest,
    table: Var,
    V: Var,
    U: Var,
    W: Var,
    b: Var,
    *,
    mask: np.ndarray | None = None,
) -> Var:
    """States of all nodes, ``h = tanh(U h_left + W h_right + V x + b)``; exact gradients.

    A single child stands in both places, at leaves there are none, and nodes without a token
    have no ``V x``. It is one record, since a loss and its gradient composed of the tape's own
    operations level by level take three to six times as long.

    Parameters
    ----------
    forest : Forest
    table : Var of shape (n_tokens, n_embedding)
        x of each token.
    V : Var of shape (n_units, n_embedding)
    U, W : Var of shape (n_units, n_units)
    b : Var of shape (n_units,)
    mask : ndarray of shape (n_with_token, n_embedding), default=None
        Factors on x.

    Returns
    -------
    h : Var of shape (n_nodes, n_units)
    """
    n, dtype = len(b.data), b.data.dtype
    bounds, children = forest.bounds, forest.children
    n_nodes, n_leaves = bounds[-1], bounds[1]
    x = table.data[forest.tokens]
    if mask is not None:
        x *= mask
    h = np.empty((n_nodes, n), dtype=dtype)
    h[:] = b.data
    h[forest.with_token] += x @ V.data.T
    both = np.concatenate([U.data, W.data], axis=1)
    below = np.empty((n_nodes - n_leaves, 2 * n), dtype=dtype)  # both children of each node
    pairs = below.reshape(-1, n)
    flat = children.reshape(-1)
    np.tanh(h[:n_leaves], out=h[:n_leaves])
    for start, stop in pairwise(bounds[1:]):
        at = slice(start - n_leaves, stop - n_leaves)
        np.take(h, flat[2 * at.start : 2 * at.stop], axis=0, out=pairs[2 * at.start : 2 * at.stop],
                mode="clip")  # fmt: skip
        level = h[start:stop]
        level += below[at] @ both.T
        np.tanh(level, out=level)

    def vjp(g):
        dh = g.copy()
        slope = 1 - h * h
        for k in range(len(bounds) - 3, -1, -1):
            start, stop = bounds[k + 1], bounds[k + 2]
            dz = dh[start:stop]
            dz *= slope[start:stop]
            down = (dz @ both).reshape(-1, 2, n)
            alone = forest.single[k]
            if len(alone):  # NumPy writes one of two values that are added to the same place
                down[alone] = down[alone].sum(axis=1, keepdims=True)
            places = flat[2 * (start - n_leaves) : 2 * (stop - n_leaves)]
            dh[places] += down.reshape(-1, n)
        dz = dh
        dz[:n_leaves] *= slope[:n_leaves]
        d_both = dz[n_leaves:].T @ below
        at_tokens = dz[forest.with_token]
        dx = at_tokens @ V.data
        if mask is not None:
            dx *= mask
        return (
            _add_rows(table, forest.tokens, dx),
            at_tokens.T @ x,
            d_both[:, :n],
            d_both[:, n:],
            np.ones(n_nodes, dtype=dtype) @ dz,
        )

    return emit(h, (table, V, U, W, b), vjp)


def _add_rows(table: Var, ids: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Sum rows by their number, into the table's own gradient where it has one."""
    if not table.needs_grad:
        return None
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    first = np.flatnonzero(np.diff(ids, prepend=-1))
    sums = np.add.reduceat(rows[order], first, axis=0) if len(ids) else rows
    if table.buffered:
        table.grad[ids[first]] += sums
        return None
    grad = np.zeros_like(table.data)
    grad[ids[first]] = sums
    return grad
