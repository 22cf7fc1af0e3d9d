"""Forms of y: what goes in, what comes out, missing values, and refusals."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.forecasting import NaiveForecaster
from echocast.forecasting._frames import read_target

DAYS = pd.date_range("2024-01-01", periods=30, freq="D")
Y = pd.Series(np.arange(30.0), index=DAYS, name="load")
WIDE = pd.DataFrame({"b": Y, "a": -Y})
WIDE.columns.name = "site"


def fitted(y, **params):
    return NaiveForecaster("drift", **params).fit(y)


def test_a_series_comes_back_as_a_series():
    forecast = fitted(Y).predict(3)
    assert isinstance(forecast, pd.Series)
    assert forecast.name == "load"
    banded = fitted(Y).predict(3, level=[80, 97.5], quantiles=0.1)
    assert list(banded.columns) == ["load", "lo-80", "hi-80", "lo-97.5", "hi-97.5", "q-0.1"]
    assert_array_equal(banded["load"], forecast)
    assert_allclose(banded["q-0.1"], banded["lo-80"])
    nameless = fitted(Y.rename(None)).predict(2, level=80)
    assert list(nameless.columns) == ["y", "lo-80", "hi-80"]


def test_a_frame_comes_back_as_a_frame():
    forecast = fitted(WIDE).predict(3)
    assert list(forecast.columns) == ["b", "a"]
    assert forecast.columns.name == "site"
    banded = fitted(WIDE).predict(3, level=80)
    assert list(banded.columns) == [(v, f) for v in "ba" for f in ("forecast", "lo-80", "hi-80")]
    assert list(banded.columns.names) == ["variable", "field"]
    assert_array_equal(banded[("a", "forecast")], forecast["a"])
    one = fitted(WIDE[["a"]]).predict(3)
    assert isinstance(one, pd.DataFrame)


def test_columns_of_several_levels_come_back():
    columns = pd.MultiIndex.from_tuples([("x", 1), ("x", 2)], names=["site", "sensor"])
    wide = WIDE.set_axis(columns, axis=1)
    assert fitted(wide).predict(3).columns.equals(columns)
    assert fitted(wide).predict(3).columns.names == ["site", "sensor"]
    assert fitted(wide).residuals().columns.names == ["site", "sensor"]


@pytest.mark.parametrize("shape", [(30,), (30, 1), (30, 2)])
def test_arrays_come_back_as_arrays(shape):
    y = np.arange(30.0).repeat(int(np.prod(shape)) // 30).reshape(shape)
    forecast = fitted(y).predict(4)
    assert isinstance(forecast, np.ndarray)
    assert forecast.shape == (4, *shape[1:])
    banded = fitted(y).predict(4, level=80)
    assert isinstance(banded, pd.DataFrame)
    assert banded.index.equals(pd.RangeIndex(30, 34))


def test_samples_are_columns():
    paths = fitted(Y).sample(3, n_samples=5)
    assert list(paths.columns) == [0, 1, 2, 3, 4]
    assert_array_equal(paths, np.repeat(fitted(Y).predict(3).to_numpy()[:, None], 5, axis=1))
    system = fitted(WIDE).sample([2, 3], n_samples=4)
    assert list(system.columns) == [(v, i) for v in "ba" for i in range(4)]
    assert len(system) == 2


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "Int64", "Float64", "boolean"])
def test_numeric_types_are_read_as_float64(dtype):
    y = (Y % 2).astype(dtype)
    assert fitted(y).predict(1).dtype == np.float64
    assert_array_equal(read_target(y, owner="F").values[:, 0], Y % 2)


def test_inputs_may_be_read_only_and_stay_untouched():
    y = np.asfortranarray(np.random.RandomState(0).randn(30, 3))[:, ::2]
    y.setflags(write=False)
    before = y.copy()
    fitted(y).update(y[:2]).predict(2)
    assert_array_equal(y, before)
    frame = WIDE.copy(deep=True)
    fitted(WIDE).fitted_values(WIDE)
    pd.testing.assert_frame_equal(WIDE, frame)


def with_nan(*rows):
    y = Y.copy()
    y.iloc[list(rows)] = np.nan
    return y


def test_missing_values_are_refused_by_default():
    with pytest.raises(
        ValueError,
        match=r"Input y contains NaN\. NaiveForecaster.*2 values, "
        r"first at 2024-01-04\. Use missing='interpolate'",
    ):
        fitted(with_nan(3, 9))
    wide = WIDE.copy()
    wide.iloc[5, 1] = np.nan
    with pytest.raises(ValueError, match="1 value, first at 2024-01-06, column 'a'"):
        fitted(wide)
    array = with_nan(3).to_numpy()
    with pytest.raises(ValueError, match="first at row 3"):
        fitted(array)


def test_missing_values_are_filled_as_asked():
    def read(missing, *rows):
        return read_target(with_nan(*rows), owner="F", missing=missing).values[:, 0]

    assert_allclose(read("interpolate", 3, 4, 9), Y)
    assert_allclose(read("ffill", 3, 4, 9)[[3, 4, 9]], [2, 2, 8])
    assert_allclose(read("interpolate", 28, 29)[28:], [27, 27])
    for missing in ("ffill", "interpolate"):
        with pytest.raises(ValueError, match="begins with NaN"):
            read(missing, 0)


def test_leading_gaps_of_new_rows_are_filled_from_the_last_row():
    for missing, expected in (("ffill", 20.0), ("interpolate", 21.0)):
        model = NaiveForecaster(missing=missing).fit(Y.iloc[:21])
        tail = Y.iloc[21:23].copy()
        tail.iloc[0] = np.nan
        assert model.update(tail.iloc[:1]).predict(1).iloc[0] == 20.0
        model = NaiveForecaster("seasonal", season_length=2, missing=missing).fit(Y.iloc[:21])
        assert model.update(tail).predict(1).iloc[0] == expected


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([1.0, 2.0], TypeError, r"`y` must be a pandas Series or DataFrame.*Found <class 'list'>"),
        (None, TypeError, "Found <class 'NoneType'>"),
        (3.0, TypeError, "Found <class 'float'>"),
        (np.zeros((2, 2, 2)), ValueError, "Found array with dim 3"),
        (np.array(1.0), ValueError, "Found array with dim 0"),
        (np.empty(0), ValueError, r"0 sample\(s\)"),
        (np.empty((5, 0)), ValueError, r"0 feature\(s\)"),
        (Y.iloc[:0], ValueError, r"0 sample\(s\)"),
        (Y + 1j, ValueError, "Complex data not supported"),
        (Y.astype(str), ValueError, "float: '0.0' at 2024-01-01 .*astype.float. converts it"),
        (Y.astype(str).replace("3.0", "n/a?"), ValueError, "float: 'n/a\\?' at 2024-01-04 .col"),
        (Y.astype(object).replace(3.0, "n/a?"), ValueError, "float: 'n/a\\?' at 2024-01-04"),
        (np.array(["1", "2", "x"]), ValueError, "float: 'x' at row 2 .column"),
        (Y.astype(object), TypeError, "convert it with astype"),
        (pd.Series(DAYS, index=DAYS), TypeError, "datetime64.*encode it as numbers first"),
        (pd.concat([WIDE, WIDE], axis=1), ValueError, "more than one column named 'b'"),
        (Y.replace(3.0, np.inf), ValueError, "contains infinity.*first at 2024-01-04"),
        (Y.replace(3.0, 1e200), ValueError, r"Values up to 1e\+200 in y overflow"),
        (Y * 1e-200, ValueError, r"at most 3e-199 in column 'load' of y vanish"),
    ],
)  # fmt: skip
def test_unusable_values_are_refused(y, error, message):
    with pytest.raises(error, match=message):
        fitted(y)


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_masked_entries_are_missing_values(dtype):
    y = np.ma.masked_array(Y.to_numpy().astype(dtype), mask=np.arange(30) == 3)
    y.data[3] = -99
    with pytest.raises(ValueError, match=r"Input y contains NaN.*first at row 3"):
        fitted(y)
    assert read_target(y, owner="F", missing="ffill").values[3, 0] == 2.0
    X = np.ma.masked_array(np.ones((30, 2)), mask=np.arange(60).reshape(30, 2) == 9)
    with pytest.raises(ValueError, match=r"Input X contains NaN.*first at row 4, column 1"):
        fitted(Y.to_numpy()).fit(Y.to_numpy(), X)


def test_a_name_that_is_a_column_of_the_forecast_is_refused():
    model = fitted(Y.rename("lo-80"))
    assert model.predict(2).name == "lo-80"
    with pytest.raises(ValueError, match=r"`y` has the name 'lo-80'.*Rename it"):
        model.predict(2, level=80)
    assert next(iter(fitted(Y.rename("forecast")).predict(1, level=80))) == "forecast"


def test_new_rows_must_have_the_form_of_fit():
    model = fitted(WIDE)
    with pytest.raises(ValueError, match=r"Expected \['b', 'a'\]\. Got \['a'\]"):
        model.update(WIDE[["a"]])
    with pytest.raises(TypeError, match=r"must be a DataFrame, as in fit\. Found Series"):
        model.update(Y)
    with pytest.raises(TypeError, match=r"must be a Series, as in fit\. Found ndarray"):
        fitted(Y).update(np.zeros(2))
    with pytest.raises(ValueError, match="must have 2 columns"):
        fitted(WIDE.to_numpy()).update(np.zeros((2, 3)))
    with pytest.raises(TypeError, match="tz-aware and fit was tz-naive"):
        fitted(Y).apply(Y.tz_localize("UTC"))
    with pytest.raises(TypeError, match="period index"):
        fitted(Y).apply(Y.to_period("D"))


def test_new_arrays_have_as_many_dimensions_as_in_fit():
    model = fitted(Y.to_numpy())
    for call in (model.update, model.apply, model.score):
        with pytest.raises(ValueError, match=r"must have one dimension, as in fit, got .*\(5, 2\)"):
            call(np.zeros((5, 2)))


def test_columns_are_put_back_in_order():
    swapped = fitted(WIDE.iloc[:20]).update(WIDE.iloc[20:][["a", "b"]]).predict(2)
    pd.testing.assert_frame_equal(swapped, fitted(WIDE).predict(2))


@pytest.mark.parametrize("level", [0, 0.8, 100, -5, "80", [80, 80], [True], [None], ["80"]])
def test_a_bad_level_is_refused(level):
    with pytest.raises(ValueError, match="'level' parameter of predict"):
        fitted(Y).predict(2, level=level)


def test_a_level_below_one_is_taken_for_a_share_and_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"in per cent \(level=80 means 80 %\).* Got 0\.8 instead"):
        fitted(Y).predict(2, level=0.8)
    assert list(fitted(Y).predict(2, level=1).columns[1:]) == ["lo-1", "hi-1"]


def test_bad_quantiles_are_refused():
    with pytest.raises(ValueError, match="'quantiles' parameter of predict"):
        fitted(Y).predict(2, quantiles=[0.1, 1.0])
