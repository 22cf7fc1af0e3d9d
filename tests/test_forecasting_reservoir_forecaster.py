"""ReservoirForecaster: exact state, any regressor, three strategies."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from echocast.datasets import lorenz96
from echocast.exceptions import InvalidParameterError
from echocast.forecasting import (
    ESNForecaster,
    ForecastSearchCV,
    MarkovForecaster,
    NaiveForecaster,
    ReservoirForecaster,
)
from echocast.reservoir import (
    DeepESNRegressor,
    ESNRegressor,
    LocalESNRegressor,
    NVARRegressor,
    ReservoirTransformer,
    SequenceScaler,
    WindowESNRegressor,
)

N = 240
NOISE = np.random.RandomState(0).randn(N, 2)
INDEX = pd.date_range("2000-01-01", periods=N, freq="MS")
WAVE = 5 * np.sin(2 * np.pi * np.arange(N) / 12)
Y = pd.Series(WAVE + NOISE[:, 0] + NOISE[:, 1].cumsum() / 4, index=INDEX, name="y")
X = pd.DataFrame({"x": NOISE[:, 1]}, index=INDEX)
WIDE = pd.DataFrame({"a": Y, "b": Y.shift(3).fillna(0.0) + 0.2 * NOISE[:, 1]})


def pair(lags=1, washout=30, **params):
    """An ESNForecaster and a ReservoirForecaster around its very network."""
    settings = {"n_units": 20, "alpha": 0.1, "random_state": 0} | params
    direct = ESNForecaster(**settings, lags=lags, washout=washout)
    return direct, lambda: ReservoirForecaster(
        ESNRegressor(**direct.regressor_.get_params()), lags=lags, random_state=0
    )


@pytest.mark.parametrize("data", [Y, WIDE], ids=["series", "system"])
@pytest.mark.parametrize("known", [False, True])
def test_equals_the_network_forecaster_to_rounding(data, known):
    """Same network, same rows: forecasts, errors, paths, updates and refits are the same."""
    columns = (X,) if known else ()
    direct, around = pair()
    direct.fit(data[:200], *columns)
    around = around().fit(data[:200], *columns)
    assert_allclose(around.predict(24, *columns), direct.predict(24, *columns), rtol=1e-9)
    assert_allclose(around.residuals(), direct.residuals(), atol=1e-9)
    assert_allclose(around.sample(9, *columns), direct.sample(9, *columns), rtol=1e-9)
    assert_allclose(
        around.fitted_values(data, *columns), direct.fitted_values(data, *columns), rtol=1e-9
    )
    for refit in (False, True):
        rows = data[200:220] if not refit else data[220:230]
        around.update(rows, *columns, refit=refit)
        direct.update(rows, *columns, refit=refit)
        assert_allclose(around.predict(10, *columns), direct.predict(10, *columns), rtol=1e-9)
    assert_allclose(
        around.apply(data[50:150], *columns).predict(10, *columns),
        direct.apply(data[50:150], *columns).predict(10, *columns),
        rtol=1e-9,
    )


def test_older_lags_leave_the_state_as_it_is_once_the_start_is_forgotten():
    direct, around = pair(lags=4, washout=80)
    direct.fit(Y)
    # its rows without complete lags, three, are not there for the regressor to wash out
    around = around().set_params(regressor__washout=77).fit(Y)
    assert around.lags_ == direct.lags_ == (1, 2, 3, 4)
    assert_allclose(around.predict(24), direct.predict(24), rtol=1e-9)
    assert_allclose(around.residuals(), direct.residuals(), atol=1e-9)


REGRESSORS = {
    "none": None,
    "deep": DeepESNRegressor(2, n_units=12, alpha=1.0),
    "nvar": NVARRegressor(3, alpha=1.0),
    "local": LocalESNRegressor(15, overlap=0, alpha=1.0),
    "window": WindowESNRegressor(20),
    "scaled": make_pipeline(StandardScaler(), ESNRegressor(20, alpha=1.0)),
    "sequence scaled": make_pipeline(SequenceScaler(), ESNRegressor(20, alpha=1.0)),
    "states and ridge": make_pipeline(ReservoirTransformer(20), Ridge()),
    "ridge": Ridge(),
    "sgd": SGDRegressor(),
    "trees": HistGradientBoostingRegressor(max_iter=20),
}


@pytest.mark.parametrize("strategy", ["recursive", "direct", "multi_output"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_any_regressor_with_any_strategy(name, strategy):
    settings = {"strategy": strategy, "horizon": 3, "n_boot": 10, "context": 40}
    model = ReservoirForecaster(REGRESSORS[name], random_state=0, **settings).fit(Y[:200])
    assert model.score(Y[200:212]) < 1.3 * NaiveForecaster("seasonal").fit(Y[:200]).score(
        Y[200:212]
    )
    frame = model.predict(5, level=80)
    assert (frame["lo-80"] < frame["hi-80"]).all()
    assert model.horizon_ == (1 if strategy == "recursive" else 3)
    assert len(model.regressors_) == (3 if strategy == "direct" else 1)
    moved = model.apply(Y[:190]).update(Y[190:200])
    # a regressor with a memory but without a state is shown `context` rows, not all
    exact = 1e-6 if name == "states and ridge" else 1e-9
    assert_allclose(moved.predict(5), model.predict(5), rtol=exact)
    fitted = model.fitted_values(Y)
    after = Y[200:220] - fitted[200:220]
    assert_allclose(model.update(Y[200:220]).residuals()[-20:], after, atol=1e-4)
    assert len(pickle.dumps(model)) < 3_000_000


def by_hand(strategy, lags, horizon):
    """Tables and forecasts of Ridge without any of the package's means."""
    y, n = Y.to_numpy(), 200
    if strategy == "recursive":
        rows = np.array([[y[t - k] for k in lags] for t in range(max(lags), n)])
        model, past = Ridge(1.0).fit(rows, y[max(lags) : n]), list(y[:n])
        for _ in range(horizon):
            past.append(model.predict([[past[-k] for k in lags]])[0])
        return np.array(past[n:])
    forecast = []
    for h in range(1, horizon + 1):
        last = n - h if strategy == "direct" else n - horizon
        origins = range(max(lags), last + 1)
        rows = np.array([[y[t - k] for k in lags] for t in origins])
        model = Ridge(1.0).fit(rows, y[max(lags) + h - 1 : last + h])
        forecast.append(model.predict([[y[n - k] for k in lags]])[0])
    return np.array(forecast)


