"""Figures of recurrent networks, their gradients and their memory."""

from __future__ import annotations

import numpy as np
from _figures_experiments import NARROW, WIDE, experiment
from make_figures import BLACK, BLUE, GREEN, ORANGE, RED, plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from echocast.datasets import adding_problem, mackey_glass
from echocast.reservoir import (
    ReservoirTransformer,
    RNNClassifier,
    RNNRegressor,
    eigen_report,
    gradient_norm_by_lag,
)

sharing = experiment("exp_01_parameter_sharing")
output_recurrence = experiment("exp_05_output_recurrence")
initial_state = experiment("exp_06_initial_state")
forcing = experiment("exp_07_teacher_forcing")
eigen = experiment("exp_18_eigen")
echo_state = experiment("exp_19_echo_state")
clipping = experiment("exp_21_clipping")
tasks = experiment("tasks")


def parameter_sharing():
    """Accuracy by the number of words in front of the sentence."""
    rng = np.random.RandomState(0)
    texts, y = tasks.sentences(rng, 3200, 0, 4)
    X = tasks.one_hot(texts)
    rnn = sharing.network("tanh", 0).fit(X, y)
    bag = LogisticRegression().fit(sharing.bags(X), y)
    mlp = MLPClassifier(32, max_iter=100, random_state=0).fit(sharing.by_position(X), y)
    counts, found = np.arange(0, 21), []
    for count in counts:
        texts, y = tasks.sentences(rng, 400, count, count)
        X = tasks.one_hot(texts)
        found.append(
            (
                rnn.score(X, y),
                mlp.score(sharing.by_position(X), y),
                bag.score(sharing.bags(X), y),
            )
        )
    figure, ax = plt.subplots(figsize=WIDE)
    ax.axvspan(-0.4, 4.4, color="#eeeeee", lw=0)
    ax.text(2, 0.3, "trained on", ha="center", fontsize=8)
    names = ("recurrent, one transition", "weights for each position", "bag of words")
    for name, values, colour, style in zip(
        names, zip(*found), (BLUE, RED, BLACK), ("o-", "x--", ":")
    ):
        ax.plot(counts, values, style, color=colour, ms=4, lw=1.3, label=name)
    ax.set(xlabel="filler words before the sentence", ylabel="accuracy", ylim=(0.2, 1.05))
    ax.set(xlim=(-0.4, 20.4), xticks=range(0, 21, 4))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def sequence_output():
    """Loss while y(t) = x(t - 2) is learnt, by what is fed back."""
    X, y = tasks.echo(np.random.RandomState(0), 3200, 30, 2)
    figure, ax = plt.subplots(figsize=NARROW)
    for recurrence, colour, style in (("hidden", BLUE, "o-"), ("output", RED, "x--")):
        rnn = RNNClassifier(
            hidden_layer_sizes=32,
            recurrence=recurrence,
            washout=2,
            learning_rate_init=1e-2,
            batch_size=64,
            max_iter=12,
            random_state=0,
        ).fit(X, y)
        bits = np.array(rnn.loss_curve_) / np.log(2)
        label = f"from the {recurrence}" + " state" * (recurrence == "hidden")
        ax.semilogy(np.arange(1, 13), bits, style, color=colour, ms=4, lw=1.3, label=label)
    ax.axhline(1, color=BLACK, lw=0.8)
    ax.text(12, 1.2, "knows nothing", ha="right", fontsize=8)
    ax.set(xlabel="epoch of 50 batches", ylabel="bits per step", ylim=(2e-5, 4))
    ax.legend(title="recurrence")
    return figure


