"""Compiled steps of a neural Turing machine: addressing, writing and reading, and their gradients.

For each sequence b of a batch there are `n_heads` heads, those that write first; a memory of
`n_slots` rows of `width` numbers; and `raw`, what the controller says: for each head a key
(width), strength, gate, shifts (an odd number of them, from the most negative on) and sharpness;
then for each head that writes what to erase and what to add (width each).

A head's address w comes from its address before, and the memory M before (heads that write) or
after all writing (heads that read):

    cosine[i] = k . M[i] / sqrt((k . k + small) (M[i] . M[i] + small))
    content = softmax(softplus(strength) cosine)
    gated = sigmoid(gate) content + (1 - sigmoid(gate)) before
    shifted[i] = sum of softmax(shifts)[j] gated[i - j] over the shifts j, in a circle
    w = softmax((1 + softplus(sharpness)) log(shifted + tiny))

One head after the other writes M[i] <- M[i] (1 - w[i] sigmoid(erase)) + w[i] add, then the
others read sum of w[i] M[i]. Arrays have one dtype; `small` and `tiny` keep gradients finite.

Sums are not reassociated (`SUMS`) for the few per cent that this would gain. Their loops write as
well, so LLVM makes two versions of each and picks one by where the arrays happen to lie, and code
from the cache may hold a third: then a seed would not fix the last bits.
"""

from __future__ import annotations

import math

import numpy as np

from echocast._jit import kernel

__all__ = ["memory_backward", "memory_forward"]

_SMALL = 1e-8
_TINY = 1e-12


@kernel
def _softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@kernel
def _sigmoid(x):
    return 0.5 * math.tanh(0.5 * x) + 0.5


@kernel
def _around(i, n):
    """Number of a slot in the circle; a division would take longer than all else of a shift."""
    while i < 0:
        i += n
    while i >= n:
        i -= n
    return i


@kernel
def _soft_shares(raw, shares):
    """Softmax of a short vector."""
    top = raw[0]
    for j in range(1, raw.shape[0]):
        top = max(top, raw[j])
    total = 0.0
    for j in range(raw.shape[0]):
        shares[j] = math.exp(raw[j] - top)
        total += shares[j]
    for j in range(raw.shape[0]):
        shares[j] /= total


