"""Rows about time: nothing sees the future, chunks and neighbours change nothing."""

from __future__ import annotations

import warnings

import numpy as np

from ._figures import Figure, figure, row, worst_of


@row("causality of estimators", "time")
def causality(seed: int, full: bool) -> Figure:
    """Outputs before a cut, where everything after it is replaced."""
    from echocast.reservoir import (
        DeepESNRegressor,
        ESNRegressor,
        NVARRegressor,
        ReservoirTransformer,
        RNNRegressor,
    )

    rng = np.random.RandomState(seed)
    U = rng.standard_normal((120, 2)).cumsum(axis=0) / 5
    models = (
        ESNRegressor(20, random_state=seed),
        DeepESNRegressor(n_layers=2, n_units=10, random_state=seed),
        NVARRegressor(),
        ReservoirTransformer(20, random_state=seed),
        RNNRegressor(hidden_layer_sizes=(6,), max_iter=2, dtype="float64", random_state=seed),
    )
    changed = n = 0
    for model in models:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(U[:-1], U[1:, :1])
        run = getattr(model, "predict", None) or model.transform
        clean = run(U)
        for cut in range(20, 120, 5 if full else 20):
            for poison in (1e6, -1.0):
                other = U.copy()
                other[cut:] = poison * rng.standard_normal(other[cut:].shape)
                changed += not np.array_equal(run(other)[:cut], clean[:cut])
                n += 1
            # Fewer rows are other blocks to the products of matrices, which round otherwise.
            changed += not np.allclose(run(U[:cut]), clean[:cut], rtol=0, atol=1e-12)
            n += 1
    return figure(f"{n} cuts", f"{changed} outputs changed by the future", changed)


@row("causality of forecasters", "time")
def forecasters(seed: int, full: bool) -> Figure:
    """Forecasts, updates and fitted values up to a cutoff, where all later rows are replaced."""
    from echocast.datasets import load_el_nino
    from echocast.forecasting import (
        AutoESNForecaster,
        ESNForecaster,
        MarkovForecaster,
        NaiveForecaster,
        NVARForecaster,
        RNNForecaster,
    )
    from echocast.testing import check_causal

    y = load_el_nino().iloc[-150:]
    rnn = RNNForecaster(hidden_layer_sizes=(6,), max_iter=2, random_state=seed)
    models = [
        NaiveForecaster("seasonal"),
        ESNForecaster(20, random_state=seed),
        ESNForecaster(20, strategy="direct", horizon=4, random_state=seed),
        NVARForecaster(),
        MarkovForecaster(),
        rnn,
    ]
    if full:
        models.append(AutoESNForecaster(random_state=seed))
    n = values = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in models:
            report = check_causal(model, y, cutoffs=2 if full else 1)
            n += report.n_comparisons
            values += report.n_values
    return figure(f"{n} comparisons", f"0 of {values:,} values changed by the future", 0)


@row("chunks", "time")
def chunks(seed: int, full: bool) -> Figure:
    """A stream in random pieces, down to single rows, against the whole.

    A product of matrices of other heights rounds otherwise, so the last bits may differ.
    """
    from echocast.reservoir import ESNRegressor

    rng = np.random.RandomState(seed)
    errors = []
    for n_units, n_inputs in ((30, 2), (200, 12)):
        U = rng.standard_normal((300, n_inputs))
        esn = ESNRegressor(n_units, alpha=1e-3, random_state=seed).fit(U, U[:, :2])
        whole = esn.predict(U)
        for _ in range(50 if full else 10):
            cuts = np.sort(rng.choice(np.arange(2, 300), size=rng.randint(1, 8), replace=False))
            state, parts = np.zeros(n_units), []
            for part in np.split(U, [1, *cuts]):
                parts.append(esn.predict(part, initial_state=state))
                state = esn.transform(part, initial_state=state)[-1]
            errors.append(np.abs(np.concatenate(parts) - whole).max())
    worst = worst_of(errors)
    return figure(f"{len(errors)} partitions", f"largest difference {worst:.1e}", worst, 1e-12)


@row("neighbours", "time")
def neighbours(seed: int, full: bool) -> Figure:
    """Sequences in lists of any order against each alone."""
    from echocast.reservoir import ESNRegressor, RNNRegressor

    rng = np.random.RandomState(seed)
    X = [rng.standard_normal((rng.randint(20, 60), 2)) for _ in range(8)]
    y = [x[:, :1].cumsum(axis=0) / 5 for x in X]
    errors = []
    models = (
        ESNRegressor(20, random_state=seed),
        RNNRegressor(hidden_layer_sizes=(6,), max_iter=2, dtype="float64", random_state=seed),
    )
    for model in models:
        model.fit(X, y)
        alone = [model.predict([x])[0] for x in X]
        for _ in range(10 if full else 3):
            order = rng.permutation(8)[: rng.randint(2, 9)]
            for i, found in zip(order, model.predict([X[i] for i in order])):
                errors.append(np.abs(found - alone[i]).max())
    worst = worst_of(errors)
    return figure(f"{len(errors)} sequences", f"largest difference {worst:.1e}", worst, 1e-12)
