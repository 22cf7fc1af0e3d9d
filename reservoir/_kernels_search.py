"""Compiled loop over time of many settings of one sparse reservoir, side by side.

The columns of the state matrix share the pattern and the unscaled weights of W; each has a factor,
leaks and projections of its own. A weight times its factor is rounded before it meets a state, as
it is where scaled weights are stored, and terms are added in the order of `_kernels`: the states
of a column are those of a run by itself, to the last bit.
"""

from __future__ import annotations

from echocast._jit import kernel

from ._kernels import activate

__all__ = ["drive_settings"]


@kernel
def drive_settings(indptr, indices, data, factors, code, leak, x, runs, first, last, scratch, row):
    """Turn steps of `runs` (n_settings, n_steps, >= n_units) from projections into states.

    In place, from step `first` to before `last`. `data` and `factors` (n_settings,) are float64;
    `leak`, `x` and `row` are (n_units, n_settings). `x` precedes the steps, and is left at the
    last one.
    """
    n_units, n_settings = x.shape
    one = row.dtype.type(1)
    for t in range(first, last):
        for m in range(n_settings):
            inputs = runs[m, t]
            for i in range(n_units):
                row[i, m] = inputs[i]
        for i in range(n_units):
            _add_scaled(indptr[i], indptr[i + 1], indices, data, factors, x, row[i])
        activate(code, row.reshape(-1), scratch)
        for i in range(n_units):
            new, before, share = row[i], x[i], leak[i]
            for m in range(n_settings):
                before[m] = (one - share[m]) * before[m] + share[m] * new[m]
        for m in range(n_settings):
            states = runs[m, t]
            for i in range(n_units):
                states[i] = x[i, m]


@kernel
def _add_scaled(first, last, indices, data, factors, x, out):
    """Add the terms of one unit for all settings; four weights meet a row of states at a time."""
    convert = out.dtype.type
    whole = last - (last - first) % 4
    for k in range(first, whole, 4):
        w0, w1, w2, w3 = data[k], data[k + 1], data[k + 2], data[k + 3]
        x0, x1 = x[indices[k]], x[indices[k + 1]]
        x2, x3 = x[indices[k + 2]], x[indices[k + 3]]
        for m in range(out.shape[0]):
            f = factors[m]
            s = out[m] + convert(w0 * f) * x0[m]
            s += convert(w1 * f) * x1[m]
            s += convert(w2 * f) * x2[m]
            out[m] = s + convert(w3 * f) * x3[m]
    for k in range(whole, last):
        w0, x0 = data[k], x[indices[k]]
        for m in range(out.shape[0]):
            out[m] += convert(w0 * factors[m]) * x0[m]
