"""Outputs of networks whose training has left weights too large to add up: errors, not NaN."""

import numpy as np
import pytest

from echocast.reservoir import (
    NeuralTuringMachine,
    RNNRegressor,
    SelfAttentionClassifier,
    SelfAttentionRegressor,
    Seq2SeqRegressor,
)
from echocast.reservoir.rnn._descent import finite_outputs

RNG = np.random.RandomState(0)
X = [RNG.standard_normal((20, 3)) for _ in range(6)]
Y = [x[:, :1] for x in X]
BITS = [np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])] * 3
ONE_LARGE_STEP = {"learning_rate_init": 1e12, "max_iter": 1, "random_state": 0}
BLOCK = {"n_blocks": 1, "n_units": 4}
CASES = [
    (SelfAttentionRegressor(**BLOCK, **ONE_LARGE_STEP), X, Y),
    (SelfAttentionClassifier(**BLOCK, **ONE_LARGE_STEP), X, [0, 1] * 3),
    (Seq2SeqRegressor(hidden_layer_sizes=3, **ONE_LARGE_STEP), X, Y),
    (NeuralTuringMachine(n_units=3, memory_shape=(3, 2), **ONE_LARGE_STEP), BITS, BITS),
]


@pytest.mark.parametrize(("model", "X", "y"), CASES, ids=lambda m: type(m).__name__)
def test_outputs_that_are_not_finite_are_an_error(model, X, y):
    model.fit(X, y)
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            with pytest.raises(ValueError, match=rf"outputs of {type(model).__name__} for X are"):
                getattr(model, method)(X)


def test_large_weights_whose_outputs_are_finite_are_none():
    model = RNNRegressor(hidden_layer_sizes=3, **ONE_LARGE_STEP).fit(X, Y)
    assert all(np.isfinite(part).all() for part in model.predict(X))


def test_the_first_row_is_named():
    outputs = np.zeros((5, 2))
    assert finite_outputs(outputs, "A") is outputs
    outputs[3, 1] = np.inf
    with pytest.raises(ValueError, match="first in row 3"):
        finite_outputs(outputs, "A")
