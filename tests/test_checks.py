"""Argument checks: what passes unchanged, what is refused, and in which words."""

from fractions import Fraction

import numpy as np
import pytest

from echocast._checks import (
    check_degree,
    check_generator,
    check_jobs,
    check_number,
    check_option,
    check_solver,
    refuse,
)
from echocast.exceptions import InvalidParameterError


@pytest.mark.parametrize("value", [0, 1.5, np.float32(2.0), np.int64(3), Fraction(1, 3)])
def test_check_number_returns_the_very_object(value):
    assert check_number("alpha", value, "ESNRegressor", low=0) is value


@pytest.mark.parametrize(
    "value", [-1, np.nan, np.inf, "1", None, True, np.True_, 1j, [1], np.array(1.0)]
)
def test_check_number_refuses(value):
    with pytest.raises(InvalidParameterError, match="'alpha' parameter of ESNRegressor"):
        check_number("alpha", value, "ESNRegressor", low=0)


@pytest.mark.parametrize(
    ("closed", "passes"),
    [("both", {0, 1}), ("left", {0}), ("right", {1}), ("neither", set())],
)
def test_check_number_closes_the_sides_it_says(closed, passes):
    for end in (0, 1):
        if end in passes:
            assert check_number("p", end, "owner", low=0, high=1, closed=closed) == end
        else:
            with pytest.raises(InvalidParameterError):
                check_number("p", end, "owner", low=0, high=1, closed=closed)


def test_check_number_counts_need_whole_numbers():
    assert check_number("n_units", np.int32(3), "owner", low=1, integer=True) == 3
    with pytest.raises(InvalidParameterError, match="must be an int in the range"):
        check_number("n_units", 3.0, "owner", low=1, integer=True)


def test_check_number_takes_ints_of_any_length():
    assert check_number("seed", 10**400, "owner", low=0, integer=True) == 10**400
    with pytest.raises(InvalidParameterError):
        check_number("seed", 10**400, "owner", low=0, high=9, integer=True)


def test_check_number_also_accepts_the_named_exceptions():
    assert check_number("alpha", "auto", "owner", low=0, also=("auto", None)) == "auto"
    assert check_number("alpha", None, "owner", low=0, also=("auto", None)) is None
    with pytest.raises(InvalidParameterError, match="or 'auto' or None"):
        check_number("alpha", "automatic", "owner", low=0, also=("auto", None))


def test_wording_follows_scikit_learn():
    expected = (
        "The 'alpha' parameter of ESN must be a float in the range [0.0, inf). Got -1 instead."
    )
    with pytest.raises(InvalidParameterError) as caught:
        check_number("alpha", -1, "ESN", low=0)
    assert str(caught.value) == expected
    with pytest.raises(InvalidParameterError) as caught:
        check_number("leak_rate", 1.5, "ESN", low=0, high=1, closed="right")
    assert str(caught.value).endswith("must be a float in the range (0.0, 1.0]. Got 1.5 instead.")


def test_refuse_never_prints_a_whole_array():
    with pytest.raises(InvalidParameterError) as caught:
        refuse("topology", "ESNRegressor", "a str", list(range(10_000)))
    assert len(str(caught.value)) < 200


def test_check_option():
    assert check_option("solver", "qr", "owner", ("auto", "qr")) == "qr"
    with pytest.raises(InvalidParameterError, match=r"a str among \{'auto', 'qr'\}. Got 'lu'"):
        check_option("solver", "lu", "owner", ("qr", "auto"))
    with pytest.raises(InvalidParameterError):
        check_option("solver", None, "owner", ("qr", "auto"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: 7,
        lambda: np.int64(7),
        lambda: np.random.RandomState(7),
        lambda: np.random.default_rng(7),
        lambda: np.random.SeedSequence(7),
    ],
    ids=["int", "int64", "RandomState", "Generator", "SeedSequence"],
)
def test_check_generator_repeats_itself(make):
    first, second = check_generator(make()), check_generator(make())
    assert isinstance(first, np.random.RandomState)
    assert first.standard_normal(5).tolist() == second.standard_normal(5).tolist()


def test_check_generator_draws_from_what_it_was_given():
    given = np.random.RandomState(3)
    assert check_generator(given) is given
    generator = np.random.default_rng(3)
    before = generator.bit_generator.state
    check_generator(generator).standard_normal(100)
    assert generator.bit_generator.state != before


def test_check_generator_without_a_seed_leaves_the_global_stream_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = check_generator(None), check_generator(None)
    assert first.standard_normal() != second.standard_normal()
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("value", ["a", 1.5, -1, 2**32, True, [1, 2]])
def test_check_generator_refuses(value):
    with pytest.raises(ValueError, match="cannot be used to seed"):
        check_generator(value)


def test_jobs_degrees_and_solvers():
    for fine in (None, -1, 1, 4, np.int64(2)):
        check_jobs(fine, "owner")
    with pytest.raises(InvalidParameterError, match=r"must be None, -1 or an int >= 1\. Got 0"):
        check_jobs(0, "owner")
    with pytest.raises(InvalidParameterError, match="must be an int"):
        check_jobs(1.5, "owner")
    assert check_degree(2, "owner") == [2]
    assert check_degree((3, 1), "owner") == [3, 1]
    for bad in (0, "x", [], [1, True], 2.0, None):
        with pytest.raises(InvalidParameterError, match="'degree' parameter of owner must be an"):
            check_degree(bad, "owner")
    with pytest.raises(InvalidParameterError, match="'solver' parameter of owner"):
        check_solver("lu", "owner")
