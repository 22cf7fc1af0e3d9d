import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import oracles_ridge as oracle
from echocast.reservoir._factor import RidgeFactor, RowBuffer
from echocast.reservoir._readout import solve_factor

METHODS = ["qr", "gram"]
seeds = st.integers(0, 2**32 - 1)


def rows(seed, n, p=6, d=2):
    rng = np.random.default_rng(seed)
    S = rng.normal(size=(n, p)) + 10.0 * rng.normal(size=p)
    Y = S[:, :d] + rng.normal(size=(n, d)) + 3.0
    return S, Y, rng.uniform(0.1, 2.0, size=n)


def solved(factor, alpha=0.5, **options):
    fit = solve_factor(factor, alpha=alpha, **options)
    return np.column_stack([fit.coef, fit.intercept])


def expected(S, Y, weight=None, alpha=0.5, **options):
    return np.column_stack(oracle.ridge(S, Y, alpha, weight, **options))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@given(seed=seeds, n=st.integers(1, 700), p=st.integers(1, 8), weighted=st.booleans())
@settings(max_examples=25, deadline=None)
def test_solutions_equal_the_oracle(method, fit_intercept, seed, n, p, weighted):
    S, Y, weight = rows(seed, n, p, 1)
    weight = weight if weighted else None
    factor = RidgeFactor(p, 1, method=method).update(S, Y, weight)
    assert_allclose(
        solved(factor, fit_intercept=fit_intercept),
        expected(S, Y, weight, fit_intercept=fit_intercept),
        rtol=1e-9,
        atol=1e-9,
    )
    assert factor.n_samples == n
    assert_allclose(factor.sum_weights, n if weight is None else weight.sum())


@pytest.mark.parametrize("method", METHODS)
@given(cuts=st.lists(st.integers(0, 9000), max_size=6))
@settings(max_examples=15, deadline=None)
def test_how_rows_arrive_changes_no_bit(method, cuts):
    S, Y, weight = rows(0, 9000, 3, 1)
    whole = RidgeFactor(3, 1, method=method).update(S, Y, weight)
    parts = RidgeFactor(3, 1, method=method)
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 9000]):
        parts.update(S[start:stop], Y[start:stop], weight[start:stop])
    assert_array_equal(solved(parts), solved(whole))


@pytest.mark.parametrize("method", METHODS)
def test_solving_copying_and_pickling_on_the_way_change_no_bit(method):
    S, Y, weight = rows(1, 9000, 3, 1)
    whole = RidgeFactor(3, 1, method=method).update(S, Y, weight)
    factor = RidgeFactor(3, 1, method=method)
    for start in range(0, 9000, 700):
        part = slice(start, start + 700)
        old = factor
        factor = pickle.loads(pickle.dumps(factor)).copy()
        factor.update(S[part], Y[part], weight[part])
        solved(factor)
        assert old.n_samples == start
    assert_array_equal(solved(factor), solved(whole))


