"""Coverage: shares of independent new values inside the intervals, within binomial bounds."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import ESNForecaster, ReservoirForecaster
from echocast.forecasting._adaptive import AdaptiveScores
from echocast.forecasting._intervals import ConformalScores
from echocast.forecasting._transforms import Chain, Standardize
from echocast.forecasting._transforms_power import Log


def autoregression(rng, n):
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = 0.6 * y[t - 1] + rng.randn()
    return y[50:]


def growing(rng, n):
    t = np.arange(n)
    return 50 * np.exp(0.01 * t + 0.4 * np.sin(2 * np.pi * t / 12) + 0.1 * autoregression(rng, n))


def growing_walk(rng, n):
    return np.exp(3 + np.cumsum(0.01 + 0.05 * rng.randn(n)))


def walk(rng, n):
    return np.cumsum(0.1 + rng.randn(n))


CASES = {  # series, season, transforms
    "autoregression": (autoregression, 1, "auto"),
    "differenced": (walk, 1, ["difference", "standardize"]),
    "logarithm and seasonal means": (growing, 12, ["log", "detrend", "deseasonalize"]),
    "logarithm and differences": (growing_walk, 1, ["log", "difference", "standardize"]),
    "logarithm and seasonal differences": (growing, 12, ["log", "seasonal_difference"]),
    "power": (growing_walk, 1, ["box_cox", "difference", "standardize"]),
}


def hits(case, n_runs, n, interval, horizon=6):
    """Shares of new values inside the 80 and 95 per cent intervals, by independent run."""
    make, season, transforms = CASES[case]
    out = []
    for run in range(n_runs):
        y = make(np.random.RandomState(run), n + horizon)
        model = ESNForecaster(
            15,
            season_length=season,
            transforms=transforms,
            interval=interval,
            lags=3,
            random_state=run,
        )
        bands = model.fit(y[:n]).predict(horizon, level=[80, 95]).to_numpy()
        truth = y[n:]
        out.append([((bands[:, k] <= truth) & (truth <= bands[:, k + 1])).mean() for k in (1, 3)])
    return np.array(out)


def assert_covers(shares, slack):
    """Mean coverage within `slack` and three standard errors over independent runs."""
    error = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
    off = np.abs(shares.mean(axis=0) - [0.80, 0.95])
    assert (off < 3 * error + slack).all(), (shares.mean(axis=0), error)


@pytest.mark.parametrize("interval", ["bootstrap", "conformal"])
@pytest.mark.parametrize("case", ["differenced", "logarithm and differences"])
def test_coverage_after_transforms(case, interval):
    assert_covers(hits(case, 40, 130, interval), slack=0.02)


@pytest.mark.parametrize("case", ["autoregression", "logarithm and differences"])
def test_coverage_of_short_series(case):
    assert_covers(hits(case, 40, 60, "bootstrap"), slack=0.02)


@pytest.mark.parametrize("strategy", ["direct", "multi_output"])
def test_coverage_of_direct_forecasts_from_few_errors(strategy):
    """22 errors of 6 steps that overlap; drawn as they are they cover 0.66 and 0.75."""
    shares = []
    for run in range(60):
        y = walk(np.random.RandomState(run), 36)
        model = ReservoirForecaster(
            Ridge(), lags=2, strategy=strategy, horizon=6, season_length=1, random_state=run,
            transforms=["difference", "standardize"],
        ).fit(y[:30])  # fmt: skip
        bands, truth = model.predict(6, level=[80, 95]).to_numpy(), y[30:]
        inside = [(bands[:, k] <= truth) & (truth <= bands[:, k + 1]) for k in (1, 3)]
        shares.append([covered.mean() for covered in inside])
    assert_covers(np.array(shares), slack=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["bootstrap", "conformal", "adaptive"])
@pytest.mark.parametrize("case", CASES)
def test_coverage_over_many_replications(case, interval):
    assert_covers(hits(case, 400, 150, interval), slack=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 60, 100])
@pytest.mark.parametrize("case", CASES)
def test_coverage_of_short_series_over_many_replications(case, n):
    assert_covers(hits(case, 400, n, "bootstrap"), slack=0.03)


# ---------------------------------------------------------------- in even units


def test_conformal_intervals_after_a_logarithm_grow_with_the_level():
    y = growing(np.random.RandomState(0), 144)
    model = ESNForecaster(
        15,
        season_length=12,
        transforms=["log", "detrend", "deseasonalize"],
        interval="conformal",
        random_state=0,
    ).fit(y)
    bands = model.predict(12, level=80, quantiles=[0.1, 0.5])
    ratio = bands["hi-80"] / bands["y"]
    assert_allclose(ratio, bands["y"] / bands["lo-80"])  # symmetric in logarithms
    widths = np.log(ratio)
    assert widths.max() < 3 * widths.min()
    assert (bands["lo-80"] > 0).all()


def test_scores_are_measured_and_undone_in_bent_units():
    Y = np.exp(np.random.RandomState(0).randn(30, 3))
    chain = Chain([Log(columns=np.array([True, False, True])), Standardize()]).fit(Y, 1)
    bends = chain.bends(2)
    scores = ConformalScores.measure(Y[:4, :2, None] * 1.5, Y[:, :2], np.array([0]), bends)
    assert_allclose(scores.errors[0, :, 0], -np.log(1.5))
    assert_allclose(scores.errors[0, :, 1], -0.5 * Y[:4, 1])
    assert_allclose(scores.around(1.5 * Y[:4, :2], scores.errors[0]), Y[:4, :2])
    assert_allclose(scores.error(Y[:4, :2], 1.5 * Y[:4, :2]), scores.errors[0])
    assert Chain([Standardize()]).fit(Y, 1).bends(2) is None


# --------------------------------------------------------------------- adaptive


def slow_adaptive(recent, errors, level):
    """One level of adaptive conformal inference, row by row; shares asked for, and misses."""
    asked, alpha, recent = 1 - level / 100, 1 - level / 100, list(recent)
    shares, misses = [], []
    for error in errors:
        n = len(recent)
        rank = (n + 1) * (1 - alpha)
        place = min(max(int(np.ceil(rank - 1e-9)), 1), n)
        reach = 0.0 if rank <= 0 else sorted(recent)[place - 1] * max(rank / n, 1.0)
        misses.append(abs(error) > reach)
        alpha += 0.02 * (asked - misses[-1])
        shares.append(alpha)
        recent = [*recent, abs(error)][-200:]
    return shares, misses


def test_adaptive_scores_equal_the_slow_ones():
    rng = np.random.RandomState(0)
    base = ConformalScores(rng.randn(50, 4, 1))
    errors = np.concatenate([rng.randn(150), 5 * rng.randn(150), 0.1 * rng.randn(150)])
    scores = AdaptiveScores.begin(base)
    recent = np.abs(base.errors[:, 0, 0])
    for k, level in enumerate((50, 80, 90, 95, 99)):
        shares, misses = slow_adaptive(recent, errors, level)
        moved = scores.after(errors[:, None], np.zeros((450, 1)))
        assert_allclose(moved.shares[k, 0], shares[-1], atol=1e-12)
        limit = 1.02 / (0.02 * len(errors))
        assert abs(np.mean(misses) - (1 - level / 100)) <= limit + 1e-12
    parts = scores.after(errors[:100, None], np.zeros((100, 1)))
    parts = parts.after(errors[100:, None], np.zeros((350, 1)))
    assert_array_equal(parts.shares, moved.shares)
    gappy = np.insert(errors, 7, np.nan)[:, None]
    assert_array_equal(scores.after(gappy, np.zeros((451, 1))).shares, moved.shares)


def test_adaptive_intervals_begin_as_conformal_ones():
    y = autoregression(np.random.RandomState(1), 150)
    bands = [
        ESNForecaster(15, interval=interval, random_state=0)
        .fit(y)
        .predict(5, level=[80, 95], quantiles=[0.5])
        for interval in ("conformal", "adaptive")
    ]
    wide = [b["hi-80"] - b["lo-80"] for b in bands]
    assert_allclose(wide[1], wide[0])
    assert_allclose(bands[1]["q-0.5"], bands[1]["y"])


def test_long_run_coverage_of_a_drifting_stream():
    """The spread of the noise doubles every 150 rows; single steps are forecast one by one."""
    rng = np.random.RandomState(0)
    n, n_stream = 150, 600
    noise = rng.randn(n + n_stream) * 2.0 ** (np.maximum(np.arange(n + n_stream) - n, 0) / 150)
    y = np.zeros(n + n_stream)
    for t in range(1, n + n_stream):
        y[t] = 0.6 * y[t - 1] + noise[t]
    covered = {}
    for interval in ("conformal", "adaptive"):
        model = ESNForecaster(15, lags=2, interval=interval, random_state=0).fit(y[:n])
        inside = np.zeros((n_stream, 2))
        for t in range(n, n + n_stream):
            with np.errstate(all="ignore"):
                bands = model.predict(1, level=[80, 95]).to_numpy()[0]
            inside[t - n] = [bands[1] <= y[t] <= bands[2], bands[3] <= y[t] <= bands[4]]
            model.update(y[t : t + 1])
        covered[interval] = inside.mean(axis=0)
    assert (covered["conformal"] < [0.55, 0.75]).all()
    assert_allclose(covered["adaptive"], [0.80, 0.95], atol=0.04)


@pytest.mark.parametrize("pooling", ["local", "global"])
def test_series_of_a_panel_adapt_each_by_itself(pooling):
    rng = np.random.RandomState(0)
    months = pd.date_range("2010-01-01", periods=170, freq="MS")
    calm = np.exp(2 + 0.1 * rng.randn(170))
    wild = calm * np.exp(np.r_[np.zeros(140), 0.5 * rng.randn(30)])
    y = pd.concat({k: pd.Series(v, months) for k, v in (("calm", calm), ("wild", wild))})
    model = ESNForecaster(
        10,
        interval="adaptive",
        pooling=pooling,
        transforms=["log", "standardize"],
        random_state=0,
    ).fit(y.groupby(level=0).head(140))
    before = model.predict(1, level=80)
    after = model.update(y.groupby(level=0).tail(30)).predict(1, level=80)
    grown = np.log(after["hi-80"] / after["lo-80"]).to_numpy()
    grown = grown / np.log(before["hi-80"] / before["lo-80"]).to_numpy()
    assert grown[1] > 1.5
    assert 0.7 < grown[0] < 1.3


def test_direct_forecasts_do_not_adapt():
    with pytest.raises(InvalidParameterError, match="unless strategy='recursive'"):
        ESNForecaster(interval="adaptive", strategy="direct").fit(np.arange(90.0))
