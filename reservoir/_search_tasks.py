"""Divide the candidates of a search into batches, transform the folds of pipelines, and run."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.pipeline import Pipeline

from ._search_batch import (
    COLUMN_PARAMS,
    READOUT_PARAMS,
    Candidate,
    can_batch,
    evaluate,
    value_key,
)
from ._search_folds import Fold
from ._search_scores import Outputs, Scoring, configured

__all__ = ["Group", "fallbacks", "group_candidates", "run_groups"]

_log = logging.getLogger("echocast")

_TASKS_PER_WORKER = 4
_ORDINARY = "ordinary fits"
_STOPPED = {"noise": 0, "feedback_scaling": 0, "time_chunks": None}  # unless they are this
_OUTER = "one pass for each value"


@dataclass(frozen=True)
class Group:
    """Candidates that share a reservoir.

    Parameters
    ----------
    outer : dict
        Parameters that are set before the regressor's own: those of a pipeline's other steps.
    candidates : list of Candidate
        With parameters of the regressor alone.
    """

    outer: dict
    candidates: list[Candidate]


def regressor_of(estimator: Any) -> tuple[str, Any]:
    """Prefix of the parameters of the estimator that has the reservoir, and itself."""
    if isinstance(estimator, Pipeline) and estimator.steps:
        name, last = estimator.steps[-1]
        return f"{name}__", last
    return "", estimator


def group_candidates(base: Any, params: list[dict]) -> list[Group]:
    """Put together what one pass over the data can evaluate, in order of first appearance."""
    prefix, _ = regressor_of(base)
    shared = set(COLUMN_PARAMS) | set(READOUT_PARAMS)
    groups: dict[tuple, Group] = {}
    for index, given in enumerate(params):
        own = {name[len(prefix) :]: v for name, v in given.items() if name.startswith(prefix)}
        outer = {name: v for name, v in given.items() if not name.startswith(prefix)}
        parted: list[tuple] = [("outer", name, value_key(outer[name])) for name in sorted(outer)]
        parted += [(name, value_key(own[name])) for name in sorted(own) if name not in shared]
        group = groups.setdefault(tuple(parted), Group(outer, []))
        group.candidates.append(Candidate(index, own))
    return list(groups.values())


def fallbacks(base: Any, params: list[dict], batched: set[int]) -> dict[str, str]:
    """Searched parameters that cost more than a column, and how they were searched."""
    names = list(dict.fromkeys(name for given in params for name in given))
    if not batched:
        return dict.fromkeys(names, _ORDINARY)
    prefix, _ = regressor_of(base)
    free = {*COLUMN_PARAMS, *READOUT_PARAMS, "random_state"}
    said = {}
    for name in names:
        own = name[len(prefix) :]
        values = [given[name] for given in params if name in given]
        if name.startswith(prefix) and own in free:
            if own == "solver" and any(value in ("dual", "lsqr") for value in values):
                said[name] = _ORDINARY
            continue
        stopped = own in _STOPPED and any(not _is(value, _STOPPED[own]) for value in values)
        said[name] = _ORDINARY if stopped else _OUTER
    return said


def _is(value, idle):
    return value is None if idle is None else np.ndim(value) == 0 and value == idle


def run_groups(
    base: Any,
    params: list[dict],
    folds: list[Fold],
    scoring: Scoring,
    *,
    max_bytes: int,
    n_jobs: int | None,
    verbose: int,
) -> tuple[list[dict], set[int]]:
    """Evaluate all candidates on all folds.

    Returns
    -------
    results : list of dict
        By candidate, then by fold.
    batched : set of int
        Candidates that the engine evaluated, on one fold at least.
    """
    n_workers = effective_n_jobs(n_jobs)
    tasks = []
    for group in group_candidates(base, params):
        tasks += _shares(group, 1 if n_workers == 1 else _TASKS_PER_WORKER * n_workers)
    found: dict[tuple[int, int], dict] = {}
    batched: set[int] = set()
    parallel = _parallel(n_jobs)
    calls = (delayed(_run_task)(base, task, params, folds, scoring, max_bytes) for task in tasks)
    for task, (results, done) in zip(tasks, parallel(calls)):
        found.update(results)
        batched |= done
        if verbose > 1:
            _log.info(
                "search: %d of %d fits, %d candidates more",
                len(found),
                len(params) * len(folds),
                len(task.candidates),
            )
    results = [found[i, k] for i in range(len(params)) for k in range(len(folds))]
    return results, batched


def _parallel(n_jobs):
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:  # the backend has results in one piece only
        return Parallel(n_jobs=n_jobs)


def _shares(group, n_shares):
    """Divide a group over workers, settings of the states kept together."""
    if n_shares == 1:
        return [group]
    settings: dict[tuple, list[Candidate]] = {}
    for candidate in group.candidates:
        given = candidate.params
        key = tuple((n, value_key(given[n])) for n in COLUMN_PARAMS if n in given)
        settings.setdefault(key, []).append(candidate)
    columns = list(settings.values())
    size = -(-len(columns) // n_shares)
    return [
        Group(group.outer, [c for column in columns[k : k + size] for c in column])
        for k in range(0, len(columns), size)
    ]


def _run_task(base, task, params, folds, scoring, max_bytes):
    found = {
        (index, k): result for index, k, result in _batched(base, task, folds, scoring, max_bytes)
    }
    batched = {index for index, _ in found}
    for candidate in task.candidates:
        for k, fold in enumerate(folds):
            if (candidate.index, k) not in found:
                result = scoring.ordinary(base, params[candidate.index], fold)
                found[candidate.index, k] = result
    return found, batched


def _batched(base, task, folds, scoring, max_bytes) -> Iterator[tuple[int, int, dict]]:
    try:
        estimator = configured(base, task.outer)
        _, regressor = regressor_of(estimator)
        usable = can_batch(configured(regressor, task.candidates[0].params))
    except Exception:  # an ordinary fit reports it
        return
    if not usable:
        return
    if regressor is estimator:
        yield from evaluate(regressor, task.candidates, dict(enumerate(folds)), scoring, max_bytes)
        return
    if estimator.get_params(deep=False).get("transform_input") is not None:
        return
    for k, fold in enumerate(folds):
        try:
            steps, inner = _transformed(estimator, fold)
            judge = _InPipeline(scoring, estimator, steps, fold, inner.X_train)
        except Exception:  # an ordinary fit reports it
            continue
        yield from evaluate(regressor, task.candidates, {k: inner}, judge, max_bytes)


def _transformed(pipeline, fold):
    """Fit the steps before the regressor to the training part, and transform both parts."""
    name = pipeline.steps[-1][0]
    if set(fold.fit_params) - {f"{name}__sample_weight"}:
        raise ValueError("only an ordinary fit knows where these parameters go")
    weights = {key.removeprefix(f"{name}__"): value for key, value in fold.fit_params.items()}
    inner = replace(fold, fit_params=weights).fresh()  # steps may work in place
    if len(pipeline.steps) == 1:
        return [], inner
    before = pipeline[:-1]
    X_train = before.fit_transform(inner.X_train, inner.y_train)
    X_test = before.transform(inner.X_test)
    return before.steps, replace(inner, X_train=X_train, X_test=X_test)


class _InPipeline:
    """Scoring that puts a fitted regressor back into its pipeline first."""

    def __init__(
        self, scoring: Scoring, pipeline: Any, steps: list, fold: Fold, X_train: Any
    ) -> None:
        self.scoring, self.pipeline, self.steps, self.fold = scoring, pipeline, steps, fold
        self.return_train_score = scoring.return_train_score
        self.as_fitted = True  # whether `predict` gets the rows of training as `fit` got them
        if self.return_train_score and steps:
            again = Pipeline(steps).transform(fold.fresh().X_train)
            self.as_fitted = np.array_equal(np.asarray(again), np.asarray(X_train))

    def scored(
        self, estimator: Any, fold: Fold, fit_time: float, outputs: Outputs | None = None
    ) -> dict:
        whole = copy.copy(self.pipeline)
        whole.steps = [*self.steps, (self.pipeline.steps[-1][0], estimator)]
        if outputs is not None and not self.as_fitted:
            outputs = {**outputs, "train": None}
        return self.scoring.scored(whole, self.fold, fit_time, outputs)
