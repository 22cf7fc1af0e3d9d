"""Draw the figures of the documentation.

Run with ``python docs/make_figures.py [FOLDER]``; the default folder is ``docs/figures``. Takes
less than a minute on one core, most of it for the valid times.
"""

from __future__ import annotations

import sys
import warnings
from datetime import date, timedelta
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from scipy.linalg import LinAlgError

from echocast.datasets import (
    adding_problem,
    copy_task,
    load_el_nino,
    load_sunspots,
    logic_expressions,
    lorenz63,
)
from echocast.exceptions import EchocastWarning
from echocast.forecasting import (
    BacktestDisplay,
    ESNForecaster,
    ReservoirDisplay,
    backtest,
    valid_prediction_time,
)
from echocast.reservoir import (
    AttentionDisplay,
    ESNRegressor,
    FORCEReadout,
    NeuralTuringMachine,
    RecursiveClassifier,
    ReservoirTransformer,
    RNNClassifier,
    RNNRegressor,
    SelfAttentionClassifier,
    Seq2SeqTransducer,
    gradient_norm_by_lag,
    read_trees,
)

# Okabe and Ito's colours, which remain apart for colour-blind readers.
BLACK, BLUE, ORANGE, GREEN, RED = "#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00"
LYAPUNOV_TIME = 1 / 0.9056  # of the Lorenz system, in its time units
DT = 0.02

plt.rcParams.update(
    {
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
    }
)


def standardised_lorenz(n_train, n_test):
    u = lorenz63(n_train + n_test, dt=DT)
    return (u - u[:n_train].mean(axis=0)) / u[:n_train].std(axis=0)


def lorenz():
    """The closed loop of the tutorial against the truth."""
    n_train, n_free = 5000, 1000
    u = standardised_lorenz(n_train, n_free)
    esn = ESNRegressor(n_units=500, alpha="auto", random_state=0)
    future = esn.fit(u[: n_train - 1], u[1:n_train]).generate(n_free)
    truth = u[n_train:]
    valid = valid_prediction_time(truth, future, dt=DT, lyapunov_time=LYAPUNOV_TIME)
    time = DT * np.arange(1, n_free + 1) / LYAPUNOV_TIME
    figure, axes = plt.subplots(3, 1, figsize=(6.8, 4.2), sharex=True)
    for i, (ax, name) in enumerate(zip(axes, "xyz")):
        ax.plot(time, truth[:, i], color=BLACK, lw=1.6, label="truth")
        ax.plot(time, future[:, i], color=ORANGE, lw=1.1, ls=(0, (4, 1.5)), label="closed loop")
        ax.axvline(valid, color=BLUE, lw=1)
        ax.set_ylabel(f"{name} (std)")
    axes[0].annotate(
        f" valid for {valid:.1f}",
        (valid, 1),
        xycoords=("data", "axes fraction"),
        color=BLUE,
        va="bottom",
    )
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    axes[-1].set_xlabel("time after the last training row (Lyapunov times)")
    axes[-1].set_xlim(0, time[-1])
    return figure


def valid_times():
    """Median valid time against the penalty, for both kinds of solver."""
    n_train, n_warm, n_free, n_starts, n_seeds = 5000, 200, 1100, 10, 3
    u = standardised_lorenz(n_train, n_warm + n_free + 100 * n_starts)
    tuned = {"spectral_radius": 0.56, "input_scaling": 0.37, "bias_scaling": 1.8}

    def median(seeds, **params):
        times = []
        for seed in seeds:
            esn = ESNRegressor(300, random_state=seed, **tuned, **params)
            esn.fit(u[: n_train - 1], u[1:n_train])
            for a in range(n_train, n_train + 100 * n_starts, 100):
                forecast = esn.generate(n_free, warmup=u[a : a + n_warm])
                truth = u[a + n_warm : a + n_warm + n_free]
                times.append(
                    valid_prediction_time(truth, forecast, dt=DT, lyapunov_time=LYAPUNOV_TIME)
                )
        return np.median(times)

    def known(solver, alpha):
        with warnings.catch_warnings():  # that they are ill-conditioned is what is shown
            warnings.simplefilter("ignore", EchocastWarning)
            try:
                return median(range(n_seeds), alpha=alpha, solver=solver)
            except LinAlgError:  # not positive definite: there is no answer
                return np.nan

    alphas = 10.0 ** np.arange(-20, 1, 2)
    figure, ax = plt.subplots(figsize=(6.0, 3.4))
    for solver, colour, marker in (("svd", BLUE, "o"), ("cholesky", RED, "x")):
        times = np.array([known(solver, a) for a in alphas])
        label = {"svd": "singular values", "cholesky": "normal equations"}[solver]
        ax.plot(alphas, times, color=colour, marker=marker, ms=5, lw=1.4, label=label)
    failed = alphas[np.isnan(times)]
    ax.axvspan(alphas[0] / 10, failed[-1] * 3, color=RED, alpha=0.08, lw=0)
    ax.text(
        np.sqrt(alphas[0] * failed[-1]),
        7,
        "normal equations: no answer\n(not positive definite in float64)",
        color=RED,
        ha="center",
    )
    ax.set_xlim(alphas[0] / 10, alphas[-1] * 10)
    automatic = median(range(n_seeds), alpha="auto")
    ax.axhline(automatic, color=GREEN, lw=1.2, ls="--", label='alpha="auto"')
    ax.set_xscale("log")
    ax.set_xlabel("ridge penalty alpha (squared units of the states)")
    ax.set_ylabel("median valid time\n(Lyapunov times)")
    ax.set_ylim(0, None)
    ax.legend(loc="lower left")
    return figure


