"""Echo state networks and time-series forecasting behind scikit-learn and pandas interfaces.

The public names live in three sub-packages, imported on first use:

- `echocast.reservoir`: estimators whose rows are time steps,
- `echocast.forecasting`: forecasters that take and return pandas objects, backtests, metrics,
- `echocast.datasets`: generators of chaotic systems and tasks, and small real series.

`echocast.testing` has checks that your own forecasters, transforms and splitters see no future,
`echocast.exceptions` has the errors and warnings, and `echocast.warmup()` compiles the kernels
ahead of the first fit. `echocast.save`, `echocast.load` and `echocast.inspect` are for model files.
"""

import sys as _sys
from importlib import import_module as _import_module
from importlib.metadata import PackageNotFoundError as _PackageNotFoundError
from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from echocast import datasets, exceptions, forecasting, reservoir, testing
    from echocast._export import to_onnx, to_safetensors
    from echocast._files import inspect, load, save
    from echocast.reservoir._warmup import warmup

try:
    __version__ = _version("echocast")
except _PackageNotFoundError:  # a checkout on sys.path that was never installed
    __version__ = "0+unknown"

_SUBMODULES = ("datasets", "exceptions", "forecasting", "reservoir", "testing")
_FUNCTIONS = {
    "inspect": "_files",
    "load": "_files",
    "save": "_files",
    "to_onnx": "_export",
    "to_safetensors": "_export",
}

__all__ = [
    "__version__",
    "datasets",
    "exceptions",
    "forecasting",
    "inspect",
    "load",
    "reservoir",
    "save",
    "testing",
    "to_onnx",
    "to_safetensors",
    "warmup",
]


def __getattr__(name: str) -> _Any:
    if name in _SUBMODULES:
        return _import_module(f"{__name__}.{name}")
    if name in _FUNCTIONS:
        return getattr(_import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    if name == "warmup":
        from echocast.reservoir._warmup import warmup

        return warmup
    hint = "" if name.startswith("_") else _where_it_lives(name)
    # `from echocast import x` asks through importlib, which drops the text of an AttributeError.
    if hint and _sys._getframe(1).f_code.co_name == "_handle_fromlist":
        raise ImportError(f"cannot import name {name!r} from {__name__!r}{hint}", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def _where_it_lives(name: str) -> str:
    """Name the sub-package that a public name should have been taken from, if there is one."""
    for place in _SUBMODULES:
        if name in _import_module(f"{__name__}.{place}").__all__:
            return f"; {name} is in {__name__}.{place}"
    return ""


def __dir__() -> list[str]:
    return sorted(__all__)
