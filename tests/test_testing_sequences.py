"""check_sequence_estimator: all public estimators keep the promises, and broken ones are named."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

import sequence_cases as cases
from echocast.testing import check_sequence_estimator

ALL = {label: (made, arguments) for label, made, arguments in cases.instances()}


@pytest.mark.parametrize("label", list(ALL))
def test_every_public_estimator_keeps_its_promises(label):
    made, arguments = ALL[label]
    report = check_sequence_estimator(made, **arguments)
    assert set(report.left_out) <= cases.SEQUENCES
    promises = {"batches", "pure", "repeatable", "transactional", "copies"}
    assert promises <= set(report.n_comparisons)


def test_no_estimator_is_left_out():
    assert set(cases.CASES) == cases.public_estimators()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("label", list(ALL))
def test_other_cuts_and_data(label, seed):
    made, arguments = ALL[label]
    check_sequence_estimator(made, **arguments, random_state=seed + 1)


class Smoothed(BaseEstimator):
    """Exponential smoothing of the first column."""

    def __init__(self, rate=0.3, random_state=None):
        self.rate = rate
        self.random_state = random_state

    def fit(self, X, y=None):
        if X is None or len(X) == 0 or np.ndim(X[0]) != 2:
            raise ValueError("X must be a list of arrays")
        self.__dict__ |= {"start_": float(np.concatenate(X)[:, 0].mean())}
        return self

    def predict(self, X):
        return [self.run(x, self.start_)[0] for x in X]

    def run(self, x, level):
        levels = []
        for value in x[:, 0]:
            level = level + self.rate * (value - level)
            levels.append(level)
        return np.array(levels), level


class Centres(Smoothed):
    def predict(self, X):
        return [x[:, 0] - x[:, 0].mean() for x in X]


class Follows(Smoothed):
    """The state of one sequence goes on in the next."""

    def predict(self, X):
        level, outputs = self.start_, []
        for x in X:
            out, level = self.run(x, level)
            outputs.append(out)
        return outputs


class ScalesByAll(Smoothed):
    def predict(self, X):
        scale = max(np.abs(x).max() for x in X)
        return (
            [self.run(x, self.start_)[0] / scale for x in X] if len(X) > 1 else super().predict(X)
        )


class Counts(Smoothed):
    def predict(self, X):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        return super().predict(X)


class WritesIn(Smoothed):
    def predict(self, X):
        outputs = super().predict(X)
        for x in X:
            if x.flags.writeable:
                x += 1e-9
        return outputs


class NeedsToWrite(Smoothed):
    def predict(self, X):
        for x in X:
            x[0, 0] = x[0, 0] + 0
        return super().predict(X)


class Global(Smoothed):
    def fit(self, X, y=None):
        super().fit(X, y)
        np.random.rand()  # noqa: NPY002
        return self


class Unseeded(Smoothed):
    def fit(self, X, y=None):
        super().fit(X, y)
        self.start_ += np.random.default_rng().random()
        return self


class Remembers(Smoothed):
    def fit(self, X, y=None):
        before = getattr(self, "start_", 0.0)
        super().fit(X, y)
        self.__dict__ |= {"start_": self.start_ + 0.1 * before}
        return self


class Halfway(Smoothed):
    def fit(self, X, y=None):
        self.start_ = 0.0
        total = sum(x[:, 0].sum() for x in X)
        self.start_ = total / sum(len(x) for x in X)
        return self


class Converts(Smoothed):
    def __init__(self, rate=0.3, random_state=None):
        super().__init__(rate, random_state)
        self.rate = float(rate) * 1.0 + 0.0


class Forgets(Smoothed):
    def __getstate__(self):
        return {"rate": 0.5, "random_state": None, "start_": self.start_}


def carry(model, x, state):
    return model.run(x, model.start_ if state is None else state)


def careless_carry(model, x, state):
    return model.run(x, model.start_)


def test_a_plain_estimator_of_ones_own():
    report = check_sequence_estimator(Smoothed(), carry=carry)
    assert report.left_out == {}
    assert "chunks" in str(report)
    assert set(check_sequence_estimator(Smoothed()).left_out) == {"chunks"}


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Centres(), "causality"),
        (Follows(), "batches"),
        (ScalesByAll(), "batches"),
        (Counts(), "pure"),
        (WritesIn(), "pure|batches|causality|boundaries"),
        (NeedsToWrite(), "read-only"),
        (Global(), "pure`: NumPy's global stream"),
        (Unseeded(), "repeatable|pure"),
        (Remembers(), "repeatable"),
        (Halfway(), "transactional"),
        (Converts(np.float64(0.3)), "__init__|clone|constructor"),
        (Forgets(), "copies"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseEstimator) else "",
)
def test_a_broken_promise_is_named(broken, promise):
    with pytest.raises((AssertionError, ValueError, RuntimeError), match=promise):
        check_sequence_estimator(broken)


def test_a_state_that_is_not_carried_on_is_found():
    with pytest.raises(AssertionError, match="breaks `chunks`: sequence 0 in parts of"):
        check_sequence_estimator(Smoothed(), carry=careless_carry)


def test_what_refuses_everything_is_no_estimator_of_sequences():
    class Refuses(Smoothed):
        def predict(self, X):
            raise ValueError("never")

    with pytest.raises(ValueError, match="Nothing can be predicted"):
        check_sequence_estimator(Refuses())
