"""Long frames: columns and their types, agreement with panels and loops, cuts, and refusals."""

import builtins
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from echocast.exceptions import EchocastWarning, ExtraColumnsWarning, InvalidParameterError
from echocast.forecasting import (
    AutoESNForecaster,
    ESNForecaster,
    LongForecaster,
    NaiveForecaster,
)

LABELS = {
    "str": ["b", "a", "c"],
    "int": [30, 4, 5],
    "category": pd.Categorical(["b", "a", "c"], categories=["c", "b", "a", "unused"]),
}
LENGTHS = (40, 52, 45)


def values(label, n_steps, seed=0):
    rng = np.random.RandomState([seed, sum(map(ord, str(label)))])
    return 20 + np.sin(2 * np.pi * np.arange(n_steps) / 7) + 0.1 * rng.randn(n_steps)


def long_frame(labels="str", lengths=LENGTHS, times="D"):
    """Series of unequal lengths that end at different times; rows in no order."""
    parts = []
    for place, (label, n) in enumerate(zip(LABELS[labels], lengths)):
        start = pd.Timestamp("2024-01-01") + pd.Timedelta(days=place)
        stamps = pd.date_range(start, periods=n, freq=times) if times != 1 else np.arange(n) + place
        parts.append(pd.DataFrame({"unique_id": label, "ds": stamps, "y": values(label, n)}))
    frame = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)
    if labels == "category":
        frame["unique_id"] = pd.Categorical(frame["unique_id"], LABELS["category"].categories)
    return frame


def esn(**params):
    return ESNForecaster(**{"n_units": 10, "random_state": 0, "lags": 8, **params})


def series_of(frame, label):
    part = frame[frame["unique_id"] == label].sort_values("ds")
    return part.set_index("ds")["y"].asfreq("D")


# ------------------------------------------------------------------- frames


@pytest.mark.parametrize("labels", LABELS)
def test_columns_order_and_types(labels):
    df = long_frame(labels)
    found = LongForecaster([esn(), NaiveForecaster("seasonal")], "D").fit(df).predict(3, level=90)
    assert list(found) == [
        "unique_id",
        "ds",
        "ESNForecaster",
        "ESNForecaster-lo-90",
        "ESNForecaster-hi-90",
        "NaiveForecaster",
        "NaiveForecaster-lo-90",
        "NaiveForecaster-hi-90",
    ]
    assert_array_equal(found.index, range(9))
    assert found["unique_id"].dtype == df["unique_id"].dtype
    assert found["ds"].dtype == df["ds"].dtype
    assert (found.dtypes.iloc[2:] == "float64").all()
    order = {"str": ["a", "b", "c"], "int": [4, 5, 30], "category": ["c", "b", "a"]}[labels]
    assert list(found["unique_id"]) == [label for label in order for _ in range(3)]
    ends = df.groupby("unique_id", observed=True)["ds"].max()
    for label, part in found.groupby("unique_id", observed=True):
        assert_array_equal(part["ds"], pd.date_range(ends[label], periods=4)[1:])


def test_levels_run_from_the_lowest_bound_to_the_highest():
    found = LongForecaster({"m": NaiveForecaster()}, "D").fit(long_frame())
    columns = list(found.predict(1, level=[95, 80.5]))[2:]
    assert columns == ["m", "m-lo-95", "m-lo-80.5", "m-hi-80.5", "m-hi-95"]


@pytest.mark.parametrize("level", [None, [80, 95]])
def test_forecasts_are_those_of_a_loop_over_series(level):
    df = long_frame()
    found = LongForecaster(esn(), "D").fit(df).predict(5, level=level)
    for label, part in found.groupby("unique_id"):
        one = esn().fit(series_of(df, label)).predict(5, level=level)
        if level is None:
            assert_array_equal(part["ESNForecaster"], one)
            continue
        assert_array_equal(part["ESNForecaster"], one["y"])
        for side in ("lo-80", "lo-95", "hi-80", "hi-95"):
            assert_array_equal(part[f"ESNForecaster-{side}"], one[side])


