"""Trials of forecasters: the catalogue of series, columns and horizons in every method."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from echocast import forecasting
from echocast.reservoir import ESNRegressor

from ._bad_input import SAME, BadInput
from ._bad_inputs_exog import EXOGENOUS, HORIZONS
from ._bad_inputs_series import INDEXES, VALUES
from ._trial import Trial

__all__ = ["forecaster_trials", "small_forecasters"]

_N, _NEXT, _H = 40, 16, 3
_LEARN = ("fit", "backtest")  # weights are drawn in the order in which the columns come
_SMALL: dict[str, Any] = {
    "n_units": 6,
    "n_boot": 10,
    "random_state": 0,
    "transforms": ["standardize"],
}


def small_forecasters() -> dict[str, Any]:
    """One or two small instances of each public forecaster, by name."""
    naive = forecasting.NaiveForecaster("drift", season_length=1)
    plain: dict[str, Any] = {"n_boot": 10, "random_state": 0, "transforms": ["standardize"]}
    return {
        "NaiveForecaster": naive,
        "ESNForecaster": forecasting.ESNForecaster(**_SMALL),
        "ESNForecaster direct": forecasting.ESNForecaster(
            **_SMALL, strategy="direct", horizon=_H, season_length=1
        ),
        "NVARForecaster": forecasting.NVARForecaster(**plain),
        "MarkovForecaster": forecasting.MarkovForecaster(2, **plain),
        "ReservoirForecaster": forecasting.ReservoirForecaster(
            ESNRegressor(6, random_state=0), **plain
        ),
        "RNNForecaster": forecasting.RNNForecaster(
            hidden_layer_sizes=3, max_iter=1, n_members=1, **plain
        ),
        "EnsembleForecaster": forecasting.EnsembleForecaster(
            [("drift", naive), ("markov", forecasting.MarkovForecaster(1, **plain))],
            n_boot=10,
            random_state=0,
            season_length=1,
        ),
        "AutoESNForecaster": forecasting.AutoESNForecaster(
            kind="system", n_seeds=1, season_length=1, n_boot=10, random_state=0
        ),
        "ForecastSearchCV": forecasting.ForecastSearchCV(
            naive, {"strategy": ["last", "mean"]}, horizon=_H, cv=2, random_state=0
        ),
    }


def _data():
    """A daily series, exogenous columns that drive it, and how many rows a fit gets."""
    rng = np.random.RandomState(0)
    index = pd.date_range("2024-03-01", periods=_N + _NEXT, freq="D", name="day")
    X = pd.DataFrame(np.round(8 * rng.randn(len(index), 2)) / 8, index, columns=["a", "b"])
    y = X["a"] - X["b"] / 2 + np.round(8 * np.sin(0.7 * np.arange(len(index)))) / 8
    return y.rename("sales"), X


def forecaster_trials() -> Iterator[Trial]:
    """Every entry of the catalogue in each method of each forecaster that takes the argument."""
    y, X = _data()
    for name, made in small_forecasters().items():
        known = clone(made).fit(y.iloc[:_N])
        takes_X = name not in (
            "NaiveForecaster",
            "EnsembleForecaster",
            "ForecastSearchCV",
            "AutoESNForecaster",
        )
        for entry in (*VALUES, *INDEXES):
            for method in ("fit", "update", "apply", "score", "backtest"):
                yield _of_series(name, made, known, method, entry, y)
        for entry in HORIZONS:
            yield _of_horizon(name, known, entry, y.index[_N : _N + _H])
        if takes_X:
            with_X = clone(made).fit(y.iloc[:_N], X.iloc[:_N])
            for entry in EXOGENOUS:
                for method in ("fit", "update", "predict", "score", "backtest"):
                    yield _of_columns(name, made, with_X, method, entry, y, X)


def _backtest(made, y, X=None):
    result = forecasting.backtest(clone(made), y, X, horizon=_H, n_windows=2, metrics=("mae",))
    return result.forecasts[["forecast"]].to_numpy()


def _of_series(name, made, known, method, entry: BadInput, y) -> Trial:
    first, stop = (0, _N) if method in ("fit", "backtest") else (_N, _N + _NEXT)
    good = y.iloc[first:stop]

    def call(rows=None):
        bad = entry.make(good.copy()) if rows is None else rows
        if method == "fit":
            return np.asarray(clone(made).fit(bad).predict(_H))
        if method == "backtest":
            return _backtest(made, bad)
        if method == "score":
            return known.score(bad, metric="mae")
        moved = copy.deepcopy(known)
        return np.asarray(getattr(moved, method)(bad).predict(_H))

    what = f"{name}.{method}(y: {entry.name})"
    clean = (lambda: call(good)) if entry.expect == SAME else None
    return Trial(what, call, entry.expected_in(name, method), ("y",), clean)


def _of_horizon(name, known, entry: BadInput, index) -> Trial:
    def call():
        return np.asarray(known.predict(entry.make(index)))[:1000]

    what = f"{name}.predict(horizon: {entry.name})"
    return Trial(what, call, entry.expected_in(name, "predict"), ("horizon",))


def _of_columns(name, made, fitted, method, entry: BadInput, y, X) -> Trial:
    ahead = slice(_N, _N + _H)
    rows = slice(0, _N) if method in ("fit", "backtest") else ahead

    def call(columns=None):
        bad = entry.make(X.iloc[rows].copy()) if columns is None else columns
        if method == "fit":
            model = clone(made).fit(y.iloc[rows], bad)
            future = None if bad is None else entry.make(X.iloc[ahead])
            return np.asarray(model.predict(_H, future if columns is None else X.iloc[ahead]))
        if method == "backtest":
            return _backtest(made, y.iloc[rows], bad)
        if method == "predict":
            return np.asarray(fitted.predict(_H, bad))
        if method == "score":
            return fitted.score(y.iloc[rows], bad, metric="mae")
        after = slice(_N + _H, _N + 2 * _H)
        return np.asarray(
            copy.deepcopy(fitted).update(y.iloc[rows], bad).predict(_H, X.iloc[after])
        )

    what = f"{name}.{method}(X: {entry.name})"
    clean = (lambda: call(X.iloc[rows])) if entry.expect == SAME and method not in _LEARN else None
    return Trial(what, call, entry.expected_in(name, method), ("X",), clean)
