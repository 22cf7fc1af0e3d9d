"""Checks for your own estimators, forecasters, transforms and splitters.

Nothing may see the future, sequences may not run into each other, and a fit that is stopped must
leave the former model. Each check returns a report of what it compared, or raises `AssertionError`
naming what was done and the first value that differs.
"""

from ._bad_input import BadInput
from ._bad_inputs import bad_inputs, run_bad_inputs
from ._forecasters import check_causal
from ._interrupts import InterruptReport, check_transactional
from ._reports import CausalReport
from ._sequences import SequenceReport, check_sequence_estimator
from ._series import check_series_swap
from ._splitters import check_splitter
from ._transforms import check_transform_causal
from ._trial import Counts

__all__ = [
    "BadInput",
    "CausalReport",
    "Counts",
    "InterruptReport",
    "SequenceReport",
    "bad_inputs",
    "check_causal",
    "check_sequence_estimator",
    "check_series_swap",
    "check_splitter",
    "check_transactional",
    "check_transform_causal",
    "run_bad_inputs",
]
