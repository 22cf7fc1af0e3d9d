"""Echo state networks and other reservoirs behind scikit-learn estimators (rows are time steps)."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`reservoir` is `echocast.reservoir`; the checkout root should not be on sys.path"
    )

from ._activations import activations, register_activation
from ._classifier import ESNClassifier
from ._deep import DeepESNRegressor
from ._distributed import fit_distributed
from ._esn import ESNRegressor
from ._local import LocalESNRegressor
from ._ngrc import NVARRegressor
from ._online import FORCEReadout, LMSReadout, RLSReadout
from ._run_from import carries_state, run_from
from ._running import RunningReadout
from ._search import ESNSearchCV
from ._sequence_tools import SequenceScaler, sequence_scorer
from ._simulate import (
    continue_fit,
    leave_one_out_errors,
    simulate_paths,
    with_penalty,
    without_rows,
)
from ._spectral import spectral_radius
from ._stream import ReservoirStream
from ._topologies import register_topology, topologies
from ._transformer import ReservoirTransformer
from ._window import WindowESNRegressor
from .rnn._adaptive import AdaptiveComputationRNN
from .rnn._attention_display import AttentionDisplay
from .rnn._classifier import RNNClassifier
from .rnn._display import LossCurveDisplay
from .rnn._eigen import EigenReport, eigen_report
from .rnn._jacobians import gradient_norm_by_lag, jacobian_product
from .rnn._language import CharRNN
from .rnn._lyapunov import lyapunov_exponents
from .rnn._markov import MarkovChain
from .rnn._reference import bptt_reference
from .rnn._regressor import RNNRegressor
from .rnn._self_attention_classifier import SelfAttentionClassifier
from .rnn._self_attention_regressor import SelfAttentionRegressor
from .rnn._seq2seq import Seq2SeqTransducer
from .rnn._seq2seq_regressor import Seq2SeqRegressor
from .rnn._tree_reader import read_trees
from .rnn._trees import RecursiveClassifier
from .rnn._turing import NeuralTuringMachine
from .rnn._window import WindowRNNRegressor

__all__ = [
    "AdaptiveComputationRNN",
    "AttentionDisplay",
    "CharRNN",
    "DeepESNRegressor",
    "ESNClassifier",
    "ESNRegressor",
    "ESNSearchCV",
    "EigenReport",
    "FORCEReadout",
    "LMSReadout",
    "LocalESNRegressor",
    "LossCurveDisplay",
    "MarkovChain",
    "NVARRegressor",
    "NeuralTuringMachine",
    "RLSReadout",
    "RNNClassifier",
    "RNNRegressor",
    "RecursiveClassifier",
    "ReservoirStream",
    "ReservoirTransformer",
    "RunningReadout",
    "SelfAttentionClassifier",
    "SelfAttentionRegressor",
    "Seq2SeqRegressor",
    "Seq2SeqTransducer",
    "SequenceScaler",
    "WindowESNRegressor",
    "WindowRNNRegressor",
    "activations",
    "bptt_reference",
    "carries_state",
    "continue_fit",
    "eigen_report",
    "fit_distributed",
    "gradient_norm_by_lag",
    "jacobian_product",
    "leave_one_out_errors",
    "lyapunov_exponents",
    "read_trees",
    "register_activation",
    "register_topology",
    "run_from",
    "sequence_scorer",
    "simulate_paths",
    "spectral_radius",
    "topologies",
    "with_penalty",
    "without_rows",
]
