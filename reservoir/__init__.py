"""Echo state networks and other reservoirs behind scikit-learn estimators (rows are time steps)."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`reservoir` is `echocast.reservoir`; the checkout root should not be on sys.path"
    )

from ._esn import ESNRegressor
from ._stream import ReservoirStream

__all__ = ["ESNRegressor", "ReservoirStream"]
