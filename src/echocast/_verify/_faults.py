"""Rows about fits that are stopped: the former model or the new one is left, never a third."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ._figures import Figure, figure, row


def methods(seed: int) -> Iterator[tuple[Any, Any, Any]]:
    """(fitted model, method, outputs) of one of each family."""
    from echocast.forecasting import ESNForecaster, NVARForecaster
    from echocast.reservoir import ESNClassifier, ESNRegressor, MarkovChain, RNNRegressor

    rng = np.random.RandomState(seed)
    U = rng.standard_normal((80, 1)).cumsum(axis=0) / 5
    X, y = U[:-1], U[1:, 0]
    esn = ESNRegressor(10, random_state=seed).fit(X, y)
    yield esn, lambda m: m.fit(X[:60], y[:60]), lambda m: m.predict(X)
    yield esn, lambda m: m.partial_fit(X[:60], y[:60]), lambda m: m.predict(X)
    panel, labels = [rng.standard_normal((15, 1)) + k % 2 for k in range(8)], [0, 1] * 4
    classifier = ESNClassifier(10, random_state=seed).fit(panel, labels)
    yield classifier, lambda m: m.fit(panel[:6], labels[:6]), lambda m: m.predict_proba(panel)
    rnn = RNNRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=seed).fit(X, y)
    yield rnn, lambda m: m.fit(X[:60], y[:60]), lambda m: m.predict(X)
    chain = MarkovChain(2).fit("abracadabra" * 3)
    yield chain, lambda m: m.fit("abcabc" * 4), lambda m: m.score("abcab")
    for forecaster in (ESNForecaster(10, random_state=seed), NVARForecaster(random_state=seed)):
        forecaster.fit(U[:70, 0])
        yield forecaster, lambda m: m.fit(U[:60, 0]), lambda m: m.predict(3)
        yield forecaster, lambda m: m.update(U[70:, 0]), lambda m: m.predict(3)


@row("interrupted fits", "faults")
def interrupted_fits(seed: int, full: bool) -> Figure:
    """Ctrl-C at lines of fit, partial_fit and update."""
    from echocast.testing import check_transactional

    counts = {"former": 0, "new": 0, "unusable": 0}
    for model, method, outputs in methods(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                report = check_transactional(model, method, outputs, n_points=200 if full else 25)
            except AssertionError:
                counts["unusable"] += 1
                continue
        counts["former"] += report.n_old
        counts["new"] += report.n_new
    text = ", ".join(f"{value} {name}" for name, value in counts.items())
    return figure(f"{sum(counts.values())} points", text, counts["unusable"])
