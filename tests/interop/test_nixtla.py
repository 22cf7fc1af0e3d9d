"""LongForecaster inside utilsforecast and polars, cut as mlforecast cuts; losses as oracles."""

import functools
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LinearRegression
from utilsforecast import losses
from utilsforecast.data import generate_series
from utilsforecast.evaluation import evaluate
from utilsforecast.plotting import plot_series
from utilsforecast.preprocessing import fill_gaps

from echocast import forecasting
from echocast.forecasting import ESNForecaster, LongForecaster, NaiveForecaster


def uneven(long):
    """Series that begin and end at different times."""
    parts = [part.iloc[3 * i : len(part) - 2 * i] for i, (_, part) in enumerate(groups(long))]
    return pd.concat(parts, ignore_index=True)


def groups(frame):
    return frame.groupby("unique_id", sort=True, observed=True)


def models():
    return {"esn": ESNForecaster(20, random_state=0), "naive": NaiveForecaster("seasonal")}


@pytest.fixture(scope="module")
def windows(long):
    return LongForecaster(models(), "MS").cross_validation(long, n_windows=3, h=12, level=[80, 95])


# ------------------------------------------------------------- cuts and columns


@pytest.mark.parametrize("step_size", [None, 1, 5])
@pytest.mark.parametrize("input_size", [None, 60])
def test_windows_are_those_of_mlforecast(long, step_size, input_size):
    """Same rows, same order, same cutoffs; and a mean over the input says what it consisted of."""
    df = uneven(long)
    run = {"n_windows": 3, "h": 4, "step_size": step_size, "input_size": input_size}
    theirs = MLForecast(models={"m": LinearRegression()}, freq="MS", lags=[1, 2]).cross_validation(
        df, **run
    )
    ours = LongForecaster({"m": NaiveForecaster("mean")}, "MS").cross_validation(df, **run)
    assert list(ours) == list(theirs)
    keys = ["unique_id", "ds", "cutoff", "y"]
    assert_frame_equal(ours[keys], theirs[keys])
    for _, row in ours.iterrows():
        past = df[(df["unique_id"] == row["unique_id"]) & (df["ds"] <= row["cutoff"])]["y"]
        assert_allclose(row["m"], past.iloc[-(input_size or len(past)) :].mean())


def test_forecasts_have_the_rows_of_mlforecast(long):
    df = uneven(long)
    theirs = MLForecast(models={"m": LinearRegression()}, freq="MS", lags=[1]).fit(df).predict(5)
    ours = LongForecaster({"m": NaiveForecaster()}, "MS").fit(df).predict(5)
    assert_frame_equal(ours.drop(columns="m"), theirs.drop(columns="m"))


def test_naive_models_agree_with_lags_of_mlforecast(long):
    """A regression on one lag alone that is exact: both libraries forecast the same numbers."""
    means = {"lag_transforms": {1: [RollingMean(12)]}}
    mean = MLForecast(models={"m": LinearRegression()}, freq="MS", lags=[12], **means)
    flat = long.assign(y=long.groupby("unique_id")["y"].transform(lambda y: np.tile(y[:12], 20)))
    theirs = mean.fit(flat).predict(12)
    ours = LongForecaster({"m": NaiveForecaster("seasonal")}, "MS").fit(flat).predict(12)
    assert_allclose(ours["m"], theirs["m"], rtol=1e-6)


def test_generated_series_with_categorical_ids_and_static_columns():
    df = generate_series(5, n_static_features=1, equal_ends=False, min_length=80, max_length=120)
    found = LongForecaster(NaiveForecaster("seasonal"), "D").fit(df, static_features=["static_0"])
    forecast = found.predict(7, level=[90])
    assert forecast["unique_id"].dtype == df["unique_id"].dtype
    ends = groups(df)["ds"].max()
    assert_array_equal(groups(forecast)["ds"].min(), ends + pd.Timedelta(days=1))


