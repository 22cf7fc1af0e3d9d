"""Experiment 7: teacher forcing, and what is done about it.

Trained on true (noisy) inputs, a network never meets its own errors, which grow when it runs on
its own outputs. Scheduled sampling shows it more and more of its own outputs after 20 true ones.
The errors one step ahead are about the same, those of free runs are not. In between stands
teacher forcing whose first 20 steps are left out of the loss, as they are in scheduled sampling.
Of all of them more training, or a rate of 1e-2, makes the gap smaller.
"""

from __future__ import annotations

import numpy as np
from tasks import noisy_mackey_glass

from echocast.reservoir import RNNRegressor

N_STEPS, NOISE, WARM, HORIZON = 4000, 0.1, 20, 30
ARMS = {"teacher": (1.0, 0), "teacher_warm": (1.0, WARM), "scheduled": ("scheduled", WARM)}
N_UPDATES, BATCH, N_TEST = 600, 32, 150


def windows(u, starts, n):
    """Stretches of n rows, (n_windows, n, 1)."""
    return np.stack([u[a : a + n] for a in starts])


def network(forcing, washout, random_state):
    """Gated units, trained by 600 updates."""
    return RNNRegressor(
        hidden_layer_sizes=24,
        cell="gru",
        teacher_forcing=forcing,
        washout=washout,
        learning_rate_init=3e-3,
        batch_size=BATCH,
        max_iter=10,
        random_state=random_state,
    )


def errors(model, noisy, clean):
    """RMSE of free runs over the horizon, and at its end, and of one step; variance is 1.

    Free runs are compared with the series without noise, single steps with the noisy one.
    """
    starts = np.arange(N_TEST) * 10
    runs = np.stack([model.generate(HORIZON, warmup=noisy[a : a + WARM]) for a in starts])
    free = runs - windows(clean[WARM:], starts, HORIZON)
    ahead = model.predict(windows(noisy, starts, WARM + HORIZON - 1))[:, WARM - 1 :]
    one = ahead - windows(noisy[WARM:], starts, HORIZON)
    return [np.sqrt(np.mean(e**2)) for e in (free, free[:, -1], one)]


def one_seed(seed):
    """Errors of each way of training, on the same windows."""
    rng = np.random.RandomState(seed)
    noisy, clean = noisy_mackey_glass(rng, N_STEPS + 10 * N_TEST + 100, NOISE)
    drawn = rng.randint(0, N_STEPS - WARM - HORIZON - 1, size=N_UPDATES * BATCH // 10)
    cut = windows(noisy, drawn, WARM + HORIZON + 1)
    found = {}
    for name, (forcing, washout) in ARMS.items():
        model = network(forcing, washout, seed).fit(cut[:, :-1], cut[:, 1:])
        found[name] = errors(model, noisy[N_STEPS:], clean[N_STEPS:])
    return found


def run(seed: int = 0) -> dict:
    """Means over three seeds, and how many of them scheduled sampling improves."""
    each = [one_seed(seed + i) for i in range(3)]
    found = {}
    for name in ARMS:
        free, end, one = np.mean([errors[name] for errors in each], axis=0)
        found[f"free_run_{name}"] = float(free)
        found[f"free_run_end_{name}"] = float(end)
        found[f"one_step_{name}"] = float(one)
    better = [errors["scheduled"][0] < errors["teacher"][0] for errors in each]
    found["n_better"] = float(sum(better))
    return found


if __name__ == "__main__":
    print(run())