def test_names_of_models():
    df = long_frame()
    models = [NaiveForecaster(), NaiveForecaster("mean"), esn(), NaiveForecaster("drift")]
    names = ["NaiveForecaster", "NaiveForecaster2", "ESNForecaster", "NaiveForecaster3"]
    assert list(LongForecaster(models, "D").fit(df).models_) == names
    found = LongForecaster({"last": models[0], "mean": models[1]}, "D").fit(df).predict(1)
    assert list(found) == ["unique_id", "ds", "last", "mean"]
    assert not hasattr(models[0], "n_steps_seen_")


def test_other_names_of_columns_and_integer_times():
    df = long_frame("int", times=1).rename(columns={"unique_id": "shop", "ds": "week", "y": "kg"})
    keys = {"id_col": "shop", "time_col": "week", "target_col": "kg"}
    found = LongForecaster(NaiveForecaster(), 1).fit(df, **keys).predict(2)
    assert list(found) == ["shop", "week", "NaiveForecaster"]
    assert found["week"].dtype == df["week"].dtype
    assert list(found["week"]) == [53, 54, 47, 48, 40, 41]
    cv = LongForecaster(NaiveForecaster(), 1).cross_validation(df, 1, 2, **keys)
    assert list(cv) == ["shop", "week", "cutoff", "kg", "NaiveForecaster"]


def test_steps_of_several_units_and_time_zones():
    df = long_frame()
    df = df[df.groupby("unique_id")["ds"].transform(lambda ds: (ds - ds.min()).dt.days % 2 == 0)]
    found = LongForecaster(NaiveForecaster(), "2D").fit(df).predict(1)
    ends = df.groupby("unique_id")["ds"].max()
    assert_array_equal(found["ds"], ends + pd.Timedelta(days=2))
    zoned = long_frame().assign(ds=lambda d: d["ds"].dt.tz_localize("Europe/Berlin"))
    found = LongForecaster(NaiveForecaster(), "D").fit(zoned).predict(60)  # over a clock change
    assert found["ds"].dtype == zoned["ds"].dtype
    assert (found["ds"].dt.hour == 0).all()


def test_chosen_ids():
    nixtla = LongForecaster([esn(), NaiveForecaster()], "D").fit(long_frame())
    whole = nixtla.predict(3)
    some = nixtla.predict(3, ids=["c", "a"])
    wanted = whole[whole["unique_id"].isin(["a", "c"])].reset_index(drop=True)
    assert_frame_equal(some, wanted)
    for ids in (["a", "z"], []):
        with pytest.raises(InvalidParameterError, match="'ids' parameter of LongForecaster"):
            nixtla.predict(3, ids=ids)
    with pytest.raises(TypeError, match="`ids` must be a list"):
        nixtla.predict(3, ids="a")


def test_it_is_an_estimator():
    nixtla = LongForecaster({"m": esn()}, "D")
    with pytest.raises(NotFittedError):
        nixtla.predict(1)
    df = long_frame()
    fitted = clone(nixtla).fit(df)
    again = pickle.loads(pickle.dumps(fitted))
    assert_frame_equal(again.predict(4, level=80), fitted.predict(4, level=80))
    assert nixtla.get_params()["freq"] == "D"
    cutoffs = df.groupby("unique_id")["ds"].max()
    assert fitted.cutoffs_.to_dict() == cutoffs.to_dict()


# -------------------------------------------------- nothing mixes, nothing leaks


def test_series_and_order_of_rows_change_nothing():
    df = long_frame()
    some = df[df["unique_id"] != "b"].sort_values(["unique_id", "ds"])
    run = {"level": 90}
    whole = LongForecaster(esn(), "D").fit(df).predict(4, **run)
    part = LongForecaster(esn(), "D").fit(some).predict(4, **run)
    assert_frame_equal(part, whole[whole["unique_id"] != "b"].reset_index(drop=True))
    whole = LongForecaster(esn(), "D").cross_validation(df, 2, 4, **run)
    part = LongForecaster(esn(), "D").cross_validation(some, 2, 4, **run)
    assert_frame_equal(part, whole[whole["unique_id"] != "b"].reset_index(drop=True))


