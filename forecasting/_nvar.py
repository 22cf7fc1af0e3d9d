"""Next-generation reservoir computing as a forecaster."""

from __future__ import annotations

from typing import Any

from echocast._checks import check_alpha, check_degree, check_flag, check_number, check_solver
from echocast.reservoir import NVARRegressor

from ._lagged import LaggedModel
from ._lagged_forecaster import LaggedForecaster
from ._step_models import RidgeSteps

__all__ = ["NVARForecaster"]


class NVARForecaster(LaggedForecaster):
    r"""Forecast with a polynomial of delayed values (next-generation reservoir computing).

    After the transforms, each variable is a ridge regression on the values of all variables at
    the `delays` last multiples of `stride` and on their products, and forecasts feed each
    prediction back as the next value. Nothing is random but the draws of intervals. Made for
    systems that follow an equation, observed with little noise; known columns enter the
    products as well.

    Parameters
    ----------
    delays : int, default=2
        Number of past values of each variable, the last one included.
    stride : int, default=1
        Steps between them.
    degree : int or sequence of int, default=2
        Numbers of factors of the products, as in `NVARRegressor`; 1 means none.
    alpha : float, array of floats or "auto", default="auto"
        Ridge penalty. From "auto" or an array the largest is taken whose leave-one-out error is
        within half a standard error of the least, and more where the forecast would run off;
        it then stays, in `update` too.
    increments : bool, default=True
        Learn the change from the last value, so that the penalty shrinks towards "nothing
        changes".
    fit_intercept : bool, default=True
    solver : {"auto", "cholesky", "qr", "svd"}, default="auto"
        As in `NVARRegressor`.
    transforms : "auto" or list, default="auto"
        Steps applied in order and undone on the forecast paths, as in `ESNForecaster`.
    calendar : "auto", list of str or None, default=None
        Features of the time stamps as known exogenous columns; see `list_calendar_features`.
    fourier : dict, optional
        Sine and cosine pairs as known exogenous columns: ``{period: order}``, periods in steps.
    past_columns : list, optional
        Columns of X that are known up to the cutoff alone; they are forecast along with y.
    season_length : int or "auto", default="auto"
        Steps of a season; "auto" takes the usual one of the index's frequency.
    freq : str or offset, optional
        Frequency of an index that has none and is too short to infer it from.
    missing : {"raise", "ffill", "interpolate", "mask"}, default="raise"
        What to do with NaN in y. "mask" puts the model's own prediction in the place of a missing
        value and learns nothing from rows that should predict one.
    interval : {"bootstrap", "conformal", "adaptive"}, default="bootstrap"
        As in `ESNForecaster`.
    n_boot : int, default=200
        Number of paths for "bootstrap".
    pooling : {"local"}, default="local"
        A panel has one model for each series.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the residual draws, which repeat from call to call.
    n_jobs : int, optional
        Parallel fits of the series of a panel, through joblib.

    Attributes
    ----------
    regressor_ : NVARRegressor
        The fitted readout. Its inputs are the delayed values and known columns of one step, so
        it has no delays of its own; with `increments` its outputs are changes.
    alpha_ : float
    lags_ : tuple of int
    transforms_ : list of Transform
    cutoff_, season_length_, n_steps_seen_
        As in `ESNForecaster`.

    References
    ----------
    .. [1] D. J. Gauthier, E. Bollt, A. Griffith and W. A. S. Barbosa, "Next generation
       reservoir computing", Nature Communications 12, 5564, 2021.

    Examples
    --------
    The Henon map is a polynomial of degree two in two variables.

    >>> import numpy as np
    >>> from echocast.datasets import henon
    >>> from echocast.forecasting import NVARForecaster
    >>> u = henon(320)
    >>> model = NVARForecaster(delays=1, alpha=1e-10, transforms=["standardize"]).fit(u[:300])
    >>> bool(np.abs(model.predict(10) - u[300:310]).max() < 1e-3)
    True
    """

    def __init__(
        self,
        delays: int = 2,
        stride: int = 1,
        degree: Any = 2,
        *,
        alpha: Any = "auto",
        increments: bool = True,
        fit_intercept: bool = True,
        solver: str = "auto",
        transforms: Any = "auto",
        calendar: Any = None,
        fourier: Any = None,
        past_columns: Any = None,
        season_length: int | str = "auto",
        freq: Any = None,
        missing: str = "raise",
        interval: str = "bootstrap",
        n_boot: int = 200,
        pooling: str = "local",
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.delays = delays
        self.stride = stride
        self.degree = degree
        self.alpha = alpha
        self.increments = increments
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.transforms = transforms
        self.calendar = calendar
        self.fourier = fourier
        self.past_columns = past_columns
        self.season_length = season_length
        self.freq = freq
        self.missing = missing
        self.interval = interval
        self.n_boot = n_boot
        self.pooling = pooling
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_params(self):
        super()._check_params()
        check_number("delays", self.delays, self._owner, low=1, integer=True)
        check_number("stride", self.stride, self._owner, low=1, integer=True)
        check_flag("increments", self.increments, self._owner)
        check_flag("fit_intercept", self.fit_intercept, self._owner)
        check_degree(self.degree, self._owner)
        check_alpha(self.alpha, self._owner)
        check_solver(self.solver, self._owner)

    def _model(self, values, exog, seed, known) -> LaggedModel:
        regressor = NVARRegressor(
            delays=1,
            degree=self.degree,
            alpha=self.alpha,
            increments=False,
            fit_intercept=self.fit_intercept,
            solver=self.solver,
        )
        added = values.shape[1] if self.increments else 0
        lags = tuple(1 + int(self.stride) * k for k in range(int(self.delays)))
        return self._lagged(
            values,
            exog,
            known=known,
            lags=lambda Z, E: lags,
            make=lambda: RidgeSteps(regressor, added),
        )

    @property
    def regressor_(self) -> NVARRegressor:
        """The fitted readout."""
        return self._fit_model.models[0].whole

    @property
    def alpha_(self) -> float:
        """The penalty used."""
        return self.regressor_.alpha_
