"""Splits in time order: their rows, their use in scikit-learn, and nothing of the future."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, check_cv, cross_val_score

from echocast.forecasting import PanelTimeSeriesSplit, SequentialSplit
from echocast.reservoir import ESNRegressor

RNG = np.random.RandomState(0)
DATES = pd.date_range("2024-01-01", periods=30, freq="D")
SPANS = {"a": (0, 30), "b": (10, 30), "gone": (0, 12)}
INDEX = pd.MultiIndex.from_tuples(
    [(label, DATES[i]) for label, span in SPANS.items() for i in range(*span)],
    names=["id", "day"],
)
X = pd.DataFrame({"x": RNG.randn(len(INDEX))}, index=INDEX)


@pytest.mark.parametrize("settings", [{}, {"test_size": 7}, {"test_size": 4, "gap": 3}])
def test_without_context_the_splits_are_those_of_scikit_learn(settings):
    rows = np.zeros((60, 2))
    theirs = list(TimeSeriesSplit(4, **settings).split(rows))
    ours = list(SequentialSplit(4, **settings).split(rows))
    assert len(ours) == 4
    for (train, test), (other_train, other_test) in zip(ours, theirs):
        assert_array_equal(train, other_train)
        assert_array_equal(test, other_test)


def test_the_context_precedes_the_test_block():
    for train, test in SequentialSplit(3, test_size=5, gap=4, context=6).split(np.zeros(40)):
        assert len(test) == 11
        assert_array_equal(np.diff(test), 1)
        assert test[6] == train[-1] + 1 + 4


def test_the_scorer_leaves_the_context_out():
    u = np.sin(0.3 * np.arange(400))[:, None] + 0.05 * RNG.randn(400, 1)
    cv = SequentialSplit(3, test_size=40, context=60)
    model = ESNRegressor(40, random_state=0, predict_state="reset")
    for scoring in ("neg_mean_absolute_error", lambda y, f: -mean_absolute_error(y, f)):
        scores = cross_val_score(model, u[:-1], u[1:], cv=cv, scoring=cv.scorer(scoring))
        for score, (train, test) in zip(scores, cv.split(u[:-1])):
            fitted = clone(model).fit(u[train], u[train + 1])
            errors = np.abs(fitted.predict(u[test]) - u[test + 1])[60:]
            assert score == pytest.approx(-errors.mean())
    cold = cross_val_score(
        model, u[:-1], u[1:], cv=SequentialSplit(3, test_size=40), scoring="neg_mean_absolute_error"
    )
    assert (cold < scores).all()  # a network without a past does worse at first


def test_panels_are_split_by_date():
    folds = list(PanelTimeSeriesSplit(3, test_size=4, gap=2).split(X))
    days = INDEX.get_level_values("day")
    for k, (train, test) in enumerate(folds):
        begin = 30 - 4 * (3 - k)
        assert days[train].max() == DATES[begin - 3]
        assert set(days[test]) == set(DATES[begin : begin + 4])
        assert_array_equal(train, np.sort(train))
        assert set(INDEX.get_level_values("id")[train]) == {"a", "b", "gone"}
        assert set(INDEX.get_level_values("id")[test]) == {"a", "b"}


def test_the_order_of_rows_makes_no_difference():
    order = RNG.permutation(len(X))
    for (train, test), (other, later) in zip(
        PanelTimeSeriesSplit(4).split(X), PanelTimeSeriesSplit(4).split(X.iloc[order])
    ):
        assert_array_equal(np.sort(order[other]), train)
        assert_array_equal(np.sort(order[later]), test)


def test_dates_of_arrays_come_from_groups():
    days = INDEX.get_level_values("day")
    expected = list(PanelTimeSeriesSplit(3).split(X))
    for groups in (days, days.to_numpy(), days.to_period("D"), (days - days[0]).days):
        for fold, other in zip(
            expected, PanelTimeSeriesSplit(3).split(X.to_numpy(), groups=groups)
        ):
            assert_array_equal(fold[0], other[0])
            assert_array_equal(fold[1], other[1])
    with pytest.raises(ValueError, match="needs the dates of the rows"):
        list(PanelTimeSeriesSplit().split(X.to_numpy()))
    with pytest.raises(ValueError, match=r"a row without a date \(row 1\)"):
        list(PanelTimeSeriesSplit().split(np.zeros((3, 1)), groups=[1.0, np.nan, 2.0]))


class Watchful(Ridge):
    """Notes the largest value it was trained on."""

    def fit(self, X, y):
        self.largest_ = np.max(X)
        return super().fit(X, y)


@pytest.mark.parametrize("as_array", [False, True])
def test_no_training_row_is_later_than_a_test_row(as_array):
    """Poison: each row holds its date, so that what was seen shows."""
    days = (INDEX.get_level_values("day") - DATES[0]).days.to_numpy(dtype=float)
    rows = pd.DataFrame({"day": days}, index=INDEX)
    cv = PanelTimeSeriesSplit(3, test_size=5)

    def unseen(estimator, X, y):
        return float(np.min(X) - estimator.largest_)

    groups = INDEX.get_level_values("day") if as_array else None
    data = rows.to_numpy() if as_array else rows
    search = GridSearchCV(Watchful(), {"alpha": [1.0, 2.0]}, cv=cv, scoring=unseen, refit=False)
    search.fit(data, days, groups=groups)
    assert_allclose([search.cv_results_[f"split{k}_test_score"] for k in range(3)], 1.0)
    sequence = SequentialSplit(3, test_size=5, gap=2)
    scores = cross_val_score(Watchful(), np.arange(40.0)[:, None], np.arange(40.0), cv=sequence,
                             scoring=unseen)  # fmt: skip
    assert_allclose(scores, 3.0)


def test_metadata_routing_hands_the_dates_over():
    days = INDEX.get_level_values("day")
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=PanelTimeSeriesSplit(2))
        search.fit(X.to_numpy(), RNG.randn(len(X)), groups=days)
    assert search.n_splits_ == 2


@pytest.mark.parametrize("cv", [SequentialSplit(4, context=2), PanelTimeSeriesSplit(4)])
def test_the_protocol_of_splitters(cv):
    rows = X.loc[["a"]] if isinstance(cv, SequentialSplit) else X
    assert cv.get_n_splits() == 4 == cv.get_n_splits(rows, None, None)
    assert check_cv(cv) is cv
    assert type(cv).__name__ in repr(cv)
    assert len(list(cv.split(rows))) == 4
    for (train, test), (again, later) in zip(cv.split(rows), cv.split(rows)):
        assert_array_equal(train, again)
        assert_array_equal(test, later)


@pytest.mark.parametrize("kind", [SequentialSplit, PanelTimeSeriesSplit])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_splits": 0}, "'n_splits' parameter"),
        ({"gap": -1}, "'gap' parameter"),
        ({"test_size": 0}, "'test_size' parameter"),
        ({"n_splits": 60}, "are too few for 60 splits"),
        ({"test_size": 6, "gap": 40}, "with a gap of 40"),
    ],
)
def test_bad_settings_are_refused(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        list(kind(**settings).split(X.iloc[:30]))


def test_series_one_below_the_other_are_refused():
    with pytest.raises(ValueError, match=r"`X` has a MultiIndex.*Use PanelTimeSeriesSplit"):
        list(SequentialSplit(2).split(X))


def test_more_context_than_rows_is_refused():
    with pytest.raises(ValueError, match="only 5 rows precede the first test block"):
        list(SequentialSplit(1, test_size=5, context=6).split(np.zeros(10)))
    with pytest.raises(ValueError, match="'context' parameter"):
        list(SequentialSplit(context=-1).split(np.zeros(10)))
