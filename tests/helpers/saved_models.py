"""One small fitted model of each public kind, and what it says: for the tests of model files.

`MODELS` maps a name to a function that fits; `said(model, name)` gives what must not differ by a
bit after a model was stored and read.
"""

import copy
from functools import cache

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import discovered
from echocast import datasets, forecasting, reservoir
from echocast.reservoir import ESNRegressor, RNNClassifier, RNNRegressor
from rnn_fits import NETWORKS, ragged, waves

U = waves(90)
PARTS = ragged()
LABELS = ["low", "high", "low", "high"]
WINDOWS = np.lib.stride_tricks.sliding_window_view(np.sin(0.3 * np.arange(60)), 8)
WORDS = ["abc", "cab", "ba", "acb", "bca", "ab"]
TREES = [("and", "T", "F"), ("or", "T", "T"), "T", "F"]
SMALL = {"n_units": 8, "random_state": 0}
TRAINED = {"hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0}


def frame(n=90):
    index = pd.date_range("2021-03-01", periods=n, freq="D")
    return pd.DataFrame(waves(n), index=index, columns=["a", "b"])


def monthly(n=72):
    index = pd.period_range("2015-01", periods=n, freq="M", name="month")
    t = np.arange(n)
    values = 20 + 0.1 * t + 3 * np.sin(2 * np.pi * t / 12) + np.cos(1.7 * t)
    return pd.Series(values, index=index, name="sold")


def panel(lengths=(60, 72)):
    parts = {f"s{k}": monthly(n) * (1 + k) for k, n in enumerate(lengths)}
    return pd.concat(parts, names=["shop"])


def _rows(make, **params):
    return lambda: make(**{**SMALL, **params}).fit(U[:-1], U[1:, :1])


def _listed(make, **params):
    return lambda: make(**{**TRAINED, **params}).fit(
        [u[:-1] for u in PARTS], [u[1:, :1] for u in PARTS]
    )


def _reservoirs():
    r = reservoir
    data = frame()
    given = np.random.RandomState(3).uniform(-1, 1, (8, 8))
    ring = np.sin(np.arange(12) - 0.5 * np.arange(80)[:, None])
    return {
        "ESNRegressor": _rows(ESNRegressor),
        "ESNRegressor feedback": _rows(
            ESNRegressor, feedback_scaling=0.3, noise=0.01, dtype="float32", alpha=[1e-3, 1e-1]
        ),
        "ESNRegressor matrix": _rows(
            ESNRegressor, topology=given, leak_rate=np.linspace(0.2, 1, 8), solver="cholesky"
        ),
        "ESNRegressor frame": lambda: ESNRegressor(**SMALL).fit(
            data[:-1], data["a"].to_numpy()[1:]
        ),
        "ESNRegressor list": lambda: ESNRegressor(**SMALL, topology="shift").fit(
            [u[:-1] for u in PARTS], [u[1:] for u in PARTS]
        ),
        "ESNRegressor panel": lambda: ESNRegressor(**SMALL).fit(
            panel().to_frame(), panel().to_numpy()
        ),
        "ReservoirTransformer": lambda: r.ReservoirTransformer(**SMALL).fit(U),
        "ESNClassifier": lambda: r.ESNClassifier(**SMALL).fit(PARTS, LABELS),
        "ESNClassifier basis": lambda: r.ESNClassifier(
            **SMALL, features="model_space", n_components=3, bidirectional=True
        ).fit(PARTS, LABELS),
        "ESNClassifier readout": lambda: r.ESNClassifier(**SMALL, readout=_logistic()).fit(
            PARTS, LABELS
        ),
        "DeepESNRegressor": lambda: r.DeepESNRegressor(**_deep()).fit(U[:-1], U[1:, :1]),
        "LocalESNRegressor": lambda: r.LocalESNRegressor(**SMALL).fit(ring[:-1], ring[1:]),
        "NVARRegressor": lambda: r.NVARRegressor().fit(U[:-1], U[1:]),
        "WindowESNRegressor": lambda: r.WindowESNRegressor(
            **SMALL, window_order="oldest_first"
        ).fit(WINDOWS[:, :7], WINDOWS[:, 7]),
        "SequenceScaler": lambda: r.SequenceScaler().fit(PARTS),
        "RunningReadout": lambda: r.RunningReadout(2, 1, alpha=1e-3).extend(U[:-1], U[1:, :1]),
        "ESNRegressor RLS": _rows(ESNRegressor, readout=r.RLSReadout(forgetting=0.99)),
        "ESNRegressor FORCE": _rows(
            ESNRegressor, readout=r.FORCEReadout(), feedback_scaling=0.5, include_input=False
        ),
        "RLSReadout": lambda: r.RLSReadout().fit(U[:-1], U[1:, 0]),
        "LMSReadout": lambda: r.LMSReadout().fit(U[:-1], U[1:]),
        "FORCEReadout": lambda: r.FORCEReadout().fit(U[:-1], U[1:]),
        "ESNSearchCV": lambda: r.ESNSearchCV(
            ESNRegressor(**SMALL), {"alpha": [1e-3, 1e-1]}, cv=2
        ).fit(U[:-1], U[1:, :1]),
        "ReservoirStream": lambda: ESNRegressor(**SMALL).fit(U[:-1], U[1:, :1]).stream(),
        "MarkovChain": lambda: r.MarkovChain(2).fit("abcabdabc" * 9),
    }


def _deep():
    return {"n_units": 6, "n_layers": 2, "random_state": 0}


def _logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def _networks():
    r = reservoir
    text = "abcabcabd" * 12
    made = {f"RNNRegressor {name}": _network(name) for name in NETWORKS}
    bits = datasets.copy_task(8, (1, 2), n_bits=2, random_state=0)
    X, y = datasets.adding_problem(12, 6, random_state=0)
    short = {"n_units": 4, "max_iter": 2, "random_state": 0}
    made |= {
        f"RNNRegressor {loss}": _listed(RNNRegressor, loss=loss, cell="gru")
        for loss in ("huber", "gaussian", "student_t", "pinball")
    }
    made |= {
        "RNNRegressor reservoir": _listed(RNNRegressor, weight_init="reservoir"),
        "RNNRegressor sgd": _listed(RNNRegressor, solver="sgd", early_stopping=True),
        "RNNRegressor rmsprop": _listed(RNNRegressor, solver="rmsprop", dtype="float64"),
        "RNNRegressor lbfgs": _listed(RNNRegressor, solver="lbfgs"),
        "RNNRegressor rows": lambda: RNNRegressor(**TRAINED).fit(U[:-1], U[1:]),
        "RNNRegressor frame": lambda: RNNRegressor(**TRAINED).fit(frame()[:-1], U[1:]),
        "RNNClassifier": lambda: RNNClassifier(**TRAINED).fit(PARTS, LABELS),
        "WindowRNNRegressor": lambda: r.WindowRNNRegressor(
            **TRAINED, window_order="oldest_first"
        ).fit(WINDOWS[:, :7], WINDOWS[:, 7]),
        "Seq2SeqTransducer": lambda: r.Seq2SeqTransducer(**TRAINED).fit(
            WORDS, [w[::-1].upper() for w in WORDS]
        ),
        "Seq2SeqRegressor": lambda: r.Seq2SeqRegressor(**TRAINED).fit(
            WINDOWS[:, :6], WINDOWS[:, 6:]
        ),
        "SelfAttentionRegressor": lambda: r.SelfAttentionRegressor(
            **short, n_blocks=1, output="mean"
        ).fit(X, y),
        "SelfAttentionClassifier": lambda: r.SelfAttentionClassifier(**short, n_symbols=5).fit(
            np.arange(40).reshape(8, 5) % 5, np.arange(8) % 2
        ),
        "RecursiveClassifier": lambda: r.RecursiveClassifier(**short).fit(
            TREES, ["no", "yes", "yes", "no"]
        ),
        "NeuralTuringMachine": lambda: r.NeuralTuringMachine(**short, memory_shape=(4, 3)).fit(
            *bits[:2], sample_weight=bits[2]
        ),
        "AdaptiveComputationRNN": lambda: r.AdaptiveComputationRNN(**short).fit(
            (U[:24].reshape(24, 1, 2) > 0) * 1.0, (U[:24].sum(axis=1) > 0)[:, None] * 1
        ),
    }
    for end in (None, "symbol", "bernoulli", "length"):
        options = {"embedding_size": 3, "end_of_sequence": end, **TRAINED}
        made[f"CharRNN {end}"] = lambda o=options, e=end: r.CharRNN(**o).fit(WORDS if e else text)
    return made


def _network(name):
    return _listed(RNNRegressor, **{**NETWORKS[name], "hidden_layer_sizes": _sizes(name)})


def _sizes(name):
    return NETWORKS[name].get("hidden_layer_sizes", 6)


def _forecasters():
    made = {}
    y = monthly()
    for name, model in discovered.forecasters().items():
        made[name] = lambda m=model: _clone(m).fit(y)
    f = forecasting
    naive = f.NaiveForecaster("drift")
    days = frame()
    made |= {
        "ESNForecaster panel": lambda: f.ESNForecaster(**SMALL).fit(panel()),
        "ESNForecaster global": lambda: f.ESNForecaster(**SMALL, pooling="global").fit(panel()),
        "ESNForecaster adaptive": lambda: f.ESNForecaster(**SMALL, interval="adaptive").fit(y),
        "ESNForecaster multi_output": lambda: f.ESNForecaster(
            **SMALL, strategy="multi_output", horizon=2
        ).fit(days["a"]),
        "ESNForecaster direct global": lambda: f.ESNForecaster(
            **SMALL, pooling="global", strategy="direct", horizon=3
        ).fit(panel()),
        "ESNForecaster exog": lambda: f.ESNForecaster(**SMALL, past_columns=["b"]).fit(
            days["a"], days[["b"]]
        ),
        "ESNForecaster array": lambda: f.ESNForecaster(**SMALL).fit(U),
        "ESNForecaster zone": lambda: f.ESNForecaster(**SMALL, lags=3, season_length=1).fit(
            days["a"].tz_localize("Europe/Paris")
        ),
        "ESNForecaster transforms": lambda: f.ESNForecaster(
            **SMALL,
            transforms=["box_cox", f.Detrend(), f.SeasonalDifference(12), "yeo_johnson"],
        ).fit(y),
        "NaiveForecaster panel": lambda: _clone(naive).fit(panel()),
        "AutoESNForecaster panel": lambda: f.AutoESNForecaster(
            horizon=3, n_seeds=1, n_boot=20, random_state=0
        ).fit(panel((72, 72, 72))),
        "AutoESNForecaster system": lambda: f.AutoESNForecaster(
            horizon=10, n_seeds=1, random_state=0
        ).fit(datasets.lorenz63(450, dt=0.05)),
        "AutoESNForecaster daily": lambda: f.AutoESNForecaster(
            horizon=7, n_seeds=1, n_boot=20, random_state=0
        ).fit(frame(200)["a"] + 5),
        "RNNForecaster global": lambda: f.RNNForecaster(**discovered.SHORT, pooling="global").fit(
            panel()
        ),
        "ReservoirForecaster pipeline": lambda: f.ReservoirForecaster(
            make_pipeline(StandardScaler(), ESNRegressor(**SMALL)), random_state=0
        ).fit(y),
        "ReservoirForecaster plain": lambda: f.ReservoirForecaster(
            Ridge(), lags=4, strategy="direct", horizon=2
        ).fit(y),
        "ReservoirForecaster trained": lambda: f.ReservoirForecaster(
            RNNRegressor(**TRAINED), random_state=0
        ).fit(y),
        "EnsembleForecaster weights": lambda: f.EnsembleForecaster(
            [("a", naive), ("b", f.NaiveForecaster("mean"))], method="weights", n_windows=3
        ).fit(y),
        "LongForecaster": lambda: f.LongForecaster([naive], freq="D").fit(_long()),
        "ForecastSearchCV search": lambda: f.ForecastSearchCV(
            naive, {"strategy": ["last", "mean"], "season_length": [1, 12]}, horizon=2, cv=2
        ).fit(y),
    }
    return made


def _long():
    days = pd.date_range("2024-01-01", periods=9, freq="D")
    parts = [pd.DataFrame({"unique_id": k, "ds": days, "y": np.arange(9.0) ** 0.5}) for k in "ab"]
    return pd.concat(parts, ignore_index=True)


def _clone(model):
    from sklearn.base import clone

    return clone(model)


def _transforms():
    positive = np.exp(U)
    return {
        f"transform {name}": lambda m=model: _clone(m).fit(positive, 12)
        for name, model in discovered.transforms().items()
    }


MODELS = {**_reservoirs(), **_networks(), **_forecasters(), **_transforms()}


@cache
def fitted(name):
    """The fitted model of that name; shared between tests, which must not change it."""
    return MODELS[name]()


# What each kind of model is asked, by a method that it has.
_NEXT = {"ESNForecaster exog": 1, "AutoESNForecaster system": 8}


def said(name, model):
    """Outputs of a model, and whatever else it holds that a caller sees, as a flat list."""
    if name.startswith("transform"):
        rows = np.exp(U)
        return [model.forward(rows, 0), model.one_step(model.forward(rows, 0), rows, 0)]
    if hasattr(model, "predict") and name.split()[0] in forecasting.__all__:
        return _forecast(name, model)
    return _outputs(name.split()[0], model, name)


def _forecast(name, model):
    if name.startswith("LongForecaster"):
        return [model.predict(3, level=[80])]
    horizon = _NEXT.get(name, 3)
    asked = {"level": [80]} if "system" not in name and "array" not in name else {}
    found = [model.predict(horizon, **asked), model.predict(horizon)]
    if hasattr(model, "residuals") and "Search" not in name:
        found.append(model.residuals())
    return found


def _outputs(kind, model, name):
    if kind == "RunningReadout":
        return list(model.solve())
    if kind == "ReservoirStream":
        runner = copy.deepcopy(model)
        return [runner.predict_one(row) for row in U] + [runner.state]
    if kind == "SequenceScaler":
        return model.transform(PARTS)
    if kind == "ReservoirTransformer":
        return [model.transform(U), model.state_]
    if kind in ("MarkovChain", "CharRNN"):
        text = WORDS if "end" in kind or name.split()[-1] in ENDS else "abcab"
        return [np.asarray(model.score(text)), model.sample(5, random_state=0)]
    if kind in ("Seq2SeqTransducer",):
        return [np.array(model.predict(WORDS))]
    if kind == "RecursiveClassifier":
        return [model.predict(TREES), *model.predict_proba(TREES)]
    X = _inputs(kind, name)
    found = [model.predict(X)]
    if hasattr(model, "predict_proba"):
        found.append(model.predict_proba(X))
    loops = hasattr(model, "generate") and isinstance(X, np.ndarray) and "list" not in name
    if loops and found[0].shape == X.shape:
        found.append(model.generate(7))
    return found


ENDS = ("symbol", "bernoulli", "length")


def _inputs(kind, name):
    if kind.startswith("Window"):
        return WINDOWS[:, :7]
    if kind == "Seq2SeqRegressor":
        return WINDOWS[:, :6]
    if kind == "LocalESNRegressor":
        return np.sin(np.arange(12) - 0.5 * np.arange(30)[:, None])
    if kind == "SelfAttentionRegressor":
        return datasets.adding_problem(12, 6, random_state=0)[0]
    if kind == "SelfAttentionClassifier":
        return np.arange(40).reshape(8, 5) % 5
    if kind == "NeuralTuringMachine":
        return datasets.copy_task(8, (1, 2), n_bits=2, random_state=0)[0]
    if kind == "AdaptiveComputationRNN":
        return (U[:24].reshape(24, 1, 2) > 0) * 1.0
    if name.endswith("panel"):
        return panel().to_frame()
    if name.endswith("frame"):
        return frame()
    return U if kind in BY_ROWS or kind.endswith("Readout") else PARTS


BY_ROWS = ("NVARRegressor", "DeepESNRegressor", "ESNRegressor", "ESNSearchCV")


def same(found, wanted):
    """Whether two answers are the same to the last bit."""
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, (pd.Series, pd.DataFrame)):
        types = np.asarray(found.dtypes == wanted.dtypes).all()
        return bool(types) and found.equals(wanted) and found.index.identical(wanted.index)
    if isinstance(wanted, np.ndarray) and wanted.dtype.kind in "fiub":
        return found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()
    return bool(np.all(np.asarray(found) == np.asarray(wanted)))
