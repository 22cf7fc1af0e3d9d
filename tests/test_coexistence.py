"""Installed beside Hugging Face's `datasets`, both packages are importable.

The fast test runs wherever that package happens to be installed (``pip install datasets``); the
slow one builds a wheel and installs both into an environment of its own:
``python -m pytest -m slow tests/test_coexistence.py``.
"""

import importlib.metadata
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Run from an empty folder: inside the checkout the name `datasets` would mean our folder.
BOTH = """
import importlib.metadata
import datasets
import echocast, echocast.datasets, echocast.forecasting, echocast.reservoir

assert hasattr(datasets, "load_dataset"), datasets
assert importlib.metadata.packages_distributions()["datasets"] == ["datasets"]
assert echocast.datasets is not datasets
table = datasets.Dataset.from_dict({"y": [1.0, 2.0, 3.0]})
assert table["y"][-1] == 3.0
print("both", datasets.__version__, echocast.__version__)
"""

FOLDERS_REFUSE = """
import sys
sys.path.insert(0, sys.argv[1])
for name in ("datasets", "forecasting", "reservoir"):
    try:
        __import__(name)
    except ImportError as error:
        assert f"`echocast.{name}`" in str(error), error
    else:
        raise AssertionError(f"{name} was imported under its bare name")
print("refused")
"""


def run(command, cwd, timeout=120):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(name):
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.skipif(not installed("datasets"), reason="Hugging Face datasets is not installed")
def test_both_packages_import_in_this_environment(tmp_path):
    assert run([sys.executable, "-c", BOTH], tmp_path).startswith("both")


def test_folders_refuse_to_be_imported_under_their_bare_names(tmp_path):
    assert run([sys.executable, "-c", FOLDERS_REFUSE, ROOT], tmp_path).strip() == "refused"


@pytest.mark.slow
def test_both_packages_import_in_a_new_environment(tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    # A copy, because building leaves `build/` behind in the tree that it reads.
    leave_out = shutil.ignore_patterns("build", "dist", ".*", "*.egg-info", "__pycache__")
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=leave_out)
    run([python, "-m", "pip", "install", "-q", "datasets", source], tmp_path, timeout=900)
    shutil.rmtree(source)
    assert run([python, "-c", BOTH], tmp_path).startswith("both")
    # The other package still works once ours has gone.
    run([python, "-m", "pip", "uninstall", "-q", "-y", "echocast"], tmp_path)
    assert "ok" in run(
        [python, "-c", "import datasets; datasets.load_dataset; print('ok')"], tmp_path
    )
