"""
Forecasting spatial chaos with local reservoirs
===============================================

A single reservoir that sees a whole field has to learn every cell anew, from few data. Local
reservoirs see a few cells each, and where the law is the same everywhere they share one readout,
which then learns from all cells at once. Both systems below are forecast in closed loop, each
output being the next input, from the same few thousand rows as a single large reservoir.

Valid time: until the root mean square error exceeds 0.4 standard deviations, in Lyapunov times,
median over six starts after the training rows, each with 100 true rows to warm up.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from echocast.datasets import kuramoto_sivashinsky, lorenz96
from echocast.exceptions import ForecastDivergenceWarning
from echocast.forecasting import valid_prediction_time
from echocast.reservoir import ESNRegressor, LocalESNRegressor


def standardised(u):
    """Values of all cells on one scale, as the cells are alike."""
    return (u - u.mean()) / u.std()


# %%
# Lorenz-96 on 40 sites (classical Runge-Kutta, rows 0.01 time units apart, Lyapunov exponent 1.7
# per time unit) and the Kuramoto-Sivashinsky equation on a ring of length 60 (ETDRK4 on 120
# points, every second one kept, rows 0.25 apart, Lyapunov exponent 0.083).
systems = {
    "Lorenz-96": {
        "field": standardised(lorenz96(6200, dt=0.01, random_state=0)),
        "n_train": 3000,
        "dt": 0.01,
        "lyapunov_time": 1 / 1.7,
        "local": LocalESNRegressor(300, group_size=1, overlap=2, random_state=0),
    },
    "Kuramoto-Sivashinsky": {
        "field": standardised(
            kuramoto_sivashinsky(7000, length=60, n_points=120, dt=0.25, random_state=0)[:, ::2]
        ),
        "n_train": 4000,
        "dt": 0.25,
        "lyapunov_time": 1 / 0.083,
        # The field is smooth, so a little noise in fit keeps the loop from running off.
        "local": LocalESNRegressor(400, group_size=2, overlap=4, noise=1e-3, random_state=0),
    },
}


def forecasts(model, system, n_starts=6, n_steps=500):
    """Yield (truth, closed-loop forecast) of several starts after the training rows."""
    u = system["field"]
    for start in np.linspace(system["n_train"] + 200, len(u) - n_steps, n_starts).astype(int):
        yield u[start : start + n_steps], model.generate(n_steps, warmup=u[start - 100 : start])


def median_valid_time(model, system):
    unit = {key: system[key] for key in ("dt", "lyapunov_time")}
    scale = np.sqrt(system["field"].shape[1])  # cells have unit variance
    return np.median(
        [valid_prediction_time(*pair, scale=scale, **unit) for pair in forecasts(model, system)]
    )


# %%
# The same fit call for both kinds of model: rows are time steps, y is the next row. The settings
# of the single reservoir are the best of 48 (none of them reached 0.2 Lyapunov times). After its
# valid time it runs off, of which `generate` warns.
warnings.simplefilter("ignore", ForecastDivergenceWarning)
times = {}
for name, system in systems.items():
    X, y = system["field"][: system["n_train"]], system["field"][1 : system["n_train"] + 1]
    single = ESNRegressor(1000, input_scaling=0.03, alpha=1.0, random_state=0).fit(X, y)
    system["local"].fit(X, y)
    times[name] = {
        "one reservoir, 1000 units": median_valid_time(single, system),
        f"{system['local'].n_patches_} local reservoirs": median_valid_time(
            system["local"], system
        ),
    }
    for model, time in times[name].items():
        print(f"{name:22} {model:28} {time:5.2f} Lyapunov times")

# %%
# Truth, forecast and their difference.
figure, axes = plt.subplots(2, 3, figsize=(11, 6), sharex="row", sharey="row", layout="constrained")
for row, (name, system) in zip(axes, systems.items()):
    truth, forecast = next(forecasts(system["local"], system))
    length = len(truth) * system["dt"] / system["lyapunov_time"]
    for ax, image, title in zip(
        row, (truth, forecast, forecast - truth), ("truth", "forecast", "difference")
    ):
        ax.imshow(
            image.T,
            aspect="auto",
            cmap="RdBu",
            vmin=-3,
            vmax=3,
            extent=(0, length, 0, image.shape[1]),
        )
        ax.set_title(f"{name}: {title}", fontsize="medium")
    row[0].set_ylabel("cell")
    row[1].set_xlabel("Lyapunov times")
plt.show()

# %%
# Local reservoirs see several Lyapunov times ahead, a single one next to nothing.
single, local = np.array([list(found.values()) for found in times.values()]).T
assert local.min() > 3.0, times
assert (local > 10 * single).all(), times
