"""Choosing settings: scores of each window against a plain loop, the hold-out, every method."""

import importlib.util
import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import ParameterGrid

from echocast.exceptions import EchocastWarning, InsertedRowsWarning, InvalidParameterError
from echocast.forecasting import (
    EnsembleForecaster,
    ESNForecaster,
    ForecastSearchCV,
    NaiveForecaster,
    ReservoirForecaster,
    backtest,
    mae,
)
from echocast.forecasting._search_space import halving_rounds

N, H = 90, 6
INDEX = pd.date_range("2015-01-01", periods=N, freq="MS")
RNG = np.random.RandomState(0)
Y = pd.Series(
    10 + 3 * np.sin(2 * np.pi * np.arange(N) / 12) + 0.5 * RNG.randn(N), index=INDEX, name="y"
)
GRID = {"strategy": ["last", "seasonal", "mean"], "season_length": [6, 12]}
BEST = {"strategy": "seasonal", "season_length": 12}


def search(space=None, **settings):
    settings = {"horizon": H, "cv": 4, "metric": "mae", **settings}
    return ForecastSearchCV(NaiveForecaster(), GRID if space is None else space, **settings)


def plain_scores(params, y, n_windows):
    """Mean absolute errors of windows that end with the last row, oldest first."""
    scores = []
    for k in range(n_windows, 0, -1):
        cut = len(y) - k * H
        model = NaiveForecaster(**params).fit(y.iloc[:cut])
        scores.append(mae(y.iloc[cut : cut + H], model.predict(H)))
    return scores


def test_grid_scores_equal_a_plain_loop():
    found = search().fit(Y)
    table = found.cv_results_
    assert table["params"] == list(ParameterGrid(GRID))
    for i, params in enumerate(table["params"]):
        expected = plain_scores(params, Y.iloc[:-H], 4)
        assert_allclose([table[f"split{k}_test_score"][i] for k in range(4)], expected)
        assert_allclose(table["mean_test_score"][i], np.mean(expected))
        assert_allclose(table["std_test_score"][i], np.std(expected))
        assert table["param_strategy"][i] == params["strategy"]
    assert found.best_params_ == BEST
    assert found.best_index_ == np.argmin(table["mean_test_score"])
    assert table["rank_test_score"][found.best_index_] == 1
    assert found.best_score_ == table["mean_test_score"].min()
    assert list(found.cutoffs_) == [INDEX[N - H - k * H - 1] for k in (4, 3, 2, 1)]


