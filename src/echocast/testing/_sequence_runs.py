"""All outputs of a fitted estimator, runs in parts, and sequences whose later part is replaced."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from echocast.reservoir import carries_state, run_from

from ._poisons import POISONS

__all__ = ["Runs", "can_carry", "cut", "frozen", "poisoned", "random_parts", "run_in_parts"]

METHODS = ("predict", "predict_proba", "transform")


class Runs:
    """Outputs of a fitted estimator by method: for each sequence, or each row of one array."""

    def __init__(self, model: Any, methods: Any = None):
        self.model = model
        self.methods = [name for name in methods or METHODS if hasattr(model, name)]

    def __call__(self, X: Any) -> dict[str, list]:
        return {name: list(getattr(self.model, name)(X)) for name in self.methods}

    def refusals(self, X: Any) -> dict[str, str]:
        """Methods that this estimator has for other settings alone, and what they say; dropped."""
        found = {}
        for name in self.methods:
            try:
                getattr(self.model, name)(X)
            except (TypeError, ValueError) as error:
                found[name] = str(error)
        if len(found) == len(self.methods):
            raise ValueError(f"Nothing can be predicted: {found or 'no method'}.")
        self.methods = [name for name in self.methods if name not in found]
        return found

    def first(self, X: Any) -> Any:
        """Outputs of the method that gives them first."""
        return getattr(self.model, self.methods[0])(X)

    def stepwise(self, X: Any) -> dict:
        """The outputs that have one row for each step of each sequence."""
        lengths = [len(x) for x in X]
        return {
            name: values
            for name, values in self(X).items()
            if [len(v) if np.ndim(v) else -1 for v in values] == lengths
        }

    @staticmethod
    def attempt(function: Callable[[], Any]) -> Any:
        """The result of a run on replaced rows, or None if these are refused."""
        try:
            return function()
        except (TypeError, ValueError, ArithmeticError):
            return None


def cut(outputs: dict, step: int) -> dict:
    """The outputs of the first steps."""
    return {name: [v[:step] for v in values] for name, values in outputs.items()}


def poisoned(sequence: Any, step: int) -> dict[str, Any]:
    """Copies whose items from a step on are replaced: numbers by others, the rest reversed."""
    if isinstance(sequence, np.ndarray) and sequence.dtype.kind in "fiu":
        made = {}
        for how in ("huge", "permuted", "negated"):
            made[how] = sequence.astype(np.float64)
            made[how][step:] = POISONS[how](made[how][step:])
        return made
    if isinstance(sequence, str):
        return {"reversed": sequence[:step] + sequence[step:][::-1]}
    if isinstance(sequence, list):
        return {"reversed": [*sequence[:step], *sequence[step:][::-1]]}
    return {}


def frozen(data: Any) -> Any:
    """A copy whose arrays are read-only."""
    if isinstance(data, (list, tuple)):
        return type(data)(frozen(item) for item in data)
    data = copy.deepcopy(data)
    if isinstance(data, np.ndarray):
        data.flags.writeable = False
    return data


def can_carry(model: Any) -> bool:
    """Whether an estimator of this package can be run from a state."""
    if carries_state(model):
        return True
    resets = hasattr(model, "state_") and hasattr(model, "_initial_states")
    return resets and not hasattr(model, "predict")  # the outputs are the states


def random_parts(sequence: Any, rng: np.random.RandomState) -> list:
    """A sequence in two to four parts, none of them empty."""
    n = len(sequence)
    cuts = np.sort(rng.choice(np.arange(1, n), min(3, n - 1), replace=False))[: rng.randint(1, 4)]
    return [sequence[a:b] for a, b in zip([0, *cuts], [*cuts, n])]


def run_in_parts(model: Any, parts: list, carry: Any) -> np.ndarray:
    """Outputs of all parts, each run from the state that the one before it ended with."""
    outputs: list = []
    state = None
    for part in parts:
        if carry is not None:
            found, state = carry(model, part, state)
        elif carries_state(model):
            found, state = run_from(model, part[None], state)
            found = found[0]
        else:  # states are the outputs, and the last of them is where it goes on
            given = {} if state is None else {"initial_state": state}
            found = model.transform(part, **given)
            state = found[-1]
        outputs.append(np.asarray(found))
    return np.concatenate([o.reshape(len(o), -1) for o in outputs])
