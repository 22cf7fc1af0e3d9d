"""FORCE learning: a chaotic network learns a pattern while it hears its own attempts.

Left to itself the network is chaotic. While it learns, its output is fed back to it, and recursive
least squares changes the readout so fast that the output follows the target from the first steps
on (D. Sussillo and L. F. Abbott, Neuron 63, 2009). What is left to learn are the errors that the
loop itself makes, and so it runs on when learning stops. Teacher forcing, which feeds back the
target in place of the output, does about as well for a pattern as smooth as this one; FORCE needs
no second pass and can go on learning at any time. Writes ``force.png``.
"""

import matplotlib.pyplot as plt
import numpy as np

from echocast.reservoir import ESNRegressor, FORCEReadout

N_LEARN, N_FREE = 4000, 1500
t = np.arange(N_LEARN + N_FREE)
wave = np.sin(0.05 * t) + 0.5 * np.sin(0.1 * t) + 0.3 * np.sin(0.15 * t)
nothing = np.zeros((N_LEARN, 1))  # no inputs: the network hears itself alone

network = {
    "spectral_radius": 1.5,  # chaotic without feedback
    "leak_rate": 0.2,
    "bias_scaling": 0.1,
    "feedback_scaling": 1.0,
    "include_input": False,
    "random_state": 0,
}
force = ESNRegressor(300, readout=FORCEReadout(), **network)
force.fit(nothing, wave[:N_LEARN])
free = force.generate(N_FREE)[:, 0]

# The same network trained with the true outputs fed back.
teacher = ESNRegressor(300, alpha=1.0, **network).fit(nothing, wave[:N_LEARN])
forced = teacher.generate(N_FREE)[:, 0]

# What the output was while it learnt, step by step.
first = ESNRegressor(300, readout=FORCEReadout(), washout=0, **network)
stream = first.fit(nothing[:1], wave[:1]).stream()
attempts = np.array([stream.learn_one(nothing[0], y) for y in wave[1:800]])

figure, axes = plt.subplots(2, 1, figsize=(8, 4.4), sharey=True, layout="constrained")
axes[0].plot(wave[1:800], color="#000000", lw=1, label="target")
axes[0].plot(attempts, color="#D55E00", lw=1, ls="--", label="output while it learns")
axes[0].set(xlabel="first steps", ylabel="y")
axes[0].legend(loc="upper right", ncols=2)
axes[1].plot(t[N_LEARN:], wave[N_LEARN:], color="#000000", lw=1, label="target")
axes[1].plot(t[N_LEARN:], free, color="#0072B2", lw=1, ls="--", label="FORCE, running freely")
axes[1].set(xlabel="step", ylabel="y", ylim=(-3, 3))
axes[1].legend(loc="upper right", ncols=2)
figure.savefig("force.png")

error, other = (np.abs(run - wave[N_LEARN:]).max() for run in (free, forced))
while_learning = np.abs(attempts - wave[1:800])[-100:].max()
print(f"largest error while it learns, steps 700 to 800: {while_learning:.3f}")
print(f"in {N_FREE} free steps: {error:.3f} with FORCE, {other:.3f} with teacher forcing")
assert error < 0.15
