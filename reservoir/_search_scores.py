"""Score one candidate on one split with scikit-learn's treatment of errors; ordinary fits."""

from __future__ import annotations

import contextlib
import numbers
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from traceback import format_exc
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import r2_score

from ._search_folds import Fold, n_rows_of

__all__ = ["Judge", "Scoring", "StoredOutputs", "configured", "fill_in_errors", "report_failures"]


def configured(base: Any, params: dict) -> Any:
    """A clone of the estimator with clones of these parameters."""
    return clone(base).set_params(**clone(params, safe=False))


class Judge(Protocol):
    """What scores fitted estimators."""

    @property
    def return_train_score(self) -> bool: ...

    def scored(self, estimator: Any, fold: Fold, fit_time: float, *, train: Any = None) -> dict: ...


@dataclass(frozen=True)
class Scoring:
    """How candidates are scored.

    Parameters
    ----------
    scorer : callable (estimator, X, y) -> number or dict
    names : list of str or None
        Metrics of a scorer that is known to return a dict.
    error_score : "raise" or number
    return_train_score : bool
    """

    scorer: Any
    names: list[str] | None
    error_score: Any
    return_train_score: bool

    def ordinary(self, base: Any, params: dict, fold: Fold) -> dict:
        """Result of fitting to the training part and scoring, as scikit-learn does it."""
        estimator = configured(base, params)
        start = time.perf_counter()
        try:
            given = () if fold.y_train is None else (fold.y_train,)
            estimator.fit(fold.X_train, *given, **fold.fit_params)
        except Exception:
            if self.error_score == "raise":
                raise
            return self._failed(fold, time.perf_counter() - start, format_exc())
        return self.scored(estimator, fold, time.perf_counter() - start)

    def scored(self, estimator: Any, fold: Fold, fit_time: float, *, train: Any = None) -> dict:
        """Result of a fitted estimator; `train` stands in for it on the training rows."""
        start = time.perf_counter()
        result = {
            "test_scores": self._scores(estimator, fold.X_test, fold.y_test, fold.score_test),
            "n_test_samples": n_rows_of(fold.X_test),
            "fit_time": fit_time,
            "score_time": time.perf_counter() - start,
            "fit_error": None,
        }
        if self.return_train_score:
            judged = estimator if train is None else train
            scores = self._scores(judged, fold.X_train, fold.y_train, fold.score_train)
            result["train_scores"] = scores
        return result

    def _failed(self, fold, fit_time, error):
        scores = self.error_score
        if self.names is not None:
            scores = dict.fromkeys(self.names, self.error_score)
        result = {
            "test_scores": scores,
            "n_test_samples": n_rows_of(fold.X_test),
            "fit_time": fit_time,
            "score_time": 0.0,
            "fit_error": error,
        }
        if self.return_train_score:
            result["train_scores"] = scores.copy() if isinstance(scores, dict) else scores
        return result

    def _scores(self, estimator, X, y, params):
        given = () if y is None else (y,)
        try:
            scores = self.scorer(estimator, X, *given, **params)
        except Exception:
            if self.error_score == "raise" or self.names is not None:
                raise
            self._warn_failed(format_exc())
            return self.error_score
        if not isinstance(scores, dict):
            return _number(scores, "scoring", self.scorer)
        errors = [(name, value) for name, value in scores.items() if isinstance(value, str)]
        for name, error in errors:
            scores[name] = self.error_score
            self._warn_failed(error)
        return {name: _number(value, name, self.scorer) for name, value in scores.items()}

    def _warn_failed(self, error):
        warnings.warn(
            "Scoring failed. The score on this train-test partition for these parameters will "
            f"be set to {self.error_score}. Details: \n{error}",
            UserWarning,
            stacklevel=2,
        )


def _number(value, name, scorer):
    if hasattr(value, "item"):
        with contextlib.suppress(ValueError):
            value = value.item()
    if not isinstance(value, numbers.Number):
        raise ValueError(
            f"scoring must return a number, got {value} ({type(value)}) instead. "
            f"(scorer={name if name != 'scoring' else scorer})"
        )
    return value


def report_failures(results: list[dict], error_score: Any) -> None:
    """Warn of failed fits, or raise if all have failed, in scikit-learn's words.

    Raises
    ------
    ValueError
        If all fits failed.

    Warns
    -----
    FitFailedWarning
    """
    errors = Counter(r["fit_error"] for r in results if r["fit_error"] is not None)
    if not errors:
        return
    line = "-" * 80
    details = "\n".join(
        f"{line}\n{count} fits failed with the following error:\n{error}"
        for error, count in errors.items()
    )
    details = f"Below are more details about the failures:\n{details}"
    n_failed = sum(errors.values())
    if n_failed == len(results):
        raise ValueError(
            f"\nAll the {n_failed} fits failed.\n"
            "It is very likely that your model is misconfigured.\n"
            "You can try to debug the error by setting error_score='raise'.\n\n"
            f"{details}"
        )
    warnings.warn(
        f"\n{n_failed} fits failed out of a total of {len(results)}.\n"
        "The score on these train-test partitions for these parameters "
        f"will be set to {error_score}.\n"
        "If these failures are not expected, you can try to debug them by setting "
        f"error_score='raise'.\n\n{details}",
        FitFailedWarning,
        stacklevel=3,
    )


def fill_in_errors(results: list[dict], error_score: Any) -> None:
    """Give failed fits the metrics of a scoring function that turned out to return a dict."""
    scored = [r["test_scores"] for r in results if r["fit_error"] is None]
    if not scored or not isinstance(scored[0], dict):
        return
    for result in results:
        if result["fit_error"] is not None:
            for part in ("test_scores", "train_scores"):
                if part in result:
                    result[part] = dict.fromkeys(scored[0], error_score)


def _r2(y: np.ndarray, outputs: np.ndarray) -> float:
    """R^2 of checked arrays by the arithmetic of `r2_score`, whose checks take longer than it."""
    if y.dtype == np.float64 and len(y) > 1:
        targets, guesses = y.reshape(len(y), -1), outputs.reshape(len(y), -1)
        lost = ((targets - guesses) ** 2).sum(axis=0)
        varied = ((targets - np.average(targets, axis=0)) ** 2).sum(axis=0)
        if lost.all() and varied.all():  # the others have rules of their own
            return float(np.average(1 - lost / varied))
    return float(r2_score(y, outputs))


class StoredOutputs:
    """The methods `predict` and `score` of a fitted estimator, for one X known beforehand.

    Outputs of other data, or from a given state, come from the estimator itself.
    """

    def __init__(self, estimator: Any, X: Any, outputs: np.ndarray) -> None:
        self.estimator, self.X, self.outputs = estimator, X, outputs

    def attach(self, to: Any) -> Any:
        """Put the methods on an estimator, which is returned."""
        to.predict, to.score = self.predict, self.score
        return to

    def predict(self, X: Any, **params: Any) -> Any:
        if X is self.X and all(value is None for value in params.values()):
            return self.outputs.copy()
        return type(self.estimator).predict(self.estimator, X, **params)

    def score(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:
        plain = X is self.X and sample_weight is None
        if plain and np.shape(y) == self.outputs.shape and not params:
            return _r2(np.asarray(y, dtype=self.outputs.dtype), self.outputs)
        return type(self.estimator).score(self.estimator, X, y, sample_weight, **params)
