"""Candidates of a search: grids, draws, rounds of halving, and proposals from optuna."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler

from echocast._checks import check_generator

__all__ = ["Proposals", "check_space", "draw_candidates", "halving_rounds", "list_candidates"]

_FACTOR = 3  # of candidates that halving drops, and of windows it adds, from round to round


def check_space(space: Any, forecaster: Any, owner: str) -> list[dict]:
    """The parts of a search space, refusing what no candidate could be made of.

    Raises
    ------
    TypeError
        If `space` is no dict or list of dicts, or a value neither a list nor a distribution.
    ValueError
        If it is empty, or names a parameter that the forecaster does not have.
    """
    parts = [space] if isinstance(space, Mapping) else space
    if not isinstance(parts, (list, tuple)) or not all(isinstance(p, Mapping) for p in parts):
        raise TypeError(f"`space` of {owner} must be a dict or a list of dicts, got {space!r}.")
    if not parts or not all(parts):
        raise ValueError(
            f"`space` of {owner} is empty; give at least one parameter and its values."
        )
    known = forecaster.get_params(deep=False)
    heads = {name.split("__")[0] for name in forecaster.get_params()}  # members of ensembles too
    for part in parts:
        for name, values in part.items():
            if str(name).split("__")[0] not in heads:
                raise ValueError(
                    f"`space` names {name!r}, which is no parameter of "
                    f"{type(forecaster).__name__}; it has {sorted(known)}."
                )
            _check_values(name, values)
    return [dict(part) for part in parts]


def _check_values(name, values):
    if hasattr(values, "rvs") or _is_optuna(values):
        return
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(
            f"`space` must give a list of values or a distribution for {name!r}, got {values!r}. "
            f"For a single value write [{values!r}]."
        )
    if len(values) == 0:
        raise ValueError(f"`space` has no values for {name!r}.")


def _is_optuna(values):
    return type(values).__module__.startswith("optuna.")


def _are_lists(parts):
    return all(isinstance(v, (Sequence, np.ndarray)) for part in parts for v in part.values())


def list_candidates(parts: list[dict], method: str) -> list[dict]:
    """Every combination of the values.

    Raises
    ------
    TypeError
        If a value is a distribution, which has no end.
    """
    if not _are_lists(parts):
        raise TypeError(
            f"method={method!r} needs a list of values for each parameter; distributions are for "
            "method='random', 'halving' or 'optuna'."
        )
    return list(ParameterGrid(parts))


def draw_candidates(parts: list[dict], n_iter: int, random_state: Any) -> list[dict]:
    """`n_iter` combinations drawn at random; from lists alone without repeating one."""
    for part in parts:
        for name, values in part.items():
            if _is_optuna(values):
                raise TypeError(
                    f"`space` has an optuna distribution for {name!r}, which method='optuna' alone "
                    "can draw from."
                )
    if _are_lists(parts):
        n_iter = min(n_iter, len(ParameterGrid(parts)))
    return list(ParameterSampler(parts, n_iter, random_state=check_generator(random_state)))


def halving_rounds(n_candidates: int, n_windows: int) -> list[tuple[int, int]]:
    """(candidates, windows) of each round: a third of the former go on, over thrice the latter.

    The last round has all windows; there are as many rounds before as both numbers allow.

    Examples
    --------
    >>> halving_rounds(20, 9)
    [(20, 1), (7, 3), (3, 9)]
    >>> halving_rounds(2, 9), halving_rounds(20, 2)
    ([(2, 3), (1, 9)], [(20, 2)])
    """
    by_windows = math.floor(math.log(n_windows, _FACTOR) + 1e-9)
    by_candidates = math.ceil(math.log(n_candidates, _FACTOR) - 1e-9)
    last = min(by_windows, by_candidates)
    return [
        (math.ceil(n_candidates / _FACTOR**r), math.ceil(n_windows / _FACTOR ** (last - r)))
        for r in range(last + 1)
    ]


class Proposals:
    """Candidates that optuna proposes in the light of the scores it has been told.

    Distributions of scipy are drawn through their quantile function, so that optuna searches
    shares of probability; lists are choices without order.

    Parameters
    ----------
    parts : list of dict
    random_state : see `check_generator`
    """

    def __init__(self, parts: list[dict], random_state: Any):
        try:
            optuna = importlib.import_module("optuna")
        except ImportError as error:
            raise ImportError(
                "method='optuna' needs optuna: python -m pip install 'echocast[tune]'"
            ) from error
        seed = int(check_generator(random_state).randint(2**31 - 1))
        self._parts = parts
        self._failed = optuna.trial.TrialState.FAIL
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it reports each study it creates
        try:
            sampler = optuna.samplers.TPESampler(seed=seed)
            self.study = optuna.create_study(direction="minimize", sampler=sampler)
        finally:
            optuna.logging.set_verbosity(verbosity)

    def ask(self, n_candidates: int) -> Iterator[tuple[Any, dict]]:
        """Trials and the candidates they stand for."""
        for _ in range(n_candidates):
            trial = self.study.ask()
            k = 0
            if len(self._parts) > 1:
                k = trial.suggest_categorical("part", list(range(len(self._parts))))
            yield (
                trial,
                {
                    name: self._suggest(trial, f"{k}:{name}", values)
                    for name, values in self._parts[k].items()
                },
            )

    def tell(self, trial: Any, score: float) -> None:
        """Report the score of a trial; NaN says that it failed."""
        if math.isfinite(score):
            self.study.tell(trial, float(score))
        else:
            self.study.tell(trial, state=self._failed)

    def _suggest(self, trial, name, values):
        kind = type(values).__name__
        if hasattr(values, "rvs"):
            drawn = values.ppf(trial.suggest_float(name, 0.0, 1.0 - 1e-9))
            is_whole = hasattr(values, "pmf") or hasattr(getattr(values, "dist", None), "pmf")
            return int(drawn) if is_whole else float(drawn)
        if not _is_optuna(values):  # by position: choices may be any objects
            return values[trial.suggest_categorical(name, list(range(len(values))))]
        if kind == "CategoricalDistribution":
            return trial.suggest_categorical(name, values.choices)
        bounds = {"step": values.step, "log": values.log}
        if kind == "IntDistribution":
            return trial.suggest_int(name, values.low, values.high, **bounds)
        return trial.suggest_float(name, values.low, values.high, **bounds)
