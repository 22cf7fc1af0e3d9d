"""What the tests beside other libraries share: data, warnings that count, and printed tallies.

These tests need the extra `interop` and are left out of the default run; `.ci/interop` runs them
in an environment of their own, ``python -m pytest tests/interop`` in one that has the libraries.
"""

import numpy as np
import pandas as pd
import pytest

TALLIES = pytest.StashKey()
# Other libraries warn of their own future at every turn; what concerns us are our own warnings.
OURS = pytest.mark.filterwarnings(
    "ignore",
    "error:::echocast",
    "error::echocast.exceptions.EchocastWarning",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "interop" in item.path.parts:
            item.add_marker(OURS)


def pytest_configure(config):
    config.stash[TALLIES] = []


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("interop")
    for line in config.stash[TALLIES]:
        terminalreporter.line(line)


@pytest.fixture
def tally(request):
    """Print a line below the test run."""
    return request.config.stash[TALLIES].append


def monthly(seed, n_steps=240):
    """A seasonal series that grows by percentages, with noise of five per cent."""
    rng = np.random.RandomState(seed)
    angle = 2 * np.pi * np.arange(n_steps) / 12
    season = np.sin(angle) + 0.5 * np.cos(2 * angle + rng.rand())
    values = np.exp(2 + 0.003 * np.arange(n_steps) + 0.3 * season + 0.05 * rng.randn(n_steps))
    index = pd.date_range("2000-01-01", periods=n_steps, freq="MS", name="ds")
    return pd.Series(values, index=index, name="y")


@pytest.fixture(scope="session")
def wide():
    """Six monthly series as columns."""
    return pd.DataFrame({f"s{i}": monthly(i) for i in range(6)})


@pytest.fixture(scope="session")
def long(wide):
    """The same six series as a long frame."""
    frame = wide.reset_index().melt("ds", var_name="unique_id", value_name="y")
    return frame[["unique_id", "ds", "y"]]
