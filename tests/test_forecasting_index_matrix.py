"""The index matrix: every kind of index, in every form of y, through every method.

Type, name, frequency, zone, name of the index and resolution come back as they were.
"""

import numpy as np
import pandas as pd
import pytest

from echocast.forecasting import NaiveForecaster, backtest
from index_matrix import MATRIX, H, N

FORMS = ("series", "wide", "panel")
CASES = [(label, form) for label in MATRIX for form in FORMS]
RNG = np.random.RandomState(0)
NOISE = RNG.randn(N + H, 2)
SEEN = {"cases": 0, "frames": 0}


def make(form, index):
    """y over the whole index, in one of the forms."""
    if form == "series":
        return pd.Series(NOISE[:, 0], index=index, name="sales")
    wide = pd.DataFrame(NOISE, index=index, columns=pd.Index(["a", "b"], name="site"))
    if form == "wide":
        return wide
    both = pd.concat({"north": wide["a"], "south": wide["b"]}, names=["site", index.name])
    return both.rename("sales")


def rows(y, start, stop, form):
    """These rows of y, of each series."""
    if form != "panel":
        return y.iloc[start:stop]
    parts = {k: y.xs(k).iloc[start:stop] for k in ("north", "south")}
    return pd.concat(parts, names=y.index.names)


def assert_index(got, expected, form):
    """Labels, type, name, zone, resolution and, where an index has one, frequency."""
    SEEN["frames"] += 1
    if form == "panel":
        assert list(got.names) == ["site", expected.name]
        for label in ("north", "south"):
            times = got[got.get_level_values(0) == label].get_level_values(1)
            bare = (
                pd.Index(expected.to_numpy()) if isinstance(expected, pd.RangeIndex) else expected
            )
            assert times.equals(bare)
            assert times.dtype == bare.dtype
        return
    pd.testing.assert_index_equal(got, expected, exact=True)
    assert getattr(got, "freq", None) == getattr(expected, "freq", None)
    assert getattr(got, "tz", None) == getattr(expected, "tz", None)
    assert getattr(got, "unit", None) == getattr(expected, "unit", None)


def assert_form(got, y, expected, form):
    """A result like y, on the labels expected."""
    assert type(got) is type(y)
    assert_index(got.index, expected, form)
    if form == "wide":
        pd.testing.assert_index_equal(got.columns, y.columns)
    else:
        assert got.name == y.name


@pytest.mark.parametrize(("label", "form"), CASES)
def test_everything_comes_back_as_it_was(label, form):
    index = MATRIX[label]
    y = make(form, index)
    past, future = rows(y, 0, N, form), index[N:]
    model = NaiveForecaster("drift").fit(past)
    assert_form(model.predict(H), y, future, form)
    assert_index(model.predict(H, level=80).index, future, form)
    assert_index(model.sample(H, n_samples=2, random_state=0).index, future, form)
    assert_form(model.fitted_values(past), y, index[:N], form)
    residuals = model.residuals()
    n_kept = len(residuals) // (2 if form == "panel" else 1)
    assert_form(residuals, y, index[N - n_kept : N], form)
    later = model.apply(past).update(rows(y, N, N + 2, form))
    assert_form(later.predict(H - 2), y, index[N + 2 :], form)
    SEEN["cases"] += 1


@pytest.mark.parametrize(("label", "form"), CASES)
def test_a_backtest_has_the_labels_of_y(label, form):
    index = MATRIX[label]
    result = backtest(NaiveForecaster(), make(form, index), horizon=3, n_windows=2, metrics="mae")
    frame = result.forecasts
    first = {"series": frame, "wide": frame, "panel": frame}[form]
    if form == "wide":
        first = frame[frame["variable"] == "a"]
    if form == "panel":
        first = frame[frame["series"] == "north"]
    assert list(first["time"]) == list(index[-6:])
    assert sorted(set(first["cutoff"])) == [index[-7], index[-4]]
    for column in ("time", "cutoff"):
        assert frame[column].dtype == index.dtype


def test_all_of_the_matrix_was_seen(capsys):
    """Runs after the others, in the order of the file."""
    if SEEN["cases"] == 0:
        pytest.skip("the matrix did not run in this process")
    with capsys.disabled():
        print(
            f"\nindex matrix: {len(MATRIX)} kinds of index x {len(FORMS)} forms of y, "
            f"{SEEN['frames']} indexes compared, pandas {pd.__version__}"
        )
    assert len(MATRIX) >= 40
    assert len(CASES) >= 120
