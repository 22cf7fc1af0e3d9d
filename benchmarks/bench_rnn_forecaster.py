"""`RNNForecaster` beside the naive forecasts and `ESNForecaster`: bundled series, and panels.

    python benchmarks/bench_rnn_forecaster.py [--data PATH] [--sets m3/yearly ...] [--development]

Bundled series: rolling origins with a refit at each, spread back from the end; MASE as in
`backtest`. Panels (with --data, a folder that holds m3, tourism and monash): one model for all
series forecasts the last steps of each, which is their test part, or with --development the last
steps of their training part; the defaults were chosen on such development origins. MASE is the mean
over steps, then over series, divided by the seasonal naive error of the training part.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from echocast.datasets import load_co2, load_el_nino, load_sunspots
from echocast.exceptions import EchocastWarning
from echocast.forecasting import ESNForecaster, NaiveForecaster, RNNForecaster, backtest

BUNDLED = [  # name, series, season, horizon, origins, rows between origins
    ("sunspots, yearly", load_sunspots, 11, 11, 12, 5),
    ("El Nino, monthly", load_el_nino, 12, 12, 12, 12),
    ("CO2, monthly", lambda: load_co2(freq="monthly", missing="interpolate"), 12, 12, 12, 12),
]
PANELS = {  # steps, season
    "m3/yearly": (6, 1),
    "m3/quarterly": (8, 4),
    "m3/monthly": (18, 12),
    "tourism/yearly": (4, 1),
    "tourism/quarterly": (8, 4),
    "tourism/monthly": (24, 12),
    "hospital": (12, 12),
}
LONGEST = 3000  # rows of the daily births


def models(season, seed):
    """The forecasters of a comparison by name."""
    options = {"season_length": season, "random_state": seed}
    return {
        "last": NaiveForecaster("last", season_length=season),
        "seasonal": NaiveForecaster("seasonal", season_length=season),
        "ESN": ESNForecaster(**options),
        "ESN direct": ESNForecaster(strategy="direct", **options),
        "RNN": RNNForecaster(**options),
        "RNN direct": RNNForecaster(strategy="direct", **options),
    }


def show(name, scores, seconds):
    """One row of a table."""
    shown = "".join(f"{scores[k]:>8.3f} ({seconds[k]:5.1f} s)" for k in scores)
    print(f"{name:<20}{shown}", flush=True)


def header(first):
    """The first row."""
    print(f"\n{first:<20}" + "".join(f"{k:>18}" for k in models(1, 0)))


def rolling(cases, seed):
    """Rolling origins, a fit at each; seconds are those of a fit and its forecast."""
    header("single series, MASE")
    for name, load, season, horizon, n_windows, step in cases:
        y, scores, seconds = load(), {}, {}
        for label, model in models(season, seed).items():
            began = time.perf_counter()
            result = backtest(
                model, y, horizon=horizon, n_windows=n_windows, step=step, metrics="mase",
                season_length=season,
            )  # fmt: skip
            scores[label] = result.summary()["mase"]
            seconds[label] = (time.perf_counter() - began) / n_windows
        show(name, scores, seconds)


def births(folder):
    """The last rows of the daily births in the United States."""
    frame = pd.read_csv(folder / "monash" / "us_births_daily.csv.gz")
    return frame["births"].to_numpy(float)[-LONGEST:]


def read(folder, name, development):
    """Training and test part of each series."""
    horizon, season = PANELS[name]
    if name == "hospital":
        frame = pd.read_csv(folder / "monash" / "hospital_monthly.csv.gz")
        series = [frame[c].to_numpy(float) for c in frame.columns[1:]]
        train, test = [y[:-horizon] for y in series], [y[-horizon:] for y in series]
    else:
        parts = [pd.read_csv(folder / f"{name}_{part}.csv.gz") for part in ("train", "test")]
        train, test = (
            {k: v.to_numpy(float) for k, v in p.groupby("series")["value"]} for p in parts
        )
        train, test = list(train.values()), [test[k] for k in train]
    if development:
        long = [y for y in train if len(y) > 2 * horizon + max(2 * season, 6)]
        train, test = [y[:-horizon] for y in long], [y[-horizon:] for y in long]
    varies = [np.abs(y[season:] - y[:-season]).mean() > 0 for y in train]
    return [[y for y, ok in zip(part, varies) if ok] for part in (train, test)]


def panels(folder, names, development, seed):
    """One model for all series of each panel; seconds are those of the fit and all forecasts."""
    header("panels, MASE")
    for name in names:
        horizon, season = PANELS[name]
        train, test = read(folder, name, development)
        y = pd.concat({i: pd.Series(part) for i, part in enumerate(train)}, names=["series", "t"])
        scores, seconds = {}, {}
        for label, model in models(season, seed).items():
            began = time.perf_counter()
            if label not in ("last", "seasonal"):
                model.set_params(pooling="global")
            points = model.fit(y).predict(horizon).to_numpy().reshape(len(train), horizon)
            seconds[label] = time.perf_counter() - began
            scores[label] = np.mean([
                np.abs(ahead - guess).mean() / np.abs(past[season:] - past[:-season]).mean()
                for past, ahead, guess in zip(train, test, points)
            ])  # fmt: skip
        show(f"{name} ({len(train)})", scores, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with m3, tourism and monash")
    parser.add_argument("--sets", nargs="*", default=list(PANELS), choices=list(PANELS))
    parser.add_argument("--development", action="store_true", help="ends of the training parts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-bundled", action="store_true", help="panels alone")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", EchocastWarning)
    if not arguments.no_bundled:
        rolling(BUNDLED, arguments.seed)
    if arguments.data is not None:
        case = ("US births, daily", lambda: births(arguments.data), 7, 28, 10, 28)
        rolling([case], arguments.seed)
        panels(arguments.data, arguments.sets, arguments.development, arguments.seed)


if __name__ == "__main__":
    main()
