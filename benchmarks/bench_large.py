"""Large sparse reservoirs: seconds, peak memory and skill on Lorenz-63.

    python benchmarks/bench_large.py [--units 20000] [--rows 30000] [--solvers auto cholesky lsqr]

Each solver runs in a process of its own, whose peak of resident memory is read after the fit; what
the process held before is given beside it. A line names rows, solver, what it came down to, seconds
of the whole fit, processor seconds of it and of the spectral radius alone, the peak in MB and as a
multiple of one matrix of readout features in float64, the error of one step as a share of the
standard deviation, and the valid time of the closed loop in Lyapunov times, median over starts
(error above 0.4 of the total standard deviation). Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from _record import add_json_option, row, write

STEP, LYAPUNOV, TEST, STARTS, WARMUP = 0.02, 0.9056, 4000, 10, 300
SETTING = {"spectral_radius": 0.56, "input_scaling": 0.37, "bias_scaling": 1.8, "connectivity": 10}


def peak_megabytes() -> float:
    """Most resident memory that this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def fit_once(n_units: int, n_rows: int, solver: str, alpha: float, dtype: str, seed: int) -> dict:
    """Fit and judge one network in this process."""
    from echocast.datasets import lorenz63
    from echocast.reservoir import ESNRegressor, spectral_radius

    u = lorenz63(n_rows + TEST + 1, dt=STEP)
    u = (u - u[:n_rows].mean(axis=0)) / u[:n_rows].std(axis=0)
    # compiled kernels and the buffers of BLAS are not of the fit
    small = ESNRegressor(400, solver="cholesky", dtype=dtype, random_state=0).fit(u[:500], u[1:501])
    small.generate(2, warmup=u[:9])
    before = peak_megabytes()
    model = ESNRegressor(
        n_units, solver=solver, alpha=alpha, dtype=dtype, random_state=seed, washout=100, **SETTING
    )
    start, used = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(u[:n_rows], u[1 : n_rows + 1])
    seconds, peak = time.perf_counter() - start, peak_megabytes()
    used = time.process_time() - used
    start = time.process_time()
    spectral_radius(model.W_)
    radius_seconds = time.process_time() - start
    test = u[n_rows:]
    error = (model.predict(test[:-1]) - test[1:])[WARMUP:]
    # of inputs and outputs that have standard deviation one
    valid = [_valid_time(model, test, k) for k in np.linspace(0, TEST - 2000, STARTS).astype(int)]
    return {
        "solver_used": model.solver_,
        "seconds": seconds,
        "processor_seconds": used,
        "radius_seconds": radius_seconds,
        "before_mb": before,
        "peak_mb": peak,
        "matrices": (peak - before) * 2**20 / (8 * (n_units + 3) ** 2),
        "nrmse": float(np.sqrt((error**2).mean() / test.var(axis=0).mean())),
        "valid_time": float(np.median(valid)),
        "warnings": [str(w.message) for w in said],
    }


def _valid_time(model, test, first):
    n_steps = 2000 - WARMUP
    truth = test[first + WARMUP : first + WARMUP + n_steps]
    path = model.generate(n_steps, warmup=test[first : first + WARMUP])
    off = np.linalg.norm(path - truth, axis=1) > 0.4 * np.sqrt(test.var(axis=0).sum())
    return (int(np.argmax(off)) if off.any() else n_steps) * STEP * LYAPUNOV


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=20_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 30_000])
    parser.add_argument("--solvers", nargs="+", default=["auto", "cholesky", "lsqr"])
    parser.add_argument("--alpha", type=float, default=1e-6)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    add_json_option(parser)
    args = parser.parse_args()
    if args.one:
        found = fit_once(
            args.units, args.rows[0], args.solvers[0], args.alpha, args.dtype, args.seed
        )
        print(json.dumps(found))
        return
    rows = []
    print("units rows solver -> used | s, CPU s (radius) | MB (matrices) | NRMSE | Lyapunov times")
    for n_rows in args.rows:
        for solver in args.solvers:
            own = f"--units {args.units} --rows {n_rows} --solvers {solver} --alpha {args.alpha}"
            own += f" --dtype {args.dtype} --seed {args.seed} --one"
            done = subprocess.run(
                [sys.executable, __file__, *own.split()], stdout=subprocess.PIPE, text=True
            )
            if done.returncode:
                print(f"{args.units} {n_rows} {solver} failed ({done.returncode})", flush=True)
                continue
            found = json.loads(done.stdout)
            print(
                f"{args.units} {n_rows} {solver} -> {found['solver_used']} | "
                f"{found['seconds']:.0f}, {found['processor_seconds']:.0f} "
                f"({found['radius_seconds']:.1f}) | {found['peak_mb']:.0f}, "
                f"{found['before_mb']:.0f} before ({found['matrices']:.2f}) | "
                f"{found['nrmse']:.1e} | {found['valid_time']:.1f} {' '.join(found['warnings'])}",
                flush=True,
            )
            job = f"fit of {args.units} units to {n_rows} rows, {solver}, {args.dtype}"
            rows.append(row("large", job, found["seconds"], "s", **found))
    write(args.json, rows)


if __name__ == "__main__":
    main()
