"""What forecasters on lags share: from the hooks of `BaseForecaster` to a `LaggedModel`."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any

import numpy as np

from echocast._checks import check_generator, check_number, check_option

from ._adaptive import begin_scores
from ._base import BaseForecaster
from ._closed_loop import bands, completed, warn_if_bounded
from ._intervals import ConformalScores, conformal_origins, draw_innovations, joint_draws
from ._lagged import LaggedModel, steps_of
from ._mask import advance_masked, causal, complete, leading_rows, learn_masked

__all__ = ["LaggedForecaster"]

_MOST_ERRORS = 1000


class LaggedForecaster(BaseForecaster):
    """Abstract: transforms, lags and a step model. Subclasses are final.

    They store the parameters `transforms`, `interval` and `n_boot` beside those of the base,
    and define `_model`.
    """

    _masks = True

    @abstractmethod
    def _model(self, values: np.ndarray, exog: np.ndarray, seed: int, known: Any) -> LaggedModel:
        """Fit to rows (n, D), of which the last `_n_past` columns are not asked for.

        `known` says which rows were observed; None: all.
        """

    def _check_params(self):
        check_option("interval", self.interval, self._owner, ("bootstrap", "conformal", "adaptive"))
        check_number("n_boot", self.n_boot, self._owner, low=2, integer=True)

    def _lagged(self, values, exog, **settings) -> LaggedModel:
        """A model with the parameters that all forecasters on lags have."""
        return LaggedModel(
            values,
            exog,
            self.season_length_,
            transforms=self._own_transforms(),
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
        self._fit_lead = lead = leading_rows(values, self._owner)
        values, exog = values[lead:], exog[lead:]
        model, whole = self._learnt(values, exog, seed)
        self._fit_scores = None
        if self.interval in ("adaptive", "conformal"):
            self._fit_scores = self._calibrate(values, exog, seed, model.chain)
        self._keep(model, values, whole, exog)

    def _keep(self, model, values, whole, exog):
        """Remember a model, which saw the rows `whole` in place of `values` with NaN."""
        seen = ~np.isnan(values).any(axis=1)
        self._fit_memory = model.start(whole, exog, 0).observing(seen)
        self._fit_errors, residuals = model.errors(whole, exog, None if seen.all() else seen)
        self._fit_residuals = residuals[:, : self._n_columns].copy()
        self._fit_model = model.lean()

    def _learnt(self, values, exog, seed):
        """A model and the rows it saw, which hold its own predictions in place of NaN."""

        def make(rows, known_columns, known):
            seen = None if known is None else known.all(axis=1)
            return self._model(rows, known_columns, seed, seen)

        return learn_masked(make, values, exog, self.season_length_)

    def _calibrate(self, values, exog, seed, chain):
        """Errors from rolling origins of a model that knows the rows before all of them."""
        n_train, ends = conformal_origins(len(values))
        leading_rows(values[:n_train], self._owner)
        model, _ = self._learnt(values[:n_train], exog[:n_train], seed)
        n_ahead, n_columns = ConformalScores.steps_for(len(values) - n_train), self._n_columns
        whole = complete(model, values, exog, 0, self.season_length_)
        forecasts = model.paths_from(whole, exog, ends, n_ahead)[:, :n_columns]
        truth, bends = values[:, :n_columns], chain.bends(n_columns)
        scores = ConformalScores.measure(forecasts, truth, ends, bends)
        return begin_scores(scores, self.interval)

    def _advance(self, values, exog, refit):
        model, memory = self._fit_model, self._fit_memory
        values, exog = self._with_past(values, exog)
        moved, tables, targets, predicted, whole, _ = advance_masked(model, memory, values, exog)
        seen = ~np.isnan(values).any(axis=1)
        n_before = len(memory.history)
        before = np.ones(n_before, dtype=bool) if memory.observed is None else memory.observed
        since = np.concatenate([before, seen])
        if refit:
            known = None if since.all() else since
            self._fit_model = model.learning(memory, tables, model.weights(known, n_before))
        self._fit_memory = moved.observing(since)
        if model.horizon == 1:
            # errors of rows that the weights had not seen: as honest as those of the fit
            errors = np.concatenate([self._fit_errors, (targets - predicted)[seen]])
            self._fit_errors = errors[-_MOST_ERRORS:].copy()
        residuals = model.errors_after(memory, whole, predicted)
        residuals = np.where(np.isnan(values), np.nan, residuals)[:, : self._n_columns]
        if self.interval == "adaptive":
            truth = values[:, : self._n_columns]
            self._fit_scores = self._fit_scores.after(truth, truth - residuals)
        residuals = np.concatenate([self._fit_residuals, residuals])
        self._fit_residuals = residuals[-_MOST_ERRORS:].copy()

    def _restart(self, values, exog, first):
        # the errors kept are labelled as the last rows, so they must be those of these rows
        fitted = self._one_step(values, exog, first)
        self._fit_residuals = (values[len(values) - len(fitted) :] - fitted)[-_MOST_ERRORS:].copy()
        values, exog, whole, first = completed(self, self._fit_model, values, exog, first)
        seen = ~np.isnan(values).any(axis=1)
        self._fit_memory = self._fit_model.start(whole, exog, first).observing(seen)
        self._fit_model = copy.copy(self._fit_model)

    # -------------------------------------------------------------- forecasting

    def _point(self, n_steps, exog):
        points, scaled = self._fit_model.paths(self._fit_memory, n_steps, exog)
        warn_if_bounded(scaled[:, :, 0], self._fit_memory, self._fit_form.labels)
        return points[:, : self._n_columns, 0]

    def _paths(self, n_steps, exog, n_paths, rng):
        innovations = self._innovations(n_steps, n_paths, rng)
        paths = self._fit_model.paths(self._fit_memory, n_steps, exog, innovations)[0]
        return paths[:, : self._n_columns]

    def _innovations(self, n_steps, n_paths, rng):
        """Errors (n_steps, D, n_paths): of single steps, or of all steps from one origin."""
        if not len(self._fit_errors):
            raise ValueError(
                "Too few rows of `y` were observed for intervals: the error of a forecast is not "
                "known for each step. Use missing='interpolate', or fewer steps in `horizon`."
            )
        horizon = self._fit_model.horizon
        if horizon == 1:
            return draw_innovations(self._fit_errors, n_steps, n_paths, rng)
        return joint_draws(self._fit_errors, horizon, n_steps, n_paths, rng)

    def _bands(self, points, exog, levels, probabilities):
        return bands(self, points, exog, levels, probabilities)

    # -------------------------------------------------------------- diagnostics

    def _one_step(self, values, exog, first) -> Any:
        n_columns = values.shape[1]
        _, exog, whole, first = completed(self, self._fit_model, values, exog, first)
        return causal(self._fit_model.one_step(whole, exog, first)[:, :n_columns], values)

    def _kept_residuals(self):
        return self._fit_residuals
