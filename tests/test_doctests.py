"""Every example in a docstring runs, module by module."""

import dataclasses
import doctest
import importlib
import pkgutil

import numpy as np
import pytest

PACKAGES = (
    "echocast",
    "echocast.datasets",
    "echocast.forecasting",
    "echocast.reservoir",
    "echocast.reservoir.rnn",
    "echocast.testing",
)
# Needs other libraries: its examples run in the interop lane (.ci/interop).
ADAPTERS = "echocast.forecasting.adapters."
# Raised as the package grows, so that a walk that finds few examples cannot pass.
LEAST_EXAMPLES = 150
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def module_names():
    # Setuptools maps the folders one by one, so each sub-package is walked by its own path.
    names = set(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        names |= {found.name for found in pkgutil.walk_packages(path, package + ".")}
    names -= {"echocast.__main__"}
    return sorted(name for name in names if not name.startswith(ADAPTERS))


@pytest.fixture
def own_world(tmp_path, monkeypatch):
    """An empty folder, NumPy's own way of printing, and registries that forget what is added."""
    monkeypatch.chdir(tmp_path)
    registries = [
        (value, value.copy())
        for name in module_names()
        for key, value in vars(importlib.import_module(name)).items()
        if isinstance(value, dict) and key.isupper()
    ]
    with np.printoptions(legacy=False):
        yield
    for registry, before in registries:
        if registry != before:
            registry.clear()
            registry.update(before)


@pytest.mark.usefixtures("own_world")
@pytest.mark.parametrize("name", module_names())
def test_examples_of_module(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=FLAGS)
    assert result.failed == 0


def test_public_names_have_examples():
    """A public function or class without a runnable example is an oversight."""
    finder = doctest.DocTestFinder(recurse=False)
    bare = []
    for package in PACKAGES[1:]:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", []):
            found = getattr(module, name)
            # What a function returns is shown in that function's example.
            is_result = dataclasses.is_dataclass(found)
            if (
                callable(found)
                and not is_result
                and not any(t.examples for t in finder.find(found, name))
            ):
                bare.append(f"{package}.{name}")
    assert bare == []


def test_examples_were_found():
    finder = doctest.DocTestFinder()
    found = sum(
        len(test.examples)
        for name in module_names()
        for test in finder.find(importlib.import_module(name), name)
    )
    assert found >= LEAST_EXAMPLES
