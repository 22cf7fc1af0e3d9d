"""Bad parameters and data of trained networks: each has its own error, with name and remedy."""

import numpy as np
import pandas as pd
import pytest

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import RNNClassifier, RNNRegressor, WindowRNNRegressor
from rnn_fits import SMALL, classifier, deep_state, ragged, regressor, waves

U = waves(40)
X, Y = U[:-1], U[1:]
DATA = ragged((20, 12, 20))
XS, YS = [u[:-1] for u in DATA], [u[1:] for u in DATA]
STACK = np.stack([waves(15, seed=k) for k in range(4)])

# A value of each parameter that is of the wrong kind or out of range.
PARAMETERS = [
    ("hidden_layer_sizes", 0), ("hidden_layer_sizes", ()), ("hidden_layer_sizes", 2.5),
    ("hidden_layer_sizes", (8, -1)), ("hidden_layer_sizes", "8"), ("hidden_layer_sizes", None),
    ("hidden_layer_sizes", True), ("hidden_layer_sizes", [[1, 2], 3]),
    ("cell", "rnn"), ("cell", None), ("output", "first"), ("recurrence", "both"),
    ("bidirectional", "no"), ("bidirectional", 1), ("leak_rate", 0.0), ("leak_rate", 1.5),
    ("leak_rate", np.nan), ("leak_rate", "half"), ("leak_rate", [0.5] * 5),
    ("leak_rate", [0.5] * 5 + [2.0]), ("leak_rate", None), ("h0", "random"), ("h0", np.zeros(5)),
    ("h0", [np.nan] * 6), ("h0", None), ("h0", ["a"] * 6), ("include_input", "yes"),
    ("washout", -1), ("washout", 2.5), ("washout", "auto"), ("solver", "newton"), ("solver", None),
    ("learning_rate", "plateau"), ("learning_rate", 0.1), ("learning_rate_init", 0.0),
    ("learning_rate_init", -1), ("learning_rate_init", np.inf), ("learning_rate_init", "auto"),
    ("batch_size", 0), ("batch_size", "auto"), ("batch_size", 1.5), ("max_iter", -1),
    ("max_iter", 2.5), ("max_iter", None), ("max_fun", 0), ("tol", -1), ("tol", np.nan),
    ("n_iter_no_change", 0), ("early_stopping", 1), ("validation_fraction", 0.0),
    ("validation_fraction", 1.0), ("max_norm", 0), ("max_norm", -1.0), ("max_norm", "none"),
    ("clip_value", 0), ("bptt_steps", 0), ("bptt_steps", "full"), ("bptt_steps", 2.5),
    ("dropout", 1.0), ("dropout", -0.1), ("dropout", True), ("recurrent_dropout", 1.0),
    ("alpha", -1), ("alpha", "auto"), ("weight_decay", -1), ("momentum", 1.0),
    ("nesterovs_momentum", "yes"), ("weight_init", "zeros"), ("weight_init", None),
    ("shuffle", None), ("warm_start", "no"), ("dtype", "float16"), ("dtype", None), ("dtype", int),
    ("n_jobs", 0), ("n_jobs", "all"), ("verbose", -1), ("verbose", "loud"),
]  # fmt: skip
OF_THE_REGRESSOR = [
    ("loss", "mse"), ("loss", None), ("quantile", 0.0), ("quantile", [0.1, 1.5]), ("quantile", []),
    ("quantile", "median"), ("quantile", np.nan), ("quantile", None), ("quantile", [[0.1], [0.5]]),
    ("teacher_forcing", 1.5), ("teacher_forcing", -1), ("teacher_forcing", "linear"),
    ("teacher_forcing", None), ("layout", "rows"),
]  # fmt: skip


def shown(value):
    return str(value)[:20]