def sunspots():
    """The forecast of the tutorial with its intervals."""
    y = load_sunspots()
    forecast = ESNForecaster(random_state=0).fit(y[:"1997"]).predict(11, level=[80, 95])
    figure, ax = plt.subplots(figsize=(6.8, 2.9))
    years = forecast.index.year
    ax.fill_between(years, forecast["lo-95"], forecast["hi-95"], color=BLUE, alpha=0.18, lw=0)
    ax.fill_between(years, forecast["lo-80"], forecast["hi-80"], color=BLUE, alpha=0.32, lw=0)
    shown = y["1950":]
    ax.plot(shown.index.year, shown, color=BLACK, lw=1.2, marker=".", ms=4, label="observed")
    ax.plot(years, forecast["sunspots"], color=BLUE, lw=1.6, label="forecast, 80 and 95 %")
    ax.axvline(1997.5, color="#888888", lw=0.8)
    ax.set_ylabel("yearly mean\nsunspot number")
    ax.set_xlabel("year")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    ax.margins(x=0.02)
    return figure


def backtests():
    """Forecasts of the sea surface temperature from past origins, and their errors by step."""
    settings = {"horizon": 12, "n_windows": 8, "level": [80], "scaler": "first_window"}
    result = backtest(ESNForecaster(random_state=0), load_el_nino(), **settings)
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.4), width_ratios=(2.2, 1))
    BacktestDisplay.from_predictions(result, ax=axes)
    axes[0].set_ylabel("degrees Celsius")
    return figure


def states():
    """What a reservoir does: echoes of a pulse, and two starts that become one state."""
    figure, axes = plt.subplot_mosaic([["fast", "apart"], ["slow", "apart"]], figsize=(6.8, 3.2))
    pulse = np.zeros((60, 1))
    pulse[10] = 3.0
    for name, leak, colour in (("fast", 1.0, BLUE), ("slow", 0.2, RED)):
        reservoir = ReservoirTransformer(100, leak_rate=leak, random_state=1)
        reservoir.fit(np.zeros((500, 1)))
        echo = reservoir.transform(pulse, initial_state=reservoir.state_) - reservoir.state_
        axes[name].plot(echo[:, :5], color=colour, lw=1)
        axes[name].set_title(f"five units, leak_rate={leak:g}", fontsize=9)
        axes[name].set_ylabel("state - rest")
        axes[name].set_xlim(0, 59)
    axes["fast"].set_xticklabels([])
    axes["slow"].set_xlabel("step (one pulse, at step 10)")

    ax, inputs = axes["apart"], np.sin(0.2 * np.arange(300))[:, None]
    for radius, colour, style in ((0.5, GREEN, "-"), (0.9, BLUE, "--"), (1.1, ORANGE, "-.")):
        reservoir = ReservoirTransformer(100, spectral_radius=radius, random_state=0).fit(inputs)
        zero, half = (
            reservoir.transform(inputs, initial_state=np.full(100, start)) for start in (0.0, 0.5)
        )
        distance = np.linalg.norm(half - zero, axis=1)
        ax.semilogy(distance, color=colour, ls=style, lw=1.4, label=f"{radius:g}")
    ax.set_title("two starting states, same input", fontsize=9)
    ax.set_xlabel("step")
    ax.set_ylabel("distance of the states")
    ax.set_ylim(1e-16, 30)
    ax.set_xlim(0, 299)
    ax.legend(loc="upper right", title="spectral_radius")
    return figure


