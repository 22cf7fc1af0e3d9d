"""A series to search over, and the comparison of two tables of results."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import TimeSeriesSplit

CV = TimeSeriesSplit(3)


def series(seed=0, n_rows=240, n_inputs=1, n_targets=1):
    rng = np.random.default_rng(seed)
    t = np.arange(n_rows + 1)[:, None]
    waves = np.sin(t * rng.uniform(0.1, 0.6, max(n_inputs, n_targets))) + 0.1 * rng.normal(
        size=(n_rows + 1, max(n_inputs, n_targets))
    )
    return waves[:-1, :n_inputs], waves[1:, :n_targets]


def assert_same_results(ours, theirs, tolerance=1e-8):
    """All of `cv_results_` but the times, whose columns must be there."""
    assert set(ours) == set(theirs)
    assert ours["params"] == theirs["params"]
    for name, wanted in theirs.items():
        found = ours[name]
        if name.endswith("_time"):
            assert (found >= 0).all()
            assert found.shape == wanted.shape
        elif name.startswith("param_"):
            assert found.dtype == wanted.dtype
            assert list(found) == list(wanted)
        elif name.startswith("rank"):
            assert found.dtype == wanted.dtype
            assert_array_equal(found, wanted)
        elif name != "params":
            assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=name)
