"""Forged models do not lead compiled code out of its arrays, when they are read or used."""

import os
import subprocess
import sys

import pytest

import forged_parts
from model_bytes import forged, loaded, manifest_of, stored
from saved_models import fitted

NAMES = ["ESNRegressor", "ESNRegressor feedback", "ESNRegressor list", "DeepESNRegressor",
         "LocalESNRegressor", "WindowESNRegressor", "ESNClassifier", "RLSReadout",
         "RNNRegressor gru", "RNNRegressor lstm", "RNNRegressor leaks", "RNNRegressor deep",
         "RNNRegressor given h0", "NeuralTuringMachine", "Seq2SeqRegressor", "CharRNN None",
         "RecursiveClassifier", "SelfAttentionRegressor", "AdaptiveComputationRNN"]  # fmt: skip


def test_forgeries_are_of_every_part():
    manifest = manifest_of(stored(fitted("RLSReadout")))
    found = list(forged_parts.cases(manifest))
    assert len(found) > 20
    assert len({str(change.__closure__[0].cell_contents) for change, _ in found}) >= 6


@pytest.mark.parametrize("name", ["ESNForecaster multi_output", "ESNForecaster direct global"])
def test_a_forecast_that_would_never_end_is_refused(name):
    content = stored(fitted(name))
    places = [path for path, node in forged_parts.parts(manifest_of(content)["model"], ("model",))
              if path[-3:] == ("layout", "fitted", "horizon")]  # fmt: skip
    assert places
    for place in places:
        model = loaded(forged(content, forged_parts.put(place, 0)))
        with pytest.raises(ValueError, match="no steps to forecast"):
            model.predict(3)


@pytest.mark.slow
def test_no_forged_part_leads_a_kernel_out_of_its_arrays():
    done = subprocess.run(
        [sys.executable, forged_parts.__file__, *NAMES],
        env={
            **os.environ,
            "NUMBA_BOUNDSCHECK": "1",
            "ECHOCAST_CACHE": "0",
            "PYTHONPATH": os.path.dirname(forged_parts.__file__),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = {line.split(",")[0]: [int(n) for n in line.split(",")[1:]]
              for line in done.stdout.splitlines()}  # fmt: skip
    assert list(counts) == NAMES
    assert sum(map(sum, counts.values())) > 3000
    assert {name: row[3] for name, row in counts.items() if row[3]} == {}
