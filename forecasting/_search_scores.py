"""Scores of a search's candidates over past origins, and the table of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from ._backtest import backtest
from ._backtest_result import BacktestResult
from ._metrics import resolve_metric

__all__ = ["Job", "before_holdout", "comparable", "results_table"]


@dataclass(frozen=True)
class Job:
    """What all candidates share."""

    forecaster: Any
    data: tuple  # y, X, static
    horizon: int
    metric: Any
    plan: dict
    error_score: Any

    def candidate(self, params: dict) -> Any:
        """A forecaster with these settings."""
        return clone(self.forecaster).set_params(**clone(params, safe=False))

    def run(self, params: dict, n_windows: int | None = None) -> BacktestResult:
        """Backtest a candidate over the whole plan or fewer windows of it."""
        y, X, static = self.data
        options = self.plan if n_windows is None else self.plan | {"n_windows": n_windows}
        options = options if static is None else options | {"static": static}
        options = options | {"horizon": self.horizon, "metrics": [self.metric]}
        return backtest(self.candidate(params), y, X, **options)

    def score(self, params: dict, n_windows: int | None) -> dict:
        """What is known of one candidate after its backtest."""
        try:
            result = self.run(params, n_windows)
        except Exception as error:  # whatever a candidate's settings lead to
            if self.error_score == "raise":
                raise
            count = n_windows or self.plan.get("n_windows") or 1
            text = f"{type(error).__name__}: {error}"
            return _failed({"params": params}, count, self.error_score, text)
        scores = self.scores_of(result)
        once = result.scores.drop_duplicates("cutoff")
        return {
            "params": params,
            "scores": scores,
            **_statistics(_by_window(scores)),
            "error": "",
            "cutoffs": sorted(once["cutoff"]),
            "last": result.forecasts["time"].max(),
            "seconds": once[["fit_seconds", "predict_seconds"]].to_numpy(),
            "skipped": "".join(result.skipped["reason"].iloc[-1:]),
        }

    def scores_of(self, result: BacktestResult) -> pd.Series:
        """Scores by window (later ones are larger), series and variable."""
        scores = result.scores
        name = resolve_metric(self.metric, "ForecastSearchCV")[0]
        window = scores["cutoff"]
        if result.settings.get("align") == "series_end":  # at other dates in each series
            window = -window.groupby(scores["series"]).rank(method="dense", ascending=False)
        labels = [scores[key] for key in ("series", "variable") if key in scores]
        index = pd.MultiIndex.from_arrays([window, *labels])
        return pd.Series(scores[name].to_numpy(dtype=np.float64), index=index)

    def mean_score(self, result: BacktestResult) -> float:
        """The mean over windows of the means over series and variables."""
        return _statistics(_by_window(self.scores_of(result)))["mean"]


def _by_window(scores):
    """Means over series and variables, oldest window first."""
    return scores.groupby(level=0, sort=True).mean().to_numpy()


def _failed(row, n_windows, error_score, text):
    splits = np.full(n_windows, float(error_score))
    nothing = {"cutoffs": [], "scores": None, "seconds": np.full((1, 2), np.nan)}
    return row | nothing | _statistics(splits) | {"error": text}


def _statistics(splits):
    known = splits[~np.isnan(splits)]
    mean, std = (float(known.mean()), float(known.std())) if len(known) else (np.nan, np.nan)
    return {"splits": splits, "mean": mean, "std": std}


def comparable(results: list[dict], error_score: Any) -> list[dict]:
    """The same, with means over the windows of series that all candidates were scored on.

    Backtests of panels skip windows too short for a candidate, and what is hard to fit is often
    hard to forecast. Candidates that have less than half of the windows of another fail.

    Raises
    ------
    ValueError
        If there are such and `error_score` is "raise".
    """
    most = max((len(r["scores"]) for r in results if not r["error"]), default=0)
    out = []
    for row in results:
        if not row["error"] and len(row["scores"]) < most / 2:
            text = f"it can forecast {len(row['scores'])} of {most} windows; {row['skipped']}"
            if error_score == "raise":
                raise ValueError(f"Candidate {row['params']} fails: {text}")
            row = _failed(row, len(row["splits"]), error_score, text)
        out.append(row)
    indexes = [row["scores"].index for row in out if not row["error"]]
    if all(len(index) == most for index in indexes):
        return out
    common = functools.reduce(lambda one, two: one.intersection(two, sort=False), indexes)
    for k, row in enumerate(out):
        if not row["error"]:
            shared = row["scores"].where(row["scores"].index.isin(common))
            out[k] = row | _statistics(_by_window(shared))
    return out


def results_table(results: list[dict], means: Any, ranks: Any, from_end: bool) -> dict[str, Any]:
    """`cv_results_`, in scikit-learn's layout."""
    table: dict[str, Any] = {}
    for k, name in enumerate(("fit_time", "score_time")):
        table[f"mean_{name}"] = np.array([r["seconds"][:, k].mean() for r in results])
        table[f"std_{name}"] = np.array([r["seconds"][:, k].std() for r in results])
    names = sorted({name for r in results for name in r["params"]})
    for name in names:
        column = np.ma.MaskedArray(np.empty(len(results), dtype=object), mask=True)
        for i, r in enumerate(results):
            if name in r["params"]:
                column[i] = r["params"][name]
        table[f"param_{name}"] = column
    table["params"] = [r["params"] for r in results]
    width = max(len(r["splits"]) for r in results)
    splits = np.full((len(results), width), np.nan)
    for row, r in zip(splits, results):  # fewer windows are the last, or with `initial` the first
        row[slice(width - len(r["splits"]), None) if from_end else slice(len(r["splits"]))] = r[
            "splits"
        ]
    for k in range(width):
        table[f"split{k}_test_score"] = splits[:, k].copy()
    table["mean_test_score"] = means
    table["std_test_score"] = np.array([r["std"] for r in results])
    table["rank_test_score"] = ranks
    for name in ("iter", "n_resources"):
        if name in results[0]:
            table[name] = np.array([r[name] for r in results])
    return table


