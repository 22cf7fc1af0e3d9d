"""What forecasters share that feed their own forecasts back, whatever the model of a step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from echocast._checks import check_generator, stack_level
from echocast.exceptions import ForecastDivergenceWarning

from ._intervals import conformal_bands, path_bands
from ._mask import complete, leading_rows

__all__ = ["bands", "completed", "warn_if_bounded"]


def completed(
    forecaster: Any, model: Any, values: np.ndarray, exog: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Rows from the first with a value on, exogenous ones, the same without NaN, and its position.

    `first` is the position of the first row given, counted from the first row of fit.
    """
    values, exog = forecaster._with_past(values, exog)
    lead = leading_rows(values, forecaster._owner)
    values, exog, first = values[lead:], exog[lead:], first + lead - forecaster._fit_lead
    whole = complete(model, values, exog, first, forecaster.season_length_)
    return values, exog, whole, first


def bands(
    forecaster: Any, points: np.ndarray, exog: np.ndarray, levels: list, probabilities: list
) -> dict[str, np.ndarray]:
    """Fields "lo-80", "hi-80", ..., "q-0.1", ... from scores of past origins, or from paths."""
    if forecaster.interval != "bootstrap":
        return conformal_bands(forecaster._fit_scores, points, levels, probabilities)
    rng = check_generator(forecaster._fit_seed)
    paths = forecaster._paths(len(points), exog, forecaster.n_boot, rng)
    return path_bands(paths, levels, probabilities)


def warn_if_bounded(scaled: np.ndarray, memory: Any, labels: list) -> None:
    """Warn of transformed points (n_steps, D) that are held at the bounds of the memory.

    Columns after those that have labels were forecast for their sake and are not looked at.
    """
    scaled = scaled[:, : len(labels)]
    low, high = (bound[: len(labels)] for bound in memory.bounds)
    held = ((scaled <= low) | (scaled >= high)) & (low < high)
    if held.any():
        step, column = np.argwhere(held)[0]
        warnings.warn(
            f"Forecast leaves the training range of {labels[column]!r} (after transforms) by 1x "
            f"its span at step {step + 1} and is held there.",
            ForecastDivergenceWarning,
            stacklevel=stack_level(),
        )
