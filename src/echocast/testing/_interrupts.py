"""Fits that are stopped at any line: the model must be the former or the new one, to the bit."""

from __future__ import annotations

import copy
import dis
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from ._same import difference

__all__ = ["InterruptReport", "check_transactional", "interrupted", "roots_of"]


@dataclass(frozen=True)
class InterruptReport:
    """What became of a model whose method was stopped at many of its lines.

    Attributes
    ----------
    name : str
        What was checked.
    n_lines : int
        Lines that the method runs, in the folders looked at.
    n_points : int
        Lines at which it was stopped.
    n_old, n_new : int
        How often the model was the former one afterwards, and how often the new one.
    """

    name: str
    n_lines: int
    n_points: int
    n_old: int
    n_new: int

    def __str__(self) -> str:
        return (
            f"{self.name}: stopped at {self.n_points} of {self.n_lines} lines, "
            f"{self.n_old} former and {self.n_new} new models"
        )


class _Stop:
    """A trace function that counts lines below some folders and raises at the n-th."""

    def __init__(self, n: int | None, roots: Sequence[str]):
        self.n, self.roots, self.seen, self.raised = n, tuple(roots), 0, False
        self._known: dict[str, bool] = {}

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in self._known:
            self._known[name] = name.startswith(self.roots)
        if not self._known[name]:
            return None
        if event == "line" and not self._leaves_with(frame):
            self.seen += 1
            if self.seen == self.n:
                self.raised = True
                raise KeyboardInterrupt
        return self

    def _leaves_with(self, frame):
        """Whether what comes next is the call of `__exit__` at the end of a `with` block.

        Python lets no signal in between the block and that call, and an error raised there would
        leave locks behind that Ctrl-C cannot.
        """
        return frame.f_lasti in _with_exits(frame.f_code)

    def run(self, call: Callable[[], Any]) -> None:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            if not self.raised:  # somebody's Ctrl-C, and not ours
                raise
        finally:
            sys.settrace(before)


@functools.cache
def _with_exits(code) -> set[int]:
    """Offsets from which a code object calls `__exit__(None, None, None)` and does nothing else."""
    found: set[int] = set()
    steps = list(dis.get_instructions(code))
    for k in range(len(steps) - 3):
        nones = all(s.opname == "LOAD_CONST" and s.argval is None for s in steps[k : k + 3])
        if nones and steps[k + 3].opname in ("PRECALL", "CALL"):
            found.add(steps[k].offset)
            before = k - 1  # a value to return is moved out of the way first
            while before >= 0 and steps[before].opname in ("NOP", "SWAP"):
                found.add(steps[before].offset)
                before -= 1
    return found


def interrupted(call: Callable[[], Any], n: int | None, roots: Sequence[str]) -> tuple[bool, int]:
    """Run a function and raise KeyboardInterrupt at the n-th line below some folders.

    Returns whether that line was reached, and how many lines were run.
    """
    stop = _Stop(n, roots)
    stop.run(call)
    return stop.raised, stop.seen


def roots_of(model: Any) -> list[str]:
    """Folders of this package and of the one that a model's class comes from."""
    names = ("echocast.reservoir", "echocast.forecasting", "echocast.datasets")
    folders = {str(Path(importlib.import_module(n).__file__ or "").parent) + os.sep for n in names}
    for kind in type(model).__mro__:
        top = sys.modules.get(kind.__module__.split(".")[0])
        path = Path(getattr(top, "__file__", None) or "")
        if kind.__module__.startswith(("builtins", "sklearn.", "echocast.")):
            continue
        if path.name == "__init__.py":
            folders.add(str(path.parent) + os.sep)
        methods = [m for m in vars(kind).values() if inspect.isfunction(m)]
        folders |= {m.__code__.co_filename for m in methods}
    return sorted(folders)


