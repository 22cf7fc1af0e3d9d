"""Skill on business series: M3, M4, tourism, hospital, NN5 and US births.

Run with ``python benchmarks/skill_real.py --data FOLDER``, where FOLDER holds ``m3``, ``m4``,
``tourism`` and ``monash`` with their training and test parts as CSV. The folder's own READMEs say
where the files come from; none is part of the package. ``--sets m4_weekly,nn5`` and ``--models
auto,theta`` choose rows; ``--limit 20`` takes 20 series of each set, spread evenly;
``--development`` forecasts the last rows of the training parts from the rows before them and
never reads a test part: settings are chosen there, and the test parts give the score.

Protocol: one forecast of the whole horizon from the end of each training part. sMAPE, MASE and
MAE are means over the steps of a series, then over the series (M4 quarterly: weighted, as the
sample asks). OWA is the mean of sMAPE and MASE, each divided by that of Naive2 on the same
series. `guard` is the MASE divided by the better of the naive and the seasonal naive forecast.
Models know the values and a time index of the set's frequency, nothing else.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echocast.exceptions import EchocastWarning
from echocast.forecasting import AutoESNForecaster, ESNForecaster
from echocast.forecasting._classical import deseasonalize, pack, theta_forecast

SETS = {  # name: (file stem, freq, season of MASE and naive, horizon, metric, published scores)
    "m3_yearly": ("m3/yearly", "YS", 1, 6, "smape", "Theta 16.33, ForcX 15.31"),
    "m3_quarterly": ("m3/quarterly", "QS", 4, 8, "smape", "Theta 8.48, best"),
    "m3_monthly": ("m3/monthly", "MS", 12, 18, "smape", "Theta 13.71, best"),
    "m3_other": ("m3/other", None, 1, 8, "smape", "Theta 4.90, ForecastPro 4.63"),
    "m4_hourly": ("m4/hourly", "h", 24, 48, "owa", "full set: Doornik 0.410, ES-RNN 0.440"),
    "m4_weekly": ("m4/weekly", "W", 1, 13, "owa", "full set: Darin 0.739, ES-RNN 0.851"),
    "m4_yearly": ("m4/yearly", "YS", 1, 6, "owa", "full set: ES-RNN 0.778, Theta 0.872"),
    "m4_quarterly": ("m4/quarterly", "QS", 4, 8, "owa", "full set: ES-RNN 0.847, Theta 0.917"),
    "m4_monthly": ("m4/monthly", "MS", 12, 18, "owa", "full set: ES-RNN 0.836, Theta 0.907"),
    "m4_daily": ("m4/daily", "D", 1, 14, "owa", "full set: Pawlikowski 0.806, Naive2 1.0"),
    "tourism_yearly": ("tourism/yearly", "YS", 1, 4, "mase", "full set: Theta 2.73, ETS 3.00"),
    "tourism_quarterly": ("tourism/quarterly", "QS", 4, 8, "mase", "full: Theta 1.66, ETS 1.59"),
    "tourism_monthly": ("tourism/monthly", "MS", 12, 24, "mase", "full set: Theta 1.65, ETS 1.54"),
    "hospital": ("monash/hospital_monthly", "MS", 12, 12, "mae", "TBATS 17.43, Theta 18.54"),
    "nn5": ("monash/nn5_daily", "D", 7, 56, "mae", "TBATS 3.70, Theta 3.80"),
    "us_births": ("monash/us_births_daily", "D", 7, 30, "mae", "TBATS 399.0, Theta 586.9"),
}  # fmt: skip
_STARTS = {"YS": "1900", "QS": "1970", "MS": "1970", "h": "2015", "W": "1965", "D": "1990"}


@dataclass
class Problem:
    """Training and test parts of a set, its season, weights of the series, time index of each."""

    name: str
    train: list
    test: np.ndarray
    season: int
    metric: str
    published: str
    weights: np.ndarray
    freq: str | None
    start: str | None
    naive2: np.ndarray | None = None

    @property
    def horizon(self):
        return self.test.shape[1]

    def subset(self, limit):
        keep = np.unique(np.linspace(0, len(self.train) - 1, limit).astype(int))
        naive2 = None if self.naive2 is None else self.naive2[keep]
        return Problem(
            self.name, [self.train[i] for i in keep], self.test[keep], self.season, self.metric,
            self.published, self.weights[keep], self.freq, self.start, naive2,
        )  # fmt: skip

    def development(self, back=1):
        """The last `horizon` rows of the training parts become the test part."""
        h, rows = self.horizon, range(len(self.train))
        cut = [len(self.train[i]) - back * h for i in rows]
        rows = [i for i in rows if cut[i] >= max(4, self.season + 2)]
        test = np.array([self.train[i][cut[i] : cut[i] + h] for i in rows])
        return Problem(
            self.name, [self.train[i][: cut[i]] for i in rows], test, self.season, self.metric,
            "development origin", self.weights[rows], self.freq, self.start,
        )  # fmt: skip

    def frame(self):
        """All training parts as one Series with a (series, time) index."""
        ids = [f"s{i:04d}" for i in range(len(self.train))]
        parts = [pd.Series(v, index=self.index(len(v))) for v in self.train]
        return pd.concat(parts, keys=ids, names=["series", "time"])

    def index(self, n):
        if self.freq is None:
            return pd.RangeIndex(n)
        return pd.date_range(self.start, periods=n, freq=self.freq)


def read_long(path):
    frame = pd.read_csv(path)
    return {k: g.to_numpy(float) for k, g in frame.groupby("series", sort=False)["value"]}


def load(folder, name):
    """The problem `name` from the files under `folder`."""
    stem, freq, season, horizon, metric, published = SETS[name]
    start, weights, naive2 = _STARTS.get(freq), None, None
    if stem.startswith("monash"):
        frame = pd.read_csv(folder / f"{stem}.csv.gz", index_col=0)
        start = frame.index[0]
        values = fill_weekdays(frame.to_numpy(float)).T
        train, test = list(values[:, :-horizon]), values[:, -horizon:]
    else:
        train = read_long(folder / f"{stem}_train.csv.gz")
        later = read_long(folder / f"{stem}_test.csv.gz")
        names = list(train)
        train, test = [train[k] for k in names], np.array([later[k] for k in names])
    if stem.startswith("m4"):
        scores = pd.read_csv(folder / f"{stem}_baseline_scores.csv.gz")
        naive2 = pd.read_csv(folder / f"{stem}_naive2_forecasts.csv.gz")
        naive2 = naive2.pivot(index="series", columns="h", values="naive2").loc[names].to_numpy()
        if "weight" in scores:
            weights = scores.groupby("series")["weight"].first().loc[names].to_numpy()
    weights = np.ones(len(train)) if weights is None else weights
    return Problem(name, train, test, season, metric, published, weights, freq, start, naive2)


def fill_weekdays(values):
    """Missing days take the median of their weekday in the rows (as in the archive)."""
    values = values.copy()
    for column in values.T:
        for day in range(7):
            part = column[day::7]
            part[np.isnan(part)] = np.nanmedian(part)
    return values


# ------------------------------------------------------------------------------ scores


def scores(problem, forecasts):
    """sMAPE, MASE, MAE and MAPE, weighted over the series."""
    y, f, m = problem.test, forecasts, problem.season
    size = np.abs(y) + np.abs(f)
    share = np.divide(np.abs(y - f), size, out=np.zeros_like(size), where=size > 0)
    scale = np.array(
        [np.abs(v[m:] - v[:-m]).mean() if len(v) > m else np.nan for v in problem.train]
    )
    error = np.abs(y - f).mean(axis=1)
    usable = scale > 0
    average = lambda x, keep=slice(None): np.average(x[keep], weights=problem.weights[keep])  # noqa: E731
    return {
        "smape": average(200 * share.mean(axis=1)),
        "mase": average(np.divide(error, scale, where=usable, out=np.zeros_like(error)), usable),
        "mae": average(error),
    }


def baselines(problem):
    """Forecasts of the classical lines: name -> (n_series, horizon)."""
    h, m = problem.horizon, problem.season
    packed = pack(problem.train)
    adjusted, season = deseasonalize(packed, m, h)
    last = np.array([v[-1] for v in problem.train])[:, None]
    flat = np.repeat(last, h, axis=1)
    seasonal = np.array([v[len(v) - m + np.arange(h) % m] for v in problem.train])
    naive2 = season.on(np.repeat(adjusted.values[:, -1:], h, axis=1))
    return {
        "naive": flat,
        "seasonal": seasonal,
        "naive2": naive2 if problem.naive2 is None else problem.naive2,
        "theta": season.on(theta_forecast(adjusted, h)),
    }


# ------------------------------------------------------------------------------ models


def by_class(problem, model):
    """Forecasts of a forecaster that takes the panel, or the only series, with its index."""
    if len(problem.train) == 1:
        y = pd.Series(problem.train[0], index=problem.index(len(problem.train[0])))
        return model.fit(y).predict(problem.horizon).to_numpy()[None], model
    points = model.fit(problem.frame()).predict(problem.horizon)
    return points.to_numpy().reshape(len(problem.train), problem.horizon), model


def automatic(problem):
    """`AutoESNForecaster` that knows the horizon of the set, nothing else."""
    forecasts, model = by_class(problem, AutoESNForecaster(horizon=problem.horizon, random_state=0))
    return forecasts, model.settings_.get("share", "")


def defaults(problem):
    """`ESNForecaster()`: one local model a series."""
    return by_class(problem, ESNForecaster(random_state=0))[0], ""


MODELS = {"auto": automatic, "default": defaults}
LINES = ("naive", "seasonal", "naive2", "theta")


def rows(problem, models):
    """Yield (model, scores, seconds, note) for each model wanted."""
    lines = baselines(problem)
    reference = scores(problem, lines["naive2"])
    best = min(scores(problem, lines[k])["mase"] for k in ("naive", "seasonal"))
    for name in models:
        began, note = time.perf_counter(), ""
        if name in LINES:
            forecasts = lines[name]
        else:
            forecasts, note = MODELS[name](problem)
        result = scores(problem, forecasts)
        parts = [result[k] / reference[k] for k in ("smape", "mase")]
        result |= {"owa": float(np.mean(parts)), "guard": result["mase"] / best}
        yield name, result, time.perf_counter() - began, note


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with m3, m4, ...")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default="auto,naive,seasonal,theta")
    parser.add_argument("--limit", type=int, help="series of each set")
    parser.add_argument("--development", action="store_true", help="never read the test parts")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", EchocastWarning)
    columns = ("smape", "mase", "mae", "owa", "guard")
    print(f"{'set':<18}{'n':>5} {'model':<9}", *(f"{c:>9}" for c in columns), f"{'seconds':>8}")
    m3: dict = {}
    for name in arguments.sets.split(","):
        problem = load(arguments.data, name)
        if arguments.development:
            problem = problem.development()
        if arguments.limit:
            problem = problem.subset(arguments.limit)
        for model, result, seconds, note in rows(problem, arguments.models.split(",")):
            shown = (f"{result[c]:9.3f}" for c in columns)
            tail = f"  share {note}" if note not in ("", 1.0) else ""
            print(
                f"{name:<18}{len(problem.train):>5} {model:<9}", *shown, f"{seconds:8.1f}{tail}",
                flush=True,
            )  # fmt: skip
            if name.startswith("m3_"):
                m3.setdefault(model, []).append((len(problem.train), result["smape"], seconds))
        print(f"{'':<24}metric {problem.metric}; published: {problem.published}")
    for model, parts in m3.items():
        n, smape, seconds = (np.array(x) for x in zip(*parts))
        print(f"M3, {n.sum()} series: {model:<9} sMAPE {np.average(smape, weights=n):.3f}"
              f", {seconds.sum():.0f} seconds")  # fmt: skip


if __name__ == "__main__":
    main()
