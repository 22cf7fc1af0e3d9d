"""The promises of an estimator whose rows are time steps, checked one after another."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from echocast.exceptions import EchocastWarning

from ._forecasters import with_seeds
from ._interrupts import check_transactional
from ._same import difference, is_finite
from ._sequence_runs import Runs, can_carry, cut, frozen, poisoned, random_parts, run_in_parts

__all__ = ["SequenceReport", "check_sequence_estimator"]

ROUNDING = 1e-11  # of the largest output: other shapes of products add up in another order


@dataclass(frozen=True)
class SequenceReport:
    """What was compared for an estimator that keeps all its promises.

    Attributes
    ----------
    name : str
        What was checked.
    n_comparisons : dict of int
        Comparisons of outputs for each promise.
    left_out : dict of str
        Promises that were not looked at, each with the reason.
    """

    name: str
    n_comparisons: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        done = ", ".join(f"{name} {count}" for name, count in self.n_comparisons.items())
        left = "; ".join(f"{name} ({why})" for name, why in self.left_out.items())
        return f"{self.name}: {done}" + (f"; left out: {left}" if left else "")


def check_sequence_estimator(
    estimator: Any,
    X: Sequence | None = None,
    y: Any = None,
    *,
    causal: bool | None = None,
    samples: bool | None = None,
    carry: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None,
    n_interrupts: int = 8,
    random_state: int = 0,
) -> SequenceReport:
    """Hold an estimator to what users of sequences rely on, by the outputs it gives.

    ==================  ========================================================================
    causality           outputs up to a step are those of the sequence that ends there, and do
                        not change by one bit when all later rows are replaced
    chunks              a sequence run in parts, with the state carried on, gives what it gives
                        in one run
    batches             what a sequence gives does not depend on the others in the list, on
                        their order or number; nor on what they hold, by one bit
    boundaries          each sequence starts from the same state: one that follows another gives
                        what it gives alone
    pure                `predict` and its like leave the estimator, NumPy's global stream and
                        their inputs alone, take inputs that are read-only, and say the same twice
    repeatable          a fit with a seed gives the same bits again: in the same object, in a
                        clone, and after fits to other data
    transactional       a fit that is stopped at any line leaves the former model or the new one
                        (`check_transactional`); one that fails on bad data, the former one
    copies              pickled, copied and cloned estimators predict the same; a clone is
                        unfitted, and the constructor stores what it is given
    ==================  ========================================================================

    Parameters
    ----------
    estimator : estimator
        Unfitted; works on clones. It takes a list of sequences in `fit`, and `predict`,
        `predict_proba` or `transform`. Make it small: it is fitted some twenty times.
    X : list of sequences, optional
        At least three: arrays (n_steps, n_features), or what else the estimator takes, such as
        strings. By default short noisy waves of two columns.
    y : list, array or None
        Targets as the estimator takes them. By default a delayed sum of the columns at each
        step; for classifiers one label a sequence.
    causal : bool, optional
        Whether an output may use rows up to its own step alone. By default True, but for
        estimators with ``bidirectional=True`` or ``causal=False``. Left out where outputs belong
        to whole sequences.
    samples : bool, optional
        Whether rows are samples that have nothing to do with each other, as in estimators of lag
        windows; X is then one array. By default where there is a parameter `window_order`, or
        ``layout="windows"``, and X is no list.
    carry : callable, optional
        ``carry(model, X, state)`` gives the outputs of one part of a sequence and the state
        after it; `state` is None for the first. Without it, estimators of this package run
        through `run_from` or `stream`.
    n_interrupts : int, default=8
        Lines at which `fit` (and `partial_fit`) are stopped.
    random_state : int, default=0
        Draws the data, the cuts and the lines.

    Returns
    -------
    SequenceReport

    Raises
    ------
    AssertionError
        If a promise is broken; the message names it, and the first number that differs.

    Examples
    --------
    >>> from echocast.reservoir import ESNRegressor
    >>> from echocast.testing import check_sequence_estimator
    >>> report = check_sequence_estimator(ESNRegressor(10, washout=5))
    >>> report.left_out
    {}
    >>> len(report.n_comparisons), report.n_comparisons["boundaries"]
    (8, 6)
    """
    made = with_seeds(estimator)
    given = made.get_params(deep=False)
    if samples is None:
        windows = "window_order" in given or given.get("layout") == "windows"
        samples = windows and not isinstance(X, (list, tuple))
    if causal is None:
        causal = not given.get("bidirectional", False) and given.get("causal", True)
    rng = np.random.RandomState(random_state)
    if X is None:
        X, y = _data(rng, is_classifier(made), samples)
    check = _Check(made, X, y, causal, samples, carry, n_interrupts, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EchocastWarning)
        return check.run()


def _data(rng, labels, samples):
    """Noisy waves of different lengths, and targets that depend on some steps before."""
    if samples:
        X = rng.randn(30, 6)
        return X, (X[:, 0] > 0).astype(int) if labels else X[:, 0] - X[:, 1] ** 2
    lengths = [13, 11, 14, 12, 11, 13] if labels else [34, 27, 30]
    X = []
    for k, n in enumerate(lengths):
        wave = np.sin((0.4 + 0.3 * (k % 2)) * np.arange(n)[:, None] + [0.0, 1.0])
        X.append(wave + 0.1 * rng.randn(n, 2))
    if labels:
        return X, np.arange(len(X)) % 2
    return X, [np.roll(x.sum(axis=1), 1) for x in X]


class _Check:
    """One estimator, its data, and the counts of comparisons."""

    def __init__(self, made, X, y, causal, samples, carry, n_interrupts, rng):
        self.made, self.X, self.y, self.causal, self.samples = made, X, y, causal, samples
        self.carry, self.n_interrupts, self.rng = carry, n_interrupts, rng
        self.name = type(made).__name__
        # Where the numbers are float32 inside, as in trained networks, they have seven digits.
        single = str(np.dtype(getattr(made, "dtype", None) or "float64")) == "float32"
        self.rounding = 1e-5 if single else ROUNDING
        self.counts: dict[str, int] = {}
        self.model = self.fitted()
        self.runs = Runs(self.model)
        self.left_out = self.runs.refusals(X)
        self.clean = self.runs(self.X)

    def fitted(self) -> Any:
        return self.fit(clone(self.made))

    def outputs(self, model, X=None):
        return Runs(model, self.runs.methods)(self.X if X is None else X)

    def fit(self, model, X=None, y=None):
        model.fit(self.X if X is None else X, self.y if X is None else y)
        return model

    def run(self) -> SequenceReport:
        if not is_finite(self.clean):
            raise AssertionError(f"{self.name} gives outputs that are not finite.")
        if self.samples:
            self._rows_are_samples()
        else:
            self._causality()
            self._chunks()
            self._batches()
            self._boundaries()
        self._pure()
        self._repeatable()
        self._copies()
        self._transactional()
        return SequenceReport(self.name, self.counts, self.left_out)

    def same(self, promise: str, what: str, left: Any, right: Any, rounding: float = 0.0) -> None:
        self.counts[promise] = self.counts.get(promise, 0) + 1
        differs = difference(left, right, rounding=rounding)
        if differs:
            raise AssertionError(f"{self.name} breaks `{promise}`: {what}: {differs}.")

    # ------------------------------------------------------------------ sequences

    def _causality(self):
        if not self.causal:
            self.left_out["causality"] = "outputs may use later rows"
            return
        if not self.runs.stepwise(self.X):
            self.left_out["causality"] = "outputs belong to whole sequences"
            return
        for k, sequence in enumerate(self.X):
            n = len(sequence)
            whole = self.runs.stepwise([sequence])
            for step in sorted({1, n // 2, int(self.rng.randint(1, n))}):
                before = cut(whole, step)
                what = f"sequence {k} ends at step {step}"
                got = self.runs.stepwise([sequence[:step]])
                self.same("causality", what, before, got, self.rounding)
                for how, other in poisoned(sequence, step).items():
                    got = self.runs.attempt(lambda: self.runs.stepwise([other]))  # noqa: B023
                    if got is not None:
                        what = f"rows of sequence {k} from step {step} on {how}"
                        self.same("causality", what, before, cut(got, step))

    def _chunks(self):
        if not (self.carry or can_carry(self.model)):
            self.left_out["chunks"] = "no state that can be carried on"
            return
        for k, sequence in enumerate(self.X):
            whole = self.runs.first([sequence])[0]
            for _ in range(3):
                parts = random_parts(sequence, self.rng)
                got = run_in_parts(self.model, parts, self.carry)
                what = f"sequence {k} in parts of {[len(p) for p in parts]}"
                self.same("chunks", what, np.ravel(whole), np.ravel(got), self.rounding)
        self._stream()

    def _stream(self):
        """A stream goes on from where a fit to one sequence ended."""
        if self.carry or not hasattr(self.made, "stream") or "predict_state" not in vars(self.made):
            return
        model = clone(self.made).set_params(predict_state="continue")
        try:
            stream = self.fit(model, self.X[0], self.y[0]).stream()
        except (TypeError, ValueError):
            return
        rows = self.X[1]
        got = [stream.predict_one(row) for row in rows]
        self.same("chunks", "a stream", model.predict(rows), np.array(got), self.rounding)

    def _batches(self):
        X, n = self.X, len(self.X)
        for what, order in {
            "in reverse order": list(range(n))[::-1],
            "shuffled and repeated": self.rng.randint(0, n, n + 2).tolist(),
            "one left out": list(range(n - 1)),
            "one alone": [n - 1],
        }.items():
            got = self.runs([X[i] for i in order])
            self.same("batches", what, self._pick(self.clean, order), got, self.rounding)
        for i in range(n):
            others = [poisoned(x, 0) if j != i else {} for j, x in enumerate(X)]
            for how in others[i - 1]:
                mixed = [x if j == i else others[j][how] for j, x in enumerate(X)]
                got = self.runs.attempt(lambda: self.runs(mixed))  # noqa: B023
                if got is not None:
                    what = f"sequences other than {i} {how}"
                    self.same("batches", what, self._pick(self.clean, [i]), self._pick(got, [i]))

    @staticmethod
    def _pick(outputs, order):
        return {name: [values[i] for i in order] for name, values in outputs.items()}

    def _boundaries(self):
        for k, sequence in enumerate(self.X):
            alone = self.runs([sequence])
            twice = self.runs([self.X[k - 1], sequence, sequence])
            for place in (1, 2):
                what = f"sequence {k} after another"
                self.same("boundaries", what, alone, self._pick(twice, [place]), self.rounding)

    def _rows_are_samples(self):
        n = len(self.X)
        for what, order in {
            "rows in another order": self.rng.permutation(n).tolist(),
            "every seventh row": list(range(0, n, 7)),
            "one row alone": [n - 1],
        }.items():
            got = self.runs(self.X[order])
            self.same("batches", what, self._pick(self.clean, order), got, self.rounding)
        for name in ("causality", "chunks", "boundaries"):
            self.left_out[name] = "rows are samples"

    # ------------------------------------------------------------------ any estimator

    def _pure(self):
        stream = np.random.get_state()  # noqa: NPY002
        model = self.fitted()
        before = pickle.dumps(vars(model))
        for _ in range(2):
            self.same("pure", "the same call again", self.clean, self.outputs(model))
        if pickle.dumps(vars(model)) != before:
            raise AssertionError(f"{self.name} breaks `pure`: predicting changes the estimator.")
        X, y = frozen(self.X), frozen(self.y)
        taken = pickle.dumps((X, y))
        locked = self.fit(clone(self.made), X, y)
        self.same("pure", "inputs that are read-only", self.clean, self.outputs(locked, X))
        if pickle.dumps((X, y)) != taken:
            raise AssertionError(f"{self.name} breaks `pure`: an input was changed.")
        open_X, open_y = copy.deepcopy(self.X), copy.deepcopy(self.y)
        self.outputs(self.fit(clone(self.made), open_X, open_y), open_X)
        self.same("pure", "inputs after fit and predict", [self.X, self.y], [open_X, open_y])
        self.same("pure", "NumPy's global stream", stream, np.random.get_state())  # noqa: NPY002

    def _repeatable(self):
        self.same("repeatable", "a clone", self.clean, self.outputs(self.fitted()))
        model = self.fitted()
        self.same("repeatable", "fitted twice", self.clean, self.outputs(self.fit(model)))
        X, y = self._other()
        model = self.fit(clone(self.made), X, y)
        got = self.outputs(self.fit(model))
        self.same("repeatable", "fitted to other data before", self.clean, got)

    def _other(self):
        """The same sequences in another order; targets go with them."""
        if self.samples:
            return self.X[::-1], self.y[::-1]
        return list(self.X[::-1]), None if self.y is None else self.y[::-1]

    def _transactional(self):
        former = self.fit(clone(self.made), *self._other())
        methods = {"fit": lambda model: self.fit(model)}
        if hasattr(former, "partial_fit"):
            methods["partial_fit"] = lambda model: model.partial_fit(
                *((self.X,) if self.y is None else (self.X, self.y))
            )
        for name, method in methods.items():
            try:
                report = check_transactional(
                    former, method, lambda m: self.outputs(m), n_points=self.n_interrupts
                )
            except AssertionError as error:
                raise AssertionError(
                    f"{self.name} breaks `transactional` ({name}): {error}"
                ) from error
            done = self.counts.get("transactional", 0)
            self.counts["transactional"] = done + report.n_points
        before = self.outputs(former)
        for bad in (None, self.X[:0], np.full((9, 2), np.nan)):
            model = copy.deepcopy(former)
            try:
                model.fit(bad, self.y)
            except Exception:
                self.same("transactional", "a fit that failed", before, self.outputs(model))

    def _copies(self):
        ways = {
            "pickled": lambda m: pickle.loads(pickle.dumps(m)),
            "copied": copy.copy,
            "copied deeply": copy.deepcopy,
        }
        kind = type(self.made)
        if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is not kind:
            del ways["pickled"]  # which finds classes by their names
            self.left_out["pickle"] = "the class is not in a module"
        for what, way in ways.items():
            self.same("copies", what, self.clean, self.outputs(way(self.model)))
        bare = clone(self.model)
        learnt = [n for n in vars(bare) if n.endswith("_") and not n.startswith("_")]
        if learnt:
            raise AssertionError(f"{self.name} breaks `copies`: a clone has {learnt[0]}.")
        for name, value in self.made.get_params(deep=False).items():
            again = type(self.made)(**{**self.made.get_params(deep=False), name: value})
            if again.get_params(deep=False)[name] is not value:
                raise AssertionError(f"{self.name} breaks `copies`: __init__ changes {name!r}.")
