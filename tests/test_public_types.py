"""No public function is untyped: a strict type checker refuses calls of one that is."""

import importlib
import inspect

import pytest

PACKAGES = ("echocast.datasets", "echocast.forecasting", "echocast.reservoir", "echocast.testing")


def overrides_typed_method(cls, name):
    """Whether the types of a method stand in a base class, as its documentation does."""
    return any(
        inspect.get_annotations(vars(base)[name]) for base in cls.__mro__[1:] if name in vars(base)
    )


def public_functions():
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                found[f"{package}.{name}"] = value
            elif inspect.isclass(value):
                found |= {
                    f"{package}.{name}.{method}": function
                    for method, function in vars(value).items()
                    if inspect.isfunction(function)
                    and function.__module__.startswith("echocast.")
                    and not method.startswith("_")
                    and not overrides_typed_method(value, method)
                }
    return found


@pytest.mark.parametrize("name", list(public_functions()))
def test_signature_has_types(name):
    function = public_functions()[name]
    takes = [
        parameter for parameter in inspect.signature(function).parameters if parameter != "self"
    ]
    hints = inspect.get_annotations(function)
    assert "return" in hints or not takes or set(takes) <= set(hints), f"{name} is untyped"
