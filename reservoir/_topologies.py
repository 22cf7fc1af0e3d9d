"""Unscaled recurrent matrices by name: twelve structures and a registry for more.

``W[i, j]`` is the weight from unit j to unit i. Random weights are uniform on (-1, 1); structures
without random parts have all their main weights equal to 1. The scale is set afterwards, in
`_weights`. Sparse structures are built as whole arrays, without a loop over units.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

__all__ = ["build_topology", "per_row", "register_topology", "share", "topologies"]

_REWIRED = 0.1  # share of small-world links that leave the neighbourhood
# Beside the cycle's weight of 1; equal weights about double the error on NARMA-10 (200 units).
_JUMP, _SELF_LOOP = 0.25, 0.1
_DRAWS = 1000  # random graphs drawn until one has a cycle
_KEYS_AT_ONCE = 2**21  # random keys held at a time when columns are drawn by sorting


def topologies() -> list[str]:
    """Names that the `topology` parameter accepts, in alphabetical order.

    Returns
    -------
    names : list of str
        "random": `connectivity` non-zeros in each row, in random columns.
        "erdos_renyi": each weight is non-zero independently, `connectivity` in a row on average.
        "small_world": each unit hears its `connectivity` nearest neighbours on a ring, and a
        tenth of these links are moved to units farther away (Watts and Strogatz [1]_).
        "shift": `connectivity` random cyclic diagonals; the fastest to run.
        "dense": all weights non-zero.
        "orthogonal": a random rotation or reflection, uniform (Haar).
        "permutation": a random permutation matrix; each unit hears one unit and is heard by one.
        "cycle", "delay_line", "delay_line_feedback": unit i hears unit i - 1; closed to a ring,
        open, or open with the same weight back from unit i + 1 [2]_.
        "cycle_jumps": the cycle, and two-way links a quarter as strong between units 0, l, 2 l,
        ..., with l the square root of the number of units, rounded [3]_.
        "self_loop_cycle": the cycle, and a link a tenth as strong from each unit to itself.

        In the last six no weight is drawn at random, and `connectivity` plays no part in them nor
        in "dense" and "orthogonal". Names given to `register_topology` follow the same order.

    References
    ----------
    .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of small-world networks",
       Nature 393 (1998).
    .. [2] A. Rodan, P. Tino, "Minimum complexity echo state network", IEEE Trans. Neural Netw.
       22 (2011), sec. III.
    .. [3] A. Rodan, P. Tino, "Simple deterministically constructed cycle reservoirs with regular
       jumps", Neural Comput. 24 (2012), sec. 3.

    Examples
    --------
    >>> from echocast.reservoir import topologies
    >>> "cycle" in topologies()
    True
    """
    return sorted({**_BUILT_IN, **_REGISTERED})


def register_topology(name: str, func: Callable[..., Any]) -> None:
    """Give a recurrent structure a name that the `topology` parameter accepts.

    The matrix that `func` returns is scaled to the asked spectral radius afterwards. The name is
    known to the running process only: for parallel workers pass the function itself as `topology`.

    Parameters
    ----------
    name : str
        Not the name of a built-in topology. A name registered before is replaced.
    func : callable(n_units, random_state) -> matrix of shape (n_units, n_units)
        Draws from the `numpy.random.RandomState` it is given. If it has a parameter called
        `connectivity`, it is given the estimator's as well. May return an ndarray or a scipy
        sparse matrix.

    Raises
    ------
    ValueError
        If the name is empty or belongs to a built-in topology.
    TypeError
        If `name` is not a string or `func` is not callable.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import register_topology, topologies
    >>> def upper(n_units, random_state):
    ...     return np.triu(random_state.uniform(-1, 1, (n_units, n_units)))
    >>> register_topology("upper_triangle", upper)
    >>> "upper_triangle" in topologies()
    True
    """
    if not isinstance(name, str):
        raise TypeError(f"`name` must be a str, got {name!r}.")
    if not callable(func):
        raise TypeError(f"`func` must be callable(n_units, random_state), got {func!r}.")
    if not name or name in _BUILT_IN:
        raise ValueError(f"`name` must not be empty or a built-in topology, got {name!r}.")
    _REGISTERED[name] = func


def build_topology(
    topology: str | Callable[..., Any],
    n_units: int,
    connectivity: int | float,
    random_state: np.random.RandomState,
) -> Any:
    """Call the builder of that name, or the given one, with what its signature asks for."""
    func = topology if callable(topology) else {**_BUILT_IN, **_REGISTERED}[topology]
    try:
        wants_connectivity = "connectivity" in inspect.signature(func).parameters
    except (TypeError, ValueError):  # compiled callables without a signature
        wants_connectivity = False
    if wants_connectivity:
        return func(n_units, random_state, connectivity=connectivity)
    return func(n_units, random_state)


def per_row(connectivity: int | float, n_columns: int) -> int:
    """Non-zeros in a row: an int capped at the row's length, or a share rounded, at least 1."""
    if isinstance(connectivity, (float, np.floating)):
        return max(1, round(float(connectivity) * n_columns))
    return min(int(connectivity), n_columns)


