"""Where the tasks of a distributed fit run: through joblib, or on the workers of a Dask cluster.

A task is a function of this package, of a part and of what all parts share. Its result depends
on these alone: libraries run on one thread, and retries start from the same arguments.
"""

from __future__ import annotations

import functools
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from joblib import Parallel, delayed

from echocast.exceptions import DistributedFitError

from ._blas import OneThread

__all__ = ["ClusterRun", "LocalRun", "connect", "task", "tree"]

_RETRIES = 2
_POLL_SECONDS = 1.0
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning)
_NEEDS_DASK = "Distributed fit needs the 'dask' extra: pip install echocast[dask]."


# ---------------------------------------------------------------------- conditions


class _Conditions:
    """One thread for each library and warnings kept, while any thread of the process is inside.

    Both are settings of the whole process: each thread setting and restoring them by itself
    would restore what another one had set.
    """

    def __init__(self):
        self._lock, self._count = threading.Lock(), 0
        self._own = threading.local()

    def __enter__(self) -> list:
        from . import _readout  # noqa: F401  the limits hold for libraries that are loaded

        with self._lock:
            if not self._count:
                self._limit = OneThread()
                self._limit.enter(self)
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("always")
                self._show, warnings.showwarning = warnings.showwarning, self._keep
            self._count += 1
        self._own.kept = []
        return self._own.kept

    def __exit__(self, *error):
        self._own.kept = None
        with self._lock:
            self._count -= 1
            if not self._count:
                self._filters.__exit__(*error)
                self._limit.leave(self)

    def _keep(self, message, category, *where, **more):
        kept = getattr(self._own, "kept", None)
        if kept is None:  # another thread's, such as those of the scheduler
            self._show(message, category, *where, **more)
        elif not issubclass(category, _QUIET):
            kept.append((category, str(message)))


_CONDITIONS = _Conditions()


def task(function: Callable) -> Callable:
    """Run a function under the same conditions everywhere.

    Results that have a method ``with_warnings`` are given what was warned of.
    """

    @functools.wraps(function)
    def wrapped(*args, **shared):
        with _CONDITIONS as kept:
            result = function(*args, **shared)
        if kept and hasattr(result, "with_warnings"):
            return result.with_warnings(tuple(kept))
        return result

    return wrapped


def tree(run: Any, function: Callable, items: Sequence) -> Any:
    """Combine neighbours, then their neighbours: an order that no worker has a say in."""
    items = list(items)
    while len(items) > 1:
        pairs = zip(items[::2], items[1::2])
        left_over = items[len(items) - len(items) % 2 :]
        items = [run.submit(function, a, b) for a, b in pairs] + left_over
    return items[0]


# ---------------------------------------------------------------------- here


class LocalRun:
    """Tasks through joblib, by whatever backend is active."""

    def __init__(self, n_jobs: int | None):
        self.n_jobs = n_jobs

    def map(self, function: Callable, items: Sequence, names: Sequence[str], **shared: Any) -> list:
        """Results of ``function(item, **shared)``, in order."""
        jobs = (delayed(_caught)(function, item, shared) for item in items)
        results = Parallel(n_jobs=self.n_jobs)(jobs)
        for number, (_, error) in enumerate(results):
            if error is not None:
                raise _failed(error, names[number], number) from error
        return [result for result, _ in results]

    def submit(self, function: Callable, *args: Any) -> Any:
        """The result of ``function(*args)``."""
        return function(*args)

    def value(self, result: Any) -> Any:
        """The result itself."""
        return result

    def close(self) -> None:
        """Nothing is held."""


def _caught(function, item, shared):
    try:
        return function(item, **shared), None
    except Exception as error:  # joblib would not say which of its tasks it was
        return None, error


def _failed(error, name, number):
    reason = f"{type(error).__name__}: {error}".rstrip(". ")
    return DistributedFitError(f"{name} failed: {reason}. The estimator is unchanged.", number)


# ------------------------------------------------------------------- on a cluster


