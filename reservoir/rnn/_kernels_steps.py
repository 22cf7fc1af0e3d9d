"""What the loops over time of all recurrent cells share, and the layout of their arrays.

Arrays are time-major. Of B sequences ``sizes[t]``, the first ones, are still running at step t; a
finished one carries its state on. For n units, i inputs and g gates:

- `X` (T, B, i), `H` (T + 1, B, n): inputs, and states with the initial one in front;
- `A` (T, B, n + 1 + i): what enters the products of a step, the state times `mask` (B, n; one
  without rows means none), a one, and the inputs, so the bias is a column of the weights;
- `G` (T, B, stride): pre-activations, then activated gates; in the backward pass the gradients of
  the pre-activations. Each block of gates begins with a panel and ends with zeros up to one;
- `dA` (n + 1 + i, stride): gradients of the weights, transposed.

Where no gradient is wanted `A` and `G` have room for one step and cells for two. In the backward
kernels `dH` (T, B, n), the gradient of all states, may be without rows, and `dh` (B, whole panels)
is turned from the gradient of the last state into that of the first one. Steps from `first` to
`stop` are run, so that long sequences can be cut; nothing is allocated inside.
"""

from __future__ import annotations

from echocast._jit import kernel

from ._kernels_product import product

__all__ = ["ROWS", "add_rows", "begin_of", "carry", "clear", "gather", "hand_on", "times_mask"]

# Rows of `A` and `G` that are summed into the gradients of weights while they are in the cache.
ROWS = 128


@kernel
def gather(h, x, mask, m, a):
    """Fill the rows of one step of `A`: the first `m`, and zeros below."""
    n, one = h.shape[1], a.dtype.type(1)
    for b in range(m):
        target, state = a[b], h[b]
        if mask.shape[0] > 0:
            factor = mask[b]
            for i in range(n):
                target[i] = state[i] * factor[i]
        else:
            for i in range(n):
                target[i] = state[i]
        target[n] = one
        inputs, rest = x[b], target[n + 1 :]
        for i in range(inputs.shape[0]):
            rest[i] = inputs[i]
    clear(a, m)


@kernel
def clear(a, m):
    """Put zeros into the rows from `m` on."""
    zero = a.dtype.type(0)
    for b in range(m, a.shape[0]):
        row = a[b]
        for i in range(row.shape[0]):
            row[i] = zero


@kernel
def carry(h, m, out):
    """Copy the states of the sequences that are finished: the rows from `m` on."""
    for b in range(m, h.shape[0]):
        row, target = h[b], out[b]
        for i in range(row.shape[0]):
            target[i] = row[i]


@kernel
def add_rows(dH, t, dh):
    """Add the gradient of step `t`, if there are any, to that carried back in time."""
    if dH.shape[0] > 0:
        for b in range(dh.shape[0]):
            row, target = dH[t, b], dh[b]
            for i in range(row.shape[0]):
                target[i] += row[i]


@kernel
def times_mask(d, mask, m):
    """Multiply the first `m` rows of the gradient of masked states by the mask."""
    if mask.shape[0] > 0:
        for b in range(m):
            row, factor = d[b], mask[b]
            for i in range(factor.shape[0]):
                row[i] *= factor[i]


@kernel
def begin_of(first, stop, n_sequences):
    """First of the steps before `stop` whose rows are summed up together."""
    return max(first, stop - max(1, ROWS // n_sequences))


@kernel
def hand_on(G, offset, panels, scratch, dX):
    """Put the gradients of inputs, `G` from the column `offset` on times the weights, into `dX`."""
    g, d = G.reshape(-1, G.shape[2]), dX.reshape(-1, dX.shape[2])
    product(g[:, offset : offset + panels.shape[1]], panels, scratch[: g.shape[0]])
    for b in range(d.shape[0]):
        row, target = scratch[b], d[b]
        for i in range(target.shape[0]):
            target[i] = row[i]
