"""The loops over time for activations that are not compiled: one NumPy call a step."""

from __future__ import annotations

__all__ = ["drive_custom", "loop_custom"]


def drive_custom(plan, function, leak, x, block):
    """Do what the kernels `drive` and `drive_batch` do; `leak` broadcasts against a row."""
    W = plan.matrix
    for t in range(block.shape[0]):
        x = (1 - leak) * x + leak * function(block[t] + W @ x)
        block[t] = x


def loop_custom(plan, function, leak, base, loop_in, coef_state, coef_output, shift, x, y, out):
    """Do what the kernels `loop` and `loop_batch` do; `leak` broadcasts against `x`."""
    W = plan.matrix
    state, output = x.copy(), y.copy()
    for t in range(out.shape[0]):
        outer = base[t if base.shape[0] > 1 else 0]
        pre = loop_in.T @ output + W @ state
        pre += outer if x.ndim == 1 else outer[:, None]
        state = (1 - leak) * state + leak * function(pre)
        output = coef_state @ state + coef_output @ output + shift[t]
        out[t] = output
    x[:], y[:] = state, output
