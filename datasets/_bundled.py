"""Small real series that ship with the package; sources and licences in ``data/README.md``."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from echocast._checks import check_option

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_co2", "load_el_nino", "load_sunspots"]


def _load(name: str, freq: str) -> pd.Series:
    """Read one file of the folder ``data`` as a float series with a regular index."""
    import pandas as pd

    with files("echocast.datasets").joinpath("data", f"{name}.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype={name: "float64"})
    index = pd.DatetimeIndex(pd.to_datetime(frame["time"], format="%Y-%m-%d"), freq=freq)
    return pd.Series(frame[name].to_numpy(), index=index.rename("time"), name=name)


def load_sunspots() -> pd.Series:
    """Yearly mean sunspot number, 1700 to 2008.

    The solar cycle takes 9 to 14 years (11 on average), so no fixed season fits it.

    Returns
    -------
    pandas.Series of length 309
        Named "sunspots", indexed by the first day of each year (freq "YS-JAN"); the sunspot
        number of the original scale, before the revision of 2015.

    Notes
    -----
    Source: National Geophysical Data Center, NOAA. Public domain.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> y = load_sunspots()
    >>> float(y.loc["1957-01-01"])
    190.2
    """
    return _load("sunspots", "YS")


def load_co2(*, freq: str = "weekly", missing: str = "keep") -> pd.Series:
    """Carbon dioxide in the air at Mauna Loa, Hawaii, March 1958 to December 2001.

    Parameters
    ----------
    freq : {"weekly", "monthly"}, default="weekly"
        "monthly" averages the weeks whose Saturday falls into the month.
    missing : {"keep", "interpolate"}, default="keep"
        What becomes of the 59 weeks (of 2284) or 5 months (of 526) without an observation: they
        stay NaN, or are filled on the straight line between their neighbours, after averaging.

    Returns
    -------
    pandas.Series
        Named "co2", in parts per million by volume of dry air, indexed by Saturdays (freq
        "W-SAT") or by the first day of each month (freq "MS").

    Raises
    ------
    InvalidParameterError
        If a parameter has a forbidden value.

    Notes
    -----
    Source: C. D. Keeling, T. P. Whorf, Carbon Dioxide Information Analysis Center, U.S.
    Department of Energy, 2004. Public domain.

    Examples
    --------
    >>> from echocast.datasets import load_co2
    >>> y = load_co2()
    >>> len(y), int(y.isna().sum())
    (2284, 59)
    >>> round(float(load_co2(freq="monthly").loc["2001-12-01"]), 2)
    371.02
    """
    check_option("freq", freq, "load_co2", {"weekly", "monthly"})
    check_option("missing", missing, "load_co2", {"keep", "interpolate"})
    series = _load("co2", "W-SAT")
    if freq == "monthly":
        series = series.resample("MS").mean()
    return series.interpolate() if missing == "interpolate" else series


def load_el_nino() -> pd.Series:
    """Monthly sea surface temperature of the eastern Pacific, January 1950 to December 2010.

    The region is Nino 1+2: 0 to 10 degrees south, 80 to 90 degrees west, off Peru and Ecuador.

    Returns
    -------
    pandas.Series of length 732
        Named "el_nino", in degrees Celsius, indexed by the first day of each month (freq "MS").

    Notes
    -----
    Source: ERSST.V3B, Climate Prediction Center, NOAA. Public domain.

    Examples
    --------
    >>> from echocast.datasets import load_el_nino
    >>> y = load_el_nino()
    >>> float(y.iloc[0]), y.index[-1].year
    (23.11, 2010)
    """
    return _load("el_nino", "MS")
