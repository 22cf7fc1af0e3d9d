"""Data and small networks that the tests of ESNRegressor share."""

import numpy as np

import oracles_esn as oracle
from echocast.reservoir import ESNRegressor


def series(n=400, seed=0, n_features=2):
    """A smooth quasi-periodic system plus a little noise; columns of unit size."""
    t = np.arange(n)[:, None]
    rng = np.random.RandomState(seed)
    phases = rng.uniform(0, 6, size=(1, n_features))
    waves = np.sin(0.11 * t + phases) + 0.5 * np.cos(0.23 * t * (1 + np.arange(n_features)))
    return waves + 0.01 * rng.randn(n, n_features)


def make(**params):
    defaults = {"n_units": 40, "random_state": 0, "washout": 20, "alpha": 1e-3}
    return ESNRegressor(**{**defaults, **params})


def oracle_fit(esn, X, Y, washout=20, teacher=None):
    """Readout of the oracle with the weights that the estimator drew."""
    S = oracle.states(esn.W_in_, esn.W_, esn.b_, esn.leak_rate, X, W_fb=esn.W_fb_, teacher=teacher)
    features = np.hstack([S, X]) if esn.include_input else S
    return features, oracle.ridge(features[washout:], Y[washout:], esn.alpha_)


def panel(lengths=(60, 45, 60, 80)):
    """Ragged sequences."""
    return [series(n, seed) for seed, n in enumerate(lengths)]
