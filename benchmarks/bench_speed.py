"""Fit and closed loop against peers, import and first-fit times, and the share of the limit.

Run with ``pip install ".[bench]" && python benchmarks/bench_speed.py``; without reservoirpy and
rclib only echocast's own rows are printed. Contenders take turns in one process on the same
data; each figure is the fastest of `--repeat` runs, and only ratios of one run are worth
comparing. ``OMP_NUM_THREADS=1`` gives single-thread figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile

import numpy as np
from _record import add_json_option, fastest, row, write

from echocast.datasets import lorenz63
from echocast.reservoir import ESNRegressor

N_TRAIN, N_FREE, DT = 10_000, 1_000, 0.02
SHARED = {"spectral_radius": 0.9, "input_scaling": 0.3, "random_state": 0}


def report(title, best, ours):
    print(f"\n{title}")
    for name, seconds in best.items():
        ratio = f"{seconds / best[ours]:6.2f} x ours" if name != ours else "  (ours)"
        print(f"  {name:34s} {seconds * 1e3:10.2f} ms {ratio}", flush=True)


def data():
    u = lorenz63(N_TRAIN + N_FREE + 1, dt=DT)
    return (u - u.mean(axis=0)) / u.std(axis=0)


def rclib_model(n_units):
    from rclib import readouts, reservoirs
    from rclib.model import ESN

    model = ESN()
    model.add_reservoir(
        reservoirs.RandomSparse(
            n_neurons=n_units,
            spectral_radius=0.9,
            sparsity=10 / n_units,
            input_scaling=0.3,
            include_bias=True,
            seed=0,
        )
    )
    model.set_readout(readouts.Ridge(alpha=1e-6, include_bias=True, solver="cholesky"))
    return model


def reservoirpy_model(n_units):
    import reservoirpy
    from reservoirpy.nodes import Reservoir, Ridge

    reservoirpy.verbosity(0) if hasattr(reservoirpy, "verbosity") else None
    reservoir = Reservoir(
        n_units, lr=1.0, sr=0.9, rc_connectivity=10 / n_units, input_scaling=0.3, seed=0
    )
    return reservoir >> Ridge(ridge=1e-6)


def peers():
    return [name for name in ("reservoirpy", "rclib") if importlib.util.find_spec(name)]


def fit_and_loop(u, n_units, repeat):
    """P1, P1b and P2: build and fit, then 1,000 closed-loop steps."""
    X, Y = u[:N_TRAIN], u[1 : N_TRAIN + 1]
    models = {}

    def ours(name, **params):
        def job():
            models[name] = ESNRegressor(n_units, **{**SHARED, **params}).fit(X, Y)

        return job

    jobs = {
        "echocast random": ours("random", alpha=1e-6, solver="cholesky"),
        "echocast shift": ours("shift", alpha=1e-6, solver="cholesky", topology="shift"),
        "echocast random, solver auto": ours("auto", alpha=1e-6),
        "echocast random, alpha auto (P1b)": ours("grid", alpha="auto"),
    }
    if "rclib" in peers():

        def fit_rclib():
            models["rclib"] = rclib_model(n_units)
            models["rclib"].fit(X, Y, 100)

        jobs["rclib"] = fit_rclib
    if "reservoirpy" in peers():

        def fit_reservoirpy():
            models["reservoirpy"] = reservoirpy_model(n_units)
            models["reservoirpy"].fit(X, Y, warmup=100)

        jobs["reservoirpy"] = fit_reservoirpy
    for job in jobs.values():
        job()  # compile, fill caches
    fits = fastest(jobs, repeat)
    report(f"P1 build + fit, N={n_units}, T={N_TRAIN}", fits, "echocast random")

    loops = {
        "echocast shift": lambda: models["shift"].generate(N_FREE),
        "echocast random": lambda: models["random"].generate(N_FREE),
    }
    if "rclib" in models:
        loops["rclib"] = lambda: models["rclib"].predict_generative(X[-1:], N_FREE)
    if "reservoirpy" in models:
        model = models["reservoirpy"]

        def loop_reservoirpy():
            x = X[-1]
            for _ in range(N_FREE):
                x = model.step(x)

        model.run(X[-10:])
        loops["reservoirpy"] = loop_reservoirpy
    for job in loops.values():
        job()
    steps = fastest(loops, repeat)
    report(f"P2 {N_FREE} closed-loop steps, N={n_units}", steps, "echocast shift")
    return rows_of(n_units, fits, steps)


def rows_of(n_units, fits, steps):
    """Ratios to the fastest peer."""
    ours, grid = fits["echocast random"], fits["echocast random, alpha auto (P1b)"]
    job = f"choice of the penalty, N={n_units}"
    rows = [row("P1b", job, grid / ours, "x P1", against="our P1", target="<= 6", seconds=grid)]
    if not peers():
        return rows
    peer = min(peers(), key=fits.get)
    for topology in ("shift", "random"):
        ours = fits[f"echocast {topology}"]
        job = f"build + fit, {topology}, N={n_units}, T={N_TRAIN}"
        ratio = fits[peer] / ours
        rows.insert(0, row("P1", job, ratio, "x", against=peer, target=">= 4", seconds=ours))
    peer = min(peers(), key=steps.get)
    for topology, target in (("shift", ">= 2"), ("random", ">= 1.5")):
        ours = steps[f"echocast {topology}"]
        job = f"{N_FREE} closed-loop steps, {topology}, N={n_units}"
        ratio = steps[peer] / ours
        rows.append(row("P2", job, ratio, "x", against=peer, target=target, seconds=ours))
    return rows


def limit(u, n_units, repeat):
    """P11: seconds of a fit, and what the machine needs for the same arithmetic."""
    rng = np.random.RandomState(0)
    block, out = rng.standard_normal((2000, n_units)), np.empty((n_units, n_units))
    values, scratch = rng.standard_normal(2**15), np.empty(2**15)
    esn = ESNRegressor(n_units, alpha=1e-6, solver="cholesky", **SHARED)
    X, Y = u[:N_TRAIN], u[1 : N_TRAIN + 1]
    jobs = {
        # NumPy sees that both factors are one matrix and calls the symmetric product
        "gram": lambda: np.matmul(block.T, block, out=out),
        "fma": lambda: np.multiply(values, 1.5, out=scratch),
        "tanh": lambda: np.tanh(values, out=scratch),
        "fit": lambda: esn.fit(X, Y),
    }
    esn.fit(X, Y)
    best = fastest(jobs, repeat)
    needed = (
        best["gram"] * N_TRAIN / len(block)
        + best["fma"] / len(values) * 10 * n_units * N_TRAIN
        + best["tanh"] / len(values) * n_units * N_TRAIN
    )
    print(
        f"  N={n_units}: fit {best['fit']:.3f} s, limit {needed:.3f} s, "
        f"share {needed / best['fit']:.0%}",
        flush=True,
    )
    job, share = f"share of the machine's limit, N={n_units}", 100 * needed / best["fit"]
    details = {"against": "the machine", "target": ">= 50", "seconds": best["fit"]}
    return row("P11", job, share, "%", **details)


_IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_FIRST = """
import time, numpy as np
from echocast.reservoir import ESNRegressor
u = np.sin(0.1 * np.arange(300))[:, None]
t = time.perf_counter()
esn = ESNRegressor(50, random_state=0).fit(u[:-1], u[1:])
first = time.perf_counter() - t
t = time.perf_counter()
esn.fit(u[:-1], u[1:])
print(first - (time.perf_counter() - t))
"""


def fresh(code, **environment):
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def cold_start(repeat):
    """P9 import time over the dependencies; P10 first fit with a cold and a warm cache."""
    base = "import numpy, scipy.linalg, scipy.sparse, sklearn.base, sklearn.metrics, pandas"
    every = f"{base}; import echocast.reservoir, echocast.forecasting, echocast.datasets"
    over = min(fresh(_IMPORT.format(every)) for _ in range(repeat)) - min(
        fresh(_IMPORT.format(base)) for _ in range(repeat)
    )
    rows = [row("P9", "import over its dependencies", over, "s", target="< 0.3")]
    print(f"\nP9 import over numpy + scipy + sklearn + pandas: {over:.3f} s (target < 0.3)")
    colds = []
    for _ in range(min(repeat, 3)):
        with tempfile.TemporaryDirectory() as folder:
            colds.append(fresh(_FIRST, NUMBA_CACHE_DIR=folder))
            warm = min(fresh(_FIRST, NUMBA_CACHE_DIR=folder) for _ in range(repeat))
    print(
        f"P10 first fit over a second one: cold {min(colds):.2f} s (< 5), warm {warm:.2f} s (< 0.5)"
    )
    rows.append(row("P10", "first fit, no kernels kept", min(colds), "s", target="< 5"))
    return [*rows, row("P10", "first fit, kernels kept", warm, "s", target="< 0.5")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--units", type=int, nargs="+", default=[1000])
    add_json_option(parser)
    args = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}")
    u, rows = data(), []
    for n_units in args.units:
        rows += fit_and_loop(u, n_units, args.repeat)
    print("\nP11 share of the machine's limit (normal equations, float64, K=10)")
    rows += [limit(u, n_units, args.repeat) for n_units in (1000, 3000)]
    rows += cold_start(args.repeat)
    write(args.json, rows)


if __name__ == "__main__":
    main()
