"""The k-th order Markov assumption as an autoregression: what a recurrent model has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import qr

from echocast._checks import check_alpha, check_flag, check_number, check_solver, refuse
from echocast.reservoir import NVARRegressor

from ._automatic import choose_lags
from ._lagged_forecaster import LaggedForecaster
from ._step_models import RidgeSteps

__all__ = ["MarkovForecaster", "choose_order"]

_NEGLIGIBLE = 1e-10  # share of a column that earlier ones do not hold, below which it is unused
_ROUNDING = 1e-12


class MarkovForecaster(LaggedForecaster):
    r"""Forecast from the last k values alone: a ridge autoregression of order k.

    The Markov assumption of order k: given the k values before it, a value depends on nothing
    earlier. A network with a memory is worth its trouble if it beats this model, which has none.
    Each variable is a linear function of the last k values of all variables and of the known
    columns, and forecasts feed each prediction back as the next value.

    Parameters
    ----------
    order : int or "auto", default="auto"
        Number k of values seen. "auto" takes the order of the least AIC (corrected for small
        samples), by which two seasons are tried, or 12 without a season; at most 100, and at
        most a sixth of the rows divided by the number of variables.
    alpha : float, array of floats or "auto", default="auto"
        Ridge penalty. From "auto" or an array the largest is taken whose leave-one-out error is
        within half a standard error of the least, and more where the forecast would run off;
        it then stays, in `update` too.
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
    order_ : int
        The order used.
    coef_ : ndarray of shape (n_columns, order_ * n_columns + n_known)
        Coefficients between transformed values: for each lag from 1 on all variables, then the
        known columns.
    intercept_ : ndarray of shape (n_columns,)
    alpha_ : float
    lags_ : tuple of int
        1 to `order_`.
    transforms_ : list of Transform
    cutoff_, season_length_, n_steps_seen_
        As in `ESNForecaster`.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", 2016, chapter 10 (sequence
       modelling), for the Markov assumption that recurrent networks do without.
    .. [2] C. Hurvich, C.-L. Tsai, "Regression and time series model selection in small samples",
       Biometrika 76, 1989 (the corrected AIC).

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.forecasting import MarkovForecaster
    >>> y = np.cos(0.3 * np.arange(60))  # y[t] = 2 cos(0.3) y[t-1] - y[t-2]
    >>> model = MarkovForecaster(2, alpha=0.0, transforms=[]).fit(y)
    >>> model.coef_.round(6), round(float(2 * np.cos(0.3)), 6)
    (array([[ 1.910673, -1.      ]]), 1.910673)
    >>> bool(np.allclose(model.predict(20), np.cos(0.3 * np.arange(60, 80))))
    True
    """

    def __init__(
        self,
        order: int | str = "auto",
        *,
        alpha: Any = "auto",
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
        self.order = order
        self.alpha = alpha
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
        check_number("order", self.order, self._owner, low=1, integer=True, also=("auto",))
        check_flag("fit_intercept", self.fit_intercept, self._owner)
        check_alpha(self.alpha, self._owner)
        check_solver(self.solver, self._owner)

    def _model(self, values, exog, seed, known):
        regressor = NVARRegressor(
            delays=1,
            degree=1,
            alpha=self.alpha,
            increments=False,
            fit_intercept=self.fit_intercept,
            solver=self.solver,
        )
        return self._lagged(
            values, exog, known=known, lags=self._lags, make=lambda: RidgeSteps(regressor)
        )

    def _lags(self, Z, E):
        if self.order != "auto":
            return tuple(range(1, int(self.order) + 1))
        most = choose_lags(None, len(Z), Z.shape[1], self.season_length_, self._owner)[-1]
        return tuple(range(1, choose_order(Z, E, most) + 1))

    @property
    def order_(self) -> int:
        """The order used."""
        return self._fit_model.lags[-1]

    @property
    def coef_(self) -> np.ndarray:
        """Coefficients between transformed values."""
        return self._fit_model.models[0].whole.coef_

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts of the transformed values."""
        return self._fit_model.models[0].whole.intercept_

    @property
    def alpha_(self) -> float:
        """The penalty used."""
        return self._fit_model.models[0].whole.alpha_


def choose_order(Z: np.ndarray, E: np.ndarray, most: int) -> int:
    """The order of the least corrected AIC, summed over the variables.

    All orders predict the same rows, by least squares with an intercept. As their columns are
    the first ones of the longest's, one QR factor gives the errors of all. Orders that would
    leave fewer rows than coefficients are not tried.

    Parameters
    ----------
    Z : ndarray of shape (n_steps, n_columns)
        The series.
    E : ndarray of shape (n_steps, n_known)
        Known columns, which all orders have.
    most : int
        The largest order.

    Returns
    -------
    int
        At least 1.
    """
    if most < 1:
        refuse("order", "choose_order", "an int >= 1", most)
    n_steps, n_columns = Z.shape
    most = min(most, (n_steps - E.shape[1] - 4) // (n_columns + 1))
    if most < 2:
        return 1
    n_rows = n_steps - most
    lags = [Z[most - lag : n_steps - lag] for lag in range(1, most + 1)]
    table = _centred(np.concatenate([E[most:], *lags, Z[most:]], axis=1))
    n_table = table.shape[1] - n_columns
    R = qr(table, mode="r", check_finite=False)[0]
    norms = np.linalg.norm(table[:, :n_table], axis=0)
    used = np.abs(np.diag(R)[:n_table]) > _NEGLIGIBLE * norms
    explained = np.where(used[:, None], R[:n_table, n_table:] ** 2, 0.0).cumsum(axis=0)
    rest = R[:, n_table:]
    total = (rest**2).sum(axis=0)
    ends = E.shape[1] + n_columns * np.arange(1, most + 1)
    floor = np.maximum(np.finfo(float).eps * total, np.finfo(float).tiny)
    squares = np.maximum(total - explained[ends - 1], floor)
    n_params = ends + 2.0  # the intercept and the variance are parameters, too
    room = n_rows - n_params - 1
    criterion = n_rows * np.log(squares / n_rows) + (2 * n_params * n_rows / room)[:, None]
    return int(np.argmin(criterion.sum(axis=1))) + 1


def _centred(table):
    """Columns without their means; zero where nothing but rounding is left."""
    centred = table - table.mean(axis=0)
    varies = np.abs(centred).max(axis=0) > _ROUNDING * np.abs(table).max(axis=0)
    return np.where(varies, centred, 0.0)
