"""Every public forecaster, transform and splitter, made with few units so that tests are quick.

What is found by introspection is covered without being listed here; `SETTINGS` only makes some of
them small, adds variants, or gives what a constructor asks for.
"""

import inspect

from echocast import forecasting
from echocast.reservoir import ESNRegressor

SMALL = {"n_units": 12, "random_state": 0}
SHORT = {"hidden_layer_sizes": 4, "max_iter": 8, "n_members": 1, "random_state": 0}
NAIVE = forecasting.NaiveForecaster("drift")
ESN = forecasting.ESNForecaster(**SMALL)

# name -> keyword arguments of one or several instances
SETTINGS = {
    "ESNForecaster": [
        SMALL,
        {**SMALL, "interval": "conformal"},
        {**SMALL, "missing": "interpolate"},
        {**SMALL, "missing": "mask", "calendar": "auto", "fourier": {12: 2}},
        {**SMALL, "strategy": "direct", "horizon": 3},
        {
            **SMALL,
            "transforms": ["seasonal_difference", "deseasonalize", "difference", "standardize"],
        },
    ],
    "AutoESNForecaster": [{"horizon": 3, "n_seeds": 1, "n_boot": 20, "random_state": 0}],
    "RNNForecaster": [
        SHORT,
        {**SHORT, "interval": "conformal", "missing": "mask", "n_members": 2},
        {**SHORT, "loss": "gaussian", "interval": "model", "cell": "lstm", "calendar": "auto"},
        {**SHORT, "teacher_forcing": "scheduled", "lags": 2},
        {**SHORT, "strategy": "direct", "horizon": 3},
        {**SHORT, "strategy": "direct", "loss": "pinball", "interval": "model", "fourier": {12: 1}},
    ],
    "NaiveForecaster": [{"strategy": s} for s in ("last", "seasonal", "drift", "mean")],
    "ReservoirForecaster": [{"regressor": ESNRegressor(12, random_state=0), "context": 20}],
    "ForecastSearchCV": [
        {"forecaster": NAIVE, "space": {"strategy": ["last", "mean"]}, "horizon": 3, "cv": 2}
    ],
}
# Parameters without default, by name.
REQUIRED = {
    "forecaster": NAIVE,
    "forecasters": [("drift", NAIVE), ("mean", forecasting.NaiveForecaster("mean"))],
    "regressor": ESNRegressor(12, random_state=0),
    "n_splits": 3,
    "test_size": 4,
}
LONG_FACES = {"LongForecaster"}  # long frames instead of y; what is in them is checked by itself


def _classes():
    for name in forecasting.__all__:
        found = getattr(forecasting, name)
        if inspect.isclass(found) and not inspect.isabstract(found):
            yield name, found


def _make(found, settings):
    parameters = inspect.signature(found).parameters.values()
    needed = {p.name for p in parameters if p.default is p.empty and p.name in REQUIRED}
    return found(**({name: REQUIRED[name] for name in needed} | settings))


def _instances(is_one):
    made = {}
    for name, found in _classes():
        if is_one(found) and name not in LONG_FACES:
            for k, settings in enumerate(SETTINGS.get(name, [{}])):
                made[f"{name} {k}" if k else name] = _make(found, settings)
    return made


def forecasters():
    """Instances of all classes that fit y and forecast a horizon, by name."""
    return _instances(lambda c: hasattr(c, "fit") and hasattr(c, "predict"))


def transforms():
    """Instances of all invertible transforms, by name."""
    return _instances(lambda c: hasattr(c, "forward") and hasattr(c, "invert"))


def splitters():
    """Instances of all splitters, by name."""
    return _instances(lambda c: hasattr(c, "split") and hasattr(c, "get_n_splits"))
