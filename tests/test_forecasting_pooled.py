"""The pooled engine in arrays: against slow loops, and the laws it keeps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_pooled as oracles
from echocast.forecasting._pooled import PooledNetwork
from echocast.forecasting._pooled_groups import GroupedNetwork, GroupMemory, choose_n_groups


def walks(seed, lengths):
    rng = np.random.RandomState(seed)
    return [10 + rng.randn(n).cumsum() + np.sin(np.arange(n) * np.pi / 2) for n in lengths]


def network(**changes):
    settings_ = {"horizon": 5, "n_units": 12, "lags": (1, 2, 4), "warm": 3}
    return PooledNetwork(**(settings_ | changes))


def columns(values, seed=0, n_known=1, n_past=1):
    rng = np.random.RandomState(seed)
    return [rng.randn(len(y), n_known + n_past) for y in values]


CASES = [
    {},
    {"periods": (4,)},
    {"periods": (4,), "reference": "seasonal"},
    {"periods": (4, 7), "reference": "seasonal", "n_seasons": 3},
    {"weight_power": 1.0, "rates": (), "clip": 1.0},
]


def stacked(net, values, exog, static, h):
    """Rows, targets and weights of step h over all series, by the oracle."""
    layout = net.drive_.layout
    X = np.concatenate(exog)
    exog = [(x - X.mean(axis=0)) / X.std(axis=0) for x in exog]
    static = (static - static.mean(axis=0)) / static.std(axis=0)
    A, b, w = [], [], []
    everything = []
    for y, x, s in zip(values, exog, static):
        u = oracles.inputs(y, x, s, layout.periods, layout.season, layout.clip)
        size = oracles.running(y, len(y) - 1, layout.season)
        states = oracles.states(net.drive_.reservoirs[0], u, 0.6)
        for t in range(net.warm_ - 1, len(y) - 1):
            if layout.reference == "seasonal" and t + 1 <= layout.season:
                continue
            unit = oracles.scale(y, t, layout.season)
            everything.append(unit**net.weight_power)
            if t + h < len(y):
                A.append(oracles.features(y, x, s, states[t], t, h, layout, size))
                b.append(oracles.target(y, t, h, layout.season, layout.clip))
                w.append(unit**net.weight_power)
    return np.array(A), np.array(b), np.array(w) / np.mean(everything)


@pytest.mark.parametrize("loss", ["squared", "absolute"])
@pytest.mark.parametrize("case", CASES)
def test_readouts_equal_a_ridge_over_features_of_slow_loops(case, loss):
    values = walks(1, [40, 23, 31])
    exog, static = columns(values), np.array([[1.0], [2.0], [4.0]])
    net = network(alphas=0.01, loss=loss, **case).fit(values, exog, static, n_past=1)
    assert net.horizon_ == 5
    readout = net._readouts[0]
    for h in (1, 5):
        A, b, w = stacked(net, values, exog, static, h)
        # features are divided by their root mean square over the rows of all steps together
        divide = np.r_[readout.divide_shared, readout.divide_own[h - 1]]
        expected = oracles.ridge(A / divide, b, w, 0.01)
        if loss == "absolute":
            expected = oracles.absolute_ridge(A / divide, b, w, 0.01, expected)
        # conjugate gradients stop at 1e-6 of the solution
        assert_allclose(
            readout.coef[h - 1, :, 0], expected, atol=1e-8 if loss == "squared" else 1e-4
        )


def test_a_forecast_is_the_readout_of_the_last_origin():
    values = walks(2, [40, 30])
    exog, static = columns(values), np.array([[0.0], [1.0]])
    net = network(periods=(4,), reference="seasonal").fit(values, exog, static, n_past=1)
    future = [x[:5] for x in columns(values, 9)]
    got = net.forecast(net.memories(values, exog, static), 5, [x[:, :1] for x in future])
    X = np.concatenate(exog)
    for i, y in enumerate(values):
        x = (np.concatenate([exog[i], future[i]]) - X.mean(axis=0)) / X.std(axis=0)
        s = (static[i] - static.mean(axis=0)) / static.std(axis=0)
        layout, readout, t = net.drive_.layout, net._readouts[0], len(y) - 1
        u = oracles.inputs(y, x[: len(y)], s, layout.periods, layout.season, layout.clip)
        size = oracles.running(y, t, layout.season)
        state = oracles.states(net.drive_.reservoirs[0], u, 0.6)[-1]
        for h in range(1, 6):
            divide = np.r_[readout.divide_shared, readout.divide_own[h - 1]]
            row = oracles.features(y, x, s, state, t, h, layout, size) / divide
            unit = oracles.scale(y, t, layout.season)
            expected = oracles.reference(y, t, h, 4) + unit * (row @ readout.coef[h - 1, :, 0])
            assert_allclose(got[i, h - 1, 0], expected, rtol=1e-9)


def test_direct_chooses_a_penalty_a_step_and_multi_output_one():
    values = walks(3, [60] * 12)
    direct, joint = network().fit(values), network(shared=True).fit(values)
    assert len(np.unique(joint._readouts[0].alphas)) == 1
    assert set(direct._readouts[0].alphas) <= set(direct.alphas)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 99), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_any_lengths_give_finite_forecasts_one_by_one_as_in_a_batch(seed, lengths):
    values = walks(seed, lengths)
    net = network(periods=(4,)).fit(values)
    memories = net.memories(values)
    together = net.forecast(memories, 9)
    assert together.shape == (len(values), 9, 1)
    assert np.isfinite(together).all()
    for i in range(len(values)):
        alone = net.forecast(net.memories(values[i : i + 1]), 9)
        assert_allclose(alone[0], together[i], rtol=1e-12)


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 99), st.permutations(range(12)))
def test_the_order_of_the_series_changes_nothing(seed, order):
    values = walks(seed, range(15, 39, 2))
    forward = network(n_seeds=2).fit(values)
    shuffled = [values[i] for i in order]
    other = network(n_seeds=2).fit(shuffled)
    expected = forward.forecast(forward.memories(values), 7)
    got = other.forecast(other.memories(shuffled), 7)
    assert_allclose(got, expected[list(order)], rtol=1e-9)
    assert_allclose(other.errors_, forward.errors_, atol=1e-9)


@settings(deadline=None, max_examples=8)
@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3), st.sampled_from(["last", "seasonal"]))
def test_forecasts_move_with_level_and_scale(factor, shift, reference):
    values = walks(4, [50, 40, 30])
    moved = [factor * (y + shift) for y in values]
    net = network(periods=(4,), reference=reference)
    expected = net.fit(values).forecast(net.memories(values), 8)
    other = network(periods=(4,), reference=reference).fit(moved)
    # rounding of the shift, relative to changes of about one, and a choice of penalty by its errors
    got = other.forecast(other.memories(moved), 8) / factor - shift
    assert_allclose(got, expected, atol=1e-6)


def test_what_follows_an_origin_has_no_part_in_its_forecast():
    values = walks(5, [60])
    exog = columns(values)
    net = network(periods=(4,), reference="seasonal").fit(values, exog, n_past=1)
    [like] = net.memories(values, exog)
    origins = np.array([10, 30, 44])
    whole = net.from_origins(values[0][:, None], exog[0], np.zeros(0), origins, like=like)
    poisoned = values[0].copy()
    poisoned[45:] = 1e6
    past = exog[0].copy()
    past[45:, 1] = 1e6  # known columns may be known
    again = net.from_origins(poisoned[:, None], past, np.zeros(0), origins, like=like)
    assert_array_equal(again, whole)
    for t, expected in zip(origins, whole):
        [memory] = net.memories([values[0][: t + 1]], [exog[0][: t + 1]])
        got = net.forecast([replace(memory, size=like.size)], 5, [exog[0][t + 1 : t + 6, :1]])
        assert_allclose(got[0], expected, rtol=1e-12)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 99), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_memory_after_updates_equals_one_after_all_rows(seed, chunks):
    values = walks(seed, [70, 60])
    values[0][33] = np.nan
    exog = columns(values)
    net = network(periods=(4,), n_seeds=2).fit(values, exog, n_past=1)
    cuts = [30, 25]
    memories = net.memories(
        [y[:c] for y, c in zip(values, cuts)], [x[:c] for x, c in zip(exog, cuts)]
    )
    for n in chunks:
        rows = [slice(c, c + n) for c in cuts]
        same, memories = net.update(
            memories, [y[r] for y, r in zip(values, rows)], [x[r] for x, r in zip(exog, rows)]
        )
        assert same is net
        cuts = [c + n for c in cuts]
    whole = net.memories([y[:c] for y, c in zip(values, cuts)], [x[:c] for x, c in zip(exog, cuts)])
    whole = [replace(b, size=a.size) for a, b in zip(memories, whole)]  # as known at first
    for a, b in zip(memories, whole):
        assert_array_equal(a.recent, b.recent)
        assert_allclose(a.carry.tail, b.carry.tail)
        assert_allclose(np.concatenate(a.states), np.concatenate(b.states), atol=1e-12)
    future = [np.zeros((7, 1))] * 2
    assert_allclose(net.forecast(memories, 7, future), net.forecast(whole, 7, future), rtol=1e-10)


@pytest.mark.parametrize("gap", [False, True])
def test_refit_equals_a_fit_to_all_rows_with_the_scales_of_the_first(gap):
    values = walks(6, [60, 50])
    if gap:
        values[0][[44, 51]] = np.nan
    early = [y[:40] for y in values]
    net = network(alphas=0.1).fit(early)
    memories = net.memories(early)
    taught = net
    for start, stop in ((40, 43), (43, 50)):
        news = [y[start:stop] for y in values]
        taught, memories = taught.update(memories, news, refit=True)
    last = [values[0][50:], values[1][50:50]]
    taught, _ = taught.update(memories[:1], last[:1], refit=True)
    late = network(alphas=0.1, warm=net.warm_).fit([values[0], values[1][:50]])
    first, expected = taught._readouts[0], late._readouts[0]
    # sums of the late fit, in the units of the early one: weights and feature scales differ
    unit = late._weight_unit / net._weight_unit
    ratio = expected.divide_shared / first.divide_shared
    gram = expected.statistics.gram * ratio[:, None] * ratio * unit
    assert_allclose(first.statistics.gram, gram, rtol=1e-9, atol=1e-9)
    assert_allclose(first.statistics.weight, expected.statistics.weight * unit)
    coef = first.statistics.solve(np.full(5, 0.1), np.r_[1e-10, np.ones(gram.shape[1] - 1)])
    assert_allclose(first.coef, coef)


def test_refit_of_an_absolute_loss_moves_towards_the_rows():
    rng = np.random.RandomState(0)
    flat = [rng.randn(80).cumsum() for _ in range(12)]
    net = network(loss="absolute").fit(flat)
    drifting = [y[-1] + 5.0 * np.arange(1, 21) for y in flat]
    memories = net.memories(flat)
    taught, after = net.update(memories, drifting, refit=True)
    plain = net.forecast(after, 5)[:, :, 0].mean(axis=0)
    moved = taught.forecast(after, 5)[:, :, 0].mean(axis=0)
    assert (moved > plain).all()


def test_missing_values_are_no_targets_and_their_rows_no_origins():
    values = walks(7, [60, 50])
    holed = [y.copy() for y in values]
    holed[0][[0, 1, 20, 21, 59]] = np.nan
    net = network().fit(holed)
    filled = holed[0].copy()
    for t in range(2, 60):
        filled[t] = filled[t - 1] if np.isnan(filled[t]) else filled[t]
    full = network(alphas=net._readouts[0].alphas[0]).fit([filled[2:], values[1]])
    known = [~np.isnan(holed[0][2:]), np.ones(50, dtype=bool)]
    counts = [sum((k[2:-h] & k[2 + h :]).sum() for k in known) for h in range(1, 6)]
    assert_allclose(net._readouts[0].statistics.weight, counts)
    assert (full._readouts[0].statistics.weight > counts).all()
    assert np.isfinite(net.forecast(net.memories(holed), 5)).all()


def test_a_system_forecasts_all_its_variables_from_all_of_them():
    rng = np.random.RandomState(0)
    x = rng.randn(400)
    delayed = np.r_[np.zeros(2), x[:-2]]  # the first variable leads the second by two steps
    Y = np.column_stack([x.cumsum(), delayed.cumsum()])
    net = network(horizon=2).fit([Y[:-2]])
    got = net.forecast(net.memories([Y[:-2]]), 2)[0]
    assert_allclose(got[:, 1], Y[-2:, 1], atol=0.15)


def test_straight_lines_go_on_and_constants_stay():
    values = [3.0 + 0.5 * np.arange(40), 7.0 - 0.1 * np.arange(30), np.full(30, 4.0)]
    net = network().fit(values)
    got = net.forecast(net.memories(values), 8)[:, :, 0]
    ahead = np.arange(1, 9)
    assert_allclose(got[0], 22.5 + 0.5 * ahead, rtol=1e-3)
    assert_allclose(got[2], 4.0)


@pytest.mark.parametrize("values", [[np.array([5.0])], [np.ones(30)], [np.arange(3.0)]])
def test_without_anything_to_learn_from_the_reference_is_repeated(values):
    net = network().fit(values)
    assert net.horizon_ == 0
    assert_array_equal(net.forecast(net.memories(values), 4)[0, :, 0], np.full(4, values[0][-1]))
    assert_array_equal(
        net.paths(net.memories(values)[0], 4, 3, np.random.RandomState(0)).shape, (4, 1, 3)
    )


def test_a_series_of_nan_is_refused():
    with pytest.raises(ValueError, match="has no row without NaN"):
        network().fit([np.ones(5), np.full(5, np.nan)])


def test_many_origins_are_thinned_and_all_places_in_the_season_seen():
    values = walks(8, [400, 300])
    net = network(periods=(4,), max_rows=180).fit(values)
    assert net._readouts[0].statistics.weight[0] <= 180
    origins = net._pick_origins(
        [net.drive_.start(values[0][:, None], np.zeros((400, 0)), np.zeros(0))]
    )
    assert set(origins[0] % 4) == {0, 1, 2, 3}


def test_paths_are_coherent_and_repeat_with_the_generator():
    values = walks(9, [80] * 11)
    net = network().fit(values)
    memory = net.memories(values)[0]
    first = net.paths(memory, 12, 50, np.random.RandomState(1))
    again = net.paths(memory, 12, 50, np.random.RandomState(1))
    assert first.shape == (12, 1, 50)
    assert_array_equal(first, again)
    spread = first[:, 0].std(axis=1)
    assert spread[4] > spread[0]  # errors of later steps are larger, as those kept
    jumps = np.abs(np.diff(first[:, 0], axis=0)).mean()
    apart = np.abs(first[1:, 0] - np.roll(first[:-1, 0], 1, axis=1)).mean()
    assert jumps < apart  # a path goes on from where it is


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, True])
def test_quantiles_of_paths_cover_as_they_say(pooled):
    """Independent replications of AR(1) around a mean; 5 standard errors of a binomial share."""
    hits, n = {80: [], 95: []}, 100 if pooled else 200
    for seed in range(n // 20 if pooled else n):
        rng = np.random.RandomState(seed)
        length, count = (60, 20) if pooled else (300, 1)
        e = rng.randn(count, length + 106)
        y = np.zeros_like(e)
        for t in range(1, y.shape[1]):
            y[:, t] = 0.7 * y[:, t - 1] + e[:, t]
        y = y[:, 100:]
        history = list(y[:, :length])
        net = network(horizon=6, n_units=20).fit(history)
        for memory, future in zip(net.memories(history), y[:, length:]):
            paths = net.paths(memory, 6, 200, np.random.RandomState(seed))[:, 0]
            for level, inside in hits.items():
                low, high = np.quantile(paths, [0.5 - level / 200, 0.5 + level / 200], axis=1)
                inside.append((low <= future) & (future <= high))
    for level, inside in hits.items():
        share = np.mean(inside)
        error = np.sqrt(level / 100 * (1 - level / 100) / len(inside))
        assert abs(share - level / 100) < 5 * error, (level, share)


def kinds(n_series=40, n=160):
    """Series of two kinds: walks, and noise around a mean."""
    rng = np.random.RandomState(0)
    steps = rng.randn(n_series, n)
    return [s.cumsum() for s in steps[: n_series // 2]] + [5 + s for s in steps[n_series // 2 :]]


def test_groups_hold_series_that_change_alike():
    values = kinds()
    net = GroupedNetwork(2, horizon=4, n_units=10).fit(values)
    assert len(net.networks_) == 2
    assert len(set(net.labels_[:20])) == len(set(net.labels_[20:])) == 1
    memories = net.memories(values)
    got = net.forecast(memories, 6)
    alone = PooledNetwork(horizon=4, n_units=10).fit(values[:20])
    expected = alone.forecast(alone.memories(values[:20]), 6)
    assert_allclose(got[:20], expected, rtol=1e-12)
    paths = net.paths(memories[0], 6, 5, np.random.RandomState(0))
    assert_array_equal(paths, alone.paths(memories[0].memory, 6, 5, np.random.RandomState(0)))


def test_groups_do_not_depend_on_the_order_and_take_in_rows():
    values = kinds()
    early = [y[:150] for y in values]
    net = GroupedNetwork(2, horizon=4, n_units=10).fit(early)
    order = np.random.RandomState(1).permutation(len(values))
    other = GroupedNetwork(2, horizon=4, n_units=10).fit([early[i] for i in order])
    points = net.forecast(net.memories(early), 5)
    shuffled = other.forecast(other.memories([early[i] for i in order]), 5)
    assert_allclose(shuffled, points[order], rtol=1e-9)
    same, moved = net.update(net.memories(early), [y[150:] for y in values])
    whole = [GroupMemory(m.group, w.memory) for m, w in zip(moved, net.memories(values))]
    assert_allclose(same.forecast(moved, 5), net.forecast(whole, 5), rtol=1e-9)
    taught, _ = net.update(net.memories(early), [y[150:] for y in values], refit=True)
    assert not np.allclose(taught.forecast(moved, 5), net.forecast(moved, 5))


def test_few_rows_make_no_groups_and_small_groups_are_dissolved():
    assert choose_n_groups(11_000, 500) == choose_n_groups(10**6, 30) == 1
    assert choose_n_groups(10**6, 500) == 6
    net = GroupedNetwork(2, horizon=4, n_units=10).fit(kinds()[:24])
    assert len(net.networks_) == 1
