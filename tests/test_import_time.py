"""Importing the package loads neither the compiler nor the plotting library."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "llvmlite", "matplotlib", "polars", "dask")


def run_python(code, cwd):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "package", ["echocast", "echocast.reservoir", "echocast.forecasting", "echocast.datasets"]
)
def test_import_loads_nothing_heavy(package, tmp_path):
    done = run_python(
        f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["echocast", "echocast.reservoir", "echocast.datasets"])
def test_import_loads_no_pandas(package, tmp_path):
    # scikit-learn imports pandas by itself in some versions.
    before = "import sklearn.base" if package.endswith("reservoir") else "pass"
    code = (
        f"import sys; {before}; already = 'pandas' in sys.modules; import {package}; "
        "print('pandas' in sys.modules and not already)"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("package", ["echocast.reservoir", "echocast.forecasting"])
def test_import_loads_no_slow_part_of_scipy_or_scikit_learn(package, tmp_path):
    # Each takes a tenth of a second; other versions may load them by themselves.
    before = "pandas, scipy.linalg, scipy.sparse, sklearn.metrics, sklearn.model_selection"
    code = (
        f"import sys, {before}; already = set(sys.modules); import {package}; "
        "slow = {'scipy.signal', 'scipy.stats', 'sklearn.cluster', 'sklearn.linear_model'}; "
        "print(sorted(slow & set(sys.modules) - already))"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_front_door_loads_no_numpy(tmp_path):
    code = (
        "import sys, echocast, echocast._cli; "
        "print([m for m in ('numpy', 'scipy', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_sub_packages_appear_on_first_use(tmp_path):
    code = (
        "import echocast; "
        "print(echocast.reservoir.__name__, echocast.datasets.__name__, echocast.__version__)"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["echocast.reservoir", "echocast.datasets"]


def test_every_public_name_is_there(tmp_path):
    code = "from echocast import *; print(callable(warmup), datasets.__name__, __version__)"
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["True", "echocast.datasets"]


def test_unknown_name_is_an_attribute_error():
    import echocast

    with pytest.raises(AttributeError, match="no attribute 'reservoirs'"):
        _ = echocast.reservoirs


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("ESNForecaster", "forecasting"),
        ("ESNRegressor", "reservoir"),
        ("lorenz63", "datasets"),
        ("EchocastWarning", "exceptions"),
    ],
)
def test_front_door_says_where_a_name_is(name, place):
    import echocast

    hint = f"; {name} is in echocast.{place}$"
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'{hint}"):
        getattr(echocast, name)
    with pytest.raises(ImportError, match=f"cannot import name '{name}' from 'echocast'{hint}"):
        exec(f"from echocast import {name}")
    assert not hasattr(echocast, name)


def test_private_names_are_looked_up_without_imports(tmp_path):
    code = (
        "import sys, echocast; print(hasattr(echocast, '__wrapped__'), "
        "'echocast.reservoir' in sys.modules)"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "False"]
