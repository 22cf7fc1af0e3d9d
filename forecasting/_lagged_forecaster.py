"""What forecasters on lags share: from the hooks of `BaseForecaster` to a `LaggedModel`."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from typing import Any

import numpy as np

from echocast._checks import check_generator, check_number, check_option
from echocast.exceptions import ConstantTargetWarning, ForecastDivergenceWarning

from ._base import BaseForecaster
from ._intervals import ConformalScores, conformal_origins, draw_innovations, path_quantiles
from ._lagged import LaggedModel, steps_of
from ._levels import level_bounds

__all__ = ["LaggedForecaster"]

_MOST_ERRORS = 1000


class LaggedForecaster(BaseForecaster):
    """Abstract: transforms, lags and a step model. Subclasses are final.

    They store the parameters `transforms`, `interval` and `n_boot` beside those of the base,
    and define `_model`.
    """

    @abstractmethod
    def _model(self, values: np.ndarray, exog: np.ndarray, seed: int) -> LaggedModel:
        """Fit to rows (n, D), of which the last `_n_past` columns are not asked for."""

    def _check_params(self):
        check_option("interval", self.interval, self._owner, ("bootstrap", "conformal"))
        check_number("n_boot", self.n_boot, self._owner, low=2, integer=True)

    def _lagged(self, values, exog, **settings) -> LaggedModel:
        """A model with the parameters that all forecasters on lags have."""
        return LaggedModel(
            values,
            exog,
            self.season_length_,
            transforms=self.transforms,
            owner=self._owner,
            **{"steps": steps_of("recursive", 1), **settings},
        )

    @property
    def lags_(self) -> tuple:
        """Lags of the values in a row, counted back from the first step forecast."""
        return self._fit_model.lags

    @property
    def transforms_(self) -> list:
        """The fitted transforms."""
        return self._fit_model.chain.steps

    @property
    def _n_columns(self):
        return self._fit_form.n_columns

    # ------------------------------------------------------------------ fitting

    def _learn(self, values, exog):
        self._warn_if_constant(values)
        values, exog = self._with_past(values, exog)
        seed = int(check_generator(self._fit_seed).randint(2**31 - 1))
        model = self._model(values, exog, seed)
        self._fit_scores = None
        if self.interval == "conformal":
            self._fit_scores = self._calibrate(values, exog, seed)
        self._fit_memory = model.start(values, exog, 0)
        self._fit_errors, residuals = model.errors(values, exog)
        self._fit_residuals = residuals[:, : self._n_columns].copy()
        self._fit_model = model.lean()

    def _with_past(self, values, exog):
        """Past-only columns are further variables, which forecasts need and do not show."""
        n_known = exog.shape[1] - self._n_past
        return np.concatenate([values, exog[:, n_known:]], axis=1), exog[:, :n_known]

    def _warn_if_constant(self, values):
        for column, label in zip(values.T, self._fit_form.labels):
            if np.ptp(column) == 0:
                name = "y" if self._n_columns == 1 else f"column {label!r} of y"
                warnings.warn(
                    f"{name} is constant ({column[0]:g}); the forecast is that constant.",
                    ConstantTargetWarning,
                    stacklevel=4,
                )

    def _calibrate(self, values, exog, seed):
        """Errors from rolling origins of a model that knows the rows before all of them."""
        n_train, ends = conformal_origins(len(values))
        model = self._model(values[:n_train], exog[:n_train], seed)
        n_ahead = ConformalScores.steps_for(len(values) - n_train)
        forecasts = model.paths_from(values, exog, ends, n_ahead)[:, : self._n_columns]
        return ConformalScores.measure(forecasts, values[:, : self._n_columns], ends)

    def _advance(self, values, exog, refit):
        model, memory = self._fit_model, self._fit_memory
        values, exog = self._with_past(values, exog)
        moved, tables, targets, predicted = model.advance(memory, values, exog)
        if refit:
            self._fit_model = model.learning(memory, tables)
        self._fit_memory = moved
        if model.horizon == 1:
            # errors of rows that the weights had not seen: as honest as those of the fit
            errors = np.concatenate([self._fit_errors, targets - predicted])
            self._fit_errors = errors[-_MOST_ERRORS:].copy()
        residuals = model.errors_after(memory, values, predicted)[:, : self._n_columns]
        residuals = np.concatenate([self._fit_residuals, residuals])
        self._fit_residuals = residuals[-_MOST_ERRORS:].copy()

    def _restart(self, values, exog, first):
        # the errors kept are labelled as the last rows, so they must be those of these rows
        fitted = self._one_step(values, exog, first)
        self._fit_residuals = (values[len(values) - len(fitted) :] - fitted)[-_MOST_ERRORS:].copy()
        values, exog = self._with_past(values, exog)
        self._fit_memory = self._fit_model.start(values, exog, first)
        self._fit_model = copy.copy(self._fit_model)

    # -------------------------------------------------------------- forecasting

    def _point(self, n_steps, exog):
        points, scaled = self._fit_model.paths(self._fit_memory, n_steps, exog)
        self._warn_if_bounded(scaled[:, : self._n_columns, 0])
        return points[:, : self._n_columns, 0]

    def _warn_if_bounded(self, scaled):
        low, high = (bound[: self._n_columns] for bound in self._fit_memory.bounds)
        held = ((scaled <= low) | (scaled >= high)) & (low < high)
        if held.any():
            step, column = np.argwhere(held)[0]
            warnings.warn(
                f"Forecast leaves the training range of {self._fit_form.labels[column]!r} (after "
                f"transforms) by 1x its span at step {step + 1} and is held there.",
                ForecastDivergenceWarning,
                stacklevel=4,
            )

    def _paths(self, n_steps, exog, n_paths, rng):
        innovations = self._innovations(n_steps, n_paths, rng)
        paths = self._fit_model.paths(self._fit_memory, n_steps, exog, innovations)[0]
        return paths[:, : self._n_columns]

    def _innovations(self, n_steps, n_paths, rng):
        """Errors (n_steps, D, n_paths): of single steps, or of all steps from one origin."""
        horizon = self._fit_model.horizon
        if horizon == 1:
            return draw_innovations(self._fit_errors, n_steps, n_paths, rng)
        errors = self._fit_errors - self._fit_errors.mean(axis=0)
        n_blocks = -(-n_steps // horizon)
        drawn = errors[rng.randint(len(errors), size=(n_paths, n_blocks))]
        drawn = drawn.reshape(n_paths, n_blocks * horizon, -1)
        return np.moveaxis(drawn[:, :n_steps], 0, 2)

    def _bands(self, points, exog, levels, probabilities):
        if self.interval == "conformal":
            return self._fit_scores.bands(points, levels, probabilities)
        wanted = [p for level in levels for p in level_bounds(level)] + list(probabilities)
        paths = self._paths(len(points), exog, self.n_boot, check_generator(self._fit_seed))
        names = [f"{side}-{level:g}" for level in levels for side in ("lo", "hi")]
        names += [f"q-{p:g}" for p in probabilities]
        return dict(zip(names, path_quantiles(paths, wanted)))

    # -------------------------------------------------------------- diagnostics

    def _one_step(self, values, exog, first) -> Any:
        n_columns = values.shape[1]
        values, exog = self._with_past(values, exog)
        return self._fit_model.one_step(values, exog, first)[:, :n_columns]

    def _kept_residuals(self):
        return self._fit_residuals