def before_holdout(y: Any, X: Any, n_held: int, align: str) -> tuple[Any, Any]:
    """The rows that the search may see.

    Of a panel they are those before a common time, or, where its windows lie before the end of
    each series, those before the last `n_held` of each.
    """
    if not n_held:
        return y, X
    if not (isinstance(y, (pd.Series, pd.DataFrame)) or np.ndim(y) > 0):
        raise TypeError(f"`y` must be a pandas Series or DataFrame or a numpy array. Found {y!r}.")
    if isinstance(getattr(y, "index", None), pd.MultiIndex):
        return _panel_before_holdout(y, X, n_held, align)
    _check_length(len(y), n_held)
    stop = len(y) - n_held
    if hasattr(y, "iloc"):
        if X is not None and hasattr(X, "iloc"):
            X = X[X.index < y.index[stop]]
        return y.iloc[:stop], X
    return y[:stop], None if X is None else X[:stop]


def _panel_before_holdout(y, X, n_held, align):
    if align == "series_end":
        rest = y.groupby(level=0, dropna=False).cumcount(ascending=False).to_numpy()
        _check_length(int(rest.max()) + 1, n_held)
        return y[rest >= n_held], X  # X is read for the labels of y alone
    times = y.index.get_level_values(-1)
    order = times.unique().sort_values()
    _check_length(len(order), n_held)
    first = order[-n_held]
    if X is not None and hasattr(X, "index"):
        X = X[X.index.get_level_values(-1) < first]
    return y[times < first], X


def _check_length(n_rows, n_held):
    if n_rows <= n_held:
        raise ValueError(
            f"`y` has {n_rows} rows, too few to keep a hold-out of {n_held} from the search. Lower "
            "`holdout` or `horizon`, or pass holdout=None."
        )