def test_gaps_are_filled_by_utilsforecast(long):
    df = long.drop(index=[5, 700])
    nixtla = LongForecaster(NaiveForecaster(missing="interpolate"), "MS")
    with pytest.raises(ValueError, match=r"Series 's0' .* first 2000-06-01.*fill_gaps"):
        nixtla.fit(df)
    assert len(nixtla.fit(fill_gaps(df, freq="MS")).predict(1)) == 6


# ------------------------------------------------------- evaluate, plot, polars


def test_evaluate(windows, long, tally):
    mase = functools.partial(losses.mase, seasonality=12)
    metrics = [losses.mae, losses.rmse, losses.smape, mase, losses.coverage]
    scores = evaluate(windows, metrics=metrics, level=[80, 95], train_df=long)
    assert {"esn", "naive"} <= set(scores.columns)
    assert set(scores["metric"]) == {
        "mae",
        "rmse",
        "smape",
        "mase",
        "coverage_level80",
        "coverage_level95",
    }
    assert scores[["esn", "naive"]].notna().all(axis=None)
    mean = scores.groupby("metric")[["esn", "naive"]].mean().round(3)
    tally(f"utilsforecast's evaluate over LongForecaster's windows:\n{mean}")
    assert mean.loc["mase", "esn"] < mean.loc["mase", "naive"]
    assert mean.loc["coverage_level95", "esn"] > 0.8


def test_plot_series(windows, long):
    forecast = LongForecaster(models(), "MS").fit(long).predict(12, level=[80])
    figure = plot_series(long, forecast, level=[80], max_insample_length=36, ids=["s0", "s3"])
    drawn = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"esn", "naive"} <= drawn
    figure = plot_series(long, windows.drop(columns=["y", "cutoff"]), ids=["s1"])
    plt.close("all")


@pytest.mark.parametrize("ids", [pl.String, pl.Categorical, pl.Int64])
@pytest.mark.parametrize("times", [pl.Datetime("us"), pl.Date, pl.Datetime("ms", "Asia/Tokyo")])
def test_polars_frames_in_and_out(long, ids, times):
    plain = uneven(long)
    df = pl.DataFrame(plain.to_dict("list"))
    if ids == pl.Int64:
        df = df.with_columns(pl.col("unique_id").str.strip_prefix("s"))
    df = df.with_columns(pl.col("unique_id").cast(ids))
    zone = getattr(times, "time_zone", None)
    stamps = pl.col("ds").dt.replace_time_zone(zone) if zone else pl.col("ds")
    df = df.with_columns(stamps.cast(times)).sample(fraction=1.0, shuffle=True, seed=0)
    nixtla = LongForecaster(models(), "MS").fit(df)
    found = nixtla.predict(3, level=[90])
    assert isinstance(found, pl.DataFrame)
    assert found.schema["unique_id"] == df.schema["unique_id"]
    assert found.schema["ds"] == df.schema["ds"]
    pandas = LongForecaster(models(), "MS").fit(plain).predict(3, level=[90])
    assert list(found.columns) == list(pandas)
    assert_allclose(found["esn"].to_numpy(), pandas["esn"], rtol=1e-9)
    days = found["ds"].dt.strftime("%Y-%m-%d").to_list()
    assert days == list(pandas["ds"].dt.strftime("%Y-%m-%d"))
    assert pickle.loads(pickle.dumps(nixtla)).predict(3, level=[90]).equals(found)
    cut = nixtla.cross_validation(df, 2, 3)
    assert cut.schema["cutoff"] == df.schema["ds"]
    assert_frame_equal(
        pd.DataFrame({"mae": evaluate(cut, [losses.mae])["esn"].to_numpy()}),
        pd.DataFrame({"mae": evaluate(nixtla.cross_validation(plain, 2, 3), [losses.mae])["esn"]}),
    )


