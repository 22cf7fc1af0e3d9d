"""Fits to data in parts, here: against fits to all of it, and what is refused."""

import importlib.util
import pickle
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_info

from echocast.exceptions import (
    DistributedFitError,
    EchocastWarning,
    IllConditionedWarning,
    InvalidParameterError,
)
from echocast.reservoir import (
    DeepESNRegressor,
    ESNClassifier,
    ESNRegressor,
    NVARRegressor,
    fit_distributed,
)
from echocast.reservoir._distributed_parts import Solved
from echocast.reservoir._distributed_run import LocalRun, task, tree

RNG = np.random.RandomState(0)
LENGTHS = (80, 120, 60, 150, 90)


def walk(n):
    u = np.cumsum(RNG.standard_normal((n + 1, 2)), axis=0) / 10
    return u[:-1], u[1:]


PARTS = [walk(n) for n in LENGTHS]
STACKED = tuple(map(list, zip(*PARTS)))
SMALL = {"n_units": 15, "random_state": 0}
MODELS = [
    ESNRegressor(**SMALL),
    ESNRegressor(**SMALL, alpha="auto", washout=7),
    ESNRegressor(**SMALL, alpha=[1e-4, 1e-2, 1.0], solver="svd"),
    ESNRegressor(**SMALL, solver="cholesky", feedback_scaling=0.2),
    ESNRegressor(**SMALL, dtype="float32", alpha=1e-2, target="increment"),
    DeepESNRegressor(2, **SMALL, alpha="auto"),
    NVARRegressor(alpha="auto"),
    NVARRegressor(fit_intercept="penalised", alpha=1e-3, increments=False),
]


def frames():
    """The same as frames with a column that names the series."""
    return [
        pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y[:, 0], "id": f"s{k}"})
        for k, (x, y) in enumerate(PARTS)
    ]


def assert_same_fit(found, expected):
    """Attributes of both, the readout to rounding."""
    assert set(vars(found)) == set(vars(expected))
    single = expected.coef_.dtype == np.float32
    close = {"rtol": 2e-5, "atol": 1e-5} if single else {"rtol": 1e-7, "atol": 1e-9}
    names = ["coef_", "intercept_", "alpha_", "alphas_", "loo_errors_", "state_", "last_output_"]
    for name in [n for n in names if hasattr(expected, n)]:
        a, b = getattr(found, name), getattr(expected, name)
        if isinstance(b, dict):
            assert list(a) == list(b)
            a, b = np.stack(list(a.values())), np.stack(list(b.values()))
        if b is None:
            assert a is None
        else:
            assert_allclose(a, b, **close)


