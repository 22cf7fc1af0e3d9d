"""Matrix products inside a loop over time, with code that keeps tiles of results in registers.

BLAS packs the matrix anew in each call, a third of the time for the small products of a recurrent
network. Here it stands in panels of `lanes` columns, packed once for all steps. A row of a product
does not depend on the rows beside it, so a sequence has the same bits in any batch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from echocast._jit import chosen_by_type

__all__ = ["add_product_t", "lanes", "pack_columns", "pack_rows", "padded", "product"]

# Two of the widest registers are a row of a tile: 8 rows fill 16 of AVX-512's 32 registers, and 4
# rows of half the width 8 of AVX2's 16.
_WIDE = bool(binding.get_host_cpu_features().get("avx512f", False))
_ROW_BYTES = 128 if _WIDE else 64
_TILE = 8 if _WIDE else 4


def lanes(dtype: Any) -> int:
    """Columns of a panel."""
    return _ROW_BYTES // np.dtype(dtype).itemsize


def padded(n_columns: int, dtype: Any) -> int:
    """Columns up to the end of the last panel."""
    return math.ceil(n_columns / lanes(dtype)) * lanes(dtype)


def pack_rows(matrix: np.ndarray, out: np.ndarray, first: int) -> None:
    """Put the transpose of `matrix` (n_columns, k) into the rows `first`... of all panels `out`."""
    n_columns, k = matrix.shape
    width, rows = out.shape[2], out[:, first : first + k]
    whole, rest = divmod(n_columns, width)
    panels = matrix[: whole * width].reshape(whole, width, k)
    rows[:whole] = panels.transpose(0, 2, 1)
    if rest:
        rows[whole, :, :rest] = matrix[whole * width :].T
        rows[whole, :, rest:] = 0


def pack_columns(matrix: np.ndarray, out: np.ndarray, first: int) -> None:
    """Put `matrix` (k, n_columns) into the rows `first`... of all panels `out`."""
    pack_rows(matrix.T, out, first)


def _tile_of(n_rows, dtype):
    """Code of C = A B, or C += A B if `add`, for one tile; addresses and strides are in bytes."""
    size, n_lanes = np.dtype(dtype).itemsize, lanes(dtype)

    @intrinsic
    def tile(typingctx, a, a_row, a_k, b, b_k, n_k, c, c_row, add):
        def codegen(context, builder, signature, args):
            return _build_tile(context, builder, args, n_rows, n_lanes, size)

        return types.void(*[types.intp] * 9), codegen

    return tile


def _build_tile(context, builder, args, n_rows, n_lanes, size):
    a, a_row, a_k, b, b_k, n_k, c, c_row, add = args
    word, index = a.type, ir.IntType(32)
    scalar = ir.FloatType() if size == 4 else ir.DoubleType()
    vector = ir.VectorType(scalar, n_lanes)
    everywhere = ir.Constant(ir.VectorType(index, n_lanes), [0] * n_lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    fused = ("contract", "nsz")

    def pointers(address, stride, kind):
        """Pointers to the rows of the tile."""
        offsets = [builder.mul(stride, word(r)) for r in range(n_rows)]
        return [
            builder.inttoptr(builder.add(address, offset), kind.as_pointer()) for offset in offsets
        ]

    targets = pointers(c, c_row, vector)
    start = builder.block
    adding, body, done = (builder.append_basic_block(name) for name in ("add", "loop", "done"))
    builder.cbranch(builder.icmp_signed("!=", add, word(0)), adding, body)
    builder.position_at_end(adding)
    before = [builder.load(target, align=size) for target in targets]
    builder.branch(body)

    builder.position_at_end(body)
    k, a_now, b_now = (builder.phi(word) for _ in range(3))
    sums = [builder.phi(vector) for _ in range(n_rows)]
    for phi, value in ((k, word(0)), (a_now, a), (b_now, b)):
        phi.add_incoming(value, start)
        phi.add_incoming(value, adding)
    row = builder.load(builder.inttoptr(b_now, vector.as_pointer()), align=size)
    new = []
    for total, source in zip(sums, pointers(a_now, a_row, scalar)):
        value = builder.load(source, align=size)
        alone = builder.insert_element(undefined, value, index(0))
        factor = builder.shuffle_vector(alone, undefined, everywhere)
        term = builder.fmul(factor, row, flags=fused)
        new.append(builder.fadd(total, term, flags=fused))
    for total, old, value in zip(sums, before, new):
        total.add_incoming(ir.Constant(vector, [scalar(0.0)] * n_lanes), start)
        total.add_incoming(old, adding)
        total.add_incoming(value, body)
    following = builder.add(k, word(1))
    for phi, value in ((k, following), (a_now, builder.add(a_now, a_k))):
        phi.add_incoming(value, body)
    b_now.add_incoming(builder.add(b_now, b_k), body)
    builder.cbranch(builder.icmp_signed("<", following, n_k), body, done)

    builder.position_at_end(done)
    for value, target in zip(new, targets):
        builder.store(value, target, align=size)
    return context.get_dummy_value()


def _walk(matrix, a, a_row, a_k, b, b_panel, b_k, n_k, c, c_row, m, n_panels, add):
    """Cover a product with tiles; `matrix` only tells its dtype, and what it has is compiled."""
    raise RuntimeError("called by compiled code alone")


@chosen_by_type(_walk)
def _compile_walk(matrix, a, a_row, a_k, b, b_panel, b_k, n_k, c, c_row, m, n_panels, add):
    dtype = np.dtype(str(matrix.dtype))
    tiles = [_tile_of(n, dtype) for n in (_TILE, 4, 2, 1)]
    whole, four, two, one = tiles
    most, bytes_of_panel = _TILE, _ROW_BYTES

    def walk(matrix, a, a_row, a_k, b, b_panel, b_k, n_k, c, c_row, m, n_panels, add):
        for p in range(n_panels):
            panel, target = b + p * b_panel, c + p * bytes_of_panel
            r = 0
            while r + most <= m:
                here, there = a + r * a_row, target + r * c_row
                whole(here, a_row, a_k, panel, b_k, n_k, there, c_row, add)
                r += most
            if r + 4 <= m:
                here, there = a + r * a_row, target + r * c_row
                four(here, a_row, a_k, panel, b_k, n_k, there, c_row, add)
                r += 4
            if r + 2 <= m:
                here, there = a + r * a_row, target + r * c_row
                two(here, a_row, a_k, panel, b_k, n_k, there, c_row, add)
                r += 2
            if r < m:
                here, there = a + r * a_row, target + r * c_row
                one(here, a_row, a_k, panel, b_k, n_k, there, c_row, add)

    return walk


def product(a, panels, c):
    """Put A B into `c` (m, whole panels), for `a` (m, k) and the packed `panels` of B (k, ...)."""
    matrix = np.concatenate(list(panels), axis=1)
    c[:] = a @ matrix


@chosen_by_type(product)
def _compile_product(a, panels, c):
    def code(a, panels, c):
        b_panel, b_k, _ = panels.strides
        a_row, a_k = a.strides
        _walk(
            c, a.ctypes.data, a_row, a_k, panels.ctypes.data, b_panel, b_k, a.shape[1],
            c.ctypes.data, c.strides[0], a.shape[0], panels.shape[0], 0,
        )  # fmt: skip

    return code


def add_product_t(a, b, c):
    """Add A' B to `c` (m, whole panels), for `a` (k, m) and `b` (k, whole panels)."""
    c += a.T @ b


@chosen_by_type(add_product_t)
def _compile_add_product_t(a, b, c):
    bytes_of_panel = _ROW_BYTES
    width = lanes(str(c.dtype))

    def code(a, b, c):
        a_k, a_row = a.strides
        _walk(
            c, a.ctypes.data, a_row, a_k, b.ctypes.data, bytes_of_panel, b.strides[0], a.shape[0],
            c.ctypes.data, c.strides[0], a.shape[1], b.shape[1] // width, 1,
        )  # fmt: skip

    return code