@pytest.mark.filterwarnings("ignore::echocast.exceptions.ForecastDivergenceWarning")
@pytest.mark.parametrize("refit", [True, False, 2])
@pytest.mark.parametrize("x", ["past", "known"])
def test_windows_do_not_see_beyond_their_cutoff(refit, x):
    df = long_frame().assign(x=lambda d: np.cos(d["y"]))
    poisoned = df.copy()
    first = df.groupby("unique_id")["ds"].transform("max") - pd.Timedelta(days=9)
    late = df["ds"] > first
    poisoned.loc[late, "y"] = 1e9
    run = {"n_windows": 3, "h": 3, "refit": refit, "level": 80}
    if x == "past":  # not even their own stretch of x is known
        poisoned.loc[late, "x"] = -1e9
        run["past_features"] = ["x"]
    nixtla = LongForecaster([NaiveForecaster(), esn(transforms=["standardize"])], "D")
    clean = nixtla.cross_validation(df, **run)
    dirty = nixtla.cross_validation(poisoned, **run)
    window = clean["cutoff"] == clean.groupby("unique_id")["cutoff"].transform("min")
    assert window.sum() == 9
    assert_frame_equal(clean[window].drop(columns="y"), dirty[window].drop(columns="y"))


# ----------------------------------------------------------- cross-validation


@pytest.mark.parametrize("step", [None, 2, 7])
def test_windows_are_cut_at_each_series_own_end(step):
    df = long_frame()
    h, n_windows = 3, 3
    found = LongForecaster(NaiveForecaster(), "D").cross_validation(df, n_windows, h, step)
    assert list(found) == ["unique_id", "ds", "cutoff", "y", "NaiveForecaster"]
    rows = []
    for number in range(n_windows):
        for label in ("a", "b", "c"):
            y = series_of(df, label)
            stop = len(y) - h - (n_windows - 1 - number) * (step or h)
            for k in range(stop, stop + h):
                rows.append([label, y.index[k], y.index[stop - 1], y.iloc[k], y.iloc[stop - 1]])
    expected = pd.DataFrame(rows, columns=list(found)).astype(found.dtypes.to_dict())
    assert_frame_equal(found, expected)


def test_input_size_is_the_length_of_training():
    df = long_frame()
    found = LongForecaster(NaiveForecaster("mean"), "D").cross_validation(df, 2, 2, input_size=5)
    for _, row in found.iterrows():
        past = series_of(df, row["unique_id"])[: row["cutoff"]]
        assert_allclose(row["NaiveForecaster"], past.iloc[-5:].mean())


