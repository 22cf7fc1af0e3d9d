"""The experiments of `examples/systems`, which are scripts and no package, as modules."""

import functools
import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "systems"


@functools.cache
def load(name):
    """The script `name` (without .py) as a module; its ``run()`` returns a dict of floats."""
    spec = importlib.util.spec_from_file_location(f"systems_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(FOLDER))  # as it is for a script: they share `tasks`
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


@functools.cache
def run(name):
    """What the experiment found, computed once for all tests that look at it."""
    found = load(name).run()
    assert all(type(key) is str and type(value) is float for key, value in found.items()), found
    return found
