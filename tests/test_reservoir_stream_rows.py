"""What a stream takes for a row, and what it refuses before anything has changed."""

import numpy as np
import pandas as pd
import pytest

from echocast.reservoir import ESNRegressor, LMSReadout, RLSReadout

RNG = np.random.RandomState(0)
U = RNG.standard_normal((80, 3))
FRAME = pd.DataFrame(U, columns=["a", "b", "c"])


def stream_of(X=FRAME, **params):
    return ESNRegressor(20, random_state=0, **params).fit(X[:-1], U[1:, 0]).stream()


def test_rows_by_name_are_rows_by_position():
    expected = stream_of().predict_one(U[-1])
    last = FRAME.iloc[-1]
    backwards = dict(reversed(list(last.to_dict().items())))
    for x in (last, FRAME.iloc[-1:], last.to_dict(), backwards, U[-1].tolist()):
        assert stream_of().predict_one(x) == expected
        assert stream_of().learn_one(x, 0.5) == expected
    assert stream_of(U).predict_one(pd.Series(U[-1])) == stream_of(U).predict_one(U[-1])


@pytest.mark.parametrize(
    "x",
    [
        FRAME.iloc[-1][["c", "a", "b"]],
        FRAME.iloc[-1:][["b", "a", "c"]],
        {"a": 0.0, "b": 1.0},
        {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0},
        {"a": 0.0, "b": 1.0, "C": 2.0},
    ],
)
def test_other_names_are_refused(x):
    runner = stream_of()
    state = runner.state
    for call in (runner.predict_one, runner.step, lambda x: runner.learn_one(x, 0.5)):
        with pytest.raises(ValueError, match="should match those that were passed during fit"):
            call(x)
    assert np.array_equal(runner.state, state)


def test_a_dict_needs_a_model_with_names():
    with pytest.raises(TypeError, match="fitted without names"):
        stream_of(U).predict_one({"a": 0.0, "b": 1.0, "c": 2.0})


@pytest.mark.parametrize("readout", [None, RLSReadout(), LMSReadout()])
@pytest.mark.parametrize(
    ("x", "y"), [([1e200, 0, 0], 0.0), ([0, 0, 0], -1e200), ([0, 0, 0], np.nan)]
)
def test_rows_too_large_are_not_learnt(readout, x, y):
    runner = stream_of(readout=readout)
    before = runner.state, runner.coef_, runner.output
    with pytest.raises(ValueError, match="must be finite and below 1e"):
        runner.learn_one(x, y)
    for old, new in zip(before, (runner.state, runner.coef_, runner.output)):
        assert np.array_equal(old, new)
    assert np.isfinite(runner.to_estimator().coef_).all()


def test_a_stream_is_shown_with_its_model():
    assert repr(stream_of()) == "ReservoirStream of ESNRegressor(n_units=20, random_state=0)"
