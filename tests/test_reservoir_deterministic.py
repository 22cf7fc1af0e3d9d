"""`deterministic=True`: the same bits for any number of threads of BLAS."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_info, threadpool_limits

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import DeepESNRegressor, ESNRegressor
from echocast.reservoir._blas import determinate, one_blas_thread

U = np.random.RandomState(0).standard_normal((2000, 3))
MODELS = [
    lambda **params: ESNRegressor(150, random_state=0, **params),
    lambda **params: ESNRegressor(150, alpha="auto", random_state=0, **params),
    lambda **params: DeepESNRegressor(n_layers=2, n_units=80, random_state=0, **params),
]


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("make", MODELS)
def test_threads_change_no_bit(make):
    found = []
    for n_threads in (1, 2, 4):
        with threadpool_limits(n_threads):
            model = make(deterministic=True).fit(U, U[:, 0])
            model.partial_fit(U[:300], U[:300, 0])
            found.append((model.coef_, model.predict(U), model.transform(U[:50])))
    for others in found[1:]:
        for one, other in zip(found[0], others):
            assert_array_equal(one, other)


@pytest.mark.parametrize("make", MODELS)
def test_one_thread_computes_and_the_limit_comes_back(make, monkeypatch):
    seen = []
    kind = type(make())
    solve = kind._solve
    monkeypatch.setattr(
        kind, "_solve", lambda self, rows: (seen.append(blas_threads()), solve(self, rows))[1]
    )
    with threadpool_limits(2):
        make(deterministic=True).fit(U[:200], U[:200, 0])
        assert blas_threads() == {2}
        make().fit(U[:200], U[:200, 0])
    assert seen == [{1}, {2}]


def test_the_limit_comes_back_after_an_error():
    with threadpool_limits(2):
        with pytest.raises(ZeroDivisionError), determinate(ESNRegressor(deterministic=True)):
            1 / 0  # noqa: B018
        with one_blas_thread(), one_blas_thread():
            pass
        assert blas_threads() == {2}


def test_what_is_no_flag_is_refused():
    with pytest.raises(InvalidParameterError, match="'deterministic' parameter of ESNRegressor"):
        ESNRegressor(deterministic="yes").fit(U, U[:, 0])
