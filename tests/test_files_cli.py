"""`echocast inspect`, and `echocast.inspect`, which reads no arrays."""

import io

import numpy as np
import pytest

import echocast
from echocast import _files_arrays
from echocast._cli import main
from model_bytes import forged, loaded, stored
from saved_models import fitted


@pytest.fixture
def path(tmp_path):
    return fitted("ESNRegressor feedback").save(tmp_path / "model.echocast")


def test_the_command_shows_the_model_and_compares_digests(path, capsys):
    import hashlib

    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("model.echocast: ESNRegressor, ")
    shown = {line.split()[0]: line.split(None, 1)[1:] for line in out.splitlines() if line}
    assert shown["feedback_scaling"] == ["0.3"]
    assert shown["alpha"] == ["[0.001, 0.1]"]
    assert "digests OK\nsha256 " in out
    digest = out.split()[-1]
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert echocast.load(path, sha256=digest).n_units == 8


def test_the_command_refuses_what_is_damaged_or_absent(path, capsys):
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    assert main(["inspect", str(path)]) == 2
    assert "'model.echocast' is not a readable model file" in capsys.readouterr().err
    assert main(["inspect", str(path) + "x"]) == 2
    assert "cannot be read (No such file" in capsys.readouterr().err
    assert main(["inspect"]) == 2


def test_what_a_file_says_does_not_reach_the_terminal_as_it_is(tmp_path, capsys):
    content = stored(fitted("NaiveForecaster"))
    escape = "\x1b]0;owned\x07"

    def rename(manifest):
        manifest["model"]["params"] = {escape: 1, "strategy": escape}

    for change in (rename, lambda m: m["model"].update({"class": escape})):
        path = tmp_path / "model.echocast"
        path.write_bytes(forged(content, change))
        main(["inspect", str(path)])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert "\x07" not in out + err


def test_inspect_reads_no_array(path, monkeypatch):
    def refuse(*args):
        raise AssertionError("an array was read")

    monkeypatch.setattr(_files_arrays.ArrayReader, "_content", refuse)
    found = echocast.inspect(path)
    assert found["class"] == "ESNRegressor"
    assert found["params"]["feedback_scaling"] == 0.3
    assert found["format_version"] == (1, 0)
    assert found["written_by"]["echocast"] == echocast.__version__
    assert found["size"] == path.stat().st_size
    assert all(len(said["sha256"]) == 64 for said in found["arrays"].values())


@pytest.mark.parametrize("name", ["RNNForecaster", "ForecastSearchCV", "ESNRegressor matrix"])
def test_inspect_shows_parameters_of_every_kind(name):
    model = fitted(name)
    found = echocast.inspect(io.BytesIO(stored(model)))
    params = model.get_params(deep=False)
    assert found["params"].keys() == params.keys()
    for key, value in params.items():
        if isinstance(value, (str, int, float, tuple, type(None))):
            assert repr(found["params"][key]) == repr(value)
        elif isinstance(value, np.ndarray):
            assert found["params"][key] == "<array>"
    assert type(loaded(stored(model))).__name__ == found["class"]