def test_polars_frames_with_missing_values_and_known_columns(long):
    df = pl.DataFrame(long.to_dict("list")).with_columns(
        pl.col("ds").dt.month().alias("month"),
        pl.when(pl.col("y") > 14).then(None).otherwise(pl.col("y")).alias("y"),
    )
    nixtla = LongForecaster(ESNForecaster(20, missing="interpolate", random_state=0), "MS")
    end = pl.datetime(2019, 6, 1)
    nixtla.fit(df.filter(pl.col("ds") <= end))
    ahead = df.filter(pl.col("ds") > end).drop("y")
    found = nixtla.predict(6, X_df=ahead)
    assert found.shape == (36, 3)
    pandas = {name: df[name].to_list() for name in df.columns}
    frame = pd.DataFrame(pandas).astype({"y": float})
    same = LongForecaster(nixtla.models, "MS").fit(frame[frame["ds"] <= "2019-06-01"])
    known = frame[frame["ds"] > "2019-06-01"].drop(columns="y")
    assert_allclose(found["ESNForecaster"].to_numpy(), same.predict(6, X_df=known)["ESNForecaster"])


def test_polars_frames_move_on(long):
    df = pl.DataFrame(long.to_dict("list"))
    last = df.filter(pl.col("ds") > pl.datetime(2019, 6, 1))
    nixtla = LongForecaster(models(), "MS").fit(df.filter(pl.col("ds") <= pl.datetime(2019, 6, 1)))
    plain = LongForecaster(models(), "MS").fit(long[long["ds"] <= "2019-06-01"])
    plain.update(long[long["ds"] > "2019-06-01"])
    found = nixtla.update(last).predict(2, ids=["s2"])
    assert found["ds"].to_list() == list(plain.predict(2, ids=["s2"])["ds"])
    assert_allclose(found["esn"].to_numpy(), plain.predict(2, ids=["s2"])["esn"])


# ---------------------------------------------------------------- losses agree


def ours_by_window(windows, function):
    """One value for each window and series, in order."""
    rows = windows.groupby(["cutoff", "unique_id"], sort=True)
    return np.array([function(part, key) for key, part in rows])


def theirs(frame, column="esn"):
    return frame.sort_values(["cutoff", "unique_id"])[column].to_numpy()


@pytest.mark.parametrize(
    ("name", "factor"), [("mae", 1), ("rmse", 1), ("mape", 100), ("smape", 200)]
)
def test_errors_without_scales(windows, name, factor):
    mine = ours_by_window(windows, lambda p, _: getattr(forecasting, name)(p["y"], p["esn"]))
    assert_allclose(mine, factor * theirs(getattr(losses, name)(windows, ["esn"])), rtol=1e-12)


@pytest.mark.parametrize("name", ["mase", "rmsse"])
@pytest.mark.parametrize("season", [1, 12])
def test_scaled_errors(windows, long, name, season):
    def mine(part, key):
        past = long[(long["unique_id"] == key[1]) & (long["ds"] <= key[0])]["y"]
        return getattr(forecasting, name)(part["y"], part["esn"], past, season_length=season)

    found = getattr(losses, name)(windows, ["esn"], seasonality=season, train_df=long)
    assert_allclose(ours_by_window(windows, mine), theirs(found), rtol=1e-9)


@pytest.mark.parametrize("level", [80, 95])
def test_losses_of_intervals(windows, level):
    low, high = f"esn-lo-{level}", f"esn-hi-{level}"
    mine = ours_by_window(windows, lambda p, _: forecasting.coverage(p["y"], p[low], p[high]))
    assert_allclose(mine, theirs(losses.coverage(windows, ["esn"], level)))
    mine = ours_by_window(
        windows, lambda p, _: forecasting.winkler(p["y"], p[low], p[high], level=level)
    )
    assert_allclose(mine, theirs(losses.winkler_score(windows, ["esn"], level)), rtol=1e-9)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.975])
def test_quantile_loss(windows, quantile):
    mine = ours_by_window(
        windows, lambda p, _: forecasting.pinball(p["y"], p["esn"], quantile=quantile)
    )
    found = losses.quantile_loss(windows, {"esn": "esn"}, q=quantile)
    assert_allclose(mine, theirs(found), rtol=1e-9)
