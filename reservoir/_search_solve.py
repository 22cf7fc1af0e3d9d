"""Readouts of the prefixes of one sequence of features, by the arithmetic of `fit_readout`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from echocast._checks import check_alpha, check_solver

from ._factor import RidgeFactor, RidgeSystem, RowBuffer
from ._linalg import Spectrum, factor_solve
from ._many_features import by_size
from ._readout import (
    _LOSS_ALLOWED,
    ReadoutFit,
    _accurate,
    _fitted,
    _fitted_spectrum,
    _select,
    _warn_rank,
    solve_factor,
)

__all__ = ["NotBatched", "PrefixReadouts"]


class NotBatched(Exception):
    """Data or parameters that only an ordinary fit can judge."""


class PrefixReadouts:
    """Solve the readout of the first rows of a sequence, for many lengths and penalties.

    Every result is what `fit_readout` makes of the same blocks of rows, to the last bit. Whole
    blocks of a `RidgeFactor` are shared by all lengths, which should come in rising order; what
    is left is absorbed into a copy. Penalties of one length share the factor, the system and the
    spectrum, which are dropped at the next length.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
    targets : ndarray of shape (n_rows, n_targets)
    weights : ndarray of shape (n_rows,) or None
    washout : int
        First rows that are left out.
    block : int
        Rows of a block of states in a fit: where "auto" looks first.
    dtype : dtype
        Precision of the states.
    memory : ndarray of shape (n,), optional
        Where blocks of rows are put together, if it is large enough; fresh memory costs time.
    """

    def __init__(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        *,
        washout: int,
        block: int,
        dtype: Any,
        memory: np.ndarray | None = None,
    ) -> None:
        self.features, self.targets, self.weights = features, targets, weights
        self.washout, self.block, self.dtype = washout, block, dtype
        self._kept: np.ndarray | None = None  # rows of positive weight, where not all are
        if weights is not None and not weights[washout:].all():
            self._kept = washout + np.flatnonzero(weights[washout:])
        self._height = RowBuffer(features.shape[1], targets.shape[1]).height
        self._memory = np.empty(0) if memory is None else memory
        self._n_rows = -1  # of the length solved last, which all but these two belong to
        self._whole: dict[str, tuple[int, RidgeFactor]] = {}  # of so many blocks
        self._looks: dict[tuple, tuple[float, float]] = {}
        self._factors: dict[tuple, RidgeFactor] = {}
        self._systems: dict[tuple, RidgeSystem] = {}
        self._spectra: dict[tuple, Spectrum] = {}

    def solve(
        self, n_rows: int, *, alpha: Any, solver: str, fit_intercept: bool, owner: str
    ) -> ReadoutFit:
        """Fit to the first rows.

        Parameters
        ----------
        n_rows : int
            Washout included.
        alpha, solver, fit_intercept, owner
            As for `fit_readout`, whose errors and warnings these are, too.

        Returns
        -------
        ReadoutFit
        """
        alpha = check_alpha(alpha, owner)
        check_solver(solver, owner)
        if n_rows != self._n_rows:
            for kept in (self._factors, self._systems, self._spectra):
                kept.clear()
            self._n_rows = n_rows
        if solver == "auto" and self._by_size(n_rows, alpha, owner) != "auto":
            raise NotBatched("ordinary fits solve it in less memory")
        if not isinstance(alpha, float):
            factor = self._factor("gram" if solver == "cholesky" else "qr", n_rows)
            return _select(factor, alpha, lambda: self._blocks(n_rows), fit_intercept=fit_intercept)
        if solver == "auto" and alpha > 0.0:
            fit = self._by_normal_equations(n_rows, alpha, fit_intercept)
            if fit is not None:
                return fit
        if solver == "cholesky":
            factor = self._factor("gram", n_rows)
            return solve_factor(
                factor, alpha=alpha, solver=solver, fit_intercept=fit_intercept, owner=owner
            )
        factor, system = self._factor("qr", n_rows), self._system("qr", n_rows, fit_intercept)
        if solver != "svd":
            coef, condition = factor_solve(system.xx, system.xy, alpha)
            if coef is not None:
                return _fitted(factor, system, coef, alpha, "qr", factor.n_features, condition)
        key = n_rows, fit_intercept
        if key not in self._spectra:
            self._spectra[key] = system.spectrum()
        _warn_rank(self._spectra[key], system, alpha)
        return _fitted_spectrum(factor, system, self._spectra[key], alpha)

    def _by_size(self, n_rows, alpha, owner):
        return by_size(self.features.shape[1], self._n_used(n_rows), alpha, owner)

    def _by_normal_equations(self, n_rows, alpha, fit_intercept):
        """What `_try_normal_equations` finds, with its look at the first rows."""
        first = self._first_look(n_rows)
        # the look allows three times as much, so where it sees all rows it decides nothing
        if first is not None and first < n_rows and not self._passes(first, alpha, fit_intercept):
            return None
        system = self._system("gram", n_rows, fit_intercept)
        solved = _accurate(system, alpha, _LOSS_ALLOWED)
        if solved is None:
            return None
        factor = self._factor("gram", n_rows)
        return _fitted(factor, system, solved[0], alpha, "cholesky", factor.n_features, solved[1])

    def _first_look(self, n_rows):
        """End of the first block with more than twice as many rows as features, or None."""
        enough = 2 * self.features.shape[1] + 1
        for end in [*range(self.block, n_rows, self.block), n_rows]:
            if self._n_used(end) > enough:
                return end
        return None

    def _passes(self, first, alpha, fit_intercept):
        """Whether the first rows allow normal equations, as they do for every larger penalty."""
        key = first, fit_intercept
        fails, passes = self._looks.get(key, (-np.inf, np.inf))
        if fails < alpha < passes:
            system = self._system("gram", first, fit_intercept)
            if _accurate(system, alpha, 3 * _LOSS_ALLOWED) is None:
                fails = alpha
            else:
                passes = alpha
            self._looks[key] = fails, passes
        return alpha >= passes

    def _system(self, method, n_rows, fit_intercept):
        key = method, n_rows, fit_intercept
        if key not in self._systems:
            factor = self._factor(method, n_rows)
            self._systems[key] = factor.system(fit_intercept=fit_intercept)
        return self._systems[key]

    def _factor(self, method, n_rows):
        key = method, n_rows
        if key not in self._factors:
            n_blocks, rest = divmod(self._n_used(n_rows), self._height)
            factor = self._blocks_absorbed(method, n_blocks).copy()
            if rest:
                factor._absorb(self._rows(n_blocks * self._height, rest))
            self._factors[key] = factor
        return self._factors[key]

    def _blocks_absorbed(self, method, n_blocks):
        done, factor = self._whole.get(method, (n_blocks + 1, None))
        if done > n_blocks:
            shape = self.features.shape[1], self.targets.shape[1]
            done, factor = 0, RidgeFactor(*shape, method=method, dtype=self.dtype)
        for k in range(done, n_blocks):
            factor._absorb(self._rows(k * self._height, self._height))
        self._whole[method] = n_blocks, factor
        return factor

    def _n_used(self, n_rows):
        """How many of the first rows the readout learns from."""
        if self._kept is None:
            return max(n_rows - self.washout, 0)
        return int(np.searchsorted(self._kept, n_rows))

    def _rows(self, first, count):
        """Some of the rows used, [weight, features, targets], as in a `RowBuffer`."""
        if self._kept is None:
            rows: Any = slice(self.washout + first, self.washout + first + count)
        else:
            rows = self._kept[first : first + count]
        n_features = self.features.shape[1]
        width = 1 + n_features + self.targets.shape[1]
        if count * width > self._memory.size:
            self._memory = np.empty(count * width)
        block = self._memory[: count * width].reshape(count, width)
        block[:, 0] = 1.0 if self.weights is None else self.weights[rows]
        block[:, 1 : 1 + n_features] = self.features[rows]
        block[:, 1 + n_features :] = self.targets[rows]
        return block

    def _blocks(self, n_rows) -> Iterator[tuple]:
        for start in range(0, n_rows, self.block):
            rows = slice(max(start, self.washout), min(start + self.block, n_rows))
            if rows.stop > rows.start:
                weights = None if self.weights is None else self.weights[rows]
                yield self.features[rows], self.targets[rows], weights
