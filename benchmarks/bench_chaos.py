"""How far closed loops see: Lorenz-63, Mackey-Glass, and the memory of a linear cycle.

Run with ``python benchmarks/bench_chaos.py`` (about three minutes on two cores), or with
``--quick`` for fewer seeds and starts.

- Lorenz-63: the valid time is the first moment the error, divided by the total standard
  deviation, exceeds 0.4, in Lyapunov times (1 / 0.9056 time units).
- Mackey-Glass (delay 17, sampled each time unit): NRMSE84 is the root mean squared error of
  the 84th closed-loop step over 100 starts, divided by the standard deviation of the series.
  Published with 1,000 units and 3,000 training steps: about 6e-5 (Jaeger, Haas 2004).
- Memory capacity of a linear cycle reservoir: the theory says N - 1 + r^(2N) for delays from
  one on (Rodan, Tino 2011).
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from echocast.datasets import lorenz63, mackey_glass, memory_task
from echocast.forecasting import valid_prediction_time
from echocast.reservoir import ESNRegressor

LYAPUNOV_TIME = 1 / 0.9056
DT = 0.02
N_TRAIN, N_WARM, N_FREE = 10_000, 200, 1_400

# The documented setting for noise-free, standardised chaotic systems.
TUNED = {"spectral_radius": 0.56, "input_scaling": 0.37, "bias_scaling": 1.8, "alpha": "auto"}


def lorenz_data(n_starts):
    """Standardised training rows and test rows of one trajectory."""
    n_test = N_WARM + N_FREE + 150 * n_starts
    u = lorenz63(N_TRAIN + n_test, dt=DT)
    train = u[:N_TRAIN]
    return (u - train.mean(axis=0)) / train.std(axis=0), N_TRAIN


def valid_times(esn, u, n_train, n_starts):
    """Valid times, in Lyapunov times, of closed loops from starts spread over the test rows."""
    times = []
    for k in range(n_starts):
        a = n_train + 150 * k
        forecast = esn.generate(N_FREE, warmup=u[a : a + N_WARM])
        truth = u[a + N_WARM : a + N_WARM + N_FREE]
        times.append(
            valid_prediction_time(
                truth, forecast, dt=DT, lyapunov_time=LYAPUNOV_TIME, threshold=0.4
            )
        )
    return np.array(times)


def lorenz(n_seeds, n_starts):
    """Print the table of valid times for the tuned and the default settings."""
    u, n_train = lorenz_data(n_starts)
    print(f"Lorenz-63, step {DT}, {n_train} training steps, {n_starts} starts x {n_seeds} seeds")
    print(f"{'setting':34s} {'median':>7s} {'quartiles':>14s} {'alpha':>9s} {'fit s':>6s}")
    for name, params in [("tuned", TUNED), ("defaults, alpha='auto'", {"alpha": "auto"})]:
        for n_units in (300, 1000):
            times, alphas, seconds = [], [], []
            for seed in range(n_seeds):
                esn = ESNRegressor(n_units=n_units, random_state=seed, **params)
                start = time.perf_counter()
                esn.fit(u[: n_train - 1], u[1:n_train])
                seconds.append(time.perf_counter() - start)
                times.extend(valid_times(esn, u, n_train, n_starts))
                alphas.append(esn.alpha_)
            low, mid, high = np.percentile(times, [25, 50, 75])
            print(
                f"{name + f', n_units={n_units}':34s} {mid:7.1f} {low:6.1f}..{high:5.1f} "
                f"{np.median(alphas):9.1e} {np.median(seconds):6.2f}",
                flush=True,
            )


def nrmse84(n_seeds, n_starts, n_train=3_000, n_warm=500):
    """Print the error 84 steps into closed loops on Mackey-Glass with delay 17."""
    u = mackey_glass(n_train + n_warm + 84 + 100 * n_starts)[:, None]
    u = (u - u[:n_train].mean()) / u[:n_train].std()
    print(f"\nMackey-Glass 17, {n_train} training steps, {n_starts} starts, n_units=1000")
    for seed in range(n_seeds):
        esn = ESNRegressor(
            n_units=1000,
            spectral_radius=0.8,
            leak_rate=0.6,
            input_scaling=0.3,
            bias_scaling=0.3,
            alpha="auto",
            washout=200,
            random_state=seed,
        ).fit(u[: n_train - 1], u[1:n_train])
        errors = []
        for k in range(n_starts):
            a = n_train + 100 * k
            forecast = esn.generate(84, warmup=u[a : a + n_warm])
            errors.append((forecast[83] - u[a + n_warm + 83]) ** 2)
        print(f"  seed {seed}: NRMSE84 {np.sqrt(np.mean(errors)) / u.std():.1e}", flush=True)


def memory_capacity(n_units=20, radius=0.9, n_steps=50_000):
    """Sum of squared correlations of a linear cycle reservoir with its past inputs."""
    x, y = memory_task(n_steps, delays=3 * n_units, random_state=0)
    esn = ESNRegressor(
        n_units=n_units,
        topology="cycle",
        activation="identity",
        spectral_radius=radius,
        bias_scaling=0.0,
        include_input=False,
        washout=10 * n_units,
        random_state=0,
    )
    esn.set_params(alpha=1e-12, solver="svd").fit(x, y)
    rows = slice(10 * n_units, None)
    left = ((y - esn.predict(x))[rows] ** 2).sum(axis=0) / y[rows].var(axis=0)
    capacity = (1 - left / (n_steps - 10 * n_units - n_units - 1)).sum()
    theory = n_units - 1 + radius ** (2 * n_units)
    print(f"\nMemory capacity, linear cycle of {n_units}: {capacity:.3f} (theory {theory:.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 seeds and 10 starts")
    args = parser.parse_args()
    n_seeds, n_starts = (2, 10) if args.quick else (5, 50)
    lorenz(n_seeds, n_starts)
    nrmse84(n_seeds, 2 * n_starts)
    memory_capacity()


if __name__ == "__main__":
    main()