@pytest.mark.parametrize(("name", "value"), PARAMETERS + OF_THE_REGRESSOR, ids=shown)
def test_bad_parameters_of_the_regressor_are_named(name, value):
    model = regressor(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of RNNRegressor must"):
        model.fit(X, Y)
    assert not hasattr(model, "theta_")


@pytest.mark.parametrize(("name", "value"), PARAMETERS, ids=shown)
def test_bad_parameters_of_the_classifier_are_named(name, value):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of RNNClassifier must"):
        classifier(**{name: value}).fit(XS, [0, 1, 1])


OF_WINDOWS = [
    (name, value) for name, value in PARAMETERS + OF_THE_REGRESSOR
    if name in RNNRegressor().get_params() and name in WindowRNNRegressor().get_params()
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [
    *OF_WINDOWS, ("window_order", "backwards"), ("n_window_features", 0),
], ids=shown)  # fmt: skip
def test_bad_parameters_of_window_networks_are_named(name, value):
    model = WindowRNNRegressor(**{"hidden_layer_sizes": 6, "max_iter": 1, name: value})
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of WindowRNNRegressor"):
        model.fit(X, Y[:, 0])


def test_bad_seeds_are_refused():
    for seed in ("a", -1, 1.5):
        with pytest.raises(ValueError, match="cannot be used to seed"):
            regressor(random_state=seed).fit(X, Y)


@pytest.mark.parametrize(("params", "message"), [
    ({"recurrence": "output", "cell": "gru"}, "recurrence='output' is one layer of cell='tanh'"),
    ({"recurrence": "output", "hidden_layer_sizes": (4, 4)}, "recurrence='output' is one layer"),
    ({"recurrence": "output", "bidirectional": True}, "recurrence='output' is one layer"),
    ({"cell": "lstm", "leak_rate": 0.5}, "has gates of its own. Use leak_rate=1.0"),
    ({"hidden_layer_sizes": (3, 4), "leak_rate": [0.5] * 3}, "layers of different widths"),
    ({"bidirectional": True, "bptt_steps": 10}, "use bptt_steps=None"),
    ({"bidirectional": True, "teacher_forcing": 0.5}, "Use teacher_forcing=1.0"),
    ({"solver": "lbfgs", "dropout": 0.1}, "use dropout=0, recurrent_dropout=0"),
    ({"solver": "lbfgs", "teacher_forcing": "scheduled"}, "or solver='adam'"),
    ({"washout": 39}, "washout=39 leaves no step to train on; sequences have 39 steps at most"),
    ({"output": "last"}, "output='last'"),
    ({"teacher_forcing": lambda k: 7.0}, "must be a float in the range"),
])  # fmt: skip
def test_parameters_that_do_not_go_together(params, message):
    with pytest.raises(ValueError, match=message):
        regressor(**params).fit(X, Y)


def with_value(a, value, row=7):
    a = a.astype(complex if np.iscomplexobj(value) else float)
    a[row, 1] = value
    return a


FRAME = pd.DataFrame(X, columns=["load", "heat"])
EMPTY = np.empty((0, 2))

DATA_FAULTS = [
    # X
    (with_value(X, np.nan), Y, "Input X contains NaN.*1 value, first at row 7, column 1"),
    (with_value(X, np.inf), Y, "Input X contains infinity.*first at row 7"),
    (with_value(X, 1j), Y, "Complex data not supported: X"),
    (with_value(X, 1e300).tolist(), Y, "a value too large for dtype.'float32'"),
    (X[:, 0], Y, "Expected 2D array, got 1D array.*reshape"),
    (X[None, None], Y, "dim 4"),
    (EMPTY, EMPTY, "Found array with 0 sample"),
    (np.empty((39, 0)), Y, r"0 feature\(s\)"),
    (X.astype(str), Y, "X holds strings; encode them as numbers"),
    (X.astype(object).astype(str).astype(object), Y, "strings"),
    (FRAME.assign(heat="warm"), Y, "column 'heat' of X holds strings"),
    (FRAME.assign(heat=pd.date_range("2024", periods=39)), Y, "column 'heat' of X has dtype"),
    (FRAME.assign(load=np.nan), Y, "NaN.*column 'load'"),
    (None, Y, "Expected 2D array"),
    ("data", Y, "X holds strings"),
    ([], [], "Expected 2D array"),
    ([*XS[:2], XS[2][:, :1]], YS, "Sequence 2 passed to RNNRegressor has 1 features"),
    ([*XS[:2], XS[2][0]], YS, "Sequence 2 passed to RNNRegressor must be a 2-D array"),
    ([*XS[:2], XS[2][:0]], [*YS[:2], YS[2][:0]], "Sequence 2 of X has no steps"),
    ([*XS[:2], None], YS, "Sequence 2 passed to RNNRegressor must be"),
    ([XS[0], with_value(XS[1], np.nan), XS[2]], YS, "misses values at step 7, before its end"),
    ([XS[0], with_value(XS[1], np.inf), XS[2]], YS, "first at step 7 of sequence 1, column 1"),
    (np.full((3, 5, 2), np.nan), np.zeros(3), "Sequence 0 of X has no steps"),
    # y
    (X, with_value(Y, np.nan), "Input y contains NaN.*first at row 7"),
    (X, with_value(Y, np.inf), "Input y contains infinity"),
    (X, with_value(Y, 1j), "Complex data not supported: y"),
    (X, Y[:-1], r"inconsistent numbers of samples: \[39, 38\]"),
    (X, None, "requires y to be passed, but the target y is None"),
    (X, 3.0, "y must be 1-D or 2-D, got a single value"),
    (X, Y.astype(str), "y holds strings"),
    (X, np.empty((39, 0)), r"0 feature\(s\)"),
    (X, Y[:, :, None], "dim 3[,.].* <= 2"),
    (FRAME, pd.DataFrame(Y)[::-1], "y holds the labels of X in another order"),
    (XS, YS[:2], "y must be a list of as many arrays; got 2"),
    (XS, [1.0, 2.0], "one target for each of the 3 sequences"),
    (XS, [YS[0], YS[1], YS[2][:-1]], "equence 2"),
    (XS, [YS[0], YS[1], YS[2][:, :1]], "All sequences of y need the same number of targets"),
    (XS, [1.0, np.nan, 2.0], "Input y contains NaN.*first at sequence 1"),
    (XS, ["a", "b", "c"], "y holds strings"),
    (STACK, STACK[:, :-1], "needs y of shape"),
    (STACK, STACK[:3], "a 3-D X of 4 sequences of 15 steps needs y of shape"),
]


@pytest.mark.parametrize(("X", "y", "message"), DATA_FAULTS, ids=lambda v: "")
def test_unusable_data_are_refused(X, y, message):
    model = regressor(dtype="float32")
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}") as caught:
        model.fit(X, y)
    text = str(caught.value)
    assert len(text) < 600  # no dumps of arrays
    assert "broadcast" not in text
    assert "NoneType" not in text
    assert "inhomogeneous" not in text
    assert not hasattr(model, "theta_")