def digits():
    """A digit as a sequence, and the training of networks that read it."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(
        X[:, :, None] / 8.0 - 1.0, y, test_size=0.25, stratify=y, random_state=0
    )
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.5), width_ratios=(0.7, 1.3, 1.6))
    axes[0].imshow(X[3].reshape(8, 8), cmap="Greys")
    axes[0].set_axis_off()
    axes[0].set_title("a 3 ...", fontsize=9)
    axes[1].step(np.arange(64), X[3], color=BLACK, lw=0.9, where="mid")
    axes[1].set(xlabel="step", ylabel="darkness (0 to 16)", xlim=(0, 63), yticks=range(0, 17, 4))
    axes[1].set_title("... as it is read", fontsize=9)
    for init, colour, style in (("orthogonal", BLUE, "-"), ("uniform", RED, "--")):
        rnn = RNNClassifier(
            hidden_layer_sizes=64,
            weight_init=init,
            learning_rate_init=3e-3,
            learning_rate="constant",
            batch_size=32,
            max_iter=0,
            random_state=0,
        ).fit(train, y_train)
        scores = []
        for _ in range(20):
            rnn.partial_fit(train, y_train)
            scores.append(rnn.score(test, y_test))
        axes[2].plot(np.arange(1, 21), scores, color=colour, ls=style, label=init)
    axes[2].set(xlabel="epoch", ylabel="accuracy on new ones", ylim=(0, 1), xticks=range(0, 21, 5))
    axes[2].legend(loc="lower right", title="first weights")
    return figure


def parity():
    """Free runs on own outputs, far beyond the 30 steps of training."""
    rng = np.random.RandomState(0)
    figure, ax = plt.subplots(figsize=WIDE)
    for name, make, colour, style in (
        ("parity", tasks.parity, BLUE, "-"),
        ("y(t) = x(t - 2)", lambda *given: tasks.echo(*given, 2), RED, "--"),
    ):
        rnn = output_recurrence.network(0).fit(*make(rng, 3200, 30))
        X, y = make(rng, 200, 1000)
        right = (rnn.predict(X) == y).mean(axis=0).reshape(50, 20).mean(axis=1)
        ax.plot(np.arange(10, 1000, 20), right, color=colour, ls=style, label=name)
    ax.axvline(30, color=BLACK, lw=0.8)
    ax.text(38, 0.72, "longest in training", fontsize=8)
    ax.set(xlabel="step", ylabel="share of right labels", ylim=(0.4, 1.05), xlim=(0, 1000))
    ax.legend(loc="center right")
    return figure


def initial():
    """A sine from a trained first state, and nothing from zero."""
    n = initial_state.N_STEPS
    y = np.sin(2 * np.pi * np.arange(n) / n)[None, :, None]
    figure, ax = plt.subplots(figsize=NARROW)
    ax.plot(np.arange(1, n + 1), y[0], color=BLACK, lw=1, label="asked for")
    X = np.zeros((1, n, 1))
    for h0, colour, style in (("learned", BLUE, "o"), ("zeros", RED, "x")):
        rnn = RNNRegressor(
            hidden_layer_sizes=16, h0=h0, max_iter=0, learning_rate_init=5e-3, random_state=0
        )
        initial_state.without_biases(rnn.fit(X, y))
        for _ in range(initial_state.N_UPDATES):
            initial_state.without_biases(rnn.partial_fit(X, y))
        output = rnn.predict(X)[0]
        ax.plot(np.arange(1, n + 1), output, style, color=colour, ms=5, label=f'h0="{h0}"')
    ax.set(xlabel="step", ylabel="output")
    ax.legend(loc="upper right")
    return figure


def teacher_forcing():
    """How errors of free runs grow with the step."""
    rng = np.random.RandomState(0)
    noisy, clean = tasks.noisy_mackey_glass(rng, 5600, forcing.NOISE)
    n = forcing.WARM + forcing.HORIZON
    cut = forcing.windows(noisy, rng.randint(0, 4000 - n - 1, size=1920), n + 1)
    starts = 4000 + np.arange(150) * 10
    truth = forcing.windows(clean[forcing.WARM :], starts, forcing.HORIZON)
    figure, ax = plt.subplots(figsize=NARROW)
    for name, label, colour, style in (
        ("teacher", "teacher forcing", RED, "--"),
        ("scheduled", "scheduled sampling", BLUE, "-"),
    ):
        model = forcing.network(*forcing.ARMS[name], 0).fit(cut[:, :-1], cut[:, 1:])
        runs = [model.generate(forcing.HORIZON, warmup=noisy[a : a + forcing.WARM]) for a in starts]
        errors = np.sqrt(np.mean((np.stack(runs) - truth) ** 2, axis=(0, 2)))
        ax.plot(np.arange(1, 31), errors, color=colour, ls=style, label=label)
    ax.axhline(forcing.NOISE, color=BLACK, lw=0.8)
    ax.text(30, forcing.NOISE - 0.012, "noise of the series", fontsize=8, ha="right", va="top")
    ax.set(xlabel="steps on own outputs", ylabel="error (std of the series)", ylim=(0, None))
    ax.legend(loc="upper left")
    return figure


def jacobian():
    """What is left of a gradient, in one driven network with three sizes of weights."""
    X = np.random.RandomState(0).standard_normal((60, 3))
    figure, ax = plt.subplots(figsize=WIDE)
    for radius, colour, style in ((0.5, GREEN, ":"), (1.0, BLUE, "--"), (3.0, RED, "-")):
        network = ReservoirTransformer(
            12, spectral_radius=radius, connectivity=12, input_scaling=0.3, random_state=0
        ).fit(X)
        norms = gradient_norm_by_lag(network, X, 50)
        ax.semilogy(norms, color=colour, ls=style, label=f"{radius:.1f}")
    ax.set(xlabel="steps back", ylabel="norm of the gradient", ylim=(1e-12, None), xlim=(0, 50))
    ax.legend(title="spectral radius", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def deep_transition():
    """Training with and without a way round the MLP between two states."""
    X, y = adding_problem(6400, 30, random_state=1000)
    figure, ax = plt.subplots(figsize=NARROW)
    for transition, colour, style in (("deep", RED, "x--"), ("deep_skip", BLUE, "o-")):
        rnn = RNNRegressor(
            hidden_layer_sizes=24,
            transition=transition,
            transition_depth=4,
            weight_init="glorot",
            learning_rate_init=1e-2,
            batch_size=64,
            max_iter=10,
            random_state=0,
        ).fit(X, y)
        label = f'transition="{transition}"'
        ax.semilogy(range(1, 11), rnn.loss_curve_, style, color=colour, ms=4, label=label)
    ax.axhline(y.var(), color=BLACK, lw=0.8)
    ax.text(10, y.var() * 1.15, "the mean of y", fontsize=8, ha="right")
    ax.set(xlabel="epoch of 100 batches", ylabel="mean squared error")
    ax.legend(loc="lower left")
    return figure


def eigenvalues():
    """Parts of a vector along eigenvectors, and a matrix whose eigenvalues hide a growth."""
    rng = np.random.RandomState(0)
    A = rng.standard_normal((50, 50))
    h = rng.standard_normal(50)
    report = eigen_report(eigen.scaled(A + A.T))
    times = np.arange(201)
    figure, (left, right) = plt.subplots(1, 2, figsize=WIDE)
    parts = report.eigenvectors.T @ h
    for k, (value, part) in enumerate(zip(report.eigenvalues, parts)):
        colour = RED if abs(value) > 1 else BLUE
        label = {0: "eigenvalue beyond 1", 1: "below 1"}.get(k)
        size = np.abs(part * value**times)
        left.semilogy(times, size, color=colour, lw=0.7 + (k == 0), alpha=0.8, label=label)
    left.set(xlabel="applications of W", ylabel="size of the part", ylim=(1e-6, 1e7))
    left.set_title("W symmetric: each mode on its own", fontsize=9)
    left.legend(loc="upper left")
    norms = eigen_report(np.array([[0.9, 5.0], [0.0, 0.8]])).norms([0.0, 1.0], 60)
    right.plot(norms, color=RED, label="norm of the vector")
    right.plot(0.9 ** np.arange(61), color=BLACK, ls=":", label="0.9 to the power t")
    right.set(xlabel="applications of W", ylim=(0, None))
    right.set_title("not symmetric, eigenvalues 0.9 and 0.8", fontsize=9)
    right.legend()
    return figure


def free_run():
    """A series continued by a network that was never trained but in its readout."""
    u = mackey_glass(5000)[:, None]
    u = (u - u[:4000].mean()) / u[:4000].std()
    esn = echo_state.echo_state_network(0).fit(u[:3999], u[1:4000])
    future = esn.generate(400)
    figure, (left, right) = plt.subplots(1, 2, figsize=WIDE, width_ratios=(1.7, 1))
    left.plot(u[4000:4400], color=BLACK, lw=1.5, label="Mackey-Glass series")
    left.plot(future, color=ORANGE, lw=1.1, ls=(0, (4, 1.5)), label="free run")
    left.set(xlabel="steps after the training part", ylabel="std", xlim=(0, 400))
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    high, low = (esn.transform(u[:400], initial_state=np.full(600, x)) for x in (1.0, -1.0))
    right.semilogy(np.linalg.norm(high - low, axis=1), color=BLUE)
    right.set(xlabel="step", ylabel="distance of the states", ylim=(1e-16, 1e2))
    right.set_title("from the states 1 and -1", fontsize=9)
    return figure


def clipped():
    """Losses of ten seeds, and the norms that gradients had before they were clipped."""
    figure, (left, right) = plt.subplots(1, 2, figsize=WIDE)
    for seed in clipping.SEEDS:
        X, y = clipping.recall(np.random.RandomState(seed), 1280)
        rnn = RNNRegressor(
            hidden_layer_sizes=32,
            solver="sgd",
            momentum=0.0,
            learning_rate="constant",
            learning_rate_init=0.1,
            tol=0.0,
            max_iter=0,
            warm_start=True,
            random_state=seed,
        ).fit(X, y)
        rnn.params_["layers.0.W"][:] *= clipping.GAIN
        rnn.set_params(max_iter=12).fit(X, y)
        left.semilogy(np.arange(1, 13), rnn.loss_curve_, color=BLUE, lw=0.9)
        norms = rnn.grad_norms_
        right.semilogy(np.arange(1, 13), norms, color=BLUE, lw=0.7)
    left.axhline(1, color=BLACK, lw=0.8)
    left.text(12, 1.15, "the mean of y", fontsize=8, ha="right")
    left.set(xlabel="epoch", ylabel="mean squared error", xticks=range(0, 13, 3))
    right.axhline(1, color=RED, lw=1.2, ls="--")
    right.text(1, 0.6, "clipped to 1", color=RED, fontsize=8, va="top")
    right.set(xlabel="epoch", ylabel="norm before clipping", xticks=range(0, 13, 3))
    return figure


def truncated():
    """What is learnt of an echo with lag 8, by how far gradients go back."""
    rng = np.random.RandomState(0)
    X, y = tasks.echo(rng, 1, 32_000, 8)
    X_new, y_new = tasks.echo(rng, 1, 5000, 8)
    windows = (2, 5, 7, 8, 9, 10, 12, 15, 20, 25)
    bits = []
    for window in windows:
        rnn = RNNClassifier(
            hidden_layer_sizes=16,
            weight_init="uniform",
            bptt_steps=window,
            learning_rate_init=1e-2,
            batch_size=64,
            max_iter=max(1, window),
            random_state=0,
        ).fit(X, y)
        bits.append(tasks.bits_of(rnn.predict_proba(X_new)[:, 8:], y_new[:, 8:]))
    figure, ax = plt.subplots(figsize=NARROW)
    ax.plot(windows, bits, "o-", color=BLUE, ms=4, lw=1.3)
    ax.axvline(8, color=BLACK, lw=0.8)
    ax.text(8.4, 0.6, "the lag", fontsize=8)
    ax.set(xlabel="steps that gradients go back", ylabel="bits per step", ylim=(-0.03, 1.05))
    return figure


FIGURES = {
    "01-parameter-sharing": parameter_sharing,
    "03-sequence-output": sequence_output,
    "04-digits": digits,
    "05-parity": parity,
    "06-initial-state": initial,
    "07-teacher-forcing": teacher_forcing,
    "09-jacobian": jacobian,
    "16-deep-transition": deep_transition,
    "18-eigenvalues": eigenvalues,
    "19-free-run": free_run,
    "21-clipping": clipped,
    "25-truncated": truncated,
}
