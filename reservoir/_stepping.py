"""Step reservoirs from Python, where something else happens between one step and the next."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._custom import drive_custom
from ._machine import Reservoir, scratch

__all__ = ["make_advance"]


def make_advance(res: Reservoir, n_copies: int | None = None) -> Callable:
    """Return ``advance(x, block)``, which turns projected inputs into states in place.

    The block holds ``W_in u + b`` of each step, of shape (n_steps, n_units), and `x` the state
    before it. With `n_copies` many copies of the reservoir run side by side: a block is then
    (n_steps, n_units, n_copies) and `x` (n_units, n_copies). Blocks should be short enough for
    Ctrl-C; buffers are made once, so that a single step costs little more than its kernel.
    """
    if res.function is not None:
        return _custom(res, res.leak if n_copies is None else res.leak[:, None])
    return _single(res) if n_copies is None else _side_by_side(res, n_copies)


def _custom(res: Reservoir, leak: np.ndarray) -> Callable:
    def advance(x, block):
        drive_custom(res.plan, res.function, leak, x, block)

    return advance


def _single(res: Reservoir) -> Callable:
    from ._kernels import drive

    work = scratch(res)

    def advance(x, block):
        drive(res.plan.arrays, res.code, res.leak, x, block, work)

    return advance


def _side_by_side(res: Reservoir, n_copies: int) -> Callable:
    from ._kernels_batch import drive_batch

    work = scratch(res)
    spare = np.empty((res.n_units, n_copies), dtype=res.dtype)
    weights = res.plan.rowwise

    def advance(x, block):
        drive_batch(weights, res.code, res.leak, x, block, work, spare)

    return advance
