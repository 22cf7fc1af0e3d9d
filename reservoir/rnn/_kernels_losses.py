"""Compiled passes of the softmax loss over rows of logits; the exponentials between are NumPy's."""

from __future__ import annotations

from echocast._jit import SUMS, kernel

__all__ = ["row_slopes", "row_sums", "rows_below_max"]


@kernel
def rows_below_max(logits, out):
    """Subtract from each row its largest entry."""
    n_rows, n = logits.shape
    for i in range(n_rows):
        # Four at a time: each comparison waits for the one before.
        a = b = c = d = logits[i, 0]
        for j in range(0, n - 3, 4):
            a = max(a, logits[i, j])
            b = max(b, logits[i, j + 1])
            c = max(c, logits[i, j + 2])
            d = max(d, logits[i, j + 3])
        for j in range(n - n % 4, n):
            a = max(a, logits[i, j])
        largest = max(max(a, b), max(c, d))
        for j in range(n):
            out[i, j] = logits[i, j] - largest


@kernel(fastmath=SUMS)
def row_sums(values, out):
    """Sum of each row."""
    for i in range(values.shape[0]):
        total = values.dtype.type(0)
        for j in range(values.shape[1]):
            total += values[i, j]
        out[i] = total


@kernel
def row_slopes(values, sums, labels, weights, g, out):
    """Derivatives g w (values / sums - 1 at the label); zero in rows of weight zero."""
    for i in range(values.shape[0]):
        if weights[i] == 0:
            for j in range(values.shape[1]):
                out[i, j] = 0
        else:
            weight = g * weights[i]
            factor = weight / sums[i]
            for j in range(values.shape[1]):
                out[i, j] = values[i, j] * factor
            out[i, labels[i]] -= weight
