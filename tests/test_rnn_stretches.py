"""Sequences that are learnt from, and run, in stretches: lanes, schedules, washout, weights."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import RNNRegressor, WindowRNNRegressor
from echocast.reservoir.rnn import _descent, _train
from echocast.reservoir.rnn._continue import continue_training
from echocast.reservoir.rnn._network import Network
from echocast.reservoir.rnn._packed import bucketed_batches
from rnn_fits import classifier, ragged, regressor, waves

U = waves(400)
X, Y = U[:-1], U[1:]


# ---------------------------------------------------------------------------------- schedules


def rates_of(monkeypatch, model, *data):
    """Learning rates of all updates, as shares of the first, and probabilities of true inputs."""
    rates, forced = [], []
    rate_at, forcing = _descent.learning_rate_at, _train.forcing_probability

    def spy_rate(kind, first, t, n, *, warmup):
        rates.append(rate_at(kind, first, t, n, warmup=warmup) / first)
        return rates[-1] * first

    def spy_forced(kind, k, n):
        forced.append(forcing(kind, k, n))
        return forced[-1]

    monkeypatch.setattr(_descent, "learning_rate_at", spy_rate)
    monkeypatch.setattr(_train, "forcing_probability", spy_forced)
    model.fit(*data)
    return rates, forced


def test_a_linear_rate_ends_at_five_per_cent_with_outputs_at_the_end(monkeypatch):
    X = np.random.RandomState(0).standard_normal((40, 100, 1))
    model = regressor(max_iter=5, bptt_steps=10, output="last", batch_size=16)
    rates, _ = rates_of(monkeypatch, model, X, X[:, 0, 0])
    assert len(rates) == model.t_ == 15
    assert_allclose(rates[-1], 0.05)


def test_a_linear_rate_ends_at_five_per_cent_after_a_washout(monkeypatch):
    data = ragged((100,) * 4)
    model = regressor(max_iter=4, bptt_steps=10, washout=50)
    rates, _ = rates_of(monkeypatch, model, [u[:-1] for u in data], [u[1:] for u in data])
    assert len(rates) == model.t_ == 20
    assert_allclose(rates[-1], 0.05)


def test_schedules_end_where_lengths_differ_much(monkeypatch):
    data = ragged((20,) * 60 + (300,) * 5)
    model = regressor(max_iter=6, bptt_steps=20, batch_size=8, teacher_forcing="scheduled")
    rates, forced = rates_of(monkeypatch, model, [u[:-1] for u in data], [u[1:] for u in data])
    assert rates[-1] < 0.15  # batches are drawn anew in each epoch, so their number may vary
    assert min(forced) == 0
    assert forced[len(forced) * 3 // 4] < 0.1


# -------------------------------------------------------------------------------------- lanes


def test_lanes_start_where_those_before_them_ended():
    """With weights that stand still, the second epoch has the loss of the whole sequence."""
    still = {"learning_rate_init": 1e-12, "learning_rate": "constant", "max_iter": 2, "tol": 0}
    whole = regressor(cell="gru", bptt_steps=None, **still).fit(X, Y)
    cut = regressor(cell="gru", bptt_steps=10, batch_size=4, **still).fit(X, Y)
    assert cut.t_ > 8  # several lanes of several updates
    assert_allclose(cut.loss_curve_[1], whole.loss_curve_[1], rtol=1e-9)
    assert abs(cut.loss_curve_[0] - whole.loss_curve_[0]) > 1e-6  # from zero, the first time


def test_only_true_starts_teach_the_first_state():
    params = {"h0": "learned", "bptt_steps": 10, "batch_size": 4, "max_iter": 3, "max_norm": None}
    model = regressor(**params, solver="sgd", momentum=0.0).fit(X, Y)
    poisoned = Y.copy()
    poisoned[20:] = 0  # beyond the stretch that begins at the start
    other = regressor(**params, solver="sgd", momentum=0.0).fit(X, poisoned)
    assert np.abs(model.h0_).max() > 0
    # h0 moves by the first stretch alone, through weights that the others change a little
    assert np.linalg.norm(model.h0_ - other.h0_) < 0.5 * np.linalg.norm(model.h0_)


def test_a_batch_is_cut_rather_than_padded_out():
    lengths = np.array([50_000] + [1] * 31)
    batches = bucketed_batches(lengths, 32, None)
    assert [len(b) for b in batches] == [1, 31]
    assert sorted(np.concatenate(batches)) == list(range(32))
    assert len(bucketed_batches(np.full(64, 5000), 32, None)) == 2


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
@pytest.mark.parametrize("include_input", [False, True])
def test_long_sequences_with_outputs_at_the_end_are_run_in_stretches(cell, include_input):
    rng = np.random.RandomState(0)
    parts = [rng.standard_normal((n, 2)) for n in (2500, 1024, 1025, 7)]
    model = regressor(cell=cell, include_input=include_input, max_iter=1)
    model.fit([p[-30:] for p in parts], np.arange(4.0))
    h = [model.states([p])[0][0][-1] for p in parts]
    seen = [np.r_[a, p[-1]] if include_input else a for a, p in zip(h, parts)]
    wanted = np.array(seen) @ model.params_["out.W"].T + model.params_["out.b"]
    assert_allclose(model.predict(parts), wanted[:, 0], rtol=1e-12)


# ------------------------------------------------------------------------ networks fed themselves


@pytest.mark.parametrize("include_input", [False, True])
@pytest.mark.parametrize("cell", ["tanh", "gru"])
def test_training_on_own_outputs_sees_no_true_ones(cell, include_input):
    params = {"cell": cell, "include_input": include_input, "teacher_forcing": 0.0, "max_iter": 1}
    model = regressor(**params).fit(X[:20], Y[:20])
    network, head = model._fit_network, model._head()
    leaves = network.layout.leaves(model.theta_, None)
    forced = np.zeros((20, 1), dtype=bool)
    forced[0] = True

    def run(x):
        return network.run_fed(leaves, x, None, x, forced, head.feed).outputs.data[:, 0]

    x = X[:20, None]
    changed = x.copy()
    changed[1:] = 9.0
    assert_array_equal(run(x), run(changed))
    assert_allclose(run(x), model.generate(20, warmup=X[:1]), rtol=1e-10)


def test_what_an_output_recurrence_has_no_use_for_is_refused():
    for name, value in {"leak_rate": 0.3, "dropout": 0.5, "recurrent_dropout": 0.5}.items():
        with pytest.raises(ValueError, match=f"{name}={value} is for recurrence='hidden'"):
            regressor(recurrence="output", **{name: value}).fit(X, Y)
    with pytest.raises(ValueError, match="h0='learned' is for recurrence='hidden'"):
        regressor(recurrence="output", h0="learned").fit(X, Y)


def test_backward_directions_start_from_zeros():
    model = regressor(cell="gru", bidirectional=True, h0="learned").fit(X, Y)
    state = np.full_like(model.state_, 0.7)
    plain, moved = model.transform(X), model.transform(X, initial_state=state)
    assert_array_equal(plain[:, 6:], moved[:, 6:])
    assert np.abs(plain[0, :6] - moved[0, :6]).max() > 0.01


# ----------------------------------------------------------------------------- going on


@pytest.mark.parametrize("make", [regressor, classifier])
def test_a_washout_is_not_begun_anew_where_a_sequence_goes_on(make):
    rows = X if make is regressor else [X]
    labels = Y if make is regressor else [(Y[:, 0] > 0).astype(int)]
    model = make(washout=50).partial_fit(rows, labels)
    if make is regressor:
        model.partial_fit(X[:20], Y[:20])  # fewer than the washout
        assert model.t_ == 4 + 1  # of 100 steps each, and one
        assert model.loss_curve_[-1] > 0
        more = continue_training(model, X[None, :20], Y[None, :20], model.state_[None], None)
        assert not np.array_equal(more.theta_, model.theta_)


def test_a_washout_longer_than_a_chunk_ends_in_the_next():
    model = regressor(washout=50).partial_fit(X[:30], Y[:30])
    assert model.loss_curve_ == [0.0]
    model.partial_fit(X[30:90], Y[30:90])
    assert model.loss_curve_[-1] > 0


def test_another_optimiser_takes_over_where_its_settings_change():
    model = regressor(learning_rate_init=0.1).partial_fit(X, Y)
    kept = clone(model).partial_fit(X, Y).partial_fit(X, Y)
    changed = clone(model).partial_fit(X, Y).set_params(solver="sgd").partial_fit(X, Y)
    assert type(changed._fit_trained.optimizer).__name__ == "SGD"
    assert not np.array_equal(kept.theta_, changed.theta_)


def test_the_layout_is_that_of_fit():
    model = regressor().fit(X, Y)
    before = model.predict(X)
    assert_array_equal(model.set_params(layout="windows").predict(X), before)


# ------------------------------------------------------------------- weights of single targets


def test_targets_left_out_do_not_matter_in_any_form():
    rng = np.random.RandomState(0)
    groups = np.tile([0, 1], 20)
    rows, targets = rng.standard_normal((40, 2)), rng.standard_normal((40, 2))
    weights = np.ones((40, 2))
    weights[groups == 1, 1] = 0
    changed = np.where(weights > 0, targets, 99.0)
    parts = [groups == g for g in (0, 1)]

    def theta(y, form):
        model = regressor(max_iter=3, shuffle=False)
        if form == "groups":
            return model.fit(rows, y, sample_weight=weights, groups=groups).theta_
        cut = [[A[p] for p in parts] for A in (rows, y, weights)]
        if form == "array":
            cut = [np.array(A) for A in cut]
        return model.fit(cut[0], cut[1], sample_weight=cut[2]).theta_

    wanted = theta(targets, "list")
    for form in ("list", "groups", "array"):
        assert_allclose(theta(targets, form), wanted, rtol=1e-12)
        assert_allclose(theta(changed, form), wanted, rtol=1e-12)


def test_step_weights_of_a_padded_array():
    data = np.stack([waves(30, 1, seed) for seed in range(3)])
    data[1, 20:] = np.nan
    targets, weights = np.nan_to_num(data[:, :, 0]), np.ones((3, 30))
    weights[:, :5] = 0
    model = regressor().fit(data, targets, sample_weight=weights)
    lists = [part[~np.isnan(part[:, 0])] for part in data]
    cut = [w[: len(p)] for w, p in zip(weights, lists)]
    other = regressor().fit(lists, [part[:, 0] for part in lists], sample_weight=cut)
    assert_allclose(model.theta_, other.theta_, rtol=1e-12)


def test_a_loop_does_not_start_from_a_target_that_was_left_out():
    weights = np.ones_like(Y)
    weights[-1, 0] = 0
    model = regressor().fit(X, Y, sample_weight=weights)
    with pytest.raises(ValueError, match="last target of fit was left out"):
        model.generate(3)
    assert model.generate(3, warmup=X).shape == (3, 2)


def test_an_array_of_targets_for_a_list_of_equally_long_sequences():
    data = ragged((10,) * 4, 1)
    targets = np.arange(40.0).reshape(4, 10)
    model = regressor().fit(data, targets)
    assert [part.shape for part in model.predict(data)] == [(10,)] * 4


def test_windows_are_scaled_by_the_rows_that_are_trained_on():
    rng = np.random.RandomState(0)
    rows = rng.standard_normal((100, 5))
    y = rows.sum(axis=1)
    moved = rows.copy()
    moved[-10:] += 50
    params = {"early_stopping": True, "validation_fraction": 0.1, "max_iter": 2, "random_state": 0}
    one = WindowRNNRegressor(**params).fit(rows, y)
    other = WindowRNNRegressor(**params).fit(moved, y)
    assert_array_equal(one.scale_, other.scale_)
    assert one.loss_curve_ == other.loss_curve_


def test_an_array_without_axes_is_no_number_of_units():
    with pytest.raises(InvalidParameterError, match="hidden_layer_sizes"):
        RNNRegressor(hidden_layer_sizes=np.array(5)).fit(X, Y)


# ------------------------------------------------------------------------------------ dropout


def test_each_stretch_drops_others_and_all_steps_of_it_the_same(monkeypatch):
    drawn, draw = [], Network.draw_masks

    def spy(self, *args):
        drawn.append(draw(self, *args))
        return drawn[-1]

    monkeypatch.setattr(Network, "draw_masks", spy)
    model = regressor(bptt_steps=10, dropout=0.4, recurrent_dropout=0.4, max_iter=2, batch_size=3)
    model.fit(X, Y)
    assert len(drawn) == model.t_ > 10 * model.n_iter_
    for one, other in itertools.pairwise(drawn):
        for a, b in ((one.outputs, other.outputs), (one.recurrent[0], other.recurrent[0])):
            # one row for each lane, none for steps
            assert a[0].shape == (3, *a[0].shape[1:]) == b[0].shape
            assert (a[0] != b[0]).any()