# ---------------------------------------------------------------- one result


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_parts_give_the_fit_to_their_sequences(model):
    found = fit_distributed(clone(model), PARTS)
    expected = clone(model).fit(*STACKED)
    assert_same_fit(found, expected)
    assert_array_equal(found._fit_range, expected._fit_range)
    assert_allclose(found.generate(5, warmup=PARTS[0][0]), expected.generate(5, warmup=PARTS[0][0]),
                    rtol=1e-4, atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("features", ["last", "last_mean", "model_space"])
@pytest.mark.parametrize("alpha", ["auto", 0.1])
def test_parts_give_the_classifier_of_their_sequences(features, alpha):
    rng = np.random.RandomState(0)
    y = np.array(["a", "b", "c"] * 12)
    X = [rng.standard_normal((rng.randint(12, 30), 2)) + ord(k) / 3 for k in y]
    model = ESNClassifier(12, features=features, n_components=None, alpha=alpha, random_state=0,
                          bidirectional=features == "last")  # fmt: skip
    parts = [(X[:2], y[:2]), (X[2:20], y[2:20]), ([], []), (X[20:], y[20:])]  # the first has no c
    with pytest.warns(EchocastWarning, match=r"1 part\(s\) have no rows .*: 2\."):
        found = fit_distributed(clone(model), parts)
    expected = clone(model).fit(X, y)
    assert set(vars(found)) == set(vars(expected))
    assert found.classes_.tolist() == ["a", "b", "c"]
    assert_allclose(found.decision_function(X), expected.decision_function(X), rtol=1e-6, atol=1e-7)
    assert found.alpha_ == expected.alpha_
    assert found.loo_score_ == expected.loo_score_
    assert found.sharpness_ == pytest.approx(expected.sharpness_, rel=1e-6)


def test_series_of_a_classifier_have_one_label_in_all_rows():
    table = pd.DataFrame({"x": RNG.standard_normal(40), "id": np.repeat(range(8), 5)})
    table["label"] = np.where(table["id"] % 2, "odd", "even")
    table["x"] += table["id"] % 2
    parts = [table[table["id"] < 4], table[table["id"] >= 4]]
    model = ESNClassifier(5, random_state=0)
    found = fit_distributed(clone(model), parts, target="label", series="id")
    expected = clone(model).fit(table[["x"]], table.groupby("id")["label"].first(),
                                groups=table["id"])  # fmt: skip
    assert_allclose(found.coef_, expected.coef_, rtol=1e-7)
    parts[1] = parts[1].assign(label=["odd"] * 19 + ["even"])
    with pytest.raises(DistributedFitError, match=r"Part 1 failed: .*Series 7 has more than one"):
        fit_distributed(model, parts, target="label", series="id")


@pytest.mark.parametrize("jobs", [{"backend": "threading", "n_jobs": 3}, {"n_jobs": 2}])
@pytest.mark.parametrize("model", [MODELS[1], ESNRegressor(**SMALL, noise=1e-2)])
def test_workers_and_threads_change_no_bit(model, jobs):
    expected = fit_distributed(clone(model), PARTS)
    with joblib.parallel_config(**jobs):
        found = fit_distributed(clone(model), PARTS, n_jobs=jobs["n_jobs"])
    assert_array_equal(found.coef_, expected.coef_)
    assert_array_equal(found.intercept_, expected.intercept_)
    assert_array_equal(found.loo_errors_, expected.loo_errors_)


@pytest.mark.parametrize("n", range(1, 10))
def test_neighbours_are_combined_in_pairs(n):
    found = tree(LocalRun(None), lambda a, b: f"({a}{b})", list("abcdefghi"[:n]))
    assert found.replace("(", "").replace(")", "") == "abcdefghi"[:n]
    depth = max(found[:i].count("(") - found[:i].count(")") for i in range(len(found) + 1))
    assert depth == int(np.ceil(np.log2(n)))


def test_threads_share_conditions_and_keep_their_own_warnings():
    """Threads enter and leave in overlapping order; the process gets its settings back."""
    before, limits = warnings.showwarning, threadpool_info()
    barrier, kept = threading.Barrier(2), {}

    @task
    def work(name):
        found = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
        barrier.wait(10)
        warnings.warn(name, EchocastWarning, stacklevel=1)
        warnings.warn("of no interest", DeprecationWarning, stacklevel=1)
        if name == "slow":
            first.join(10)
        return Solved(found)

    def run(name):
        kept[name] = work(name)

    first = threading.Thread(target=run, args=("fast",))
    second = threading.Thread(target=run, args=("slow",))
    first.start(), second.start(), second.join(10)
    for name, solved in kept.items():
        assert solved.warnings == ((None, EchocastWarning, name),)
        assert set(solved.fit) == {1}
    assert warnings.showwarning is before
    assert threadpool_info() == limits


def test_noise_is_drawn_for_each_part_by_itself():
    noisy = ESNRegressor(**SMALL, noise=0.1)
    twice = fit_distributed(clone(noisy), [PARTS[0], PARTS[0]])
    assert not np.allclose(twice.coef_, fit_distributed(clone(noisy), [PARTS[0]]).coef_)


# ---------------------------------------------------------------- forms of parts


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_frames_loaders_and_series_are_the_same_parts():
    model = ESNRegressor(**SMALL, alpha=1e-3)
    whole = pd.concat(frames(), ignore_index=True)
    expected = clone(model).fit(whole[["a", "b"]], whole["y"], groups=whole["id"])
    parts = [frames()[0], lambda: frames()[1], lambda: pd.concat(frames()[2:])]
    found = fit_distributed(clone(model), parts, target="y", series="id")
    assert_same_fit(found, expected)
    assert found.feature_names_in_.tolist() == ["a", "b"]
    assert_allclose(found.predict(PARTS[0][0][:5]), expected.predict(PARTS[0][0][:5]))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_one_part_is_one_sequence_that_goes_on():
    index = pd.date_range("2024-01-01", periods=80)
    x, y = pd.DataFrame(PARTS[0][0], index=index, columns=["a", "b"]), PARTS[0][1]
    found = fit_distributed(ESNRegressor(**SMALL), [(x[:60], y[:60])])
    expected = ESNRegressor(**SMALL).fit(x[:60], y[:60])
    assert_same_fit(found, expected)
    assert_allclose(found.predict(x[60:]), expected.predict(x[60:]), rtol=1e-6)  # from its state
    apart = fit_distributed(ESNRegressor(**SMALL), [(x[:40], y[:40]), (x[40:60], y[40:60])])
    assert_array_equal(apart.predict(x[60:]), apart.predict(x[60:].to_numpy()))


def test_parquet_files_are_read_where_the_fit_runs(tmp_path, monkeypatch):
    model, table = ESNRegressor(**SMALL), frames()[0].drop(columns="id")
    path = tmp_path / "one.parquet"
    real = importlib.util.find_spec("pyarrow") is not None
    if not real:
        with pytest.raises(ImportError, match="pip install pyarrow"):
            fit_distributed(clone(model), [path], target="y")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
        monkeypatch.setattr(pd, "read_parquet", lambda found: {path: table}[found])
    else:
        table.to_parquet(path)
    found = fit_distributed(clone(model), [path], target="y", n_jobs=2 if real else 1)
    assert_array_equal(
        found.coef_, fit_distributed(clone(model), [(table[["a", "b"]], table["y"])]).coef_
    )
    monkeypatch.setattr(pd, "read_parquet", lambda found: 1 / 0)
    with pytest.raises(DistributedFitError, match=r"Part 0 \(.*one.parquet\) failed: ZeroDiv"):
        fit_distributed(model, [path], target="y")


# ---------------------------------------------------------------- what goes wrong


def test_a_part_that_raises_is_named_and_nothing_changes():
    def broken():
        raise KeyError("no such table")

    model = ESNRegressor(**SMALL).fit(*PARTS[0])
    before = dict(vars(model))
    with pytest.raises(DistributedFitError, match="Part 2 failed: KeyError: 'no such t") as caught:
        fit_distributed(model, [*PARTS[:2], broken, PARTS[3]])
    assert caught.value.part == 2
    assert isinstance(caught.value.__cause__, KeyError)
    assert str(caught.value).endswith("'no such table'. The estimator is unchanged.")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.part) == (str(caught.value), 2)
    assert vars(model) == before
    with pytest.raises(DistributedFitError, match=r"Part 1 failed: .*leaves no sample of a sequ"):
        fit_distributed(clone(model).set_params(washout=60), [PARTS[0], walk(50)])