WEIGHTS = [
    (np.ones(38), r"sample_weight.shape == \(38,\), expected \(39,\)"),
    (-np.ones(39), "Negative values in data passed to `sample_weight`"),
    (np.full(39, np.nan), "Input sample_weight contains NaN"),
    (np.full(39, np.inf), "Input sample_weight contains infinity"),
    (np.zeros(39), "All sample weights are zero"),
    (np.ones((39, 3)), "Sample weights must be 1D array or scalar"),
    (["a"] * 39, "string"),
]


@pytest.mark.parametrize(("weights", "message"), WEIGHTS, ids=lambda v: "")
def test_unusable_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize(("groups", "message"), [
    (np.zeros(38), "inconsistent numbers of samples"),
    (np.zeros((39, 2)), "`groups` must be 1-D"),
    ([None] + ["a"] * 38, "`groups` has a missing label at row 0"),
], ids=lambda v: "")  # fmt: skip
def test_unusable_groups_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, Y, groups=groups)


def test_groups_beside_sequences_are_refused():
    with pytest.raises(ValueError, match="`groups` is for 2-D X with a flat index"):
        regressor().fit(XS, YS, groups=[1, 2, 3])


@pytest.mark.parametrize(("X", "y", "message"), [
    (XS, [0, 1], "X has 3, y has 2"),
    (XS, [0, 0, 0], "needs at least 2 classes"),
    (XS, [0.5, 1.2, 3.3], "Unknown label type: continuous"),
    (XS, None, "y"),
    (XS, [[0] * 19, [1] * 11, [0] * 5], "one label for each step"),
    (X, [0, 1], "A 2-D X means that each row is one univariate sequence"),
    (STACK, np.zeros((4, 3), int), "one label for each step"),
    (XS, [np.nan, 1.0, 0.0], "NaN"),
], ids=lambda v: "")  # fmt: skip
def test_unusable_labels_are_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y)


def test_a_network_that_is_fed_outputs_needs_them_in_x():
    with pytest.raises(ValueError, match=r"the first 2 column\(s\) of X must be y one step earlie"):
        regressor(teacher_forcing=0.5).fit(Y, Y)
    with pytest.raises(ValueError, match="X must be y one step earlier"):
        regressor(teacher_forcing=0.5).fit(X[:, :1], Y)
    for params in ({"recurrence": "output"}, {"teacher_forcing": 0.5}):
        with pytest.raises(ValueError, match="need a target for each step"):
            regressor(**params).fit(XS, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="needs a label for each step"):
        classifier(recurrence="output").fit(XS, [0, 1, 1])


# ------------------------------------------------------------------------------ after the fit


@pytest.fixture(scope="module")
def model():
    return regressor().fit(X, Y)