@kernel
def _address(raw, memory, before, shifts, gated, cosine, content, shifted, weights):
    """Address of one head of one sequence, into the last four arrays and `gated`."""
    n_slots, width = memory.shape
    n_shifts = shifts.shape[0]
    one, tiny = raw.dtype.type(1), raw.dtype.type(_TINY)
    key = raw[:width]
    length = raw.dtype.type(_SMALL)
    for j in range(width):
        length += key[j] * key[j]
    strength = raw.dtype.type(_softplus(raw[width]))
    top = -strength
    for i in range(n_slots):
        row = memory[i]
        dot, own = raw.dtype.type(0), raw.dtype.type(_SMALL)
        for j in range(width):
            dot += key[j] * row[j]
            own += row[j] * row[j]
        cosine[i] = dot / math.sqrt(length * own)
        top = max(top, strength * cosine[i])
    total = raw.dtype.type(0)
    for i in range(n_slots):
        content[i] = math.exp(strength * cosine[i] - top)
        total += content[i]
    gate = raw.dtype.type(_sigmoid(raw[width + 1]))
    for i in range(n_slots):
        content[i] /= total
        gated[i] = gate * content[i] + (one - gate) * before[i]
    _soft_shares(raw[width + 2 : width + 2 + n_shifts], shifts)
    for i in range(n_slots):
        value = raw.dtype.type(0)
        for j in range(n_shifts):
            value += shifts[j] * gated[_around(i - j + n_shifts // 2, n_slots)]
        shifted[i] = value
    power = raw.dtype.type(1 + _softplus(raw[width + 2 + n_shifts]))
    for i in range(n_slots):
        weights[i] = power * math.log(shifted[i] + tiny)
    top = weights[0]
    for i in range(1, n_slots):
        top = max(top, weights[i])
    total = raw.dtype.type(0)
    for i in range(n_slots):
        weights[i] = math.exp(weights[i] - top)
        total += weights[i]
    for i in range(n_slots):
        weights[i] /= total


@kernel
def memory_forward(raw, old, before, n_shifts, memory, cosine, content, shifted, weights, read):
    """Run one step of all sequences.

    raw (n_sequences, n_raw), old (n_sequences, n_slots, width), before (n_sequences, n_heads,
    n_slots). Into memory (n_sequences, n_writing, n_slots, width), the memory after each head
    that writes; cosine, content, shifted, weights, of the shape of `before`; and read
    (n_sequences, n_reading, width).
    """
    n_sequences, n_heads, n_slots = before.shape
    n_writing, width = memory.shape[1], memory.shape[3]
    per_head = width + 3 + n_shifts
    one = raw.dtype.type(1)
    gated = np.empty(n_slots, dtype=raw.dtype)
    shifts = np.empty(n_shifts, dtype=raw.dtype)
    erase = np.empty(width, dtype=raw.dtype)
    add = np.empty(width, dtype=raw.dtype)
    for b in range(n_sequences):
        for h in range(n_heads):
            current = old[b] if h < n_writing else memory[b, n_writing - 1]
            said = raw[b, h * per_head : (h + 1) * per_head]
            w = weights[b, h]
            _address(said, current, before[b, h], shifts, gated, cosine[b, h], content[b, h],
                     shifted[b, h], w)  # fmt: skip
            if h < n_writing:
                first = n_heads * per_head + 2 * h * width
                for j in range(width):
                    erase[j] = _sigmoid(raw[b, first + j])
                    add[j] = raw[b, first + width + j]
                source = old[b] if h == 0 else memory[b, h - 1]
                for i in range(n_slots):
                    for j in range(width):
                        memory[b, h, i, j] = source[i, j] * (one - w[i] * erase[j]) + w[i] * add[j]
            else:
                r = read[b, h - n_writing]
                r[:] = 0
                for i in range(n_slots):
                    for j in range(width):
                        r[j] += w[i] * current[i, j]


@kernel
def _address_backward(
    raw, memory, before, shifts, gated, cosine, content, shifted, weights, d_weights,
    d_raw, d_memory, d_before, d_shifted,
):  # fmt: skip
    """Gradient of one head's address; `d_memory` is added to, `d_weights` is used up."""
    n_slots, width = memory.shape
    n_shifts = shifts.shape[0]
    one, tiny = raw.dtype.type(1), raw.dtype.type(_TINY)
    power = raw.dtype.type(1 + _softplus(raw[width + 2 + n_shifts]))
    inner = raw.dtype.type(0)
    for i in range(n_slots):
        inner += d_weights[i] * weights[i]
    d_power = raw.dtype.type(0)
    for i in range(n_slots):
        slope = weights[i] * (d_weights[i] - inner)
        value = shifted[i] + tiny
        d_power += slope * math.log(value)
        d_shifted[i] = slope * power / value
    d_raw[width + 2 + n_shifts] = d_power * _sigmoid(raw[width + 2 + n_shifts])

    gate = raw.dtype.type(_sigmoid(raw[width + 1]))
    for i in range(n_slots):
        gated[i] = gate * content[i] + (one - gate) * before[i]
    _soft_shares(raw[width + 2 : width + 2 + n_shifts], shifts)
    d_gated = d_weights
    d_gated[:] = 0
    mean = raw.dtype.type(0)
    for j in range(n_shifts):
        total = raw.dtype.type(0)
        for i in range(n_slots):
            k = _around(i - j + n_shifts // 2, n_slots)
            total += d_shifted[i] * gated[k]
            d_gated[k] += shifts[j] * d_shifted[i]
        d_raw[width + 2 + j] = total
        mean += total * shifts[j]
    for j in range(n_shifts):
        d_raw[width + 2 + j] = shifts[j] * (d_raw[width + 2 + j] - mean)

    d_gate, inner = raw.dtype.type(0), raw.dtype.type(0)
    for i in range(n_slots):
        d_gate += d_gated[i] * (content[i] - before[i])
        d_before[i] = (one - gate) * d_gated[i]
        inner += gate * d_gated[i] * content[i]
    d_raw[width + 1] = d_gate * gate * (1 - gate)

    strength = raw.dtype.type(_softplus(raw[width]))
    length = raw.dtype.type(_SMALL)
    for j in range(width):
        length += raw[j] * raw[j]
        d_raw[j] = 0
    d_strength, along = raw.dtype.type(0), raw.dtype.type(0)
    for i in range(n_slots):
        row, d_row = memory[i], d_memory[i]
        slope = content[i] * (gate * d_gated[i] - inner)
        d_strength += slope * cosine[i]
        d_cosine = strength * slope
        own = raw.dtype.type(_SMALL)
        for j in range(width):
            own += row[j] * row[j]
        d_dot = d_cosine / math.sqrt(length * own)
        shrink = d_cosine * cosine[i] / own
        along += d_cosine * cosine[i]
        for j in range(width):
            d_raw[j] += d_dot * row[j]
            d_row[j] += d_dot * raw[j] - shrink * row[j]
    for j in range(width):
        d_raw[j] -= along / length * raw[j]
    d_raw[width] = d_strength * _sigmoid(raw[width])


@kernel
def memory_backward(
    raw, old, before, n_shifts, memory, cosine, content, shifted, weights,
    d_memory, d_weights, d_read, d_raw, d_before,
):  # fmt: skip
    """Gradients of a step.

    d_memory (n_sequences, n_slots, width) holds the gradient of the memory after the step and
    ends as that of `old`; d_weights is used up; d_raw and d_before are written.
    """
    n_sequences, n_heads, n_slots = before.shape
    n_writing, width = memory.shape[1], memory.shape[3]
    per_head = width + 3 + n_shifts
    one = raw.dtype.type(1)
    gated = np.empty(n_slots, dtype=raw.dtype)
    d_shifted = np.empty(n_slots, dtype=raw.dtype)
    shifts = np.empty(n_shifts, dtype=raw.dtype)
    for b in range(n_sequences):
        dM = d_memory[b]
        for h in range(n_writing, n_heads):
            current, w, dw = memory[b, n_writing - 1], weights[b, h], d_weights[b, h]
            dr = d_read[b, h - n_writing]
            for i in range(n_slots):
                total = raw.dtype.type(0)
                for j in range(width):
                    total += current[i, j] * dr[j]
                    dM[i, j] += w[i] * dr[j]
                dw[i] += total
            at, stop = h * per_head, (h + 1) * per_head
            _address_backward(
                raw[b, at:stop], current, before[b, h], shifts, gated, cosine[b, h],
                content[b, h], shifted[b, h], w, dw, d_raw[b, at:stop], dM, d_before[b, h],
                d_shifted,
            )  # fmt: skip
        for h in range(n_writing - 1, -1, -1):
            source = old[b] if h == 0 else memory[b, h - 1]
            w, dw = weights[b, h], d_weights[b, h]
            first = n_heads * per_head + 2 * h * width
            for j in range(width):
                erase = raw.dtype.type(_sigmoid(raw[b, first + j]))
                add = raw[b, first + width + j]
                d_erase, d_add = raw.dtype.type(0), raw.dtype.type(0)
                for i in range(n_slots):
                    d = dM[i, j]
                    d_erase -= d * source[i, j] * w[i]
                    d_add += d * w[i]
                    dw[i] += d * (add - source[i, j] * erase)
                    dM[i, j] = d * (one - w[i] * erase)
                d_raw[b, first + j] = d_erase * erase * (1 - erase)
                d_raw[b, first + width + j] = d_add
        for h in range(n_writing):
            at, stop = h * per_head, (h + 1) * per_head
            _address_backward(
                raw[b, at:stop], old[b], before[b, h], shifts, gated, cosine[b, h],
                content[b, h], shifted[b, h], weights[b, h], d_weights[b, h], d_raw[b, at:stop],
                dM, d_before[b, h], d_shifted,
            )  # fmt: skip
