"""`deterministic=True`: the same bits for any number of threads of BLAS."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_info, threadpool_limits

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import DeepESNRegressor, ESNRegressor, _blas
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


def test_the_limit_comes_back_when_threads_leave_in_the_order_they_came():
    steps = [threading.Event() for _ in range(4)]

    def first():
        with one_blas_thread():
            steps[0].set()
            steps[1].wait(60)
        steps[2].set()
        steps[3].wait(60)  # and lives on

    with threadpool_limits(2):
        threading.Thread(target=first, daemon=True).start()
        assert steps[0].wait(60)
        with one_blas_thread():
            steps[1].set()
            assert steps[2].wait(60)
            assert blas_threads() == {1}
        assert blas_threads() == {2}
        steps[3].set()


def test_the_limit_comes_back_after_an_interrupt_at_any_line():
    with one_blas_thread():
        pass  # looks for the libraries

    def run(stop_at):
        """Raise at so many lines of the module; say whether there were as many."""
        n_lines = 0

        def trace(frame, event, argument):
            nonlocal n_lines
            if frame.f_code.co_filename != _blas.__file__:
                return None
            text = lines[frame.f_lineno - 1].strip()
            # Python looks for signals when calls end and functions start, and here they do not.
            if event == "line" and not text.startswith(("with ", "try:", "finally:")):
                n_lines += 1
                if n_lines == stop_at:
                    raise KeyboardInterrupt
            return trace

        former = sys.gettrace()
        sys.settrace(trace)
        try:
            with one_blas_thread():
                pass
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(former)
        return n_lines >= stop_at

    lines = Path(_blas.__file__).read_text().splitlines()
    stop_at = 1
    with threadpool_limits(2):
        while run(stop_at):
            assert blas_threads() == {2}, stop_at
            with one_blas_thread():
                assert blas_threads() == {1}, stop_at
            assert blas_threads() == {2}, stop_at
            stop_at += 1
    assert stop_at > 20


def test_what_is_no_flag_is_refused():
    with pytest.raises(InvalidParameterError, match="'deterministic' parameter of ESNRegressor"):
        ESNRegressor(deterministic="yes").fit(U, U[:, 0])
