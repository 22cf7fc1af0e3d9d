"""What ``echocast show-versions`` and ``echocast warmup`` print."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time

__all__ = ["package_versions", "run_warmup", "show_versions"]

_PACKAGES = (
    "echocast",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "numba",
    "llvmlite",
    "joblib",
    "threadpoolctl",
    "matplotlib",
)


def show_versions() -> None:
    """Print versions, processor, linear algebra libraries and the state of the kernel cache."""
    for name, value in _facts():
        print(f"{name:<15} {value}")


def _facts():
    import numpy  # noqa: F401  (loads the linear algebra library that is reported below)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    yield "python", sys.version.split()[0]
    yield "executable", sys.executable
    yield "platform", platform.platform()
    yield "cores", os.cpu_count()
    yield from package_versions().items()
    for pool in threadpool_info():
        api = pool.get("internal_api", "?")
        yield api, f"{pool.get('version')}, {pool.get('num_threads')} threads"
    yield "kernel cache", _cache_state()


def package_versions() -> dict[str, str]:
    """Versions of this package and of those it stands on."""
    return {package: _version_of(package) for package in _PACKAGES}


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cache_state() -> str:
    from echocast._jit import cache_folder

    folder = cache_folder()
    if folder is None:
        return "off: kernels are compiled in every process"
    files = [path.stat().st_size for path in folder.iterdir()]
    return f"{folder} ({len(files)} files, {sum(files) / 1e6:.1f} MB)"


def run_warmup() -> None:
    """Compile the kernels, or load them from the cache, and print how long that took."""
    from echocast.reservoir._warmup import warmup

    start = time.perf_counter()
    warmup()
    print(f"kernels ready after {time.perf_counter() - start:.1f} s")
    print(f"cache: {_cache_state()}")
