"""What a forecaster does with a panel: one fitted member for each series does the work."""

from __future__ import annotations

import copy
import numbers
import zlib
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone

from echocast._checks import check_generator, check_option

from ._index import read_axis
from ._naming import named, plain
from ._panel import Panel, is_panel, read_static, split_panel

__all__ = [
    "apply_panel",
    "check_pooling",
    "fit_panel",
    "fitted_panel",
    "predict_panel",
    "residuals_panel",
    "sample_panel",
    "score_panel",
    "update_panel",
]


def check_pooling(self: Any, y: Any, static: Any) -> None:
    """Refuse what a forecaster cannot pool, and static columns without pooling."""
    pooling = getattr(self, "pooling", "local")
    check_option("pooling", pooling, self._owner, ("local", "global"))
    if static is not None and not (pooling == "global" and is_panel(y)):
        raise ValueError(
            "`static` columns tell series of a panel apart, which is of use to one model for all "
            "of them: give y a (series, time) index and set pooling='global'."
        )


# -------------------------------------------------------------------------- fit


def fit_panel(self: Any, y: Any, X: Any, static: Any) -> None:
    """Fit to each series of `y`, or one model to all, and set `members_`."""
    panel = split_panel(y)
    panel = panel.completed(self.freq or panel.freq, self.missing)
    exogs = panel.exog(X)
    members = _blank_members(self, panel)
    if getattr(self, "pooling", "local") == "global":
        _fit_pool(self, panel, members, exogs, static)
    else:
        jobs = zip(members, panel.ids, panel.parts, exogs)
        members = _parallel(self, (delayed(_fit_member)(*job) for job in jobs), len(members))
    self._fit_panel_ids, self._fit_panel_names = panel.ids, panel.names
    self.members_ = dict(zip(panel.ids, members))
    self._fit_form = members[0]._fit_form
    self.season_length_ = members[0].season_length_
    self.n_steps_seen_ = sum(m.n_steps_seen_ for m in members)


def _blank_members(self, panel):
    """One unfitted copy for each series, all with one seed: no series depends on the others."""
    seed = self.random_state
    if not isinstance(seed, numbers.Integral):
        seed = int(check_generator(seed).randint(2**31 - 1))
    freq = self.freq if self.freq is not None else panel.freq
    members = [clone(self) for _ in panel.ids]
    for member in members:
        member.random_state, member.freq = seed, freq
    self._fit_seed = int(check_generator(seed).randint(2**31 - 1))
    return members


def _parallel(self, jobs, n_jobs_at_most):
    n_jobs = getattr(self, "n_jobs", None)
    if n_jobs in (None, 1) or n_jobs_at_most == 1:
        return [function(*args, **kwargs) for function, args, kwargs in jobs]
    return Parallel(n_jobs=n_jobs)(jobs)


def _fit_member(member, label, y, X):
    with named(label):
        return member.fit(y, X)


def _fit_pool(self, panel, members, exogs, static):
    longest = max(panel.parts, key=len)
    self._settle_calendar(read_axis(longest.index, freq=members[0].freq))
    targets, known = [], []
    for member, label, part, X in zip(members, panel.ids, panel.parts, exogs):
        member._fit_calendar = self._fit_calendar
        with named(label):
            target, exog = member._read_first(part, X)
        _refuse_other_columns(member, members[0], label)
        member._fit_seed = self._fit_seed
        targets.append(target)
        known.append(exog)
    rows = None
    if static is not None:
        rows = read_static(static, panel.ids)
        self._fit_static_columns = tuple(static.columns)
        for member, row in zip(members, rows):
            member._fit_static = row
    self._learn_pool(members, [target.values for target in targets], known, rows)
    for member, target in zip(members, targets):
        member._finish(target)


def _refuse_other_columns(member, first, label):
    if member._fit_exog != first._fit_exog:
        raise ValueError(
            f"Series {plain(label)!r} has the exogenous columns {list(member._fit_exog.columns)}, "
            f"the first series {list(first._fit_exog.columns)}."
        )


# --------------------------------------------------------------------- forecast


