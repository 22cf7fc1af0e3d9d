"""missing="mask": own predictions for missing values, rows left out, nothing from the future."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import ESNForecaster, MarkovForecaster, NaiveForecaster, backtest
from echocast.forecasting._mask import _gaps, complete, learn_masked, repeat_known

SIZE = {"n_units": 20, "random_state": 0, "missing": "mask"}


def autoregression(rng, n):
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = 0.6 * y[t - 1] + rng.randn()
    return y[50:]


def seasonal(rng, n):
    return 10 * np.sin(2 * np.pi * np.arange(n) / 12) + autoregression(rng, n)


def at_random(rng, y):
    gappy = y.copy()
    gappy[1:][rng.rand(len(y) - 1) < 0.2] = np.nan
    return gappy


def in_stretches(rng, y):
    gappy = y.copy()
    for start in rng.choice(np.arange(30, len(y) - 20), 4, replace=False):
        gappy[start : start + 15] = np.nan
    return gappy


# ------------------------------------------------------------------------ parts


@pytest.mark.parametrize("m", [1, 3])
@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=20))
def test_first_fills_repeat_what_is_known(m, values):
    y = np.array([np.nan if v is None else v for v in values])
    if np.isnan(y).all():
        return
    first = int(np.argmin(np.isnan(y)))
    expected = []
    for t, value in enumerate(y):
        if t < first:
            expected.append(y[first])
        elif np.isnan(value):
            expected.append(expected[t - m] if t >= m else expected[t - 1])
        else:
            expected.append(value)
    assert_array_equal(repeat_known(y[:, None], m)[:, 0], expected)


def test_gaps_are_whole_rows_or_single_ones():
    missing = np.zeros((12, 2), dtype=bool)
    missing[2:5] = True
    missing[5, 0] = missing[6, 1] = missing[11, 0] = True
    missing[8:10] = True
    assert list(_gaps(missing)) == [(2, 5), (5, 6), (6, 7), (8, 10), (11, 12)]


# ----------------------------------------------------------------------- fitting


@pytest.mark.parametrize("interval", ["bootstrap", "conformal"])
def test_complete_rows_give_the_ordinary_forecaster(interval):
    y = seasonal(np.random.RandomState(0), 160)
    masked = ESNForecaster(**SIZE, interval=interval, season_length=12)
    plain = ESNForecaster(20, random_state=0, interval=interval, season_length=12)
    for model in (masked, plain):
        model.fit(y[:150]).update(y[150:], refit=True)
    pd.testing.assert_frame_equal(masked.predict(9, level=80), plain.predict(9, level=80))
    assert_array_equal(masked.residuals(), plain.residuals())


def slow_fill(model, y, first):
    """Fill one value at a time by the forecast of one step from the rows before."""
    filled = y.copy()
    for t in range(first, len(y)):
        if np.isnan(filled[t]):
            filled[t] = model.apply(filled[:t]).predict(1)[0]
    return filled


def test_fills_are_the_forecasts_from_the_rows_before():
    rng = np.random.RandomState(1)
    y = at_random(rng, seasonal(rng, 120))
    model = ESNForecaster(**SIZE, season_length=12, transforms=["deseasonalize", "difference"])
    model.fit(y)
    network = model._fit_network
    head = network.n_needed
    filled = complete(network, y[:, None], np.empty((120, 0)), 0, 12)[:, 0]
    expected = slow_fill(model, np.r_[filled[:head], y[head:]], head)
    assert_allclose(filled, expected, atol=1e-9)
    assert_array_equal(filled[~np.isnan(y)], y[~np.isnan(y)])


def test_a_missing_target_is_not_learnt_from():
    """The readout is the ridge solution over the rows whose own value is known."""
    rng = np.random.RandomState(2)
    y = at_random(rng, seasonal(rng, 150))[:, None]
    seen = []

    def make(filled, X, known):
        model = ESNForecaster(**SIZE, transforms="standardize", alpha=0.1, lags=3)
        model._read_first(filled, None)
        network = model._network(filled, X, 0, known)
        seen.append((network, filled.copy()))
        return network

    network, filled = learn_masked(make, y, np.empty((150, 0)), 1)
    assert len(seen) == 3
    network, rows = seen[-1]
    Z = network.chain.forward(rows)
    inputs = network._inputs(Z, network._features(np.empty((150, 0))))
    states = np.concatenate([s for _, _, s in network._run(inputs, np.zeros(network.n_units))])
    taken = np.flatnonzero(~np.isnan(y[1:, 0]))
    taken = taken[taken >= network.washout]
    A, b = np.column_stack([states, inputs])[taken], Z[1:, 0][taken]
    centred = A - A.mean(axis=0)
    gram = centred.T @ centred + 0.1 * np.eye(A.shape[1])
    expected = np.linalg.solve(gram, centred.T @ (b - b.mean()))
    assert_allclose(network.esn.coef_[0], expected, atol=1e-7)
    assert not np.array_equal(filled, rows)  # the last network's predictions are newer


@pytest.mark.parametrize("gaps", [at_random, in_stretches])
def test_masking_beats_carrying_values_forward(gaps):
    """Seasonal series with a fifth missing: over series, as good as if all were known."""
    errors = {"ffill": [], "mask": [], "raise": []}
    for seed in range(8):
        rng = np.random.RandomState(seed)
        y = seasonal(rng, 252)
        gappy = gaps(rng, y[:240])
        for missing in errors:
            model = ESNForecaster(20, season_length=12, missing=missing, random_state=0)
            model.fit(y[:240] if missing == "raise" else gappy)
            errors[missing].append(np.abs(model.predict(12) - y[240:]).mean())
    means = {missing: np.mean(values) for missing, values in errors.items()}
    assert means["mask"] < 0.9 * means["ffill"]
    assert means["mask"] < 1.15 * means["raise"]


# ----------------------------------------------------------------------- history


def test_leading_gaps_are_left_out():
    rng = np.random.RandomState(3)
    y = pd.Series(seasonal(rng, 150), pd.date_range("2010-01-01", periods=150, freq="MS"))
    late = y.copy()
    late[:30] = np.nan
    model, cut = ESNForecaster(**SIZE).fit(late), ESNForecaster(**SIZE).fit(y[30:])
    pd.testing.assert_series_equal(model.predict(12), cut.predict(12))
    fitted = model.fitted_values(late)
    assert fitted.index.equals(y.index)
    assert fitted[:30].isna().all()
    assert_allclose(fitted.dropna(), cut.fitted_values(y[30:]).dropna())
    assert_allclose(model.apply(y[5:]).predict(6), cut.apply(y[5:]).predict(6))


def test_chunks_of_an_update_equal_the_whole():
    rng = np.random.RandomState(4)
    y = at_random(rng, seasonal(rng, 200))
    y[150] = y[170] = np.nan  # chunks that begin with a gap
    whole = ESNForecaster(**SIZE, season_length=12).fit(y[:150])
    parts = ESNForecaster(**SIZE, season_length=12).fit(y[:150])
    whole.update(y[150:])
    for first, stop in ((150, 151), (151, 170), (170, 200)):
        parts.update(y[first:stop])
    assert_allclose(parts.predict(12), whole.predict(12), atol=1e-9)
    assert_allclose(parts.residuals(), whole.residuals(), atol=1e-9)
    assert_array_equal(np.isnan(whole.residuals()[-50:]), np.isnan(y[150:]))


def test_a_gap_at_the_end_is_forecast_over():
    y = seasonal(np.random.RandomState(5), 160)
    gap = np.r_[y[:150], np.full(6, np.nan)]
    model = ESNForecaster(**SIZE, season_length=12).fit(y[:150])
    expected = model.predict(12)[6:]
    assert_allclose(model.update(gap[150:]).predict(6), expected, atol=1e-9)
    refit = ESNForecaster(**SIZE, season_length=12).fit(y[:150])
    refit.update(gap[150:], refit=True)  # nothing to learn from, and nothing learnt
    assert_allclose(refit.predict(6), expected, atol=1e-7)


def test_variables_of_a_system_may_be_missing_alone():
    rng = np.random.RandomState(6)
    Y = np.column_stack([seasonal(rng, 200), autoregression(rng, 200)])
    Y[1:][rng.rand(199, 2) < 0.1] = np.nan
    Y[:20, 1] = np.nan
    model = ESNForecaster(**SIZE, season_length=12, interval="conformal").fit(Y[:190])
    model.update(Y[190:], refit=True)
    bands = model.predict(5, level=80)
    assert bands.notna().all(axis=None)
    assert_array_equal(np.isnan(model.residuals()[-10:]), np.isnan(Y[190:]))


@pytest.mark.parametrize("refit", [True, False])
def test_nothing_is_filled_from_beyond_a_cutoff(refit):
    rng = np.random.RandomState(7)
    index = pd.date_range("2015-01-01", periods=130, freq="MS")
    y = pd.Series(at_random(rng, seasonal(rng, 130)), index)
    y.iloc[112:114] = np.nan
    y.iloc[114:] = y.iloc[114:].interpolate()
    poisoned = y.copy()
    poisoned.iloc[114:] = 1e9
    settings = {"horizon": 4, "n_windows": 2, "step": 4, "refit": refit, "level": 80}
    settings["initial"] = 110
    for interval in ("bootstrap", "conformal"):
        model = ESNForecaster(**SIZE, interval=interval)
        clean, dirty = (backtest(model, rows, **settings).forecasts for rows in (y, poisoned))
        columns = clean.columns.drop("y")
        before = clean["cutoff"] < index[114]
        assert before.any()
        pd.testing.assert_frame_equal(
            clean.loc[before, columns], dirty.loc[before, columns], check_exact=True
        )


# ---------------------------------------------------------------------- refusals


def test_too_little_to_learn_from_is_refused():
    y = np.full(40, np.nan)
    with pytest.raises(ValueError, match="a column of NaN alone"):
        ESNForecaster(**SIZE).fit(y)
    y[[0, 20, 39]] = 1.0, 2.0, 3.0
    with pytest.raises(ValueError, match="at least 4 rows to learn from; 40 rows with 37 missing"):
        ESNForecaster(**SIZE).fit(y)
    with pytest.raises(InvalidParameterError, match="'missing' parameter of NaiveForecaster"):
        NaiveForecaster(missing="mask").fit(np.arange(9.0))


def test_a_score_needs_an_observed_row():
    y = seasonal(np.random.RandomState(0), 60)
    model = MarkovForecaster(2, missing="mask").fit(y)
    assert model.score(np.array([np.nan, y[0]])) >= 0
    with pytest.raises(ValueError, match="`y` has no complete row to score"):
        model.score(np.array([np.nan, np.nan]))


@pytest.mark.parametrize("name", ["esn", "markov"])
def test_fitted_values_begin_where_each_column_has(name):
    """What stands in the place of values before the first of a column is not known there."""
    rng = np.random.RandomState(0)
    Y = np.column_stack([seasonal(rng, 100), rng.randn(100)])
    Y[:20, 1] = np.nan
    models = {"esn": ESNForecaster(**SIZE), "markov": MarkovForecaster(2)}
    model = models[name].set_params(missing="mask").fit(Y)
    other = Y.copy()
    other[60:] *= 3
    fitted = model.fitted_values(Y)
    assert np.isnan(fitted[:21]).all()
    assert not np.isnan(fitted[21:]).any()
    assert_allclose(model.fitted_values(other)[:61], fitted[:61])
    assert len(model.apply(Y).residuals()) == 79


def test_the_error_about_nan_offers_the_mask_to_those_that_have_it():
    y = np.sin(np.arange(50.0))
    y[20] = np.nan
    with pytest.raises(ValueError, match=r"first at row 20\. Use .*, missing='mask' or missing="):
        MarkovForecaster(2).fit(y)
    with pytest.raises(ValueError, match="Use missing='interpolate' or missing='ffill'"):
        NaiveForecaster().fit(y)
