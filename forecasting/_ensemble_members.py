"""The members of an ensemble: by name, unfitted, and in the form in which they take y and X."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone

from echocast._checks import refuse

from ._base import BaseForecaster

__all__ = ["Members", "in_forecaster"]


class Members(BaseForecaster):
    """Abstract: a forecaster that hands y and X on to `forecasters`, as a user would.

    Its subclass stores `forecasters` and `n_jobs`.
    """

    forecasters: Any
    n_jobs: int | None

    # --------------------------------------------------------------- parameters

    def get_params(self, deep: bool = True) -> dict:
        """Parameters, with those of the members under their names.

        Parameters
        ----------
        deep : bool, default=True
            Whether members, and their parameters, are included.

        Returns
        -------
        dict
        """
        params = super().get_params(deep=False)
        if deep and isinstance(self.forecasters, (list, tuple)):
            for name, forecaster in self._named():
                params[name] = forecaster
                if hasattr(forecaster, "get_params") and not isinstance(forecaster, type):
                    nested = forecaster.get_params(deep=True).items()
                    params.update((f"{name}__{key}", value) for key, value in nested)
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, members (by name) and parameters of members.

        Parameters
        ----------
        **params
            Such as ``method="median"``, ``esn=ESNForecaster()`` or ``esn__n_units=50``.

        Returns
        -------
        self
        """
        if "forecasters" in params:
            self.forecasters = params.pop("forecasters")
        for name, _ in self._named() if isinstance(self.forecasters, (list, tuple)) else ():
            if name in params:
                self._replace(name, params.pop(name))
        return super().set_params(**params)

    def _replace(self, name, forecaster):
        """Put another member in the place of one, without changing the list that was given."""
        changed = []
        for (known, _), given in zip(self._named(), self.forecasters):
            new = (name, forecaster) if isinstance(given, tuple) else forecaster
            changed.append(new if known == name else given)
        self.forecasters = changed

    def _named(self):
        """Pairs (name, forecaster); the names of all are settled by the list alone."""
        pairs = [f if isinstance(f, tuple) and len(f) == 2 else (None, f) for f in self.forecasters]
        kinds = [type(f).__name__.lower() for name, f in pairs if name is None]
        counts: dict[str, int] = {}
        named = []
        for name, forecaster in pairs:
            if name is None:
                kind = type(forecaster).__name__.lower()
                counts[kind] = counts.get(kind, 0) + 1
                name = kind if kinds.count(kind) == 1 else f"{kind}-{counts[kind]}"
            named.append((name, forecaster))
        return named

    def _check_members(self):
        owner = self._owner
        rule = "a non-empty list of forecasters, or of pairs (name, forecaster)"
        if not isinstance(self.forecasters, (list, tuple)) or not len(self.forecasters):
            refuse("forecasters", owner, rule, self.forecasters)
        own = set(super().get_params(deep=False))
        names = [name for name, _ in self._named()]
        for name, forecaster in self._named():
            if hasattr(forecaster, "space"):
                raise TypeError(
                    f"{name!r} of `forecasters` is a search, which members cannot be: it would "
                    "choose anew in each of their fits. Search over the ensemble instead, with "
                    "parameters such as 'NAME__n_units', or pass clone(search.best_forecaster_)."
                )
            if not isinstance(forecaster, BaseForecaster):
                refuse("forecasters", owner, rule, self.forecasters)
            if not isinstance(name, str) or "__" in name or name in own or names.count(name) > 1:
                raise ValueError(
                    f"Names of forecasters must be different strings without '__' and no "
                    f"parameters of {owner}. Got {name!r}."
                )

    # ------------------------------------------------ arrays to the members' form

    def _as_given(self, values, exog, index):
        """y and X as a user would hand them over; X includes past-only columns, if there."""
        return self._fit_form.points(values, index), self._exog_as_given(exog, index)

    def _exog_as_given(self, exog, index):
        columns = list(self._fit_exog.columns)[: exog.shape[1]]
        if not columns:
            return None
        if self._fit_form.kind.startswith("array"):  # whose columns are known by their order
            return exog[:, np.argsort(columns)]
        return pd.DataFrame(exog, index=index, columns=columns)

    def _exog_for(self, member, X):
        """X without the past-only columns that a member does not name: it would ask for them."""
        if X is None or not self._n_past:
            return X
        named = getattr(member, "past_columns", None) or ()
        dropped = [c for c in self._fit_exog.columns[-self._n_past :] if c not in named]
        if isinstance(X, pd.DataFrame):
            X = X.drop(columns=dropped)
        elif named and dropped:
            raise ValueError(
                f"`past_columns` of {type(member).__name__} are {list(named)} and lack {dropped} "
                f"of {self._owner}. The columns of an array have no names, so a member must name "
                "all of them or none."
            )
        else:
            X = np.delete(X, dropped, axis=1)
        return X if X.shape[1] else None

    def _labels(self, first, n_steps):
        """Labels of rows whose first has a position counted from the first row of fit."""
        axis, n_before = self._fit_axis, self._fit_position - first + 1
        if n_before < 1:
            return axis.after(n_steps - n_before)[-n_steps:]
        before = axis.until_last(n_before)
        if n_steps <= n_before:
            return before[:n_steps]
        return before.append(axis.after(n_steps - n_before))

    # ------------------------------------------------------------------ fitting

    def _blank(self, seed):
        """Unfitted clones, seeded where they have no seed."""
        rng, blank = np.random.RandomState(seed), []
        for _, forecaster in self._named():
            member = clone(forecaster)
            own = int(rng.randint(2**31 - 1))
            if getattr(member, "random_state", 0) is None:
                member.set_params(random_state=own)
            if getattr(member, "freq", 0) is None and self._fit_axis.kind == "datetime":
                member.set_params(freq=self._fit_axis.freq)
            blank.append(member)
        return blank

    def _fitted(self, y, X, seed, static=None):
        jobs = []
        for (name, _), member in zip(self._named(), self._blank(seed)):
            pools = static is not None and getattr(member, "pooling", "local") == "global"
            jobs.append((name, member, y, self._exog_for(member, X), static if pools else None))
        if self.n_jobs in (None, 1) or len(jobs) == 1:
            return [_fit(*job) for job in jobs]
        return Parallel(n_jobs=self.n_jobs)(delayed(_fit)(*job) for job in jobs)

    def _applied(self, member, y, X):
        """A fitted member with another history, perhaps of a series that is new to its pool."""
        member, pools = copy.copy(member), getattr(member, "pooling", "local") == "global"
        if self._fit_is_new and not pools:
            raise ValueError(
                f"The series was not in the fit, and {type(member).__name__} has one model for "
                "each that was. Every member needs pooling='global' to take new series."
            )
        member._fit_is_new = self._fit_is_new
        if pools and hasattr(self, "_fit_static"):
            member._fit_static = self._fit_static
        member = member.apply(y, self._exog_for(member, X))
        member._fit_is_new = False  # from here on its transforms stay
        return member


def _fit(name, member, y, X, static):
    with in_forecaster(name):
        return member.fit(y, X) if static is None else member.fit(y, X, static=static)


@contextmanager
def in_forecaster(name: str) -> Iterator[None]:
    """Say in an error which of the forecasters it is from."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if type(error) not in (ValueError, TypeError):  # others build their own text
            error.add_note(f"in forecaster {name!r}")
            raise
        raise type(error)(f"Forecaster {name!r}: {error}") from error
