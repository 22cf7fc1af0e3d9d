"""Files of every release are read, and say what they said then."""

import json

import numpy as np
import pytest

import echocast
import golden_models
from golden_models import GOLDEN

FILES = sorted(GOLDEN.glob("*/*.echocast"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name} {p.stem}")
def test_an_old_file_says_what_it_said(path):
    wanted = json.loads((path.parent / "said.json").read_text("utf-8"))[path.stem]
    model = echocast.load(path)
    assert type(model).__name__ == path.stem
    # Another processor may round otherwise; nothing here amplifies that.
    np.testing.assert_allclose(golden_models.said(path.stem, model), wanted, rtol=1e-9, atol=1e-11)


def test_every_release_has_its_files():
    releases = {path.parent.name for path in FILES}
    assert releases >= {"0.1.0"}
    for release in releases:
        stored = {path.stem for path in FILES if path.parent.name == release}
        assert stored == json.loads((GOLDEN / release / "said.json").read_text("utf-8")).keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name} {p.stem}")
def test_old_files_are_small(path):
    assert path.stat().st_size < 16_000
