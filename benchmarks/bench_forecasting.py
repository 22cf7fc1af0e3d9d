"""Skill of the default `ESNForecaster` on the bundled series, and coverage of its intervals.

Run with ``python benchmarks/bench_forecasting.py`` (about a minute on two cores); ``--coverage``
adds 1,000 replications of each simulated series (some three minutes).

Skill: rolling origins, spread evenly back from the end of the series, with an expanding training
part and a refit at each. MASE divides by the mean absolute error of the seasonal naive forecast
within the training part, one season ahead. The network's figure is the median of five seeds,
with the least and the greatest. These windows are not wholly unseen: the defaults were chosen on
some 125 public series, of which earlier windows of these series are a part.

Coverage: the share of true values inside the intervals of nominal 80 and 95 per cent, for the
first of 12 steps, all and the last, after 200 training rows.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from echocast.datasets import load_co2, load_el_nino, load_sunspots
from echocast.exceptions import EchocastWarning
from echocast.forecasting import ESNForecaster, NaiveForecaster, backtest

SEEDS = range(5)
SKILL = [  # name, series, season, horizon, origins, rows between origins
    ("sunspots, yearly", load_sunspots, 11, 11, 20, 5),
    ("sunspots, yearly", load_sunspots, 11, 22, 10, 5),
    ("El Nino, monthly", load_el_nino, 12, 6, 20, 12),
    ("El Nino, monthly", load_el_nino, 12, 12, 20, 12),
    ("CO2, monthly", lambda: load_co2(freq="monthly", missing="interpolate"), 12, 12, 20, 12),
    ("CO2, weekly", lambda: load_co2(missing="interpolate"), 52, 26, 10, 26),
    ("CO2, weekly", lambda: load_co2(missing="interpolate"), 52, 52, 10, 26),
]


def skill(n_seeds):
    """Print one row for each series and horizon."""
    header = ("series", "steps", "origins", "ESN (min-max)", "seasonal", "drift", "last", "sec/fit")
    print("{:<18}{:>6}{:>9}{:>22}{:>10}{:>8}{:>8}{:>9}".format(*header))
    for name, load, season, horizon, n_windows, step in SKILL:
        y = load()
        settings = {
            "horizon": horizon, "n_windows": n_windows, "step": step, "season_length": season,
            "metrics": "mase",
        }  # fmt: skip
        ours, began = [], time.perf_counter()
        for seed in range(n_seeds):
            model = ESNForecaster(random_state=seed)
            ours.append(backtest(model, y, **settings).summary()["mase"])
        seconds = (time.perf_counter() - began) / (n_seeds * n_windows)
        naive = [
            backtest(NaiveForecaster(kind, season_length=season), y, **settings).summary()["mase"]
            for kind in ("seasonal", "drift", "last")
        ]
        shown = f"{np.median(ours):.3f} ({min(ours):.3f}-{max(ours):.3f})"
        print(
            f"{name:<18}{horizon:>6}{n_windows:>9}{shown:>22}{naive[0]:>10.3f}{naive[1]:>8.3f}"
            f"{naive[2]:>8.3f}{seconds:>9.3f}",
            flush=True,
        )


def autoregression(rng, n, coefs):
    """A stationary autoregression with unit normal innovations."""
    y = np.zeros(n + 100)
    for t in range(len(coefs), n + 100):
        y[t] = sum(c * y[t - 1 - i] for i, c in enumerate(coefs)) + rng.randn()
    return y[100:]


SIMULATED = {  # name: (series of n rows, season)
    "white noise": (lambda rng, n: rng.randn(n), 1),
    "AR(1), 0.6": (lambda rng, n: autoregression(rng, n, [0.6]), 1),
    "AR(1), 0.9": (lambda rng, n: autoregression(rng, n, [0.9]), 1),
    "AR(2), 1.2 -0.5": (lambda rng, n: autoregression(rng, n, [1.2, -0.5]), 1),
    "random walk, drift": (lambda rng, n: np.cumsum(0.1 + rng.randn(n)), 1),
    "integrated AR(1), 0.5": (lambda rng, n: np.cumsum(autoregression(rng, n, [0.5])), 1),
    "season + AR(1)": (
        lambda rng, n: 5 * np.sin(np.arange(n) * np.pi / 6) + autoregression(rng, n, [0.5]), 12,
    ),
}  # fmt: skip


def coverage(n_runs, interval):
    """Print the coverage on each kind of simulated series."""
    n, horizon = 200, 12
    print(f"\ncoverage of 80 / 95 per cent, interval={interval!r}, {n_runs} replications")
    print("{:<24}{:>16}{:>16}{:>16}".format("series", "step 1", "steps 1-12", "step 12"))
    for name, (make, season) in SIMULATED.items():
        inside = np.empty((n_runs, 2, horizon))
        for run in range(n_runs):
            y = make(np.random.RandomState(run), n + horizon)
            model = ESNForecaster(season_length=season, interval=interval, random_state=run)
            bands = model.fit(y[:n]).predict(horizon, level=[80, 95]).to_numpy()
            for i, k in enumerate((1, 3)):
                inside[run, i] = (bands[:, k] <= y[n:]) & (y[n:] <= bands[:, k + 1])
        shares = inside[:, :, 0].mean(0), inside.mean((0, 2)), inside[:, :, -1].mean(0)
        shown = "".join(f"{a:>9.3f} /{b:>5.3f}" for a, b in shares)
        print(f"{name:<24}{shown}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, 50 replications")
    parser.add_argument("--coverage", action="store_true", help="simulate coverage as well")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", EchocastWarning)
    skill(1 if arguments.quick else len(SEEDS))
    if arguments.coverage:
        for interval in ("bootstrap", "conformal"):
            coverage(50 if arguments.quick else 1000, interval)


if __name__ == "__main__":
    main()
