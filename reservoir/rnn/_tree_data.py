"""What users give beside trees: labels of roots or of nodes, in several forms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ._tree_reader import Tree, as_tree, read_trees

__all__ = ["labels_of", "trees_of"]


def trees_of(X: Any, owner: str) -> list[Tree]:
    """At least one tree, from what the public methods take."""
    if isinstance(X, str):
        trees = read_trees(X)
    elif isinstance(X, (tuple, dict, Tree, bytes)) or not isinstance(X, Iterable):
        raise ValueError(
            f"X passed to {owner} must be a list of trees or text, got {type(X).__name__}; put a "
            "single tree into a list."
        )
    else:
        trees = [as_tree(item, i) for i, item in enumerate(X)]
    if not trees:
        raise ValueError(f"Found array with 0 sample(s): X passed to {owner} has no trees.")
    return trees


def labels_of(trees: list[Tree], y: Any, output: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Labels, and which nodes have them.

    Parameters
    ----------
    trees : list of Tree
    y : any
        Labels of roots, sequences of labels of nodes, or None for the trees' own.
    output : {"auto", "root", "nodes"}

    Returns
    -------
    rows : ndarray, int
        Numbers of the nodes with a label, the trees standing one after the other.
    labels : ndarray
    output : {"root", "nodes"}
    """
    y = _listed(trees, y)
    nested = [isinstance(part, (list, tuple)) or np.ndim(part) == 1 for part in y]
    if any(nested) and not all(nested):
        raise ValueError(
            f"y mixes labels of roots and of nodes; item {nested.index(False)} is a single label."
        )
    by_node = nested[0]
    if output == "nodes" and not by_node:
        raise ValueError(
            "y has one label for each tree, but labels of nodes (output='nodes' of fit, nodes=True "
            "of score) need a sequence of labels for each tree, or trees with labels and y=None."
        )
    if by_node:
        for i, (part, tree) in enumerate(zip(y, trees)):
            if len(part) != len(tree):
                raise ValueError(f"y has {len(part)} labels for tree {i} of {len(tree)} nodes.")
    ends = np.cumsum([len(tree) for tree in trees])
    if output == "root" or not by_node:
        roots = [part[-1] for part in y] if by_node else y
        for i, label in enumerate(roots):
            if label is None or _is_nan(label):
                raise ValueError(
                    f"The root of tree {i} has the label {label!r}: leave such trees out, or learn "
                    "from all nodes that have one (output='nodes')."
                )
        return ends - 1, np.asarray(roots), "root"
    flat = [label for part in y for label in part]
    rows = [i for i, label in enumerate(flat) if label is not None]
    if not rows:
        raise ValueError("y has no label at any node.")
    for i in rows:
        if _is_nan(flat[i]):
            number = int(np.searchsorted(ends, i, side="right"))
            raise ValueError(f"y has NaN in tree {number}; write None for a node without a label.")
    return np.array(rows), np.asarray([flat[i] for i in rows]), "nodes"


def _listed(trees, y):
    if y is None:
        y = [tree.labels for tree in trees]
        bare = next((i for i, part in enumerate(y) if part is None), None)
        if bare is not None:
            raise ValueError(
                f"y is None, but tree {bare} has no labels of its own. Pass labels of the roots "
                "as y, or read trees with labels (read_trees)."
            )
    elif isinstance(y, (str, bytes, dict, set)) or not isinstance(y, Iterable):
        raise ValueError(f"y should be a 1d array, got {y!r} instead.")
    y = list(y)
    if len(y) != len(trees):
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: [{len(trees)}, {len(y)}]"
        )
    return y


def _is_nan(label):
    return isinstance(label, (float, np.floating)) and bool(np.isnan(label))
