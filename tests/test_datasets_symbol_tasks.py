"""Tasks over many short sequences against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import oracles_trees
from echocast.datasets import (
    adding_problem,
    copy_task,
    logic_expressions,
    repeat_copy_task,
    reversal_task,
)
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


@pytest.mark.parametrize(("task", "step"), [(copy_task, 1), (reversal_task, -1)])
@given(seed=st.integers(0, 2**32 - 1), low=st.integers(1, 5), more=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_bits_are_due_after_the_mark(task, step, seed, low, more):
    X, y, weights = task(6, (low, low + more), n_bits=3, random_state=seed)
    assert len(X) == len(y) == len(weights) == 6
    for x, target, weight in zip(X, y, weights):
        size = len(x) // 2
        assert low <= size <= low + more
        assert x.shape == (2 * size + 1, 4)
        assert_array_equal(np.flatnonzero(x[:, 3]), [size])
        assert not x[size:, :3].any()
        assert not target[: size + 1].any()
        assert_array_equal(target[size + 1 :], x[:size, :3][::step])
        assert_array_equal(weight, [0] * (size + 1) + [1] * size)


def test_lengths_and_bits_are_evenly_spread():
    X, _, _ = copy_task(4000, (1, 4), n_bits=2, random_state=0)
    sizes = np.bincount([len(x) // 2 for x in X], minlength=5)
    assert sizes[0] == 0
    assert np.abs(sizes[1:] / 4000 - 0.25).max() < 0.03  # four standard errors
    bits = np.concatenate([x[: len(x) // 2, :2] for x in X])
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02


@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_repeat_copy_counts(seed, most):
    X, y, weights = repeat_copy_task(5, (1, 3), (1, most), n_bits=2, random_state=seed)
    possible = np.arange(1, most + 1)
    for x, target, weight in zip(X, y, weights):
        size = int(np.flatnonzero(x[:, 2])[0])
        count = (len(x) - size - 2) // size
        shown = x[size, 3]
        if most > 1:
            assert abs(shown * possible.std() + possible.mean() - count) < 1e-12
        else:
            assert shown == 1
        assert not np.delete(x[:, 3], size).any()
        assert_array_equal(target[size + 1 : -1, :2], np.tile(x[:size, :2], (count, 1)))
        assert_array_equal(np.flatnonzero(target[:, 2]), [len(x) - 1])
        assert not target[-1, :2].any()
        assert_array_equal(weight, np.arange(len(x)) > size)


def depth_of(expression):
    if isinstance(expression, str):
        return 0
    return 1 + max(depth_of(operand) for operand in expression[1:])


@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_expressions_have_their_depth_and_value(seed, depth):
    X, y = logic_expressions(4, depth, random_state=seed)
    assert y.dtype == bool
    for expression, value in zip(X, y):
        assert depth_of(expression) == depth
        assert oracles_trees.value_of(expression) == value


def test_expressions_are_balanced():
    X, y = logic_expressions(4000, (1, 3), negation=0.5, random_state=0)
    assert abs(y.mean() - 0.5) < 0.04
    tops = [expression[0] for expression in X]
    assert abs(tops.count("not") / 4000 - 0.5) < 0.04
    assert abs(tops.count("and") - tops.count("or")) < 200
    assert not any("not" in str(e) for e in logic_expressions(50, 3, negation=0.0)[0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: copy_task(3, (1, 5), random_state=seed),
        lambda seed: reversal_task(3, (1, 5), random_state=seed),
        lambda seed: repeat_copy_task(3, (1, 5), (1, 3), random_state=seed),
        lambda seed: logic_expressions(30, 3, random_state=seed),
    ],
)
def test_tasks_follow_their_seed(draw):
    assert repr(draw(3)) == repr(draw(3)) == repr(draw(np.random.RandomState(3)))
    assert repr(draw(3)) != repr(draw(4))
    assert repr(draw(None)) != repr(draw(None))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: copy_task(0, 3), "n_sequences"),
        (lambda: copy_task(3, 0), "length"),
        (lambda: copy_task(3, (4, 3)), "length"),
        (lambda: copy_task(3, (1, 2, 3)), "length"),
        (lambda: copy_task(3, 2.5), "length"),
        (lambda: copy_task(3, 2, n_bits=0), "n_bits"),
        (lambda: reversal_task(3, True), "length"),
        (lambda: repeat_copy_task(3, 2, 0), "n_repeats"),
        (lambda: logic_expressions(3, -1), "depth"),
        (lambda: logic_expressions(3, 2, negation=1.5), "negation"),
        (lambda: logic_expressions(0, 2), "n_expressions"),
    ],
)
def test_tasks_refuse_sizes(call, name):
    with pytest.raises(InvalidParameterError, match=name):
        call()
