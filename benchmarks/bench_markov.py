"""Does a memory help? `MarkovForecaster` beside networks on real series and chaotic systems.

Run with ``python benchmarks/bench_markov.py`` (about two minutes on two cores).

Real series: rolling origins back from the end, an expanding training part, a refit at each; MASE
(mean absolute error over that of the seasonal naive forecast within the training part), as in
``bench_forecasting.py``. Networks: median of five seeds. Ensemble: the mean of the five seeds and
the Markov forecast, six members of equal weight.

Chaotic systems: Mackey-Glass (tau 17, one sample a time unit, Lyapunov time 1 / 0.006) and
Lorenz-63 (0.02 a sample, Lyapunov time 1 / 0.906), by the defaults of `echocast.datasets`; 2,000
training rows, five test parts after training parts that end 500 rows apart, 1,000 steps ahead.
Valid time: until the error exceeds 0.4 of the standard deviation, in Lyapunov times (at most 6
and 18.1); median over the test parts, and over five seeds for the network, which is
`ReservoirForecaster` around an `ESNRegressor` of 500 units with the settings of docs/choosing.md.
The delays of NVAR were chosen on the first test part.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from echocast.datasets import load_co2, load_el_nino, load_sunspots, lorenz63, mackey_glass
from echocast.exceptions import EchocastWarning
from echocast.forecasting import (
    EnsembleForecaster,
    ESNForecaster,
    MarkovForecaster,
    NaiveForecaster,
    NVARForecaster,
    ReservoirForecaster,
    backtest,
    valid_prediction_time,
)
from echocast.reservoir import ESNRegressor

SERIES = [  # name, series, season, horizon, origins, rows between origins
    ("sunspots, yearly", load_sunspots, 11, 11, 20, 5),
    ("El Nino, monthly", load_el_nino, 12, 12, 20, 12),
    ("CO2, monthly", lambda: load_co2(freq="monthly", missing="interpolate"), 12, 12, 20, 12),
    ("CO2, weekly", lambda: load_co2(missing="interpolate"), 52, 52, 10, 26),
]
SYSTEMS = [  # name, rows, time of a row, Lyapunov time, order of Markov, NVAR, network
    (
        "Mackey-Glass", mackey_glass, 1.0, 1 / 0.006, 50,
        {"delays": 5, "stride": 6, "degree": (2, 3)},
        {"spectral_radius": 0.8, "leak_rate": 0.6, "input_scaling": 0.3, "bias_scaling": 0.3},
    ),
    (
        "Lorenz-63", lorenz63, 0.02, 1 / 0.906, 20,
        {"delays": 2, "degree": (2, 3), "alpha": 1e-6},
        {"spectral_radius": 0.56, "input_scaling": 0.37, "bias_scaling": 1.8},
    ),
]  # fmt: skip
N_UNITS, HORIZON = 500, 1000
N_TRAIN = 2000


def real(n_seeds):
    """Print one row for each series."""
    header = ("series", "steps", "Markov", "(order)", "NVAR", "ESN", "ensemble", "seasonal", "last")
    print("{:<18}{:>6}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}{:>8}".format(*header))
    for name, load, season, horizon, n_windows, step in SERIES:
        y = load()
        settings = {
            "horizon": horizon, "n_windows": n_windows, "step": step, "season_length": season,
            "metrics": "mase",
        }  # fmt: skip

        def score(model, y=y, settings=settings):
            return backtest(model, y, **settings).summary()["mase"]

        markov = MarkovForecaster(season_length=season)
        seeds = [ESNForecaster(season_length=season, random_state=s) for s in range(n_seeds)]
        print(
            f"{name:<18}{horizon:>6}{score(markov):>9.3f}{markov.fit(y).order_:>9}"
            f"{score(NVARForecaster(season_length=season)):>9.3f}"
            f"{np.median([score(model) for model in seeds]):>9.3f}"
            f"{score(EnsembleForecaster([*seeds, markov])):>10.3f}"
            f"{score(NaiveForecaster('seasonal', season_length=season)):>10.3f}"
            f"{score(NaiveForecaster('last', season_length=season)):>8.3f}",
            flush=True,
        )


def chaotic(n_seeds):
    """Print one row for each system."""
    header = ("system", "Markov", "(order)", "Markov", "(order)", "NVAR", "ESN", "seconds")
    print("\n{:<18}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}".format(*header))
    for name, make, dt, lyapunov, order, products, weights in SYSTEMS:
        starts = 500 * np.arange(5)
        u = make(int(starts[-1]) + N_TRAIN + HORIZON)
        began = time.perf_counter()

        def valid(model, u=u, dt=dt, lyapunov=lyapunov, starts=starts):
            times = []
            for start in starts:
                stop = start + N_TRAIN
                truth, points = u[stop : stop + HORIZON], model.fit(u[start:stop]).predict(HORIZON)
                times.append(valid_prediction_time(truth, points, dt=dt, lyapunov_time=lyapunov))
            return float(np.median(times))

        plain = {"transforms": ["standardize"]}
        auto = MarkovForecaster(**plain)
        network = ESNRegressor(N_UNITS, alpha="auto", **weights)
        networks = [
            valid(ReservoirForecaster(network, random_state=seed, **plain))
            for seed in range(n_seeds)
        ]
        shown = f"{name:<18}{valid(auto):>9.2f}{auto.order_:>9}"
        shown += f"{valid(MarkovForecaster(order, **plain)):>9.2f}{order:>9}"
        shown += f"{valid(NVARForecaster(**products, **plain)):>9.2f}{np.median(networks):>9.2f}"
        print(f"{shown}{time.perf_counter() - began:>9.1f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", EchocastWarning)
    real(arguments.seeds)
    chaotic(arguments.seeds)
