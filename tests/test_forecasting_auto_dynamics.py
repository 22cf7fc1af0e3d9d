import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from echocast.datasets import henon, lorenz63, mackey_glass, rossler
from echocast.forecasting._auto_dynamics import DynamicsModel
from echocast.forecasting._auto_recognise import is_dynamical, unpredictability
from echocast.forecasting._auto_search import (
    SETTINGS,
    Look,
    View,
    best_first,
    loop_errors,
    search,
    window_starts,
)

N, H = 300, 30
FLOW = lorenz63(N + 60, dt=0.05)


@pytest.fixture(scope="module")
def model():
    return DynamicsModel(FLOW[:N], horizon=H, n_seeds=1, seed=0)


def noise(n, d, seed=0):
    return np.random.RandomState(seed).randn(n, d)


# ----------------------------------------------------------------------- recognition


@pytest.mark.parametrize(
    "rows",
    [FLOW[:N], rossler(N, dt=0.2), mackey_glass(500)[:, None], henon(400), FLOW[:, :1]],
    ids=["lorenz63", "rossler", "mackey_glass", "henon", "one coordinate"],
)
def test_systems_are_recognised(rows):
    assert is_dynamical(rows, 1)


@pytest.mark.parametrize(
    "rows",
    [
        noise(400, 3),
        noise(400, 3).cumsum(axis=0),
        (0.05 * noise(400, 3).cumsum(axis=0)).cumsum(axis=0) + noise(400, 3),
        np.sin(0.5 * np.arange(400))[:, None] + 0.3 * noise(400, 4),
        np.ones((400, 3)),
        FLOW[:60],
    ],
    ids=["noise", "walks", "trends", "noisy seasons", "constants", "short"],
)
def test_business_series_are_not(rows):
    assert not is_dynamical(rows, 1)


def test_a_season_of_the_calendar_speaks_against_a_system():
    rows = FLOW[:N] + 20 * np.sin(2 * np.pi * np.arange(N) / 12)[:, None]
    assert not is_dynamical(rows, 12)
    assert unpredictability(FLOW[:N]) < 0.05 < unpredictability(noise(N, 3))


# ---------------------------------------------------------------------------- search


def test_windows_lie_inside_the_rows():
    for n, h in ((1000, 200), (150, 30), (50, 10)):
        starts = window_starts(n, h)
        assert starts.min() >= 3 * n // 10
        assert starts.max() == n - h


def test_errors_are_bounded_and_half_where_said():
    truth, scale = np.full((4, 2), 10.0), np.ones(2)
    assert loop_errors(truth, truth, scale) == 0
    assert_allclose(loop_errors(truth, -truth * 1e9, scale), 1.0, atol=1e-6)
    off = truth + 0.3  # half of the spread's part, and 0.3 / 20.3 of the other
    assert_allclose(loop_errors(truth, off, scale), 0.5 * (0.5 + 0.3 / 20.3))


def test_a_search_ranks_candidates_by_their_windows():
    found = search(FLOW[:N], H, 60, seed=0)
    scores = [candidate.score for candidate in found]
    assert scores == sorted(scores)
    truth = np.stack([FLOW[a : a + H] for a in window_starts(N, H)])
    for candidate in (found[0], found[-1]):
        errors = loop_errors(truth, candidate.forecasts, FLOW[:N].std(axis=0))
        assert_allclose(candidate.score, np.sqrt(errors).mean(), atol=1e-12)
    groups = best_first(found, 9, 3)
    chosen = [candidate for group in groups.values() for candidate in group]
    assert len(chosen) == 9
    assert len(groups) <= 3
    assert found[0] in chosen


def test_readouts_have_not_seen_the_windows_they_are_tried_on():
    """A window whose rows no law explains is forecast as badly as it deserves."""
    rows = FLOW[:N].copy()
    start = int(window_starts(N, H)[-1])
    rows[start:] = rows[start - 1] + noise(N - start, 3) * rows.std(axis=0)
    last = search(rows, H, 60, seed=0)[0].forecasts[-1]
    assert np.abs(last - rows[start:]).mean() > 0.5 * rows.std(axis=0).mean()


def test_a_view_shows_what_it_is_asked_for():
    plain = View(FLOW[:N], Look()).wiring
    moving = View(FLOW[:N], Look(moving=True)).wiring
    delayed = View(FLOW[:N, :1], Look(delays=2)).wiring
    assert (plain.n_inputs, moving.n_inputs, delayed.n_inputs) == (3, 6, 3)
    assert delayed.delayed[1, 1] == 2 * delayed.delayed[0, 1]
    assert len(set(SETTINGS)) == len(SETTINGS)


# ----------------------------------------------------------------------------- model


def test_forecasts_hold_for_more_than_a_lyapunov_time(model):
    steps = 22  # 1.1 time units, one over the Lyapunov exponent
    forecast = model.forecast(model.first_memory, steps)
    truth = FLOW[N : N + steps]
    assert np.abs(forecast - truth).max() < 0.02 * np.abs(truth - FLOW[N - 1]).max()
    assert model.naive is None
    assert model.scores["networks"] < 0.2 * model.scores["last"]


