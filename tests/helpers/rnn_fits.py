"""Data and small trained networks that the tests of the trainable estimators share."""

import numpy as np

from echocast.reservoir import RNNClassifier, RNNRegressor

SMALL = {"hidden_layer_sizes": 6, "max_iter": 2, "random_state": 0, "dtype": "float64"}

# Every kind of network, as parameters.
NETWORKS = {
    "tanh": {"cell": "tanh"},
    "relu": {"cell": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "leaky": {"cell": "tanh", "leak_rate": 0.3},
    "leaks": {"cell": "relu", "leak_rate": np.linspace(0.2, 1, 6)},
    "stacked": {"cell": "gru", "hidden_layer_sizes": (5, 4, 3)},
    "bidirectional": {"cell": "lstm", "bidirectional": True},
    "stacked both ways": {"cell": "gru", "hidden_layer_sizes": (4, 3), "bidirectional": True},
    "with inputs": {"cell": "tanh", "include_input": True},
    "learned h0": {"cell": "lstm", "h0": "learned"},
    "given h0": {"cell": "tanh", "h0": np.linspace(-1, 1, 6)},
    "deep": {"transition": "deep", "transition_depth": 3},
    "deep with a skip": {"transition": "deep_skip", "hidden_layer_sizes": (5, 4)},
    "deep both ways": {"transition": "deep", "cell": "relu", "bidirectional": True},
    "by output": {"cell": "tanh", "recurrence": "output"},
}
CAUSAL = [name for name, params in NETWORKS.items() if not params.get("bidirectional")]
STATEFUL = [name for name in CAUSAL if name != "by output"]


def waves(n=60, n_features=2, seed=0):
    """Smooth columns of about unit size."""
    rng = np.random.RandomState(seed)
    t = np.arange(n)[:, None]
    phases = rng.uniform(0, 6, (1, n_features))
    return np.sin(0.3 * t * (1 + 0.4 * np.arange(n_features)) + phases) + 0.05 * rng.randn(
        n, n_features
    )


def ragged(lengths=(30, 17, 23, 9), n_features=2):
    return [waves(n, n_features, seed) for seed, n in enumerate(lengths)]


def regressor(**params):
    return RNNRegressor(**{**SMALL, **params})


def classifier(**params):
    return RNNClassifier(**{**SMALL, **params})


def fitted(name, **params):
    """A network of the given kind, trained a little on ragged sequences."""
    data = ragged()
    return regressor(**{**NETWORKS[name], **params}).fit(
        [u[:-1] for u in data], [u[1:, :1] for u in data]
    )


def deep_state(value):
    """Every attribute, array and number of an object, comparable."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    if isinstance(value, dict):
        return {key: deep_state(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [deep_state(part) for part in value]
    if isinstance(value, np.random.RandomState):
        return deep_state(value.get_state())
    if hasattr(value, "__dict__") and not callable(value):
        return {key: deep_state(part) for key, part in vars(value).items()}
    return repr(value)
