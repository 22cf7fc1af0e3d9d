"""Echo state networks and other reservoirs behind scikit-learn estimators (rows are time steps)."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`reservoir` is `echocast.reservoir`; the checkout root should not be on sys.path"
    )

from ._classifier import ESNClassifier
from ._esn import ESNRegressor
from ._sequence_tools import SequenceScaler, sequence_scorer
from ._simulate import continue_fit, leave_one_out_errors, simulate_paths
from ._stream import ReservoirStream
from ._transformer import ReservoirTransformer

__all__ = [
    "ESNClassifier",
    "ESNRegressor",
    "ReservoirStream",
    "ReservoirTransformer",
    "SequenceScaler",
    "continue_fit",
    "leave_one_out_errors",
    "sequence_scorer",
    "simulate_paths",
]