def test_where_nothing_can_be_learnt_a_naive_forecast_stands_in():
    rows = noise(N, 2)
    model = DynamicsModel(rows, horizon=H, n_seeds=1, seed=0)
    forecast = model.forecast(model.first_memory, H)
    worst = max(np.abs(forecast - rows.mean(axis=0)).max(), 0.0)
    assert model.naive is not None or worst < 1.5
    assert model.scores[model.naive or "networks"] == min(model.scores.values())


def test_systems_without_free_columns_need_no_network():
    t = np.arange(200.0)
    rows = np.column_stack([np.sin(0.2 * t), np.cos(0.31 * t) + 4, np.full(200, 2.0)])
    model = DynamicsModel(rows[:150], horizon=None, n_seeds=1, seed=0)
    assert not model.networks
    assert model.naive is None
    assert_allclose(model.forecast(model.first_memory, 50), rows[150:], atol=1e-6)
    moved, predicted, _ = model.advance(model.first_memory, rows[150:170])
    assert_allclose(predicted, rows[150:170], atol=1e-9)
    assert_allclose(model.forecast(moved, 30), rows[170:], atol=1e-6)


def test_delayed_copies_are_known_for_as_long_as_the_delay():
    series = mackey_glass(520)
    rows = np.column_stack([series[:-20], series[20:]])  # the first follows the second
    model = DynamicsModel(rows[:400], horizon=40, n_seeds=1, seed=0)
    forecast = model.forecast(model.first_memory, 40)
    assert_allclose(forecast[:20, 0], rows[400:420, 0], atol=1e-9)
    assert_allclose(forecast[20:, 0], forecast[:20, 1], atol=1e-3)
    assert np.abs(forecast[:, 1] - rows[400:440, 1]).max() < 0.5 * rows.std()


def test_moving_on_is_starting_from_all_rows(model):
    moved, predicted, _ = model.advance(model.first_memory, FLOW[N : N + 20])
    step_by_step = model.first_memory
    for row in FLOW[N : N + 20]:
        step_by_step = model.advance(step_by_step, row[None])[0]
    started = model.start(FLOW[: N + 20])
    for a, b, c in zip(moved.states, started.states, step_by_step.states):
        assert_allclose(a, b, atol=1e-12)
        assert_allclose(a, c, atol=1e-12)
    assert_allclose(predicted, model.one_step(FLOW[: N + 20])[-20:], atol=1e-9)
    assert np.abs(predicted - FLOW[N : N + 20]).max() < 0.1
    with pytest.raises(ValueError, match="must be greater than the window needed"):
        model.start(FLOW[:2])


def test_rows_learnt_later_count_as_rows_of_fit(model):
    """Against the readout of all rows under the same settings, solved anew."""
    _, _, learnt = model.advance(model.first_memory, FLOW[N : N + 40])
    longer = model.learning(learnt)
    network, later = model.networks[0], longer.networks[0]
    zero, first = np.zeros(network.weights.n_units), network.view.wiring.n_past - 1
    _, F, Y = network.run(FLOW[: N + 40], zero, first)
    settled = len(F) - 40 - round(network.factor.R[0, 0] ** 2)  # rows without the washout
    centred, alpha = F[settled:] - F[settled:].mean(axis=0), network.alphas[0]
    rows = np.vstack([centred, np.sqrt(alpha) * np.eye(F.shape[1])])
    targets = np.vstack([Y[settled:] - Y[settled:].mean(axis=0), np.zeros((F.shape[1], 3))])
    expected = np.linalg.lstsq(rows, targets, rcond=None)[0].T
    fitted = centred @ expected.T
    assert_allclose(centred @ later.coef[0].T, fitted, atol=1e-6)
    assert not np.array_equal(later.coef, network.coef)
    assert_array_equal(model.networks[0].coef, network.coef)


def test_paths_spread_as_the_tried_forecasts_did(model):
    points = model.forecast(model.first_memory, H + 10)
    paths = model.paths(points, 4000, np.random.RandomState(0))
    assert paths.shape == (H + 10, 3, 4000)
    assert_allclose(np.median(paths, axis=2), points, atol=0.1 * model.spread.max())
    widths = np.diff(np.quantile(paths, [0.1, 0.9], axis=2), axis=0)[0]
    assert (np.diff(widths, axis=0) >= -1e-9).all()
    assert (np.diff(model.spread, axis=0) >= 0).all()


def test_leave_one_out_errors_are_those_of_single_steps(model):
    assert model.errors.shape[1] == 3
    after = model.one_step(FLOW[: N + 60])[-60:] - FLOW[N : N + 60]
    ratio = np.sqrt((model.errors**2).mean() / (after**2).mean())
    assert 0.1 < ratio < 10
