"""Graphs for other runtimes say what the models say; skipped where those are not installed."""

import importlib.util
import io

import numpy as np
import pytest

import echocast
from echocast.reservoir import ESNRegressor, register_activation
from saved_models import U, fitted

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
HAS_TENSORS = importlib.util.find_spec("safetensors") is not None
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="the extra 'onnx' is not installed")
needs_tensors = pytest.mark.skipif(not HAS_TENSORS, reason="safetensors is not installed")

CASES = {
    "defaults": {},
    "states alone": {"include_input": False, "fit_intercept": False},
    "leaky": {"leak_rate": np.linspace(0.2, 1, 12), "topology": "shift"},
    "dense": {"topology": "dense"},
    "increments": {"target": "increment"},
    "relu": {"activation": "relu"},
    "sigmoid": {"activation": "sigmoid", "bias_scaling": 0.3},
    "identity": {"activation": "identity"},
    "sin": {"activation": "sin"},
    "feedback": {"feedback_scaling": 0.4},
    "feedback of states": {"feedback_scaling": 0.4, "include_input": False},
}


def fit(**params):
    return ESNRegressor(12, random_state=0, **params).fit(U[:-1], U[1:])


def run(session, model, X, state=None, output=None):
    kind = np.float64 if "double" in session.get_inputs()[0].type else np.float32
    given = {"state_in": np.zeros(12) if state is None else state, "X": X}
    if model.W_fb_ is not None:
        given["output_in"] = np.zeros(2) if output is None else output
    names = [o.name for o in session.get_outputs()]
    said = session.run(None, {k: np.asarray(v, dtype=kind) for k, v in given.items()})
    return dict(zip(names, said))


def session_of(model, **options):
    import onnxruntime

    content = echocast.to_onnx(model, **options).SerializeToString()
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@needs_onnx
@pytest.mark.parametrize("case", CASES)
def test_a_graph_says_what_the_model_says(case):
    model = fit(**CASES[case])
    found = run(session_of(model), model, U)
    np.testing.assert_allclose(found["Y"], model.predict(U), rtol=0, atol=1e-12)


@needs_onnx
@pytest.mark.parametrize("case", ["defaults", "feedback"])
def test_parts_with_carried_state_are_the_whole(case):
    model = fit(**CASES[case])
    session, state, output, parts = session_of(model), None, None, []
    for part in np.split(U, [1, 30, 31, 77]):
        found = run(session, model, part, state, output)
        state, output = found["state_out"], found.get("output_out")
        parts.append(found["Y"])
    whole = run(session, model, U)["Y"]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-13)


@needs_onnx
def test_single_precision():
    model = fit()
    found = run(session_of(model, dtype="float32"), model, U)["Y"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, model.predict(U), rtol=0, atol=1e-4)


@needs_onnx
def test_the_file_holds_all_weights_and_is_the_same_each_time(tmp_path):
    import onnx

    model = fit()
    path = echocast.to_onnx(model, tmp_path / "a.onnx")
    assert path.read_bytes() == echocast.to_onnx(model, tmp_path / "b.onnx").read_bytes()
    tensors = onnx.load(path).graph.initializer
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in tensors)


@needs_onnx
def test_what_no_graph_can_say_is_refused():
    with pytest.raises(TypeError, match="takes a fitted ESNRegressor"):
        echocast.to_onnx(fitted("NVARRegressor"))
    register_activation("softsign of a graph", lambda z: z / (1 + np.abs(z)))
    with pytest.raises(ValueError, match="knows the activations"):
        echocast.to_onnx(fit(activation="softsign of a graph"))
    with pytest.raises(ValueError, match="dtype"):
        echocast.to_onnx(fit(), dtype="float16")


@needs_tensors
def test_weights_in_a_file_of_others(tmp_path):
    from safetensors import safe_open

    model = fit()
    path = echocast.to_safetensors(model, tmp_path / "model.safetensors")
    with safe_open(path, "np") as file:
        np.testing.assert_array_equal(file.get_tensor("coef_"), model.coef_)
        np.testing.assert_array_equal(file.get_tensor("W_.data"), model.W_.data)
        assert file.metadata()["class"] == "ESNRegressor"
    for name in ("RNNRegressor gru", "ESNForecaster panel"):
        assert echocast.to_safetensors(fitted(name), tmp_path / "other").exists()


@needs_tensors
def test_weights_of_parts_of_others_are_in_the_file(tmp_path):
    from safetensors import safe_open

    model = fitted("ESNClassifier readout")
    path = echocast.to_safetensors(model, tmp_path / "model.safetensors")
    with safe_open(path, "np") as file:
        names = [name for name in file.keys() if name.endswith("coef_")]  # noqa: SIM118
        assert any(file.get_tensor(n).tobytes() == model.readout_.coef_.tobytes() for n in names)


@pytest.mark.parametrize(
    ("export", "absent"), [(echocast.to_onnx, "onnx"), (echocast.to_safetensors, "safetensors")]
)
def test_an_extra_that_is_absent_is_named(export, absent, monkeypatch):
    import sys

    for name in [n for n in sys.modules if n.split(".")[0] == absent]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ImportError, match=rf"'{absent}' extra: .* 'echocast\[{absent}\]'"):
        export(fit(), io.BytesIO())
