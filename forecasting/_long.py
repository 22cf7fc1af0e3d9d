"""Forecasters over long frames, as the libraries of Nixtla write them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from echocast._checks import check_number, refuse, stack_level
from echocast._saving import ModelFiles
from echocast.exceptions import ExtraColumnsWarning

from ._base import BaseForecaster, transaction
from ._levels import read_levels
from ._long_frames import LongSpec, LongTable, plain_ids, read_freq, read_long, sort_rows
from ._long_kinds import take_frame
from ._long_windows import cut_windows

__all__ = ["LongForecaster"]

_OWNER = "LongForecaster"


class LongForecaster(ModelFiles, BaseEstimator):
    """Fit forecasters to a long frame and forecast into one, with the columns of Nixtla.

    A long frame has one row for each series and time, in the columns `unique_id`, `ds` and `y`.
    What comes out has the columns ``unique_id, ds, <model>, <model>-lo-90, <model>-hi-90`` (and
    ``cutoff, y`` after cross-validation), so that the losses, `evaluate` and `plot_series` of
    utilsforecast work on it unchanged. polars frames come back as polars frames.

    Parameters
    ----------
    models : forecaster, list of forecasters or dict of name -> forecaster
        Such as `ESNForecaster` or `NaiveForecaster`. In a list each is called after its class,
        a second one of the class with a 2 behind, and so on. They are copied, never changed.
    freq : str, offset or int
        Distance of two rows: a pandas frequency for dates, an int for integer times. Handed
        to the models that have no `freq` of their own.

    Attributes
    ----------
    models_ : dict of name -> forecaster
        The fitted models. Those with pooling="local" hold one member for each series, those with
        pooling="global" are one model of all.

    Notes
    -----
    Columns of the frame beside the three are, when named in `static_features`, constants of a
    series, which models with pooling="global" learn from; when named in `past_features`,
    values that are known up to the cutoff alone; and else dynamic columns that must be known
    ahead: `X_df` brings them for the steps to forecast. Models that can make no use of a
    column, as `AutoESNForecaster` of any, do without it.

    Series are sorted by `id_col` and time. A series depends neither on the order of the rows nor,
    with local models, on the other series.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from echocast.forecasting import LongForecaster, NaiveForecaster
    >>> days = pd.date_range("2024-01-01", periods=4, freq="D")
    >>> df = pd.DataFrame({"unique_id": "a", "ds": days, "y": [1.0, 2.0, 3.0, 4.0]})
    >>> nixtla = LongForecaster([NaiveForecaster("drift")], freq="D").fit(df)
    >>> nixtla.predict(2)
      unique_id         ds  NaiveForecaster
    0         a 2024-01-05              5.0
    1         a 2024-01-06              6.0
    """

    def __init__(self, models: Any, freq: Any):
        self.models = models
        self.freq = freq

    # ------------------------------------------------------------------ fitting

    @transaction
    def fit(
        self,
        df: Any,
        id_col: str = "unique_id",
        time_col: str = "ds",
        target_col: str = "y",
        static_features: list | None = None,
        past_features: list | None = None,
    ) -> Self:
        """Fit every model to all series of a long frame.

        Parameters
        ----------
        df : pandas or polars DataFrame
            One row for each series and time, in any order.
        id_col, time_col, target_col : str
            Columns with the label of the series, the time (dates or integers) and the value.
        static_features : list of str, optional
            Numeric columns that are constant within each series.
        past_features : list of str, optional
            Columns that are not known ahead. Models without a parameter `past_columns` pass
            them over.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a column is missing, a series has a gap or a repeated time (it is named, with
            the first stamp), or a model cannot be fitted to a series.
        """
        frame, kind = take_frame(df, "df")
        spec = self._read_columns(
            frame, id_col, time_col, target_col, static_features, past_features
        )
        table = read_long(frame, spec, read_freq(self.freq))
        self.models_ = self._fit_models(table)
        self._fit_spec, self._fit_kind = spec, kind
        return self

    def _read_columns(self, frame, id_col, time_col, target_col, static, past):
        keys = [id_col, time_col, target_col]
        if len(set(keys)) < 3:
            raise ValueError(f"`id_col`, `time_col` and `target_col` must differ, got {keys}.")
        groups = {"static_features": static or [], "past_features": past or []}
        for name, columns in groups.items():
            if isinstance(columns, str) or not isinstance(columns, list | tuple):
                raise TypeError(f"`{name}` must be a list of column names, got {columns!r}.")
            twice = [c for c in columns if c in keys or list(columns).count(c) > 1]
            if twice:
                raise ValueError(f"`{name}` names {twice[0]!r} twice, or a column with a role.")
        both = [c for c in groups["static_features"] if c in groups["past_features"]]
        if both:
            raise ValueError(f"{both[0]!r} is in `static_features` and in `past_features`.")
        taken = {*keys, *groups["static_features"], *groups["past_features"]}
        known = tuple(c for c in frame.columns if c not in taken)
        return LongSpec(
            id_col,
            time_col,
            target_col,
            tuple(groups["static_features"]),
            known,
            tuple(groups["past_features"]),
        )

    def _fit_models(self, table: LongTable) -> dict[str, BaseForecaster]:
        fitted = {}
        for name, model in self._named_models().items():
            if name in (*table.spec.keys, table.spec.target_col, "cutoff"):
                raise ValueError(f"`models` holds the name {name!r}, which is a column's.")
            model = clone(model)
            params = model.get_params(deep=False)
            if "freq" in params and params["freq"] is None:
                model.set_params(freq=read_freq(self.freq))
            if table.spec.past and "past_columns" in params and params["past_columns"] is None:
                model.set_params(past_columns=list(table.spec.past))
            X, static = _beside(model, table)
            fitted[name] = model.fit(table.target(), X, static=static)
        return fitted

    def _named_models(self) -> dict[str, Any]:
        models = self.models
        if isinstance(models, Mapping):
            named = {str(name): model for name, model in models.items()}
        else:
            named = {}
            for model in models if isinstance(models, list | tuple) else [models]:
                base = name = type(model).__name__
                count = 1
                while name in named:
                    count += 1
                    name = f"{base}{count}"
                named[name] = model
        if not named:
            raise ValueError("`models` is empty; pass at least one forecaster.")
        for name, model in named.items():
            if isinstance(model, type) or not hasattr(model, "fit") or not hasattr(model, "apply"):
                raise TypeError(
                    f"`models` must hold forecasters of echocast.forecasting. Found {model!r}"
                    f" under {name!r}."
                )
        return named

    # -------------------------------------------------------------- forecasting

    def predict(
        self,
        h: int,
        X_df: Any = None,
        level: Any = None,
        new_df: Any = None,
        ids: list | None = None,
    ) -> Any:
        """Forecast the `h` steps after each series' own last row.

        Parameters
        ----------
        h : int
            Number of steps.
        X_df : DataFrame, optional
            The dynamic columns of fit for the series and steps wanted, under the same names.
            Rows are matched by series and time; further rows are ignored.
        level : float or list of float in [1, 100), optional
            Central prediction intervals, in per cent.
        new_df : DataFrame, optional
            Another history to forecast from, with the columns of fit. Series that fit has not
            seen need models with pooling="global".
        ids : list, optional
            The series wanted; None means all.

        Returns
        -------
        DataFrame
            Of the library of `new_df`, or else of the frame that fit was given; series in
            order, and the columns of the intervals from the lowest to the highest bound.
        """
        check_is_fitted(self, "models_")
        check_number("h", h, _OWNER, low=1, integer=True)
        levels = sorted(read_levels(level, _OWNER))
        spec, kind, models = self._fit_spec, self._fit_kind, self.models_
        if new_df is not None:
            table, kind = self._read_more(new_df, "new_df")
            models = {name: _applied(model, table) for name, model in models.items()}
        result = _forecast(models, spec, int(h), self._read_ahead(X_df), levels, ids)
        return kind.restore(result, [(key, key) for key in spec.keys])

    def _read_more(self, df, what):
        """A table in the columns of fit; static ones may be left out."""
        frame, kind = take_frame(df, what)
        spec = self._fit_spec
        if not set(spec.static) <= set(frame.columns):
            spec = replace(spec, static=())
        return read_long(frame, spec, read_freq(self.freq), what), kind

    def _read_ahead(self, X_df):
        """The dynamic columns for the steps ahead, as a panel."""
        spec = self._fit_spec
        if X_df is None:
            if spec.known:
                raise ValueError(
                    f"The models were fitted with the dynamic columns {list(spec.known)}: pass "
                    "`X_df` with their values for the steps to forecast, or name those that are "
                    "not known ahead in `past_features` of fit."
                )
            return None
        frame, _ = take_frame(X_df, "X_df")
        if not spec.known:
            raise ValueError("The models were fitted without dynamic columns; X_df must be None.")
        missing = [c for c in (*spec.keys, *spec.known) if c not in frame.columns]
        if missing:
            raise ValueError(f"Missing columns in `X_df`: {missing}. Got {list(frame.columns)}.")
        roles = {*spec.keys, spec.target_col, *spec.static, *spec.dynamic}
        strange = [c for c in frame.columns if c not in roles]
        if strange:
            warnings.warn(
                f"Ignored columns of `X_df` not seen at fit: {strange}.",
                ExtraColumnsWarning,
                stacklevel=stack_level(),
            )
        frame = sort_rows(frame, spec)
        ids, times = plain_ids(frame[spec.id_col]), frame[spec.time_col]
        index = pd.MultiIndex.from_arrays([ids, times], names=spec.keys)
        return frame[list(spec.known)].set_axis(index, axis=0)

    def update(self, df: Any, refit: bool = False) -> Self:
        """Take in rows that follow the last ones of their series.

        Parameters
        ----------
        df : DataFrame
            In the columns of fit but for the static ones; series may be left out.
        refit : bool, default=False
            Whether the models learn from the rows. If false, their states move on alone.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows of a series do not begin one step after its last one, or fit has not
            seen the series; nothing is changed then.
        """
        check_is_fitted(self, "models_")
        table, _ = self._read_more(df, "df")
        updated = {}
        for name, model in self.models_.items():
            X, _ = _beside(model, table)
            updated[name] = copy.copy(model).update(table.target(), X, refit=refit)
        self.models_ = updated
        return self

    @property
    def cutoffs_(self) -> pd.Series:
        """The last time seen of each series."""
        check_is_fitted(self, "models_")
        cutoffs = next(iter(self.models_.values())).cutoff_
        index = pd.Index(list(cutoffs), name=self._fit_spec.id_col)
        return pd.Series(list(cutoffs.values()), index=index, name="cutoff")

    # --------------------------------------------------------- cross-validation

    def cross_validation(
        self,
        df: Any,
        n_windows: int,
        h: int,
        step_size: int | None = None,
        refit: bool | int = True,
        input_size: int | None = None,
        level: Any = None,
        id_col: str = "unique_id",
        time_col: str = "ds",
        target_col: str = "y",
        static_features: list | None = None,
        past_features: list | None = None,
    ) -> Any:
        """Forecast past windows from the rows before them; the object itself stays as it is.

        Parameters
        ----------
        df : DataFrame
            As in `fit`, like the names of columns.
        n_windows : int
            Number of windows. The last one ends with each series' own last row: where series
            end at different times, so do their windows, and one model of all series then
            learns from rows of some series that are later than the cutoff of others.
        h : int
            Steps of a window.
        step_size : int, optional
            Steps from one window to the next; None means `h`.
        refit : bool or int, default=True
            Whether models are fitted for each window. False fits them for the first one alone,
            an int k for every k-th; other windows are forecast from their own history with
            the weights there are. Series that were too short for the last fit are then left out.
        input_size : int, optional
            Most rows of each series before a cutoff; None means all.
        level : float or list of float in [1, 100), optional
            Central prediction intervals, in per cent.

        Returns
        -------
        DataFrame
            Columns `id_col`, `time_col`, ``cutoff`` (the last stamp before the window),
            `target_col`, and those of `predict`; windows from the oldest to the newest.

        Notes
        -----
        Dynamic columns take their true values within a window, as those of a plan that came true.
        """
        for name, value in {"n_windows": n_windows, "h": h}.items():
            check_number(name, value, _OWNER, low=1, integer=True)
        for name, size in {"step_size": step_size, "input_size": input_size}.items():
            check_number(name, size, _OWNER, low=1, integer=True, also=(None,))
        if not isinstance(refit, bool | np.bool_):
            check_number("refit", refit, _OWNER, low=1, integer=True, also=(True, False))
        levels = sorted(read_levels(level, _OWNER))
        frame, kind = take_frame(df, "df")
        spec = self._read_columns(
            frame, id_col, time_col, target_col, static_features, past_features
        )
        table = read_long(frame, spec, read_freq(self.freq))
        models: dict = {}
        results = []
        for window in cut_windows(table, n_windows, h, step_size or h, input_size):
            if window.number == 0 or (refit and window.number % int(refit) == 0):
                models = self._fit_models(window.train)
                current = models
            else:
                window = window.keep(_seen(models, window.train.ids))
                current = {name: _applied(model, window.train) for name, model in models.items()}
            results.append(_forecast_window(current, window, int(h), levels))
        whole = pd.concat(results, ignore_index=True)
        types = [*((key, key) for key in spec.keys), ("cutoff", time_col), (target_col, target_col)]
        return kind.restore(whole, types)


def _takes_exog(model):
    """Whether a model can make use of columns beside the target; others are spared them."""
    return getattr(model, "_takes_exog", True)


def _beside(model, table):
    """The dynamic and the static columns that a model can make use of."""
    if not _takes_exog(model):
        return None, None
    has_past = "past_columns" in model.get_params(deep=False)
    dynamic = table.spec.dynamic if has_past else list(table.spec.known)
    pooled = getattr(model, "pooling", "local") == "global"
    return table.columns(dynamic), table.static() if pooled else None


def _applied(model, table):
    """A fitted model with the rows of the table as its history."""
    X, static = _beside(model, table)
    return model.apply(table.target(), X, static=static)


def _seen(models, ids):
    """Mask of the series that every model can forecast."""
    seen = np.ones(len(ids), dtype=bool)
    for model in models.values():
        if getattr(model, "pooling", "local") != "global":
            seen &= np.array([label in model.members_ for label in ids])
    return seen


def _forecast(models, spec, h, X, levels, ids):
    """One frame of the forecasts of all models, in the order of series and time."""
    columns: dict = {}
    for name, model in models.items():
        horizon = h if ids is None else _horizon_of(model, ids, h)
        found = model.predict(horizon, X if _takes_exog(model) else None, level=levels or None)
        if not columns:
            for level_number, key in enumerate(spec.keys):
                columns[key] = found.index.get_level_values(level_number)
        if not levels:
            columns[name] = found.to_numpy()
            continue
        columns[name] = found["y"].to_numpy()
        for level in reversed(levels):
            columns[f"{name}-lo-{level:g}"] = found[f"lo-{level:g}"].to_numpy()
        for level in levels:
            columns[f"{name}-hi-{level:g}"] = found[f"hi-{level:g}"].to_numpy()
    return pd.DataFrame(columns)


def _horizon_of(model, ids, h):
    """The steps ahead of some series, in the order of fit."""
    if isinstance(ids, str) or not hasattr(ids, "__iter__"):
        raise TypeError(f"`ids` must be a list of labels of series, got {ids!r}.")
    wanted = list(ids)
    unknown = [label for label in wanted if label not in model.members_]
    if unknown or not wanted:
        refuse("ids", _OWNER, "labels of series that were given", ids)
    chosen = [(k, member) for k, member in model.members_.items() if k in wanted]
    times = [member._fit_axis.after(h) for _, member in chosen]
    labels = pd.Index([label for label, _ in chosen]).repeat(h)
    return pd.MultiIndex.from_arrays([labels, times[0].append(times[1:])])


def _forecast_window(models, window, h, levels):
    """Forecasts of a window beside its cutoffs and true values."""
    spec, valid = window.valid.spec, window.valid
    found = _forecast(models, spec, h, valid.columns(spec.known), levels, None)
    found.insert(2, "cutoff", window.cutoffs().array)
    found.insert(3, spec.target_col, valid.frame[spec.target_col].array)
    return found
