"""Every public estimator of sequences, small, with the data that it takes."""

import numpy as np

from echocast import reservoir

SHORT = {"max_iter": 2, "random_state": 0}
NETWORK = {"hidden_layer_sizes": 4, **SHORT}
RNG = np.random.RandomState(0)
NUMBERS = [RNG.rand(n, 2) for n in (7, 5, 6)]
BITS = {"X": [(x > 0.5).astype(float) for x in NUMBERS], "y": [(x > 0.7) * 1.0 for x in NUMBERS]}
TEXTS = {"X": ["abcab", "bca", "cabb"]}
TREES = [(op, a, b) for op in ("and", "or") for a in "TF" for b in "TF"]
ROOTS = [True, False, False, False, True, True, True, False]

# name -> (parameters, arguments of check_sequence_estimator) of one or several instances
CASES = {
    "AdaptiveComputationRNN": [({"n_units": 4, **SHORT}, BITS)],
    "CharRNN": [({**NETWORK, "embedding_size": 3, "bptt_steps": 10}, TEXTS)],
    "DeepESNRegressor": [({"n_layers": 2, "n_units": 8}, {})],
    "ESNClassifier": [
        ({"n_units": 10}, {}),
        ({"n_units": 10, "features": "model_space", "bidirectional": True}, {}),
    ],
    "ESNRegressor": [
        ({"n_units": 10, "washout": 3}, {}),
        ({"n_units": 10, "feedback_scaling": 0.2}, {}),
        ({"n_units": 10, "dtype": "float32", "topology": "shift", "n_jobs": 2}, {}),
    ],
    "LocalESNRegressor": [({"n_units": 8}, {})],
    "MarkovChain": [({"order": 2}, TEXTS)],
    "NVARRegressor": [({}, {})],
    "NeuralTuringMachine": [({"n_units": 4, "memory_shape": (3, 3), **SHORT}, BITS)],
    "RNNClassifier": [(NETWORK, {})],
    "RNNRegressor": [
        (NETWORK, {}),
        ({**NETWORK, "cell": "lstm", "bidirectional": True}, {}),
        ({**NETWORK, "layout": "windows"}, {}),
        ({**NETWORK, "recurrence": "output"}, {}),
    ],
    "RecursiveClassifier": [
        ({"n_units": 4, "embedding_size": 4, **SHORT}, {"X": TREES, "y": ROOTS, "causal": False})
    ],
    "ReservoirTransformer": [({"n_units": 10}, {})],
    "SelfAttentionClassifier": [({"n_units": 4, "n_blocks": 1, **SHORT}, {})],
    "SelfAttentionRegressor": [({"n_units": 4, "n_blocks": 1, "causal": True, **SHORT}, {})],
    "Seq2SeqRegressor": [(NETWORK, {"X": NUMBERS, "y": RNG.randn(3, 2), "causal": False})],
    "Seq2SeqTransducer": [
        (
            {**NETWORK, "embedding_size": 3},
            {"X": ["abc", "ba", "ac"], "y": ["A", "BB", "C"], "causal": False},
        )
    ],
    "SequenceScaler": [({}, {})],
    "WindowESNRegressor": [({"n_units": 8}, {})],
    # Outputs of two updates are small beside what is added up in them, which float32 rounds.
    "WindowRNNRegressor": [({**NETWORK, "dtype": "float64"}, {})],
}
# What cannot be looked at for an estimator lies in its nature; whatever else is left out is not.
SEQUENCES = {"causality", "chunks", "boundaries", "transform"}


# Rows of these have no order, or they choose among estimators of sequences.
OTHERS = {"ESNSearchCV", "FORCEReadout", "LMSReadout", "RLSReadout"}


def public_estimators():
    """Names of the public classes of `echocast.reservoir` that can be fitted."""
    return {
        name
        for name in reservoir.__all__
        if name not in OTHERS
        and hasattr(getattr(reservoir, name), "fit")
        and hasattr(getattr(reservoir, name), "get_params")
    }


def instances():
    """(label, estimator, arguments) of all cases."""
    for name, cases in CASES.items():
        for k, (parameters, arguments) in enumerate(cases):
            made = getattr(reservoir, name)(**parameters)
            yield f"{name} {k}" if k else name, made, arguments
