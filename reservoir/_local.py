"""Many overlapping local reservoirs side by side, for fields on a line or a ring."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from echocast._checks import check_flag, check_number, check_option

from ._features import FeatureRows
from ._machine import BLOCK_BYTES, Reservoir, block_rows
from ._regressor import SequenceRegressor
from ._sequences import SequenceLayout
from ._stepping import make_advance

__all__ = ["LocalESNRegressor", "LocalReservoirs"]


@dataclass(frozen=True)
class LocalReservoirs:
    """One reservoir copied along the columns of X, each copy on its own window; a `Machine`.

    Copy p answers for the cells ``p * group_size`` onwards and sees `overlap` more on each
    side. The features are three-dimensional, (n_rows, units and window, n_patches); the state
    is (n_patches, n_units).
    """

    reservoir: Reservoir
    n_cells: int
    group_size: int
    overlap: int
    periodic: bool
    include_input: bool

    @property
    def dtype(self) -> np.dtype:
        return self.reservoir.dtype

    @property
    def n_patches(self) -> int:
        return self.n_cells // self.group_size

    @property
    def window(self) -> int:
        return self.group_size + 2 * self.overlap

    @property
    def state_shape(self) -> tuple[int, int]:
        return self.n_patches, self.reservoir.n_units

    @property
    def n_states(self) -> int:
        return self.n_patches * self.reservoir.n_units

    @property
    def n_features(self) -> int:
        """Readout features of one patch."""
        return self.reservoir.n_units + (self.window if self.include_input else 0)

    @cached_property
    def cells(self) -> np.ndarray:
        """Columns that each patch sees, (window, n_patches); `n_cells` stands for "nothing"."""
        first = np.arange(self.n_patches) * self.group_size - self.overlap
        cells = first + np.arange(self.window)[:, None]
        if self.periodic:
            return cells % self.n_cells
        return np.where((cells >= 0) & (cells < self.n_cells), cells, self.n_cells)

    def windows(self, rows: np.ndarray) -> np.ndarray:
        """What the patches see, (n_rows, window, n_patches); zero beyond an open end."""
        if not self.periodic:
            nothing = np.zeros((len(rows), 1), dtype=rows.dtype)
            rows = np.concatenate([rows, nothing], axis=1)
        return rows[:, self.cells]

    def start(self, rows: np.ndarray, layout: SequenceLayout) -> np.ndarray:
        """Zero states."""
        return np.zeros((layout.n_sequences, *self.state_shape), dtype=self.dtype)

    def blocks(
        self, rows: np.ndarray, layout: SequenceLayout, states: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """See `Machine.blocks`."""
        res = self.reservoir
        advance = make_advance(res, self.n_patches)
        longest = int(np.diff(layout.indptr).max())
        n_rows = min(longest, block_rows(res, self.n_patches, 4 * BLOCK_BYTES))
        buffer = np.empty((n_rows, self.n_features, self.n_patches), dtype=self.dtype)
        units = np.empty((n_rows, res.n_units, self.n_patches), dtype=self.dtype)
        for i, (a, b) in enumerate(zip(layout.indptr[:-1], layout.indptr[1:])):
            x = np.ascontiguousarray(states[i].T)
            for first in range(a, b, n_rows):
                stop = min(first + n_rows, b)
                windows = self.windows(rows[first:stop])
                block, features = units[: stop - first], buffer[: stop - first]
                np.matmul(res.W_in, windows, out=block)
                block += res.b[:, None]
                advance(x, block)
                x = block[-1].copy()
                features[:, : res.n_units] = block
                if self.include_input:
                    features[:, res.n_units :] = windows
                yield i, first - a, features, x.T

    def stepper(self, state: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """See `Machine.stepper`."""
        res = self.reservoir
        advance = make_advance(res, self.n_patches)
        x = np.ascontiguousarray(state.T)
        features = np.empty((1, self.n_features, self.n_patches), dtype=self.dtype)
        bias = res.b[:, None]

        def step(row):
            windows = self.windows(row[None].astype(self.dtype, copy=False))
            block = np.matmul(res.W_in, windows)
            block += bias
            advance(x, block)
            x[:] = block[0]
            features[:, : res.n_units] = block
            features[:, res.n_units :] = windows[:, : self.n_features - res.n_units]
            return features

        return step


class _PatchRows(FeatureRows):
    """The rows of all patches below each other, for the one readout that they share."""

    machine: LocalReservoirs

    @property
    def n_targets(self) -> int:
        return self.machine.group_size

    @property
    def n_rows(self) -> int:
        return self.machine.n_patches * super().n_rows

    def __call__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        n_patches = self.machine.n_patches
        for features, targets, weights in super().__call__():
            stacked = features.transpose(0, 2, 1).reshape(-1, self.n_features)
            weights = None if weights is None else np.repeat(weights, n_patches)
            yield stacked, targets.reshape(-1, self.n_targets), weights


class _FieldRows(FeatureRows):
    """All patches side by side, for targets that are not the cells themselves."""

    machine: LocalReservoirs

    @property
    def n_features(self) -> int:
        return self.machine.n_features * self.machine.n_patches

    def __call__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        for features, targets, weights in super().__call__():
            yield features.reshape(-1, self.n_features), targets, weights


class _PatchFactors:
    """One ridge factor for each patch."""

    def __init__(self, factors):
        self.factors = factors

    @property
    def n_samples(self):
        return self.factors[0].n_samples

    def copy(self):
        return _PatchFactors([factor.copy() for factor in self.factors])

    def update(self, features, targets, weights):
        width = targets.shape[1] // len(self.factors)
        for p, factor in enumerate(self.factors):
            own = targets[:, p * width : (p + 1) * width]
            factor.update(features[:, :, p], own, weights)


class LocalESNRegressor(SequenceRegressor):
    r"""Local echo state networks for spatial systems: one small reservoir for each patch of cells.

    Rows of `X` are time steps, its columns are cells on a line or a ring in their order. The
    cells are cut into groups of `group_size`; each group has a reservoir of its own, which is
    driven by the cells of the group and by `overlap` more on either side, and predicts the
    cells of the group one step on. In closed loop (`generate`) neighbours exchange their
    predictions at every step. All reservoirs are copies of one, run side by side.

    With ``shared=True`` all patches also share one readout, trained on all of them at once:
    for a system with the same law everywhere that multiplies the training data by the number
    of patches. Scale such a field with one mean and one standard deviation over all cells
    (column by column, as `StandardScaler` does, each cell gets a law of its own and the shared
    readout fails). `y[t]` is what `X[t]` should give, as in `ESNRegressor`.

    Parameters
    ----------
    n_units : int, default=300
        Units of each local reservoir.
    group_size : int, default=1
        Cells that a reservoir predicts; must divide the number of columns of X.
    overlap : int, default=2
        Further cells that it sees on each side: at least as many as influence a cell within
        one step, so more for a longer time between rows (Lorenz-96: 2 for 0.01, 4 for 0.05).
    boundary : {"periodic", "open"}, default="periodic"
        What follows the last column: the first one again, or nothing (zeros).
    shared : bool, default=True
        Whether all patches share one readout. Otherwise each has its own, of which `alpha` is
        chosen by generalised cross-validation if there are several.
    spectral_radius : float or None, default=0.3
        As in `ESNRegressor`; a field at one time mostly tells its own future, so little memory
        is needed.
    leak_rate, bias_scaling, topology, connectivity, activation
        As in `ESNRegressor`.
    input_scaling : float or array of shape (group_size + 2 * overlap,), default=0.1
        Factor on the input weights; less than elsewhere, as neighbouring cells act together.
    input_connectivity : int or float, default=1.0
        Non-zeros of the input weights per unit (int) or their share (float).
    noise : float, default=0.0
        Standard deviation of Gaussian noise on the rows of X, in fit only. Smooth fields leave
        directions in which no training row moves, and a closed loop may run off along them: a
        noise of about 1e-3 then teaches the readout to come back. With noise, `partial_fit`
        starts each chunk from the clean state and so differs from one `fit`.
    alpha, fit_intercept, solver
        As in `ESNRegressor`.
    include_input : bool, default=True
        Whether a readout sees the cells of its window beside the states.
    washout : int or "auto", default="auto"
        Steps at the start of each sequence left out of the readout's fit; "auto" is
        ``min(100, n_steps // 10)`` in `fit` and 100 in `partial_fit`.
    predict_state : {"auto", "continue", "reset"}, default="auto"
        As in `ESNRegressor`.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of `W_in_`, `W_` and `b_`, drawn in this order, and of the noise.
    dtype : {"float64", "float32"}, default="float64"
        Precision of weights and states.
    input_weights : str, matrix or callable, default="uniform"
        Kind of input weights.
    target : {"value", "increment"}, default="value"
        With "increment" it learns ``y - X`` and adds X back, as in `ESNRegressor`.
    deterministic : bool, default=False
        Whether results are to have the same bits for any number of threads, as in `ESNRegressor`.

    Attributes
    ----------
    W_in_, W_, b_ : ndarray, ndarray or CSR array, ndarray
        The fixed weights of every local reservoir.
    n_patches_ : int
        Number of local reservoirs.
    coef_ : ndarray of shape (group_size, n_units + group_size + 2 * overlap)
        Readout weights; columns are the states, then the cells of the window if
        `include_input`. With ``shared=False`` there is one such matrix for each patch along the
        first axis. If y does not have the columns of X, every target is read from all patches:
        (n_targets, n_features_of_a_patch * n_patches), the patches varying fastest.
    intercept_ : ndarray of shape (group_size,), (n_patches, group_size) or (n_targets,)
    alpha_ : float, or ndarray of shape (n_patches,) with ``shared=False``
    solver_, alphas_, loo_errors_
        As in `ESNRegressor`; with ``shared=False`` lists, one entry a patch.
    state_ : ndarray of shape (n_patches, n_units), or one for each sequence
        State after the last step of fit: stacked after a list or 3-D array, a dict by id after
        groups.
    last_output_ : ndarray or dict
        Last target of fit.
    n_features_in_, feature_names_in_ : int, ndarray of str

    References
    ----------
    .. [1] J. Pathak, B. Hunt, M. Girvan, Z. Lu and E. Ott, "Model-free prediction of large
       spatiotemporally chaotic systems from data: a reservoir computing approach", Physical
       Review Letters 120, 024102, 2018.

    Examples
    --------
    A pulse that travels round a ring of 24 cells; two cells to the left are enough to know.

    >>> import numpy as np
    >>> from echocast.reservoir import LocalESNRegressor
    >>> angle = 2 * np.pi * (np.arange(24) - 0.5 * np.arange(300)[:, None]) / 24
    >>> u = np.exp(3 * np.cos(angle) - 3)
    >>> local = LocalESNRegressor(40, group_size=2, random_state=0).fit(u[:199], u[1:200])
    >>> local.coef_.shape
    (2, 46)
    >>> bool(np.abs(local.generate(100) - u[200:]).max() < 1e-2)
    True
    """

    _solvers = ("auto", "cholesky", "qr", "svd")

    def __init__(
        self,
        n_units: int = 300,
        *,
        group_size: int = 1,
        overlap: int = 2,
        boundary: str = "periodic",
        shared: bool = True,
        spectral_radius: Any = 0.3,
        leak_rate: Any = 1.0,
        input_scaling: Any = 0.1,
        bias_scaling: float = 1.0,
        topology: Any = "random",
        connectivity: Any = 10,
        input_connectivity: Any = 1.0,
        activation: Any = "tanh",
        noise: float = 0.0,
        alpha: Any = 1e-6,
        fit_intercept: bool = True,
        solver: str = "auto",
        include_input: bool = True,
        washout: Any = "auto",
        predict_state: str = "auto",
        random_state: Any = None,
        dtype: Any = "float64",
        input_weights: Any = "uniform",
        target: str = "value",
        deterministic: bool = False,
    ):
        self.n_units = n_units
        self.group_size = group_size
        self.overlap = overlap
        self.boundary = boundary
        self.shared = shared
        self.spectral_radius = spectral_radius
        self.leak_rate = leak_rate
        self.input_scaling = input_scaling
        self.bias_scaling = bias_scaling
        self.topology = topology
        self.connectivity = connectivity
        self.input_connectivity = input_connectivity
        self.activation = activation
        self.noise = noise
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.include_input = include_input
        self.washout = washout
        self.predict_state = predict_state
        self.random_state = random_state
        self.dtype = dtype
        self.input_weights = input_weights
        self.target = target
        self.deterministic = deterministic

    def _check_params(self):
        owner = type(self).__name__
        self._check_reservoir()
        self._check_learning()
        check_number("group_size", self.group_size, owner, low=1, closed="left", integer=True)
        check_number("overlap", self.overlap, owner, low=0, closed="left", integer=True)
        check_option("boundary", self.boundary, owner, ("open", "periodic"))
        check_flag("shared", self.shared, owner)
        check_number("noise", self.noise, owner, low=0, closed="left")
        return self._check_dtype()

    def _build(self, n_inputs, n_outputs, dtype):
        if n_inputs % self.group_size:
            raise ValueError(
                f"group_size={self.group_size} does not divide the {n_inputs} columns of X."
            )
        self._fit_increments = self._learns_increments(n_inputs, n_outputs)
        self._fit_own_cells = n_inputs == n_outputs
        self._fit_own_readouts = self._fit_own_cells and not self.shared
        window = int(self.group_size + 2 * self.overlap)
        rng = self._random()
        reservoir = self._build_reservoir(window, n_outputs, rng, dtype)
        self._fit_noise = np.random.RandomState(rng.randint(2**31 - 1))
        machine = LocalReservoirs(
            reservoir,
            n_inputs,
            int(self.group_size),
            int(self.overlap),
            self.boundary == "periodic",
            bool(self.include_input),
        )
        self.n_patches_ = machine.n_patches
        return machine

    # ------------------------------------------------- one readout, or one for each patch

    def _training_rows(self, data, washouts, states):
        kind = FeatureRows if self._fit_own_readouts else _PatchRows
        kind = kind if self._fit_own_cells else _FieldRows
        if not self.noise:
            return kind(self._fit_reservoir, self._learnt(data), washouts, states)
        noisy = replace(data, rows=self._with_noise(data.rows))
        return kind(self._fit_reservoir, self._learnt(noisy), washouts, states, clean=data.rows)

    def _with_noise(self, rows):
        self._fit_noise = copy.deepcopy(self._fit_noise)  # the former model keeps its own
        draws = self._fit_noise.standard_normal(rows.shape)
        return (rows + self.noise * draws).astype(rows.dtype, copy=False)

    def _solve(self, rows):
        if not self._fit_own_readouts:
            return super()._solve(rows)
        factors = self._new_factor(rows)
        self._absorb(factors, rows)
        return self._solve_factor(factors, own=True)

    def _new_factor(self, rows):
        if not self._fit_own_readouts:
            return super()._new_factor(rows)
        from ._readout import RidgeFactor

        machine = self._fit_reservoir
        method = "gram" if self.solver == "cholesky" else "qr"
        size = machine.n_features, machine.group_size
        return _PatchFactors(
            [
                RidgeFactor(*size, method=method, dtype=machine.dtype)
                for _ in range(machine.n_patches)
            ]
        )

    def _solve_factor(self, factor, *, own=False):
        if not self._fit_own_readouts:
            return super()._solve_factor(factor, own=own)
        return [super(LocalESNRegressor, self)._solve_factor(f, own=own) for f in factor.factors]

    def _publish(self, result):
        if not self._fit_own_readouts:
            super()._publish(result)
            return
        dtype = self._fit_reservoir.dtype
        self.coef_ = np.stack([r.coef for r in result]).astype(dtype, copy=False)
        self.intercept_ = np.stack([r.intercept for r in result]).astype(dtype, copy=False)
        if self._fit_increments:
            self.coef_ = self._with_persistence(self.coef_)
        self.alpha_ = np.array([r.alpha for r in result])
        self.solver_ = [r.solver_used for r in result]
        self.alphas_ = [r.alphas for r in result]
        self.loo_errors_ = [r.loo_errors for r in result]
        self.rank_ = np.array([r.rank for r in result])
        self.condition_ = np.array([r.condition for r in result])
        self._fit_factor = _PatchFactors([r.factor for r in result])

    def _with_persistence(self, coef):
        coef = coef.copy()
        machine = self._fit_reservoir
        cells = np.arange(machine.group_size)
        coef[..., cells, machine.reservoir.n_units + machine.overlap + cells] += 1
        return coef

    def _read_out(self, features):
        n_rows = len(features)
        if not self._fit_own_cells:
            return features.reshape(n_rows, -1) @ self.coef_.T + self.intercept_
        if not self._fit_own_readouts:
            cells = np.matmul(self.coef_, features).transpose(0, 2, 1) + self.intercept_
        else:
            by_patch = features.transpose(2, 0, 1) @ self.coef_.transpose(0, 2, 1)
            cells = by_patch.transpose(1, 0, 2) + self.intercept_
        return cells.reshape(n_rows, -1)

    def _write_states(self, rows, layout, initial_state, out):
        states = self._start_states(rows, layout, initial_state)
        n_units = self._fit_reservoir.reservoir.n_units
        for i, start, features, _ in self._fit_reservoir.blocks(rows, layout, states):
            first = layout.indptr[i] + start
            block = features[:, :n_units].transpose(0, 2, 1)
            out[first : first + len(block)] = block.reshape(len(block), -1)