def connect(client: Any, n_jobs: int | None, patience: float) -> LocalRun | ClusterRun:
    """Where to run: None is here, a client or the address of a scheduler is a cluster."""
    if client is None:
        return LocalRun(n_jobs)
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(_NEEDS_DASK) from error
    if isinstance(client, str):
        return ClusterRun(Client(client, set_as_default=False), patience, owned=True)
    if not isinstance(client, Client) or client.asynchronous:
        raise TypeError(
            "`client` must be a distributed.Client (not an asynchronous one), the address of a "
            f"scheduler, or None. Found {type(client)}."
        )
    return ClusterRun(client, patience)


class ClusterRun:
    """Tasks as futures, which a lost worker costs nothing but time.

    Whatever a task needs comes with the graph or is the result of another task, so that the
    scheduler can have it made again.
    """

    def __init__(self, client: Any, patience: float, *, owned: bool = False):
        self.client, self.patience, self.owned = client, patience, owned
        self._futures: list = []
        self._names: dict = {}

    def map(self, function: Callable, items: Sequence, names: Sequence[str], **shared: Any) -> list:
        """Futures of ``function(item, **shared)``, in order."""
        with warnings.catch_warnings():
            # weights and frames are sent once; more data is what loaders and paths are for
            warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
            settings = {"pure": False, "retries": _RETRIES, **shared}
            futures = self._asked(self.client.map, function, items, **settings)
        self._names.update({f.key: (number, names[number]) for number, f in enumerate(futures)})
        self._futures += futures
        return futures

    def submit(self, function: Callable, *args: Any) -> Any:
        """The future of ``function(*args)``."""
        settings = {"pure": False, "retries": _RETRIES}
        future = self._asked(self.client.submit, function, *args, **settings)
        self._futures.append(future)
        return future

    def value(self, result: Any) -> Any:
        """The result of a future, or of each of a list, once it is there."""
        if isinstance(result, list):
            return [self.value(one) for one in result]
        self._wait(result)
        if result.status != "finished":
            raise self._failure(result)
        return self._asked(result.result)

    def close(self) -> None:
        """Let go of all futures."""
        futures, self._futures = self._futures, []
        if self.client.status == "running":
            self.client.cancel(futures)
        if self.owned:
            self.client.close()

    def _wait(self, future):
        from distributed import TimeoutError as NotYet
        from distributed import wait

        seen = time.monotonic()
        while True:
            try:
                self._asked(wait, future, timeout=_POLL_SECONDS, passed=NotYet)
                return
            except NotYet:
                if self._asked(self.client.scheduler_info)["workers"]:
                    seen = time.monotonic()
                elif time.monotonic() - seen > self.patience:
                    raise _lost(f"has had no worker for {self.patience:g} s") from None

    def _asked(self, request, *args, passed=(), **settings):
        """What the scheduler answers; an error says that there is none."""
        from concurrent.futures import CancelledError

        try:
            return request(*args, **settings)
        except passed:
            raise
        except Exception as error:
            if self.client.status == "running" and not isinstance(error, (CancelledError, OSError)):
                raise
            raise _lost(f"cannot be reached: {type(error).__name__}") from error

    def _failure(self, future):
        """The error of a task, named by the first part that failed."""
        named = [f for f in self._futures if f.key in self._names and f.status == "error"]
        first = min(named, key=lambda f: self._names[f.key][0], default=future)
        number, name = self._names.get(first.key, (None, "Combining parts"))
        if first.status != "error":
            return _lost("has cancelled the fit")
        cause = first.exception()
        limit = getattr(cause, "allowed_failures", None)
        if limit is None:
            error = _failed(cause, name, number)
        else:
            error = DistributedFitError(
                f"{name} failed on {limit + 1} worker(s) (limit {limit}). Last: "
                f"{type(cause).__name__}. The estimator is unchanged.",
                number,
            )
        error.__cause__ = cause
        return error


def _lost(what):
    return DistributedFitError(f"The cluster {what}. The estimator is unchanged.")
