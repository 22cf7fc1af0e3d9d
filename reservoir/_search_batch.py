"""Evaluate the candidates of a search that share a reservoir, in one pass over the data."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._blas import determinate
from ._esn import ESNRegressor
from ._esn_machine import ESNMachine
from ._factor import RowBuffer
from ._features import FitData
from ._machine import BLOCK_BYTES, block_rows
from ._search_folds import Fold
from ._search_scores import Judge, Outputs, configured
from ._search_solve import NotBatched, PrefixReadouts
from ._search_states import FEWEST_COLUMNS, Draws, merge_runs, reservoir_of, run_features
from ._sequences import SequenceLayout, read_rows, read_targets, read_weights, refuse_reordered

__all__ = ["COLUMN_PARAMS", "READOUT_PARAMS", "Candidate", "can_batch", "evaluate", "value_key"]

_log = logging.getLogger("echocast")

# One pass over the data drives all values of these as columns.
COLUMN_PARAMS = ("spectral_radius", "input_scaling", "bias_scaling", "leak_rate")
# These read the same states.
READOUT_PARAMS = (
    "alpha",
    "solver",
    "fit_intercept",
    "include_input",
    "washout",
    "target",
    "predict_state",
    "n_jobs",
)


@dataclass(frozen=True)
class Candidate:
    """Place in the list of candidates, and those parameters of the regressor that it sets."""

    index: int
    params: dict


def can_batch(estimator: Any) -> bool:
    """Whether the engine does what this estimator, with its parameters set, would do."""
    return (
        type(estimator) is ESNRegressor
        and estimator.time_chunks is None
        and estimator.readout is None
        and np.ndim(estimator.noise) == 0
        and estimator.noise == 0
        and np.ndim(estimator.feedback_scaling) == 0
        and estimator.feedback_scaling == 0
    )


def value_key(value: Any) -> tuple:
    """A hashable stand-in; 1 and 1.0 differ, as they do for `connectivity`."""
    if isinstance(value, np.ndarray):
        return "array", value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(value_key, value))
    if value is None or isinstance(value, (str, bool, int, float, np.generic)):
        return type(value).__name__, value
    return "object", id(value)


@dataclass
class _Split:
    """Checked arrays of one fold, and where its states are found among the runs."""

    fold: Fold
    data: FitData
    one_d: bool
    names: dict
    test_rows: np.ndarray
    test_layout: SequenceLayout
    places: dict = field(default_factory=dict)  # (part, continued) -> (run, first row)

    @property
    def n_train(self) -> int:
        return len(self.data.rows)


@dataclass
class _Setting:
    """One column: an estimator with its weights, and the candidates that read its states."""

    estimator: Any
    candidates: list[tuple[Candidate, Any]]


def evaluate(
    base: Any,
    candidates: list[Candidate],
    folds: dict[int, Fold],
    scoring: Judge,
    max_bytes: int,
) -> Iterator[tuple[int, int, dict]]:
    """Yield (candidate, split, result) for what the engine can do; the rest needs ordinary fits.

    Parameters
    ----------
    base : ESNRegressor
    candidates : list of Candidate
        That differ in `COLUMN_PARAMS` and `READOUT_PARAMS` only.
    folds : dict of int to Fold
    scoring : Judge
    max_bytes : int
        Bound on the memory of states. Folds whose states do not fit in together are evaluated
        apart; one that does not by itself is left to ordinary fits, which keep no states.

    Yields
    ------
    tuple
    """
    usable = list(_usable(base, candidates))
    if not usable:
        return
    with determinate(usable[0][1]):
        try:
            batch = _Batch(usable, folds, scoring)
        except Exception:  # an ordinary fit reports it, if it is an error at all
            return
        if batch.bytes_of_one <= max_bytes:
            yield from batch.run(max_bytes)
            return
    if len(folds) == 1:
        _log.info(
            "search: the states of one setting take %d bytes, more than max_bytes=%d, so there "
            "are ordinary fits",
            batch.bytes_of_one,
            max_bytes,
        )
        return
    del batch
    items, half = list(folds.items()), len(folds) // 2
    for part in (items[:half], items[half:]):
        yield from evaluate(base, candidates, dict(part), scoring, max_bytes)


class _Batch:
    def __init__(self, usable, folds, scoring):
        self.scoring = scoring
        first = usable[0][1]
        self.dtype = np.dtype(first.dtype)
        self.splits = {}
        for k, fold in folds.items():
            try:
                self.splits[k] = _read(first, fold, self.dtype)
            except Exception:  # an ordinary fit of each candidate reports it
                continue
        if not self.splits:
            raise NotBatched
        n_inputs = {split.data.rows.shape[1] for split in self.splits.values()}
        if len(n_inputs) > 1:
            raise NotBatched
        self.draws = Draws(copy.deepcopy(first), *n_inputs)
        self.settings = self._group(usable)
        n_units, n_inputs = self.draws.W_in.shape
        with_input = any(est.include_input for _, est in usable)
        self.n_columns = n_units + (n_inputs if with_input else 0)
        self._place(usable)

    def _group(self, usable):
        settings: dict[tuple, _Setting] = {}
        for candidate, est in usable:
            key = tuple(value_key(getattr(est, name)) for name in COLUMN_PARAMS)
            if key not in settings:
                column = copy.copy(est)
                try:
                    column.__dict__.update(self.draws.weights(est))
                except Exception:  # an ordinary fit reports it
                    continue
                settings[key] = _Setting(column, [])
            settings[key].candidates.append((candidate, est))
        return list(settings.values())

    def _place(self, usable):
        """Find the runs from the zero state that hold the states of all parts of all folds."""
        wanted, places = [], []
        kinds = {est.predict_state: est for _, est in usable}
        for k, split in self.splits.items():
            train = split.data.rows
            probe = copy.copy(usable[0][1])
            probe._remember_end(split.data.layout, np.zeros((1, 1)))
            split.continues = {}
            parts = [("test", split.test_rows, split.test_layout)]
            if self.scoring.return_train_score:
                parts.append(("train", train, split.data.layout))
            wanted.append(train)
            places.append((k, "fit", False, 0))
            for name, rows, layout in parts:
                for kind in kinds:
                    probe.predict_state = kind
                    continued = bool(probe._continued(layout))
                    split.continues[name, kind] = continued
                    if (k, name, continued, len(train) * continued) in places:
                        continue
                    wanted.append(np.concatenate([train, rows]) if continued else rows)
                    places.append((k, name, continued, len(train) * continued))
        self.runs, which = merge_runs(wanted)
        for (k, name, continued, first), run in zip(places, which):
            self.splits[k].places[name, continued] = run, first
        self.chains = _chains(self.splits)

    def run(self, max_bytes):
        width = self._width(max_bytes)
        self.memory = self._block_memory()
        # One piece of memory for all: fresh memory costs more than the states written to it.
        n_rows = sum(map(len, self.runs))
        memory = np.empty((width * n_rows, self.n_columns), dtype=self.dtype)
        for start in range(0, len(self.settings), width):
            part = self.settings[start : start + width]
            began = time.perf_counter()
            columns = [setting.estimator for setting in part]
            reservoirs = [reservoir_of(column) for column in columns]
            states, first = [], 0
            for rows in self.runs:
                last = first + len(part) * len(rows)
                out = memory[first:last].reshape(len(part), len(rows), self.n_columns)
                run_features(self.draws, columns, reservoirs, rows, out)
                states.append(out)
                first = last
            shared = (time.perf_counter() - began) / (len(part) * len(self.splits))
            for i, setting in enumerate(part):
                yield from self._read_out(setting, reservoirs[i], [s[i] for s in states], shared)

    def _block_memory(self):
        """Room for the rows of any block that statistics are summed up from."""
        n_targets = max(split.data.targets.shape[1] for split in self.splits.values())
        n_rows = max(split.n_train for split in self.splits.values())
        height = min(n_rows, RowBuffer(self.n_columns, n_targets).height)
        return np.empty(height * (1 + self.n_columns + n_targets))

    @property
    def bytes_of_one(self):
        """Memory for the states of one setting."""
        return sum(map(len, self.runs)) * self.n_columns * self.dtype.itemsize

    def _width(self, max_bytes):
        """Settings to run side by side: where that is faster as many as fit, else one."""
        fitting = min(int(max_bytes // self.bytes_of_one), 32, len(self.settings))
        return fitting if self.draws.wide and fitting >= FEWEST_COLUMNS else 1

    def _read_out(self, setting, res, states, shared):
        machines = {
            flag: ESNMachine(res, include_input=flag)
            for flag in {bool(est.include_input) for _, est in setting.candidates}
        }
        block = block_rows(res, 1, BLOCK_BYTES)
        readouts: dict[tuple, PrefixReadouts] = {}
        for chain in self.chains:
            for k in chain:
                split = self.splits[k]
                run, _ = split.places["fit", False]
                column = self._fitted_column(setting, split, states[run], res.n_units)
                each = shared / len(setting.candidates)
                for candidate, est in setting.candidates:
                    began = time.perf_counter()
                    try:
                        model = self._model(column, est, candidate, machines)
                        key = (
                            chain[-1],
                            int(model._washouts(split.data.layout, stream=False)[0]),
                            bool(est.include_input),
                            est.target,
                        )
                        if key not in readouts:
                            readouts[key] = self._readouts(key, model, states[run], block)
                        model._publish(
                            readouts[key].solve(split.n_train, **model._readout_params())
                        )
                    except Exception:  # an ordinary fit reports it, if it fails as well
                        continue
                    fit_time = time.perf_counter() - began + each
                    yield candidate.index, k, self._score(model, split, states, block, fit_time)

    def _fitted_column(self, setting, split, features, n_units):
        """What a fit to this fold leaves behind, but for the readout."""
        column = copy.copy(setting.estimator)
        column.__dict__.update(split.names)
        column._fit_noise = np.random.RandomState(self.draws.noise_seed)
        column._fit_y_one_d, column._fit_n_targets = split.one_d, split.data.targets.shape[1]
        column._remember_chunks(None)
        last = features[split.n_train - 1, :n_units].copy()[None]
        column._remember_all(split.data, last, np.zeros(1, dtype=np.int64))
        return column

    def _model(self, column, est, candidate, machines):
        model = copy.copy(column)
        model.__dict__.update(candidate.params)
        n_inputs = self.draws.W_in.shape[1]
        model._fit_increments = model._learns_increments(n_inputs, column._fit_n_targets)
        model._fit_reservoir = machines[bool(est.include_input)]
        return model

    def _readouts(self, key, model, features, block):
        last, washout = key[:2]
        data = model._learnt(self.splits[last].data)
        n_rows = len(data.rows)
        width = model._fit_reservoir.n_features
        return PrefixReadouts(
            features[:n_rows, :width],
            data.targets,
            data.weights,
            washout=washout,
            block=block,
            dtype=self.dtype,
            memory=self.memory,
        )

    def _score(self, model, split, states, block, fit_time):
        outputs: Outputs = {}
        parts = [("test", split.test_rows, split.test_layout)]
        if self.scoring.return_train_score:
            parts.append(("train", split.data.rows, split.data.layout))
        for name, rows, layout in parts:
            continued = split.continues[name, model.predict_state]
            run, first = split.places[name, continued]
            found = _outputs(model, states[run][first : first + len(rows)], rows, block)
            finite = np.isfinite(found).all()  # else `predict` raises
            outputs[name] = (
                layout.restore(found[:, 0] if split.one_d else found) if finite else None
            )
        return self.scoring.scored(model, split.fold, fit_time, outputs)


def _usable(base, candidates):
    """Candidates whose parameters pass the checks of a fit."""
    for candidate in candidates:
        try:
            est = configured(base, candidate.params)
            est._check_params()
        except Exception:  # an ordinary fit reports it
            continue
        yield candidate, est


def _read(est, fold, dtype):
    est = copy.copy(est)
    if set(fold.fit_params) - {"sample_weight"}:
        raise NotBatched
    refuse_reordered(fold.X_train, fold.y_train)
    rows, layout = read_rows(est, fold.X_train, reset=True, dtype=dtype)
    if layout.form != "rows":
        raise NotBatched
    owner = type(est).__name__
    targets, one_d = read_targets(fold.y_train, layout, dtype=dtype, owner=owner)
    weights = read_weights(fold.fit_params.get("sample_weight"), layout, dtype=dtype)
    test_rows, test_layout = read_rows(est, fold.X_test, reset=False, dtype=dtype)
    if test_layout.form != "rows":
        raise NotBatched
    kept = ("n_features_in_", "feature_names_in_")
    names = {name: getattr(est, name) for name in kept if hasattr(est, name)}
    data = FitData(rows, layout, targets, weights)
    return _Split(fold, data, one_d, names, test_rows, test_layout)


def _chains(splits):
    """Lists of folds, each of which learns from the first rows of the next."""
    chains: list[list[int]] = []
    for k in sorted(splits, key=lambda k: -splits[k].n_train):
        for chain in chains:
            if _begins(splits[k], splits[chain[0]]):
                chain.insert(0, k)
                break
        else:
            chains.append([k])
    return chains


def _begins(short, long):
    """Whether the training data of one fold are the first rows of another's."""
    n = short.n_train
    a, b = short.data, long.data
    if short.places["fit", False] != long.places["fit", False]:
        return False
    if not np.array_equal(a.targets, b.targets[:n]) or (a.weights is None) != (b.weights is None):
        return False
    return a.weights is None or np.array_equal(a.weights, b.weights[:n])


def _outputs(model, features, rows, block):
    """What `predict` computes, in the same order of operations."""
    outputs = model._direct(rows) + model.intercept_
    n_states = model._fit_reservoir.n_states
    to_states = np.ascontiguousarray(model.coef_[:, :n_states].T)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        outputs[part] += features[part, :n_states] @ to_states
    return outputs
