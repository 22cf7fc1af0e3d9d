"""Hyperparameter search for echo state networks: many settings in one pass over the data."""

from __future__ import annotations

import copy
import logging
import numbers
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, indexable

from echocast._checks import (
    check_flag,
    check_generator,
    check_jobs,
    check_number,
    check_option,
    refuse,
)
from echocast._saving import ModelFiles

from ._base import transactional
from ._search_folds import make_folds, n_rows_of
from ._search_halving import fewest_rows, last_rows, plan_rounds, survivors
from ._search_scores import Scoring, fill_in_errors, report_failures
from ._search_tasks import fallbacks, run_groups

__all__ = ["ESNSearchCV"]

_log = logging.getLogger("echocast")

_DRAWS = 10  # candidates drawn if `n_iter` does not say, as in scikit-learn


def _can_generate(search):
    if not search.refit:
        raise AttributeError(
            f"This {type(search).__name__} instance was initialized with `refit=False`. "
            "`generate` is available only after refitting on the best parameters."
        )
    return hasattr(getattr(search, "best_estimator_", search.estimator), "generate")


class ESNSearchCV(ModelFiles, GridSearchCV):
    """Search over settings of an echo state network, many of them in one pass over the data.

    Scores, ranks and attributes are those of `sklearn.model_selection.GridSearchCV` (or of
    `RandomizedSearchCV`) around the same estimator. The work is shared: settings that differ in
    `spectral_radius`, `input_scaling`, `bias_scaling` or `leak_rate` have one set of draws and
    one spectral radius; what reads the same states (`alpha`, `solver`, `washout`, ...) runs the
    network once; folds that start at the same row are one run, and share the statistics of their
    readouts; and all penalties of a fold share its factor.

    Parameters
    ----------
    estimator : ESNRegressor, or Pipeline that ends in one
        Any other estimator is searched by ordinary fits. With ``random_state=None`` all
        candidates that can share a reservoir are compared on one draw of it.
    param_grid : dict or list of dict, optional
        Values to try for each parameter, as in `GridSearchCV`.
    param_distributions : dict or list of dict, optional
        Lists or distributions of scipy to draw from, in place of `param_grid`.
    n_iter : int, default=10
        Candidates drawn from `param_distributions`.
    cv : int, splitter or iterable, default=5
        As in `GridSearchCV`. For a series choose `sklearn.model_selection.TimeSeriesSplit`.
    scoring : str, callable, list, tuple or dict, optional
        As in `GridSearchCV`; by default the `score` of the estimator, R^2.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all rows; with several metrics the name of the one
        that decides, or a function of `cv_results_` that returns the index of the best.
    n_jobs : int, optional
        Workers, through joblib; results do not depend on their number.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Seed of the draws of candidates. The estimator has its own.
    method : {"auto", "grid", "random", "halving"}, default="auto"
        "auto" tries the whole grid, or `n_iter` draws if there are distributions. "random" draws
        `n_iter` candidates from either. "halving" begins with all of them on few resources, and
        goes on with the best of each round on more.
    factor : float, default=3
        Halving keeps one in `factor` candidates from round to round, on `factor` times the
        resources.
    resource : str, default="n_samples"
        What grows in halving: training rows (of each training part the last ones, next to the
        test rows, which are all kept), or a parameter such as "n_units".
    min_resources : int, "exhaust" or "smallest", default="exhaust"
        Resources of the first round. "smallest" is what leaves 100 rows of the shortest training
        part, and 1 for a parameter; "exhaust" at least that, and so much that the last round has
        all there is.
    max_resources : int or "auto", default="auto"
        Resources of the last round; "auto" is the number of rows.
    max_bytes : int, default=2**29
        Memory for states in each worker, and so how many settings run side by side. Folds whose
        states do not fit in together are run apart, and a fold that does not fit in by itself is
        left to ordinary fits, which keep no states, as the logger "echocast" says at level INFO.
    verbose : int, default=0
        Progress to the logger "echocast" at level INFO: 1 for rounds, 2 for each batch.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit or scoring fails, with a warning.
    return_train_score : bool, default=False
        Whether to score the training parts, too.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As in `GridSearchCV`. A fit time is what a candidate took by itself and its share of what
        it had in common with others. After halving also ``iter`` and ``n_resources``.
    best_estimator_, best_score_, best_params_, best_index_ : object, float, dict, int
    scorer_, n_splits_, refit_time_, multimetric_ : function or dict, int, float, bool
    fallback_params_ : dict of str to str
        Searched parameters that need more than a column or a readout: "one pass for each value",
        or "ordinary fits" where nothing could be shared. Empty at best.
    n_candidates_, n_resources_ : list of int
        Of each round of halving.
    n_iterations_, min_resources_, max_resources_ : int
        Of halving.

    See Also
    --------
    echocast.forecasting.ForecastSearchCV : Judges forecasts many steps ahead.

    Notes
    -----
    Readouts are computed with the arithmetic of a fit, block by block, from the same states, so
    scores are those of ordinary fits even where rounding decides them.

    References
    ----------
    .. [1] K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
       optimization", AISTATS 2016 (successive halving).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import TimeSeriesSplit
    >>> from echocast.reservoir import ESNRegressor, ESNSearchCV
    >>> u = np.sin(0.2 * np.arange(500))[:, None]
    >>> search = ESNSearchCV(
    ...     ESNRegressor(50, predict_state="continue", random_state=0),
    ...     {"leak_rate": [0.3, 1.0], "alpha": [1e-8, 1e-4, 1.0]},
    ...     cv=TimeSeriesSplit(3),
    ... ).fit(u[:-1], u[1:])
    >>> search.best_params_["alpha"], search.fallback_params_
    (1e-08, {})
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        param_distributions: Any = None,
        n_iter: int | None = None,
        cv: Any = None,
        scoring: Any = None,
        refit: bool | str | Callable = True,
        n_jobs: int | None = None,
        random_state: Any = None,
        method: str = "auto",
        factor: float = 3,
        resource: str = "n_samples",
        min_resources: int | str = "exhaust",
        max_resources: int | str = "auto",
        max_bytes: int = 2**29,
        verbose: int = 0,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.method = method
        self.factor = factor
        self.resource = resource
        self.min_resources = min_resources
        self.max_resources = max_resources
        self.max_bytes = max_bytes
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score

    @transactional(keep_fitted=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Evaluate all candidates by cross-validation, and fit the best one to all rows.

        Parameters
        ----------
        X : array-like of shape (n_steps, n_features), list of such, 3-D array or DataFrame
        y : array-like of shape (n_steps,) or (n_steps, n_targets), or the matching list
        **params : dict
            For the estimator's `fit`, such as `sample_weight`; what has one entry a row is split
            along with X. `groups` goes to the splitter.

        Returns
        -------
        self

        Raises
        ------
        InvalidParameterError
            If a parameter has a forbidden value.
        ValueError
            If there are no candidates, or all fits failed.

        Warns
        -----
        FitFailedWarning
            If some fits failed.
        """
        self._check_search()
        scorer, metric = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **routed.splitter.split))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        if len(splits) != self.n_splits_:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{self.n_splits_} splits, got {len(splits)}"
            )
        candidates = self._candidates()
        if not candidates or not splits:
            raise ValueError(
                "No fits were performed. Was the CV iterator empty? Were there no candidates?"
            )
        several = self._several()
        scoring = Scoring(scorer, self.scoring, self.error_score, self.return_train_score)
        base = clone(self.estimator)
        done = _Evaluations(self, base, scoring, X, y, routed)
        if self.method == "halving":
            self._halve(done, candidates, splits, n_rows_of(X))
        else:
            done.add(candidates, splits)
        self.fallback_params_ = fallbacks(base, done.params, done.batched)
        self.cv_results_ = done.table
        first = done.results[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            metric = self.refit
        self._choose(metric)
        if self.refit:
            self._refit(base, X, y, routed.estimator.fit)
        self.scorer_ = scorer if not several else self._scorers_by_name()
        return self

    @cached_property
    def scorer_(self) -> Any:
        """Scorers of a search that was read from a file, where `scoring` stands for them."""
        if not hasattr(self, "cv_results_"):
            raise AttributeError("`scorer_` is there after fit.")
        return self._scorers_by_name() if self._several() else self._get_scorers()[0]

    def _several(self):
        """Whether several metrics are asked for by name."""
        return isinstance(self.scoring, (list, tuple, dict))

    @available_if(_can_generate)
    def generate(self, n_steps: int, **params: Any) -> np.ndarray:
        """Run the best estimator on in closed loop; see `ESNRegressor.generate`.

        Parameters
        ----------
        n_steps : int
        **params : dict
            `warmup`, `initial_state` and `X`.

        Returns
        -------
        ndarray of shape (n_steps, n_targets)

        Raises
        ------
        NotFittedError
            Before fit.
        """
        check_is_fitted(self)
        return self.best_estimator_.generate(n_steps, **params)

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.target_tags.multi_output = inner.target_tags.multi_output
        tags.input_tags.three_d_array = inner.input_tags.three_d_array
        tags.transformer_tags = copy.deepcopy(inner.transformer_tags)
        return tags

    # ------------------------------------------------------------------ parts of fit

    def _check_search(self):
        owner = type(self).__name__
        if not hasattr(self.estimator, "fit"):
            refuse("estimator", owner, "an object implementing 'fit'", self.estimator)
        modules = [kind.__module__ for kind in type(self.estimator).__mro__]
        if self.scoring is None and any(m.startswith("echocast.forecasting.") for m in modules):
            raise TypeError(
                f"`score` of {type(self.estimator).__name__} is an error, and lower is better; "
                f"{owner} would choose the worst. Use ForecastSearchCV."
            )
        named = isinstance(self.scoring, (str, list, tuple, dict))
        if not (named or self.scoring is None or callable(self.scoring)):
            rule = "a str, a callable, a list, a tuple, a dict or None"
            refuse("scoring", owner, rule, self.scoring)
        check_option("method", self.method, owner, ("auto", "grid", "random", "halving"))
        if (self.param_grid is None) == (self.param_distributions is None):
            both = "" if self.param_grid is None else ", not both"
            raise ValueError(f"{owner} needs either `param_grid` or `param_distributions`{both}.")
        if self.method == "grid" and self.param_grid is None:
            raise ValueError("method='grid' needs `param_grid`.")
        if self.n_iter is not None:
            check_number("n_iter", self.n_iter, owner, low=1, integer=True)
            if self.param_distributions is None and self.method != "random":
                raise ValueError(
                    "`n_iter` is the number of draws from `param_distributions`; for a part of "
                    "the grid use method='random'."
                )
        for name in ("param_grid", "param_distributions"):
            given = getattr(self, name)
            if not (given is None or isinstance(given, (Mapping, list, tuple))):
                refuse(name, owner, "a dict or a list of dicts", given)
        self._check_cv(owner)
        check_generator(self.random_state)
        check_jobs(self.n_jobs, owner)
        check_number("factor", self.factor, owner, low=1, closed="neither")
        check_number("max_bytes", self.max_bytes, owner, low=1, integer=True)
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_number("verbose", self.verbose, owner, low=0, integer=True)
        check_flag("return_train_score", self.return_train_score, owner)
        resources = {"integer": True, "low": 1}
        also = ("exhaust", "smallest")
        check_number("min_resources", self.min_resources, owner, also=also, **resources)
        check_number("max_resources", self.max_resources, owner, also=("auto",), **resources)
        if not (self.error_score == "raise" or isinstance(self.error_score, numbers.Number)):
            refuse("error_score", owner, "a str among {'raise'} or a number", self.error_score)
        if not (isinstance(self.refit, (bool, np.bool_, str)) or callable(self.refit)):
            refuse("refit", owner, "a bool, a str or a callable", self.refit)

    def _check_cv(self, owner):
        cv = self.cv
        if isinstance(cv, numbers.Integral):
            check_number("cv", cv, owner, low=2, integer=True)
        elif isinstance(cv, (str, dict)) or not (
            cv is None or hasattr(cv, "split") or hasattr(cv, "__iter__")
        ):
            refuse("cv", owner, "an int, a splitter, an iterable of splits or None", cv)

    def _candidates(self):
        if self.param_grid is not None and self.method != "random":
            return list(ParameterGrid(self.param_grid))
        space = self.param_grid if self.param_distributions is None else self.param_distributions
        n_iter = _DRAWS if self.n_iter is None else self.n_iter
        rng = check_generator(self.random_state)
        return list(ParameterSampler(space, n_iter, random_state=rng))

    def _halve(self, done, candidates, splits, n_rows):
        by_rows = self.resource == "n_samples"
        if not by_rows and self.resource not in self.estimator.get_params():
            raise ValueError(
                f"Cannot use resource={self.resource} which is not supported by estimator "
                f"{type(self.estimator).__name__}"
            )
        largest = self.max_resources
        if largest == "auto":
            if not by_rows:
                raise ValueError("`max_resources` can only be 'auto' if `resource` is 'n_samples'.")
            largest = n_rows
        if any(self.resource in given for given in candidates):
            raise ValueError(
                f"Cannot use parameter {self.resource} as the resource since it is part of the "
                "searched parameters."
            )
        smallest = self.min_resources
        if isinstance(smallest, str):
            smallest = min(fewest_rows(n_rows, splits), largest) if by_rows else 1
        if smallest > largest:
            raise ValueError(f"min_resources={smallest} is greater than max_resources={largest}.")
        rounds = plan_rounds(
            len(candidates),
            factor=self.factor,
            smallest=smallest,
            largest=largest,
            exhaust=self.min_resources == "exhaust",
        )
        self.n_resources_, self.n_candidates_ = rounds.resources, []
        self.n_iterations_ = len(rounds.resources)
        self.min_resources_, self.max_resources_ = rounds.smallest, rounds.largest
        for k, amount in enumerate(rounds.resources):
            self.n_candidates_.append(len(candidates))
            if not by_rows:
                candidates = [{**given, self.resource: amount} for given in candidates]
            cut = last_rows(splits, amount / n_rows) if by_rows else splits
            done.add(candidates, cut, iter=k, n_resources=amount)
            candidates = survivors(done.table, self._deciding(done.table), k, self.factor)

    def _deciding(self, table):
        """The metric that candidates of a round of halving are compared by."""
        for name in (self.refit, "score"):
            if isinstance(name, str) and f"mean_test_{name}" in table:
                return name
        raise ValueError("method='halving' with several metrics needs `refit` to name one.")

    def _choose(self, metric):
        """Set the index, parameters and score of the best candidate."""
        if not (self.refit or not self.multimetric_):
            return
        results = self.cv_results_
        if self.method == "halving" and not callable(self.refit):
            last = np.flatnonzero(np.asarray(results["iter"]) == self.n_iterations_ - 1)
            scores = results[f"mean_test_{metric}"][last]
            best = 0 if np.isnan(scores).all() else np.nanargmax(scores)
            self.best_index_ = last[best]
        else:
            self.best_index_ = self._select_best_index(self.refit, metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, base, X, y, fit_params):
        best = clone(base).set_params(**clone(self.best_params_, safe=False))
        start = time.perf_counter()
        best.fit(X, *(() if y is None else (y,)), **fit_params)
        self.refit_time_ = time.perf_counter() - start
        self.best_estimator_ = best
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_

    def _scorers_by_name(self):
        given = self.scoring
        by_name = given if isinstance(given, dict) else {name: name for name in given}
        return {name: check_scoring(self.estimator, scoring=s) for name, s in by_name.items()}


class _Evaluations:
    """Candidates evaluated so far, over all rounds."""

    def __init__(self, search, base, scoring, X, y, routed):
        self.search, self.base, self.scoring = search, base, scoring
        self.X, self.y, self.routed = X, y, routed
        self.params: list[dict] = []
        self.results: list[dict] = []
        self.batched: set[int] = set()
        self.more: dict[str, list] = {}
        self.table: dict[str, Any] = {}

    def add(self, candidates, splits, **more):
        """Evaluate candidates, and bring the table of results up to date."""
        search, routed = self.search, self.routed
        if search.verbose > 0:
            _log.info(
                "Fitting %d folds for each of %d candidates, totalling %d fits",
                len(splits),
                len(candidates),
                len(splits) * len(candidates),
            )
        folds = make_folds(self.X, self.y, splits, routed.estimator.fit, routed.scorer.score)
        results, batched = run_groups(
            self.base,
            candidates,
            folds,
            self.scoring,
            max_bytes=search.max_bytes,
            n_jobs=search.n_jobs,
            verbose=search.verbose,
        )
        report_failures(results, search.error_score)
        if callable(search.scoring):
            fill_in_errors(results, search.error_score)
        self.batched |= {len(self.params) + index for index in batched}
        self.params += candidates
        self.results += results
        for name, value in more.items():
            self.more.setdefault(name, []).extend([value] * len(candidates))
        self.table = search._format_results(
            self.params, search.n_splits_, self.results, dict(self.more)
        )
