"""Choosing the settings of a forecaster over past origins."""

from __future__ import annotations

import copy
import inspect
import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from echocast._checks import (
    check_flag,
    check_generator,
    check_jobs,
    check_number,
    check_option,
    refuse,
    stack_level,
)
from echocast._saving import ModelFiles

from ._backtest import backtest, usual_season
from ._base import transaction
from ._guard import refuse_as_scorer
from ._metrics import resolve_metric
from ._search_scores import Job, before_holdout, comparable, results_table
from ._search_space import (
    Proposals,
    check_space,
    draw_candidates,
    halving_rounds,
    list_candidates,
)

__all__ = ["ForecastSearchCV"]

_DEFAULT_WINDOWS = 5
_METHODS = ("grid", "random", "halving", "optuna")
_OWN = {  # arguments of backtest that the search sets, and where to give them instead
    "horizon": "horizon=",
    "metrics": "metric=",
    "n_jobs": "n_jobs= of the search",
    "progress": "nothing: a search has no counter",
}
_PLACES = ("n_windows", "initial", "step")  # of windows, which the hold-out has of its own


class ForecastSearchCV(MetaEstimatorMixin, ModelFiles, BaseEstimator):
    """Choose the settings of a forecaster by its forecasts from past origins.

    Each candidate is scored by `backtest` on the rows before a hold-out, the last `horizon` rows
    by default, which no candidate sees. The winner is scored there once, by a fit to the rows
    before, and then fitted to all rows. The fitted search is that forecaster, and can itself be
    given to `backtest`, which then searches anew in each window.

    Where a backtest of a panel skips windows that are too short for a candidate, all candidates
    are compared over the windows that are left to each; one that lacks more than half of those
    of another fails.

    Parameters
    ----------
    forecaster : forecaster
        Cloned for each fit.
    space : dict or list of dict
        Values to try for each parameter: lists, or distributions of scipy (not for "grid"), or
        of optuna (for "optuna"). Parameters of nested objects are written ``forecaster__alpha``.
    horizon : int
        Steps to forecast from each origin.
    cv : int or dict, default=5
        Number of windows, or arguments of `backtest` that place them (``n_windows``, ``step``,
        ``gap``, ``window``, ``refit``, ``X_future``, ...).
    metric : str or callable, default="mase"
        As in the `score` of forecasters; the lower, the better. Scaled errors of all candidates
        are divided by those of one season: `season_length` of `cv`, or else of `forecaster`.
    method : {"grid", "random", "halving", "optuna"}, default="grid"
        "grid" tries every combination and "random" `n_iter` drawn ones. "halving" scores all of
        the grid, or `n_iter` draws if there are distributions, over few windows, and goes on
        with the best third over three times as many, until the last round has all windows.
        "optuna" makes `n_iter` proposals one after another (in lots of `n_jobs`), by optuna's
        tree-structured Parzen estimator; it needs ``echocast[tune]``.
    n_iter : int, default=20
        Candidates drawn.
    refit : bool, default=True
        Whether to fit the winner to all rows; without, there is nothing to forecast with.
    holdout : "auto", int or None, default="auto"
        Last rows (of a panel: last times) kept from the search: `horizon` of them, a larger
        number, of which as many windows of `horizon` rows as there is room for are scored, or
        none.
    error_score : "raise" or float, default=nan
        Score of a candidate that fails, with a warning; "raise" passes the error on.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Seed of the draws. The forecaster has its own.
    n_jobs : int, optional
        Parallel candidates, through joblib.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        One entry for each candidate, as in scikit-learn: ``params``, ``param_*``,
        ``split0_test_score``, ... (oldest window first), ``mean_test_score``,
        ``std_test_score``, ``rank_test_score``, and times in seconds of a window. After halving
        also ``iter`` and ``n_resources`` (windows); a later round ranks before an earlier one.
    best_params_ : dict
    best_score_ : float
        Mean score of the winner over windows; lower is better. As the least of many it flatters;
        `holdout_score_` does not.
    best_index_ : int
        Its place in `cv_results_`.
    best_forecaster_ : forecaster
        The winner, fitted to all rows.
    holdout_score_ : float
        Score of the winner on the rows kept from the search; NaN without.
    holdout_result_ : BacktestResult or None
        Its forecasts there.
    cutoffs_ : list
        Labels of the origins that the search has used; scores from there are no test.
    last_scored_ : label
        The last row that a candidate was scored on; `BacktestResult.marked` goes by it.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import ForecastSearchCV, NaiveForecaster
    >>> space = {"strategy": ["last", "mean", "seasonal"], "season_length": [10, 11]}
    >>> search = ForecastSearchCV(NaiveForecaster(), space, horizon=11, metric="mae")
    >>> search.fit(load_sunspots()).best_params_
    {'season_length': 10, 'strategy': 'seasonal'}
    >>> round(search.best_score_, 1), round(search.holdout_score_, 1)
    (25.0, 28.9)
    """

    def __init__(
        self,
        forecaster: Any,
        space: Any,
        *,
        horizon: int,
        cv: Any = _DEFAULT_WINDOWS,
        metric: Any = "mase",
        method: str = "grid",
        n_iter: int = 20,
        refit: bool = True,
        holdout: Any = "auto",
        error_score: Any = np.nan,
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.forecaster = forecaster
        self.space = space
        self.horizon = horizon
        self.cv = cv
        self.metric = metric
        self.method = method
        self.n_iter = n_iter
        self.refit = refit
        self.holdout = holdout
        self.error_score = error_score
        self.random_state = random_state
        self.n_jobs = n_jobs

    # ------------------------------------------------------------------ fitting

    @transaction
    def fit(self, y: Any, X: Any = None, *, static: Any = None) -> Self:
        """Score the candidates, hold the winner against the hold-out, and fit it to all rows.

        Parameters
        ----------
        y : Series, DataFrame or ndarray
            As for the forecaster's `fit`.
        X : DataFrame or ndarray, optional
            Exogenous columns for all rows of y.
        static : DataFrame, optional
            Columns of a panel that do not change with time, for forecasters that take them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y is too short for the windows and the hold-out, or every candidate fails.
        ImportError
            If method="optuna" and optuna is not installed.
        """
        refuse_as_scorer(type(self).__name__)
        for name in [n for n in vars(self) if n.endswith("_")]:
            del self.__dict__[name]
        parts, plan = self._check_params()
        if plan.get("season_length", "auto") == "auto":  # candidates share one
            plan["season_length"] = usual_season(self.forecaster, y)
        n_held = self._held_rows()
        past = before_holdout(y, X, n_held, plan.get("align", "calendar"))
        job = Job(
            self.forecaster, (*past, static), self.horizon, self.metric, plan, self.error_score
        )
        results = self._search(job, parts, plan)
        self._tabulate(results)
        self.holdout_score_, self.holdout_result_ = np.nan, None
        if n_held:
            plan = {k: v for k, v in plan.items() if k not in _PLACES}
            plan |= {"n_windows": n_held // self.horizon, "step": self.horizon}
            job = replace(job, data=(y, X, static), plan=plan)
            self.holdout_result_ = job.run(self.best_params_)
            self.holdout_score_ = job.mean_score(self.holdout_result_)
        if self.refit:
            given = {} if static is None else {"static": static}
            self.best_forecaster_ = job.candidate(self.best_params_).fit(y, X, **given)
        return self

    def _check_params(self):
        owner = type(self).__name__
        check_number("horizon", self.horizon, owner, low=1, integer=True)
        check_option("method", self.method, owner, _METHODS)
        check_generator(self.random_state)
        if not (hasattr(self.forecaster, "fit") and hasattr(self.forecaster, "get_params")):
            raise TypeError(f"`forecaster` must be a forecaster, got {self.forecaster!r:.60}.")
        check_number("n_iter", self.n_iter, owner, low=1, integer=True)
        check_flag("refit", self.refit, owner)
        check_jobs(self.n_jobs, owner)
        resolve_metric(self.metric, owner)
        if self.error_score != "raise":
            bad = isinstance(self.error_score, (str, bool)) or not np.isscalar(self.error_score)
            if bad:
                refuse("error_score", owner, "'raise' or a number", self.error_score)
        if isinstance(self.cv, dict):
            plan = dict(self.cv)
            unknown = sorted(map(str, plan.keys() - inspect.signature(backtest).parameters.keys()))
            if unknown:
                raise ValueError(f"`cv` holds {unknown[0]!r}, which `backtest` does not take.")
            for name in _OWN.keys() & plan.keys():
                raise ValueError(f"`cv` must not hold {name!r}; use {_OWN[name]}.")
        else:
            check_number("cv", self.cv, owner, low=1, integer=True)
            plan = {"n_windows": int(self.cv)}
        if plan.get("n_windows") is None and plan.get("initial") is None:
            plan["n_windows"] = _DEFAULT_WINDOWS
        if self.method == "halving" and plan.get("n_windows") is None:
            raise ValueError("method='halving' needs to know the windows: give `cv` n_windows.")
        return check_space(self.space, self.forecaster, owner), plan

    def _held_rows(self) -> int:
        if self.holdout is None:
            return 0
        rows = check_number(
            "holdout",
            self.holdout,
            type(self).__name__,
            low=self.horizon,
            integer=True,
            also=("auto",),
        )
        return int(self.horizon if rows == "auto" else rows)

    def _search(self, job, parts, plan) -> list[dict]:
        if self.method == "optuna":
            return self._propose(job, parts)
        if self.method == "random" or (self.method == "halving" and not _is_grid(parts)):
            candidates = draw_candidates(parts, self.n_iter, self.random_state)
        else:
            candidates = list_candidates(parts, self.method)
        if self.method != "halving":
            return self._score(job, candidates)
        results: list[dict] = []
        n_windows = int(plan["n_windows"])
        for k, (count, windows) in enumerate(halving_rounds(len(candidates), n_windows)):
            lot = self._score(job, candidates[:count], windows)
            results += [r | {"iter": k, "n_resources": windows} for r in lot]
            order = np.argsort([r["mean"] for r in lot], kind="stable")  # NaN come last
            candidates = [lot[i]["params"] for i in order]
        return results

    def _score(self, job, candidates, n_windows=None) -> list[dict]:
        if self.n_jobs in (None, 1):
            found = [job.score(params, n_windows) for params in candidates]
        else:
            jobs = (delayed(job.score)(params, n_windows) for params in candidates)
            found = list(Parallel(n_jobs=self.n_jobs)(jobs))
        return comparable(found, self.error_score)

    def _propose(self, job, parts) -> list[dict]:
        proposals = Proposals(parts, self.random_state)
        results: list[dict] = []
        lot = effective_n_jobs(self.n_jobs)
        while len(results) < self.n_iter:
            asked = list(proposals.ask(min(lot, self.n_iter - len(results))))
            done = len(results)
            results += self._score(job, [params for _, params in asked])
            results = comparable(results, self.error_score)
            for (trial, _), result in zip(asked, results[done:]):
                proposals.tell(trial, result["mean"])
        return results

    def _tabulate(self, results):
        failed = [r for r in results if r["error"]]
        if len(failed) == len(results):
            raise ValueError(
                f"All {len(results)} candidates failed; the first: {failed[0]['error']}"
            )
        if failed:
            warnings.warn(
                f"{len(failed)} of {len(results)} candidates failed and score "
                f"{self.error_score}; the first, {failed[0]['params']}: {failed[0]['error']}",
                FitFailedWarning,
                stacklevel=stack_level(),
            )
        means = np.array([r["mean"] for r in results])
        rounds = np.array([r.get("iter", 0) for r in results])
        if not np.isfinite(means[rounds == rounds.max()]).any():
            raise ValueError(
                f"No candidate has a finite score by {self.metric!r}, as where `y` does not vary; "
                "choose another metric."
            )
        ranks = np.empty(len(results), dtype=np.int32)
        before = 0
        for k in range(rounds.max(), -1, -1):
            own = rounds == k
            ranked = np.where(np.isnan(means[own]), np.inf, means[own])
            ranks[own] = before + rankdata(ranked, method="min")
            before += int(own.sum())
        self.cv_results_ = results_table(results, means, ranks, from_end=not self._is_forward())
        self.best_index_ = int(np.flatnonzero(ranks == ranks.min())[0])
        self.best_params_ = results[self.best_index_]["params"]
        self.best_score_ = float(means[self.best_index_])
        self.cutoffs_ = max((r["cutoffs"] for r in results), key=len)
        self.last_scored_ = max(r["last"] for r in results if r["cutoffs"])

    def _is_forward(self):
        return isinstance(self.cv, dict) and self.cv.get("initial") is not None

    # -------------------------------------------------------- as the forecaster

    def _winner(self):
        check_is_fitted(self, "cv_results_")
        if not hasattr(self, "best_forecaster_"):
            raise NotFittedError("ForecastSearchCV(refit=False) has no fitted forecaster.")
        return self.best_forecaster_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cv_results_")

    @property
    def freq(self) -> Any:
        """Frequency that the forecaster was told; can be set, in a copy of the forecaster."""
        return self.forecaster.freq

    @freq.setter
    def freq(self, freq: Any) -> None:
        self.forecaster = clone(self.forecaster).set_params(freq=freq)

    @property
    def missing(self) -> Any:
        """What the forecaster does with missing values."""
        return self.forecaster.missing

    @property
    def _masks(self) -> bool:
        return getattr(self.forecaster, "_masks", False)

    @property
    def season_length(self) -> Any:
        """Season length that the forecaster was told."""
        return self.forecaster.season_length

    @property
    def season_length_(self) -> int:
        """Season length of the winner."""
        return self._winner().season_length_

    @property
    def cutoff_(self) -> Any:
        """Label of the last row seen."""
        return self._winner().cutoff_

    def predict(
        self, horizon: Any = None, X: Any = None, *, level: Any = None, quantiles: Any = None
    ) -> Any:
        """Forecast with the winner, by default the `horizon` it was chosen for.

        Parameters
        ----------
        horizon, X, level, quantiles
            As in the `predict` of forecasters.

        Returns
        -------
        Series, DataFrame or ndarray
        """
        given = {"level": level, "quantiles": quantiles}
        given = {name: value for name, value in given.items() if value is not None}
        return self._winner().predict(self.horizon if horizon is None else horizon, X, **given)

    def sample(
        self, horizon: Any = None, X: Any = None, *, n_samples: int = 200, random_state: Any = None
    ) -> pd.DataFrame:
        """Simulated paths of the winner; see the `sample` of forecasters."""
        horizon = self.horizon if horizon is None else horizon
        return self._winner().sample(horizon, X, n_samples=n_samples, random_state=random_state)

    def update(self, y: Any, X: Any = None, *, refit: bool = False) -> Self:
        """Let the winner take in rows that follow the cutoff; the settings stay."""
        self._winner().update(y, X, refit=refit)
        return self

    def apply(self, y: Any, X: Any = None) -> Self:
        """A copy whose winner has another history; see the `apply` of forecasters."""
        other = copy.copy(self)
        other.best_forecaster_ = self._winner().apply(y, X)
        return other

    def fitted_values(self, y: Any = None, X: Any = None) -> Any:
        """One-step predictions of the winner; see the `fitted_values` of forecasters."""
        return self._winner().fitted_values(y, X)

    def residuals(self) -> Any:
        """Errors that the winner keeps; see the `residuals` of forecasters."""
        return self._winner().residuals()

    def score(self, y: Any, X: Any = None, *, metric: Any = None) -> float:
        """Score the winner's forecast of the rows that follow, by default by `metric`."""
        refuse_as_scorer(type(self).__name__)
        return self._winner().score(y, X, metric=self.metric if metric is None else metric)

    def plot(self, horizon: Any = None, X: Any = None, **kwargs: Any) -> Any:
        """Draw the winner's forecast; see the `plot` of forecasters."""
        return self._winner().plot(self.horizon if horizon is None else horizon, X, **kwargs)


def _is_grid(parts):
    return not any(hasattr(values, "rvs") for part in parts for values in part.values())