def _fitted_panel(self) -> Panel:
    """The series of fit, without data."""
    return Panel(self._fit_panel_ids, [None] * len(self.members_), self._fit_panel_names)


def _futures(self, horizon, X):
    """The series to forecast, and (steps, index, exogenous rows) of each."""
    panel, horizons = _fitted_panel(self), [horizon] * len(self.members_)
    if isinstance(horizon, pd.MultiIndex):
        wanted = split_panel(pd.Series(0, index=horizon), "horizon")
        panel = _fitted_panel(self).choose(_places(self, wanted.ids, "horizon"))
        horizons = [part.index for part in wanted.parts]
    members = [self.members_[label] for label in panel.ids]
    futures = []
    for label, member, steps, exog in zip(panel.ids, members, horizons, panel.exog(X)):
        with named(label):
            futures.append(member._read_future(steps, exog))
    return panel, members, futures


def _order_of(horizon):
    """Where the rows of a (series, time) horizon stand among results, which go series by series."""
    if not isinstance(horizon, pd.MultiIndex):
        return slice(None)
    by_series = np.argsort(pd.factorize(horizon.codes[0])[0], kind="stable")
    return np.argsort(by_series)


def _places(self, ids, what):
    places = self._fit_panel_ids.get_indexer(ids)
    if (places < 0).any():
        label = plain(ids[int(np.argmin(places))])
        raise ValueError(f"`{what}` holds series {label!r}, unknown to fit.")
    return places


def predict_panel(self: Any, horizon: Any, X: Any, levels: list, probabilities: list) -> Any:
    """`predict` for a panel."""
    panel, members, futures = _futures(self, horizon, X)
    points: list = [None] * len(members)
    lengths = np.array([steps[-1] for steps, _, _ in futures])
    for n_steps in np.unique(lengths):
        chosen = np.flatnonzero(lengths == n_steps)
        exogs = [futures[i][2] for i in chosen]
        for i, values in zip(
            chosen, self._pool_points([members[i] for i in chosen], int(n_steps), exogs)
        ):
            points[i] = values
    fields = []
    for label, member, values, (steps, _, exog) in zip(panel.ids, members, points, futures):
        mine = {"forecast": values}
        if levels or probabilities:
            with named(label):
                mine.update(member._bands(values, exog, levels, probabilities))
        fields.append({name: value[steps - 1] for name, value in mine.items()})
    order = _order_of(horizon)
    index = panel.stack([index for _, index, _ in futures])[order]
    whole = {name: np.concatenate([mine[name] for mine in fields])[order] for name in fields[0]}
    if levels or probabilities:
        return self._fit_form.fields(whole, index)
    return self._fit_form.points(whole["forecast"], index)


def sample_panel(self: Any, horizon: Any, X: Any, n_samples: int, random_state: Any) -> Any:
    """`sample` for a panel; the draws of a series depend on its label, not on its place."""
    panel, members, futures = _futures(self, horizon, X)
    source = self._fit_seed if random_state is None else random_state
    seed = int(check_generator(source).randint(2**31 - 1))
    paths = []
    for label, member, (steps, _, exog) in zip(panel.ids, members, futures):
        rng = np.random.RandomState([seed, zlib.crc32(repr(label).encode())])
        with named(label):
            paths.append(member._paths(int(steps[-1]), exog, n_samples, rng)[steps - 1])
    order = _order_of(horizon)
    index = panel.stack([index for _, index, _ in futures])[order]
    return self._fit_form.samples(np.concatenate(paths)[order], index)


# ----------------------------------------------------------------- later rows


def _known_panel(self, y) -> Panel:
    """A panel of series that fit knew."""
    if not is_panel(y):
        raise TypeError(
            "`y` must have a (series, time) index, as in fit. (The forecaster of one series is "
            f"members_[label].) Found {type(y)}."
        )
    panel = split_panel(y)
    _places(self, panel.ids, "y")
    return panel


