"""EnsembleForecaster against combinations made by hand."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import (
    EnsembleForecaster,
    ESNForecaster,
    ForecastSearchCV,
    MarkovForecaster,
    NaiveForecaster,
    NVARForecaster,
    backtest,
)
from echocast.forecasting._ensemble_weights import combine, shares, weigh

N = 150
NOISE = np.random.RandomState(0).randn(N, 2)
INDEX = pd.date_range("2000-01-01", periods=N, freq="MS")
Y = pd.Series(5 * np.sin(np.arange(N) / 2) + NOISE[:, 0], index=INDEX, name="y")
X = pd.DataFrame({"x": NOISE[:, 1]}, index=INDEX)
LIST = [("a", MarkovForecaster(4)), ("b", NaiveForecaster()), ("c", NaiveForecaster("mean"))]


def ensemble(**params):
    return EnsembleForecaster(**({"forecasters": LIST, "random_state": 0} | params))


def alone(y=Y, n_steps=7):
    return np.stack([clone(f).fit(y).predict(n_steps) for _, f in LIST])


def test_means_medians_and_weights_are_those_of_the_members():
    points = alone()
    assert_allclose(ensemble().fit(Y).predict(7), points.mean(axis=0))
    assert_allclose(ensemble(method="median").fit(Y).predict(7), np.median(points, axis=0))
    model = ensemble(method="weights", weights=[1, 2, 5]).fit(Y)
    assert_allclose(model.predict(7), np.array([1, 2, 5]) / 8 @ points)
    assert_allclose(model.weights_, [0.125, 0.25, 0.625])
    assert ensemble(method="median").fit(Y).weights_ is None


def past_errors(y, n_train, ends, horizon):
    """Errors of members that are fitted once and updated, spelt out."""
    errors = []
    for _, forecaster in LIST:
        model = clone(forecaster).fit(y[:n_train])
        seen, own = n_train, []
        for end in ends:
            if end > seen:
                model.update(y[seen:end])
                seen = end
            own.append(y[end : end + horizon].to_numpy() - model.predict(horizon).to_numpy())
        errors.append(np.concatenate(own))
    return np.stack(errors)


@pytest.mark.parametrize("rule", ["inverse_error", "nnls"])
def test_weights_come_from_forecasts_of_past_rows(rule):
    model = ensemble(method="weights", weights=rule, n_windows=4, horizon=5).fit(Y)
    errors = past_errors(Y, 100, [100, 115, 130, 145], 5)
    if rule == "inverse_error":
        expected = 1 / (errors**2).mean(axis=1)
        expected = expected / expected.sum()
        tolerance = 1e-9
    else:
        start = np.full(3, 1 / 3)
        expected = minimize(
            lambda w: ((w @ errors) ** 2).sum(),
            start,
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            tol=1e-12,
        ).x
        tolerance = 1e-4
    assert_allclose(model.weights_, expected, atol=tolerance)
    assert model.weights_[0] == model.weights_.max()


def test_weights_ignore_the_units_of_the_variables():
    wide = pd.DataFrame({"a": Y, "b": Y.shift(1).fillna(0.0) + NOISE[:, 1]})
    settings = {"method": "weights", "forecasters": [MarkovForecaster(3), NaiveForecaster()]}
    weights = ensemble(**settings).fit(wide).weights_
    assert_allclose(ensemble(**settings).fit(wide * [1.0, 1e6]).weights_, weights, rtol=1e-6)


@pytest.mark.parametrize("rule", ["inverse_error", "nnls"])
def test_errors_that_vanish_weigh_alike(rule):
    errors = np.random.RandomState(0).randn(3, 20, 1)
    assert_allclose(weigh(rule, 1e-160 * errors), 1 / 3)


def test_weights_of_arrays():
    rng = np.random.RandomState(0)
    errors = rng.randn(3, 50, 2) * np.array([1.0, 2.0, 4.0])[:, None, None]
    assert_allclose(
        weigh("inverse_error", errors)[0] / weigh("inverse_error", errors)[1], 4, rtol=0.4
    )
    assert weigh("nnls", errors).min() >= 0
    assert weigh("nnls", errors).sum() == pytest.approx(1.0)
    perfect = errors.copy()
    perfect[1] = 0
    assert_array_equal(weigh("inverse_error", perfect), [0, 1, 0])
    assert_array_equal(shares(np.array([0.5, 0.3, 0.2]), 3, 7), [4, 2, 1])
    assert shares(None, 3, 200).tolist() == [67, 67, 66]
    assert_allclose(combine(errors, None), np.median(errors, axis=0))


def test_paths_mix_the_members_around_the_combined_forecast():
    model = ensemble(method="weights", weights=[0.7, 0.3, 0.0]).fit(Y)
    paths = model.sample(6, n_samples=2000)
    own = [clone(f).fit(Y) for _, f in LIST[:2]]
    spread = [np.var(m.sample(6, n_samples=2000).to_numpy(), axis=1) for m in own]
    expected = np.sqrt(0.7 * spread[0] + 0.3 * spread[1])
    assert_allclose(paths.std(axis=1), expected, rtol=0.1)
    assert_allclose(
        paths.mean(axis=1), model.predict(6), atol=4 * expected.max() / np.sqrt(2000) + 0.3
    )


def test_one_forecaster_over_several_seeds():
    seeds = [ESNForecaster(15, random_state=s) for s in range(3)]
    model = EnsembleForecaster(seeds).fit(Y)
    assert model.names_ == ["esnforecaster-1", "esnforecaster-2", "esnforecaster-3"]
    expected = np.mean([clone(f).fit(Y).predict(5) for f in seeds], axis=0)
    assert_allclose(model.predict(5), expected)
    # members without a seed get different ones, fixed by that of the ensemble
    unseeded = EnsembleForecaster([ESNForecaster(15)] * 2, random_state=0).fit(Y)
    a, b = (m.predict(5) for m in unseeded.forecasters_)
    assert not np.allclose(a, b)
    again = EnsembleForecaster([ESNForecaster(15)] * 2, random_state=0).fit(Y)
    assert_allclose(again.predict(5), unseeded.predict(5), rtol=0)
    more = EnsembleForecaster([ESNForecaster(15)] * 3, random_state=0).fit(Y)
    assert_allclose(more.forecasters_[1].predict(5), b, rtol=0)


def test_parameters_are_reached_by_name():
    model = ensemble()
    params = model.get_params()
    assert params["a"] is LIST[0][1]
    assert params["a__order"] == 4
    assert set(model.get_params(deep=False)) < set(params)
    model = clone(model).set_params(a__order=2, b=NaiveForecaster("drift"), method="median")
    assert model.get_params()["a__order"] == 2
    assert model.get_params()["b__strategy"] == "drift"
    assert LIST[1][1].strategy == "last"
    assert LIST[0][1].order == 4
    unnamed = EnsembleForecaster([MarkovForecaster(1), NaiveForecaster()])
    unnamed.set_params(markovforecaster__order=3)
    assert unnamed.forecasters[0].order == 3
    with pytest.raises(ValueError, match="Invalid parameter 'z'"):
        model.set_params(z=1)
    search = ForecastSearchCV(ensemble(), {"a__order": [1, 4]}, horizon=5, cv=2).fit(Y)
    assert search.best_params_["a__order"] in (1, 4)


def test_members_are_not_changed_and_ensembles_nest():
    inner = EnsembleForecaster([MarkovForecaster(2), NaiveForecaster()])
    model = EnsembleForecaster([("inner", inner), ("c", NaiveForecaster("mean"))]).fit(Y)
    assert not hasattr(inner, "forecasters_")
    assert model.get_params()["inner__markovforecaster__order"] == 2
    points = alone()
    own = MarkovForecaster(2).fit(Y).predict(7)
    assert_allclose(model.predict(7), ((own + points[1]) / 2 + points[2]) / 2)
    pd.testing.assert_series_equal(pickle.loads(pickle.dumps(model)).predict(3), model.predict(3))


def test_residuals_and_fitted_values_are_combined():
    model = ensemble().fit(Y)
    fitted = np.mean([clone(f).fit(Y).fitted_values(Y) for _, f in LIST], axis=0)
    assert_allclose(model.fitted_values(Y), fitted)
    assert model.fitted_values(Y).isna().sum() >= 4
    kept = [clone(f).fit(Y).residuals() for _, f in LIST]
    assert_allclose(model.residuals()[-50:], np.mean([r[-50:] for r in kept], axis=0))


def test_known_and_past_only_columns_reach_those_who_take_them():
    y = Y + 5 * X["x"]
    members = [
        ("told", MarkovForecaster(3, past_columns=["past"])),
        ("untold", MarkovForecaster(3)),
    ]
    columns = X.assign(past=NOISE[::-1, 0])
    model = EnsembleForecaster(members, past_columns=["past"]).fit(y[:140], columns[:140])
    told = MarkovForecaster(3, past_columns=["past"]).fit(y[:140], columns[:140])
    untold = MarkovForecaster(3).fit(y[:140], X[:140])
    expected = (told.predict(5, X) + untold.predict(5, X)) / 2
    assert_allclose(model.predict(5, X), expected)
    model.update(y[140:], columns)
    assert model.cutoff_ == INDEX[-1]


def test_members_get_the_past_only_columns_that_they_name():
    columns = X.assign(p=NOISE[::-1, 0], q=NOISE[::-1, 1])
    members = [MarkovForecaster(3, past_columns=["q"]), NVARForecaster(past_columns=["p", "q"])]
    model = EnsembleForecaster(members, past_columns=["p", "q"], random_state=0)
    model.fit(Y[:140], columns[:140])
    one = clone(members[0]).fit(Y[:140], columns[["x", "q"]][:140])
    two = clone(members[1]).fit(Y[:140], columns[:140])
    assert_allclose(model.predict(4, X), (one.predict(4, X) + two.predict(4, X)) / 2)


def test_past_only_columns_of_arrays_keep_their_places():
    y, columns = Y.to_numpy(), np.column_stack([NOISE[::-1, 0], X["x"]])
    members = [MarkovForecaster(3, past_columns=[0]), MarkovForecaster(2)]
    model = EnsembleForecaster(members, past_columns=[0], random_state=0)
    model.fit(y[:140], columns[:140]).update(y[140:145], columns[140:145])
    one = clone(members[0]).fit(y[:140], columns[:140]).update(y[140:145], columns[140:145])
    two = clone(members[1]).fit(y[:140], columns[:140, 1:]).update(y[140:145], columns[140:145, 1:])
    future = columns[145:, 1:]
    assert_allclose(model.predict(5, future), (one.predict(5, future) + two.predict(5, future)) / 2)
    wrong = EnsembleForecaster(members[:1], past_columns=[0, 1])
    with pytest.raises(ValueError, match="`past_columns` of MarkovForecaster"):
        wrong.fit(y, columns)


def test_a_new_series_of_a_pool_has_its_own_scale():
    panel = pd.concat({"a": Y[:120], "b": 2 * Y}, names=["series", "time"])
    new = pd.concat({"new": 1e4 * (Y + 100)}, names=["series", "time"])
    static = pd.DataFrame({"size": [1.0, 2.0, 3.0]}, index=["a", "b", "new"])
    pool = ESNForecaster(20, strategy="direct", horizon=4, pooling="global", random_state=0)
    outer = EnsembleForecaster([EnsembleForecaster([pool], pooling="global")], pooling="global")
    expected = clone(pool).fit(panel, static=static).apply(new, static=static)
    outer.fit(panel, static=static)
    assert_allclose(outer.apply(new, static=static).predict(4), expected.predict(4), rtol=1e-9)
    mixed = EnsembleForecaster([pool, MarkovForecaster(2)], pooling="global").fit(panel)
    with pytest.raises(ValueError, match=r"Series 'new': .* MarkovForecaster has one model"):
        mixed.apply(new)


def test_pools_hand_the_whole_panel_to_each_member():
    rng = np.random.RandomState(1)
    parts = {k: Y[: 100 + 5 * i] * (i + 1) + rng.randn(100 + 5 * i) for i, k in enumerate("pqr")}
    panel = pd.concat(parts, names=["series", "time"])
    known = pd.concat(dict.fromkeys("pqr", X), names=["series", "time"])
    for columns in ((), (known,)):
        model = ensemble(pooling="global").fit(panel, *columns)
        own = np.mean([clone(f).fit(panel, *columns).predict(4, *columns) for _, f in LIST], axis=0)
        assert_allclose(model.predict(4, *columns), own)
        assert model.predict(4, *columns, level=80).shape == (12, 3)
    weighted = ensemble(pooling="global", method="weights").fit(panel)
    assert weighted.weights_[0] > 0.5
    moved = weighted.apply(panel)
    assert_allclose(moved.predict(4), weighted.predict(4))
    with pytest.raises(ValueError, match="pooling='local'"):
        ensemble(pooling="global", interval="conformal").fit(panel)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_a_refit_teaches_the_model_that_all_series_share(strategy):
    pool = ESNForecaster(20, strategy=strategy, horizon=4, pooling="global", random_state=0)
    whole = pd.concat({"a": Y, "b": Y[20:] * 2 + 30, "c": Y[10:] ** 2}, names=["id", "time"])
    time = whole.index.get_level_values("time")
    both = ensemble(forecasters=[pool, NaiveForecaster()], method="weights", weights=[1, 0])
    both.set_params(pooling="global")
    nested = ensemble(forecasters=[both], pooling="global")
    cuts = INDEX[[99, 129, 139]]
    some = [label in ("a", "c") for label, _ in whole.index]
    later = [(time > cuts[0]) & (time <= cuts[1]), some & (time > cuts[1]) & (time <= cuts[2])]
    alone = clone(pool).fit(whole[time <= cuts[0]])
    for model in (both, nested):
        model.fit(whole[time <= cuts[0]])
    for rows in later:
        before = both.predict(4)
        for model in (alone, both, nested):
            model.update(whole[rows], refit=True)
        assert not np.allclose(both.predict(4)["b"], before["b"])
    for model in (both, nested):
        assert_allclose(model.predict(4), alone.predict(4))
        assert model.cutoff_ == alone.cutoff_
    assert_allclose(both.residuals()["a"][-40:], alone.residuals()["a"][-40:])


def test_parallel_fits_are_the_same():
    one = ensemble(method="weights").fit(Y).predict(4)
    with joblib.parallel_config("threading"):
        two = ensemble(method="weights", n_jobs=2).fit(Y).predict(4)
    pd.testing.assert_series_equal(one, two, check_exact=True)


def test_backtests_of_ensembles():
    result = backtest(ensemble(), Y, horizon=4, n_windows=2, metrics="mae", level=80)
    assert_allclose(result.forecasts["forecast"].iloc[4:], alone(Y[:146], 4).mean(axis=0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"forecasters": []}, "'forecasters' parameter of EnsembleForecaster must be a non-empty"),
        ({"forecasters": None}, "'forecasters'"),
        ({"forecasters": [MarkovForecaster]}, "'forecasters'"),
        ({"forecasters": [("a", 3)]}, "'forecasters'"),
        ({"method": "mode"}, "'method'"),
        ({"method": "weights", "weights": "best"}, "'weights'"),
        ({"method": "weights", "weights": [1, 2]}, "'weights'"),
        ({"method": "weights", "weights": [1, -2, 3]}, "'weights'"),
        ({"method": "weights", "weights": [0, 0, 0]}, "'weights'"),
        ({"n_windows": 0}, "'n_windows'"),
        ({"horizon": 0}, "'horizon'"),
        ({"interval": "x"}, "'interval'"),
        ({"n_boot": 0}, "'n_boot'"),
    ],
)
def test_forbidden_parameters(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        ensemble(**params).fit(Y)


@pytest.mark.parametrize("name", ["a__b", "method", "b", 3])
def test_forbidden_names(name):
    with pytest.raises(ValueError, match="Names of forecasters must be different strings"):
        ensemble(forecasters=[(name, NaiveForecaster()), ("b", NaiveForecaster())]).fit(Y)


def test_errors_name_the_member():
    short = [("short", NaiveForecaster()), ("long", MarkovForecaster(50))]
    with pytest.raises(ValueError, match=r"^Forecaster 'long': Length of `y` \(20\)"):
        ensemble(forecasters=short).fit(Y[:20])
    with pytest.raises(InvalidParameterError) as raised:
        ensemble(forecasters=[("bad", NaiveForecaster("odd"))]).fit(Y)
    assert raised.value.__notes__ == ["in forecaster 'bad'"]
    few = [("plain", NaiveForecaster()), ("logs", MarkovForecaster(2, interval="conformal"))]
    model = ensemble(forecasters=few).fit(Y)

    def refuse(*args, **kwargs):
        raise ValueError("no.")

    for method, call in (
        ("predict", lambda: model.predict(2)),
        ("update", lambda: model.update(Y[-1:].shift(1, freq="MS"))),
        ("apply", lambda: model.apply(Y)),
        ("sample", lambda: model.sample(2)),
        ("fitted_values", lambda: model.fitted_values(Y)),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MarkovForecaster, method, refuse)
            with pytest.raises(ValueError, match=r"^Forecaster 'logs': no\.$"):
                call()


def test_too_few_rows_for_weights():
    with pytest.raises(ValueError, match="Too few rows for weights"):
        ensemble(method="weights", horizon=9).fit(Y[:10])
