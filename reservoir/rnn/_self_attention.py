r"""Self-attention as operations of the tape: every step of a sequence looks at all of its steps.

.. math:: \operatorname{softmax}(Q K^\top / \sqrt{d} + M)\, V

for several heads side by side (Vaswani et al. 2017, eqs. 1 and 2), where the mask M is minus
infinity at padding and, if attention is causal, at later steps. Arrays are time-major, as in all
networks here: (n_steps, n_sequences, n_units).
"""

from __future__ import annotations

import numpy as np

from . import _ops as ops
from ._tape import Var, current_tape, emit

__all__ = ["allowed", "attend", "block", "sinusoids"]

_MOST_SCORES = 1 << 22  # that are held at a time where no gradient is wanted


def allowed(n_steps: int, lengths: np.ndarray, causal: bool) -> np.ndarray | None:
    """Which steps (n_sequences, 1, n_steps or 1, n_steps) each step may look at; None: all."""
    steps = np.arange(n_steps)
    keys = None
    if (lengths < n_steps).any():
        keys = (steps < lengths[:, None])[:, None, None, :]
    if causal:
        before = (steps <= steps[:, None])[None, None]
        return before if keys is None else keys & before
    return keys


def attend(
    projected: Var, n_heads: int, lengths: np.ndarray, *, causal: bool = False, keep: list | None
) -> Var:
    """Multi-head scaled dot-product attention of projected steps, as one record.

    Parameters
    ----------
    projected : Var of shape (n_steps, n_sequences, 3 * n_units)
        Queries, keys and values side by side, each with its heads one after the other.
    n_heads : int
        Divides n_units.
    lengths : ndarray of shape (n_sequences,)
        Steps beyond them are padding, at which nothing looks.
    causal : bool
        Whether steps look at themselves and earlier ones alone.
    keep : list or None
        To which the weights (n_sequences, n_heads, n_steps, n_steps) are appended.

    Returns
    -------
    Var of shape (n_steps, n_sequences, n_units)
    """
    T, B, width = projected.data.shape
    d = width // (3 * n_heads)
    scale = projected.data.dtype.type(1 / np.sqrt(d))

    def by_head(values):  # a view (3, n_sequences, n_heads, n_steps, d)
        return values.reshape(T, B, 3, n_heads, d).transpose(2, 1, 3, 0, 4)

    q, k, v = by_head(projected.data)
    mask = allowed(T, lengths, causal)
    out = np.empty((T, B, n_heads, d), dtype=projected.data.dtype)
    heads = out.transpose(1, 2, 0, 3)
    kept = keep is not None or (current_tape() is not None and projected.needs_grad)
    size = B if kept else max(1, _MOST_SCORES // (n_heads * T * T))
    P = None
    for first in range(0, B, size):
        part = slice(first, first + size)
        own = mask if mask is None or len(mask) == 1 else mask[part]
        P = _softmax(q[part], k[part], scale, own)
        np.matmul(P, v[part], out=heads[part])
    if keep is not None:
        keep.append(P)

    def vjp(g):
        back = np.empty((T, B, 3, n_heads, d), dtype=g.dtype)
        dq, dk, dv = back.transpose(2, 1, 3, 0, 4)
        g = g.reshape(T, B, n_heads, d).transpose(1, 2, 0, 3)
        dS = g @ v.swapaxes(-1, -2)
        dS -= np.einsum("bhij,bhij->bhi", dS, P)[..., None]
        dS *= P
        dS *= scale
        np.matmul(dS, k, out=dq)
        np.matmul(dS.swapaxes(-1, -2), q, out=dk)
        np.matmul(P.swapaxes(-1, -2), g, out=dv)
        return (back.reshape(T, B, width),)

    return emit(out.reshape(T, B, n_heads * d), (projected,), vjp)


def _softmax(q, k, scale, mask):
    """Weights (..., n_steps, n_steps) with which steps look at others."""
    P = (q * scale) @ k.swapaxes(-1, -2)
    if mask is not None:
        np.copyto(P, -np.inf, where=~mask)
    P -= np.maximum.reduce(P, axis=-1, keepdims=True)
    np.exp(P, out=P)
    P /= np.add.reduce(P, axis=-1, keepdims=True)
    return P


def block(
    x: Var,
    weights: dict,
    n_heads: int,
    lengths: np.ndarray,
    *,
    causal: bool,
    masks: tuple | None = None,
    keep: list | None = None,
) -> Var:
    """x + MHA(LN x), then x + MLP(LN x): a block with its norms before (Xiong et al. 2020).

    Parameters
    ----------
    x : Var of shape (n_steps, n_sequences, n_units)
    weights : dict of Var
        "norm_1.gain", "norm_1.b", "attention.W" (3 * n_units, n_units) of queries, keys and
        values, "attention.b", "mix.W" (n_units, n_units), "mix.b"; "norm_2.gain", "norm_2.b",
        "mlp_1.W" (n_hidden, n_units), "mlp_1.b", "mlp_2.W" (n_units, n_hidden), "mlp_2.b".
    masks : tuple of ndarray of shape (n_sequences, n_units), optional
        Factors on what the attention and the MLP add.
    """
    w = weights
    level = ops.layer_norm(x, w["norm_1.gain"], w["norm_1.b"])
    projected = ops.affine(level, w["attention.W"], w["attention.b"])
    seen = attend(projected, n_heads, lengths, causal=causal, keep=keep)
    seen = ops.affine(seen, w["mix.W"], w["mix.b"])
    x = ops.add(x, seen if masks is None else ops.mul(seen, masks[0]))
    level = ops.layer_norm(x, w["norm_2.gain"], w["norm_2.b"])
    level = ops.relu(ops.affine(level, w["mlp_1.W"], w["mlp_1.b"]))
    level = ops.affine(level, w["mlp_2.W"], w["mlp_2.b"])
    return ops.add(x, level if masks is None else ops.mul(level, masks[1]))


def sinusoids(n_steps: int, n_units: int, dtype=np.float64) -> np.ndarray:
    """Positions (n_steps, n_units): sines, then cosines, of wavelengths from 2 pi to 20000 pi.

    Vaswani et al. 2017, sec. 3.5, up to the order of the columns.
    """
    half = (n_units + 1) // 2
    rates = 10000.0 ** -(np.arange(half) / half)
    angles = np.arange(n_steps)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :n_units].astype(dtype)
