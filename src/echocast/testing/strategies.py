"""Strategies of hypothesis for series, panels and hostile indexes, for tests of your own.

They need hypothesis: ``pip install hypothesis``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._bad_input import REFUSED
from ._bad_inputs_series import INDEXES

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["hostile_index", "panels", "series"]

# Frequencies of the indexes that `series` draws, the kinds that users have; None is numbers.
_FREQUENCIES = ("D", "h", "15min", "B", "W-SUN", "MS", "ME", "QS", "YS", None)


def _hypothesis() -> Any:
    try:
        from hypothesis import strategies
    except ImportError:
        raise ImportError(
            "echocast.testing.strategies needs hypothesis: pip install hypothesis."
        ) from None
    return strategies


def series(
    *, min_size: int = 20, max_size: int = 80, zones: bool = True
) -> SearchStrategy[pd.Series]:
    """Series as forecasters take them: noisy waves with trends on all sorts of regular indexes.

    Values are finite and vary; their size lies between 1e-3 and 1e6, and so may their distance
    from zero. The index has a frequency, or is a range.

    Parameters
    ----------
    min_size, max_size : int, default=20 and 80
        Numbers of rows.
    zones : bool, default=True
        Whether stamps may have a time zone.

    Returns
    -------
    SearchStrategy of Series

    Raises
    ------
    ImportError
        If hypothesis is not installed.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from echocast.forecasting import NaiveForecaster
    >>> from echocast.testing.strategies import series
    >>> @settings(max_examples=10, deadline=None, database=None)
    ... @given(y=series())
    ... def test_a_forecast_goes_on_where_the_series_ends(y):
    ...     forecast = NaiveForecaster("drift", season_length=1).fit(y).predict(3)
    ...     assert forecast.index[0] > y.index[-1] and forecast.notna().all()
    >>> test_a_forecast_goes_on_where_the_series_ends()
    """
    st = _hypothesis()

    @st.composite
    def draw_series(draw):
        n = draw(st.integers(min_size, max_size))
        values = _wave(draw(st.integers(0, 2**16)), n)
        scale, level = 10.0 ** draw(st.integers(-3, 6)), 10.0 ** draw(st.integers(-3, 6))
        name = draw(st.sampled_from([None, "y", "sales", 7]))
        return pd.Series(scale * values + level, draw_index(draw, n), name=name)

    def draw_index(draw, n):
        freq = draw(st.sampled_from(_FREQUENCIES))
        if freq is None:
            start, step = draw(st.integers(-50, 50)), draw(st.integers(1, 4))
            return pd.RangeIndex(start, start + n * step, step)
        start = pd.Timestamp("1999-01-01") + pd.Timedelta(days=draw(st.integers(0, 9000)))
        index = pd.date_range(start, periods=n, freq=freq)
        kind = draw(st.sampled_from(["dates", "dates", "periods", "zone" if zones else "dates"]))
        if kind == "periods" and freq in ("D", "h"):
            return index.to_period(freq)
        if kind == "zone":
            zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
            return pd.date_range(start, periods=n, freq=freq, tz=zone)
        return index

    return draw_series()


def panels(
    *, max_series: int = 4, min_size: int = 20, max_size: int = 50
) -> SearchStrategy[pd.Series]:
    """Panels as forecasters take them: daily series of different lengths under their labels.

    Parameters
    ----------
    max_series : int, default=4
        At most so many series, at least one.
    min_size, max_size : int, default=20 and 50
        Numbers of rows of a series.

    Returns
    -------
    SearchStrategy of Series
        With a (series, time) MultiIndex; series begin on different days.

    Raises
    ------
    ImportError
        If hypothesis is not installed.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from echocast.forecasting import NaiveForecaster
    >>> from echocast.testing.strategies import panels
    >>> @settings(max_examples=10, deadline=None, database=None)
    ... @given(panel=panels())
    ... def test_each_series_is_forecast(panel):
    ...     forecast = NaiveForecaster().fit(panel).predict(2)
    ...     assert len(forecast) == 2 * panel.index.get_level_values(0).nunique()
    >>> test_each_series_is_forecast()
    """
    st = _hypothesis()

    @st.composite
    def draw_panel(draw):
        labels = st.one_of(st.sampled_from(["a", "b", "shop 1", ""]), st.integers(0, 9).map(str))
        names = draw(st.lists(labels, min_size=1, max_size=max_series, unique=True))
        parts = {}
        for name in names:
            start = pd.Timestamp("2024-01-01") + pd.Timedelta(days=draw(st.integers(0, 20)))
            n = draw(st.integers(min_size, max_size))
            index = pd.date_range(start, periods=n, freq="D")
            parts[name] = pd.Series(_wave(draw(st.integers(0, 2**16)), n), index)
        return pd.concat(parts, names=["series", "time"]).rename("y")

    return draw_panel()


def hostile_index(*, size: int = 40) -> SearchStrategy[tuple[str, pd.Series]]:
    """Series whose index must be refused, each with a word on what is wrong with it.

    Parameters
    ----------
    size : int, default=40
        Rows of the series that the index is taken from; at least 16.

    Returns
    -------
    SearchStrategy of (str, Series)

    Raises
    ------
    ImportError
        If hypothesis is not installed.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from echocast.forecasting import NaiveForecaster
    >>> from echocast.testing.strategies import hostile_index
    >>> @settings(max_examples=20, deadline=None, database=None)
    ... @given(bad=hostile_index())
    ... def test_a_hostile_index_is_refused(bad):
    ...     fault, y = bad
    ...     try:
    ...         NaiveForecaster().fit(y)
    ...     except (TypeError, ValueError) as error:
    ...         assert "`y`" in str(error), fault
    ...     else:
    ...         raise AssertionError(fault)
    >>> test_a_hostile_index_is_refused()
    """
    st = _hypothesis()
    faults = [entry for entry in INDEXES if entry.expect == REFUSED]

    @st.composite
    def draw_bad(draw):
        entry = draw(st.sampled_from(faults))
        start = pd.Timestamp("2000-01-01") + pd.Timedelta(days=draw(st.integers(0, 9000)))
        index = pd.date_range(start, periods=size, freq="D")
        return entry.name, entry.make(pd.Series(_wave(draw(st.integers(0, 2**16)), size), index))

    return draw_bad()


def _wave(seed, n):
    """A wave with a trend and noise, of size one."""
    rng = np.random.RandomState(seed)
    t = np.arange(n)
    return np.sin(rng.uniform(0.1, 3) * t) + rng.uniform(-0.05, 0.05) * t + 0.3 * rng.randn(n)
