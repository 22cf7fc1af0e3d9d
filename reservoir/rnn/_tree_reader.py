"""Trees of tokens: s-expressions, nested tuples or arrays in, arrays in post-order out."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from echocast._checks import check_flag

__all__ = ["Tree", "as_tree", "read_trees"]

# Words of treebanks may hold spaces that do not break lines, so only those of ASCII separate.
_ATOM = re.compile(r"[()]|[^ \t\r\n\f\v()]+")
_BINARISE = "a node has at most two: group the others under nodes of their own"


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """One tree; nodes stand in post-order, children before their parent and the root last.

    Parameters
    ----------
    tokens : tuple of length n_nodes
        None for a node without a token.
    left, right : ndarray of shape (n_nodes,), int64
        Numbers of the children; -1 where there is none. A single child is the left one.
    levels : ndarray of shape (n_nodes,), int64
        0 for leaves, else one more than the higher child's.
    labels : tuple of length n_nodes, or None
        None for a tree, or a node, without labels.
    """

    tokens: tuple
    left: np.ndarray
    right: np.ndarray
    levels: np.ndarray
    labels: tuple | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        shown = " ".join(map(str, self.leaves))
        return f"<Tree of {len(self)} nodes: {shown if len(shown) <= 40 else shown[:37] + '...'}>"

    @property
    def leaves(self) -> tuple:
        """Tokens of the leaves, from left to right."""
        return tuple(token for token, left in zip(self.tokens, self.left.tolist()) if left < 0)

    @property
    def height(self) -> int:
        """Levels above the leaves."""
        return int(self.levels[-1])


class _Builder:
    """Nodes of one tree as they are completed."""

    def __init__(self) -> None:
        self.tokens: list = []
        self.labels: list = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.levels: list[int] = []

    def add(self, token: Any, children: list[int], label: Any = None) -> int:
        """Append a node with 0 to 2 children; its number."""
        self.tokens.append(token)
        self.labels.append(label)
        self.left.append(children[0] if children else -1)
        self.right.append(children[1] if len(children) == 2 else -1)
        self.levels.append(1 + max(self.levels[c] for c in children) if children else 0)
        return len(self.tokens) - 1

    def done(self, labelled: bool) -> Tree:
        left, right, levels = (
            np.array(part, dtype=np.int64) for part in (self.left, self.right, self.levels)
        )
        labels = tuple(self.labels) if labelled else None
        return Tree(tuple(self.tokens), left, right, levels, labels)


def read_trees(source: Any, *, labels: bool = True) -> list[Tree]:
    """Read trees with a token at some nodes and at most two children at each.

    Parameters
    ----------
    source : str, iterable of str, or iterable of trees
        - Text, or its lines (an open file): s-expressions one after the other. With `labels`,
          the first word within a parenthesis is a label and leaves are ``(label token)``, as in
          the Penn and the sentiment treebank: ``(3 (2 a) (2 b))``. An outer parenthesis without
          a label around a single tree is passed over. Without `labels` the first word is the
          token of that node: ``(and T (not F))``.
        - Nested tuples or lists ``(token, child)`` or ``(token, child, child)``, a leaf being
          its token: ``("and", "T", ("not", "F"))``. None stands for no token.
        - Dicts with "tokens", "left", "right" and perhaps "labels": lists or arrays in
          post-order, children before their parent and the root last; -1 for no child. A single
          child is the left one.
    labels : bool, default=True
        For text only.

    Returns
    -------
    list of Tree
        Each has `tokens`, `left`, `right`, `levels` and `labels` in post-order, the tokens of
        the `leaves` from left to right, the `height`, and `len` for the number of nodes. Labels
        are ints if all labels of a text are.

    Raises
    ------
    ValueError
        If a tree is malformed or has a node with more than two children; text is quoted with
        its line.

    Examples
    --------
    >>> from echocast.reservoir import read_trees
    >>> tree = read_trees("(4 (2 so) (4 (3 very) (3 good)))")[0]
    >>> tree.leaves, tree.labels, tree.left.tolist()
    (('so', 'very', 'good'), (2, 3, 3, 4, 4), [-1, -1, -1, 1, 0])
    >>> read_trees([("and", "T", ("not", "F"))])[0].tokens
    ('T', 'F', 'not', 'and')
    """
    check_flag("labels", labels, "read_trees")
    if isinstance(source, str):
        return _parsed(source, labels)
    if isinstance(source, (bytes, bytearray)):
        raise TypeError("`source` of read_trees is bytes; decode it, or open the file as text.")
    if isinstance(source, (tuple, dict, Tree)) or not isinstance(source, Iterable):
        raise TypeError(
            "`source` of read_trees must be text or an iterable of lines or of trees, got "
            f"{type(source).__name__}; put a single tree into a list."
        )
    items = list(source)
    if items and all(isinstance(item, str) for item in items):
        return _parsed("\n".join(item.rstrip("\r\n") for item in items), labels)
    return [as_tree(item, i) for i, item in enumerate(items)]


def as_tree(item: Any, number: int = 0) -> Tree:
    """A tree as `read_trees` knows it, or a token that is a tree of a single node."""
    if isinstance(item, Tree):
        return item
    if isinstance(item, dict):
        return _from_arrays(item, number)
    if isinstance(item, (bytes, bytearray)):
        raise ValueError(f"Tree {number} is bytes; decode it, or open the file as text.")
    if isinstance(item, str) and item.lstrip().startswith("("):
        raise ValueError(f"Tree {number} is text; read it with read_trees, got {item[:40]!r}.")
    return _from_nested(item, number)


# ---------------------------------------------------------------------------- text


def _parsed(text: str, labelled: bool) -> list[Tree]:
    """All trees of a text, without recursion: a chain may be long."""
    trees: list[_Builder] = []
    frames: list[tuple[list, int]] = []  # what stands in each open parenthesis, and its position
    builder = _Builder()
    for match in _ATOM.finditer(text):
        word, at = match[0], match.start()
        if word == "(":
            frames.append(([], at))
        elif word != ")":
            if frames:
                parts = frames[-1][0]
                is_leaf = parts and not labelled
                parts.append(builder.add(word, []) if is_leaf else word)
            elif labelled:
                raise _bad(text, at, f"{word!r} stands outside of parentheses")
            else:
                builder.add(word, [])
                trees.append(builder)
                builder = _Builder()
        elif not frames:
            raise _bad(text, at, "a parenthesis is closed that was not opened")
        else:
            parts, opened = frames.pop()
            close = _close_labelled if labelled else _close_tokens
            node = close(builder, parts, text, opened)
            if frames:
                frames[-1][0].append(node)
            else:
                trees.append(builder)
                builder = _Builder()
    if frames:
        raise _bad(text, frames[0][1], "a parenthesis is not closed")
    return _with_labels(trees, labelled)


def _with_labels(builders: list[_Builder], labelled: bool) -> list[Tree]:
    if labelled:
        try:
            numbers = [[int(label) for label in b.labels] for b in builders]
        except ValueError:
            pass
        else:
            for builder, found in zip(builders, numbers):
                builder.labels = found
    return [builder.done(labelled) for builder in builders]


def _close_labelled(builder: _Builder, parts: list, text: str, at: int) -> int:
    """Number of the node that ``(label token)`` or ``(label child child)`` stands for."""
    words = [part for part in parts if isinstance(part, str)]
    children = [part for part in parts if not isinstance(part, str)]
    if len(children) > 2:
        raise _bad(text, at, f"a node has {len(children)} children ({_BINARISE})")
    if len(children) == 1 and not words:
        return children[0]
    if len(words) != (1 if children else 2) or isinstance(parts[0], int):
        raise _bad(
            text, at, "a node must be (label token), (label child) or (label child child); "
            "without labels use labels=False",
        )  # fmt: skip
    return builder.add(None if children else words[1], children, words[0])


def _close_tokens(builder: _Builder, parts: list, text: str, at: int) -> int:
    """Number of the node that ``(token child child)`` or ``((..) child)`` stands for."""
    if not parts:
        raise _bad(text, at, "a parenthesis is empty")
    token, children = (parts[0], parts[1:]) if isinstance(parts[0], str) else (None, parts)
    if len(children) > 2:
        raise _bad(text, at, f"a node has {len(children)} children ({_BINARISE})")
    return builder.add(token, children)


def _bad(text: str, at: int, what: str) -> ValueError:
    line = text.count("\n", 0, at) + 1
    shown = text[at : at + 40].split("\n")[0]
    return ValueError(f"Line {line} holds no tree: {what}, at {shown!r}.")


# ------------------------------------------------------------------- tuples, arrays


def _from_nested(item: Any, number: int) -> Tree:
    """Nested tuples or lists, walked with a stack of our own."""
    builder, done = _Builder(), []  # type: tuple[_Builder, list]
    todo: list[tuple[Any, bool]] = [(item, False)]
    while todo:
        node, complete = todo.pop()
        parts = node if isinstance(node, (tuple, list)) else (node,)
        if not parts or len(parts) > 3:
            raise ValueError(
                f"Tree {number} has a node with {max(len(parts) - 1, 0)} children and "
                f"{min(len(parts), 1)} token: nodes are (token, child) or (token, child, child), "
                f"with None for no token ({_BINARISE})."
            )
        token, children = parts[0], parts[1:]
        if not _is_token(token):
            raise ValueError(
                f"Tree {number} has a node that begins with a {type(token).__name__} where its "
                "token belongs; write (None, child, child) for a node without one."
            )
        if token is None and not children:
            raise ValueError(f"Tree {number} has a leaf without a token.")
        if complete:
            first = len(done) - len(children)
            done[first:] = [builder.add(token, done[first:])]
        else:
            todo.append((node, True))
            todo += [(child, False) for child in reversed(children)]
    return builder.done(labelled=False)


def _from_arrays(item: dict, number: int) -> Tree:
    unknown = set(item) - {"tokens", "left", "right", "labels"}
    missing = {"tokens", "left", "right"} - set(item)
    if unknown or missing:
        raise ValueError(
            f"Tree {number} must have the keys 'tokens', 'left', 'right' and perhaps 'labels', "
            f"got {sorted(map(str, item))}."
        )
    columns = [_items(item, key, number) for key in ("tokens", "left", "right")]
    labels = None if item.get("labels") is None else _items(item, "labels", number)
    lengths = {len(column) for column in [*columns, *([labels] if labels is not None else [])]}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"Tree {number} has columns of lengths {sorted(lengths)}, or no node.")
    builder, parents = _Builder(), [0] * len(columns[0])
    names = labels if labels is not None else [None] * len(parents)
    for i, (token, left, right, label) in enumerate(zip(*columns, names)):
        children = [child for child in (left, right) if child != -1]
        whole = all(isinstance(child, (int, np.integer)) for child in children)
        if not whole or not all(0 <= child < i for child in children) or left == -1 != right:
            raise ValueError(
                f"Tree {number}: node {i} has the children {left!r} and {right!r}; they must be "
                f"nodes before it (post-order), or -1 for none, and a single child is the left one."
            )
        if not _is_token(token):
            raise ValueError(
                f"Tree {number}: node {i} has a {type(token).__name__} for a token; tokens are "
                "words or numbers, None where there is none."
            )
        if token is None and not children:
            raise ValueError(f"Tree {number} has a leaf without a token.")
        for child in children:
            parents[child] += 1
        builder.add(token, [int(child) for child in children], label)
    if parents[-1] != 0 or any(n != 1 for n in parents[:-1]):
        node = next((i for i, n in enumerate(parents[:-1]) if n != 1), len(parents) - 1)
        raise ValueError(
            f"Tree {number}: node {node} has {parents[node]} parents; all nodes but the last one, "
            "the root, have one."
        )
    return builder.done(labelled=labels is not None)


def _items(item: dict, key: str, number: int) -> list:
    column = item[key]
    if isinstance(column, (str, bytes)) or not isinstance(column, Iterable):
        raise ValueError(
            f"Tree {number}: {key!r} must be a list or array with an item for each node, got "
            f"{column!r}."
        )
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _is_token(token: Any) -> bool:
    """Whether it can be one; a tuple is a node, and some of those cannot be hashed."""
    return isinstance(token, Hashable) and not isinstance(token, tuple)