@pytest.mark.parametrize("method", METHODS)
@given(seed=seeds, n=st.lists(st.integers(0, 300), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_merging_is_associative_and_equals_the_whole(method, seed, n):
    if sum(n) == 0:
        n = [1, 0, 0]
    S, Y, weight = rows(seed, sum(n))
    parts = []
    for start, stop in zip(np.cumsum([0, *n]), np.cumsum(n)):
        part = RidgeFactor(6, 2, method=method)
        parts.append(part.update(S[start:stop], Y[start:stop], weight[start:stop]))
    a, b, c = parts
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    assert left.n_samples == right.n_samples == sum(n)
    assert [part.n_samples for part in parts] == n
    # At most 1e3 in condition (offset of the shifts included), and twice that for Gram sums.
    assert_allclose(solved(left), solved(right), rtol=1e-9, atol=1e-9)
    assert_allclose(solved(left), expected(S, Y, weight), rtol=1e-9, atol=1e-9)
    assert_array_equal(solved(a.merge(b).merge(c)), solved(left))


@pytest.mark.parametrize("method", METHODS)
def test_merging_parts_with_far_apart_means(method):
    S, Y, _ = rows(2, 200)
    S[100:] += 1e4
    a = RidgeFactor(6, 2, method=method).update(S[:100], Y[:100])
    b = RidgeFactor(6, 2, method=method).update(S[100:], Y[100:])
    # Relative rounding of the shift, 1e4 times EPS, squared by the Gram matrix.
    tolerance = 1e-9 if method == "qr" else 1e-5
    assert_allclose(solved(a.merge(b)), expected(S, Y), rtol=tolerance, atol=tolerance)


def test_a_merged_factor_goes_on_taking_rows():
    S, Y, _ = rows(3, 300)
    factor = RidgeFactor(6, 2).update(S[:100], Y[:100])
    factor = factor.merge(RidgeFactor(6, 2).update(S[100:200], Y[100:200]))
    assert_allclose(solved(factor.update(S[200:], Y[200:])), expected(S, Y), rtol=1e-11)


def test_only_alike_factors_merge():
    with pytest.raises(ValueError, match="one kind"):
        RidgeFactor(2, 1).merge(RidgeFactor(2, 1, method="gram"))
    with pytest.raises(ValueError, match="one kind"):
        RidgeFactor(2, 1).merge(RidgeFactor(3, 1))


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_weight_zero_leave_no_trace(method):
    S, Y, weight = rows(4, 500)
    weight[::3] = 0.0
    kept = weight > 0
    all_rows = RidgeFactor(6, 2, method=method)
    S_bad, Y_bad = S.copy(), Y.copy()
    S_bad[~kept], Y_bad[~kept] = 1e300, np.nan
    all_rows.update(S_bad, Y_bad, weight)
    few_rows = RidgeFactor(6, 2, method=method).update(S[kept], Y[kept], weight[kept])
    assert all_rows.n_samples == kept.sum()
    assert_array_equal(solved(all_rows), solved(few_rows))


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_repetitions(method):
    S, Y, _ = rows(5, 60)
    times = np.arange(60) % 4
    weighted = RidgeFactor(6, 2, method=method).update(S, Y, times)
    repeated = RidgeFactor(6, 2, method=method).update(S.repeat(times, 0), Y.repeat(times, 0))
    assert_allclose(solved(weighted), solved(repeated), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_states_in_float32_are_summed_in_float64(method):
    S, Y, _ = rows(6, 400)
    S, Y = S.astype(np.float32), Y.astype(np.float32)
    narrow = RidgeFactor(6, 2, method=method, dtype=np.float32).update(S, Y)
    wide = RidgeFactor(6, 2, method=method).update(S.astype(float), Y.astype(float))
    assert_array_equal(solved(narrow), solved(wide))


def test_the_caller_s_arrays_are_copied():
    S, Y, weight = rows(7, 5000, 3, 1)
    before = S.copy(), Y.copy(), weight.copy()
    for array in (S, Y, weight):
        array.flags.writeable = False
    RidgeFactor(3, 1).update(S, Y, weight)
    for array, old in zip((S, Y, weight), before):
        assert_array_equal(array, old)
    view = S.copy()
    factor = RidgeFactor(3, 1).update(view, Y)
    view[:] = 0.0
    assert_array_equal(solved(factor), solved(RidgeFactor(3, 1).update(S, Y)))


@pytest.mark.parametrize("method", METHODS)
def test_memory_does_not_grow_with_the_rows(method):
    S, Y, _ = rows(8, 3000, 20, 1)
    factor = RidgeFactor(20, 1, method=method)
    for _ in range(3):
        factor.update(S, Y)
    tracemalloc.start()
    for _ in range(20):
        factor.update(S, Y)
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 5e3
    assert peak < 1.5e6  # one block with its temporaries; all rows would be 10 MB


def test_a_ragged_buffer_keeps_its_rows_in_order():
    buffer = RowBuffer(1, 1)
    n = buffer.height
    S = np.arange(2.5 * n)[:, None]
    blocks = [block.copy() for block in buffer.push(S, -S)]
    assert [len(block) for block in blocks] == [n, n]
    stacked = np.concatenate([*blocks, buffer.pending()])
    assert_array_equal(stacked, np.column_stack([np.ones(len(S)), S, -S]))


@pytest.mark.parametrize(
    ("S", "Y", "weight", "message"),
    [
        (np.ones((3, 3)), np.ones(3), None, r"\(n_rows, 2\)"),
        (np.ones((3, 2)), np.ones((2, 1)), None, r"\(n_rows, 1\)"),
        (np.ones((3, 2)), np.ones(3), np.ones(2), "sample_weight"),
        (np.ones((3, 2)), np.ones(3), [1.0, -1.0, 1.0], "not negative"),
        (np.ones((3, 2)), np.ones(3), [1.0, np.nan, 1.0], "finite"),
    ],
)
def test_wrong_rows_are_refused(S, Y, weight, message):
    with pytest.raises(ValueError, match=message):
        RidgeFactor(2, 1).update(S, Y, weight)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("value", "message"),
    [(1e200, r"up to 1e\+200 in readout feature 1 overflow"), (np.nan, "NaN"), (-np.inf, "infin")],
)
def test_overflow_is_named(method, value, message):
    S, Y, _ = rows(9, 50)
    S[7, 1] = value
    with pytest.raises(ValueError, match=message):
        solve_factor(RidgeFactor(6, 2, method=method).update(S, Y), alpha=1.0)
    S[7, 1], Y[3, 1] = 0.0, value
    with pytest.raises(ValueError, match="target 1"):
        solve_factor(RidgeFactor(6, 2, method=method).update(S, Y), alpha=1.0)


def test_no_rows_is_an_error():
    factor = RidgeFactor(2, 1).update(np.empty((0, 2)), np.empty(0))
    with pytest.raises(ValueError, match="no rows of positive weight"):
        solve_factor(factor, alpha=1.0)
    factor.update(np.ones((5, 2)), np.ones(5), np.zeros(5))
    with pytest.raises(ValueError, match="no rows of positive weight"):
        solve_factor(factor, alpha=1.0)
