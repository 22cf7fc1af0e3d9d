"""One step of an external memory as one operation of the tape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._tape import Var, current_tape

__all__ = ["MemoryShape", "memory_step"]


class MemoryShape(NamedTuple):
    """Sizes of a memory and of its heads."""

    n_slots: int
    width: int
    n_writing: int
    n_reading: int
    n_shifts: int

    @property
    def n_heads(self) -> int:
        """All heads; those that write come first."""
        return self.n_writing + self.n_reading

    @property
    def n_raw(self) -> int:
        """Numbers that the controller gives in each step; `_kernels_memory` says which."""
        per_head = self.width + 3 + self.n_shifts
        return self.n_heads * per_head + 2 * self.n_writing * self.width


def memory_step(raw: Var, memory: Var, before: Var, shape: MemoryShape) -> tuple[Var, Var, Var]:
    """Address, write and read; the formulas stand in `_kernels_memory`.

    Parameters
    ----------
    raw : Var of shape (n_sequences, n_raw)
        What the controller says.
    memory : Var of shape (n_sequences, n_slots, width)
    before : Var of shape (n_sequences, n_heads, n_slots)
        Addresses of the step before.
    shape : MemoryShape

    Returns
    -------
    memory : Var of shape (n_sequences, n_slots, width)
    weights : Var of shape (n_sequences, n_heads, n_slots)
        Addresses.
    read : Var of shape (n_sequences, n_reading, width)
    """
    from ._kernels_memory import memory_backward, memory_forward

    dtype = raw.data.dtype
    said, old, start = (
        np.require(v.data, dtype=dtype, requirements=["C", "W"]) for v in (raw, memory, before)
    )
    n = len(said)
    after = np.empty((n, shape.n_writing, shape.n_slots, shape.width), dtype=dtype)
    kept = np.empty((4, n, shape.n_heads, shape.n_slots), dtype=dtype)
    cosine, content, shifted, weights = kept
    read = np.empty((n, shape.n_reading, shape.width), dtype=dtype)
    given = (said, old, start, shape.n_shifts, after, cosine, content, shifted, weights)
    memory_forward(*given, read)
    outputs = Var(after[:, -1]), Var(weights), Var(read)

    def vjp(d_memory, d_weights, d_read):
        def own(grad, like):  # the kernel uses them up
            return np.zeros_like(like) if grad is None else np.array(grad, dtype=dtype, order="C")

        d_memory = own(d_memory, old)
        d_weights, d_read = own(d_weights, weights), own(d_read, read)
        d_raw, d_before = np.empty_like(said), np.empty_like(start)
        memory_backward(*given, d_memory, d_weights, d_read, d_raw, d_before)
        return d_raw, d_memory, d_before

    tape = current_tape()
    if tape is not None:
        tape.record(outputs, (raw, memory, before), vjp)
    return outputs
