"""Train a GRU on the Lorenz system, and let it run on: does it have the same chaos?

All weights are learnt by backpropagation through time. The closed loop leaves the true trajectory
after some Lyapunov times, as it must, but stays on the attractor: its largest Lyapunov exponent
is close to the system's own, 0.906. Writes ``rnn.png``.
"""

import matplotlib.pyplot as plt
import numpy as np

from echocast.datasets import lorenz63
from echocast.forecasting import valid_prediction_time
from echocast.reservoir import LossCurveDisplay, RNNRegressor, lyapunov_exponents

DT, LYAPUNOV_TIME = 0.02, 1 / 0.9056
N_TRAIN, N_FREE = 5000, 1000

u = lorenz63(N_TRAIN + N_FREE, dt=DT, random_state=0)
u = (u - u[:N_TRAIN].mean(axis=0)) / u[:N_TRAIN].std(axis=0)

rnn = RNNRegressor(cell="gru", hidden_layer_sizes=32, max_iter=200, random_state=0)
rnn.fit(u[: N_TRAIN - 1], u[1:N_TRAIN])
truth, future = u[N_TRAIN:], rnn.generate(N_FREE)
valid = valid_prediction_time(truth, future, dt=DT, lyapunov_time=LYAPUNOV_TIME)
largest = lyapunov_exponents(rnn, u[:500], closed_loop=True, n_steps=5000, washout=500)[0] / DT

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(12, 3.5), width_ratios=[1, 2.5, 1], layout="constrained"
)
LossCurveDisplay.from_estimator(rnn, ax=left, color="#0072B2")
time = DT * np.arange(1, N_FREE + 1) / LYAPUNOV_TIME
middle.plot(time, truth[:, 0], color="black", lw=1.6, label="truth")
middle.plot(time, future[:, 0], color="#E69F00", lw=1.1, ls="--", label="closed loop")
middle.axvline(valid, color="#0072B2", lw=1)
middle.set(xlabel="Lyapunov times", ylabel="x", title=f"valid for {valid:.1f} Lyapunov times")
middle.legend()
right.plot(truth[:, 0], truth[:, 2], color="black", lw=0.6)
right.plot(future[:, 0], future[:, 2], color="#E69F00", lw=0.6)
right.set(xlabel="x", ylabel="z", title=f"largest exponent {largest:.2f}")
figure.savefig("rnn.png", dpi=110)

print(f"valid for {valid:.2f} Lyapunov times, largest exponent {largest:.3f} (true: 0.906)")
assert valid > 1
assert 0.7 < largest < 1.1