@pytest.mark.parametrize("strategy", ["recursive", "direct", "multi_output"])
@pytest.mark.parametrize("lags", [(1, 2, 3), (1, 5, 12)])
def test_strategies_equal_tables_made_by_hand(strategy, lags):
    model = ReservoirForecaster(
        Ridge(1.0), lags=list(lags), strategy=strategy, horizon=6, transforms=[]
    ).fit(Y[:200])
    assert_allclose(model.predict(6), by_hand(strategy, lags, 6), rtol=1e-9)


def test_direct_rows_see_the_known_columns_of_their_step():
    y = Y.to_numpy()
    X_rows = (X[:200] - X[:200].mean()) / X[:200].std(ddof=0)  # as it is done inside
    later = ((X[200:] - X[:200].mean()) / X[:200].std(ddof=0)).to_numpy()
    model = ReservoirForecaster(
        Ridge(1.0), lags=2, strategy="direct", horizon=3, transforms=[]
    ).fit(Y[:200], X)
    for h in (1, 2, 3):
        rows = [[y[t - 1], y[t - 2], X_rows["x"].iloc[t + h - 1]] for t in range(2, 201 - h)]
        own = Ridge(1.0).fit(rows, y[1 + h : 200])
        expected = own.predict([[y[199], y[198], later[h - 1, 0]]])[0]
        assert model.predict(3, X).iloc[h - 1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("strategy", ["direct", "multi_output"])
def test_a_network_gives_all_steps_from_one_state(strategy):
    """Direct clones of one seed and one network of several outputs are the same readouts."""
    net = ESNRegressor(20, alpha=0.5, washout=20, random_state=3)
    model = ReservoirForecaster(net, strategy=strategy, horizon=4, transforms=[]).fit(Y)
    y = Y.to_numpy()[:, None]
    last = clone(net).set_params(predict_state="reset")
    targets = np.concatenate([y[1 + k : N - 3 + k] for k in range(4)], axis=1)
    if strategy == "multi_output":
        last.fit(y[: N - 4], targets)
        expected = last.predict(y)[-1]
    else:
        expected = [
            clone(last).fit(y[: N - 1 - k], y[1 + k :]).predict(y)[-1].item() for k in range(4)
        ]
    assert_allclose(model.predict(4), expected, rtol=1e-9)


@pytest.mark.parametrize("strategy", ["direct", "multi_output"])
def test_refits_of_the_direct_strategies_are_exact(strategy):
    net = ESNRegressor(15, alpha=1.0, washout=20, random_state=0)
    settings = {"strategy": strategy, "horizon": 4, "transforms": [], "lags": 2}
    parts = ReservoirForecaster(net, **settings).fit(Y[:120], X).update(Y[120:122], X, refit=True)
    parts.update(Y[122:], X, refit=True)
    whole = ReservoirForecaster(net, **settings).fit(Y, X)
    future = X.set_axis(pd.date_range(INDEX[-1], periods=N + 1, freq="MS")[1:])
    if strategy == "multi_output":  # the known columns' own ridge and scales stay as they are
        parts = ReservoirForecaster(net, **settings).fit(Y[:120]).update(Y[120:], refit=True)
        assert_allclose(parts.predict(9), ReservoirForecaster(net, **settings).fit(Y).predict(9))
        return
    # known columns are standardised by the rows of the first fit
    assert_allclose(parts.predict(9, future), whole.predict(9, future), rtol=0.2, atol=0.3)
    parts = ReservoirForecaster(net, **settings).fit(Y[:120]).update(Y[120:], refit=True)
    assert_allclose(parts.predict(9), ReservoirForecaster(net, **settings).fit(Y).predict(9))


def test_forward_errors_are_of_rows_not_learnt():
    class Memorizer(RegressorMixin, BaseEstimator):
        """Knows its rows by heart and nothing else."""

        def fit(self, X, y):
            self.known_ = {row.tobytes(): value for row, value in zip(np.asarray(X), y)}
            return self

        def predict(self, X):
            return np.array([self.known_.get(row.tobytes(), 0.0) for row in np.asarray(X)])

    model = ReservoirForecaster(Memorizer(), lags=3, transforms=["standardize"]).fit(Y)
    assert model.residuals().abs().mean() > 0.5 * Y.std()
    assert len(model.residuals()) == (N - 3) - (N - 3) // 2


def test_a_field_by_local_reservoirs():
    u = lorenz96(700)
    model = ReservoirForecaster(
        LocalESNRegressor(60, overlap=2, alpha=1e-4), transforms=[], random_state=0
    ).fit(u[:650])
    still = np.abs(u[650:660] - u[649]).mean()
    assert np.abs(model.predict(10) - u[650:660]).mean() < 0.3 * still
    assert model.lags_ == (1,)


@pytest.mark.parametrize("shared", [True, False])
def test_refits_of_local_reservoirs_are_exact(shared):
    u = lorenz96(300)
    net = LocalESNRegressor(15, overlap=1, alpha=1e-2, washout=20, shared=shared, random_state=0)
    parts = ReservoirForecaster(net, transforms=[]).fit(u[:250]).update(u[250:], refit=True)
    assert_allclose(parts.predict(5), ReservoirForecaster(net, transforms=[]).fit(u).predict(5))


def test_regressor_is_cloned_seeded_and_reached_by_name():
    net = ESNRegressor(10)
    model = ReservoirForecaster(net, random_state=0).set_params(regressor__alpha=3.0)
    first = model.fit(Y).predict(3)
    assert net.alpha == 3.0
    assert not hasattr(net, "coef_")
    assert net.random_state is None
    assert isinstance(model.regressor_.random_state, int)
    assert_allclose(clone(model).fit(Y).predict(3), first, rtol=0)
    search = ForecastSearchCV(
        ReservoirForecaster(Ridge(), lags=3), {"regressor__alpha": [0.1, 1e6]}, horizon=6, cv=2
    ).fit(Y)
    assert search.best_params_ == {"regressor__alpha": 0.1}


def test_pipelines_in_pipelines_are_as_good_as_flat_ones():
    y = np.sin(0.3 * np.arange(150)) + 0.1 * np.random.RandomState(0).randn(150)
    inner = make_pipeline(StandardScaler(), ESNRegressor(20, random_state=0))
    nested = ReservoirForecaster(make_pipeline(StandardScaler(), inner), random_state=0)
    flat = ReservoirForecaster(
        make_pipeline(StandardScaler(), StandardScaler(), ESNRegressor(20, random_state=0)),
        random_state=0,
    )
    for model in (nested, flat):
        model.fit(y[:120]).update(y[120:], refit=True)
    assert_allclose(nested.predict(5), flat.predict(5), rtol=1e-9)


@pytest.mark.parametrize("wrapped", ["pipeline", "union"])
def test_a_memory_within_a_transformer_is_kept_between_rows(wrapped):
    """The head of a Pipeline whose rows depend on earlier ones sees these again, too."""
    y = np.sin(0.3 * np.arange(150)) + 0.1 * np.random.RandomState(0).randn(150)
    states = ReservoirTransformer(20, random_state=0)
    head = make_pipeline(states) if wrapped == "pipeline" else FeatureUnion([("r", states)])
    flat, deep = (
        ReservoirForecaster(make_pipeline(first, NVARRegressor(delays=1, degree=1)), n_boot=2)
        for first in (states, head)
    )
    assert_allclose(deep.fit(y).predict(5), flat.fit(y).predict(5), rtol=1e-9)
    assert deep.lags_ == flat.lags_ == (1,)


def test_lags_follow_the_kind_of_regressor():
    assert ReservoirForecaster(ESNRegressor(10)).fit(Y).lags_ == (1,)
    assert ReservoirForecaster(make_pipeline(ReservoirTransformer(10), Ridge())).fit(Y).lags_ == (
        1,
    )
    assert len(ReservoirForecaster(Ridge()).fit(Y).lags_) == 24
    assert len(ReservoirForecaster(make_pipeline(StandardScaler(), Ridge())).fit(Y).lags_) == 24


def test_a_plain_linear_regression_is_the_markov_forecaster():
    around = ReservoirForecaster(LinearRegression(), lags=4).fit(Y[:200])
    direct = MarkovForecaster(4, alpha=0.0).fit(Y[:200])
    assert_allclose(around.predict(20), direct.predict(20), rtol=1e-7)


def test_parallel_fits_are_the_same():
    settings = {"strategy": "direct", "horizon": 3, "random_state": 0}
    one = ReservoirForecaster(ESNRegressor(10, alpha=1.0), **settings).fit(Y).predict(6)
    with joblib.parallel_config("threading"):
        several = ReservoirForecaster(ESNRegressor(10, alpha=1.0), n_jobs=2, **settings)
        two = several.fit(Y).predict(6)
    pd.testing.assert_series_equal(one, two, check_exact=True)


def test_default_horizon():
    settings = {"lags": 3, "strategy": "direct"}
    assert ReservoirForecaster(Ridge(), **settings).fit(Y).horizon_ == 24
    assert ReservoirForecaster(Ridge(), **settings).fit(Y[:60]).horizon_ == 15
    assert ReservoirForecaster(Ridge(), **settings, season_length=1).fit(Y).horizon_ == 12


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"regressor": 3}, InvalidParameterError, "'regressor' parameter of ReservoirForecaster"),
        ({"regressor": Ridge}, InvalidParameterError, "'regressor'"),
        ({"regressor": NaiveForecaster()}, TypeError, "is a forecaster"),
        ({"strategy": "both"}, InvalidParameterError, "'strategy'"),
        ({"horizon": 0}, InvalidParameterError, "'horizon'"),
        ({"context": 0}, InvalidParameterError, "'context'"),
        ({"lags": 0}, InvalidParameterError, "'lags'"),
        ({"lags": 300}, ValueError, "window needed"),
        ({"strategy": "direct", "horizon": 239}, ValueError, "239 step"),
    ],
)
def test_forbidden_parameters(params, error, message):
    with pytest.raises(error, match=message):
        ReservoirForecaster(**params).fit(Y)


def test_a_regressor_that_cannot_go_on_learning_says_so():
    model = ReservoirForecaster(Ridge(), lags=3).fit(Y[:200])
    before = model.predict(3)
    with pytest.raises(ValueError, match="Ridge cannot learn from more rows: it has no"):
        model.update(Y[200:], refit=True)
    pd.testing.assert_series_equal(model.predict(3), before)
    learner = ReservoirForecaster(SGDRegressor(), lags=3, random_state=0).fit(Y[:200])
    kept = learner.apply(Y[:200]).update(Y[200:])
    assert not np.allclose(kept.predict(3), learner.update(Y[200:], refit=True).predict(3))
