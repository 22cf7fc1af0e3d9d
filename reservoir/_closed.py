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
    _check_shapes(res, x, y, 1, loop_in, coef_state, coef_output)
    out = np.empty((n_steps, y.shape[0]), dtype=res.dtype)
    extra = [np.asarray(a) for a in (const, innovations) if a is not None]
    parts = np.asarray(loop_in).T, coef_state, coef_output
    weights = tuple(frozen(part, res.dtype) for part in parts)
    work, buffers = np.empty_like(x), scratch(res)

    def run(base, shift, rows):
        if res.function is not None:
            loop_custom(res.plan, res.function, res.leak, base, *weights, shift, x, y, rows)
            return
        from ._kernels_closed import loop

        arrays = res.plan.arrays
        loop(arrays, res.code, res.leak, base, *weights, shift, x, y, rows, work, buffers)

    _run_blocks(res, run, np.asarray(offset), drive, extra, out)
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
    _check_shapes(res, x, y, 2, loop_in, coef_state, coef_output)
    n_outputs, n_paths = y.shape
    out = np.empty((n_steps, n_outputs, n_paths), dtype=res.dtype)
    extra = [np.asarray(a) for a in (const, innovations) if a is not None]
    extra = [a if a.ndim == 3 else a[:, :, None] for a in extra]
    offset = np.asarray(offset)[:, None]
    readout = frozen(np.concatenate([coef_state, coef_output], axis=1), res.dtype)
    loop_in = frozen(loop_in, res.dtype)
    weights = _joint(res, loop_in)
    for left in range(0, n_paths, _TILE):
        tile = slice(left, left + _TILE)
        parts = [a if a.shape[2] == 1 else a[:, :, tile] for a in extra]
        xy = np.concatenate([x[:, tile], y[:, tile]])
        rows = np.empty((n_steps, n_outputs, xy.shape[1]), dtype=res.dtype)
        _run_tile(res, loop_in, weights, readout, offset, drive, parts, xy, rows)
        x[:, tile], out[:, :, tile] = xy[: res.n_units], rows
    return out, x


def _check_shapes(res, x, y, ndim, loop_in, coef_state, coef_output):
    """Kernels look at the shape of one of their arrays only."""
    n, k = res.n_units, y.shape[0] if y.ndim else -1
    found = [x.shape, y.shape[1:], *map(np.shape, (loop_in, coef_state, coef_output))]
    if y.ndim != ndim or found != [(n, *y.shape[1:]), x.shape[1:], (n, k), (k, n), (k, k)]:
        raise ValueError(
            f"States {x.shape}, outputs {y.shape} and weights {found[2:]} of a closed loop do not "
            f"fit a reservoir of {n} units."
        )


def _run_tile(res, loop_in, weights, readout, offset, drive, extra, xy, out):
    """Fill `out` for paths that run side by side; `xy` ends as the last states and outputs."""
    n_units = res.n_units
    work = np.empty((n_units, xy.shape[1]), dtype=res.dtype)
    buffers = work, scratch(res), np.empty_like(work)

    def run(base, shift, rows):
        if res.function is not None:
            parts = loop_in.T, readout[:, :n_units], readout[:, n_units:]
            leak, x, y = res.leak[:, None], xy[:n_units], xy[n_units:]
            loop_custom(res.plan, res.function, leak, base, *parts, shift, x, y, rows)
            return
        from ._kernels_closed import loop_batch

        loop_batch(weights, res.code, res.leak, base, readout, shift, xy, rows, *buffers)

    _run_blocks(res, run, offset, drive, extra, out)


def _joint(res, loop_in):
    """Return [W, loop_in] as arrays of the layout that kernels of many paths read."""
    n_units, n_outputs = loop_in.shape
    if res.plan.layout == "dense":
        return (frozen(np.concatenate([res.plan.arrays[0], loop_in], axis=1), res.dtype),)
    indptr, indices, data = res.plan.rowwise
    ends = np.repeat(indptr[1:], n_outputs)
    columns = np.tile(np.arange(n_units, n_units + n_outputs), n_units)
    return (
        frozen(indptr + n_outputs * np.arange(n_units + 1), np.int64),
        frozen(np.insert(indices, ends, columns), np.uint32),
        frozen(np.insert(data, ends, np.ravel(loop_in)), res.dtype),
    )


def _run_blocks(res, run, offset, drive, extra, out):
    """Call run(base, shift, rows of out) for blocks short enough to be interrupted between."""
    n_steps = out.shape[0]
    n_rows = block_rows(res, 1 if out.ndim == 2 else out.shape[2], BLOCK_BYTES)
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
        run(base, shift, out[start:stop])
        _refuse_divergence(out, start, stop)


def _refuse_divergence(out, start, stop):
    axes = tuple(range(1, out.ndim))
    finite = np.isfinite(out[start:stop]).all(axis=axes)
    if not finite.all():
        step = start + int(np.argmin(finite))
        raise ForecastDivergedError(step, np.abs(out[:step]).max(initial=0.0))
