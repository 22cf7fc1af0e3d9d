"""What estimators of bits share: forms of weights, numbers of outputs, warm starts, caches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.reservoir import (
    AdaptiveComputationRNN,
    NeuralTuringMachine,
    RNNClassifier,
    RNNRegressor,
)
from echocast.reservoir.rnn._bits import BitBatch
from echocast.reservoir.rnn._tape import Tape
from rnn_fits import deep_state

RNG = np.random.RandomState(0)
X = RNG.standard_normal((6, 5, 2))
Y = (X.cumsum(axis=1) > 0).astype(float)
WEIGHTS = RNG.randint(0, 3, (6, 5)).astype(float)
LENGTHS = (5, 3, 5, 1, 2, 4)
PADDED = np.where(np.arange(5)[:, None] < np.array(LENGTHS)[:, None, None], X, np.nan)
SHARED = {"max_iter": 2, "batch_size": 4, "random_state": 0, "dtype": "float64"}
MAKE = {
    "machine": lambda **params: NeuralTuringMachine(
        **{"n_units": 4, "memory_shape": (5, 3), **SHARED, **params}
    ),
    "adaptive": lambda **params: AdaptiveComputationRNN(
        **{"n_units": 4, "max_ponder": 3, **SHARED, **params}
    ),
}


@pytest.fixture(params=MAKE)
def make(request):
    return MAKE[request.param]


# ------------------------------------------------------------------------- weights


def cut(array):
    return [part[:n] for part, n in zip(array, LENGTHS)]


def test_weights_of_steps_come_in_the_forms_of_y(make):
    whole = make().fit(X, Y, sample_weight=WEIGHTS)
    for sequences, weights in ((list(X), WEIGHTS), (list(X), list(WEIGHTS)), (X, list(WEIGHTS))):
        again = make().fit(sequences, list(Y) if isinstance(sequences, list) else Y,
                           sample_weight=weights)  # fmt: skip
        assert_array_equal(again.theta_, whole.theta_)
    parts = make().fit(cut(X), cut(Y), sample_weight=cut(WEIGHTS))
    for weights in (WEIGHTS, list(WEIGHTS), cut(WEIGHTS)):
        padded = make().fit(PADDED, Y, sample_weight=weights)
        assert_array_equal(padded.theta_, parts.theta_)
        assert padded.score(PADDED, Y, weights) == parts.score(cut(X), cut(Y), cut(WEIGHTS))
    assert parts.score(cut(X), cut(Y)) != parts.score(cut(X), cut(Y), cut(WEIGHTS))


def test_so_they_do_for_other_networks_with_outputs_at_each_step():
    settings = {"hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0}
    for model, y in (
        (RNNRegressor(**settings), Y[..., 0]), (RNNClassifier(**settings), Y[..., 0].astype(int))
    ):  # fmt: skip
        parts = model.fit(cut(X), cut(y), sample_weight=cut(WEIGHTS))
        theta, score = parts.theta_, parts.score(cut(X), cut(y), cut(WEIGHTS))
        padded = model.fit(PADDED, y, sample_weight=WEIGHTS)
        assert_array_equal(padded.theta_, theta)
        assert padded.score(PADDED, y, WEIGHTS) == pytest.approx(score)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_only_ratios_of_weights_count(make, scale):
    plain, scaled = (
        make(dtype="float32").fit(X, Y, sample_weight=w) for w in (WEIGHTS, scale * WEIGHTS)
    )
    assert_allclose(scaled.theta_, plain.theta_, rtol=1e-4, atol=1e-6)


def test_weights_that_do_not_fit(make):
    for weights, message in (
        (WEIGHTS[:, :4], "sample_weight has shape|expected"),
        (0 * WEIGHTS, "All sample weights are zero"),
        (WEIGHTS - 1, "Negative values"),
        (np.ones(6), "expected"),
    ):
        with pytest.raises(ValueError, match=message):
            make().fit(X, Y, sample_weight=weights)
        with pytest.raises(ValueError, match=message):
            make().fit(PADDED, Y, sample_weight=weights)


# ------------------------------------------------------------------------- outputs


def test_a_score_needs_as_many_bits_as_were_learnt(make):
    model = make().fit(X, Y)
    for y, n in ((Y[..., 0], 1), (Y[..., :1], 1), (np.repeat(Y, 2, axis=2), 4)):
        with pytest.raises(ValueError, match=rf"y has {n} bit\(s\) for each step, .* expecting 2"):
            model.score(X, y)
    single = make().fit(X, Y[..., 0])
    assert single.score(X, Y[..., 0]) == single.score(X, Y[..., :1])


def test_outputs_depend_on_no_later_input(make):
    """Whatever comes after a step, and whatever stands beside it in the batch."""
    model = make().fit(X, Y)
    expected = model.predict_proba(X)
    for t in range(1, 5):
        other = X.copy()
        other[:, t:] = 1e6 * RNG.standard_normal((6, 5 - t, 2))
        assert_array_equal(model.predict_proba(other)[:, :t], expected[:, :t])


# ------------------------------------------------------------------------- warm starts


def test_a_warm_start_goes_on_from_the_weights(make):
    model = make(warm_start=True).fit(X, Y)
    start = model.theta_.copy()
    model.set_params(max_iter=0).fit(X, Y)
    assert_array_equal(model.theta_, start)
    model.set_params(max_iter=1).fit(X, Y)
    assert (model.theta_ != start).any()
    assert model.n_iter_ == len(model.loss_curve_) == 1
    anew = model.set_params(warm_start=False, max_iter=2).fit(X, Y)
    assert_array_equal(anew.theta_, start)


def test_what_a_warm_start_cannot_change(make):
    model = make(warm_start=True).fit(X, Y)
    before = deep_state(model)
    for data, message in (((X, Y[..., 0]), "expecting 2"), ((X[..., :1], Y), "features")):
        with pytest.raises(ValueError, match=message):
            model.fit(*data)
    with pytest.raises(ValueError, match="fitted with n_units=4, and cannot go on with 5"):
        model.set_params(n_units=5).fit(X, Y)
    assert deep_state(model.set_params(n_units=4)) == before


@pytest.mark.parametrize(("kind", "params"), [
    ("machine", {"controller": "lstm", "memory_shape": (9, 2), "n_units": 9}),
    ("adaptive", {"cell": "lstm", "max_ponder": 1, "epsilon": 0.9, "n_units": 9}),
])  # fmt: skip
def test_parameters_that_are_changed_after_fit_wait_for_the_next(kind, params):
    model = MAKE[kind]().fit(X, Y)
    expected = model.predict_proba(X)
    assert_array_equal(model.set_params(**params).predict_proba(X), expected)


# ------------------------------------------------------------------------- bits of a seed


def test_where_arrays_lie_in_memory_changes_no_bit():
    model = MAKE["machine"]().fit(X, Y)
    layout, rng, clutter, found = model._fit_layout, np.random.RandomState(1), [], set()
    arrays = [np.ascontiguousarray(part[:4].swapaxes(0, 1)) for part in (X, Y)]
    for _ in range(400):
        clutter.append(np.empty(rng.randint(1, 400)))
        if len(clutter) > 30:
            clutter.pop(rng.randint(30))
        batch = BitBatch(*arrays, np.full((5, 4), 0.05), np.ones((5, 4), dtype=bool), 20.0)
        grad = np.zeros_like(model.theta_)
        with Tape() as tape:
            tape.backward(model._loss(layout.leaves(model.theta_, grad), batch))
        found.add(grad.tobytes())
    assert len(found) == 1


STEP = """
import numpy as np
from echocast.reservoir.rnn._memory_step import MemoryShape, memory_step
from echocast.reservoir.rnn._tape import Tape, Var
from echocast.reservoir.rnn import _ops as ops
rng, shape = np.random.RandomState(0), MemoryShape(6, 4, 1, 1, 3)
raw = 2 * rng.standard_normal((50, shape.n_raw))
arrays = raw, rng.standard_normal((50, 6, 4)), rng.dirichlet(np.ones(6), size=(50, 2))
leaves = [Var(a.astype(np.float32), None, True) for a in arrays]
with Tape() as tape:
    parts = memory_step(*leaves, shape)
    loss = ops.sum(ops.stack([ops.sum(ops.square(part)) for part in parts]))
tape.backward(loss)
print([leaf.grad.tobytes().hex() for leaf in leaves])
"""


@pytest.mark.slow
def test_code_from_the_cache_gives_the_same_bits_as_code_just_compiled(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = [
        subprocess.run([sys.executable, "-c", STEP], env=environment, cwd=tmp_path, check=True,
                       capture_output=True, text=True).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert list(Path(tmp_path).rglob("*memory_backward*.bin"))
    assert found[0] == found[1] != ""
