"""Time of a backtest with expanding windows, against fits at each origin and skforecast.

Run with ``OMP_NUM_THREADS=1 python benchmarks/bench_backtest.py`` (about a minute; skforecast is
taken along where it is installed, ``pip install skforecast``, which needs pandas below 3).

50 origins, 24 steps each and 24 apart, the last ending with the last of 3,000 hourly rows: a daily
season, a random walk and noise, seed 0. 300 units, 48 lags. Ways, each the best of several turns
that alternate in one process:

- fast: ``backtest(..., scaler="first_window")``, one pass over the rows for all origins;
- fast, penalty given: the same with alpha=1, as Ridge has it below;
- naive, frozen: a new network of the same seed at each origin, with the transforms, lags and
  penalty of the first window given: the same forecasts, whose largest difference is printed;
- naive, refit: ``backtest(...)`` as it comes, which chooses everything anew at each origin;
- skforecast: `backtesting_forecaster` with Ridge on 48 lags, refitted at each origin.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from _record import add_json_option, row, write
from sklearn.linear_model import Ridge

from echocast.forecasting import ESNForecaster, Transform, backtest

N_STEPS, SEASON, N_ORIGINS, HORIZON, N_LAGS, N_UNITS = 3000, 24, 50, 24, 48, 300
FIRST = N_STEPS - N_ORIGINS * HORIZON


class Frozen(Transform):
    """A fitted step that does not learn again."""

    def __init__(self, step=None):
        self.step = step

    def fit(self, Y, season_length):
        return self

    @property
    def n_lost_(self):
        return self.step.n_lost_

    def forward(self, Y, start):
        return self.step.forward(Y, start)

    def invert(self, paths, tail, start):
        return self.step.invert(paths, tail, start)

    def one_step(self, Z, Y, start):
        return self.step.one_step(Z, Y, start)

    def __sklearn_clone__(self):
        return self  # a clone would be unfitted


def make_series():
    rng = np.random.RandomState(0)
    t = np.arange(N_STEPS)
    values = 30 + 3 * np.sin(2 * np.pi * t / SEASON) + 0.1 * rng.randn(N_STEPS).cumsum()
    index = pd.date_range("2024-01-01", periods=N_STEPS, freq="h")
    return pd.Series(values + rng.randn(N_STEPS), index=index, name="load")


def make_model(**changes):
    return ESNForecaster(N_UNITS, **({"lags": N_LAGS, "random_state": 0} | changes))


def fast(y, **changes):
    """All origins at once."""
    settings = {"horizon": HORIZON, "n_windows": N_ORIGINS, "metrics": "mae"}
    result = backtest(make_model(**changes), y, scaler="first_window", **settings)
    assert result.settings["path"] == "fast"
    return result.forecasts["forecast"].to_numpy()


def given(y):
    """The same with the penalty of skforecast's Ridge, in place of one chosen by leave-one-out."""
    return fast(y, alpha=1.0)


def refitted(y):
    """Everything anew at each origin."""
    settings = {"horizon": HORIZON, "n_windows": N_ORIGINS, "metrics": "mae"}
    return backtest(make_model(), y, **settings).forecasts["forecast"].to_numpy()


def frozen(y):
    """A new network at each origin, with what the first window chose."""
    first = make_model().fit(y.iloc[:FIRST])
    model = make_model(
        transforms=[Frozen(step) for step in first.transforms_],
        alpha=first.regressor_.alpha_,
        washout=first.regressor_.washout,
    )
    parts = []
    for stop in range(FIRST, N_STEPS, HORIZON):
        parts.append(model.fit(y.iloc[:stop]).predict(HORIZON).to_numpy())
    return np.concatenate(parts)


def skforecast_ridge(y):
    """skforecast with Ridge on the same windows."""
    from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
    from skforecast.recursive import ForecasterRecursive

    cv = TimeSeriesFold(steps=HORIZON, initial_train_size=FIRST, refit=True)
    forecaster = ForecasterRecursive(estimator=Ridge(), lags=N_LAGS)
    _, predictions = backtesting_forecaster(
        forecaster, y, cv=cv, metric="mean_absolute_error", n_jobs=1, show_progress=False
    )
    return predictions["pred"].to_numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="turns of the quick ways")
    add_json_option(parser)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    y = make_series()
    ways = {
        "fast": fast,
        "fast, penalty given": given,
        "naive, frozen": frozen,
        "naive, refit": refitted,
    }
    try:
        import skforecast

        ways[f"skforecast {skforecast.__version__}, Ridge"] = skforecast_ridge
    except ImportError:
        print("skforecast is not installed: left out")
    fast(y)  # compiles
    best, found = dict.fromkeys(ways, np.inf), {}
    for turn in range(arguments.turns):
        for name, way in ways.items():
            if name.startswith("naive") and turn >= 2:
                continue
            began = time.perf_counter()
            found[name] = way(y)
            best[name] = min(best[name], time.perf_counter() - began)
    truth = y.to_numpy()[FIRST:]
    print(f"{'way':<28}{'seconds':>9}{'times the fast one':>20}{'MAE':>8}")
    for name, seconds in best.items():
        ratio, mae = seconds / best["fast"], np.abs(found[name] - truth).mean()
        print(f"{name:<28}{seconds:>9.3f}{ratio:>20.1f}{mae:>8.3f}")
    difference = np.abs(found["fast"] - found["naive, frozen"]).max()
    print(f"largest difference between fast and naive, frozen: {difference:.1e}")
    write(arguments.json, rows_of(best, difference))


def rows_of(best, difference):
    """Ratios to the way with all origins in one pass."""
    ours, job = best["fast"], f"{N_ORIGINS} origins x {HORIZON} steps, N={N_UNITS}, T={N_STEPS}"
    ratio = best["naive, frozen"] / ours
    found = {"against": "a fit at each origin", "target": ">= 20", "difference": difference}
    rows = [row("P7", job, ratio, "x", seconds=ours, **found)]
    for name, seconds in best.items():
        if name.startswith("skforecast"):
            for way in ("fast", "fast, penalty given"):
                ratio = seconds / best[way]
                details = {"against": name, "target": ">= 1", "seconds": best[way]}
                rows.append(row("P7", f"the same, {way}", ratio, "x", **details))
    return rows


if __name__ == "__main__":
    main()
