"""What each parameter may be, declared by name, and values that probe it."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["PROBES", "is_allowed", "is_costly", "is_declared"]

# name -> value; tried for every parameter of every public class
PROBES: dict[str, Any] = {
    "an object": object(),
    "a dict": {"a": 1},
    "NaN": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "a negative int": -1,
    "a negative float": -0.5,
    "zero": 0,
    "a half": 0.5,
    "a huge int": 10**12,
    "a huge float": 1e300,
    "True": True,
    "a string": "nonsense",
    "None": None,
    "complex": 1j,
}

# kind -> probes that a parameter of this kind takes
_KINDS: dict[str, set[str]] = {
    "option": set(),
    "flag": {"True"},
    "int >= 1": {"a huge int"},
    "int >= 0": {"a huge int", "zero"},
    "float": {"a half", "a negative float", "a negative int", "zero", "a huge int", "a huge float"},
    "float > 0": {"a half", "a huge int", "a huge float"},
    "float >= 0": {"a half", "a huge int", "a huge float", "zero"},
    "(0, 1]": {"a half"},
    "(0, 1)": {"a half"},
    "[0, 1)": {"a half", "zero"},
    "[0, 1]": {"a half", "zero"},
    "seed": {"zero", "None"},
    "jobs": {"None", "a negative int"},
    "free": set(PROBES),  # labels, functions or objects of any kind: refused by what they are for
}

# name, or class and name, -> kind and further probes that it takes
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "activation": ("option",),
    "alpha": ("float >= 0",),
    "attention": ("option", "None"),
    "batch_size": ("int >= 1",),
    "beam_size": ("int >= 1",),
    "bias_scaling": ("float >= 0",),
    "bidirectional": ("flag",),
    "boundary": ("option",),
    "bptt_steps": ("int >= 1", "None"),
    "calendar": ("free",),
    "causal": ("flag",),
    "cell": ("option",),
    "clip_value": ("float > 0", "None"),
    "connectivity": ("(0, 1]", "a huge int"),
    "context": ("int >= 1",),
    "controller": ("option",),
    "cv": ("int >= 1", "a dict"),
    "degree": ("int >= 1",),
    "delays": ("int >= 1",),
    "deterministic": ("flag",),
    "dropout": ("[0, 1)",),
    "dtype": ("option",),
    "early_stopping": ("flag",),
    "embedding_size": ("int >= 1",),
    "end_of_sequence": ("option", "None"),
    "end_symbol": ("free",),
    "epsilon": ("(0, 1)",),
    "error_score": ("free",),
    "features": ("option",),
    "feedback_scaling": ("float >= 0",),
    "fit_intercept": ("flag",),
    "fourier": ("free",),
    "forecaster": ("free",),
    "forecasters": ("free",),
    "freq": ("free",),
    "group_size": ("int >= 1",),
    "h0": ("free",),
    "halt_bias": ("float",),
    "hidden_layer_sizes": ("int >= 1",),
    "holdout": ("int >= 1", "None"),
    "horizon": ("int >= 1", "None"),
    "ForecastSearchCV.horizon": ("int >= 1",),
    "include_input": ("flag",),
    "increments": ("flag",),
    "input_connectivity": ("(0, 1]", "a huge int"),
    "input_scaling": ("float >= 0",),
    "input_weights": ("option",),
    "inter_connectivity": ("(0, 1]", "a huge int"),
    "inter_scaling": ("float >= 0",),
    "interval": ("option",),
    "kind": ("option",),
    "lags": ("int >= 1", "None"),
    "layout": ("option",),
    "leak_rate": ("(0, 1]",),
    "learning_rate": ("option",),
    "learning_rate_init": ("float > 0",),
    "loss": ("option",),
    "max_fun": ("int >= 1",),
    "max_iter": ("int >= 0",),
    "max_length": ("int >= 1", "None"),
    "max_norm": ("float > 0", "None"),
    "max_order": ("int >= 0",),
    "max_ponder": ("int >= 1",),
    "max_shift": ("int >= 0",),
    "memory_shape": ("option",),
    "method": ("option",),
    "metric": ("free",),
    "min_count": ("int >= 1",),
    "missing": ("option",),
    "model_alpha": ("float > 0",),
    "momentum": ("[0, 1]",),
    "n_blocks": ("int >= 1",),
    "n_boot": ("int >= 1",),
    "n_components": ("int >= 1", "None"),
    "n_heads": ("int >= 1",),
    "n_hidden": ("int >= 1", "None"),
    "n_iter": ("int >= 1",),
    "n_iter_no_change": ("int >= 1",),
    "n_jobs": ("jobs",),
    "n_layers": ("int >= 1",),
    "n_members": ("int >= 1",),
    "n_read_heads": ("int >= 1",),
    "n_symbols": ("int >= 1", "None"),
    "n_units": ("int >= 1",),
    "n_variables": ("int >= 1",),
    "n_window_features": ("int >= 1", "None"),
    "n_windows": ("int >= 1",),
    "n_write_heads": ("int >= 1",),
    "nesterovs_momentum": ("flag",),
    "noise": ("float >= 0",),
    "order": ("int >= 0",),
    "output": ("option",),
    "overlap": ("int >= 0",),
    "past_columns": ("option", "None"),
    "ponder_cost": ("float >= 0",),
    "pooling": ("option",),
    "positions": ("option", "None"),
    "predict_state": ("option",),
    "quantile": ("(0, 1)",),
    "random_state": ("seed",),
    "readout": ("free",),
    "recurrence": ("option",),
    "recurrent_dropout": ("[0, 1)",),
    "refit": ("flag",),
    "regressor": ("free",),
    "season_length": ("int >= 1",),
    "shared": ("flag",),
    "shuffle": ("flag",),
    "solver": ("option",),
    "space": ("free",),
    "spectral_radius": ("float >= 0", "None"),
    "start": ("option",),
    "strategy": ("option",),
    "stride": ("int >= 1",),
    "target": ("option",),
    "target_vocabulary": ("free",),
    "teacher_forcing": ("[0, 1]",),
    "time_chunks": ("int >= 1", "None"),
    "tol": ("float >= 0",),
    "topology": ("option",),
    "transforms": ("option", "None"),
    "transition": ("option",),
    "transition_depth": ("int >= 1",),
    "validation_fraction": ("(0, 1)",),
    "verbose": ("flag", "zero", "a huge int"),
    "vocabulary": ("free",),
    "warm_start": ("flag",),
    "washout": ("int >= 0",),
    "weight_decay": ("float >= 0",),
    "weight_init": ("option",),
    "weights": ("free",),
    "window_order": ("option",),
    "with_mean": ("flag",),
    "with_std": ("flag",),
}
# Steps of training with which a network is what was asked for, and of no use.
_STEPS = {"learning_rate_init": {"a huge int", "a huge float"}}
# Sizes, which as a huge int mean more memory than there is, or a fit without end.
_SIZES = {
    "batch_size", "beam_size", "bptt_steps", "context", "degree", "delays", "embedding_size",
    "group_size", "hidden_layer_sizes", "holdout", "horizon", "lags", "max_fun", "max_iter",
    "max_length", "max_order", "max_ponder", "max_shift", "n_blocks", "n_boot", "n_heads",
    "n_hidden", "n_iter", "cv", "overlap", "n_jobs",
    "n_layers", "n_members", "n_read_heads", "n_symbols",
    "n_units", "n_variables", "n_windows", "n_write_heads", "order", "season_length", "stride",
    "transition_depth",
}  # fmt: skip


def is_declared(owner: str, parameter: str) -> bool:
    """Whether it is known what a parameter takes; tests ask for it."""
    return parameter in _PARAMETERS or f"{owner}.{parameter}" in _PARAMETERS


def is_allowed(owner: str, parameter: str, probe: str) -> bool:
    """Whether a parameter takes a probe."""
    own = _PARAMETERS.get(f"{owner}.{parameter}")
    kind, *more = own or _PARAMETERS.get(parameter, ("free",))
    return probe in _KINDS[kind] or probe in more


def is_costly(parameter: str, probe: str) -> bool:
    """Whether a probe asks for more memory or time than a trial may take."""
    if probe in _STEPS.get(parameter, ()):
        return True
    return probe == "a huge int" and parameter in _SIZES
