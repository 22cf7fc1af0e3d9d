"""Fixed weights of a reservoir: recurrent, input, bias and feedback matrices.

All come from one `RandomState`, in the order `W_in`, `W`, `b`, `W_fb`: call the functions in that
order. Every one draws in float64 and converts at the end, so float32 weights are the rounded
float64 ones, and a scale of zero draws as many numbers as any other.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse import csr_array, issparse

from echocast._checks import check_number, refuse

from ._spectral import spectral_radius as radius_of
from ._topologies import build_topology, distinct_columns, per_row, topologies

__all__ = [
    "bias_vector",
    "check_connectivity",
    "feedback_matrix",
    "input_matrix",
    "recurrent_matrix",
]

_INPUT_KINDS = ("bernoulli", "gaussian", "one_input_per_unit", "uniform")


def recurrent_matrix(
    topology: Any,
    n_units: int,
    *,
    connectivity: int | float,
    spectral_radius: float | None,
    rng: np.random.RandomState,
    owner: str,
    dtype: DTypeLike = np.float64,
) -> np.ndarray | csr_array:
    """Build the recurrent matrix and scale it to a spectral radius.

    Parameters
    ----------
    topology : str, matrix or callable(n_units, random_state)
        A name from `topologies`, an array or scipy sparse matrix of shape (n_units, n_units)
        (copied), or a function that returns one.
    n_units : int, >= 1
    connectivity : int or float
        An int is the number of non-zeros in a row (capped at `n_units`), a float in (0, 1] the
        share of non-zeros. So 1 is one in each row and 1.0 is all. Structures with fixed links
        and given matrices do not use it.
    spectral_radius : float, >= 0, or None
        Largest absolute eigenvalue of the result, exact to 1e-6 relative; None leaves the matrix
        as it was built. The open "delay_line" has no eigenvalue but 0: there it is the weight of
        each link.
    rng : RandomState
        Advanced by what the structure draws.
    owner : str
        Class name for error messages.
    dtype : float64 or float32
        Drawn and scaled in float64, then converted.

    Returns
    -------
    W : csr_array (int32 indices, sorted) or ndarray, of shape (n_units, n_units)
        CSR for the sparse structures and for sparse matrices given, ndarray for the others.

    Raises
    ------
    ValueError
        If a parameter is outside its range, a given matrix does not have `n_units` rows and
        columns of finite real numbers, or it is to be scaled and has no eigenvalue but 0.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir._weights import recurrent_matrix
    >>> rng = np.random.RandomState(0)
    >>> W = recurrent_matrix(
    ...     "cycle", 3, connectivity=1, spectral_radius=0.9, rng=rng, owner="ESNRegressor"
    ... )
    >>> W.toarray()
    array([[0. , 0. , 0.9],
           [0.9, 0. , 0. ],
           [0. , 0.9, 0. ]])
    """
    check_number("n_units", n_units, owner, low=1, closed="left", integer=True)
    check_connectivity("connectivity", connectivity, owner)
    check_number("spectral_radius", spectral_radius, owner, low=0.0, closed="left", also=(None,))
    W = _unscaled(topology, int(n_units), connectivity, rng, owner)
    if spectral_radius is not None:
        W = W * _scale(W, topology, float(spectral_radius), owner)
    return W.astype(dtype)


def input_matrix(
    n_units: int,
    n_inputs: int,
    *,
    kind: Any = "uniform",
    input_scaling: float | ArrayLike,
    input_connectivity: int | float,
    rng: np.random.RandomState,
    owner: str,
    dtype: DTypeLike = np.float64,
) -> np.ndarray:
    """Draw the input weights.

    Parameters
    ----------
    n_units, n_inputs : int, >= 1
    kind : {"uniform", "bernoulli", "gaussian", "one_input_per_unit"}, matrix or callable
        "uniform" on (-1, 1); "bernoulli" -1 or 1; "gaussian" with standard deviation 1;
        "one_input_per_unit" uniform, the units being split evenly between the inputs in blocks
        (some inputs stay unused if there are fewer units). A matrix of shape
        (n_units, n_inputs), or a callable(n_units, n_inputs, random_state) that returns one, is
        multiplied by `input_scaling` as well.
    input_scaling : float, >= 0, or array-like of shape (n_inputs,)
        Factor for all inputs, or one for each.
    input_connectivity : int or float
        An int is the number of inputs each unit hears (capped at `n_inputs`), a float in (0, 1]
        the share of non-zeros, spread evenly over the units. Only for the first three kinds.
        The weights that remain do not depend on it.
    rng : RandomState
    owner : str
        Class name for error messages.
    dtype : float64 or float32
        Drawn in float64, then converted.

    Returns
    -------
    W_in : ndarray of shape (n_units, n_inputs)

    Raises
    ------
    ValueError
        If a parameter is outside its range, or a given matrix has another shape or is not
        finite.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir._weights import input_matrix
    >>> rng = np.random.RandomState(0)
    >>> input_matrix(
    ...     4, 2, kind="bernoulli", input_scaling=[0.5, 2.0], input_connectivity=1.0,
    ...     rng=rng, owner="ESNRegressor",
    ... )
    array([[ 0.5,  2. ],
           [ 0.5,  2. ],
           [-0.5,  2. ],
           [-0.5,  2. ]])
    """
    check_number("n_units", n_units, owner, low=1, closed="left", integer=True)
    scaling = _check_scaling("input_scaling", input_scaling, n_inputs, owner)
    check_connectivity("input_connectivity", input_connectivity, owner)
    if isinstance(kind, str) and kind in _INPUT_KINDS:
        W_in = _drawn_inputs(kind, int(n_units), n_inputs, input_connectivity, rng)
    elif isinstance(kind, str):
        options = ", ".join(repr(name) for name in _INPUT_KINDS)
        refuse("input_weights", owner, f"a str among {{{options}}}, a matrix or a callable", kind)
    else:
        given = kind(n_units, n_inputs, rng) if callable(kind) else kind
        W_in = _given_matrix("input_weights", given, (n_units, n_inputs), owner)
        W_in = W_in.toarray() if issparse(W_in) else W_in
    return np.ascontiguousarray(W_in * scaling, dtype=dtype)


def bias_vector(
    n_units: int,
    *,
    bias_scaling: float,
    rng: np.random.RandomState,
    owner: str,
    dtype: DTypeLike = np.float64,
) -> np.ndarray:
    """Draw one bias for each unit, uniform on (-bias_scaling, bias_scaling).

    Parameters
    ----------
    n_units : int, >= 1
    bias_scaling : float, >= 0
        In the units of a unit's total input, before the activation.
    rng : RandomState
    owner : str
        Class name for error messages.
    dtype : float64 or float32

    Returns
    -------
    b : ndarray of shape (n_units,)

    Raises
    ------
    ValueError
        If `bias_scaling` is negative or not a finite number.
    """
    check_number("bias_scaling", bias_scaling, owner, low=0.0, closed="left")
    return (rng.uniform(-1.0, 1.0, n_units) * float(bias_scaling)).astype(dtype)


def feedback_matrix(
    n_units: int,
    n_outputs: int,
    *,
    feedback_scaling: float | ArrayLike,
    rng: np.random.RandomState,
    owner: str,
    dtype: DTypeLike = np.float64,
) -> np.ndarray:
    """Draw the weights from outputs back to units, uniform on (-1, 1) times the scaling.

    Parameters
    ----------
    n_units, n_outputs : int, >= 1
    feedback_scaling : float, >= 0, or array-like of shape (n_outputs,)
        Factor for all outputs, or one for each.
    rng : RandomState
    owner : str
        Class name for error messages.
    dtype : float64 or float32

    Returns
    -------
    W_fb : ndarray of shape (n_units, n_outputs)

    Raises
    ------
    ValueError
        If `feedback_scaling` is negative, not finite or of another length.
    """
    scaling = _check_scaling("feedback_scaling", feedback_scaling, n_outputs, owner)
    return (rng.uniform(-1.0, 1.0, (n_units, n_outputs)) * scaling).astype(dtype)


# ---- the parts of recurrent_matrix ------------------------------------------------------------


def _unscaled(topology, n_units, connectivity, rng, owner):
    shape = (n_units, n_units)
    if isinstance(topology, str):
        if topology not in topologies():
            options = ", ".join(repr(name) for name in topologies())
            rule = f"a str among {{{options}}}, a square matrix or a callable"
            refuse("topology", owner, rule, topology)
        built = build_topology(topology, n_units, connectivity, rng)
    elif callable(topology):
        built = build_topology(topology, n_units, connectivity, rng)
    else:
        built = topology
    return _given_matrix("topology", built, shape, owner)


def _scale(W, topology, wanted, owner):
    """Factor that brings the matrix to the wanted spectral radius."""
    if isinstance(topology, str) and topology == "delay_line":
        return wanted  # its links have weight 1
    if wanted == 0.0:
        return 0.0
    radius = radius_of(W)
    with np.errstate(divide="ignore", over="ignore"):
        factor = np.float64(wanted) / radius
    if not np.isfinite(factor):
        raise ValueError(
            f"The recurrent matrix of {owner} has spectral radius {radius:.3g}, because no unit "
            f"reaches itself again, so it cannot be scaled to `spectral_radius`={wanted:g}; pass "
            "`spectral_radius=None` to use the matrix as it is."
        )
    return factor


def _given_matrix(name, value, shape, owner):
    """Float64 copy of a matrix: canonical CSR with int32 indices if sparse, else ndarray."""
    rule = f"a matrix of shape {shape}"
    if issparse(value):
        if value.shape != shape or value.dtype.kind not in "fiub":
            refuse(name, owner, f"{rule} of real numbers", value)
        matrix = csr_array(value, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        parts = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
        matrix = csr_array(parts, shape=shape)
        numbers_in = matrix.data
    else:
        array = np.asarray(value)
        if array.shape != shape:
            refuse(name, owner, f"{rule}", f"shape {array.shape}")
        if array.dtype.kind not in "fiub":
            refuse(name, owner, f"{rule} of real numbers", f"dtype {array.dtype}")
        numbers_in = matrix = np.array(array, dtype=np.float64, order="C")
    if not np.isfinite(numbers_in).all():
        raise ValueError(f"The {name!r} matrix of {owner} contains NaN or infinity.")
    return matrix


# ---- the parts of input_matrix ----------------------------------------------------------------


def _drawn_inputs(kind, n_units, n_inputs, connectivity, rng):
    shape = (n_units, n_inputs)
    if kind == "bernoulli":
        W_in = np.where(rng.random_sample(shape) < 0.5, -1.0, 1.0)
    elif kind == "gaussian":
        W_in = rng.standard_normal(shape)
    else:
        W_in = rng.uniform(-1.0, 1.0, shape)
    if kind == "one_input_per_unit":
        heard = np.arange(n_units) * n_inputs // n_units
        return np.where(np.arange(n_inputs) == heard[:, None], W_in, 0.0)
    return W_in * _input_mask(n_units, n_inputs, connectivity, rng)


def _input_mask(n_units, n_inputs, connectivity, rng):
    """Which inputs each unit hears; a share is met exactly over the whole matrix."""
    if isinstance(connectivity, numbers.Integral):
        total = n_units * per_row(connectivity, n_inputs)
    else:
        total = max(1, round(float(connectivity) * n_units * n_inputs))
    if total == n_units * n_inputs:
        return 1.0
    least, extra = divmod(total, n_units)
    columns = distinct_columns(rng, n_units, least + (extra > 0), n_inputs)
    mask = np.zeros((n_units, n_inputs))
    np.put_along_axis(mask, columns.astype(np.int64), 1.0, axis=1)
    if extra:
        fewer = rng.permutation(n_units)[extra:]
        mask[fewer, columns[fewer, -1]] = 0.0
    return mask


# ---- checks -----------------------------------------------------------------------------------


def check_connectivity(name: str, value: Any, owner: str) -> None:
    """Raise unless `value` is a number of non-zeros in a row, or their share."""
    is_bool = isinstance(value, (bool, np.bool_))
    if isinstance(value, numbers.Integral) and not is_bool:
        ok = int(value) >= 1
    else:
        ok = isinstance(value, numbers.Real) and not is_bool and 0.0 < float(value) <= 1.0
    if not ok:
        refuse(
            name,
            owner,
            "an int in the range [1, inf) or a float in the range (0.0, 1.0]",
            value,
        )


def _check_scaling(name, value, n_columns, owner):
    """A finite factor >= 0, or one for each column."""
    if np.ndim(value) == 0:
        return float(check_number(name, value, owner, low=0.0, closed="left"))
    factors = np.asarray(value)
    ok = factors.shape == (n_columns,) and factors.dtype.kind in "fiu"
    if not (ok and np.isfinite(factors).all() and (factors >= 0.0).all()):
        rule = f"a float in the range [0.0, inf) or {n_columns} of them, one for each column"
        refuse(name, owner, rule, value)
    return factors.astype(np.float64)
