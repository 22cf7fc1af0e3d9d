"""Forecast skill on the dysts collection of chaotic systems (Gilpin, NeurIPS 2021).

Run with ``python benchmarks/bench_dysts.py --data FOLDER``, where FOLDER/dysts holds
train_multi_pts100.npz and test_multi_pts100.npz: key = system, value = (1200, dimension).
About ten minutes on two cores; ``--systems 8`` takes the first eight only.

Protocol of the published scores: settings are chosen on the *train* trajectory; then fit on
the first 1,000 points of the *test* trajectory, forecast the last 200 in closed loop, and
sMAPE (0..200) over all times and coordinates. Published means: NBEATS 48.3, ESN 87.3 on the
66 systems of the shared half (medians 40.7 and 100.5).

Selection, on training data only: the 24 settings and 7 penalties below are scored on three
windows of the train trajectory, (1000, 200), (800, 200), (900, 200 after the first 900), with
one seed; the candidate with the least mean of log(sMAPE + 0.1) over the windows is refitted
with five seeds, whose median is the forecast. Inputs are standardised by the fitted part, the
target is the increment of the standardised state.

``--auto`` scores ``AutoESNForecaster()`` instead, with no settings: everything, the search too,
happens on the rows it is fitted to, the first five sixths of a *test* trajectory; train
trajectories are not read. ``--variant`` takes another file, such as multi_pts100_noise (process
noise), multi_pts15 (15 points a period, 150 rows to fit) or uni_pts100 (first coordinate).
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from echocast.exceptions import EchocastWarning, ForecastDivergedError
from echocast.forecasting import AutoESNForecaster, smape
from echocast.reservoir import ESNRegressor
from echocast.reservoir._linalg import spectrum_solve

SETTINGS = [
    {"spectral_radius": radius, "input_scaling": scale, "bias_scaling": bias, "leak_rate": leak}
    for radius, scale, bias, leak in itertools.product(
        (0.2, 0.8), (0.1, 0.4, 1.0), (0.5, 1.5), (0.3, 1.0)
    )
]
ALPHAS = 10.0 ** np.arange(-14, 0, 2)
WINDOWS = [(0, 1000, 1200), (0, 800, 1000), (0, 900, 1100)]
N_UNITS, N_SEEDS, LIMIT = 400, 5, 10.0


def penalty_path(u, n_steps, setting, alphas, seed):
    """Closed-loop forecasts of n_steps rows after u, one for each penalty, from one factor."""
    mean, scale = u.mean(axis=0), u.std(axis=0)
    z = (u - mean) / scale
    esn = ESNRegressor(
        N_UNITS, target="increment", washout=50, solver="qr", random_state=seed, **setting
    ).fit(z[:-1], z[1:])
    system = esn._fit_factor.system(fit_intercept=True)
    spectrum = system.spectrum()
    for alpha in alphas:
        coef = spectrum_solve(spectrum, alpha)
        candidate = copy.copy(esn)
        candidate.coef_, candidate.intercept_ = esn._with_persistence(coef), system.intercept(coef)
        try:
            forecast = np.clip(candidate.generate(n_steps), -LIMIT, LIMIT)
        except ForecastDivergedError:
            forecast = np.zeros((n_steps, u.shape[1]))
        yield forecast * scale + mean


def select(train):
    """Setting and penalty with the best score over the windows of the train trajectory."""
    scores = np.zeros((len(SETTINGS), len(ALPHAS)))
    for i, setting in enumerate(SETTINGS):
        for a, b, c in WINDOWS:
            paths = penalty_path(train[a:b], c - b, setting, ALPHAS, seed=0)
            for k, forecast in enumerate(paths):
                scores[i, k] += np.log(smape(train[b:c], forecast) + 0.1)
    i, k = np.unravel_index(scores.argmin(), scores.shape)
    return SETTINGS[i], ALPHAS[k]


def score(name, train, test):
    start = time.perf_counter()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", EchocastWarning)
        setting, alpha = select(train)
        seeds = [
            next(penalty_path(test[:1000], 200, setting, [alpha], seed=seed))
            for seed in range(1, N_SEEDS + 1)
        ]
    truth = test[1000:]
    naive = smape(truth, np.broadcast_to(test[999], truth.shape))
    result = smape(truth, np.median(seeds, axis=0))
    return name, result, naive, alpha, setting, time.perf_counter() - start


def score_auto(name, test):
    """The automatic forecaster on one trajectory: (name, sMAPE, that of the last value, ...)."""
    start, n = time.process_time(), len(test) * 5 // 6
    with threadpool_limits(1):
        frame = pd.DataFrame(test).iloc[:n]
        model = AutoESNForecaster(random_state=0).fit(frame)
        forecast = model.predict(len(test) - n).to_numpy()
    truth = test[n:].reshape(forecast.shape)
    naive = smape(truth, np.broadcast_to(test[n - 1], truth.shape))
    chosen = model.settings_.get("naive") or model.kind_
    return name, smape(truth, forecast), naive, chosen, time.process_time() - start


def auto(args):
    test = np.load(args.data / "dysts" / f"test_{args.variant}.npz")
    names = test.files[: args.systems]
    jobs = (delayed(score_auto)(name, test[name]) for name in names)
    rows = []
    for row in Parallel(n_jobs=args.jobs, return_as="generator")(jobs):
        rows.append(row)
        print("{:28s} {:7.2f}  (last value {:6.1f})  {:10s} {:.1f} s".format(*row), flush=True)
    _, ours, last, kinds, seconds = (np.array(part) for part in zip(*rows))
    print(f"\n{args.variant}: {len(ours)} systems, {(kinds != 'series').sum()} recognised")
    print(
        f"sMAPE mean {ours.mean():.2f}, median {np.median(ours):.2f}; last value {last.mean():.2f}"
    )
    print(f"worse than the last value by more than 5 %: {(ours > 1.05 * last).sum()} systems")
    worst = np.argsort(-ours)[:12]
    print("worst: " + ", ".join(f"{rows[i][0]} {ours[i]:.0f}" for i in worst))
    print(f"processor seconds a system: mean {seconds.mean():.1f}, largest {seconds.max():.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--systems", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--auto", action="store_true", help="score AutoESNForecaster()")
    parser.add_argument("--variant", default="multi_pts100", help="with --auto: which file")
    args = parser.parse_args()
    if args.auto:
        auto(args)
        return
    train = np.load(args.data / "dysts" / "train_multi_pts100.npz")
    test = np.load(args.data / "dysts" / "test_multi_pts100.npz")
    names = train.files[: args.systems]
    rows = Parallel(n_jobs=args.jobs, return_as="generator")(
        delayed(score)(name, train[name], test[name]) for name in names
    )
    results = []
    for name, result, naive, alpha, setting, seconds in rows:
        results.append((result, naive))
        chosen = " ".join(f"{value:g}" for value in setting.values())
        print(
            f"{name:28s} {result:7.2f}  (last value {naive:6.1f})  alpha {alpha:.0e}  "
            f"[{chosen}]  {seconds:.0f} s",
            flush=True,
        )
    ours, last = np.array(results).T
    print(f"\n{len(ours)} systems: sMAPE mean {ours.mean():.2f}, median {np.median(ours):.2f}")
    print(f"worse than the last value by more than 5 %: {(ours > 1.05 * last).sum()} systems")


if __name__ == "__main__":
    main()
