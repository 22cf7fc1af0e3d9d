"""Targets of a step of which some are unknown: nothing depends on what stands in their places."""

import numpy as np
import pytest

from echocast.reservoir import RNNRegressor

RNG = np.random.RandomState(0)
X, Y = RNG.randn(60, 2), RNG.randn(60, 3)
KNOWN = np.ones((60, 3))
KNOWN[50:, 2] = KNOWN[55:, 1] = 0
KNOWN[5] = 0
SMALL = {"hidden_layer_sizes": 4, "max_iter": 5, "random_state": 0}
LOSSES = ("absolute_error", "gaussian", "huber", "pinball", "squared_error", "student_t")


@pytest.mark.parametrize("loss", LOSSES)
def test_unknown_targets_do_not_matter(loss):
    model = RNNRegressor(loss=loss, quantile=[0.1, 0.5], **SMALL)
    clean = model.fit(X, Y, sample_weight=KNOWN).theta_
    poisoned = np.where(KNOWN > 0, Y, 1e9)
    np.testing.assert_array_equal(model.fit(X, poisoned, sample_weight=KNOWN).theta_, clean)
    assert not np.array_equal(model.fit(X, Y).theta_, clean)


def test_targets_that_are_all_known_or_all_unknown_are_rows_of_weight_one_or_zero():
    rows = np.ones(60)
    rows[20:30] = 0
    model = RNNRegressor(**SMALL)
    expected = model.fit(X, Y, sample_weight=rows).theta_
    both = np.repeat(rows[:, None], 3, axis=1)
    np.testing.assert_allclose(model.fit(X, Y, sample_weight=both).theta_, expected, rtol=1e-6)


def test_the_gradient_of_an_unknown_target_is_that_of_a_network_without_it():
    two = RNNRegressor(max_iter=1, solver="sgd", momentum=0.0, dtype="float64",
                       max_norm=None, hidden_layer_sizes=3, random_state=0)  # fmt: skip
    weights = np.ones((60, 2))
    weights[:, 1] = 0
    first = RNNRegressor(**{**two.get_params(), "max_iter": 0}).fit(X, Y[:, :2])
    moved = two.fit(X, Y[:, :2], sample_weight=weights)
    change = moved.params_["out.W"] - first.params_["out.W"]
    assert np.abs(change[0]).max() > 0
    np.testing.assert_array_equal(change[1], 0)


def test_lists_and_early_stopping():
    model = RNNRegressor(early_stopping=True, validation_fraction=0.3, **SMALL)
    parts = [slice(0, 20), slice(20, 60), slice(30, 60)]
    data = [[A[p] for p in parts] for A in (X, Y, KNOWN)]
    clean = model.fit(data[0], data[1], sample_weight=data[2])
    poisoned = [np.where(k > 0, y, -1e6) for y, k in zip(data[1], data[2])]
    scores = clean.validation_scores_
    theta = clean.theta_
    again = model.fit(data[0], poisoned, sample_weight=data[2])
    np.testing.assert_array_equal(again.theta_, theta)
    assert again.validation_scores_ == scores


def test_weights_of_targets_are_zero_or_those_of_their_row():
    weights = np.ones((60, 3))
    weights[3, 1] = 0.5
    with pytest.raises(ValueError, match="must have the same weight"):
        RNNRegressor(**SMALL).fit(X, Y, sample_weight=weights)
    with pytest.raises(ValueError, match="1D array"):
        RNNRegressor(**SMALL).fit(X, Y, sample_weight=weights[:, :2])
