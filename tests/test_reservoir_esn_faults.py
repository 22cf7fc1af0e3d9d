"""ESNRegressor: seeds, precision, bad parameters and data, failed and interrupted fits."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from echocast.exceptions import (
    EchocastWarning,
    ForecastDivergedError,
    ForecastDivergenceWarning,
    InvalidParameterError,
)
from esn_cases import make, panel, series


def test_a_seed_fixes_every_bit_and_leaves_the_global_stream_alone():
    u = series(200)
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = make(noise=0.01).fit(u[:-1], u[1:]), make(noise=0.01).fit(u[:-1], u[1:])
    assert_array_equal(a.coef_, b.coef_)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.allclose(make(noise=0.01, random_state=1).fit(u[:-1], u[1:]).W_in_, a.W_in_)


@pytest.mark.parametrize(
    "random_state",
    [7, np.random.RandomState(7), np.random.default_rng(7), np.random.SeedSequence(7)],
)
def test_every_kind_of_seed_is_accepted(random_state):
    u = series(80)
    assert make(random_state=copy.deepcopy(random_state)).fit(u[:-1], u[1:]).coef_.shape == (2, 42)


def test_float32_is_kept_throughout():
    u = series(300)
    single = make(dtype="float32").fit(u[:-1], u[1:])
    double = make().fit(u[:-1], u[1:])
    assert single.predict(u).dtype == np.float32
    assert single.W_in_.dtype == np.float32
    assert_allclose(single.predict(u), double.predict(u), atol=2e-3)


def test_noise_acts_in_fit_only():
    u = series(300)
    esn = make(noise=0.1).fit(u[:-1], u[1:])
    assert_array_equal(esn.predict(u), esn.predict(u))
    quiet = make().fit(u[:-1], u[1:])
    assert_array_equal(esn.transform(u), quiet.transform(u))
    assert np.linalg.norm(esn.coef_) < np.linalg.norm(quiet.coef_)


def test_a_failed_fit_leaves_the_former_model_intact():
    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    before = esn.predict(u)
    bad = u.copy()
    bad[70] = np.nan
    for X, y in [(bad[:-1], u[1:]), (u[:-1], bad[1:]), (u[:5], u[:5])]:
        with pytest.raises(ValueError):
            esn.fit(X, y)
        assert_array_equal(esn.predict(u), before)
    esn.set_params(leak_rate=3.0)
    with pytest.raises(InvalidParameterError, match="leak_rate"):
        esn.partial_fit(u[:-1], u[1:])
    assert_array_equal(esn.predict(u), before)


def test_an_interrupted_fit_leaves_the_former_model_intact(monkeypatch):
    from echocast.reservoir import _readout

    u = series(300)
    esn = make().fit(u[:-1], u[1:])
    before = esn.predict(u)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_readout, "fit_readout", interrupt)
    with pytest.raises(KeyboardInterrupt):
        esn.set_params(random_state=9).fit(u[:-1], u[1:])
    assert_array_equal(esn.predict(u), before)


def test_refitting_forgets_names_and_states_of_the_former_data():
    frame = pd.DataFrame(series(100), columns=["a", "b"])
    esn = make().fit(frame, frame)
    assert list(esn.feature_names_in_) == ["a", "b"]
    esn.fit(frame.to_numpy(), frame.to_numpy())
    assert not hasattr(esn, "feature_names_in_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_units": 0}, "'n_units' parameter of ESNRegressor must be an int in the range"),
        ({"n_units": 2.5}, "'n_units'"),
        ({"spectral_radius": -0.1}, "'spectral_radius'"),
        ({"leak_rate": 0.0}, "'leak_rate'"),
        ({"leak_rate": 1.5}, "'leak_rate'"),
        ({"alpha": -1.0}, "'alpha'"),
        ({"alpha": "best"}, "'alpha'"),
        ({"washout": -5}, "'washout'"),
        ({"washout": 2.5}, "'washout'"),
        ({"solver": "magic"}, "'solver'"),
        ({"topology": "moebius"}, "'topology'"),
        ({"activation": "moebius"}, "'activation'"),
        ({"connectivity": 0}, "'connectivity'"),
        ({"connectivity": 1.5}, "'connectivity'"),
        ({"dtype": "float16"}, "'dtype'"),
        ({"noise": -1}, "'noise'"),
        ({"input_scaling": np.nan}, "'input_scaling'"),
        ({"predict_state": "maybe"}, "'predict_state'"),
        ({"random_state": "a"}, "cannot be used to seed"),
        ({"n_jobs": 0}, "'n_jobs'"),
        ({"target": "derivative"}, "'target'"),
        ({"feedback_scaling": -1}, "'feedback_scaling'"),
        ({"fit_intercept": "no"}, "'fit_intercept' parameter of ESNRegressor must be a bool"),
        ({"include_input": "no"}, "'include_input'"),
        ({"dtype": None}, "'dtype'"),
    ],
)
def test_bad_parameters_are_refused_in_fit_by_name(params, message):
    u = series(60)
    esn = make(**params)
    with pytest.raises(ValueError, match=message):
        esn.fit(u[:-1], u[1:])


def test_a_washout_that_leaves_no_row_is_named():
    with pytest.raises(ValueError, match=r"washout=50 leaves no sample of a sequence of 30 \(seq"):
        make(washout=50).fit(panel((80, 30)), panel((80, 30)))


def with_value(a, value, row=7):
    a = a.astype(np.asarray(value).dtype if np.iscomplexobj(value) else float)
    a[row, 1] = value
    return a


FRAME = pd.DataFrame(series(60), columns=["load", "heat"])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (
            with_value(series(60), np.nan),
            series(60),
            r"X contains NaN.*\n.*1 value, first at row",
        ),
        (with_value(series(60), -np.inf), series(60), "X contains infinity.* row 7, column 1"),
        (
            pd.DataFrame(with_value(series(60), np.nan), columns=["load", "heat"]),
            series(60),
            "1 value, first at row 7, column 'heat'",
        ),
        (
            [series(60), with_value(series(60), np.nan)],
            [series(60)] * 2,
            "first at step 7 of sequence 1, column 1",
        ),
        (series(60), with_value(series(60), np.nan), "Input y contains NaN"),
        (with_value(series(60), 1j), series(60), "Complex data not supported: X has dtype complex"),
        (series(60).astype(str), series(60), "could not convert string to float: X holds"),
        (series(60), series(60).astype(str).astype(object), "could not convert string.*: y holds"),
        (FRAME.astype({"heat": str}), series(60), "column 'heat' of X holds strings"),
        (
            FRAME.assign(day=pd.date_range("2020", periods=60)),
            series(60),
            "column 'day' of X has dtype datetime64",
        ),
        (series(60), pd.Series(pd.date_range("2020", periods=60)), "y has dtype datetime64"),
        (series(60), series(60)[:, 0].astype("m8[s]"), "y has dtype timedelta64"),
        (series(60)[:, 0], series(60), r"got 1D array of shape \(60,\) instead. Reshape your data"),
        (series(60), 1.0, "y must be 1-D or 2-D, got a single value"),
        ([series(60), None], [series(60)] * 2, "Sequence 1 passed to ESNRegressor .* got None"),
        ([series(60), series(60)[:, 0]], [series(60)] * 2, r"Sequence 1 .* got shape \(60,\)"),
    ],
)
def test_bad_data_are_refused_and_located(X, y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (np.zeros(3), r"must have shape \(40,\)"),
        (np.full(40, np.nan), "contains NaN"),
        (np.zeros(40) * 1j, "real numbers, got dtype complex128"),
        ("a", "real numbers"),
        ({"a": np.zeros(40)}, "dict for a panel"),
        ([np.zeros(40), np.zeros(3)], "states of one shape"),
    ],
)
def test_bad_states_are_refused(state, message):
    u = series(60)
    with pytest.raises(ValueError, match=message):
        make().fit(u[:-1], u[1:]).predict(u, initial_state=state)


def test_a_misspelt_predict_state_is_refused_after_fit_too():
    u = series(60)
    esn = make().fit(u[:-1], u[1:]).set_params(predict_state="contineu")
    with pytest.raises(InvalidParameterError, match="'predict_state'"):
        esn.predict(u)


def test_an_empty_sequence_of_a_list_is_named():
    with pytest.raises(ValueError, match="Sequence 1 of X has no steps"):
        make().fit([series(60), series(0)], [series(60), series(0)])


def test_frames_of_a_list_need_the_same_columns():
    frames = [pd.DataFrame(series(60), columns=names) for names in (["a", "b"], ["a", "c"])]
    with pytest.raises(
        ValueError, match=r"Sequence 1 passed to ESNRegressor has columns \['a', 'c'"
    ):
        make().fit(frames, [series(60)] * 2)
    swapped = [frames[0], frames[0][["b", "a"]]]
    esn = make().fit(swapped, [series(60)] * 2)
    assert_array_equal(esn.predict(swapped)[0], esn.predict(swapped)[1])


def test_a_shuffled_index_warns():
    frame = pd.DataFrame(series(60), columns=["a", "b"])
    with pytest.warns(EchocastWarning, match="not increasing"):
        make().fit(frame.sample(frac=1, random_state=0), frame.to_numpy())


def test_a_diverging_loop_is_reported():
    u = series(200)
    esn = make().fit(u[:-1], u[1:])
    esn.coef_ = esn.coef_ * 40
    with pytest.warns(ForecastDivergenceWarning, match="leaves the training range"):
        esn.generate(4)
    with pytest.raises(ForecastDivergedError, match="non-finite at step"):
        esn.generate(2000)


def test_the_output_bound_holds_for_hostile_readouts():
    u = series(200)
    esn = make(include_input=False).fit(u[:-1], u[1:])
    out = esn.generate(2000)
    assert (np.abs(out) <= esn.output_bound_).all()
    assert np.isinf(make().fit(u[:-1], u[1:]).output_bound_).all()


def test_clone_and_params_round_trip():
    esn = make(topology="cycle", connectivity=3)
    assert clone(esn).get_params() == esn.get_params()
    assert "topology='cycle'" in repr(esn)
    assert esn._repr_html_().startswith("<style>")


def test_masked_values_are_refused():
    u = series(60)
    masked = np.ma.masked_greater(u, 1.0)
    for X, y in [(masked, u), (u, masked)]:
        with pytest.raises(ValueError, match="masked value"):
            make().fit(X, y)
    assert make().fit(np.ma.array(u), u).n_features_in_ == 2