def share(connectivity: int | float, n_columns: int) -> float:
    """Share of non-zeros in (0, 1]."""
    if isinstance(connectivity, (float, np.floating)):
        return float(connectivity)
    return min(1.0, int(connectivity) / n_columns)


# ---- random structures ------------------------------------------------------------------------


def _random(n_units, random_state, connectivity):
    columns = distinct_columns(random_state, n_units, per_row(connectivity, n_units), n_units)
    return _fixed_in_degree(columns, random_state)


def _erdos_renyi(n_units, random_state, connectivity):
    p = share(connectivity, n_units)
    for _ in range(_DRAWS):
        W = _bernoulli_graph(n_units, random_state, p)
        # Without any cycle all eigenvalues are zero; every row filled implies a cycle.
        if np.diff(W.indptr).all() or _has_cycle(W):
            return W
    raise ValueError(
        f"`connectivity`={connectivity!r} gave {n_units} units no cycle in {_DRAWS} draws of the "
        "'erdos_renyi' topology; raise it."
    )


def _bernoulli_graph(n_units, random_state, p):
    """Independent non-zeros with probability p, from the gaps between them in row order."""
    cells = n_units * n_units
    expected = int(cells * p + 6.0 * np.sqrt(cells * p) + 10.0)
    gaps = np.minimum(random_state.geometric(p, expected), cells + 1)
    while gaps.sum() <= cells:
        more = np.minimum(random_state.geometric(p, expected), cells + 1)
        gaps = np.concatenate([gaps, more])
    position = np.cumsum(gaps) - 1
    position = position[position < cells]
    values = random_state.uniform(-1.0, 1.0, position.size)
    indptr = np.searchsorted(position, np.arange(n_units + 1) * n_units)
    parts = (values, (position % n_units).astype(np.int32), indptr.astype(np.int32))
    return csr_array(parts, shape=(n_units, n_units))


def _has_cycle(W):
    n_groups, _ = connected_components(W, directed=True, connection="strong")
    return n_groups < W.shape[0] or bool(W.diagonal().any())


