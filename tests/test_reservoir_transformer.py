"""ReservoirTransformer against a plain NumPy reservoir, and its manners in pipelines."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import oracles_esn as oracle
from echocast.exceptions import InvalidParameterError
from echocast.reservoir import ESNRegressor, ReservoirTransformer


def series(n=200, seed=0, n_features=2):
    rng = np.random.RandomState(seed)
    return np.sin(0.1 * np.arange(n)[:, None] * (1 + np.arange(n_features))) + 0.1 * rng.randn(
        n, n_features
    )


def make(**params):
    return ReservoirTransformer(**{"n_units": 30, "random_state": 0, **params})


@given(
    seed=st.integers(0, 99),
    n_units=st.integers(1, 40),
    n_features=st.integers(1, 4),
    n_steps=st.integers(1, 60),
    leak_rate=st.floats(0.05, 1.0),
)
@settings(max_examples=25, deadline=None)
def test_states_equal_the_oracle(seed, n_units, n_features, n_steps, leak_rate):
    X = series(n_steps, seed, n_features)
    tr = make(n_units=n_units, leak_rate=leak_rate, random_state=seed)
    S = tr.fit_transform(X)
    expected = oracle.states(tr.W_in_, tr.W_, tr.b_, leak_rate, X)
    assert_allclose(S, expected, rtol=1e-12, atol=1e-12)
    assert_allclose(tr.state_, expected[-1], rtol=1e-12, atol=1e-12)
    assert_array_equal(tr.transform(X), S)


def test_the_same_seed_gives_the_reservoir_of_the_regressor():
    u = series()
    esn = ESNRegressor(n_units=30, random_state=3).fit(u[:-1], u[1:])
    tr = make(random_state=3).fit(u)
    assert_array_equal(tr.W_in_, esn.W_in_)
    assert_array_equal(tr.transform(u), esn.transform(u))


def test_shared_parameters_have_the_defaults_of_the_regressor():
    ours, theirs = ReservoirTransformer().get_params(), ESNRegressor().get_params()
    assert ours == {name: theirs[name] for name in ours}


def test_forms_of_many_sequences():
    parts = [series(40, s) for s in range(5)]
    tr = make().fit(parts)
    alone = [make().fit(p).transform(p) for p in parts]
    listed = tr.transform(parts)
    assert isinstance(listed, list)
    assert tr.state_.shape == (5, 30)
    for out, expected in zip(listed, alone):
        assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(tr.transform(np.stack(parts)), np.stack(listed))
    groups = np.repeat(list("abcde"), 40)
    assert_array_equal(tr.transform(np.vstack(parts), groups=groups), np.vstack(listed))
    assert_array_equal(make().fit_transform(np.vstack(parts), groups=groups), np.vstack(listed))
    ragged = [parts[0], parts[1][:17]]
    assert [len(s) for s in make().fit_transform(ragged)] == [40, 17]


def test_a_multiindex_frame_keeps_its_index_as_pandas_output():
    frame = pd.concat(
        {k: pd.DataFrame(series(20, i), columns=["u", "v"]) for i, k in enumerate("ab")}
    )
    tr = make().set_output(transform="pandas")
    out = tr.fit_transform(frame)
    assert out.index.equals(frame.index)
    assert list(out.columns) == list(tr.get_feature_names_out())
    assert out.columns[0] == "reservoirtransformer0"
    assert_allclose(tr.state_["b"], out.loc["b"].iloc[-1], rtol=1e-12)


def test_auto_state_continues_one_step_after_the_end_of_fit():
    frame = pd.DataFrame(series(100), columns=["u", "v"])
    whole = make().fit_transform(frame)
    head = make().fit(frame[:60])
    assert_allclose(head.transform(frame[60:]), whole[60:], rtol=1e-12, atol=1e-12)
    reset = make().fit(frame[60:]).transform(frame[60:])
    assert_array_equal(head.transform(frame[60:].reset_index(drop=True)), reset)
    assert_array_equal(make(predict_state="reset").fit(frame[:60]).transform(frame[60:]), reset)
    given = head.transform(frame[60:].reset_index(drop=True), initial_state=head.state_)
    assert_allclose(given, whole[60:], rtol=1e-12, atol=1e-12)


def test_fit_transform_starts_from_zero_even_where_transform_continues():
    u = series()
    tr = make(predict_state="continue")
    assert_array_equal(tr.fit_transform(u), make().fit_transform(u))
    assert not np.allclose(tr.transform(u), tr.fit_transform(u))


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("float64", "float64", "float64"),
        ("float64", "float32", "float32"),
        ("float32", "float64", "float32"),
        ("float32", "float32", "float32"),
    ],
)
def test_output_precision_is_the_lower_of_states_and_input(dtype, given, expected):
    X = series().astype(given)
    tr = make(dtype=dtype).fit(X)
    assert tr.W_in_.dtype == dtype
    assert tr.transform(X).dtype == tr.fit_transform(X).dtype == expected
    assert all(part.dtype == expected for part in tr.transform([X, X]))
    assert_allclose(tr.transform(X), make().fit_transform(series()), atol=1e-4)


def test_a_pipeline_can_be_searched_over_time_ordered_folds():
    u = series(300)
    pipe = make_pipeline(StandardScaler(), make(), Ridge(1e-4))
    search = GridSearchCV(
        pipe,
        {"reservoirtransformer__spectral_radius": [0.1, 0.9], "ridge__alpha": [1e-4, 1e2]},
        cv=TimeSeriesSplit(3),
    ).fit(u[:-1], u[1:])
    assert search.best_params_["ridge__alpha"] == 1e-4
    assert search.best_score_ > 0.5


def test_transform_writes_nothing_and_the_model_survives_pickling():
    u = series()
    tr = make().fit(u)
    before = pickle.dumps(tr)
    first = tr.transform(u)
    assert pickle.dumps(tr) == before
    assert_array_equal(pickle.loads(before).transform(u), first)
    assert clone(tr).get_params() == tr.get_params()


def test_a_failed_fit_leaves_the_former_model_intact():
    u = series()
    tr = make().fit(u)
    before = tr.transform(u)
    bad = u.copy()
    bad[150] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        tr.fit_transform(bad)
    with pytest.raises(InvalidParameterError, match="'n_units'"):
        tr.set_params(n_units=0).fit(u)
    tr.set_params(n_units=30)
    assert_array_equal(tr.transform(u), before)


def test_transform_does_not_see_the_future():
    u = series()
    tr = make().fit(u)
    poisoned = u.copy()
    poisoned[100:] = 1e9
    assert_array_equal(tr.transform(poisoned)[:100], tr.transform(u)[:100])


def test_before_fit_there_are_no_states():
    with pytest.raises(NotFittedError):
        make().transform(series())