def test_the_hold_out_is_scored_once_and_no_candidate_sees_it():
    found = search().fit(Y)
    expected = plain_scores(BEST, Y, 1)
    assert_allclose(found.holdout_score_, expected[0])
    assert list(found.holdout_result_.forecasts["time"]) == list(INDEX[-H:])
    poisoned = Y.copy()
    poisoned.iloc[-H:] = 1e9
    dirty = search().fit(poisoned)
    assert_array_equal(dirty.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"])
    assert dirty.best_params_ == found.best_params_
    assert dirty.holdout_score_ > 1e8
    assert found.cutoff_ == INDEX[-1]  # the winner has learnt from all rows


def test_longer_and_no_hold_outs():
    longer = search(holdout=2 * H + 1).fit(Y)
    assert len(longer.holdout_result_.scores) == 2
    assert max(longer.cutoffs_) == INDEX[N - (2 * H + 1) - H - 1]
    assert_allclose(longer.holdout_score_, np.mean(plain_scores(BEST, Y, 2)))
    none = search(holdout=None).fit(Y)
    assert np.isnan(none.holdout_score_)
    assert none.holdout_result_ is None
    assert_allclose(none.best_score_, np.mean(plain_scores(BEST, Y, 4)))


def test_it_is_the_winner_refitted():
    found = search().fit(Y)
    alone = NaiveForecaster(**BEST).fit(Y)
    pd.testing.assert_series_equal(found.predict(), alone.predict(H))
    pd.testing.assert_frame_equal(found.predict(3, level=80), alone.predict(3, level=80))
    one, two = (m.sample(H, n_samples=5, random_state=1) for m in (found, alone))
    pd.testing.assert_frame_equal(one, two)
    pd.testing.assert_series_equal(found.fitted_values(Y), alone.fitted_values(Y))
    pd.testing.assert_series_equal(found.residuals(), alone.residuals())
    later = Y.set_axis(pd.date_range(INDEX[-1], periods=N + 1, freq="MS")[1:])
    assert found.score(later.iloc[:3]) == alone.score(later.iloc[:3], metric="mae")
    applied = found.apply(Y.iloc[:50])
    assert (applied.cutoff_, found.cutoff_) == (INDEX[49], INDEX[-1])
    found.update(later.iloc[:3])
    assert found.cutoff_ == later.index[2]
    assert found.season_length_ == 12
    assert found.freq is None
    assert found.missing == "raise"


def test_a_search_inside_each_window():
    result = backtest(search(cv=2), Y, horizon=H, n_windows=2, metrics="mae")
    for k in (2, 1):
        train = Y.iloc[: N - k * H]
        expected = search(cv=2).fit(train).predict(H)
        rows = result.forecasts[result.forecasts["cutoff"] == train.index[-1]]
        assert_allclose(rows["forecast"], expected)


def test_arguments_of_backtest():
    plan = {"initial": 40, "step": 7, "window": "sliding", "gap": 1, "refit": False}
    found = search(cv=plan).fit(Y)
    expected = backtest(NaiveForecaster(**BEST), Y.iloc[:-H], horizon=H, metrics="mae", **plan)
    best = found.cv_results_["params"].index(BEST)
    assert_allclose(found.cv_results_["mean_test_score"][best], expected.summary()["mae"])
    assert found.cutoffs_ == sorted(expected.scores["cutoff"])


def test_exogenous_columns_wide_frames_and_arrays():
    X = pd.DataFrame({"x": RNG.randn(N)}, index=INDEX)
    y = Y + 4 * X["x"].to_numpy()
    esn = ESNForecaster(8, random_state=0)
    found = ForecastSearchCV(
        esn, {"leak_rate": [0.5, 1.0]}, horizon=3, cv=2, metric=lambda a, b: float(abs(a - b).max())
    ).fit(y, X)
    assert np.isfinite(found.holdout_score_)
    assert found.best_forecaster_.leak_rate == found.best_params_["leak_rate"]
    wide = pd.DataFrame({"a": Y, "b": -Y})
    assert search().fit(wide).best_params_ == BEST
    assert search().fit(wide.to_numpy()).predict().shape == (H, 2)
    assert search().fit(Y.to_numpy()).best_params_ == BEST


def test_a_list_of_spaces_masks_what_a_candidate_has_not():
    found = search([{"strategy": ["last"]}, {"strategy": ["seasonal"], "season_length": [12]}])
    table = found.fit(Y).cv_results_
    assert_array_equal(table["param_season_length"].mask, [True, False])
    assert found.best_params_ == BEST


def test_random_draws():
    space = {"strategy": ["seasonal"], "season_length": stats.randint(2, 24)}
    one, two = (
        search(space, method="random", n_iter=8, random_state=3).fit(Y).cv_results_["params"]
        for _ in range(2)
    )
    assert one == two
    assert len(one) == 8
    capped = search(method="random", n_iter=100, random_state=0).fit(Y)
    assert len(capped.cv_results_["params"]) == 6  # all there are, each once


def test_halving_rounds():
    assert halving_rounds(1, 5) == [(1, 5)]
    assert halving_rounds(27, 27) == [(27, 1), (9, 3), (3, 9), (1, 27)]
    for n_candidates in range(1, 40):
        for n_windows in range(1, 30):
            rounds = halving_rounds(n_candidates, n_windows)
            assert rounds[0][0] == n_candidates
            assert rounds[-1][1] == n_windows
            assert all(a[0] > b[0] and a[1] < b[1] for a, b in itertools.pairwise(rounds))


def test_halving_goes_on_with_the_best():
    found = search(method="halving", cv=4).fit(Y)
    table = found.cv_results_
    assert_array_equal(table["iter"], [0] * 6 + [1] * 2)
    assert_array_equal(table["n_resources"], [2] * 6 + [4] * 2)
    first = table["mean_test_score"][:6]
    survivors = [table["params"][i] for i in np.argsort(first, kind="stable")[:2]]
    assert table["params"][6:] == survivors
    assert np.isnan(table["split0_test_score"][:6]).all()
    assert found.best_index_ >= 6
    assert found.best_params_ == BEST
    assert sorted(table["rank_test_score"][6:]) == [1, 2]
    assert len(found.cutoffs_) == 4
    full = search(cv=4).fit(Y).cv_results_  # the last round has all windows
    i = full["params"].index(BEST)
    assert found.best_score_ == full["mean_test_score"][i]


def test_workers_change_nothing():
    one, two = (search(n_jobs=n).fit(Y).cv_results_ for n in (1, 2))
    assert_array_equal(one["mean_test_score"], two["mean_test_score"])
    assert one["params"] == two["params"]


def test_failing_candidates_are_reported():
    space = {"strategy": ["last", "median"]}
    with pytest.warns(FitFailedWarning, match=r"1 of 2 candidates failed.*'median'"):
        found = search(space).fit(Y)
    assert_array_equal(np.isnan(found.cv_results_["mean_test_score"]), [False, True])
    assert_array_equal(found.cv_results_["rank_test_score"], [1, 2])
    with pytest.raises(InvalidParameterError, match="'strategy'"):
        search(space, error_score="raise").fit(Y)
    with pytest.raises(ValueError, match=r"All 1 candidates failed; the first: Inv"):
        search({"strategy": ["median"]}).fit(Y)
    with pytest.warns(FitFailedWarning, match=r"score 99\.0"):
        assert search(space, error_score=99.0).fit(Y).cv_results_["mean_test_score"][1] == 99.0


def test_an_interrupted_or_failed_search_leaves_the_former_one(monkeypatch):
    found = search().fit(Y)
    before = dict(vars(found))

    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("echocast.forecasting._search_scores.backtest", interrupt)
    with pytest.raises(KeyboardInterrupt):
        found.fit(Y)
    assert vars(found) == before
    with pytest.raises(ValueError, match="too few to keep a hold-out of 6"):
        found.fit(Y.iloc[:5])
    assert vars(found) == before


def test_without_refit_there_is_no_forecaster():
    found = search(refit=False).fit(Y)
    assert found.best_params_ == BEST
    with pytest.raises(NotFittedError, match="refit=False"):
        found.predict()
    with pytest.raises(NotFittedError):
        search().predict()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"space": {}}, ValueError, "is empty"),
        ({"space": []}, ValueError, "is empty"),
        ({"space": 3}, TypeError, "must be a dict or a list of dicts"),
        ({"space": {"strtegy": ["last"]}}, ValueError, "'strtegy', which is no parameter of Naive"),
        ({"space": {"strategy": "last"}}, TypeError, r"write \['last'\]"),
        ({"space": {"strategy": []}}, ValueError, "has no values for 'strategy'"),
        (
            {"space": {"season_length": stats.randint(1, 9)}},
            TypeError,
            "method='grid' needs a list",
        ),
        ({"method": "bayes"}, InvalidParameterError, "'method'"),
        ({"cv": 0}, InvalidParameterError, "'cv'"),
        ({"cv": {"horizon": 3}}, ValueError, "must not hold 'horizon'; use horizon="),
        ({"cv": {"initial": 40}, "method": "halving"}, ValueError, "give `cv` n_windows"),
        ({"horizon": 0}, InvalidParameterError, "'horizon'"),
        ({"holdout": H - 1}, InvalidParameterError, "'holdout'"),
        ({"n_iter": 0}, InvalidParameterError, "'n_iter'"),
        ({"refit": "no"}, InvalidParameterError, "'refit'"),
        ({"error_score": "nan"}, InvalidParameterError, "'error_score'"),
        ({"metric": "r2"}, ValueError, "metric"),
        ({"metric": lambda a, b: np.nan}, ValueError, "No candidate has a finite score"),
    ],
)
def test_bad_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        search(**settings).fit(Y)


