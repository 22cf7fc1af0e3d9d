"""Every example script runs, without warnings, and ends with the number that it asserts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("plot_*.py"))


def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_example_runs(script, tmp_path):
    done = subprocess.run(
        # pyparsing takes "error" for a wish to see all of its diagnostics of Matplotlib's grammar
        [sys.executable, "-W", "error", "-W", "ignore:::pyparsing", str(script)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_example_ends_with_a_number_it_asserts(script):
    source = script.read_text("utf-8")
    assert "\nassert " in source
    assert source.startswith('"""')
