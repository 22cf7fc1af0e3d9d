"""What every estimator around a fixed leaky reservoir shares: checks, weights, states, resets."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_generator, check_jobs, check_number, check_option, refuse
from echocast._saving import ModelFiles

from ._activations import activations
from ._blas import determinate
from ._sequences import SequenceLayout, read_rows
from ._time_chunks import TimeChunks, check_time_chunks, in_step

__all__ = ["BaseReservoir", "harvest", "resolve_washout", "transactional", "visit"]

_Method = TypeVar("_Method", bound=Callable[..., Any])


def transactional(*, keep_fitted: bool) -> Callable[[_Method], _Method]:
    """Make a fitting method all-or-nothing, and let it return the estimator.

    The method works on a shadow copy of the estimator; its attributes replace the old ones in
    one assignment at the very end, so an error or Ctrl-C leaves the former model as it was.
    With `keep_fitted` false the shadow starts without anything learnt before.
    """

    def decorate(method: _Method) -> _Method:
        @functools.wraps(method)
        def wrapped(self, *args, **kwargs):
            shadow = copy.copy(self)
            if not keep_fitted:
                for name in _fitted_names(shadow):
                    del shadow.__dict__[name]
            with determinate(self):
                method(shadow, *args, **kwargs)
            self.__dict__ = shadow.__dict__
            return self

        return cast(_Method, wrapped)

    return decorate


def _fitted_names(estimator):
    """Attributes written by fit: public ones end in "_", private ones start with "_fit_"."""
    return [
        name
        for name in vars(estimator)
        if name.startswith("_fit_") or (name.endswith("_") and not name.startswith("_"))
    ]


def resolve_washout(washout: Any, layout: SequenceLayout, owner: str) -> np.ndarray:
    """Rows left out at the start of each sequence; "auto" is min(100, n // 10)."""
    lengths = np.diff(layout.indptr)
    if isinstance(washout, str):
        return np.minimum(100, lengths // 10)
    for i, length in enumerate(lengths):
        if washout >= length:
            where = (
                "" if layout.form == "rows" else f" (sequence {layout.ids[i] if layout.ids else i})"
            )
            raise ValueError(
                f"washout={washout} leaves no sample of a sequence of {length}{where} "
                f"(n_samples={length}). Use a longer sequence or washout < {length}."
            )
    return np.full(len(lengths), washout)


def harvest(
    reservoir: Any,
    rows: np.ndarray,
    layout: SequenceLayout,
    initial_states: np.ndarray | None = None,
    *,
    feedback: np.ndarray | None = None,
    noise: float = 0.0,
    rng: np.random.RandomState | None = None,
    chunks: TimeChunks | None = None,
    in_order: bool = False,
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield (sequence, first step, states) over all sequences, in time order within each.

    The states are a view on a reused buffer, valid until the next item. With `chunks` a single
    sequence comes in the order of `TimeChunks.blocks`, and may end in `OutOfStep`; `in_order`
    finishes each sequence before the next.
    """
    from ._drive import iter_sequences, state_blocks

    if layout.n_sequences == 1:
        x0 = None if initial_states is None else initial_states[0]
        if chunks is not None:
            start = np.zeros(reservoir.n_units, reservoir.dtype) if x0 is None else x0
            blocks = chunks.blocks([reservoir], rows, [start], feedback)
            if blocks is not None:
                for first, states in blocks:
                    yield 0, first, states
                return
        blocks = state_blocks(reservoir, rows, x0, feedback=feedback, noise=noise, rng=rng)
        for start, states in blocks:
            yield 0, start, states
        return
    teacher = None if feedback is None else layout.split(feedback)
    yield from iter_sequences(
        reservoir,
        layout.split(rows),
        initial_states,
        feedback=teacher,
        noise=noise,
        rng=rng,
        in_order=in_order,
    )


def visit(
    reservoir: Any,
    rows: np.ndarray,
    layout: SequenceLayout,
    initial_states: np.ndarray,
    write: Callable[[slice, np.ndarray], None],
    n_jobs: int | None,
    chunks: TimeChunks | None = None,
) -> None:
    """Call `write` with a slice of the stacked rows and their states, for all rows.

    With `chunks` it may be called anew for all rows, if the chunks of a single sequence did not
    meet: what it writes must not depend on what it wrote before. Groups of sequences run on
    `n_jobs` threads. They are the groups of a run on one thread, so the states do not depend on
    the number of threads by a single bit.
    """
    n_threads = effective_n_jobs(n_jobs) if layout.n_sequences > 1 else 1
    if n_threads == 1:

        def run_all():
            for i, start, states in harvest(reservoir, rows, layout, initial_states, chunks=chunks):
                first = layout.indptr[i] + start
                write(slice(first, first + len(states)), states)

        in_step(chunks, run_all)
        return
    from ._drive import iter_sequences, sequence_groups

    sequences = layout.split(rows)
    groups = sequence_groups(reservoir, [len(part) for part in sequences])

    def run(share):
        for group in share:
            parts, starts = [sequences[i] for i in group], initial_states[group]
            for k, start, states in iter_sequences(reservoir, parts, starts):
                first = layout.indptr[group[k]] + start
                write(slice(first, first + len(states)), states)

    # The longest groups come first: dealt out in turn, they are spread evenly.
    shares = [groups[k::n_threads] for k in range(min(n_threads, len(groups)))]
    Parallel(n_jobs=n_threads, require="sharedmem")(delayed(run)(share) for share in shares)


class BaseReservoir(ModelFiles, BaseEstimator):
    """Abstract: a leaky reservoir with fixed random weights, driven by rows that are time steps."""

    # the parameters that `_check_reservoir` reads are stored by the final classes

    def _check_reservoir(self) -> Any:
        """Check the parameters of reservoir and state (done in fit) and return the dtype."""
        owner = type(self).__name__
        check_option("predict_state", self.predict_state, owner, ("auto", "continue", "reset"))
        check_jobs(getattr(self, "n_jobs", None), owner)
        check_time_chunks(getattr(self, "time_chunks", None), owner)
        return self._check_weights()

    def _check_weights(self) -> Any:
        """Check the parameters that weights are drawn from, and return the dtype."""
        owner = type(self).__name__
        check_number("n_units", self.n_units, owner, low=1, closed="left", integer=True)
        if self.spectral_radius is not None:
            check_number("spectral_radius", self.spectral_radius, owner, low=0, closed="left")
        _check_leak(self.leak_rate, self.n_units, owner)
        if not callable(self.activation):
            check_option("activation", self.activation, owner, activations())
        check_number("bias_scaling", self.bias_scaling, owner, low=0, closed="left")
        check_option("dtype", _dtype_name(self.dtype), owner, ("float32", "float64"))
        return np.dtype(_dtype_name(self.dtype))

    def _new_chunks(self, like: Any = None) -> TimeChunks | None:
        """How this call runs a long sequence in chunks; `like` is a fitted model's example."""
        asked = getattr(self, "time_chunks", None)
        check_time_chunks(asked, type(self).__name__)
        if asked is None:
            return None
        if like is None:
            return TimeChunks(asked)
        # Where fit found no use for chunks, nor are they tried again.
        return TimeChunks(asked, warmup=like.sync_warmup_) if like.time_chunks_ > 1 else None

    def _remember_chunks(self, chunks: TimeChunks | None) -> None:
        """Publish how the last fit ran."""
        if hasattr(self, "time_chunks"):
            run = TimeChunks(1) if chunks is None else chunks
            self.time_chunks_, self.sync_warmup_ = run.n_chunks, run.warmup
            self.sync_error_ = run.error

    def _check_washout(self) -> None:
        check_number(
            "washout", self.washout, type(self).__name__, low=0, integer=True, also=("auto",)
        )

    def _build_reservoir(self, n_inputs, n_outputs, rng, dtype) -> Any:
        """Draw and store W_in, W, b and W_fb (in this order); return them ready to run."""
        from ._drive import make_reservoir
        from ._weights import bias_vector, feedback_matrix, input_matrix, recurrent_matrix

        owner = type(self).__name__
        self.W_in_ = input_matrix(
            self.n_units,
            n_inputs,
            kind=self.input_weights,
            input_scaling=self.input_scaling,
            input_connectivity=self.input_connectivity,
            rng=rng,
            owner=owner,
            dtype=dtype,
        )
        self.W_ = recurrent_matrix(
            self.topology,
            self.n_units,
            connectivity=self.connectivity,
            spectral_radius=self.spectral_radius,
            rng=rng,
            owner=owner,
            dtype=dtype,
        )
        self.b_ = bias_vector(
            self.n_units, bias_scaling=self.bias_scaling, rng=rng, owner=owner, dtype=dtype
        )
        scaling = getattr(self, "feedback_scaling", 0.0)
        self.W_fb_ = None
        if np.any(np.asarray(scaling) != 0):
            self.W_fb_ = feedback_matrix(
                self.n_units, n_outputs, feedback_scaling=scaling, rng=rng, owner=owner, dtype=dtype
            )
        return make_reservoir(
            self.W_in_,
            self.W_,
            self.b_,
            leak_rate=self.leak_rate,
            activation=self.activation,
            W_fb=self.W_fb_,
            dtype=dtype,
        )

    def _random(self) -> np.random.RandomState:
        return check_generator(self.random_state)

    def _read_new(self, X, groups):
        check_is_fitted(self)
        return read_rows(self, X, groups=groups, reset=False, dtype=self._fit_reservoir.dtype)

    def _remember_end(self, layout, last_states, last_outputs=None) -> None:
        """Store the state and target each sequence ended with, and the stamp that follows it."""
        ends = {"state_": layout.per_sequence(last_states)}
        nexts = [None if s is None else s[1] for s in layout.stamps]
        keys = layout.ids if layout.form == "groups" else range(layout.n_sequences)
        ends["_fit_next_stamps"] = dict(zip(keys, nexts))
        if last_outputs is not None:
            ends["last_output_"] = layout.per_sequence(last_outputs)
        if layout.form == "groups" and getattr(self, "_fit_form", None) == "groups":
            # Series of a panel that are not in this chunk stay where they ended before.
            ends = {name: {**getattr(self, name), **new} for name, new in ends.items()}
        self.__dict__.update(ends)
        self._fit_form = layout.form

    def _initial_states(self, layout: SequenceLayout, initial_state: Any) -> np.ndarray:
        """States (n_sequences, n_units) from which the sequences of `layout` start."""
        shape = (layout.n_sequences, self._fit_reservoir.n_units)
        if initial_state is not None:
            return _given_states(initial_state, layout, shape, self._fit_reservoir.dtype)
        states = np.zeros(shape, dtype=self._fit_reservoir.dtype)
        for i, key in self._continued(layout):
            states[i] = self._end_of(self.state_, key)
        return states

    def _end_of(self, values, key):
        return values if self._fit_form == "rows" else values[key]

    def _continued(self, layout: SequenceLayout) -> list[tuple[int, Any]]:
        """Pairs (sequence, key of fit) of the sequences that continue where fit ended."""
        states = ("auto", "continue", "reset")
        check_option("predict_state", self.predict_state, type(self).__name__, states)
        if self.predict_state == "reset":
            return []
        if self.predict_state == "auto":
            keys = self._keys(layout)
            return [
                (i, key)
                for i, key in enumerate(keys)
                if layout.stamps[i] is not None
                and self._fit_next_stamps.get(key) is not None
                and _same_label(layout.stamps[i][0], self._fit_next_stamps[key])
            ]
        panel_kinds = {"groups": "groups", "list": "listed", "array3d": "listed", "rows": "rows"}
        matches = panel_kinds[layout.form] == panel_kinds[self._fit_form]
        if matches and layout.form != "groups":
            matches = layout.n_sequences == len(self._fit_next_stamps)
        if not matches:
            raise ValueError(
                "predict_state='continue' needs X in the form of fit and with the same "
                f"sequences; fit had {len(self._fit_next_stamps)} as '{self._fit_form}', X has "
                f"{layout.n_sequences} as '{layout.form}'. Pass `initial_state` instead."
            )
        return [(i, k) for i, k in enumerate(self._keys(layout)) if k in self._fit_next_stamps]

    def _keys(self, layout):
        if (layout.form == "groups") != (self._fit_form == "groups"):
            return [object()] * layout.n_sequences  # no sequence of fit can be meant
        return list(layout.ids) if layout.form == "groups" else list(range(layout.n_sequences))

    def _states_of(self, X, groups=None, initial_state=None) -> Any:
        rows, layout = self._read_new(X, groups)
        x0 = self._initial_states(layout, initial_state)
        states = np.empty((len(rows), self._fit_reservoir.n_units), dtype=rows.dtype)
        with determinate(self):
            chunks = self._new_chunks(like=self)
            visit(self._fit_reservoir, rows, layout, x0, states.__setitem__, self.n_jobs, chunks)
        return layout.restore(states)


def _same_label(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-14)  # a step of 0.1 does not add up exactly
    try:
        return bool(a == b)
    except TypeError:  # time-zone aware against naive
        return False


def _dtype_name(dtype) -> Any:
    if dtype is None:  # NumPy would take it for float64
        return None
    try:
        return np.dtype(dtype).name
    except TypeError:
        return dtype


def _check_leak(leak_rate, n_units, owner) -> None:
    if np.ndim(leak_rate) == 0:
        check_number("leak_rate", leak_rate, owner, low=0, high=1, closed="right")
        return
    leaks = np.asarray(leak_rate)
    rule = f"a float in (0, 1] or an array of shape ({n_units},) of such"
    if leaks.shape != (n_units,) or leaks.dtype.kind not in "fiu":
        refuse("leak_rate", owner, rule, leak_rate)
    if not ((leaks > 0) & (leaks <= 1)).all():
        refuse("leak_rate", owner, rule, leak_rate)


def _given_states(initial_state, layout, shape, dtype) -> np.ndarray:
    if isinstance(initial_state, dict):
        if layout.form != "groups":
            raise ValueError("`initial_state` may be a dict for a panel or with `groups` only.")
        missing = [key for key in layout.ids if key not in initial_state]
        if missing:
            raise ValueError(f"`initial_state` has no state for sequence {missing[0]!r}.")
        initial_state = [initial_state[key] for key in layout.ids]
    try:
        states = np.asarray(initial_state)
    except ValueError:
        raise ValueError("`initial_state` must hold states of one shape.") from None
    if states.dtype.kind not in "fiub":
        raise ValueError(f"`initial_state` must hold real numbers, got dtype {states.dtype}.")
    states, given = states.astype(dtype, copy=False), states.shape
    if states.ndim == len(shape) - 1 and shape[0] == 1:
        states = states[None]
    if states.shape != shape:
        wanted = shape[1:] if layout.form == "rows" else shape
        raise ValueError(f"`initial_state` must have shape {wanted}, got {given}.")
    if not np.isfinite(states).all():
        raise ValueError("`initial_state` contains NaN or infinity.")
    return np.ascontiguousarray(states)
