"""Checks for your own forecasters, transforms and splitters: nothing may see the future.

Each check returns a report of what it compared, or raises `AssertionError` naming the cutoff, what
was done to the rows after it, and the first value that differs.
"""

from ._forecasters import check_causal
from ._reports import CausalReport
from ._series import check_series_swap
from ._splitters import check_splitter
from ._transforms import check_transform_causal

__all__ = [
    "CausalReport",
    "check_causal",
    "check_series_swap",
    "check_splitter",
    "check_transform_causal",
]
