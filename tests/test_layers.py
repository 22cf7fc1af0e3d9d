"""The direction of imports between the folders, read from the import lines."""

from pathlib import Path

import pytest

import layer_rules

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path
    for folder in ("datasets", "forecasting", "reservoir", "src/echocast")
    for path in (ROOT / folder).rglob("*.py")
)


def layer_and_package(path):
    parts = path.relative_to(ROOT).parts
    if parts[0] == "src":
        leaf = parts[-1] in ("_checks.py", "exceptions.py")
        return ("leaf" if leaf else "front"), ".".join(parts[1:-1])
    return parts[0], ".".join(("echocast", *parts[:-1]))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_module_keeps_to_its_layer(path):
    layer, package = layer_and_package(path)
    assert layer_rules.violations(path.read_text("utf-8"), layer, package) == []


def test_all_folders_were_read():
    assert {layer_and_package(path)[0] for path in MODULES} == {
        "datasets",
        "forecasting",
        "front",
        "leaf",
        "reservoir",
    }


PLANTED = [
    ("reservoir", "import pandas as pd", "no pandas"),
    ("datasets", "from pandas import Series", "no pandas"),
    ("reservoir", "from echocast.datasets import lorenz63", "knows no other folder"),
    ("datasets", "from echocast import reservoir", "knows no other folder"),
    ("datasets", "def f():\n    import echocast.forecasting", "knows no other folder"),
    ("reservoir", "from ..datasets import lorenz63", "across folders are absolute"),
    ("reservoir", "from echocast.reservoir._esn import ESNRegressor", "relative"),
    ("forecasting", "import numba", "never imports numba"),
    ("forecasting", "def f():\n    from numba import njit", "never imports numba"),
    ("forecasting", "from echocast.reservoir._esn import ESNRegressor", "public names"),
    ("forecasting", "from echocast.datasets import load_sunspots", "does not import datasets"),
    ("forecasting", "import matplotlib.pyplot as plt", "optional"),
    ("forecasting", "from sktime.forecasting.base import BaseForecaster", "optional"),
    ("forecasting", "def f():\n    from .adapters.sktime import S", "by their users alone"),
    ("front", "def f():\n    import echocast.forecasting.adapters", "by their users alone"),
    ("forecasting", "from datasets import load_sunspots", "is `echocast.datasets`"),
    ("reservoir", "from sklearn.utils._param_validation import Interval", "private"),
    ("reservoir", "f(parallel=True)", "never used"),
    ("reservoir", "f(fastmath=True)", "never used"),
    ("datasets", "numpy.load(p, allow_pickle=True)", "never used"),
    ("leaf", "import sklearn", "NumPy alone"),
    ("front", "pass\n" * 601, "split"),
]


@pytest.mark.parametrize(("layer", "source", "sentence"), PLANTED)
def test_planted_violation_is_caught(layer, source, sentence):
    said = layer_rules.violations(source, layer)
    assert len(said) == 1
    assert sentence in said[0]


ALLOWED = [
    ("reservoir", "def f():\n    import pandas as pd"),
    ("reservoir", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas"),
    ("reservoir", "from numba import njit\nfrom ._kernels import leaky\nfrom . import _plan"),
    ("reservoir", "from echocast._checks import check_number"),
    ("forecasting", "import pandas as pd\nfrom echocast.reservoir import ESNRegressor"),
    ("forecasting", "def plot():\n    import matplotlib.pyplot as plt"),
    ("front", "def run():\n    from echocast.forecasting import backtest"),
]


@pytest.mark.parametrize(("layer", "source"), ALLOWED)
def test_allowed_import_passes(layer, source):
    assert layer_rules.violations(source, layer) == []


def test_an_adapter_imports_the_library_that_it_is_called_after():
    source = (
        "from sktime.forecasting.base import BaseForecaster\nfrom .._long import LongForecaster"
    )
    assert layer_rules.violations(source, "forecasting", layer_rules.ADAPTERS) == []


def test_relative_imports_of_a_nested_package_resolve_to_its_folder():
    (found,) = layer_rules.imports_of("from .._linalg import solve", "echocast.reservoir.rnn")
    assert found.name == "echocast.reservoir._linalg"
    assert found.relative