def test_a_fit_replaces_the_one_before():
    model = ESNRegressor(**SMALL, alpha="auto").fit(*PARTS[0])
    model.set_params(alpha=1.0)
    assert fit_distributed(model, PARTS) is model
    assert model.alphas_ is None
    assert model.state_.shape == (5, 15)


def test_empty_parts_are_counted_and_left_out():
    nothing = (np.zeros((0, 2)), np.zeros((0, 2)))
    parts = [nothing, *PARTS[:2], nothing, *PARTS[2:]]
    with pytest.warns(EchocastWarning, match=r"2 part\(s\) have no rows and were left out: 0, 3\."):
        found = fit_distributed(ESNRegressor(**SMALL, alpha="auto"), parts)
    assert_same_fit(found, ESNRegressor(**SMALL, alpha="auto").fit(*STACKED))
    with pytest.raises(ValueError, match=r"None of the 2 part\(s\) has a row"):
        fit_distributed(ESNRegressor(**SMALL), [nothing, lambda: ([], [])])


def test_a_series_in_two_parts_is_refused():
    first, second = frames()[0], frames()[0]
    with pytest.raises(ValueError, match=r"Series 's0' is in parts 0 and 1; .*whole series"):
        fit_distributed(ESNRegressor(**SMALL), [first, second], target="y", series="id")
    with pytest.raises(ValueError, match="Part 1 does not say which series"):
        fit_distributed(
            ESNRegressor(**SMALL), [lambda: frames()[0], (first[["a", "b"]], first["y"])],
            target="y", series="id",
        )  # fmt: skip


