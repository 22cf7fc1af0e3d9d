"""Recursive networks with one readout over the series of a panel."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from echocast.forecasting import ESNForecaster
from echocast.reservoir import ESNRegressor


def panel(n_series=6, n=70, seed=0):
    """Damped waves of one equation, at different levels and sizes."""
    parts = {}
    for i in range(n_series):
        rng = np.random.RandomState(seed + i)
        y = np.zeros(n)
        for t in range(2, n):
            y[t] = 1.6 * y[t - 1] - 0.9 * y[t - 2] + 0.1 * rng.randn()
        size = 10.0 ** rng.randint(-1, 3)
        parts[f"s{i}"] = pd.Series(size * (y[rng.randint(0, 20) :] + 5 * rng.randn()))
    return pd.concat(parts, names=["id", "step"])


def model(**changes):
    settings = {"pooling": "global", "n_units": 20, "random_state": 0, "lags": 3}
    return ESNForecaster(**(settings | {"transforms": ["standardize"]} | changes))


def test_the_readout_is_a_fit_to_the_stacked_rows_of_all_series():
    y = panel()
    fitted = model(alpha=0.1).fit(y)
    networks = [m._fit_network for m in fitted.members_.values()]
    assert len({id(net.esn) for net in networks}) == 1
    first = networks[0]
    rows, targets = [], []
    for net, (_, part) in zip(networks, y.groupby(level=0, sort=False)):
        z = (part.to_numpy() - part.mean()) / part.std(ddof=0)
        late = [np.r_[np.zeros(k - 1), z[: len(z) - k]] for k in (1, 2, 3)]
        rows.append(np.column_stack(late))
        targets.append(z[1:, None])
        assert net.chain is not first.chain or net is first
    expected = ESNRegressor(
        n_units=first.n_units,
        input_scaling=np.array([0.3, 0, 0]),
        washout=first.washout,
        random_state=fitted.members_["s0"]._network_seed(),
        **(fitted._regressor_params() | {"alpha": 0.1}),
    ).fit(rows, targets)
    assert_allclose(first.esn.coef_, expected.coef_, rtol=1e-8, atol=1e-10)


def test_a_pool_beats_models_of_short_series():
    y = panel(n_series=12, n=45)
    train, test = y.groupby(level=0).head(-5), y.groupby(level=0).tail(5)
    pooled = model(transforms="auto").fit(train).score(test)
    assert pooled < 1.05 * model(transforms="auto", pooling="local").fit(train).score(test)


@pytest.mark.parametrize("refit", [False, True])
def test_update_moves_some_series_and_teaches_all(refit):
    y = panel()
    early = y.groupby(level=0).head(-6)
    late = y.groupby(level=0).tail(6)
    fitted = model().fit(early)
    before = fitted.predict(3)
    fitted.update(late.loc[["s1", "s2"]], refit=refit)
    assert len({id(m._fit_network.esn) for m in fitted.members_.values()}) == 1
    same = np.allclose(fitted.predict(3).loc["s0"], before.loc["s0"], rtol=1e-12)
    assert same is not refit
    if not refit:
        again = fitted.apply(y.loc[["s1"]])
        assert_allclose(again.predict(4), fitted.predict(4).loc[["s1"]], rtol=1e-9)


def test_a_new_series_has_transforms_of_its_own():
    y = panel()
    fitted = model().fit(y)
    new = 1000 + 7 * y.loc[["s3"]].rename(index={"s3": "new"})
    forecast = fitted.apply(new).predict(3)
    known = fitted.predict(3).loc["s3"]
    assert_allclose(forecast.loc["new"], 1000 + 7 * known, rtol=1e-9)
    again = fitted.apply(new).apply(new)  # its transforms stay
    assert_allclose(again.predict(3), forecast, rtol=1e-12)


def test_errors_are_those_of_rows_left_out():
    y = panel(n_series=3, n=40)
    fitted = model(alpha=0.5).fit(y)
    inside = y.groupby(level=0).tail(10) - fitted.fitted_values(y).groupby(level=0).tail(10)
    outside = fitted.residuals().groupby(level=0).tail(10)
    assert (outside.abs() >= inside.abs() - 1e-9).all()
    assert outside.abs().mean() > inside.abs().mean()


def test_intervals_conformal_intervals_and_gaps():
    y = panel(n_series=3, n=110)
    forecast = model(interval="conformal").fit(y).predict(3, level=80)
    assert (forecast["lo-80"] < forecast["hi-80"]).all()
    holed = y.copy()
    holed.iloc[[3, 60, 150]] = np.nan
    fitted = model(missing="mask").fit(holed)
    assert np.isfinite(fitted.predict(3, level=80)).all(axis=None)
