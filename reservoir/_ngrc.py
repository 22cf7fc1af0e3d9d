"""Next-generation reservoir computing: a ridge readout on delayed inputs and their products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_degree, check_flag, check_number, check_option

from ._machine import BLOCK_BYTES
from ._regressor import SequenceRegressor
from ._sequences import SequenceLayout

__all__ = ["DelayFeatures", "NVARRegressor"]

# The readout's factor has the square of this many entries: 3 GB.
_MOST_FEATURES = 20_000


@dataclass(frozen=True)
class DelayFeatures:
    """Delayed inputs and their products, row by row; a `Machine` that remembers past rows.

    The features are [1, if `constant`], the inputs at delays 0, stride, 2 stride, ... (newest
    first), then for each of `degrees` all different products of that many of them.
    """

    n_inputs: int
    delays: int
    stride: int
    degrees: tuple[int, ...]
    constant: bool
    dtype: np.dtype

    @property
    def history(self) -> int:
        """Rows before the current one that are needed."""
        return (self.delays - 1) * self.stride

    @property
    def state_shape(self) -> tuple[int, int]:
        return self.history, self.n_inputs

    @property
    def n_linear(self) -> int:
        return self.delays * self.n_inputs

    @property
    def n_features(self) -> int:
        products = sum(comb(self.n_linear + p - 1, p) for p in self.degrees)
        return int(self.constant) + self.n_linear + products

    @property
    def n_states(self) -> int:
        return self.n_features

    @cached_property
    def products(self) -> list[np.ndarray]:
        """For each degree p the factors of its products, (p, n_products), in lexical order."""
        linear = range(self.n_linear)
        return [np.array(list(combinations_with_replacement(linear, p))).T for p in self.degrees]

    def start(self, rows: np.ndarray, layout: SequenceLayout) -> np.ndarray:
        """As if the first row of each sequence had been there for ever."""
        return np.repeat(rows[layout.indptr[:-1], None, :], self.history, axis=1)

    def blocks(
        self, rows: np.ndarray, layout: SequenceLayout, states: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """See `Machine.blocks`."""
        longest = int(np.diff(layout.indptr).max())
        n_rows = max(1, min(longest, BLOCK_BYTES // (self.n_features * self.dtype.itemsize)))
        buffer = np.empty((n_rows, self.n_features), dtype=self.dtype)
        for i, (a, b) in enumerate(zip(layout.indptr[:-1], layout.indptr[1:])):
            past = states[i]
            for first in range(a, b, n_rows):
                window = np.concatenate([past, rows[first : min(first + n_rows, b)]])
                features = buffer[: len(window) - self.history]
                self.fill(window, features)
                past = window[len(features) :]
                yield i, first - a, features, past

    def stepper(self, state: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """See `Machine.stepper`."""
        window = np.zeros((self.history + 1, self.n_inputs), dtype=self.dtype)
        window[1:] = state
        features = np.empty((1, self.n_features), dtype=self.dtype)

        def step(row):
            window[:-1] = window[1:]
            window[-1] = row
            self.fill(window, features)
            return features

        return step

    def fill(self, window: np.ndarray, out: np.ndarray) -> None:
        """Write the features of the last rows of `window`, as many as `out` has, to `out`."""
        n_rows, place = len(out), int(self.constant)
        out[:, :place] = 1
        linear = out[:, place : place + self.n_linear]
        for k in range(self.delays):
            first = self.history - k * self.stride
            linear[:, k * self.n_inputs : (k + 1) * self.n_inputs] = window[first : first + n_rows]
        place += self.n_linear
        for factors in self.products:
            product = linear[:, factors[0]]
            for other in factors[1:]:
                product *= linear[:, other]
            out[:, place : place + product.shape[1]] = product
            place += product.shape[1]

    def names(self, inputs: list[str]) -> list[str]:
        """Names of the features, such as "1", "x0", "x0[-2]", "x0*x1[-2]"."""
        delayed = [
            name if k == 0 else f"{name}[-{k * self.stride}]"
            for k in range(self.delays)
            for name in inputs
        ]
        products = ["*".join(delayed[j] for j in c) for f in self.products for c in f.T]
        return ["1"] * self.constant + delayed + products


class NVARRegressor(SequenceRegressor):
    r"""Next-generation reservoir computing: nonlinear vector autoregression with a ridge.

    Rows of `X` are time steps. The features of step t are the inputs
    :math:`u_t, u_{t-s}, \dots, u_{t-(k-1)s}` and all their different products of `degree`
    factors; the output is linear in them. Nothing is random and there is little to tune, but
    the number of features grows like ``(delays * n_features) ** degree``. `y[t]` is what
    `X[t]` should give: one-step forecasting passes ``X = u[:-1], y = u[1:]``, and `generate`
    then continues the series on its own.

    The first ``(delays - 1) * stride`` rows of a sequence lack history. They are not trained
    on; `predict` gives them outputs all the same, as if the first row had always been there.

    Parameters
    ----------
    delays : int, default=2
        Number k of copies of the input, the current one included.
    stride : int, default=1
        Steps s between them.
    degree : int or sequence of int, default=2
        Number of factors of the products beside the linear terms: 2 adds squares and products
        of two, 3 adds products of three only, (2, 3) both, 1 none.
    alpha : float, array of floats or "auto", default=1e-6
        Ridge penalty, as in `ESNRegressor`.
    increments : bool, default=True
        Learn ``y - X`` instead of y, so that the penalty shrinks towards "nothing changes";
        X is added back. Acts where y has as many columns as X, otherwise y itself is learnt.
    fit_intercept : bool or "penalised", default=True
        True: an intercept without penalty. "penalised": a constant feature, shrunk like the
        others, as in the authors' programs.
    solver : {"auto", "cholesky", "qr", "svd", "dual", "lsqr"}, default="auto"
        As in `ESNRegressor`.
    predict_state : {"auto", "continue", "reset"}, default="auto"
        Whether `predict` and `transform` take the last rows of fit as history. "auto" does so
        only if the index of X starts exactly one step after the last stamp of fit.
    dtype : {"float64", "float32"}, default="float64"
        Precision of the features.
    deterministic : bool, default=False
        Whether results are to have the same bits for any number of threads, as in `ESNRegressor`.

    Attributes
    ----------
    coef_ : ndarray of shape (n_targets, n_features_out)
        Readout weights; columns as in `get_feature_names_out`. With `increments_`, X is
        included.
    intercept_ : ndarray of shape (n_targets,)
    increments_ : bool
        Whether increments were learnt.
    alpha_, solver_, alphas_, loo_errors_
        As in `ESNRegressor`.
    state_ : ndarray of shape ((delays - 1) * stride, n_features), or one for each sequence
        The last rows of fit: stacked after a list or 3-D array, a dict by id after groups.
    last_output_ : ndarray or dict
        Last target of fit, in the same form.
    n_features_in_, feature_names_in_ : int, ndarray of str

    Notes
    -----
    Exact data in short steps make the delayed copies nearly collinear, and with a tiny penalty
    the closed loop may then explode although one-step errors are small. Raise `alpha`, or take
    ``delays=1`` with ``degree=(2, 3)`` where the whole state is observed. (The paper's data
    carry the error of a coarse integrator, which has the same effect as a larger penalty.)

    References
    ----------
    .. [1] D. J. Gauthier, E. Bollt, A. Griffith and W. A. S. Barbosa, "Next generation
       reservoir computing", Nature Communications 12, 5564, 2021.

    Examples
    --------
    The logistic map is a polynomial of degree two, so it is learnt exactly.

    >>> import numpy as np
    >>> from echocast.reservoir import NVARRegressor
    >>> u = [0.3]
    >>> for _ in range(60):
    ...     u.append(3.9 * u[-1] * (1 - u[-1]))
    >>> u = np.array(u)[:, None]
    >>> model = NVARRegressor(delays=1, alpha=0, increments=False).fit(u[:50], u[1:51])
    >>> model.coef_.round(6)
    array([[ 3.9, -3.9]])
    >>> model.get_feature_names_out().tolist()
    ['x0', 'x0*x0']
    >>> bool(np.allclose(model.generate(5), u[51:56]))
    True
    """

    def __init__(
        self,
        delays: int = 2,
        stride: int = 1,
        degree: Any = 2,
        *,
        alpha: Any = 1e-6,
        increments: bool = True,
        fit_intercept: Any = True,
        solver: str = "auto",
        predict_state: str = "auto",
        dtype: Any = "float64",
        deterministic: bool = False,
    ):
        self.delays = delays
        self.stride = stride
        self.degree = degree
        self.alpha = alpha
        self.increments = increments
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.predict_state = predict_state
        self.dtype = dtype
        self.deterministic = deterministic

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of `transform` and of `coef_`.

        Parameters
        ----------
        input_features : sequence of str, optional
            Names of the inputs; by default those seen in fit, else x0, x1, ...

        Returns
        -------
        ndarray of str
            Such as "x0", "x0[-1]" (one row earlier), "x0*x0[-1]".
        """
        check_is_fitted(self)
        known = getattr(self, "feature_names_in_", None)
        if input_features is None:
            input_features = [f"x{i}" for i in range(self.n_features_in_)]
            input_features = input_features if known is None else known
        elif known is not None and list(input_features) != list(known):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(input_features) != self.n_features_in_:
            raise ValueError(
                "input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(input_features)}"
            )
        return np.asarray(self._fit_reservoir.names(list(input_features)), dtype=object)

    def _check_params(self):
        owner = type(self).__name__
        check_number("delays", self.delays, owner, low=1, closed="left", integer=True)
        check_number("stride", self.stride, owner, low=1, closed="left", integer=True)
        self._degrees()
        if isinstance(self.fit_intercept, str):
            check_option("fit_intercept", self.fit_intercept, owner, ("penalised",))
        else:
            check_flag("fit_intercept", self.fit_intercept, owner)
        check_flag("increments", self.increments, owner)
        check_option("solver", self.solver, owner, self._solvers)
        check_option("predict_state", self.predict_state, owner, ("auto", "continue", "reset"))
        return self._check_dtype()

    def _degrees(self):
        """Different degrees above one, in increasing order."""
        given = check_degree(self.degree, type(self).__name__)
        return tuple(sorted({int(p) for p in given if p > 1}))

    def _build(self, n_inputs, n_outputs, dtype):
        self.increments_ = self._fit_increments = bool(self.increments) and n_outputs == n_inputs
        features = DelayFeatures(
            n_inputs,
            int(self.delays),
            int(self.stride),
            self._degrees(),
            isinstance(self.fit_intercept, str),
            dtype,
        )
        if features.n_features > _MOST_FEATURES:
            raise ValueError(
                f"degree={self.degree} of {features.n_linear} delayed inputs gives "
                f"{features.n_features} features, more than {_MOST_FEATURES}. Lower `degree` or "
                "`delays`, or split the columns (`LocalESNRegressor` does so for fields)."
            )
        return features

    def _washouts(self, layout, *, stream):
        history = self._fit_reservoir.history
        for length in () if stream else np.diff(layout.indptr):
            if length <= history:
                raise ValueError(
                    f"delays={self.delays} and stride={self.stride} need {history} row(s) of "
                    f"history, which leaves none to train on of a sequence of {length} "
                    f"(n_samples={length}). Use longer sequences or fewer delays."
                )
        return np.full(layout.n_sequences, history)

    def _readout_params(self):
        unpenalised = bool(self.fit_intercept) and not isinstance(self.fit_intercept, str)
        return {**super()._readout_params(), "fit_intercept": unpenalised}

    def _with_persistence(self, coef):
        coef = coef.copy()
        first = int(self._fit_reservoir.constant)
        coef[:, first : first + self.n_features_in_] += np.eye(
            self.n_features_in_, dtype=coef.dtype
        )
        return coef