def _small_world(n_units, random_state, connectivity):
    k = per_row(connectivity, n_units)
    # Distances on the ring in the order 1, -1, 2, -2, ..., and the unit itself last.
    ring = np.zeros(n_units, dtype=np.int64)
    ring[0 : n_units - 1 : 2] = np.arange(1, n_units // 2 + 1)
    ring[1 : n_units - 1 : 2] = n_units - np.arange(1, (n_units - 1) // 2 + 1)
    distance = np.tile(ring[:k], (n_units, 1))
    far = ring[k : n_units - 1]
    moved = min(k, far.size)
    if moved:
        chosen = far[distinct_columns(random_state, n_units, moved, far.size)]
        rewired = random_state.random_sample((n_units, moved)) < _REWIRED
        distance[:, :moved][rewired] = chosen[rewired]
    return _fixed_in_degree(_targets(distance, n_units), random_state)


def _shift(n_units, random_state, connectivity):
    k = per_row(connectivity, n_units)
    # A unit's own past (offset 0) is used only if all the others are.
    offsets = (1 + random_state.permutation(n_units - 1))[:k] if n_units > 1 else []
    offsets = np.concatenate([offsets, [0]])[:k]
    distance = np.tile(offsets.astype(np.int64), (n_units, 1))
    return _fixed_in_degree(_targets(distance, n_units), random_state)


def _dense(n_units, random_state):
    return random_state.uniform(-1.0, 1.0, (n_units, n_units))


def _orthogonal(n_units, random_state):
    normal = random_state.standard_normal((n_units, n_units))
    with threadpool_limits(limits=1, user_api="blas"):  # its last bits depend on the number
        Q, R = qr(normal, check_finite=False)
    # Without the signs the distribution would depend on LAPACK's choice of reflectors.
    return Q * np.where(np.diag(R) < 0.0, -1.0, 1.0)


def _permutation(n_units, random_state):
    return _links(n_units, [(np.arange(n_units), random_state.permutation(n_units), 1.0)])


def distinct_columns(
    random_state: np.random.RandomState, n_rows: int, k: int, n_columns: int
) -> np.ndarray:
    """Draw `k` of `n_columns` columns for each row, every subset equally likely."""
    if k == n_columns:
        return np.tile(np.arange(n_columns, dtype=np.int32), (n_rows, 1))
    if k * k > 8 * n_columns:
        return _columns_by_keys(random_state, n_rows, k, n_columns)
    # Floyd's sampling, all rows at once: the i-th draw is from the first n - k + i + 1 columns,
    # and a column already taken is replaced by the last of them.
    uniform = random_state.random_sample((k, n_rows))
    chosen = np.empty((n_rows, k), dtype=np.int32)
    for i in range(k):
        last = n_columns - k + i
        drawn = (uniform[i] * (last + 1)).astype(np.int32)
        taken = (chosen[:, :i] == drawn[:, None]).any(axis=1)
        chosen[:, i] = np.where(taken, last, drawn)
    return chosen


def _columns_by_keys(random_state, n_rows, k, n_columns):
    """The columns of the k smallest random keys, a band of rows at a time."""
    chosen = np.empty((n_rows, k), dtype=np.int32)
    band = max(1, _KEYS_AT_ONCE // n_columns)
    for start in range(0, n_rows, band):
        rows = slice(start, min(start + band, n_rows))
        keys = random_state.random_sample((rows.stop - start, n_columns))
        chosen[rows] = np.argpartition(keys, k, axis=1)[:, :k]
    return chosen


def _targets(distance, n_units):
    return (np.arange(n_units)[:, None] + distance) % n_units


def _fixed_in_degree(columns, random_state):
    """CSR matrix with these columns in each row and uniform weights, in row order."""
    n_units, k = columns.shape
    columns = np.sort(columns, axis=1).astype(np.int32)
    indptr = np.arange(0, n_units * k + 1, k, dtype=np.int32)
    values = random_state.uniform(-1.0, 1.0, n_units * k)
    return csr_array((values, columns.ravel(), indptr), shape=(n_units, n_units))


# ---- fixed structures -------------------------------------------------------------------------


def _cycle(n_units, random_state):
    units = np.arange(n_units)
    return _links(n_units, [(units, (units - 1) % n_units, 1.0)])


def _delay_line(n_units, random_state):
    units = np.arange(1, n_units)
    return _links(n_units, [(units, units - 1, 1.0)])


def _delay_line_feedback(n_units, random_state):
    if n_units == 1:
        return _cycle(n_units, random_state)
    units = np.arange(1, n_units)
    return _links(n_units, [(units, units - 1, 1.0), (units - 1, units, 1.0)])


def _cycle_jumps(n_units, random_state):
    units = np.arange(n_units)
    length = max(2, round(np.sqrt(n_units)))
    start = np.arange(0, n_units - length + 1, length)
    end = (start + length) % n_units  # back at unit 0 if the length divides the ring
    start, end = start[start != end], end[start != end]
    return _links(
        n_units,
        [(units, (units - 1) % n_units, 1.0), (end, start, _JUMP), (start, end, _JUMP)],
    )


def _self_loop_cycle(n_units, random_state):
    units = np.arange(n_units)
    return _links(n_units, [(units, (units - 1) % n_units, 1.0), (units, units, _SELF_LOOP)])


def _links(n_units, groups):
    """CSR matrix of (rows, columns, weight) groups; coinciding links add up."""
    rows = np.concatenate([rows for rows, _, _ in groups])
    columns = np.concatenate([columns for _, columns, _ in groups])
    values = np.concatenate([np.full(rows.size, weight) for rows, _, weight in groups])
    links = (rows.astype(np.int32), columns.astype(np.int32))
    return csr_array((values, links), shape=(n_units, n_units))


_BUILT_IN: dict[str, Callable[..., Any]] = {
    "cycle": _cycle,
    "cycle_jumps": _cycle_jumps,
    "delay_line": _delay_line,
    "delay_line_feedback": _delay_line_feedback,
    "dense": _dense,
    "erdos_renyi": _erdos_renyi,
    "orthogonal": _orthogonal,
    "permutation": _permutation,
    "random": _random,
    "self_loop_cycle": _self_loop_cycle,
    "shift": _shift,
    "small_world": _small_world,
}
_REGISTERED: dict[str, Callable[..., Any]] = {}
