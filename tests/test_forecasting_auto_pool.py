"""The automatic model of business series, on simulated series."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from echocast.forecasting import AutoESNForecaster, _auto_members, _auto_pool
from echocast.forecasting._auto_groups import PoolRecipe, SplitNetwork, WholeNetwork
from echocast.forecasting._auto_members import (
    choose_members,
    make_view,
    season_mean_forecast,
    seasonal_forecast,
)
from echocast.forecasting._auto_pool import (
    AutoPool,
    average_weights,
    default_horizon,
    natural_periods,
)
from echocast.forecasting._auto_spread import naive_paths
from echocast.forecasting._classical import pack
from echocast.forecasting._date_effects import DateEffects
from echocast.forecasting._packed_network import NetworkRecipe, PackedNetwork

H = 8


def trended(n_series, n=64, m=4, seed=0):
    """Positive quarterly series: a trend, a season and noise, at many scales."""
    rng = np.random.RandomState(seed)
    t = np.arange(n)
    out = []
    for _ in range(n_series):
        level = 1 + rng.uniform(0.003, 0.02) * t
        season = 1 + 0.2 * np.sin(2 * np.pi * (t / m + rng.rand()))
        out.append(10 ** rng.uniform(0, 4) * level * season * np.exp(0.02 * rng.randn(n)))
    return out


def walks(n_series, n=64, seed=0):
    rng = np.random.RandomState(seed)
    return [1000 + np.cumsum(rng.randn(n)) for _ in range(n_series)]


def mase(future, forecasts, past, m):
    scale = np.array([np.abs(y[m:] - y[:-m]).mean() for y in past])
    return (np.abs(future - forecasts).mean(axis=1) / scale).mean()


def split(series, h=H):
    return [y[:-h] for y in series], np.array([y[-h:] for y in series])


def naive_losses(past, future, m):
    packed = pack(past)
    return [mase(future, seasonal_forecast(packed, H, k), past, m) for k in (1, m)]


# ------------------------------------------------------------------------------- skill


def test_a_panel_with_trend_and_season_is_forecast_much_better_than_naively():
    past, future = split(trended(70))
    pool = AutoPool(H, (4,)).fit(past)
    assert pool.share == 1.0
    loss = mase(future, pool.forecast(past, H), past, 4)
    assert loss < 0.5 * min(naive_losses(past, future, 4))


def test_one_series_alone_is_forecast_better_than_naively():
    losses = []
    for seed in range(3):
        past, future = split(trended(1, n=90, seed=seed))
        points = AutoPool(H, (4,)).fit(past).forecast(past, H)
        losses.append(mase(future, points, past, 4) / min(naive_losses(past, future, 4)))
    assert np.mean(losses) < 0.8


def test_random_walks_are_left_to_the_naive_forecast():
    past, future = split(walks(80))
    pool = AutoPool(H, (1,)).fit(past)
    loss = mase(future, pool.forecast(past, H), past, 1)
    assert loss <= 1.02 * naive_losses(past, future, 1)[0]
    assert pool.share < 1.0


def test_holidays_are_found_and_foreseen():
    days = np.arange("2015-01-01", "2020-12-31", dtype="datetime64[D]")
    rng = np.random.RandomState(0)
    y = 100 + 10 * np.sin(2 * np.pi * np.arange(len(days)) / 7) + rng.randn(len(days))
    christmas = np.array([str(day)[5:] == "12-25" for day in days])
    y[christmas] *= 0.6
    n = len(days) - 10
    dates = DateEffects([y[:n]], [days[n - 1]])
    ahead = dates.ahead(days[n - 1], 10)
    assert_allclose(ahead[christmas[n:]], 0.6, atol=0.15)  # a ridge shrinks four Christmases
    # days that share a code with a Christmas (the fourth Saturday) take a little of it
    assert_allclose(ahead[~christmas[n:]], 1.0, atol=0.06)
    assert np.abs(dates.removed(y[:n], days[n - 1])[christmas[:n]] / 100 - 1).max() < 0.25
    assert not DateEffects.can([y[:500]], [days[499]])
    assert not DateEffects.can([y[:n]], None)


# ---------------------------------------------------------------------------- symmetry


def test_order_of_the_series_changes_nothing():
    series = trended(12, n=40)
    order = np.random.RandomState(0).permutation(len(series))
    points = AutoPool(H, (4,)).fit(series).forecast(series, H)
    other = AutoPool(H, (4,)).fit([series[i] for i in order])
    # sums over series in another order differ at the rounding level
    assert_allclose(other.forecast([series[i] for i in order], H), points[order], rtol=1e-6)


def test_forecast_of_a_series_does_not_depend_on_its_company():
    series = trended(10, n=40)
    pool = AutoPool(H, (4,)).fit(series)
    together = pool.forecast(series, H)
    alone = np.vstack([pool.forecast([y], H) for y in series])
    assert_allclose(alone, together, rtol=1e-9)


def test_units_change_nothing():
    series = trended(10, n=40)
    points = AutoPool(H, (4,)).fit(series).forecast(series, H)
    scaled = AutoPool(H, (4,)).fit([1000 * y for y in series])
    assert_allclose(scaled.forecast([1000 * y for y in series], H), 1000 * points, rtol=1e-6)


def test_features_and_states_see_no_later_row():
    series = trended(6, n=40)
    poisoned = [np.r_[y[:-1], 1e6] for y in series]
    network = PackedNetwork(NetworkRecipe(n_units=20, memories=(0.3,)), 3, (1, 2, 4), reference=4)
    network.fit(pack(series))
    clean = network.forecast(pack([y[:-1] for y in series]))
    assert_allclose(clean, network.forecast(pack([y[:-1] for y in poisoned])), rtol=0)


def test_network_equals_a_plain_loop():
    """One unit, one lag: states and features written out for a single series."""
    y = trended(1, n=30)[0]
    recipe = NetworkRecipe(n_units=1, n_seeds=1)
    network = PackedNetwork(recipe, 2, (1,)).fit(pack([y]))
    rng = np.random.default_rng([0, 0])
    w = rng.standard_normal((1, 1))
    w = w * (rng.random((1, 1)) < 1.0)
    w *= recipe.spectral_radius / np.abs(w).max()
    w_in, b = rng.uniform(-0.5, 0.5, (2, 1)), rng.uniform(-0.5, 0.5, 1)
    state, rows = 0.0, []
    for t in range(len(y)):
        unit = np.abs(np.diff(y[: t + 1])).mean() if t else 1.0
        mean = y[: t + 1].mean()
        change = y[t] - y[t - 1] if t else 0.0
        u = np.clip([change / unit, (y[t] - mean) / unit / 3], -4, 4)
        state = 0.4 * state + 0.6 * np.tanh(w[0, 0] * state + u @ w_in[:, 0] + b[0])
        slope = (y[t] - y[0]) / max(t, 1)
        rows.append(
            [change / unit, slope / unit, (y[t] - mean) / unit, np.log(max(t, 1)) / 3,
             np.log(unit) / 5, state]
        )  # fmt: skip
    readout = network.readouts[0]
    features = np.clip(rows[-1], -20, 20)
    expected = y[-1] + unit * readout.predict(features[None])[0]
    assert_allclose(network.forecast(pack([y]))[0], expected, rtol=1e-10)


# ------------------------------------------------------------------------------ groups


def two_kinds(n_series, n=130, seed=0):
    """Series that follow a season of four, and walks whose changes are undone at once."""
    rng = np.random.RandomState(seed)
    out = []
    for i in range(n_series):
        noise = rng.randn(n)
        season = np.sin(2 * np.pi * (np.arange(n) / 4 + rng.rand())) + 0.1 * noise
        apart = 0.3 * np.cumsum(rng.randn(n)) + 2 * noise
        out.append(np.exp(0.05 * (season if i % 2 else apart) + rng.uniform(0, 9)))
    return out


def test_split_network_is_a_network_of_each_group():
    series = [np.log(y) for y in two_kinds(40)]
    recipe = NetworkRecipe(n_units=10, n_seeds=1)
    split = SplitNetwork(recipe, 4, (1, 2, 3), 2, (1, 2, 4)).fit(pack(series))
    found = split.forecast(pack(series))
    for first in (0, 1):
        mine = series[first::2]
        alone = PackedNetwork(recipe, 4, (1, 2, 3)).fit(pack(mine)).forecast(pack(mine))
        assert_allclose(found[first::2], alone, rtol=1e-9)
    single = SplitNetwork(recipe, 4, (1, 2, 3), 1, (1,)).fit(pack(series))
    whole = PackedNetwork(recipe, 4, (1, 2, 3)).fit(pack(series))
    assert np.array_equal(single.forecast(pack(series)), whole.forecast(pack(series)))


def test_whole_network_knows_new_series_by_their_shape():
    series = [np.log(y) for y in two_kinds(44)]
    network = WholeNetwork(PoolRecipe((4,), n_units=(20,)), 4, (1, 2, 3, 4), 2, (1, 2, 4))
    network.fit(pack(series[:40]))
    labels = network.network.labels_
    assert len(set(labels[::2])) == len(set(labels[1::2])) == 1
    together = network.forecast(pack(series))
    alone = np.vstack([network.forecast(pack([y])) for y in series])
    assert_allclose(alone, together, rtol=1e-9)


@pytest.fixture
def two_groups(monkeypatch):
    """Two groups in every pool."""
    monkeypatch.setattr(_auto_members, "_GROUPED_ROWS", 0)
    monkeypatch.setattr(_auto_members, "choose_n_groups", lambda n_rows, n_series: 2)


@pytest.mark.usefixtures("two_groups")
def test_large_pools_have_groups():
    past, future = split(two_kinds(40))
    pool = AutoPool(H, (4,)).fit(past)
    assert {m.n_groups for m in pool.members if m.recipe is not None} == {2}
    points = pool.forecast(past, H)
    alone = np.vstack([pool.forecast([y], H) for y in past[:3]])
    assert_allclose(alone, points[:3], rtol=1e-9)
    assert mase(future, points, past, 4) < min(naive_losses(past, future, 4))
    copied = pickle.loads(pickle.dumps(pool))
    assert np.array_equal(copied.forecast(past, H), points)


def test_small_pools_have_none():
    assert {m.n_groups for m in choose_members(two_kinds(200), (4,), H)} == {1}
    assert {m.n_groups for m in choose_members(two_kinds(500), (4,), H)} == {1, 5}


@pytest.mark.usefixtures("two_groups")
def test_groups_do_not_depend_on_order_or_units():
    series = two_kinds(30)
    order = np.random.RandomState(0).permutation(len(series))
    points = AutoPool(H, (4,)).fit(series).forecast(series, H)
    other = [1000 * series[i] for i in order]
    shuffled = AutoPool(H, (4,)).fit(other).forecast(other, H)
    assert_allclose(shuffled, 1000 * points[order], rtol=1e-6)


# -------------------------------------------------------------------------- odd series


@pytest.mark.parametrize("n", [1, 2, 3, 6, 9, 14])
def test_short_series_have_a_forecast(n):
    y = np.arange(1.0, n + 1)
    points = AutoPool(4, (12,)).fit([y, 2 * y]).forecast([y, 2 * y], 9)
    assert points.shape == (2, 9)
    assert np.isfinite(points).all()


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
def test_constant_series_stay_constant(value):
    y = np.full(50, value)
    assert_allclose(AutoPool(5, (4,)).fit([y]).forecast([y], 12), value, atol=1e-9)


def test_odd_company_does_no_harm():
    rng = np.random.RandomState(0)
    counts = rng.poisson(0.3, 60).astype(float)  # intermittent
    series = [*trended(4, n=60), np.zeros(60), counts, -np.arange(60.0), np.r_[1.0, 2.0]]
    points = AutoPool(H, (4,)).fit(series).forecast(series, H)
    assert np.isfinite(points).all()
    assert_allclose(points[4], 0.0, atol=1e-9)
    assert (points[5] >= 0).all()
    assert (points[5] < counts.max() + 1).all()


def test_long_horizons_go_on_from_the_forecasts():
    past, _ = split(trended(5, n=60))
    pool = AutoPool(H, (4,)).fit(past)
    points = pool.forecast(past, 3 * H + 1)
    assert points.shape == (5, 3 * H + 1)
    assert_allclose(points[:, :H], pool.forecast(past, H), rtol=1e-12)


def test_only_the_last_rows_count(monkeypatch):
    monkeypatch.setattr(_auto_pool, "MOST_ROWS", 100)
    y = trended(1, n=120)[0]
    y[:20] = 1e9
    pool = AutoPool(4, (4,)).fit([y])
    assert np.array_equal(pool.forecast([y], 4), pool.forecast([y[20:]], 4))


# ------------------------------------------------------------------------------- parts


def test_weights_find_the_better_member():
    rng = np.random.RandomState(0)
    future = rng.randn(50, 4)
    forecasts = np.stack([future + s * rng.randn(50, 4) for s in (0.1, 1.0, 1.0)])
    ones = np.ones((50, 1))
    weights = average_weights(forecasts, future, ones, ones, np.ones(3))
    assert_allclose(weights.sum(), 1)
    assert weights[0] > 0.7
    alike = np.repeat(forecasts[:1], 3, axis=0)
    assert_allclose(average_weights(alike, future, ones, ones, np.ones(3)), 1 / 3, atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "sized", "log", "sized-raw", "log-raw"])
def test_views_lead_back(kind):
    y = trended(1, n=60)[0]
    view = make_view(kind, [y[:-4]], (4,), 4)
    adjusted = view.packed.values[:, -4:]  # one season: its factors are those of the next one
    assert_allclose(view.back(adjusted)[0], y[-8:-4], rtol=1e-9)


def test_mean_season_keeps_the_level_of_the_last_one():
    y = np.concatenate([[0.0, 9.0], [10.0, 12.0], [20.0, 24.0], [31.0, 33.0]])
    found = season_mean_forecast(pack([y, y[:1]]), 3, 2)
    swing = np.mean([1.0, 2.0, 1.0])
    assert_allclose(found[0], [32 - swing, 32 + swing, 32 - swing])
    assert_allclose(found[1], 0.0)


def test_members_suit_the_series():
    names = {m.name for m in choose_members(trended(3), (4,), H)}
    assert "log usual" in names
    assert "sized usual, season 4" in names
    negative = {m.name for m in choose_members([-np.arange(30.0)], (1,), H)}
    assert not any(name.startswith("log") for name in negative)
    assert not any("season" in name for name in negative)


def test_periods_and_horizons_by_frequency():
    assert natural_periods(24) == (24, 168)
    assert natural_periods(12) == (12,)
    assert default_horizon(12, 100) == 18
    assert default_horizon(12, 12) == 4
    assert default_horizon(12, 1) == 1


# --------------------------------------------------------------------------- intervals


def test_intervals_of_a_panel_cover_what_they_should():
    rng = np.random.RandomState(1)
    series = [20 * s + np.cumsum(s * rng.randn(60)) for s in 10 ** rng.uniform(0, 2, 150)]
    past, future = split(series)
    pool = AutoPool(H, (1,)).fit(past)
    points = pool.forecast(past, H)
    inside = []
    for y, f, truth in zip(past, points, future):
        paths = pool.paths(y, f, 400, np.random.RandomState(0))
        low, high = np.quantile(paths, [0.1, 0.9], axis=1)
        inside.append((low <= truth) & (truth <= high))
    # 150 independent series: the standard error of a step is 0.033
    assert 0.72 < np.mean(inside) < 0.88


def test_intervals_of_single_series_cover_what_they_should():
    inside = []
    for seed in range(15):
        past, future = split([50 + np.random.RandomState(seed).randn(100)])
        pool = AutoPool(H, (1,)).fit(past)
        paths = pool.paths(past[0], pool.forecast(past, H)[0], 400, np.random.RandomState(0))
        low, high = np.quantile(paths, [0.1, 0.9], axis=1)
        inside.append((low <= future[0]) & (future[0] <= high))
    # 15 series of white noise with 8 steps each: standard error 0.037
    assert 0.68 < np.mean(inside) < 0.92


def test_paths_of_counts_are_not_negative():
    past, _ = split([np.random.RandomState(0).poisson(1.0, 60).astype(float)])
    pool = AutoPool(H, (1,)).fit(past)
    assert pool.paths(past[0], pool.forecast(past, H)[0], 50, np.random.RandomState(0)).min() >= 0


# --------------------------------------------------------------------------- the class


def panel(series, freq="QS"):
    parts = [pd.Series(y, pd.date_range("2000", periods=len(y), freq=freq)) for y in series]
    keys = [f"s{i}" for i in range(len(series))]
    return pd.concat(parts, keys=keys, names=["series", "time"])


def test_the_class_forecasts_panels_like_the_arrays():
    series = trended(6, n=48)
    model = AutoESNForecaster(horizon=H, random_state=0).fit(panel(series))
    assert model.kind_ == "series"
    pool = AutoPool(H, (4,), seed=model._fit_seed).fit(series)
    expected = pool.forecast(series, H).ravel()
    assert_allclose(model.predict(H).to_numpy(), expected, rtol=1e-9)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.predict(H, level=80).equals(model.predict(H, level=80))


def test_rows_are_taken_in_as_if_they_had_been_there():
    series = trended(4, n=48)
    model = AutoESNForecaster(horizon=H, random_state=0).fit(panel([y[:40] for y in series]))
    later = panel(series).groupby("series", group_keys=False).tail(8)
    moved = model.update(later).predict(4)
    applied = model.apply(panel(series)).predict(4)
    assert_allclose(moved, applied, rtol=1e-9)
    assert model.update(panel_tail(series), refit=True).predict(4).notna().all()


def panel_tail(series):
    """Two more rows of each series."""
    parts = [
        pd.Series([y[-4], y[-3]], pd.date_range("2000", periods=len(y) + 2, freq="QS")[-2:])
        for y in series
    ]
    keys = [f"s{i}" for i in range(len(series))]
    return pd.concat(parts, keys=keys, names=["series", "time"])


@pytest.mark.parametrize("n", [6, 16, 30, 40])
def test_short_series_have_intervals_of_the_size_of_their_errors(n):
    hits, widths = [], []
    for seed in range(12):
        rng = np.random.RandomState(seed)
        y = 100 + 5 * rng.randn(n + 4)
        pool = AutoPool(4, (12,), seed=0).fit([y[:n]])
        points = pool.forecast([y[:n]], 4)[0]
        paths = pool.paths(y[:n], points, 200, np.random.RandomState(1))
        low, high = np.quantile(paths, [0.1, 0.9], axis=1)
        hits.append((low <= y[n:]) & (y[n:] <= high))
        widths.append(high - low)
    assert 0.6 < np.mean(hits) < 0.99
    assert 5 < np.median(widths) < 60


def test_naive_paths_grow_with_the_steps_of_a_walk_and_stay_level_for_a_season():
    rng = np.random.RandomState(0)
    walk = np.cumsum(rng.randn(400))
    spread = naive_paths([walk], 12, 12, lambda y, season: 1.0, 0).std(axis=0)
    assert 2.0 < spread[-1] / spread[0] < 5.5  # the root of 12
    season = 10 * np.sin(np.arange(400) * np.pi / 6) + rng.randn(400)
    spread = naive_paths([season], 12, 12, lambda y, season: 1.0, 0).std(axis=0)
    assert spread.max() / spread.min() < 2
    assert 1.0 < spread.mean() < 2.0  # the root of 2