def test_clone_and_repr():
    found = search(cv={"n_windows": 2, "refit": False}, method="random")
    assert clone(found).get_params()["forecaster__strategy"] == "last"
    assert "ForecastSearchCV" in repr(found)


# ------------------------------------------------------------------------- optuna

needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="optuna is not installed"
)


def test_without_optuna_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'echocast\[tune\]'"):
        search(method="optuna").fit(Y)


@needs_optuna
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_optuna_finds_the_season_and_repeats_itself():
    space = [
        {"strategy": ["last", "mean"]},
        {"strategy": ["seasonal"], "season_length": stats.randint(8, 14)},
    ]
    settings = {"method": "optuna", "n_iter": 40, "cv": 2, "random_state": 0}
    one, two = (search(space, **settings).fit(Y) for _ in range(2))
    assert one.cv_results_["params"] == two.cv_results_["params"]
    assert len(one.cv_results_["params"]) == 40
    assert one.best_params_ == BEST


@needs_optuna
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_optuna_draws_from_each_kind_of_distribution():
    import optuna

    from echocast.forecasting._search_space import Proposals

    log = optuna.distributions.FloatDistribution(1e-8, 1.0, log=True)
    part = {
        "a": stats.loguniform(1e-4, 1e2),
        "b": stats.randint(3, 6),
        "c": [None, (1, 2)],
        "d": log,
        "e": optuna.distributions.IntDistribution(2, 8, step=2),
        "f": optuna.distributions.CategoricalDistribution(["x", "y"]),
    }
    proposals = Proposals([part], 0)
    drawn = []
    for trial, params in proposals.ask(40):
        proposals.tell(trial, abs(np.log10(params["a"])) if params["b"] > 3 else np.nan)
        drawn.append(params)
    assert all(1e-4 <= p["a"] <= 1e2 and 1e-8 <= p["d"] <= 1 for p in drawn)
    assert {p["b"] for p in drawn} == {3, 4, 5}
    assert all(type(p["b"]) is int and type(p["a"]) is float for p in drawn)
    assert {p["c"] for p in drawn} == {None, (1, 2)}
    assert {p["e"] for p in drawn} <= {2, 4, 6, 8}
    assert {p["f"] for p in drawn} == {"x", "y"}
    with pytest.raises(TypeError, match="method='optuna' alone"):
        search({"season_length": log}, method="random").fit(Y)