def check_transactional(
    model: Any,
    method: Callable[[Any], Any],
    outputs: Callable[[Any], Any],
    *,
    n_points: int | None = 40,
    random_state: int = 0,
) -> InterruptReport:
    """Stop a method at many of its lines; the model must be the former or the new one after that.

    Each line of Python in the method's package is a place where Ctrl-C, or an error such as
    `MemoryError`, may end it. After each the outputs are compared to the last bit with those of
    the model before and after the whole method, and the method is run again.

    Parameters
    ----------
    model : estimator or forecaster
        Fitted; each trial works on a copy of it, and it is not changed itself.
    method : callable
        Called with the copy; for example ``lambda m: m.fit(X, y)``.
    outputs : callable
        Called with a fitted copy; returns what it predicts: arrays, frames, or lists or dicts of
        such.
    n_points : int or None, default=40
        Lines at which the method is stopped, spread over all of them; the first and the last few
        are among them. None stops at each.
    random_state : int, default=0
        Draws where within its share of the lines each point lies.

    Returns
    -------
    InterruptReport

    Raises
    ------
    AssertionError
        If the outputs are neither those of the former nor those of the new model, fail, or cannot
        be had again by running the method to its end.

    Notes
    -----
    A method that runs on data alone (as `fit`) must give the new model again when it is repeated;
    one that goes on from where the model stands (as `partial_fit`) must do so from the former one.

    Examples
    --------
    >>> import numpy as np
    >>> from echocast.reservoir import ESNRegressor
    >>> from echocast.testing import check_transactional
    >>> u = np.sin(0.3 * np.arange(80))[:, None]
    >>> esn = ESNRegressor(10, random_state=0).fit(u[:40], u[:40])
    >>> report = check_transactional(
    ...     esn, lambda m: m.fit(u[:-1], u[1:]), lambda m: m.predict(u), n_points=10
    ... )
    >>> 8 <= report.n_points <= 12 and report.n_old > 0
    True
    """
    name, roots = type(model).__name__, roots_of(model)
    old = outputs(model)
    whole = copy.deepcopy(model)
    method(whole)  # once without counting, so that what is made at the first use alone is there
    new = outputs(whole)
    counted = copy.deepcopy(model)
    _, n_lines = interrupted(lambda: method(counted), None, roots)
    if not n_lines:
        raise ValueError(f"{name} runs no line of Python below {', '.join(roots)}.")
    points = _points(n_lines, n_points, np.random.RandomState(random_state))
    n_old = n_new = 0
    for point in points:
        victim = copy.deepcopy(model)
        if not interrupted(lambda: method(victim), point, roots)[0]:  # noqa: B023
            continue  # a run may be a few lines shorter than the one that was counted
        where = f"{name} stopped at line {point} of {n_lines}"
        got = _attempt(lambda: outputs(victim), f"{where} cannot be used")  # noqa: B023
        differs = difference(old, got)
        if not differs:
            n_old += 1
            _attempt(lambda: method(victim), f"{where} cannot go on")  # noqa: B023
            again = difference(new, outputs(victim))
            if again:
                raise AssertionError(f"{where} gives another model when it goes on: {again}.")
        elif not difference(new, got):
            n_new += 1
        else:
            raise AssertionError(f"{where} is neither the former nor the new model: {differs}.")
    return InterruptReport(name, n_lines, n_old + n_new, n_old, n_new)


def _attempt(function, sentence):
    try:
        return function()
    except Exception as error:
        raise AssertionError(f"{sentence}: {type(error).__name__}: {error}") from error


def _points(n_lines, n_points, rng) -> list[int]:
    """Lines spread over all of them, with the first one and the last few, where results go."""
    if n_points is None or n_points >= n_lines:
        return list(range(1, n_lines + 1))
    last = range(max(1, n_lines - min(4, n_points // 4)), n_lines + 1)
    edges = np.linspace(1, n_lines, max(n_points - len(last), 1) + 1)
    drawn = [int(rng.uniform(a, b)) for a, b in pairwise(edges)]
    return sorted({1, *drawn, *last})
