"""Intervals: the parts, and their coverage on simulated series."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from echocast.forecasting import ESNForecaster, MarkovForecaster
from echocast.forecasting._intervals import (
    ConformalScores,
    conformal_origins,
    draw_innovations,
    path_quantiles,
)


def test_innovations_are_stretches_of_centred_rows():
    errors = np.random.RandomState(0).randn(100, 2) + 5
    drawn = draw_innovations(errors, 25, 4000, np.random.RandomState(1))
    assert drawn.shape == (25, 2, 4000)
    assert_allclose(drawn.mean(axis=2), 0, atol=0.08)
    # rows, a mean over 100 of them, and Student's distribution with 25 degrees of freedom
    expected = np.cov(errors.T, bias=True) * 1.01 * 25 / 23
    assert_allclose(np.cov(drawn[7]), expected, atol=0.09)
    changes = np.diff(drawn, axis=0)[:9]  # the first ten rows come from one stretch
    wrapped = np.diff(np.concatenate([errors, errors[:10]]), axis=0)
    known = np.stack([wrapped[i : i + 9].ravel() for i in range(100)])
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    for path in range(20):  # a shift cancels, a factor is common to all steps
        change = changes[:, :, path].ravel()
        assert (known @ change).max() == pytest.approx(np.linalg.norm(change), rel=1e-12)


def test_path_quantiles_use_plotting_positions():
    paths = np.arange(1.0, 100.0)[None, None, :]
    assert_allclose(path_quantiles(paths, [0.1, 0.9])[:, 0, 0], [10, 90])


def test_conformal_origins_lie_in_the_last_third():
    n_train, ends = conformal_origins(300)
    assert n_train == 200
    assert (ends[0], ends[-1], len(ends)) == (200, 299, 100)
    n_train, ends = conformal_origins(30_000)
    assert (n_train, len(ends)) == (29_600, 200)
    with pytest.raises(ValueError, match=r"Length of `y` \(59\) must be at least 60"):
        conformal_origins(59)


def test_conformal_ranks():
    errors = np.arange(1.0, 20.0)[:, None, None].repeat(2, axis=1)  # 19 origins
    errors[-5:, 1] = np.nan
    scores = ConformalScores(errors)
    assert_allclose(scores.half_width(1, 95), [[19.0]])  # rank ceil(20 * 0.95) = 19
    assert_allclose(scores.half_width(2, 80)[:, 0], [16.0, 12.0])
    assert_allclose(scores.quantile(1, 0.9), [[18.0]])
    assert_allclose(scores.quantile(1, 0.1), [[2.0]])
    with pytest.raises(ValueError, match="allow level=95 up to 1 steps ahead, not 2"):
        scores.half_width(2, 95)
    with pytest.raises(
        ValueError, match="cannot be had from 19 calibration forecasts: it needs at least 99"
    ):
        scores.quantile(1, 0.99)


def autoregression(rng, n):
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = 0.6 * y[t - 1] + rng.randn()
    return y[50:]


def walk(rng, n):
    return np.cumsum(0.1 + rng.randn(n))


def seasonal(rng, n):
    return 5 * np.sin(2 * np.pi * np.arange(n) / 12) + autoregression(rng, n)


def seasonal_walk(rng, n):
    return seasonal(rng, n) + np.cumsum(0.2 + rng.randn(n))


def hits(make, n_runs, *, n=200, horizon=8, season_length=1, **params):
    """Shares of true values inside the 80 and 95 per cent intervals, by run."""
    out = []
    for run in range(n_runs):
        y = make(np.random.RandomState(run), n + horizon)
        model = ESNForecaster(30, season_length=season_length, random_state=run, **params)
        bands = model.fit(y[:n]).predict(horizon, level=[80, 95]).to_numpy()
        truth = y[n:]
        out.append([((bands[:, k] <= truth) & (truth <= bands[:, k + 1])).mean() for k in (1, 3)])
    return np.array(out)


def assert_covers(shares, slack):
    """Mean coverage within `slack` and three standard errors over independent runs."""
    error = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    off = np.abs(shares.mean(axis=0) - [0.80, 0.95])
    assert (off < 3 * error + slack).all(), (shares.mean(axis=0), error)


CASES = {
    "autoregression": (autoregression, 1),
    "after differencing": (walk, 1),
    "after seasonal means": (seasonal, 12),
    "after seasonal differences": (seasonal_walk, 12),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("interval", ["bootstrap", "conformal"])
def test_coverage(case, interval):
    make, season = CASES[case]
    assert_covers(hits(make, 60, season_length=season, interval=interval), slack=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("interval", ["bootstrap", "conformal"])
def test_coverage_over_many_replications(case, interval):
    make, season = CASES[case]
    assert_covers(hits(make, 600, season_length=season, interval=interval), slack=0.015)


def test_conformal_intervals_are_symmetric_and_repeat():
    y = pd.Series(autoregression(np.random.RandomState(0), 150))
    model = ESNForecaster(20, interval="conformal", random_state=0).fit(y)
    bands = model.predict(5, level=[80, 90], quantiles=[0.1, 0.9])
    assert_allclose(bands["hi-80"] - bands["y"], bands["y"] - bands["lo-80"])
    assert (bands["hi-90"] >= bands["hi-80"]).all()
    assert (bands["q-0.1"] < bands["q-0.9"]).all()
    pd.testing.assert_frame_equal(model.predict(5, level=[80, 90], quantiles=[0.1, 0.9]), bands)
    assert model.sample(5, n_samples=3).shape == (5, 3)
    with pytest.raises(ValueError, match="allow level=95 up to 32 steps ahead, not 40"):
        model.predict(40, level=95)
    with pytest.raises(ValueError, match="must be at least 60"):
        ESNForecaster(interval="conformal").fit(y.iloc[:50])


def test_quantiles_come_from_paths_after_the_transforms_are_undone():
    y = np.cumsum(np.random.RandomState(0).randn(200))
    model = ESNForecaster(20, n_boot=500, random_state=0).fit(y)
    bands = model.predict(25, level=80).to_numpy()
    width = bands[:, 2] - bands[:, 1]
    # the width of a random walk grows like the root of the horizon, not like the horizon
    assert 3.0 < width[24] / width[0] < 8.0


@pytest.mark.parametrize("interval", ["conformal", "adaptive"])
def test_a_quantile_out_of_reach_is_named_as_one(interval):
    model = MarkovForecaster(2, interval=interval).fit(np.sin(np.arange(60.0) ** 1.1))
    for probability in (0.99, 0.01):
        text = rf"quantiles={probability} .* a quantile nearer to 0\.5"
        with pytest.raises(ValueError, match=text):
            model.predict(1, quantiles=probability)
    with pytest.raises(ValueError, match=r"level=99 .* a lower level"):
        model.predict(1, level=99)
