"""Forecasts with any regressor of scikit-learn's kind, with a memory of its own or without."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from echocast._checks import check_number, check_option, refuse
from echocast.reservoir import ESNRegressor, Seq2SeqRegressor

from ._automatic import choose_lags
from ._base import BaseForecaster
from ._lagged import LaggedModel, steps_of
from ._lagged_forecaster import LaggedForecaster
from ._step_models import has_memory, step_model

__all__ = ["ReservoirForecaster"]

_STRATEGIES = ("recursive", "direct", "multi_output")
_CONTEXT = 100


class ReservoirForecaster(LaggedForecaster):
    r"""Forecast with a regressor: a reservoir of any kind, or a plain one on lags.

    After the transforms, the regressor is fitted to rows in time order, which hold the values of
    all variables at `lags` and the known columns. Whatever memory it has of earlier rows is kept
    between them: the regressors of `echocast.reservoir` carry their state on exactly, alone or
    at the end of a Pipeline; others whose outputs depend on earlier rows are shown the last
    `context` rows again; all others need nothing. The regressor itself is cloned and never
    changed.

    Parameters
    ----------
    regressor : estimator, optional
        With ``fit(X, y)`` and ``predict(X)``, such as `ESNRegressor`, `DeepESNRegressor`,
        `NVARRegressor`, `LocalESNRegressor` (a wide field), `WindowESNRegressor`, Ridge,
        HistGradientBoostingRegressor or a Pipeline. `Seq2SeqRegressor` is told how steps stand
        in rows (`window_order`, `n_variables`), and takes known columns with "multi_output"
        only. None is ``ESNRegressor(alpha="auto")``.
        Parameters within it are set, and searched, as ``regressor__alpha``. Those called
        ``random_state`` that are None get a seed from the forecaster's own.
    lags : int, list of int or None, default=None
        Steps back that a row sees: an int p means 1 to p; 1 is always among them. None is 1 for
        regressors with a memory; for others two seasons, or 12 without a season, at most 100
        and at most a sixth of the rows divided by the number of variables.
    strategy : {"recursive", "direct", "multi_output"}, default="recursive"
        "recursive" feeds each prediction back as the next value. "direct" has one clone of the
        regressor for each step up to `horizon`, whose rows see the known columns of that step.
        "multi_output" has one that gives all steps at once; the known columns then act through
        a ridge of their own, before it. Regressors of a single output are repeated.
    horizon : int, optional
        Steps that the two direct strategies learn; two seasons, but at least 12, by default, and
        at most a quarter of the rows. Further steps continue from the forecasts.
    context : int, default=100
        Rows shown again to a regressor that has a memory but no state that could be set.
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
        "bootstrap" draws errors that the weights did not learn from: leave-one-out errors of
        ridge readouts, and for other regressors those of the second half of the rows by three
        fits to the rows before. Errors of the direct strategies are drawn for all steps
        together. "conformal" and "adaptive" as in `ESNForecaster`.
    n_boot : int, default=200
        Number of paths for "bootstrap".
    pooling : {"local"}, default="local"
        A panel has one model for each series.
    random_state : None, int, RandomState, Generator or SeedSequence, default=None
        Source of the seed of the regressor and of the residual draws, which repeat from call to
        call.
    n_jobs : int, optional
        Parallel fits of the series of a panel, or of the steps of "direct", through joblib.

    Attributes
    ----------
    regressor_ : estimator
        The fitted clone; with "direct" that of the first step.
    regressors_ : list of estimator
        All fitted clones.
    horizon_ : int
        Steps learnt: 1 for "recursive".
    lags_ : tuple of int
    transforms_ : list of Transform
    cutoff_, season_length_, n_steps_seen_
        As in `ESNForecaster`.

    Notes
    -----
    ``update(y, refit=True)`` is exact for regressors that learn from sums, those of
    `echocast.reservoir`, calls `partial_fit` of others that have one, and raises an error
    where there is none. Recursive intervals of a regressor without a state that could be set
    take `n_boot` predictions of `context` rows for each step.

    References
    ----------
    .. [1] S. Ben Taieb, G. Bontempi, A. Atiya, A. Sorjamaa, "A review and comparison of
       strategies for multi-step ahead time series forecasting based on the NN5 forecasting
       competition", Expert Systems with Applications 39, 2012.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from echocast.datasets import load_sunspots
    >>> from echocast.forecasting import ReservoirForecaster
    >>> from echocast.reservoir import DeepESNRegressor
    >>> y = load_sunspots()
    >>> deep = ReservoirForecaster(DeepESNRegressor(alpha=1.0), random_state=0).fit(y[:-11])
    >>> plain = ReservoirForecaster(Ridge(), lags=11, strategy="direct", horizon=11).fit(y[:-11])
    >>> deep.score(y[-11:]) < 1, plain.score(y[-11:]) < 1, len(plain.regressors_)
    (True, True, 11)
    """

    def __init__(
        self,
        regressor: Any = None,
        *,
        lags: Any = None,
        strategy: str = "recursive",
        horizon: int | None = None,
        context: int = _CONTEXT,
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
        self.regressor = regressor
        self.lags = lags
        self.strategy = strategy
        self.horizon = horizon
        self.context = context
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
        check_option("strategy", self.strategy, self._owner, _STRATEGIES)
        check_number("context", self.context, self._owner, low=1, integer=True)
        if self.horizon is not None:
            check_number("horizon", self.horizon, self._owner, low=1, integer=True)
        usable = self.regressor is None or (
            not isinstance(self.regressor, type)
            and all(hasattr(self.regressor, name) for name in ("fit", "predict", "get_params"))
        )
        if not usable:
            rule = "an estimator with fit(X, y) and predict(X), or None"
            refuse("regressor", self._owner, rule, self.regressor)
        if isinstance(self.regressor, BaseForecaster):
            raise TypeError(
                f"`regressor` is a forecaster ({type(self.regressor).__name__}); pass a regressor "
                "with fit(X, y), or use the forecaster itself."
            )

    def _seeded(self, seed):
        """A clone whose unset seeds are set, in the order of their names."""
        regressor = ESNRegressor(alpha="auto") if self.regressor is None else self.regressor
        regressor = clone(regressor)
        params = regressor.get_params(deep=True)
        unset = [
            name
            for name in sorted(params)
            if (name == "random_state" or name.endswith("__random_state")) and params[name] is None
        ]
        rng = np.random.RandomState(seed)
        seeds = {name: int(rng.randint(2**31 - 1)) for name in unset}
        return regressor.set_params(**seeds) if seeds else regressor

    def _told_of_rows(self, regressor, n_variables, n_known):
        """The regressor, encoder-decoders within which know how steps stand in rows."""
        for part in (regressor, *regressor.get_params(deep=True).values()):
            writes = isinstance(part, Seq2SeqRegressor)
            if n_known and (writes or getattr(part, "layout", None) == "windows"):
                raise ValueError(
                    f"With strategy={self.strategy!r} rows hold {n_known} known column(s) beside "
                    f"the lags, which {type(part).__name__} would read as steps of the series. "
                    "Use strategy='multi_output' and a horizon of 2 or more, or leave out X, "
                    "`calendar` and `fourier`."
                )
            if writes:
                part.set_params(window_order="newest_first", n_variables=n_variables)
        return regressor

    def _model(self, values, exog, seed, known) -> LaggedModel:
        steps = steps_of(self.strategy, self._horizon(len(values)))
        n_known = exog.shape[1] if steps[0][1] == 1 else 0  # else they have a ridge of their own
        regressor = self._told_of_rows(self._seeded(seed), values.shape[1], n_known)
        return self._lagged(
            values,
            exog,
            known=known,
            lags=lambda Z, E: self._lags(Z, has_memory(regressor)),
            make=step_model(regressor, int(self.context)),
            steps=steps,
            n_jobs=self.n_jobs,
        )

    def _lags(self, Z, memory):
        lags = 1 if self.lags is None and memory else self.lags
        return choose_lags(lags, len(Z), Z.shape[1], self.season_length_, self._owner)

    def _horizon(self, n_steps):
        if self.horizon is not None:
            return int(self.horizon)
        return max(1, min(max(2 * self.season_length_, 12), n_steps // 4))

    @property
    def regressor_(self) -> Any:
        """The fitted clone of the first step."""
        return self._fit_model.models[0].whole

    @property
    def regressors_(self) -> list:
        """All fitted clones."""
        return [model.whole for model in self._fit_model.models]

    @property
    def horizon_(self) -> int:
        """Steps learnt."""
        return self._fit_model.horizon
