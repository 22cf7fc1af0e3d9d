"""Run one long sequence as chunks side by side, and check that each meets the one before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from echocast._checks import check_number, stack_level
from echocast.exceptions import NotContractingWarning

from ._custom import drive_custom
from ._machine import BLOCK_BYTES, Reservoir, block_rows, check_rows, scratch
from ._plan import frozen

__all__ = ["OutOfStep", "TimeChunks", "check_time_chunks", "in_step"]

_Result = TypeVar("_Result")

# Largest difference between a state at the start of a chunk and the end of the chunk before.
TOLERANCE = {"float64": 1e-13, "float32": 1e-5}
_FIRST_WARMUP = 64
# For sparse weights with fewer entries a row "auto" has nothing to gain, but in single precision.
_AUTO_ENTRIES = 20
# "auto" leaves a chunk at least this many times its warm-up, and runs no fewer chunks than that.
_AUTO_LENGTH, _AUTO_FEWEST = 4, 8
_PROBES = 4  # boundaries at which the length of the warm-up is found
_MOST_RUNS = 3
# One chunk in so many has a twin, whose state is knocked by so much at each block; it may not get
# further away than by the last number: rounding, which differs with the layout, would, too.
_TWINS = 16
_KNOCK = {"float64": 1e-8, "float32": 1e-4}
_MOST_APART = {"float64": 1e-5, "float32": 1e-2}
_NOT_FORGOTTEN = (
    "The reservoir does not forget its start soon enough for time_chunks: states that started "
    "apart still differ by {apart:.1g} where chunks would meet."
)
_AMPLIFIED = (
    "The reservoir makes too much of small differences for time_chunks: states {knock:.0e} apart "
    "become {apart} apart within a chunk."
)


class OutOfStep(Exception):
    """The chunks of a run did not meet: what was made of its states is to be thrown away."""


def check_time_chunks(value: Any, owner: str) -> None:
    """Raise unless `value` is None, "auto" or an int >= 1."""
    if value is not None:
        check_number("time_chunks", value, owner, low=1, integer=True, also=("auto",))


def in_step(chunks: TimeChunks | None, job: Callable[[], _Result]) -> _Result:
    """Result of `job`, which is called again as long as the chunks it runs do not meet."""
    while True:
        try:
            return job()
        except OutOfStep:
            assert chunks is not None


class TimeChunks:
    r"""How a sequence is cut into chunks, and how well they met.

    A reservoir that contracts forgets where it started. All chunks but the first start some
    steps early from the zero state, and all of them run as the columns of one state matrix: a
    weight then meets a row of states, and a dense matrix makes one matrix product a step. The
    state at the start of each chunk must equal the one that its predecessor ended in; by
    induction from the first chunk, which starts where the sequence starts, the states are then
    those of a run in one piece, as long as the reservoir does not make much of the differences
    within a chunk. Whether it does is seen where a chunk runs twice, the second time with its
    state knocked a little again and again.

    Parameters
    ----------
    asked : int or "auto"
        Number of chunks, at most. "auto" takes 64 for dense weights and 32 for sparse ones with
        twenty entries a row or more (any number in float32), if the series is long enough; all
        others, and weights on cyclic diagonals, gain nothing.
    warmup : int, default=64
        Steps to begin with. They are doubled as long as two runs, from zero and from one, end
        in different states at some of the boundaries.

    Attributes
    ----------
    n_chunks : int
        Chunks of the last run, 1 if it was in one piece.
    warmup : int
        Steps that each but the first ran early, 0 if there was one.
    error : float
        Largest difference found at a boundary, as a share of the largest state if that is
        above one.

    References
    ----------
    .. [1] H. Jaeger, "The 'echo state' approach to analysing and training recurrent neural
       networks", GMD Report 148, 2001, section 2 (state contraction).
    """

    def __init__(self, asked: int | str, *, warmup: int = _FIRST_WARMUP) -> None:
        self.asked = asked
        self.n_chunks, self.warmup, self.error = 1, 0, 0.0
        self._next_warmup = max(int(warmup), 1)
        self._planned_for = -1
        self._n_runs = 0

    def blocks(
        self,
        layers: Sequence[Reservoir],
        X: np.ndarray,
        initial_states: Sequence[np.ndarray],
        feedback: np.ndarray | None = None,
    ) -> Iterator[tuple[int, np.ndarray]] | None:
        """Yield (first row, states of all layers), or None if a run in one piece is called for.

        Parameters
        ----------
        layers : sequence of Reservoir
            Each but the first is driven by the states of the one before.
        X : ndarray of shape (n_steps, n_inputs)
        initial_states : sequence of ndarray of shape (n_units,), one a layer
        feedback : ndarray of shape (n_steps, n_outputs), optional
            Of the first layer.

        Returns
        -------
        iterator of (int, ndarray of shape (n_rows, n_units of all layers)) or None
            In time order within each chunk, the last rows last. A block is overwritten by the
            next one. The last item is followed by `OutOfStep` if the chunks did not meet; the
            next run has a longer warm-up, or is in one piece.
        """
        X, feedback = check_rows(layers[0], X, feedback)
        if self._planned_for != len(X):
            self._plan(layers, X, feedback)
        if self.n_chunks == 1:
            return None
        return self._run(layers, X, initial_states, feedback)

    def _plan(self, layers, X, feedback):
        """Find a warm-up after which the start is forgotten, and how many chunks that allows."""
        self._planned_for, self._n_runs = len(X), 0
        tolerance, before = TOLERANCE[layers[0].dtype.name], np.inf
        warmup = self._next_warmup
        while True:
            n_chunks = self._most_chunks(layers, len(X), warmup)
            if n_chunks == 1:
                break
            apart = _apart(layers, X, feedback, n_chunks, warmup)
            if apart <= tolerance:
                self.n_chunks, self.warmup, self._next_warmup = n_chunks, warmup, warmup
                return
            # Not closer than after half as many steps: more of them will not help.
            slow, before, warmup = not apart < 0.9 * before, apart, 2 * warmup
            if slow:
                break
        self._give_up(before, _NOT_FORGOTTEN)

    def _most_chunks(self, layers, n_steps, warmup):
        auto = self.asked == "auto"
        most = max(map(_of_use, layers)) if auto else int(self.asked)
        # A chunk is longer than its warm-up, so that none starts before the first row.
        n_chunks = min(most, n_steps // (warmup * _AUTO_LENGTH if auto else warmup + 1))
        return n_chunks if n_chunks >= (_AUTO_FEWEST if auto else 2) else 1

    def _give_up(self, apart, what):
        self.n_chunks, self.warmup, self.error = 1, 0, 0.0
        if np.isfinite(apart):  # else the series is too short, or the states are not finite
            warnings.warn(
                f"{what.format(apart=apart)} All steps are run one after the other. Lower "
                "`spectral_radius`, or set time_chunks=None.",
                NotContractingWarning,
                stacklevel=stack_level(),
            )

    def _run(self, layers, X, initial_states, feedback):
        count, n_steps = self.n_chunks, len(X)
        lengths = n_steps // count + (np.arange(count) < n_steps % count)
        longest, ends = int(lengths[0]), np.cumsum(lengths)
        late = longest - lengths  # 1 for the shorter ones: all of them end together
        firsts = ends - longest
        # Chunks in the middle of as many stretches of the sequence, each a second time.
        n_twins = max(1, count // _TWINS)
        doubled = (2 * np.arange(n_twins) + 1) * count // (2 * n_twins)
        columns = _Columns(layers, X, feedback)
        x = [np.zeros((count, layer.n_units), layer.dtype) for layer in layers]
        early = [part[1:] for part in x]
        for _ in columns.run(firsts[1:] - self.warmup, self.warmup, early):
            pass
        for part, state in zip(x, initial_states):
            part[0] = state
        begun = [part.copy() for part in x]
        x = [np.concatenate([part, part[doubled]]) for part in x]
        twins = _Twins([part[count:] for part in x], doubled)
        joint = np.empty((0, sum(part.shape[1] for part in x)), dtype=x[0].dtype)
        for t, blocks in columns.run(np.append(firsts, firsts[doubled]), longest, x):
            if t == 0:
                for part, block in zip(begun, blocks):
                    part[late > 0] = block[:count][late > 0, 0]
            twins.look(blocks)
            for chunk, skip in enumerate(late if t == 0 else np.zeros_like(late)):
                states = blocks[0][chunk, skip:]
                if len(blocks) > 1:
                    if len(joint) < len(states):
                        joint = np.empty((len(states), joint.shape[1]), dtype=joint.dtype)
                    states = joint[: len(states)]
                    np.concatenate([block[chunk, skip:] for block in blocks], axis=1, out=states)
                if len(states):
                    yield int(firsts[chunk] + t + skip), states
        met = [_distance(part[1:], last[: count - 1]) for part, last in zip(begun, x)]
        self._judge(layers, max(met), twins.apart)

    def _judge(self, layers, error, apart):
        self._n_runs += 1
        name = layers[0].dtype.name
        if apart > _MOST_APART[name]:
            self._give_up(apart, _AMPLIFIED.format(knock=_KNOCK[name], apart="{apart:.1g}"))
        elif error <= TOLERANCE[name]:
            self.error = error
            return
        else:
            longer = 2 * self.warmup
            n_chunks = self._most_chunks(layers, self._planned_for, longer)
            if n_chunks == 1 or self._n_runs == _MOST_RUNS:
                self._give_up(error, _NOT_FORGOTTEN)
            else:
                self.n_chunks, self.warmup, self._next_warmup = n_chunks, longer, longer
        raise OutOfStep


class _Twins:
    """Second runs of some chunks, their states knocked a little before each block."""

    def __init__(self, states, originals):
        self.states, self.originals = states, originals
        self.apart = 0.0  # furthest that one has been from its original
        rng = np.random.RandomState(0)
        self.knocks = [
            rng.choice([-1, 1], size=part.shape[1]).astype(part.dtype) * _KNOCK[part.dtype.name]
            for part in states
        ]
        self._knock()

    def look(self, blocks):
        """Compare the blocks that have just been run, and get ready for the next ones."""
        for block in blocks:
            apart = _distance(block[self.originals], block[-len(self.originals) :])
            self.apart = max(self.apart, apart)
        self._knock()

    def _knock(self):
        for part, knock in zip(self.states, self.knocks):
            part += knock * np.maximum(1, np.abs(part).max(axis=1, keepdims=True))
            knock *= -1  # so that a slow reservoir does not add up one after the other


class _Columns:
    """Stretches of one sequence that run side by side, through all layers."""

    def __init__(self, layers, X, feedback):
        self.layers, self.X, self.feedback = layers, X, feedback
        self.advances = [_advance(layer) for layer in layers]

    def run(self, firsts, n_steps, states):
        """Yield (step, blocks) of `n_steps` rows from each of `firsts`; `states` end as the last.

        A block and the states have one entry a layer: (n_stretches, n_rows, n_units) and
        (n_stretches, n_units).
        """
        width = len(firsts)
        n_rows = min(block_rows(layer, width, BLOCK_BYTES) for layer in self.layers)
        n_rows = max(1, min(n_rows, n_steps))
        memory = [np.empty((width, n_rows, part.shape[1]), part.dtype) for part in states]
        lowest = self.layers[0]
        inputs = np.empty((width, n_rows, len(lowest.projection)), lowest.dtype)
        for t in range(0, n_steps, n_rows):
            n = min(n_rows, n_steps - t)
            blocks = [part[:, :n] for part in memory]
            self._fill(inputs[:, :n], firsts + t)
            below = inputs[:, :n]
            for advance, x, block in zip(self.advances, states, blocks):
                advance(x, below, block)
                below = block
            yield t, blocks

    def _fill(self, inputs, firsts):
        """Write [X, 1, feedback] of the rows from each of `firsts` on."""
        n_inputs = self.X.shape[1]
        inputs[:, :, n_inputs] = 1
        for into, first in zip(inputs, firsts):
            rows = slice(first, first + len(into))
            into[:, :n_inputs] = self.X[rows]
            if self.feedback is not None:
                into[:, n_inputs + 1 :] = self.feedback[rows]


def _advance(layer):
    """A function of (states, inputs, out), all (n_stretches, n_rows, ...), that runs a layer."""
    dense = layer.plan.layout == "dense"

    def projected(below):
        """Inputs with the constant, which the states of a layer below come without."""
        if below.shape[2] == len(layer.projection):
            return below
        return np.concatenate([below, np.ones((*below.shape[:2], 1), below.dtype)], axis=2)

    def custom(x, below, out):
        block = np.moveaxis(projected(below) @ layer.projection, 0, 2).copy()
        drive_custom(layer.plan, layer.function, layer.leak[:, None], x.T, block)
        out[:] = np.moveaxis(block, 2, 0)
        x[:] = out[:, -1]

    if layer.function is not None:
        return custom
    from ._kernels_chunks import drive_chunks, drive_chunks_dense

    work, W_in = scratch(layer), frozen(layer.projection.T, layer.dtype)

    def rows(x, below, out):
        u = np.ascontiguousarray(projected(below).transpose(1, 0, 2))
        weights = layer.plan.arrays[0].T, layer.code, layer.leak, W_in.T
        drive_chunks_dense(*weights, u, x, np.empty_like(x), out, work, np.empty_like(x))

    def columns(x, below, out):
        u = np.ascontiguousarray(projected(below).transpose(1, 2, 0))
        weights = layer.plan.rowwise, layer.code, layer.leak, W_in
        state = np.ascontiguousarray(x.T)
        drive_chunks(*weights, u, state, np.empty_like(state), out, work, np.empty_like(state))
        x[:] = state.T

    return rows if dense else columns


def _apart(layers, X, feedback, n_chunks, warmup):
    """Largest difference at some boundaries of two runs over the warm-up, from zero and one."""
    edges = np.arange(1, n_chunks) * len(X) // n_chunks
    edges = edges[np.unique(np.linspace(0, len(edges) - 1, _PROBES).astype(int))]
    n = len(edges)
    x = [np.zeros((2 * n, layer.n_units), layer.dtype) for layer in layers]
    for part in x:
        part[n:] = 1
    for _ in _Columns(layers, X, feedback).run(np.tile(edges - warmup, 2), warmup, x):
        pass
    return max(_distance(part[:n], part[n:]) for part in x)


def _of_use(layer):
    """Chunks that make this layer faster."""
    if layer.plan.layout == "dense":
        return 64
    few = layer.plan.n_stored < _AUTO_ENTRIES * layer.n_units and layer.dtype == np.float64
    return 1 if few or layer.plan.layout == "shift" else 32


def _distance(a, b):
    """Largest difference of two states (..., n_units), as a share of its state if that is large."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float((np.abs(a - b).max(axis=-1) / np.abs(a).max(axis=-1).clip(1)).max())
