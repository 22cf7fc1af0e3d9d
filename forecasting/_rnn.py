"""The forecaster with a trained recurrent network: pandas in, pandas out."""

from __future__ import annotations

from typing import Any

import numpy as np

from echocast._checks import check_flag, check_generator, check_number, check_option, refuse

from ._adaptive import begin_scores
from ._closed_loop import bands, completed
from ._intervals import ConformalScores, conformal_origins, path_bands
from ._lagged_forecaster import LaggedForecaster
from ._levels import level_bounds
from ._mask import advance_masked, leading_rows, repeat_known
from ._pool_errors import enough_errors, shared_errors
from ._pooled_rows import canonical
from ._rnn_network import RecurrentModel, chain_for_new, learn_networks, warn_of_shortest
from ._rnn_steps import DrawnSteps, QuantileSteps, learn_more

__all__ = ["RNNForecaster"]

_LOSSES = ("absolute_error", "gaussian", "huber", "pinball", "squared_error", "student_t")
_WITH_QUANTILES = ("gaussian", "pinball", "student_t")
_SCHEDULES = ("adaptive", "constant", "cosine", "invscaling", "linear")
_FORCINGS = ("exponential", "inverse_sigmoid", "scheduled")
_FIRST_WEIGHTS = ("glorot", "identity", "orthogonal", "reservoir", "spectral", "uniform")
_NETWORK = (
    "hidden_layer_sizes", "cell", "include_input", "teacher_forcing", "loss", "quantile", "solver",
    "learning_rate", "learning_rate_init", "batch_size", "max_iter", "tol", "n_iter_no_change",
    "early_stopping", "validation_fraction", "max_norm", "bptt_steps", "dropout",
    "recurrent_dropout", "alpha", "weight_decay", "weight_init", "dtype", "verbose",
)  # fmt: skip


