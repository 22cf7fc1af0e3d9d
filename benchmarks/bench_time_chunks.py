"""Harvest of states: chunks of time side by side against the same steps one after the other.

Run with ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_time_chunks.py`` (a
quarter of an hour, most of it for 3,000 dense units). Input is Lorenz-63; both ways take turns in
one process, and a figure is the ratio of their least times over `--repeat` turns, the search for
the warm-up included. States are thrown away block by block, as a fit does. ``--steps`` is the
length of the series, except for dense networks, whose steps cost milliseconds: theirs is
``--dense-steps``.
"""

from __future__ import annotations

import argparse

import numpy as np
from _record import add_json_option, fastest, row, write

from echocast.datasets import lorenz63
from echocast.reservoir import ESNRegressor
from echocast.reservoir._drive import state_blocks
from echocast.reservoir._time_chunks import TimeChunks

# units, topology, connectivity, numbers of chunks
CASES = (
    (300, "random", 10, (8, 32)),
    (1000, "random", 10, (8, 32)),
    (1000, "random", 100, (8, 32)),
    (3000, "random", 30, (8, 32)),
    (300, "shift", 10, (8, 32)),
    (1000, "shift", 10, (8, 32)),
    (3000, "shift", 30, (8, 32)),
    (300, "random", 1.0, (8, 64)),
    (1000, "random", 1.0, (8, 64)),
    (3000, "random", 1.0, (8, 64)),
)


def measure(X, n_units, topology, connectivity, counts, dtype, repeat):
    esn = ESNRegressor(
        n_units, topology=topology, connectivity=connectivity, dtype=dtype, random_state=0
    )
    # Weights alone: a readout of a few rows.
    esn.set_params(alpha=1.0, washout=0).fit(X[:200], X[:200])
    res, runs = esn._fit_reservoir.reservoir, {}
    X = X.astype(dtype)

    def one_after_the_other():
        for _ in state_blocks(res, X):
            pass

    def side_by_side(count):
        def job():
            runs[count] = TimeChunks(count)
            for _ in runs[count].blocks([res], X, [np.zeros(n_units, dtype)]):
                pass

        return job

    jobs = {0: one_after_the_other, **{count: side_by_side(count) for count in counts}}
    for job in jobs.values():
        job()
    return fastest(jobs, repeat), runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--dense-steps", type=int, default=20_000)
    parser.add_argument("--units", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--dtypes", nargs="+", default=["float64"])
    parser.add_argument("--repeat", type=int, default=2)
    add_json_option(parser)
    arguments = parser.parse_args()
    u = lorenz63(arguments.steps, dt=0.02)
    u = (u - u.mean(axis=0)) / u.std(axis=0)
    rows = []
    for n_units, topology, connectivity, counts in CASES:
        if n_units not in arguments.units:
            continue
        dense = connectivity == 1.0
        X = u[: arguments.dense_steps if dense and n_units > 300 else arguments.steps]
        kind = "dense" if dense else f"{topology}, {connectivity} a row"
        for dtype in arguments.dtypes:
            best, runs = measure(
                X, n_units, topology, connectivity, counts, dtype, arguments.repeat
            )
            for count, run in runs.items():
                ratio = best[0] / best[count]
                job = f"states, N={n_units}, {kind}, T={len(X)}, {dtype}, {run.n_chunks} chunks"
                found = {
                    "microseconds_a_step": [1e6 * best[k] / len(X) for k in (0, count)],
                    "warmup": run.warmup,
                    "error": run.error,
                }
                rows.append(row("time chunks", job, ratio, "x", against="one by one", **found))
                print(
                    f"{job:62s} {found['microseconds_a_step'][0]:8.2f} -> "
                    f"{found['microseconds_a_step'][1]:8.2f} us a step: {ratio:5.2f} x, warm-up "
                    f"{run.warmup}, largest mismatch {run.error:.1e}",
                    flush=True,
                )
    write(arguments.json, rows)


if __name__ == "__main__":
    main()
