"""scikit-learn's own suite over every public estimator, with the honest exceptions listed."""

import os

import pytest

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # without it the array-API check skips itself

from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from echocast import reservoir

ORDER = "rows are time steps: the output depends on the order of the rows"
SUBSET = "rows are time steps: the output depends on the rows before"
WEIGHT = "a row of weight zero, or a repeated row, still drives the reservoir"

TIME_ROWS = {
    "check_methods_sample_order_invariance": ORDER,
    "check_methods_subset_invariance": SUBSET,
}
WEIGHTED_TIME_ROWS = {**TIME_ROWS, "check_sample_weight_equivalence_on_dense_data": WEIGHT}

# estimator -> (expected failures, least number of checks that must be collected)
CASES = {
    "DeepESNRegressor": (WEIGHTED_TIME_ROWS, 60),
    "ESNClassifier": ({}, 61),
    "ESNRegressor": (WEIGHTED_TIME_ROWS, 60),
    "LocalESNRegressor": (WEIGHTED_TIME_ROWS, 60),
    "NVARRegressor": (WEIGHTED_TIME_ROWS, 60),
    "ReservoirTransformer": (TIME_ROWS, 47),
    "SequenceScaler": ({}, 45),
    "WindowESNRegressor": ({}, 58),
}


def instances():
    made = [getattr(reservoir, name)() for name in CASES]
    small = {"n_units": 20, "random_state": 0}
    return [m.set_params(**{k: v for k, v in small.items() if k in m.get_params()}) for m in made]


@parametrize_with_checks(
    instances(),
    expected_failed_checks=lambda estimator: CASES[type(estimator).__name__][0],
    xfail_strict=True,
)
def test_scikit_learn_suite(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", instances(), ids=lambda e: type(e).__name__)
def test_the_suite_is_not_evaded_by_tags(estimator):
    names = [c.func.__name__ for _, c in estimator_checks_generator(estimator)]
    assert len(names) >= CASES[type(estimator).__name__][1]
    assert "check_methods_subset_invariance" in names
