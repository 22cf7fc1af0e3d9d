"""One trial: run a call on bad input, and say in which of seven ways it ended."""

from __future__ import annotations

import re
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn.exceptions import DataConversionWarning, FitFailedWarning, UndefinedMetricWarning

import echocast
from echocast.exceptions import (
    DistributedFitError,
    EchocastWarning,
    ForecastDivergedError,
    TrainingDivergedError,
)

from ._bad_input import REFUSED, SAME, WARNED
from ._interrupts import roots_of
from ._same import difference, is_finite

__all__ = ["GOOD", "OUTCOMES", "Counts", "Trial", "run_trial"]

OUTCOMES = ("OK", "ERR", "WARN", "SILENT", "OBSCURE", "DIED", "HUNG")
GOOD = ("OK", "ERR", "WARN")
LONGEST = 20.0  # seconds; clean calls of the same size take milliseconds

_ERRORS = (
    ValueError,
    TypeError,
    ForecastDivergedError,
    TrainingDivergedError,
    DistributedFitError,
    ImportError,
)
_WARNINGS = (EchocastWarning, DataConversionWarning, FitFailedWarning, UndefinedMetricWarning)
_OURS = tuple(roots_of(echocast)) + (str(Path(echocast.__file__).parent),)
_VALIDATORS = re.compile(r"sklearn/(utils/(_?\w+)|base|model_selection/_search|metrics/_\w+)\.py$")
# scikit-learn's sentences say what is wrong with data without the name of the argument.
_SENTENCES = re.compile(
    r"Expected 2D array|Found array with|inconsistent numbers of samples|data not supported|"
    r"Expected sequence or array-like|at least 1 dimension|Parameter grid|"
    r"could not convert string|Sparse data|[Ff]eature names|requires y to be passed|"
    r"label type|minimum of \d+ is required|(Sequence|sequence|Tree) \d+|Sample weights|"
    r"sample weights|overflow float64 when squared|X has \d+ features|2-dimensional container"
)


@dataclass(frozen=True)
class Trial:
    """A call on bad input.

    `call` returns outputs; `clean` those that "same" means. `names` are the arguments that an
    error may speak of.
    """

    what: str
    call: Callable[[], Any]
    expect: str
    names: tuple[str, ...]
    clean: Callable[[], Any] | None = None


@dataclass
class Counts:
    """How many trials ended in which way, and what those that ended badly were."""

    seed: int = 0
    outcomes: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def n_trials(self) -> int:
        """All trials."""
        return sum(self.outcomes.values())

    @property
    def passed(self) -> bool:
        """Whether no trial ended badly."""
        return not any(self.outcomes[name] for name in OUTCOMES if name not in GOOD)

    def __str__(self) -> str:
        told = ", ".join(f"{self.outcomes[name]} {name}" for name in OUTCOMES)
        return f"{self.n_trials:,} bad inputs (seed {self.seed}): {told}"

    def add(self, trial: Trial) -> str:
        """Run a trial and count it."""
        outcome, words = run_trial(trial)
        self.outcomes[outcome] += 1
        if outcome not in GOOD:
            self.failures.append(f"{outcome} {trial.what}: {words}")
        return outcome


def run_trial(trial: Trial) -> tuple[str, str]:
    """How a trial ended, and what it said."""
    begun = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = trial.call()
        except Exception as error:
            return _of_error(error, trial.names)
        except (SystemExit, GeneratorExit) as error:
            return "DIED", repr(error)
    if time.monotonic() - begun > LONGEST:
        return "HUNG", f"took {time.monotonic() - begun:.0f} s"
    documented = [w for w in caught if issubclass(w.category, _WARNINGS)]
    if documented:
        if trial.expect == REFUSED:
            return "SILENT", f"is refused with a warning alone: {documented[0].message}"
        return "WARN", str(documented[0].message)
    foreign = [w for w in caught if issubclass(w.category, RuntimeWarning)]
    if trial.expect in (REFUSED, WARNED):
        return "SILENT", f"gave {str(result)[:60]!r} without a word"
    if foreign:
        return "OBSCURE", f"a warning of NumPy's: {foreign[0].message}"
    if not is_finite(result):
        return "SILENT", "gave what is not finite"
    if trial.expect == SAME and trial.clean is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            differs = difference(trial.clean(), result, rounding=1e-5)
        if differs:
            return "SILENT", f"gave something else: {differs}"
    return "OK", ""


def _of_error(error, names):
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    words = f"{type(error).__name__}: {error}"
    if not isinstance(error, _ERRORS):
        return "OBSCURE", f"{words} (no documented class; raised in {Path(last).name})"
    if not (last.startswith(_OURS) or _VALIDATORS.search(Path(last).as_posix())):
        return "OBSCURE", f"{words} (raised in {Path(last).name})"
    named = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)) for name in names)
    if not (named or _SENTENCES.search(str(error))):
        return "OBSCURE", f"{words} (names none of {', '.join(names)})"
    return "ERR", words
