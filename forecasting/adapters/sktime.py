"""The echo state network forecaster as a forecaster of sktime."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .._forecaster import ESNForecaster

try:
    from sktime.forecasting.base import BaseForecaster
except ImportError as error:
    raise ImportError(
        "echocast.forecasting.adapters.sktime needs sktime: pip install 'echocast[sktime]'"
    ) from error

__all__ = ["SktimeESNForecaster"]


class SktimeESNForecaster(BaseForecaster):
    """`ESNForecaster` behind the interface of sktime.

    Use it wherever sktime takes a forecaster: pipelines, `evaluate`, tuning, ensembles,
    hierarchies. sktime makes one copy for each series of a panel.

    Parameters
    ----------
    n_units : int, default=300
        As in `echocast.forecasting.ESNForecaster`, like all other parameters.
    spectral_radius : float or None, default=0.5
    leak_rate : float or array of shape (n_units,), default=1.0
    input_scaling : float, default=0.3
    bias_scaling : float, default=1.0
    topology : str, matrix or callable, default="random"
    connectivity : int or float, default=10
    input_connectivity : int or float, default=1.0
    input_weights : str, matrix or callable, default="uniform"
    activation : str, default="tanh"
    noise : float, default=0.0
    alpha : float, array of floats or "auto", default="auto"
    fit_intercept : bool, default=True
    solver : {"auto", "cholesky", "qr", "svd"}, default="auto"
    include_input : bool, default=True
    washout : int or "auto", default="auto"
    dtype : {"float64", "float32"}, default="float64"
    lags : int, list of int or None, default=None
    strategy : {"recursive", "direct", "multi_output"}, default="recursive"
    horizon : int, optional
    transforms : "auto" or list, default="auto"
    calendar : "auto", list of str or None, default=None
    fourier : dict, optional
    season_length : int or "auto", default="auto"
    freq : str or offset, optional
        Frequency of dates that have none and are too few to infer it from. sktime hands on the
        index of the series, so it is rarely needed.
    interval : {"bootstrap", "conformal", "adaptive"}, default="bootstrap"
        Where the quantiles and intervals come from.
    n_boot : int, default=200
    random_state : None, int, RandomState, Generator or SeedSequence, default=None

    Attributes
    ----------
    forecaster_ : ESNForecaster
        The fitted forecaster.

    Notes
    -----
    ``update(y, update_params=True)`` lets the readout learn from the new rows by an exact update
    in O(new rows); with ``update_params=False`` only the state moves on. Rows up to the end of
    what was seen are passed over, so overlapping windows may be handed in. Forecasts within
    the training part are not offered (``capability:insample`` is false): the forecaster
    keeps no data to make them from. `X` must hold rows for every step up to the last one wanted.

    In sktime ``fh=3`` means the third step alone; ``ESNForecaster.predict(3)`` means three steps.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from echocast.forecasting.adapters.sktime import SktimeESNForecaster
    >>> y = load_airline()
    >>> forecaster = SktimeESNForecaster(random_state=0).fit(y)
    >>> forecaster.predict(fh=[1, 2, 3]).index.astype(str).tolist()
    ['1961-01', '1961-02', '1961-03']
    >>> forecaster.predict_interval(fh=[1], coverage=0.9).shape
    (1, 2)
    """

    _tags = {  # noqa: RUF012 - sktime reads tags from a dict
        "authors": "echocast developers",
        "maintainers": "echocast developers",
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:non_contiguous_X": False,
        "capability:update": True,
        "capability:categorical_in_X": False,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "requires-fh-in-fit": False,
        "X-y-must-have-same-index": True,
    }

    def __init__(
        self,
        n_units: int = 300,
        *,
        spectral_radius: float | None = 0.5,
        leak_rate: Any = 1.0,
        input_scaling: float = 0.3,
        bias_scaling: float = 1.0,
        topology: Any = "random",
        connectivity: int | float = 10,
        input_connectivity: int | float = 1.0,
        input_weights: Any = "uniform",
        activation: str = "tanh",
        noise: float = 0.0,
        alpha: Any = "auto",
        fit_intercept: bool = True,
        solver: str = "auto",
        include_input: bool = True,
        washout: int | str = "auto",
        dtype: str = "float64",
        lags: Any = None,
        strategy: str = "recursive",
        horizon: int | None = None,
        transforms: Any = "auto",
        calendar: Any = None,
        fourier: Any = None,
        season_length: int | str = "auto",
        freq: Any = None,
        interval: str = "bootstrap",
        n_boot: int = 200,
        random_state: Any = None,
    ):
        self.n_units = n_units
        self.spectral_radius = spectral_radius
        self.leak_rate = leak_rate
        self.input_scaling = input_scaling
        self.bias_scaling = bias_scaling
        self.topology = topology
        self.connectivity = connectivity
        self.input_connectivity = input_connectivity
        self.input_weights = input_weights
        self.activation = activation
        self.noise = noise
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.include_input = include_input
        self.washout = washout
        self.dtype = dtype
        self.lags = lags
        self.strategy = strategy
        self.horizon = horizon
        self.transforms = transforms
        self.calendar = calendar
        self.fourier = fourier
        self.season_length = season_length
        self.freq = freq
        self.interval = interval
        self.n_boot = n_boot
        self.random_state = random_state
        super().__init__()

    # Hooks of sktime's base class, which has checked and converted what comes in.

    def _fit(self, y, X, fh):
        self.forecaster_ = ESNForecaster(**self.get_params(deep=False)).fit(y, X)
        return self

    def _update(self, y, X=None, update_params=True):
        new = y.index > self.forecaster_.cutoff_
        if new.any():
            # sktime copies fitted forecasters deeply, so a change in place is nobody else's.
            self.forecaster_.update(y[new], X, refit=bool(update_params))
        return self

    def _predict(self, fh, X):
        return self.forecaster_.predict(self._steps(fh), X)

    def _predict_quantiles(self, fh, X, alpha):
        found = self.forecaster_.predict(self._steps(fh), X, quantiles=list(alpha))
        asked = found.loc[:, found.columns.get_level_values("field") != "forecast"]
        columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        return asked.set_axis(columns, axis=1)

    def _steps(self, fh):
        """Steps after the cutoff, counted from 1."""
        cutoff, seen = self.cutoff[0], self.forecaster_.cutoff_
        if cutoff != seen:  # sktime takes the last label it was handed, whatever came of it
            raise ValueError(
                f"The cutoff is {cutoff}, but the forecaster has seen the rows up to {seen}: the "
                "last update held old rows alone, or left a gap. Forecasts begin after what was "
                "seen; update with the rows that follow, or fit again."
            )
        return fh.to_relative(self.cutoff).to_numpy().astype(int)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict]:
        """Settings for sktime's own test suite.

        Parameters
        ----------
        parameter_set : str, default="default"
            There is one set only.

        Returns
        -------
        list of dict
        """
        small = {"n_units": 20, "n_boot": 20, "random_state": 0}
        return [
            small,
            {**small, "lags": 3, "transforms": ["standardize"], "alpha": 0.1, "n_units": 5},
            {**small, "strategy": "direct", "horizon": 3, "n_units": 10},
        ]