@pytest.mark.parametrize("refit", [False, 2])
def test_weights_are_learnt_only_where_asked(refit):
    df = long_frame()
    found = LongForecaster(esn(), "D").cross_validation(df, 4, 2, refit=refit)
    for label in ("a", "b", "c"):
        y = series_of(df, label)
        for number in range(4):
            cut = len(y) - 2 * (4 - number)
            learnt = len(y) - 2 * (4 - (number // 2 * 2 if refit else 0))
            one = esn().fit(y[:learnt]).apply(y[:cut]).predict(2)
            mine = found[(found["unique_id"] == label) & (found["cutoff"] == y.index[cut - 1])]
            assert_allclose(mine["ESNForecaster"], one, rtol=1e-9)


@pytest.mark.parametrize("refit", [True, False])
def test_series_that_are_too_short_for_a_window_are_left_out_of_it(refit):
    df = long_frame(lengths=(4, 52, 45))
    nixtla = LongForecaster(NaiveForecaster(), "D")
    with pytest.warns(EchocastWarning, match=r"1 series are too short for window 1 .*: b\."):
        found = nixtla.cross_validation(df, 2, 2, refit=refit)
    windows = found[found["unique_id"] == "b"]["cutoff"].nunique()
    assert windows == (1 if refit else 0)
    with pytest.raises(
        ValueError, match="All series are too short for window 1 of 30: at least 61"
    ):
        nixtla.cross_validation(df, 30, 2)


def test_cross_validation_leaves_the_object_alone():
    df = long_frame()
    nixtla = LongForecaster(NaiveForecaster(), "D")
    nixtla.cross_validation(df, 1, 2)
    assert not hasattr(nixtla, "models_")
    before = nixtla.fit(df[df["unique_id"] == "a"]).predict(2)
    nixtla.cross_validation(df, 1, 2)
    assert_frame_equal(nixtla.predict(2), before)


# ---------------------------------------------------------- update and new data


@pytest.mark.parametrize("refit", [True, False])
def test_update_takes_in_the_rows_that_follow(refit):
    df = long_frame()
    cut = df.groupby("unique_id")["ds"].transform("max") - pd.Timedelta(days=4)
    late = (df["ds"] > cut) & (df["unique_id"] != "c")  # series may be left out
    nixtla = LongForecaster([esn(), NaiveForecaster()], "D").fit(df[df["ds"] <= cut])
    before = nixtla.predict(3)
    found = nixtla.update(df[late], refit=refit).predict(3)
    for label in ("a", "b"):
        old, new = (series_of(df[rows], label) for rows in (df["ds"] <= cut, late))
        one = esn().fit(old).update(new, refit=refit).predict(3)
        mine = found[found["unique_id"] == label]
        assert_array_equal(mine["ESNForecaster"], one)
        assert_array_equal(mine["ds"], one.index)
    is_c = before["unique_id"] == "c"
    assert_frame_equal(found[is_c], before[is_c])
    with pytest.raises(ValueError, match="Series 'a': `y` must begin at"):
        nixtla.update(df[late])
    assert_frame_equal(nixtla.predict(3), found)
    with pytest.raises(ValueError, match="'z'"):
        nixtla.update(df[late].assign(unique_id="z", ds=df["ds"]).iloc[:1])


def test_new_histories():
    df = long_frame()
    nixtla = LongForecaster([esn(), NaiveForecaster()], "D").fit(df)
    past = df[df["ds"] < "2024-02-05"]
    found = nixtla.predict(3, new_df=past)
    for label, part in found.groupby("unique_id"):
        one = esn().fit(series_of(df, label)).apply(series_of(past, label)).predict(3)
        assert_array_equal(part["ESNForecaster"], one)
        assert_array_equal(part["ds"], one.index)
    assert_frame_equal(nixtla.predict(3), LongForecaster(nixtla.models, "D").fit(df).predict(3))


# --------------------------------------------------------------- other columns


def with_promotion():
    df = long_frame()
    df["promo"] = np.random.RandomState(1).binomial(1, 0.3, len(df)).astype(float)
    df["y"] += 5 * df["promo"]
    return df


def future_of(df, h=3, seed=2):
    ends = df.groupby("unique_id")["ds"].max()
    parts = [
        pd.DataFrame({"unique_id": label, "ds": pd.date_range(end, periods=h + 1)[1:]})
        for label, end in ends.items()
    ]
    future = pd.concat(parts, ignore_index=True)
    future["promo"] = np.random.RandomState(seed).binomial(1, 0.5, len(future)).astype(float)
    return future.sample(frac=1, random_state=1)


def test_dynamic_columns_are_matched_by_series_and_time():
    df = with_promotion()
    future = future_of(df)
    found = LongForecaster(esn(), "D").fit(df).predict(3, X_df=future)
    for label, part in found.groupby("unique_id"):
        X = df[df["unique_id"] == label].set_index("ds")[["promo"]].sort_index()
        ahead = future[future["unique_id"] == label].set_index("ds")[["promo"]].sort_index()
        one = esn().fit(series_of(df, label), X).predict(3, ahead)
        assert_array_equal(part["ESNForecaster"], one)
    more = pd.concat([future, future_of(df, 6)[lambda f: ~f["ds"].isin(future["ds"])]])
    nixtla = LongForecaster(esn(), "D").fit(df)
    assert_frame_equal(nixtla.predict(3, X_df=more.drop_duplicates(["unique_id", "ds"])), found)
    only = future[future["unique_id"] == "b"]
    part = found[found["unique_id"] == "b"].reset_index(drop=True)
    assert_frame_equal(nixtla.predict(3, X_df=only, ids=["b"]), part)


def test_columns_of_the_future_that_do_not_fit():
    df = with_promotion()
    future = future_of(df)
    nixtla = LongForecaster(esn(), "D").fit(df)
    with pytest.raises(ValueError, match=r"fitted with the dynamic columns \['promo'\]: pass"):
        nixtla.predict(3)
    with pytest.raises(ValueError, match=r"Missing columns in `X_df`: \['promo'\]"):
        nixtla.predict(3, X_df=future.drop(columns="promo"))
    with pytest.raises(ValueError, match="X has no rows for series 'c'"):
        nixtla.predict(3, X_df=future[future["unique_id"] != "c"])
    shifted = future.assign(ds=future["ds"] + pd.Timedelta(days=1))
    with pytest.raises(ValueError, match=r"Series 'a'.* Missing: 2024-02-23"):
        nixtla.predict(3, X_df=shifted)
    with pytest.raises(ValueError, match=r"Series 'a'.* Missing: 2024-02-26"):
        nixtla.predict(4, X_df=future)
    with pytest.raises(ValueError, match="duplicate"):
        nixtla.predict(3, X_df=pd.concat([future, future]))
    with pytest.warns(ExtraColumnsWarning, match=r"Ignored columns of `X_df`.*\['z'\]"):
        nixtla.predict(3, X_df=future.assign(z=1.0))
    with pytest.raises(ValueError, match="fitted without dynamic columns; X_df must be None"):
        LongForecaster(esn(), "D").fit(long_frame()).predict(3, X_df=future)


def test_static_columns():
    df = with_promotion()
    df["size"] = df["unique_id"].map({"a": 1.0, "b": 2.0, "c": 3.0})
    future = future_of(df)
    nixtla = LongForecaster([esn(), NaiveForecaster()], "D").fit(df, static_features=["size"])
    plain = LongForecaster([esn(), NaiveForecaster()], "D").fit(df.drop(columns="size"))
    assert_frame_equal(nixtla.predict(3, X_df=future), plain.predict(3, X_df=future))
    df.loc[df["ds"] == "2024-01-20", "size"] = 9.0
    with pytest.raises(ValueError, match="static column 'size' changes within series 'a'"):
        nixtla.fit(df, static_features=["size"])


def test_columns_that_a_model_has_no_use_for():
    """Static columns are for global models; the automatic forecaster takes no columns at all."""
    df = with_promotion()
    df["size"] = df["unique_id"].map({"a": 1.0, "b": 2.0, "c": 3.0})
    pooled = esn(strategy="direct", pooling="global", horizon=7)
    auto = AutoESNForecaster(kind="series", horizon=7, random_state=0)
    nixtla = LongForecaster({"pooled": pooled, "auto": auto}, "D").fit(df, static_features=["size"])
    found = nixtla.predict(3, X_df=future_of(df), level=80)
    keys = ["unique_id", "ds"]
    panel = df.sort_values(keys).set_index(keys)
    alone = clone(auto).set_params(freq="D").fit(panel["y"]).predict(3, level=80)
    assert_array_equal(found["auto"], alone["y"])
    assert_array_equal(found["auto-lo-80"], alone["lo-80"])
    sizes = panel["size"].groupby(level=0).first().to_frame()
    alone = clone(pooled).set_params(freq="D").fit(panel["y"], panel[["promo"]], static=sizes)
    ahead = future_of(df).sort_values(keys).set_index(keys)
    assert_array_equal(found["pooled"], alone.predict(3, ahead))


def test_series_that_are_new_to_a_global_model():
    df = long_frame()
    nixtla = LongForecaster(esn(strategy="direct", pooling="global", horizon=7), "D").fit(df)
    new = df[df["unique_id"] == "a"].assign(unique_id="z")
    found = nixtla.predict(3, new_df=new)
    old = nixtla.predict(3, ids=["a"])
    assert_array_equal(found["unique_id"], ["z"] * 3)
    assert_allclose(found["ESNForecaster"], old["ESNForecaster"], rtol=1e-9)
    with pytest.raises(ValueError, match="'z', unknown to fit"):
        LongForecaster(esn(), "D").fit(df).predict(3, new_df=new)
    with pytest.raises(ValueError, match="'z', unknown to fit"):
        nixtla.update(new.iloc[:1])


# ------------------------------------------------------------------- refusals


def test_gaps_and_repeated_rows_name_the_series_and_the_stamp():
    df = long_frame()
    gap = df[
        ~((df["unique_id"] == "b") & df["ds"].isin(pd.to_datetime(["2024-01-09", "2024-01-12"])))
    ]
    said = "Series 'b' of `df` has freq 'D' but 2 rows are missing, first 2024-01-09. "
    for run in (
        lambda: LongForecaster(esn(), "D").fit(gap),
        lambda: LongForecaster(esn(), "D").cross_validation(gap, 1, 2),
    ):
        with pytest.raises(ValueError, match=said):
            run()
    twice = pd.concat([df, df[(df["unique_id"] == "c") & (df["ds"] == "2024-01-20")]])
    with pytest.raises(ValueError, match="Series 'c' has more than one row at 2024-01-20 in `df`"):
        LongForecaster(esn(), "D").fit(twice)
    off = df.assign(ds=df["ds"].where(df["ds"] != "2024-01-20", pd.Timestamp("2024-01-20 06:00")))
    with pytest.raises(ValueError, match=r"'a' .* 2024-01-20 06:00:00, which is not on the grid"):
        LongForecaster(esn(), "D").fit(off)
    numbered = long_frame(times=1)
    numbered = numbered[numbered["ds"] != 7]
    with pytest.raises(ValueError, match="'a' of `df` has freq '1' but 1 row is missing, first 7"):
        LongForecaster(esn(), 1).fit(numbered)


@pytest.mark.parametrize(
    ("change", "freq", "kind", "said"),
    [
        (lambda d: d.drop(columns="y"), "D", ValueError, r"Missing columns in `df`: \['y'\]"),
        (lambda d: d.iloc[:0], "D", ValueError, "0 sample"),
        (lambda d: d.assign(ds=d["ds"].astype(str)), "D", TypeError, "Convert it with pd.to_dat"),
        (lambda d: d, 1, ValueError, "holds dates, and `freq` is '1'"),
        (
            lambda d: d.assign(ds=range(len(d))),
            "D",
            ValueError,
            "holds integers, and `freq` is 'D'",
        ),
        (lambda d: d.assign(ds=d["ds"].where(d["ds"] > "2024-01-03")), "D", ValueError, "no value"),
        (lambda d: d, "day", ValueError, "`freq` must be a pandas frequency"),
        (lambda d: d, None, ValueError, "`freq` must be a pandas frequency"),
        (lambda d: d, 0, ValueError, "`freq` must be at least 1"),
        (lambda d: d.to_numpy(), "D", TypeError, "`df` must be a pandas or polars DataFrame"),
        (lambda d: d.assign(y=d["y"].where(d["ds"] > "2024-01-05")), "D", ValueError, "'a'.*NaN"),
        (lambda d: d.assign(z="x"), "D", ValueError, "could not convert string to float"),
    ],
)
def test_frames_that_cannot_be_used(change, freq, kind, said):
    nixtla = LongForecaster(esn(), "D").fit(long_frame())
    before = nixtla.predict(2)
    nixtla.freq = freq
    with pytest.raises(kind, match=said):
        nixtla.fit(change(long_frame()))
    assert_frame_equal(nixtla.predict(2), before)  # the former fit stays


@pytest.mark.parametrize(
    ("models", "kind", "said"),
    [
        ([], ValueError, "`models` is empty"),
        ([ESNForecaster], TypeError, "must hold forecasters"),
        ("ESNForecaster", TypeError, "must hold forecasters"),
        ({"cutoff": NaiveForecaster()}, ValueError, "the name 'cutoff', which is a column's"),
    ],
)
def test_models_that_cannot_be_used(models, kind, said):
    with pytest.raises(kind, match=said):
        LongForecaster(models, "D").fit(long_frame())


@pytest.mark.parametrize(
    "params",
    [
        {"static_features": "y"},
        {"static_features": ["ds"]},
        {"past_features": ["x", "x"]},
        {"past_features": ["x"], "static_features": ["x"]},
        {"past_features": ["nothing"]},
        {"id_col": "ds"},
    ],
)
def test_roles_that_contradict_each_other(params):
    with pytest.raises((ValueError, TypeError), match=r"features|must differ|Missing columns"):
        LongForecaster(esn(), "D").fit(long_frame().assign(x=1.0), **params)


@pytest.mark.parametrize(
    "params", [{"n_windows": 0}, {"h": 0}, {"step_size": 0}, {"input_size": -1}, {"refit": 0.5}]
)
def test_numbers_that_cannot_be_used(params):
    with pytest.raises(InvalidParameterError, match=f"{next(iter(params))!r} parameter"):
        LongForecaster(esn(), "D").cross_validation(
            long_frame(), **{"n_windows": 1, "h": 1} | params
        )


def test_a_frame_of_another_library_without_narwhals(monkeypatch):
    class Foreign:
        columns = ("unique_id", "ds", "y")

    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "narwhals":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"needs narwhals: pip install 'echocast\[polars\]'"):
        LongForecaster(esn(), "D").fit(Foreign())
