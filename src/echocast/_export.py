"""Fitted models in the formats of others: ONNX graphs that run without Python, bare weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._checks import check_option

__all__ = ["to_onnx", "to_safetensors"]

_OPERATORS = {"identity": "Identity", "relu": "Relu", "sigmoid": "Sigmoid", "sin": "Sin",
              "tanh": "Tanh"}  # fmt: skip
_OPSET, _IR = 17, 9  # what runtimes of the last years know


def to_onnx(model: Any, path: Any = None, *, dtype: str | None = None) -> Any:
    """Export a fitted `ESNRegressor` to an ONNX graph, which other runtimes execute.

    The graph has the inputs ``state_in`` (n_units,) and ``X`` (n_steps, n_features) and the outputs
    ``state_out`` (n_units,) and ``Y`` (n_steps, n_targets). A series can be given in parts: each
    begins with the state that the one before ended with, the first with zeros. With output
    feedback ``output_in`` and ``output_out`` (n_targets,) are carried along likewise.

    Parameters
    ----------
    model : ESNRegressor
        Fitted, with an activation of the package.
    path : path-like, optional
        Where to write the graph.
    dtype : {"float64", "float32"}, optional
        Precision of the graph; that of the model by default.

    Returns
    -------
    onnx.ModelProto or Path
        The graph, or the path if it was written.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the model is not an `ESNRegressor`.
    ValueError
        If it has an activation of the user's.

    Notes
    -----
    The recurrent matrix is stored dense. All weights are in the graph, none in files beside it.

    Examples
    --------
    >>> import numpy as np
    >>> import echocast
    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.2 * np.arange(300))[:, None]
    >>> model = ESNRegressor(n_units=20, random_state=0).fit(u[:-1], u[1:])
    >>> path = echocast.to_onnx(model, "sine.onnx")  # doctest: +SKIP
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "`to_onnx` needs the 'onnx' extra: python -m pip install 'echocast[onnx]'"
        ) from error
    from onnx import TensorProto, helper

    _check_model(model)
    reservoir = model._fit_reservoir.reservoir
    if reservoir.activation not in _OPERATORS or reservoir.function is not None:
        raise ValueError(
            f"`to_onnx` knows the activations {sorted(_OPERATORS)}, not {reservoir.activation!r}."
        )
    if dtype is not None:
        check_option("dtype", dtype, "to_onnx", ("float32", "float64"))
    kind = np.dtype(dtype or reservoir.dtype)
    code = TensorProto.DOUBLE if kind == np.float64 else TensorProto.FLOAT
    weights = {k: np.ascontiguousarray(v, dtype=kind) for k, v in _weights(model).items()}
    n_units, n_inputs = reservoir.n_units, reservoir.n_inputs
    feedback = reservoir.W_fb is not None

    def value(name, *shape):
        return helper.make_tensor_value_info(name, code, shape)

    n_targets = len(weights["c"])
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(
        _outer_nodes(helper, _body(helper, value, reservoir, weights), weights, feedback),
        "echo_state_network",
        [value("state_in", n_units), value("X", "n_steps", n_inputs)]
        + [value("output_in", n_targets)] * feedback,
        [value("state_out", n_units), value("Y", "n_steps", n_targets)]
        + [value("output_out", n_targets)] * feedback,
        tensors,
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="echocast"
    )
    proto.ir_version = _IR
    onnx.checker.check_model(proto, full_check=True)
    if path is None:
        return proto
    from ._files_write import write_atomically

    return write_atomically(path, [proto.SerializeToString(deterministic=True)], overwrite=True)


def _check_model(model: Any) -> None:
    from echocast.reservoir import ESNRegressor

    if type(model) is not ESNRegressor:
        raise TypeError(
            "`to_onnx` takes a fitted ESNRegressor, for the graph is one reservoir, its state and "
            f"a linear readout. Got {type(model).__name__}; `echocast.save` takes all models."
        )
    check_is_fitted(model)


def _weights(model: Any) -> dict[str, np.ndarray]:
    """All tensors of the graph, transposed where rows come from the left."""
    reservoir = model._fit_reservoir.reservoir
    matrix = reservoir.plan.matrix
    n = reservoir.n_units
    found = {
        "W_in_T": reservoir.W_in.T,
        "W": matrix if isinstance(matrix, np.ndarray) else matrix.toarray(),
        "b": reservoir.b,
        "leak": reservoir.leak,
        "keep": 1 - reservoir.leak,
        "C_states_T": model.coef_[:, :n].T,
        "c": model.intercept_,
    }
    if reservoir.W_fb is not None:
        found["W_fb"] = reservoir.W_fb
    if model._fit_reservoir.include_input:
        found["C_inputs_T"] = model.coef_[:, n:].T
    return found


