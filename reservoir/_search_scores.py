"""Score one candidate on one split with scikit-learn's treatment of errors; ordinary fits."""

from __future__ import annotations

import contextlib
import copy
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
from sklearn.metrics import get_scorer

from ._search_folds import Fold, n_rows_of
from ._sequence_tools import sequence_scorer

__all__ = ["Judge", "Outputs", "Scoring", "configured", "fill_in_errors", "report_failures"]

# Outputs on the training and on the test rows; None where `predict` refuses them.
Outputs = dict[str, np.ndarray | None]
# Scorers that ask an estimator for its outputs and leave it as it is.
_READERS = (type(get_scorer("r2")), type(sequence_scorer()))


def configured(base: Any, params: dict) -> Any:
    """A clone of the estimator with clones of these parameters."""
    return clone(base).set_params(**clone(params, safe=False))


class Judge(Protocol):
    """What scores fitted estimators."""

    @property
    def return_train_score(self) -> bool: ...

    def scored(
        self, estimator: Any, fold: Fold, fit_time: float, outputs: Outputs | None = None
    ) -> dict: ...


@dataclass(frozen=True)
class Scoring:
    """How candidates are scored.

    Parameters
    ----------
    scorer : callable (estimator, X, y) -> number or dict
    given : object
        `scoring` of the search: None, a name, a function, or several of them.
    error_score : "raise" or number
    return_train_score : bool
    """

    scorer: Any
    given: Any
    error_score: Any
    return_train_score: bool

    @property
    def names(self) -> list[str] | None:
        """Metrics of a scorer that is known to return a dict."""
        return list(self.given) if isinstance(self.given, (list, tuple, dict)) else None

    @property
    def only_reads(self) -> bool:
        """Whether the scorers ask for outputs alone; a function may do what it likes."""
        if isinstance(self.given, dict):
            scorers = list(self.given.values())
        else:
            scorers = self.given if self.names else [self.given]
        return all(one is None or isinstance(one, (str, *_READERS)) for one in scorers)

    def ordinary(self, base: Any, params: dict, fold: Fold) -> dict:
        """Result of fitting to the training part and scoring, as scikit-learn does it."""
        estimator, fold = configured(base, params), fold.fresh()
        start = time.perf_counter()
        try:
            given = () if fold.y_train is None else (fold.y_train,)
            estimator.fit(fold.X_train, *given, **fold.fit_params)
        except Exception:
            if self.error_score == "raise":
                raise
            return self._failed(fold, time.perf_counter() - start, format_exc())
        return self.scored(estimator, fold, time.perf_counter() - start)

    def scored(
        self, estimator: Any, fold: Fold, fit_time: float, outputs: Outputs | None = None
    ) -> dict:
        """Result of a fitted estimator, whose `outputs` may be known beforehand."""
        start = time.perf_counter()
        if outputs is None:
            test = train = estimator
        elif self.only_reads:
            fold = fold.fresh()
            test = _with_outputs(estimator, fold.X_test, outputs["test"])
            train = _with_outputs(estimator, fold.X_train, outputs.get("train"))
        else:  # it may write to what other candidates share
            fold = fold.fresh()
            test = train = copy.deepcopy(estimator)
        result = {
            "test_scores": self._scores(test, fold.X_test, fold.y_test, fold.score_test),
            "n_test_samples": n_rows_of(fold.X_test),
            "fit_time": fit_time,
            "score_time": time.perf_counter() - start,
            "fit_error": None,
        }
        if self.return_train_score:
            scores = self._scores(train, fold.X_train, fold.y_train, fold.score_train)
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
        for name, error in errors if self.names is not None else ():
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


def _r2(y: np.ndarray, outputs: np.ndarray) -> float | None:
    """R^2 by the arithmetic of `r2_score`, whose checks take longer; None where it has rules."""
    if y.dtype != np.float64 or len(y) < 2:
        return None
    targets, guesses = y.reshape(len(y), -1), outputs.reshape(len(y), -1)
    lost = ((targets - guesses) ** 2).sum(axis=0)
    varied = ((targets - np.average(targets, axis=0)) ** 2).sum(axis=0)
    if not (lost.all() and varied.all() and np.isfinite(varied).all()):
        return None
    return float(np.average(1 - lost / varied))


def _with_outputs(estimator: Any, X: Any, outputs: np.ndarray | None) -> Any:
    """A copy of a fitted estimator that knows its outputs for this X, if there are any."""
    if outputs is None:
        return estimator
    copied = copy.copy(estimator)
    stored = _StoredOutputs(estimator, X, outputs)
    copied.predict, copied.score = stored.predict, stored.score
    return copied


class _StoredOutputs:
    """The methods `predict` and `score` of a fitted estimator, for one X known beforehand.

    Outputs of other data, or from a given state, come from the estimator itself.
    """

    def __init__(self, estimator: Any, X: Any, outputs: np.ndarray) -> None:
        self.estimator, self.X, self.outputs = estimator, X, outputs

    def predict(self, X: Any, **params: Any) -> Any:
        if X is self.X and all(value is None for value in params.values()):
            return self.outputs.copy()
        return type(self.estimator).predict(self.estimator, X, **params)

    def score(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:
        estimator = self.estimator
        if X is self.X and not params:
            if sample_weight is None and np.shape(y) == self.outputs.shape:
                value = _r2(np.asarray(y, dtype=self.outputs.dtype), self.outputs)
                if value is not None:
                    return value
            estimator = copy.copy(estimator)
            estimator._predict_rows = self._rows  # y and weights are checked as they always are
        return type(estimator).score(estimator, X, y, sample_weight, **params)

    def _rows(self, *_given: Any) -> np.ndarray:
        return self.outputs.reshape(len(self.outputs), -1)
