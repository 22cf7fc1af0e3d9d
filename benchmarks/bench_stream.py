"""Streams: memory and coefficients of partial_fit, microseconds of single steps.

Run with ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_stream.py`` (three
minutes), or with ``--rows 10000000`` for the length that the target names (half an hour). Rows are
made chunk by chunk, as a stream would bring them: Lorenz-63 with noise. "growth" is what the peak
of the process's resident memory gains from the end of the first chunk (models, buffers and
compiled code are there then) to the end of the last.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
from _record import add_json_option, row, write

from echocast.datasets import lorenz63
from echocast.reservoir import ESNRegressor, LMSReadout, RLSReadout


def megabytes():
    """Peak of the resident memory so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def chunks(n_rows, chunk, seed=0):
    """Pairs (X, y) of consecutive rows; a chunk is the same whatever the length of the stream."""
    rng = np.random.RandomState(seed)
    base = lorenz63(chunk + 1, dt=0.02)
    base = (base - base.mean(axis=0)) / base.std(axis=0)
    for _ in range(0, n_rows, chunk):
        rows = base + 0.01 * rng.standard_normal(base.shape)
        yield rows[:-1], rows[1:]


def stream_of_rows(n_rows, chunk, n_units):
    """P8: growth of memory over the stream, and seconds a million rows."""
    model = ESNRegressor(n_units, washout=100, random_state=0)
    start = before = None
    done = 0
    for X, y in chunks(n_rows, chunk):
        model.partial_fit(X, y)
        done += len(X)
        if before is None:
            before, start, first = megabytes(), time.perf_counter(), done
    seconds = (time.perf_counter() - start) / max(done - first, 1) * 1e6
    return megabytes() - before, seconds, done


def difference(n_rows, chunk, n_units):
    """Largest difference of coefficients and predictions from one fit, as shares of the largest."""
    parts = list(chunks(n_rows, chunk))
    X, y = (np.concatenate(side) for side in zip(*parts))
    params = {"washout": 100, "random_state": 0}
    piecewise = ESNRegressor(n_units, **params)
    for rows, targets in parts:
        piecewise.partial_fit(rows, targets)
    whole = ESNRegressor(n_units, solver="qr", **params).fit(X, y)
    scale = np.abs(whole.coef_).max()
    probe = X[:2000]
    apart = np.abs(piecewise.predict(probe) - whole.predict(probe)).max()
    return np.abs(piecewise.coef_ - whole.coef_).max() / scale, apart


def microseconds(function, inputs, repeat):
    """Least time of a call over `repeat` rounds through the inputs."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        for arguments in inputs:
            function(*arguments)
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / len(inputs)


def single_steps(n_units, topology, repeat):
    """Microseconds of predict_one, of its compiled call, and of learn_one of three readouts."""
    X, y = next(chunks(4000, 4000))
    model = ESNRegressor(n_units, topology=topology, random_state=0).fit(X[:3000], y[:3000])
    stream, rows = model.stream(), [(x,) for x in X[:1000]]
    found = {"predict_one": microseconds(stream.predict_one, rows, repeat)}
    kernel, arguments = stream._kernel, stream._arguments
    found["compiled call"] = microseconds(kernel, [arguments] * 1000, repeat)
    pairs = list(zip(X[3000:3200], y[3000:3200]))
    found["learn_one, ridge"] = microseconds(stream.learn_one, pairs, repeat)
    for name, readout in (("RLS", RLSReadout(forgetting=0.999)), ("LMS", LMSReadout())):
        model.set_params(readout=readout).fit(X[:300], y[:300])
        found[f"learn_one, {name}"] = microseconds(model.stream().learn_one, pairs, repeat)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--chunk", type=int, default=50_000)
    parser.add_argument("--units", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=5)
    add_json_option(parser)
    arguments = parser.parse_args()
    rows = []
    growth, seconds, done = stream_of_rows(arguments.rows, arguments.chunk, arguments.units)
    job = f"partial_fit of {done} rows, N={arguments.units}"
    details = {"seconds_a_million_rows": seconds, "chunk": arguments.chunk}
    rows.append(row("P8", job, growth, "MB growth", target="< 50", **details))
    print(
        f"{job}: peak memory grows by {growth:.1f} MB; {seconds:.1f} s a million rows", flush=True
    )
    coef, outputs = difference(100_000, 10_000, arguments.units)
    job = f"partial_fit and one fit, 100000 rows, N={arguments.units}: coefficients"
    rows.append(row("P8", job, coef, "relative difference", target="<= 1e-9", outputs=outputs))
    print(f"{job} differ by {coef:.1e} of the largest, outputs by {outputs:.1e}", flush=True)
    for topology in ("random", "shift"):
        for n_units in (100, 300, 1000):
            for name, value in single_steps(n_units, topology, arguments.repeat).items():
                job = f"stream, {name}, N={n_units}, {topology}"
                rows.append(row("stream", job, value, "us"))
                print(f"{job:48s} {value:9.2f} us", flush=True)
    write(arguments.json, rows)


if __name__ == "__main__":
    main()
