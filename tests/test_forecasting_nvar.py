"""NVARForecaster against NVARRegressor's own loop and a hand-rolled one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from echocast.datasets import henon, lorenz63
from echocast.exceptions import InvalidParameterError
from echocast.forecasting import MarkovForecaster, NVARForecaster
from echocast.reservoir import NVARRegressor

U = lorenz63(900)


@pytest.mark.parametrize("increments", [True, False])
@pytest.mark.parametrize(("delays", "stride", "degree"), [(1, 1, (2, 3)), (2, 3, 2), (3, 2, 1)])
def test_equals_the_regressors_own_loop(increments, delays, stride, degree):
    params = {"alpha": 1e-2, "increments": increments}
    model = NVARForecaster(delays, stride, degree, transforms=[], **params).fit(U[:800])
    net = NVARRegressor(delays, stride, degree, **params).fit(U[:799], U[1:800])
    assert_allclose(model.predict(30), net.generate(30), rtol=1e-6)
    one_step = net.predict(U[:799])[(delays - 1) * stride :]
    assert_allclose(model.fitted_values(U[:800])[1 + (delays - 1) * stride :], one_step, rtol=1e-9)


def test_equals_a_loop_by_hand():
    y = np.random.RandomState(0).randn(60).cumsum() / 5
    model = NVARForecaster(2, 2, 2, alpha=0.3, transforms=[]).fit(y)
    t = np.arange(3, 60)
    a, b = y[t - 1], y[t - 3]
    features = np.column_stack([a, b, a * a, a * b, b * b])
    centre, goal = features.mean(axis=0), y[t] - a
    gram = (features - centre).T @ (features - centre) + 0.3 * np.eye(5)
    coef = np.linalg.solve(gram, (features - centre).T @ (goal - goal.mean()))
    past = list(y)
    for _ in range(3):
        a, b = past[-1], past[-3]
        row = np.array([a, b, a * a, a * b, b * b])
        past.append(a + goal.mean() + coef @ (row - centre))
    assert_allclose(model.predict(3), past[-3:], rtol=1e-9)


def test_learns_an_equation_and_keeps_to_it():
    u = henon(330)
    model = NVARForecaster(1, alpha=1e-10, transforms=["standardize"]).fit(u[:300])
    assert np.abs(model.predict(12) - u[300:312]).max() < 1e-3
    assert model.score(u[300:312]) < 1e-3 * MarkovForecaster(5).fit(u[:300]).score(u[300:312])
    assert np.abs(model.predict(30)).max() <= 3 * np.abs(u).max()


def test_known_columns_enter_the_products():
    rng = np.random.RandomState(0)
    x, y = rng.randn(300, 1), np.zeros(300)
    for t in range(1, 300):
        y[t] = 0.5 * y[t - 1] * x[t, 0] + 0.1 * x[t, 0]
    params = {"alpha": 1e-8, "transforms": [], "delays": 1}
    model = NVARForecaster(**params).fit(y[:280], x[:280])
    assert_allclose(model.predict(20, x[280:]), y[280:], atol=1e-6)
    linear = NVARForecaster(**params, degree=1).fit(y[:280], x[:280])
    assert np.abs(linear.predict(20, x[280:]) - y[280:]).max() > 1e-2


def test_attributes():
    model = NVARForecaster(3, 4).fit(U[:500])
    assert model.lags_ == (1, 5, 9)
    assert isinstance(model.regressor_, NVARRegressor)
    assert model.alpha_ == model.regressor_.alpha_
    assert model.regressor_.coef_.shape == (3, 9 + 45)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"delays": 0}, "'delays' parameter of NVARForecaster"),
        ({"stride": 0}, "'stride' parameter of NVARForecaster"),
        ({"degree": 0}, "'degree'"),
        ({"increments": 1}, "'increments'"),
        ({"fit_intercept": "penalised"}, "'fit_intercept'"),
        ({"alpha": -1}, "'alpha'"),
    ],
)
def test_forbidden_parameters(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        NVARForecaster(**params).fit(U[:100])


def test_too_many_products_are_refused():
    with pytest.raises(ValueError, match="features, more than"):
        NVARForecaster(30, degree=3).fit(U[:500])