class RNNForecaster(LaggedForecaster):
    r"""Forecast with recurrent networks whose weights are trained: plain, GRU or LSTM.

    Each series is made stationary and scaled inside, so that one network serves series of any
    size. An `RNNRegressor` runs over it and gives, at each step, the next value, which forecasts
    feed back ("recursive"), or all values up to a horizon, relative to the last one or to those
    of the last season ("direct"). It learns from all steps of all series given to it.

    Parameters
    ----------
    hidden_layer_sizes : int, tuple of int or "auto", default="auto"
        Units of each layer. "auto" takes one layer of 8 units for up to 3,000 rows of all series
        together, 16 for up to 10,000, and else 32. As in `RNNRegressor`, like all parameters of
        the same names.
    cell : {"gru", "lstm", "tanh", "relu"}, default="gru"
    strategy : {"recursive", "direct"}, default="recursive"
        "recursive" learns single steps and feeds forecasts back. "direct" gives all steps of the
        horizon at once; for panels (``pooling="global"``) it is the better one.
    horizon : int, optional
        Steps that "direct" gives at once; later ones continue from the forecasts. By default two
        seasons or 12, at most 100 and a third of the rows, and no more than the shortest series
        of a pool leaves beside its `lags`: give it, or drop such a series, if that is too few.
    lags : int, list of int or None, default=None
        Steps back that the network is shown at each step, beside what its state remembers: an
        int p means 1 to p; 1 is always among them, and 2 for "direct", which sees them relative
        to the newest value. None takes 1 for "recursive", and one season (or 3) for "direct".
    pooling : {"local", "global"}, default="local"
        For a panel: a network for each series, or one for all, in which only transforms belong
        to a series. `apply` then takes series that fit has not seen.
    n_members : int, default=3
        Networks with other first weights whose outputs are averaged.
    include_input : bool, default=True
        Whether the output sees the lags and exogenous columns beside the states.
    teacher_forcing : float, str or callable, default=1.0
        For "recursive": below 1, or "scheduled", training shows the network its own last output
        in place of the true one; older lags stay true.
    loss : str, default="huber"
        "squared_error", "absolute_error", "huber", "pinball" (quantiles), "gaussian" or
        "student_t"; of scaled values. The point forecast of "pinball" is the quantile next to the
        median, of the others the centre.
    quantile : float or list of float, default=(0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
        Levels that the loss "pinball" learns; others are interpolated.
    solver : {"adam", "sgd", "rmsprop", "lbfgs"}, default="adam"
    learning_rate : str, default="linear"
    learning_rate_init : float, default=3e-3
    batch_size : int, default=32
        Series, or stretches of a long one, that are learnt from at a time.
    max_iter : int or "auto", default="auto"
        Epochs. "auto" takes as many as make about 500 updates, or 1,000 with early stopping, but
        10 to 300.
    tol : float, default=1e-4
    n_iter_no_change : int, default=10
    early_stopping : bool or "auto", default="auto"
        Whether to hold out the last block in time of a single series, or some series of a pool,
        and to keep the weights that are best there. "auto" does so for pools of 20 series or more.
    validation_fraction : float, default=0.1
    max_norm : float or None, default=1.0
    bptt_steps : int, None or "auto", default="auto"
    dropout, recurrent_dropout : float, default=0.0
    alpha, weight_decay : float, default=0.0
    weight_init : str, default="orthogonal"
    dtype : {"float32", "float64"}, default="float32"
    verbose : bool, default=False
    transforms : "auto" or list, default="auto"
        As in `ESNForecaster`, for either strategy; a scale follows if none ends them: unit
        variance, or for "direct" unit mean absolute change.
    calendar : "auto", list of str or None, default=None
    fourier : dict, optional
    past_columns : list, optional
    season_length : int or "auto", default="auto"
    freq : str or offset, optional
        As in `ESNForecaster`. "direct" takes a linear effect of known columns off each series
        first, as a row of many steps has no place for them.
    missing : {"raise", "ffill", "interpolate", "mask"}, default="raise"
        What to do with NaN in y. "mask" puts the model's own prediction in the place of a missing
        value (that of the season before, while a pool learns) and learns nothing from it.
    interval : {"bootstrap", "conformal", "adaptive", "model"}, default="bootstrap"
        "bootstrap" draws errors that another network, trained on the first two thirds of the
        rows, makes in the last third; those of "direct" are drawn for all steps together. A
        series of a pool with few of them takes those of the whole pool, in its own scale.
        "conformal" and "adaptive" as in `ESNForecaster`. "model" takes the distributions that
        the losses "pinball", "gaussian" and "student_t" learn: quantiles of "direct", and else
        paths drawn step by step.
    n_boot : int, default=200
        Number of paths for "bootstrap" and "model".
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the weights and of the draws, which repeat from call to call.
    n_jobs : int, optional
        Parallel fits of the series of a panel, through joblib; threads over parts of a batch
        with pooling="global".

    Attributes
    ----------
    regressors_ : list of RNNRegressor
        The fitted networks, one for each member.
    horizon_ : int
        Steps that the network gives at once: 1 for "recursive".
    lags_ : tuple of int
    transforms_ : list of Transform
    cutoff_, season_length_, n_steps_seen_
        As in `ESNForecaster`.

    Notes
    -----
    ``update(y)`` moves the state on in time that depends on the number of new rows alone, and
    ``update(y, refit=True)`` also trains for five epochs on them at a tenth of the learning rate.
    That adapts a network; it is no substitute for a fit on all rows.
    A path is held within one span of the rows seen (after transforms) beyond their extremes, and
    a warning says when a point forecast gets there.
    Errors for intervals take a second training, on two thirds of the rows.

    References
    ----------
    .. [1] R. Wen, K. Torkkola, B. Narayanaswamy, D. Madeka, "A multi-horizon quantile recurrent
       forecaster", 2017.
    .. [2] D. Salinas, V. Flunkert, J. Gasthaus, T. Januschowski, "DeepAR: probabilistic
       forecasting with autoregressive recurrent networks", International Journal of Forecasting
       36, 2020.
    .. [3] S. Smyl, "A hybrid method of exponential smoothing and recurrent neural networks for
       time series forecasting", International Journal of Forecasting 36, 2020 (scales of series).

    Examples
    --------
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import RNNForecaster
    >>> y = load_sunspots()
    >>> model = RNNForecaster(season_length=11, random_state=0).fit(y.iloc[:-11])
    >>> model.score(y.iloc[-11:]) < 1.0
    True
    >>> direct = RNNForecaster(strategy="direct", horizon=11, loss="pinball", interval="model")
    >>> direct.set_params(random_state=0).fit(y.iloc[:-11]).predict(11, level=80).columns.tolist()
    ['sunspots', 'lo-80', 'hi-80']
    """

    _fit_factor = 1.0  # of the errors drawn for all steps together, where they are a pool's

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any = "auto",
        cell: str = "gru",
        strategy: str = "recursive",
        horizon: int | None = None,
        lags: Any = None,
        pooling: str = "local",
        n_members: int = 3,
        include_input: bool = True,
        teacher_forcing: Any = 1.0,
        loss: str = "huber",
        quantile: Any = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975),
        solver: str = "adam",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-3,
        batch_size: int = 32,
        max_iter: int | str = "auto",
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        max_norm: float | None = 1.0,
        bptt_steps: int | str | None = "auto",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        alpha: float = 0.0,
        weight_decay: float = 0.0,
        weight_init: str = "orthogonal",
        dtype: str = "float32",
        verbose: bool = False,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.strategy = strategy
        self.horizon = horizon
        self.lags = lags
        self.pooling = pooling
        self.n_members = n_members
        self.include_input = include_input
        self.teacher_forcing = teacher_forcing
        self.loss = loss
        self.quantile = quantile
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.max_norm = max_norm
        self.bptt_steps = bptt_steps
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.weight_init = weight_init
        self.dtype = dtype
        self.verbose = verbose
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
        owner = self._owner
        check_option("strategy", self.strategy, owner, ("recursive", "direct"))
        check_option("loss", self.loss, owner, _LOSSES)
        options = ("adaptive", "bootstrap", "conformal", "model")
        check_option("interval", self.interval, owner, options)
        self._check_network()
        check_number("n_boot", self.n_boot, owner, low=2, integer=True)
        check_number("n_members", self.n_members, owner, low=1, integer=True)
        check_number("max_iter", self.max_iter, owner, low=0, integer=True, also=("auto",))
        check_number("horizon", self.horizon, owner, low=1, integer=True, also=(None,))
        if self.interval == "model":
            if self.loss not in _WITH_QUANTILES:
                rule = "'bootstrap' or 'conformal' unless `loss` is " + "'gaussian', 'pinball' or "
                refuse("interval", owner, rule + "'student_t'", self.interval)
            if self.loss == "pinball" and np.size(self.quantile) < 2:
                rule = "several levels for interval='model'"
                refuse("quantile", owner, rule, self.quantile)
        if self._is_direct and not _is_one(self.teacher_forcing):
            rule = "1.0 unless strategy='recursive', as direct forecasts feed nothing back"
            refuse("teacher_forcing", owner, rule, self.teacher_forcing)

    def _check_network(self):
        """Refuse under this class's name what `RNNRegressor` would refuse later."""
        owner = self._owner
        check_option("cell", self.cell, owner, ("gru", "lstm", "relu", "tanh"))
        check_option("solver", self.solver, owner, ("adam", "lbfgs", "rmsprop", "sgd"))
        check_option("learning_rate", self.learning_rate, owner, _SCHEDULES)
        check_number("learning_rate_init", self.learning_rate_init, owner, low=0, closed="neither")
        share = {"low": 0, "high": 1, "closed": "neither"}
        check_number("validation_fraction", self.validation_fraction, owner, **share)
        for name in ("dropout", "recurrent_dropout"):
            check_number(name, getattr(self, name), owner, low=0, high=1, closed="left")
        for name in ("alpha", "tol", "weight_decay"):
            check_number(name, getattr(self, name), owner, low=0, closed="left")
        for name in ("batch_size", "n_iter_no_change"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        check_number("max_norm", self.max_norm, owner, low=0, closed="neither", also=(None,))
        check_number("bptt_steps", self.bptt_steps, owner, low=1, integer=True,
                     also=(None, "auto"))  # fmt: skip
        check_option("weight_init", self.weight_init, owner, _FIRST_WEIGHTS)
        check_option("dtype", self.dtype, owner, ("float32", "float64"))
        check_flag("include_input", self.include_input, owner)
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else
                     self.verbose, owner, low=0, integer=True)  # fmt: skip
        if isinstance(self.early_stopping, str):
            check_option("early_stopping", self.early_stopping, owner, ("auto",))
        else:
            check_flag("early_stopping", self.early_stopping, owner)
        if isinstance(self.hidden_layer_sizes, str):
            check_option("hidden_layer_sizes", self.hidden_layer_sizes, owner, ("auto",))
        elif not _all_are(self.hidden_layer_sizes, (int, np.integer), lambda n: n >= 1):
            rule = "'auto', an int >= 1 or a tuple of such"
            refuse("hidden_layer_sizes", owner, rule, self.hidden_layer_sizes)
        if not _all_are(self.quantile, (float, np.floating), lambda q: 0 < q < 1):
            refuse("quantile", owner, "a float in (0, 1) or a list of such", self.quantile)
        if isinstance(self.teacher_forcing, str):
            check_option("teacher_forcing", self.teacher_forcing, owner, _FORCINGS)
        elif not callable(self.teacher_forcing):
            check_number("teacher_forcing", self.teacher_forcing, owner, low=0, high=1)

    @property
    def _is_direct(self):
        return self.strategy != "recursive"

    def _settings(self):
        """Keyword arguments of `learn_networks` that the parameters give."""
        params = {name: getattr(self, name) for name in _NETWORK}
        params["n_jobs"] = self.n_jobs if self.pooling == "global" else None
        return {
            "direct": self._is_direct,
            "transforms": self._own_transforms(),
            "lags": self.lags,
            "horizon": self.horizon,
            "params": params,
            "n_members": int(self.n_members),
            "owner": self._owner,
        }

    @property
    def regressors_(self) -> list:
        """The fitted networks."""
        if self._is_panel:
            raise AttributeError("The networks of a panel are members_[label].regressors_.")
        return self._fit_model.models[0].regressors

    @property
    def horizon_(self) -> int:
        """Steps that the network gives at once."""
        return self._fit_model.horizon

    # ------------------------------------------------------------------ fitting

    def _model(self, values, exog, seed, known) -> RecurrentModel:
        [model] = learn_networks(
            [values], [exog], self.season_length_, known=[known], seed=seed, **self._settings()
        )
        return model

    def _learn_pool(self, members, values, exog, static):
        seed = int(check_generator(self._fit_seed).randint(2**31 - 1))
        season, outside = members[0].season_length_, []
        whole, known = [], []
        for member, Y, X in zip(members, values, exog):
            member._warn_if_constant(Y)
            Y, X = member._with_past(Y, X)
            member._fit_lead = lead = leading_rows(Y, self._owner)
            whole.append(Y[lead:])
            outside.append(X[lead:])
        seen = [None if not np.isnan(Y).any() else ~np.isnan(Y).any(axis=1) for Y in whole]
        known = [repeat_known(Y, season) for Y in whole]
        settings = {"static": static, "seed": seed, **members[0]._settings()}
        models = learn_networks(known, outside, season, known=seen, **settings)
        if self._is_direct and self.horizon is None:
            warn_of_shortest(models, [len(Y) for Y in known], season)
        scores: list = [None] * len(members)
        if self.interval in ("adaptive", "conformal"):
            scores = self._calibrate_pool(members, whole, known, outside, seen, settings)
        for member, model, Y, filled, X, score in zip(
            members, models, whole, known, outside, scores
        ):
            member._fit_scores = score
            member._keep(model, Y, filled, X)
        self._share_errors(members, known, outside, static)

    @staticmethod
    def _share_errors(members, values, exog, static):
        """Give series that have few errors those of the whole pool, which are of one scale."""
        fixed = np.zeros((len(members), 0)) if static is None else static
        order = canonical(values, exog, fixed)
        shared = shared_errors([members[i]._fit_errors for i in order])
        for member in members:
            member._fit_shared_errors = shared
            member._choose_errors(member._fit_errors)

    def _choose_errors(self, own):
        """Draw from the errors of this series, or from those of its pool."""
        horizon = self._fit_model.horizon
        self._fit_errors, factor = enough_errors(own, self._fit_shared_errors, horizon)
        if horizon == 1:  # later ones join them
            self._fit_errors = factor * self._fit_errors
        else:
            self._fit_factor = factor

    def _calibrate_pool(self, members, values, filled, exog, seen, settings):
        """Errors from rolling origins of networks that know the rows before all of them."""
        cuts = [conformal_origins(len(Y)) for Y in values]
        early = learn_networks(
            [Y[:n] for Y, (n, _) in zip(filled, cuts)],
            [X[:n] for X, (n, _) in zip(exog, cuts)],
            members[0].season_length_,
            known=[None if k is None else k[:n] for k, (n, _) in zip(seen, cuts)],
            **settings,
        )
        return [
            member._scores_of(model, Y, whole, X, *cut)
            for member, model, Y, whole, X, cut in zip(members, early, values, filled, exog, cuts)
        ]

    def _scores_of(self, model, values, whole, exog, n_train, ends):
        """Errors of a model that knows the first `n_train` rows, from the origins `ends`."""
        n_ahead, n_columns = ConformalScores.steps_for(len(values) - n_train), self._n_columns
        forecasts = model.paths_from(whole, exog, ends, n_ahead)[:, :n_columns]
        bends = model.chain.bends(n_columns)
        measured = ConformalScores.measure(forecasts, values[:, :n_columns], ends, bends)
        return begin_scores(measured, self.interval)

    def _advance_pool(self, members, values, exog, refit):
        if self.pooling == "local" or not refit:
            super()._advance_pool(members, values, exog, refit)
            return
        shared = self._taught(members, values, exog)
        super()._advance_pool(members, values, exog, False)
        for member in self.members_.values():  # all of them go on sharing one network
            model = member._fit_model
            member._fit_model = model.with_networks(model.models[0].sharing(shared))

    def _taught(self, members, values, exog):
        """Networks that have learnt from the new rows of several series."""
        parts, order = [], canonical(values, exog, np.zeros((len(members), 0)))
        for member, Y, X in ((members[i], values[i], exog[i]) for i in order):
            model, memory = member._fit_model, member._fit_memory
            Y, X = member._with_past(Y, X)
            _, tables, *_ = advance_masked(model, memory, Y, X)
            weights = model.weights(_since(memory, Y), len(memory.history))
            parts.append((model.models[0], *tables[0], memory.state[0], weights[0]))
        steps, rows, targets, states, weights = map(list, zip(*parts))
        return learn_more(steps, rows, targets, states, weights)

    def _restart(self, values, exog, first):
        if self._fit_is_new:  # to the pool: transforms are fitted to what is known of it
            self._fit_model, self._fit_lead = self._model_for_new(values, exog, first)
        elif hasattr(self, "_fit_static"):
            self._fit_model = self._fit_model.for_static(self._fit_static)
        super()._restart(values, exog, first)
        if self._fit_is_new:
            self._measure_new(values, exog, first)

    def _model_for_new(self, values, exog, first):
        """The shared networks with transforms of a series that is new to the pool.

        Also the rows before the first from which positions count, as `_fit_lead` says it.
        """
        values, exog = self._with_past(values, exog)
        lead, season = leading_rows(values, self._owner), self.season_length_
        whole, like = repeat_known(values[lead:], season), self._fit_model
        chain = chain_for_new(like, whole, season, self._own_transforms(), self._owner)
        model = RecurrentModel(whole, exog[lead:], chain, like.steps)
        model.lags = like.lags
        model = model.with_networks(like.models[0])
        if hasattr(self, "_fit_static"):
            model = model.for_static(self._fit_static)
        return model, first + lead

    def _measure_new(self, values, exog, first):
        """Errors that the networks, which have seen no row of a new series, make in it."""
        model = self._fit_model
        rows, known, whole, _ = completed(self, model, values, exog, first)
        own = np.empty((0, self._fit_shared_errors.shape[1]))
        if not np.isnan(rows).any():
            own = model.errors(whole, known)[0]
        self._choose_errors(own)
        if self.interval in ("adaptive", "conformal"):
            n_train, ends = conformal_origins(len(rows))
            n_first = len(values) - len(rows) + n_train
            early, _ = self._model_for_new(values[:n_first], exog[:n_first], first)
            self._fit_scores = self._scores_of(early, rows, whole, known, n_train, ends)

    # -------------------------------------------------------------- forecasting

    def _innovations(self, n_steps, n_paths, rng):
        drawn = super()._innovations(n_steps, n_paths, rng)
        return drawn if self._fit_model.horizon == 1 else self._fit_factor * drawn

    def _paths(self, n_steps, exog, n_paths, rng):
        if self.interval != "model":
            return super()._paths(n_steps, exog, n_paths, rng)
        model = self._fit_model
        drawn = model.with_networks(DrawnSteps(model.models[0], self._fit_errors, rng))
        shape = (n_steps, len(self._fit_memory.low), n_paths)
        paths = drawn.paths(self._fit_memory, n_steps, exog, np.zeros(shape))[0]
        return paths[:, : self._n_columns]

    def _bands(self, points, exog, levels, probabilities):
        if self.interval in ("adaptive", "conformal"):
            return bands(self, points, exog, levels, probabilities)
        model = self._fit_model
        at_once = self._is_direct and len(points) <= model.horizon and not model.chain.n_lost
        if self.interval != "model" or not at_once:
            paths = self._paths(len(points), exog, self.n_boot, check_generator(self._fit_seed))
            return path_bands(paths, levels, probabilities)
        names = [f"{side}-{level:g}" for level in levels for side in ("lo", "hi")]
        wanted = [p for level in levels for p in level_bounds(level)] + list(probabilities)
        names += [f"q-{p:g}" for p in probabilities]
        return {name: self._quantile(p, len(points), exog) for name, p in zip(names, wanted)}

    def _quantile(self, probability, n_steps, exog):
        """Quantiles (n_steps, D) of steps that the network gives at once."""
        model = self._fit_model
        one = model.with_networks(QuantileSteps(model.models[0], probability))
        return one.paths(self._fit_memory, n_steps, exog)[0][:, : self._n_columns, 0]


def _all_are(given, kinds, rule):
    """Whether a value, or each of several, is of a kind and follows a rule."""
    values = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
    fit = (isinstance(v, kinds) and not isinstance(v, bool) and rule(v) for v in values)
    return bool(values) and all(fit)


def _is_one(value):
    return isinstance(value, (int, float)) and value == 1


def _since(memory, Y):
    """Which rows were observed, of the history and of new ones; None: all."""
    before = memory.observed
    seen = ~np.isnan(Y).any(axis=1)
    if before is None:
        before = np.ones(len(memory.history), dtype=bool)
    since = np.concatenate([before, seen])
    return None if since.all() else since
