"""Forecasters that take and return pandas objects, baselines, backtests and metrics."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`forecasting` is `echocast.forecasting`; the checkout root should not be on sys.path"
    )

from ._auto import AutoESNForecaster
from ._backtest import BacktestResult, backtest
from ._baselines import NaiveForecaster
from ._calendar import list_calendar_features, make_time_features
from ._ensemble import EnsembleForecaster
from ._forecaster import ESNForecaster
from ._long import LongForecaster
from ._markov import MarkovForecaster
from ._metrics import (
    coverage,
    crps,
    mae,
    mape,
    mase,
    nrmse,
    pinball,
    rmse,
    rmsse,
    smape,
    valid_prediction_time,
    winkler,
)
from ._nvar import NVARForecaster
from ._plot import ForecastDisplay
from ._plot_backtest import BacktestDisplay
from ._plot_reservoir import ReservoirDisplay
from ._reservoir_forecaster import ReservoirForecaster
from ._rnn import RNNForecaster
from ._search import ForecastSearchCV
from ._splits import PanelTimeSeriesSplit, SequentialSplit
from ._transforms import (
    Deseasonalize,
    Difference,
    SeasonalDifference,
    Standardize,
    Transform,
)
from ._transforms_power import BoxCox, Log, YeoJohnson
from ._transforms_registry import list_transforms, register_transform
from ._transforms_trend import Detrend

__all__ = [
    "AutoESNForecaster",
    "BacktestDisplay",
    "BacktestResult",
    "BoxCox",
    "Deseasonalize",
    "Detrend",
    "Difference",
    "ESNForecaster",
    "EnsembleForecaster",
    "ForecastDisplay",
    "ForecastSearchCV",
    "Log",
    "LongForecaster",
    "MarkovForecaster",
    "NVARForecaster",
    "NaiveForecaster",
    "PanelTimeSeriesSplit",
    "RNNForecaster",
    "ReservoirDisplay",
    "ReservoirForecaster",
    "SeasonalDifference",
    "SequentialSplit",
    "Standardize",
    "Transform",
    "YeoJohnson",
    "backtest",
    "coverage",
    "crps",
    "list_calendar_features",
    "list_transforms",
    "mae",
    "make_time_features",
    "mape",
    "mase",
    "nrmse",
    "pinball",
    "register_transform",
    "rmse",
    "rmsse",
    "smape",
    "valid_prediction_time",
    "winkler",
]
