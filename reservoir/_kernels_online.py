"""Compiled updates of readouts by one row at a time, and single steps of a network."""

from __future__ import annotations

import math

from echocast._jit import kernel

from ._kernels import activate, add_product, dot

__all__ = ["back_substitute", "force_rows", "lms_rows", "rls_rows", "step"]


@kernel
def rotate_in(R, v, keep, first):
    """Make R, (n, n + n_targets), the factor of ``keep R`` above the row `v`, by Givens rotations.

    The first entries of `v`, `first` of them, are zero, and then `keep` must be one. `v` is used
    up; of a row that has no room below R only the last entries, the errors, would be left.
    """
    for k in range(first, R.shape[0]):
        a, b = keep * R[k, k], v[k]
        row, rest = R[k, k + 1 :], v[k + 1 :]
        length = math.sqrt(a * a + b * b)
        R[k, k] = length
        if b == 0:
            for j in range(row.shape[0]):
                row[j] *= keep
            continue
        c, s = a / length, b / length
        c_row, s_row = c * keep, s * keep
        for j in range(row.shape[0]):
            above, below = row[j], rest[j]
            row[j] = c_row * above + s * below
            rest[j] = c * below - s_row * above


@kernel
def back_substitute(R, coef):
    """Solve for `coef` (n_targets, n); what the rows do not determine at all becomes zero."""
    n = R.shape[0]
    for k in range(n - 1, -1, -1):
        row = R[k, k + 1 : n]
        for d in range(coef.shape[0]):
            target = coef[d]
            target[k] = 0
            if R[k, k] > 0:
                target[k] = (R[k, n + d] - dot(row, target[k + 1 :])) / R[k, k]


@kernel
def _learn(R, v, keep, renewal, position, ones):
    """Take the row `v` in; one feature in turn gets back the penalty that it has lost."""
    rotate_in(R, v, keep, 0)
    if renewal > 0:
        k = ones + position % (R.shape[0] - ones)
        for j in range(v.shape[0]):
            v[j] = 0
        v[k] = renewal
        rotate_in(R, v, R.dtype.type(1), k)


@kernel
def rls_rows(R, rows, keep, renewal, position, ones):
    """Take in all rows ``[1,] states, targets``, which are used up; `keep` is sqrt(forgetting).

    `renewal` is the root of the penalty that forgetting takes from a feature in a round,
    `position` the number of rows before.
    """
    for t in range(rows.shape[0]):
        _learn(R, rows[t], keep, renewal, position + t, ones)


@kernel
def lms_rows(coef, rows, weights, rate, offset, normalized):
    """Step down the squared error of each row ``[1,] states, targets`` in turn."""
    n_targets, n = coef.shape
    for t in range(rows.shape[0]):
        features = rows[t, :n]
        scale = rate * weights[t]
        if normalized:
            scale /= offset + dot(features, features)
        for d in range(n_targets):
            target = coef[d]
            step = scale * (rows[t, n + d] - dot(target, features))
            for k in range(n):
                target[k] += step * features[k]


@kernel
def step(weights, code, leak, projection, u, x, new, coef, intercept, y, scratch):
    """Advance `x` by the inputs `u` = [input, 1, feedback] and write the output to `y`.

    Nothing changes, and the result is 0, if an input is not finite; it is 2 if an output is not,
    else 1. `coef` is (n_targets, n_units) or has columns for the inputs too; `new` is scratch of
    the size of `x`.
    """
    for k in range(u.shape[0]):
        if not math.isfinite(u[k]):
            return 0
    n_units = x.shape[0]
    one = leak.dtype.type(1)
    first, value = projection[0], u[0]
    for i in range(n_units):
        new[i] = first[i] * value
    for k in range(1, u.shape[0]):
        more, value = projection[k], u[k]
        for i in range(n_units):
            new[i] += more[i] * value
    add_product(weights, x, new, scratch)
    activate(code, new, scratch)
    for i in range(n_units):
        x[i] = (one - leak[i]) * x[i] + leak[i] * new[i]
    n_inputs = coef.shape[1] - n_units
    for d in range(coef.shape[0]):
        y[d] = intercept[d] + dot(coef[d, :n_units], x) + dot(coef[d, n_units:], u[:n_inputs])
    for d in range(coef.shape[0]):
        if not math.isfinite(y[d]):
            return 2
    return 1


@kernel
def force_rows(
    weights,
    code,
    leak,
    base,
    W_fb,
    x,
    y,
    inputs,
    targets,
    learns,
    R,
    coef,
    keep,
    renewal,
    position,
    ones,
    work,
    row,
    features,
    scratch,
):
    """Run on fed-back outputs while they are being learnt; return the number of updates.

    `base` (n_steps, n_units) are projected inputs and bias, `W_fb` (n_outputs, n_units),
    `inputs` (n_steps, n_inputs or 0) what the readout sees of them. `x`, `y`, `R` and `coef` are
    carried on; `learns` says which steps update them. The output of a step is that of the
    coefficients before its update.
    """
    one = leak.dtype.type(1)
    n_units, n = x.shape[0], R.shape[0]
    done = 0
    for t in range(base.shape[0]):
        for i in range(n_units):
            work[i] = base[t, i]
        for d in range(W_fb.shape[0]):
            column, value = W_fb[d], y[d]
            for i in range(n_units):
                work[i] += column[i] * value
        add_product(weights, x, work, scratch)
        activate(code, work, scratch)
        for i in range(n_units):
            x[i] = (one - leak[i]) * x[i] + leak[i] * work[i]
        if ones:
            features[0] = 1
        for i in range(n_units):
            features[ones + i] = x[i]
        for i in range(inputs.shape[1]):
            features[ones + n_units + i] = inputs[t, i]
        for d in range(y.shape[0]):
            y[d] = dot(coef[d], features)
        if learns[t]:
            for k in range(n):
                row[k] = features[k]
            for d in range(y.shape[0]):
                row[n + d] = targets[t, d]
            _learn(R, row, keep, renewal, position + done, ones)
            back_substitute(R, coef)
            done += 1
    return done
