"""The echo state network forecaster: pandas in, pandas out."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from echocast._checks import (
    check_alpha,
    check_flag,
    check_generator,
    check_number,
    check_option,
    check_solver,
    refuse,
)

from ._adaptive import begin_scores
from ._base import BaseForecaster
from ._closed_loop import bands, completed, warn_if_bounded
from ._direct import (
    advance_direct,
    calibrate_direct,
    calibrate_new,
    learn_direct,
    predict_direct,
)
from ._intervals import ConformalScores, conformal_origins, draw_innovations
from ._mask import advance_masked, causal, complete, leading_rows, learn_masked
from ._pool_errors import PoolScores
from ._recursive import RecursiveNetwork
from ._recursive_origins import forecast_origins
from ._recursive_pool import advance_members, learn_members, measure_new, network_for

__all__ = ["ESNForecaster"]

_MOST_ERRORS = 1000


class ESNForecaster(BaseForecaster):
    r"""Forecast with an echo state network that runs on its own predictions.

    The series is made stationary (differences, seasonal means, standardising), an
    `ESNRegressor` learns the next value from the values before it, and forecasts feed each
    prediction back as the next input. All of it is fitted to what precedes the cutoff.

    Parameters
    ----------
    n_units : int, default=300
        Most units of the reservoir. No more than a quarter of the training rows are used, or
        an eighth of fewer than 200 (but at least five), unless `topology` is a matrix. See
        `n_units_`.
    spectral_radius : float or None, default=0.5
        As in `ESNRegressor`, like all parameters down to `solver`. The defaults were measured
        on development origins of some 120 public series of all frequencies.
    leak_rate : float or array of shape (n_units,), default=1.0
    input_scaling : float, default=0.3
        Weight of the newest values and the exogenous columns, all standardised, in the drive
        of the reservoir. Older lags reach the readout alone.
    bias_scaling : float, default=1.0
    topology : str, matrix or callable, default="random"
    connectivity : int or float, default=10
    input_connectivity : int or float, default=1.0
    input_weights : str, matrix or callable, default="uniform"
    activation : str, default="tanh"
    noise : float, default=0.0
    alpha : float, array of floats or "auto", default="auto"
        Ridge penalty. From "auto" or an array the largest is taken whose leave-one-out error
        is within half a standard error of the least; it then stays, in `update` too.
    fit_intercept : bool, default=True
    solver : {"auto", "cholesky", "qr", "svd"}, default="auto"
    include_input : bool, default=True
        Whether the readout sees the lags and exogenous columns beside the states.
    washout : int or "auto", default="auto"
        Rows at the start that the readout does not learn from; "auto" is ``min(100, n // 10)``.
        Rows without complete lags are left out in any case.
    dtype : {"float64", "float32"}, default="float64"
    lags : int, list of int or None, default=None
        Steps back that the readout sees: an int p means 1 to p; 1 is always among them. None
        takes two seasons, or 12 without a season, at most 100 and at most a sixth of the rows
        divided by the number of variables.
    strategy : {"recursive", "direct", "multi_output"}, default="recursive"
        "recursive" feeds each prediction back. The others have a readout of their own for each
        step ahead, from one pass of a reservoir whose inputs have no unit, and forecast what
        comes relative to the last value (or to the value one season back, where a strong season
        repeats more than ten times): "direct" with a penalty for each step, "multi_output" with
        one for all, chosen out of fold. `alpha` is then relative to the number of rows, and
        `noise`, `solver`, `fit_intercept` and `washout` have no part.
    horizon : int, optional
        Steps that have a readout of their own in these strategies; later ones continue from the
        forecasts. By default two seasons or 12, at most 100 and a third of the rows.
    pooling : {"local", "global"}, default="local"
        For a panel: a model for each series, or one for all, in which only transforms belong to
        a series. The direct strategies split large panels into groups of series that change
        alike, with readouts of their own.
    transforms : "auto" or list, default="auto"
        Steps applied in order and undone on the forecast paths: names from `list_transforms`
        or objects such as ``SeasonalDifference(11)``. For the direct strategies "auto" takes
        logarithms of columns well above zero, or that grow evenly by a factor above 10, and
        seasonal means off, no differences; else it takes logarithms of positive columns whose
        seasons grow with the level or that grow so, after which point forecasts are medians
        (see `Log`); takes seasonal means off where the seasonal
        strength exceeds 0.3, but differences over the season where it exceeds 0.64 and the
        rest wanders; differences once more what then wanders (lag-one autocorrelation above
        ``1 - 2 / sqrt(n)`` and no unit root rejected by a Dickey-Fuller test), or climbs
        steadily; and standardises. Each column of a system is judged by itself.
    calendar : "auto", list of str or None, default=None
        Features of the time stamps as known exogenous columns; see `list_calendar_features`.
    fourier : dict, optional
        Sine and cosine pairs as known exogenous columns: ``{period: order}``, periods in steps.
    past_columns : list, optional
        Columns of X that are known up to the cutoff alone: forecasts are not given them. They
        are forecast along with y, as further variables of one system.
    season_length : int or "auto", default="auto"
        Steps of a season. "auto" takes the usual one of the index's frequency (7 for days, 12
        for months, 24 for hours, 52 for weeks), and 1 for years, integers and arrays.
    freq : str or offset, optional
        Frequency of an index that has none and is too short to infer it from.
    missing : {"raise", "ffill", "interpolate", "mask"}, default="raise"
        What to do with NaN in y. Filling uses rows up to the cutoff alone; NaN at the end are
        filled forwards. "mask" puts the network's own prediction in the place of a missing value
        and leaves the row out of the readout (a row of a system if any variable is missing);
        rows before the first value are left out altogether.
    interval : {"bootstrap", "conformal", "adaptive"}, default="bootstrap"
        "bootstrap" simulates paths with leave-one-out residuals drawn at each step and takes
        quantiles of the paths after undoing the transforms. "conformal" takes the ranks of
        the errors made from rolling origins in the last third of the rows by a model that was
        fitted to the rows before it; central intervals are then symmetric (before a logarithm
        or power at the start of the transforms is undone). "adaptive" begins with the same and
        goes on learning in `update`: intervals that were missed too often become wider,
        intervals that were hit too often narrower (adaptive conformal inference); for the
        recursive strategy.
    n_boot : int, default=200
        Number of paths for "bootstrap".
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the reservoir's weights and of the residual draws, which repeat from call to
        call.
    n_jobs : int, optional
        Parallel fits of the series of a panel, through joblib.

    Attributes
    ----------
    cutoff_ : label
        The last label seen; forecasts begin one step after it.
    season_length_, n_steps_seen_ : int
    n_units_ : int
        Units used.
    lags_ : tuple of int
    transforms_ : list of Transform
        The fitted steps.
    regressor_ : ESNRegressor
        The fitted network.

    Notes
    -----
    A path is held within one span of the rows seen (after transforms) beyond their extremes,
    so that no forecast explodes; a warning says when a point forecast gets there. The direct
    strategies hold points, with the same warning, at five usual changes a step from where they
    start (last value or season), or at five times the pace of a steady trend.
    The model keeps weights, the last state, a few last rows and at most 1,000 residuals, but
    not the series.

    References
    ----------
    .. [1] H. Jaeger, H. Haas, "Harnessing nonlinearity: predicting chaotic systems and saving
       energy in wireless communication", Science 304, 2004.
    .. [2] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005
       (conformal prediction).
    .. [3] I. Gibbs, E. Candes, "Adaptive conformal inference under distribution shift", Advances
       in Neural Information Processing Systems 34, 2021.

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import ESNForecaster
    >>> y = load_sunspots()
    >>> model = ESNForecaster(random_state=0).fit(y.iloc[:-11])
    >>> forecast = model.predict(11, level=80)
    >>> forecast.columns.tolist(), forecast.index.equals(y.index[-11:])
    (['sunspots', 'lo-80', 'hi-80'], True)
    >>> model.score(y.iloc[-11:]) < 1.0
    True
    """

    _masks = True

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
        pooling: str = "local",
        transforms: Any = "auto",
        calendar: Any = None,
        fourier: Any = None,
        past_columns: Any = None,
        season_length: int | str = "auto",
        freq: Any = None,
        missing: str = "raise",
        interval: str = "bootstrap",
        n_boot: int = 200,
        random_state: Any = None,
        n_jobs: int | None = None,
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
        self.pooling = pooling
        self.transforms = transforms
        self.calendar = calendar
        self.fourier = fourier
        self.past_columns = past_columns
        self.season_length = season_length
        self.freq = freq
        self.missing = missing
        self.interval = interval
        self.n_boot = n_boot
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_params(self):
        # the reservoir's own parameters are checked by ESNRegressor, under the same names
        owner = self._owner
        check_number("n_units", self.n_units, owner, low=1, integer=True)
        check_number("input_scaling", self.input_scaling, owner)
        check_number("washout", self.washout, owner, low=0, integer=True, also=("auto",))
        check_option("interval", self.interval, owner, ("bootstrap", "conformal", "adaptive"))
        if self.interval == "adaptive" and self._is_direct:
            rule = "'bootstrap' or 'conformal' unless strategy='recursive'"
            refuse("interval", owner, rule, self.interval)
        check_number("n_boot", self.n_boot, owner, low=2, integer=True)
        check_alpha(self.alpha, owner)
        check_solver(self.solver, owner)
        check_option("strategy", self.strategy, owner, ("recursive", "direct", "multi_output"))
        check_number("horizon", self.horizon, owner, low=1, integer=True, also=(None,))
        check_number("noise", self.noise, owner, low=0)
        check_flag("fit_intercept", self.fit_intercept, owner)
        check_flag("include_input", self.include_input, owner)

    def _regressor_params(self):
        names = (
            "spectral_radius",
            "leak_rate",
            "bias_scaling",
            "topology",
            "connectivity",
            "input_connectivity",
            "input_weights",
            "activation",
            "noise",
            "alpha",
            "fit_intercept",
            "solver",
            "include_input",
            "dtype",
        )
        return {name: getattr(self, name) for name in names}

    def _network(self, values, exog, seed, known=None):
        options = self._network_options() | {"seed": seed, "known": known}
        return RecursiveNetwork(values, exog, self.season_length_, **options)

    def _network_options(self):
        return {
            "transforms": self._own_transforms(),
            "lags": self.lags,
            "n_units": self.n_units,
            "washout": self.washout,
            "input_scaling": self.input_scaling,
            "params": self._regressor_params(),
            "owner": self._owner,
        }

    @property
    def n_units_(self) -> int:
        """Units used."""
        return self._fit_direct.network.n_units[0] if self._is_direct else self._fit_network.n_units

    @property
    def lags_(self) -> tuple:
        """Lags that the readout sees."""
        return self._fit_direct.network.lags if self._is_direct else self._fit_network.lags

    @property
    def transforms_(self) -> list:
        """The fitted transforms."""
        return (self._fit_direct if self._is_direct else self._fit_network).chain.steps

    @property
    def regressor_(self) -> Any:
        """The fitted network."""
        if self._is_direct:
            raise AttributeError("regressor_ is an attribute of strategy='recursive' alone.")
        return self._fit_network.esn

    # ------------------------------------------------------------------ fitting

    def _learn(self, values, exog):
        if self._is_direct:
            self._learn_pool([self], [values], [exog], None)
            return
        self._warn_if_constant(values)
        values, exog = self._with_past(values, exog)
        seed = self._network_seed()
        self._fit_lead = lead = leading_rows(values, self._owner)
        values, exog = values[lead:], exog[lead:]
        network, whole = self._learn_network(values, exog, seed)
        scores = None
        if self.interval != "bootstrap":
            scores = self._calibrate(values, exog, seed, network.chain)
        self._fit_network = network
        known = None if whole is values else ~np.isnan(values)
        state = network.esn.state_ if known is None else None  # own predictions have moved it
        self._fit_memory = network.start(whole, exog, 0, state)
        errors, in_units = network.errors(whole, exog, known)
        self._fit_errors = errors[~np.isnan(errors).any(axis=1)]
        self._fit_residuals = in_units[:, : self._fit_form.n_columns]
        self._fit_scores = scores

    def _learn_network(self, values, exog, seed):
        """A network and the rows that it saw, which hold its own predictions in place of NaN."""

        def make(rows, known_beforehand, known):
            return self._network(rows, known_beforehand, seed, known)

        return learn_masked(make, values, exog, self.season_length_)

    def _network_seed(self):
        return int(check_generator(self._fit_seed).randint(2**31 - 1))

    @property
    def _is_direct(self):
        return self.strategy != "recursive"

    def _learn_pool(self, members, values, exog, static):
        for member, rows in zip(members, values):
            member._warn_if_constant(rows)
        if not self._is_direct:
            both = [members[0]._with_past(Y, X) for Y, X in zip(values, exog)]
            learn_members(self, members, *zip(*both))
            return
        arguments = members[0], values, exog, static, self._network_seed()
        series = learn_direct(*arguments)
        conformal = self.interval == "conformal"
        scores = calibrate_direct(*arguments) if conformal else [None] * len(members)
        shared = PoolScores.of(scores, values) if conformal and self.pooling == "global" else None
        for member, one, score in zip(members, series, scores):
            member._fit_direct, member._fit_scores, member._fit_shared = one, score, shared

    def _calibrate(self, values, exog, seed, chain):
        """Errors from rolling origins of a model that knows the rows before all of them."""
        n_train, ends = conformal_origins(len(values))
        leading_rows(values[:n_train], self._owner)
        network, _ = self._learn_network(values[:n_train], exog[:n_train], seed)
        n_ahead = ConformalScores.steps_for(len(values) - n_train)
        n_columns = self._fit_form.n_columns
        whole = complete(network, values, exog, 0, self.season_length_)
        forecasts = network.paths_from(whole, exog, ends, n_ahead)[:, :n_columns]
        scores = ConformalScores.measure(
            forecasts, values[:, :n_columns], ends, chain.bends(n_columns)
        )
        return begin_scores(scores, self.interval)

    def _advance(self, values, exog, refit):
        if self._is_direct:
            _, [self._fit_direct] = advance_direct([self._fit_direct], [values], [exog], refit)
            return
        network, memory = self._fit_network, self._fit_memory
        values, exog = self._with_past(values, exog)
        moved, rows, targets, predicted, whole, weights = advance_masked(
            network, memory, values, exog
        )
        if refit:
            self._fit_network = network.learning(memory, rows, targets, weights)
        self._fit_memory = moved
        # errors of rows that the weights had not seen: as honest as leave-one-out errors
        new = (targets - predicted)[slice(None) if weights is None else weights > 0]
        self._fit_errors = np.concatenate([self._fit_errors, new])[-_MOST_ERRORS:].copy()
        in_units = network.errors_after(memory, whole, predicted)
        in_units = np.where(np.isnan(values), np.nan, in_units)[:, : self._fit_form.n_columns]
        if self.interval == "adaptive":
            truth = values[:, : self._fit_form.n_columns]
            self._fit_scores = self._fit_scores.after(truth, truth - in_units)
        self._fit_residuals = np.concatenate([self._fit_residuals, in_units])[-_MOST_ERRORS:].copy()

    def _advance_pool(self, members, values, exog, refit):
        if self.pooling == "local":
            super()._advance_pool(members, values, exog, refit)
            return
        if not self._is_direct:
            advance_members(self.members_.values(), members, values, exog, refit)
            return
        series = [member._fit_direct for member in members]
        network, moved = advance_direct(series, values, exog, refit)
        for member, one in zip(members, moved):
            member._fit_direct = one
        for member in self.members_.values():  # all of them go on sharing one network
            member._fit_direct = member._fit_direct.sharing(network)

    def _restart(self, values, exog, first):
        if self._is_direct:
            static = getattr(self, "_fit_static", self._fit_direct.static)
            series = self._fit_direct
            if self._fit_is_new:  # to the pool: transforms are fitted to what is known of it
                series = series.for_new(self, values, first)
            self._fit_direct = series = series.restarted(values, exog, static, first)
            if self._fit_is_new and self.interval == "conformal":
                self._fit_scores = calibrate_new(self, series, values, exog, self._fit_shared)
            return
        n_columns, given = values.shape[1], (values, exog, first)
        if self._fit_is_new:  # to the pool: transforms are fitted to what is known of it
            self._fit_network, self._fit_lead = network_for(self, *given)
        values, exog, whole, first = completed(self, self._fit_network, values, exog, first)
        self._fit_memory = self._fit_network.start(whole, exog, first)
        self._fit_network = copy.copy(self._fit_network)
        # the errors kept are labelled as the last rows, so they must be those of these rows
        truth = values[:, :n_columns]
        fitted = causal(self._fit_network.one_step(whole, exog, first)[:, :n_columns], truth)
        self._fit_residuals = (truth[len(truth) - len(fitted) :] - fitted)[-_MOST_ERRORS:].copy()
        if self._fit_is_new:
            measure_new(self, given, values, exog, whole)

    # -------------------------------------------------------------- forecasting

    def _pool_points(self, members, n_steps, exog):
        if self.pooling == "local" or not self._is_direct:
            return super()._pool_points(members, n_steps, exog)
        labels = members[0]._fit_form.labels
        return predict_direct([member._fit_direct for member in members], n_steps, exog, labels)

    def _point(self, n_steps, exog):
        if self._is_direct:
            labels = self._fit_form.labels
            return predict_direct([self._fit_direct], n_steps, [exog], labels)[0]
        points, scaled = self._fit_network.paths(self._fit_memory, n_steps, exog)
        warn_if_bounded(scaled[:, :, 0], self._fit_memory, self._fit_form.labels)
        return points[:, : self._fit_form.n_columns, 0]

    def _paths(self, n_steps, exog, n_paths, rng):
        if self._is_direct:
            return self._fit_direct.paths(n_steps, exog, n_paths, rng)
        innovations = draw_innovations(self._fit_errors, n_steps, n_paths, rng)
        paths = self._fit_network.paths(self._fit_memory, n_steps, exog, innovations)[0]
        return paths[:, : self._fit_form.n_columns]

    def _bands(self, points, exog, levels, probabilities):
        return bands(self, points, exog, levels, probabilities)

    def _backtest_forecasts(self, values, exog, origins, levels):
        """Forecasts from many origins at once, for `backtest`; see `forecast_origins`."""
        return forecast_origins(self, values, exog, origins, levels)

    # -------------------------------------------------------------- diagnostics

    def _one_step(self, values, exog, first):
        if self._is_direct:
            return self._fit_direct.one_step(values, exog, first)
        n_columns = values.shape[1]
        _, exog, whole, first = completed(self, self._fit_network, values, exog, first)
        return causal(self._fit_network.one_step(whole, exog, first)[:, :n_columns], values)

    def _kept_residuals(self):
        return self._fit_direct.residuals if self._is_direct else self._fit_residuals
