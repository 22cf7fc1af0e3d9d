"""Sequences of symbols: text, or any hashable things in a row, as numbers and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["decode", "encode", "read_symbols", "vocabulary_of"]


def read_symbols(
    X: Any, owner: str, *, words: bool = False, name: str = "X"
) -> tuple[list[Sequence], bool]:
    """The sequences of X, and whether X was a single one.

    A str is one sequence of characters, and so is a 1-D array, or a list of symbols that are no
    sequences themselves (ints, for instance). A list of str, of lists or of arrays is several.
    A list of words is one sequence of words as an array or a tuple of them, and always where
    `words` says that symbols are words.
    """
    if isinstance(X, str):
        return [X], True
    if isinstance(X, np.ndarray):
        if X.ndim == 1 and X.dtype != object:
            return [X.tolist()], True
        if X.ndim == 2:
            return [row.tolist() for row in X], False
    if hasattr(X, "to_numpy") and getattr(X, "ndim", 1) == 1:
        return [X.to_numpy().tolist()], True
    if isinstance(X, tuple):
        return [list(X)], True
    if not isinstance(X, Iterable) or isinstance(X, (bytes, dict)):
        raise TypeError(
            f"{name} passed to {owner} must be a str, an array or a list of symbols, or a list of "
            f"sequences; got {type(X).__name__}."
        )
    parts = list(X)
    kinds = (list, tuple, np.ndarray) if words else (str, list, tuple, np.ndarray)
    nested = [isinstance(part, kinds) for part in parts]
    if not any(nested):
        return [parts], True
    if not all(nested):
        odd = nested.index(False)
        raise ValueError(
            f"{name} passed to {owner} mixes symbols and sequences; item {odd} is a "
            f"{type(parts[odd]).__name__}."
        )
    return [part.tolist() if isinstance(part, np.ndarray) else part for part in parts], False


def vocabulary_of(sequences: Iterable[Sequence], owner: str, *, name: str = "X") -> list:
    """All symbols that occur, sorted where they can be, else in order of appearance."""
    seen = dict.fromkeys(symbol for sequence in sequences for symbol in sequence)
    if not seen:
        raise ValueError(f"Found array with 0 sample(s): {name} passed to {owner} has no symbols.")
    try:
        return sorted(seen)
    except TypeError:
        return list(seen)


def encode(
    sequence: Sequence,
    numbers: dict,
    owner: str,
    *,
    name: str = "X",
    vocabulary: str = "vocabulary",
) -> np.ndarray:
    """Numbers of the symbols of a sequence."""
    try:
        return np.fromiter((numbers[s] for s in sequence), dtype=np.int64, count=len(sequence))
    except KeyError as error:
        raise ValueError(
            f"{name} holds the symbol {error.args[0]!r}, which {owner} has not seen in fit. Name "
            f"all symbols beforehand with {vocabulary}=..."
        ) from None


def decode(ids: Iterable[int], symbols: list) -> Any:
    """Symbols of numbers: a str if all symbols are characters, else a list."""
    found = [symbols[int(i)] for i in ids]
    if all(isinstance(symbol, str) and len(symbol) == 1 for symbol in symbols):
        return "".join(found)
    return found