# ---------------------------------------------------------------- panels, nesting

PANEL = pd.concat({"b": Y, "a": 2 * Y[12:], "c": -Y}, names=["id", "time"])


def test_panels_keep_the_last_common_times_apart():
    found = search(cv=2).fit(PANEL)
    assert found.best_params_ == BEST
    assert set(found.holdout_result_.forecasts["time"]) == set(INDEX[-H:])
    assert set(found.holdout_result_.forecasts["series"]) == {"a", "b", "c"}
    assert max(found.cutoffs_) == INDEX[N - 2 * H - 1]
    alone = NaiveForecaster(**BEST).fit(PANEL)
    pd.testing.assert_series_equal(found.predict(), alone.predict(H))
    poisoned = PANEL.copy()
    poisoned[poisoned.index.get_level_values("time") >= INDEX[-H]] = 1e9
    dirty = search(cv=2).fit(poisoned)
    assert_array_equal(dirty.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"])
    ids = ("a", "b", "c")
    singles = [search({k: [v] for k, v in BEST.items()}, cv=2).fit(PANEL[i]) for i in ids]
    assert_allclose(found.best_score_, np.mean([single.best_score_ for single in singles]))


def test_series_that_end_early_are_no_obstacle():
    short = pd.concat({"b": Y, "a": 2 * Y[: -2 * H]}, names=["id", "time"])
    with pytest.warns(EchocastWarning, match="skipped"):
        found = search(cv=2).fit(short)
    assert set(found.holdout_result_.forecasts["series"]) == {"b"}
    assert set(found.predict().index.get_level_values(0)) == {"a", "b"}


def test_settings_of_one_model_for_all_series_with_static_columns():
    model = ESNForecaster(10, strategy="direct", horizon=H, pooling="global", random_state=0)
    static = pd.DataFrame({"size": [1.0, 2.0, 3.0]}, index=["b", "a", "c"])
    space = {"leak_rate": [0.4, 1.0]}
    found = ForecastSearchCV(model, space, horizon=H, cv=1, metric="mae").fit(PANEL, static=static)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert np.isfinite(found.holdout_score_)


def test_nested_parameters():
    around = ReservoirForecaster(Ridge())
    found = ForecastSearchCV(
        around, {"regressor__alpha": [1e-3, 1e3]}, horizon=3, cv=2, metric="mae"
    )
    assert found.fit(Y).best_forecaster_.regressor.alpha == found.best_params_["regressor__alpha"]
    both = EnsembleForecaster(
        [("last", NaiveForecaster()), ("season", NaiveForecaster("seasonal"))]
    )
    space = {"season__season_length": [5, 12], "method": ["mean", "median"]}
    found = ForecastSearchCV(both, space, horizon=H, cv=3, metric="mae").fit(Y)
    assert found.best_params_["season__season_length"] == 12
    within = ForecastSearchCV(
        search(cv=2), {"forecaster__freq": [None], "cv": [1, 2]}, horizon=H, cv=1, metric="mae"
    )
    assert within.fit(Y).best_forecaster_.best_params_ == BEST


def test_a_backtest_can_say_which_windows_the_search_used():
    found = search(cv=3).fit(Y)
    result = backtest(found.best_forecaster_, Y, horizon=H, n_windows=5, metrics="mae")
    assert len(result.marked(found.cutoffs_).used_for_search) == 3
    assert len(found.holdout_result_.marked(found.cutoffs_).used_for_search) == 0


def test_windows_that_overlap_those_of_a_search_are_marked_too():
    found = search(cv=2).fit(Y)
    assert found.last_scored_ == INDEX[N - H - 1]
    result = backtest(found.best_forecaster_, Y, horizon=2, n_windows=8, step=1, metrics="mae")
    marked = result.marked(found).used_for_search
    assert list(marked) == [INDEX[N - H - k] for k in (4, 3, 2)]  # one step from the next
    assert len(found.holdout_result_.marked(found).used_for_search) == 0
    earlier = backtest(found.best_forecaster_, Y, horizon=H, n_windows=5, metrics="mae")
    assert len(earlier.marked(found).used_for_search) == 4


def test_scaled_errors_of_all_candidates_have_one_scale():
    space = {"season_length": [1, 12]}
    found = ForecastSearchCV(NaiveForecaster("last"), space, horizon=H, cv=3).fit(Y)
    one, other = found.cv_results_["mean_test_score"]
    assert one == other  # both repeat the last value
    given = ForecastSearchCV(
        NaiveForecaster("last"), space, horizon=H, cv={"n_windows": 3, "season_length": 1}
    ).fit(Y)
    assert given.best_score_ < 0.6 * one  # by the steps of one month
    gaps = Y.drop(Y.index[[20, 30]])
    for y in (PANEL, Y.to_numpy(), gaps):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsertedRowsWarning)
            model = NaiveForecaster("last", missing="ffill")
            found = ForecastSearchCV(model, space, horizon=H, cv=2).fit(y)
        assert np.ptp(found.cv_results_["mean_test_score"]) == 0


