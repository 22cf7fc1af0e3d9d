"""Some more training of a fitted network, on sequences that start from given states."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from ._objective import Objective
from ._reading import read_sequences
from ._train import Trained, train

__all__ = ["continue_training"]

_EPOCHS = 5
_SHARE = 0.1  # of the learning rate: the rows are few, and what was learnt before is to stay


def continue_training(rnn: Any, X: Any, y: Any, states: Any, sample_weight: Any) -> Any:
    """A copy of `rnn` after a few epochs on sequences that go on from `states` (n, n_states)."""
    other = copy.copy(rnn)
    dtype = rnn._fit_network.dtype
    sequences = read_sequences(other, X, reset=False, dtype=dtype)
    data = other._read_training(X, y, sequences, sample_weight, fresh=False)
    states = np.asarray(states, dtype=dtype).reshape(sequences.layout.n_sequences, -1)
    options = replace(
        other._options(sequences, constant=True),
        solver="adam" if rnn.solver == "lbfgs" else rnn.solver,
        learning_rate_init=_SHARE * rnn.learning_rate_init,
        bptt_steps=None,
    )
    trained = train(
        Objective(rnn._fit_network, other._head(), data, alpha=rnn.alpha),
        Trained(rnn.theta_),
        options,
        np.random.RandomState(0),
        n_epochs=_EPOCHS,
        first_states=states,
    )
    other.theta_ = trained.theta
    other._fit_trained = replace(rnn._fit_trained, theta=trained.theta)
    return other
