"""scikit-learn's own suite over every public estimator, with the honest exceptions listed."""

import os

import pytest
import sklearn

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
# A step of weight two is not two steps.
STEPS = {"check_sample_weight_equivalence_on_dense_data": "each row is a step from where it stands"}
WEIGHTED_TIME_ROWS = {**TIME_ROWS, "check_sample_weight_equivalence_on_dense_data": WEIGHT}

# The suites of scikit-learn 1.6 to 1.8 have one check less for an estimator than that of 1.9.
FEWER = 1 if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9) else 0
# estimator -> (expected failures, least number of checks that must be collected)
CASES = {
    "DeepESNRegressor": (WEIGHTED_TIME_ROWS, 60),
    "ESNClassifier": ({}, 61),
    "ESNRegressor": (WEIGHTED_TIME_ROWS, 60),
    "FORCEReadout": ({}, 58),
    "LMSReadout": (STEPS, 58),
    "LocalESNRegressor": (WEIGHTED_TIME_ROWS, 60),
    "NVARRegressor": (WEIGHTED_TIME_ROWS, 60),
    "RLSReadout": ({}, 58),
    "RNNClassifier": ({}, 68),
    "RNNRegressor": (WEIGHTED_TIME_ROWS, 66),
    "ReservoirTransformer": (TIME_ROWS, 47),
    "SelfAttentionClassifier": ({}, 68),
    "SelfAttentionRegressor": (WEIGHTED_TIME_ROWS, 66),
    "Seq2SeqRegressor": ({}, 58),
    "SequenceScaler": ({}, 45),
    "WindowESNRegressor": ({}, 58),
    "WindowRNNRegressor": ({}, 60),
}

SMALL = {"n_units": 20, "random_state": 0}
# Trained networks: float64, because the suite compares to seven digits, and enough epochs for its
# scores. Its data fit into one batch, so that repeated rows and weights make the same updates.
TRAINED = {"dtype": "float64", "learning_rate_init": 0.02, "max_iter": 60}
SETTINGS = {
    "RNNClassifier": {**TRAINED, "hidden_layer_sizes": 8, "max_iter": 30},
    "RNNRegressor": {**TRAINED, "hidden_layer_sizes": 8},
    "SelfAttentionClassifier": {**TRAINED, "n_units": 8, "max_iter": 30},
    "SelfAttentionRegressor": {**TRAINED, "n_units": 8},
    "Seq2SeqRegressor": {**TRAINED, "hidden_layer_sizes": 8, "max_iter": 40},
    "WindowRNNRegressor": {**TRAINED, "hidden_layer_sizes": 12, "batch_size": 32},
}


def instances():
    made = [getattr(reservoir, name)(**SETTINGS.get(name, {})) for name in CASES]
    windows = reservoir.RNNRegressor(layout="windows", **SETTINGS["RNNRegressor"])
    small = [{k: v for k, v in SMALL.items() if k in m.get_params()} for m in [*made, windows]]
    return [m.set_params(**kept) for m, kept in zip([*made, windows], small)]


def expected_failures(estimator):
    if getattr(estimator, "layout", "auto") == "windows":
        return {}  # rows are samples
    return CASES[type(estimator).__name__][0]


# Strict by pyproject.toml's xfail_strict; the parameter of that name came with scikit-learn 1.8.
@parametrize_with_checks(instances(), expected_failed_checks=expected_failures)
# Some of the suite's data have a mean of 100, and it asks for no score there.
@pytest.mark.filterwarnings("ignore::echocast.exceptions.UnscaledDataWarning")
def test_scikit_learn_suite(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", instances(), ids=lambda e: type(e).__name__)
def test_the_suite_is_not_evaded_by_tags(estimator):
    names = [c.func.__name__ for _, c in estimator_checks_generator(estimator)]
    assert len(names) >= CASES[type(estimator).__name__][1] - FEWER
    assert "check_methods_subset_invariance" in names
