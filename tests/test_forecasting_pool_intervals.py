"""Intervals of series that are new to a pool: on their own scale, and covering as asked."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from echocast.forecasting import ESNForecaster

AHEAD = 6
KINDS = [
    *(("recursive", interval) for interval in ("bootstrap", "conformal", "adaptive")),
    *((s, i) for s in ("direct", "multi_output") for i in ("bootstrap", "conformal")),
]


def autoregressions(sizes, n, seed):
    """Series of one equation with errors of the given sizes, at levels ten times as high."""
    rng = np.random.RandomState(seed)
    y = np.zeros((n + 50, len(sizes)))
    for t in range(1, len(y)):
        y[t] = 0.6 * y[t - 1] + rng.randn(len(sizes))
    y = (10 + y[50:]) * sizes
    return pd.concat({f"{seed}-{k}": pd.Series(v) for k, v in enumerate(y.T)}, names=["id", "t"])


POOL = autoregressions(np.array([1.0, 1000.0] * 4), 120, 0)


def make(strategy, interval, **changes):
    settings = {"n_units": 15, "lags": 3, "transforms": ["standardize"], "random_state": 0}
    settings |= {"horizon": AHEAD, "n_boot": 300, "season_length": 1, "pooling": "global"}
    return ESNForecaster(strategy=strategy, interval=interval, **(settings | changes))


def applied(model, size, n_rows, n_series=60):
    """Bands of new series, and what then came."""
    new = autoregressions(np.full(n_series, size), n_rows + AHEAD, 1)
    early = new.index.get_level_values(1) < n_rows
    return model.apply(new[early]).predict(AHEAD, level=80), new[~early]


@pytest.mark.parametrize("n_rows", [25, 90])
@pytest.mark.parametrize(("strategy", "interval"), KINDS)
def test_new_series_have_bands_of_their_own_scale_that_cover(strategy, interval, n_rows):
    bands, truth = applied(make(strategy, interval).fit(POOL), 30.0, n_rows)
    width = (bands["hi-80"] - bands["lo-80"]).groupby(level=0).mean() / 30
    assert 2.4 < width.median() < 4.2  # 2.56 for the first step, 3.2 far ahead
    inside = (bands["lo-80"] <= truth) & (truth <= bands["hi-80"])
    shares = inside.groupby(level=0).mean()
    error = shares.std() / np.sqrt(len(shares))
    assert abs(shares.mean() - 0.8) < 3 * error + 0.02, (shares.mean(), error)


@pytest.mark.parametrize(("strategy", "interval"), KINDS)
def test_bands_of_new_series_know_no_order_of_the_pool(strategy, interval):
    backwards = pd.concat([part for _, part in POOL.groupby(level=0)][::-1])
    new = autoregressions(np.array([30.0]), 25, 2)
    bands = make(strategy, interval).fit(POOL).apply(new).predict(3, level=80)
    again = make(strategy, interval).fit(backwards).apply(new).predict(3, level=80)
    assert_allclose(again, bands, rtol=1e-6)


def test_new_series_that_are_noisier_than_the_pool_have_wider_bands():
    """The same waves, but five times the noise about them: the unit of a series is not enough."""
    rng = np.random.RandomState(0)
    wave = 10 * np.sin(np.arange(60) * 2 * np.pi / 9.5)

    def noisy(n, size):
        parts = {k: pd.Series(wave + size * rng.randn(60)) for k in range(n)}
        return pd.concat(parts, names=["id", "t"])

    pool = noisy(6, 0.2)
    for strategy, interval in KINDS[:3]:
        model = make(strategy, interval, lags=4).fit(pool)
        widths = []
        for size in (0.2, 1.0):
            new = noisy(4, size).groupby(level=0).head(40).rename(index=lambda k: f"n{k}", level=0)
            bands = model.apply(new).predict(1, level=80)
            widths.append((bands["hi-80"] - bands["lo-80"]).mean())
        assert widths[1] > 2 * widths[0]
