"""The reference of back-propagation, and Jacobians, against complex steps and differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

import oracles_cells
from echocast.reservoir import (
    DeepESNRegressor,
    ESNClassifier,
    ESNRegressor,
    NVARRegressor,
    ReservoirTransformer,
    bptt_reference,
    gradient_norm_by_lag,
    jacobian_product,
)
from echocast.reservoir.rnn import _cells as cells
from echocast.reservoir.rnn import _view as views
from oracles_cells import central_differences, complex_derivative

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def draw_weights(rng, cell, n_inputs, n_units):
    gates = GATES[cell]
    weights = {
        "W_in": rng.standard_normal((gates * n_units, n_inputs)),
        "W": rng.standard_normal((gates * n_units, n_units)) / np.sqrt(n_units),
        "b": rng.standard_normal(gates * n_units),
    }
    if cell == "gru":
        weights["b_n"] = rng.standard_normal(n_units)
    return weights


def relative_error(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


# ----------------------------------------------------------------- bptt_reference


def reference_case(loss, output, n_steps=6, n_inputs=3, n=5, n_outputs=4):
    rng = np.random.RandomState(1)
    weights = draw_weights(rng, "rnn", n_inputs, n)
    weights |= {
        "out.W": rng.standard_normal((n_outputs, n)),
        "out.b": rng.standard_normal(n_outputs),
    }
    X, h0 = rng.standard_normal((n_steps, n_inputs)), rng.standard_normal(n)
    if loss == "cross_entropy":
        y = rng.randint(n_outputs, size=n_steps)
    else:
        y = rng.standard_normal((n_steps, n_outputs))
    return X, y if output == "sequence" else y[-1], weights, h0


def plain_loss(X, y, weights, h, loss, output):
    """The loss from its definition, for complex weights too."""
    total = 0.0
    for t, x in enumerate(X):
        h = oracles_cells.rnn(weights, h, x)
        if output == "last" and t < len(X) - 1:
            continue
        o = weights["out.W"] @ h + weights["out.b"]
        target = y if output == "last" else y[t]
        if loss == "cross_entropy":
            total = total + np.log(np.exp(o).sum()) - o[target]
        else:
            total = total + 0.5 * ((o - target) ** 2).sum()
    return np.array([total])


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("output", ["sequence", "last"])
def test_reference_gradients_are_derivatives(loss, output):
    X, y, weights, h0 = reference_case(loss, output)
    value, gradients, trace = bptt_reference(X, y, weights, h0=h0, loss=loss, output=output)
    assert_allclose(value, plain_loss(X, y, weights, h0, loss, output)[0], rtol=1e-13)
    assert set(gradients) == {*weights, "h0"}
    assert trace["hidden"].shape == (7, 5)
    assert trace["output"].shape == (6, 4)
    assert_allclose(trace["hidden"][0], h0)
    for name, gradient in gradients.items():

        def of(vector, name=name):
            point = vector.reshape(np.shape(weights.get(name, h0)))
            start = point if name == "h0" else h0
            return plain_loss(X, y, {**weights, name: point}, start, loss, output)

        point = np.ravel(weights.get(name, h0))
        assert relative_error(gradient.ravel(), complex_derivative(of, point)[0]) < 1e-12, name
        # Differences are good to eps ** (2 / 3) = 4e-11 of the loss, which is larger than these.
        assert relative_error(gradient.ravel(), central_differences(of, point)[0]) < 1e-6, name


def test_reference_outputs_are_probabilities():
    X, y, weights, _ = reference_case("cross_entropy", "sequence")
    loss, _, trace = bptt_reference(X, y, weights)
    assert_allclose(trace["output"].sum(axis=1), 1.0, rtol=1e-14)
    assert_allclose(loss, -np.log(trace["output"][np.arange(6), y]).sum(), rtol=1e-13)
    assert not trace["hidden"][0].any()


def test_reference_survives_large_logits():
    X, y, weights, _ = reference_case("cross_entropy", "sequence")
    loss, gradients, _ = bptt_reference(X, y, {**weights, "out.b": 2000.0 * np.arange(4)})
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_reference_does_not_change_its_weights():
    X, y, weights, h0 = reference_case("cross_entropy", "sequence")
    before = {name: value.copy() for name, value in weights.items()}
    bptt_reference(X, y, weights, h0=h0)
    for name, value in weights.items():
        assert (value == before[name]).all()


def test_reference_refuses_unknown_options():
    X, y, weights, _ = reference_case("cross_entropy", "sequence")
    with pytest.raises(ValueError, match="'loss' parameter of bptt_reference"):
        bptt_reference(X, y, weights, loss="hinge")
    with pytest.raises(ValueError, match="'output' parameter of bptt_reference"):
        bptt_reference(X, y, weights, output="first")


# -------------------------------------------------------------------------- cells

CELLS = [
    ("rnn", 1.0, "tanh", np.tanh),
    ("rnn", np.array([0.3, 0.9, 0.5, 1.0]), "tanh", np.tanh),
    ("rnn", 0.4, "sigmoid", oracles_cells.sigmoid),
    ("rnn", 0.4, "identity", lambda z: z),
    ("rnn", 1.0, "sin", np.sin),
    ("lstm", None, None, None),
    ("gru", None, None, None),
]


def cell_case(cell, leak, name, f):
    """A stack of one layer, its weights, and its step by the formula."""
    weights = draw_weights(np.random.RandomState(3), cell, 3, 4)
    stack = cells.stack_of([(cell, weights, leak, name)])
    rule = getattr(oracles_cells, cell)
    extra = {"leak": leak, "f": f} if cell == "rnn" else {}
    return stack, lambda h, x: rule(weights, h, x, **extra)


@pytest.mark.parametrize(("cell", "leak", "name", "f"), CELLS)
def test_cell_equals_its_formula_and_derivative(cell, leak, name, f):
    stack, rule = cell_case(cell, leak, name, f)
    rng = np.random.RandomState(4)
    h, x = rng.standard_normal(stack.n_states), rng.standard_normal(3)
    assert_allclose(stack.step(h, x), rule(h, x), rtol=1e-13, atol=1e-15)
    by_state = complex_derivative(lambda v: rule(v, x), h)
    by_input = complex_derivative(lambda v: rule(h, v), x)
    assert relative_error(stack.jacobian(h, x), by_state) < 1e-12
    assert relative_error(stack.jacobian(h, x), central_differences(lambda v: rule(v, x), h)) < 1e-8
    step = stack.linearise(h, x)
    M, U, G = (rng.standard_normal((k, 2)) for k in (stack.n_states, 3, stack.n_states))
    assert_allclose(step.push(M, U), by_state @ M + by_input @ U, rtol=1e-12, atol=1e-13)
    to_state, to_input = step.pull(G)
    assert_allclose(to_state, by_state.T @ G, rtol=1e-12, atol=1e-13)
    assert_allclose(to_input, by_input.T @ G, rtol=1e-12, atol=1e-13)


def test_relu_has_slope_zero_or_one():
    weights = {"W_in": np.zeros((2, 1)), "W": np.full((2, 2), 3.0), "b": np.array([-1.0, 1.0])}
    stack = cells.stack_of([("rnn", weights, 1.0, "relu")])
    assert stack.jacobian(np.zeros(2), np.zeros(1)).tolist() == [[0.0, 0.0], [3.0, 3.0]]


def test_slope_of_a_users_activation():
    weights = draw_weights(np.random.RandomState(3), "rnn", 3, 4)
    stack = cells.stack_of([("rnn", weights, 1.0, lambda z: z / (1 + np.abs(z)))])
    h, x = np.full(4, 0.2), np.ones(3)
    z = weights["W"] @ h + weights["W_in"] @ x + weights["b"]
    exact = weights["W"] / (1 + np.abs(z))[:, None] ** 2
    # central differences inside of the cell: eps ** (2 / 3) is 4e-11
    assert_allclose(stack.jacobian(h, x), exact, rtol=1e-8)


def test_layers_are_one_state():
    rng = np.random.RandomState(5)
    kinds = [("lstm", 3, 4), ("rnn", 4, 5), ("gru", 5, 2)]
    weights = [draw_weights(rng, *kind) for kind in kinds]
    stack = cells.stack_of([(kind[0], w, None, None) for kind, w in zip(kinds, weights)])
    assert (stack.n_states, stack.n_inputs) == (15, 3)
    assert (stack.output.start, stack.output.stop) == (13, 15)

    def rule(state, x):
        parts = []
        for (cell, *_), w, h in zip(kinds, weights, np.split(state, [8, 13])):
            parts.append(getattr(oracles_cells, cell)(w, h, x))
            x = parts[-1][: w["W"].shape[1]]
        return np.concatenate(parts)

    h, x = rng.standard_normal(15), rng.standard_normal(3)
    assert_allclose(stack.step(h, x), rule(h, x), rtol=1e-13)
    by_state = complex_derivative(lambda v: rule(v, x), h)
    by_input = complex_derivative(lambda v: rule(h, v), x)
    assert relative_error(stack.jacobian(h, x), by_state) < 1e-12
    step = stack.linearise(h, x)
    U, G = rng.standard_normal((3, 2)), rng.standard_normal((15, 2))
    assert_allclose(step.push(np.zeros((15, 2)), U), by_input @ U, rtol=1e-12, atol=1e-13)
    to_state, to_input = step.pull(G)
    assert_allclose(to_state, by_state.T @ G, rtol=1e-12, atol=1e-13)
    assert_allclose(to_input, by_input.T @ G, rtol=1e-12, atol=1e-13)


def test_first_state_of_a_network_is_used():
    rng = np.random.RandomState(5)
    layers = [("lstm", draw_weights(rng, "lstm", 2, 2), None, None)]
    layers += [("gru", draw_weights(rng, "gru", 2, 1), None, None)]
    model = Plugged(layers)
    assert views.recurrent_view(model).initial_state().tolist() == [0.0] * 5
    model.h0_ = np.arange(5, dtype=np.float32)
    assert views.recurrent_view(model).initial_state().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    given = jacobian_product(model, series(3), initial_state=np.arange(5.0))
    assert_allclose(jacobian_product(model, series(3)), given)


def test_layer_that_reads_more_than_the_one_below_is_refused():
    rng = np.random.RandomState(5)
    layers = [
        (cell, draw_weights(rng, cell, 2 * k, 2), None, None)
        for k, cell in ((1, "rnn"), (2, "rnn"))
    ]
    with pytest.raises(ValueError, match="reads more than the states of the one below"):
        cells.stack_of(layers)


def test_unknown_cell_is_refused():
    with pytest.raises(ValueError, match=r"`cell` must be 'rnn', 'lstm', 'gru', .*got 'ltc'"):
        cells.stack_of([("ltc", draw_weights(np.random.RandomState(0), "rnn", 1, 1), None, None)])


# -------------------------------------------------------------------------- views


def series(n_steps=40, n_features=2):
    return np.random.RandomState(7).standard_normal((n_steps, n_features))


class Plugged(BaseEstimator):
    """A trainable network as far as the analyses know it."""

    def __init__(self, layers, readout=None):
        self.layers_ = layers
        if readout is not None:
            self._recurrent_readout = lambda: readout

    def fit(self):
        return self

    def _recurrent_weights(self):
        return self.layers_


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"connectivity": 1.0},
        {"topology": "cycle", "leak_rate": 0.3},
        {"topology": "delay_line", "activation": "sigmoid"},
        {"dtype": "float32"},
        {"activation": lambda z: np.tanh(2 * z)},
    ],
    ids=lambda options: "-".join(options) or "sparse",
)
def test_view_of_a_reservoir_has_its_states(options):
    X = series()
    model = ReservoirTransformer(30, random_state=0, **options).fit(X)
    view = views.recurrent_view(model)
    h, states = view.initial_state(), []
    for x in X:
        h = view.step(h, x)
        states.append(h)
    tolerance = 1e-5 if options.get("dtype") == "float32" else 1e-12
    assert_allclose(states, model.transform(X), rtol=tolerance, atol=tolerance)


def test_view_of_a_deep_reservoir_has_its_states():
    X = series()
    model = DeepESNRegressor(3, n_units=20, random_state=0).fit(X, X)
    view = views.recurrent_view(model)
    h = view.initial_state()
    for x in X:
        h = view.step(h, x)
    assert_allclose(h, model.state_, rtol=1e-12, atol=1e-12)
    assert jacobian_product(model, X, 3, 4).shape == (60, 60)


def test_view_of_a_classifier():
    sequences = [series(20), series(20) + 1.0]
    model = ESNClassifier(15, random_state=0).fit(sequences, [0, 1])
    assert jacobian_product(model, sequences[0]).shape == (15, 15)


def test_what_is_no_recurrent_model_is_refused():
    X = series()
    with pytest.raises(TypeError, match="`model` must be a recurrent network or a reservoir"):
        jacobian_product(NVARRegressor().fit(X[:-1], X[1:]), X)
    with pytest.raises(TypeError, match="got str"):
        jacobian_product("esn", X)
    with pytest.raises(NotFittedError):
        jacobian_product(ReservoirTransformer(10), X)
    fed_back = ESNRegressor(10, feedback_scaling=0.5).fit(X, X)
    with pytest.raises(ValueError, match="output feedback"):
        jacobian_product(fed_back, X)


# -------------------------------------------------------------- jacobian_product


@pytest.mark.parametrize("cell", GATES)
def test_product_is_the_derivative_of_a_later_state(cell):
    weights = draw_weights(np.random.RandomState(11), cell, 2, 12)
    X = series(15)
    rule = getattr(oracles_cells, cell)

    def run(h, rows):
        for x in rows:
            h = rule(weights, h, x)
        return h

    start = np.zeros(24 if cell == "lstm" else 12)
    model = Plugged([(cell, weights, None, None)])
    exact = complex_derivative(lambda h: run(h, X), start)
    assert relative_error(jacobian_product(model, X), exact) < 1e-12
    middle = run(start, X[:4])
    exact = complex_derivative(lambda h: run(h, X[4:9]), middle)
    assert relative_error(jacobian_product(model, X, 4, 9), exact) < 1e-12
    found = jacobian_product(model, X[4:9], initial_state=middle)
    assert relative_error(found, exact) < 1e-12


def test_products_follow_each_other():
    X = series()
    model = ReservoirTransformer(20, random_state=0).fit(X)
    parts = jacobian_product(model, X, 9, 20) @ jacobian_product(model, X, 2, 9)
    assert_allclose(jacobian_product(model, X, 2, 20), parts, rtol=1e-10, atol=1e-16)
    assert_allclose(jacobian_product(model, X, 5, 5), np.eye(20))


def test_tanh_jacobian_is_the_formula():
    X = series()
    model = ReservoirTransformer(20, connectivity=1.0, random_state=0).fit(X)
    h = model.transform(X)[10]
    formula = np.diag(1 - h**2) @ sparse.csr_array(model.W_).toarray()
    assert_allclose(jacobian_product(model, X, 10, 11), formula, rtol=1e-11, atol=1e-14)


def test_bad_times_states_and_inputs_are_refused():
    X = series()
    model = ReservoirTransformer(20, random_state=0).fit(X)
    with pytest.raises(ValueError, match="'t1' parameter of jacobian_product"):
        jacobian_product(model, X, 0, 41)
    with pytest.raises(ValueError, match="'t0' parameter of jacobian_product"):
        jacobian_product(model, X, 6, 5)
    with pytest.raises(ValueError, match=r"`initial_state` must have shape \(20,\), got \(3,\)"):
        jacobian_product(model, X, initial_state=np.zeros(3))
    with pytest.raises(ValueError, match=r"`X` must have 2 column\(s\), got 1"):
        jacobian_product(model, X[:, :1])
    with pytest.raises(ValueError, match="NaN"):
        jacobian_product(model, np.full((3, 2), np.nan))


# ----------------------------------------------------------- gradient_norm_by_lag


@pytest.mark.parametrize("cell", GATES)
def test_norms_are_those_of_the_products(cell):
    model = Plugged([(cell, draw_weights(np.random.RandomState(2), cell, 2, 6), None, None)])
    X = series(12)
    products = [jacobian_product(model, X, 12 - lag, 12) for lag in range(9)]
    expected = [np.linalg.norm(product, 2) for product in products]
    assert_allclose(gradient_norm_by_lag(model, X, 8), expected, rtol=1e-11)
    g = np.random.RandomState(3).standard_normal(len(products[0]))
    expected = [np.linalg.norm(product.T @ g) for product in products]
    assert_allclose(gradient_norm_by_lag(model, X, 8, gradient=g), expected, rtol=1e-11)


def test_norm_is_that_of_the_gradient_of_a_loss():
    X, y, weights, h0 = reference_case("cross_entropy", "last")
    _, gradients, trace = bptt_reference(X, y, weights, h0=h0, output="last")
    at_end = weights["out.W"].T @ (trace["output"][-1] - np.eye(4)[y])
    model = Plugged([("rnn", weights, None, None)])
    norms = gradient_norm_by_lag(model, X, gradient=at_end, initial_state=h0)
    assert_allclose(norms[-1], np.linalg.norm(gradients["h0"]), rtol=1e-12)


@pytest.mark.parametrize(("factor", "end"), [(3.0, np.inf), (0.1, 0.0)])
def test_norms_that_leave_the_floats(factor, end):
    X = np.zeros((1000, 1))
    model = ReservoirTransformer(
        2, topology=factor * np.eye(2), spectral_radius=None, bias_scaling=0, activation="identity"
    ).fit(X)
    norms = gradient_norm_by_lag(model, X)
    assert_allclose(norms[:200], factor ** np.arange(200.0), rtol=1e-12)
    assert norms[-1] == end


def test_norm_after_no_way_back_is_zero():
    X = np.zeros((10, 1))
    nilpotent = ReservoirTransformer(
        3, topology=np.eye(3, k=1), spectral_radius=None, activation="identity"
    ).fit(X)
    assert_allclose(gradient_norm_by_lag(nilpotent, X, 5), [1, 1, 1, 0, 0, 0])


def test_bad_lags_and_gradients_are_refused():
    X = series()
    model = ReservoirTransformer(20, random_state=0).fit(X)
    with pytest.raises(ValueError, match="'max_lag' parameter of gradient_norm_by_lag"):
        gradient_norm_by_lag(model, X, 41)
    with pytest.raises(ValueError, match=r"`gradient` must have shape \(20,\), got \(2,\)"):
        gradient_norm_by_lag(model, X, gradient=[1.0, 2.0])
