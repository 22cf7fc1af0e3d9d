"""Readouts that learn row by row: recursive least squares, least mean squares, FORCE learning."""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_flag, check_number
from echocast._saving import ModelFiles

from ._base import transactional
from ._running import RunningReadout
from ._sequences import SequenceLayout, checked_rows, read_targets, read_weights

__all__ = ["FORCEReadout", "LMSReadout", "OnlineReadout", "RLSReadout"]

_ONE = np.ones(1)
_CALL_NANOSECONDS = 40e6  # a compiled call ends after about this long, so that Ctrl-C is served


class OnlineReadout(MultiOutputMixin, RegressorMixin, ModelFiles, BaseEstimator, metaclass=ABCMeta):
    """Abstract: a linear readout whose weights change with each row, in the order of the rows.

    Final classes define the hooks at the end. Sums are in float64, whatever the rows are in.
    """

    feeds_back = False  # whether the network hears its own outputs while it learns

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Start afresh and learn the rows of X, one after the other.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            States of a reservoir, or any features; rows in the order of time.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
        sample_weight : array-like of shape (n_rows,), optional
            A row of weight zero leaves no trace.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If X or y has missing or infinite values, or the weights grow without bound.
        """
        self._learn_checked(X, y, sample_weight, first=True)
        return self

    @transactional(keep_fitted=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on learning with the rows of X; the cuts between calls make no difference.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
        """
        self._learn_checked(X, y, sample_weight, first=not hasattr(self, "coef_"))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Outputs for rows of features, by the weights after the last row learnt.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_targets)
        """
        check_is_fitted(self)
        outputs = self._read_out(checked_rows(self, X, reset=False, dtype=np.float64))
        return outputs[:, 0] if self._fit_y_one_d else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R^2 over all rows, averaged over targets.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        rows, targets, weight, _ = self._read(X, y, sample_weight, first=False)
        return float(r2_score(targets, self._read_out(rows), sample_weight=weight))

    def _read_out(self, rows):
        return rows @ self.coef_.T + self.intercept_

    def _read(self, X, y, sample_weight, *, first, may_vanish=False):
        """Rows, targets (n_rows, n_targets) and weights, and whether y was 1-D."""
        rows = checked_rows(self, X, reset=first, dtype=np.float64)
        layout = SequenceLayout("rows", np.array([0, len(rows)]))
        targets, one_d = read_targets(y, layout, dtype=np.float64, owner=type(self).__name__)
        weight = read_weights(sample_weight, layout, dtype=np.float64, may_vanish=may_vanish)
        return rows, targets, weight, one_d

    def _learn_checked(self, X, y, sample_weight, *, first):
        self._check_params()
        X, targets, weight, one_d = self._read(
            X, y, sample_weight, first=first, may_vanish=not first
        )
        if first:
            self._fit_y_one_d = one_d
            self.begin(X.shape[1], targets.shape[1])
        elif targets.shape[1] != len(self.coef_):
            raise ValueError(
                f"y has {targets.shape[1]} targets, but {type(self).__name__} is expecting "
                f"{len(self.coef_)}."
            )
        else:
            self._own_memory()
        self.absorb(X, targets, weight)

    # ------------------------------------------- what networks use, without checks of the data

    def begin(self, n_features: int, n_targets: int) -> Self:
        """Forget all rows."""
        self._check_params()
        self.n_features_in_ = n_features
        self._fit_n_rows = 0
        self._begin(int(bool(self.fit_intercept)) + n_features, n_targets)
        self._settle()
        return self

    def absorb(self, S: np.ndarray, Y: np.ndarray, weight: np.ndarray | None = None) -> Self:
        """Learn rows of features (n_rows, n_features) and targets (n_rows, n_targets)."""
        if weight is not None and not weight.all():
            kept = np.flatnonzero(weight)
            S, Y, weight = S[kept], Y[kept], weight[kept]
        ones = int(bool(self.fit_intercept))
        n = ones + S.shape[1]
        slab = max(1, int(_CALL_NANOSECONDS / (2.0 * n * n)))
        rows = np.ones((min(slab, len(S)), n + Y.shape[1]))
        for first in range(0, len(S), slab):
            part = slice(first, first + slab)
            into = rows[: len(S[part])]
            into[:, :ones] = 1
            into[:, ones:n], into[:, n:] = S[part], Y[part]
            self._take(into, np.ones(len(into)) if weight is None else weight[part])
            self._fit_n_rows += len(into)
        return self._settled()

    def absorb_row(self, features: np.ndarray, targets: np.ndarray) -> Self:
        """Learn one row, (n_features,) and (n_targets,), as `absorb` does."""
        ones = int(bool(self.fit_intercept))
        row = np.empty((1, ones + features.size + targets.size))
        row[0, :ones] = 1
        row[0, ones : ones + features.size] = features
        row[0, ones + features.size :] = targets
        self._take(row, _ONE)
        self._fit_n_rows += 1
        return self._settled()

    def _settled(self):
        self._settle()
        if not np.isfinite(self.coef_).all():
            raise ValueError(
                f"The weights of {type(self).__name__} grew without bound. Scale the columns of "
                "X, or learn in smaller steps."
            )
        return self

    def due(self, n_steps: int) -> np.ndarray:
        """Which of the next steps of a network are to be learnt; they count as passed."""
        return np.ones(n_steps, dtype=bool)

    def copy(self) -> Self:
        """An independent copy, which goes on from the same rows."""
        other = copy.copy(self)
        other._own_memory()
        return other

    @property
    def n_samples(self) -> int:
        """Rows of positive weight taken in so far."""
        return self._fit_n_rows

    # ------------------------------------------------------- hooks of final classes

    @abstractmethod
    def _check_params(self) -> None:
        """Check the parameters."""

    @abstractmethod
    def _begin(self, n: int, n_targets: int) -> None:
        """Make the memory for `n` features, the constant among them."""

    @abstractmethod
    def _take(self, rows: np.ndarray, weight: np.ndarray) -> None:
        """Learn the rows ``[1,] features, targets`` of positive weights; they may be used up."""

    @abstractmethod
    def _settle(self) -> None:
        """Set `coef_` and `intercept_` to new arrays."""

    @abstractmethod
    def _own_memory(self) -> None:
        """Replace all arrays that `_take` changes by copies."""


class _SquareRoot(OnlineReadout, metaclass=ABCMeta):
    """Abstract: least squares with forgetting, by the R factor of all rows.

    Rows are counted from the first one, which is subtracted, so that an offset of the data does
    not cost digits, unless a loop runs through the readout.
    """

    def _check_params(self):
        owner = type(self).__name__
        check_number("alpha", self.alpha, owner, low=0.0, closed="neither")
        check_number("forgetting", self.forgetting, owner, low=0.0, high=1.0, closed="right")
        check_flag("fit_intercept", self.fit_intercept, owner)

    def _begin(self, n, n_targets):
        ones = int(bool(self.fit_intercept))
        R = np.zeros((n, n + n_targets))
        R[np.arange(ones, n), np.arange(ones, n)] = np.sqrt(self.alpha)
        self._fit_R, self._fit_shift = R, np.zeros(n - ones + n_targets)

    def constants(self) -> tuple[float, float, int]:
        """Root of forgetting, root of the penalty renewed at a time, and columns of ones."""
        ones, forgetting = int(bool(self.fit_intercept)), float(self.forgetting)
        if forgetting == 1:
            return 1.0, 0.0, ones
        lost = -np.expm1((len(self._fit_R) - ones) * np.log(forgetting))
        return np.sqrt(forgetting), np.sqrt(self.alpha * lost), ones

    def _take(self, rows, weight):
        from ._kernels_online import rls_rows

        keep, renewal, ones = self.constants()
        if ones:
            if not self._fit_n_rows and not self.feeds_back:
                self._fit_shift = rows[0, 1:].copy()
            rows[:, 1:] -= self._fit_shift
        if weight is not _ONE:
            rows *= np.sqrt(weight)[:, None]
        rls_rows(self._fit_R, rows, keep, renewal, self._fit_n_rows, ones)

    def _settle(self):
        from ._kernels_online import back_substitute

        n = len(self._fit_R)
        solved = np.zeros((self._fit_R.shape[1] - n, n))
        back_substitute(self._fit_R, solved)
        ones = int(bool(self.fit_intercept))
        self.coef_ = solved[:, ones:]
        self.intercept_ = np.zeros(len(solved))
        if ones:
            centre, target = np.split(self._fit_shift, [n - 1])
            self.intercept_ = solved[:, 0] + target - self.coef_ @ centre

    def _own_memory(self):
        self._fit_R = self._fit_R.copy()


class RLSReadout(_SquareRoot):
    r"""Recursive least squares: after each row the ridge solution of all rows so far.

    With :math:`\lambda` = `forgetting` the weights after row n minimise

    .. math:: \sum_{i \le n} \lambda^{n-i} |y_i - c_0 - C s_i|^2 + \alpha \|C\|^2

    Kept is the R factor of the rows, to which a row is added by Givens rotations (QR-RLS): nothing
    is squared and nothing inverted, so that rounding errors do not grow with the number of rows,
    as they do in the recursion of the inverse covariance matrix. A row costs about
    :math:`3 n^2` multiplications.

    Parameters
    ----------
    alpha : float > 0, default=1e-6
        Ridge penalty on the sum of squares; the intercept is not penalised.
    forgetting : float in (0, 1], default=1.0
        Factor on the weight of all older rows with each new one; about ``1 / (1 - forgetting)``
        rows count. 1 forgets nothing.
    fit_intercept : bool, default=True

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    n_features_in_ : int

    See Also
    --------
    RunningReadout : the same without forgetting, for many rows at a time.

    Notes
    -----
    Forgetting would take the penalty away too, and with it all that keeps weights small in
    directions that the rows do not excite ("wind-up"). What a feature's penalty loses over a round
    of n rows is therefore given back to one feature after the other.

    References
    ----------
    .. [1] S. Haykin, "Adaptive Filter Theory", 5th edition, 2014, sections 10.3 (RLS) and 15.2
       (QR-RLS).
    .. [2] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th edition, 2013, section 6.5.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from echocast.reservoir import RLSReadout
    >>> S = np.random.RandomState(0).randn(200, 3)
    >>> y = S @ [1.0, -2.0, 0.5] + 4
    >>> readout = RLSReadout(alpha=0.1).partial_fit(S[:50], y[:50]).partial_fit(S[50:], y[50:])
    >>> bool(np.allclose(readout.coef_, Ridge(0.1).fit(S, y).coef_, rtol=1e-12))
    True

    As the readout of a network that goes on learning, one row after the other:

    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.2 * np.arange(700))[:, None]
    >>> esn = ESNRegressor(50, readout=RLSReadout(forgetting=0.98), random_state=0)
    >>> stream = esn.fit(u[:300], u[1:301]).stream()
    >>> errors = [abs(stream.learn_one(u[t], -u[t + 1]) + u[t + 1])[0] for t in range(300, 699)]
    >>> bool(errors[0] > 0.1 and max(errors[-50:]) < 0.01)
    True
    """

    def __init__(
        self, *, alpha: float = 1e-6, forgetting: float = 1.0, fit_intercept: bool = True
    ) -> None:
        self.alpha = alpha
        self.forgetting = forgetting
        self.fit_intercept = fit_intercept

    @classmethod
    def going_on(cls, running: RunningReadout) -> Self:
        """A readout that has learnt the rows of another one."""
        new = cls(alpha=running.alpha, fit_intercept=running.fit_intercept)
        new.n_features_in_, new._fit_n_rows = running.n_features, running.n_samples
        n = int(running.fit_intercept) + running.n_features
        R = np.ascontiguousarray(running._R[:n])
        R[np.diagonal(R) < 0] *= -1
        new._fit_R, new._fit_shift = R, running._shift.copy()
        new._settle()
        return new


class FORCEReadout(_SquareRoot):
    r"""FORCE learning: recursive least squares while the output drives the network.

    As the readout of an `ESNRegressor` with ``feedback_scaling > 0``. The network hears its own
    output, not the target, from the first row on; the weights change so fast that the output
    follows the target all the same. So it meets the errors that feedback makes of errors while it
    can still learn from them, and afterwards `generate` runs freely. Networks that are chaotic on
    their own (`spectral_radius` around 1.5) learn best.

    Parameters
    ----------
    alpha : float > 0, default=1.0
        Ridge penalty; the initial inverse correlation matrix of [1]_ is the identity over `alpha`.
    forgetting : float in (0, 1], default=1.0
        As in `RLSReadout`.
    update_every : int, default=1
        Steps of the network from one update to the next.
    fit_intercept : bool, default=False

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    n_features_in_ : int

    Notes
    -----
    On given features (`fit`, `partial_fit`) there is no loop, and it is an `RLSReadout`. The
    update is that of [1]_, eq. (4) and (5), by Givens rotations in place of the recursion of P.

    References
    ----------
    .. [1] D. Sussillo, L. F. Abbott, "Generating coherent patterns of activity from chaotic neural
       networks", Neuron 63(4), 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor, FORCEReadout
    >>> t = np.arange(4500)
    >>> wave = np.sin(0.05 * t) + 0.5 * np.sin(0.1 * t)
    >>> esn = ESNRegressor(
    ...     300, spectral_radius=1.5, leak_rate=0.2, bias_scaling=0.1, feedback_scaling=1.0,
    ...     include_input=False, readout=FORCEReadout(), random_state=0,
    ... )
    >>> free = esn.fit(np.zeros((4000, 1)), wave[:4000]).generate(500)
    >>> bool(np.abs(free[:, 0] - wave[4000:]).max() < 0.1)
    True
    """

    feeds_back = True

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        forgetting: float = 1.0,
        update_every: int = 1,
        fit_intercept: bool = False,
    ) -> None:
        self.alpha = alpha
        self.forgetting = forgetting
        self.update_every = update_every
        self.fit_intercept = fit_intercept

    def _check_params(self):
        super()._check_params()
        owner = type(self).__name__
        check_number("update_every", self.update_every, owner, low=1, closed="left", integer=True)

    def _begin(self, n, n_targets):
        super()._begin(n, n_targets)
        self._fit_n_steps = 0

    def due(self, n_steps: int) -> np.ndarray:
        """Every so many of the steps of a network, counted from the first, however they come."""
        steps = int(self._fit_n_steps) + np.arange(n_steps)
        self._fit_n_steps += n_steps
        return steps % self.update_every == 0


class LMSReadout(OnlineReadout):
    r"""Least mean squares: one small step against the error of each row.

    .. math:: C \leftarrow C + \mu\, w\, (y - C s - c_0)\, s^\top / (\epsilon + |s|^2)

    (and the intercept likewise, as the weight of a constant feature). A row costs 2 n
    multiplications and memory is n numbers, but states of a reservoir are so correlated that
    thousands of rows are needed where `RLSReadout` takes hundreds.

    Parameters
    ----------
    learning_rate : float > 0, default=0.5
        Step size; below 2 if `normalized`, else below 2 over the largest eigenvalue of the
        correlation matrix of the features.
    normalized : bool, default=True
        Divide by the squared length of the features (NLMS).
    offset : float > 0, default=1e-6
        Added to the squared length.
    fit_intercept : bool, default=True

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features)
    intercept_ : ndarray of shape (n_targets,)
    n_features_in_ : int

    References
    ----------
    .. [1] B. Widrow, M. E. Hoff, "Adaptive switching circuits", IRE WESCON Convention Record, 1960.
    .. [2] S. Haykin, "Adaptive Filter Theory", 5th edition, 2014, chapters 6 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import LMSReadout
    >>> S = np.random.RandomState(0).randn(500, 3)
    >>> LMSReadout().fit(S, S @ [1.0, -2.0, 0.5] + 4).coef_.round(3)
    array([[ 1. , -2. ,  0.5]])
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.5,
        normalized: bool = True,
        offset: float = 1e-6,
        fit_intercept: bool = True,
    ) -> None:
        self.learning_rate = learning_rate
        self.normalized = normalized
        self.offset = offset
        self.fit_intercept = fit_intercept

    def _check_params(self):
        owner = type(self).__name__
        check_number("learning_rate", self.learning_rate, owner, low=0.0, closed="neither")
        check_number("offset", self.offset, owner, low=0.0, closed="neither")
        check_flag("normalized", self.normalized, owner)
        check_flag("fit_intercept", self.fit_intercept, owner)

    def _begin(self, n, n_targets):
        self._fit_weights = np.zeros((n_targets, n))

    def _take(self, rows, weight):
        from ._kernels_online import lms_rows

        rate, offset = float(self.learning_rate), float(self.offset)
        lms_rows(self._fit_weights, rows, weight, rate, offset, bool(self.normalized))

    def _settle(self):
        ones = int(bool(self.fit_intercept))
        self.coef_ = self._fit_weights[:, ones:].copy()
        self.intercept_ = np.zeros(len(self.coef_))
        if ones:
            self.intercept_ = self._fit_weights[:, 0].copy()

    def _own_memory(self):
        self._fit_weights = self._fit_weights.copy()
