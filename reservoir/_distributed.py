"""Fit a ridge readout to data in parts, on a Dask cluster or here, to the same bits."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from sklearn.base import clone

from echocast._checks import check_alpha, check_jobs, check_number, check_solver, stack_level
from echocast.exceptions import DistributedFitError, EchocastWarning

from ._base import _fitted_names
from ._classifier import ESNClassifier
from ._deep import DeepESNRegressor
from ._distributed_parts import (
    MissingReader,
    absorb,
    add,
    check_parts,
    merge,
    penalties,
    probe,
    solve,
    squares,
)
from ._distributed_run import connect, tree
from ._esn import ESNRegressor
from ._features import FitData
from ._ngrc import NVARRegressor
from ._sequences import SequenceLayout

__all__ = ["fit_distributed"]

_Estimator = TypeVar("_Estimator")
_OWNER = "fit_distributed"


def fit_distributed(
    estimator: _Estimator,
    parts: Iterable,
    client: Any = None,
    *,
    target: Any = None,
    series: str | None = None,
    n_jobs: int | None = None,
    patience: float = 60.0,
) -> _Estimator:
    r"""Fit an estimator to data that come in parts, each on whatever worker is free.

    Each part holds one or more whole sequences, which start afresh as those of a list do in
    `fit`. A worker reads a part, runs the reservoir over it and sums its states up in one QR
    factor; the factors are merged in pairs, in the order of the parts, and solved once. So the
    coefficients are the same to the last bit whatever worker took which part, in which order they
    finished and how many of them were lost on the way, on a cluster and here; and they are those
    of `fit` on all sequences as one list up to rounding.

    Parameters
    ----------
    estimator : ESNRegressor, DeepESNRegressor, NVARRegressor or ESNClassifier
        Fitted in place; of `ESNClassifier` the built-in readout, with ``features="last"``,
        "mean" or "last_mean", or a model space with ``n_components=None``.
    parts : list
        Each a tuple (X, y) in any form of `fit`; a frame; a function without arguments that
        returns such, called on the worker; or the path of a Parquet file, read on the worker (by
        pyarrow or fastparquet). Parts without a row are left out, with a warning. Of a Dask frame
        pass ``frame.to_delayed()``.
    client : distributed.Client or str, optional
        The cluster, or the address of its scheduler. None: the same tasks through joblib.
    target : str or list of str, optional
        Columns of frames that are y; all others, but for `series`, are X.
    series : str, optional
        Column of frames that tells series apart. A frame without it is one sequence.
    n_jobs : int, optional
        Parallel tasks without a client, by the active backend of joblib.
    patience : float, default=60.0
        Seconds to wait for a cluster that has no worker.

    Returns
    -------
    estimator
        Itself.

    Raises
    ------
    DistributedFitError
        If a part fails (its error is the cause), workers are lost more often than the scheduler
        allows, or the cluster is gone. The estimator is as it was.
    ImportError
        If there is a client but no Dask, or no reader of Parquet files.
    InvalidParameterError
        If a parameter of the estimator has a forbidden value.
    TypeError
        If the estimator has no mergeable fit, or `parts` or `client` is none.
    ValueError
        If a series is in two parts, some parts name series and others do not, or no part has a
        row.

    Warns
    -----
    EchocastWarning
        If parts were empty. What workers warn of is warned of here, with the parts.

    Notes
    -----
    ``solver="auto"`` is "qr", which needs one pass where `fit` may need two. Several penalties
    (``alpha="auto"`` or an array) are compared by leave-one-out errors as in `fit`, which reads
    all parts again. `noise` is drawn for each part by itself, and `time_chunks` has no part. The
    states in which sequences end are kept, one for each. Libraries run on one thread in a worker.
    The same bits take workers of one kind of processor with the same versions of libraries.

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal parallel and
       sequential QR and LU factorizations", SIAM J. Sci. Comput. 34(1), 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor, fit_distributed
    >>> u = np.sin(0.3 * np.arange(400.0))[:, None]
    >>> parts = [(u[i : i + 99], u[i + 1 : i + 100]) for i in (0, 100, 200, 300)]
    >>> model = fit_distributed(ESNRegressor(30, random_state=0), parts)
    >>> whole = ESNRegressor(30, random_state=0).fit(*map(list, zip(*parts)))
    >>> bool(np.allclose(model.predict(u), whole.predict(u)))
    True
    """
    _check_estimator(estimator)
    check_jobs(n_jobs, _OWNER)
    check_number("patience", patience, _OWNER, low=0, closed="neither")
    todo = check_parts(parts, target, series)
    blank: Any = clone(estimator)  # type: ignore[type-var]
    blank._check_params()
    settle = _classifier if isinstance(blank, ESNClassifier) else _regressor
    run = connect(client, n_jobs, float(patience))
    try:
        fitted = settle(blank, todo, run)
    except DistributedFitError as error:
        if isinstance(error.__cause__, MissingReader):
            raise ImportError(str(error.__cause__)) from error
        raise
    finally:
        run.close()
    learnt = {n: v for n, v in vars(fitted).items() if n not in vars(blank)}
    shadow = copy.copy(estimator)
    for name in _fitted_names(shadow):
        del shadow.__dict__[name]
    shadow.__dict__.update(learnt)
    estimator.__dict__ = shadow.__dict__
    return estimator


def _check_estimator(estimator):
    if not isinstance(estimator, (ESNRegressor, DeepESNRegressor, NVARRegressor, ESNClassifier)):
        raise TypeError(
            f"{_OWNER} fits ESNRegressor, DeepESNRegressor, NVARRegressor and ESNClassifier, "
            f"whose fit is a sum over rows. Found {estimator!r:.60}. Fit transformers beforehand "
            "and let functions return transformed parts; for independent fits set n_jobs under "
            "joblib.parallel_config(backend='dask')."
        )
    if getattr(estimator, "readout", None) is not None:
        raise TypeError(
            f"{_OWNER} needs the built-in readout of {type(estimator).__name__}, got readout="
            f"{estimator.readout!r}. Set readout=None, or fit that readout to `transform`ed "
            "parts."
        )
    if not isinstance(estimator, ESNClassifier):
        return
    if str(estimator.features).endswith("model_space") and estimator.n_components is not None:
        raise TypeError(
            f"features={estimator.features!r} rests on principal components of all states, which "
            "is no sum over parts. Set n_components=None, or features='last_mean'."
        )


# ------------------------------------------------------------------------- regressors


def _regressor(estimator, parts, run):
    template, early = _probed(estimator, parts, run, probe)
    params = template._readout_params()
    alpha = check_alpha(params["alpha"], params["owner"])
    if params["solver"] in ("dual", "lsqr"):
        raise ValueError(
            f"fit_distributed cannot solve by '{params['solver']}', which needs all rows in one "
            "place. Use solver='auto', 'cholesky', 'qr' or 'svd'."
        )
    check_solver(params["solver"], params["owner"])
    if hasattr(template, "_fit_noise"):
        seeds = template._fit_noise.randint(2**31 - 1, size=len(parts))
        parts = [replace(part, seed=int(seed)) for part, seed in zip(parts, seeds)]
    names = [part.name for part in parts]
    root = tree(run, merge, run.map(absorb, parts, names, template=template))
    summary = run.value(root)
    _check_series(summary.ids, summary.forms)
    basis = errors = None
    if not isinstance(alpha, float):
        basis = run.submit(penalties, root, alpha, params["fit_intercept"])
        found = run.map(squares, parts, names, template=template, basis=basis)
        errors, basis = run.value(tree(run, add, found)), run.value(basis)
    solved = solve(summary.factor, params, basis, errors)
    _say(early + summary.warnings + solved.warnings, summary.empty)
    template._publish(solved.fit)
    template._remember_chunks(None)
    data, states = _ends(summary)
    template._remember_all(data, states, np.zeros(len(states), dtype=int))
    return template


def _probed(estimator, parts, run, function):
    """A copy with weights drawn for the columns of the first part with rows."""
    for part in parts:
        [found] = run.map(function, [part], [part.name], estimator=estimator)
        found = run.value(found)
        if found.template is not None:
            return found.template, found.warnings
    raise ValueError(f"None of the {len(parts)} part(s) has a row to fit to.")


def _check_series(ids, forms=()):
    """Refuse series that are in two parts, or that some parts name and others do not."""
    labelled = [label is not None for _, label in ids]
    if any(labelled) and not (all(labelled) and set(forms) <= {"groups"}):
        part = next(part for part, label in ids if label is None)
        raise ValueError(
            f"Part {part} does not say which series it holds, but others do; give all parts "
            "series labels, or none."
        )
    seen: dict = {}
    for part, label in ids if any(labelled) else ():
        if seen.setdefault(label, part) != part:
            raise ValueError(
                f"Series {label!r} is in parts {seen[label]} and {part}; a part must hold whole "
                "series, as each starts afresh in its part. Divide the rows by series."
            )


def _ends(summary):
    """The digests of all parts as one, in the form that the parts have together, and states."""
    parts = [data for data, _ in summary.ends]
    states = np.concatenate([states for _, states in summary.ends])
    sizes = np.concatenate([np.diff(data.layout.indptr) for data in parts])
    stamps = tuple(stamp for data in parts for stamp in data.layout.stamps)
    ids: tuple = ()
    form = summary.forms[0] if len(summary.forms) == 1 else "list"
    if summary.forms[0] == "groups":
        form, ids = "groups", tuple(label for _, label in summary.ids)
    elif form == "list":
        stamps = (None,) * len(states)
    layout = SequenceLayout(form, np.array([0, *accumulate(sizes)]), ids, stamps=stamps)
    rows, targets = (np.concatenate([getattr(d, n) for d in parts]) for n in ("rows", "targets"))
    return FitData(rows, layout, targets, None), states


def _say(raised, empty):
    """Warn here of what workers have warned of, once with all parts, and of empty parts."""
    where = defaultdict(list)
    for part, category, text in raised:
        if part not in where[category, text]:
            where[category, text].append(part)
    for (category, text), found in where.items():
        if found != [None]:
            text = f"{text} (part {', '.join(map(str, found))})"
        warnings.warn(text, category, stacklevel=stack_level())
    if empty:
        parts = ", ".join(map(str, empty))
        warnings.warn(
            f"{len(empty)} part(s) have no rows and were left out: {parts}.",
            EchocastWarning,
            stacklevel=stack_level(),
        )


# ------------------------------------------------------------------------- classifier


def _classifier(estimator, parts, run):
    from . import _distributed_labels as labelled

    template, early = _probed(estimator, parts, run, labelled.probe_labels)
    names = [part.name for part in parts]
    encoded = run.map(labelled.encode, parts, names, template=template)
    found = run.value(run.map(labelled.about, encoded, names))
    full = [one for one in found if one.labels is not None]
    _check_series(tuple(pair for one in full for pair in one.ids))
    classes = np.unique(np.concatenate([one.labels for one in full]))
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs at least 2 classes, but y has one class only: "
            f"{classes.tolist()[0]!r}."
        )
    shared = {"classes": classes}
    factors = run.map(labelled.factor_of, encoded, names, **shared)
    root = tree(run, labelled.merge_factors, factors)
    alpha = check_alpha(estimator.alpha, type(estimator).__name__)
    alpha = np.array([alpha]) if isinstance(alpha, float) else alpha
    future = run.submit(labelled.penalties_of, root, alpha)
    errors = tree(run, add, run.map(labelled.squares_of, encoded, names, basis=future, **shared))
    errors, factor, basis = run.value(errors), run.value(root), run.value(future)
    params = {"alpha": alpha, "fit_intercept": True}
    solved = solve(factor, params, basis, errors)
    shared |= {"basis": future, "alpha": solved.fit.alpha}
    by_part = run.value(run.map(labelled.scores, encoded, names, **shared))
    scores = np.concatenate([part for part in by_part if part is not None])
    empty = tuple(one.number for one in found if one.labels is None)
    raised = early + tuple(w for one in found for w in one.warnings) + solved.warnings
    _say(raised, empty)
    labels = np.searchsorted(classes, np.concatenate([one.labels for one in full]))
    template.classes_, template.readout_ = classes, None
    template._n_features_out = factor.n_features
    template._publish_readout(solved.fit, scores, labels)
    return template