def reservoir():
    """Spectra and states of one reservoir with three input scalings."""
    u = load_sunspots().to_numpy()[:, None]
    u = (u - u.mean()) / u.std()
    figure, axes = plt.subplots(3, 2, figsize=(6.8, 6.2), gridspec_kw={"width_ratios": [1, 2.4]})
    for row, (radius, scaling) in zip(axes, ((0.5, 0.02), (0.9, 0.5), (1.2, 5.0))):
        esn = ReservoirTransformer(
            100, spectral_radius=radius, input_scaling=scaling, random_state=0
        )
        ReservoirDisplay.from_estimator(esn.fit(u), u[200:], n_shown=5, ax=row)
        row[1].set_title(f"states, input_scaling={scaling:g}", fontsize=9)
        row[0].set_title(f"spectral_radius={radius:g}", fontsize=9)
        row[1].get_legend().remove()
        row[1].set_ylim(-1.05, 1.05)
    for ax in axes[:2].ravel():
        ax.set_xlabel("")
    return figure


def rnn():
    """Learning to remember for 60 steps, and how much of a gradient comes that far back."""
    X, y = adding_problem(2000, 60, random_state=0)
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.8))
    styles = {"tanh": (RED, ":"), "lstm": (BLUE, "--"), "gru": (GREEN, "-")}
    for cell, (colour, style) in styles.items():
        model = RNNRegressor(
            cell=cell,
            hidden_layer_sizes=24,
            learning_rate_init=1e-2,
            max_iter=30,
            random_state=0,
        ).fit(X, y)
        left.semilogy(np.arange(1, 31), model.loss_curve_, color=colour, ls=style, label=cell)
        norms = gradient_norm_by_lag(model, X[0])
        right.semilogy(norms, color=colour, ls=style, label=cell)
    left.axhline(y.var(), color=BLACK, lw=0.8)
    left.text(1, y.var() * 1.15, "the mean of y", fontsize=8)
    left.set(xlabel="epoch", ylabel="mean squared error", ylim=(1e-4, 1))
    left.set_title("adding two numbers out of 60 steps", fontsize=9)
    right.set(xlabel="steps back", ylabel="norm of the gradient")
    right.set_title("after training", fontsize=9)
    right.legend(loc="lower left")
    return figure


def self_attention():
    """Looking up a key among pairs: how it is learnt, and where the steps of a sequence look."""
    rng = np.random.RandomState(0)
    keys = rng.uniform(size=(6400, 12)).argsort(axis=1)[:, :8]
    values, asked = rng.randint(12, size=(6400, 8)), rng.randint(8, size=6400)
    X = np.zeros((6400, 9, 24))
    X[np.arange(6400)[:, None], np.arange(8), keys] = 1
    X[np.arange(6400)[:, None], np.arange(8), 12 + values] = 1
    X[np.arange(6400), 8, keys[np.arange(6400), asked]] = 1
    y = values[np.arange(6400), asked]
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.9), width_ratios=[1.25, 1])
    settings = {"batch_size": 64, "max_iter": 12, "random_state": 0}
    network = SelfAttentionClassifier(**settings).fit(X, y)
    lstm = RNNClassifier(cell="lstm", **settings).fit(X, y)
    for model, label, colour, style in (
        (lstm, "LSTM, 64 units", RED, ":"),
        (network, "self-attention, 2 blocks of 32", BLUE, "-"),
    ):
        left.semilogy(np.arange(1, 13), model.loss_curve_, color=colour, ls=style, label=label)
    left.axhline(np.log(12), color=BLACK, lw=0.8)
    left.text(12, np.log(12) * 1.15, "knows nothing", fontsize=8, ha="right")
    left.set(xlabel="epoch of 100 batches", ylabel="log loss", ylim=(1e-4, 6))
    left.legend(loc="center right", fontsize=8)
    looks = network.attention(X[:1])[0, :, 0]
    block = int(looks[:, -1, asked[0]].argmax())
    right.imshow(looks[block], cmap="Greys", vmin=0, vmax=1)
    names = [f"{k}:{v}" for k, v in zip(keys[0], values[0])] + [f"{keys[0, asked[0]]}:?"]
    right.set_xticks(range(9), names, fontsize=7, rotation=60)
    right.set_yticks(range(9), names, fontsize=7)
    right.grid(False)
    right.set_title(f"who looks at whom in block {block + 1}", fontsize=9)
    return figure


def attention():
    """What is looked at while dates are written in another form."""
    names = "January February March April May June July August September October November December"
    rng = np.random.RandomState(0)
    days = [date(1900, 1, 1) + timedelta(days=int(k)) for k in rng.permutation(54000)[:2000]]
    texts = []
    for day, coin in zip(days, rng.randint(2, size=2000)):
        name = names.split()[day.month - 1]
        texts.append(f"{day.day} {name} {day.year}" if coin else f"{name} {day.day}, {day.year}")
    model = Seq2SeqTransducer(max_iter=6, random_state=0)
    model.fit(texts, [day.isoformat() for day in days])
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.8))
    for ax, text in zip(axes, ("3 May 1987", "December 24, 2031")):
        AttentionDisplay.from_estimator(model, text, ax=ax, cmap="Blues")
    return figure


