"""What settings do for noisy data and for memory, and how the topologies compare.

Run with ``python benchmarks/bench_settings.py`` (two to three minutes on one core). Inputs are
standardised by the training rows, `alpha` is "auto" unless said otherwise, and figures are medians
over seeds.

- Noisy Lorenz-63: Gaussian noise is added to the standardised series (step 0.02). The one-step
  error is measured against the series without noise, in its standard deviations; the closed loop
  is warmed up on noisy rows and scored as in ``bench_chaos.py``.
- NARMA-10: 3,000 rows to train on, 3,000 to test; the error is the root mean squared error divided
  by the standard deviation of the test target.
- Lorenz-96 on 40 cells, local reservoirs: scaled by one mean and standard deviation for all cells
  or by one for each column; valid times as above, of six starts after the training rows.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from echocast.datasets import lorenz63, lorenz96, narma
from echocast.exceptions import ForecastDivergedError, ForecastDivergenceWarning
from echocast.forecasting import nrmse, valid_prediction_time
from echocast.reservoir import ESNRegressor, LocalESNRegressor, topologies

DT, LYAPUNOV_TIME = 0.02, 1 / 0.9056
CLEAN = {"spectral_radius": 0.56, "input_scaling": 0.37, "bias_scaling": 1.8}
MEMORY = {"spectral_radius": 0.95, "input_scaling": 0.03, "bias_scaling": 0.2}


def lorenz_data(n_train, n_test, noise=0.0):
    """Standardised rows without noise, and the rows the network sees."""
    u = lorenz63(n_train + n_test, dt=DT)
    u = (u - u[:n_train].mean(axis=0)) / u[:n_train].std(axis=0)
    return u, u + noise * np.random.RandomState(0).standard_normal(u.shape)


def closed_loop_times(esn, truth, seen, n_train, n_starts, n_free):
    """Valid times in Lyapunov times from starts spread over the test rows."""
    times = []
    for a in range(n_train, n_train + 100 * n_starts, 100):
        try:
            forecast = esn.generate(n_free, warmup=seen[a : a + 200])
        except ForecastDivergedError:
            times.append(0.0)
            continue
        true = truth[a + 200 : a + 200 + n_free]
        times.append(valid_prediction_time(true, forecast, dt=DT, lyapunov_time=LYAPUNOV_TIME))
    return times


def noisy(n_seeds, n_train=5_000, n_starts=15):
    settings = {
        "defaults, alpha=1e-6": {"alpha": 1e-6},
        "defaults": {},
        "clean chaos": CLEAN,
        "leak_rate=0.5": {"leak_rate": 0.5},
        "leak_rate=0.3": {"leak_rate": 0.3},
        "leak_rate=0.5, input_scaling=0.1": {"leak_rate": 0.5, "input_scaling": 0.1},
    }
    print(f"Lorenz-63 with noise, n_units=300, {n_train} training steps, {n_seeds} seeds")
    print(f" noise  {'setting':34s} {'one-step error':>14s} {'valid time':>11s} {'alpha':>8s}")
    for noise in (0.01, 0.05):
        u, seen = lorenz_data(n_train, 200 + 600 + 100 * n_starts, noise)
        for name, params in settings.items():
            errors, times, alphas = [], [], []
            for seed in range(n_seeds):
                params = {"alpha": "auto", **params}
                esn = ESNRegressor(300, predict_state="continue", random_state=seed, **params)
                esn.fit(seen[: n_train - 1], seen[1:n_train])
                outputs = esn.predict(seen[n_train - 1 : -1])
                errors.append(np.sqrt(np.mean((outputs - u[n_train:]) ** 2)))
                times += closed_loop_times(esn, u, seen, n_train, n_starts, 600)
                alphas.append(esn.alpha_)
            print(
                f"{noise:6.0%}  {name:34s} {np.median(errors):14.4f} {np.median(times):11.1f} "
                f"{np.median(alphas):8.0e}",
                flush=True,
            )


def narma_error(n_units, seed, **params):
    X, y = narma(6_000, random_state=seed)
    X = (X - X[:3000].mean()) / X[:3000].std()
    esn = ESNRegressor(
        n_units, alpha="auto", predict_state="continue", random_state=seed, **params
    ).fit(X[:3000], y[:3000])
    return nrmse(y[3000:], esn.predict(X[3000:]))


def memory(n_seeds):
    print(f"\nNARMA-10, test NRMSE, {n_seeds} seeds")
    print(f"{'setting':40s}" + "".join(f"{n:>9d}" for n in (50, 200, 500)) + "  units")
    for name, params in (
        ("defaults", {}),
        ("input_scaling=0.03", {"input_scaling": 0.03}),
        ("memory (0.95, 0.03, bias 0.2)", MEMORY),
        ("memory, cycle_jumps", {**MEMORY, "topology": "cycle_jumps"}),
    ):
        errors = [
            np.median([narma_error(n, seed, **params) for seed in range(n_seeds)])
            for n in (50, 200, 500)
        ]
        print(f"{name:40s}" + "".join(f"{e:9.3f}" for e in errors), flush=True)


def compare_topologies(n_seeds, n_units=300, n_train=5_000, n_starts=10):
    print(f"\nTopologies, n_units={n_units}, {n_seeds} seeds")
    print(f"{'topology':22s} {'Lorenz valid time':>18s} {'NARMA-10 NRMSE':>15s} {'us a step':>10s}")
    u, _ = lorenz_data(n_train, 200 + 1_000 + 100 * n_starts)
    for topology in topologies():
        times, errors = [], []
        for seed in range(n_seeds):
            esn = ESNRegressor(
                n_units, topology=topology, alpha="auto", random_state=seed, **CLEAN
            ).fit(u[: n_train - 1], u[1:n_train])
            times += closed_loop_times(esn, u, u, n_train, n_starts, 1_000)
            errors.append(narma_error(n_units, seed, topology=topology, **MEMORY))
        rounds = []
        for _ in range(3):
            start = time.perf_counter()
            esn.transform(u[:n_train])
            rounds.append((time.perf_counter() - start) / n_train * 1e6)
        print(
            f"{topology:22s} {np.median(times):18.1f} {np.median(errors):15.3f} "
            f"{min(rounds):10.1f}",
            flush=True,
        )


def field_times(dt, seed, *, by_column=False, n_units=300, overlap, n_train=3_000, n_time=5):
    """Valid times of a field, in Lyapunov times (exponent 1.7 per time unit), for six starts."""
    n_free = int(n_time / dt)
    u = lorenz96(n_train + 200 + 6 * n_free, dt=dt, random_state=0)
    axis = 0 if by_column else None
    u = (u - u[:n_train].mean(axis=axis)) / u[:n_train].std(axis=axis)
    model = LocalESNRegressor(n_units, overlap=overlap, random_state=seed)
    model.fit(u[: n_train - 1], u[1:n_train])
    times = []
    for a in np.linspace(n_train + 200, len(u) - n_free, 6).astype(int):
        try:
            forecast = model.generate(n_free, warmup=u[a - 100 : a])
        except ForecastDivergedError:
            times.append(0.0)
            continue
        truth = u[a : a + n_free]
        times.append(valid_prediction_time(truth, forecast, dt=dt, lyapunov_time=1 / 1.7))
    return times


def fields(n_seeds):
    print(f"\nLorenz-96, local reservoirs, valid time, {n_seeds} seeds")
    print(
        f"{'dt':>5s} {'overlap':>8s} {'scaled by':>10s} {'units':>6s} {'rows':>6s} {'median':>7s}"
    )
    for dt, overlap, by_column, n_units, n_train in (
        (0.01, 2, False, 300, 3_000),
        (0.01, 2, True, 300, 3_000),
        (0.05, 2, False, 300, 3_000),
        (0.05, 4, False, 300, 3_000),
        (0.05, 6, False, 300, 3_000),
        (0.05, 4, False, 600, 6_000),
    ):
        settings = {"by_column": by_column, "n_units": n_units, "n_train": n_train}
        times = [field_times(dt, seed, overlap=overlap, **settings) for seed in range(n_seeds)]
        print(
            f"{dt:5g} {overlap:8d} {'columns' if by_column else 'field':>10s} {n_units:6d} "
            f"{n_train:6d} {np.median(times):7.1f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ForecastDivergenceWarning)  # diverging is a low valid time
    noisy(args.seeds)
    memory(args.seeds)
    compare_topologies(args.seeds)
    fields(args.seeds)


if __name__ == "__main__":
    main()
