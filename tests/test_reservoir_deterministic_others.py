"""`deterministic=True` of the estimators beside `ESNRegressor` and `DeepESNRegressor`."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from echocast.exceptions import InvalidParameterError
from echocast.reservoir import (
    ESNClassifier,
    LocalESNRegressor,
    NVARRegressor,
    ReservoirTransformer,
    WindowESNRegressor,
)

U = np.random.RandomState(0).standard_normal((2000, 3))
WINDOWS = np.lib.stride_tricks.sliding_window_view(U[:, 0], 12).copy()
CASES = [
    (LocalESNRegressor(150, random_state=0, deterministic=True), U, U),
    (NVARRegressor(8, deterministic=True), U, U[:, 0]),
    (ReservoirTransformer(300, random_state=0, deterministic=True), U, None),
    (
        ESNClassifier(150, features="model_space", random_state=0, deterministic=True),
        list(U.reshape(20, 100, 3)),
        np.arange(20) % 2,
    ),
    (WindowESNRegressor(150, random_state=0, deterministic=True), WINDOWS, WINDOWS[:, 0]),
]
HOOKS = {
    "ESNClassifier": "_encode",
    "WindowESNRegressor": "_feature_blocks",
    "ReservoirTransformer": "_new_chunks",
}
BITS = """
import hashlib, pickle, sys
for model, X, y in pickle.load(sys.stdin.buffer):
    model.fit(X, y)
    method = "transform" if hasattr(model, "classes_") else "predict"
    outputs = getattr(model, method, None) or model.transform
    print(type(model).__name__, hashlib.sha256(outputs(X).tobytes()).hexdigest())
"""


def run(model, X):
    return (getattr(model, "predict", None) or model.transform)(X)


def test_pools_of_any_size_change_no_bit():
    """In new processes, whose pools have as many threads as the environment asks for."""
    found, given = [], pickle.dumps(CASES)
    for n_threads in ("1", "2", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, n_threads)}
        command = [sys.executable, "-c", BITS]
        done = subprocess.run(
            command, input=given, env=environment, capture_output=True, check=True
        )
        found.append(done.stdout.split())
    assert len(found[0]) == 2 * len(CASES)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("model", "X", "y"), CASES, ids=lambda m: type(m).__name__)
def test_one_thread_predicts(model, X, y, monkeypatch):
    kind, seen = type(model), []
    name = HOOKS.get(kind.__name__, "_visit")
    whole = getattr(kind, name)

    def watched(self, *args, **more):
        seen.append({p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"})
        return whole(self, *args, **more)

    with threadpool_limits(2):
        model.fit(X[:300], None if y is None else y[:300])
        monkeypatch.setattr(kind, name, watched)
        run(model, X[:50])
    assert seen == [{1}]


@pytest.mark.parametrize(("model", "X", "y"), CASES, ids=lambda m: type(m).__name__)
def test_what_is_no_flag_is_refused(model, X, y):
    words = f"'deterministic' parameter of {type(model).__name__}"
    with pytest.raises(InvalidParameterError, match=words):
        type(model)(deterministic="yes").fit(X, y)
