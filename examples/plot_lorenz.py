"""Continue the Lorenz system without input, and see for how long it follows the truth.

The network learns from 5,000 rows, then runs on its own outputs. Errors grow by a factor e each
Lyapunov time, so good one-step forecasts are not enough: the last digits of the readout decide.
Writes ``lorenz.png``.
"""

import matplotlib.pyplot as plt
import numpy as np

from echocast.datasets import lorenz63
from echocast.forecasting import valid_prediction_time
from echocast.reservoir import ESNRegressor

DT, LYAPUNOV_TIME = 0.02, 1 / 0.9056
N_TRAIN, N_FREE = 5000, 1400

u = lorenz63(N_TRAIN + N_FREE, dt=DT)
u = (u - u[:N_TRAIN].mean(axis=0)) / u[:N_TRAIN].std(axis=0)

# The documented setting for noise-free chaos; leave-one-out errors choose the penalty.
esn = ESNRegressor(
    n_units=500,
    spectral_radius=0.56,
    input_scaling=0.37,
    bias_scaling=1.8,
    alpha="auto",
    random_state=0,
)
esn.fit(u[: N_TRAIN - 1], u[1:N_TRAIN])
truth, future = u[N_TRAIN:], esn.generate(N_FREE)
valid = valid_prediction_time(truth, future, dt=DT, lyapunov_time=LYAPUNOV_TIME)

time = DT * np.arange(1, N_FREE + 1) / LYAPUNOV_TIME
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 3.5), width_ratios=[2.5, 1], layout="constrained"
)
left.plot(time, truth[:, 0], color="black", lw=1.6, label="truth")
left.plot(time, future[:, 0], color="#E69F00", lw=1.1, ls="--", label="closed loop")
left.axvline(valid, color="#0072B2", lw=1)
left.set(xlabel="time after the last training row (Lyapunov times)", ylabel="x (std)")
left.set_title(f"alpha {esn.alpha_:.0e}: valid for {valid:.1f} Lyapunov times", fontsize=10)
left.legend(loc="lower left", ncols=2)
right.plot(truth[:, 0], truth[:, 2], color="black", lw=0.6)
right.plot(future[:, 0], future[:, 2], color="#E69F00", lw=0.6)
right.set(xlabel="x (std)", ylabel="z (std)", title="the same attractor")
figure.savefig("lorenz.png")

# Long after the paths have parted, the network still lives on the same attractor.
assert np.abs(future.std(axis=0) - truth.std(axis=0)).max() < 0.2
print(f"valid for {valid:.1f} Lyapunov times")
assert valid > 10