def test_a_hold_out_before_the_end_of_each_series_is_not_seen():
    panel = pd.concat({"b": Y, "a": 2 * Y[: -4 * H]}, names=["id", "time"])
    last = panel.groupby(level=0).cumcount(ascending=False).to_numpy() < H
    plan = {"n_windows": 2, "align": "series_end"}
    found = search(cv=plan).fit(panel)
    assert len(found.holdout_result_.forecasts) == 2 * H
    dirty = search(cv=plan).fit(panel.where(~last, 1e9))
    assert_array_equal(dirty.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"])
    assert dirty.holdout_score_ > 1e8
    assert sum("split" in name for name in found.cv_results_) == 2  # not one for each cutoff
    ids = ("a", "b")
    singles = [search({k: [v] for k, v in BEST.items()}, cv=2).fit(panel[i]) for i in ids]
    assert_allclose(found.best_score_, np.mean([single.best_score_ for single in singles]))
    with pytest.raises(ValueError, match="too few to keep a hold-out"):
        search(cv=plan, holdout=N).fit(panel)


@pytest.mark.filterwarnings("ignore::echocast.exceptions.EchocastWarning")
def test_candidates_are_compared_over_the_windows_that_all_have():
    young = Y[-2 * H - 8 :]  # 8 rows before the first window: no season of 12
    hard = pd.concat({"a": Y, "young": 1e3 * young}, names=["id", "time"])
    found = search({"season_length": [6, 12], "strategy": ["seasonal"]}, cv=1).fit(hard)
    easy = search({"season_length": [6, 12], "strategy": ["seasonal"]}, cv=1).fit(Y)
    for name in ("split0_test_score", "mean_test_score"):
        assert_allclose(found.cv_results_[name], easy.cv_results_[name])
    both = pd.concat({"a": Y, "young": young, "too": young + 1}, names=["id", "time"])
    space = {"season_length": [6, 12], "strategy": ["seasonal"]}
    with pytest.warns(FitFailedWarning, match=r"can forecast 1 of 3 windows; Length of `y`"):
        found = search(space, cv=1).fit(both)
    assert found.best_params_["season_length"] == 6
    with pytest.raises(ValueError, match="can forecast 1 of 3"):
        search(space, cv=1, error_score="raise").fit(both)


def test_backtest_of_a_search_whose_forecaster_masks():
    y = Y.copy()
    y.iloc[[40, 41]] = np.nan
    model = ESNForecaster(8, missing="mask", random_state=0)
    found = ForecastSearchCV(model, {"leak_rate": [1.0]}, horizon=H, cv=1)
    assert backtest(found, y, horizon=H, n_windows=1, metrics="mae").summary()["mae"] < 5
