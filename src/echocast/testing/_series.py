"""Series of a panel must not run into each other."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from echocast.exceptions import EchocastWarning

from ._forecasters import with_seeds
from ._reports import CausalReport, Ledger

__all__ = ["check_series_swap"]


def check_series_swap(
    forecaster: Any, y: Any, X: Any = None, *, horizon: int = 4, rtol: float = 1e-9
) -> CausalReport:
    """What is forecast for a series must not depend on which others stand beside it, or where.

    The order of the series is reversed, and they are given names in another order; for local
    models (``pooling="local"``) an unrelated series is appended as well, one is left out, and
    each is fitted by itself. Local models must give the same bits; those that learn from all
    series at once the same forecasts to `rtol`, whatever the order.

    Parameters
    ----------
    forecaster : forecaster
        Cloned for each fit.
    y : Series or DataFrame
        A panel: its index has two levels (series, time), and at least two series.
    X : DataFrame, optional
        Exogenous columns with the labels of y and of `horizon` further steps.
    horizon : int, default=4
        Steps forecast.
    rtol : float, default=1e-9
        Relative tolerance for models with ``pooling="global"``.

    Returns
    -------
    CausalReport

    Raises
    ------
    AssertionError
        If a forecast changes.

    Examples
    --------
    >>> import pandas as pd
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import NaiveForecaster
    >>> from echocast.testing import check_series_swap
    >>> y = load_sunspots()
    >>> panel = pd.concat({"a": y, "b": 2 * y}, names=["series", "time"])
    >>> print(check_series_swap(NaiveForecaster("drift"), panel))
    NaiveForecaster: 8 comparisons of 32 values
    """
    if not isinstance(getattr(y, "index", None), pd.MultiIndex):
        raise TypeError("`y` must be a panel, with a MultiIndex of (series, time).")
    ids = list(y.index.get_level_values(0).unique())
    if len(ids) < 2:
        raise ValueError("`y` must hold at least two series.")
    is_local = getattr(forecaster, "pooling", "local") == "local"
    ledger, seeded = Ledger(type(forecaster).__name__), with_seeds(forecaster)

    def forecasts(y, X) -> dict[Any, np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EchocastWarning)
            model = clone(seeded).fit(y, _from_same(X, y))
            out = model.predict(horizon, X)
        labels = out.index.get_level_values(0)
        return {i: np.asarray(out[labels == i], dtype=np.float64) for i in labels.unique()}

    def compare(what, found, names=None):
        for i, values in found.items():
            _compare(ledger, f"{what}, series {i!r}", clean[i], values, 0.0 if is_local else rtol)

    clean = forecasts(y, X)
    compare("series in reverse order", forecasts(_ordered(y, ids[::-1]), X))
    mapping = dict(zip(ids, ids[::-1]))
    back = forecasts(_renamed(y, mapping), _renamed(X, mapping))
    compare("series renamed", {mapping[i]: values for i, values in back.items()})
    if is_local:
        compare("one series left out", forecasts(_ordered(y, ids[1:]), X))
        for i in ids[:1]:
            compare("alone", forecasts(_ordered(y, [i]), X))
        if X is None:
            more = pd.concat([y, _unrelated(y, ids[0])])
            found = forecasts(more, None)
            found.pop(_STRANGER)
            compare("an unrelated series appended", found)
    return ledger.report()


_STRANGER = "an unrelated series"


def _compare(ledger, what, clean, changed, rtol):
    if rtol and clean.shape == changed.shape:
        near = np.isclose(changed, clean, rtol=rtol, atol=rtol * np.abs(clean).max())
        changed = np.where(near, clean, changed)
    frames = [pd.DataFrame(v.reshape(len(v), -1)) for v in (clean, changed)]
    try:
        ledger.compare(what, *frames)
    except AssertionError as error:
        raise AssertionError(str(error).replace("sees the future", "mixes series")) from None


def _ordered(y, ids):
    labels = y.index.get_level_values(0)
    return pd.concat([y[labels == i] for i in ids])


def _renamed(data, mapping):
    if data is None:
        return None
    arrays = [data.index.get_level_values(k) for k in range(data.index.nlevels)]
    arrays[0] = arrays[0].map(mapping)
    return data.set_axis(pd.MultiIndex.from_arrays(arrays, names=data.index.names))


def _from_same(X, y):
    """The rows of X that belong to series of y."""
    if X is None:
        return None
    wanted = y.index.get_level_values(0).unique()
    return X[X.index.get_level_values(0).isin(wanted)]


def _unrelated(y, like):
    """A series of another kind at the times of one of the others."""
    labels = y.index.get_level_values(0)
    one = _renamed(y[labels == like], {like: _STRANGER})
    noise = np.random.RandomState(0).randn(*one.shape)
    return one * 0 + 1e6 * (3 + noise)
