"""The experiments of `examples/systems`, which are scripts and no package, as modules."""

import functools
import importlib.util
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "systems"


@functools.cache
def load(name):
    """The script `name` (without .py) as a module; its ``run()`` returns a dict of floats."""
    spec = importlib.util.spec_from_file_location(f"systems_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def run(name):
    """What the experiment found, computed once for all tests that look at it."""
    found = load(name).run()
    assert all(type(key) is str and type(value) is float for key, value in found.items()), found
    return found
