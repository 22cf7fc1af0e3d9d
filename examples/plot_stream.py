"""Predict a stream row by row, and go on learning from it in chunks.

The channel equalisation task: symbols have to be recovered from a distorted and noisy radio signal.
Both models begin with 150 known symbols. One stays as it is; the other takes in every chunk with
``partial_fit`` once it has been judged on it. Its memory does not grow, and after each chunk it is
the model that ``fit`` would give for all rows so far. Writes ``stream.png``.
"""

import matplotlib.pyplot as plt
import numpy as np

from echocast.datasets import channel_equalization
from echocast.reservoir import ESNRegressor

N_FIRST, CHUNK = 150, 500
x, symbols = channel_equalization(N_FIRST + 30 * CHUNK, snr_db=16, random_state=0)
x = x / x[:N_FIRST].std()

fixed = ESNRegressor(100, washout=20, alpha=1e-3, random_state=0)
fixed.fit(x[:N_FIRST], symbols[:N_FIRST])
learner = ESNRegressor(**fixed.get_params()).partial_fit(x[:N_FIRST], symbols[:N_FIRST])


def wrong(outputs, truth):
    """Share of symbols that are not the nearest of -3, -1, 1, 3."""
    nearest = np.clip(2 * np.round((np.asarray(outputs) + 3) / 2) - 3, -3, 3)
    return np.mean(nearest != truth)


runner = fixed.stream()  # carries its own state; the model does not change
share = {"fixed": [], "learning": []}
for start in range(N_FIRST, len(x), CHUNK):
    rows, truth = x[start : start + CHUNK], symbols[start : start + CHUNK]
    share["fixed"].append(wrong([runner.predict_one(row) for row in rows], truth))
    outputs = learner.predict(rows, initial_state=learner.state_)  # predict first, then learn
    share["learning"].append(wrong(outputs, truth))
    learner.partial_fit(rows, truth)

whole = ESNRegressor(**fixed.get_params()).fit(x, symbols)
assert np.allclose(whole.predict(x[:100]), learner.predict(x[:100]), atol=1e-6)

figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
received = np.arange(N_FIRST, len(x), CHUNK) + CHUNK / 2
ax.plot(received, share["fixed"], color="#D55E00", marker="s", ms=3, ls="--", label="fixed")
ax.plot(received, share["learning"], color="#0072B2", marker="o", ms=3, label="partial_fit")
ax.set(xlabel="symbols received", ylabel="share of wrong symbols", ylim=(0, None))
ax.legend()
figure.savefig("stream.png")

first, last = np.mean(share["fixed"]), np.mean(share["learning"][-10:])
print(f"wrong symbols: {first:.1%} with {N_FIRST} known symbols, {last:.1%} after learning on")
assert last < 0.6 * first
