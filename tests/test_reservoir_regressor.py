"""The laws of time, state, sequences and failure, for every regressor around a machine."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from echocast.exceptions import (
    ForecastDivergedError,
    ForecastDivergenceWarning,
    InvalidParameterError,
)
from echocast.reservoir import DeepESNRegressor, ESNRegressor, LocalESNRegressor, NVARRegressor

RESERVOIR = {"washout": 12, "alpha": 1e-3, "random_state": 0}
MODELS = {
    "esn": lambda **p: ESNRegressor(**{"n_units": 20, **RESERVOIR, **p}),
    "nvar": lambda **p: NVARRegressor(**{"delays": 3, "stride": 2, "alpha": 1e-3, **p}),
    "deep": lambda **p: DeepESNRegressor(2, **{"n_units": [15, 10], **RESERVOIR, **p}),
    "local": lambda **p: LocalESNRegressor(15, **{"overlap": 1, **RESERVOIR, **p}),
    "own": lambda **p: LocalESNRegressor(
        15, **{"group_size": 2, "shared": False, **RESERVOIR, **p}
    ),
}


@pytest.fixture(params=MODELS)
def make(request):
    return MODELS[request.param]


def series(n=300, seed=0, n_features=4):
    t = np.arange(n)[:, None]
    rng = np.random.RandomState(seed)
    phases = rng.uniform(0, 6, size=(1, n_features))
    waves = np.sin(0.11 * t + phases) + 0.5 * np.cos(0.23 * t * (1 + np.arange(n_features)))
    return waves + 0.05 * rng.randn(n, n_features)


def state_after(model, X):
    """The public state after the rows X, from what `transform` gives or the rows themselves."""
    shape = np.shape(model.state_)
    if isinstance(model, NVARRegressor):
        return X[len(X) - shape[0] :]
    return model.transform(X)[-1].reshape(shape)


OTHERWISE = {"n_units": 7, "include_input": False, "overlap": 2, "group_size": 4, "delays": 1}


def test_predictions_do_not_depend_on_parameters_set_after_fit(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    outputs, tail = model.predict(u), model.generate(5)
    known = model.get_params()
    model.set_params(**{name: value for name, value in OTHERWISE.items() if name in known})
    if "shared" in known:
        model.set_params(shared=not model.shared)
    assert_array_equal(model.predict(u), outputs)
    assert_array_equal(model.generate(5), tail)
    assert model.transform(u).shape[1] == len(model.get_feature_names_out())


def test_fit_transform_is_transform_from_the_start_of_each_sequence(make):
    u = series()
    labels = np.repeat(["a", "b"], [120, 179])
    model = make(predict_state="continue")
    features = model.fit_transform(u[:-1], u[1:], groups=labels)
    model.set_params(predict_state="reset")
    assert_array_equal(features, model.transform(u[:-1], groups=labels))


def test_sequences_stay_sequences_under_set_output(make):
    u = series()
    model = make().set_output(transform="pandas")
    table = model.fit_transform(u[:-1], u[1:])
    assert list(table.columns) == list(model.get_feature_names_out())
    X, Y = np.stack([u[:140], u[140:280]]), np.stack([u[1:141], u[141:281]])
    assert model.fit_transform(X, Y).shape == (2, 140, table.shape[1])
    assert [len(part) for part in model.transform([u[:30], u[:40]])] == [30, 40]


# ------------------------------------------------------------------ time and state


def test_predict_does_not_see_the_future(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    poisoned = u.copy()
    poisoned[150:] = 1e9
    assert_array_equal(model.predict(u)[:150], model.predict(poisoned)[:150])
    assert_array_equal(model.transform(u)[:150], model.transform(poisoned)[:150])


def test_predict_writes_nothing_and_repeats_itself(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    before = pickle.dumps(model)
    first = model.predict(u)
    model.generate(5)
    model.score(u[:-1], u[1:])
    assert_array_equal(model.predict(u), first)
    assert pickle.dumps(model) == before
    assert_array_equal(pickle.loads(before).predict(u), first)


def test_state_passes_from_one_chunk_to_the_next(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    tail = model.predict(u[130:], initial_state=state_after(model, u[:130]))
    assert_allclose(tail, model.predict(u)[130:], rtol=1e-9, atol=1e-10)
    assert_allclose(model.state_, state_after(model, u[:-1]), rtol=1e-11, atol=1e-12)


def test_predictions_do_not_depend_on_how_rows_are_blocked(make):
    u = series(3000)
    model = make().fit(u[:-1], u[1:])
    whole, states = model.predict(u), model.transform(u)
    assert_allclose(model.predict(u[:700]), whole[:700], rtol=1e-12, atol=1e-12)
    assert_allclose(model.transform(u[:700]), states[:700], rtol=1e-12, atol=1e-12)


def test_auto_state_continues_one_step_after_the_end_of_fit(make):
    index = pd.date_range("2020-01-01", periods=300, freq="D")
    frame = pd.DataFrame(series(), index=index, columns=list("abcd"))
    model = make().fit(frame.iloc[:199], frame.to_numpy()[1:200])
    carried = clone(model).set_params(predict_state="continue")
    reset = clone(model).set_params(predict_state="reset")
    for other in (carried, reset):
        other.fit(frame.iloc[:199], frame.to_numpy()[1:200])
    after, later = frame.iloc[199:240], frame.iloc[203:240]
    assert_array_equal(model.predict(after), carried.predict(after))
    assert not np.allclose(model.predict(after), reset.predict(after))
    assert_array_equal(model.predict(later), reset.predict(later))


# ------------------------------------------------------------------ closed loops


def test_generate_is_predict_fed_with_its_own_outputs(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    out = model.generate(6, warmup=u[40:90])
    rows = u[40:90]
    for step in range(6):
        predicted = model.predict(rows)[-1]
        assert_allclose(out[step], predicted, rtol=1e-8, atol=1e-9)
        rows = np.vstack([rows, predicted])


def test_generate_continues_the_training_series(make):
    u = series()
    model = make(predict_state="reset").fit(u[:-1], u[1:])
    assert_allclose(model.generate(8), model.generate(8, warmup=u), rtol=1e-8, atol=1e-9)
    assert_array_equal(model.generate(8, initial_state=model.state_), model.generate(8))
    assert_array_equal(model.last_output_, u[-1])
    start = state_after(model, u[:60])
    tail = model.generate(8, warmup=u[60:90], initial_state=start)
    assert_allclose(tail, model.generate(8, warmup=u[:90]), rtol=1e-8, atol=1e-9)


def test_generate_of_a_panel_asks_where_to_start(make):
    parts = [series(80, 1), series(90, 2)]
    model = make().fit([p[:-1] for p in parts], [p[1:] for p in parts])
    with pytest.raises(ValueError, match="fitted on several sequences"):
        model.generate(3)
    warm = model.generate(3, warmup=parts[1])
    assert_allclose(warm[0], model.predict(parts[1])[-1], rtol=1e-9)
    with pytest.raises(ValueError, match="one sequence"):
        model.generate(3, warmup=parts)


def test_generate_refuses_outputs_that_cannot_be_inputs(make):
    u = series()
    model = make().fit(u, u[:, 0])
    with pytest.raises(ValueError, match="1 target\\(s\\) and 4 feature\\(s\\)"):
        model.generate(3)
    with pytest.raises(InvalidParameterError, match="n_steps"):
        make().fit(u[:-1], u[1:]).generate(0)


def test_a_diverging_loop_is_reported(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    model.coef_ = model.coef_ * 40
    with pytest.warns(ForecastDivergenceWarning, match="leaves the training range"):
        model.generate(3)
    with pytest.raises(ForecastDivergedError, match="non-finite at step"):
        model.generate(3000)


@pytest.mark.parametrize("make", sorted(MODELS.keys() - {"esn"}), indirect=True)
def test_control_returns_to_python_within_a_closed_loop(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    step, calls = model._fit_reservoir.stepper, []

    def stepper(state):
        inner = step(state)

        def counted(row):
            calls.append(1)
            if len(calls) == 7:
                raise KeyboardInterrupt
            return inner(row)

        return counted

    model._fit_reservoir = _Wrapped(model._fit_reservoir, stepper)
    with pytest.raises(KeyboardInterrupt):
        model.generate(100_000)


class _Wrapped:
    """A machine whose stepper is replaced."""

    def __init__(self, machine, stepper):
        self._machine, self.stepper = machine, stepper

    def __getattr__(self, name):
        return getattr(self._machine, name)


# ------------------------------------------------------------------ partial fits


def test_partial_fit_equals_fit(make):
    u = series()
    X, Y = u[:-1], u[1:]
    whole, parts = make(solver="svd").fit(X, Y), make(solver="svd")
    for a, b in [(0, 3), (3, 5), (5, 150), (150, 151), (151, 299)]:
        parts.partial_fit(X[a:b], Y[a:b])
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-7, atol=1e-8)
    assert_allclose(parts.state_, whole.state_, rtol=1e-12, atol=1e-12)
    assert_allclose(parts.generate(3), whole.generate(3), rtol=1e-6, atol=1e-7)


def test_partial_fit_of_a_panel_continues_known_series(make):
    names = list("abcd")
    parts = {"u": series(120, 1), "v": series(100, 2)}
    frame = pd.concat({k: pd.DataFrame(p, columns=names) for k, p in parts.items()})
    y = frame.groupby(level=0).shift(-1).fillna(0.0)
    early = frame.index.get_level_values(1) < 70
    whole = make(solver="qr").fit(frame, y)
    halves = make(solver="qr").partial_fit(frame[early], y[early])
    halves.partial_fit(frame[~early], y[~early])
    assert_allclose(halves.coef_, whole.coef_, rtol=1e-7, atol=1e-8)
    assert_allclose(halves.state_["v"], whole.state_["v"], rtol=1e-12)


def test_a_chunk_of_a_stream_may_be_history_alone(make):
    u = series()
    weights = np.r_[np.zeros(60), np.ones(120), np.zeros(60), np.ones(59)]
    whole = make(solver="qr").fit(u[:-1], u[1:], sample_weight=weights)
    parts = make(solver="qr")
    for a, b in [(0, 60), (60, 180), (180, 240), (240, 299)]:
        parts.partial_fit(u[a:b], u[a + 1 : b + 1], sample_weight=weights[a:b])
    assert_allclose(parts.coef_, whole.coef_, rtol=1e-7, atol=1e-9)
    assert_allclose(parts.predict(u), whole.predict(u), rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="weights are zero"):
        make().fit(u[:60], u[:60], sample_weight=np.zeros(60))


def test_too_few_rows_of_a_stream_are_not_yet_a_model(make):
    u = series()
    model = make().partial_fit(u[:2], u[1:3])
    with pytest.raises(NotFittedError, match="seen no row that it could train on"):
        model.predict(u)
    with pytest.raises(ValueError, match="n_samples=2"):
        make().fit(u[:2], u[1:3])


def test_a_failed_partial_fit_adds_nothing(make):
    u = series()
    model = make().fit(u[:199], u[1:200])
    before = pickle.dumps(model)
    bad = u.copy()
    bad[250] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(bad[199:-1], bad[200:])
    with pytest.raises(ValueError, match="3 targets"):
        model.partial_fit(u[199:-1], u[200:, :3])
    assert pickle.dumps(model) == before


# ------------------------------------------------------------------ many sequences


def test_every_form_of_several_sequences_gives_the_same_model(make):
    parts = [series(60, seed) for seed in range(5)]
    X, Y = [p[:-1] for p in parts], [p[1:] for p in parts]
    listed = make().fit(X, Y)
    cube = make().fit(np.stack(X), np.stack(Y))
    frame = pd.concat({i: pd.DataFrame(x, columns=list("abcd")) for i, x in enumerate(X)})
    indexed = make().fit(frame, np.vstack(Y))
    labels = np.repeat([5, 3, 9, 1, 4], 59)
    grouped = make().fit(np.vstack(X), np.vstack(Y), groups=labels)
    for other in (cube, indexed, grouped):
        assert_allclose(other.coef_, listed.coef_, rtol=1e-9, atol=1e-10)
    outputs = listed.predict(X)
    assert isinstance(outputs, list)
    assert_allclose(np.stack(outputs), cube.predict(np.stack(X)), rtol=1e-9, atol=1e-10)
    assert_allclose(indexed.predict(frame), np.vstack(outputs), rtol=1e-9, atol=1e-10)
    one = np.shape(make().fit(X[0], Y[0]).state_)
    assert listed.state_.shape == (5, *one)
    assert_allclose(grouped.state_[3], listed.state_[1], rtol=1e-12, atol=1e-12)


def test_sequences_are_independent_of_their_company(make):
    parts = [series(n, seed) for seed, n in enumerate((60, 45, 60, 80, 52, 70))]
    model = make().fit([p[:-1] for p in parts], [p[1:] for p in parts])
    for part, out in zip(parts, model.predict(parts)):
        assert_allclose(model.predict(part), out, rtol=1e-11, atol=1e-11)


def test_interleaved_groups_come_back_in_the_order_of_the_rows(make):
    a, b = series(50, 1), series(50, 2)
    X = np.empty((100, 4))
    X[::2], X[1::2] = a, b
    groups = np.array(["a", "b"] * 50)
    model = make().fit(X, X, groups=groups)
    states = model.transform(X, groups=groups)
    assert_allclose(states[::2], model.transform(a), rtol=1e-11, atol=1e-12)
    assert_allclose(states[1::2], model.transform(b), rtol=1e-11, atol=1e-12)


def test_one_dimensional_targets_come_back_one_dimensional(make):
    parts = [series(60, 1), series(45, 2)]
    model = make().fit(parts, [p[:, 0] for p in parts])
    assert [out.shape for out in model.predict(parts)] == [(60,), (45,)]


# ------------------------------------------------------------------ weights, precision, failure


def test_a_row_of_weight_zero_leaves_no_trace_in_the_readout(make):
    u = series()
    X, Y = u[:-1], u[1:]
    weights = np.ones(299)
    weights[100:120] = 0
    bad = Y.copy()
    bad[100:120] = 1e3
    clean = make(solver="svd").fit(X, Y, sample_weight=weights)
    dirty = make(solver="svd").fit(X, bad, sample_weight=weights)
    assert_allclose(dirty.coef_, clean.coef_, rtol=1e-7, atol=1e-8)


def test_weights_count_like_repeated_sequences(make):
    parts = [series(60, 1), series(60, 2)]
    X, Y = [p[:-1] for p in parts], [p[1:] for p in parts]
    weights = np.repeat([2.0, 1.0], 59)
    weighted = make(solver="svd").fit(X, Y, sample_weight=weights)
    repeated = make(solver="svd").fit([X[0], X[0], X[1]], [Y[0], Y[0], Y[1]])
    assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-8)


def test_float32_is_kept_throughout(make):
    u = series()
    single = make(dtype="float32").fit(u[:-1], u[1:])
    double = make().fit(u[:-1], u[1:])
    assert single.predict(u).dtype == np.float32
    assert single.transform(u).dtype == np.float32
    assert single.generate(3).dtype == np.float32
    assert single.state_.dtype == np.float32
    assert_allclose(single.predict(u), double.predict(u), atol=2e-3)


def test_a_failed_fit_leaves_the_former_model_intact(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    before = pickle.dumps(model)
    bad = u.copy()
    bad[70] = np.nan
    for X, y in [(bad[:-1], u[1:]), (u[:-1], bad[1:]), (u[:3], u[:3]), (u[:-1], u)]:
        with pytest.raises(ValueError):
            model.fit(X, y)
        assert pickle.dumps(model) == before


def test_an_interrupted_fit_leaves_the_former_model_intact(make, monkeypatch):
    u = series()
    model = make().fit(u[:-1], u[1:])
    before = pickle.dumps(model)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(model), "_remember_all", interrupt)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            method(u[:99], u[1:100])
        assert pickle.dumps(model) == before


def test_inputs_may_be_read_only_and_in_any_order(make):
    u = series()
    frozen = np.asfortranarray(u)
    frozen.setflags(write=False)
    assert_array_equal(make().fit(frozen[:-1], frozen[1:]).coef_, make().fit(u[:-1], u[1:]).coef_)


def test_wrong_states_are_refused(make):
    u = series()
    model = make().fit(u[:-1], u[1:])
    with pytest.raises(ValueError, match="`initial_state` must have shape"):
        model.predict(u, initial_state=np.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        model.generate(3, initial_state=np.full(np.shape(model.state_), np.nan))


@pytest.mark.parametrize("target", ["deep", "local"])
def test_increment_targets_need_the_columns_of_x(target):
    u = series()
    with pytest.raises(ValueError, match="target='increment' needs y with the columns of X"):
        MODELS[target](target="increment").fit(u, u[:, 0])
    with pytest.raises(ValueError, match="needs include_input=True"):
        MODELS[target](target="increment", include_input=False).fit(u, u)


@pytest.mark.parametrize("target", ["deep", "local", "own"])
def test_increment_targets_shrink_towards_persistence(target):
    u = series()
    heavy = MODELS[target](target="increment", alpha=1e12).fit(u[:-1], u[1:])
    drift = np.diff(u, axis=0)[12:].mean(axis=0)
    drift = drift.mean() if target == "local" else drift
    assert_allclose(heavy.predict(u[:-1]), u[:-1] + drift, atol=1e-4)
    light = MODELS[target](target="increment", alpha=1e-12).fit(u[:-1], u[1:])
    plain = MODELS[target](target="value", alpha=1e-12).fit(u[:-1], u[1:])
    assert_allclose(light.predict(u[:-1]), plain.predict(u[:-1]), atol=1e-4)


def test_outputs_that_grow_without_bound_are_refused():
    u = np.sin(0.1 * np.arange(5000))[:, None]
    esn = ESNRegressor(
        20, spectral_radius=1.5, activation="identity", washout=0, solver="svd", random_state=0
    ).fit(u[:50], u[1:51])
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="outputs become infinite"):
        esn.predict(u)


def test_a_target_in_another_order_than_the_rows_is_refused():
    frame = pd.DataFrame({"a": np.sin(np.arange(60.0))})
    with pytest.raises(ValueError, match="in another order"):
        ESNRegressor(10, random_state=0).fit(frame, frame["a"][::-1])
    shifted = frame["a"].set_axis(frame.index + 1)
    assert ESNRegressor(10, random_state=0).fit(frame, shifted).n_features_in_ == 1
