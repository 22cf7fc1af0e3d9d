"""One thread of BLAS, for as long as somebody asks for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

from threadpoolctl import ThreadpoolController

from echocast._checks import check_flag

__all__ = ["OneThread", "determinate", "one_blas_thread"]


class OneThread:
    """Holds libraries to one thread while it has guests, from whatever threads they come.

    An interrupt may end `enter` and `leave` at any line: to call `leave` (again) puts it right.
    """

    def __init__(self, **which: str):
        self._which, self._lock = which, threading.Lock()
        self._guests: set = set()
        self._before: list | None = None
        self._held = False

    @cached_property
    def _libraries(self) -> list:
        """Those loaded when it is first asked for: looking for them takes milliseconds."""
        controller = ThreadpoolController()
        return (controller.select(**self._which) if self._which else controller).lib_controllers

    def enter(self, guest: object) -> None:
        """Hold the libraries, unless they are held."""
        with self._lock:
            self._guests.add(guest)
            if self._held:
                return
            if self._before is None:
                self._before = [library.num_threads for library in self._libraries]
            self._set([1] * len(self._before))
            self._held = True

    def leave(self, guest: object) -> None:
        """Set them back after the last guest; nothing happens for one who is not here."""
        with self._lock:
            self._guests.discard(guest)
            if self._guests or self._before is None:
                return
            self._held = False
            self._set(self._before)
            self._before = None

    def _set(self, numbers):
        for library, number in zip(self._libraries, numbers):
            # Newer releases of threadpoolctl obey no thread but the first, as long as it lives.
            release = getattr(library, "clear_controlling_thread", lambda force: None)
            release(force=True)
            if number is not None:
                library.set_num_threads(number)
            release(force=True)


_one_thread = OneThread(user_api="blas")


def _after_fork():
    """A child has none of the threads that may have asked before the fork."""
    global _one_thread
    _one_thread = OneThread(user_api="blas")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread, so that bits do not depend on the size of its pool.

    Several threads of a program may be inside at a time; the former limit comes back when the
    last of them leaves.
    """
    guest = object()
    try:
        _one_thread.enter(guest)
        yield
    finally:
        try:
            _one_thread.leave(guest)
        finally:
            _one_thread.leave(guest)  # an interrupt may have ended the first call


def determinate(estimator: Any) -> Any:
    """Context in which an estimator gives the same bits for any number of threads, if it is to."""
    asked = getattr(estimator, "deterministic", False)
    check_flag("deterministic", asked, type(estimator).__name__)
    return one_blas_thread() if asked else nullcontext()
