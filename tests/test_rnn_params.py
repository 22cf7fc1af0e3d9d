"""Named views of one parameter vector."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from echocast.reservoir.rnn._params import ParamLayout, is_weight

SHAPES = {
    "layers.0.W_in": (6, 3),
    "layers.0.W": (6, 2),
    "layers.0.b": (6,),
    "layers.0.h0": (1, 2),
    "out.W": (1, 2),
    "out.b": (1,),
}


@pytest.fixture
def layout():
    return ParamLayout(SHAPES)


def test_the_arrays_lie_one_after_the_other(layout):
    theta = np.arange(float(layout.size))
    views = layout.views(theta)
    assert layout.names == tuple(SHAPES)
    assert tuple(views) == tuple(SHAPES)
    assert {name: view.shape for name, view in views.items()} == SHAPES
    assert_array_equal(np.concatenate([view.ravel() for view in views.values()]), theta)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_views_share_the_memory_of_the_vector(layout, dtype):
    theta = np.zeros(layout.size, dtype=dtype)
    for name, view in layout.views(theta).items():
        assert np.shares_memory(view, theta), name
        assert view.dtype == dtype
        view += 1.0
    assert_array_equal(theta, np.ones(layout.size))


@pytest.mark.parametrize("vector", [np.zeros(3), np.zeros((41, 1))])
def test_a_vector_without_such_views_is_refused(layout, vector):
    with pytest.raises(ValueError, match=r"`vector` must be contiguous and of shape \(41,\)"):
        layout.views(vector)


def test_a_strided_vector_of_the_right_length_is_refused(layout):
    with pytest.raises(ValueError, match="contiguous"):
        layout.views(np.zeros(2 * layout.size)[::2])


def test_leaves_add_to_the_flat_gradient(layout):
    theta, grad = np.arange(float(layout.size)), np.zeros(layout.size)
    leaves = layout.leaves(theta, grad)
    for leaf in leaves.values():
        assert leaf.needs_grad
        assert np.shares_memory(leaf.data, theta)
        leaf.grad += leaf.data
    assert_array_equal(grad, theta)


def test_without_a_gradient_leaves_are_constants(layout):
    leaves = layout.leaves(np.zeros(layout.size), None)
    assert not any(leaf.needs_grad for leaf in leaves.values())
    assert all(leaf.grad is None for leaf in leaves.values())


def test_the_mask_covers_whole_arrays(layout):
    mask = layout.mask(is_weight)
    assert mask.dtype == np.bool_
    values = {name: set(view.ravel()) for name, view in layout.views(mask).items()}
    weights = {"layers.0.W_in", "layers.0.W", "out.W"}
    assert values == {name: {name in weights} for name in SHAPES}


def test_pack_is_the_inverse_of_views(layout):
    theta = np.random.RandomState(0).standard_normal(layout.size)
    assert_array_equal(layout.pack(layout.views(theta)), theta)
    assert layout.pack(layout.views(theta), np.float32).dtype == np.float32


def test_pack_refuses_other_names_and_shapes(layout):
    arrays = layout.views(np.zeros(layout.size))
    with pytest.raises(ValueError, match=r"\['out.b'\] are missing and \['out.c'\] are unknown"):
        layout.pack({("out.c" if k == "out.b" else k): v for k, v in arrays.items()})
    with pytest.raises(ValueError, match=r"'out.b' must have shape \(1,\), got \(2,\)"):
        layout.pack({**arrays, "out.b": np.zeros(2)})


def test_layouts_compare_by_names_order_and_shapes(layout):
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert hash(ParamLayout(SHAPES)) == hash(layout)
    assert ParamLayout(dict(reversed(SHAPES.items()))) != layout
    assert ParamLayout({**SHAPES, "out.b": (2,)}) != layout
    assert layout != SHAPES


def test_an_empty_layout_and_empty_arrays():
    assert ParamLayout({}).size == 0
    assert ParamLayout({"a": (0, 3), "b": ()}).views(np.array([2.0]))["b"] == 2.0
