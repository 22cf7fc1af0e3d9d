"""Closed loops: the readout's output is fed back as the next input."""

from __future__ import annotations

import numpy as np

from echocast.exceptions import ForecastDivergedError

from ._custom import loop_custom
from ._machine import BLOCK_BYTES, block_rows, scratch
from ._plan import frozen

__all__ = ["closed_loop", "closed_loop_batch"]

# Paths beyond this many would push the states out of the processor's cache.
_TILE = 64


def closed_loop(
    res,
    n_steps: int,
    x0,
    y0,
    *,
    coef_state,
    coef_output,
    offset,
    loop_in,
    drive=None,
    const=None,
    innovations=None,
) -> tuple[np.ndarray, np.ndarray]:
    """Let one path run on its own output.

    At each step, ``x = (1 - leak) x + leak f(W x + b + loop_in y + drive[t])`` and then
    ``y = coef_state x + coef_output y + offset + const[t] + innovations[t]``.

    Parameters
    ----------
    res : Reservoir
    n_steps : int
    x0 : ndarray of shape (n_units,)
        State before the first step. Not modified.
    y0 : ndarray of shape (n_outputs,)
        Output before the first step. Not modified.
    coef_state : ndarray of shape (n_outputs, n_units)
    coef_output : ndarray of shape (n_outputs, n_outputs)
    offset : ndarray of shape (n_outputs,)
    loop_in : ndarray of shape (n_units, n_outputs)
        Weights from the output to the units (input and feedback weights added up).
    drive : ndarray of shape (n_steps, n_units) or callable(start, stop), default=None
        What outer inputs add to the pre-activations; see `input_drive`.
    const, innovations : ndarray of shape (n_steps, n_outputs), default=None
        What outer inputs, and drawn residuals, add to the output.

    Returns
    -------
    Y : ndarray of shape (n_steps, n_outputs)
    x_last : ndarray of shape (n_units,)

    Raises
    ------
    ForecastDivergedError
        If an output is infinite or not a number.
    """
    x = np.array(x0, dtype=res.dtype)
    y = np.array(y0, dtype=res.dtype)
    out = np.empty((n_steps, y.shape[0]), dtype=res.dtype)
    extra = [np.asarray(a) for a in (const, innovations) if a is not None]
    weights = _loop_weights(res, coef_state, coef_output, loop_in)
    _run(res, weights, np.asarray(offset), drive, extra, x, y, out)
    return out, x


def closed_loop_batch(
    res,
    n_steps: int,
    x0,
    y0,
    *,
    coef_state,
    coef_output,
    offset,
    loop_in,
    drive=None,
    const=None,
    innovations=None,
) -> tuple[np.ndarray, np.ndarray]:
    """Let many paths run side by side on their own outputs; see `closed_loop`.

    Parameters
    ----------
    res, n_steps, coef_state, coef_output, offset, loop_in, drive
        As for `closed_loop`; all paths share them.
    x0 : ndarray of shape (n_units, n_paths)
    y0 : ndarray of shape (n_outputs, n_paths)
    const : ndarray of shape (n_steps, n_outputs) or (n_steps, n_outputs, n_paths), default=None
    innovations : ndarray of shape (n_steps, n_outputs, n_paths), default=None

    Returns
    -------
    Y : ndarray of shape (n_steps, n_outputs, n_paths)
    x_last : ndarray of shape (n_units, n_paths)

    Raises
    ------
    ForecastDivergedError
        If an output of any path is infinite or not a number.
    """
    x = np.array(x0, dtype=res.dtype)
    y = np.array(y0, dtype=res.dtype)
    n_paths = x.shape[1]
    out = np.empty((n_steps, y.shape[0], n_paths), dtype=res.dtype)
    extra = [np.asarray(a) for a in (const, innovations) if a is not None]
    extra = [a if a.ndim == 3 else a[:, :, None] for a in extra]
    weights = _loop_weights(res, coef_state, coef_output, loop_in)
    offset = np.asarray(offset)[:, None]
    for left in range(0, n_paths, _TILE):
        tile = slice(left, min(left + _TILE, n_paths))
        parts = [a if a.shape[2] == 1 else a[:, :, tile] for a in extra]
        xt, yt = np.ascontiguousarray(x[:, tile]), np.ascontiguousarray(y[:, tile])
        ot = np.empty((n_steps, y.shape[0], xt.shape[1]), dtype=res.dtype)
        _run(res, weights, offset, drive, parts, xt, yt, ot)
        x[:, tile], out[:, :, tile] = xt, ot
    return out, x


def _loop_weights(res, coef_state, coef_output, loop_in):
    return (
        frozen(np.asarray(loop_in).T, res.dtype),
        frozen(coef_state, res.dtype),
        frozen(coef_output, res.dtype),
    )


def _run(res, weights, offset, drive, extra, x, y, out):
    """Fill `out` block by block; `x` and `y` end as the last state and output."""
    n_steps = out.shape[0]
    n_rows = block_rows(res, 1 if x.ndim == 1 else x.shape[1], BLOCK_BYTES)
    work = np.empty_like(x)
    for start in range(0, n_steps, n_rows):
        stop = min(start + n_rows, n_steps)
        base = res.b[None, :].copy()
        if drive is not None:
            rows = drive(start, stop) if callable(drive) else drive[start:stop]
            base = np.add(rows, res.b, dtype=res.dtype)
        shift = np.empty(out[start:stop].shape, dtype=res.dtype)
        shift[:] = offset
        for part in extra:
            shift += part[start:stop].astype(res.dtype, copy=False)
        _run_block(res, base, weights, shift, x, y, work, out[start:stop])
        _refuse_divergence(out, start, stop)


def _run_block(res, base, weights, shift, x, y, work, out):
    if res.function is not None:
        leak = res.leak if x.ndim == 1 else res.leak[:, None]
        loop_custom(res.plan, res.function, leak, base, *weights, shift, x, y, out)
        return
    from ._kernels_closed import loop, loop_batch

    buffers = work, scratch(res)
    if x.ndim == 1:
        loop(res.plan.arrays, res.code, res.leak, base, *weights, shift, x, y, out, *buffers)
    else:
        spare = np.empty_like(work)
        parts = base, *weights, shift, x, y, out, *buffers, spare
        loop_batch(res.plan.rowwise, res.code, res.leak, *parts)


def _refuse_divergence(out, start, stop):
    axes = tuple(range(1, out.ndim))
    finite = np.isfinite(out[start:stop]).all(axis=axes)
    if not finite.all():
        step = start + int(np.argmin(finite))
        raise ForecastDivergedError(step, np.abs(out[:step]).max(initial=0.0))
