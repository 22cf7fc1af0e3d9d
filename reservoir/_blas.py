"""One thread of BLAS, for as long as somebody asks for it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["determinate", "one_blas_thread"]


class _OneThread:
    """Counts who asks for single-threaded BLAS, so that the last one sets it back."""

    def __init__(self):
        self.lock, self.n_users, self.limiter = threading.Lock(), 0, None

    @cached_property
    def controller(self):
        """The libraries loaded when it is first asked for: looking for them takes milliseconds."""
        return ThreadpoolController()


_one_thread = _OneThread()


def _after_fork():
    """A child has none of the threads that may have asked before the fork."""
    global _one_thread
    _one_thread = _OneThread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def one_blas_thread():
    """Hold BLAS to one thread, so that bits do not depend on the size of its pool.

    Several threads of a program may be inside at a time; the former limit comes back when the
    last of them leaves.
    """
    with _one_thread.lock:
        if _one_thread.n_users == 0:
            _one_thread.limiter = _one_thread.controller.limit(limits=1, user_api="blas")
            _one_thread.limiter.__enter__()
        _one_thread.n_users += 1
    try:
        yield
    finally:
        with _one_thread.lock:
            _one_thread.n_users -= 1
            if _one_thread.n_users == 0:
                _one_thread.limiter.__exit__(None, None, None)


def determinate(estimator: Any) -> Any:
    """Context in which an estimator gives the same bits for any number of threads, if it is to."""
    return one_blas_thread() if getattr(estimator, "deterministic", False) else nullcontext()
