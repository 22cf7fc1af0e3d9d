"""Tasks over many short sequences against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from echocast.datasets import adding_problem
from echocast.exceptions import InvalidParameterError


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 20), n_steps=st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_adding_problem_is_the_sum_of_the_marked_numbers(seed, n, n_steps):
    X, y = adding_problem(n, n_steps, random_state=seed)
    assert X.shape == (n, n_steps, 2)
    assert y.shape == (n,)
    numbers, marks = X[:, :, 0], X[:, :, 1]
    assert (numbers >= 0).all()
    assert (numbers < 1).all()
    for i in range(n):
        a, b = np.flatnonzero(marks[i])  # exactly two
        assert a < n_steps // 2 <= b
        assert y[i] == numbers[i, a] + numbers[i, b]
        assert marks[i, a] == marks[i, b] == 1


def test_adding_problem_has_the_variance_of_two_uniform_numbers():
    _, y = adding_problem(20000, 30, random_state=0)
    assert abs(y.mean() - 1) < 0.01  # three standard errors are 0.009
    assert abs(y.var() - 1 / 6) < 0.004  # three standard errors are 0.003


def test_marks_of_the_adding_problem_are_uniform_within_their_halves():
    X, _ = adding_problem(20000, 7, random_state=1)
    share = X[:, :, 1].mean(axis=0)
    wanted = np.repeat([1 / 3, 1 / 4], [3, 4])
    assert np.abs(share - wanted).max() < 0.014  # four standard errors


def test_adding_problem_follows_its_seed():
    first, again = (adding_problem(5, 9, random_state=3) for _ in range(2))
    assert_array_equal(first[0], again[0])
    assert_array_equal(first[1], again[1])
    assert np.abs(first[0] - adding_problem(5, 9, random_state=4)[0]).max() > 0.1
    assert np.abs(adding_problem(5, 9)[0] - adding_problem(5, 9)[0]).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 10), "n_sequences"),
        ((2.5, 10), "n_sequences"),
        ((3, 1), "n_steps"),
        ((3, "4"), "n_steps"),
    ],
)
def test_adding_problem_refuses_sizes(arguments, name):
    with pytest.raises(InvalidParameterError, match=name):
        adding_problem(*arguments)
