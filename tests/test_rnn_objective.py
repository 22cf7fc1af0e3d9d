"""The loss of whole networks and its gradient: central differences, shards, truncation."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.reservoir.rnn import _nodes
from echocast.reservoir.rnn._heads import ClassHead, ValueHead
from echocast.reservoir.rnn._network import Network
from echocast.reservoir.rnn._objective import Objective, TrainData
from gradients import assert_gradient, central_difference, unit_vector
from rnn_fits import ragged, regressor

LENGTHS = (7, 5, 5, 2)
N_INPUTS, N_TARGETS = 3, 2
CELLS = {
    "tanh": {"cell": "rnn"},
    "relu": {"cell": "rnn", "activation": "relu"},
    "leaky": {"cell": "rnn", "leak": np.array([0.2, 0.5, 0.9, 1.0])},
    "deep": {"cell": "rnn", "transition": "deep", "depth": 3},
    "deep with a skip": {"cell": "rnn", "transition": "deep_skip", "depth": 2},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
LOSSES = ("absolute_error", "gaussian", "huber", "pinball", "squared_error", "student_t")


def problem(seed=0, *, loss="squared_error", lengths=LENGTHS, n_jobs=1, units=(4,), **settings):
    """An objective on ragged random sequences, all of them in one chunk, and parameters."""
    rng = np.random.RandomState(seed)
    levels = (0.1, 0.5, 0.8)
    head = ClassHead(3) if loss == "classes" else ValueHead(loss, N_TARGETS, levels)
    n_fed = 3 if loss == "classes" else N_TARGETS
    settings = {"cell": "rnn", "activation": "tanh", "last": False, **settings}
    network = Network(
        units=units, n_inputs=N_INPUTS, n_outputs=head.n_outputs, n_fed=n_fed,
        dtype=np.dtype(np.float64), **settings,
    )  # fmt: skip
    n_rows = sum(lengths)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    n = len(lengths) if network.last else n_rows
    targets = rng.randint(3, size=n) if loss == "classes" else rng.randn(n, N_TARGETS)
    rows = rng.randn(n_rows, N_INPUTS)
    data = TrainData(rows, indptr, targets, rng.uniform(0.2, 2, n), rng.randn(n_rows, n_fed))
    objective = Objective(network, head, data, n_jobs=n_jobs)
    lanes = np.stack([indptr[:-1], indptr[1:]], axis=1)
    (chunk,) = objective.chunks(lanes, np.arange(len(lanes)), None)
    return objective, chunk, 0.5 * rng.randn(network.layout.size)


def check(objective, chunk, theta, *, total=None, **given):
    def loss(at):
        value, _ = objective.gradient(at, np.empty_like(at), chunk, None, total=total, **given)
        return value + objective.penalise(at, np.empty_like(at))

    grad = np.empty_like(theta)
    objective.gradient(theta, grad, chunk, None, total=total, **given)
    objective.penalise(theta, grad)
    assert np.linalg.norm(grad) > 1e-3
    assert_gradient(loss, theta, grad, np.random.RandomState(1))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_every_cell(cell, last):
    check(*problem(**CELLS[cell], last=last))


@pytest.mark.parametrize("loss", [*LOSSES, "classes"])
@pytest.mark.parametrize("last", [False, True])
def test_gradient_of_every_loss(loss, last):
    check(*problem(loss=loss, cell="gru", last=last))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradient_of_stacks_in_one_and_both_directions(cell, bidirectional, last):
    settings = {"include_input": True, "h0": "learned", "units": (4, 3, 2)}
    check(*problem(cell=cell, bidirectional=bidirectional, last=last, **settings))


def test_gradient_at_given_first_states():
    h0 = [(np.linspace(-1, 1, 4),), (np.array([0.5, -0.5, 2.0]),)]
    check(*problem(cell="gru", units=(4, 3), h0=h0))


def test_gradient_with_a_penalty_on_weights_alone():
    objective, chunk, theta = problem(cell="lstm", h0="learned")
    objective.alpha = 0.7
    check(objective, chunk, theta)
    views = objective.network.layout.views(theta)
    weights = sum(np.sum(views[name] ** 2) for name in ("layers.0.W_in", "layers.0.W", "out.W"))
    assert_allclose(objective.penalise(theta, np.empty_like(theta)), 0.35 * weights, rtol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradient_under_dropout_masks(cell, bidirectional):
    objective, chunk, theta = problem(cell=cell, units=(4, 3), bidirectional=bidirectional)
    masks = objective.network.draw_masks(np.random.RandomState(2), len(LENGTHS), 0.4, 0.3)
    check(objective, chunk, theta, masks=masks)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("loss", ["squared_error", "pinball", "gaussian"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradient_through_own_outputs(cell, loss, share):
    objective, chunk, theta = problem(cell=cell, units=(4, 3), loss=loss, include_input=True)
    forced = objective.draw_forced(chunk, share, np.random.RandomState(3))
    assert forced[0].all()
    assert not forced.all()
    masks = objective.network.draw_masks(np.random.RandomState(2), len(LENGTHS), 0.2, 0.2)
    check(objective, chunk, theta, forced=forced, masks=masks)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("forced", [False, True])
def test_gradient_of_recurrence_from_outputs(activation, forced):
    objective, chunk, theta = problem(
        activation=activation, recurrence="output", include_input=True
    )
    given = {}
    if not forced:
        given["forced"] = objective.draw_forced(chunk, 0.4, np.random.RandomState(3))
    check(objective, chunk, theta, **given)


def test_forcing_everywhere_is_the_parallel_pass():
    for recurrence in ("hidden", "output"):
        objective, chunk, theta = problem(recurrence=recurrence)
        data = objective.data
        if recurrence == "hidden":  # true outputs are the first inputs
            objective.data = replace(data, before=data.rows[:, :N_TARGETS].copy())
        grads = [np.empty_like(theta) for _ in range(2)]
        everywhere = np.ones(chunk.packed.rows.shape, dtype=bool)
        losses = [
            objective.gradient(theta, grad, chunk, None, forced=forced)[0]
            for grad, forced in zip(grads, (None, everywhere))
        ]
        assert_allclose(*losses, rtol=1e-13)
        assert_allclose(*grads, rtol=1e-10, atol=1e-13)


def test_the_symbol_fed_back_is_a_constant():
    objective, chunk, theta = problem(loss="classes", recurrence="output")
    forced = np.zeros(chunk.packed.rows.shape, dtype=bool)
    check(objective, chunk, theta, forced=forced)


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_carried_states_have_the_loss_of_the_whole(cell):
    objective, whole, theta = problem(**CELLS[cell], units=(4, 4), h0="learned")
    total = whole.weights.sum()
    loss, states = objective.gradient(theta, np.empty_like(theta), whole, None, total=total)
    lanes = np.stack([objective.data.indptr[:-1], objective.data.indptr[1:]], axis=1)
    parts, state = 0.0, None
    for chunk in objective.chunks(lanes, np.arange(len(lanes)), 3):
        before = None if state is None else state[: chunk.packed.rows.shape[1]]
        part, state = objective.gradient(theta, np.empty_like(theta), chunk, before, total=total)
        carried = objective.carry(theta, chunk, before)
        assert_allclose(carried, state, rtol=1e-12, atol=1e-14)
        parts += part
    assert_allclose(parts, loss, rtol=1e-12)
    assert_allclose(state, states[: len(state)], rtol=1e-12, atol=1e-14)


def test_truncation_ends_the_gradient_at_the_border_of_a_chunk():
    objective, _, theta = problem(lengths=(8, 8))
    lanes = np.stack([objective.data.indptr[:-1], objective.data.indptr[1:]], axis=1)
    chunks = list(objective.chunks(lanes, np.arange(2), 4))
    _, state = objective.gradient(theta, np.empty_like(theta), chunks[0], None)

    def loss(at):  # the state before the chunk does not move with the parameters
        return objective.gradient(at, np.empty_like(at), chunks[1], state)[0]

    grad = np.empty_like(theta)
    objective.gradient(theta, grad, chunks[1], state)
    v = unit_vector(np.random.RandomState(0), theta.shape)
    assert_allclose(grad @ v, central_difference(loss, theta, v), atol=1e-8)


@pytest.mark.parametrize("params", [{}, {"cell": "lstm", "hidden_layer_sizes": (5, 4)}])
def test_truncation_to_the_whole_is_exact(params):
    data = ragged()
    X, y = [u[:-1] for u in data], [u[1:] for u in data]
    exact, whole = (
        regressor(bptt_steps=steps, max_iter=3, **params).fit(X, y) for steps in (None, 29)
    )
    assert_array_equal(exact.theta_, whole.theta_)
    shorter = regressor(bptt_steps=5, max_iter=3, **params).fit(X, y)
    assert not np.allclose(exact.theta_, shorter.theta_)


BIG = tuple(np.random.RandomState(0).randint(2, 12, 40))


@pytest.mark.parametrize("settings", [
    {"cell": "rnn"}, {"cell": "lstm"}, {"cell": "gru", "bidirectional": True},
    {"cell": "gru", "last": True}, {"recurrence": "output"},
])  # fmt: skip
def test_shards_do_not_depend_on_the_threads_by_a_bit(settings, monkeypatch):
    monkeypatch.setattr(_nodes, "_SHARD_WORK", 1)
    monkeypatch.setattr(_nodes, "_SHARD_ROWS", 8)
    lengths = tuple(sorted(BIG, reverse=True))
    found = []
    for n_jobs in (1, 2, 4):
        objective, chunk, theta = problem(lengths=lengths, units=(8,), n_jobs=n_jobs, **settings)
        assert len(objective._shards(chunk)) >= 4
        masks = objective.network.draw_masks(np.random.RandomState(0), 40, 0.2, 0.2)
        given = {} if settings.get("recurrence") else {"masks": masks}
        grad = np.empty_like(theta)
        for _ in range(2):  # workspaces are reused
            found.append((*objective.gradient(theta, grad, chunk, None, **given), grad.copy()))
        objective.close()
    for other in found[1:]:
        for a, b in zip(found[0], other):
            assert_array_equal(a, b)
    monkeypatch.setattr(objective, "_shards", lambda chunk: [(0, 40)])
    whole = objective.gradient(theta, grad, chunk, None, **given)
    # Sums over shards are taken in another order: some rounding errors of float64.
    assert_allclose(whole[0], found[0][0], rtol=1e-13)
    assert_allclose(grad, found[0][2], rtol=1e-12, atol=1e-13)
    assert_allclose(whole[1], found[0][1], rtol=1e-12, atol=1e-14)


def test_an_error_in_a_thread_comes_out_and_the_threads_end(monkeypatch):
    monkeypatch.setattr(_nodes, "_SHARD_WORK", 1)
    monkeypatch.setattr(_nodes, "_SHARD_ROWS", 8)
    objective, chunk, theta = problem(lengths=tuple(sorted(BIG, reverse=True)), n_jobs=2)

    def broken(*args, **kwargs):
        raise MemoryError("no room")

    monkeypatch.setattr(objective, "_run", broken)
    with pytest.raises(MemoryError, match="no room"):
        objective.gradient(theta, np.empty_like(theta), chunk, None)
    objective.close()
    assert objective._pool is None


def test_rows_of_weight_zero_have_no_gradient_but_are_history():
    objective, chunk, theta = problem()
    weights = chunk.weights.copy()
    weights[-1] = 0
    grads = []
    for shift in (0.0, 5.0):
        objective.data.targets[objective.data.indptr[1] - 1] += shift
        grad = np.empty_like(theta)
        objective.gradient(theta, grad, replace(chunk, weights=weights), None)
        grads.append(grad)
    assert_array_equal(*grads)
    objective.data.rows[0] += 1.0
    objective.gradient(theta, grad, replace(chunk, weights=weights), None)
    assert not np.allclose(grad, grads[0])