def test_columns_that_a_frame_does_not_have_are_named():
    first, text = frames()[0], r"Part 0 has no column\(s\) \['z'\], .* it has \['a', 'b', "
    for columns in ({"target": "z", "series": "id"}, {"target": ["y", "z"]}):
        with pytest.raises(ValueError, match=text):
            fit_distributed(ESNRegressor(**SMALL), [first], **columns)
    with pytest.raises(DistributedFitError, match=text):
        fit_distributed(ESNRegressor(**SMALL), [lambda: first], target="y", series="z")


def test_warnings_of_parts_reach_the_caller_once():
    backwards = [(pd.DataFrame(x, columns=["a", "b"])[::-1], y) for x, y in PARTS]
    with pytest.warns(EchocastWarning, match=r"is not increasing.*\(part 0, 1, 2, 3, 4\)") as found:
        fit_distributed(ESNRegressor(**SMALL), backwards)
    assert len(found) == 1
    assert found[0].filename == __file__
    twins = [(x[:, [0, 0]], y) for x, y in PARTS]
    with pytest.warns(IllConditionedWarning, match=r"singular: .*set alpha > \S+$"):
        fit_distributed(NVARRegressor(1, degree=1, alpha=0.0), twins)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Ridge(), "parallel_config"),
        (ESNClassifier(readout=LogisticRegression()), "Set readout=None"),
        (ESNClassifier(features="model_space"), "Set n_components=None, or features='last_mean'"),
    ],
)
def test_estimators_that_are_no_sums_say_what_to_do(model, text):
    with pytest.raises(TypeError, match=text):
        fit_distributed(model, PARTS)


@pytest.mark.parametrize(
    ("parts", "error", "text"),
    [
        (frames()[0], TypeError, "`parts` must be a list"),
        ("a.parquet", TypeError, "`parts` must be a list"),
        ([], ValueError, "at least one part"),
        ([PARTS[0][0]], TypeError, "Part 0 must be a tuple"),
        ([PARTS[0], frames()[0]], ValueError, "Part 1 is a frame, so `target`"),
        (["a.parquet"], ValueError, "Part 0 is a frame, so `target`"),
    ],
)
def test_what_is_no_part_is_refused_at_once(parts, error, text):
    with pytest.raises(error, match=text):
        fit_distributed(ESNRegressor(**SMALL), parts)


def test_parameters_are_checked_first():
    for solver in ("dual", "lsqr"):
        with pytest.raises(ValueError, match=f"by '{solver}', which needs all rows in one place"):
            fit_distributed(ESNRegressor(**SMALL, solver=solver, alpha=1e-4), PARTS)
    with pytest.raises(InvalidParameterError, match="'alpha' parameter of ESNRegressor"):
        fit_distributed(ESNRegressor(**SMALL, alpha=-1), PARTS)
    with pytest.raises(InvalidParameterError, match="'n_units' parameter of ESNRegressor"):
        fit_distributed(ESNRegressor(n_units=0), PARTS)
    with pytest.raises(InvalidParameterError, match="'patience' parameter"):
        fit_distributed(ESNRegressor(**SMALL), PARTS, patience=0)
    with pytest.raises(InvalidParameterError, match="'n_jobs' parameter"):
        fit_distributed(ESNRegressor(**SMALL), PARTS, n_jobs=0)


def test_a_client_without_dask_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match=r"needs the 'dask' extra: pip install echocast\[dask\]"):
        fit_distributed(ESNRegressor(**SMALL), PARTS, "tcp://127.0.0.1:8786")
