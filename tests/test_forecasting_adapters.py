"""Adapters without the libraries that they need; what they do beside them is in tests/interop."""

import ast
import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import pytest

from echocast.forecasting import ESNForecaster, adapters

# sktime makes one forecaster a series itself, refuses NaN, and knows no columns of the past alone.
NOT_OFFERED = {"missing", "n_jobs", "past_columns", "pooling"}


@pytest.mark.parametrize("name", [found.name for found in pkgutil.iter_modules(adapters.__path__)])
def test_an_adapter_without_its_library_says_what_to_install(name, monkeypatch):
    module = f"echocast.forecasting.adapters.{name}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    for loaded in [name, *(m for m in sys.modules if m.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, loaded, None)  # as if it were not installed
    with pytest.raises(ImportError, match=rf"needs {name}: pip install 'echocast\[{name}\]'"):
        importlib.import_module(module)


def test_parameters_of_the_sktime_forecaster_are_those_of_the_forecaster():
    """Read from the source, so that a new parameter is noticed where sktime is not installed."""
    source = (Path(adapters.__path__[0]) / "sktime.py").read_text("utf-8")
    (init,) = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    arguments = init.args
    names = [a.arg for a in arguments.args + arguments.kwonlyargs][1:]
    defaults = [ast.literal_eval(d) for d in arguments.defaults + arguments.kw_defaults]
    ours = inspect.signature(ESNForecaster).parameters
    expected = {n: p.default for n, p in ours.items() if n not in NOT_OFFERED}
    assert dict(zip(names, defaults)) == expected
    stored = {
        target.attr: value.id
        for node in init.body
        if isinstance(node, ast.Assign)
        for target, value in [(node.targets[0], node.value)]
    }
    assert stored == {name: name for name in expected}