def trees():
    """Values of all parts of an expression, by a network that was told those of whole ones."""
    X, y = logic_expressions(6400, (1, 4), random_state=0)
    model = RecursiveClassifier(
        n_units=16, embedding_size=16, learning_rate_init=1e-2, max_iter=3, random_state=0
    ).fit(X, y)
    expressions = read_trees(logic_expressions(50, 4, random_state=3)[0])
    shown = next(tree for tree in expressions if len(tree.leaves) == 8)
    shares = model.predict_proba([shown], nodes=True)[0][:, 1]
    places, column = np.zeros((len(shown), 2)), 0
    places[:, 1] = shown.levels
    for node, (left, right) in enumerate(zip(shown.left, shown.right)):
        if left < 0:
            places[node, 0], column = column, column + 1
        else:
            places[node, 0] = places[[left, right if right >= 0 else left], 0].mean()
    figure, ax = plt.subplots(figsize=(6.8, 3.2))
    for node, children in enumerate(zip(shown.left, shown.right)):
        for child in children:
            if child >= 0:
                ax.plot(*places[[node, child]].T, color="#999999", lw=1, zorder=0)
    dots = ax.scatter(*places.T, c=shares, s=560, cmap="RdYlBu", vmin=0, vmax=1, edgecolors=BLACK)
    for token, (x, height) in zip(shown.tokens, places):
        ax.text(x, height, token, ha="center", va="center", fontsize=8, color="white")
    ax.margins(0.08, 0.14)
    ax.set_axis_off()
    figure.colorbar(dots, label="probability of being true")
    return figure


def memory():
    """Where the heads of a neural Turing machine are while it copies more than in training."""
    X, y, weights = copy_task(12000, (1, 5), n_bits=3, random_state=0)
    machine = NeuralTuringMachine(memory_shape=(16, 8), max_iter=1, random_state=0)
    machine.fit(X, y, sample_weight=weights)
    X, _, weights = copy_task(1, 10, n_bits=3, random_state=1)
    write, read = machine.addresses(X)
    pictures = {
        "inputs: three bits, and the mark": X[0],
        "outputs, where they count": machine.predict_proba(X)[0] * weights[0][:, None],
        "where it writes": write[0][:, 0],
        "where it reads": read[0][:, 0],
    }
    figure, axes = plt.subplots(4, 1, figsize=(6.2, 5.2), sharex=True, height_ratios=[4, 3, 9, 9])
    for ax, (title, values) in zip(axes, pictures.items()):
        ax.imshow(values.T, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_title(title, fontsize=9)
        ax.set_yticks([])
        ax.grid(False)
    for ax in axes[2:]:
        ax.set_ylabel("slots")
    axes[-1].set_xticks(range(0, 21, 5))
    axes[-1].set_xlabel("step")
    return figure


def force():
    """A chaotic network that learns a pattern while it hears itself, and then runs freely."""
    n_learn, n_free = 4000, 600
    t = np.arange(n_learn + n_free)
    wave = np.sin(0.05 * t) + 0.5 * np.sin(0.1 * t) + 0.3 * np.sin(0.15 * t)
    network = ESNRegressor(
        300,
        spectral_radius=1.5,
        leak_rate=0.2,
        bias_scaling=0.1,
        feedback_scaling=1.0,
        include_input=False,
        washout=0,
        readout=FORCEReadout(),
        random_state=0,
    )
    stream = network.fit(np.zeros((1, 1)), wave[:1]).stream()
    outputs = [stream.learn_one([0.0], y) for y in wave[1:n_learn]]
    outputs = np.r_[0.0, outputs, stream.to_estimator().generate(n_free)[:, 0]]
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.4), sharey=True)
    parts = (slice(0, 600), slice(n_learn - 100, None))
    titles = "the first steps of learning", "learning stops at the line"
    for ax, part, title in zip(axes, parts, titles):
        ax.plot(t[part], wave[part], color=BLACK, label="target")
        ax.plot(t[part], outputs[part], color=RED, ls="--", label="output")
        ax.set(xlabel="step", title=title)
    axes[1].axvline(n_learn, color="#999999")
    axes[0].legend(loc="upper right")
    return figure


FIGURES = {
    "force": force,
    "trees": trees,
    "memory": memory,
    "attention": attention,
    "self-attention": self_attention,
    "rnn": rnn,
    "reservoir": reservoir,
    "lorenz": lorenz,
    "valid-time": valid_times,
    "sunspots": sunspots,
    "backtest": backtests,
    "states": states,
}


def save(figure, path):
    """Write a small PNG: 64 colours are plenty for lines."""
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    picture.quantize(64, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)


def main():
    given = sys.argv[1:]
    folder = Path(given[0]) if given else Path(__file__).parent / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        figure = draw()
        save(figure, folder / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    main()
