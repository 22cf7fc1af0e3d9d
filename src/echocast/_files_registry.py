"""The closed table of what a model file may hold: keys of classes and functions, and no paths.

A file names a class by its key alone, so it cannot ask for anything that is not in the table. Keys
never change once released, whatever becomes of modules and class names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["FUNCTIONS", "OBJECTS", "class_of", "function_of", "key_of", "name_of_function"]

_TABLE: dict[str, dict[str, str]] = {
    # prefix of the module -> {module: names}; the key of a class is its name without underscores
    "echocast.reservoir.": {
        "_classifier": "ESNClassifier",
        "_deep": "DeepESNRegressor ReservoirStack",
        "_esn": "ESNRegressor",
        "_esn_machine": "ESNMachine",
        "_factor": "RidgeFactor RowBuffer _Sums",
        "_local": "LocalESNRegressor LocalReservoirs",
        "_machine": "Reservoir",
        "_ngrc": "DelayFeatures NVARRegressor",
        "_online": "FORCEReadout LMSReadout RLSReadout",
        "_running": "RunningReadout",
        "_search": "ESNSearchCV",
        "_sequence_features": "SequenceEncoder StateBasis",
        "_sequence_tools": "SequenceScaler",
        "_stream": "ReservoirStream",
        "_transformer": "ReservoirTransformer",
        "_window": "WindowESNRegressor",
        "rnn._adaptive": "AdaptiveComputationRNN",
        "rnn._classifier": "RNNClassifier",
        "rnn._decoder": "EncoderDecoder",
        "rnn._descent": "Trained",
        "rnn._language": "CharRNN",
        "rnn._markov": "MarkovChain _Level",
        "rnn._memory_step": "MemoryShape",
        "rnn._network": "Network",
        "rnn._optim": "Adam RMSprop SGD _Decay",
        "rnn._params": "ParamLayout",
        "rnn._regressor": "RNNRegressor",
        "rnn._self_attention_classifier": "SelfAttentionClassifier",
        "rnn._self_attention_regressor": "SelfAttentionRegressor",
        "rnn._seq2seq": "Seq2SeqTransducer",
        "rnn._seq2seq_regressor": "Seq2SeqRegressor",
        "rnn._stop": "EndSymbol LengthFirst NoEnd StopUnit",
        "rnn._text_network": "TextNetwork",
        "rnn._transformer": "AttentionNetwork",
        "rnn._trees": "RecursiveClassifier",
        "rnn._turing": "NeuralTuringMachine",
        "rnn._window": "WindowRNNRegressor",
    },
    "echocast.forecasting.": {
        "_adaptive": "AdaptiveScores",
        "_auto": "AutoESNForecaster",
        "_auto_dynamics": "DynamicsMemory DynamicsModel _Network",
        "_auto_groups": "PoolRecipe SplitNetwork WholeNetwork",
        "_auto_members": "Member _Fitted",
        "_auto_network": "Factor Setting Weights Wiring",
        "_auto_pool": "AutoPool _Origin",
        "_auto_search": "Look View",
        "_auto_structure": "Structure",
        "_backtest_result": "BacktestResult Origin Part",
        "_baselines": "NaiveForecaster",
        "_date_effects": "DateEffects",
        "_direct": "DirectSeries",
        "_ensemble": "EnsembleForecaster",
        "_exog": "ExogSpec",
        "_exog_features": "ExogFeatures",
        "_forecaster": "ESNForecaster",
        "_frames": "Form",
        "_index": "TimeAxis",
        "_intervals": "ConformalScores",
        "_lagged": "LagMemory LaggedModel",
        "_long": "LongForecaster",
        "_long_frames": "LongSpec",
        "_long_kinds": "FrameKind",
        "_markov": "MarkovForecaster",
        "_nvar": "NVARForecaster",
        "_packed_network": "NetworkRecipe PackedNetwork _Readout",
        "_pooled": "PooledNetwork",
        "_pooled_drive": "Drive Memory",
        "_pooled_features": "Carry Layout",
        "_pooled_fit": "Statistics",
        "_pooled_groups": "GroupedNetwork GroupMemory ShapeGroups",
        "_pooled_readout": "Readout",
        "_recursive": "Memory RecursiveNetwork",
        "_recursive_pool": "SharedErrors",
        "_reservoir_forecaster": "ReservoirForecaster",
        "_rnn": "RNNForecaster",
        "_rnn_network": "ByChange RecurrentModel",
        "_rnn_steps": "DrawnSteps QuantileSteps RecurrentSteps RowView",
        "_search": "ForecastSearchCV",
        "_splits": "PanelTimeSeriesSplit SequentialSplit",
        "_step_models": "PlainSteps RidgeSteps SequenceSteps TrainedSteps",
        "_transforms": "Chain Deseasonalize Difference SeasonalDifference Standardize",
        "_transforms_power": "BoxCox Log YeoJohnson",
        "_transforms_trend": "Detrend",
    },
    # Parts of other packages that are restored from their parameters and plain attributes.
    "sklearn.": {
        "compose": "TransformedTargetRegressor",
        "dummy": "DummyRegressor",
        "linear_model": "ElasticNet Lasso LinearRegression LogisticRegression Ridge "
        "RidgeClassifier",
        "model_selection": "GroupKFold KFold PredefinedSplit ShuffleSplit StratifiedKFold "
        "TimeSeriesSplit",
        "multioutput": "MultiOutputRegressor",
        "pipeline": "Pipeline",
        "preprocessing": "FunctionTransformer LabelBinarizer MaxAbsScaler MinMaxScaler "
        "PolynomialFeatures RobustScaler StandardScaler",
    },
}
# Names that stand in two modules get a key of their own.
_RENAMED = {
    ("echocast.forecasting._auto_dynamics", "_Network"): "DynamicsNetwork",
    ("echocast.forecasting._auto_members", "_Fitted"): "FittedMember",
    ("echocast.forecasting._auto_pool", "_Origin"): "PoolOrigin",
    ("echocast.forecasting._backtest_result", "Origin"): "BacktestOrigin",
    ("echocast.forecasting._backtest_result", "Part"): "BacktestPart",
    ("echocast.forecasting._packed_network", "_Readout"): "PackedReadout",
    ("echocast.forecasting._pooled_drive", "Memory"): "DriveMemory",
    ("echocast.forecasting._recursive", "Memory"): "LoopMemory",
    ("echocast.reservoir.rnn._markov", "_Level"): "MarkovLevel",
    ("echocast.reservoir.rnn._optim", "_Decay"): "OptimizerDecay",
}


def _places() -> dict[str, tuple[str, str]]:
    """Key -> module and name."""
    found: dict[str, tuple[str, str]] = {}
    for prefix, modules in _TABLE.items():
        for module, names in modules.items():
            for name in names.split():
                place = (prefix + module, name)
                key = _RENAMED.get(place, name.lstrip("_"))
                key = f"sklearn:{key}" if prefix == "sklearn." else key
                assert key not in found, key
                found[key] = place
    return found


OBJECTS = _places()
# Functions of ours that fitted models hold.
FUNCTIONS = {
    name: ("echocast.forecasting." + module, name)
    for module, names in {
        "_auto_members": "season_mean_forecast seasonal_forecast year_forecast",
        "_classical": "damped_trend_forecast drift_forecast ses_forecast theta_forecast",
    }.items()
    for name in names.split()
}


def _imported(place: tuple[str, str]) -> Any:
    return getattr(import_module(place[0]), place[1])


def class_of(key: Any) -> type | None:
    """The class of a key of the table, imported now; None for any other key."""
    return _imported(OBJECTS[key]) if isinstance(key, str) and key in OBJECTS else None


def function_of(key: Any) -> Callable | None:
    """The function of a key of the table; None for any other key."""
    return _imported(FUNCTIONS[key]) if isinstance(key, str) and key in FUNCTIONS else None


def key_of(found: type) -> str | None:
    """The key of a class; None if model files cannot hold it."""
    if found.__module__.partition(".")[0] not in ("echocast", "sklearn"):
        return None
    # Classes move between modules; which one is meant is settled by the class itself.
    for key in _keys().get(found.__qualname__, ()):
        if class_of(key) is found:
            return key
    return None


def name_of_function(function: Callable) -> str | None:
    """The key of a function; None if model files cannot hold it."""
    name = getattr(function, "__name__", None)
    return name if name in FUNCTIONS and function_of(name) is function else None


@cache
def _keys() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, (_, name) in OBJECTS.items():
        found.setdefault(name, []).append(key)
    return found