def update_panel(self: Any, y: Any, X: Any, refit: bool) -> None:
    """`update` for a panel, on a shadow of the forecaster; series may be left out."""
    panel = _known_panel(self, y)
    self.members_ = {label: copy.copy(member) for label, member in self.members_.items()}
    members = [self.members_[label] for label in panel.ids]
    targets, exogs = [], []
    for label, member, part, x in zip(panel.ids, members, panel.parts, panel.exog(X)):
        with named(label):
            targets.append(member._read_next(part))
            exogs.append(member._read_exog(x, targets[-1].index, blank=targets[-1].blank))
    self._advance_pool(members, [target.values for target in targets], exogs, refit)
    for member, target in zip(members, targets):
        member._move_to(target)
    self.n_steps_seen_ = self.n_steps_seen_ + sum(len(target) for target in targets)


def apply_panel(self: Any, y: Any, X: Any, static: Any) -> Any:
    """`apply` for a panel; one model for all series takes series that are new to it too."""
    pooled = getattr(self, "pooling", "local") == "global"
    if not pooled:
        panel = _known_panel(self, y)
    elif is_panel(y):
        panel = split_panel(y)
    else:
        return _known_panel(self, y)  # which refuses it
    other = copy.copy(self)
    members = [self.members_.get(label) for label in panel.ids]
    if static is not None or hasattr(self, "_fit_static_columns"):
        members = _with_static(self, panel, members, static)
    template = next(iter(self.members_.values()))
    fitted = []
    for label, member, part, x in zip(panel.ids, members, panel.parts, panel.exog(X)):
        with named(label):
            fitted.append((_for_new(template) if member is None else member).apply(part, x))
            fitted[-1]._fit_is_new = False  # from here on its transforms stay
    other.members_ = dict(zip(panel.ids, fitted))
    other._fit_panel_ids, other._fit_panel_names = panel.ids, panel.names
    other.n_steps_seen_ = sum(member.n_steps_seen_ for member in fitted)
    return other


def _with_static(self, panel, members, static):
    """Members that know the static columns of their series."""
    columns = getattr(self, "_fit_static_columns", None)
    if columns is None:
        raise ValueError("Forecaster was fitted without static columns; static must be None.")
    if static is None:
        unknown = [label for label, member in zip(panel.ids, members) if member is None]
        if unknown:
            raise ValueError(f"Series {plain(unknown[0])!r} is new: pass its static columns.")
        return members
    rows = read_static(static, panel.ids, columns)
    template = next(iter(self.members_.values()))
    out = []
    for member, row in zip(members, rows):
        out.append(_for_new(template) if member is None else copy.copy(member))
        out[-1]._fit_static = row
    return out


def _for_new(template):
    """A member for a series that fit has not seen, which `_restart` may tell from the others."""
    member = copy.copy(template)
    member._fit_is_new = True
    return member


# ------------------------------------------------------------------ diagnostics


def fitted_panel(self: Any, y: Any, X: Any) -> Any:
    """`fitted_values` for a panel."""
    panel = _known_panel(self, y)
    parts = []
    for label, part, x in zip(panel.ids, panel.parts, panel.exog(X)):
        with named(label):
            parts.append(self.members_[label].fitted_values(part, x))
    values = np.concatenate([part.to_numpy().reshape(len(part), -1) for part in parts])
    return self._fit_form.points(values, panel.stack([part.index for part in parts]))


def residuals_panel(self: Any) -> Any:
    """`residuals` for a panel."""
    parts = [member.residuals() for member in self.members_.values()]
    n_columns = self._fit_form.n_columns  # of no rows it cannot be told
    values = np.concatenate([part.to_numpy().reshape(-1, n_columns) for part in parts])
    index = _fitted_panel(self).stack([part.index for part in parts])
    return self._fit_form.points(values, index)


def score_panel(self: Any, y: Any, X: Any, metric: Any) -> float:
    """`score` for a panel: the mean over its series."""
    panel = _known_panel(self, y)
    scores = []
    for label, part, x in zip(panel.ids, panel.parts, panel.exog(X)):
        with named(label):
            scores.append(self.members_[label].score(part, x, metric=metric))
    return float(np.mean(scores))
