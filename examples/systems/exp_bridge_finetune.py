"""From echo state network to trained network: fine-tuning by backpropagation through time.

A noisy Mackey-Glass series (tau 17, noise of a tenth of its standard deviation) is continued over
30 steps. A small echo state network, whose ridge penalty is the best on free runs of a validation
part, is where an `RNNRegressor` starts: before training both give the same states and forecasts.
Then all weights are trained on free runs (scheduled sampling, exact gradients over the horizon).
Over several seeds that lowers the error of free runs, on windows that neither has seen.

The readout of such a reservoir has large weights, so learning rates must be small: beyond 1e-4 the
first steps can throw the network out of the region where it forecasts at all.
"""

from __future__ import annotations

import warnings

import numpy as np
from tasks import noisy_mackey_glass

from echocast.exceptions import ForecastDivergedError, ForecastDivergenceWarning
from echocast.reservoir import ESNRegressor, RNNRegressor

N_UNITS, N_STEPS, NOISE, WARM, HORIZON = 60, 3000, 0.1, 100, 30
PENALTIES = 10.0 ** np.arange(-8, 2)
N_VALIDATION, N_TEST, GAP = 700, 2500, 25
SEEDS = range(5)


def free_run_error(model, noisy, true, first, stop):
    """RMSE of free runs over the horizon from every 25th row; the series has unit variance."""
    starts = range(first, stop - HORIZON, GAP)
    try:
        runs = [model.generate(HORIZON, warmup=noisy[a - WARM : a]) for a in starts]
    except ForecastDivergedError:
        return np.inf
    errors = np.stack(runs) - np.stack([true[a : a + HORIZON] for a in starts])
    return float(np.sqrt(np.mean(errors**2)))


def reservoir(alpha, random_state):
    """An echo state network whose readout sees states alone, so its forecasts are bounded."""
    return ESNRegressor(
        N_UNITS,
        input_scaling=0.3,
        bias_scaling=0.2,
        include_input=False,
        alpha=alpha,
        washout=WARM,
        random_state=random_state,
    )


def best_reservoir(noisy, random_state):
    """With the penalty of the least error on free runs of the last rows, then fitted on all."""
    n = N_STEPS - N_VALIDATION
    errors = []
    for alpha in PENALTIES:
        esn = reservoir(alpha, random_state).fit(noisy[: n - 1], noisy[1:n])
        errors.append(free_run_error(esn, noisy, noisy, n + WARM, N_STEPS))
    best = PENALTIES[int(np.argmin(errors))]
    return reservoir(best, random_state).fit(noisy[: N_STEPS - 1], noisy[1:N_STEPS])


def trainable(esn, random_state, **changes):
    """A network that starts as the reservoir; windows are warmed up before it runs free."""
    settings = {"teacher_forcing": "scheduled", "washout": 40, "learning_rate_init": 3e-5,
                "max_iter": 10, "batch_size": 32, "dtype": "float64"}  # fmt: skip
    return RNNRegressor(
        weight_init=esn,
        hidden_layer_sizes=N_UNITS,
        random_state=random_state,
        **{**settings, **changes},
    )


def one_seed(seed):
    """Errors before and after, and how far the network was from the reservoir at first."""
    rng = np.random.RandomState(seed)
    noisy, clean = noisy_mackey_glass(rng, N_STEPS + N_TEST + 100, NOISE)
    test = (noisy, clean, N_STEPS + WARM, N_STEPS + N_TEST)
    esn = best_reservoir(noisy, seed)

    X, y = noisy[: N_STEPS - 1], noisy[1:N_STEPS]
    same = trainable(esn, seed, max_iter=0, teacher_forcing=1.0, washout=0).fit(X, y)
    start = {
        "states": np.abs(same.transform(X) - esn.transform(X)).max(),
        "forecasts": np.abs(same.generate(100) - esn.generate(100)).max(),
    }
    n = 40 + HORIZON
    windows = np.stack(
        [noisy[a : a + n + 1] for a in rng.randint(0, N_STEPS - n - 1, size=40 * 32)]
    )
    tuned = trainable(esn, seed).fit(windows[:, :-1], windows[:, 1:])
    return free_run_error(esn, *test), free_run_error(tuned, *test), esn.alpha, start


def run(seed: int = 0) -> dict:
    """Errors of five seeds before and after training, their means, and the largest differences."""
    found, differences = {}, []
    with warnings.catch_warnings():  # candidates that diverge lose, and need not be reported
        warnings.simplefilter("ignore", ForecastDivergenceWarning)
        for i in SEEDS:
            before, after, alpha, start = one_seed(seed + i)
            found.update({f"before_{i}": before, f"after_{i}": after, f"alpha_{i}": float(alpha)})
            differences.append(start)
    before, after = (
        np.array([found[f"{name}_{i}"] for i in SEEDS]) for name in ("before", "after")
    )
    return {
        **found,
        "mean_before": float(before.mean()),
        "mean_after": float(after.mean()),
        "n_better": float((after < before).sum()),
        "states_differ": float(max(one["states"] for one in differences)),
        "forecasts_differ": float(max(one["forecasts"] for one in differences)),
    }


if __name__ == "__main__":
    print(run())
