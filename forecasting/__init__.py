"""Forecasters that take and return pandas objects, baselines, backtests and metrics."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`forecasting` is `echocast.forecasting`; the checkout root should not be on sys.path"
    )
