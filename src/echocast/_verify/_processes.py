"""Rows about threads, processes and compiled kernels."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ._figures import Figure, figure, row, skipped


def _problem(seed):
    u = np.random.RandomState(seed).standard_normal((301, 2)).cumsum(axis=0) / 20
    return u[:-1], u[1:, 0]


@row("16-thread predict", "threads")
def sixteen_threads(seed: int, full: bool) -> Figure:
    """One fitted model, called from 16 threads at once, with other shapes in between."""
    from echocast.reservoir import ESNRegressor

    X, y = _problem(seed)
    esn = ESNRegressor(30, random_state=seed).fit(X, y)
    lengths = (1, 7, 50, 300)
    expected = {n: esn.predict(X[:n]) for n in lengths}
    rounds = 1000 if full else 200
    start = threading.Barrier(16)

    def work(k):
        start.wait()
        wrong = 0
        for i in range(rounds):
            n = lengths[(i + k) % 4]
            wrong += not np.array_equal(esn.predict(X[:n]), expected[n])
        return wrong

    with ThreadPoolExecutor(16) as pool:
        wrong = sum(pool.map(work, range(16)))
    return figure(f"{16 * rounds:,} calls", f"{wrong} differ from serial ones", wrong)


@row("processes", "threads")
def processes(seed: int, full: bool) -> Figure:
    """Fits in forked, spawned and joblib's workers: the same coefficients."""
    import joblib
    from sklearn.base import clone

    from echocast.reservoir import ESNRegressor

    X, y = _problem(seed)
    esn = ESNRegressor(30, random_state=seed).fit(X, y)
    found = []
    for backend in ("threading", "loky"):
        run = joblib.Parallel(n_jobs=2, backend=backend)
        found += run(joblib.delayed(clone(esn).fit)(X, y) for _ in range(4))
    for method in multiprocessing.get_all_start_methods():
        # A spawned child reads the main script again, which must not be this command's own.
        if method == "fork" or full:
            with multiprocessing.get_context(method).Pool(1) as pool:
                found.append(pool.apply_async(clone(esn).fit, (X, y)).get(timeout=120))
    wrong = sum(not np.array_equal(model.coef_, esn.coef_) for model in found)
    return figure(f"{len(found)} fits in workers", f"{wrong} differ", wrong)


@row("threads of BLAS", "threads")
def blas_threads(seed: int, full: bool) -> Figure:
    """``deterministic=True`` gives the same bits for any number of threads."""
    from threadpoolctl import threadpool_info, threadpool_limits

    from echocast.reservoir import ESNRegressor

    if not any(pool["user_api"] == "blas" for pool in threadpool_info()):
        return skipped("no BLAS whose threads can be set")
    rng = np.random.RandomState(seed)
    U = rng.standard_normal((3000, 3))
    esn = ESNRegressor(400 if full else 200, alpha=1e-3, deterministic=True, random_state=seed)
    found = []
    for n_threads in (1, 2, 4, 16):
        with threadpool_limits(n_threads):
            found.append(esn.fit(U, U[:, 0]).coef_.copy())
    wrong = sum(not np.array_equal(coef, found[0]) for coef in found)
    return figure(f"{len(found)} thread counts", f"{wrong} with other bits", wrong)


_FIT = (
    "import numpy as np; from echocast.reservoir import ESNRegressor; "
    "u = np.sin(np.arange(60.0))[:, None]; "
    "print(float(ESNRegressor(10, random_state=0).fit(u[:-1], u[1:]).predict(u).sum()).hex())"
)


def _fresh(folder: str, **more) -> subprocess.CompletedProcess:
    """Fit in a new process; what it prints is "" if it crashes."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder, **more}
    command = [sys.executable, "-c", _FIT]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _first(folder: str) -> str:
    """What a process prints that nothing is in the way of; anything else can only be a miss."""
    run = _fresh(folder)
    if run.returncode:
        raise RuntimeError((run.stderr.strip().splitlines() or ["a new process crashes"])[-1])
    return run.stdout


@row("damaged kernel cache", "cache")
def damaged_cache(seed: int, full: bool) -> Figure:
    """Cached machine code that is cut or has a flipped bit is compiled anew, never run."""
    rng = np.random.RandomState(seed)
    with tempfile.TemporaryDirectory() as folder:
        expected = _first(folder)
        whole = {path: path.read_bytes() for path in Path(folder).rglob("*.bin")}
        if not whole:
            return skipped("no kernel cache on this system")
        rounds, wrong = (40 if full else 4), 0
        for k in range(rounds):
            for path, code in whole.items():
                content = bytearray(code)
                if k % 2:
                    content = content[: rng.randint(len(content))]
                else:
                    content[rng.randint(len(content))] ^= 1 << rng.randint(8)
                path.write_bytes(bytes(content))
            wrong += _fresh(folder).stdout != expected
    trials = f"{rounds} x {len(whole)} files"
    return figure(trials, f"{wrong} wrong results or crashes", wrong)


@row("racing kernel cache", "cache", full_only=True)
def racing_cache(seed: int, full: bool) -> Figure:
    """Processes that fill one empty cache at the same time."""
    n = 8
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(n) as pool:
        outputs = list(pool.map(lambda _: _fresh(folder).stdout, range(n)))
        expected = _first(folder)
    wrong = sum(output != expected for output in outputs)
    return figure(f"{n} processes", f"{wrong} wrong results or crashes", wrong)


@row("no place for a cache", "cache")
def no_cache(seed: int, full: bool) -> Figure:
    """A cache folder that cannot be made, or is switched off: kernels compile in memory."""
    with tempfile.TemporaryDirectory() as folder:
        blocked = Path(folder) / "file"
        blocked.write_text("not a folder")
        expected = _first(folder)
        runs = [_fresh(str(blocked)), _fresh(folder, ECHOCAST_CACHE="0")]
    wrong = sum(run.stdout != expected for run in runs)
    return figure(f"{len(runs)} processes", f"{wrong} wrong results or crashes", wrong)
