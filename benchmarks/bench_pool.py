"""Scores of pooled networks alone on business series: M3, M4 and tourism.

    python benchmarks/bench_pool.py --data PATH [--sets m3/yearly m4/hourly ...] [--development]

PATH holds folders m3, m4 and tourism with GROUP_train.csv.gz and GROUP_test.csv.gz (columns series,
t, value). Settings were chosen on forecasts of the last steps of the training parts, which
--development repeats. sMAPE and MASE are means over steps, then over series, as in M4.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from echocast.forecasting._pooled_groups import GroupedNetwork, choose_n_groups

HORIZON = {
    "m3": {"yearly": 6, "quarterly": 8, "other": 8, "monthly": 18},
    "tourism": {"yearly": 4, "quarterly": 8, "monthly": 24},
    "m4": {"yearly": 6, "quarterly": 8, "weekly": 13, "hourly": 48},
}
SEASON = {"yearly": 1, "quarterly": 4, "other": 1, "monthly": 12, "weekly": 1, "hourly": 24}
USUAL = {"lags": tuple(range(1, 7)), "n_units": (60, 120, 60), "n_seeds": 3}
SPECIAL = {
    "weekly": {
        "lags": tuple(range(1, 54)), "periods": (52,), "n_seasons": 1, "shape_lags": (1, 13, 52),
    },
    "hourly": {
        "lags": tuple(range(1, 25)), "periods": (168, 24), "reference": "seasonal",
        "n_units": 120, "n_seeds": 1,
    },
}  # fmt: skip


def read(folder: Path, group: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Training and test part of each series."""
    parts = []
    for name in ("train", "test"):
        frame = pd.read_csv(folder / f"{group}_{name}.csv.gz")
        parts.append({k: v.to_numpy(float) for k, v in frame.groupby("series")["value"]})
    return list(parts[0].values()), [parts[1][k] for k in parts[0]]


def seasonal_factors(y: np.ndarray, season: int) -> np.ndarray:
    """Multiplicative factors of a classical decomposition; ones where a test sees no season."""
    none = np.ones(max(season, 1))
    if season < 2 or len(y) < 3 * season or (y <= 0).any():
        return none
    x, n = y - y.mean(), len(y)
    energy = max(x @ x, 1e-300)
    r = np.array([x[k:] @ x[: n - k] / energy for k in range(1, season + 1)])
    if abs(r[-1]) <= 1.645 * np.sqrt((1 + 2 * (r[:-1] ** 2).sum()) / n):
        return none
    weights = np.ones(season) / season
    if season % 2 == 0:
        weights = np.r_[0.5, np.ones(season - 1), 0.5] / season
    trend = np.convolve(y, weights, "valid")
    first = len(weights) // 2
    ratio, place = y[first : first + len(trend)] / trend, (first + np.arange(len(trend))) % season
    factors = np.array([ratio[place == k].mean() for k in range(season)])
    factors = factors / factors.mean()
    return factors if (factors > 0.01).all() else none


def forecast(train: list[np.ndarray], horizon: int, group: str) -> np.ndarray:
    """Forecasts (n_series, horizon) of pooled networks on adjusted logarithms."""
    season = 1 if group in SPECIAL else SEASON[group]
    factors = [seasonal_factors(y, season) for y in train]
    values = [
        np.log(np.maximum(y / f[np.arange(len(y)) % len(f)], 1e-3)) for y, f in zip(train, factors)
    ]
    options = {"loss": "absolute", "weight_power": 1.0, "clip": 3.0, "keep_errors": False}
    options |= USUAL | {"periods": (season,)} | SPECIAL.get(group, {})
    n_groups = choose_n_groups(sum(map(len, values)), len(values))
    network = GroupedNetwork(n_groups, horizon=horizon, **options).fit(values)
    points = np.exp(network.forecast(network.memories(values), horizon)[:, :, 0])
    ahead = [f[(len(y) + np.arange(horizon)) % len(f)] for y, f in zip(train, factors)]
    return points * np.stack(ahead)


def smape(y: np.ndarray, f: np.ndarray) -> float:
    return float(200 * np.mean(np.abs(y - f) / (np.abs(y) + np.abs(f))))


def mase(y: np.ndarray, f: np.ndarray, train: np.ndarray, season: int) -> float:
    return float(np.mean(np.abs(y - f)) / np.mean(np.abs(train[season:] - train[:-season])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--development", action="store_true")
    options = parser.parse_args()
    everything = [f"{s}/{g}" for s, groups in HORIZON.items() for g in groups]
    print("| set | series | sMAPE | MASE | OWA | seconds |\n|---|---|---|---|---|---|")
    for name in options.sets or everything:
        collection, group = name.split("/")
        train, test = read(options.data / collection, group)
        horizon, season = HORIZON[collection][group], SEASON[group]
        if options.development:
            train = [y for y in train if len(y) > 2 * horizon + 3]
            train, test = [y[:-horizon] for y in train], [y[-horizon:] for y in train]
        start = time.perf_counter()
        points = forecast(train, horizon, group)
        seconds = time.perf_counter() - start
        scores = np.array(
            [
                (smape(y, f), mase(y, f, past, season))
                for y, f, past in zip(test, points, train)
                if len(past) > season
            ]
        ).mean(axis=0)
        owa = "-"
        file = options.data / collection / f"{group}_baseline_scores.csv.gz"
        if file.exists() and not options.development:
            table = pd.read_csv(file)  # of the same series, one weight each
            naive = table[table.method == "Naive2"][["smape", "mase"]].mean().to_numpy()
            owa = f"{np.mean(scores / naive):.3f}"
        print(
            f"| {name} | {len(train)} | {scores[0]:.2f} | {scores[1]:.3f} | {owa} "
            f"| {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