def _body(helper: Any, value: Any, reservoir: Any, weights: dict) -> Any:
    """One step: from the state, and the output if it is fed back, to the next ones."""
    make = helper.make_node
    n, k, feedback = reservoir.n_units, len(weights["c"]), "W_fb" in weights
    nodes = [make("MatMul", ["W", "x"], ["recurrent"])]
    nodes += [make("Add", ["driven", "recurrent"], ["sum"])]
    if feedback:
        nodes += [make("MatMul", ["W_fb", "y"], ["heard"]), make("Add", ["sum", "heard"], ["pre"])]
    else:
        nodes += [make("Identity", ["sum"], ["pre"])]
    nodes += [
        make(_OPERATORS[reservoir.activation], ["pre"], ["new"]),
        make("Mul", ["leak", "new"], ["share"]),
        make("Mul", ["keep", "x"], ["kept"]),
        make("Add", ["kept", "share"], ["x_next"]),
    ]
    inputs, outputs = [value("x", n)], [value("x_next", n)]
    if feedback:
        nodes += [
            make("MatMul", ["x_next", "C_states_T"], ["read"]),
            make("Add", ["read", "beside"], ["y_next"]),
            make("Identity", ["y_next"], ["y_said"]),
        ]
        inputs += [value("y", k), value("driven", n), value("beside", k)]
        outputs += [value("y_next", k), value("y_said", k)]
    else:
        nodes += [make("Identity", ["x_next"], ["x_said"])]
        inputs += [value("driven", n)]
        outputs += [value("x_said", n)]
    return helper.make_graph(nodes, "step", inputs, outputs)


def _outer_nodes(helper: Any, body: Any, weights: dict, feedback: bool) -> list:
    """What is done for all steps at once, before and after the loop over them."""
    make = helper.make_node
    nodes = [
        make("MatMul", ["X", "W_in_T"], ["projected"]),
        make("Add", ["projected", "b"], ["drive"]),
    ]
    offset = "c"
    if "C_inputs_T" in weights:
        offset = "offset"
        nodes += [make("MatMul", ["X", "C_inputs_T"], ["passed"])]
        nodes += [make("Add", ["passed", "c"], ["offset"])]
    if not feedback:
        scan = make("Scan", ["state_in", "drive"], ["state_out", "states"], body=body,
                    num_scan_inputs=1)  # fmt: skip
        read = make("MatMul", ["states", "C_states_T"], ["read_out"])
        return [*nodes, scan, read, make("Add", ["read_out", offset], ["Y"])]
    if offset == "c":  # one row for each step
        zero = "zero_rows"
        nodes += [make("MatMul", ["drive", "C_states_T"], ["any_rows"])]
        nodes += [
            make("Sub", ["any_rows", "any_rows"], [zero]),
            make("Add", [zero, "c"], ["offset"]),
        ]
    names = ["state_in", "output_in", "drive", "offset"]
    outputs = ["state_out", "output_out", "Y"]
    return [*nodes, make("Scan", names, outputs, body=body, num_scan_inputs=2)]


def to_safetensors(model: Any, path: Any) -> Any:
    """Write the arrays of a fitted model to a file that other libraries read; not read back.

    Names say where an array stands in the model, such as ``coef_`` or ``_fit_network.esn.W_``; the
    metadata hold the class and the parameters. Sparse matrices are three arrays. For a file that
    becomes the model again, use `echocast.save`.

    Parameters
    ----------
    model : estimator, forecaster or transform of this package
        Fitted, and such that `echocast.save` takes it.
    path : path-like

    Returns
    -------
    Path

    Raises
    ------
    ImportError
        If safetensors is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import echocast
    >>> from echocast.reservoir import ESNRegressor
    >>> u = np.sin(0.2 * np.arange(300))[:, None]
    >>> model = ESNRegressor(n_units=20, random_state=0).fit(u[:-1], u[1:])
    >>> path = echocast.to_safetensors(model, "sine.safetensors")  # doctest: +SKIP
    """
    try:
        from safetensors.numpy import save as packed
    except ImportError as error:
        raise ImportError(
            "`to_safetensors` needs the 'safetensors' extra: "
            "python -m pip install 'echocast[safetensors]'"
        ) from error
    import io

    from ._files import inspect, save
    from ._files_write import write_atomically

    file = io.BytesIO()
    save(model, file)  # what cannot be saved is refused here
    found = inspect(file)
    arrays = {name: np.ascontiguousarray(a) for name, a in _arrays(model, "", set())}
    said = {"class": found["class"], "params": json.dumps(found["params"], default=repr)}
    return write_atomically(path, [packed(arrays, metadata=said)], overwrite=True)


def _arrays(value: Any, path: str, seen: set) -> Any:
    """(place, array) for every array of numbers in a model, once."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fiub":
            yield path, value
        return
    if id(value) in seen or isinstance(value, (str, int, float, np.generic, type(None))):
        return
    seen.add(id(value))
    if isinstance(value, dict):
        parts = {str(k): v for k, v in value.items()}
    elif isinstance(value, (list, tuple)):
        parts = {str(k): v for k, v in enumerate(value)}
    elif type(value).__module__.startswith(("echocast.", "scipy.sparse", "sklearn.")):
        parts = dict(getattr(value, "__dict__", {}))
        if hasattr(value, "indptr"):
            parts = {name: getattr(value, name) for name in ("data", "indices", "indptr")}
    else:
        return
    for name, part in parts.items():
        yield from _arrays(part, f"{path}.{name}" if path else name, seen)
