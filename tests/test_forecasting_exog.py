"""Exogenous columns: aligned by label, refused by name."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.exceptions import EchocastWarning, ExtraColumnsWarning
from echocast.forecasting import EnsembleForecaster, ESNForecaster, MarkovForecaster
from echocast.forecasting._exog_features import ExogFeatures
from echocast.forecasting._transforms import Chain, Difference, SeasonalDifference

N, H = 120, 3
INDEX = pd.date_range("2024-03-21", periods=N + 10, freq="D")
RNG = np.random.RandomState(0)
X = pd.DataFrame(RNG.randn(N + 10, 2), index=INDEX, columns=["a", "b"])
Y = (2 * X["a"] - X["b"] + 0.01 * RNG.randn(N + 10)).rename("y")
TRAIN, FUTURE = slice(0, N), slice(N, N + H)


@pytest.fixture(scope="module")
def model():
    forecaster = ESNForecaster(20, lags=2, transforms=["standardize"], random_state=0)
    return forecaster.fit(Y.iloc[TRAIN], X.iloc[TRAIN])


def test_the_target_is_explained(model):
    assert_allclose(model.predict(H, X.iloc[FUTURE]), Y.iloc[FUTURE], atol=0.1)


def test_rows_and_columns_are_found_by_label(model):
    expected = model.predict(H, X.iloc[FUTURE])
    swapped = X[["b", "a"]]
    for future in (swapped.iloc[FUTURE], swapped, X, X.iloc[N - 5 :]):
        pd.testing.assert_series_equal(model.predict(H, future), expected)
    again = ESNForecaster(20, lags=2, transforms=["standardize"], random_state=0)
    again.fit(Y.iloc[TRAIN], X)
    pd.testing.assert_series_equal(again.predict(H, X), expected)


def test_extra_columns_are_ignored_with_a_warning(model):
    wider = X.assign(c=np.nan, d="text")
    with pytest.warns(ExtraColumnsWarning, match=r"not seen at fit: \['c', 'd'\]"):
        got = model.predict(H, wider)
    pd.testing.assert_series_equal(got, model.predict(H, X))


FAULTS = {
    "none": (None, ValueError,
             r"fitted with exogenous columns \['a', 'b'\]; pass X with 3 rows from 2024-07-19"),
    "missing column": (X[["a"]], ValueError,
                       r"Missing columns in X\. Expected \['a', 'b'\]\. Got \['a'\]"),
    "renamed column": (X.rename(columns={"b": "B"}), ValueError, r"Got \['a', 'B'\]"),
    "short": (X.iloc[N : N + 2], ValueError,
              r"X must cover 2024-07-19 … 2024-07-21\. Missing: 2024-07-21\."),
    "gap": (X.iloc[[N, N + 2]], ValueError, r"Missing: 2024-07-20\."),
    "other dates": (X.iloc[FUTURE].shift(30, freq="D"), ValueError,
                    r"X starts at 2024-08-18 .*forecast needs 2024-07-19"),
    "past only": (X.iloc[TRAIN], ValueError, "X starts at 2024-03-21"),
    "aware": (X.tz_localize("Europe/Paris"), TypeError,
              r"`X` is tz-aware \(Europe/Paris\) and `y` is tz-naive"),
    "periods": (X.to_period("D"), TypeError, "must be indexed like `y`"),
    "numbers": (X.reset_index(drop=True), TypeError, "must be indexed like `y`"),
    "array": (X.to_numpy(), TypeError, "must be a pandas DataFrame indexed like `y`"),
    "nan": (X.replace(X.iloc[N + 1].tolist(), np.nan), ValueError,
            r"Input X contains NaN.*2 values, first at 2024-07-20, column 'a'"),
    "inf": (X.replace(X.iloc[N + 1, 1], np.inf), ValueError,
            "contains infinity.*first at 2024-07-20, column 'b'"),
    "huge": (X.assign(b=1e200), ValueError, r"Values up to 1e\+200 in column 'b' of X overflow"),
    "text": (X.assign(b="s"), ValueError, "could not convert string to float: 's'.*column 'b'"),
    "date column": (X.assign(b=INDEX), TypeError, "column 'b' of `X` has dtype datetime64"),
    "complex": (X.assign(b=1j), ValueError, "Complex data not supported.*column 'b'"),
    "duplicate rows": (pd.concat([X, X.iloc[[-1]]]).sort_index(), ValueError,
                       "`X` index has 1 duplicate label"),
    "unsorted": (X.iloc[::-1], ValueError, "`X` index must be increasing"),
    "duplicate columns": (X[["a", "b", "b"]], ValueError, "more than one column named 'b'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_future_columns_are_refused(model, fault):
    future, error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        model.predict(H, future)


@pytest.mark.parametrize("fault", ["nan", "text", "duplicate rows", "array", "numbers", "short"])
def test_unusable_training_columns_are_refused(fault):
    past, error, _ = FAULTS[fault]
    with pytest.raises(error, match=r"X|'s'"):
        ESNForecaster(20).fit(Y, past)


def test_a_model_without_columns_refuses_them(model):
    plain = ESNForecaster(20).fit(Y.iloc[TRAIN])
    with pytest.raises(ValueError, match="without exogenous variables; X must be None"):
        plain.predict(H, X)
    with pytest.raises(ValueError, match=r"pass X with 2 rows from 2024-07-19"):
        model.update(Y.iloc[N : N + 2])


@pytest.mark.parametrize("transforms", [["standardize"], ["difference", "standardize"]])
def test_a_column_that_never_varied_has_no_effect(transforms):
    model = ESNForecaster(20, lags=2, transforms=transforms, random_state=0)
    past = X.iloc[TRAIN].assign(b=0.1 if "difference" not in transforms else np.arange(N) * 0.1)
    model.fit(Y.iloc[TRAIN], past)
    future = X.iloc[FUTURE]
    assert_array_equal(model.predict(H, future.assign(b=0.1)), model.predict(H, future.assign(b=7)))


def test_a_call_in_scikit_learns_order_is_refused():
    with pytest.raises(ValueError, match=r"fit\(y, X\), the target first"):
        ESNForecaster(20).fit(X, Y)


def test_one_exogenous_series_and_arrays():
    single = ESNForecaster(20, lags=2, random_state=0).fit(Y.iloc[TRAIN], X["a"].iloc[TRAIN])
    assert len(single.predict(H, X["a"])) == H
    arrays = ESNForecaster(20, lags=2, transforms=["standardize"], random_state=0)
    arrays.fit(Y.to_numpy()[TRAIN], X.to_numpy()[TRAIN])
    assert_allclose(arrays.predict(H, X.to_numpy()[FUTURE]), Y.iloc[FUTURE], atol=0.1)
    with pytest.raises(ValueError, match="expected 3 rows, got 4"):
        arrays.predict(H, X.to_numpy()[N : N + 4])
    with pytest.raises(ValueError, match="X has 1 features, but ESNForecaster is expecting 2"):
        arrays.predict(H, X.to_numpy()[FUTURE, :1])
    with pytest.raises(TypeError, match="pass X as a numpy array too"):
        arrays.predict(H, X)


def test_columns_are_differenced_like_the_target():
    rows = RNG.randn(40, 2)
    targets = RNG.randn(40, 3)
    steps = [
        SeasonalDifference(4, columns=np.array([True, False, False])),
        Difference(columns=np.array([True, True, False])),
    ]
    chain = Chain(steps).fit(targets, 1)
    exog = ExogFeatures(steps, rows)
    assert exog.n_lost == chain.n_lost == 5
    assert exog.n_features == 6  # as it is, differenced, and differenced twice
    once = rows[1:] - rows[:-1]
    twice = rows[4:] - rows[:-4]
    twice = twice[1:] - twice[:-1]
    expected = np.hstack([rows[5:], once[4:], twice])
    expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
    order = [0, 1, 2, 3, 4, 5] if exog.ways == [(), (1,), (4, 1)] else None
    assert order is not None
    assert_allclose(exog.forward(rows), expected)
    head, tail = rows[:30], rows[30:]
    later = exog.forward(np.concatenate([exog.tail(head), tail]))
    assert_array_equal(later, exog.forward(rows)[-10:])


def test_a_relation_survives_differencing():
    walk = np.cumsum(RNG.randn(N + 10))
    x = pd.DataFrame({"x": np.cumsum(RNG.randn(N + 10))}, index=INDEX)
    y = pd.Series(3 * x["x"] + 0.05 * walk, index=INDEX)
    model = ESNForecaster(20, lags=2, transforms=["difference", "standardize"], random_state=0)
    model.fit(y.iloc[TRAIN], x.iloc[TRAIN])
    got = model.predict(10, x)
    assert np.abs(got - y.iloc[N:]).max() < 0.3 * np.abs(y.iloc[N:] - y.iloc[N - 1]).max()


def test_warnings_point_at_the_code_of_the_user():
    index = pd.date_range("2024-01-01", periods=32, freq="D")
    y = pd.Series(np.sin(np.arange(32)), index=index)
    X = pd.DataFrame({"a": np.cos(np.arange(32)), "more": 1.0}, index=index)
    model = MarkovForecaster(2).fit(y[:30], X[["a"]])
    pair = EnsembleForecaster([model, model]).fit(y[:30], X[["a"]])
    flat = 0 * y + 1
    calls = (
        lambda: MarkovForecaster(2).fit(flat),
        lambda: MarkovForecaster(2).fit(pd.concat({"s": flat})),
        lambda: model.predict(2, X),
        lambda: model.apply(y[:30], X),
        lambda: model.update(y[30:31], X),
        lambda: pair.predict(2, X, level=80),
    )
    for call in calls:
        with pytest.warns(EchocastWarning) as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
