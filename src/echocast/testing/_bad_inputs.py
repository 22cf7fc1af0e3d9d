"""The catalogue of bad inputs, and a run of all entry points over it."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from ._bad_input import BadInput
from ._bad_inputs_arrays import ARRAYS, LABELS, TARGETS, TEXTS, WEIGHTS
from ._bad_inputs_exog import EXOGENOUS, HORIZONS
from ._bad_inputs_series import INDEXES, VALUES
from ._trial import Counts, Trial

__all__ = ["bad_inputs", "run_bad_inputs"]

_ALL = (*ARRAYS, *TARGETS, *LABELS, *WEIGHTS, *TEXTS, *VALUES, *INDEXES, *EXOGENOUS, *HORIZONS)
KINDS = tuple(dict.fromkeys(entry.kind for entry in _ALL))


def bad_inputs(kind: str | None = None) -> tuple[BadInput, ...]:
    """Inputs that are bad, or look it, with what must come of them.

    Parameters
    ----------
    kind : str, optional
        "array" (of features), "target", "labels", "weights", "text", "values" (of a series),
        "index" (of one), "exogenous" or "horizon"; all by default.

    Returns
    -------
    tuple of BadInput
        Each has a `name`, the `argument` that it goes to, `make`, which makes it from a good
        input, and `expect`.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    Your own estimator, held to those of arrays that must be refused:

    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from echocast.testing import bad_inputs
    >>> X, y = np.random.RandomState(0).randn(24, 4), np.arange(24.0)
    >>> def outcome(bad):
    ...     try:
    ...         Ridge().fit(bad.make(X), y)
    ...     except (ValueError, TypeError) as error:
    ...         return type(error).__name__
    ...     return "taken without a word"
    >>> {bad.name: outcome(bad) for bad in bad_inputs("array") if bad.name in ("complex", "dates")}
    {'complex': 'ValueError', 'dates': 'taken without a word'}
    """
    if kind is None:
        return _ALL
    if kind not in KINDS:
        raise ValueError(f"`kind` must be among {list(KINDS)}, got {kind!r}.")
    return tuple(entry for entry in _ALL if entry.kind == kind)


def run_bad_inputs(seed: int = 0, budget: int | None = None) -> Counts:
    """Try the catalogue, and every parameter with values it may not have, on all entry points.

    A trial ends in one of seven ways: "OK" (the documented result), "ERR" (an error of a
    documented class that names the argument), "WARN" (a documented warning), "SILENT" (a result
    where there must be none, another one than documented, or one that is not finite), "OBSCURE"
    (an error from below the package or one that does not name the argument, or a warning of
    NumPy's), "DIED" (an error that is none, such as SystemExit) and "HUNG" (longer than 20
    seconds). The last four must not occur.

    Parameters
    ----------
    seed : int, default=0
        Draws the trials, if `budget` is given.
    budget : int, optional
        Number of trials; all, some 25,000, by default.

    Returns
    -------
    Counts
        With `outcomes` (a Counter), `failures` (sentences), `n_trials` and `passed`.

    Examples
    --------
    >>> from echocast.testing import run_bad_inputs
    >>> counts = run_bad_inputs(seed=1, budget=40)
    >>> counts.n_trials, counts.passed, counts.failures
    (40, True, [])
    """
    trials = _trials()
    if budget is not None and budget < len(trials):
        drawn = np.random.RandomState(seed).choice(len(trials), budget, replace=False)
        trials = [trials[k] for k in sorted(drawn)]
    counts = Counts(seed)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for trial in trials:
            counts.add(trial)
    return counts


def _trials() -> list[Trial]:
    """All of them; the modules make models, and are imported when they are asked for."""
    from ._trials_estimators import estimator_trials
    from ._trials_forecasters import forecaster_trials
    from ._trials_frames import long_trials, part_trials
    from ._trials_parameters import parameter_trials

    return [
        *estimator_trials(),
        *forecaster_trials(),
        *long_trials(),
        *part_trials(),
        *parameter_trials(),
    ]
