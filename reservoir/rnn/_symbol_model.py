"""What models of sequences of symbols share: the symbols, and X as their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._symbols import encode, read_one, read_symbols, vocabulary_of

__all__ = ["SymbolModel"]


class SymbolModel:
    """Abstract: the parameter `vocabulary` is stored by the final classes."""

    vocabulary: Any
    symbols_: list

    def _read_first(self, X: Any) -> list:
        """Numbers of the symbols of each sequence of X, which settles what symbols there are."""
        owner = type(self).__name__
        sequences, _ = read_symbols(X, owner)
        self.symbols_ = vocabulary_of(sequences, owner, given=self.vocabulary)
        self._fit_numbers = {symbol: i for i, symbol in enumerate(self.symbols_)}
        return [encode(part, self._fit_numbers, owner) for part in sequences]

    def _encoded(self, X: Any) -> tuple[list, bool]:
        """The same with the symbols of fit, and whether X was one sequence."""
        check_is_fitted(self)
        owner = type(self).__name__
        words = any(isinstance(s, str) and len(s) > 1 for s in self.symbols_)
        sequences, single = read_symbols(X, owner, words=words)
        return [encode(s, self._fit_numbers, owner) for s in sequences], single

    def _encoded_prime(self, prime: Any) -> np.ndarray:
        """Numbers of the symbols that come before those to be drawn."""
        owner = type(self).__name__
        sequence = read_one(prime, owner, name="prime")
        return encode(sequence, self._fit_numbers, owner, name="prime")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