@pytest.mark.parametrize("method", ["predict", "transform", "states", "predict_quantiles"])
def test_nothing_works_before_fit(method):
    with pytest.raises(ValueError, match="not fitted"):
        getattr(RNNRegressor(), method)(X)
    if hasattr(RNNClassifier, method):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(RNNClassifier(), method)(XS)


def test_no_loop_and_no_parameters_before_fit():
    with pytest.raises(ValueError, match="not fitted"):
        RNNRegressor().generate(5)
    with pytest.raises((ValueError, AttributeError), match="not fitted"):
        RNNRegressor().params_  # noqa: B018
    with pytest.raises(ValueError, match="not fitted"):
        WindowRNNRegressor().predict(X)


@pytest.mark.parametrize(("given", "message"), [
    ((X[:, :1],), "X has 1 features, but RNNRegressor is expecting 2"),
    ((with_value(X, np.nan),), "Input X contains NaN"),
    (([X, X[:, :1]],), "Sequence 1 passed to RNNRegressor has 1 features"),
    ((EMPTY,), "0 sample"),
], ids=lambda v: "")  # fmt: skip
def test_unusable_data_after_fit(model, given, message):
    before = deep_state(model)
    for method in ("predict", "transform"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(*given)
    assert deep_state(model) == before


@pytest.mark.parametrize(("state", "message"), [
    (np.zeros(5), r"`initial_state` must have shape \(6,\), got \(5,\)"),
    (np.zeros((2, 6)), "`initial_state` must have shape"),
    (np.full(6, np.nan), "`initial_state` contains NaN or infinity"),
    ("zeros", "`initial_state` must hold real numbers"),
    ({"a": np.zeros(6)}, "`initial_state` may be a dict for a panel"),
], ids=lambda v: "")  # fmt: skip
def test_unusable_states(model, state, message):
    for call in (model.predict, model.transform):
        with pytest.raises(ValueError, match=message):
            call(X, initial_state=state)
    with pytest.raises(ValueError, match=message):
        model.generate(3, initial_state=state)


@pytest.mark.parametrize(("given", "message"), [
    ({"n_steps": 0}, "'n_steps' parameter"), ({"n_steps": 2.5}, "'n_steps' parameter"),
    ({"n_steps": "5"}, "'n_steps' parameter"), ({"n_steps": 5, "X": X[:5]}, "there are none"),
    ({"n_steps": 5, "warmup": XS}, "`warmup` must be one sequence"),
    ({"n_steps": 5, "warmup": X[:, :1]}, "X has 1 features"),
], ids=lambda v: "")  # fmt: skip
def test_unusable_requests_for_a_loop(model, given, message):
    with pytest.raises(ValueError, match=message):
        model.generate(**given)


def test_quantiles_that_were_not_learnt(model):
    with pytest.raises(ValueError, match="gives points alone; fit with loss='pinball'"):
        model.predict_quantiles(X, [0.5])
    pinball = regressor(loss="pinball", quantile=[0.1, 0.9]).fit(X, Y)
    with pytest.raises(ValueError, match=r"has learnt the quantiles \[0.1, 0.9\], not 0.5"):
        pinball.predict_quantiles(X, 0.5)
    for bad in (0.0, [0.5, 1.0], "a", [None], np.nan):
        with pytest.raises(ValueError, match="'quantiles' parameter of predict_quantiles"):
            pinball.predict_quantiles(X, bad)
    with pytest.raises(ValueError, match="`quantiles` must be given with this loss"):
        regressor(loss="gaussian").fit(X, Y).predict_quantiles(X)


def test_a_score_of_other_targets(model):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, Y[:-1])
    with pytest.raises(ValueError, match="different number of output"):
        model.score(X, Y[:, 0])


def test_partial_fit_on_other_columns(model):
    before = deep_state(model)
    with pytest.raises(ValueError, match="X has 1 features"):
        model.partial_fit(X[:, :1], Y)
    with pytest.raises(ValueError, match="y has 1 targets, but RNNRegressor is expecting 2"):
        model.partial_fit(X, Y[:, 0])
    assert deep_state(model) == before


def test_window_networks_refuse_unusable_data():
    window = WindowRNNRegressor(**{**SMALL, "max_iter": 1})
    for bad, y, message in [
        (with_value(X, np.nan), Y, "Input X contains NaN"), (X, Y[:-1], "inconsistent"),
        (XS, Y, "."), (STACK, Y, "dim 3"), (X, with_value(Y, np.inf), "Input y contains infinity"),
        (X, None, "requires y to be passed"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            window.fit(bad, y)
    with pytest.raises(ValueError, match="expected"):
        window.fit(X, Y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="X has 1 features"):
        window.fit(X, Y).predict(X[:, :1])
