"""Forecasters that take and return pandas objects, baselines, backtests and metrics."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`forecasting` is `echocast.forecasting`; the checkout root should not be on sys.path"
    )

from ._backtest import BacktestResult, backtest
from ._baselines import NaiveForecaster
from ._calendar import list_calendar_features, make_time_features
from ._forecaster import ESNForecaster
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
from ._plot import ForecastDisplay
from ._transforms import (
    Deseasonalize,
    Difference,
    SeasonalDifference,
    Standardize,
    list_transforms,
)

__all__ = [
    "BacktestResult",
    "Deseasonalize",
    "Difference",
    "ESNForecaster",
    "ForecastDisplay",
    "NaiveForecaster",
    "SeasonalDifference",
    "Standardize",
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
    "rmse",
    "rmsse",
    "smape",
    "valid_prediction_time",
    "winkler",
]
