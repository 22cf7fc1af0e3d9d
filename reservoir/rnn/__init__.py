"""Recurrent networks whose weights are all trained: layers, losses, optimisers, estimators."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`reservoir.rnn` is `echocast.reservoir.rnn`; the checkout root should not be on sys.path"
    )

from ._convert import (
    from_keras_weights,
    from_torch_state_dict,
    to_keras_weights,
    to_torch_state_dict,
)

__all__ = [
    "from_keras_weights",
    "from_torch_state_dict",
    "to_keras_weights",
    "to_torch_state_dict",
]
