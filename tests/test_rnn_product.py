import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from echocast._jit import kernel
from echocast.reservoir.rnn import _kernels_product
from echocast.reservoir.rnn._kernels_product import (
    add_product_t,
    lanes,
    pack_columns,
    pack_rows,
    padded,
    product,
)
from echocast.reservoir.rnn._nodes import shard_bounds


@kernel
def compiled_product(a, panels, c):
    product(a, panels, c)


@kernel
def compiled_add_product_t(a, b, c):
    add_product_t(a, b, c)


def room(n_rows, n_columns, dtype):
    """An array with whole panels of columns, and more columns beside them that nobody may touch."""
    whole = padded(n_columns, dtype)
    return np.full((n_rows, whole + 3), 7, dtype)[:, :whole]


def panels_of(matrix):
    width = lanes(matrix.dtype)
    panels = np.full((padded(len(matrix), matrix.dtype) // width, matrix.shape[1], width), np.nan)
    panels = panels.astype(matrix.dtype)
    pack_rows(matrix, panels, 0)
    return panels


sizes = st.integers(1, 40)


@given(st.integers(0, 10_000), sizes, sizes, st.integers(1, 70))
@settings(deadline=None, max_examples=50)
def test_products_equal_numpy(seed, m, k, n):
    rng = np.random.RandomState(seed)
    wide = rng.randn(m, k + 2)
    a, B = wide[:, 1:-1], rng.randn(n, k)
    c = room(m, n, np.float64)
    compiled_product(a, panels_of(B), c)
    assert_allclose(c[:, :n], a @ B.T, rtol=1e-13, atol=1e-13)
    assert_array_equal(c[:, n:], 0.0)
    assert_array_equal(c.base[:, c.shape[1] :], 7.0)
    b, total = room(m, n, np.float64), room(k, n, np.float64)
    b[:] = rng.randn(*b.shape)
    compiled_add_product_t(a, b, total)
    assert_allclose(total, 7.0 + a.T @ b, rtol=1e-13, atol=1e-13)
    assert_array_equal(total.base[:, total.shape[1] :], 7.0)


def test_products_in_single_precision():
    rng = np.random.RandomState(0)
    a, B = rng.randn(13, 21).astype(np.float32), rng.randn(45, 21).astype(np.float32)
    c = room(13, 45, np.float32)
    compiled_product(a, panels_of(B), c)
    assert_allclose(c[:, :45], a @ B.T, atol=1e-5)
    total = room(21, 45, np.float32)
    compiled_add_product_t(a, c, total)
    assert_allclose(total, 7 + a.T @ c, rtol=1e-5, atol=1e-4)


def test_a_row_has_the_same_bits_whatever_comes_with_it():
    rng = np.random.RandomState(1)
    a, panels = rng.randn(23, 30), panels_of(rng.randn(20, 30))
    together = room(23, 20, np.float64)
    compiled_product(a, panels, together)
    for m in range(1, 23):
        alone = room(m, 20, np.float64)
        compiled_product(a[23 - m :], panels, alone)
        assert_array_equal(alone, together[23 - m :])


def test_both_ways_of_packing_agree_and_fill_up_with_zeros():
    matrix = np.random.RandomState(2).randn(lanes(np.float64) + 3, 5)
    panels = np.full((2, 7, lanes(np.float64)), np.nan)
    pack_rows(matrix, panels, 1)
    other = np.full_like(panels, np.nan)
    pack_columns(np.ascontiguousarray(matrix.T), other, 1)
    assert_array_equal(panels, other)
    assert_array_equal(np.isnan(panels[:, [0, 6]]), True)
    assert_array_equal(panels[1, 1:6, 3:], 0.0)
    assert_array_equal(np.concatenate(list(panels[:, 1:6]), axis=1)[:, : len(matrix)], matrix.T)


def test_python_code_equals_what_is_compiled():
    rng = np.random.RandomState(3)
    a, panels = rng.randn(6, 5), panels_of(rng.randn(20, 5))
    c, expected = room(6, 20, np.float64), room(6, 20, np.float64)
    product(a, panels, c)
    compiled_product(a, panels, expected)
    assert_allclose(c, expected, rtol=1e-14, atol=1e-14)
    total, expected = room(5, 20, np.float64), room(5, 20, np.float64)
    add_product_t(a, c, total)
    compiled_add_product_t(a, c, expected)
    assert_allclose(total, expected, rtol=1e-13)


OTHER_MACHINE = """
import numpy as np
from llvmlite import binding
features = binding.get_host_cpu_features()
features["avx512f"] = not features.get("avx512f", False)
binding.get_host_cpu_features = lambda: features
import oracles_rnn
from rnn_cases import problem, run
arguments = problem(0, "gru", 5, 11, 2, 19)[:4]
expected = oracles_rnn.recurrent_layer("gru", *arguments)[0]
print(np.abs(run("gru", *arguments)[0] - expected).max() < 1e-13)
"""


@pytest.mark.parametrize("setting", ["ECHOCAST_CACHE=0", "NUMBA_DISABLE_JIT=1"])
def test_layers_with_tiles_of_another_size_and_without_compilation(setting):
    name, value = setting.split("=")
    helpers = os.path.join(os.path.dirname(__file__), "helpers")
    done = subprocess.run(
        [sys.executable, "-c", OTHER_MACHINE],
        env=os.environ | {name: value, "PYTHONPATH": helpers},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True"


def test_names_of_both_tile_sizes():
    assert _kernels_product._TILE in (4, 8)
    assert padded(1, np.float32) == lanes(np.float32) == 2 * lanes(np.float64)


@given(st.integers(1, 500), st.integers(1, 10**6), st.integers(1, 1000))
def test_shards_cover_a_batch_and_are_not_small(n_sequences, work, n_steps):
    bounds = shard_bounds(n_sequences, work, n_steps)
    starts, stops = zip(*bounds)
    assert starts == (0, *stops[:-1])
    assert stops[-1] == n_sequences
    assert len(bounds) <= 8
    if len(bounds) > 1:
        assert stops[0] >= 16
        assert len(bounds) * 12_500_000 <= n_sequences * work * n_steps
