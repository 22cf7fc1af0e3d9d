"""The parameters of networks that are trained: what is allowed, and what goes together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from echocast._checks import check_flag, check_jobs, check_number, check_option, refuse
from echocast._saving import ModelFiles

from .._base import _check_leak, _dtype_name
from ._deep_transition import TRANSITIONS
from ._init import INITIALISERS

__all__ = ["RecurrentParameters"]

_SOLVERS = ("adam", "lbfgs", "rmsprop", "sgd")
_SCHEDULES = ("adaptive", "constant", "cosine", "invscaling", "linear")


class RecurrentParameters(ModelFiles, BaseEstimator):
    """Abstract: parameters of the constructor are stored by the final classes."""

    _OUTPUTS: tuple = ("auto", "last", "sequence")

    def _check_params(self, owner: str) -> np.dtype:
        check_option("cell", self.cell, owner, ("gru", "lstm", "relu", "tanh"))
        check_option("output", self.output, owner, self._OUTPUTS)
        check_option("recurrence", self.recurrence, owner, ("hidden", "output"))
        check_option("transition", self.transition, owner, TRANSITIONS)
        check_number("transition_depth", self.transition_depth, owner, low=1, integer=True)
        check_option("solver", self.solver, owner, _SOLVERS)
        check_option("learning_rate", self.learning_rate, owner, _SCHEDULES)
        check_option("layout", self.layout, owner, ("auto", "windows"))
        for name in ("bidirectional", "include_input", "early_stopping", "nesterovs_momentum",
                     "shuffle", "warm_start"):  # fmt: skip
            check_flag(name, getattr(self, name), owner)
        check_number("verbose", int(self.verbose) if isinstance(self.verbose, bool) else
                     self.verbose, owner, low=0, integer=True)  # fmt: skip
        self._check_numbers(owner)
        check_jobs(self.n_jobs, owner)
        check_option("dtype", _dtype_name(self.dtype), owner, ("float32", "float64"))
        if isinstance(self.weight_init, str):
            check_option("weight_init", self.weight_init, owner, (*INITIALISERS, "reservoir"))
        elif isinstance(self.weight_init, type) or not (
            isinstance(self.weight_init, dict) or hasattr(self.weight_init, "fit")
        ):
            rule = "the name of an initialisation, a dict of weights or an ESNRegressor"
            refuse("weight_init", owner, rule, self.weight_init)
        self._check_combinations(owner)
        return np.dtype(_dtype_name(self.dtype))

    def _check_numbers(self, owner):
        sizes = self._sizes()
        for size in sizes or [None]:
            if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
                refuse("hidden_layer_sizes", owner, "an int >= 1 or a tuple of such",
                       self.hidden_layer_sizes)  # fmt: skip
        self._check_leak(owner, sizes)
        check_number("learning_rate_init", self.learning_rate_init, owner, low=0, closed="neither")
        for name in ("tol", "alpha", "weight_decay"):
            check_number(name, getattr(self, name), owner, low=0, closed="left")
        for name in ("dropout", "recurrent_dropout", "momentum"):
            check_number(name, getattr(self, name), owner, low=0, high=1, closed="left")
        for name in ("batch_size", "n_iter_no_change", "max_fun"):
            check_number(name, getattr(self, name), owner, low=1, integer=True)
        for name in ("max_iter", "washout"):
            check_number(name, getattr(self, name), owner, low=0, integer=True)
        for name in ("max_norm", "clip_value"):
            check_number(name, getattr(self, name), owner, low=0, closed="neither", also=(None,))
        check_number("validation_fraction", self.validation_fraction, owner, low=0, high=1,
                     closed="neither")  # fmt: skip
        check_number("bptt_steps", self.bptt_steps, owner, low=1, integer=True,
                     also=(None, "auto"))  # fmt: skip

    def _check_leak(self, owner, sizes):
        if isinstance(self.leak_rate, (list, tuple, np.ndarray)) and len(set(sizes)) > 1:
            rule = "a float in (0, 1]: layers of different widths cannot share an array"
            refuse("leak_rate", owner, rule, self.leak_rate)
        _check_leak(self.leak_rate, sizes[0], owner)

    def _check_combinations(self, owner):
        many = len(self._sizes()) > 1
        gated = self.cell in ("gru", "lstm")
        if self.recurrence == "output" and (gated or many or self.bidirectional):
            raise ValueError(
                "recurrence='output' is one layer of cell='tanh' or 'relu' in one direction; "
                f"got cell={self.cell!r}, hidden_layer_sizes={self.hidden_layer_sizes!r}, "
                f"bidirectional={self.bidirectional}."
            )
        if self.transition != "stacked":
            self._check_deep(gated)
        unused = {"leak_rate": 1.0, "dropout": 0.0, "recurrent_dropout": 0.0, "h0": "zeros"}
        for name, value in unused.items() if self.recurrence == "output" else ():
            if not np.array_equal(getattr(self, name), value):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is for recurrence='hidden': a network with "
                    f"recurrence='output' has no state of its own. Use {name}={value!r}."
                )
        if gated and np.any(np.asarray(self.leak_rate) != 1):
            raise ValueError(
                f"leak_rate={self.leak_rate!r} is for cell='tanh' and 'relu'; cell={self.cell!r} "
                "has gates of its own. Use leak_rate=1.0."
            )
        if self.bidirectional and not isinstance(self.bptt_steps, str | None):
            raise ValueError(
                "bidirectional=True reads whole sequences; use bptt_steps=None, or cut them."
            )
        if self._is_fed() and self.bidirectional:
            raise ValueError(
                "A bidirectional network cannot be trained on its own outputs: it needs all "
                "inputs first. Use teacher_forcing=1.0."
            )
        if self.solver == "lbfgs" and self.early_stopping:
            raise ValueError(
                "early_stopping=True judges epochs of 'adam', 'sgd' or 'rmsprop'; "
                "solver='lbfgs' ends by `tol` and `max_iter`. Use early_stopping=False."
            )
        draws = self.dropout or self.recurrent_dropout or self._is_fed()
        if self.solver == "lbfgs" and draws:
            raise ValueError(
                "solver='lbfgs' needs a loss without chance: use dropout=0, recurrent_dropout=0 "
                "and teacher_forcing=1.0, or solver='adam'."
            )

    def _check_deep(self, gated):
        """What an MLP from state to state can be combined with."""
        leaky = np.any(np.asarray(self.leak_rate) != 1)
        if gated or leaky or self.recurrence == "output":
            raise ValueError(
                f"transition={self.transition!r} makes plain layers deeper: it needs cell='tanh' "
                "or 'relu', leak_rate=1.0 and recurrence='hidden'; got "
                f"cell={self.cell!r}, leak_rate={self.leak_rate!r}, "
                f"recurrence={self.recurrence!r}. Use transition='stacked' for others."
            )

    def _is_fed(self) -> bool:
        """Whether training shows the network its own outputs."""
        forcing = getattr(self, "teacher_forcing", 1.0)
        return callable(forcing) or isinstance(forcing, str) or forcing != 1.0

    def _forcing(self) -> Any:
        """The schedule of true outputs, under the names of `_schedules`."""
        forcing = getattr(self, "teacher_forcing", 1.0)
        return "linear" if isinstance(forcing, str) and forcing == "scheduled" else forcing

    def _sizes(self) -> tuple:
        sizes = self.hidden_layer_sizes
        many = isinstance(sizes, (list, tuple)) or (isinstance(sizes, np.ndarray) and sizes.ndim)
        return tuple(sizes) if many else (sizes,)
