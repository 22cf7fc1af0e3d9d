"""Experiment 19: an echo state network, whose recurrent weights are drawn and never trained.

Ridge regression on the states of 600 units continues the Mackey-Glass series (tau 17) on its own.
The states are also those of the trainable network that starts from it: two front ends, one
network. They forget where they began. The baselines are the same network without recurrence, and
ridge regression on the last 20 values.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from echocast.datasets import mackey_glass
from echocast.reservoir import ESNRegressor, RNNRegressor

N_UNITS, N_STEPS, N_WASHOUT, N_LAGS, HORIZON = 600, 4000, 200, 20, 84
N_STARTS, GAP = 20, 100  # free runs within the test part


def echo_state_network(random_state, **changes):
    """Of degree 10 and radius 0.9; the readout sees states and inputs."""
    settings = {"spectral_radius": 0.9, "connectivity": 10, "input_scaling": 0.4,
                "bias_scaling": 0.2, "alpha": 1e-4, "washout": N_WASHOUT}  # fmt: skip
    return ESNRegressor(N_UNITS, random_state=random_state, **{**settings, **changes})


def starts():
    """Rows of the series from which free runs start."""
    return N_STEPS + 400 + GAP * np.arange(N_STARTS)


def error_of(free_runs, u):
    """Root mean squared error at the horizon; u has unit variance."""
    ahead = np.array([u[start + HORIZON - 1, 0] for start in starts()])
    return float(np.sqrt(np.mean((free_runs[:, -1, 0] - ahead) ** 2)))


def free_error(network, u):
    """The error of free runs after a warm-up of 400 rows."""
    runs = [network.generate(HORIZON, warmup=u[start - 400 : start]) for start in starts()]
    return error_of(np.array(runs), u)


def autoregression_error(u):
    """The same of ridge regression on the last values, which feeds on its own forecasts."""
    lagged = np.lib.stride_tricks.sliding_window_view(u[:N_STEPS, 0], N_LAGS + 1)
    ridge = Ridge(alpha=1e-4).fit(lagged[:, :-1], lagged[:, -1])
    runs = np.empty((N_STARTS, HORIZON, 1))
    last = np.array([u[start - N_LAGS : start, 0] for start in starts()])
    for t in range(HORIZON):
        runs[:, t, 0] = ridge.predict(last)
        last = np.column_stack([last[:, 1:], runs[:, t]])
    return error_of(runs, u)


def one_seed(seed, u):
    """All figures of one reservoir."""
    X, y = u[: N_STEPS - 1], u[1:N_STEPS]
    esn = echo_state_network(seed).fit(X, y)
    one_step = u[N_STEPS + 1 :] - esn.predict(u[N_STEPS:-1])
    without = echo_state_network(
        seed, topology=np.zeros((N_UNITS, N_UNITS)), spectral_radius=None
    ).fit(X, y)

    same = RNNRegressor(weight_init=esn, hidden_layer_sizes=N_UNITS, max_iter=0, dtype="float64",
                        washout=N_WASHOUT).fit(X, y)  # fmt: skip
    ones = np.ones(N_UNITS)
    high, low = (same.transform(u[:400], initial_state=h0)[-1] for h0 in (ones, -ones))
    return {
        "free_run": free_error(esn, u),
        "one_step": float(np.sqrt(np.mean(one_step[400:] ** 2))),
        "free_run_without_recurrence": free_error(without, u),
        "states_from_both_ends": float(np.abs(high - low).max()),
        "states_of_trainable": float(np.abs(same.transform(X) - esn.transform(X)).max()),
    }


def run(seed: int = 0) -> dict:
    """Medians over three reservoirs, and the worst differences of states."""
    u = mackey_glass(N_STEPS + 3000)[:, None]
    u = (u - u[:N_STEPS].mean()) / u[:N_STEPS].std()
    each = [one_seed(seed + i, u) for i in range(3)]
    found = {name: float(np.median([one[name] for one in each])) for name in each[0]}
    for name in ("states_from_both_ends", "states_of_trainable"):
        found[name] = max(one[name] for one in each)
    found["free_run_autoregression"] = autoregression_error(u)
    return found


if __name__ == "__main__":
    print(run())
