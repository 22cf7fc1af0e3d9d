"""How time and memory of a fit grow with units, steps, inputs and series.

Run with ``OMP_NUM_THREADS=1 python benchmarks/cost_growth.py`` (about two minutes). One quantity
grows by factors of two, the others stay; the exponent is the slope of log(seconds) over log(size),
by least squares over the upper half of the sizes, where fixed costs have become small. Seconds are
the least of three fits; memory is by how much a fit raises the largest resident size of a fresh
process that has made the data and fitted a tiny model (Linux only).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from _record import add_json_option, fastest, row, write

from echocast.forecasting import ESNForecaster
from echocast.reservoir import ESNRegressor

BASE = {"units": 300, "steps": 5_000, "inputs": 3, "series": 1}
SIZES = {
    "units": (100, 200, 400, 800, 1600, 3200),
    "steps": (2_500, 5_000, 10_000, 20_000, 40_000, 80_000),
    "inputs": (1, 4, 16, 64, 256),
    "series": (1, 4, 16, 64, 256),
}


def job(units, steps, inputs, series):
    """A fit of one network, or of a pool where there are several series."""
    rng = np.random.RandomState(0)
    if series > 1:
        dates = pd.date_range("2020-01-01", periods=200, freq="D")
        keys = pd.MultiIndex.from_product([range(series), dates], names=["series", "time"])
        y = pd.Series(rng.standard_normal(len(keys)).cumsum(), index=keys, name="y")
        model = ESNForecaster(units, pooling="global", random_state=0)
        return lambda: model.fit(y)
    U = rng.standard_normal((steps, inputs))
    Y = np.roll(U[:, :1], 1, axis=0)
    esn = ESNRegressor(units, random_state=0)
    return lambda: esn.fit(U, Y)


def peak(sizes):
    """Largest resident size of a fresh process that fits, in MB."""
    call = f"import cost_growth; cost_growth.print_peak({sizes!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {sys.path[0]!r}); {call}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def print_peak(sizes):
    job(**{**sizes, "units": 5, "steps": min(sizes["steps"], 500)})()
    work = job(**sizes)
    before = largest_size()
    work()
    print(largest_size() - before)


def largest_size():
    """Of this process so far, in MB, where Linux tells; `ru_maxrss` would count the parent's."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:
        return float("nan")
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024


def exponent(sizes, values):
    """Slope over the upper half of the sizes."""
    n = (len(sizes) + 1) // 2
    x, y = np.log(sizes[-n:]), np.log(np.maximum(values[-n:], 1e-9))
    return float(np.polyfit(x, y, 1)[0])


def grow(name, repeat):
    """Seconds, megabytes and exponents along one quantity."""
    sizes = SIZES[name]
    if name == "series":  # a single series has no pool
        sizes = sizes[1:]
    jobs = {size: job(**{**BASE, name: size}) for size in sizes}
    jobs[sizes[0]]()  # compiles
    seconds = list(fastest(jobs, repeat).values())
    memory = [peak({**BASE, name: size}) for size in sizes]
    slope = exponent(sizes, seconds)
    print(f"\n{name}: seconds grow with the power {slope:.2f}")
    print(f"{name:>8} {'seconds':>9} {'MB':>7}")
    for size, second, megabytes in zip(sizes, seconds, memory):
        print(f"{size:8} {second:9.3f} {megabytes:7.1f}", flush=True)
    details = {"sizes": list(sizes), "seconds": seconds, "megabytes": memory}
    return row("growth", f"fit against {name}", slope, "(exponent)", **details)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    add_json_option(parser)
    arguments = parser.parse_args()
    given = ", ".join(f"{value} {name}" for name, value in BASE.items())
    print(f"What does not grow: {given}; series of 200 steps in pools")
    write(arguments.json, [grow(name, arguments.repeat) for name in SIZES])


if __name__ == "__main__":
    main()
