"""Small models whose files stay in tests/golden, one folder for each release, for ever.

``python tests/helpers/golden_models.py VERSION`` writes the files of a new release, and what the
models say, before it is published. Files of former releases are never written again.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from echocast import forecasting, reservoir

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
U = np.array([((7 * k * k + 3 * k) % 19) / 19 - 0.5 for k in range(30)])[:, None]
MONTHS = pd.period_range("2020-01", periods=30, freq="M", name="month")
Y = pd.Series(10 + 3 * U[:, 0] + 0.1 * np.arange(30), index=MONTHS, name="sold")
TEXT = "abcabdabc" * 4
TRAINED = {"hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0, "dtype": "float64"}


def _rows(model):
    return model.fit(U[:-1], U[1:])


MODELS = {
    "ESNRegressor": lambda: _rows(reservoir.ESNRegressor(5, random_state=0)),
    "ESNClassifier": lambda: reservoir.ESNClassifier(5, random_state=0).fit(
        [U[:9], U[9:18], U[18:]], ["a", "b", "a"]
    ),
    "MarkovChain": lambda: reservoir.MarkovChain(1).fit(TEXT),
    "NVARRegressor": lambda: _rows(reservoir.NVARRegressor()),
    "RNNRegressor": lambda: _rows(reservoir.RNNRegressor(cell="gru", **TRAINED)),
    "SequenceScaler": lambda: reservoir.SequenceScaler().fit(U),
    "ESNForecaster": lambda: forecasting.ESNForecaster(
        5, lags=2, n_boot=5, random_state=0, season_length=1
    ).fit(Y),
    "EnsembleForecaster": lambda: forecasting.EnsembleForecaster(
        [("a", forecasting.NaiveForecaster("drift")), ("b", forecasting.MarkovForecaster(2))],
        n_boot=5,
        random_state=0,
    ).fit(Y),
    "NaiveForecaster": lambda: forecasting.NaiveForecaster("seasonal").fit(Y),
    "LongForecaster": lambda: forecasting.LongForecaster(
        [forecasting.NaiveForecaster("drift")], freq="D"
    ).fit(_long()),
}


def _long():
    days = pd.date_range("2024-01-01", periods=6, freq="D")
    return pd.DataFrame({"unique_id": "a", "ds": days, "y": U[:6, 0]})


def said(name, model):
    """Numbers that a model gives, as a flat list."""
    if name == "LongForecaster":
        return model.predict(3)["NaiveForecaster"].tolist()
    if name.endswith("Forecaster"):
        return model.predict(4, level=80).to_numpy().ravel().tolist()
    if name == "SequenceScaler":
        return model.transform(U).ravel().tolist()
    if name == "MarkovChain":
        return [float(model.score("abcab"))]
    if name == "ESNClassifier":
        return model.predict_proba([U[:9], U[5:]]).ravel().tolist()
    return model.predict(U).ravel().tolist()


def main(version):
    """Write the files of a release."""
    folder = GOLDEN / version
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, make in MODELS.items():
        model = make()
        path = model.save(folder / f"{name}.echocast")
        expected[name] = said(name, model)
        print(name, path.stat().st_size)
    (folder / "said.json").write_text(json.dumps(expected, indent=0) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
