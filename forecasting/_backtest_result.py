"""What a backtest found: tidy frames, and scores by origin, series, variable or step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from echocast._checks import refuse, stack_level
from echocast.exceptions import EchocastWarning

from ._frames import Target, fill
from ._metrics import coverage, mae, resolve_metric, rmse
from ._windows import Window

__all__ = ["BacktestResult", "Origin", "Part", "assemble"]

_KEYS = ("series", "cutoff", "variable")
_SECONDS = ("fit_seconds", "predict_seconds")
_SCALED = ("mase", "rmsse")
_GROUPS = ("cutoff", "series", "step", "time", "variable")


@dataclass(frozen=True, repr=False)
class BacktestResult:
    """Forecasts and scores from rolling origins.

    Attributes
    ----------
    forecasts : DataFrame
        One row for each origin, variable and step: ``cutoff`` (last label trained on),
        ``time``, ``step`` (counted from the cutoff), ``y``, ``forecast`` and for each level
        ``lo-80``, ``hi-80``, ...; with several variables also ``variable``, for a panel
        ``series`` in front.
    scores : DataFrame
        One row for each origin (and series and variable): ``cutoff``, the metrics,
        ``coverage-80``, ... for each level (a share from 0 to 1), and ``fit_seconds`` and
        ``predict_seconds``.
    settings : dict
        How the windows were made: horizon, step, window, gap, refit, X_future, season_length,
        metrics, level, missing; ``scaler`` ("refit" or "first_window") and ``path`` ("fast",
        "loop" or "mixed"), as it was done; for a panel ``align`` and ``pooling``.
    skipped : DataFrame
        ``series``, ``cutoff`` and ``reason`` of the windows of a panel that could not be made.
    scales : DataFrame
        For each row of `scores` the denominators of MASE and RMSSE, from its training rows.
    used_for_search : Index
        Cutoffs of windows that a search has chosen settings on; see `marked`.
    """

    forecasts: pd.DataFrame
    scores: pd.DataFrame
    settings: dict = field(default_factory=dict)
    skipped: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["series", "cutoff", "reason"])
    )
    scales: pd.DataFrame = field(default_factory=pd.DataFrame)
    used_for_search: pd.Index = field(default_factory=lambda: pd.Index([]))

    def __repr__(self) -> str:
        means = self.summary().drop(list(_SECONDS))
        shown = ", ".join(f"{name} {mean:.3g}" for name, mean in means.items())
        windows = self.scores["cutoff"].nunique()
        steps = self.settings.get("horizon", self.forecasts["step"].nunique())
        series = f" of {self.scores['series'].nunique()} series" if "series" in self.scores else ""
        searched = int(self.scores["cutoff"].drop_duplicates().isin(self.used_for_search).sum())
        mark = f", {searched} used for a search" if searched else ""
        return f"BacktestResult({windows} windows{series} of {steps} steps{mark}; means: {shown})"

    def summary(self) -> pd.Series:
        """Mean of each score over origins, series and variables; the times are summed.

        Returns
        -------
        Series
        """
        scores = self.scores.drop(columns=list(_KEYS), errors="ignore")
        summary = scores.mean()
        keys = [key for key in ("series", "cutoff") if key in self.scores]
        once = self.scores.drop_duplicates(keys)  # a window's time stands in each variable
        for name in _SECONDS:
            summary[name] = once[name].sum()
        return summary.rename("backtest")

    def scores_by(self, by: str | Sequence[str] = "step") -> pd.DataFrame:
        """The same metrics over other groups of forecasts, such as those of one step.

        Parameters
        ----------
        by : {"step", "time", "cutoff", "series", "variable"} or list of such, default="step"
            The forecasts that agree in these make a group.

        Returns
        -------
        DataFrame
            Indexed by `by`: the metrics and coverages of all forecasts of a group together, and
            their number, ``n``. Scaled errors are divided by the scale of their own training
            part; those that have none are left out of the scaled metrics.

        Examples
        --------
        >>> from echocast.datasets import load_sunspots
        >>> from echocast.forecasting import NaiveForecaster, backtest
        >>> result = backtest(NaiveForecaster(), load_sunspots(), horizon=3, metrics="mae")
        >>> result.scores_by("step")["mae"].round(1).tolist()
        [23.8, 39.3, 48.5]
        """
        keys = [by] if isinstance(by, str) else list(by)
        frame = self.forecasts
        if not keys or any(key not in _GROUPS or key not in frame for key in keys):
            known = [key for key in _GROUPS if key in frame]
            refuse("by", "scores_by", f"one or several of {known}", by)
        frame = frame[frame["y"].notna()]
        if not self.scales.empty:
            frame = frame.merge(self.scales, on=[key for key in _KEYS if key in self.scales])
        metrics, levels = _resolved(self.settings["metrics"]), self.settings["level"]
        labels, rows = [], []
        for key, group in frame.groupby(keys, sort=True):
            labels.append(key)
            fields = {name: column.to_numpy() for name, column in group.items()}
            rows.append({"n": len(group)} | _measure(fields, metrics, levels))
        index = pd.MultiIndex.from_tuples(labels, names=keys)
        return pd.DataFrame(rows, index=index if len(keys) > 1 else index.get_level_values(0))

    def marked(self, used: Any) -> BacktestResult:
        """A copy that says which windows a search has chosen settings on.

        Parameters
        ----------
        used : ForecastSearchCV or sequence of labels
            A fitted search marks all windows that score a row which it may have looked at: up to
            its last one. Labels mark the windows with these cutoffs; those that are no cutoff of
            this result are left out.

        Returns
        -------
        BacktestResult
            With `used_for_search`, which its repr shows: scores of such windows are too good.
        """
        mine = pd.Index(self.scores["cutoff"].drop_duplicates())
        if not hasattr(used, "last_scored_"):
            return replace(self, used_for_search=mine[mine.isin(list(used))])
        first = self.forecasts.groupby("cutoff")["time"].min()
        return replace(self, used_for_search=mine[first.loc[mine] <= used.last_scored_])

    def plot(self, ax: Any = None, *, series: Any = None, variable: Any = None) -> Any:
        """Draw the true values with the forecast from each origin, and the error by step.

        Parameters
        ----------
        ax : matplotlib Axes or pair of Axes, optional
            Two for both pictures, one for the forecasts alone; a new figure by default.
        series, variable : label, optional
            What to draw of several; the first by default.

        Returns
        -------
        BacktestDisplay
        """
        from ._plot_backtest import BacktestDisplay

        return BacktestDisplay.from_predictions(self, series=series, variable=variable, ax=ax)


def _resolved(metrics):
    """Triples (name, function of the true and predicted values, whether errors are scaled)."""
    found = [(*resolve_metric(metric, "backtest"), metric in _SCALED) for metric in metrics]
    return [(name, lambda a, b, f=f: f(a, b, None, 1), scaled) for name, f, scaled in found]


def _measure(fields, metrics, levels) -> dict[str, float]:
    """Scores of some forecasts, all of which have a true value."""
    truth, points = fields["y"], fields["forecast"]
    scores = {}
    for name, function, is_scaled in metrics:
        if is_scaled:
            scores[name] = _scaled_error(name, truth - points, fields[f"{name}_scale"])
        else:
            scores[name] = function(truth, points)
    for v in levels:
        scores[f"coverage-{v:g}"] = coverage(truth, fields[f"lo-{v:g}"], fields[f"hi-{v:g}"])
    return scores


def _scaled_error(name, errors, scales):
    """MASE or RMSSE of the errors whose scale is known; NaN if there are none."""
    known = np.isfinite(scales)
    errors = errors[known] / scales[known]
    if not len(errors):
        return np.nan
    return (mae if name == "mase" else rmse)(np.zeros(len(errors)), errors)


# -------------------------------------------------------------------- assembling


@dataclass(frozen=True)
class Origin:
    """What was forecast from one origin of one series."""

    window: Window
    fields: dict[str, np.ndarray]  # each (n_steps, n_columns), from `window.first` on
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True)
class Part:
    """The origins of one series of a panel, or of all there is."""

    label: Any  # None if y is no panel
    target: Target
    origins: list[Origin]


def assemble(
    parts: Sequence[Part], settings: dict, skipped: Sequence[tuple], *, panel: bool
) -> BacktestResult:
    """Put forecasts of all series and origins into frames and score them.

    Parameters
    ----------
    parts : sequence of Part
    settings : dict
        Of the result; "metrics", "level", "season_length" and "missing" say how to score.
    skipped : sequence of (series, cutoff, reason)
    panel : bool
    """
    parts = [part for part in parts if part.origins]
    forecasts = pd.concat([_forecast_frame(part, panel) for part in parts], ignore_index=True)
    rows = [row for part in parts for row in _score_rows(part, panel, settings)]
    scores = pd.DataFrame([score for score, _ in rows])
    scales = pd.DataFrame([scale for _, scale in rows])
    left_out = pd.DataFrame(list(skipped), columns=["series", "cutoff", "reason"])
    _warn_of_unscaled(scales, settings)
    return BacktestResult(forecasts, scores, settings, left_out, scales)


def _forecast_frame(part, panel):
    """All forecasts of one series: by origin, then variable, then step."""
    labels, index = part.target.form.labels, part.target.index
    windows = [origin.window for origin in part.origins]
    spans = [np.arange(w.first, w.last) for w in windows]
    lengths = np.array([len(span) for span in spans])
    n_columns = len(labels)
    rows = np.concatenate([np.tile(span, n_columns) for span in spans])
    stops = np.repeat([w.stop for w in windows], lengths * n_columns)
    data: dict[str, Any] = {}
    if panel:
        data["series"] = pd.Index([part.label]).repeat(len(rows))
    data["cutoff"] = index.take(stops - 1)
    columns = np.concatenate([np.repeat(np.arange(n_columns), n) for n in lengths])
    if n_columns > 1:
        data["variable"] = pd.Index(labels).take(columns)
    data["time"] = index.take(rows)
    data["step"] = rows - stops + 1
    data["y"] = part.target.values[rows, columns]
    for name in part.origins[0].fields:
        data[name] = np.concatenate([o.fields[name].T.ravel() for o in part.origins])
    return pd.DataFrame(data)


def _score_rows(part, panel, settings):
    """Pairs (scores, scales) for each origin and variable."""
    target, season = part.target, settings["season_length"]
    metrics, levels = _resolved(settings["metrics"]), settings["level"]
    # scales are those of what the forecaster learns from: filled as it fills, or not at all
    fills = np.isnan(target.values).any() and settings["missing"] != "mask"
    for origin in part.origins:
        window, fields = origin.window, origin.fields
        truth = target.values[window.first : window.last]
        train = target.values[window.start : window.stop]
        train = fill(train, settings["missing"]) if fills else train
        for i, label in enumerate(target.form.labels):
            key = {"series": part.label} if panel else {}
            key["cutoff"] = target.index[window.stop - 1]
            if target.form.n_columns > 1:
                key["variable"] = label
            mine = {name: values[:, i] for name, values in fields.items()}
            scales = _scales(train[:, i], season)
            score = _score_steps(truth[:, i], mine, scales, metrics, levels)
            seconds = dict(zip(_SECONDS, (origin.fit_seconds, origin.predict_seconds)))
            yield key | score | seconds, key | scales


def _score_steps(truth, fields, scales, metrics, levels) -> dict[str, float]:
    """Scores of one variable over the steps that were observed."""
    seen = ~np.isnan(truth)
    if not seen.any():
        names = [name for name, *_ in metrics] + [f"coverage-{v:g}" for v in levels]
        return dict.fromkeys(names, np.nan)
    fields = {"y": truth[seen]} | {name: values[seen] for name, values in fields.items()}
    fields |= {name: np.full(len(fields["y"]), scale) for name, scale in scales.items()}
    return _measure(fields, metrics, levels)


def _scales(train, season):
    """Denominators of MASE and RMSSE, from pairs of observed rows; NaN where there are none."""
    changes = train[season:] - train[:-season]
    changes = changes[~np.isnan(changes)]
    if not changes.any():
        return {"mase_scale": np.nan, "rmsse_scale": np.nan}
    return {"mase_scale": np.abs(changes).mean(), "rmsse_scale": np.sqrt((changes**2).mean())}


def _warn_of_unscaled(scales, settings):
    n_unscaled = int(scales["mase_scale"].isna().sum())
    if n_unscaled and any(metric in _SCALED for metric in settings["metrics"]):
        warnings.warn(
            f"The training parts of {n_unscaled} of {len(scales)} rows of `scores` repeat exactly "
            f"after one season ({settings['season_length']} steps) or are not longer than that, so "
            "their scaled errors are NaN. Train on more rows or pass a shorter season_length.",
            EchocastWarning,
            stacklevel=stack_level(),
        )
