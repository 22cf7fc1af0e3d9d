"""Panels: each member does what it would do alone, and results come back in one frame."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from echocast.exceptions import InvalidParameterError
from echocast.forecasting import ESNForecaster, NaiveForecaster

MONTHS = pd.date_range("2018-01-01", periods=70, freq="MS", name="month")
ESN = ESNForecaster(20, random_state=0)
SEASONAL = NaiveForecaster("seasonal")


def one_series(seed, start=0, index=MONTHS):
    rng = np.random.RandomState(seed)
    wave = np.sin(2 * np.pi * np.arange(len(index)) / 12) * (seed + 1)
    return pd.Series(wave + 0.1 * rng.randn(len(index)), index=index, name="sales")[start:]


PARTS = {"b": one_series(0), "a": one_series(1, 20), "c": one_series(2, 5)}
Y = pd.concat(PARTS, names=["shop"])
X = pd.DataFrame(
    {"price": np.random.RandomState(9).randn(80), "visits": np.random.RandomState(8).randn(80)},
    index=pd.date_range("2018-01-01", periods=80, freq="MS"),
)


def assert_same(panel_part, alone):
    frames = isinstance(alone, pd.DataFrame)
    check = pd.testing.assert_frame_equal if frames else pd.testing.assert_series_equal
    check(panel_part, alone, check_freq=False, check_exact=True)


@pytest.mark.parametrize("model", [ESN, SEASONAL], ids=["esn", "naive"])
def test_each_series_is_forecast_as_if_it_were_alone(model):
    panel = clone(model).fit(Y)
    assert list(panel.members_) == ["b", "a", "c"]
    for label, part in PARTS.items():
        alone = clone(model).fit(part)
        assert panel.cutoff_[label] == alone.cutoff_
        assert_same(panel.predict(3).xs(label), alone.predict(3))
        assert_same(panel.predict([2, 5]).xs(label), alone.predict([2, 5]))
        assert_same(panel.predict("2024-06-01").xs(label), alone.predict("2024-06-01"))
        both = {"level": [80, 95], "quantiles": 0.3}
        assert_same(panel.predict(3, **both).xs(label), alone.predict(3, **both))
        assert_same(panel.residuals().xs(label), alone.residuals())
        assert_same(panel.fitted_values(Y).xs(label), alone.fitted_values(part))


def test_names_types_and_order_come_back():
    forecast = ESN.fit(Y).predict(2)
    assert forecast.index.names == ["shop", "month"]
    assert forecast.name == "sales"
    assert isinstance(forecast.index.levels[1], pd.DatetimeIndex)
    assert list(dict.fromkeys(forecast.index.get_level_values("shop"))) == ["b", "a", "c"]
    sample = ESN.fit(Y).sample(2, n_samples=4)
    assert sample.shape == (6, 4)
    assert sample.index.equals(forecast.index)


def test_draws_of_a_series_depend_on_its_label_alone():
    whole = ESN.fit(Y).sample(2, n_samples=5)
    few = ESN.fit(pd.concat({k: PARTS[k] for k in ("c", "b")}, names=["shop"])).sample(
        2, n_samples=5
    )
    assert_same(few.xs("c"), whole.xs("c"))
    same = pd.concat(dict.fromkeys(("x", "y"), PARTS["b"]), names=["shop"])
    two = ESN.fit(same).sample(2, n_samples=5)
    assert not np.array_equal(two.xs("x"), two.xs("y"))


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(len(Y))))
def test_rows_of_the_series_may_be_mixed(order):
    order = np.array(order)
    times = Y.index.get_level_values(1)[order].asi8
    mixed = Y.iloc[order[np.argsort(times, kind="stable")]]  # by time, series in any order
    whole, again = SEASONAL.fit(Y).predict(2), SEASONAL.fit(mixed).predict(2)
    pd.testing.assert_series_equal(again.sort_index(), whole.sort_index())


@pytest.mark.parametrize(
    "labels",
    [
        pd.Index([3, 1, 2]),
        pd.CategoricalIndex(["u", "v", "w"], categories=["w", "v", "u", "none"]),
        pd.Index([("a", 1), ("a", 2), ("b", 1)], tupleize_cols=False),
        pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"]),
    ],
    ids=["ints", "categories", "tuples", "dates"],
)
def test_labels_of_any_type(labels):
    arrays = [labels.repeat(30), np.tile(np.arange(30), 3)]
    y = pd.Series(np.arange(90.0), index=pd.MultiIndex.from_arrays(arrays, names=["id", None]))
    forecast = NaiveForecaster().fit(y).predict(2)
    assert forecast.index.levels[0].dtype == y.index.levels[0].dtype
    assert forecast.tolist() == [29, 29, 59, 59, 89, 89]
    assert forecast.index.get_level_values(1).tolist() == [30, 31] * 3


def test_systems_of_several_variables_make_a_panel_of_frames():
    frame = pd.concat({k: pd.DataFrame({"u": v, "v": -v}) for k, v in PARTS.items()})
    panel = ESN.fit(frame)
    alone = clone(ESN).fit(frame.loc["a"])
    assert_same(panel.predict(2).xs("a"), alone.predict(2))
    assert_same(panel.predict(2, level=80).xs("a"), alone.predict(2, level=80))


def test_a_horizon_may_be_the_index_of_the_test_rows():
    index = pd.MultiIndex.from_tuples(
        [("c", "2023-11-01"), ("c", "2023-12-01"), ("b", "2024-02-01")], names=["shop", "month"]
    )
    index = index.set_levels(pd.to_datetime(index.levels[1]), level=1)
    forecast = SEASONAL.fit(Y).predict(index)
    assert forecast.index.equals(index)
    assert forecast[("b", pd.Timestamp("2024-02-01"))] == PARTS["b"]["2023-02-01"]


def test_forecasts_keep_the_order_of_a_horizon():
    whole = SEASONAL.fit(Y).predict(3, level=80)
    rows = whole.index[[0, 4, 1, 8, 2, 5]]  # of three series, mixed
    assert rows.get_level_values(0).nunique() == 3
    pd.testing.assert_frame_equal(SEASONAL.predict(rows, level=80), whole.loc[rows])
    pd.testing.assert_frame_equal(SEASONAL.sample(rows), SEASONAL.sample(3).loc[rows])


def test_update_moves_some_series_and_apply_replaces_them():
    head = Y[Y.index.get_level_values(1) < "2023-01-01"]
    tail = Y[Y.index.get_level_values(1) >= "2023-01-01"]
    model = clone(ESN).fit(head)
    before = model.predict(1)
    model.update(tail.drop("a"))
    assert model.cutoff_["a"] == pd.Timestamp("2022-12-01")
    assert model.cutoff_["b"] == MONTHS[-1]
    assert_same(model.predict(1).xs("a"), before.xs("a"))
    alone = clone(ESN).fit(PARTS["c"][:"2022-12-01"]).update(PARTS["c"]["2023-01-01":])
    assert_same(model.predict(1).xs("c"), alone.predict(1))
    assert model.n_steps_seen_ == len(head) + len(tail.drop("a"))
    applied = model.apply(head)
    assert applied.predict(1).index.equals(before.index)
    np.testing.assert_allclose(applied.predict(1), before, rtol=1e-9)
    assert model.cutoff_["b"] == MONTHS[-1]  # not changed by apply


def test_scores_are_means_over_series():
    model = SEASONAL.fit(Y[Y.index.get_level_values(1) < "2023-01-01"])
    tail = Y[Y.index.get_level_values(1) >= "2023-01-01"]
    each = [model.members_[k].score(tail.xs(k)) for k in PARTS]
    assert model.score(tail) == pytest.approx(np.mean(each))


def test_exogenous_rows_are_shared_or_one_set_for_each_series():
    own = pd.concat({k: X + i for i, k in enumerate(PARTS)}, names=["shop"])
    shared = clone(ESN).fit(Y, X).predict(2, X)
    alone = clone(ESN).fit(PARTS["c"], X + 2).predict(2, X + 2)
    assert_same(clone(ESN).fit(Y, own).predict(2, own).xs("c"), alone)
    assert_same(shared.xs("b"), clone(ESN).fit(PARTS["b"], X).predict(2, X))


def test_past_only_columns_are_not_asked_for_in_forecasts():
    model = clone(ESN).set_params(past_columns=["visits"]).fit(PARTS["b"], X)
    forecast = model.predict(3, X[["price"]])
    assert_same(model.predict(3, X), forecast)  # nor are they looked at
    assert forecast.name == "sales"
    panel = clone(model).fit(Y, X)
    assert_same(panel.predict(3, X[["price"]]).xs("b"), forecast)
    only = clone(ESN).set_params(past_columns=["visits"]).fit(PARTS["b"], X[["visits"]])
    assert only.predict(2, level=80).columns.tolist() == ["sales", "lo-80", "hi-80"]
    with pytest.raises(ValueError, match="must cover"):
        only.update(pd.Series([0.0], index=X.index[70:71]), X.loc[:"2023-10-01", ["visits"]])


def test_past_only_columns_help_where_they_lead():
    rng = np.random.RandomState(0)
    lead = rng.randn(301)
    index = pd.RangeIndex(300)
    y = pd.Series(lead[:-1] + 0.1 * rng.randn(300), index=index)
    known = pd.DataFrame({"lead": lead[1:]}, index=index)  # row t says what y will be at t + 1
    settings = {"past_columns": ["lead"], "transforms": ["standardize"]}
    model = clone(ESN).set_params(**settings).fit(y[:250], known[:250])
    errors = []
    for t in range(250, 300):
        errors.append(float(model.predict(1).iloc[0] - y[t]))
        model.update(y[t : t + 1], known[t : t + 1])
    assert np.std(errors) < 0.3  # without the column: 1


def test_past_only_columns_of_arrays_are_numbers():
    y, exog = PARTS["b"].to_numpy(), X.to_numpy()
    model = clone(ESN).set_params(past_columns=[0], season_length=12).fit(y, exog[:70])
    wanted = clone(model).set_params(past_columns=["price"]).fit(PARTS["b"], X)
    np.testing.assert_array_equal(model.predict(2, exog[70:72]), wanted.predict(2, X))
    np.testing.assert_array_equal(model.predict(2, exog[70:72, 1:]), wanted.predict(2, X))


def test_calendar_and_fourier_features_make_known_columns():
    model = clone(ESN).set_params(calendar=["month"], fourier={6: 1}, transforms=["standardize"])
    forecast = model.fit(PARTS["b"]).predict(14)
    steps = np.arange(70, 84)
    truth = np.sin(2 * np.pi * steps / 12)
    assert np.abs(forecast - truth).max() < 0.3
    longer = model.fit(Y).predict(14)
    assert_same(longer.xs("b"), forecast)


def bad_panels():
    swapped = Y.swaplevel()
    three = pd.concat({"north": Y})
    unnamed = Y.copy()
    unnamed.index = pd.MultiIndex.from_arrays(
        [[np.nan, *Y.index.get_level_values(0)[1:]], Y.index.get_level_values(1)]
    )
    gap = Y.drop(("a", pd.Timestamp("2021-02-01")))
    back = pd.concat([Y, Y.iloc[:1]])
    daily = pd.concat(
        [Y, pd.concat({"d": one_series(3, index=MONTHS[:70] + MONTHS.freq * 0)[::2]})]
    )
    text = pd.concat({"a": PARTS["a"].astype(str)})
    return {
        "swapped": (swapped, ValueError, "swaplevel"),
        "three levels": (three, ValueError, "3 levels"),
        "no label": (unnamed, ValueError, "no label of a series in row 0"),
        "gap": (gap, ValueError, "Series 'a': .*missing, first 2021-02-01"),
        "repeated": (back, ValueError, "Series 'b': .*duplicate"),
        "other frequency": (daily, ValueError, "Series 'd': freq='MS' does not fit|Series 'd'"),
        "text": (text, ValueError, "Series 'a': could not convert string"),
        "empty": (Y.iloc[:0], ValueError, "0 sample"),
    }


@pytest.mark.parametrize("kind", bad_panels())
def test_bad_panels_are_refused_by_the_name_of_the_series(kind):
    y, error, message = bad_panels()[kind]
    model = clone(SEASONAL).fit(PARTS["a"])
    before = model.predict(2)
    with pytest.raises(error, match=message):
        model.fit(y)
    assert_same(model.predict(2), before)  # the former fit stays


def test_bad_arguments_of_panels_are_refused():
    model = clone(ESN).fit(Y)
    with pytest.raises(ValueError, match="'nobody', unknown to fit"):
        model.update(pd.concat({"nobody": PARTS["a"]}))
    with pytest.raises(TypeError, match=r"\(series, time\) index, as in fit"):
        model.apply(PARTS["a"])
    with pytest.raises(ValueError, match="Series 'b': `y` must begin at 2023-11-01"):
        model.update(Y)
    with pytest.raises(TypeError, match="MultiIndex"):
        clone(ESN).fit(PARTS["a"]).apply(Y)
    with pytest.raises(ValueError, match="no rows for series 'a'"):
        clone(ESN).fit(Y, pd.concat({"b": X, "c": X}))
    with pytest.raises(TypeError, match="indexed by time, for all series"):
        clone(ESN).fit(Y, X.to_numpy())
    with pytest.raises(ValueError, match="Series 'b': X must cover"):
        clone(ESN).fit(Y, X.iloc[:60])
    with pytest.raises(ValueError, match="pass them"):
        model.fitted_values()
    with pytest.raises(ValueError, match="pooling='global'"):
        clone(ESN).fit(Y, static=pd.DataFrame({"size": [1.0, 2, 3]}, index=list(PARTS)))
    with pytest.raises(InvalidParameterError, match="'local'"):
        clone(ESN).set_params(pooling="some").fit(Y)
    with pytest.raises(ValueError, match=r"names columns that X does not have: \['rain'\]"):
        clone(ESN).set_params(past_columns=["rain"]).fit(Y, X)
    with pytest.raises(TypeError, match="list of columns"):
        clone(ESN).set_params(past_columns="price").fit(Y, X)


def test_workers_change_nothing_and_a_pickle_is_complete():
    alone, shared = clone(ESN).fit(Y), clone(ESN).set_params(n_jobs=2).fit(Y)
    assert_same(shared.predict(3, level=80), alone.predict(3, level=80))
    assert_same(pickle.loads(pickle.dumps(alone)).predict(3), alone.predict(3))


@pytest.mark.parametrize("freq", ["D", "B", "W-THU", "MS", "QE", "h", "15min"])
def test_short_series_take_the_frequency_of_the_longest(freq):
    index = pd.date_range("2024-03-01", periods=40, freq=freq)
    rows = pd.Series(np.arange(40.0), index=pd.DatetimeIndex(index, freq=None))
    y = pd.concat({"short": rows[-2:], "long": rows})
    forecast = NaiveForecaster().fit(y).predict(3)
    assert forecast.xs("short").index.equals(forecast.xs("long").index)


@pytest.mark.parametrize(
    "index",
    [
        pd.period_range("2020-01", periods=40, freq="M"),
        pd.date_range("2024-03-29", periods=60, freq="D", tz="Europe/Berlin"),
        pd.RangeIndex(5, 45),
    ],
    ids=["periods", "zone", "numbers"],
)
def test_other_indexes_continue(index):
    rows = pd.Series(np.random.RandomState(0).randn(len(index)), index=index)
    y = pd.concat({"a": rows, "b": rows[3:]})
    forecast = NaiveForecaster().fit(y).predict(2)
    wanted = NaiveForecaster().fit(rows).predict(2)
    assert forecast.xs("a").index.equals(wanted.index)
    assert forecast.index.levels[1].dtype == rows.index.dtype


def test_an_error_of_an_update_names_the_series(monkeypatch):
    y = pd.concat({"a": one_series(0), "b": one_series(1)}, names=["id", "time"])
    first = y.groupby(level=0).head(40)
    model = NaiveForecaster().fit(first)

    def refuse(self, values, exog, refit):
        if values[0, 0] == y["b"].iloc[40]:
            raise ValueError("no.")

    monkeypatch.setattr(NaiveForecaster, "_advance", refuse)
    with pytest.raises(ValueError, match=r"^Series 'b': no\.$"):
        model.update(y.drop(first.index))
