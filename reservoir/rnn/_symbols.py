"""Sequences of symbols: text, or any hashable things in a row, as numbers and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

__all__ = [
    "decode",
    "encode",
    "read_one",
    "read_several",
    "read_symbols",
    "texts_listed",
    "vocabulary_of",
]


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
    if hasattr(X, "columns"):
        raise TypeError(
            f"{name} passed to {owner} is a table, whose rows are no sequences of symbols by "
            f"themselves. Pass one column, or a list of sequences; got {type(X).__name__}."
        )
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.ndim not in (1, 2):
            raise ValueError(
                f"Found array with dim {X.ndim}: {name} passed to {owner} must be 1-D, a sequence "
                "of symbols, or 2-D, a sequence in each row."
            )
        if X.ndim == 2:
            return [row.tolist() for row in X], False
        if X.dtype != object or all(isinstance(item, str) for item in X):
            return [X.tolist()], True
    if isinstance(X, tuple):
        return [list(X)], True
    if not isinstance(X, Iterable) or isinstance(X, (bytes, Mapping, Set)):
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


def texts_listed(X: Any) -> Any:
    """A 1-D array or a column of texts as a list of them; anything else as it is."""
    values = X.to_numpy() if hasattr(X, "to_numpy") and getattr(X, "ndim", 0) == 1 else X
    one_d = isinstance(values, np.ndarray) and values.ndim == 1 and len(values)
    return values.tolist() if one_d and all(isinstance(item, str) for item in values) else X


def read_several(X: Any, owner: str, *, words: bool = False, name: str = "X") -> list[Sequence]:
    """The sequences of X, which must be several, or one in a list.

    An array or a column of texts counts as a list of them.
    """
    sequences, single = read_symbols(texts_listed(X), owner, words=words, name=name)
    if single and len(sequences[0]):
        raise ValueError(
            f"{name} passed to {owner} is one sequence of symbols ({type(X).__name__}), but a list "
            f"of sequences is needed, one in each item. Put a single one into a list: [{name}]."
        )
    return sequences


def read_one(X: Any, owner: str, *, name: str) -> Sequence:
    """The only sequence of X, whose symbols may be words."""
    sequences, single = read_symbols(X, owner, words=True, name=name)
    if not single:
        raise ValueError(
            f"{name} passed to {owner} must be one sequence of symbols, such as a str or a list of "
            f"symbols; got {len(sequences)} sequences."
        )
    return sequences[0]


def vocabulary_of(
    sequences: Iterable[Sequence], owner: str, *, name: str = "X", given: Any = None
) -> list:
    """All symbols that occur, or those `given`; sorted where they can be, else as they appear."""
    if given is not None:
        name = f"the vocabulary for {name}"
        if not isinstance(given, Iterable):
            raise TypeError(
                f"{name} passed to {owner} must be a str or another iterable of symbols; got "
                f"{type(given).__name__}."
            )
        sequences = [list(given)]
    try:
        seen = dict.fromkeys(symbol for sequence in sequences for symbol in sequence)
    except TypeError as error:
        raise TypeError(
            f"{name} passed to {owner} has symbols that cannot be told apart ({error}). Symbols "
            "are str, numbers, tuples or other hashable things."
        ) from None
    if not seen:
        raise ValueError(f"Found array with 0 sample(s): {name} passed to {owner} has no symbols.")
    if any(symbol != symbol for symbol in seen):
        raise ValueError(
            f"Input {name} contains NaN.\n{name} passed to {owner} holds NaN, which is no symbol: "
            "it equals nothing. Leave it out, or put a symbol of its own there."
        )
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
    except TypeError:
        raise TypeError(
            f"{name} passed to {owner} holds something that is no symbol, such as a list within a "
            "sequence."
        ) from None
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
