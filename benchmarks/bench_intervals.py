"""Coverage of prediction intervals, and forecasts from rows with gaps, on simulated series.

Each row of the first table is a mean over independent series: fit to n rows, count which of the 8
rows after them lie inside the 80 and 95 per cent intervals. Standard errors are printed beside.
The second table has mean absolute errors of 12 steps after 240 rows of a seasonal series, a fifth
of which are missing.

    python benchmarks/bench_intervals.py [--runs 200]
"""

import argparse

import numpy as np

from echocast.forecasting import ESNForecaster

HORIZON = 8


def autoregression(rng, n):
    y = np.zeros(n + 50)
    for t in range(1, n + 50):
        y[t] = 0.6 * y[t - 1] + rng.randn()
    return y[50:]


def walk(rng, n):
    return np.cumsum(0.1 + rng.randn(n))


def seasonal(rng, n):
    return 5 * np.sin(2 * np.pi * np.arange(n) / 12) + autoregression(rng, n)


def seasonal_walk(rng, n):
    return seasonal(rng, n) + np.cumsum(0.2 + rng.randn(n))


def growing(rng, n):
    t = np.arange(n)
    return 50 * np.exp(0.01 * t + 0.4 * np.sin(2 * np.pi * t / 12) + 0.1 * autoregression(rng, n))


CASES = {
    "autoregression": (autoregression, 1, "auto"),
    "random walk": (walk, 1, "auto"),
    "fixed season": (seasonal, 12, "auto"),
    "season on a random walk": (seasonal_walk, 12, "auto"),
    "growing season, logarithm given": (growing, 12, ["log", "detrend", "deseasonalize"]),
}


def coverage(case, interval, n, n_runs):
    make, season, transforms = CASES[case]
    inside = np.empty((n_runs, 2))
    for run in range(n_runs):
        y = make(np.random.RandomState(run), n + HORIZON)
        model = ESNForecaster(
            season_length=season, transforms=transforms, interval=interval, random_state=run
        )
        bands = model.fit(y[:n]).predict(HORIZON, level=[80, 95]).to_numpy()
        for k in (0, 1):
            low, high = bands[:, 1 + 2 * k], bands[:, 2 + 2 * k]
            inside[run, k] = ((low <= y[n:]) & (y[n:] <= high)).mean()
    return inside.mean(axis=0), inside.std(axis=0, ddof=1) / np.sqrt(n_runs)


def print_coverage(n_runs):
    print(f"{'series':32} {'interval':10} {'n':>4}  {'80':>13}  {'95':>13}")
    for case in CASES:
        for interval, n in (("bootstrap", 60), ("bootstrap", 150), ("conformal", 150)):
            mean, error = coverage(case, interval, n, n_runs)
            shown = "  ".join(f"{m:6.1%} ±{e:5.1%}" for m, e in zip(mean, error))
            print(f"{case:32} {interval:10} {n:4}  {shown}", flush=True)


def with_gaps(rng, y, kind):
    gappy = y.copy()
    if kind == "at random":
        gappy[rng.rand(len(y)) < 0.2] = np.nan
    else:
        for start in rng.choice(np.arange(30, len(y) - 20), 4, replace=False):
            gappy[start : start + 15] = np.nan
    gappy[0] = y[0]
    return gappy


def print_missing(n_runs):
    for kind in ("at random", "four stretches of 15"):
        errors = {"ffill": [], "interpolate": [], "mask": [], "complete": []}
        for run in range(n_runs):
            rng = np.random.RandomState(run)
            y = 5 * np.sin(2 * np.pi * np.arange(252) / 12) + seasonal(rng, 252)
            gappy = with_gaps(rng, y[:240], kind)
            for missing, found in errors.items():
                rule = "raise" if missing == "complete" else missing
                model = ESNForecaster(season_length=12, missing=rule, random_state=0)
                model.fit(y[:240] if missing == "complete" else gappy)
                found.append(np.abs(model.predict(12) - y[240:]).mean())
        means = "  ".join(f"{missing} {np.mean(found):.2f}" for missing, found in errors.items())
        print(f"missing {kind:22} {means}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    print_missing(max(runs // 5, 2))
    print_coverage(runs)
