"""Search over settings: `ESNSearchCV` against `GridSearchCV` and a loop over reservoirpy models.

Run with ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_search.py`` (about four
minutes). The job is 200 settings (5 spectral radii, 5 leak rates, 4 input scalings, 2 seeds) times
8 penalties on 5 expanding windows, 8,000 fits, with 300 units and 5,000 rows of Lorenz-63 (step
0.02, standardised), one step ahead; test rows continue where the training rows end. All candidates
are scored by R^2. The network, `solver="auto"` included, is the same in both searches.

`ESNSearchCV` does the whole job. `GridSearchCV` does it for a few settings, with all penalties and
windows, and its time is scaled by their number, as is that of the loop over reservoirpy models (if
it is installed), which builds, fits and runs a model for each combination as its documentation
does; ``--full`` gives the whole job to `GridSearchCV`. Searches take turns, the least time of each
counts, and scores that both have must agree to 1e-8.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import time
import warnings

import numpy as np
from _record import add_json_option, fastest, row, write
from sklearn.model_selection import GridSearchCV, ParameterGrid, TimeSeriesSplit

from echocast.datasets import lorenz63
from echocast.reservoir import ESNRegressor, ESNSearchCV

SETTINGS = {
    "spectral_radius": [0.3, 0.5, 0.7, 0.9, 1.1],
    "leak_rate": [0.2, 0.4, 0.6, 0.8, 1.0],
    "input_scaling": [0.1, 0.3, 0.6, 1.0],
    "random_state": [0, 1],
}
ALPHAS = [10.0**k for k in range(-8, 0)]
CV = TimeSeriesSplit(5)


def data(n_rows):
    u = lorenz63(n_rows + 1, dt=0.02)
    u = (u - u.mean(axis=0)) / u.std(axis=0)
    return u[:-1], u[1:]


def some_settings(count):
    """As many settings, spread over the grid, each with all penalties."""
    every = list(ParameterGrid(SETTINGS))
    chosen = [every[i] for i in np.linspace(0, len(every) - 1, count).astype(int)]
    return [{name: [value] for name, value in c.items()} | {"alpha": ALPHAS} for c in chosen]


def compare(ours, theirs):
    """Largest difference of the split scores that both searches have, relative above one."""
    places = [ours["params"].index(params) for params in theirs["params"]]
    largest = 0.0
    for k in range(CV.n_splits):
        a, b = ours[f"split{k}_test_score"][places], theirs[f"split{k}_test_score"]
        largest = max(largest, float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))))
    return largest


def reservoirpy_loop(X, y, n_units, n_fits):
    """Seconds of some fits, spread over settings, penalties and windows."""
    import reservoirpy
    from reservoirpy.nodes import Reservoir, Ridge

    if hasattr(reservoirpy, "verbosity"):
        reservoirpy.verbosity(0)
    jobs = list(itertools.product(ParameterGrid(SETTINGS), ALPHAS, CV.split(X)))
    start = time.perf_counter()
    for i in np.linspace(0, len(jobs) - 1, n_fits).astype(int):
        setting, alpha, (train, test) = jobs[i]
        reservoir = Reservoir(
            n_units,
            sr=setting["spectral_radius"],
            lr=setting["leak_rate"],
            input_scaling=setting["input_scaling"],
            rc_connectivity=10 / n_units,
            input_connectivity=1.0,
            seed=setting["random_state"],
        )
        model = reservoir >> Ridge(ridge=alpha)
        model = model.fit(X[train], y[train], warmup=min(100, len(train) // 10))
        outputs = model.run(X[test])
        error = ((outputs - y[test]) ** 2).sum(axis=0)
        np.mean(1 - error / ((y[test] - y[test].mean(axis=0)) ** 2).sum(axis=0))
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--repeat", type=int, default=3, help="turns of the searches")
    parser.add_argument("--settings", type=int, default=5, help="settings given to GridSearchCV")
    parser.add_argument("--fits", type=int, default=16, help="models of reservoirpy")
    parser.add_argument("--full", action="store_true", help="GridSearchCV does the whole job")
    add_json_option(parser)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    X, y = data(arguments.rows)
    esn = ESNRegressor(arguments.units, predict_state="continue")
    n_settings = len(ParameterGrid(SETTINGS))
    n_fits = n_settings * len(ALPHAS) * CV.n_splits
    grid = {**SETTINGS, "alpha": ALPHAS}
    ours = ESNSearchCV(esn, grid, cv=CV, refit=False)
    subset = grid if arguments.full else some_settings(arguments.settings)
    theirs = GridSearchCV(esn, subset, cv=CV, refit=False)
    ESNSearchCV(esn, some_settings(1), cv=CV, refit=False).fit(X, y)  # compiles
    jobs = {"ours": lambda: ours.fit(X, y), "sklearn": lambda: theirs.fit(X, y)}
    least = fastest(jobs, arguments.repeat)
    share = len(theirs.cv_results_["params"]) / (n_settings * len(ALPHAS))
    scaled = least["sklearn"] / share
    difference = compare(ours.cv_results_, theirs.cv_results_)
    print(f"{n_fits} fits, {arguments.units} units, {arguments.rows} rows")
    print(f"ESNSearchCV                {least['ours']:8.1f} s")
    how = "" if share == 1 else f" (scaled from {share:.1%} of the candidates)"
    print(f"GridSearchCV               {scaled:8.1f} s{how}")
    print(f"ratio                      {scaled / least['ours']:8.1f}")
    print(f"largest difference of scores {difference:.1e}")
    job = f"search, {n_fits} fits, {arguments.units} units, {arguments.rows} rows"
    details = {"seconds": least["ours"], "share": share, "against_seconds": scaled}
    rows = [
        row(
            "P3",
            job,
            scaled / least["ours"],
            "x",
            against="scikit-learn GridSearchCV, scaled"
            if share < 1
            else "scikit-learn GridSearchCV",
            target=">= 10",
            **details,
        ),
        row("P3", "largest difference of scores", difference, "", target="<= 1e-8"),
    ]
    if importlib.util.find_spec("reservoirpy"):
        loop = [reservoirpy_loop(X, y, arguments.units, arguments.fits) for _ in range(2)]
        seconds = min(loop) * n_fits / arguments.fits
        print(f"reservoirpy, in a loop     {seconds:8.1f} s (scaled from {arguments.fits} fits)")
        print(f"ratio                      {seconds / least['ours']:8.1f}")
        details = {"seconds": least["ours"], "against_seconds": seconds}
        against = "reservoirpy in a loop, scaled"
        rows.append(
            row("P3", job, seconds / least["ours"], "x", against=against, target=">= 25", **details)
        )
    write(arguments.json, rows)


if __name__ == "__main__":
    main()
