"""Search settings of a pipeline with folds that respect time.

The task is NARMA-10: a system with ten steps of memory is to be identified from its input. Rows
are time steps, so the folds come from ``TimeSeriesSplit``; and X is a frame, so that in each fold
the network continues where the training rows ended. Writes ``gridsearch.png``.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echocast.datasets import narma
from echocast.reservoir import ESNRegressor

N_TRAIN = 3000
u, y = narma(4000, random_state=0)
X = pd.DataFrame(u, columns=["u"])

# Without set_output the scaler returns an array, which has no index to continue from.
pipe = make_pipeline(
    StandardScaler(),
    ESNRegressor(150, bias_scaling=0.2, alpha="auto", random_state=0),
).set_output(transform="pandas")
grid = {
    "esnregressor__input_scaling": [0.01, 0.03, 0.1, 0.3, 1.0],
    "esnregressor__spectral_radius": [0.5, 0.9],
}
search = GridSearchCV(pipe, grid, cv=TimeSeriesSplit(3, test_size=500))
search.fit(X[:N_TRAIN], y[:N_TRAIN])
print("best:", search.best_params_)

results = pd.DataFrame(search.cv_results_)
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
styles = zip(results.groupby("param_esnregressor__spectral_radius"), ["-o", "--s"])
for (radius, part), style in styles:
    scaling = part["param_esnregressor__input_scaling"].astype(float)
    ax.errorbar(
        scaling,
        part["mean_test_score"],
        part["std_test_score"],
        fmt=style,
        ms=4,
        capsize=2,
        label=f"{radius:g}",
    )
ax.set(xscale="log", xlabel="input_scaling", ylabel="R² (mean and std over folds)")
ax.legend(title="spectral_radius")
figure.savefig("gridsearch.png")

default = pipe.fit(X[:N_TRAIN], y[:N_TRAIN]).score(X[N_TRAIN:], y[N_TRAIN:])
found = search.score(X[N_TRAIN:], y[N_TRAIN:])
print(f"R² of rows never seen: {default:.3f} before, {found:.3f} after the search")
assert found > max(default, 0.9)
